//! A vendor's objects as serde reads them: the response, and its output items in whatever state they are.
//!
//! Lenient: a member of another type counts as absent, and an item that can't be read is one of a kind that nobody
//! knows. Items of tools that the vendor runs itself (web search, code interpreter) say nothing here.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::item::{Opened, open_vendors};
use crate::error::UpstreamError;
use crate::event::{FinishKind, FinishReason};
use crate::openai::{bad_gateway, count, error_inside_answer, json_text, usage_from};
use crate::text::Text;
use crate::usage::Usage;

/// The `response` of an event, or a whole answer.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    created_at: Value,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    error: Value,
    incomplete_details: Value,
    usage: Value,
    /// Unread: items of the vendor's own tools hold whole pictures.
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'a RawValue>>,
}

impl<'a> Response<'a> {
    /// Reads the object; one that can't be read says nothing.
    pub(super) fn read(raw: Option<&'a RawValue>) -> Self {
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    pub(super) fn id(&self) -> &str {
        str_of(&self.id)
    }

    pub(super) fn model(&self) -> &str {
        str_of(&self.model)
    }

    /// Returns when it began; some servers count fractions of a second.
    pub(super) fn created(&self) -> u64 {
        let seconds = self.created_at.as_f64().filter(|seconds| *seconds > 0.0);
        count(&self.created_at).or(seconds.map(|seconds| seconds as u64)).unwrap_or_default()
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        usage_from(&self.usage)
    }

    /// Returns the error of a response that failed.
    pub(super) fn failure(&self) -> Option<UpstreamError> {
        if !self.error.is_null() {
            return Some(error_of_response(&self.error));
        }
        match str_of(&self.status) {
            status @ ("failed" | "cancelled") => {
                Some(bad_gateway(format!("the vendor calls the response {status} and doesn't say why")))
            }
            _ => None,
        }
    }

    /// Returns why the response ended; `None` while it hasn't. `told` is what the event's name says of it.
    pub(super) fn finish(&self, told: &str, called: bool, refused: bool) -> Option<FinishReason> {
        let status = str_of(&self.status);
        if told == "incomplete" || status == "incomplete" {
            let reason = self.incomplete_details.get("reason").and_then(Value::as_str);
            let kind = match reason {
                Some("content_filter") => FinishKind::ContentFilter,
                _ => FinishKind::Length,
            };
            return Some(FinishReason::new(kind, reason.unwrap_or("incomplete")));
        }
        if told.is_empty() && matches!(status, "queued" | "in_progress") {
            return None;
        }
        let kind = match (called, refused) {
            (true, _) => FinishKind::ToolCalls,
            (false, true) => FinishKind::Refusal,
            (false, false) => FinishKind::Stop,
        };
        Some(FinishReason::new(kind, "completed"))
    }
}

/// Reads the `error` of a response.
pub(crate) fn error_of_response(error: &Value) -> UpstreamError {
    match error {
        Value::Null => bad_gateway("the vendor says that the response failed and not why"),
        error => error_inside_answer(&serde_json::json!({ "error": error })),
    }
}

/// Reads an `error` event. OpenAI's is flat, compatible servers nest an `error` object, some do both.
pub(crate) fn error_of_event(mut event: Value) -> UpstreamError {
    // The name of the event is no type of an error.
    if event.get("type").and_then(Value::as_str) == Some("error")
        && let Some(event) = event.as_object_mut()
    {
        event.remove("type");
    }
    error_inside_answer(&event)
}

/// What an item is to the canonical model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Reasoning,
    Call,
    /// Nothing that it could say.
    Other,
}

/// What a piece of an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    Text,
    Refusal,
    /// Raw reasoning, as open models show it.
    Thought,
    /// A paragraph that tells the reasoning again, as OpenAI shows it.
    Summary,
    Arguments,
}

impl PieceKind {
    /// Returns the kind of item that holds such pieces.
    pub(super) fn home(self) -> Kind {
        match self {
            PieceKind::Text | PieceKind::Refusal => Kind::Message,
            PieceKind::Thought | PieceKind::Summary => Kind::Reasoning,
            PieceKind::Arguments => Kind::Call,
        }
    }
}

/// A piece, and its place among those of its kind of list.
pub(super) struct Piece<'s> {
    pub(super) kind: PieceKind,
    pub(super) index: u64,
    pub(super) text: Cow<'s, str>,
}

/// One output item.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Snapshot<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    arguments: Value,
    input: Value,
    content: Value,
    summary: Value,
    #[serde(borrow)]
    encrypted_content: Option<Text<'a>>,
    extra_content: Value,
}

impl<'a> Snapshot<'a> {
    /// Reads an item; one that can't be read is of no known kind.
    pub(super) fn read(raw: Option<&'a RawValue>) -> Self {
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    pub(super) fn kind(&self) -> Kind {
        match str_of(&self.kind) {
            "message" => Kind::Message,
            "reasoning" => Kind::Reasoning,
            "function_call" | "custom_tool_call" => Kind::Call,
            _ => Kind::Other,
        }
    }

    pub(super) fn id(&self) -> &str {
        str_of(&self.id)
    }

    pub(super) fn call_id(&self) -> &str {
        str_of(&self.call_id)
    }

    pub(super) fn name(&self) -> &str {
        str_of(&self.name)
    }

    /// Returns Gemini's signature of a call, where Gemini's own OpenAI endpoint puts it.
    pub(super) fn signature(&self) -> Option<&str> {
        self.extra_content.pointer("/google/thought_signature")?.as_str()
    }

    /// Returns what a reasoning item has for the vendor to get back.
    pub(super) fn opened(&self) -> Option<Opened> {
        open_vendors(str_of(&self.encrypted_content))
    }

    /// Returns the pieces so far, raw thoughts before their summary.
    pub(super) fn pieces(&self) -> Vec<Piece<'_>> {
        match self.kind() {
            Kind::Message => parts(&self.content, PieceKind::Text),
            Kind::Reasoning => {
                let mut pieces = parts(&self.content, PieceKind::Thought);
                pieces.extend(parts(&self.summary, PieceKind::Summary));
                pieces
            }
            Kind::Call => {
                let given = if self.arguments.is_null() { &self.input } else { &self.arguments };
                let text = match given {
                    Value::String(text) => Cow::Borrowed(text.as_str()),
                    // Some servers send the object itself.
                    other => Cow::Owned(json_text(other)),
                };
                vec![Piece { kind: PieceKind::Arguments, index: 0, text }]
            }
            Kind::Other => Vec::new(),
        }
    }
}

fn parts(list: &Value, kind: PieceKind) -> Vec<Piece<'_>> {
    match list {
        Value::String(text) => vec![Piece { kind, index: 0, text: Cow::Borrowed(text) }],
        Value::Array(parts) => {
            let parts = (0..).zip(parts);
            parts.filter_map(|(index, part)| piece(part, index, kind)).collect()
        }
        _ => Vec::new(),
    }
}

/// Reads one part of a list whose parts are of this kind.
pub(super) fn piece(part: &Value, index: u64, kind: PieceKind) -> Option<Piece<'_>> {
    let refused = part.get("refusal").and_then(Value::as_str).filter(|_| kind == PieceKind::Text);
    let (kind, text) = match refused {
        Some(text) => (PieceKind::Refusal, text),
        None => (kind, part.get("text")?.as_str()?),
    };
    Some(Piece { kind, index, text: Cow::Borrowed(text) })
}

/// Returns a member's text; empty when there is none.
pub(super) fn str_of<'t>(text: &'t Option<Text<'_>>) -> &'t str {
    text.as_ref().map_or("", |text| &text.0)
}
