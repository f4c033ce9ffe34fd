//! `allowedRequestTypes`: which endpoints may be used.

use serde_json::{Value, json};
use tidegate_plugin_sdk::{Params, Subject};

use super::kind;
use crate::judged::{Judged, array, error, judged, with};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "properties": {
    "allowedTypes": {"type": ["array", "string"], "items": {"type": "string"},
        "description": "Like chatComplete, complete, embed, messages; metadata supported_endpoints where empty"},
    "blockedTypes": {"type": ["array", "string"], "items": {"type": "string"},
        "description": "As allowedTypes; metadata blocked_endpoints where empty"}
}}"#;

fn split(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).collect()
}

/// Returns a list of the parameters, else of the metadata, as a list or as text with commas.
fn list(params: &Params, name: &str, subject: &Subject, metadata: &str) -> Vec<String> {
    let given = match params.get(name) {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(names)) if !names.is_empty() => split(names),
        _ => Vec::new(),
    };
    if !given.is_empty() {
        return given;
    }
    match named(subject, metadata) {
        // Lists in metadata arrive as JSON.
        Some(value) => serde_json::from_str(value).unwrap_or_else(|_| split(value)),
        None => Vec::new(),
    }
}

fn named<'a>(subject: &'a Subject, name: &str) -> Option<&'a str> {
    let found = subject.call.metadata.iter().find(|(key, value)| key == name && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let kind = kind::of(&subject.call.endpoint);
    let allowed = list(params, "allowedTypes", subject, "supported_endpoints");
    let blocked = list(params, "blockedTypes", subject, "blocked_endpoints");
    let both: Vec<&str> = allowed.iter().filter(|name| blocked.contains(name)).map(String::as_str).collect();
    if !both.is_empty() {
        let message = format!(
            "Conflict detected: The following types appear in both allowedTypes and blockedTypes: {}. Please remove \
             them from one list.",
            both.join(", ")
        );
        let data = json!({
            "explanation": format!("An error occurred while checking allowed request types: {message}"),
            "currentRequestType": kind, "allowedTypes": array(&allowed), "blockedTypes": array(&blocked),
        });
        return Err(error(&message, &data));
    }
    let is = |list: &[String]| list.iter().any(|name| name == kind);
    let names = allowed.join(", ");
    let (mode, verdict) = match (allowed.is_empty(), blocked.is_empty()) {
        (true, true) => ("unrestricted", true),
        (true, false) => ("blocklist", !is(&blocked)),
        (false, true) => ("allowlist", is(&allowed)),
        (false, false) => ("combined", !is(&blocked) && is(&allowed)),
    };
    let explanation = match (mode, verdict) {
        ("combined", true) => format!("Request type \"{kind}\" is allowed (in allowlist and not blocked)."),
        ("combined", false) if is(&blocked) => format!("Request type \"{kind}\" is explicitly blocked."),
        ("combined", false) => format!(
            "Request type \"{kind}\" is not in the allowed list. Allowed types (excluding blocked): {names}"
        ),
        ("blocklist", true) => format!("Request type \"{kind}\" is allowed (not in blocklist)."),
        ("blocklist", false) => format!("Request type \"{kind}\" is blocked."),
        ("allowlist", true) => format!("Request type \"{kind}\" is allowed."),
        ("allowlist", false) => format!("Request type \"{kind}\" is not allowed. Allowed types are: {names}"),
        _ => format!("Request type \"{kind}\" is allowed (no restrictions configured)."),
    };
    let by_params = ["allowedTypes", "blockedTypes"].iter().any(|name| params.get(name).is_some());
    let by_metadata =
        ["supported_endpoints", "blocked_endpoints"].iter().any(|name| named(subject, name).is_some());
    let source = match (by_params, by_metadata) {
        (true, _) => "parameters",
        (false, true) => "metadata",
        (false, false) => "default",
    };
    let shown = if mode == "unrestricted" {
        Some(json!(["all"]))
    } else {
        (!allowed.is_empty()).then(|| array(&allowed))
    };
    let data = with(json!({ "currentRequestType": kind }), "allowedTypes", shown);
    let data = with(data, "blockedTypes", (!blocked.is_empty()).then(|| array(&blocked)));
    let data = with(data, "verdict", Some(verdict.into()));
    let data = with(data, "explanation", Some(explanation.into()));
    let data = with(with(data, "source", Some(source.into())), "mode", Some(mode.into()));
    Ok(judged("allowedRequestTypes", verdict, &data))
}
