//! Reads Google's errors, from answers with an error status and from inside streams. Never fails.

use serde_json::Value;

use crate::error::UpstreamError;

/// Longest message taken from a body that is not JSON; proxies answer with whole pages.
const MAX_PLAIN: usize = 300;

/// Reads a non-2xx body: `{"error":…}`, the same in an array, a page of a proxy, or nothing.
pub(super) fn from_body(status: u16, body: &[u8]) -> UpstreamError {
    let read = crate::surrogates::from_slice::<Value>(body).ok();
    if let Some(error) = read.as_ref().and_then(|value| from_value(value, status)) {
        return UpstreamError { status, ..error };
    }
    let text = String::from_utf8_lossy(body);
    let message = if text.trim_start().starts_with('<') { page_title(&text) } else { shorten(&text) };
    let message = if message.is_empty() { describe(status) } else { message };
    UpstreamError { status, message, kind: None, code: None, param: None }
}

/// Reads an error object out of a 200 body or a stream's data; `None` when there is no error in it.
/// `fallback` is the status to use when the error names none.
pub(super) fn from_value(value: &Value, fallback: u16) -> Option<UpstreamError> {
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
    let error = value.get("error").filter(|error| !error.is_null())?;
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let kind = text("status").filter(|kind| !kind.is_empty());
    let numeric = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = numeric
        .filter(|code| (400..600).contains(code))
        .or_else(|| kind.and_then(status_of))
        .unwrap_or(fallback);
    let message = match text("message").or_else(|| error.as_str()) {
        Some(message) if !message.trim().is_empty() => message.to_owned(),
        _ => kind.map_or_else(|| describe(status), str::to_owned),
    };
    let code = error.get("code").filter(|code| !code.is_null()).cloned();
    Some(UpstreamError { status, message, kind: kind.map(str::to_owned), code, param: None })
}

/// Makes the error of an answer that can't be read.
pub(super) fn unreadable(message: impl Into<String>) -> UpstreamError {
    UpstreamError { status: 502, message: message.into(), kind: None, code: None, param: None }
}

/// Maps Google's canonical error names to HTTP statuses (google.rpc.Code).
fn status_of(kind: &str) -> Option<u16> {
    Some(match kind {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => 400,
        "UNAUTHENTICATED" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "ALREADY_EXISTS" | "ABORTED" => 409,
        "RESOURCE_EXHAUSTED" => 429,
        "CANCELLED" => 499,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => 500,
        "UNIMPLEMENTED" => 501,
        "UNAVAILABLE" => 503,
        "DEADLINE_EXCEEDED" => 504,
        _ => return None,
    })
}

fn describe(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.map_or_else(|| format!("HTTP status {status}"), str::to_owned)
}

fn page_title(page: &str) -> String {
    // ASCII lowercasing keeps byte offsets, so they hold in the original too.
    let lower = page.to_ascii_lowercase();
    let Some(from) = lower.find("<title>").map(|at| at + "<title>".len()) else { return String::new() };
    let Some(length) = lower.get(from..).and_then(|rest| rest.find("</title>")) else { return String::new() };
    shorten(page.get(from..from + length).unwrap_or_default())
}

fn shorten(text: &str) -> String {
    text.trim().chars().take(MAX_PLAIN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_error_object_is_read() {
        let error = from_body(400, include_bytes!("../../fixtures/google/error_400.json"));
        assert_eq!(error.status, 400);
        assert_eq!(error.message, "API key not valid. Please pass a valid API key.");
        assert_eq!(error.kind.as_deref(), Some("INVALID_ARGUMENT"));
        assert_eq!(error.code, Some(Value::from(400)));
    }

    #[test]
    fn an_array_wraps_the_error_of_a_stream() {
        let error = from_body(429, include_bytes!("../../fixtures/google/error_429.json"));
        assert_eq!((error.status, error.kind.as_deref()), (429, Some("RESOURCE_EXHAUSTED")));
        assert!(error.message.starts_with("You exceeded"));
    }

    #[test]
    fn pages_and_nothing_become_short_messages() {
        let page = b"<!DOCTYPE html><html><Title>Error 404 (Not Found)!!1</title><body>x</body>";
        assert_eq!(from_body(404, page).message, "Error 404 (Not Found)!!1");
        assert_eq!(from_body(503, b"").message, "Service Unavailable");
        assert_eq!(from_body(503, b"<html>").message, "Service Unavailable");
        assert_eq!(from_body(799, b" ").message, "HTTP status 799");
        assert_eq!(from_body(500, &[b'x'; 900]).message.len(), MAX_PLAIN);
        assert_eq!(from_body(500, br#"{"error":"odd"}"#).message, "odd");
    }

    #[test]
    fn the_name_gives_the_status_when_the_code_does_not() {
        let value = serde_json::json!({"error": {"message": "m", "status": "UNAVAILABLE"}});
        assert_eq!(from_value(&value, 502).unwrap().status, 503);
        let value = serde_json::json!({"error": {"message": "m", "code": 7}});
        assert_eq!(from_value(&value, 502).unwrap().status, 502);
        assert!(from_value(&serde_json::json!({"error": null}), 502).is_none());
    }
}
