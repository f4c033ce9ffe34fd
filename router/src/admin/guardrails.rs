//! `/guardrails`: checks and what follows from them, which configs and defaults name.
//!
//! An object's body has the members that the API shows and, beside them, those that requests read: a hook object.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tidegate_store::{ObjectKind, ObjectRecord, Store, Write};
use uuid::Uuid;

use super::change::Change;
use super::ctx::{Ctx, conflict, invalid};
use super::field::{Field, Kind};
use super::reply::moment;
use super::route::{Route, route};
use super::slugs;
use crate::error::GatewayError;
use crate::pipeline::vet_hook;
use crate::secret::shown;

const NAME: Field = Field::new("name", Kind::Text(255), "name for people");
const CHECKS: Field = Field::new("checks", Kind::Objects, "id (plugin.check), parameters, name, is_enabled");
const ACTIONS: Field = Field::new(
    "actions",
    Kind::Object,
    "deny, async, sequential, on_success and on_fail with feedback (value, weight, metadata)",
);
const WORKSPACE: Field =
    Field::new("workspace_id", Kind::Text(255), "id or slug of the workspace whose it is");
const ORGANISATION: Field =
    Field::new("organisation_id", Kind::Any, "there is one; without a workspace it is for everyone");

const NEW: &[Field] = &[NAME.required(), CHECKS.required(), ACTIONS.required(), WORKSPACE, ORGANISATION];
const CHANGED: &[Field] = &[NAME, CHECKS, ACTIONS, WORKSPACE];
const LISTED: &[Field] =
    &[WORKSPACE, ORGANISATION, Field::new("ids", Kind::Text(65_536), "only these, joined by commas")];

/// Members of a hook that actions set.
const OF_HOOK: [&str; 6] = ["deny", "async", "sequential", "speculative", "on_success", "on_fail"];
/// What actions may say: those members, in Portkey's app's spelling too, and what its Terraform provider sends beside them.
const ACTION_NAMES: [&str; 9] =
    ["deny", "async", "sequential", "speculative", "on_success", "on_fail", "onSuccess", "onFail", "message"];
/// Most checks of one guardrail.
const MOST: usize = 100;
/// Letters of the name in a slug, as Portkey makes them.
const SLUG_NAME: usize = 6;

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/guardrails" ["guardrails.list", "organisation_guardrails.list"] "List guardrails", &[], LISTED => list),
    route!(POST "/guardrails" ["guardrails.create", "organisation_guardrails.create"] "Make a guardrail", NEW, &[] => create),
    route!(GET "/guardrails/{id}" ["guardrails.read", "organisation_guardrails.read"] "Show a guardrail", &[], LISTED => one),
    route!(GET "/guardrails/{id}/versions" ["guardrails.read", "organisation_guardrails.read"] "List a guardrail's versions", &[], LISTED => versions),
    route!(PUT "/guardrails/{id}" ["guardrails.update", "organisation_guardrails.update"] "Change a guardrail", CHANGED, &[] => change),
    route!(DELETE "/guardrails/{id}" ["guardrails.delete", "organisation_guardrails.delete"] "Delete a guardrail", &[], LISTED => remove),
];

/// Refuses who may change guardrails of workspaces only, or of the organisation only.
fn may(ctx: &Ctx, workspace: Option<&str>, action: &str) -> Result<(), GatewayError> {
    let resource = if workspace.is_some() { "guardrails" } else { "organisation_guardrails" };
    ctx.who.needs(&[&format!("{resource}.{action}")])
}

fn row(ctx: &Ctx, object: &ObjectRecord) -> Value {
    json!({
        "id": object.id,
        "object": "guardrail",
        "name": object.body["name"],
        "slug": object.slug,
        "organisation_id": ctx.gateway().objects.organisation().map(|it| it.id.clone()),
        "workspace_id": object.workspace,
        "status": "active",
        "version_id": object.body["guardrail_version_id"],
        "version": object.version,
        "owner_id": object.created_by,
        "updated_by": object.updated_by,
        "created_at": moment(object.created_at_ms),
        "last_updated_at": moment(object.updated_at_ms),
    })
}

fn whole(ctx: &Ctx, object: &ObjectRecord) -> Value {
    let mut row = row(ctx, object);
    row["checks"] = object.body["checks"].clone();
    row["actions"] = object.body["actions"].clone();
    row
}

/// Shows a guardrail as the audit log keeps it: its parameters hold keys and addresses that are secret.
fn audited(ctx: &Ctx, object: &ObjectRecord) -> Value {
    shown(&whole(ctx, object))
}

async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let workspace = ctx.workspace_asked()?;
    let ids: Option<Vec<&str>> = ctx.asked("ids").map(|ids| ids.split(',').map(str::trim).collect());
    let fits = |it: &ObjectRecord| {
        // Of a workspace: its own and those of everyone, which it may name, too.
        workspace.as_ref().is_none_or(|of| it.workspace.as_ref().is_none_or(|own| own == of))
            && ids.as_ref().is_none_or(|ids| ids.contains(&it.id.as_str()) || ids.contains(&it.slug.as_str()))
    };
    let all = ctx.gateway().objects.all(ObjectKind::Guardrail);
    ctx.list(all.iter().filter(|it| fits(it)).map(|it| row(&ctx, it)).collect())
}

/// Refuses actions that nobody knows: a guardrail whose `deny` is misspelt would only look on.
fn known_actions(ctx: &Ctx) -> Result<(), GatewayError> {
    let said = ctx.body.get("actions").and_then(Value::as_object);
    let unknown = said.into_iter().flatten().find(|(name, _)| !ACTION_NAMES.contains(&name.as_str()));
    let Some((name, _)) = unknown else { return Ok(()) };
    Err(invalid(&format!("actions.{name}"), &format!("is unknown; {} are accepted", ACTION_NAMES.join(", "))))
}

/// Puts what the body says over what is known, in both forms, and lets the plugins in force look at it.
async fn put(ctx: &Ctx, before: &Value, slug: &str) -> Result<Value, GatewayError> {
    known_actions(ctx)?;
    let mut said = ctx.merged(before, &["name", "checks", "actions"]);
    for kept in ["name", "checks", "actions"] {
        if said[kept].is_null() {
            said[kept] = before[kept].clone();
        }
    }
    let checks = said["checks"].as_array().map(Vec::len).unwrap_or_default();
    if !(1..=MOST).contains(&checks) {
        return Err(invalid("checks", &format!("1 to {MOST} are accepted")));
    }
    let mut body = Map::new();
    for name in ["name", "checks", "actions"] {
        body.insert(name.to_owned(), said[name].clone());
    }
    for name in OF_HOOK {
        // Portkey's app writes some in camel case.
        let value = match name {
            "on_success" if said["actions"][name].is_null() => &said["actions"]["onSuccess"],
            "on_fail" if said["actions"][name].is_null() => &said["actions"]["onFail"],
            name => &said["actions"][name],
        };
        match (name, value.as_str()) {
            // As the examples of Portkey's Terraform provider write it: what follows, in a word.
            ("on_fail" | "on_success", Some("block")) => {
                body.insert("deny".to_owned(), true.into());
            }
            ("on_fail" | "on_success", Some("log")) => {}
            _ if value.is_null() => {}
            _ => {
                body.insert(name.to_owned(), value.clone());
            }
        }
    }
    body.insert("id".to_owned(), slug.into());
    body.insert("guardrail_version_id".to_owned(), Uuid::now_v7().to_string().into());
    let body = Value::Object(body);
    vet_hook(ctx.gateway(), &body.to_string()).await.map_err(|refused| {
        let path = refused.path.trim_start_matches("[0]").trim_start_matches('.').to_owned();
        let is_action = OF_HOOK.iter().any(|name| path.starts_with(name));
        let path = if is_action { format!("actions.{path}") } else { path };
        invalid(if path.is_empty() { "checks" } else { &path }, &refused.message)
    })?;
    Ok(body)
}

fn new_slug(ctx: &Ctx, name: &str) -> String {
    let letters: String =
        slugs::stem(name).chars().filter(char::is_ascii_alphanumeric).take(SLUG_NAME).collect();
    let is_taken = |slug: &str| {
        let of_kind = ctx.gateway().objects.all(ObjectKind::Guardrail);
        // Requests find guardrails by slug alone: it is nobody else's, in no workspace.
        of_kind.iter().any(|it| it.slug == slug) || ctx.gateway().settings().guardrails.contains_key(slug)
    };
    loop {
        let slug = format!("pg-{letters}-{}", slugs::random());
        if !is_taken(&slug) {
            return slug;
        }
    }
}

async fn create(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let workspace = ctx.workspace_asked()?;
    may(&ctx, workspace.as_deref(), "create")?;
    let slug = new_slug(&ctx, ctx.text("name").unwrap_or_default());
    let body = put(&ctx, &json!({}), &slug).await?;
    let object = ctx.new_object(ObjectKind::Guardrail, workspace.clone(), slug, body);
    let (after, id) = (whole(&ctx, &object), object.id.clone());
    let change = Change {
        resource: "guardrail",
        id: &id,
        action: "create",
        workspace: workspace.as_deref(),
        before: Value::Null,
        after: audited(&ctx, &object),
    };
    ctx.commit(change, vec![Write::PutObject(Box::new(object))]).await?;
    Ok(written(&after))
}

/// What is answered when a version came into force.
fn written(shown: &Value) -> Value {
    let data = json!({"id": shown["id"], "slug": shown["slug"], "version_id": shown["version_id"]});
    let mut answer = data.clone();
    answer["object"] = "guardrail".into();
    answer["success"] = true.into();
    answer["data"] = data;
    answer
}

async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    Ok(whole(&ctx, &*ctx.object(ObjectKind::Guardrail, ctx.path("id"))?))
}

async fn versions(ctx: Ctx) -> Result<Value, GatewayError> {
    let id = ctx.object(ObjectKind::Guardrail, ctx.path("id"))?.id.clone();
    let read = move |store: &mut dyn Store| store.object_versions(ObjectKind::Guardrail, &id);
    let versions = ctx.gateway().book.read(read).await?;
    ctx.list(versions.iter().map(|it| whole(&ctx, it)).collect())
}

fn changeable(ctx: &Ctx, action: &str) -> Result<Arc<ObjectRecord>, GatewayError> {
    let found = ctx.object(ObjectKind::Guardrail, ctx.path("id"))?;
    ctx.may_change(&found)?;
    may(ctx, found.workspace.as_deref(), action)?;
    Ok(found)
}

async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = changeable(&ctx, "update")?;
    let body = put(&ctx, &before.body, &before.slug).await?;
    let after = ctx.next_version(&before, body);
    let answer = written(&whole(&ctx, &after));
    let change = Change {
        resource: "guardrail",
        id: &before.id,
        action: "update",
        workspace: before.workspace.as_deref(),
        before: audited(&ctx, &before),
        after: audited(&ctx, &after),
    };
    ctx.commit(change, vec![Write::PutObject(Box::new(after))]).await?;
    Ok(answer)
}

/// Returns what names a guardrail: all requests of those would fail without it.
fn users(ctx: &Ctx, object: &ObjectRecord) -> Vec<String> {
    let gateway = ctx.gateway();
    let of = |body: &Value| {
        ["input_guardrails", "output_guardrails"].iter().any(|side| {
            let list = body["defaults"][*side].as_array().into_iter().flatten();
            list.into_iter().any(|id| *id == object.id || *id == object.slug)
        })
    };
    let mut users = Vec::new();
    if gateway.objects.organisation().is_some_and(|it| of(&it.body)) {
        users.push("the organisation's defaults".to_owned());
    }
    // What another workspace writes into its own configs neither holds nor tells anything here.
    let may =
        |of: Option<&str>| object.workspace.is_none() || of.is_none() || of == object.workspace.as_deref();
    let workspaces = gateway.objects.all(ObjectKind::Workspace);
    let workspaces = workspaces.iter().filter(|it| may(Some(&it.id)) && of(&it.body));
    users.extend(workspaces.map(|it| format!("defaults of workspace {}", it.slug)));
    let names = |json: &str| json.contains(&object.slug) || json.contains(&object.id);
    let configs = gateway.configs.all();
    let configs = configs.iter().filter(|it| may(it.record.workspace.as_deref()) && names(&it.version.json));
    users.extend(configs.map(|it| format!("config {}", it.record.slug)));
    users
}

async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let object = changeable(&ctx, "delete")?;
    let users = users(&ctx, &object);
    if !users.is_empty() {
        let message =
            format!("guardrail {} is named by {}; take it out there first", object.slug, users.join(", "));
        return Err(conflict(message));
    }
    let change = Change {
        resource: "guardrail",
        id: &object.id,
        action: "delete",
        workspace: object.workspace.as_deref(),
        before: audited(&ctx, &object),
        after: Value::Null,
    };
    let write = Write::DeleteObject { kind: ObjectKind::Guardrail, id: object.id.clone() };
    ctx.commit(change, vec![write]).await?;
    Ok(json!({}))
}
