//! Hooks after the request, on whole answers.

use serde_json::Value;
use tidegate_plugin_host::Hook;
use tidegate_providers::texts::{self, TextKind};
use tidegate_providers::{Answer, Choice, Part, registry};

use super::before::inform;
use super::exhibit::Exhibit;
use super::results::HookResults;
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
    /// Judges an answer and masks it. `body`: the answer as the client would see it, for checks that want it.
    ///
    /// # Errors
    /// 446 when a hook denies it.
    pub(in crate::pipeline) async fn after(
        &self,
        answer: &mut Answer,
        body: Option<&Value>,
        results: &mut HookResults,
    ) -> Result<Outcome, GatewayError> {
        let mut slots = texts::of_answer(answer);
        let shown = |slots: &[texts::AnswerSlot]| {
            let mut exhibit = Exhibit::new(self.scene.subject(&self.after, Hook::Output, None, body));
            for slot in slots {
                let json = slot.kind == TextKind::ToolArguments;
                exhibit.add(slot.kind.word(), slot.role, slot.index, slot.text.clone(), json);
            }
            exhibit
        };
        if !self.informing.1.is_empty() {
            inform(self.informing.1.clone(), shown(&slots));
        }
        let mut exhibit = shown(&slots);
        let judged = self.after.judge(&mut exhibit).await;
        results.after(judged.results);
        if judged.denied {
            return Err(denied(results));
        }
        let mut outcome = Outcome::Same;
        if let Some(rewrite) = judged.rewrite {
            // The masks of the others belong on the new body.
            let Some((value, anew)) = self.read(&rewrite) else {
                tracing::warn!("a check wrote an answer anew that can't be read");
                return Err(denied(results));
            };
            *answer = anew;
            slots = texts::of_answer(answer);
            exhibit = shown(&slots);
            self.after.mask_again(&mut exhibit).await;
            outcome = Outcome::Rewritten(value);
        }
        for (index, text) in exhibit.changes() {
            if let Some(slot) = slots.get(index) {
                texts::replace_in_answer(answer, slot, text.to_owned());
                outcome = Outcome::Masked;
            }
        }
        Ok(outcome)
    }

    /// Reads an answer in the client's dialect.
    fn read(&self, body: &str) -> Option<(Value, Answer)> {
        let wire = self.scene.endpoint.wire()?;
        let answer = registry::outbound(wire).read_answer(body.as_bytes()).ok()?;
        Some((serde_json::from_str(body).ok()?, answer))
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
        match self.after(&mut answer, None, results).await? {
            Outcome::Same => Ok(None),
            Outcome::Masked => Ok(texts::of_answer(&answer).into_iter().next().map(|slot| slot.text).or(Some(String::new()))),
            Outcome::Rewritten(_) => Err(denied(results)),
        }
    }
}
