//! Writes a canonical call as a `generateContent` body.
//!
//! The model stands in the URL and not in the body. Instructions are collected from everywhere in the
//! conversation, because Gemini has one place for them. Neighbouring turns of one role become one turn: Gemini
//! wants all results of parallel calls in the turn right after the calls.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::config;
use super::model::Generation;
use super::tools;
use crate::call::{ChatCall, Media, Message, Part, Role};
use crate::error::InvalidCall;

/// Google's documented stand-in for the signature of a call that another model made.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";
/// Where ids of Google's file API live; `fileUri` wants the whole URI.
const FILES: &str = "https://generativelanguage.googleapis.com/v1beta/";

/// Writes the body.
pub(super) fn body(call: &ChatCall) -> Result<Value, InvalidCall> {
    let mut writer = Writer {
        generation: Generation::of(&call.model),
        names: HashMap::new(),
        contents: Vec::new(),
        instructions: Vec::new(),
    };
    for (at, message) in call.messages.iter().enumerate() {
        writer.message(at, message)?;
    }
    let Writer { mut contents, mut instructions, .. } = writer;
    if contents.is_empty() && !instructions.is_empty() {
        // OpenAI answers a conversation of instructions only; Gemini refuses empty contents.
        contents.push(Turn { role: "user", parts: std::mem::take(&mut instructions) });
    }

    let mut body = Map::new();
    let contents = contents.into_iter().map(|turn| json!({"role": turn.role, "parts": turn.parts}));
    body.insert("contents".into(), contents.collect());
    if !instructions.is_empty() {
        body.insert("systemInstruction".into(), json!({"parts": instructions}));
    }
    let generation = config::generation_config(call);
    if !generation.is_empty() {
        body.insert("generationConfig".into(), Value::Object(generation));
    }
    tools::write(call, &mut body)?;
    for (name, ours) in [
        ("safetySettings", ["safety_settings", "safetySettings"]),
        ("cachedContent", ["cached_content", "cachedContent"]),
    ] {
        if let Some(value) = config::extra(call, &ours) {
            body.insert(name.into(), value.clone());
        }
    }
    Ok(Value::Object(body))
}

struct Turn {
    role: &'static str,
    parts: Vec<Value>,
}

struct Writer {
    generation: Generation,
    /// Names of the calls so far by id; ids may repeat, then the last call counts.
    names: HashMap<String, String>,
    contents: Vec<Turn>,
    instructions: Vec<Value>,
}

impl Writer {
    fn message(&mut self, at: usize, message: &Message) -> Result<(), InvalidCall> {
        let role = match message.role {
            Role::System | Role::Developer => return self.instruction(at, message),
            Role::Assistant => "model",
            Role::User | Role::Tool => "user",
        };
        let mut parts = Vec::with_capacity(message.parts.len());
        let mut calls = 0;
        for part in &message.parts {
            self.part(at, part, &mut calls, &mut parts)?;
        }
        match self.contents.last_mut() {
            _ if parts.is_empty() => {}
            Some(turn) if turn.role == role => turn.parts.append(&mut parts),
            _ => self.contents.push(Turn { role, parts }),
        }
        Ok(())
    }

    fn instruction(&mut self, at: usize, message: &Message) -> Result<(), InvalidCall> {
        for part in &message.parts {
            match part {
                Part::Text { text, .. } if text.is_empty() => {}
                Part::Text { text, .. } => self.instructions.push(json!({"text": text})),
                _ => {
                    let message = "system and developer messages may hold only text for Gemini";
                    return Err(InvalidCall::at(path(at), message));
                }
            }
        }
        Ok(())
    }

    fn part(
        &mut self,
        at: usize,
        part: &Part,
        calls: &mut u32,
        out: &mut Vec<Value>,
    ) -> Result<(), InvalidCall> {
        match part {
            // Gemini refuses empty text parts.
            Part::Text { text, .. } | Part::Refusal { text } if text.is_empty() => {}
            Part::Text { text, .. } | Part::Refusal { text } => out.push(json!({"text": text})),
            Part::Image { source, .. } => out.push(media(at, source, Some("image/jpeg"))?),
            Part::Audio { source } => out.push(media(at, source, Some("audio/mpeg"))?),
            Part::File { source, .. } => out.push(media(at, source, None)?),
            Part::Thinking { text, signature: Some(signature) } if text.is_empty() => {
                // The decoder reads the signature of a text part as an empty thought. Gemini itself sends such
                // signatures beside empty text at the end of streams, so they go back in that form.
                out.push(json!({"text": "", "thoughtSignature": signature}));
            }
            Part::Thinking { text, signature: Some(signature) } => {
                out.push(json!({"text": text, "thought": true, "thoughtSignature": signature}));
            }
            Part::Thinking { signature: None, .. } | Part::RedactedThinking { .. } => {}
            Part::ToolCall { id, name, arguments, signature } => {
                self.names.insert(id.clone(), name.clone());
                let mut call = json!({"name": name, "args": arguments_of(at, arguments)?});
                self.identify(&mut call, id);
                let mut part = json!({"functionCall": call});
                // Of parallel calls only the first carries a signature, and only Gemini 3 insists on it.
                let stand_in = (self.generation == Generation::Level && *calls == 0).then_some(NO_SIGNATURE);
                if let Some(signature) = signature.as_deref().or(stand_in) {
                    part["thoughtSignature"] = signature.into();
                }
                *calls += 1;
                out.push(part);
            }
            Part::ToolResult { id, name, content, is_error, .. } => {
                let Some(name) = self.names.get(id).or(name.as_ref()) else {
                    let message = format!("tool result '{id}' answers no tool call of an earlier message");
                    return Err(InvalidCall::at(path(at), message));
                };
                let mut response = json!({"name": name, "response": result(content, *is_error)});
                self.identify(&mut response, id);
                let attached = attachments(at, content)?;
                if self.generation == Generation::Level && !attached.is_empty() {
                    response["parts"] = Value::Array(attached);
                    out.push(json!({"functionResponse": response}));
                } else {
                    // Models before Gemini 3 read no media inside a response, but do beside it.
                    out.push(json!({"functionResponse": response}));
                    out.extend(attached);
                }
            }
        }
        Ok(())
    }

    /// Gemini 3 numbers its calls and matches results by id; older models match by name and order.
    fn identify(&self, value: &mut Value, id: &str) {
        if self.generation == Generation::Level && !id.is_empty() {
            value["id"] = id.into();
        }
    }
}

fn path(message: usize) -> String {
    format!("messages[{message}]")
}

fn arguments_of(at: usize, arguments: &str) -> Result<Value, InvalidCall> {
    if arguments.trim().is_empty() {
        return Ok(json!({}));
    }
    match crate::surrogates::from_slice(arguments.as_bytes()) {
        Ok(Value::Null) => Ok(json!({})),
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => {
            Err(InvalidCall::at(path(at), "tool call arguments must be the text of a JSON object for Gemini"))
        }
    }
}

/// Makes the `response` object of a tool result. Google's words are `output` and `error`.
fn result(content: &[Part], is_error: bool) -> Value {
    let mut text = String::new();
    for part in content {
        if let Part::Text { text: piece, .. } | Part::Refusal { text: piece } = part {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(piece);
        }
    }
    let object = match serde_json::from_str::<Value>(&text) {
        Ok(value @ Value::Object(_)) => Some(value),
        _ => None,
    };
    match (object, is_error) {
        (Some(object), true) => json!({"error": object}),
        (None, true) => json!({"error": text}),
        (Some(object), false) => object,
        (None, false) => json!({"output": text}),
    }
}

fn attachments(at: usize, content: &[Part]) -> Result<Vec<Value>, InvalidCall> {
    let mut out = Vec::new();
    for part in content {
        match part {
            Part::Image { source, .. } => out.push(media(at, source, Some("image/jpeg"))?),
            Part::Audio { source } => out.push(media(at, source, Some("audio/mpeg"))?),
            Part::File { source, .. } => out.push(media(at, source, None)?),
            _ => {}
        }
    }
    Ok(out)
}

fn media(at: usize, source: &Media, fallback: Option<&str>) -> Result<Value, InvalidCall> {
    match source {
        Media::Base64 { media_type, data } => {
            Ok(json!({"inlineData": {"mimeType": media_type, "data": data}}))
        }
        Media::Url { url, .. } if url.starts_with("data:") => {
            let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
            let Some((mime, data)) = inline else {
                return Err(InvalidCall::at(path(at), "data URLs must look like data:image/png;base64,…"));
            };
            Ok(json!({"inlineData": {"mimeType": mime, "data": data}}))
        }
        Media::Url { url, media_type } => {
            let known = media_type.as_deref().or_else(|| mime_of(url)).or(fallback);
            let mut file = Map::new();
            if let Some(known) = known {
                file.insert("mimeType".into(), known.into());
            }
            file.insert("fileUri".into(), url.as_str().into());
            Ok(json!({"fileData": file}))
        }
        Media::FileId(id) if id.starts_with("files/") => {
            Ok(json!({"fileData": {"fileUri": format!("{FILES}{id}")}}))
        }
        Media::FileId(id) if id.contains("://") => Ok(json!({"fileData": {"fileUri": id}})),
        Media::FileId(id) => {
            let message = format!("file id '{id}' is not one of Google's; ids look like 'files/abc-123'");
            Err(InvalidCall::at(path(at), message))
        }
    }
}

/// Guesses a MIME type by the extension of a URL's path.
fn mime_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "aac" => "audio/aac",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    })
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
