//! Reads usage, errors and text out of native answers in passing; the bytes themselves are forwarded untouched.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::UpstreamError;
pub use crate::look_whole::{NoAnswer, NotJson, answer_of, usage_of};
use crate::provider::Wire;
use crate::text::Text;
use crate::usage::Usage;
use crate::{anthropic, openai, responses, surrogates};

/// What one SSE frame says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// It carries a piece of the answer: after it, nothing may be tried again.
    pub content: bool,
    /// A choice is complete.
    pub finished: bool,
    /// How many choices this frame completes.
    pub finishes: u32,
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
    /// It could not be read at all.
    pub unread: bool,
}

impl Seen {
    /// Returns whether it carries a piece of the answer and says nothing else.
    #[must_use]
    pub fn is_content(&self) -> bool {
        *self == Self { content: true, ..Self::default() }
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
    /// Groq reports usage and errors here.
    #[serde(borrow, default)]
    x_groq: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChatChoice<'a> {
    #[serde(borrow, default)]
    delta: Option<ChatDelta<'a>>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
    /// Moonshot reports usage here.
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChatGroq<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
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
    thinking: Option<&'a RawValue>,
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
    let seen = match wire {
        Wire::Chat | Wire::Completions => chat(wire, data, text),
        Wire::Messages => messages(data, text),
        Wire::Responses => response(data, text),
        Wire::Gemini => Seen::default(),
    };
    if seen.unread
        && let Cow::Owned(whole) = surrogates::mended_text(data)
    {
        return frame(wire, &whole, text);
    }
    seen
}

/// Makes the error of an event that is named `error`, whatever its data are.
#[must_use]
pub fn error_event(wire: Wire, data: &str) -> UpstreamError {
    error_in(wire, data).unwrap_or_else(|| match surrogates::from_slice::<Value>(data.as_bytes()) {
        Ok(value) => openai::error_inside_answer(&value),
        Err(_) => openai::bad_gateway(openai::shorten(data)),
    })
}

fn chat(wire: Wire, data: &str, text: &mut dyn FnMut(&str)) -> Seen {
    let mut seen = Seen::default();
    let Ok(frame) = serde_json::from_str::<ChatFrame<'_>>(data) else {
        // Odd members may still be an error object.
        seen.error = error_in(Wire::Chat, data);
        seen.unread = true;
        return seen;
    };
    if filled(frame.error).is_some() {
        seen.error = error_in(Wire::Chat, data);
        return seen;
    }
    let groq = filled(frame.x_groq).and_then(|raw| serde_json::from_str::<ChatGroq<'_>>(raw.get()).ok());
    let choices = frame.choices.unwrap_or_default();
    let errors = choices.iter().map(|choice| choice.error).chain([groq.as_ref().and_then(|groq| groq.error)]);
    if let Some(error) = errors.filter_map(filled).next() {
        seen.error = error_in(Wire::Chat, &format!("{{\"error\":{error}}}"));
        return seen;
    }
    let places = [frame.usage].into_iter().chain(choices.iter().map(|choice| choice.usage));
    let mut places = places.chain([groq.and_then(|groq| groq.usage)]).filter_map(filled);
    seen.usage = places.find_map(usage_in);
    seen.usage_only = choices.is_empty() && seen.usage.is_some();
    for choice in choices {
        if choice.finish_reason.is_some_and(|word| !word.0.is_empty()) {
            seen.finished = true;
            seen.finishes += 1;
        }
        // Some vendors repeat there what a chat delta says.
        if let Some(piece) = choice.text.filter(|_| wire == Wire::Completions) {
            seen.content |= !piece.0.is_empty();
            text(&piece.0);
            continue;
        }
        let Some(delta) = choice.delta else { continue };
        // Some servers say a thought under two names at once.
        let thoughts = [delta.reasoning_content, delta.reasoning, delta.thinking];
        seen.content |= thoughts.into_iter().any(|raw| pieces(raw, text));
        for raw in [delta.content, delta.refusal] {
            seen.content |= pieces(raw, text);
        }
        for raw in [delta.tool_calls, delta.function_call] {
            seen.content |= tool_text(raw, text);
        }
    }
    seen.content |= seen.finished;
    seen
}

fn filled(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

fn usage_in(raw: &RawValue) -> Option<Usage> {
    openai::usage_from_text(raw.get())
}

/// Passes on the text of a string, or of an array of parts; true when there was any.
fn pieces(raw: Option<&RawValue>, text: &mut dyn FnMut(&str)) -> bool {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, default)]
        text: Option<Text<'a>>,
        #[serde(borrow, default)]
        thinking: Option<&'a RawValue>,
    }
    let Some(raw) = raw.map(RawValue::get).filter(|raw| !matches!(*raw, "null" | "\"\"" | "[]")) else {
        return false;
    };
    if !raw.starts_with('[') {
        return match serde_json::from_str::<Text<'_>>(raw) {
            Ok(piece) if !piece.0.is_empty() => {
                text(&piece.0);
                true
            }
            Ok(_) => false,
            Err(_) => half_a_character(raw, text),
        };
    }
    let mut any = false;
    for entry in serde_json::from_str::<Vec<&RawValue>>(raw).unwrap_or_default() {
        match serde_json::from_str::<Part<'_>>(entry.get()) {
            Ok(part) => {
                if let Some(piece) = part.text.filter(|piece| !piece.0.is_empty()) {
                    any = true;
                    text(&piece.0);
                }
                // Mistral's thoughts are parts themselves.
                any |= pieces(part.thinking, text);
            }
            Err(_) => any |= pieces(Some(entry), text),
        }
    }
    any
}

/// Passes on the text of a string that holds half a character: a vendor cut it in the middle.
fn half_a_character(raw: &str, text: &mut dyn FnMut(&str)) -> bool {
    let Ok(piece) = surrogates::from_slice::<String>(raw.as_bytes()) else { return false };
    text(&piece);
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
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
}

/// A content block or output item at its start.
#[derive(Deserialize)]
struct Begun<'a> {
    #[serde(borrow, default)]
    r#type: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Text<'a>>,
}

/// Passes on what a block or item begins with: the name of a call, and text where the vendor sends some at once.
fn begun(raw: Option<&RawValue>, text: &mut dyn FnMut(&str)) {
    let Some(begun) = raw.and_then(|raw| serde_json::from_str::<Begun<'_>>(raw.get()).ok()) else { return };
    let called = begun
        .r#type
        .is_some_and(|kind| matches!(&*kind.0, "tool_use" | "function_call" | "custom_tool_call"));
    for piece in [begun.name.filter(|_| called), begun.text, begun.thinking].into_iter().flatten() {
        text(&piece.0);
    }
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
    let Ok(frame) = serde_json::from_str::<TypedFrame<'_>>(data) else {
        return Seen { unread: true, ..seen };
    };
    match frame.r#type.as_ref().map(|kind| &*kind.0) {
        Some("message_start") => {
            let message = frame.message.and_then(|raw| serde_json::from_str::<Message<'_>>(raw.get()).ok());
            seen.usage =
                message.and_then(|message| message.usage).and_then(|raw| anthropic::usage_from(raw.get()));
        }
        Some("content_block_start") => {
            seen.content = true;
            seen.block = Some(frame.index);
            begun(frame.content_block, text);
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
            seen.finishes = 1;
            seen.usage = frame.usage.and_then(|raw| anthropic::usage_from(raw.get()));
        }
        Some("message_stop") => seen.end = true,
        Some("error") => seen.error = error_in(Wire::Messages, data),
        _ => {}
    }
    seen
}

fn response(data: &str, text: &mut dyn FnMut(&str)) -> Seen {
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow, default)]
        usage: Option<&'a RawValue>,
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
    }
    let mut seen = Seen::default();
    let Ok(frame) = serde_json::from_str::<TypedFrame<'_>>(data) else {
        return Seen { unread: true, ..seen };
    };
    let kind = frame.r#type.as_ref().map_or("", |kind| &*kind.0);
    let response = frame.response.and_then(|raw| serde_json::from_str::<Response<'_>>(raw.get()).ok());
    match kind {
        "response.completed" | "response.incomplete" | "response.failed" => {
            seen.finished = true;
            seen.finishes = 1;
            seen.end = true;
            let usage = response.as_ref().and_then(|response| response.usage);
            seen.usage = usage.and_then(usage_in);
            let error = response.and_then(|response| response.error);
            if error.is_some() || kind == "response.failed" {
                let error = error.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
                seen.error = Some(responses::error_of_response(&error));
            } else {
                seen.content = true;
            }
        }
        // Errors of proxies have no type.
        "error" | "" => seen.error = error_in(Wire::Responses, data),
        _ if kind.ends_with(".delta") => {
            seen.content = true;
            pieces(frame.delta, text);
        }
        "response.output_item.added" => {
            seen.content = true;
            begun(frame.item, text);
        }
        _ if kind.starts_with("response.output_item") || kind.starts_with("response.content_part") => {
            seen.content = true;
        }
        _ => {}
    }
    seen
}

fn error_in(wire: Wire, data: &str) -> Option<UpstreamError> {
    let value: Map<String, Value> = serde_json::from_str(data).ok()?;
    let nested = value.get("error").is_some_and(|error| !error.is_null());
    if !nested && value.get("type").and_then(Value::as_str) != Some("error") {
        return None;
    }
    let value = Value::Object(value);
    Some(match wire {
        Wire::Messages if nested => anthropic::error_inside_stream(&value),
        Wire::Responses => responses::error_of_event(value),
        _ => openai::error_inside_answer(&value),
    })
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
