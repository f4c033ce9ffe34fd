//! Members of a workspace: people of the organisation, each with a role there.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_store::{KeyFilter, ObjectKind, ObjectRecord, Write};

use super::super::catalogue;
use super::super::change::Change;
use super::super::ctx::{Ctx, conflict, invalid, missing};
use super::super::keys::doomed;
use super::super::reply::moment;
use super::super::who::Role;
use super::serve::live;
use crate::error::{ErrorKind, GatewayError};
use crate::governance::Switches;

const ROLES: [&str; 3] = ["admin", "manager", "member"];

/// Makes a person's place in a workspace.
pub(in crate::admin) fn membership(ctx: &Ctx, workspace: &str, user: &str, role: &str) -> ObjectRecord {
    let (of, slug) = (Some(workspace.to_owned()), user.to_owned());
    ctx.new_object(ObjectKind::Member, of, slug, json!({"role": role}))
}

/// Reads a list of people with their roles, each once.
///
/// # Errors
/// 400 naming the entry, 404 for people who are not of the organisation.
pub(super) fn given_members(
    ctx: &Ctx,
    given: &Value,
    path: &str,
) -> Result<Vec<(Arc<ObjectRecord>, &'static str)>, GatewayError> {
    let mut read: Vec<(Arc<ObjectRecord>, &'static str)> = Vec::new();
    for (at, entry) in given.as_array().into_iter().flatten().enumerate() {
        let name = entry["id"].as_str().or_else(|| entry["email"].as_str()).unwrap_or_default();
        let user = found_user(ctx, name)?;
        let role = entry["role"].as_str().unwrap_or("member");
        let role = ROLES
            .into_iter()
            .find(|known| *known == role)
            .ok_or_else(|| invalid(&format!("{path}[{at}].role"), "admin, manager or member is expected"))?;
        may_give(ctx, role)?;
        if read.iter().any(|(known, _)| known.id == user.id) {
            return Err(invalid(&format!("{path}[{at}].id"), "each person is accepted once"));
        }
        read.push((user, role));
    }
    Ok(read)
}

/// Refuses managers to make or unmake admins: they would be above themselves.
fn may_give(ctx: &Ctx, role: &str) -> Result<(), GatewayError> {
    if role == "admin" && ctx.who.role.is_some_and(|own| !own.is_admin()) {
        return Err(GatewayError::new(
            ErrorKind::Scope,
            "only an admin may decide on admins of the workspace",
        ));
    }
    Ok(())
}

fn found_user(ctx: &Ctx, name: &str) -> Result<Arc<ObjectRecord>, GatewayError> {
    let objects = &ctx.gateway().objects;
    let found = objects.find(ObjectKind::User, "", name);
    let by_address = || objects.by_slug(ObjectKind::User, "", &name.to_ascii_lowercase());
    found.or_else(by_address).ok_or_else(|| missing("user", name))
}

/// Finds a member by the id or the address of the person.
fn found_member(
    ctx: &Ctx,
    workspace: &ObjectRecord,
) -> Result<(Arc<ObjectRecord>, Arc<ObjectRecord>), GatewayError> {
    let name = ctx.path("user");
    // Who is no member is as unknown here as who is nobody.
    let user = found_user(ctx, name).map_err(|_| missing("member", name))?;
    let member = ctx.gateway().objects.by_slug(ObjectKind::Member, &workspace.id, &user.id);
    Ok((member.ok_or_else(|| missing("member", name))?, user))
}

fn row(ctx: &Ctx, user: &ObjectRecord, member: &ObjectRecord) -> Value {
    let rules = ctx.gateway().objects.rules();
    let own = rules.workspace(member.workspace.as_deref().unwrap_or_default());
    let switches = own.map_or_else(Switches::default, |own| own.switches);
    let role = member.body["role"].as_str().unwrap_or("member");
    let scopes: Vec<String> = Role::read(role)
        .map(|role| {
            let of_users = |scope: &String| {
                catalogue::may_have(tidegate_store::KeyKind::WorkspaceUser, scope)
                    && role.allows(scope, switches)
            };
            catalogue::all().filter(of_users).collect()
        })
        .unwrap_or_default();
    json!({
        "object": "workspace-user",
        "id": user.id,
        "first_name": user.body["first_name"],
        "last_name": user.body["last_name"],
        "email": user.slug,
        "org_role": user.body["role"],
        "role": role,
        "status": "active",
        "workspace_id": member.workspace,
        "scopes": scopes,
        "settings": {},
        "created_at": moment(member.created_at_ms),
        "last_updated_at": moment(member.updated_at_ms),
    })
}

/// Returns the rows of a workspace's members, oldest first.
pub(super) fn member_rows(ctx: &Ctx, workspace: &str) -> Vec<Value> {
    let objects = &ctx.gateway().objects;
    let all = objects.all(ObjectKind::Member);
    let own = all.iter().rev().filter(|it| it.workspace.as_deref() == Some(workspace));
    own.filter_map(|it| Some(row(ctx, &*objects.by_id(ObjectKind::User, &it.slug)?, it))).collect()
}

pub(super) async fn members(ctx: Ctx) -> Result<Value, GatewayError> {
    let workspace = live(&ctx, ctx.path("id"))?;
    let mut rows = member_rows(&ctx, &workspace.id);
    let fits = |row: &Value, name: &str| ctx.asked(name).is_none_or(|asked| row[name] == asked);
    rows.retain(|row| fits(row, "role") && fits(row, "email"));
    ctx.list(rows)
}

pub(super) async fn one_member(ctx: Ctx) -> Result<Value, GatewayError> {
    let workspace = live(&ctx, ctx.path("id"))?;
    let (member, user) = found_member(&ctx, &workspace)?;
    Ok(row(&ctx, &user, &member))
}

pub(super) async fn add(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let workspace = live(&ctx, ctx.path("id"))?;
    let people = given_members(&ctx, ctx.body.get("users").unwrap_or(&Value::Null), "users")?;
    if people.is_empty() {
        return Err(invalid("users", "at least one person is expected"));
    }
    let mut writes = Vec::new();
    let mut added = Vec::new();
    for (user, role) in people {
        if ctx.gateway().objects.by_slug(ObjectKind::Member, &workspace.id, &user.id).is_some() {
            return Err(conflict(format!("{} is a member of the workspace already", user.slug)));
        }
        let member = membership(&ctx, &workspace.id, &user.id, role);
        added.push(row(&ctx, &user, &member));
        writes.push(Write::PutObject(Box::new(member)));
    }
    commit(&ctx, &workspace.id, &workspace.id, "create", Value::Null, Value::Array(added), writes).await?;
    Ok(json!({}))
}

async fn commit(
    ctx: &Ctx,
    workspace: &str,
    id: &str,
    action: &str,
    before: Value,
    after: Value,
    writes: Vec<Write>,
) -> Result<(), GatewayError> {
    let workspace = Some(workspace);
    ctx.commit(Change { resource: "workspace_user", id, action, workspace, before, after }, writes).await
}

pub(super) async fn change_member(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let workspace = live(&ctx, ctx.path("id"))?;
    let (before, user) = found_member(&ctx, &workspace)?;
    let role = ctx.text("role").unwrap_or_default();
    if before.body["role"] == role {
        return Err(invalid("role", &format!("it is {role} already")));
    }
    may_give(&ctx, role)?;
    may_give(&ctx, before.body["role"].as_str().unwrap_or_default())?;
    let after = ctx.next_version(&before, json!({"role": role}));
    let shown = (row(&ctx, &user, &before), row(&ctx, &user, &after));
    let writes = vec![Write::PutObject(Box::new(after))];
    commit(&ctx, &workspace.id, &user.id, "update", shown.0, shown.1, writes).await?;
    Ok(json!({}))
}

pub(super) async fn remove_member(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let workspace = live(&ctx, ctx.path("id"))?;
    let (member, user) = found_member(&ctx, &workspace)?;
    may_give(&ctx, member.body["role"].as_str().unwrap_or_default())?;
    let filter = KeyFilter {
        workspace: Some(workspace.id.clone()),
        user: Some(user.id.clone()),
        ..KeyFilter::default()
    };
    let (mut writes, keys) = doomed(&ctx, filter).await?;
    writes.push(Write::DeleteObject { kind: ObjectKind::Member, id: member.id.clone() });
    let after = json!({"deleted_api_keys": keys});
    commit(&ctx, &workspace.id, &user.id, "delete", row(&ctx, &user, &member), after, writes).await?;
    Ok(json!({}))
}
