//! What can go wrong: with the caller's body, and at the vendor.

use serde_json::Value;
use thiserror::Error;

/// The caller's body can't be read as its dialect, or can't be said in the vendor's.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct InvalidCall {
    /// JSON path of the member at fault, like `messages[2].content`.
    pub param: Option<String>,
    /// What is wrong and what is accepted; a sentence for the caller.
    pub message: String,
}

impl InvalidCall {
    /// Makes an error about one member.
    #[must_use]
    pub fn at(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), message: message.into() }
    }
}

/// What the vendor answered instead of an answer.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("upstream answered {status}: {message}")]
pub struct UpstreamError {
    /// HTTP status; for an error inside a stream, the status that the vendor's error type stands for.
    pub status: u16,
    /// Vendor's sentence, without any prefix of ours.
    pub message: String,
    /// Vendor's error type (`rate_limit_error`, `RESOURCE_EXHAUSTED`).
    pub kind: Option<String>,
    /// Vendor's error code.
    pub code: Option<Value>,
    /// Member of the request at fault.
    pub param: Option<Value>,
}

/// An error as a client shall see it; the downstream dialect's encoder gives it its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorBody {
    /// HTTP status of the answer (or the status it would have had, inside a stream).
    pub status: u16,
    /// A sentence for the end user.
    pub message: String,
    /// OpenAI's `type`.
    pub kind: String,
    /// OpenAI's `param`.
    pub param: Option<Value>,
    /// OpenAI's `code`.
    pub code: Option<Value>,
    /// Vendor's slug, when the error is the vendor's.
    pub provider: Option<String>,
}

/// Returns Anthropic's error type for a status (Anthropic API errors page, 2023-06-01).
#[must_use]
pub fn anthropic_error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 | 503 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}
