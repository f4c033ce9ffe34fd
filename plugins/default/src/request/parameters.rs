//! `requestParametersCheck`: which tools and parameters a request may use.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tidegate_plugin_sdk::{CheckError, Hook, Params, Subject};

use crate::judged::{Judged, error, judged, with};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "properties": {
    "tools": {"type": "object", "properties": {
        "allowedTypes": {"type": "array"}, "blockedTypes": {"type": "array"},
        "allowedFunctionNames": {"type": "array"}, "blockedFunctionNames": {"type": "array"}}},
    "params": {"type": "object", "properties": {
        "allowedKeys": {"type": "array"}, "blockedKeys": {"type": "array"},
        "values": {"type": "object", "additionalProperties": {"type": "object", "properties": {
            "allowedValues": {"type": "array"}, "blockedValues": {"type": "array"}}}}}}
}}"#;

/// Lists of what may and may not be; an empty one says nothing.
#[derive(Debug, Default)]
struct Lists {
    allowed: Vec<Value>,
    blocked: Vec<Value>,
}

impl Lists {
    fn read(parent: Option<&Value>, allowed: &str, blocked: &str) -> Self {
        let list = |name: &str| {
            parent.and_then(|parent| parent.get(name)).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        Self { allowed: list(allowed), blocked: list(blocked) }
    }

    fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.blocked.is_empty()
    }

    fn conflict(&self, what: &str) -> Result<(), CheckError> {
        let both: Vec<String> =
            self.blocked.iter().filter(|one| self.allowed.contains(one)).map(plain).collect();
        if both.is_empty() {
            return Ok(());
        }
        let message = format!("{what} in both blocked and allowed lists: {}", both.join(", "));
        Err(error(&message, &json!({ "explanation": format!("An error occurred: {message}") })))
    }

    fn is_blocked(&self, value: &Value) -> bool {
        self.blocked.contains(value)
    }

    fn is_not_allowed(&self, value: &Value) -> bool {
        !self.allowed.is_empty() && !self.allowed.contains(value)
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Why something may not be, as Portkey names it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    TypeBlocked,
    NameBlocked,
    TypeNotAllowed,
    NameNotAllowed,
    KeyBlocked,
    KeyNotAllowed,
    ValueBlocked,
    ValueNotAllowed,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Self::TypeBlocked => "type is blocked",
            Self::NameBlocked => "function name is blocked",
            Self::TypeNotAllowed => "type is not in allowed list",
            Self::NameNotAllowed => "function name is not in allowed list",
            Self::KeyBlocked => "key is blocked",
            Self::KeyNotAllowed => "key is not in allowed list",
            Self::ValueBlocked => "value is blocked",
            Self::ValueNotAllowed => "value is not in allowed list",
        }
    }
}

fn reasons(all: &[(bool, Why)]) -> Vec<Why> {
    all.iter().filter(|(applies, _)| *applies).map(|(_, why)| *why).collect()
}

fn in_words(reasons: &[Why]) -> String {
    reasons.iter().map(|why| why.words()).collect::<Vec<_>>().join(", ")
}

/// Returns the request's body, or as much of it as was granted.
fn request(subject: &Subject) -> Map<String, Value> {
    let json = subject.body_json.as_deref().or(subject.call.params_json.as_deref());
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// What was found out about tools.
#[derive(Default)]
struct Tools {
    seen: Vec<Value>,
    refused: Vec<Value>,
    sentences: Vec<String>,
}

fn judge_tools(tools: Option<&Value>, types: &Lists, names: &Lists) -> Tools {
    let mut found = Tools::default();
    for tool in tools.and_then(Value::as_array).into_iter().flatten() {
        let kind = tool.get("type").cloned().unwrap_or_else(|| json!("unknown"));
        let name = tool
            .pointer("/function/name")
            .or_else(|| tool.get("name"))
            .cloned()
            .unwrap_or_else(|| kind.clone());
        let reasons = reasons(&[
            (types.is_blocked(&kind), Why::TypeBlocked),
            (names.is_blocked(&name), Why::NameBlocked),
            (types.is_not_allowed(&kind), Why::TypeNotAllowed),
            (names.is_not_allowed(&name), Why::NameNotAllowed),
        ]);
        found.seen.push(json!({ "type": kind, "name": name }));
        if !reasons.is_empty() {
            found.sentences.push(format!("\"{}\" ({})", plain(&name), in_words(&reasons)));
            found.refused.push(json!({ "type": kind, "name": name, "reasons": reasons }));
        }
    }
    found
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    if subject.hook != Hook::Input {
        return Err(CheckError::new("Error", "This plugin only works for before_request_hooks"));
    }
    let (for_tools, for_params) = (params.get("tools"), params.get("params"));
    let types = Lists::read(for_tools, "allowedTypes", "blockedTypes");
    let names = Lists::read(for_tools, "allowedFunctionNames", "blockedFunctionNames");
    let keys = Lists::read(for_params, "allowedKeys", "blockedKeys");
    let no_values = Map::new();
    let values =
        for_params.and_then(|lists| lists.get("values")).and_then(Value::as_object).unwrap_or(&no_values);
    types.conflict("Tools config conflict: Types")?;
    names.conflict("Tools config conflict: Function names")?;
    keys.conflict("Params config conflict: Keys")?;
    let lists_of = |name: &str| Lists::read(values.get(name), "allowedValues", "blockedValues");
    for name in values.keys() {
        lists_of(name).conflict(&format!("Params config conflict: Values for \"{name}\""))?;
    }
    let request = request(subject);
    let (has_tools, has_params) =
        (!types.is_empty() || !names.is_empty(), !keys.is_empty() || !values.is_empty());
    let tools = if has_tools { judge_tools(request.get("tools"), &types, &names) } else { Tools::default() };
    let (mut refused, mut sentences) = (Vec::new(), Vec::new());
    for (name, value) in request.iter().filter(|_| has_params) {
        let key = Value::from(name.as_str());
        let lists = lists_of(name);
        let reasons = reasons(&[
            (keys.is_blocked(&key), Why::KeyBlocked),
            (keys.is_not_allowed(&key), Why::KeyNotAllowed),
            (lists.is_blocked(value), Why::ValueBlocked),
            (lists.is_not_allowed(value), Why::ValueNotAllowed),
        ]);
        if !reasons.is_empty() {
            sentences.push(format!("\"{name}\"={value} ({})", in_words(&reasons)));
            refused.push(json!({ "param": name, "value": value, "reasons": reasons }));
        }
    }
    let mut parts = Vec::new();
    if !tools.sentences.is_empty() {
        parts.push(format!("Blocked tools: {}", tools.sentences.join("; ")));
    }
    if !sentences.is_empty() {
        parts.push(format!("Blocked params: {}", sentences.join("; ")));
    }
    let explanation = if parts.is_empty() { "All checks passed.".to_owned() } else { parts.join(". ") };
    let some = |list: Vec<Value>| (!list.is_empty()).then_some(Value::Array(list));
    let verdict = tools.refused.is_empty() && refused.is_empty();
    let config = with(json!({}), "tools", for_tools.filter(|_| has_tools).cloned());
    let config = with(config, "params", for_params.filter(|_| has_params).cloned());
    let data = with(json!({}), "toolsInRequest", some(tools.seen));
    let data = with(data, "blockedToolsFound", some(tools.refused));
    let data = with(data, "blockedParamsFound", some(refused));
    let data = with(with(data, "explanation", Some(explanation.into())), "config", Some(config));
    Ok(judged("requestParametersCheck", verdict, &data))
}
