//! [`Answer`] → whole chat answer.

use serde_json::{Value, json};

use super::finish::finish_word;
use super::json::Object;
use super::media::data_url;
use super::usage::UsageOut;
use crate::answer::{Answer, Choice};
use crate::call::{Media, Part};
use crate::codec::EncodeOptions;

pub(super) fn chat_from_answer(answer: &Answer, options: &EncodeOptions) -> Value {
    let choices: Vec<Value> = answer
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| choice_to_chat(index, choice, options))
        .collect();
    let mut body = head(answer, options, "chat.completion");
    body.insert("choices".into(), choices.into());
    put_usage(&mut body, answer);
    Value::Object(body)
}

/// Writes the members in front of `choices`.
pub(super) fn head(answer: &Answer, options: &EncodeOptions, object: &str) -> Object {
    let or = |own: &str, other: &str| Value::from(if own.is_empty() { other } else { own });
    let mut body = Object::new();
    body.insert("id".into(), or(&answer.id, &options.id));
    body.insert("object".into(), object.into());
    body.insert("created".into(), if answer.created == 0 { options.created } else { answer.created }.into());
    body.insert("model".into(), or(&answer.model, &options.model));
    if !options.provider.is_empty() {
        body.insert("provider".into(), options.provider.as_str().into());
    }
    body
}

pub(super) fn put_usage(body: &mut Object, answer: &Answer) {
    if let Some(usage) = &answer.usage
        && let Ok(usage) = serde_json::to_value(UsageOut::from(usage))
    {
        body.insert("usage".into(), usage);
    }
}

fn choice_to_chat(index: usize, choice: &Choice, options: &EncodeOptions) -> Value {
    json!({
        "index": index,
        "message": message(&choice.parts, options.strict),
        "logprobs": choice.logprobs,
        "finish_reason": choice.finish.as_ref().map(|finish| finish_word(finish, options.strict)),
    })
}

fn message(parts: &[Part], strict: bool) -> Object {
    let (mut text, mut reasoning, mut refusal) = (String::new(), String::new(), String::new());
    let (mut calls, mut images) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text { text: piece, .. } => text.push_str(piece),
            Part::Thinking { text: piece, .. } => reasoning.push_str(piece),
            Part::Refusal { text: piece } => refusal.push_str(piece),
            Part::ToolCall { id, name, arguments, signature } => {
                calls.push(tool_call(id, name, arguments, signature.as_deref()));
            }
            Part::Image { source, .. } => images.extend(image(source)),
            Part::RedactedThinking { .. }
            | Part::Audio { .. }
            | Part::File { .. }
            | Part::ToolResult { .. } => {}
        }
    }
    let mut message = Object::new();
    message.insert("role".into(), "assistant".into());
    let no_text = text.is_empty() && !(calls.is_empty() && refusal.is_empty());
    message.insert("content".into(), if no_text { Value::Null } else { text.into() });
    for (name, text) in [("refusal", refusal), ("reasoning_content", reasoning)] {
        if !text.is_empty() {
            message.insert(name.into(), text.into());
        }
    }
    if !images.is_empty() {
        message.insert("images".into(), images.into());
    }
    if !strict {
        let blocks: Vec<Value> = parts.iter().filter_map(block).collect();
        if !blocks.is_empty() {
            message.insert("content_blocks".into(), blocks.into());
        }
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    message
}

fn tool_call(id: &str, name: &str, arguments: &str, signature: Option<&str>) -> Value {
    // Clients parse the arguments; an empty string is no JSON.
    let arguments = if arguments.is_empty() { "{}" } else { arguments };
    let mut call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    if let Some(signature) = signature {
        call["extra_content"] = json!({"google": {"thought_signature": signature}});
    }
    call
}

fn image(source: &Media) -> Option<Value> {
    let url = match source {
        Media::Url { url, .. } => url.clone(),
        Media::Base64 { media_type, data } => data_url(media_type, data),
        Media::FileId(_) => return None,
    };
    Some(json!({"type": "image_url", "image_url": {"url": url}}))
}

/// Writes Portkey's `content_blocks`: what a client must send back to a vendor that signs its thoughts.
fn block(part: &Part) -> Option<Value> {
    Some(match part {
        Part::Text { text, .. } => json!({"type": "text", "text": text}),
        Part::Thinking { text, signature: Some(signature) } => {
            json!({"type": "thinking", "thinking": text, "signature": signature})
        }
        Part::Thinking { text, signature: None } => json!({"type": "thinking", "thinking": text}),
        Part::RedactedThinking { data } => json!({"type": "redacted_thinking", "data": data}),
        _ => return None,
    })
}
