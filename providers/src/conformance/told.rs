//! What an answer says, however it was cut into pieces: the measure by which streams, whole answers and wires are
//! compared.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::Part;
use crate::event::{Event, FinishKind};
use crate::usage::Usage;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) choices: BTreeMap<u32, Said>,
    pub(super) usage: Option<Usage>,
    /// The vendor's words when it broke off.
    pub(super) error: Option<String>,
    /// The end marker was seen.
    pub(super) ended: bool,
}

/// One choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) refusal: String,
    pub(super) signatures: Vec<String>,
    pub(super) redacted: Vec<String>,
    pub(super) calls: Vec<Call>,
    pub(super) finish: Option<FinishKind>,
}

/// A tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) signature: Option<String>,
}

impl Call {
    /// Returns the call with its arguments in one spelling of JSON; nothing at all means no arguments.
    fn settled(mut self) -> Self {
        if self.arguments.trim().is_empty() {
            self.arguments = "{}".to_owned();
        } else if let Ok(value) = serde_json::from_str::<Value>(&self.arguments) {
            self.arguments = value.to_string();
        }
        self
    }
}

impl Told {
    pub(super) fn choice(&mut self, index: u32) -> &mut Said {
        self.choices.entry(index).or_default()
    }

    pub(super) fn report(&mut self, usage: Usage) {
        self.usage.get_or_insert_default().merge(&usage);
    }

    pub(super) fn settled(mut self) -> Self {
        for said in self.choices.values_mut() {
            said.calls = std::mem::take(&mut said.calls).into_iter().map(Call::settled).collect();
        }
        self
    }

    pub(super) fn of_events(events: &[Event]) -> Self {
        let mut told = Told::default();
        for event in events {
            told.add(event);
        }
        told.settled()
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::Start { .. } => {}
            Event::Text { choice, text } => self.choice(*choice).text.push_str(text),
            Event::Reasoning { choice, text } => self.choice(*choice).reasoning.push_str(text),
            Event::Refusal { choice, text } => self.choice(*choice).refusal.push_str(text),
            Event::Signature { choice, signature } => self.choice(*choice).signatures.push(signature.clone()),
            Event::RedactedReasoning { choice, data } => self.choice(*choice).redacted.push(data.clone()),
            Event::ToolStart { choice, id, name, signature, .. } => self.choice(*choice).calls.push(Call {
                id: id.clone(),
                name: name.clone(),
                arguments: String::new(),
                signature: signature.clone(),
            }),
            Event::ToolArguments { choice, tool, json } => {
                let call = &mut self.choice(*choice).calls[usize::try_from(*tool).unwrap()];
                call.arguments.push_str(json);
            }
            Event::Finish { choice, reason } => self.choice(*choice).finish = Some(reason.kind),
            Event::Usage(usage) => self.report(*usage),
            Event::Error(error) => self.error = Some(error.message.clone()),
            Event::End => self.ended = true,
        }
    }

    /// Reads a whole answer; it counts as ended.
    pub(super) fn of_answer(answer: &Answer) -> Self {
        let mut told = Told { usage: answer.usage, ended: true, ..Told::default() };
        for (index, choice) in (0..).zip(&answer.choices) {
            let said = told.choice(index);
            said.finish = choice.finish.as_ref().map(|reason| reason.kind);
            for part in &choice.parts {
                said.add(part);
            }
        }
        told.settled()
    }
}

impl Said {
    fn add(&mut self, part: &Part) {
        match part {
            Part::Text { text, .. } => self.text.push_str(text),
            Part::Refusal { text } => self.refusal.push_str(text),
            Part::Thinking { text, signature } => {
                self.reasoning.push_str(text);
                self.signatures.extend(signature.clone());
            }
            Part::RedactedThinking { data } => self.redacted.push(data.clone()),
            Part::ToolCall { id, name, arguments, signature } => self.calls.push(Call {
                id: id.clone(),
                name: name.clone(),
                arguments: arguments.clone(),
                signature: signature.clone(),
            }),
            other => panic!("answers hold no {other:?}"),
        }
    }
}

#[test]
fn the_same_answer_in_other_pieces_is_equal() {
    let call = |arguments: &str| Call { arguments: arguments.into(), ..Call::default() }.settled();
    assert_eq!(call(""), call("{ }"));
    assert_eq!(call(r#"{"a": 1}"#), call("{\"a\":1}"));
    assert_eq!(call("{\"a\"").arguments, "{\"a\"");
    assert_eq!(json!({}).to_string(), call("").arguments);
}
