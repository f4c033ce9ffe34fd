//! `secret_mappings`: secrets of an integration that lie elsewhere.

use serde_json::{Value, json};
use tidegate_store::ObjectKind;

use crate::admin::ctx::{Ctx, invalid, missing};
use crate::error::GatewayError;
use crate::governance::references::{allowed, target};

/// Most mappings of one integration.
const MOST: usize = 32;

/// Checks mappings of an integration of a workspace (`None` is the organisation) and names references by id.
///
/// # Errors
/// 400 with the member, 404 for a reference that is not there or not for the workspace.
pub(in crate::admin) fn checked(
    ctx: &Ctx,
    given: &Value,
    workspace: Option<&str>,
) -> Result<Value, GatewayError> {
    let mut all: Vec<Value> = Vec::new();
    let list = given.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.len() > MOST {
        return Err(invalid("secret_mappings", &format!("at most {MOST} are accepted")));
    }
    for (at, mapping) in list.iter().enumerate() {
        let path = |name: &str| format!("secret_mappings[{at}].{name}");
        let Some(field) = mapping["target_field"].as_str().filter(|field| !field.is_empty()) else {
            return Err(invalid(&path("target_field"), "key, or configurations.<name> is expected"));
        };
        if matches!(target(field), Some("custom_host" | "custom_headers")) {
            // They are checked when they are written; a secret changes unseen.
            return Err(invalid(&path("target_field"), "an address and headers can't come from a secret"));
        }
        if all.iter().any(|known| target(known["target_field"].as_str().unwrap_or_default()) == target(field))
        {
            return Err(invalid(&path("target_field"), "is mapped twice"));
        }
        let name = mapping["secret_reference_id"].as_str().unwrap_or_default();
        let found = ctx.gateway().objects.find(ObjectKind::SecretReference, "", name);
        let found = found.filter(|it| match (&ctx.who.workspace, workspace) {
            // An integration of everyone may name what some may use: each provider is looked at again.
            (None, None) => true,
            (_, of) => allowed(it, of),
        });
        let found = found.ok_or_else(|| missing("secret reference", name).at(path("secret_reference_id")))?;
        let format = mapping["value_format"].as_str().unwrap_or("string");
        if !["string", "json"].contains(&format) {
            return Err(invalid(&path("value_format"), "string or json is expected"));
        }
        if !mapping["secret_key"].is_null() && !mapping["secret_key"].is_string() {
            return Err(invalid(&path("secret_key"), "a text is expected"));
        }
        all.push(json!({
            "target_field": field, "secret_reference_id": found.id,
            "secret_key": mapping["secret_key"], "value_format": format,
        }));
    }
    Ok(if all.is_empty() { Value::Null } else { Value::Array(all) })
}

/// Returns which configurations mappings are for.
pub(super) fn configurations(mappings: &Value) -> Vec<String> {
    let list = mappings.as_array().into_iter().flatten();
    list.filter_map(|it| target(it["target_field"].as_str()?).map(str::to_owned)).collect()
}
