//! Whole chat answer or legacy completion → [`Answer`].

use serde_json::Value;

use super::errors::{bad_gateway, error_inside_answer, shorten};
use super::finish::finish_from_word;
use super::json::{Object, Path, count, json_text};
use super::media::media_from_url;
use super::read_messages::{content_blocks, reasoning_text, thinking_text, tool_call};
use super::usage::usage_from;
use crate::answer::{Answer, Choice};
use crate::call::Part;
use crate::error::UpstreamError;

pub(super) fn answer_from_chat(body: &[u8]) -> Result<Answer, Box<UpstreamError>> {
    answer_from(body, chat_choice)
}

pub(super) fn answer_from_completion(body: &[u8]) -> Result<Answer, Box<UpstreamError>> {
    answer_from(body, text_choice)
}

fn answer_from(body: &[u8], choice: fn(&Value) -> Choice) -> Result<Answer, Box<UpstreamError>> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| bad_gateway(format!("the answer is not JSON ({error})")))?;
    let has_error = value.get("error").is_some_and(|error| !error.is_null());
    let choices = value.get("choices").and_then(Value::as_array);
    // Some say an error beside an empty list.
    let Some(choices) = choices.filter(|choices| !(choices.is_empty() && has_error)) else {
        if has_error || value.is_array() {
            return Err(Box::new(error_inside_answer(&value)));
        }
        let message = format!("the answer has no choices: {}", shorten(&value.to_string()));
        return Err(Box::new(bad_gateway(message)));
    };
    let mut answer = Answer {
        id: value.get("id").map(json_text).unwrap_or_default(),
        model: value.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
        created: value.get("created").and_then(count).unwrap_or_default(),
        choices: Vec::with_capacity(choices.len()),
        usage: value.get("usage").and_then(usage_from),
    };
    for entry in choices {
        if entry.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Box::new(error_inside_answer(entry)));
        }
        answer.choices.push(choice(entry));
    }
    Ok(answer)
}

/// Reads a choice of nothing but text. Its log probabilities have a shape of their own, which no one here can read.
fn text_choice(entry: &Value) -> Choice {
    match entry.get("text").and_then(Value::as_str) {
        Some(text) => {
            let parts = if text.is_empty() { Vec::new() } else { vec![Part::text(text)] };
            let finish = entry.get("finish_reason").and_then(Value::as_str);
            Choice { parts, finish: finish.map(|word| finish_from_word(word, false)), logprobs: None }
        }
        // Some servers answer every prompt as a chat.
        None => chat_choice(entry),
    }
}

fn chat_choice(entry: &Value) -> Choice {
    let parts = match entry.get("message") {
        Some(Value::Object(message)) => parts(message),
        _ => Vec::new(),
    };
    let has_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let finish = entry.get("finish_reason").and_then(Value::as_str);
    Choice {
        finish: finish.map(|word| finish_from_word(word, has_tools)),
        logprobs: entry.get("logprobs").filter(|logprobs| !logprobs.is_null()).cloned(),
        parts,
    }
}

fn parts(message: &Object) -> Vec<Part> {
    let mut parts = thoughts(message);
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => parts.push(Part::text(text.as_str())),
        Some(Value::Array(list)) => parts.extend(list.iter().filter_map(content_part)),
        _ => {}
    }
    if let Some(Value::Array(images)) = message.get("images") {
        parts.extend(images.iter().filter_map(image));
    }
    let spoken = message.get("audio").and_then(|audio| audio.get("transcript")).and_then(Value::as_str);
    if let Some(transcript) = spoken {
        parts.push(Part::text(transcript));
    }
    if let Some(text) = message.get("refusal").and_then(Value::as_str).filter(|text| !text.is_empty()) {
        parts.push(Part::Refusal { text: text.to_owned() });
    }
    match message.get("tool_calls") {
        Some(Value::Array(calls)) => {
            let calls = calls.iter().enumerate();
            parts.extend(calls.filter_map(|(n, call)| tool_call(call.as_object()?, || format!("call_{n}"))));
        }
        _ => parts.extend(function_call(message)),
    }
    parts
}

/// Blocks with signatures count before the flat text, which repeats them.
fn thoughts(message: &Object) -> Vec<Part> {
    let blocks = message.get("content_blocks").map(|blocks| content_blocks(blocks, &Path::Root));
    if let Some(Ok(mut blocks)) = blocks {
        blocks.retain(|part| matches!(part, Part::Thinking { .. } | Part::RedactedThinking { .. }));
        if !blocks.is_empty() {
            return blocks;
        }
    }
    match reasoning_text(message) {
        Some(text) => vec![Part::Thinking { text: text.to_owned(), signature: None }],
        None => Vec::new(),
    }
}

fn content_part(entry: &Value) -> Option<Part> {
    match entry {
        Value::String(text) => Some(Part::text(text.as_str())),
        Value::Object(part) => match part.get("type").and_then(Value::as_str) {
            Some("thinking") => {
                Some(Part::Thinking { text: thinking_text(part.get("thinking")), signature: None })
            }
            Some("refusal") => Some(Part::Refusal { text: part.get("refusal")?.as_str()?.to_owned() }),
            Some("image_url") => image(entry),
            _ => Some(Part::text(part.get("text")?.as_str()?)),
        },
        _ => None,
    }
}

fn image(entry: &Value) -> Option<Part> {
    let image = entry.get("image_url")?;
    let url = image.as_str().or_else(|| image.get("url")?.as_str())?;
    Some(Part::Image { source: media_from_url(url, None), detail: None, cache_control: None })
}

fn function_call(message: &Object) -> Option<Part> {
    let call = message.get("function_call")?;
    let arguments = call.get("arguments").map(json_text).unwrap_or_default();
    let name = call.get("name")?.as_str()?.to_owned();
    Some(Part::ToolCall { id: format!("call_{name}"), name, arguments, signature: None })
}
