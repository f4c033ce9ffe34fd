//! Integrations themselves: list, make, show, change, delete.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_store::{ObjectKind, ObjectRecord, Write};

use super::known::{Draft, find, made, provisioned};
use super::{fields, show, workspaces};
use crate::admin::change::Change;
use crate::admin::ctx::{Ctx, conflict};
use crate::admin::providers::{new_provider, of_integration, removal};
use crate::admin::route::{Route, route};
use crate::admin::slugs;
use crate::error::GatewayError;

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/integrations" ["organisation_integrations.list", "workspace_integrations.list"] "List integrations", &[], fields::LISTED => list),
    route!(POST "/integrations" ["organisation_integrations.create", "workspace_integrations.create"] "Make an integration", fields::NEW, &[] => create),
    route!(GET "/integrations/{slug}" ["organisation_integrations.read", "workspace_integrations.read"] "Show an integration", &[], &[] => one),
    route!(PUT "/integrations/{slug}" ["organisation_integrations.update", "workspace_integrations.update"] "Change an integration", fields::CHANGED, &[] => change),
    route!(DELETE "/integrations/{slug}" ["organisation_integrations.delete", "workspace_integrations.delete"] "Delete an integration", fields::REMOVED, fields::REMOVED => remove),
];

/// Refuses who may change integrations of workspaces only, or of the organisation only.
pub(super) fn may(ctx: &Ctx, workspace: Option<&str>, action: &str) -> Result<(), GatewayError> {
    let level = if workspace.is_some() { "workspace" } else { "organisation" };
    ctx.who.needs(&[&format!("{level}_integrations.{action}")])
}

/// Finds an integration that the caller may change.
pub(super) fn changeable(ctx: &Ctx, action: &str) -> Result<Arc<ObjectRecord>, GatewayError> {
    let found = find(ctx, ctx.path("slug"))?;
    ctx.may_change(&found)?;
    may(ctx, found.workspace.as_deref(), action)?;
    Ok(found)
}

/// Writes an integration's next version beside other writes.
pub(super) async fn written(
    ctx: &Ctx,
    before: &ObjectRecord,
    body: Value,
    mut writes: Vec<Write>,
    action: &str,
) -> Result<(), GatewayError> {
    let after = ctx.next_version(before, body);
    let change = Change {
        resource: "integration",
        id: &before.id,
        action,
        workspace: before.workspace.as_deref(),
        before: audited(ctx, before)?,
        after: audited(ctx, &after)?,
    };
    // First of all: providers are made of it.
    writes.insert(0, Write::PutObject(Box::new(after)));
    ctx.commit(change, writes).await
}

/// What the audit log keeps of an integration: what is shown, with models and workspaces.
fn audited(ctx: &Ctx, object: &ObjectRecord) -> Result<Value, GatewayError> {
    let mut shown = show::whole(ctx, object)?;
    shown["models"] = super::models::all(ctx, object)?;
    shown["workspaces"] = object.body["workspaces"].clone();
    Ok(shown)
}

async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let (workspace, of, status) =
        (ctx.workspace_asked()?, ctx.asked("type").unwrap_or("all"), ctx.asked("status"));
    let sees = |it: &ObjectRecord| {
        let in_workspace = workspace.as_ref().is_none_or(|own| provisioned(it, own));
        let of_type = match of {
            "workspace" => it.workspace.is_some(),
            "organisation" => it.workspace.is_none(),
            _ => true,
        };
        in_workspace
            && of_type
            && status.is_none_or(|status| it.body["status"].as_str().unwrap_or("active") == status)
    };
    let all = ctx.gateway().objects.all(ObjectKind::Integration);
    ctx.list(all.iter().filter(|it| sees(it)).map(|it| show::row(&ctx, it)).collect())
}

async fn create(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let workspace = ctx.workspace_asked()?;
    may(&ctx, workspace.as_deref(), "create")?;
    let name = ctx.text("name").unwrap_or_default();
    let in_workspace = workspace.as_deref().unwrap_or_default();
    let slug = slugs::chosen(&ctx, ObjectKind::Integration, in_workspace, ctx.text("slug"), name)?;
    let mut body = ctx.merged(&json!({}), &["name", "description", "pricing_adjustments"]);
    body["status"] = "active".into();
    body["allow_all_models"] = true.into();
    let draft = Draft {
        vendor: ctx.text("ai_provider_id").unwrap_or_default(),
        workspace: workspace.as_deref(),
        key: ctx.body.get("key"),
        configurations: ctx.body.get("configurations"),
        mappings: ctx.body.get("secret_mappings"),
    };
    let body = made(&ctx, &draft, body)?;
    let mut object = ctx.new_object(ObjectKind::Integration, workspace.clone(), slug.clone(), body);
    let mut writes = Vec::new();
    if ctx.flag("create_default_provider").unwrap_or(true) {
        let place = ctx.workspace()?;
        let provider = match ctx.text("default_provider_slug") {
            Some(given) => slugs::chosen(&ctx, ObjectKind::Provider, &place, Some(given), name)
                .map_err(|error| error.at("default_provider_slug"))?,
            None => slugs::free(&ctx, ObjectKind::Provider, &place, &slug),
        };
        workspaces::provision(&mut object, &place);
        writes.push(Write::PutObject(Box::new(new_provider(&ctx, &place, provider, name, &object.id, true))));
    }
    let id = object.id.clone();
    let change = Change {
        resource: "integration",
        id: &id,
        action: "create",
        workspace: workspace.as_deref(),
        before: Value::Null,
        after: audited(&ctx, &object)?,
    };
    writes.insert(0, Write::PutObject(Box::new(object)));
    ctx.commit(change, writes).await?;
    Ok(
        json!({"id": id, "slug": slug, "object": "integration", "success": true, "data": {"id": id, "slug": slug}}),
    )
}

async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    show::whole(&ctx, &*find(&ctx, ctx.path("slug"))?)
}

async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = changeable(&ctx, "update")?;
    let mut body = ctx.merged(&before.body, &["name", "description", "pricing_adjustments", "status"]);
    for kept in ["name", "status"] {
        if body[kept].is_null() {
            body[kept] = before.body[kept].clone();
        }
    }
    let vendor = before.body["ai_provider_id"].as_str().unwrap_or_default();
    let draft = Draft {
        vendor,
        workspace: before.workspace.as_deref(),
        key: ctx.body.get("key"),
        configurations: ctx.body.get("configurations"),
        mappings: ctx.body.get("secret_mappings"),
    };
    let body = made(&ctx, &draft, body)?;
    written(&ctx, &before, body, Vec::new(), "update").await?;
    Ok(json!({}))
}

/// Deletes an integration. The provider that was made with it goes with it; others hold it, unless they are to go, too.
async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let object = changeable(&ctx, "delete")?;
    let providers = of_integration(&ctx, &object.id);
    let force = ctx.flag("force").unwrap_or(false) || matches!(ctx.asked("force"), Some("true" | "1"));
    let made: Vec<&str> =
        providers.iter().filter(|it| it.body["default"] != true).map(|it| it.slug.as_str()).collect();
    if !made.is_empty() && !force {
        let message = format!(
            "integration {} is used by providers: {}; delete them first, or send force=true",
            object.slug,
            made.join(", ")
        );
        return Err(conflict(message));
    }
    let mut writes: Vec<Write> = providers.iter().flat_map(|it| removal(it)).collect();
    writes.push(Write::DeleteObject { kind: ObjectKind::Integration, id: object.id.clone() });
    let change = Change {
        resource: "integration",
        id: &object.id,
        action: "delete",
        workspace: object.workspace.as_deref(),
        before: audited(&ctx, &object)?,
        after: Value::Null,
    };
    ctx.commit(change, writes).await?;
    Ok(json!({}))
}
