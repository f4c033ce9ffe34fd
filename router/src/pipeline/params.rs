//! What a target makes of the body: defaults, then overrides, then drops. It is the body from then on: checked,
//! measured and paid like any other.

use std::borrow::Cow;

use serde_json::Value;
use tidegate_config::Target;
use tidegate_providers::{Fields, surrogates};

use super::form::{Field, Form};

/// Returns the body as a target wants it.
#[must_use]
pub(super) fn applied<'b, 'a>(target: &Target, body: &'b Fields<'a>) -> Cow<'b, Fields<'a>> {
    let Target { default_params, override_params, drop_params, .. } = target;
    if default_params.is_empty() && override_params.is_empty() && drop_params.is_empty() {
        return Cow::Borrowed(body);
    }
    let mut fields = body.clone();
    for (name, value) in target.default_params.iter() {
        if !fields.has(name) {
            fields.set_raw(name, value.to_string());
        }
    }
    for (name, value) in target.override_params.iter() {
        fields.set_raw(name, value.to_string());
    }
    for path in target.drop_params.iter() {
        if path.is_whole() {
            fields.remove(path.member());
            continue;
        }
        let Some(raw) = fields.raw(path.member()) else { continue };
        let Ok(mut value) = surrogates::from_slice::<Value>(raw.as_bytes()) else { continue };
        if path.remove_from(&mut value) {
            fields.set_raw(path.member(), value.to_string());
        }
    }
    Cow::Owned(fields)
}

/// Returns a form as a target wants it; `None` where the target wants nothing else.
#[must_use]
pub(super) fn applied_to_form(target: &Target, form: &Form<'_>) -> Option<Vec<u8>> {
    let mut fields: Vec<Field> = Vec::new();
    let absent = target.default_params.iter().filter(|(name, _)| !form.has(name));
    for (name, value) in absent.chain(target.override_params.iter()) {
        fields.retain(|(known, _)| known != name);
        fields.push((name.clone(), texts(value)));
    }
    for path in target.drop_params.iter().filter(|path| path.is_whole()) {
        fields.retain(|(known, _)| known != path.member());
        fields.push((path.member().to_owned(), Vec::new()));
    }
    (!fields.is_empty()).then(|| form.with_fields(&fields))
}

/// Returns a value as fields of a form hold it: a list is several fields, null is none.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_config::Plan;

    fn body(config: &str, body: &str) -> String {
        let plan = Plan::parse(config).unwrap();
        let fields = Fields::parse(body.as_bytes()).unwrap();
        String::from_utf8(applied(plan.targets()[0], &fields).to_vec()).unwrap()
    }

    #[test]
    fn defaults_fill_overrides_beat_and_drops_come_last() {
        let config = r#"{"default_params": {"a": 1, "b": 1, "n": 1}, "override_params": {"b": 2, "c": null, "d": 4},
                         "drop_params": ["d", "m[*].x", "absent.y"]}"#;
        let sent = r#"{"a":0,"n":null,"m":[{"x":1,"z":1.50},{"z":2}]}"#;
        assert_eq!(body(config, sent), r#"{"a":0,"n":1,"m":[{"z":1.5},{"z":2}],"b":2,"c":null}"#);
    }

    #[test]
    fn a_target_without_parameters_leaves_every_byte() {
        let sent = r#"{"messages":[{"role":"user","content":"\u00e9 1.50"}],"temperature":0.10}"#;
        assert_eq!(body("{}", sent), sent);
        assert_eq!(body(r#"{"drop_params":["messages[*].name"]}"#, sent), sent);
    }
}
