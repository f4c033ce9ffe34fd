//! Answers and errors as HTTP.

use std::time::Duration;

use actix_web::body::{BodyStream, BoxBody};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tidegate_prices::NanoUsd;
use tidegate_providers::{Inbound, anthropic::MessagesCodec, openai::ChatCodec};
use tidegate_store::Unit;
use uuid::Uuid;

use super::{cors, head};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::limits::{RateKind, RateView};
use crate::pipeline::{Answer, AnswerBody, BudgetShown, Dialect};
use crate::server::Worker;

/// What every answer says of its way, as Portkey's SDKs read it.
static PROVIDER: HeaderName = HeaderName::from_static("x-portkey-provider");
static OPTION_INDEX: HeaderName = HeaderName::from_static("x-portkey-last-used-option-index");
static CACHE_STATUS: HeaderName = HeaderName::from_static("x-portkey-cache-status");
static RETRIES: HeaderName = HeaderName::from_static("x-portkey-retry-attempt-count");
static TRACE_ID: HeaderName = HeaderName::from_static("x-portkey-trace-id");
/// Limit, what remains, when it is whole again: as OpenAI names them.
static REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
static TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
/// Unit, limit, what remains, when it starts again.
static BUDGET: [HeaderName; 4] = [
    HeaderName::from_static("x-portkey-budget-unit"),
    HeaderName::from_static("x-portkey-budget-limit"),
    HeaderName::from_static("x-portkey-budget-remaining"),
    HeaderName::from_static("x-portkey-budget-reset"),
];
/// Longest trace id that is taken from a client.
const LONGEST_TRACE: usize = 256;

/// Renders an answer of the pipeline.
pub(super) fn answer(request: &HttpRequest, worker: &Worker, trace_id: &str, answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    if answer.status == 246 {
        response.reason("Hooks failed");
    }
    for (name, value) in &answer.headers {
        append(&mut response, name, value);
    }
    rate_headers(&mut response, &answer.about.views);
    if let Some(budget) = &answer.about.budget {
        budget_headers(&mut response, budget);
    }
    if let Some(provider) = answer.about.provider {
        response.append_header((&PROVIDER, HeaderValue::from_static(provider)));
    }
    put(&mut response, &OPTION_INDEX, &answer.about.option_index);
    let cache = HeaderValue::from_static(answer.about.cache.unwrap_or("DISABLED"));
    response.append_header((&CACHE_STATUS, cache));
    response.append_header((&RETRIES, HeaderValue::from(answer.about.retries)));
    put(&mut response, &TRACE_ID, trace_id);
    let mut response = match answer.body {
        AnswerBody::Whole(bytes) => response.body(bytes),
        AnswerBody::Stream(stream) => {
            stream_headers(&mut response);
            let pieces = unfold(stream, |mut stream| async move {
                let piece = stream.next().await?;
                Some((piece, stream))
            });
            response.body(BoxBody::new(BodyStream::new(Box::pin(pieces))))
        }
        AnswerBody::Kept(stream) => {
            stream_headers(&mut response);
            let pieces = unfold(stream, |mut stream| async move {
                let piece = stream.next().await?;
                Some((piece, stream))
            });
            response.body(BoxBody::new(BodyStream::new(Box::pin(pieces))))
        }
    };
    cors::add(request, &worker.gateway.settings().cors.origins, response.headers_mut());
    response
}

fn stream_headers(response: &mut HttpResponseBuilder) {
    append(response, "cache-control", "no-cache");
    // Reverse proxies of the nginx family hold streams back without this.
    append(response, "x-accel-buffering", "no");
}

/// Renders an error in the caller's dialect.
pub(super) fn error(
    request: &HttpRequest,
    worker: &Worker,
    dialect: Dialect,
    trace_id: &str,
    error: &GatewayError,
) -> HttpResponse {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(failure) = &error.upstream {
        for (name, value) in &failure.headers {
            append(&mut response, name, value);
        }
        if error.walked.is_none() {
            append(&mut response, "x-portkey-provider", failure.provider);
        }
    }
    if let Some(walked) = &error.walked {
        if let Some(provider) = walked.provider {
            append(&mut response, "x-portkey-provider", provider);
        }
        append(&mut response, "x-portkey-last-used-option-index", &walked.option_index);
        if let Some(status) = walked.cache {
            append(&mut response, "x-portkey-cache-status", status);
        }
        append(&mut response, "x-portkey-retry-attempt-count", &walked.retries.to_string());
    }
    if matches!(error.kind, ErrorKind::Unsupported | ErrorKind::Bug) {
        // Portkey's mark of what no vendor said; its SDKs don't try again then.
        append(&mut response, "x-portkey-gateway-exception", "true");
    }
    if let Some(wait) = error.retry_after {
        // Whole seconds (RFC 9110 10.2.3), never zero: zero invites a storm.
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        append(&mut response, "retry-after", &seconds.to_string());
    }
    rate_headers(&mut response, &error.views);
    if matches!(error.kind, ErrorKind::Unsupported | ErrorKind::Bug) {
        append(&mut response, "x-portkey-gateway-exception", "true");
    }
    append(&mut response, "x-portkey-trace-id", trace_id);
    let untouched = error.upstream.as_ref().and_then(|failure| failure.content_type.as_deref());
    append(&mut response, "content-type", untouched.unwrap_or("application/json"));
    // Browsers alone send an Origin. Open WebUI's pages take any `status` member for a stream that began.
    let for_page = request.headers().contains_key(actix_web::http::header::ORIGIN);
    let mut response = response.body(error_body(dialect, error, for_page));
    cors::add(request, &worker.gateway.settings().cors.origins, response.headers_mut());
    response
}

/// Renders an error of a route that is no inference; the trace id is made here.
pub(super) fn refusal(
    request: &HttpRequest,
    worker: &Worker,
    dialect: Dialect,
    refused: &GatewayError,
) -> HttpResponse {
    error(request, worker, dialect, &trace_id(request, &Uuid::now_v7().to_string()), refused)
}

/// Returns the client's trace id, else the W3C one, else the request's own id: never an empty one, because Portkey's
/// SDK takes an answer without one for a broken gateway's.
pub(crate) fn trace_id(request: &HttpRequest, id: &str) -> String {
    let sent =
        head::text(request, "x-portkey-trace-id").or_else(|| head::text(request, "x-tidegate-trace-id"));
    let sent = sent.filter(|text| !text.is_empty() && text.len() <= LONGEST_TRACE);
    let from_parent = || head::text(request, "traceparent").and_then(parent);
    sent.or_else(from_parent).unwrap_or(id).to_owned()
}

/// Returns the trace id of a W3C `traceparent`, if it is one.
fn parent(text: &str) -> Option<&str> {
    let id = text.split('-').nth(1)?;
    let hex = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

fn error_body(dialect: Dialect, error: &GatewayError, for_page: bool) -> Vec<u8> {
    if let Some(verbatim) = error.upstream.as_ref().and_then(|failure| failure.verbatim.as_ref()) {
        let mut fields = tidegate_providers::Fields::parse(verbatim).ok();
        if let (Some(fields), Some(results)) = (&mut fields, &error.hook_results) {
            fields.set_raw("hook_results", results.to_string());
            return fields.to_vec();
        }
        return verbatim.to_vec();
    }
    let mut body = match dialect {
        Dialect::Anthropic => MessagesCodec.write_error(&error.body()),
        Dialect::OpenAi => {
            let mut body = ChatCodec.write_error(&error.body());
            if let Value::Object(members) = &mut body
                && error.is_failure_shape()
                && !for_page
            {
                // Portkey's clients read these two beside OpenAI's.
                members.insert("status".to_owned(), "failure".into());
                let words = error.failure.as_ref();
                let message = words.map_or(&error.message, |words| &words.message);
                members.insert("message".to_owned(), message.as_str().into());
                if let Some(words) = words.filter(|words| !words.errors.is_empty()) {
                    members.insert("errors".to_owned(), words.errors.clone().into());
                }
            }
            body
        }
    };
    if let (Value::Object(members), Some(results)) = (&mut body, &error.hook_results) {
        members.insert("hook_results".to_owned(), Value::clone(results));
    }
    body.to_string().into_bytes()
}

fn rate_headers(response: &mut HttpResponseBuilder, views: &[RateView]) {
    for view in views {
        let [limit, remaining, reset] = match view.kind {
            RateKind::Requests => &REQUESTS,
            RateKind::Tokens => &TOKENS,
        };
        response.insert_header((limit, HeaderValue::from(view.limit)));
        response.insert_header((remaining, HeaderValue::from(view.remaining)));
        if let Ok(value) = HeaderValue::from_str(&duration(view.reset)) {
            response.insert_header((reset, value));
        }
    }
}

/// Says what the tightest budget has left: money in US dollars.
fn budget_headers(response: &mut HttpResponseBuilder, budget: &BudgetShown) {
    let amount = |amount: i64| match budget.unit {
        Unit::Cost => {
            let dollars = NanoUsd(u64::try_from(amount).unwrap_or(0)).to_string();
            HeaderValue::from_maybe_shared(dollars).unwrap_or(HeaderValue::from_static("0"))
        }
        Unit::Tokens | Unit::Requests => HeaderValue::from(amount),
    };
    let unit = match budget.unit {
        Unit::Cost => "usd",
        Unit::Tokens => "tokens",
        Unit::Requests => "requests",
    };
    let [unit_name, limit, remaining, reset] = &BUDGET;
    response.insert_header((unit_name, HeaderValue::from_static(unit)));
    response.insert_header((limit, amount(budget.limit)));
    response.insert_header((remaining, amount(budget.left)));
    if let Some(at) = budget.resets_at {
        response.insert_header((reset, HeaderValue::from((at - clock::unix()).max(0))));
    }
}

/// Writes a duration as OpenAI's headers do: `120ms`, `6.5s`, `2m30s`.
fn duration(length: Duration) -> String {
    match length.as_secs() {
        0 => format!("{}ms", length.as_millis()),
        seconds if seconds < 60 => format!("{:.3}s", length.as_secs_f64()),
        seconds => format!("{}m{}s", seconds / 60, seconds % 60),
    }
}

fn append(response: &mut HttpResponseBuilder, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        response.append_header((name, value));
    }
}

/// Adds a header whose name is known to be one.
fn put(response: &mut HttpResponseBuilder, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.append_header((name, value));
    }
}

/// Whose dialect an unknown path is asked in.
pub(super) fn dialect_of(request: &HttpRequest) -> Dialect {
    if request.path().starts_with("/v1/messages") || request.headers().contains_key("anthropic-version") {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    }
}

/// 404 for paths that nobody serves; answers preflights too.
pub(super) async fn not_found(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    if request.method() == Method::OPTIONS {
        return preflight(&request, &worker);
    }
    let message = format!("Not Found: {} {} is no route of this gateway", request.method(), request.path());
    refusal(
        &request,
        &worker,
        dialect_of(&request),
        &GatewayError::new(ErrorKind::NotFound, message).said_as("Not Found"),
    )
}

/// 405 for paths with other methods; answers preflights too.
pub(crate) async fn wrong_method(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    if request.method() == Method::OPTIONS {
        return preflight(&request, &worker);
    }
    let allowed = methods_of(request.path());
    let message = format!("{} takes {allowed}, not {}", request.path(), request.method());
    let mut response =
        refusal(&request, &worker, dialect_of(&request), &GatewayError::new(ErrorKind::Method, message));
    response.headers_mut().insert(actix_web::http::header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Returns the methods of a route.
fn methods_of(path: &str) -> &'static str {
    if super::ENDPOINTS.iter().any(|(endpoint, _)| path == format!("/v1{}", endpoint.path())) {
        return "POST";
    }
    if path == "/v1/admin/explain" {
        return "POST";
    }
    if path == "/v1/admin/cache" {
        return "DELETE";
    }
    match path.strip_prefix("/v1/plugins") {
        Some("") => "GET, POST",
        Some(rest) if rest.ends_with("/activate") || rest.ends_with("/rollback") => "POST",
        Some(_) => "GET, DELETE",
        None => "GET",
    }
}

fn preflight(request: &HttpRequest, worker: &Worker) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    cors::add_preflight(request, &worker.gateway.settings().cors.origins, response.headers_mut());
    response
}

/// Renders a JSON document of the gateway itself.
pub(crate) fn document(request: &HttpRequest, worker: &Worker, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    append(&mut response, "x-portkey-trace-id", &trace_id(request, &Uuid::now_v7().to_string()));
    let mut response = response.json(body);
    cors::add(request, &worker.gateway.settings().cors.origins, response.headers_mut());
    response
}

/// Makes an OpenAI list.
pub(super) fn list(data: Vec<Value>) -> Value {
    json!({"object": "list", "data": data})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_openais() {
        assert_eq!(duration(Duration::from_millis(120)), "120ms");
        assert_eq!(duration(Duration::from_millis(6_500)), "6.500s");
        assert_eq!(duration(Duration::from_secs(150)), "2m30s");
    }

    #[test]
    fn both_envelopes_stand_side_by_side() {
        let error = GatewayError::new(ErrorKind::Budget, "Budget exceeded");
        let body: Value = serde_json::from_slice(&error_body(Dialect::OpenAi, &error, false)).unwrap();
        assert_eq!(body["error"]["message"], "Budget exceeded");
        assert_eq!((&body["status"], &body["error"]["code"]), (&json!("failure"), &json!("04")));
        let body: Value = serde_json::from_slice(&error_body(Dialect::Anthropic, &error, false)).unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }
}
