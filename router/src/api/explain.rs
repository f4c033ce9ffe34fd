//! `POST /v1/admin/explain`: what would become of a request, without sending it.
//!
//! Needs the admin scope, or `explain.read` for requests of the caller's own key. Not every key may ask: an answer
//! shows providers, their addresses and what is left of budgets and limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;
use tidegate_store::KeyRecord;
use uuid::Uuid;

use super::{ENDPOINTS, admin, body, head, render};
use crate::actors::key::{KeyHandle, Wish};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::{self, Body, Caller, Dialect, Explanation, PlainHeaders, Request, authenticate};
use crate::server::Worker;

/// What a key needs to have its own requests explained.
const SCOPE: &str = "explain.read";

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Question {
    /// Path of the request; chat completions without.
    pub path: Option<String>,
    /// Name or id of the key whose request it is; the caller's own without.
    pub key: Option<String>,
    /// Config in place of the header's: an object, or the id of a saved one.
    pub config: Option<Value>,
    /// Metadata in place of the header's.
    pub metadata: Option<Value>,
    /// Headers of the request.
    pub headers: BTreeMap<String, String>,
    /// JSON body of the request.
    pub body: Value,
}

pub(super) async fn explain(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> HttpResponse {
    let told = asked(&request, payload, &worker).await;
    match told.and_then(|told| serde_json::to_value(told).map_err(|error| bug(&error))) {
        Ok(told) => render::document(&request, &worker, &told),
        Err(error) => render::refusal(&request, &worker, Dialect::OpenAi, &error),
    }
}

async fn asked(
    request: &HttpRequest,
    payload: web::Payload,
    worker: &Worker,
) -> Result<Explanation, GatewayError> {
    let own = authenticate(&worker.gateway, head::credentials(request.headers()).key).await?;
    let is_admin = match admin::authorize(request, worker).await {
        Ok(_key) => true,
        Err(error) => {
            let wish = Wish { scope: SCOPE, model: None, tokens: 0 };
            let Ok(_given_back) = own.admit(wish).await? else { return Err(error) };
            false
        }
    };
    let settings = worker.gateway.settings();
    let within = Duration::from_millis(settings.timeouts.body_ms);
    let bytes = body::read(request.headers(), payload, settings.limits.body_bytes, within).await?;
    let question: Question =
        serde_json::from_slice(&bytes).map_err(|error| invalid("", &format!("the question: {error}")))?;
    let key = match &question.key {
        None => own,
        Some(_) if !is_admin => {
            return Err(GatewayError::new(ErrorKind::Scope, "This API key may ask for itself only").at("key"));
        }
        Some(name) => find(worker, name).await?,
    };
    answer(worker, key, question).await
}

/// Finds a key by its name or id.
///
/// # Errors
/// 400 when there is none.
pub async fn find(worker: &Worker, name: &str) -> Result<Arc<KeyHandle>, GatewayError> {
    let gateway = &worker.gateway;
    let wanted = name.to_owned();
    let found = gateway
        .book
        .read(move |store| {
            let all = store.keys(usize::MAX)?;
            let is_it = |key: &&KeyRecord| key.id == wanted || key.name == wanted;
            match all.iter().find(is_it) {
                Some(key) => Ok(store.key_by_id(&key.id)?.map(|(hash, _)| hash)),
                None => Ok(None),
            }
        })
        .await?;
    let key = match found {
        Some(hash) => gateway.book.key(&hash).await?,
        None => None,
    };
    key.ok_or_else(|| invalid("key", &format!("there is no API key \"{name}\"")))
}

/// Explains what would become of a key's request.
///
/// # Errors
/// 400 when the question names no endpoint.
pub async fn answer(
    worker: &Worker,
    key: Arc<KeyHandle>,
    question: Question,
) -> Result<Explanation, GatewayError> {
    let path = question.path.as_deref().unwrap_or("/v1/chat/completions");
    let Some((endpoint, dialect)) = ENDPOINTS.into_iter().find(|(endpoint, _)| path == endpoint.pathname())
    else {
        return Err(invalid("path", "a path like /v1/chat/completions is expected"));
    };
    let mut headers = question.headers;
    // A config may stand in a file with lines, a header has but one.
    let line = |text: String| text.replace(['\n', '\r', '\t'], " ");
    let text = |value: Value| if let Value::String(text) = value { line(text) } else { value.to_string() };
    for (name, value) in [("config", question.config), ("metadata", question.metadata)] {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            headers.insert(format!("x-portkey-{name}"), text(value));
        }
    }
    if let Some((name, _)) =
        headers.iter().find(|(_, value)| HeaderValue::from_bytes(value.as_bytes()).is_err())
    {
        return Err(invalid("headers", &format!("header {name} holds characters that no header may")));
    }
    let named = || headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let routing = head::routing_of(named());
    let header = |wanted: &str| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    let metadata = head::metadata_of(
        &header,
        &routing,
        &key.record(),
        worker.gateway.settings().openwebui_jwt_secret.as_ref(),
    );
    let id = Uuid::now_v7().to_string();
    let request = Request {
        endpoint,
        dialect,
        trace_id: id.clone(),
        id,
        started: Instant::now(),
        started_at_ms: clock::unix_ms(),
        headers: routing,
        plain_headers: PlainHeaders::default(),
        vendor_key: header("authorization").map(|text| head::bearer(text).to_owned()),
        body: Body::Json(question.body.to_string().into()),
        proxy: None,
    };
    Ok(pipeline::explain(&worker.gateway, &worker.client, &Caller::new(key, metadata), &request).await)
}

fn invalid(param: &str, message: &str) -> GatewayError {
    GatewayError::new(ErrorKind::Invalid, message).at(param)
}

fn bug(error: &serde_json::Error) -> GatewayError {
    GatewayError::new(ErrorKind::Bug, error.to_string())
}
