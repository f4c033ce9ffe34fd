//! Answers and errors as HTTP.

use std::time::Duration;

use actix_web::body::{BodyStream, BoxBody};
use actix_web::http::header::HeaderValue;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tidegate_prices::NanoUsd;
use tidegate_providers::{Inbound, anthropic::MessagesCodec, openai::ChatCodec};
use tidegate_store::Unit;
use uuid::Uuid;

use super::Offer;
use super::cors::{self, Page};
use super::head;
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::limits::{RateKind, RateView};
use crate::pipeline::{About, Answer, AnswerBody, BudgetShown, Dialect};
use crate::server::{Answer as Rendered, Headers, Lines, Worker};
use crate::settings::Settings;

/// Limit, what remains, when it is whole again: as OpenAI names them.
const REQUESTS: [&str; 3] =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const TOKENS: [&str; 3] =
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
/// What their names begin with.
const RATES: &str = "x-ratelimit-";
/// Longest trace id that is taken from a client.
const LONGEST_TRACE: usize = 256;

/// Renders an answer of the pipeline.
pub(super) fn answer(page: &Page<'_>, settings: &Settings, trace_id: &str, answer: Answer) -> Rendered {
    let mut lines = Lines::default();
    let About { provider, option_index, retries, views, budget, cache, .. } = &answer.about;
    passed(&mut lines, &answer.headers, views);
    rate_headers(&mut lines, views);
    if let Some(budget) = budget {
        budget_headers(&mut lines, budget);
    }
    // What every answer says of its way, as Portkey's SDKs read it.
    if let Some(provider) = provider {
        lines.put("x-portkey-provider", provider);
    }
    lines.put("x-portkey-last-used-option-index", option_index);
    lines.put("x-portkey-cache-status", cache.unwrap_or("DISABLED"));
    lines.put_number("x-portkey-retry-attempt-count", i64::from(*retries));
    lines.put("x-portkey-trace-id", trace_id);
    let is_stream = !matches!(answer.body, AnswerBody::Whole(_));
    if is_stream {
        lines.put("cache-control", "no-cache");
        // Reverse proxies of the nginx family hold streams back without this.
        lines.put("x-accel-buffering", "no");
    }
    page.allow(&settings.cors.origins, &mut lines);
    let body = match answer.body {
        AnswerBody::Whole(bytes) => BoxBody::new(bytes),
        AnswerBody::Stream(stream) => {
            let pieces = unfold(stream, |mut stream| async move {
                let piece = stream.next().await?;
                Some((piece, stream))
            });
            BoxBody::new(BodyStream::new(Box::pin(pieces)))
        }
        AnswerBody::Kept(stream) => {
            let pieces = unfold(stream, |mut stream| async move {
                let piece = stream.next().await?;
                Some((piece, stream))
            });
            BoxBody::new(BodyStream::new(Box::pin(pieces)))
        }
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    because(Rendered::new(status, lines, body))
}

/// Gives Portkey's own statuses their words: clients that show nothing else of an error show these.
fn because(rendered: Rendered) -> Rendered {
    match rendered.status().as_u16() {
        246 => rendered.because("Hooks failed"),
        446 => rendered.because("Guardrail checks failed"),
        _ => rendered,
    }
}

/// Passes on what a vendor said, but for limits where the gateway has its own.
fn passed(lines: &mut Lines, headers: &[(String, String)], views: &[RateView]) {
    for (name, value) in headers {
        let ours =
            name.starts_with(RATES) && views.iter().any(|view| names_of(view.kind).contains(&name.as_str()));
        if !ours {
            lines.put_any(name, value);
        }
    }
}

/// Renders an error in the caller's dialect.
pub(super) fn error(
    page: &Page<'_>,
    worker: &Worker,
    dialect: Dialect,
    trace_id: &str,
    error: &GatewayError,
) -> Rendered {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut lines = Lines::default();
    if let Some(failure) = &error.upstream {
        passed(&mut lines, &failure.headers, &error.views);
        if error.walked.is_none() {
            lines.put("x-portkey-provider", failure.provider);
        }
    }
    if let Some(walked) = &error.walked {
        if let Some(provider) = walked.provider {
            lines.put("x-portkey-provider", provider);
        }
        lines.put("x-portkey-last-used-option-index", &walked.option_index);
        if let Some(status) = walked.cache {
            lines.put("x-portkey-cache-status", status);
        }
        lines.put_number("x-portkey-retry-attempt-count", i64::from(walked.retries));
    }
    if let Some(wait) = error.retry_after {
        // Whole seconds (RFC 9110 10.2.3), never zero: zero invites a storm.
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        lines.put("retry-after", &seconds.to_string());
    }
    rate_headers(&mut lines, &error.views);
    if matches!(error.kind, ErrorKind::Unsupported | ErrorKind::Bug) {
        // Portkey's mark of what no vendor said; its SDKs don't try again then.
        lines.put("x-portkey-gateway-exception", "true");
    }
    lines.put("x-portkey-trace-id", trace_id);
    let untouched = error.upstream.as_ref().and_then(|failure| failure.content_type.as_deref());
    lines.put("content-type", untouched.unwrap_or("application/json"));
    page.allow(&worker.gateway.settings().cors.origins, &mut lines);
    // Browsers alone send an Origin. Open WebUI's pages take any `status` member for a stream that began.
    because(Rendered::new(status, lines, BoxBody::new(error_body(dialect, error, page.asks()))))
}

/// Renders an error of a route that is no inference; the trace id is made here.
pub(super) fn refusal(
    request: &HttpRequest,
    worker: &Worker,
    dialect: Dialect,
    refused: &GatewayError,
) -> HttpResponse {
    let trace_id = trace_id(request, &Uuid::now_v7().to_string());
    error(&Page::at(request), worker, dialect, &trace_id, refused).into()
}

/// Returns the client's trace id, else the W3C one, else the request's own id: never an empty one, because Portkey's
/// SDK takes an answer without one for a broken gateway's.
pub(crate) fn trace_id(request: &HttpRequest, id: &str) -> String {
    trace_of(request.headers(), id)
}

/// The same of any headers.
pub(super) fn trace_of(sent: &impl Headers, id: &str) -> String {
    let named = head::text(sent, "x-portkey-trace-id").or_else(|| head::text(sent, "x-tidegate-trace-id"));
    let named = named.filter(|text| !text.is_empty() && text.len() <= LONGEST_TRACE);
    let from_parent = || head::text(sent, "traceparent").and_then(parent);
    named.or_else(from_parent).unwrap_or(id).to_owned()
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

fn names_of(kind: RateKind) -> &'static [&'static str; 3] {
    match kind {
        RateKind::Requests => &REQUESTS,
        RateKind::Tokens => &TOKENS,
    }
}

fn rate_headers(lines: &mut Lines, views: &[RateView]) {
    for (at, view) in views.iter().enumerate() {
        // Of two of a kind the last is shown.
        if views.iter().skip(at + 1).any(|later| later.kind == view.kind) {
            continue;
        }
        let [limit, remaining, reset] = names_of(view.kind);
        lines.put_number(limit, i64::from(view.limit));
        lines.put_number(remaining, i64::from(view.remaining));
        put_duration(lines, reset, view.reset);
    }
}

/// Says what the tightest budget has left: money in US dollars.
fn budget_headers(lines: &mut Lines, budget: &BudgetShown) {
    let mut amount = |name: &'static str, amount: i64| match budget.unit {
        Unit::Cost => lines.put_amount(name, NanoUsd(u64::try_from(amount).unwrap_or(0))),
        Unit::Tokens | Unit::Requests => lines.put_number(name, amount),
    };
    amount("x-portkey-budget-limit", budget.limit);
    amount("x-portkey-budget-remaining", budget.left);
    let unit = match budget.unit {
        Unit::Cost => "usd",
        Unit::Tokens => "tokens",
        Unit::Requests => "requests",
    };
    lines.put("x-portkey-budget-unit", unit);
    if let Some(at) = budget.resets_at {
        lines.put_number("x-portkey-budget-reset", (at - clock::unix()).max(0));
    }
}

/// Puts a duration as OpenAI's headers write it: `120ms`, `6.500s`, `2m30s`.
fn put_duration(lines: &mut Lines, name: &'static str, length: Duration) {
    let (mut first, mut second) = (itoa::Buffer::new(), itoa::Buffer::new());
    let parts = match length.as_secs() {
        0 => [first.format(length.subsec_millis()), "ms", "", ""],
        seconds if seconds < 60 => {
            // To the nearest.
            let ms = seconds * 1_000 + u64::from(length.subsec_nanos().saturating_add(500_000) / 1_000_000);
            let point = match ms % 1_000 {
                0..10 => ".00",
                10..100 => ".0",
                _ => ".",
            };
            [first.format(ms / 1_000), point, second.format(ms % 1_000), "s"]
        }
        seconds => [first.format(seconds / 60), "m", second.format(seconds % 60), "s"],
    };
    lines.put_parts(name, parts);
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
    let allowed = Offer::at(&request).methods;
    let method = request.method();
    let message = if allowed.split(", ").any(|allowed| allowed == method.as_str()) {
        format!("{method} {} goes on to a provider; x-portkey-provider names it", request.path())
    } else {
        format!("{} takes {allowed}, not {method}", request.path())
    };
    let mut response =
        refusal(&request, &worker, dialect_of(&request), &GatewayError::new(ErrorKind::Method, message));
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(actix_web::http::header::ALLOW, allowed);
    }
    response
}

fn preflight(request: &HttpRequest, worker: &Worker) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    cors::add_preflight(request, &worker.gateway.settings().cors.origins, response.headers_mut());
    response
}

/// Renders a JSON document of the gateway itself.
pub(crate) fn document(request: &HttpRequest, worker: &Worker, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.append_header(("x-portkey-trace-id", trace_id(request, &Uuid::now_v7().to_string())));
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
        let duration = |length| {
            let mut lines = Lines::default();
            put_duration(&mut lines, "x-a", length);
            let text = lines
                .iter()
                .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
                .collect::<Vec<_>>();
            text.join("|")
        };
        assert_eq!(duration(Duration::from_millis(120)), "120ms");
        assert_eq!(duration(Duration::from_millis(6_500)), "6.500s");
        assert_eq!(duration(Duration::from_secs(150)), "2m30s");
        assert_eq!(duration(Duration::from_micros(999)), "0ms");
        assert_eq!(duration(Duration::from_nanos(1_000_499_999)), "1.000s");
        assert_eq!(duration(Duration::from_nanos(9_060_500_000)), "9.061s");
        assert_eq!(duration(Duration::from_nanos(59_999_999_999)), "60.000s");
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
