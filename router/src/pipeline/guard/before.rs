//! Hooks before the request: they judge its texts and may put others in their places.

use std::sync::Arc;

use serde_json::Value;
use tidegate_plugin_host::Hook;
use tidegate_providers::texts::{self, TextKind};

use super::exhibit::Exhibit;
use super::results::HookResults;
use super::side::{Judged, Side};
use super::{Guards, denied};
use crate::error::{ErrorKind, GatewayError};

/// Texts of a form: field and value.
pub(in crate::pipeline) type FormTexts = Vec<(&'static str, String)>;

impl Guards {
    /// Judges a JSON request. Returns the results, and the body if it became another.
    ///
    /// # Errors
    /// 446 when a hook denies it, 400 when a change can't be put into the body.
    pub(in crate::pipeline) async fn before(
        &self,
        body: &[u8],
    ) -> Result<(HookResults, Option<Value>), GatewayError> {
        let mut results = HookResults::default();
        if !self.judge_requests() {
            return Ok((results, None));
        }
        let mut body: Value = serde_json::from_slice(body)
            .map_err(|error| GatewayError::new(ErrorKind::Invalid, format!("the body is not JSON: {error}")))?;
        let mut exhibit = self.shown(&body);
        if !self.informing.0.is_empty() {
            inform(self.informing.0.clone(), self.shown(&body));
        }
        let judged = self.before.judge(&mut exhibit).await;
        let mut changed = self.conclude(judged, &mut results, &mut body)?;
        if changed {
            // A check put another body in place: the masks of the others belong on that one.
            exhibit = self.shown(&body);
            self.before.mask_again(&mut exhibit).await;
        }
        changed |= self.replace(&exhibit, &mut body)?;
        Ok((results, changed.then_some(body)))
    }

    /// Judges the texts of a form. Returns the results, and the fields that became others.
    ///
    /// # Errors
    /// 446 when a hook denies it.
    pub(in crate::pipeline) async fn before_form(
        &self,
        fields: &FormTexts,
    ) -> Result<(HookResults, FormTexts), GatewayError> {
        let mut results = HookResults::default();
        if !self.judge_requests() {
            return Ok((results, Vec::new()));
        }
        let shown = || {
            let mut exhibit = Exhibit::new(self.scene.subject(&self.before, Hook::Input, None, None));
            for (at, (_, text)) in fields.iter().enumerate() {
                exhibit.add("text", "user", u32::try_from(at).unwrap_or(u32::MAX), text.clone(), false);
            }
            exhibit
        };
        let mut exhibit = shown();
        if !self.informing.0.is_empty() {
            inform(self.informing.0.clone(), shown());
        }
        let judged = self.before.judge(&mut exhibit).await;
        results.before(judged.results);
        if judged.denied || judged.rewrite.is_some() {
            // A form has no JSON body that a check could write anew.
            return Err(denied(&results));
        }
        let changes =
            exhibit.changes().filter_map(|(index, text)| Some((fields.get(index)?.0, text.to_owned())));
        Ok((results, changes.collect()))
    }

    /// Notes results; puts a rewritten body in place and says whether there was one.
    fn conclude(
        &self,
        judged: Judged,
        results: &mut HookResults,
        body: &mut Value,
    ) -> Result<bool, GatewayError> {
        results.before(judged.results);
        if judged.denied {
            return Err(denied(results));
        }
        let Some(rewrite) = judged.rewrite else { return Ok(false) };
        match serde_json::from_str(&rewrite) {
            Ok(rewritten @ Value::Object(_)) => *body = rewritten,
            _ => {
                tracing::warn!("a check wrote a request anew that is no JSON object");
                return Err(denied(results));
            }
        }
        Ok(true)
    }

    fn shown(&self, body: &Value) -> Exhibit {
        let mut subject = self.scene.subject(&self.before, Hook::Input, Some(body), Some(body));
        // Texts that are empty are no pieces; which message is the last one is said all the same.
        let count = texts::message_count(self.scene.endpoint, body);
        subject.extra.push(("messages".to_owned(), count.to_string()));
        let mut exhibit = Exhibit::new(subject);
        for slot in texts::of_request(self.scene.endpoint, body) {
            let json = slot.kind == TextKind::ToolArguments;
            exhibit.add(slot.kind.word(), slot.role, slot.index, slot.text, json);
        }
        exhibit
    }

    fn replace(&self, exhibit: &Exhibit, body: &mut Value) -> Result<bool, GatewayError> {
        let slots = texts::of_request(self.scene.endpoint, body);
        let edits: Vec<_> =
            exhibit.changes().filter_map(|(index, text)| Some((slots.get(index)?, text.to_owned()))).collect();
        let changed = !edits.is_empty();
        texts::replace_all(body, edits).map_err(|error| {
            GatewayError::new(ErrorKind::Invalid, format!("a guardrail's change could not be applied: {error}"))
        })?;
        Ok(changed)
    }
}

/// Lets hooks judge that only inform: their results are logged, nobody waits.
#[expect(clippy::disallowed_methods, reason = "it ends by the deadline of its calls, and loses nothing but a log line")]
pub(super) fn inform(side: Arc<Side>, mut exhibit: Exhibit) {
    actix_web::rt::spawn(async move {
        for result in side.judge(&mut exhibit).await.results {
            let checks = serde_json::to_string(&result.checks).unwrap_or_default();
            tracing::info!(hook = result.id, verdict = result.verdict, checks, "guardrail judged");
        }
    });
}
