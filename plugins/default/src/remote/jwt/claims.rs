//! What a genuine token must say.

use serde_json::{Map, Value, json};
use tidegate_plugin_sdk::{CheckError, Params};

use crate::judged::{array, with};
use crate::text::regex::Rule;

fn names<'a>(params: &'a Params, name: &str) -> Option<Vec<&'a str>> {
    let list = params.get(name)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).collect())
}

fn claim<'a>(payload: &'a Value, name: &str) -> Option<&'a Value> {
    payload.get(name).filter(|value| !value.is_null())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns a result of one kind of validation; the names that are wrong stand under a word for what is wrong.
fn result(wrong: &[String], word: &str) -> Value {
    with(json!({ "valid": wrong.is_empty() }), word, (!wrong.is_empty()).then(|| array(wrong)))
}

/// Returns the verdict on claims, and data.
pub(super) fn judge(params: &Params, header: &Value, payload: &Value) -> Result<(bool, Value), CheckError> {
    let mut validations = json!({ "signatureValid": true });
    let mut failed = Vec::new();
    if let Some(required) = names(params, "requiredClaims") {
        let missing: Vec<String> = required
            .iter()
            .filter(|name| claim(payload, name).is_none())
            .map(|&name| name.to_owned())
            .collect();
        if !missing.is_empty() {
            failed.push(format!("Missing required claims: {}", missing.join(", ")));
        }
        validations = with(validations, "requiredClaims", Some(result(&missing, "missing")));
    }
    if let Some(wanted) = params.get("claimValues").and_then(Value::as_object) {
        let mut wrong = Vec::new();
        for (name, rule) in wanted {
            match claim(payload, name) {
                None => wrong.push(format!("{name} (missing)")),
                Some(value) if !fits(name, value, rule)? => wrong.push(name.clone()),
                Some(_) => {}
            }
        }
        if !wrong.is_empty() {
            failed.push(format!("Invalid claim values: {}", wrong.join(", ")));
        }
        validations = with(validations, "claimValues", Some(result(&wrong, "failed")));
    }
    if let Some(keys) = names(params, "headerPayloadMatch") {
        let wrong: Vec<String> = keys
            .iter()
            .filter(|&&key| header.get(key) != payload.get(key))
            .map(|&key| key.to_owned())
            .collect();
        if !wrong.is_empty() {
            failed.push(format!("Header-payload mismatch: {}", wrong.join(", ")));
        }
        validations = with(validations, "headerPayloadMatch", Some(result(&wrong, "mismatched")));
    }
    let verdict = failed.is_empty();
    let explanation = if verdict {
        "JWT token validation succeeded".to_owned()
    } else {
        format!("JWT validation failed: {}", failed.join("; "))
    };
    Ok((verdict, json!({ "verdict": verdict, "explanation": explanation, "validations": validations })))
}

/// A scope is a list with spaces between (RFC 6749); other texts are one value.
fn values(name: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().map(plain).collect(),
        Value::String(scopes) if name.eq_ignore_ascii_case("scope") => {
            scopes.split_whitespace().map(str::to_owned).collect()
        }
        value => vec![plain(value)],
    }
}

fn fits(name: &str, value: &Value, rule: &Value) -> Result<bool, CheckError> {
    let said = values(name, value);
    let wanted: Vec<String> = match rule.get("values") {
        Some(Value::Array(values)) => values.iter().map(plain).collect(),
        Some(value) => vec![plain(value)],
        None => Vec::new(),
    };
    let is_said = |wanted: &String| said.iter().any(|value| value.contains(wanted.as_str()));
    match rule.get("matchType").and_then(Value::as_str).unwrap_or("exact") {
        "exact" => Ok(said.len() == 1 && said == wanted),
        "contains" => Ok(wanted.iter().any(is_said)),
        "containsAll" => Ok(wanted.iter().all(is_said)),
        "regex" => {
            for pattern in &wanted {
                let rule = Rule::bare(pattern)?;
                if said.iter().any(|value| rule.find(value, 0).is_some()) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        other => Err(CheckError::new("Error", format!("unknown matchType `{other}`"))),
    }
}

/// Returns the claims that are to be shown, named as headers.
pub(super) fn extracted(params: &Params, payload: &Value) -> Option<Value> {
    let prefix = params.text("claimPrefix").unwrap_or("x-jwt-");
    let shown = |value: &Value| match value {
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        value => plain(value),
    };
    let claims: Map<String, Value> = names(params, "extractClaims")?
        .into_iter()
        .filter_map(|name| Some((format!("{prefix}{name}"), shown(claim(payload, name)?).into())))
        .collect();
    (!claims.is_empty()).then(|| claims.into())
}
