//! Invitations: made, listed, sent again, cancelled. Their links hold a secret, of which only a hash is kept.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_store::{KeyKind, ObjectKind, ObjectRecord, Write};

use super::super::change::Change;
use super::super::ctx::{Ctx, conflict, invalid, missing};
use super::super::keys::{check_scopes, is_address};
use super::super::reply::moment;
use super::super::who::Role;
use super::super::workspaces::live;
use super::users::owners_only;
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::notices;
use crate::secret::{hash_key, new_api_key};
use crate::settings::Secret;

/// How long a link works.
const DAYS: i64 = 7;

/// Returns an invitation's state: one that nobody took in time is expired.
pub(super) fn status(invite: &ObjectRecord) -> &str {
    match invite.body["status"].as_str().unwrap_or_default() {
        "pending" if clock::unix_ms() >= invite.body["expires_at_ms"].as_i64().unwrap_or(0) => "expired",
        status => status,
    }
}

/// Makes an invitation's row.
pub(super) fn row(invite: &ObjectRecord) -> Value {
    let body = &invite.body;
    json!({
        "object": "invite",
        "id": invite.id,
        "email": body["email"],
        "role": body["role"],
        "workspaces": body["workspaces"],
        "status": status(invite),
        "invited_by": invite.created_by,
        "created_at": moment(invite.created_at_ms),
        "last_updated_at": moment(invite.updated_at_ms),
        "expires_at": body["expires_at_ms"].as_i64().map(moment),
        "accepted_at": body["accepted_at_ms"].as_i64().map(moment),
    })
}

/// Returns how a link's secret is kept.
pub(super) fn hashed(token: &str) -> String {
    hash_key(token).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a link's secret and notes it in an invitation's body.
fn new_token(body: &mut Value) -> Result<Secret, GatewayError> {
    let token = new_api_key().map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))?;
    body["token_hash"] = hashed(token.reveal()).into();
    body["expires_at_ms"] = (clock::unix_ms() + DAYS * 86_400_000).into();
    body["status"] = "pending".into();
    Ok(token)
}

fn link(ctx: &Ctx, token: &Secret) -> String {
    format!("{}/v1/invites/{}", ctx.base, token.reveal())
}

fn found(ctx: &Ctx) -> Result<Arc<ObjectRecord>, GatewayError> {
    let id = ctx.path("id");
    ctx.gateway().objects.by_id(ObjectKind::Invite, id).ok_or_else(|| missing("invite", id))
}

/// Reads the workspaces that somebody joins, with their roles there.
fn workspaces(ctx: &Ctx) -> Result<Vec<(String, Role, Value)>, GatewayError> {
    let mut read = Vec::new();
    for (at, entry) in ctx.body.get("workspaces").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let workspace = live(ctx, entry["id"].as_str().unwrap_or_default())?;
        let name = entry["role"].as_str().unwrap_or("member");
        let role = Role::read(name).filter(|_| name != "owner");
        let role = role.ok_or_else(|| {
            invalid(&format!("workspaces[{at}].role"), "admin, manager or member is expected")
        })?;
        if read.iter().any(|(known, _, _)| *known == workspace.id) {
            return Err(invalid(&format!("workspaces[{at}].id"), "each workspace is accepted once"));
        }
        let shown = json!({"id": workspace.id, "slug": workspace.slug, "role": name.to_ascii_lowercase()});
        read.push((workspace.id.clone(), role, shown));
    }
    Ok(read)
}

/// Reads the scopes of keys that somebody gets with their invitation.
fn key_scopes(ctx: &Ctx, workspaces: &[(String, Role, Value)]) -> Result<Value, GatewayError> {
    let details = match ctx.body.get("workspace_api_key_details") {
        None | Some(Value::Null) => return Ok(Value::Null),
        Some(details) => details,
    };
    let path = "workspace_api_key_details.scopes";
    let list = details["scopes"].as_array().ok_or_else(|| invalid(path, "a list of texts is expected"))?;
    let scopes: Vec<String> = list.iter().filter_map(|scope| scope.as_str().map(str::to_owned)).collect();
    if scopes.len() < list.len() {
        return Err(invalid(path, "a list of texts is expected"));
    }
    if workspaces.is_empty() {
        return Err(invalid("workspaces", "is missing; keys are made in the workspaces that somebody joins"));
    }
    let of_org = matches!(ctx.text("role"), Some("owner" | "admin"));
    for (workspace, role, _) in workspaces {
        let role = if of_org { Role::OrganisationAdmin } else { *role };
        check_scopes(ctx, KeyKind::WorkspaceUser, Some((role, workspace)), &[], &scopes)?;
    }
    Ok(json!(scopes))
}

pub(super) async fn invite(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let email = ctx.text("email").unwrap_or_default().trim().to_ascii_lowercase();
    if !is_address(&email) {
        return Err(invalid("email", "an e-mail address is expected"));
    }
    let role = ctx.text("role").unwrap_or_default();
    if role == "owner" {
        owners_only(&ctx)?;
    }
    let objects = &ctx.gateway().objects;
    if objects.by_slug(ObjectKind::User, "", &email).is_some() {
        return Err(conflict(format!("{email} is of the organisation already")));
    }
    let invites = objects.all(ObjectKind::Invite);
    if invites.iter().any(|it| it.body["email"] == email && status(it) == "pending") {
        return Err(conflict(format!("{email} is invited already; send it again or cancel it")));
    }
    let workspaces = workspaces(&ctx)?;
    let scopes = key_scopes(&ctx, &workspaces)?;
    let joined: Vec<Value> = workspaces.into_iter().map(|(_, _, shown)| shown).collect();
    let mut body = json!({"email": email, "role": role, "workspaces": joined, "key_scopes": scopes});
    let token = new_token(&mut body)?;
    let mut invite = ctx.new_object(ObjectKind::Invite, None, String::new(), body);
    invite.slug.clone_from(&invite.id);
    commit(&ctx, "create", None, &invite).await?;
    let link = link(&ctx, &token);
    notices::invited(ctx.gateway(), &invite.id, &email, &link);
    Ok(json!({"id": invite.id, "object": "invite", "invite_link": link, "inviteLink": link}))
}

/// Writes an invitation with its audit row.
async fn commit(
    ctx: &Ctx,
    action: &str,
    before: Option<&ObjectRecord>,
    after: &ObjectRecord,
) -> Result<(), GatewayError> {
    let change = Change {
        resource: "invite",
        id: &after.id,
        action,
        workspace: None,
        before: before.map(row).unwrap_or_default(),
        after: row(after),
    };
    ctx.commit(change, vec![Write::PutObject(Box::new(after.clone()))]).await
}

pub(super) async fn invites(ctx: Ctx) -> Result<Value, GatewayError> {
    let (role, asked) = (ctx.asked("role"), ctx.asked("status"));
    let email = ctx.asked("email").map(str::to_ascii_lowercase);
    let all = ctx.gateway().objects.all(ObjectKind::Invite);
    let fits = |it: &ObjectRecord| {
        role.is_none_or(|role| it.body["role"] == role)
            && asked.is_none_or(|asked| status(it) == asked)
            && email.as_ref().is_none_or(|email| it.body["email"] == *email)
    };
    ctx.list(all.iter().filter(|it| fits(it)).map(|it| row(it)).collect())
}

pub(super) async fn one_invite(ctx: Ctx) -> Result<Value, GatewayError> {
    Ok(row(&*found(&ctx)?))
}

pub(super) async fn cancel(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = found(&ctx)?;
    if !matches!(status(&before), "pending" | "expired") {
        return Err(conflict(format!("the invitation is {} already", status(&before))));
    }
    let mut body = before.body.clone();
    body["status"] = "cancelled".into();
    body["token_hash"] = Value::Null;
    commit(&ctx, "delete", Some(&before), &ctx.next_version(&before, body)).await?;
    Ok(json!({}))
}

pub(super) async fn resend(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = found(&ctx)?;
    if !matches!(status(&before), "pending" | "expired") {
        return Err(conflict(format!("the invitation is {} already", status(&before))));
    }
    if before.body["role"] == "owner" {
        owners_only(&ctx)?;
    }
    let mut body = before.body.clone();
    // The link before it ends: of two links one may have gone astray.
    let token = new_token(&mut body)?;
    commit(&ctx, "resend", Some(&before), &ctx.next_version(&before, body)).await?;
    let link = link(&ctx, &token);
    notices::invited(ctx.gateway(), &before.id, before.body["email"].as_str().unwrap_or_default(), &link);
    Ok(json!({"inviteLink": link, "invite_link": link}))
}
