//! How providers and virtual keys are shown.

use serde_json::{Value, json};
use tidegate_store::{ObjectKind, ObjectRecord};

use super::known::budget;
use crate::admin::ctx::Ctx;
use crate::admin::limits::{Spends, one_shown, rates_shown};
use crate::admin::reply::moment;
use crate::clock;
use crate::error::GatewayError;
use crate::governance::terms;

/// Reads what providers have cost.
pub(super) async fn spends(ctx: &Ctx) -> Result<Spends, GatewayError> {
    Spends::of(ctx, "provider:").await
}

/// Shows a provider.
pub(super) fn provider(ctx: &Ctx, object: &ObjectRecord, spends: &Spends) -> Value {
    let (body, objects) = (&object.body, &ctx.gateway().objects);
    let integration =
        body["integration_id"].as_str().and_then(|id| objects.by_id(ObjectKind::Integration, id));
    let budget = budget(&object.id, body).ok().flatten();
    let expires_at = body["expires_at"].as_str().and_then(terms::read_moment);
    let status = if body["status"] == "archived" {
        "archived"
    } else if expires_at.is_some_and(|at| at <= clock::unix()) {
        "expired"
    } else if budget.as_ref().is_some_and(|budget| spends.exhausted(budget)) {
        "exhausted"
    } else {
        "active"
    };
    json!({
        "id": object.id,
        "object": "provider",
        "name": body["name"],
        "slug": object.slug,
        "integration_id": body["integration_id"],
        "integration_slug": integration.as_ref().map(|it| it.slug.clone()),
        "ai_provider_name": integration.as_ref().map(|it| it.body["ai_provider_id"].clone()),
        "note": body["note"],
        "status": status,
        "usage_limits": budget.as_ref().map(one_shown),
        "rate_limits": rates_shown(&body["rate_limits"]),
        // Portkey's clients parse it; a reset is an order, not a state.
        "reset_usage": null,
        "expires_at": expires_at.map(|at| moment(at * 1_000)),
        "workspace_id": object.workspace,
        "organisation_id": objects.organisation().map(|it| it.id.clone()),
        "created_at": moment(object.created_at_ms),
        "last_updated_at": moment(object.updated_at_ms),
    })
}

/// Shows a provider with its credential, as virtual keys were.
pub(super) fn virtual_key(ctx: &Ctx, object: &ObjectRecord, spends: &Spends) -> Value {
    let mut row = provider(ctx, object, spends);
    let objects = &ctx.gateway().objects;
    let id = object.body["integration_id"].as_str().unwrap_or_default();
    let integration = objects.by_id(ObjectKind::Integration, id);
    row["object"] = "virtual-key".into();
    row["provider"] = row["ai_provider_name"].clone();
    row["masked_api_key"] = integration.as_ref().map_or(Value::Null, |it| it.body["masked_key"].clone());
    // Always empty, as Portkey answers it.
    row["key"] = "".into();
    row["secret_mappings"] = integration.map_or(Value::Null, |it| it.body["secret_mappings"].clone());
    // Portkey's clients parse it; what it held is the integration's now.
    row["model_config"] = json!({});
    row
}
