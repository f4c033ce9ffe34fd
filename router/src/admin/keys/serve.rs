//! What the routes of `/api-keys` do.

use serde_json::{Value, json};
use tidegate_store::{KeyExtra, KeyFilter, KeyKind, KeyRecord, ObjectKind, Write};
use uuid::Uuid;

use super::super::change::Change;
use super::super::ctx::{Ctx, invalid, missing};
use super::super::reply::{envelope, moment};
use super::super::who::{Role, role_in};
use super::grant::{changeable, found, is_org, kind_of, may, scope_of};
use super::standing::{self, Said};
use super::{draft, own_budget, view};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::secret::{hash_key, mask, new_api_key};
use crate::settings::Secret;

pub(super) async fn create(ctx: Ctx) -> Result<Value, GatewayError> {
    let kind = match (ctx.path("type"), ctx.path("sub_type")) {
        // Portkey's SDK writes NOT_GIVEN where its caller gave no sub-type.
        ("organisation" | "organization", "service" | "NOT_GIVEN") => KeyKind::OrganisationService,
        ("workspace", "service" | "NOT_GIVEN") => KeyKind::WorkspaceService,
        ("workspace", "user") => KeyKind::WorkspaceUser,
        ("organisation" | "organization" | "workspace", _) => {
            return Err(invalid("sub-type", "service is expected, or user for keys of a workspace"));
        }
        _ => return Err(invalid("type", "organisation or workspace is expected")),
    };
    created(&ctx, kind).await
}

pub(super) async fn create_organisation(ctx: Ctx) -> Result<Value, GatewayError> {
    created(&ctx, KeyKind::OrganisationService).await
}

pub(super) async fn create_workspace(ctx: Ctx) -> Result<Value, GatewayError> {
    created(&ctx, KeyKind::WorkspaceService).await
}

fn new_key(ctx: &Ctx, kind: KeyKind, workspace: Option<String>) -> Result<(Secret, KeyRecord), GatewayError> {
    let secret = new_api_key().map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))?;
    let now = clock::unix_ms();
    let extra = KeyExtra { created_by: ctx.who.key.id.clone(), updated_at_ms: now, ..KeyExtra::default() };
    let key = KeyRecord {
        mask: mask(secret.reveal()),
        created_at: now / 1_000,
        kind,
        workspace,
        extra,
        ..KeyRecord::named(Uuid::now_v7().to_string(), "")
    };
    Ok((secret, key))
}

/// Refuses an archived workspace.
fn open_workspace(ctx: &Ctx, id: &str) -> Result<(), GatewayError> {
    let rules = ctx.gateway().objects.rules();
    match rules.workspace(id).filter(|workspace| workspace.archived) {
        None => Ok(()),
        Some(workspace) => {
            let message = format!("workspace {} is archived", workspace.name);
            Err(GatewayError::new(ErrorKind::Scope, message))
        }
    }
}

/// Finds the user that a key is to be of, and their role in the workspace.
fn member(ctx: &Ctx, workspace: &str) -> Result<(String, Role), GatewayError> {
    let name = ctx.text("user_id").unwrap_or_default();
    if name.is_empty() {
        return Err(invalid("user_id", "is missing; the id of a member of the workspace is expected"));
    }
    let user = ctx.gateway().objects.find(ObjectKind::User, "", name);
    let role = user.as_ref().and_then(|user| role_in(ctx.gateway(), &user.id, workspace));
    match (user, role) {
        (Some(user), Some(role)) => Ok((user.id.clone(), role)),
        _ => Err(invalid("user_id", &format!("\"{name}\" is no member of the workspace"))),
    }
}

async fn created(ctx: &Ctx, kind: KeyKind) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    may(ctx, kind, "create")?;
    let mut made_with = None;
    let workspace = match kind {
        KeyKind::OrganisationService if !ctx.who.is_org() => {
            let message = "an API key of a workspace can't make keys of the organisation";
            return Err(GatewayError::new(ErrorKind::Scope, message));
        }
        KeyKind::OrganisationService => {
            // Portkey's guides send one; such a key acts on all of them.
            made_with = ctx.workspace_asked()?;
            None
        }
        _ => Some(ctx.workspace()?),
    };
    if let Some(id) = &workspace {
        open_workspace(ctx, id)?;
    }
    let (secret, mut key) = new_key(ctx, kind, workspace)?;
    key.extra.made_with_workspace = made_with;
    let mut role = None;
    if kind == KeyKind::WorkspaceUser {
        let (user, of_user) = member(ctx, key.workspace.as_deref().unwrap_or_default())?;
        (key.user, role) = (Some(user), Some(of_user));
    }
    let mut writes = draft::read(ctx, &mut key, role, None)?;
    standing::bind(ctx.gateway(), &mut key, &Said::NEW)?;
    standing::count(ctx, &key).await?;
    let after = view::row(ctx, &key, None);
    writes.push(Write::PutKey { hash: hash_key(secret.reveal()), key: Box::new(key.clone()), old: None });
    commit(ctx, &key, "create", Value::Null, after, writes).await?;
    Ok(json!({"id": key.id, "key": secret.reveal(), "object": "api-key"}))
}

/// Makes a user's key without an order of its own, for invitations.
///
/// # Errors
/// 500 without random numbers.
pub(in crate::admin) fn made_for_user(
    ctx: &Ctx,
    user: &str,
    workspace: &str,
    name: &str,
    scopes: Vec<String>,
) -> Result<(Secret, KeyRecord, Write), GatewayError> {
    let (secret, mut key) = new_key(ctx, KeyKind::WorkspaceUser, Some(workspace.to_owned()))?;
    (key.name, key.user, key.scopes) = (name.to_owned(), Some(user.to_owned()), scopes);
    user.clone_into(&mut key.extra.created_by);
    standing::bind(ctx.gateway(), &mut key, &Said::NEW)?;
    let hash = hash_key(secret.reveal());
    let write = Write::PutKey { hash, key: Box::new(key.clone()), old: None };
    Ok((secret, key, write))
}

/// Returns the writes that delete all keys that a filter finds, with their budgets, and how many they are.
///
/// # Errors
/// 503
pub(in crate::admin) async fn doomed(
    ctx: &Ctx,
    filter: KeyFilter,
) -> Result<(Vec<Write>, usize), GatewayError> {
    let (keys, _) = ctx.gateway().book.read(move |store| store.list_keys(&filter)).await?;
    Ok((keys.iter().flat_map(deletion).collect(), keys.len()))
}

fn deletion(key: &KeyRecord) -> Vec<Write> {
    let budget = own_budget(key).map(|id| Write::DeleteBudget(id.clone()));
    std::iter::once(Write::DeleteKey(key.id.clone())).chain(budget).collect()
}

/// Writes a change of a key and its audit row.
///
/// # Errors
/// 503
pub(super) async fn commit(
    ctx: &Ctx,
    key: &KeyRecord,
    action: &str,
    before: Value,
    after: Value,
    writes: Vec<Write>,
) -> Result<(), GatewayError> {
    let workspace = key.workspace.as_deref();
    let change = Change { resource: "api_key", id: &key.id, action, workspace, before, after };
    ctx.commit(change, writes).await
}

pub(super) async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let kinds = [KeyKind::OrganisationService, KeyKind::WorkspaceService, KeyKind::WorkspaceUser];
    let listed: Vec<KeyKind> =
        kinds.into_iter().filter(|kind| ctx.who.has(&scope_of(*kind, "list"))).collect();
    let workspace = ctx.workspace_asked()?;
    let page = ctx.page()?;
    let or_of_none = {
        let rules = ctx.gateway().objects.rules();
        workspace.as_deref() == Some(rules.default_workspace())
    };
    let ids = ctx.asked("ids").into_iter().flat_map(|ids| ids.split(','));
    let filter = KeyFilter {
        workspace,
        or_of_none,
        user: None,
        kinds: if listed.len() == kinds.len() { Vec::new() } else { listed },
        ids: ids.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect(),
        offset: page.offset(),
        limit: page.size(),
    };
    let (keys, total) = ctx.gateway().book.read(move |store| store.list_keys(&filter)).await?;
    let budgets = view::budgets(ctx.gateway(), &keys).await?;
    let shown = |key| view::row(&ctx, key, key.budget.as_ref().and_then(|id| budgets.get(id)));
    Ok(envelope(keys.iter().map(shown).collect(), total))
}

pub(super) async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    let (_, key) = found(&ctx, ctx.path("id")).await?;
    may(&ctx, kind_of(&key), "read")?;
    view::shown(&ctx, &key).await
}

pub(super) async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let (hash, before) = changeable(&ctx, "update").await?;
    let role = match (&before.user, &before.workspace) {
        (Some(user), Some(workspace)) => role_in(ctx.gateway(), user, workspace),
        _ => None,
    };
    let budgets = view::budgets(ctx.gateway(), std::slice::from_ref(&before)).await?;
    let known = before.budget.as_ref().and_then(|id| budgets.get(id));
    let mut after = before.clone();
    let mut writes = draft::read(&ctx, &mut after, role, known.map(|it| &it.budget))?;
    standing::bind(ctx.gateway(), &mut after, &Said::of(&ctx.body))?;
    // Later than before also when two changes fall into one millisecond.
    after.extra.updated_at_ms = clock::unix_ms().max(before.extra.updated_at_ms + 1);
    let shown = (view::row(&ctx, &before, known), changed_row(&ctx, &after, &writes, known));
    writes.push(Write::PutKey { hash, key: Box::new(after), old: None });
    commit(&ctx, &before, "update", shown.0, shown.1, writes).await?;
    Ok(json!({}))
}

/// Shows a key with the budget that a change gives it.
fn changed_row(ctx: &Ctx, key: &KeyRecord, writes: &[Write], known: Option<&view::Spent>) -> Value {
    let put = writes.iter().find_map(|write| match write {
        Write::PutBudget(budget) => Some(view::Spent {
            budget: budget.clone(),
            spent: known.filter(|known| known.budget.id == budget.id).map_or(0, |known| known.spent),
        }),
        _ => None,
    });
    view::row(ctx, key, put.as_ref().or(known.filter(|_| key.budget.is_some())))
}

pub(super) async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let (_, key) = changeable(&ctx, "delete").await?;
    let before = view::shown(&ctx, &key).await?;
    commit(&ctx, &key, "delete", before, Value::Null, deletion(&key)).await?;
    Ok(json!({}))
}

/// Shows the key that asks, whatever its scopes: it knows itself.
pub(super) async fn own_details(ctx: Ctx) -> Result<Value, GatewayError> {
    let key = ctx.who.key.clone();
    let wants = |name: &str| matches!(ctx.asked(name), Some("true" | "1" | "True"));
    let mut data = json!({"api_key_details": view::shown(&ctx, &key).await?});
    let objects = &ctx.gateway().objects;
    if wants("include_organisation") {
        let organisation = objects.organisation().ok_or_else(|| missing("organisation", "default"))?;
        data["organisation_details"] = json!({
            "id": organisation.id, "name": organisation.body["name"], "slug": organisation.slug,
            "settings": organisation.body["settings"],
        });
    }
    if wants("include_workspace") && !is_org(&key) {
        let id = objects.rules().workspace_id(&key).to_owned();
        let workspace = objects.by_id(ObjectKind::Workspace, &id).ok_or_else(|| missing("workspace", &id))?;
        data["workspace_details"] = json!({
            "id": workspace.id, "slug": workspace.slug, "name": workspace.body["name"],
            "status": workspace.body["status"], "defaults": workspace.body["defaults"],
            "created_at": moment(workspace.created_at_ms),
        });
    }
    Ok(json!({"success": true, "data": data}))
}
