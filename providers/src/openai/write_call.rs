//! [`ChatCall`] → chat body.
//!
//! Writes what every OpenAI-compatible server understands; what one vendor spells otherwise is the business of its
//! `adapt`. `max_tokens` is the name all of them know, reasoning models get theirs from `adapt` too.

use serde_json::{Value, json};

use super::json::Object;
use super::write_messages::chat_from_messages;
use crate::call::{ChatCall, ReasoningRequest, ResponseFormat, Tool, ToolChoice};
use crate::error::InvalidCall;

/// Members that only the messages and responses dialects have. The canonical call doesn't say which dialect it
/// came from, and OpenAI answers 400 to a member it doesn't know.
const FOREIGN: &[&str] = &[
    "anthropic_beta",
    "anthropic_version",
    "background",
    "betas",
    "container",
    "context_management",
    "conversation",
    "echo",
    "include",
    "inference_geo",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "mcp_servers",
    "output_config",
    "output_format",
    "previous_response_id",
    "prompt",
    "speed",
    "stop_sequences",
    "system",
    "text",
    "thinking",
    "truncation",
];

pub(super) fn chat_from_call(call: &ChatCall) -> Result<Value, InvalidCall> {
    let mut body = Object::new();
    body.insert("model".into(), call.model.as_str().into());
    body.insert("messages".into(), chat_from_messages(&call.messages)?);
    put(&mut body, "max_tokens", call.max_tokens);
    put(&mut body, "temperature", call.temperature);
    put(&mut body, "top_p", call.top_p);
    put(&mut body, "top_k", call.top_k);
    put(&mut body, "n", call.n);
    put(&mut body, "seed", call.seed);
    put(&mut body, "frequency_penalty", call.frequency_penalty);
    put(&mut body, "presence_penalty", call.presence_penalty);
    put(&mut body, "logprobs", call.logprobs);
    put(&mut body, "top_logprobs", call.top_logprobs);
    put(&mut body, "user", call.user.as_deref());
    put(&mut body, "service_tier", call.service_tier.as_deref());
    put(&mut body, "metadata", call.metadata.clone());
    if !call.stop.is_empty() {
        body.insert("stop".into(), call.stop.clone().into());
    }
    if !call.tools.is_empty() {
        body.insert("tools".into(), call.tools.iter().map(tool).collect());
        // OpenAI refuses both members in a call without tools.
        put(&mut body, "tool_choice", call.tool_choice.as_ref().map(tool_choice));
        put(&mut body, "parallel_tool_calls", call.parallel_tool_calls);
    }
    put(&mut body, "response_format", call.response_format.as_ref().map(response_format));
    put(&mut body, "reasoning_effort", call.reasoning.as_ref().and_then(effort));
    if call.stream {
        body.insert("stream".into(), true.into());
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    for (name, value) in &call.extra {
        if !FOREIGN.contains(&name.as_str()) && !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
    Ok(Value::Object(body))
}

fn put(body: &mut Object, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

fn tool(tool: &Tool) -> Value {
    match tool {
        Tool::Vendor(value) => value.clone(),
        // `cache_control` stays behind: OpenAI caches by itself and refuses the member.
        Tool::Function { name, description, parameters, strict, cache_control: _ } => {
            let mut function = Object::new();
            function.insert("name".into(), name.as_str().into());
            put(&mut function, "description", description.as_deref());
            put(&mut function, "parameters", parameters.clone());
            put(&mut function, "strict", *strict);
            json!({"type": "function", "function": function})
        }
    }
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn response_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            let mut inner = Object::new();
            inner.insert("name".into(), name.as_str().into());
            put(&mut inner, "description", description.as_deref());
            inner.insert("schema".into(), schema.clone());
            put(&mut inner, "strict", *strict);
            json!({"type": "json_schema", "json_schema": inner})
        }
    }
}

/// Returns OpenAI's word for how much to think.
fn effort(request: &ReasoningRequest) -> Option<&str> {
    match request.effort.as_deref() {
        // A disabled `thinking` object says what OpenAI's older models take for granted; they refuse the word.
        Some("none") if request.raw.is_some() => None,
        // Anthropic's highest level has no name that all of OpenAI's reasoning models know.
        Some("max") => Some("high"),
        Some(effort) => Some(effort),
        None => request.budget_tokens.map(effort_from_budget),
    }
}

/// Budgets as vendors with both notions equate them: low about 1,000 tokens, medium 8,000, high 24,000.
fn effort_from_budget(tokens: u64) -> &'static str {
    match tokens {
        0..=2_048 => "low",
        2_049..=12_288 => "medium",
        _ => "high",
    }
}
