//! Messages of a chat body → canonical messages.
//!
//! Refuses what it can't carry, with the path of the part; never drops a part in silence.

use serde_json::Value;

use super::json::{Object, Path, array, json_text, object, present, required_str, str_member, string_member};
use super::media::{media_from_file_data, media_from_url};
use crate::call::{Media, Message, Part, Role};
use crate::error::InvalidCall;

pub(super) fn messages_from_chat(value: &Value, at: &Path<'_>) -> Result<Vec<Message>, InvalidCall> {
    let list = array(value, at)?;
    let mut messages = Vec::with_capacity(list.len());
    let mut legacy = LegacyCalls::default();
    for (index, entry) in list.iter().enumerate() {
        let at = at.index(index);
        messages.push(message(object(entry, &at)?, index, &mut legacy, &at)?);
    }
    Ok(messages)
}

/// Calls made by the old `function_call`, which has no ids: a result finds its call by the function's name.
#[derive(Default)]
struct LegacyCalls(Vec<(String, String)>);

impl LegacyCalls {
    fn call(&mut self, name: &str, message: usize) -> String {
        let id = format!("call_{message}");
        self.0.push((name.to_owned(), id.clone()));
        id
    }

    fn answered(&mut self, name: &str) -> String {
        match self.0.iter().position(|(called, _)| called == name) {
            Some(at) => self.0.remove(at).1,
            None => format!("call_{name}"),
        }
    }
}

fn message(
    entry: &Object,
    index: usize,
    legacy: &mut LegacyCalls,
    at: &Path<'_>,
) -> Result<Message, InvalidCall> {
    let role = required_str(entry, "role", at)?;
    let name = string_member(entry, "name", at)?;
    let (role, parts) = match role {
        "system" => (Role::System, content(entry, at)?),
        "developer" => (Role::Developer, content(entry, at)?),
        "user" => (Role::User, content(entry, at)?),
        "assistant" => (Role::Assistant, assistant(entry, index, legacy, at)?),
        "tool" => {
            let id = required_str(entry, "tool_call_id", at)?.to_owned();
            return Ok(tool_message(id, name, content(entry, at)?, entry));
        }
        "function" => {
            let id = legacy.answered(required_str(entry, "name", at)?);
            return Ok(tool_message(id, name, content(entry, at)?, entry));
        }
        other => {
            return Err(at.member("role").error(format_args!(
                "is `{other}`; accepted are system, developer, user, assistant, tool and function"
            )));
        }
    };
    Ok(Message { role, name, parts })
}

fn tool_message(id: String, name: Option<String>, content: Vec<Part>, entry: &Object) -> Message {
    let cache_control = present(entry, "cache_control").cloned();
    let result = Part::ToolResult { id, name, content, is_error: false, cache_control };
    Message { role: Role::Tool, name: None, parts: vec![result] }
}

/// Order matters to vendors that sign their thoughts: thinking, then text, then tool calls.
fn assistant(
    entry: &Object,
    index: usize,
    legacy: &mut LegacyCalls,
    at: &Path<'_>,
) -> Result<Vec<Part>, InvalidCall> {
    let calls = match present(entry, "tool_calls") {
        Some(calls) => tool_calls(calls, index, &at.member("tool_calls"))?,
        None => match present(entry, "function_call") {
            Some(call) => vec![function_call(call, index, legacy, &at.member("function_call"))?],
            None => Vec::new(),
        },
    };
    let mut parts = match present(entry, "content_blocks") {
        Some(blocks) => content_blocks(blocks, &at.member("content_blocks"))?,
        None => Vec::new(),
    };
    let has_thoughts =
        parts.iter().any(|p| matches!(p, Part::Thinking { .. } | Part::RedactedThinking { .. }));
    if !has_thoughts && let Some(text) = reasoning_text(entry) {
        parts.insert(0, Part::Thinking { text: text.to_owned(), signature: None });
    }
    // The blocks repeat the content; only when they hold no text of their own does the content count.
    if !parts.iter().any(|part| matches!(part, Part::Text { .. })) {
        parts.extend(content(entry, at)?.into_iter().filter(|part| !is_empty_text(part)));
    }
    if let Some(text) = str_member(entry, "refusal", at)? {
        parts.push(Part::Refusal { text: text.to_owned() });
    }
    parts.extend(calls);
    Ok(parts)
}

fn is_empty_text(part: &Part) -> bool {
    matches!(part, Part::Text { text, cache_control: None } if text.is_empty())
}

/// Returns the first of the names under which vendors put their thoughts.
pub(super) fn reasoning_text(entry: &Object) -> Option<&str> {
    ["reasoning_content", "reasoning", "thinking"]
        .iter()
        .find_map(|name| entry.get(*name).and_then(Value::as_str))
        .filter(|text| !text.is_empty())
}

/// Reads Portkey's `content_blocks`: Anthropic's blocks beside the flat `content`. Tool uses are left to
/// `tool_calls`, which repeat them; blocks of tools that the vendor ran itself have no canonical form.
pub(super) fn content_blocks(value: &Value, at: &Path<'_>) -> Result<Vec<Part>, InvalidCall> {
    let mut parts = Vec::new();
    for (index, block) in array(value, at)?.iter().enumerate() {
        let at = at.index(index);
        let block = object(block, &at)?;
        if matches!(str_member(block, "type", &at)?, Some("text" | "thinking" | "redacted_thinking")) {
            parts.push(part(block, &at)?);
        }
    }
    Ok(parts)
}

fn content(entry: &Object, at: &Path<'_>) -> Result<Vec<Part>, InvalidCall> {
    let at = at.member("content");
    match entry.get("content") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => {
            let cache_control = present(entry, "cache_control").cloned();
            Ok(vec![Part::Text { text: text.clone(), cache_control }])
        }
        Some(Value::Array(list)) => {
            let mut parts = Vec::with_capacity(list.len());
            for (index, entry) in list.iter().enumerate() {
                let at = at.index(index);
                parts.push(match entry {
                    Value::String(text) => Part::text(text.as_str()),
                    _ => part(object(entry, &at)?, &at)?,
                });
            }
            Ok(parts)
        }
        Some(other) => Err(at.wrong_type(other, "a string, an array of parts or null")),
    }
}

fn part(entry: &Object, at: &Path<'_>) -> Result<Part, InvalidCall> {
    let cache_control = || present(entry, "cache_control").cloned();
    match required_str(entry, "type", at)? {
        // The two names of the responses API turn up in chat bodies of agents that speak both.
        "text" | "input_text" | "output_text" => {
            let text = required_str(entry, "text", at)?.to_owned();
            Ok(Part::Text { text, cache_control: cache_control() })
        }
        "image_url" | "input_image" => image(entry, cache_control(), at),
        "input_audio" => audio(entry, at),
        "file" | "input_file" => file(entry, cache_control(), at),
        "refusal" => Ok(Part::Refusal { text: required_str(entry, "refusal", at)?.to_owned() }),
        "thinking" => Ok(Part::Thinking {
            text: thinking_text(entry.get("thinking")),
            signature: string_member(entry, "signature", at)?,
        }),
        "redacted_thinking" => {
            Ok(Part::RedactedThinking { data: required_str(entry, "data", at)?.to_owned() })
        }
        other => Err(at.member("type").error(format_args!(
            "is `{other}`; accepted are text, image_url, input_audio, file, refusal, thinking and redacted_thinking"
        ))),
    }
}

/// Mistral writes a thought as a list of text parts, everybody else as a string.
pub(super) fn thinking_text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            list.iter().filter_map(|entry| entry.get("text").and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    }
}

fn image(entry: &Object, cache_control: Option<Value>, at: &Path<'_>) -> Result<Part, InvalidCall> {
    if let Some(id) = str_member(entry, "file_id", at)? {
        return Ok(Part::Image { source: Media::FileId(id.to_owned()), detail: None, cache_control });
    }
    let at_url = at.member("image_url");
    match present(entry, "image_url") {
        Some(Value::String(url)) => {
            let detail = string_member(entry, "detail", at)?;
            Ok(Part::Image { source: media_from_url(url, None), detail, cache_control })
        }
        Some(Value::Object(image)) => {
            let url = required_str(image, "url", &at_url)?;
            let media_type = str_member(image, "mime_type", &at_url)?;
            let detail = string_member(image, "detail", &at_url)?;
            Ok(Part::Image { source: media_from_url(url, media_type), detail, cache_control })
        }
        Some(other) => Err(at_url.wrong_type(other, "an object with `url`, or a string")),
        None => Err(at_url.error("is missing; give an object with `url`")),
    }
}

fn audio(entry: &Object, at: &Path<'_>) -> Result<Part, InvalidCall> {
    let at = at.member("input_audio");
    let Some(audio) = entry.get("input_audio").and_then(Value::as_object) else {
        return Err(at.error("is missing; give an object with `data` and `format`"));
    };
    let data = required_str(audio, "data", &at)?;
    let media_type = format!("audio/{}", str_member(audio, "format", &at)?.unwrap_or("wav"));
    if data.starts_with("data:") {
        return Ok(Part::Audio { source: media_from_url(data, Some(&media_type)) });
    }
    Ok(Part::Audio { source: Media::Base64 { media_type, data: data.to_owned() } })
}

fn file(entry: &Object, cache_control: Option<Value>, at: &Path<'_>) -> Result<Part, InvalidCall> {
    let at_file = at.member("file");
    // The responses API has the members flat in the part, without `file` around them.
    let (file, at) = match entry.get("file") {
        Some(file) => (object(file, &at_file)?, &at_file),
        None => (entry, at),
    };
    let name = string_member(file, "filename", at)?;
    let media_type = str_member(file, "mime_type", at)?;
    let source = if let Some(data) = str_member(file, "file_data", at)? {
        media_from_file_data(data, media_type, name.as_deref())
    } else if let Some(url) = str_member(file, "file_url", at)? {
        media_from_url(url, media_type)
    } else if let Some(id) = str_member(file, "file_id", at)? {
        Media::FileId(id.to_owned())
    } else {
        return Err(at.error("needs one of file_data, file_id and file_url"));
    };
    Ok(Part::File { source, name, cache_control })
}

fn tool_calls(value: &Value, message: usize, at: &Path<'_>) -> Result<Vec<Part>, InvalidCall> {
    let list = array(value, at)?;
    let mut parts = Vec::with_capacity(list.len());
    for (index, entry) in list.iter().enumerate() {
        let at = at.index(index);
        let Some(call) = tool_call(object(entry, &at)?, || format!("call_{message}_{index}")) else {
            return Err(at
                .member("function")
                .error("is missing; give an object with `name` and `arguments`"));
        };
        parts.push(call);
    }
    Ok(parts)
}

/// Reads one entry of `tool_calls`; `None` when it names no tool. `id` makes one up when the entry has none.
pub(super) fn tool_call(entry: &Object, id: impl FnOnce() -> String) -> Option<Part> {
    let (name, arguments) = if let Some(Value::Object(function)) = entry.get("function") {
        (function.get("name")?.as_str()?, function.get("arguments").map(json_text).unwrap_or_default())
    } else if let Some(Value::Object(custom)) = entry.get("custom") {
        // A custom tool takes free text; as a function it takes one member of that text.
        let input = custom.get("input").cloned().unwrap_or_default();
        (custom.get("name")?.as_str()?, serde_json::json!({ "input": input }).to_string())
    } else {
        return None;
    };
    let given = entry.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
    Some(Part::ToolCall {
        id: given.map_or_else(id, str::to_owned),
        name: name.to_owned(),
        arguments,
        signature: call_signature(entry).map(str::to_owned),
    })
}

/// Returns Gemini's signature of a call: where Google's own OpenAI endpoint puts it, or where Portkey does.
pub(super) fn call_signature(entry: &Object) -> Option<&str> {
    let google = entry.get("extra_content").and_then(|extra| extra.get("google"));
    google
        .and_then(|google| google.get("thought_signature"))
        .or_else(|| entry.get("function").and_then(|function| function.get("thought_signature")))
        .and_then(Value::as_str)
        .filter(|signature| !signature.is_empty())
}

fn function_call(
    value: &Value,
    message: usize,
    legacy: &mut LegacyCalls,
    at: &Path<'_>,
) -> Result<Part, InvalidCall> {
    let call = object(value, at)?;
    let name = required_str(call, "name", at)?;
    let arguments = call.get("arguments").map(json_text).unwrap_or_default();
    Ok(Part::ToolCall { id: legacy.call(name, message), name: name.to_owned(), arguments, signature: None })
}
