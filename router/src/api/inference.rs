//! Inference routes: from HTTP to the pipeline and back.

use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use tidegate_providers::Endpoint;
use uuid::Uuid;

use super::{body, head, render};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::{self, Answer, Body, Caller, Dialect, Request};
use crate::server::Worker;

/// Serves one inference request.
pub(super) async fn serve(
    endpoint: Endpoint,
    dialect: Dialect,
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> HttpResponse {
    let started = Instant::now();
    let id = Uuid::now_v7().to_string();
    let trace_id = render::trace_id(&request, &id);
    match answered(endpoint, dialect, &request, payload, &worker, (started, id, trace_id.clone())).await {
        Ok(answer) => render::answer(&request, &worker, &trace_id, answer),
        Err(error) => render::error(&request, &worker, dialect, &trace_id, &error),
    }
}

async fn answered(
    endpoint: Endpoint,
    dialect: Dialect,
    request: &HttpRequest,
    payload: web::Payload,
    worker: &Worker,
    (started, id, trace_id): (Instant, String, String),
) -> Result<Answer, GatewayError> {
    let gateway = &worker.gateway;
    let settings = gateway.settings();
    let credentials = head::credentials(request);
    let key = pipeline::authenticate(gateway, credentials.key).await?;
    let headers = head::routing(request);
    let guarded =
        head::shows_headers(&key.record(), &headers) || gateway.default_config(&key.record()).is_some();
    let metadata = head::metadata(request, &headers, &key.record(), settings.openwebui_jwt_secret.as_ref());
    let within = Duration::from_millis(settings.timeouts.body_ms);
    let bytes = body::read(request, payload, settings.limits.body_bytes, within).await?;
    let content_type =
        head::text(request, header::CONTENT_TYPE.as_str()).unwrap_or("application/json").to_owned();
    let is_form = content_type.to_ascii_lowercase().starts_with("multipart/form-data");
    let wants_form =
        matches!(endpoint, Endpoint::ImageEdits | Endpoint::Transcriptions | Endpoint::Translations);
    let body = match (is_form, wants_form) {
        (true, true) => Body::Form { content_type, bytes },
        (false, true) if endpoint != Endpoint::ImageEdits => {
            return Err(wrong_type("multipart/form-data is expected"));
        }
        (true, false) => {
            return Err(wrong_type("application/json is expected"));
        }
        (false, _) if !is_json(&content_type) => {
            return Err(wrong_type("application/json is expected"));
        }
        (false, _) => Body::Json(bytes),
    };
    let request = Request {
        endpoint,
        dialect,
        id,
        trace_id,
        started,
        started_at_ms: clock::unix_ms(),
        headers,
        plain_headers: if guarded { head::plain(request) } else { Vec::new() },
        vendor_key: credentials.vendor.map(str::to_owned),
        body,
        proxy: None,
    };
    pipeline::serve(gateway, &worker.client, &Caller { key, metadata, config: None }, request).await
}

fn wrong_type(message: &str) -> GatewayError {
    GatewayError::new(ErrorKind::Invalid, message).at("content-type").said_as("Invalid content type passed")
}

/// Returns whether a content type may be JSON. What a form in a page would send is taken for it: curl says so of whatever
/// follows its `-d`, and a page can't add the key that every request needs.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    ["application/json", "text/json", "application/x-www-form-urlencoded"].contains(&essence.as_str())
        || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_type() {
        for accepted in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.api+json",
            "application/x-www-form-urlencoded",
        ] {
            assert!(is_json(accepted), "{accepted}");
        }
        for refused in ["text/plain", "application/jsonp", ""] {
            assert!(!is_json(refused), "{refused}");
        }
    }
}
