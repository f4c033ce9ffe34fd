//! `jsonKeys`: any, all or none of some members in JSON within the text. Also how JSON is found in text.

use serde_json::{Value, json};
use tidegate_plugin_sdk::{Params, Subject};

use super::contains::Operator;
use super::seen::{Seen, excerpt, excerpt_or_none};
use crate::judged::{Judged, array, error, judged, with};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "required": ["keys"], "properties": {
    "keys": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "operator": {"enum": ["any", "all", "none"], "default": "any"},
    "messages": {"enum": ["last", "all"], "default": "last"}
}}"#;

/// Returns what stands in fenced blocks without a language or of JSON.
pub(crate) fn fenced(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("```") {
        let after = after.trim_start_matches('`');
        let body = after.strip_prefix("json").unwrap_or(after);
        let Some((body, after)) = body.split_once("```") else { break };
        found.push(body.trim());
        rest = after.trim_start_matches('`');
    }
    found
}

/// Returns the JSON objects in running text, each to its own closing bracket. (Portkey ends them at the first one,
/// so that it finds no nested objects.)
pub(crate) fn objects(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|rest| rest.find('{')).map(|at| from + at) {
        from = match object_end(text, start) {
            Some(end) => {
                found.extend(text.get(start..end));
                end
            }
            None => start + 1,
        };
    }
    found
}

fn object_end(text: &str, start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    Some(start + values.byte_offset())
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let text = Seen::of(params).text(subject);
    let failed = |message: &str| {
        let data = json!({ "explanation": format!("An error occurred while processing JSON: {message}") });
        let data = with(data, "operator", params.get("operator").cloned());
        let data = with(data, "requiredKeys", params.get("keys").cloned());
        error(message, &with(data, "textExcerpt", Some(excerpt_or_none(&text).into())))
    };
    if text.is_empty() {
        return Err(failed("Missing text to analyze"));
    }
    let keys: Vec<&str> = match params.get("keys").and_then(Value::as_array) {
        Some(keys) if !keys.is_empty() => keys.iter().filter_map(Value::as_str).collect(),
        _ => return Err(failed("Missing or invalid keys array")),
    };
    let operator = match params.text("operator").unwrap_or("any") {
        "any" => Operator::Any,
        "all" => Operator::All,
        "none" => Operator::None,
        _ => return Err(failed("Invalid or missing operator (must be \"any\", \"all\", or \"none\")")),
    };
    let candidates = fenced(&text).into_iter().chain(objects(&text));
    let values: Vec<Value> = candidates.filter_map(|json| serde_json::from_str(json).ok()).collect();
    if values.is_empty() {
        let data = json!({
            "explanation": "No valid JSON found in the text.", "requiredKeys": array(&keys),
            "operator": operator.name(), "textExcerpt": excerpt(&text),
        });
        return Ok(judged("jsonKeys", false, &data));
    }
    let mut best: (Option<&Value>, Vec<&str>, Vec<&str>, bool) = (None, Vec::new(), keys.clone(), false);
    for value in &values {
        let (present, missing): (Vec<&str>, Vec<&str>) =
            keys.iter().partition(|&&key| value.get(key).is_some());
        let verdict = operator.passes(present.len(), missing.len());
        if verdict || present.len() > best.1.len() {
            best = (Some(value), present, missing, verdict);
        }
        if verdict {
            break;
        }
    }
    let (matched, present, missing, verdict) = best;
    let data = json!({
        "matchedJson": matched, "verdict": verdict,
        "explanation": explanation(operator, &present, &missing, verdict),
        "presentKeys": array(&present), "missingKeys": array(&missing), "operator": operator.name(),
        "textExcerpt": excerpt(&text),
    });
    Ok(judged("jsonKeys", verdict, &data))
}

fn explanation(operator: Operator, present: &[&str], missing: &[&str], verdict: bool) -> String {
    let found = match present {
        [] => "No matching keys found".to_owned(),
        keys => format!("Found keys: [{}]", keys.join(", ")),
    };
    let lacking = match missing {
        [] => "No missing keys".to_owned(),
        keys => format!("Missing keys: [{}]", keys.join(", ")),
    };
    match (operator, verdict) {
        (Operator::Any, true) => format!("Successfully found at least one required key. {found}."),
        (Operator::Any, false) => format!("Failed to find any required keys. {lacking}."),
        (Operator::All, true) => format!("Successfully found all required keys. {found}."),
        (Operator::All, false) => format!("Failed to find all required keys. {lacking}."),
        (Operator::None, true) => format!("Successfully verified no required keys are present. {lacking}."),
        (Operator::None, false) => format!("Found some keys that should not be present. {found}."),
    }
}
