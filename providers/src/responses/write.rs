//! [`Answer`] → `response` object. Only the first choice is shown: the wire has no more than one.

use serde_json::Value;

use crate::answer::Answer;
use crate::call::Part;
use crate::codec::EncodeOptions;

use super::item::{Content, Item, Summary, seal_redacted, seal_signature};
use super::object::{Head, ResponseObject, status_of};

/// Writes a whole answer.
pub(super) fn response_from_answer(answer: &Answer, options: &EncodeOptions) -> Value {
    let head = Head::new(&answer.id, &answer.model, answer.created, options);
    let choice = answer.choices.first();
    let finish = choice.and_then(|choice| choice.finish.as_ref()).map(|finish| finish.kind);

    let mut output = Vec::new();
    for part in choice.into_iter().flat_map(|choice| &choice.parts) {
        push_part(&mut output, head.stem(), part);
    }
    let last = output.len().saturating_sub(1);
    for (index, item) in output.iter_mut().enumerate() {
        // What came before the last item was finished when the limit or the filter struck.
        item.set_status(status_of(if index == last { finish } else { None }));
    }
    let response = ResponseObject::ended(&head, &output, finish, answer.usage.as_ref());
    // Plain structs with string keys always serialize; the fallback only avoids a panic path.
    serde_json::to_value(&response).unwrap_or_default()
}

fn push_part(output: &mut Vec<Item>, stem: &str, part: &Part) {
    let index = output.len();
    match part {
        Part::Text { text, .. } => push_content(output, stem, false, text),
        Part::Refusal { text } => push_content(output, stem, true, text),
        Part::Thinking { text, signature } => {
            let mut item = Item::reasoning(stem, index);
            if let Item::Reasoning { summary, encrypted_content, .. } = &mut item {
                if !text.is_empty() {
                    summary.push(Summary::SummaryText { text: text.clone() });
                }
                *encrypted_content = signature.as_deref().map(seal_signature);
            }
            output.push(item);
        }
        Part::RedactedThinking { data } => {
            let mut item = Item::reasoning(stem, index);
            if let Item::Reasoning { encrypted_content, .. } = &mut item {
                *encrypted_content = Some(seal_redacted(data));
            }
            output.push(item);
        }
        Part::ToolCall { id, name, arguments: json, signature } => {
            let mut item = Item::function_call(stem, index, id, name, signature.as_deref());
            if let Item::FunctionCall { arguments, .. } = &mut item {
                // Clients parse the arguments; an empty string is no JSON.
                arguments.push_str(if json.is_empty() { "{}" } else { json });
            }
            output.push(item);
        }
        // The wire has no place for these in an assistant's answer.
        Part::Image { .. } | Part::Audio { .. } | Part::File { .. } | Part::ToolResult { .. } => {}
    }
}

/// Joins neighbouring text into one part and neighbouring parts into one message, as the stream does.
fn push_content(output: &mut Vec<Item>, stem: &str, is_refusal: bool, text: &str) {
    if text.is_empty() {
        return;
    }
    if !matches!(output.last(), Some(Item::Message { .. })) {
        output.push(Item::message(stem, output.len()));
    }
    let Some(Item::Message { content, .. }) = output.last_mut() else { return };
    if content.last().is_none_or(|part| part.is_refusal() != is_refusal) {
        content.push(Content::empty(is_refusal));
    }
    if let Some(part) = content.last_mut() {
        part.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Choice;
    use crate::event::{FinishKind, FinishReason};
    use crate::usage::Usage;

    fn written(parts: Vec<Part>, finish: FinishKind) -> Value {
        let answer = Answer {
            id: "chatcmpl-1".into(),
            model: "claude".into(),
            created: 1_700_000_000,
            choices: vec![Choice { parts, finish: Some(FinishReason::new(finish, "x")), logprobs: None }],
            usage: Some(Usage { input: 5, cached_input: 2, output: 3, reasoning: 1, ..Usage::default() }),
        };
        response_from_answer(&answer, &EncodeOptions::default())
    }

    fn call(arguments: &str) -> Part {
        let (id, name) = ("call_0".into(), "tide".into());
        Part::ToolCall { id, name, arguments: arguments.into(), signature: None }
    }

    #[test]
    fn no_arguments_are_an_empty_object() {
        let response = written(vec![call("")], FinishKind::ToolCalls);
        assert_eq!(response["output"][0]["arguments"], "{}");
    }

    #[test]
    fn a_whole_answer_matches_the_fixture() {
        let response = written(
            vec![
                Part::Thinking { text: "Look it up.".into(), signature: Some("sig".into()) },
                Part::text("High "),
                Part::text("tide"),
                Part::Refusal { text: "No.".into() },
                call(r#"{"port":"Brest"}"#),
            ],
            FinishKind::ToolCalls,
        );
        let fixture = include_str!("../../fixtures/responses/response.json");
        let fixture: Value = serde_json::from_str(fixture).unwrap();
        assert_eq!(response, fixture, "{response:#}");
    }

    #[test]
    fn a_cut_answer_is_incomplete() {
        let response = written(vec![Part::text("High ti")], FinishKind::Length);
        assert_eq!(response["status"], "incomplete");
        assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
        assert_eq!(response["output"][0]["status"], "incomplete");
    }

    #[test]
    fn a_refusal_is_a_content_part() {
        let response = written(vec![Part::Refusal { text: "No.".into() }], FinishKind::Refusal);
        assert_eq!(response["status"], "completed");
        assert_eq!(response["output"][0]["content"][0]["refusal"], "No.");
    }

    #[test]
    fn an_answer_without_choices_is_still_a_response() {
        let response = response_from_answer(&Answer::default(), &EncodeOptions::default());
        assert_eq!(response["object"], "response");
        assert_eq!(response["output"], serde_json::json!([]));
        assert_eq!(response["usage"], Value::Null);
    }
}
