//! Reads usage, errors and text out of native answers in passing; the bytes themselves are forwarded untouched.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::Visitor;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::UpstreamError;
use crate::provider::Wire;
use crate::usage::Usage;
use crate::{anthropic, openai};

/// What one SSE frame says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// It carries a piece of the answer: after it, nothing may be tried again.
    pub content: bool,
    /// A choice is complete.
    pub finished: bool,
    /// The vendor said it is done.
    pub end: bool,
    /// Tokens so far.
    pub usage: Option<Usage>,
    /// It carries usage and nothing else (OpenAI's last chunk).
    pub usage_only: bool,
    /// The vendor broke off.
    pub error: Option<UpstreamError>,
    /// A content block began (`Some(Some(index))`) or ended (`Some(None)`); Anthropic only.
    pub block: Option<Option<u32>>,
}

/// A JSON string, borrowed where it holds no escapes; any other JSON value reads as empty.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

#[derive(Deserialize)]
struct ChatFrame<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<ChatChoice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChatChoice<'a> {
    #[serde(borrow, default)]
    delta: Option<ChatDelta<'a>>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ChatDelta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

/// Looks at one frame of a native stream. `text` is called with each piece of output text, so that tokens can be
/// counted. Unreadable frames are nobody's business here: they say nothing and are forwarded.
pub fn frame(wire: Wire, data: &str, text: &mut dyn FnMut(&str)) -> Seen {
    if data.trim() == "[DONE]" {
        return Seen { end: true, ..Seen::default() };
    }
    match wire {
        Wire::Chat | Wire::Completions => chat(data, text),
        Wire::Messages => messages(data, text),
        Wire::Responses => responses(data, text),
        Wire::Gemini => Seen::default(),
    }
}

fn chat(data: &str, text: &mut dyn FnMut(&str)) -> Seen {
    let mut seen = Seen::default();
    let Ok(frame) = serde_json::from_str::<ChatFrame<'_>>(data) else {
        // Odd members may still be an error object.
        seen.error = error_in(data);
        return seen;
    };
    if frame.error.is_some_and(|error| error.get() != "null") {
        seen.error = error_in(data);
        return seen;
    }
    if let Some(usage) = frame.usage.filter(|usage| usage.get() != "null") {
        seen.usage =
            serde_json::from_str(usage.get()).ok().and_then(|usage: Value| openai::usage_from(&usage));
    }
    let choices = frame.choices.unwrap_or_default();
    seen.usage_only = choices.is_empty() && seen.usage.is_some();
    for choice in choices {
        seen.finished |= choice.finish_reason.is_some();
        if let Some(piece) = choice.text.filter(|piece| !piece.0.is_empty()) {
            seen.content = true;
            text(&piece.0);
        }
        let Some(delta) = choice.delta else { continue };
        for raw in [delta.content, delta.reasoning_content, delta.reasoning, delta.refusal] {
            seen.content |= pieces(raw, text);
        }
        for raw in [delta.tool_calls, delta.function_call] {
            seen.content |= tool_text(raw, text);
        }
    }
    seen.content |= seen.finished;
    seen
}

/// Passes on the text of a string, or of an array of parts; true when there was any.
fn pieces(raw: Option<&RawValue>, text: &mut dyn FnMut(&str)) -> bool {
    let Some(raw) = raw.map(RawValue::get).filter(|raw| !matches!(*raw, "null" | "\"\"" | "[]")) else {
        return false;
    };
    if let Ok(piece) = serde_json::from_str::<Text<'_>>(raw) {
        text(&piece.0);
    } else {
        text(raw);
    }
    true
}

/// Passes on a tool call's name and arguments; true when there was any.
fn tool_text(raw: Option<&RawValue>, text: &mut dyn FnMut(&str)) -> bool {
    #[derive(Deserialize)]
    struct Call<'a> {
        #[serde(borrow, default)]
        function: Option<Function<'a>>,
    }
    #[derive(Deserialize)]
    struct Function<'a> {
        #[serde(borrow, default)]
        name: Option<Text<'a>>,
        #[serde(borrow, default)]
        arguments: Option<Text<'a>>,
    }
    let Some(raw) = raw.map(RawValue::get).filter(|raw| !matches!(*raw, "null" | "[]")) else { return false };
    match serde_json::from_str::<Vec<Call<'_>>>(raw) {
        Ok(calls) => {
            for function in calls.into_iter().filter_map(|call| call.function) {
                for piece in [function.name, function.arguments].into_iter().flatten() {
                    text(&piece.0);
                }
            }
        }
        Err(_) => text(raw),
    }
    true
}

#[derive(Deserialize)]
struct TypedFrame<'a> {
    #[serde(borrow, default)]
    r#type: Option<Text<'a>>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    index: Option<u32>,
}

fn messages(data: &str, text: &mut dyn FnMut(&str)) -> Seen {
    #[derive(Deserialize)]
    struct Delta<'a> {
        #[serde(borrow, default)]
        text: Option<Text<'a>>,
        #[serde(borrow, default)]
        thinking: Option<Text<'a>>,
        #[serde(borrow, default)]
        partial_json: Option<Text<'a>>,
    }
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow, default)]
        usage: Option<&'a RawValue>,
    }
    let mut seen = Seen::default();
    let Ok(frame) = serde_json::from_str::<TypedFrame<'_>>(data) else { return seen };
    match frame.r#type.as_ref().map(|kind| &*kind.0) {
        Some("message_start") => {
            let message = frame.message.and_then(|raw| serde_json::from_str::<Message<'_>>(raw.get()).ok());
            seen.usage =
                message.and_then(|message| message.usage).and_then(|raw| anthropic::usage_from(raw.get()));
        }
        Some("content_block_start") => {
            seen.content = true;
            seen.block = Some(frame.index);
        }
        Some("content_block_stop") => seen.block = Some(None),
        Some("content_block_delta") => {
            seen.content = true;
            let delta = frame.delta.and_then(|raw| serde_json::from_str::<Delta<'_>>(raw.get()).ok());
            if let Some(delta) = delta {
                for piece in [delta.text, delta.thinking, delta.partial_json].into_iter().flatten() {
                    text(&piece.0);
                }
            }
        }
        Some("message_delta") => {
            seen.content = true;
            seen.finished = true;
            seen.usage = frame.usage.and_then(|raw| anthropic::usage_from(raw.get()));
        }
        Some("message_stop") => seen.end = true,
        Some("error") => seen.error = error_in(data),
        _ => {}
    }
    seen
}

fn responses(data: &str, text: &mut dyn FnMut(&str)) -> Seen {
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow, default)]
        usage: Option<&'a RawValue>,
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
    }
    let mut seen = Seen::default();
    let Ok(frame) = serde_json::from_str::<TypedFrame<'_>>(data) else { return seen };
    let kind = frame.r#type.as_ref().map_or("", |kind| &*kind.0);
    let response = frame.response.and_then(|raw| serde_json::from_str::<Response<'_>>(raw.get()).ok());
    match kind {
        "response.completed" | "response.incomplete" | "response.failed" => {
            seen.finished = true;
            seen.end = true;
            let usage = response.as_ref().and_then(|response| response.usage);
            seen.usage = usage
                .and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
                .and_then(|usage| openai::usage_from(&usage));
            if kind == "response.failed" {
                let error = response.and_then(|response| response.error).map_or("{}", RawValue::get);
                seen.error = error_in(&format!("{{\"error\":{error}}}"));
            } else {
                seen.content = true;
            }
        }
        "error" => seen.error = error_in(data),
        _ if kind.ends_with(".delta") => {
            seen.content = true;
            pieces(frame.delta, text);
        }
        _ if kind.starts_with("response.output_item") || kind.starts_with("response.content_part") => {
            seen.content = true;
        }
        _ => {}
    }
    seen
}

fn error_in(data: &str) -> Option<UpstreamError> {
    let value: Map<String, Value> = serde_json::from_str(data).ok()?;
    let error = value.get("error").unwrap_or(&Value::Null);
    if error.is_null() && value.get("type").and_then(Value::as_str) != Some("error") {
        return None;
    }
    let value = Value::Object(value);
    Some(if value.get("type").and_then(Value::as_str) == Some("error") && value.get("error").is_some() {
        anthropic::error_inside_stream(&value)
    } else {
        openai::error_inside_answer(&value)
    })
}

/// Reads the tokens of a whole native answer: OpenAI's and Anthropic's shapes, embeddings, images, transcriptions.
#[must_use]
pub fn usage_of(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        usage: Option<&'a RawValue>,
    }
    let usage = serde_json::from_slice::<Body<'_>>(body).ok()?.usage?.get();
    // Anthropic's input_tokens exclude the cache, OpenAI's include it; only Anthropic names its own members.
    if usage.contains("\"cache_read_input_tokens\"") && !usage.contains("\"prompt_tokens\"") {
        return anthropic::usage_from(usage);
    }
    serde_json::from_str::<Value>(usage).ok().and_then(|usage| openai::usage_from(&usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(wire: Wire, data: &str) -> (Seen, String) {
        let mut text = String::new();
        let seen = frame(wire, data, &mut |piece| text.push_str(piece));
        (seen, text)
    }

    #[test]
    fn chat_text_tools_and_usage_are_seen() {
        let (seen, text) = look(
            Wire::Chat,
            r#"{"choices":[{"delta":{"content":"a\"b","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}],"usage":null}"#,
        );
        assert!(seen.content && seen.usage.is_none() && !seen.usage_only);
        assert_eq!(text, "a\"bf{}");
        let (seen, _) =
            look(Wire::Chat, r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
        assert!(seen.usage_only);
        assert_eq!(seen.usage.map(|usage| (usage.input, usage.output)), Some((3, 4)));
    }

    #[test]
    fn a_role_chunk_is_no_content() {
        let (seen, text) = look(Wire::Chat, r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#);
        assert_eq!((seen.content, text.as_str()), (false, ""));
    }

    #[test]
    fn errors_are_seen_on_every_wire() {
        for (wire, data, status) in [
            (Wire::Chat, r#"{"error":{"message":"m","code":429}}"#, 429),
            (Wire::Messages, r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#, 529),
        ] {
            let (seen, _) = look(wire, data);
            assert_eq!(seen.error.map(|e| (e.status, e.message)), Some((status, "m".into())), "{data}");
        }
        let (seen, _) =
            look(Wire::Responses, r#"{"type":"response.failed","response":{"error":{"message":"m"}}}"#);
        assert_eq!(seen.error.map(|e| e.message), Some("m".into()));
    }

    #[test]
    fn messages_usage_counts_the_cache() {
        let (seen, _) = look(
            Wire::Messages,
            r#"{"type":"message_start","message":{"usage":{"input_tokens":5,"cache_read_input_tokens":7,"output_tokens":1}}}"#,
        );
        assert_eq!(seen.usage.map(|usage| (usage.input, usage.cached_input)), Some((12, 7)));
        assert_eq!(
            usage_of(br#"{"usage":{"input_tokens":5,"cache_read_input_tokens":7,"output_tokens":1}}"#)
                .unwrap()
                .input,
            12
        );
    }
}
