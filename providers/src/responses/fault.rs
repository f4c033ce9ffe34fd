//! Errors: as a whole answer, and as the event that ends a stream.
//!
//! The stream's event says everything twice. OpenAI's event type has `code`, `message` and `param` at its top;
//! the official SDKs, however, raise only when an `error` object is there, and hand a bare event to the
//! application as one more event. With both, typed readers and SDKs see the failure.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{ErrorBody, UpstreamError};

/// The `error` object of OpenAI's error answers.
#[derive(Serialize)]
pub(super) struct ErrorObject<'a> {
    message: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a Value>,
    code: Option<&'a Value>,
}

/// The `error` event.
#[derive(Serialize)]
pub(super) struct ErrorFrame<'a> {
    #[serde(rename = "type")]
    event: &'static str,
    sequence_number: u64,
    code: Cow<'a, str>,
    message: &'a str,
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    error: &'a ErrorObject<'a>,
}

impl<'a> ErrorObject<'a> {
    pub(super) fn of_gateway(error: &'a ErrorBody) -> Self {
        Self {
            message: with_provider(error.provider.as_deref().unwrap_or_default(), &error.message),
            kind: &error.kind,
            param: error.param.as_ref(),
            code: error.code.as_ref(),
        }
    }

    pub(super) fn of_vendor(error: &'a UpstreamError, provider: &str) -> Self {
        Self {
            message: with_provider(provider, &error.message),
            kind: error.kind.as_deref().unwrap_or_else(|| type_of(error.status)),
            param: error.param.as_ref(),
            code: error.code.as_ref(),
        }
    }

    /// Makes the event that ends a stream. Its `code` must be a string, so it falls back to the error's type.
    pub(super) fn frame(&'a self, sequence_number: u64, provider: Option<&'a str>) -> ErrorFrame<'a> {
        let code = match self.code {
            Some(Value::String(code)) => Cow::Borrowed(code.as_str()),
            Some(Value::Null) | None => Cow::Borrowed(self.kind),
            Some(other) => Cow::Owned(other.to_string()),
        };
        ErrorFrame {
            event: "error",
            sequence_number,
            code,
            message: &self.message,
            param: self.param.and_then(Value::as_str),
            provider,
            error: self,
        }
    }
}

/// Writes an error answer.
pub(super) fn error_answer(error: &ErrorBody) -> Value {
    let mut answer = json!({ "error": ErrorObject::of_gateway(error) });
    if let Some(provider) = &error.provider {
        answer["provider"] = json!(provider);
    }
    answer
}

fn with_provider<'a>(provider: &str, message: &'a str) -> Cow<'a, str> {
    if provider.is_empty() {
        Cow::Borrowed(message)
    } else {
        Cow::Owned(format!("{provider} error: {message}"))
    }
}

/// OpenAI's error type for vendors that name none.
fn type_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(provider: Option<&str>) -> ErrorBody {
        ErrorBody {
            status: 429,
            message: "slow down".into(),
            kind: "rate_limit_error".into(),
            param: None,
            code: Some(json!(1302)),
            provider: provider.map(str::to_owned),
        }
    }

    #[test]
    fn a_vendors_error_names_the_vendor() {
        let wanted = json!({
            "error": {"message": "groq error: slow down", "type": "rate_limit_error", "param": null, "code": 1302},
            "provider": "groq",
        });
        assert_eq!(error_answer(&body(Some("groq"))), wanted);
    }

    #[test]
    fn the_gateways_own_error_names_nobody() {
        let answer = error_answer(&body(None));
        assert_eq!(answer["error"]["message"], "slow down");
        assert!(answer.get("provider").is_none());
    }

    #[test]
    fn the_event_says_code_and_message_at_both_places() {
        let error = body(None);
        let object = ErrorObject::of_gateway(&error);
        let frame = serde_json::to_value(object.frame(4, None)).unwrap();
        assert_eq!(frame["type"], "error");
        assert_eq!(frame["sequence_number"], 4);
        assert_eq!(frame["code"], "1302");
        assert_eq!(frame["message"], frame["error"]["message"]);
    }
}
