//! `jsonSchema`: JSON within the text fits a schema.

use serde_json::{Value, json};
use tidegate_plugin_sdk::{Params, Subject};

use super::json_keys::{fenced, objects};
use super::schema::problems;
use super::seen::Seen;
use crate::judged::{Judged, error, judged};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "required": ["schema"], "properties": {
    "schema": {"type": "object", "description": "JSON Schema, draft 2020-12"},
    "not": {"type": "boolean", "default": false},
    "messages": {"enum": ["last", "all"], "default": "last"}
}}"#;

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let text = Seen::of(params).text(subject);
    let not = params.flag("not");
    let failed = |message: &str| {
        let explanation = "An error occurred while processing the JSON.";
        error(message, &json!({ "explanation": explanation, "error": message, "not": not }))
    };
    let Some(schema) = params.get("schema").filter(|schema| schema.is_object()) else {
        return Err(failed("Missing or invalid JSON schema"));
    };
    let in_fences = fenced(&text);
    let candidates = if in_fences.is_empty() { objects(&text) } else { in_fences };
    let mut best: Option<(Value, Vec<(String, String)>)> = None;
    for value in candidates.iter().filter_map(|json| serde_json::from_str::<Value>(json).ok()) {
        let found = problems(schema, &value).map_err(|problem| failed(&problem))?;
        let fits = found.is_empty();
        if fits || best.is_none() {
            best = Some((value, found));
        }
        if fits {
            break;
        }
    }
    let Some((matched, found)) = best else {
        let data = json!({ "explanation": "No valid JSON found in the response.", "not": not });
        return Ok(judged("jsonSchema", false, &data));
    };
    let verdict = found.is_empty() != not;
    let explanation = match (verdict, not) {
        (true, true) => "Successfully validated JSON does not match the schema as expected.",
        (true, false) => "Successfully validated JSON against the provided schema.",
        (false, true) => "JSON matches the schema when it should not.",
        (false, false) => "Failed to validate JSON against the provided schema.",
    };
    let errors: Vec<Value> =
        found.iter().map(|(path, message)| json!({ "path": path, "message": message })).collect();
    let data =
        json!({ "matchedJson": matched, "not": not, "explanation": explanation, "validationErrors": errors });
    Ok(judged("jsonSchema", verdict, &data))
}
