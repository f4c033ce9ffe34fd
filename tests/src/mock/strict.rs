//! What vendors refuse, and a gateway must therefore not send.

use serde_json::Value;

use super::reply::{list_at, str_at};

/// A refusal: status and message.
pub(super) type Refusal = (u16, String);

fn bad(message: impl Into<String>) -> Result<(), Refusal> {
    Err((400, message.into()))
}

/// Refuses a model that no vendor has.
pub(super) fn model(model: &str) -> Result<(), Refusal> {
    if model.is_empty() {
        return bad("you must provide a model parameter");
    }
    if model.starts_with('@') || model.starts_with("missing") {
        return Err((404, format!("The model `{model}` does not exist or you do not have access to it.")));
    }
    Ok(())
}

/// Refuses what OpenAI refuses in a chat.
pub(super) fn chat(body: &Value) -> Result<(), Refusal> {
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return bad("Missing required parameter: 'messages'.");
    };
    let name = str_at(body, "model");
    if name.starts_with("gpt-5") || name.starts_with("o3") || name.starts_with("o4") {
        if body.get("max_tokens").is_some() {
            return bad("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.");
        }
        if body["temperature"].as_f64().is_some_and(|temperature| temperature != 1.0) {
            return bad("Unsupported value: 'temperature' does not support this value with this model.");
        }
    }
    if body.get("stream_options").is_some() && body["stream"] != true {
        return bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    }
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        match str_at(message, "role") {
            "assistant" => {
                open = list_at(message, "tool_calls").iter().map(|call| str_at(call, "id")).collect()
            }
            "tool" => {
                let id = str_at(message, "tool_call_id");
                let Some(at) = open.iter().position(|known| *known == id) else {
                    return bad(
                        "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                    );
                };
                open.remove(at);
            }
            _ if !open.is_empty() => {
                return bad("An assistant message with 'tool_calls' must be followed by tool messages.");
            }
            _ => {}
        }
    }
    Ok(())
}

const ANTHROPIC_MEMBERS: [&str; 21] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "metadata",
    "service_tier",
    "container",
    "mcp_servers",
    "context_management",
    "output_config",
    "output_format",
    "cache_control",
    "mock",
];

/// Refuses what Anthropic refuses.
pub(super) fn messages(body: &Value, counting: bool) -> Result<(), Refusal> {
    for name in body.as_object().into_iter().flat_map(|members| members.keys()) {
        if !ANTHROPIC_MEMBERS.contains(&name.as_str()) {
            return bad(format!("{name}: Extra inputs are not permitted"));
        }
    }
    if !counting && body["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return bad("max_tokens: Field required");
    }
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return bad("messages: Field required");
    };
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let blocks = list_at(message, "content");
        let of = |kind: &'static str| blocks.iter().filter(move |block| str_at(block, "type") == kind);
        match str_at(message, "role") {
            "user" => {
                for block in of("tool_result") {
                    let id = str_at(block, "tool_use_id");
                    if !open.contains(&id) {
                        return bad(format!("messages.{index}.content: unexpected `tool_use_id`: {id}"));
                    }
                    open.retain(|known| *known != id);
                }
                if !open.is_empty() {
                    return bad(format!("messages.{index}: `tool_use` ids without `tool_result`: {open:?}"));
                }
            }
            "assistant" => {
                for block in of("thinking") {
                    if str_at(block, "signature") != super::anthropic::SIGNATURE {
                        return bad(format!("messages.{index}: Invalid `signature` in `thinking` block"));
                    }
                }
                open = of("tool_use").map(|block| str_at(block, "id")).collect();
            }
            role => {
                return bad(format!(
                    "messages.{index}.role: Input should be 'user' or 'assistant', not {role:?}"
                ));
            }
        }
        if blocks.iter().any(|block| block["type"] == "text" && str_at(block, "text").is_empty()) {
            return bad(format!("messages.{index}: text content blocks must be non-empty"));
        }
    }
    Ok(())
}

/// Refuses what Gemini refuses.
pub(super) fn contents(body: &Value) -> Result<(), Refusal> {
    let known = |name: &str| {
        let name = name.replace('_', "").to_ascii_lowercase();
        let members = "contents systeminstruction tools toolconfig generationconfig safetysettings cachedcontent model labels mock";
        members.split(' ').any(|member| member == name)
    };
    for name in body.as_object().into_iter().flat_map(|members| members.keys()) {
        if !known(name) {
            return bad(format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
            ));
        }
    }
    let contents = list_at(body, "contents");
    if contents.is_empty() {
        return bad("contents are required");
    }
    for content in contents {
        if !matches!(str_at(content, "role"), "" | "user" | "model" | "function") {
            return bad("Please use a valid role: user, model.");
        }
        if list_at(content, "parts").is_empty() {
            return bad("contents.parts must not be empty.");
        }
    }
    Ok(())
}
