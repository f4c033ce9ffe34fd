//! Hooks before the request: they judge its texts and may put others in their places.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use tidegate_plugin_host::Hook;
use tidegate_providers::texts::{self, PlainTexts, TextKind};
use tidegate_providers::{Fields, surrogates};

use super::exhibit::{Exhibit, Frame, NoBody};
use super::results::HookResults;
use super::side::Side;
use super::{Guards, denied};
use crate::error::{ErrorKind, GatewayError};

/// Texts of a form: field and value.
pub(in crate::pipeline) type FormTexts = Vec<(&'static str, String)>;

impl Guards {
    /// Judges a JSON request. Returns the results, and the body if it became another.
    ///
    /// # Errors
    /// 446 when a hook denies it, 400 when a change can't be put into the body, or a vendor could read other texts in it.
    pub(in crate::pipeline) async fn before(
        &self,
        fields: &Fields<'_>,
    ) -> Result<(HookResults, Option<String>), GatewayError> {
        let mut results = HookResults::default();
        if !self.judge_requests() {
            return Ok((results, None));
        }
        if let Some(odd) = texts::odd_name_in_messages(fields) {
            return Err(GatewayError::new(ErrorKind::Invalid, odd).at("messages"));
        }
        let text = || {
            let text = String::from_utf8(fields.to_vec()).unwrap_or_default();
            // Guards judge what can be read; what they leave alone goes on as it came.
            match surrogates::mended_text(&text) {
                Cow::Owned(whole) => whole,
                Cow::Borrowed(_) => text,
            }
        };
        let shown = |side: &Side| {
            let plain =
                if wants_more(side) { None } else { texts::of_plain_fields(self.scene.endpoint, fields) };
            plain.map(|plain| self.plain(side, plain)).or_else(|| self.show_to(side, text()))
        };
        if !self.informing.0.is_empty()
            && let Some(shown) = shown(&self.informing.0)
        {
            inform(self.informing.0.clone(), shown);
        }
        let Some(mut exhibit) = shown(&self.before) else {
            return Err(GatewayError::new(ErrorKind::Invalid, "the body is not a JSON object"));
        };
        let judged = self.before.judge(&mut exhibit, self).await;
        results.before(judged.results);
        if judged.denied {
            return Err(denied(&results));
        }
        if !judged.rewritten && !exhibit.is_changed() {
            return Ok((results, None));
        }
        exhibit.body.get_or_insert_with(text);
        let Some(body) = self.write(&exhibit) else {
            return Err(GatewayError::new(ErrorKind::Invalid, "a guardrail's change could not be applied"));
        };
        Ok((results, Some(body)))
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
        let shown = |side: &Side| {
            let mut exhibit = Exhibit::new(self.scene.subject(side, Hook::Input, None, None));
            for (at, (_, text)) in fields.iter().enumerate() {
                exhibit.add("text", "user", u32::try_from(at).unwrap_or(u32::MAX), text.clone(), false);
            }
            exhibit
        };
        let mut exhibit = shown(&self.before);
        if !self.informing.0.is_empty() {
            inform(self.informing.0.clone(), shown(&self.informing.0));
        }
        let judged = self.before.judge(&mut exhibit, &NoBody).await;
        results.before(judged.results);
        if judged.denied {
            return Err(denied(&results));
        }
        let changes =
            exhibit.changes().filter_map(|(index, text)| Some((fields.get(index)?.0, text.to_owned())));
        Ok((results, changes.collect()))
    }
}

impl Guards {
    /// Shows plain texts to a side that wants no more.
    fn plain(&self, side: &Side, plain: PlainTexts) -> Exhibit {
        let mut exhibit = Exhibit::new(self.scene.subject(side, Hook::Input, None, None));
        for text in plain.texts {
            exhibit.add(text.kind.word(), text.role, text.index, text.text, false);
        }
        count(&mut exhibit, plain.messages);
        exhibit
    }

    /// Shows a body to a side; `None` when it is none.
    fn show_to(&self, side: &Side, body: String) -> Option<Exhibit> {
        let endpoint = self.scene.endpoint;
        let plain = if wants_more(side) { None } else { texts::of_plain_request(endpoint, &body) };
        let mut exhibit = if let Some(plain) = plain {
            self.plain(side, plain)
        } else {
            let value: Value = serde_json::from_str(&body).ok().filter(Value::is_object)?;
            let subject = self.scene.subject(side, Hook::Input, Some(&value), Some(&value));
            let mut exhibit = Exhibit::new(subject);
            for slot in texts::of_request(endpoint, &value) {
                let json = slot.kind == TextKind::ToolArguments;
                exhibit.add(slot.kind.word(), slot.role, slot.index, slot.text, json);
            }
            count(&mut exhibit, texts::message_count(endpoint, &value));
            exhibit
        };
        exhibit.body = Some(body);
        Some(exhibit)
    }
}

/// Returns whether a check wants more than texts. Else they are shown without a tree, if they are plain.
fn wants_more(side: &Side) -> bool {
    ["messages", "params", "body"].iter().any(|what| side.wants(what))
}

/// Says how many messages there are where the pieces don't: texts that are empty are none.
fn count(exhibit: &mut Exhibit, messages: usize) {
    let said = exhibit.subject.pieces.iter().map(|piece| piece.index as usize + 1).max().unwrap_or(0);
    if messages > said {
        exhibit.say("messages", messages.to_string());
    }
}

impl Frame for Guards {
    fn show(&self, body: String) -> Option<Exhibit> {
        self.show_to(&self.before, body)
    }

    fn write(&self, exhibit: &Exhibit) -> Option<String> {
        let mut body: Value = serde_json::from_str(exhibit.body.as_deref()?).ok()?;
        let slots = texts::of_request(self.scene.endpoint, &body);
        let edits: Vec<_> = exhibit
            .changes()
            .filter_map(|(index, text)| Some((slots.get(index)?, text.to_owned())))
            .collect();
        texts::replace_all(&mut body, edits).ok()?;
        Some(body.to_string())
    }
}

/// Lets hooks judge that only inform: their results are logged, nobody waits. The task ends by the deadlines of its calls
/// and loses nothing but log lines.
pub(super) fn inform(side: Arc<Side>, mut exhibit: Exhibit) {
    actix_web::rt::spawn(async move {
        for result in side.judge(&mut exhibit, &NoBody).await.results {
            // Not what a check found: that may be what somebody said.
            let failed = result.checks.iter().filter(|check| !check.verdict);
            let failed: Vec<&str> = failed.map(|check| &*check.id).collect();
            tracing::info!(hook = result.id, verdict = result.verdict, ?failed, "guardrail judged");
        }
    });
}
