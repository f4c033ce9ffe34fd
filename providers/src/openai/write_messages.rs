//! Canonical messages → chat messages.
//!
//! OpenAI wants every tool result in a message of its own, right behind the calls, and text only. Messages that
//! come from other dialects are taken apart accordingly: results first, their pictures in the next user message.
//! Thoughts are dropped: OpenAI has no member for them, and compatible vendors answer 400 or bill them as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::json::{Object, Path};
use super::media::{audio_format, data_url, file_name};
use crate::call::{Media, Message, Part, Role};
use crate::error::InvalidCall;

pub(super) fn chat_from_messages(messages: &[Message]) -> Result<Value, InvalidCall> {
    let root = Path::Root;
    let at = root.member("messages");
    let mut writer = Writer { out: Vec::with_capacity(messages.len()), pictures: Vec::new() };
    for (index, message) in messages.iter().enumerate() {
        writer.message(message, &at.index(index))?;
    }
    writer.flush_pictures();
    Ok(Value::Array(writer.out))
}

struct Writer {
    out: Vec<Value>,
    /// Parts out of tool results, waiting for the next user message: between a call and its results nothing else
    /// may stand.
    pictures: Vec<Value>,
}

impl Writer {
    fn message(&mut self, message: &Message, at: &Path<'_>) -> Result<(), InvalidCall> {
        let at = at.member("content");
        match message.role {
            Role::System => self.plain("system", message),
            Role::Developer => self.plain("developer", message),
            Role::Tool => self.results(message, &at)?,
            Role::Assistant => self.assistant(message),
            Role::User => {
                self.results(message, &at)?;
                self.user(message, &at)?;
            }
        }
        Ok(())
    }

    fn plain(&mut self, role: &str, message: &Message) {
        self.flush_pictures();
        self.push(role, message.name.as_deref(), joined_text(&message.parts, "\n").into());
    }

    fn results(&mut self, message: &Message, at: &Path<'_>) -> Result<(), InvalidCall> {
        for (index, part) in message.parts.iter().enumerate() {
            let Part::ToolResult { id, content, is_error, .. } = part else { continue };
            let mut text = joined_text(content, "\n");
            if text.is_empty() && *is_error {
                text.push_str("The tool failed without a message.");
            }
            let at = at.index(index);
            let at = at.member("content");
            let known = self.pictures.len();
            for (index, part) in content.iter().enumerate() {
                if !matches!(part, Part::Text { .. })
                    && let Some(part) = user_part(part, &at.index(index))?
                {
                    self.pictures.push(part);
                }
            }
            if self.pictures.len() > known {
                let label =
                    json!({"type": "text", "text": format!("Attached to the result of tool call {id}:")});
                self.pictures.insert(known, label);
                if text.is_empty() {
                    text.push_str("The result is attached to the next user message.");
                }
            }
            self.out.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
        }
        Ok(())
    }

    fn user(&mut self, message: &Message, at: &Path<'_>) -> Result<(), InvalidCall> {
        let mut content = std::mem::take(&mut self.pictures);
        for (index, part) in message.parts.iter().enumerate() {
            content.extend(user_part(part, &at.index(index))?);
        }
        let only_results = !message.parts.is_empty()
            && message.parts.iter().all(|part| matches!(part, Part::ToolResult { .. }));
        if content.is_empty() && only_results {
            return Ok(());
        }
        if only_results {
            // Results may go on in the next message; their pictures wait for the last of them.
            self.pictures = content;
            return Ok(());
        }
        self.push("user", message.name.as_deref(), content_value(content));
        Ok(())
    }

    fn assistant(&mut self, message: &Message) {
        self.flush_pictures();
        let text = joined_text(&message.parts, "");
        let calls: Vec<Value> = message.parts.iter().filter_map(tool_call).collect();
        let mut refusal = String::new();
        for part in &message.parts {
            if let Part::Refusal { text } = part {
                refusal.push_str(text);
            }
        }
        let content = match text.is_empty() && !(calls.is_empty() && refusal.is_empty()) {
            true => Value::Null,
            false => text.into(),
        };
        let written = self.push("assistant", message.name.as_deref(), content);
        if let Some(written) = written {
            if !refusal.is_empty() {
                written.insert("refusal".into(), refusal.into());
            }
            if !calls.is_empty() {
                written.insert("tool_calls".into(), calls.into());
            }
        }
    }

    fn flush_pictures(&mut self) {
        if !self.pictures.is_empty() {
            let content = std::mem::take(&mut self.pictures);
            self.push("user", None, Value::Array(content));
        }
    }

    fn push(&mut self, role: &str, name: Option<&str>, content: Value) -> Option<&mut Object> {
        let mut message = Object::new();
        message.insert("role".into(), role.into());
        if let Some(name) = name {
            message.insert("name".into(), name.into());
        }
        message.insert("content".into(), content);
        self.out.push(Value::Object(message));
        self.out.last_mut().and_then(Value::as_object_mut)
    }
}

/// A lone text is written as a string: some compatible servers know no other form.
fn content_value(mut content: Vec<Value>) -> Value {
    let [Value::Object(only)] = content.as_mut_slice() else { return Value::Array(content) };
    match only.get_mut("text") {
        Some(text) => text.take(),
        None => Value::Array(content),
    }
}

fn joined_text(parts: &[Part], separator: &str) -> String {
    let mut joined = String::new();
    for part in parts {
        if let Part::Text { text, .. } = part {
            if !joined.is_empty() {
                joined.push_str(separator);
            }
            joined.push_str(text);
        }
    }
    joined
}

fn tool_call(part: &Part) -> Option<Value> {
    let Part::ToolCall { id, name, arguments, signature } = part else { return None };
    // An empty string is not JSON; servers that parse the arguments of old calls choke on it.
    let arguments = if arguments.is_empty() { "{}" } else { arguments };
    let mut call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    if let Some(signature) = signature {
        call["extra_content"] = json!({"google": {"thought_signature": signature}});
    }
    Some(call)
}

fn user_part(part: &Part, at: &Path<'_>) -> Result<Option<Value>, InvalidCall> {
    Ok(match part {
        Part::Text { text, .. } | Part::Refusal { text } => Some(json!({"type": "text", "text": text})),
        Part::Image { source, detail, .. } => Some(image(source, detail.as_deref())),
        Part::Audio { source } => Some(audio(source, at)?),
        Part::File { source, name, .. } => Some(file(source, name.as_deref(), at)?),
        Part::Thinking { .. } | Part::RedactedThinking { .. } => None,
        Part::ToolCall { .. } | Part::ToolResult { .. } => None,
    })
}

fn image(source: &Media, detail: Option<&str>) -> Value {
    let url = match source {
        Media::Url { url, .. } => url.clone(),
        Media::Base64 { media_type, data } => data_url(media_type, data),
        Media::FileId(id) => return json!({"type": "file", "file": {"file_id": id}}),
    };
    match detail {
        Some(detail) => json!({"type": "image_url", "image_url": {"url": url, "detail": detail}}),
        None => json!({"type": "image_url", "image_url": {"url": url}}),
    }
}

fn audio(source: &Media, at: &Path<'_>) -> Result<Value, InvalidCall> {
    match source {
        Media::Base64 { media_type, data } => {
            let format = audio_format(media_type);
            Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
        }
        Media::Url { .. } | Media::FileId(_) => {
            Err(at.error("is sound behind a link; this provider takes sound only as base64"))
        }
    }
}

fn file(source: &Media, name: Option<&str>, at: &Path<'_>) -> Result<Value, InvalidCall> {
    match source {
        Media::FileId(id) => Ok(json!({"type": "file", "file": {"file_id": id}})),
        Media::Base64 { media_type, .. } if media_type.starts_with("image/") => Ok(image(source, None)),
        Media::Base64 { media_type, data } => {
            // Not every model reads files, but all of them read text.
            if media_type.starts_with("text/")
                && let Ok(bytes) = STANDARD.decode(data)
                && let Ok(text) = String::from_utf8(bytes)
            {
                let text = match name {
                    Some(name) => format!("{name}:\n{text}"),
                    None => text,
                };
                return Ok(json!({"type": "text", "text": text}));
            }
            let name = name.map_or_else(|| file_name(media_type), str::to_owned);
            let data = data_url(media_type, data);
            Ok(json!({"type": "file", "file": {"filename": name, "file_data": data}}))
        }
        Media::Url { media_type: Some(media_type), .. } if media_type.starts_with("image/") => {
            Ok(image(source, None))
        }
        Media::Url { .. } => {
            Err(at.error("is a document behind a link; this provider takes documents as base64 or file id"))
        }
    }
}
