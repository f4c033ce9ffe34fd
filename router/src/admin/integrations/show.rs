//! How integrations are shown.

use serde_json::{Value, json};
use tidegate_store::{ObjectKind, ObjectRecord};

use super::configurations;
use crate::admin::ctx::Ctx;
use crate::admin::limits::{rates_shown, usage_shown};
use crate::admin::reply::moment;
use crate::error::GatewayError;

/// Shows a row of the list.
pub(super) fn row(ctx: &Ctx, object: &ObjectRecord) -> Value {
    let body = &object.body;
    json!({
        "id": object.id,
        "object": "integration",
        "organisation_id": ctx.gateway().objects.organisation().map(|it| it.id.clone()),
        "workspace_id": object.workspace,
        "type": if object.workspace.is_some() { "workspace" } else { "organisation" },
        "ai_provider_id": body["ai_provider_id"],
        "name": body["name"],
        "slug": object.slug,
        "description": body["description"],
        "status": body["status"].as_str().unwrap_or("active"),
        "created_at": moment(object.created_at_ms),
        "last_updated_at": moment(object.updated_at_ms),
        "created_by": object.created_by,
    })
}

/// Shows an integration whole, secrets masked. Workspaces see of the organisation's only what they may choose from.
pub(super) fn whole(ctx: &Ctx, object: &ObjectRecord) -> Result<Value, GatewayError> {
    let (mut row, body) = (row(ctx, object), &object.body);
    row["allow_all_models"] = body["allow_all_models"].as_bool().unwrap_or(true).into();
    if object.workspace.is_none() && !ctx.who.is_org() {
        return Ok(row);
    }
    let opened = configurations::opened(ctx, body)?;
    row["masked_key"] = body["masked_key"].clone();
    row["configurations"] = configurations::shown(&opened["configurations"]);
    row["secret_mappings"] = body["secret_mappings"].clone();
    row["pricing_adjustments"] = body["pricing_adjustments"].clone();
    row["global_workspace_access_settings"] = global(body);
    let listed = body["workspaces"].as_object().into_iter().flatten();
    let enabled = listed.filter(|(_, entry)| entry["enabled"] != false).count();
    row["workspace_count"] = if object.workspace.is_some() { 1.into() } else { enabled.into() };
    Ok(row)
}

/// Shows what holds for workspaces that are not listed; null where nothing is said.
pub(super) fn global(body: &Value) -> Value {
    match &body["global_workspace_access"] {
        Value::Object(_) => access(&body["global_workspace_access"]),
        _ => Value::Null,
    }
}

/// Shows what a workspace may use.
pub(super) fn access(entry: &Value) -> Value {
    json!({
        "enabled": entry["enabled"] != false,
        "usage_limits": usage_shown(&entry["usage_limits"]),
        "rate_limits": rates_shown(&entry["rate_limits"]),
    })
}

/// Returns a workspace's slug, which is how Portkey names it here.
pub(super) fn workspace_slug(ctx: &Ctx, id: &str) -> String {
    let found = ctx.gateway().objects.by_id(ObjectKind::Workspace, id);
    found.map_or_else(|| id.to_owned(), |it| it.slug.clone())
}
