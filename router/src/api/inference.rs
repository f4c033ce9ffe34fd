//! Inference routes: from HTTP to the pipeline and back.

use std::pin::pin;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use tidegate_providers::Endpoint;
use uuid::Uuid;

use super::{body, cors, head, render};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::{self, Answer, Body, Caller, Dialect, PlainHeaders, Request};
use crate::server::{Answer as Rendered, Headers, Sent, SentBody, Worker};
use crate::settings::Settings;

/// Serves one inference request that actix's app was asked: with a body in chunks, say, or a path that is written oddly.
pub(super) async fn serve(
    endpoint: Endpoint,
    dialect: Dialect,
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> HttpResponse {
    let settings = worker.gateway.settings();
    let within = Duration::from_millis(settings.timeouts.body_ms);
    let body = pin!(body::read(request.headers(), payload, settings.limits.body_bytes, within));
    respond(endpoint, dialect, request.headers(), body, &worker, &settings).await.into()
}

/// Serves one inference request.
pub(super) async fn answer(
    endpoint: Endpoint,
    dialect: Dialect,
    sent: &Sent,
    body: SentBody,
    worker: &Worker,
) -> Rendered {
    let settings = worker.gateway.settings();
    let within = Duration::from_millis(settings.timeouts.body_ms);
    // Both are pinned where they are made, so that they are not handed about: the second is large.
    let body = pin!(body::whole(sent, body, settings.limits.body_bytes, within));
    pin!(respond(endpoint, dialect, sent, body, worker, &settings)).await
}

async fn respond(
    endpoint: Endpoint,
    dialect: Dialect,
    sent: &impl Headers,
    body: impl Future<Output = Result<Bytes, GatewayError>>,
    worker: &Worker,
    settings: &Settings,
) -> Rendered {
    let started = Instant::now();
    // Without a formatter.
    let id = Uuid::now_v7().hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned();
    let trace_id = render::trace_of(sent, &id);
    let page = cors::Page::of(sent);
    let known = (started, id, trace_id.clone());
    match pin!(answered(endpoint, dialect, sent, body, (worker, settings), known)).await {
        Ok(answer) => render::answer(&page, settings, &trace_id, answer),
        Err(error) => render::error(&page, worker, dialect, &trace_id, &error),
    }
}

async fn answered(
    endpoint: Endpoint,
    dialect: Dialect,
    sent: &impl Headers,
    body: impl Future<Output = Result<Bytes, GatewayError>>,
    (worker, settings): (&Worker, &Settings),
    (started, id, trace_id): (Instant, String, String),
) -> Result<Answer, GatewayError> {
    let gateway = &worker.gateway;
    let credentials = head::credentials(sent);
    let key = pipeline::authenticate(gateway, credentials.key).await?;
    let headers = head::routing(sent);
    let record = key.record();
    let guarded = head::shows_headers(&record, &headers) || gateway.default_config(&record).is_some();
    let metadata = head::metadata(sent, &headers, &record, settings.openwebui_jwt_secret.as_ref());
    let bytes = body::unpacked(sent, body.await?, settings.limits.body_bytes).await?;
    let content_type = head::text(sent, "content-type").unwrap_or("application/json");
    let is_form = begins(content_type, "multipart/form-data");
    let wants_form =
        matches!(endpoint, Endpoint::ImageEdits | Endpoint::Transcriptions | Endpoint::Translations);
    let body = match (is_form, wants_form) {
        (true, true) => Body::Form { content_type: content_type.to_owned(), bytes },
        (false, true) if endpoint != Endpoint::ImageEdits => {
            return Err(wrong_type("multipart/form-data is expected"));
        }
        (true, false) => {
            return Err(wrong_type("application/json is expected"));
        }
        (false, _) if !is_json(content_type) => {
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
        plain_headers: if guarded { head::plain(sent) } else { PlainHeaders::default() },
        vendor_key: credentials.vendor.map(str::to_owned),
        body,
        proxy: None,
    };
    pipeline::serve(gateway, &worker.client, &Caller { key, record, metadata, config: None }, request).await
}

fn wrong_type(message: &str) -> GatewayError {
    GatewayError::new(ErrorKind::Invalid, message).at("content-type").said_as("Invalid content type passed")
}

/// Returns whether a content type may be JSON. What a form in a page would send is taken for it: curl says so of whatever
/// follows its `-d`, and a page can't add the key that every request needs.
fn is_json(content_type: &str) -> bool {
    if content_type == "application/json" {
        return true;
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is = |kind: &&str| essence.eq_ignore_ascii_case(kind);
    ["application/json", "text/json", "application/x-www-form-urlencoded"].iter().any(is)
        || essence
            .len()
            .checked_sub(5)
            .and_then(|at| essence.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case("+json"))
}

/// Returns whether a text begins with words in lower case, however it writes them.
fn begins(text: &str, words: &str) -> bool {
    text.get(..words.len()).is_some_and(|start| start.eq_ignore_ascii_case(words))
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
