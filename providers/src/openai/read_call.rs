//! Chat body → [`ChatCall`].

use serde_json::Value;

use super::json::{
    Object, Path, array, bool_member, count_member, integer_member, number_member, object, present,
    required_str, str_member, string_member,
};
use super::read_messages::messages_from_chat;
use crate::call::{ChatCall, ReasoningRequest, ResponseFormat, Tool, ToolChoice};
use crate::error::InvalidCall;

/// Members with a place of their own in [`ChatCall`]; all others go to `extra`. `stream_options` is between the
/// client and the gateway: upstream usage is always asked for.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "parallel_tool_calls",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "seed",
    "user",
    "stream",
    "stream_options",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "metadata",
    "service_tier",
];

pub(super) fn call_from_chat(body: &Value) -> Result<ChatCall, InvalidCall> {
    let root = Path::Root;
    let body = object(body, &root)?;
    let Some(messages) = present(body, "messages") else {
        return Err(root.member("messages").error("is missing; give an array of messages"));
    };
    let mut call = sampling(body)?;
    call.messages = messages_from_chat(messages, &root.member("messages"))?;
    call.tools = tools(body)?;
    call.tool_choice = tool_choice(body)?;
    call.parallel_tool_calls = bool_member(body, "parallel_tool_calls", &root)?;
    call.response_format = response_format(body)?;
    call.reasoning = reasoning(body)?;
    call.logprobs = bool_member(body, "logprobs", &root)?;
    call.top_logprobs = count_member(body, "top_logprobs", &root)?;
    call.extra = others(body, KNOWN);
    Ok(call)
}

/// Reads the members that chat and legacy completions share.
pub(super) fn sampling(body: &Object) -> Result<ChatCall, InvalidCall> {
    let at = &Path::Root;
    let metadata = match present(body, "metadata") {
        None => None,
        Some(Value::Object(map)) => Some(map.clone()),
        Some(other) => return Err(at.member("metadata").wrong_type(other, "an object")),
    };
    // The newer name counts when both are sent: `max_tokens` is then a leftover of a default.
    let max_tokens = match count_member(body, "max_completion_tokens", at)? {
        Some(most) => Some(most),
        None => count_member(body, "max_tokens", at)?,
    };
    Ok(ChatCall {
        model: string_member(body, "model", at)?.unwrap_or_default(),
        max_tokens,
        temperature: number_member(body, "temperature", at)?,
        top_p: number_member(body, "top_p", at)?,
        top_k: count_member(body, "top_k", at)?,
        stop: stop(body)?,
        seed: integer_member(body, "seed", at)?,
        user: string_member(body, "user", at)?,
        stream: bool_member(body, "stream", at)?.unwrap_or_default(),
        n: count_member(body, "n", at)?,
        frequency_penalty: number_member(body, "frequency_penalty", at)?,
        presence_penalty: number_member(body, "presence_penalty", at)?,
        metadata,
        service_tier: string_member(body, "service_tier", at)?,
        ..ChatCall::default()
    })
}

/// Returns the members that are not listed, nulls left out.
pub(super) fn others(body: &Object, known: &[&str]) -> Object {
    let unknown = body.iter().filter(|(name, value)| !value.is_null() && !known.contains(&name.as_str()));
    unknown.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn stop(body: &Object) -> Result<Vec<String>, InvalidCall> {
    let root = Path::Root;
    let at = root.member("stop");
    match present(body, "stop") {
        None => Ok(Vec::new()),
        Some(Value::String(word)) => Ok(vec![word.clone()]),
        Some(Value::Array(list)) => {
            let mut words = Vec::with_capacity(list.len());
            for (index, entry) in list.iter().enumerate() {
                match entry {
                    Value::String(word) => words.push(word.clone()),
                    other => return Err(at.index(index).wrong_type(other, "a string")),
                }
            }
            Ok(words)
        }
        Some(other) => Err(at.wrong_type(other, "a string, an array of strings or null")),
    }
}

fn tools(body: &Object) -> Result<Vec<Tool>, InvalidCall> {
    let root = Path::Root;
    let mut tools = Vec::new();
    if let Some(list) = present(body, "tools") {
        let at = root.member("tools");
        for (index, entry) in array(list, &at)?.iter().enumerate() {
            let at = at.index(index);
            tools.push(tool(entry, &at)?);
        }
    }
    if let Some(list) = present(body, "functions") {
        let at = root.member("functions");
        for (index, entry) in array(list, &at)?.iter().enumerate() {
            let at = at.index(index);
            tools.push(function(object(entry, &at)?, None, &at)?);
        }
    }
    Ok(tools)
}

fn tool(value: &Value, at: &Path<'_>) -> Result<Tool, InvalidCall> {
    let entry = object(value, at)?;
    if !matches!(str_member(entry, "type", at)?, None | Some("function")) {
        return Ok(Tool::Vendor(value.clone()));
    }
    let at_function = at.member("function");
    match present(entry, "function") {
        Some(inner) => function(object(inner, &at_function)?, present(entry, "cache_control"), &at_function),
        // The responses API has the function's members flat in the tool.
        None if entry.contains_key("name") => function(entry, None, at),
        None => Err(at_function.error("is missing; give an object with `name` and `parameters`")),
    }
}

fn function(entry: &Object, cache_control: Option<&Value>, at: &Path<'_>) -> Result<Tool, InvalidCall> {
    Ok(Tool::Function {
        name: required_str(entry, "name", at)?.to_owned(),
        description: string_member(entry, "description", at)?,
        parameters: present(entry, "parameters").cloned(),
        strict: bool_member(entry, "strict", at)?,
        cache_control: cache_control.or_else(|| present(entry, "cache_control")).cloned(),
    })
}

fn tool_choice(body: &Object) -> Result<Option<ToolChoice>, InvalidCall> {
    let root = Path::Root;
    if let Some(choice) = present(body, "tool_choice") {
        return choice_from(choice, &root.member("tool_choice")).map(Some);
    }
    match present(body, "function_call") {
        Some(choice) => choice_from(choice, &root.member("function_call")).map(Some),
        None => Ok(None),
    }
}

fn choice_from(value: &Value, at: &Path<'_>) -> Result<ToolChoice, InvalidCall> {
    if let Some(word) = value.as_str() {
        return choice_from_word(word).ok_or_else(|| {
            at.error(format_args!("is `{word}`; accepted are auto, none, required and an object"))
        });
    }
    let entry = object(value, at)?;
    let kind = str_member(entry, "type", at)?;
    for holder in ["function", "custom"] {
        if let Some(Value::Object(named)) = entry.get(holder) {
            let at = at.member(holder);
            return Ok(ToolChoice::Named(required_str(named, "name", &at)?.to_owned()));
        }
    }
    if let Some(name) = str_member(entry, "name", at)? {
        return Ok(ToolChoice::Named(name.to_owned()));
    }
    if kind == Some("allowed_tools") {
        // The list of allowed tools has no canonical place; its mode has.
        let mode =
            entry.get("allowed_tools").and_then(|allowed| allowed.get("mode")).or_else(|| entry.get("mode"));
        return Ok(mode.and_then(Value::as_str).and_then(choice_from_word).unwrap_or(ToolChoice::Auto));
    }
    match kind.and_then(choice_from_word) {
        Some(choice) => Ok(choice),
        None => Err(at.error("must name a function: {\"type\":\"function\",\"function\":{\"name\":…}}")),
    }
}

fn choice_from_word(word: &str) -> Option<ToolChoice> {
    Some(match word {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        // `any` is Anthropic's and Mistral's word.
        "required" | "any" => ToolChoice::Required,
        _ => return None,
    })
}

fn response_format(body: &Object) -> Result<Option<ResponseFormat>, InvalidCall> {
    let root = Path::Root;
    let at = root.member("response_format");
    let Some(value) = present(body, "response_format") else { return Ok(None) };
    let format = object(value, &at)?;
    match required_str(format, "type", &at)? {
        "text" => Ok(Some(ResponseFormat::Text)),
        "json_object" => Ok(Some(ResponseFormat::JsonObject)),
        "json_schema" => {
            let at = at.member("json_schema");
            let Some(inner) = present(format, "json_schema") else {
                return Err(at.error("is missing; give an object with `name` and `schema`"));
            };
            let inner = object(inner, &at)?;
            Ok(Some(ResponseFormat::JsonSchema {
                name: string_member(inner, "name", &at)?.unwrap_or_else(|| "response".to_owned()),
                description: string_member(inner, "description", &at)?,
                schema: present(inner, "schema").cloned().unwrap_or_else(|| Value::Object(Object::new())),
                strict: bool_member(inner, "strict", &at)?,
            }))
        }
        other => Err(at
            .member("type")
            .error(format_args!("is `{other}`; accepted are text, json_object and json_schema"))),
    }
}

/// Joins the three ways to ask for thinking: OpenAI's `reasoning_effort`, OpenRouter's `reasoning`, Anthropic's
/// `thinking`.
fn reasoning(body: &Object) -> Result<Option<ReasoningRequest>, InvalidCall> {
    let root = Path::Root;
    let mut request =
        ReasoningRequest { effort: string_member(body, "reasoning_effort", &root)?, ..Default::default() };
    if let Some(value) = present(body, "reasoning") {
        let at = root.member("reasoning");
        let reasoning = object(value, &at)?;
        if request.effort.is_none() {
            request.effort = string_member(reasoning, "effort", &at)?;
        }
        request.budget_tokens = count_member(reasoning, "max_tokens", &at)?;
        request.include_thoughts = bool_member(reasoning, "exclude", &at)?.map(|exclude| !exclude);
        if bool_member(reasoning, "enabled", &at)? == Some(false) && request.effort.is_none() {
            request.effort = Some("none".to_owned());
        }
    }
    if let Some(value) = present(body, "thinking") {
        let at = root.member("thinking");
        let thinking = object(value, &at)?;
        request.budget_tokens = count_member(thinking, "budget_tokens", &at)?.or(request.budget_tokens);
        match str_member(thinking, "type", &at)? {
            Some("disabled") if request.effort.is_none() => request.effort = Some("none".to_owned()),
            Some("disabled") => {}
            _ => request.include_thoughts = request.include_thoughts.or(Some(true)),
        }
        request.raw = Some(value.clone());
    }
    Ok((request != ReasoningRequest::default()).then_some(request))
}
