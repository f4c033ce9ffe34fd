//! Hooks after the request, on whole answers.

use serde_json::Value;
use tidegate_plugin_host::Hook;
use tidegate_providers::texts::{self, TextKind};
use tidegate_providers::{Answer, Choice, Part, registry};

use super::before::inform;
use super::exhibit::{Exhibit, Frame};
use super::results::HookResults;
use super::side::Side;
use super::{Guards, denied};
use crate::error::GatewayError;

/// What hooks made of a whole answer.
pub(in crate::pipeline) enum Outcome {
    /// It goes as it came.
    Same,
    /// Texts became others.
    Masked,
    /// A check put another body in place.
    Rewritten(Value),
}

impl Guards {
    /// Judges an answer and masks it. `body`: the answer as the client would see it; `write` writes another like it.
    ///
    /// # Errors
    /// 446 when a hook denies it.
    pub(in crate::pipeline) async fn after(
        &self,
        answer: &mut Answer,
        body: &[u8],
        write: &dyn Fn(&Answer) -> Value,
        results: &mut HookResults,
    ) -> Result<Outcome, GatewayError> {
        let given = answer.clone();
        let frame = Answered { guards: self, given: &given, write };
        let body = std::str::from_utf8(body).unwrap_or_default();
        let shown = |side: &Side| frame.shown(side, answer, side.wants("body").then_some(body));
        let mut exhibit = shown(&self.after);
        if !self.informing.1.is_empty() {
            inform(self.informing.1.clone(), shown(&self.informing.1));
        }
        let judged = self.after.judge(&mut exhibit, &frame).await;
        results.after(judged.results);
        if judged.denied {
            return Err(denied(results));
        }
        let rewritten = judged.rewritten.then_some(exhibit.body.as_deref()).flatten();
        if let Some(body) = rewritten {
            *answer = self.read(body).ok_or_else(|| denied(results))?;
        }
        if frame.put(&exhibit, answer) {
            return Ok(Outcome::Masked);
        }
        Ok(match rewritten.and_then(|body| serde_json::from_str(body).ok()) {
            Some(body) => Outcome::Rewritten(body),
            None => Outcome::Same,
        })
    }

    /// Reads an answer in the client's dialect.
    fn read(&self, body: &str) -> Option<Answer> {
        let wire = self.scene.endpoint.wire()?;
        registry::outbound(wire).read_answer(body.as_bytes()).ok()
    }

    /// Judges one plain text that is an answer, like a transcript. Returns what it became.
    ///
    /// # Errors
    /// 446 when a hook denies it.
    pub(in crate::pipeline) async fn after_text(
        &self,
        text: &str,
        results: &mut HookResults,
    ) -> Result<Option<String>, GatewayError> {
        let mut answer = Answer::default();
        let part = Part::Text { text: text.to_owned(), cache_control: None };
        answer.choices.push(Choice { parts: vec![part], finish: None, logprobs: None });
        match self.after(&mut answer, b"", &|_| Value::Null, results).await? {
            Outcome::Same => Ok(None),
            Outcome::Masked => {
                Ok(texts::of_answer(&answer).into_iter().next().map(|slot| slot.text).or(Some(String::new())))
            }
            Outcome::Rewritten(_) => Err(denied(results)),
        }
    }
}

/// An answer under judgement.
struct Answered<'a> {
    guards: &'a Guards,
    /// The vendor's.
    given: &'a Answer,
    write: &'a dyn Fn(&Answer) -> Value,
}

impl Answered<'_> {
    /// Shows an answer to a side.
    fn shown(&self, side: &Side, answer: &Answer, body: Option<&str>) -> Exhibit {
        let value = body.and_then(|body| serde_json::from_str::<Value>(body).ok());
        let subject = self.guards.scene.subject(side, Hook::Output, None, value.as_ref());
        let mut exhibit = Exhibit::new(subject);
        for slot in texts::of_answer(answer) {
            let json = slot.kind == TextKind::ToolArguments;
            exhibit.add(slot.kind.word(), slot.role, slot.index, slot.text, json);
        }
        exhibit.body = body.map(str::to_owned);
        exhibit
    }

    /// Puts changed texts in the places of the answer that the exhibit shows. Returns whether there were any.
    fn put(&self, exhibit: &Exhibit, answer: &mut Answer) -> bool {
        let slots = texts::of_answer(answer);
        for (index, text) in exhibit.changes() {
            if let Some(slot) = slots.get(index) {
                texts::replace_in_answer(answer, slot, text.to_owned());
            }
        }
        exhibit.is_changed()
    }
}

impl Frame for Answered<'_> {
    fn show(&self, body: String) -> Option<Exhibit> {
        let answer = self.guards.read(&body)?;
        Some(self.shown(&self.guards.after, &answer, Some(&body)))
    }

    fn write(&self, exhibit: &Exhibit) -> Option<String> {
        let mut answer = match exhibit.body.as_deref() {
            Some(body) => self.guards.read(body)?,
            None => self.given.clone(),
        };
        self.put(exhibit, &mut answer);
        Some((self.write)(&answer).to_string())
    }
}
