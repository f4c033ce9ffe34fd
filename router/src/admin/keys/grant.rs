//! Who may give which scopes to which keys, and who may touch a key at all.

use tidegate_store::{KeyHash, KeyKind, KeyRecord, Origin};

use super::super::catalogue;
use super::super::ctx::{Ctx, conflict, invalid, missing};
use super::super::who::Role;
use crate::error::{ErrorKind, GatewayError};
use crate::governance::Switches;
use crate::provision::{ADMIN_ID, ADMIN_SCOPE};
use crate::scopes::{canonical, is_use};

/// Checks scopes that a key is to have: that they exist, that its kind can have them, and of those that it does not
/// have yet that its user's role in the workspace of this id allows them, and that the caller may give them.
///
/// # Errors
/// 400 naming the scope, 403 for what the caller may not give.
pub(in crate::admin) fn check_scopes(
    ctx: &Ctx,
    kind: KeyKind,
    role: Option<(Role, &str)>,
    before: &[String],
    scopes: &[String],
) -> Result<(), GatewayError> {
    if scopes.is_empty() {
        return Err(invalid("scopes", "at least one scope is expected"));
    }
    let rules = ctx.gateway().objects.rules();
    let allowed = role.map(|(role, workspace)| {
        (role, rules.workspace(workspace).map_or_else(Switches::default, |own| own.switches))
    });
    for (at, scope) in scopes.iter().enumerate() {
        let wrong = |message: String| Err(invalid(&format!("scopes[{at}]"), &message));
        if !catalogue::exists(scope) {
            return wrong(format!("there is no scope \"{scope}\""));
        }
        let fits = match scope.as_str() {
            ADMIN_SCOPE => kind == KeyKind::OrganisationService,
            scope => catalogue::may_have(kind, scope),
        };
        if !fits {
            return wrong(format!("keys of type {} can't have the scope \"{scope}\"", kind.name()));
        }
        // What it has already stays, without effect while the role or a switch forbids it: clients send whole lists.
        let is_new = !before.contains(scope);
        if is_new && allowed.is_some_and(|(role, switches)| !role.allows(&canonical(scope), switches)) {
            return wrong(format!("the user's role does not allow the scope \"{scope}\""));
        }
        if is_new && !may_give(ctx, scope) {
            let message = format!("this API key may not give the scope \"{scope}\": it does not have it");
            return Err(GatewayError::new(ErrorKind::Scope, message));
        }
    }
    Ok(())
}

/// Returns whether the caller may give a scope: what it has itself, and what keys need for requests. Else a key that
/// may make keys could do everything by way of one that it makes.
fn may_give(ctx: &Ctx, scope: &str) -> bool {
    let scope = canonical(scope);
    ctx.who.root || is_use(&scope) || is_for_requests(&scope) || ctx.who.has(&scope)
}

fn is_for_requests(scope: &str) -> bool {
    matches!(scope, "models.list" | "feedbacks.read" | "feedbacks.write")
}

/// Returns whether a key acts on the whole organisation.
pub(super) fn is_org(key: &KeyRecord) -> bool {
    key.kind == KeyKind::OrganisationService || key.is_root()
}

/// Returns the kind whose scopes are about a key.
pub(super) fn kind_of(key: &KeyRecord) -> KeyKind {
    if is_org(key) { KeyKind::OrganisationService } else { key.kind }
}

/// Returns the scope that an action on keys of a kind needs.
pub(super) fn scope_of(kind: KeyKind, action: &str) -> String {
    let resource = match kind {
        KeyKind::OrganisationService => "organisation_service_api_keys",
        KeyKind::WorkspaceService => "workspace_service_api_keys",
        KeyKind::WorkspaceUser => "workspace_user_api_keys",
    };
    format!("{resource}.{action}")
}

/// Refuses whoever lacks the scope of an action on keys of a kind.
///
/// # Errors
/// 403
pub(super) fn may(ctx: &Ctx, kind: KeyKind, action: &str) -> Result<(), GatewayError> {
    ctx.who.needs(&[&scope_of(kind, action)])
}

/// Finds a key that the caller may see.
///
/// # Errors
/// 404, for keys of other workspaces, too.
pub(super) async fn found(ctx: &Ctx, id: &str) -> Result<(KeyHash, KeyRecord), GatewayError> {
    let wanted = id.to_owned();
    let found = ctx.gateway().book.read(move |store| store.key_by_id(&wanted)).await?;
    let sees = |key: &KeyRecord| match &ctx.who.workspace {
        None => true,
        Some(own) => !is_org(key) && ctx.gateway().objects.rules().workspace_id(key) == own,
    };
    found.filter(|(_, key)| sees(key)).ok_or_else(|| missing("API key", id))
}

/// Finds a key that the caller may change by an action.
///
/// # Errors
/// 404, 403 without the scope or for keys that may more than the caller, 409 for keys that are not changed here.
pub(super) async fn changeable(ctx: &Ctx, action: &str) -> Result<(KeyHash, KeyRecord), GatewayError> {
    let (hash, key) = found(ctx, ctx.path("id")).await?;
    let (kind, by_update) =
        (kind_of(&key), action == "rotate" && ctx.who.has(&scope_of(kind_of(&key), "update")));
    if !by_update {
        may(ctx, kind, action)?;
    }
    if key.origin == Origin::Settings {
        let message = format!("API key \"{}\" is declared in the settings file; change it there", key.name);
        return Err(conflict(message));
    }
    if key.id == ADMIN_ID {
        return Err(conflict("the admin key is not changed here; set `admin_key` in the settings file"));
    }
    if key.is_root() && !ctx.who.root {
        let message = "only the admin key may change an API key that has the scope \"admin\"";
        return Err(GatewayError::new(ErrorKind::Scope, message));
    }
    // A new secret is the key: who gets it can do what the key can.
    let more = key.scopes.iter().find(|scope| action == "rotate" && !may_give(ctx, scope));
    if let Some(scope) = more {
        let message =
            format!("this API key may not rotate a key with the scope \"{scope}\": it does not have it");
        return Err(GatewayError::new(ErrorKind::Scope, message));
    }
    Ok((hash, key))
}
