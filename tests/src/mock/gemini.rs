//! The dialect of Google Gemini: generateContent, its stream, embeddings, models.

use bytes::Bytes;
use serde_json::{Value, json};

use super::body::{Part, Stream};
use super::openai::vector;
use super::reply::{Asked, Finish, Reply, list_at, str_at};

/// What a call of a thinking model is signed with.
const SIGNATURE: &str = "Z2VtaW5pLXNpZ25hdHVyZQ==";

/// Google accepts both spellings of every name.
fn either<'a>(value: &'a Value, camel: &str, snake: &str) -> &'a Value {
    value.get(camel).or_else(|| value.get(snake)).unwrap_or(&Value::Null)
}

pub(super) fn asked(body: &Value, model: &str) -> Asked {
    let mut asked = Asked { model: model.to_owned(), ..Asked::default() };
    let system = text(either(body, "systemInstruction", "system_instruction"));
    asked.saw("system", &system);
    for content in list_at(body, "contents") {
        let parts = list_at(content, "parts");
        let results: Vec<String> = parts
            .iter()
            .map(|part| either(part, "functionResponse", "function_response"))
            .filter(|response| response.is_object())
            .map(|response| result_text(&response["response"]))
            .collect();
        asked.images +=
            parts.iter().filter(|part| either(part, "inlineData", "inline_data").is_object()).count();
        asked.images += parts.iter().filter(|part| either(part, "fileData", "file_data").is_object()).count();
        if results.is_empty() {
            let role = content.get("role").and_then(Value::as_str).unwrap_or("user");
            asked.saw(role, &text(content));
        }
        asked.results.extend(results);
    }
    for tool in list_at(body, "tools") {
        let functions = either(tool, "functionDeclarations", "function_declarations");
        let names =
            functions.as_array().into_iter().flatten().map(|function| str_at(function, "name").to_owned());
        asked.tools.extend(names);
    }
    let calling =
        either(either(body, "toolConfig", "tool_config"), "functionCallingConfig", "function_calling_config");
    if str_at(calling, "mode").eq_ignore_ascii_case("any") {
        let names = either(calling, "allowedFunctionNames", "allowed_function_names");
        asked.forced = Some(names[0].as_str().unwrap_or_default().to_owned());
    }
    let config = either(body, "generationConfig", "generation_config");
    asked.max_tokens = either(config, "maxOutputTokens", "max_output_tokens").as_u64();
    asked.wants_json = either(config, "responseMimeType", "response_mime_type") == "application/json";
    asked
}

fn text(content: &Value) -> String {
    let texts: Vec<&str> = list_at(content, "parts").iter().map(|part| str_at(part, "text")).collect();
    texts.join("\n").trim().to_owned()
}

/// Clients wrap a tool's result in an object of their own: the only text in it is what the tool said.
fn result_text(response: &Value) -> String {
    match response.as_object().map(|members| members.values().collect::<Vec<_>>()).as_deref() {
        Some([Value::String(only)]) => only.clone(),
        _ => response.to_string(),
    }
}

fn finish_reason(reply: &Reply) -> &'static str {
    match reply.finish {
        Finish::Stop | Finish::Tools => "STOP",
        Finish::Length => "MAX_TOKENS",
    }
}

fn usage(reply: &Reply) -> Value {
    let Some(usage) = reply.usage else { return Value::Null };
    json!({
        "promptTokenCount": usage.input,
        "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output - usage.reasoning.min(usage.output),
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.input + usage.output,
    })
}

fn chunk(reply: &Reply, parts: Vec<Value>, last: bool) -> Value {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
    if last {
        candidate["finishReason"] = finish_reason(reply).into();
    }
    let mut chunk = json!({
        "candidates": [candidate],
        "modelVersion": reply.model,
        "responseId": reply.id(""),
    });
    if last && reply.usage.is_some() {
        chunk["usageMetadata"] = usage(reply);
    }
    chunk
}

fn calls(reply: &Reply) -> Vec<Value> {
    let parts = reply.calls.iter().map(|call| {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        let mut part = json!({ "functionCall": { "name": call.name, "args": arguments } });
        if !reply.thoughts.is_empty() {
            part["thoughtSignature"] = SIGNATURE.into();
        }
        part
    });
    parts.collect()
}

fn thoughts(reply: &Reply) -> Vec<Value> {
    reply.thoughts.iter().map(|thought| json!({ "text": thought, "thought": true })).collect()
}

pub(super) fn content(reply: &Reply) -> Value {
    let mut parts = thoughts(reply);
    let text = reply.text();
    if !text.is_empty() {
        parts.push(json!({ "text": text }));
    }
    parts.extend(calls(reply));
    chunk(reply, parts, true)
}

pub(super) fn content_stream(reply: &Reply, as_sse: bool) -> Stream {
    let head: Vec<Value> = thoughts(reply).into_iter().map(|part| chunk(reply, vec![part], false)).collect();
    let envelope = reply.clone();
    let pieces = reply.pieces().map(move |text| chunk(&envelope, vec![json!({ "text": text })], false));
    let tail =
        chunk(reply, if reply.calls.is_empty() { vec![json!({ "text": "" })] } else { calls(reply) }, true);
    let chunks = head.into_iter().chain(pieces).chain([tail]);
    let error = error_body(503, "the scripted upstream failed in the middle");
    if as_sse {
        let parts = chunks.map(|chunk| Part::content(format!("data: {chunk}\r\n\r\n")));
        return Stream { parts: Box::new(parts), error: Bytes::from(format!("data: {error}\r\n\r\n")) };
    }
    let parts = chunks.enumerate().map(|(index, chunk)| {
        let before = if index == 0 { "[" } else { ",\r\n" };
        Part::content(format!("{before}{chunk}"))
    });
    let parts = parts.chain([Part::frame("]".to_owned())]);
    Stream { parts: Box::new(parts), error: Bytes::from(format!(",\r\n{error}]")) }
}

pub(super) fn embedding(body: &Value) -> Value {
    let dimensions = either(body, "outputDimensionality", "output_dimensionality").as_u64().unwrap_or(8);
    json!({ "values": vector(&text(&body["content"]), dimensions as usize) })
}

pub(super) fn embeddings(body: &Value) -> Value {
    let all: Vec<Value> = list_at(body, "requests").iter().map(embedding).collect();
    json!({ "embeddings": all })
}

pub(super) fn models() -> Value {
    let models = ["gemini-2.0-flash", "gemini-2.5-flash"].map(|id| {
        json!({
            "name": format!("models/{id}"),
            "displayName": id,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 8192,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        })
    });
    json!({ "models": models })
}

pub(super) fn error_body(status: u16, message: &str) -> Value {
    let name = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    json!({ "error": { "code": status, "message": message, "status": name } })
}
