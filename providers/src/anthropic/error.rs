//! Errors of the Messages wire: read from vendors, written for clients.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{ErrorBody, UpstreamError, anthropic_error_type};
use crate::surrogates;

/// Longest message that is taken from a body that is no JSON.
const LONGEST_TEXT: usize = 500;

/// The inner object, in Anthropic's shape and in OpenAI's, which adds `code` and `param`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorObject {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) message: Option<String>,
    pub(super) code: Option<Value>,
    pub(super) param: Option<Value>,
}

impl ErrorObject {
    /// Makes the error; without a `status` the type decides.
    pub(super) fn into_upstream(self, status: Option<u16>) -> UpstreamError {
        let status = status.unwrap_or_else(|| status_of(self.kind.as_deref().unwrap_or_default()));
        let message = self.message.or_else(|| self.kind.clone()).unwrap_or_else(|| unexplained(status));
        UpstreamError { status, message, kind: self.kind, code: self.code, param: self.param }
    }
}

/// Returns the HTTP status that an error type stands for (Anthropic API errors page).
pub(super) fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "conflict_error" => 409,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

/// Makes the error for an answer that isn't one.
pub(super) fn unreadable(what: impl Into<String>) -> UpstreamError {
    UpstreamError { status: 502, message: what.into(), kind: None, code: None, param: None }
}

/// Reads an `error` event; its type stands for the status.
pub(crate) fn inside_stream(event: &Value) -> UpstreamError {
    let object = event.get("error").cloned().unwrap_or_default();
    serde_json::from_value::<ErrorObject>(object).unwrap_or_default().into_upstream(None)
}

/// Reads a non-2xx answer of any shape.
pub(super) fn read(status: u16, body: &[u8]) -> UpstreamError {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        Nested { error: ErrorObject },
        Sentence { error: String },
        Detail { detail: String },
        // Last, because it matches every object.
        Flat(ErrorObject),
    }
    match surrogates::from_slice::<Body>(body) {
        Ok(Body::Nested { error }) => error.into_upstream(Some(status)),
        Ok(Body::Flat(error)) if error.message.is_some() => error.into_upstream(Some(status)),
        Ok(Body::Sentence { error: message } | Body::Detail { detail: message }) => plain(status, message),
        _ => plain(status, text(status, body)),
    }
}

fn plain(status: u16, message: String) -> UpstreamError {
    UpstreamError { status, message, kind: None, code: None, param: None }
}

fn unexplained(status: u16) -> String {
    format!("the vendor answered {status} without an explanation")
}

/// Returns the readable part of a body that is no error object: a page's title, or its beginning.
fn text(status: u16, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let body = body.trim();
    if body.starts_with('<') {
        let title = body.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        return title.map(|(title, _)| title.trim()).filter(|title| !title.is_empty()).map_or_else(
            || format!("the vendor answered {status} with a web page"),
            |title| shortened(title).to_owned(),
        );
    }
    if body.is_empty() {
        return unexplained(status);
    }
    shortened(body).to_owned()
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(LONGEST_TEXT).map_or(text, |(end, _)| &text[..end])
}

/// Writes an error answer. The vendor's sentence stands alone, as Anthropic's own clients expect it.
pub(super) fn write(error: &ErrorBody) -> Value {
    json!({
        "type": "error",
        "error": {"type": anthropic_error_type(error.status), "message": error.message},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_gives_a_message() {
        for (body, message, kind) in [
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#,
                "Busy",
                Some("overloaded_error"),
            ),
            (r#"{"error":{"message":"no","type":"x","param":null,"code":1}}"#, "no", Some("x")),
            (r#"{"error":"plain"}"#, "plain", None),
            (r#"{"message":"flat"}"#, "flat", None),
            (r#"{"detail":"d"}"#, "d", None),
            (r#"{"error":{"type":"api_error"}}"#, "api_error", Some("api_error")),
            ("<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway", None),
            ("<html></html>", "the vendor answered 503 with a web page", None),
            ("", "the vendor answered 503 without an explanation", None),
            (r#"{"weird":1}"#, r#"{"weird":1}"#, None),
        ] {
            let error = read(503, body.as_bytes());
            assert_eq!((error.message.as_str(), error.kind.as_deref()), (message, kind), "{body}");
            assert_eq!(error.status, 503);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let error = read(500, "ä".repeat(2000).as_bytes());
        assert_eq!(error.message.chars().count(), LONGEST_TEXT);
    }

    #[test]
    fn clients_get_anthropics_shape_without_a_prefix() {
        let error = ErrorBody {
            status: 429,
            message: "slow down".into(),
            kind: "rate_limit_exceeded".into(),
            param: None,
            code: None,
            provider: Some("openai".into()),
        };
        assert_eq!(
            write(&error),
            json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
        );
    }
}
