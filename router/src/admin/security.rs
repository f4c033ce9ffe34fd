//! `security_settings`: Portkey's switches of who sees and changes what, of the organisation and of workspaces.

use serde_json::{Map, Value};

use super::ctx::{Ctx, flag, invalid};
use super::who::Role;
use crate::error::{ErrorKind, GatewayError};
use crate::governance::Switches;
use crate::governance::switches::ALL;

/// Returns every switch as it stands; of several settings the first that says something counts.
pub(super) fn shown(said: &[&Value]) -> Value {
    let each = Switches::of(said).each();
    Value::Object(each.map(|(name, is_on)| (name.to_owned(), Value::Bool(is_on))).collect())
}

/// Merges switches over those that are stored; null takes one back to its default.
///
/// # Errors
/// 400 for a switch that does not exist, or that is no switch: a misspelt one would look as if it acted.
pub(super) fn merged(stored: &Value, given: &Value) -> Result<Value, GatewayError> {
    let mut merged = stored.as_object().cloned().unwrap_or_default();
    let empty = Map::new();
    if given.is_null() {
        merged.clear();
    }
    for (name, value) in given.as_object().unwrap_or(&empty) {
        let path = format!("security_settings.{name}");
        if !ALL.iter().any(|known| known.name == name) {
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

/// Refuses who is not of the organisation to decide in a workspace on what the organisation decides: managers could
/// give themselves what a switch took from them.
///
/// # Errors
/// 403 naming the member.
pub(super) fn organisation_only(ctx: &Ctx, path: &str) -> Result<(), GatewayError> {
    if ctx.who.is_org() || ctx.who.role == Some(Role::OrganisationAdmin) {
        return Ok(());
    }
    let message =
        format!("{path}: only a key of the organisation, or of one of its admins, may decide on it");
    Err(GatewayError::new(ErrorKind::Scope, message).at(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn switches_have_defaults_and_go_back_to_them() {
        let stored =
            merged(&Value::Null, &json!({"membersViewLogs": false, "membersWriteConfigs": 1})).unwrap();
        let told = shown(&[&stored]);
        assert_eq!((&told["membersViewLogs"], &told["membersWriteConfigs"]), (&json!(false), &json!(true)));
        assert_eq!(told["managersViewLogs"], true);
        let back = merged(&stored, &json!({"membersViewLogs": null})).unwrap();
        assert_eq!(shown(&[&back])["membersViewLogs"], true);
        let refused = merged(&stored, &json!({"everybodyDoesAll": true})).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some("security_settings.everybodyDoesAll"));
    }
}
