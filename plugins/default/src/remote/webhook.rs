//! `webhook` and `log`: somebody else judges, or is told.

use serde_json::{Map, Value, json};
use tidegate_plugin_sdk::http::{self, HttpRequest, HttpResponse};
use tidegate_plugin_sdk::{CheckError, Hook, Judgement, Message, Params, Subject, Verdict};

use crate::judged::{Judged, reason, with};
use crate::request::kind;
use crate::text::seen::Seen;

pub(crate) const WEBHOOK_SCHEMA: &str = r#"{"type": "object", "required": ["webhookURL"], "properties": {
    "webhookURL": {"type": "string", "format": "uri"},
    "headers": {"type": ["object", "string"], "description": "An object, or one as JSON text"},
    "timeout": {"type": "integer", "default": 3000, "description": "Milliseconds"},
    "forwardHeaders": {"type": "array", "items": {"type": "string"},
        "description": "Headers of the client that go along, where the plugin is granted them"},
    "failOnError": {"type": "boolean", "default": false}
}}"#;

pub(crate) const LOG_SCHEMA: &str = r#"{"type": "object", "required": ["logURL"], "properties": {
    "logURL": {"type": "string", "format": "uri"},
    "headers": {"type": ["object", "string"], "description": "An object, or one as JSON text"},
    "timeout": {"type": "integer", "default": 3000, "description": "Milliseconds"}
}}"#;

const TIMEOUT_MS: u32 = 3_000;

fn timeout(params: &Params) -> u32 {
    let given = params.get("timeout").and_then(Value::as_u64).and_then(|given| u32::try_from(given).ok());
    given.filter(|given| *given > 0).unwrap_or(TIMEOUT_MS)
}

/// Returns the headers of the parameters.
fn headers(params: &Params) -> Option<Vec<(String, String)>> {
    let members: Map<String, Value> = match params.get("headers") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(members)) => members.clone(),
        Some(Value::String(text)) if text.trim().is_empty() => Map::new(),
        Some(Value::String(text)) => serde_json::from_str(text).ok()?,
        Some(_) => return None,
    };
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(members.into_iter().map(|(name, value)| (name, text(value))).collect())
}

fn message_json(message: &Message) -> Value {
    let parts = message.parts_json.as_deref().and_then(|parts| serde_json::from_str::<Value>(parts).ok());
    let calls: Value = message
        .tool_calls
        .iter()
        .map(|call| {
            let function = json!({ "name": call.name, "arguments": call.arguments_json });
            json!({ "id": call.id, "type": "function", "function": function })
        })
        .collect();
    let data = json!({ "role": message.role, "content": message.text });
    let data = with(data, "parts", parts);
    let data = with(data, "tool_calls", (!message.tool_calls.is_empty()).then_some(calls));
    with(data, "tool_call_id", message.tool_call_id.as_deref().map(Value::from))
}

/// Returns the request as far as it was granted: its body, or what can be said of it without.
fn request_json(subject: &Subject) -> Value {
    let body = subject.body_json.as_deref().filter(|_| subject.hook == Hook::Input);
    if let Some(body) = body.and_then(|body| serde_json::from_str(body).ok()) {
        return body;
    }
    let params = subject.call.params_json.as_deref().and_then(|params| serde_json::from_str(params).ok());
    let mut request: Map<String, Value> = params.unwrap_or_default();
    request.insert("model".to_owned(), subject.call.model.as_str().into());
    request.insert("stream".to_owned(), subject.call.stream.into());
    if !subject.call.messages.is_empty() {
        request.insert("messages".to_owned(), subject.call.messages.iter().map(message_json).collect());
    }
    request.into()
}

/// Returns Portkey's context of a hook.
fn context(subject: &Subject) -> Value {
    let is_input = subject.hook == Hook::Input;
    let text = Seen::Last.text(subject);
    let body = subject.body_json.as_deref().filter(|_| !is_input);
    let answer = body.and_then(|body| serde_json::from_str::<Value>(body).ok());
    let metadata: Map<String, Value> =
        subject.call.metadata.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    json!({
        "request": {
            "json": request_json(subject), "text": if is_input { &*text } else { "" },
            "isStreamingRequest": subject.call.stream, "isTransformed": false,
        },
        "response": {
            "json": answer, "text": if is_input { "" } else { &*text },
            "statusCode": if is_input { None } else { Some(200) }, "isTransformed": false,
        },
        "provider": subject.call.provider,
        "requestType": kind::of(&subject.call.endpoint),
        "metadata": metadata,
    })
}

fn post(params: &Params, url: &str, body: &Value) -> Result<HttpResponse, CheckError> {
    let headers = headers(params)
        .ok_or_else(|| CheckError::new("Error", "Failed to parse headers: Invalid headers format"))?;
    let mut request = HttpRequest::new("POST", url).json(body).timeout_ms(timeout(params));
    // What the check says replaces what is usual.
    request.headers.retain(|(name, _)| !headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
    request.headers.extend(headers);
    http::send(&request)
}

fn refused(answer: &HttpResponse) -> Option<CheckError> {
    let message = format!("HTTP error! status: {}", answer.status);
    (!answer.is_success()).then(|| CheckError::new("HttpError", message))
}

pub(crate) fn webhook(params: &Params, subject: &Subject) -> Judged {
    let url = params.text("webhookURL").unwrap_or_default();
    let waited = json!({ "timeout": timeout(params) });
    let failed = |error: CheckError, response: Option<Value>| {
        let data = json!({
            "explanation": format!("Webhook error: {}", error.message),
            "webhookUrl": if url.is_empty() { "No URL provided" } else { url },
            "requestContext": waited,
        });
        error.with_data(&with(data, "responseData", response))
    };
    if url.is_empty() {
        return Err(failed(CheckError::new("Error", "Missing webhook URL"), None));
    }
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(failed(CheckError::new("Error", "Invalid webhook URL format"), None));
    }
    let is_input = subject.hook == Hook::Input;
    let mut body = context(subject);
    let event = if is_input { "beforeRequestHook" } else { "afterRequestHook" };
    body = with(body, "eventType", Some(event.into()));
    let forwarded = params.get("forwardHeaders").and_then(Value::as_array).into_iter().flatten();
    let forwarded: Map<String, Value> = forwarded
        .filter_map(Value::as_str)
        .filter_map(|name| Some((name.to_owned(), subject.call.header(name)?.into())))
        .collect();
    if let (false, Some(request)) =
        (forwarded.is_empty(), body.get_mut("request").and_then(Value::as_object_mut))
    {
        request.insert("headers".to_owned(), forwarded.into());
    }
    let answer = post(params, url, &body).map_err(|error| failed(error, None))?;
    if let Some(error) = refused(&answer) {
        let is_json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        return Err(failed(error, answer.json().ok().filter(|_| is_json)));
    }
    let answer = answer.json().map_err(|error| failed(error, None))?;
    let Some(verdict) = answer.get("verdict").and_then(Value::as_bool) else {
        return Err(failed(CheckError::new("Error", "The webhook gave no verdict"), None));
    };
    let pointer = if is_input { "/transformedData/request/json" } else { "/transformedData/response/json" };
    let rewritten = answer.pointer(pointer).filter(|body| body.is_object());
    let explanation = if verdict { "Webhook request succeeded" } else { "Webhook request failed" };
    let data = json!({ "verdict": verdict, "explanation": explanation, "webhookUrl": url });
    let data = with(data, "responseData", answer.get("data").cloned());
    let data = with(data, "requestContext", Some(waited.clone()));
    let verdict = match (verdict, rewritten) {
        (true, None) => Verdict::Pass,
        (true, Some(body)) => Verdict::Rewrite(body.to_string()),
        (false, _) => Verdict::Fail(reason("webhook", &data)),
    };
    Ok(Judgement::from(verdict).with_data(&data))
}

pub(crate) fn log(params: &Params, subject: &Subject) -> Judged {
    let url = params.text("logURL").unwrap_or_default();
    let answer = post(params, url, &context(subject))?;
    if let Some(error) = refused(&answer) {
        return Err(error);
    }
    Ok(Judgement::pass().with_data(&json!({ "message": format!("Logged the request to {url}") })))
}
