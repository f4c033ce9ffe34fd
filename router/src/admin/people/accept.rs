//! What the holder of an invitation's link may do: look at it, and accept it. The secret in the path is the key.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_store::{KeyRecord, ObjectKind, ObjectRecord, Write};

use super::super::change::Change;
use super::super::ctx::{Ctx, conflict};
use super::super::keys::made_for_user;
use super::super::reply::moment;
use super::super::workspaces::membership;
use super::invites::{hashed, row, status};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};

/// Finds the invitation of a link that still works.
fn found(ctx: &Ctx) -> Result<Arc<ObjectRecord>, GatewayError> {
    let hash = hashed(ctx.path("token"));
    let all = ctx.gateway().objects.all(ObjectKind::Invite);
    let found = all.into_iter().find(|it| it.body["token_hash"] == hash && status(it) == "pending");
    // The secret is not said back: answers are kept in more places than links.
    let message = "this invitation was used or cancelled, or is too old";
    found.ok_or_else(|| GatewayError::new(ErrorKind::NotFound, message))
}

pub(super) async fn look(ctx: Ctx) -> Result<Value, GatewayError> {
    let invite = found(&ctx)?;
    let objects = &ctx.gateway().objects;
    let ids = invite.body["workspaces"].as_array().into_iter().flatten();
    let workspaces: Vec<Value> = ids
        .filter_map(|it| Some((objects.by_id(ObjectKind::Workspace, it["id"].as_str()?)?, &it["role"])))
        .map(|(workspace, role)| json!({"name": workspace.body["name"], "role": role}))
        .collect();
    Ok(json!({
        "object": "invite",
        "email": invite.body["email"],
        "role": invite.body["role"],
        "organisation": objects.organisation().map(|it| it.body["name"].clone()),
        "workspaces": workspaces,
        "expires_at": invite.body["expires_at_ms"].as_i64().map(moment),
    }))
}

pub(super) async fn accept(mut ctx: Ctx) -> Result<Value, GatewayError> {
    let gateway = ctx.gateway().clone();
    let _changing = gateway.objects.changing().await;
    let invite = found(&ctx)?;
    let email = invite.body["email"].as_str().unwrap_or_default().to_owned();
    if gateway.objects.by_slug(ObjectKind::User, "", &email).is_some() {
        return Err(conflict(format!("{email} is of the organisation already")));
    }
    let body = json!({
        "first_name": ctx.text("first_name"),
        "last_name": ctx.text("last_name"),
        "role": invite.body["role"],
    });
    let user = ctx.new_object(ObjectKind::User, None, email.clone(), body);
    // From here on it is the new person who acts, in the audit log, too.
    let key = KeyRecord { user: Some(user.id.clone()), ..KeyRecord::named(&user.id, &email) };
    ctx.who.key = Arc::new(key);
    // The link's secret is no matter for the audit log.
    ctx.about.uri = "/v1/invites/*****/accept".to_owned();
    let user = ObjectRecord { created_by: user.id.clone(), updated_by: user.id.clone(), ..user };
    let mut writes = vec![Write::PutObject(Box::new(user.clone()))];
    let (joined, keys) = joining(&ctx, &invite, &user, &mut writes)?;
    let mut accepted = invite.body.clone();
    accepted["status"] = "accepted".into();
    accepted["accepted_at_ms"] = clock::unix_ms().into();
    accepted["token_hash"] = Value::Null;
    let accepted = ctx.next_version(&invite, accepted);
    let change = Change {
        resource: "invite",
        id: &invite.id,
        action: "accept",
        workspace: None,
        before: row(&invite),
        after: row(&accepted),
    };
    writes.push(Write::PutObject(Box::new(accepted.clone())));
    ctx.commit(change, writes).await?;
    Ok(json!({
        "object": "user",
        "id": user.id,
        "email": email,
        "role": user.body["role"],
        "first_name": user.body["first_name"],
        "last_name": user.body["last_name"],
        "workspace_ids": joined,
        "api_keys": keys,
    }))
}

/// Puts a person into the workspaces of their invitation that are still there, with the keys that it promised.
fn joining(
    ctx: &Ctx,
    invite: &ObjectRecord,
    user: &ObjectRecord,
    writes: &mut Vec<Write>,
) -> Result<(Vec<String>, Vec<Value>), GatewayError> {
    let texts = invite.body["key_scopes"].as_array().into_iter().flatten();
    let scopes: Vec<String> = texts.filter_map(|scope| scope.as_str().map(str::to_owned)).collect();
    let (mut joined, mut keys) = (Vec::new(), Vec::new());
    for entry in invite.body["workspaces"].as_array().into_iter().flatten() {
        let (Some(id), Some(role)) = (entry["id"].as_str(), entry["role"].as_str()) else { continue };
        let workspace = ctx.gateway().objects.by_id(ObjectKind::Workspace, id);
        if workspace.is_none_or(|it| it.body["status"] == "archived") {
            continue;
        }
        writes.push(Write::PutObject(Box::new(membership(ctx, id, &user.id, role))));
        joined.push(id.to_owned());
        if !scopes.is_empty() {
            let (secret, key, write) = made_for_user(ctx, &user.id, id, &user.slug, scopes.clone())?;
            writes.push(write);
            keys.push(json!({
                "id": key.id, "key": secret.reveal(), "workspace_id": id, "scopes": key.scopes, "object": "api-key",
            }));
        }
    }
    Ok((joined, keys))
}
