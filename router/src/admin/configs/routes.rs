//! The routes of saved configs. Their texts may hold credentials: the audit log keeps what is listed, not the text.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_config::ConfigError;
use tidegate_store::{ConfigRecord, ConfigVersion, ObjectKind};

use super::show;
use crate::admin::change::Change;
use crate::admin::ctx::{Ctx, conflict, invalid};
use crate::admin::field::{Field, Kind};
use crate::admin::route::{Route, route};
use crate::configs::{Author, Change as Said, ConfigsError, Draft, Saved, which};
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::vet;

const NAME: Field = Field::new("name", Kind::Text(200), "name for people");
const CONFIG: Field = Field::new("config", Kind::Any, "the config: an object, or its JSON text");
const DEFAULT: Field = Field::new("is_default", Kind::Flag, "Portkey's flag; it is kept and shown");
const DEFAULT_TOO: Field = Field::new("isDefault", Kind::Flag, "the same");
const STATUS: Field = Field::new("status", Kind::Word(&["active"]), "delete what is not to be used");
const WORKSPACE: Field = Field::new(
    "workspace_id",
    Kind::Text(255),
    "id or slug of the workspace whose it is; none is everyone's",
);

const NEW: &[Field] = &[NAME, CONFIG, DEFAULT, DEFAULT_TOO, STATUS, WORKSPACE];
const CHANGED: &[Field] = &[NAME, CONFIG, DEFAULT, DEFAULT_TOO, STATUS];
const LISTED: &[Field] = &[WORKSPACE];
const ACTIVATED: &[Field] = &[
    Field::new("version", Kind::Any, "number of the version, or its id"),
    Field::new("version_id", Kind::Text(255), "the same"),
];

pub(in crate::admin) const ROUTES: &[Route] = &[
    route!(GET "/configs" ["configs.list"] "List configs", &[], LISTED => list),
    route!(POST "/configs" ["configs.create"] "Save a config", NEW, &[] => create),
    route!(GET "/configs/{slug}" ["configs.read"] "Show a config", &[], &[] => one),
    route!(PUT "/configs/{slug}" ["configs.update"] "Change a config; another text is a new version", CHANGED, &[] => change),
    route!(DELETE "/configs/{slug}" ["configs.delete"] "Delete a config", &[], &[] => remove),
    route!(GET "/configs/{slug}/versions" ["configs.read"] "List a config's versions, newest first", &[], &[] => versions),
    route!(POST "/configs/{slug}/activate" ["configs.update"] "Put any version in force", ACTIVATED, &[] => activate),
    route!(POST "/configs/{slug}/rollback" ["configs.update"] "Put the version before that in force, or the one that is named", ACTIVATED, &[] => roll_back),
];

/// Reads the config that is sent, checked as a workspace sees it; `None` when there is none.
async fn draft(ctx: &Ctx, workspace: Option<&str>) -> Result<Option<Draft>, GatewayError> {
    let json = match ctx.body.get("config") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let plan = vetted(ctx, &json, workspace).await?;
    Ok(Some(Draft { json, plan }))
}

async fn vetted(
    ctx: &Ctx,
    json: &str,
    workspace: Option<&str>,
) -> Result<Arc<tidegate_config::Plan>, GatewayError> {
    let gateway = ctx.gateway();
    // What is everyone's is looked at as the default workspace sees it; others are told when they ask.
    let own = workspace.map_or_else(|| gateway.objects.rules().default_workspace().to_owned(), str::to_owned);
    vet(gateway, json, &own).await.map_err(|error| refused(&error))
}

/// Tells what is wrong with a config, and where: paths begin at the order's own member.
fn refused(error: &ConfigError) -> GatewayError {
    let path = match error.path.as_str() {
        "" => "config".to_owned(),
        path if path.starts_with('[') => format!("config{path}"),
        path => format!("config.{path}"),
    };
    GatewayError::new(ErrorKind::Invalid, format!("{path}: {}", error.message)).at(path)
}

fn said(ctx: &Ctx, workspace: Option<String>, draft: Option<Draft>) -> Said {
    Said {
        name: ctx.text("name").map(str::to_owned),
        draft,
        is_default: ctx.flag("is_default").or_else(|| ctx.flag("isDefault")),
        workspace,
    }
}

/// Refuses to change what the settings file declares: it comes first, so a change would do nothing.
fn undeclared(ctx: &Ctx, slug: &str) -> Result<(), GatewayError> {
    if ctx.gateway().settings().configs.contains_key(slug) {
        return Err(conflict(format!("config \"{slug}\" is declared in the settings file; change it there")));
    }
    Ok(())
}

fn known(ctx: &Ctx) -> Result<Arc<Saved>, GatewayError> {
    let slug = ctx.path("slug");
    let found = ctx.gateway().configs.get(slug).filter(|it| ctx.sees(it.record.workspace.as_deref()));
    Ok(found.ok_or_else(|| ConfigsError::Unknown { slug: slug.to_owned() })?)
}

/// Finds a config that the caller may change.
fn changeable(ctx: &Ctx) -> Result<Arc<Saved>, GatewayError> {
    undeclared(ctx, ctx.path("slug"))?;
    let saved = known(ctx)?;
    if saved.record.workspace.is_none() && !ctx.who.is_org() {
        let message = "this config is everyone's; a key of the organisation may change it";
        return Err(GatewayError::new(ErrorKind::Scope, message));
    }
    Ok(saved)
}

/// Makes the audit row of a change: what is listed before and after.
fn audit<'a>(
    ctx: &'a Ctx,
    action: &'a str,
    before: Option<&'a Saved>,
) -> impl Fn(&ConfigRecord, Option<&ConfigVersion>) -> tidegate_store::AuditRecord + 'a {
    move |record, version| {
        let after = version.map_or(Value::Null, |version| {
            let mut row = show::of_record(ctx, record);
            row["version_id"] = version.id.as_str().into();
            row["version"] = version.number.into();
            row
        });
        ctx.audited(Change {
            resource: "config",
            id: &record.id,
            action,
            workspace: record.workspace.as_deref(),
            before: before.map_or(Value::Null, |before| show::row(ctx, before)),
            after,
        })
    }
}

async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let gateway = ctx.gateway();
    let named = ctx.asked("workspace_id").is_some() || ctx.asked("workspace_slug").is_some();
    let workspace = ctx.workspace_asked()?;
    // Of a named workspace only its own; without a name everything that the caller may use.
    let fits = |saved: &Saved| match &saved.record.workspace {
        None => !named,
        own => workspace.is_none() || *own == workspace,
    };
    let settings = gateway.settings();
    let mut rows: Vec<Value> = match named {
        false => settings.configs.keys().map(|id| show::declared(&ctx, id)).collect(),
        true => Vec::new(),
    };
    let saved = gateway.configs.all();
    rows.extend(saved.iter().filter(|saved| fits(saved)).map(|saved| show::row(&ctx, saved)));
    ctx.list(rows)
}

async fn create(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let workspace = ctx.workspace_asked()?;
    let Some(draft) = draft(&ctx, workspace.as_deref()).await? else {
        return Err(invalid("config", "is missing; an object or its JSON text is expected"));
    };
    let gateway = ctx.gateway();
    let is_taken = |slug: &str| gateway.settings().configs.contains_key(slug);
    let (id, audit) = (ctx.who.key.id.clone(), audit(&ctx, "create", None));
    let author = Author { id: &id, audit: &audit };
    let said = said(&ctx, workspace, None);
    Ok(show::in_force(&*gateway.configs.create(&gateway.book, said, draft, &author, is_taken).await?))
}

async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    let slug = ctx.path("slug");
    if let Some(json) = ctx.gateway().settings().configs.get(slug) {
        return Ok(show::with_text(show::declared(&ctx, slug), json));
    }
    let saved = known(&ctx)?;
    Ok(show::with_text(show::row(&ctx, &saved), &saved.version.json))
}

async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = changeable(&ctx)?;
    let draft = draft(&ctx, before.record.workspace.as_deref()).await?;
    let gateway = ctx.gateway();
    let audit = audit(&ctx, "update", Some(&before));
    let author = Author { id: &ctx.who.key.id, audit: &audit };
    let said = said(&ctx, None, draft);
    let saved = gateway.configs.change(&gateway.book, &before.record.slug, said, &author).await?;
    Ok(show::in_force(&saved))
}

async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = changeable(&ctx)?;
    let gateway = ctx.gateway();
    let names = |value: &Value| *value == before.record.slug || *value == before.record.id;
    let workspaces = gateway.objects.all(ObjectKind::Workspace);
    let users: Vec<&str> = workspaces
        .iter()
        .filter(|it| {
            let defaults = &it.body["defaults"];
            names(&defaults["user_api_key_config"]) || names(&defaults["config_id"])
        })
        .map(|it| it.slug.as_str())
        .collect();
    if !users.is_empty() {
        let message =
            format!("config {} is the default of workspaces: {}", before.record.slug, users.join(", "));
        return Err(conflict(message));
    }
    let audit = audit(&ctx, "delete", Some(&before));
    let author = Author { id: &ctx.who.key.id, audit: &audit };
    gateway.configs.remove(&gateway.book, &before.record.slug, &author).await?;
    Ok(json!({}))
}

async fn versions(ctx: Ctx) -> Result<Value, GatewayError> {
    undeclared(&ctx, ctx.path("slug"))?;
    let (gateway, saved) = (ctx.gateway(), known(&ctx)?);
    let versions = gateway.configs.versions(&gateway.book, &saved.record.slug).await?;
    ctx.list(versions.iter().map(|version| show::version_row(&ctx, &saved, version)).collect())
}

/// Returns the version that an order names, by number or id.
fn version_named(ctx: &Ctx) -> Result<Option<String>, GatewayError> {
    let named = ["version", "version_id"].into_iter().find_map(|name| ctx.body.get(name));
    match named {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(invalid("version", "{\"version\": 1} or {\"version_id\": \"…\"} is expected")),
    }
}

async fn activate(ctx: Ctx) -> Result<Value, GatewayError> {
    let Some(wanted) = version_named(&ctx)? else {
        return Err(invalid("version", "{\"version\": 1} or {\"version_id\": \"…\"} is expected"));
    };
    point(&ctx, Some(&wanted), "publish").await
}

async fn roll_back(ctx: Ctx) -> Result<Value, GatewayError> {
    point(&ctx, version_named(&ctx)?.as_deref(), "rollback").await
}

/// Puts a version in force, if what it names is still there.
async fn point(ctx: &Ctx, wanted: Option<&str>, action: &str) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = changeable(ctx)?;
    let (gateway, slug) = (ctx.gateway(), &before.record.slug);
    let versions = gateway.configs.versions(&gateway.book, slug).await?;
    let version = which(&before.record, &versions, wanted)?;
    let plan = vetted(ctx, &version.json, before.record.workspace.as_deref()).await?;
    let audit = audit(ctx, action, Some(&before));
    let author = Author { id: &ctx.who.key.id, audit: &audit };
    Ok(show::in_force(&*gateway.configs.activate(&gateway.book, slug, version, plan, &author).await?))
}

impl From<ConfigsError> for GatewayError {
    fn from(error: ConfigsError) -> Self {
        let kind = match &error {
            ConfigsError::Unknown { .. } | ConfigsError::UnknownVersion { .. } => ErrorKind::NotFound,
            ConfigsError::NoEarlier { .. } | ConfigsError::InUse { .. } | ConfigsError::TooMany { .. } => {
                ErrorKind::Conflict
            }
            ConfigsError::Store(_) | ConfigsError::Secret(_) => {
                tracing::error!(%error, "a change of configs failed");
                ErrorKind::Unavailable
            }
        };
        GatewayError::new(kind, error.to_string())
    }
}
