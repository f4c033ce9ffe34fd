//! `/v1/plugins`: upload, list, activate, roll back and remove plugins. Needs a scope of plugins.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_store::KeyRecord;

use super::{body, credentials_of, head, render};
use crate::admin::{Change, allow, tell};
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::Dialect;
use crate::plugins::{LARGEST, PluginError};
use crate::server::Worker;

/// Bytes of an order like `{"digest": "…"}`.
const LARGEST_ORDER: usize = 64 << 10;

fn answer(request: &HttpRequest, worker: &Worker, done: Result<Value, GatewayError>) -> HttpResponse {
    match done {
        Ok(document) => render::document(request, worker, &document),
        Err(error) => render::refusal(request, worker, Dialect::OpenAi, &error),
    }
}

fn to_json(value: &impl Serialize) -> Result<Value, GatewayError> {
    serde_json::to_value(value)
        .map_err(|error| GatewayError::new(ErrorKind::Bug, format!("the answer can't be written: {error}")))
}

fn deleted(id: &str) -> Value {
    json!({"id": id, "object": "plugin", "deleted": true})
}

/// What the audit log keeps of a plugin: which version is in force.
fn kept(plugin: &Value) -> Value {
    match plugin {
        Value::Null => Value::Null,
        plugin => json!({"id": plugin["id"], "version": plugin["version"], "digest": plugin["digest"]}),
    }
}

/// Shows a plugin as it is before a change; null where there is none.
async fn shown(worker: &Worker, id: &str) -> Value {
    let view = worker.gateway.plugins.observe_one(id).await;
    view.ok().and_then(|view| to_json(&view).ok()).unwrap_or_default()
}

/// Tells the audit log of a change of a plugin.
async fn told(
    request: &HttpRequest,
    worker: &Worker,
    key: &KeyRecord,
    (action, id): (&str, &str),
    (before, after): (Value, &Value),
) -> Result<(), GatewayError> {
    let (before, after) = (kept(&before), kept(after));
    let change = Change { resource: "plugin", id, action, workspace: None, before, after };
    tell(&worker.gateway, request, key, change).await
}

/// `GET /v1/plugins`
pub(super) async fn list(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let listed = async {
        allow(&worker.gateway, credentials_of(&request), "plugins.list").await?;
        let view = worker.gateway.plugins.observe().await?;
        Ok(json!({"object": "list", "data": to_json(&view.plugins)?, "refused": to_json(&view.refused)?}))
    };
    answer(&request, &worker, listed.await)
}

/// `GET /v1/plugins/{id}`. A bundled plugin is loaded for it, so that its checks can be shown.
pub(super) async fn one(
    request: HttpRequest,
    worker: web::Data<Worker>,
    id: web::Path<String>,
) -> HttpResponse {
    let found = async {
        allow(&worker.gateway, credentials_of(&request), "plugins.list").await?;
        worker.gateway.plugins.ready(|| std::iter::once(id.as_str())).await;
        to_json(&worker.gateway.plugins.observe_one(&id).await?)
    };
    answer(&request, &worker, found.await)
}

/// What an upload may say in its query.
#[derive(Debug, Deserialize)]
pub(super) struct UploadQuery {
    #[serde(default = "yes")]
    activate: bool,
}

fn yes() -> bool {
    true
}

/// `POST /v1/plugins`: the body is the component.
pub(super) async fn upload(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> HttpResponse {
    let uploaded = async {
        let key = allow(&worker.gateway, credentials_of(&request), "plugins.create").await?;
        let query = web::Query::<UploadQuery>::from_query(request.query_string()).map_err(|error| {
            GatewayError::new(ErrorKind::Invalid, format!("activate is true or false: {error}"))
                .at("activate")
        })?;
        let kind = head::text(request.headers(), header::CONTENT_TYPE.as_str()).unwrap_or_default();
        if kind.to_ascii_lowercase().starts_with("multipart/") {
            let message = "send the component itself as the body, with content-type application/wasm";
            return Err(GatewayError::new(ErrorKind::Invalid, message).at("content-type"));
        }
        let within = Duration::from_millis(worker.gateway.settings().timeouts.body_ms);
        let bytes = body::read(request.headers(), payload, LARGEST, within).await?;
        let uploaded = to_json(&worker.gateway.plugins.upload(bytes.to_vec(), query.activate).await?)?;
        let id = uploaded["id"].as_str().unwrap_or_default();
        told(&request, &worker, &key, ("create", id), (Value::Null, &uploaded)).await?;
        Ok(uploaded)
    };
    answer(&request, &worker, uploaded.await)
}

/// What is to be activated.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Activate {
    digest: String,
}

/// `POST /v1/plugins/{id}/activate`
pub(super) async fn activate(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
    id: web::Path<String>,
) -> HttpResponse {
    let activated = async {
        let key = allow(&worker.gateway, credentials_of(&request), "plugins.update").await?;
        let within = Duration::from_millis(worker.gateway.settings().timeouts.body_ms);
        let bytes = body::read(request.headers(), payload, LARGEST_ORDER, within).await?;
        let order: Activate = serde_json::from_slice(&bytes).map_err(|error| {
            GatewayError::new(ErrorKind::Invalid, format!("{{\"digest\": \"…\"}} is expected: {error}"))
                .at("digest")
        })?;
        let before = shown(&worker, &id).await;
        let activated = to_json(&worker.gateway.plugins.activate(&id, &order.digest).await?)?;
        told(&request, &worker, &key, ("publish", &id), (before, &activated)).await?;
        Ok(activated)
    };
    answer(&request, &worker, activated.await)
}

/// `POST /v1/plugins/{id}/rollback`
pub(super) async fn roll_back(
    request: HttpRequest,
    worker: web::Data<Worker>,
    id: web::Path<String>,
) -> HttpResponse {
    let rolled_back = async {
        let key = allow(&worker.gateway, credentials_of(&request), "plugins.update").await?;
        let before = shown(&worker, &id).await;
        let rolled_back = to_json(&worker.gateway.plugins.roll_back(&id).await?)?;
        told(&request, &worker, &key, ("rollback", &id), (before, &rolled_back)).await?;
        Ok(rolled_back)
    };
    answer(&request, &worker, rolled_back.await)
}

/// `DELETE /v1/plugins/{id}`
pub(super) async fn remove(
    request: HttpRequest,
    worker: web::Data<Worker>,
    id: web::Path<String>,
) -> HttpResponse {
    let removed = async {
        let key = allow(&worker.gateway, credentials_of(&request), "plugins.delete").await?;
        let before = shown(&worker, &id).await;
        worker.gateway.plugins.remove(&id).await?;
        told(&request, &worker, &key, ("delete", &id), (before, &Value::Null)).await?;
        Ok(deleted(&id))
    };
    answer(&request, &worker, removed.await)
}

impl From<PluginError> for GatewayError {
    fn from(error: PluginError) -> Self {
        let kind = match &error {
            PluginError::Load(_) | PluginError::Misnamed { .. } | PluginError::Ambiguous { .. } => {
                ErrorKind::Invalid
            }
            PluginError::Unknown { .. }
            | PluginError::NoVersions { .. }
            | PluginError::UnknownVersion { .. } => ErrorKind::NotFound,
            PluginError::Conflict(_) => ErrorKind::Conflict,
            PluginError::Host(_) | PluginError::Disk { .. } | PluginError::Unavailable => {
                tracing::error!(%error, "a change of plugins failed");
                ErrorKind::Unavailable
            }
        };
        GatewayError::new(kind, error.to_string())
    }
}
