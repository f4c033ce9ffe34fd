//! What a target makes of the body: defaults, then overrides, then drops. It is the body from then on: checked,
//! measured and paid like any other.

use serde_json::Value;
use tidegate_config::Target;
use tidegate_providers::Fields;

/// Returns the body as a target wants it.
#[must_use]
pub(super) fn applied<'a>(target: &Target, body: &Fields<'a>) -> Fields<'a> {
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
        let Ok(mut value) = serde_json::from_str::<Value>(raw) else { continue };
        if path.remove_from(&mut value) {
            fields.set_raw(path.member(), value.to_string());
        }
    }
    fields
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
