//! Errors: every vendor's shape → [`UpstreamError`], and [`ErrorBody`] → OpenAI's shape.

use serde_json::{Value, json};

use super::json::count;
use crate::error::{ErrorBody, UpstreamError};
use crate::surrogates;

/// Longest message taken from a body that is no JSON; error pages run to many kilobytes.
const LONGEST_TEXT: usize = 500;

/// Status of an answer that can't be read.
pub(super) const BAD_GATEWAY: u16 = 502;

pub(crate) fn bad_gateway(message: impl Into<String>) -> UpstreamError {
    UpstreamError { status: BAD_GATEWAY, message: message.into(), kind: None, code: None, param: None }
}

pub(crate) fn error_from_body(status: u16, body: &[u8]) -> UpstreamError {
    if let Ok(value) = surrogates::from_slice::<Value>(body) {
        return error_from_value(status, &value);
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let message = match text {
        "" => without_body(status),
        page if page.starts_with('<') => {
            page_title(page).map_or_else(|| format!("the vendor answered {status} with a web page"), shorten)
        }
        sentence => shorten(sentence),
    };
    UpstreamError { status, ..bad_gateway(message) }
}

fn without_body(status: u16) -> String {
    format!("upstream answered {status} without a body")
}

/// Reads an error document, whatever its shape.
pub(super) fn error_from_value(status: u16, value: &Value) -> UpstreamError {
    let value = unwrapped(value);
    let inner = match value.get("error") {
        Some(inner @ (Value::Object(_) | Value::String(_))) => inner,
        _ => value,
    };
    let member = |name: &str| {
        let found = inner.get(name).or_else(|| value.get(name));
        found.filter(|found| !found.is_null())
    };
    let message = message_from(inner)
        .or_else(|| message_from(value))
        .unwrap_or_else(|| if value.is_null() { without_body(status) } else { shorten(&value.to_string()) });
    let kind = member("type").or_else(|| member("status")).and_then(Value::as_str);
    UpstreamError {
        status,
        message,
        kind: kind.map(str::to_owned),
        code: member("code").cloned(),
        param: member("param").cloned(),
    }
}

/// Google's OpenAI endpoint wraps its error in an array.
fn unwrapped(value: &Value) -> &Value {
    match value {
        Value::Array(list) => list.first().unwrap_or(&Value::Null),
        other => other,
    }
}

/// Reads the error that a stream or a 200 body carries; its status is guessed from code and type.
pub(crate) fn error_inside_answer(value: &Value) -> UpstreamError {
    let mut error = error_from_value(BAD_GATEWAY, value);
    let value = unwrapped(value);
    let inner = value.get("error").unwrap_or(value);
    let declared = ["code", "status", "status_code"].iter().find_map(|name| {
        let declared = inner.get(*name).or_else(|| value.get(*name))?;
        let number = count(declared).or_else(|| declared.as_str()?.parse().ok())?;
        u16::try_from(number).ok().filter(|status| (400..600).contains(status))
    });
    let named = || {
        let code = error.code.as_ref().and_then(Value::as_str);
        [code, error.kind.as_deref()].into_iter().flatten().find_map(status_from_name)
    };
    if let Some(status) = declared.or_else(named) {
        error.status = status;
    }
    error
}

fn status_from_name(name: &str) -> Option<u16> {
    Some(match name {
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "requests"
        | "tokens"
        | "insufficient_quota"
        | "RESOURCE_EXHAUSTED" => 429,
        "invalid_request_error"
        | "invalid_request"
        | "context_length_exceeded"
        | "INVALID_ARGUMENT"
        | "BadRequestError" => 400,
        "authentication_error" | "invalid_api_key" | "UNAUTHENTICATED" => 401,
        "permission_error" | "PERMISSION_DENIED" => 403,
        "not_found_error" | "model_not_found" | "NOT_FOUND" => 404,
        "server_error" | "api_error" | "internal_server_error" | "INTERNAL" => 500,
        "overloaded_error" | "service_unavailable" | "UNAVAILABLE" => 503,
        "timeout" | "timeout_error" | "DEADLINE_EXCEEDED" => 504,
        _ => return None,
    })
}

fn message_from(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(entry_message).collect::<Vec<_>>().join("; "),
        Value::Object(object) => {
            let names =
                ["message", "detail", "error", "errors", "msg", "title", "error_message", "description"];
            return names.iter().find_map(|name| message_from(object.get(*name)?));
        }
        _ => return None,
    };
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Reads one entry of a list of faults: FastAPI's `{"loc":["body","n"],"msg":"…"}`, or any message.
fn entry_message(entry: &Value) -> Option<String> {
    let message = message_from(entry)?;
    let Some(Value::Array(location)) = entry.get("loc") else { return Some(message) };
    let steps: Vec<String> = location.iter().map(super::json::json_text).collect();
    Some(format!("{}: {message}", steps.join(".")))
}

/// Returns the title of an HTML page: what a proxy has to say stands there.
fn page_title(text: &str) -> Option<&str> {
    let from = text.find("<title>")? + "<title>".len();
    let title = text[from..].split('<').next()?.trim();
    (!title.is_empty()).then_some(title)
}

pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Writes an error answer: OpenAI's shape, and for an error of the vendor Portkey's prefix and `provider`.
pub(super) fn error_to_openai(error: &ErrorBody) -> Value {
    let message = match &error.provider {
        Some(provider) => format!("{provider} error: {}", error.message),
        None => error.message.clone(),
    };
    let mut body = json!({
        "error": {"message": message, "type": error.kind, "param": error.param, "code": error.code}
    });
    if let Some(provider) = &error.provider {
        body["provider"] = provider.as_str().into();
    }
    body
}

/// Writes the error of a broken stream.
pub(super) fn upstream_error_to_openai(error: &UpstreamError) -> Value {
    let kind = error.kind.as_deref().unwrap_or("upstream_error");
    json!({"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message_of(body: &str) -> String {
        error_from_body(422, body.as_bytes()).message
    }

    #[test]
    fn every_known_shape_gives_its_message() {
        for body in [
            r#"{"error":{"message":"bad key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            r#"{"error":"bad key"}"#,
            r#"{"message":"bad key"}"#,
            r#"{"detail":"bad key"}"#,
            r#"{"detail":{"message":"bad key"}}"#,
            r#"{"detail":[{"msg":"bad key"}]}"#,
            r#"[{"error":{"code":400,"message":"bad key","status":"INVALID_ARGUMENT"}}]"#,
            r#"{"errors":[{"code":1000,"message":"bad key"}],"success":false}"#,
            r#"{"object":"error","message":"bad key","type":"invalid_request","param":null,"code":"1"}"#,
            r#"{"error":{"error":{"message":"bad key"}}}"#,
            "bad key\n",
            "<html><head><title>bad key</title></head><body>…</body></html>",
        ] {
            assert_eq!(message_of(body), "bad key", "{body}");
        }
    }

    #[test]
    fn faults_of_members_name_the_member() {
        let body = r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","user"],
            "msg":"Extra inputs are not permitted"}]}}"#;
        assert_eq!(message_of(body), "body.user: Extra inputs are not permitted");
    }

    #[test]
    fn an_empty_body_is_said_to_be_empty() {
        assert_eq!(message_of(""), "upstream answered 422 without a body");
        assert_eq!(message_of("null"), "upstream answered 422 without a body");
    }

    #[test]
    fn type_code_and_param_are_kept() {
        let error = error_from_body(401, br#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#);
        assert_eq!(error.kind.as_deref(), Some("t"));
        assert_eq!((error.param, error.code), (Some("p".into()), Some("c".into())));
    }

    #[test]
    fn an_error_inside_an_answer_gets_the_status_it_stands_for() {
        for (body, status) in [
            (json!({"error": {"message": "m", "code": 429}}), 429),
            (json!({"error": {"message": "m", "code": "503"}}), 503),
            (json!({"error": {"message": "m", "type": "overloaded_error"}}), 503),
            (json!({"error": {"message": "m", "code": "rate_limit_exceeded"}}), 429),
            (json!({"error": "m"}), 502),
            (json!({"error": {"message": "m", "code": 7}}), 502),
        ] {
            assert_eq!(error_inside_answer(&body).status, status, "{body}");
        }
    }

    #[test]
    fn an_error_of_the_vendor_carries_its_name() {
        let mut error = ErrorBody {
            status: 429,
            message: "rate".into(),
            kind: "tokens".into(),
            param: None,
            code: Some("rate_limit_exceeded".into()),
            provider: Some("groq".into()),
        };
        let wanted = json!({
            "error": {"message": "groq error: rate", "type": "tokens", "param": null, "code": "rate_limit_exceeded"},
            "provider": "groq"
        });
        assert_eq!(error_to_openai(&error), wanted);
        error.provider = None;
        assert_eq!(error_to_openai(&error)["error"]["message"], "rate");
        assert_eq!(error_to_openai(&error).get("provider"), None);
    }
}
