//! `requiredMetadataKeys` and `requiredMetadataKeyValuePairs`.

use serde_json::{Value, json};
use tidegate_plugin_sdk::{CheckError, Hook, Params, Subject};

use crate::judged::{Judged, array, judged};
use crate::text::contains::Operator;
use crate::text::regex::Rule;

pub(crate) const KEYS_SCHEMA: &str = r#"{"type": "object", "required": ["metadataKeys"], "properties": {
    "metadataKeys": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    "operator": {"enum": ["all", "any", "none"], "default": "all"}
}}"#;

pub(crate) const PAIRS_SCHEMA: &str = r#"{"type": "object", "required": ["metadataPairs"], "properties": {
    "metadataPairs": {
        "description": "{\"key\": \"value\"}, or [{\"key\": \"key\", \"value\": \"value\"}]; a list of values allows each",
        "type": ["object", "array"]},
    "operator": {"enum": ["all", "any", "none"], "default": "all"},
    "matchType": {"enum": ["exact", "contains", "regex"], "default": "exact"}
}}"#;

fn wrong(message: &str) -> CheckError {
    CheckError::new("Error", message)
}

fn operator(params: &Params) -> Result<Operator, CheckError> {
    match params.text("operator").unwrap_or("all") {
        "all" => Ok(Operator::All),
        "any" => Ok(Operator::Any),
        "none" => Ok(Operator::None),
        _ => Err(wrong("operator must be one of: all, any, none")),
    }
}

/// Returns the sentence for what was found of what.
fn explanation(verdict: bool, operator: Operator, what: &str) -> String {
    let detail = match (verdict, operator) {
        (true, Operator::Any) => format!("At least one metadata {what} was found."),
        (true, Operator::All) => format!("All metadata {what}s were found."),
        (true, Operator::None) | (false, Operator::Any) => format!("No metadata {what}s were found."),
        (false, Operator::All) => format!("Some metadata {what}s were missing."),
        (false, Operator::None) => format!("Some metadata {what}s were found."),
    };
    let outcome = if verdict { "passed" } else { "failed" };
    format!("Check {outcome} for '{}' metadata {what}s. {detail}", operator.name())
}

pub(crate) fn keys(params: &Params, subject: &Subject) -> Judged {
    if subject.hook != Hook::Input {
        return Err(wrong("This plugin only works for before_request_hooks"));
    }
    let keys = params.get("metadataKeys").and_then(Value::as_array).filter(|keys| !keys.is_empty());
    let keys = keys.ok_or_else(|| wrong("metadataKeys must be an array and not empty"))?;
    let names: Option<Vec<&str>> = keys.iter().map(Value::as_str).collect();
    let names = names.ok_or_else(|| wrong("metadataKeys must be an array of strings"))?;
    let operator = operator(params)?;
    let is_there = |name: &&str| subject.call.metadata.iter().any(|(key, _)| key == name);
    let (found, missing): (Vec<&str>, Vec<&str>) = names.into_iter().partition(is_there);
    let verdict = operator.passes(found.len(), missing.len());
    let data = json!({
        "explanation": explanation(verdict, operator, "key"), "missing_metadata_keys": array(&missing),
        "found_metadata_keys": array(&found), "operator": operator.name(),
    });
    Ok(judged("requiredMetadataKeys", verdict, &data))
}

/// A wanted key and the values that will do.
type Pair = (String, Vec<String>);

fn pairs_of(params: &Params) -> Option<Vec<Pair>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let values = |value: &Value| match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => vec![text(value)],
    };
    let pairs: Option<Vec<Pair>> = match params.get("metadataPairs")? {
        Value::Object(pairs) => Some(pairs.iter().map(|(key, value)| (key.clone(), values(value))).collect()),
        Value::Array(pairs) => {
            pairs.iter().map(|pair| Some((text(pair.get("key")?), values(pair.get("value")?)))).collect()
        }
        _ => None,
    };
    pairs.filter(|pairs| !pairs.is_empty())
}

pub(crate) fn pairs(params: &Params, subject: &Subject) -> Judged {
    if subject.hook != Hook::Input {
        return Err(wrong("This plugin only works for before_request_hooks"));
    }
    let pairs = pairs_of(params)
        .ok_or_else(|| wrong("metadataPairs must be pairs of key and value and not empty"))?;
    let operator = operator(params)?;
    let matcher = match params.text("matchType").unwrap_or("exact") {
        "exact" => |wanted: &str, value: &str| Ok(wanted == value),
        "contains" => |wanted: &str, value: &str| Ok(value.contains(wanted)),
        "regex" => |wanted: &str, value: &str| Ok(Rule::bare(wanted)?.find(value, 0).is_some()),
        _ => return Err(wrong("matchType must be one of: exact, contains, regex")),
    };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (key, wanted) in &pairs {
        let mut matches = false;
        for (_, value) in subject.call.metadata.iter().filter(|(name, _)| name == key) {
            for wanted in wanted {
                matches |= matcher(wanted, value)?;
            }
        }
        if matches { found.push(key) } else { missing.push(key) }
    }
    let verdict = operator.passes(found.len(), missing.len());
    let data = json!({
        "explanation": explanation(verdict, operator, "pair"), "missing_metadata_pairs": array(&missing),
        "found_metadata_pairs": array(&found), "operator": operator.name(),
        "matchType": params.text("matchType").unwrap_or("exact"),
    });
    Ok(judged("requiredMetadataKeyValuePairs", verdict, &data))
}
