//! `addPrefix`: a text before the prompt. Where the text is there it is a mask of nothing; a message that has to be made
//! needs the body.

use serde_json::{Value, json};
use tidegate_plugin_sdk::{CheckError, Hook, Judgement, Mask, Params, Span, Subject, Verdict};

use super::kind;
use crate::judged::Judged;

pub(crate) const SCHEMA: &str = r#"{"type": "object", "required": ["prefix"], "properties": {
    "prefix": {"type": "string", "minLength": 1},
    "applyToRole": {"enum": ["user", "system", "assistant"], "default": "user"},
    "addToExisting": {"type": "boolean", "default": true},
    "onlyIfEmpty": {"type": "boolean", "default": false}
}}"#;

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let kind = kind::of(&subject.call.endpoint);
    if subject.hook != Hook::Input || !["complete", "chatComplete", "messages"].contains(&kind) {
        return Ok(Judgement::pass());
    }
    let Some(prefix) = params.text("prefix").filter(|prefix| !prefix.is_empty()) else {
        return Err(CheckError::new("Error", "Prefix parameter is required and must be a string"));
    };
    let role = params.text("applyToRole").unwrap_or("user");
    let add_to_existing = params.get("addToExisting") != Some(&Value::Bool(false));
    let only_if_empty = params.flag("onlyIfEmpty");
    let data = json!({
        "prefix": prefix, "requestType": kind, "applyToRole": role, "addToExisting": add_to_existing,
        "onlyIfEmpty": only_if_empty,
    });
    let is_prompt = kind == "complete";
    let target = (0..)
        .zip(&subject.pieces)
        .find(|(_, piece)| piece.kind == "text" && (is_prompt || piece.role == role));
    let verdict = match target {
        Some((_, piece)) if only_if_empty && !piece.text.trim().is_empty() => Verdict::Pass,
        Some((index, _)) if is_prompt || add_to_existing => {
            let span = Span { start: 0, end: 0, replacement: prefix.to_owned() };
            Verdict::Mask(vec![Mask { piece: index, spans: vec![span] }])
        }
        _ => Verdict::Rewrite(with_message(subject, kind, role, prefix, add_to_existing)?),
    };
    Ok(Judgement::from(verdict).with_data(&data))
}

/// Returns the body with a message of its own for the prefix, or with the prefix as its empty message.
fn with_message(
    subject: &Subject,
    kind: &str,
    role: &str,
    prefix: &str,
    add_to_existing: bool,
) -> Result<String, CheckError> {
    let missing = || CheckError::new("Error", "Request JSON is empty or missing");
    let body = subject.body_json.as_deref().ok_or_else(missing)?;
    let mut body: Value = serde_json::from_str(body).map_err(|_| missing())?;
    if kind == "messages" && role == "system" {
        // Anthropic has no message of the system.
        let system = match body.get("system") {
            Some(Value::String(system)) => json!(format!("{prefix}{system}")),
            Some(Value::Array(parts)) => std::iter::once(json!({ "type": "text", "text": prefix }))
                .chain(parts.iter().cloned())
                .collect(),
            _ => json!(prefix),
        };
        body.as_object_mut().ok_or_else(missing)?.insert("system".to_owned(), system);
        return Ok(body.to_string());
    }
    let messages = body.get_mut("messages").and_then(Value::as_array_mut).ok_or_else(missing)?;
    let at = messages.iter().position(|message| message.get("role").and_then(Value::as_str) == Some(role));
    let content =
        if kind == "messages" { json!([{ "type": "text", "text": prefix }]) } else { json!(prefix) };
    let existing = at.and_then(|at| messages.get_mut(at)).and_then(Value::as_object_mut);
    if let (true, Some(message)) = (add_to_existing, existing) {
        let content = match message.get("content") {
            Some(Value::Array(parts)) => std::iter::once(json!({ "type": "text", "text": prefix }))
                .chain(parts.iter().cloned())
                .collect(),
            _ => content,
        };
        message.insert("content".to_owned(), content);
    } else {
        let at = at.unwrap_or(if role == "system" { 0 } else { messages.len() });
        messages.insert(at, json!({ "role": role, "content": content }));
    }
    Ok(body.to_string())
}
