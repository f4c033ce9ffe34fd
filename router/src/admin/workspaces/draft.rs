//! An order's members → a workspace's body: what is absent stays, null clears, a value sets.

use serde_json::{Map, Value, json};
use tidegate_store::{BudgetRecord, KeyRecord, ObjectKind};

use super::super::ctx::{Ctx, invalid};
use super::super::keys::read_metadata;
use super::super::schemas::check_metadata;
use super::super::{customs, security};
use crate::error::GatewayError;
use crate::governance::terms;

/// Returns a workspace's budgets. Their ids are those that requests reserve from.
///
/// # Errors
/// 400 naming the member.
pub(super) fn budgets(id: &str, body: &Value) -> Result<Vec<BudgetRecord>, GatewayError> {
    let name = body["name"].as_str().unwrap_or_default();
    Ok(terms::read_usage_limits(&format!("workspace:{id}"), name, &body["usage_limits"], "usage_limits")?)
}

/// Reads what an order says of a workspace over what is known of it.
///
/// # Errors
/// 400 naming the member, 404 for guardrails that are not there.
pub(super) fn read(ctx: &Ctx, id: &str, before: &Value) -> Result<Value, GatewayError> {
    let mut body = ctx.merged(before, &["icon", "description", "usage_limits", "rate_limits"]);
    if let Some(name) = ctx.text("name") {
        body["name"] = name.into();
    }
    budgets(id, &body)?;
    terms::read_rate_limits(&body["rate_limits"], "rate_limits")?;
    if let Some(given) = ctx.body.get("settings") {
        body["settings"] = customs::merged(ctx, &before["settings"], given, true)?;
    }
    if let Some(given) = ctx.body.get("security_settings") {
        security::organisation_only(ctx, "security_settings")?;
        body["security_settings"] = security::merged(&before["security_settings"], given)?;
    }
    body["defaults"] = defaults(ctx, id, &before["defaults"])?;
    Ok(body)
}

fn defaults(ctx: &Ctx, id: &str, stored: &Value) -> Result<Value, GatewayError> {
    let mut merged = stored.as_object().cloned().unwrap_or_default();
    let given = ctx.body.get("defaults");
    if given.is_some_and(Value::is_null) {
        merged.clear();
    }
    let empty = Map::new();
    for (name, value) in given.and_then(Value::as_object).unwrap_or(&empty) {
        let path = format!("defaults.{name}");
        let read = match name.as_str() {
            _ if value.is_null() => Value::Null,
            "metadata" => json!(read_metadata(value, &path)?),
            "input_guardrails" | "output_guardrails" => guardrails(ctx, id, value, &path)?,
            "user_api_key_config" | "config_id" => config(ctx, id, value, &path)?,
            _ => {
                let message = "metadata, input_guardrails, output_guardrails, user_api_key_config and config_id are accepted";
                return Err(invalid(&path, message));
            }
        };
        if read.is_null() {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), read);
        }
    }
    let schemas = ctx.gateway().objects.organisation().map(|it| it.body["metadata_schemas"].clone());
    let schema = schemas.unwrap_or_default()["workspace"].clone();
    if schema.is_object() {
        let mut metadata = merged.remove("metadata").unwrap_or_default();
        check_metadata(&schema, &mut metadata)?;
        merged.insert("metadata".to_owned(), metadata);
    }
    Ok(Value::Object(merged))
}

fn guardrails(ctx: &Ctx, workspace: &str, given: &Value, path: &str) -> Result<Value, GatewayError> {
    let Some(list) = given.as_array() else { return Err(invalid(path, "a list is expected")) };
    let objects = &ctx.gateway().objects;
    let find = |(at, named): (usize, &Value)| {
        let name = named.as_str().or_else(|| named["id"].as_str()).or_else(|| named["slug"].as_str());
        let name = name.unwrap_or_default();
        let found = objects
            .find(ObjectKind::Guardrail, workspace, name)
            .or_else(|| objects.by_slug(ObjectKind::Guardrail, "", name));
        found
            .filter(|it| it.workspace.as_deref().is_none_or(|of| of == workspace))
            .map(|it| Value::from(it.id.clone()))
            .ok_or_else(|| invalid(&format!("{path}[{at}]"), &format!("there is no guardrail \"{name}\"")))
    };
    Ok(Value::Array(list.iter().enumerate().map(find).collect::<Result<_, _>>()?))
}

fn config(ctx: &Ctx, workspace: &str, given: &Value, path: &str) -> Result<Value, GatewayError> {
    let Some(name) = given.as_str() else { return Err(invalid(path, "a text is expected")) };
    let gateway = ctx.gateway();
    let of_workspace = KeyRecord { workspace: Some(workspace.to_owned()), ..KeyRecord::named("", "") };
    let is_known =
        gateway.settings().configs.contains_key(name) || gateway.config_for(&of_workspace, name).is_some();
    if is_known { Ok(name.into()) } else { Err(invalid(path, &format!("there is no config \"{name}\""))) }
}
