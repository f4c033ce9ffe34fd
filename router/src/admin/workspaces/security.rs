//! Portkey's switches of who sees and changes what, with their defaults.

use serde_json::{Map, Value};

use super::super::ctx::{flag, invalid};
use crate::error::GatewayError;

/// Switches that are on without a word.
const ON: [&str; 29] = [
    "membersViewLogs",
    "managersViewLogs",
    "membersViewLogMetadata",
    "managersViewLogMetadata",
    "organisationAdminsViewLogs",
    "organisationAdminsViewLogMetadata",
    "membersViewAllData",
    "managersViewAllData",
    "membersViewAnalytics",
    "managersViewAnalytics",
    "membersViewApiKeys",
    "membersWriteApiKeys",
    "managersViewApiKeys",
    "managersWriteApiKeys",
    "membersViewConfigs",
    "managersViewConfigs",
    "managersWriteConfigs",
    "membersViewPrompts",
    "managersViewPrompts",
    "managersWritePrompts",
    "membersViewVirtualKeys",
    "managersViewVirtualKeys",
    "managersWriteVirtualKeys",
    "membersViewGuardrails",
    "managersViewGuardrails",
    "managersWriteGuardrails",
    "managersWriteWsIntegrations",
    "managersWriteWsMcpIntegrations",
    "managersWriteMcpServers",
];
/// More of them.
const ALSO_ON: [&str; 2] = ["managersUpdateWs", "managersWriteWsUsers"];
/// Switches that are off without a word.
const OFF: [&str; 5] = [
    "membersWriteConfigs",
    "membersWritePrompts",
    "membersWriteVirtualKeys",
    "membersWriteGuardrails",
    "block_inline_config",
];

/// Returns every switch, as stored or as it is without a word.
pub(super) fn shown(stored: &Value) -> Value {
    let on = ON.iter().chain(&ALSO_ON).map(|name| (*name, true));
    let all = on.chain(OFF.iter().map(|name| (*name, false)));
    let told = all.map(|(name, default)| {
        let flag = stored.get(name).and_then(Value::as_bool).unwrap_or(default);
        (name.to_owned(), Value::Bool(flag))
    });
    Value::Object(told.collect())
}

/// Merges switches over those that are stored; null takes one back to its default.
///
/// # Errors
/// 400 for a switch that does not exist, or that is no switch.
pub(super) fn merged(stored: &Value, given: &Value) -> Result<Value, GatewayError> {
    let mut merged = stored.as_object().cloned().unwrap_or_default();
    let empty = Map::new();
    if given.is_null() {
        merged.clear();
    }
    for (name, value) in given.as_object().unwrap_or(&empty) {
        let path = format!("security_settings.{name}");
        if !ON.iter().chain(&ALSO_ON).chain(&OFF).any(|known| known == name) {
            return Err(invalid(&path, "there is no such setting"));
        }
        match (value, flag(value)) {
            (Value::Null, _) => merged.remove(name),
            (_, Some(flag)) => merged.insert(name.clone(), flag.into()),
            (_, None) => return Err(invalid(&path, "true or false is expected")),
        };
    }
    Ok(Value::Object(merged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn switches_have_defaults_and_go_back_to_them() {
        let stored =
            merged(&Value::Null, &json!({"membersViewLogs": false, "membersWriteConfigs": 1})).unwrap();
        let told = shown(&stored);
        assert_eq!((&told["membersViewLogs"], &told["membersWriteConfigs"]), (&json!(false), &json!(true)));
        assert_eq!(told["managersViewLogs"], true);
        let back = merged(&stored, &json!({"membersViewLogs": null})).unwrap();
        assert_eq!(shown(&back)["membersViewLogs"], true);
        let refused = merged(&stored, &json!({"everybodyDoesAll": true})).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some("security_settings.everybodyDoesAll"));
    }
}
