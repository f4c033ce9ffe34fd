//! `modelWhitelist` and `modelRules`: which models may be asked for.

use serde_json::{Value, json};
use tidegate_plugin_sdk::{Params, Subject};

use crate::judged::{Judged, error, judged};

pub(crate) const WHITELIST_SCHEMA: &str = r#"{"type": "object", "required": ["models"], "properties": {
    "models": {"type": "array", "items": {"type": "string"}},
    "not": {"type": "boolean", "default": false}
}}"#;

pub(crate) const RULES_SCHEMA: &str = r#"{"type": "object", "required": ["rules"], "properties": {
    "rules": {"type": "object", "properties": {
        "defaults": {"type": "array", "items": {"type": "string"}},
        "metadata": {"type": "object", "description": "Key, value, models: {\"team\": {\"red\": [\"gpt-4o\"]}}"}
    }},
    "not": {"type": "boolean", "default": false}
}}"#;

pub(crate) fn whitelist(params: &Params, subject: &Subject) -> Judged {
    let (not, model) = (params.flag("not"), subject.call.model.as_str());
    let failed = |message: &str| {
        let data = json!({
            "explanation": format!("An error occurred while checking model whitelist: {message}"),
            "requestedModel": if model.is_empty() { "No model specified" } else { model },
            "not": not, "allowedModels": params.get("models").cloned().unwrap_or_else(|| json!([])),
        });
        error(message, &data)
    };
    let Some(models) = params.get("models").and_then(Value::as_array) else {
        return Err(failed("Missing or invalid model whitelist"));
    };
    if model.is_empty() {
        return Err(failed("Missing model in request"));
    }
    let verdict = models.iter().any(|allowed| allowed == model) != not;
    let explanation = match (verdict, not) {
        (true, true) => format!("Model \"{model}\" is not in the allowed list as expected."),
        (true, false) => format!("Model \"{model}\" is allowed."),
        (false, true) => format!("Model \"{model}\" is in the allowed list when it should not be."),
        (false, false) => format!("Model \"{model}\" is not in the allowed list."),
    };
    let data = json!({
        "verdict": verdict, "not": not, "explanation": explanation, "requestedModel": model, "allowedModels": models,
    });
    Ok(judged("modelWhitelist", verdict, &data))
}

pub(crate) fn rules(params: &Params, subject: &Subject) -> Judged {
    let (not, model) = (params.flag("not"), subject.call.model.as_str());
    let failed = |message: &str| {
        let explanation = format!("An error occurred while checking model rules: {message}");
        error(message, &json!({ "explanation": explanation }))
    };
    if model.is_empty() {
        return Err(failed("Missing model in request"));
    }
    let Some(rules) = params.get("rules").and_then(Value::as_object) else {
        return Err(failed("Missing rules configuration"));
    };
    let (mut allowed, mut matched) = (Vec::new(), Vec::new());
    for (key, models) in rules.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        for (_, value) in subject.call.metadata.iter().filter(|(name, _)| name == key) {
            if let Some(models) = models.get(value).and_then(Value::as_array) {
                matched.push(format!("{key}:{value}"));
                allowed.extend(models.iter().filter_map(Value::as_str));
            }
        }
    }
    let by_default = allowed.is_empty();
    if by_default {
        let defaults = rules.get("defaults").and_then(Value::as_array);
        allowed.extend(defaults.into_iter().flatten().filter_map(Value::as_str));
    }
    if allowed.is_empty() {
        return Err(failed("No allowed models resolved from rules"));
    }
    let verdict = allowed.contains(&model) != not;
    let why = if !matched.is_empty() {
        format!(" (matched rules: {})", matched.join(", "))
    } else if by_default {
        " (using default models)".to_owned()
    } else {
        String::new()
    };
    let explanation = match (verdict, not) {
        (true, true) => format!("Model \"{model}\" is not permitted by rules (blocked list).{why}"),
        (true, false) => format!("Model \"{model}\" is allowed by rules.{why}"),
        (false, true) => format!("Model \"{model}\" is permitted by rules (in blocked list)."),
        (false, false) => format!("Model \"{model}\" is not allowed by rules."),
    };
    Ok(judged("modelRules", verdict, &json!({ "explanation": explanation })))
}
