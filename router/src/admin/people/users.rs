//! People of the organisation.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_store::{KeyFilter, ObjectKind, ObjectRecord, Write};

use super::super::change::Change;
use super::super::ctx::{Ctx, conflict, invalid, missing};
use super::super::keys::doomed;
use super::super::reply::moment;
use crate::error::{ErrorKind, GatewayError};

/// Makes a person's row.
pub(super) fn row(ctx: &Ctx, user: &ObjectRecord) -> Value {
    let members = ctx.gateway().objects.all(ObjectKind::Member);
    let workspaces: Vec<String> =
        members.iter().filter(|it| it.slug == user.id).filter_map(|it| it.workspace.clone()).collect();
    json!({
        "object": "user",
        "id": user.id,
        "first_name": user.body["first_name"],
        "last_name": user.body["last_name"],
        "role": user.body["role"],
        "email": user.slug,
        "status": "active",
        "organisation_id": ctx.gateway().objects.organisation().map(|it| it.id.clone()),
        "workspace_ids": workspaces,
        "created_at": moment(user.created_at_ms),
        "last_updated_at": moment(user.updated_at_ms),
    })
}

fn found(ctx: &Ctx) -> Result<Arc<ObjectRecord>, GatewayError> {
    let name = ctx.path("id");
    let found = ctx.gateway().objects.find(ObjectKind::User, "", &name.to_ascii_lowercase());
    found.ok_or_else(|| missing("user", name))
}

/// Refuses what only an owner may decide.
///
/// # Errors
/// 403
pub(super) fn owners_only(ctx: &Ctx) -> Result<(), GatewayError> {
    let user = ctx.who.key.user.as_deref();
    let user = user.and_then(|user| ctx.gateway().objects.by_id(ObjectKind::User, user));
    if ctx.who.root || user.is_some_and(|user| user.body["role"] == "owner") {
        return Ok(());
    }
    Err(GatewayError::new(ErrorKind::Scope, "only an owner or the admin key may decide on owners"))
}

/// Refuses to take the last owner away.
fn keeps_an_owner(ctx: &Ctx, user: &ObjectRecord) -> Result<(), GatewayError> {
    if user.body["role"] != "owner" {
        return Ok(());
    }
    owners_only(ctx)?;
    let all = ctx.gateway().objects.all(ObjectKind::User);
    if all.iter().any(|it| it.id != user.id && it.body["role"] == "owner") {
        return Ok(());
    }
    Err(conflict(format!("{} is the last owner; make somebody else an owner first", user.slug)))
}

pub(super) async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let (role, email) = (ctx.asked("role"), ctx.asked("email").map(str::to_ascii_lowercase));
    let all = ctx.gateway().objects.all(ObjectKind::User);
    let fits = |it: &ObjectRecord| {
        role.is_none_or(|role| it.body["role"] == role)
            && email.as_ref().is_none_or(|email| it.slug == *email)
    };
    ctx.list(all.iter().filter(|it| fits(it)).map(|it| row(&ctx, it)).collect())
}

pub(super) async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    Ok(row(&ctx, &*found(&ctx)?))
}

pub(super) async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = found(&ctx)?;
    let role = ctx.text("role").unwrap_or_default();
    if before.body["role"] == role {
        return Err(invalid("role", &format!("it is {role} already")));
    }
    keeps_an_owner(&ctx, &before)?;
    if role == "owner" {
        owners_only(&ctx)?;
    }
    let mut body = before.body.clone();
    body["role"] = role.into();
    let after = ctx.next_version(&before, body);
    let shown = (row(&ctx, &before), row(&ctx, &after));
    commit(&ctx, &before, "update", shown.0, shown.1, vec![Write::PutObject(Box::new(after))]).await?;
    Ok(json!({}))
}

async fn commit(
    ctx: &Ctx,
    user: &ObjectRecord,
    action: &str,
    before: Value,
    after: Value,
    writes: Vec<Write>,
) -> Result<(), GatewayError> {
    let change = Change { resource: "user", id: &user.id, action, workspace: None, before, after };
    ctx.commit(change, writes).await
}

pub(super) async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let user = found(&ctx)?;
    keeps_an_owner(&ctx, &user)?;
    let filter = KeyFilter { user: Some(user.id.clone()), ..KeyFilter::default() };
    let (mut writes, keys) = doomed(&ctx, filter).await?;
    let places = ctx.gateway().objects.all(ObjectKind::Member);
    let places = places.iter().filter(|it| it.slug == user.id);
    writes.extend(places.map(|it| Write::DeleteObject { kind: it.kind, id: it.id.clone() }));
    writes.push(Write::DeleteObject { kind: ObjectKind::User, id: user.id.clone() });
    let after = json!({"deleted_api_keys": keys});
    commit(&ctx, &user, "delete", row(&ctx, &user), after, writes).await?;
    Ok(json!({}))
}
