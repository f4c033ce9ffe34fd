//! Reads a request of the Messages wire into the canonical call.

use serde_json::{Map, Value};

use super::content_read::{Path, content, present, required_str};
use super::tools;
use crate::call::{ChatCall, Message, Part, ReasoningRequest, ResponseFormat, Role};
use crate::error::InvalidCall;

/// Members that have a place of their own in [`ChatCall`]; all others go to `extra`.
const KNOWN: [&str; 16] = [
    "model",
    "messages",
    "system",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "service_tier",
    "stream",
];

/// Reads a whole body.
pub(super) fn call(body: &Value) -> Result<ChatCall, InvalidCall> {
    let Some(body) = body.as_object() else {
        return Err(InvalidCall { param: None, message: "the body must be a JSON object".to_owned() });
    };
    let Some(model) = present(body, "model").and_then(Value::as_str) else {
        return Err(InvalidCall::at("model", "`model` must be a string"));
    };
    let mut call = ChatCall {
        model: model.to_owned(),
        max_tokens: Some(max_tokens(body)?),
        temperature: number(body, "temperature")?,
        top_p: number(body, "top_p")?,
        top_k: typed(body, "top_k", "a whole number", Value::as_u64)?,
        stop: stop_sequences(body)?,
        stream: typed(body, "stream", "true or false", Value::as_bool)?.unwrap_or(false),
        service_tier: present(body, "service_tier").and_then(Value::as_str).map(str::to_owned),
        ..ChatCall::default()
    };
    system(body, &mut call)?;
    messages(body, &mut call)?;
    tools::read(body, &mut call)?;
    output(body, &mut call)?;
    metadata(body, &mut call)?;
    for (name, value) in body {
        if !KNOWN.contains(&name.as_str()) && !value.is_null() {
            call.extra.insert(name.clone(), value.clone());
        }
    }
    Ok(call)
}

fn typed<'a, T>(
    body: &'a Map<String, Value>,
    name: &str,
    wanted: &str,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, InvalidCall> {
    match present(body, name) {
        None => Ok(None),
        Some(value) => match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(InvalidCall::at(name, format!("`{name}` must be {wanted}"))),
        },
    }
}

fn number(body: &Map<String, Value>, name: &str) -> Result<Option<f64>, InvalidCall> {
    typed(body, name, "a number", Value::as_f64)
}

fn max_tokens(body: &Map<String, Value>) -> Result<u64, InvalidCall> {
    typed(body, "max_tokens", "a whole number", Value::as_u64)?.ok_or_else(|| {
        InvalidCall::at("max_tokens", "`max_tokens` is required: the most tokens that the answer may have")
    })
}

fn stop_sequences(body: &Map<String, Value>) -> Result<Vec<String>, InvalidCall> {
    let Some(list) = typed(body, "stop_sequences", "a list of strings", Value::as_array)? else {
        return Ok(Vec::new());
    };
    let path = Path::Root("stop_sequences");
    list.iter()
        .enumerate()
        .map(|(at, value)| {
            let text =
                value.as_str().ok_or_else(|| path.index(at).invalid("a stop sequence must be a string"));
            text.map(str::to_owned)
        })
        .collect()
}

fn system(body: &Map<String, Value>, call: &mut ChatCall) -> Result<(), InvalidCall> {
    let Some(value) = present(body, "system") else { return Ok(()) };
    let mut parts = Vec::new();
    content(value, &Path::Root("system"), &mut parts)?;
    // An empty prompt says nothing here, but would be an empty message elsewhere.
    parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
    if !parts.is_empty() {
        call.messages.push(Message { role: Role::System, name: None, parts });
    }
    Ok(())
}

fn messages(body: &Map<String, Value>, call: &mut ChatCall) -> Result<(), InvalidCall> {
    let Some(list) = present(body, "messages").and_then(Value::as_array) else {
        return Err(InvalidCall::at("messages", "`messages` must be a list of messages"));
    };
    if list.is_empty() {
        return Err(InvalidCall::at("messages", "`messages` must have at least one message"));
    }
    call.messages.reserve(list.len());
    let path = Path::Root("messages");
    for (at, value) in list.iter().enumerate() {
        message(value, &path.index(at), call)?;
    }
    Ok(())
}

fn message(value: &Value, path: &Path<'_>, call: &mut ChatCall) -> Result<(), InvalidCall> {
    let Some(message) = value.as_object() else {
        return Err(path.invalid("a message must be an object"));
    };
    let role = match required_str(message, "role", path)? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        // Instructions in the middle of a conversation stay where they are.
        "system" => Role::System,
        other => {
            let message = format!("unknown role `{other}`; accepted are `user`, `assistant` and `system`");
            return Err(path.member("role").invalid(message));
        }
    };
    let mut parts = Vec::new();
    content(message.get("content").unwrap_or(&Value::Null), &path.member("content"), &mut parts)?;
    if role == Role::User && parts.iter().any(|part| matches!(part, Part::ToolResult { .. })) {
        // Results come first and one by one, whatever surrounds them: OpenAI's wire wants each in a message of
        // its own right behind the call.
        let (results, rest) = parts.into_iter().partition(|part| matches!(part, Part::ToolResult { .. }));
        let results: Vec<Part> = results;
        let one_each =
            results.into_iter().map(|part| Message { role: Role::Tool, name: None, parts: vec![part] });
        call.messages.extend(one_each);
        parts = rest;
    }
    // Nothing is left of a message whose blocks were all skipped.
    if !parts.is_empty() {
        call.messages.push(Message { role, name: None, parts });
    }
    Ok(())
}

fn output(body: &Map<String, Value>, call: &mut ChatCall) -> Result<(), InvalidCall> {
    let config = typed(body, "output_config", "an object", Value::as_object)?;
    // `output_format` was the name while structured outputs were in beta.
    let format =
        config.and_then(|config| present(config, "format")).or_else(|| present(body, "output_format"));
    if let Some(format) = format {
        call.response_format = Some(response_format(format)?);
    }
    let mut reasoning = ReasoningRequest::default();
    if let Some(effort) = config.and_then(|config| present(config, "effort")).and_then(Value::as_str) {
        // The canonical words are OpenAI's, whose top is `xhigh`.
        reasoning.effort = Some(if effort == "max" { "xhigh" } else { effort }.to_owned());
    }
    if let Some(thinking) = typed(body, "thinking", "an object", Value::as_object)? {
        let kind = required_str(thinking, "type", &Path::Root("thinking"))?;
        reasoning.budget_tokens = present(thinking, "budget_tokens").and_then(Value::as_u64);
        if kind == "enabled" && reasoning.budget_tokens.is_none() {
            let message = "`budget_tokens` must be a whole number when thinking is enabled";
            return Err(InvalidCall::at("thinking.budget_tokens", message));
        }
        if kind == "disabled" {
            reasoning.effort = Some("none".to_owned());
        }
        reasoning.include_thoughts = match present(thinking, "display").and_then(Value::as_str) {
            Some("omitted") => Some(false),
            Some("summarized") => Some(true),
            _ => None,
        };
        reasoning.raw = Some(Value::Object(thinking.clone()));
    }
    if reasoning != ReasoningRequest::default() {
        call.reasoning = Some(reasoning);
    }
    Ok(())
}

fn response_format(format: &Value) -> Result<ResponseFormat, InvalidCall> {
    let path = Path::Root("output_config.format");
    let Some(object) = format.as_object() else { return Err(path.invalid("`format` must be an object")) };
    match required_str(object, "type", &path)? {
        "json_schema" => Ok(ResponseFormat::JsonSchema {
            // The wire has no name, OpenAI's insists on one.
            name: "response".to_owned(),
            description: None,
            schema: present(object, "schema")
                .cloned()
                .ok_or_else(|| path.member("schema").invalid("`schema` must be a JSON Schema"))?,
            strict: Some(true),
        }),
        other => {
            Err(path.member("type").invalid(format!("unknown format `{other}`; accepted is `json_schema`")))
        }
    }
}

fn metadata(body: &Map<String, Value>, call: &mut ChatCall) -> Result<(), InvalidCall> {
    let Some(metadata) = typed(body, "metadata", "an object", Value::as_object)? else { return Ok(()) };
    call.user = present(metadata, "user_id").and_then(Value::as_str).map(str::to_owned);
    let mut rest = metadata.clone();
    rest.shift_remove("user_id");
    call.metadata = Some(rest).filter(|rest| !rest.is_empty());
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::{Tool, ToolChoice};

    fn minimal(more: Value) -> Value {
        let mut body =
            json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    fn param(more: Value) -> String {
        call(&minimal(more)).unwrap_err().param.unwrap()
    }

    #[test]
    fn a_full_request_is_read() {
        let call = call(&minimal(json!({
            "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}],
            "stop_sequences": ["A"], "temperature": 0.5, "top_p": 0.9, "top_k": 3, "stream": true,
            "metadata": {"user_id": "u"}, "service_tier": "auto", "container": "c",
            "tools": [
                {"name": "f", "description": "d", "input_schema": {"type": "object"}},
                {"type": "web_search_20250305", "name": "web_search"},
            ],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "thinking": {"type": "enabled", "budget_tokens": 2048},
            "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        })))
        .unwrap();
        let system = &call.messages[0];
        assert_eq!(system.role, Role::System);
        assert!(matches!(&system.parts[0], Part::Text { cache_control: Some(_), .. }));
        assert_eq!(call.stop, ["A"]);
        assert_eq!(
            (call.temperature, call.top_p, call.top_k, call.stream),
            (Some(0.5), Some(0.9), Some(3), true)
        );
        assert_eq!(call.user.as_deref(), Some("u"));
        assert_eq!(call.metadata, None);
        assert_eq!(call.extra.keys().collect::<Vec<_>>(), ["container"]);
        assert!(matches!(&call.tools[0], Tool::Function { name, .. } if name == "f"));
        assert!(matches!(&call.tools[1], Tool::Vendor(_)));
        assert_eq!(call.tool_choice, Some(ToolChoice::Required));
        assert_eq!(call.parallel_tool_calls, Some(false));
        let reasoning = call.reasoning.unwrap();
        assert_eq!(reasoning.effort.as_deref(), Some("xhigh"));
        assert_eq!(reasoning.budget_tokens, Some(2048));
        assert!(reasoning.raw.is_some());
        assert!(matches!(call.response_format, Some(ResponseFormat::JsonSchema { .. })));
    }

    #[test]
    fn tool_results_come_before_the_words_around_them() {
        let call = call(&minimal(json!({"messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "and"},
                {"type": "tool_result", "tool_use_id": "t", "content": "31C"},
                {"type": "tool_result", "tool_use_id": "u", "is_error": true,
                 "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]},
            ]},
        ]})))
        .unwrap();
        let roles: Vec<Role> = call.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool, Role::User]);
        assert!(
            matches!(&call.messages[1].parts[0], Part::ToolCall { arguments, .. } if arguments == r#"{"a":1}"#)
        );
        assert!(matches!(&call.messages[3].parts[0], Part::ToolResult { is_error: true, content, .. }
            if matches!(content[0], Part::Image { .. })));
    }

    #[test]
    fn errors_name_the_member() {
        let missing = call(&json!({"model": "m", "messages": []})).unwrap_err();
        assert_eq!(missing.param.as_deref(), Some("max_tokens"));
        assert_eq!(param(json!({"messages": "Hi"})), "messages");
        assert_eq!(
            param(json!({"messages": [{"role": "user", "content": "a"}, {"role": "user"}]})),
            "messages[1].content"
        );
        assert_eq!(param(json!({"messages": [{"role": "tool", "content": "a"}]})), "messages[0].role");
        assert_eq!(param(json!({"stop_sequences": ["a", 1]})), "stop_sequences[1]");
        assert_eq!(param(json!({"temperature": "hot"})), "temperature");
        assert_eq!(param(json!({"tools": [{"input_schema": {}}]})), "tools[0].name");
        assert_eq!(param(json!({"tool_choice": {"type": "maybe"}})), "tool_choice.type");
        assert_eq!(param(json!({"thinking": {"type": "enabled"}})), "thinking.budget_tokens");
        assert!(call(&json!([])).is_err());
    }

    #[test]
    fn disabled_thinking_is_no_effort() {
        let call = call(&minimal(json!({"thinking": {"type": "disabled"}}))).unwrap();
        assert_eq!(call.reasoning.unwrap().effort.as_deref(), Some("none"));
    }
}
