//! `/organisation` and its defaults: guardrails for everyone, metadata schemas, settings.

use serde_json::{Value, json};
use tidegate_store::{ObjectKind, ObjectRecord, Write};

use super::change::Change;
use super::ctx::{Ctx, missing};
use super::field::{Field, Kind};
use super::reply::moment;
use super::route::{Route, route};
use super::{customs, security};
use crate::error::GatewayError;

const DEFAULTS: &[Field] = &[
    Field::new("input_guardrails", Kind::Any, "ids of guardrails that judge every request"),
    Field::new("output_guardrails", Kind::Any, "ids of guardrails that judge every answer"),
];

const SETTINGS: &[Field] = &[
    Field::new("name", Kind::Text(255), "name of the organisation"),
    Field::new(
        "settings",
        Kind::Object,
        "debug_log, user_api_key_ttl, user_api_key_rotation_period and the like; null members are cleared",
    ),
    Field::new("security_settings", Kind::Object, "what members and managers may see and change"),
    Field::new("metadata_schemas", Kind::Object, "JSON Schemas of metadata: api_key and workspace"),
];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/admin/organisation" ["organisation_settings.read"] "Show the organisation", &[], &[] => one),
    route!(PUT "/admin/organisation" ["organisation_settings.update"] "Change the organisation's settings", SETTINGS, &[] => change),
    route!(GET "/admin/organisation/defaults" ["organisation_settings.read"] "Show the guardrails of everyone", &[], &[] => defaults),
    route!(PUT "/admin/organisation/defaults" ["organisation_settings.update"] "Set the guardrails of everyone", DEFAULTS, &[] => set_defaults),
];

fn known(ctx: &Ctx) -> Result<std::sync::Arc<ObjectRecord>, GatewayError> {
    ctx.gateway().objects.organisation().ok_or_else(|| missing("organisation", "default"))
}

fn row(object: &ObjectRecord) -> Value {
    let body = &object.body;
    json!({
        "id": object.id, "name": body["name"], "slug": object.slug, "object": "organisation", "status": "active",
        "settings": body["settings"].as_object().cloned().unwrap_or_default(),
        "security_settings": security::shown(&[&body["security_settings"]]),
        "metadata_schemas": body["metadata_schemas"], "defaults": body["defaults"],
        "created_at": moment(object.created_at_ms), "last_updated_at": moment(object.updated_at_ms),
    })
}

async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    Ok(row(&*known(&ctx)?))
}

async fn written(ctx: &Ctx, before: &ObjectRecord, body: Value) -> Result<(), GatewayError> {
    let after = ctx.next_version(before, body);
    let change = Change {
        resource: "organisation",
        id: &before.id,
        action: "update",
        workspace: None,
        before: row(before),
        after: row(&after),
    };
    ctx.commit(change, vec![Write::PutObject(Box::new(after))]).await
}

async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = known(&ctx)?;
    let mut body = ctx.merged(&before.body, &["name", "metadata_schemas"]);
    if let Some(given) = ctx.body.get("settings") {
        body["settings"] = customs::merged(&ctx, &before.body["settings"], given, false)?;
    }
    if let Some(given) = ctx.body.get("security_settings") {
        body["security_settings"] = security::merged(&before.body["security_settings"], given)?;
    }
    super::schemas::check_schemas(&body["metadata_schemas"])?;
    written(&ctx, &before, body).await?;
    Ok(json!({}))
}

async fn defaults(ctx: Ctx) -> Result<Value, GatewayError> {
    let objects = &ctx.gateway().objects;
    let organisation = known(&ctx)?;
    let named = |side: &str| -> Vec<Value> {
        let ids = organisation.body["defaults"][side].as_array().into_iter().flatten();
        ids.filter_map(|id| objects.by_id(ObjectKind::Guardrail, id.as_str()?))
            .map(|found| json!({"id": found.id, "slug": found.slug}))
            .collect()
    };
    Ok(
        json!({"input_guardrails": named("input_guardrails"), "output_guardrails": named("output_guardrails")}),
    )
}

async fn set_defaults(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = known(&ctx)?;
    let mut body = before.body.clone();
    for side in ["input_guardrails", "output_guardrails"] {
        if let Some(ids) = guardrails(&ctx, side)? {
            body["defaults"][side] = ids;
        }
    }
    written(&ctx, &before, body).await?;
    Ok(json!({}))
}

/// Reads a list of guardrails, by id or slug, or as objects with either; `None` when it is absent.
///
/// # Errors
/// 404 for one that is not there.
pub(super) fn guardrails(ctx: &Ctx, side: &str) -> Result<Option<Value>, GatewayError> {
    let Some(given) = ctx.body.get(side) else { return Ok(None) };
    let mut ids = Vec::new();
    for named in given.as_array().into_iter().flatten() {
        let name = named.as_str().or_else(|| named["id"].as_str()).or_else(|| named["slug"].as_str());
        let found = ctx.object(ObjectKind::Guardrail, name.unwrap_or_default())?;
        ids.push(Value::from(found.id.clone()));
    }
    Ok(Some(Value::Array(ids)))
}
