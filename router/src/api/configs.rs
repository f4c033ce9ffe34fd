//! `/v1/configs`: saved configs, with Portkey's routes and answers. Needs the admin scope.

use std::time::Duration;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_config::ConfigError;
use tidegate_store::{ConfigRecord, ConfigVersion};

use super::{admin, body, render};
use crate::admin::reply::{Page, answer, moment};
use crate::configs::{Change, ConfigsError, Draft, Saved, which};
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::vet;
use crate::server::Worker;

/// Bytes of an order; the config in it has a limit of its own.
const LARGEST: usize = 2 << 20;
const LONGEST_NAME: usize = 200;

pub(super) fn routes(config: &mut ServiceConfig) {
    let at = |path: &str| web::resource(path.to_owned()).default_service(web::to(render::wrong_method));
    // Portkey's documents use both.
    for version in ["/v1", "/v2"] {
        config
            .service(
                at(&format!("{version}/configs")).route(web::get().to(list)).route(web::post().to(create)),
            )
            .service(
                at(&format!("{version}/configs/{{slug}}"))
                    .route(web::get().to(one))
                    .route(web::put().to(change))
                    .route(web::delete().to(remove)),
            )
            .service(at(&format!("{version}/configs/{{slug}}/versions")).route(web::get().to(versions)))
            .service(at(&format!("{version}/configs/{{slug}}/activate")).route(web::post().to(activate)))
            .service(at(&format!("{version}/configs/{{slug}}/rollback")).route(web::post().to(roll_back)));
    }
}

/// What a config may be sent with. Other members of Portkey's clients mean nothing here.
#[derive(Debug, Default, Deserialize)]
struct Order {
    name: Option<String>,
    /// An object, or its JSON text.
    config: Option<Value>,
    #[serde(alias = "isDefault")]
    is_default: Option<Value>,
    workspace_id: Option<String>,
    status: Option<String>,
}

impl Order {
    async fn read(
        request: &HttpRequest,
        payload: web::Payload,
        worker: &Worker,
    ) -> Result<Self, GatewayError> {
        let within = Duration::from_millis(worker.gateway.settings().timeouts.body_ms);
        let bytes = body::read(request, payload, LARGEST, within).await?;
        let order: Self = serde_json::from_slice(&bytes).map_err(|error| {
            let message =
                format!("a JSON object like {{\"name\": \"…\", \"config\": {{…}}}} is expected: {error}");
            invalid("body", &message)
        })?;
        if order.name.as_ref().is_some_and(|name| name.trim().is_empty() || name.len() > LONGEST_NAME) {
            return Err(invalid("name", &format!("name: 1 to {LONGEST_NAME} bytes are accepted")));
        }
        if order.status.as_ref().is_some_and(|status| status != "active") {
            return Err(invalid("status", "status: \"active\" is accepted; delete what is not to be used"));
        }
        Ok(order)
    }

    /// Takes the config out, checked; `None` when there is none.
    async fn draft(&mut self, worker: &Worker) -> Result<Option<Draft>, GatewayError> {
        let json = match self.config.take() {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        let plan = vet(&worker.gateway, &json, self.workspace_id.as_deref().unwrap_or_default())
            .await
            .map_err(|error| refused(&error))?;
        Ok(Some(Draft { json, plan }))
    }

    fn rest(self) -> Result<Change, GatewayError> {
        let is_default = match self.is_default {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(flag),
            Some(Value::Number(number)) if number.as_u64().is_some_and(|number| number <= 1) => {
                Some(number.as_u64() == Some(1))
            }
            Some(_) => return Err(invalid("isDefault", "isDefault: true, false, 1 or 0 is accepted")),
        };
        Ok(Change { name: self.name, draft: None, is_default, workspace: self.workspace_id })
    }
}

fn invalid(param: &str, message: &str) -> GatewayError {
    GatewayError::new(ErrorKind::Invalid, message).at(param)
}

/// Tells what is wrong with a config, and where: paths begin at the order's own member.
fn refused(error: &ConfigError) -> GatewayError {
    let path = match error.path.as_str() {
        "" => "config".to_owned(),
        path if path.starts_with('[') => format!("config{path}"),
        path => format!("config.{path}"),
    };
    invalid(&path, &format!("{path}: {}", error.message))
}

/// Refuses to change what the settings file declares: it comes first, so a change would do nothing.
fn changeable(worker: &Worker, slug: &str) -> Result<(), GatewayError> {
    if worker.gateway.settings().configs.contains_key(slug) {
        let message = format!("config \"{slug}\" is declared in the settings file; change it there");
        return Err(GatewayError::new(ErrorKind::Conflict, message));
    }
    Ok(())
}

fn of_record(record: &ConfigRecord) -> Value {
    json!({
        "id": record.id,
        "name": record.name,
        "slug": record.slug,
        "workspace_id": record.workspace,
        "organisation_id": null,
        "is_default": u8::from(record.is_default),
        "status": "active",
        "owner_id": record.created_by,
        "updated_by": record.updated_by,
        "created_at": moment(record.created_at_ms),
        "last_updated_at": moment(record.updated_at_ms),
        "object": "config",
        "origin": "store",
    })
}

fn row(saved: &Saved) -> Value {
    let mut row = of_record(&saved.record);
    row["version_id"] = saved.version.id.as_str().into();
    row["version"] = saved.version.number.into();
    if let Err(error) = &saved.plan {
        row["error"] = error.to_string().into();
    }
    row
}

/// Adds the config itself. Portkey's clients read its text, not an object.
fn with_text(mut row: Value, json: &str) -> Value {
    row["config"] = json.into();
    row["format"] = "json".into();
    row["type"] = "ORG_CONFIG".into();
    row
}

fn declared(id: &str) -> Value {
    json!({
        "id": id, "name": id, "slug": id, "workspace_id": null, "organisation_id": null, "is_default": 0,
        "status": "active", "owner_id": null, "updated_by": null, "created_at": null, "last_updated_at": null,
        "object": "config", "origin": "settings", "version_id": null, "version": null,
    })
}

/// What is answered when a version came into force. Notes tell what has no effect.
fn in_force(saved: &Saved) -> Value {
    let notes: Vec<Value> = saved
        .plan
        .iter()
        .flat_map(|plan| plan.notes())
        .map(|note| json!({"path": note.path, "message": note.message}))
        .collect();
    json!({
        "success": true,
        "data": {"id": saved.record.id, "slug": saved.record.slug, "version_id": saved.version.id},
        "object": "config",
        "id": saved.record.id,
        "slug": saved.record.slug,
        "version_id": saved.version.id,
        "version": saved.version.number,
        "notes": notes,
    })
}

/// `GET /v1/configs`
async fn list(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let listed = async {
        admin::authorize(&request, &worker).await?;
        let query =
            web::Query::<std::collections::BTreeMap<String, String>>::from_query(request.query_string())
                .map_err(|error| invalid("query", &error.to_string()))?;
        let page = Page::read(&query)?;
        let workspace = query.get("workspace_id").cloned();
        let of_workspace = |saved: &Saved| workspace.is_none() || workspace == saved.record.workspace;
        let settings = worker.gateway.settings();
        let mut rows: Vec<Value> = match workspace {
            None => settings.configs.keys().map(|id| declared(id)).collect(),
            Some(_) => Vec::new(),
        };
        let saved = worker.gateway.configs.all();
        rows.extend(saved.iter().filter(|saved| of_workspace(saved)).map(|saved| row(saved)));
        page.list(rows)
    };
    answer(&request, &worker, listed.await)
}

/// `POST /v1/configs`
async fn create(request: HttpRequest, payload: web::Payload, worker: web::Data<Worker>) -> HttpResponse {
    let created = async {
        let author = admin::authorize(&request, &worker).await?;
        let mut order = Order::read(&request, payload, &worker).await?;
        let Some(draft) = order.draft(&worker).await? else {
            return Err(invalid("config", "config: is missing; an object or its JSON text is expected"));
        };
        let gateway = &worker.gateway;
        let is_taken = |slug: &str| gateway.settings().configs.contains_key(slug);
        let change = order.rest()?;
        let author = &author.record().id;
        Ok(in_force(&*gateway.configs.create(&gateway.book, change, draft, author, is_taken).await?))
    };
    answer(&request, &worker, created.await)
}

/// `GET /v1/configs/{slug}`
async fn one(request: HttpRequest, worker: web::Data<Worker>, slug: web::Path<String>) -> HttpResponse {
    let found = async {
        admin::authorize(&request, &worker).await?;
        if let Some(json) = worker.gateway.settings().configs.get(slug.as_str()) {
            return Ok(with_text(declared(&slug), json));
        }
        let saved = known(&worker, &slug)?;
        Ok(with_text(row(&saved), &saved.version.json))
    };
    answer(&request, &worker, found.await)
}

fn known(worker: &Worker, slug: &str) -> Result<std::sync::Arc<Saved>, GatewayError> {
    let found = worker.gateway.configs.get(slug);
    Ok(found.ok_or_else(|| ConfigsError::Unknown { slug: slug.to_owned() })?)
}

/// `PUT /v1/configs/{slug}`: a config in it is a new version, in force at once.
async fn change(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
    slug: web::Path<String>,
) -> HttpResponse {
    let changed = async {
        let author = admin::authorize(&request, &worker).await?;
        changeable(&worker, &slug)?;
        known(&worker, &slug)?;
        let mut order = Order::read(&request, payload, &worker).await?;
        let draft = order.draft(&worker).await?;
        let change = Change { draft, ..order.rest()? };
        let gateway = &worker.gateway;
        Ok(in_force(&*gateway.configs.change(&gateway.book, &slug, change, &author.record().id).await?))
    };
    answer(&request, &worker, changed.await)
}

/// `DELETE /v1/configs/{slug}`
async fn remove(request: HttpRequest, worker: web::Data<Worker>, slug: web::Path<String>) -> HttpResponse {
    let removed = async {
        admin::authorize(&request, &worker).await?;
        changeable(&worker, &slug)?;
        worker.gateway.configs.remove(&worker.gateway.book, &slug).await?;
        Ok(json!({}))
    };
    answer(&request, &worker, removed.await)
}

fn version_row(saved: &Saved, version: &ConfigVersion) -> Value {
    let mut row = of_record(&saved.record);
    row["version_id"] = version.id.as_str().into();
    row["version"] = version.number.into();
    row["is_active"] = (version.number == saved.record.active).into();
    row["updated_by"] = version.created_by.as_str().into();
    row["last_updated_at"] = moment(version.created_at_ms).into();
    with_text(row, &version.json)
}

/// `GET /v1/configs/{slug}/versions`, newest first.
async fn versions(request: HttpRequest, worker: web::Data<Worker>, slug: web::Path<String>) -> HttpResponse {
    let listed = async {
        admin::authorize(&request, &worker).await?;
        changeable(&worker, &slug)?;
        let query =
            web::Query::<std::collections::BTreeMap<String, String>>::from_query(request.query_string())
                .map_err(|error| invalid("query", &error.to_string()))?;
        let page = Page::read(&query)?;
        let saved = known(&worker, &slug)?;
        let versions = worker.gateway.configs.versions(&worker.gateway.book, &slug).await?;
        page.list(versions.iter().map(|version| version_row(&saved, version)).collect())
    };
    answer(&request, &worker, listed.await)
}

/// Which version is to be in force.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Activate {
    #[serde(alias = "version_id")]
    version: Value,
}

/// `POST /v1/configs/{slug}/activate`: puts any version in force.
async fn activate(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
    slug: web::Path<String>,
) -> HttpResponse {
    let activated = async {
        let author = admin::authorize(&request, &worker).await?;
        let within = Duration::from_millis(worker.gateway.settings().timeouts.body_ms);
        let bytes = body::read(&request, payload, LARGEST, within).await?;
        let order: Activate = serde_json::from_slice(&bytes).map_err(|error| {
            invalid(
                "version",
                &format!("{{\"version\": 1}} or {{\"version_id\": \"…\"}} is expected: {error}"),
            )
        })?;
        let wanted = order.version.as_str().map_or_else(|| order.version.to_string(), str::to_owned);
        point(&worker, &slug, Some(&wanted), &author.record().id).await
    };
    answer(&request, &worker, activated.await)
}

/// `POST /v1/configs/{slug}/rollback`: puts the version before that in force.
async fn roll_back(request: HttpRequest, worker: web::Data<Worker>, slug: web::Path<String>) -> HttpResponse {
    let rolled_back = async {
        let author = admin::authorize(&request, &worker).await?;
        point(&worker, &slug, None, &author.record().id).await
    };
    answer(&request, &worker, rolled_back.await)
}

/// Puts a version in force, if what it names is still there.
async fn point(
    worker: &Worker,
    slug: &str,
    wanted: Option<&str>,
    author: &str,
) -> Result<Value, GatewayError> {
    changeable(worker, slug)?;
    let gateway = &worker.gateway;
    let saved = known(worker, slug)?;
    let versions = gateway.configs.versions(&gateway.book, slug).await?;
    let version = which(&saved.record, &versions, wanted)?;
    let plan = vet(gateway, &version.json, saved.record.workspace.as_deref().unwrap_or_default())
        .await
        .map_err(|error| refused(&error))?;
    Ok(in_force(&*gateway.configs.activate(&gateway.book, slug, version, plan, author).await?))
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
