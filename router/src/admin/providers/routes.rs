//! `/providers`

use serde_json::{Value, json};
use tidegate_store::{ObjectKind, ObjectRecord, Write};

use super::known::{integration_for, new_provider, put, removal};
use super::{fields, show};
use crate::admin::change::Change;
use crate::admin::ctx::Ctx;
use crate::admin::limits::Spends;
use crate::admin::route::{Route, route};
use crate::admin::slugs;
use crate::error::GatewayError;

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/providers" ["providers.list"] "List providers", &[], fields::OF_WORKSPACE => list),
    route!(POST "/providers" ["providers.create"] "Make a provider of an integration", fields::NEW, fields::OF_WORKSPACE => create),
    route!(GET "/providers/{slug}" ["providers.read"] "Show a provider", &[], fields::OF_WORKSPACE => one),
    route!(PUT "/providers/{slug}" ["providers.update"] "Change a provider", fields::CHANGED, fields::OF_WORKSPACE => change),
    route!(DELETE "/providers/{slug}" ["providers.delete"] "Delete a provider", &[], fields::OF_WORKSPACE => remove),
];

async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let workspace = ctx.workspace_asked()?;
    let spends = show::spends(&ctx).await?;
    let mut all = ctx.gateway().objects.all(ObjectKind::Provider);
    all.retain(|it| workspace.is_none() || it.workspace == workspace);
    ctx.list(all.iter().map(|it| show::provider(&ctx, it, &spends)).collect())
}

async fn create(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let workspace = ctx.workspace()?;
    let name = ctx.text("name").unwrap_or_default();
    let (integration, given) =
        integration_for(&ctx, ctx.text("integration_id").unwrap_or_default(), &workspace)?;
    let slug = slugs::chosen(&ctx, ObjectKind::Provider, &workspace, ctx.text("slug"), name)?;
    let object = new_provider(&ctx, &workspace, slug, name, &integration.id, false);
    let writes = given.map(|it| Write::PutObject(Box::new(it))).into_iter().collect();
    created(&ctx, object, writes, "provider").await
}

/// Writes a new provider with what the body says of it.
pub(super) async fn created(
    ctx: &Ctx,
    mut object: ObjectRecord,
    mut writes: Vec<Write>,
    resource: &str,
) -> Result<Value, GatewayError> {
    writes.extend(put(ctx, &mut object)?);
    let (id, slug, workspace) = (object.id.clone(), object.slug.clone(), object.workspace.clone());
    let spends = show::spends(ctx).await?;
    let change = Change {
        resource,
        id: &id,
        action: "create",
        workspace: workspace.as_deref(),
        before: Value::Null,
        after: show::provider(ctx, &object, &spends),
    };
    writes.push(Write::PutObject(Box::new(object)));
    ctx.commit(change, writes).await?;
    let kind = if resource == "provider" { "provider" } else { "virtual-key" };
    Ok(json!({"id": id, "slug": slug, "object": kind, "success": true, "data": {"id": id, "slug": slug}}))
}

async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    let object = ctx.object(ObjectKind::Provider, ctx.path("slug"))?;
    Ok(show::provider(&ctx, &object, &show::spends(&ctx).await?))
}

async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = ctx.object(ObjectKind::Provider, ctx.path("slug"))?;
    changed(&ctx, &before, Vec::new(), "provider").await
}

/// Writes what the body says of a provider.
pub(super) async fn changed(
    ctx: &Ctx,
    before: &ObjectRecord,
    mut writes: Vec<Write>,
    resource: &str,
) -> Result<Value, GatewayError> {
    ctx.may_change(before)?;
    let mut after = ctx.next_version(before, before.body.clone());
    writes.extend(put(ctx, &mut after)?);
    let spends: Spends = show::spends(ctx).await?;
    let change = Change {
        resource,
        id: &before.id,
        action: "update",
        workspace: before.workspace.as_deref(),
        before: show::provider(ctx, before, &spends),
        after: show::provider(ctx, &after, &spends),
    };
    writes.push(Write::PutObject(Box::new(after)));
    ctx.commit(change, writes).await?;
    Ok(json!({"id": before.id, "slug": before.slug, "success": true}))
}

async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let object = ctx.object(ObjectKind::Provider, ctx.path("slug"))?;
    removed(&ctx, &object, Vec::new(), "provider").await
}

/// Deletes a provider.
pub(super) async fn removed(
    ctx: &Ctx,
    object: &ObjectRecord,
    mut writes: Vec<Write>,
    resource: &str,
) -> Result<Value, GatewayError> {
    ctx.may_change(object)?;
    let spends = show::spends(ctx).await?;
    let change = Change {
        resource,
        id: &object.id,
        action: "delete",
        workspace: object.workspace.as_deref(),
        before: show::provider(ctx, object, &spends),
        after: Value::Null,
    };
    let mut all = removal(object);
    all.append(&mut writes);
    ctx.commit(change, all).await?;
    Ok(json!({}))
}
