//! `/secret-references`: where secrets lie outside the gateway. What is needed to get at them is sealed.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tidegate_store::{ObjectKind, ObjectRecord, Write};

use super::change::Change;
use super::ctx::{Ctx, invalid, missing};
use super::field::{Field, Kind};
use super::integrations::{opened, sealed};
use super::reply::moment;
use super::route::{Route, route};
use super::slugs;
use crate::error::{ErrorKind, GatewayError};
use crate::governance::Well;
use crate::secret::mask;

const NAME: Field = Field::new("name", Kind::Text(255), "name for people");
const DESCRIPTION: Field = Field::new("description", Kind::Text(1_024), "more words");
const AUTH: Field = Field::new(
    "auth_config",
    Kind::Object,
    "of hashicorp_vault: vault_addr, vault_auth_type (token, approle), vault_token, vault_role_id, vault_secret_id, \
     vault_approle_mount, vault_namespace, kv_version (1, 2)",
);
const PATH: Field =
    Field::new("secret_path", Kind::Text(1_024), "name of a variable, path of a file, mount/path of Vault");
const KEY: Field = Field::new("secret_key", Kind::Text(255), "member of a secret that is a JSON object");
const EVERYONE: Field =
    Field::new("allow_all_workspaces", Kind::Flag, "whether every workspace may use it; true where absent");
const SOME: Field = Field::new("allowed_workspaces", Kind::Texts, "ids or slugs of those that may");
const TAGS: Field = Field::new("tags", Kind::Object, "texts by name, to find it by");
const MANAGER: Field = Field::new("manager_type", Kind::Text(64), "env, file or hashicorp_vault");

const NEW: &[Field] = &[
    NAME.required(),
    MANAGER.required(),
    PATH.required(),
    Field::new("slug", Kind::Text(255), "its name in addresses; made of the name where absent"),
    DESCRIPTION,
    AUTH,
    KEY,
    EVERYONE,
    SOME,
    TAGS,
];
const CHANGED: &[Field] = &[NAME, DESCRIPTION, AUTH, PATH, KEY, EVERYONE, SOME, TAGS];
const LISTED: &[Field] = &[
    MANAGER,
    Field::new("search", Kind::Text(255), "only names, slugs and paths that contain this"),
    Field::new("tags", Kind::Text(1_024), "only with these tags: name:value, joined by commas"),
];
/// Most tags, and bytes of one.
const MOST_TAGS: usize = 50;
const LONGEST_TAG: usize = 255;
/// Parts of names whose values are secret.
const SECRET: [&str; 4] = ["token", "secret", "key", "password"];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/secret-references" ["secret_references.list"] "List secret references", &[], LISTED => list),
    route!(POST "/secret-references" ["secret_references.create"] "Make a secret reference", NEW, &[] => create),
    route!(GET "/secret-references/{id}" ["secret_references.read"] "Show a secret reference", &[], &[] => one),
    route!(PUT "/secret-references/{id}" ["secret_references.update"] "Change a secret reference", CHANGED, &[] => change),
    route!(DELETE "/secret-references/{id}" ["secret_references.delete"] "Delete a secret reference", &[], &[] => remove),
];

fn row(ctx: &Ctx, object: &ObjectRecord) -> Result<Value, GatewayError> {
    let body = &object.body;
    let mut auth = Map::new();
    for (name, value) in opened(ctx, body)?.as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        if SECRET.iter().any(|part| name.contains(part)) {
            auth.insert(format!("masked_{name}"), mask(text).into());
        } else {
            auth.insert(name.clone(), value.clone());
        }
    }
    Ok(json!({
        "id": object.id,
        "object": "secret-reference",
        "organisation_id": ctx.gateway().objects.organisation().map(|it| it.id.clone()),
        "name": body["name"],
        "slug": object.slug,
        "description": body["description"],
        "manager_type": body["manager_type"],
        "auth_config": auth,
        "secret_path": body["secret_path"],
        "secret_key": body["secret_key"],
        "allow_all_workspaces": body["allow_all_workspaces"] != false,
        "allowed_workspaces": body["allowed_workspaces"],
        "tags": body["tags"],
        "status": "active",
        "created_at": moment(object.created_at_ms),
        "last_updated_at": moment(object.updated_at_ms),
    }))
}

fn known(ctx: &Ctx) -> Result<Arc<ObjectRecord>, GatewayError> {
    let name = ctx.path("id");
    let found = ctx.gateway().objects.find(ObjectKind::SecretReference, "", name);
    found.ok_or_else(|| missing("secret reference", name))
}

async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let (manager, search, tags) = (ctx.asked("manager_type"), ctx.asked("search"), ctx.asked("tags"));
    let fits = |it: &ObjectRecord| {
        let text = |name: &str| it.body[name].as_str().unwrap_or_default();
        let tagged = |tag: &str| {
            let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
            let own = it.body["tags"][name.trim()].as_str();
            own.is_some_and(|own| value.is_empty() || own == value.trim())
        };
        manager.is_none_or(|manager| text("manager_type") == manager)
            && search.is_none_or(|part| {
                [text("name"), &it.slug, text("secret_path")].iter().any(|own| own.contains(part))
            })
            && tags.is_none_or(|tags| tags.split(',').all(tagged))
    };
    let all = ctx.gateway().objects.all(ObjectKind::SecretReference);
    let rows = all.iter().filter(|it| fits(it)).map(|it| row(&ctx, it)).collect::<Result<_, _>>()?;
    ctx.list(rows)
}

/// Puts what the body says over what is known, checked, the way in sealed.
fn put(ctx: &Ctx, before: &Value) -> Result<Value, GatewayError> {
    let mut body = ctx.merged(before, &["name", "description", "secret_path", "secret_key", "tags"]);
    for kept in ["name", "secret_path"] {
        if body[kept].is_null() {
            body[kept] = before[kept].clone();
        }
    }
    let mut auth = opened(ctx, before)?;
    for (name, value) in ctx.body.get("auth_config").and_then(Value::as_object).into_iter().flatten() {
        // What was shown masked and comes back says nothing.
        if name.starts_with("masked_") || value.as_str().is_some_and(|text| text.contains("*****")) {
            continue;
        }
        match value {
            Value::Null => auth.as_object_mut().and_then(|auth| auth.shift_remove(name)),
            Value::String(_) | Value::Number(_) => {
                auth.as_object_mut().and_then(|auth| auth.insert(name.clone(), value.clone()))
            }
            _ => return Err(invalid(&format!("auth_config.{name}"), "a text is expected")),
        };
    }
    if let Some(flag) = ctx.flag("allow_all_workspaces") {
        body["allow_all_workspaces"] = flag.into();
    }
    if let Some(listed) = ctx.body.get("allowed_workspaces") {
        let mut ids: Vec<Value> = Vec::new();
        for (at, name) in listed.as_array().into_iter().flatten().enumerate() {
            let found = ctx.known_workspace(name.as_str().unwrap_or_default());
            ids.push(found.map_err(|error| error.at(format!("allowed_workspaces[{at}]")))?.id.clone().into());
        }
        body["allowed_workspaces"] = Value::Array(ids);
        if ctx.flag("allow_all_workspaces").is_none() {
            // Whoever names some means only those.
            body["allow_all_workspaces"] = listed.as_array().is_none_or(Vec::is_empty).into();
        }
    }
    let tags = body["tags"].as_object();
    let fits = |(name, value): (&String, &Value)| {
        name.len() <= LONGEST_TAG && value.as_str().is_some_and(|value| value.len() <= LONGEST_TAG)
    };
    if tags.is_some_and(|tags| tags.len() > MOST_TAGS || !tags.iter().all(fits)) {
        return Err(invalid("tags", &format!("at most {MOST_TAGS} short texts by name are accepted")));
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    Well::of(text("manager_type"), &auth, text("secret_path"), &ctx.gateway().settings())?;
    body["sealed"] = sealed(ctx, &auth)?;
    Ok(body)
}

async fn create(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let name = ctx.text("name").unwrap_or_default();
    let slug = slugs::chosen(&ctx, ObjectKind::SecretReference, "", ctx.text("slug"), name)?;
    let body = json!({"manager_type": ctx.body.get("manager_type"), "allow_all_workspaces": true, "allowed_workspaces": []});
    let object = ctx.new_object(ObjectKind::SecretReference, None, slug.clone(), put(&ctx, &body)?);
    let id = object.id.clone();
    let change = Change {
        resource: "secret_reference",
        id: &id,
        action: "create",
        workspace: None,
        before: Value::Null,
        after: row(&ctx, &object)?,
    };
    ctx.commit(change, vec![Write::PutObject(Box::new(object))]).await?;
    Ok(json!({"id": id, "slug": slug, "object": "secret-reference", "success": true}))
}

async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    row(&ctx, &*known(&ctx)?)
}

async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = known(&ctx)?;
    let after = ctx.next_version(&before, put(&ctx, &before.body)?);
    let change = Change {
        resource: "secret_reference",
        id: &before.id,
        action: "update",
        workspace: None,
        before: row(&ctx, &before)?,
        after: row(&ctx, &after)?,
    };
    ctx.commit(change, vec![Write::PutObject(Box::new(after))]).await?;
    Ok(json!({"id": before.id, "slug": before.slug, "object": "secret-reference"}))
}

async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let object = known(&ctx)?;
    let names = |it: &Arc<ObjectRecord>| {
        let mappings = it.body["secret_mappings"].as_array().into_iter().flatten();
        mappings.into_iter().any(|mapping| mapping["secret_reference_id"] == object.id.as_str())
    };
    let users: Vec<String> = ctx
        .gateway()
        .objects
        .all(ObjectKind::Integration)
        .iter()
        .filter(|it| names(it))
        .map(|it| it.slug.clone())
        .collect();
    if !users.is_empty() {
        let message =
            format!("secret reference {} is used by integrations: {}", object.slug, users.join(", "));
        return Err(GatewayError::new(ErrorKind::Invalid, message).at("id"));
    }
    let change = Change {
        resource: "secret_reference",
        id: &object.id,
        action: "delete",
        workspace: None,
        before: row(&ctx, &object)?,
        after: Value::Null,
    };
    let write = Write::DeleteObject { kind: ObjectKind::SecretReference, id: object.id.clone() };
    ctx.commit(change, vec![write]).await?;
    Ok(json!({}))
}
