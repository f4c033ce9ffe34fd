//! Streamed response → events.
//!
//! Closed on doubt: an event that can't be read, and a body that ends before the response did, are errors, never a
//! silent end. Events and items that this code doesn't know are skipped.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::snapshot::{
    Piece, PieceKind, Response, Snapshot, error_of_event, error_of_response, piece, str_of,
};
use super::track::{Items, Place};
use crate::codec::Decoder;
use crate::error::UpstreamError;
use crate::event::Event;
use crate::openai::{bad_gateway, count, json_text, shorten};
use crate::text::Text;

/// One event. Objects stay unread until it is known whether they matter.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    output_index: Value,
    #[serde(borrow)]
    item_id: Option<Text<'a>>,
    content_index: Value,
    summary_index: Value,
    #[serde(borrow)]
    delta: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    arguments: Value,
    input: Value,
    part: Value,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Reads one streamed response. The wire has one choice, so every event is of choice 0.
#[derive(Debug, Default)]
pub(super) struct ResponseDecoder {
    state: State,
    items: Items,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    #[default]
    Waiting,
    Started,
    /// The response ended, well or not.
    Over,
}

impl Decoder for ResponseDecoder {
    fn decode(&mut self, event: &str, data: &str, out: &mut Vec<Event>) {
        let data = data.trim();
        // Some servers end with OpenAI's older marker too.
        if self.state == State::Over || data.is_empty() || data == "[DONE]" {
            return;
        }
        match serde_json::from_str::<Frame<'_>>(data) {
            Ok(frame) => self.frame(event, data, frame, out),
            Err(_) if event == "error" => self.fail(bad_gateway(shorten(data)), out),
            Err(error) => {
                let message =
                    format!("the stream has an event that can't be read ({error}): {}", shorten(data));
                self.fail(bad_gateway(message), out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        match self.state {
            State::Over => {}
            State::Waiting => self.fail(bad_gateway("the stream ended before the answer began"), out),
            State::Started => {
                self.fail(bad_gateway("the stream was cut before the answer was complete"), out);
            }
        }
    }
}

impl ResponseDecoder {
    fn frame(&mut self, event: &str, data: &str, frame: Frame<'_>, out: &mut Vec<Event>) {
        let named = str_of(&frame.kind);
        let kind = if named.is_empty() { event } else { named };
        if kind == "error" || (!kind.starts_with("response.") && frame.error.is_some()) {
            let event = serde_json::from_str(data).unwrap_or(Value::Null);
            return self.fail(error_of_event(event), out);
        }
        let Some(kind) = kind.strip_prefix("response.") else { return };
        match kind {
            "created" | "queued" | "in_progress" => self.start(&Response::read(frame.response), out),
            "completed" | "incomplete" | "failed" | "cancelled" => {
                self.complete(kind, &Response::read(frame.response), out);
            }
            "output_item.added" | "output_item.done" => {
                self.start(&Response::default(), out);
                let item = Snapshot::read(frame.item);
                let place = Place { index: count(&frame.output_index), id: item.id() };
                match kind {
                    "output_item.added" => self.items.begin(place, &item, out),
                    _ => self.items.end(place, &item, out),
                }
            }
            _ => self.piece(kind, &frame, out),
        }
    }

    /// Reads an event about a piece of an item.
    fn piece(&mut self, kind: &str, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let (what, step) = kind.rsplit_once('.').unwrap_or_default();
        let (kind, index) = match what {
            "output_text" => (PieceKind::Text, &frame.content_index),
            "refusal" => (PieceKind::Refusal, &frame.content_index),
            "reasoning_text" => (PieceKind::Thought, &frame.content_index),
            "reasoning_summary_text" => (PieceKind::Summary, &frame.summary_index),
            "function_call_arguments" | "custom_tool_call_input" => (PieceKind::Arguments, &Value::Null),
            "content_part" | "reasoning_summary_part" => return self.part(frame, out),
            _ => return,
        };
        self.start(&Response::default(), out);
        let index = count(index).unwrap_or_default();
        match step {
            "delta" => {
                let text = Cow::Borrowed(str_of(&frame.delta));
                self.items.delta(frame.place(), &Piece { kind, index, text }, out);
            }
            "done" => {
                let text = match what {
                    "refusal" => Cow::Borrowed(str_of(&frame.refusal)),
                    "function_call_arguments" => Cow::Owned(json_text(&frame.arguments)),
                    "custom_tool_call_input" => Cow::Owned(json_text(&frame.input)),
                    _ => Cow::Borrowed(str_of(&frame.text)),
                };
                self.items.whole(frame.place(), &Piece { kind, index, text }, out);
            }
            _ => {}
        }
    }

    /// Reads a part of a message or a reasoning item as it is now.
    fn part(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        let (kind, index) = match frame.part.get("type").and_then(Value::as_str) {
            Some("output_text" | "text" | "refusal") => (PieceKind::Text, &frame.content_index),
            Some("reasoning_text") => (PieceKind::Thought, &frame.content_index),
            Some("summary_text") => (PieceKind::Summary, &frame.summary_index),
            _ => return,
        };
        self.start(&Response::default(), out);
        if let Some(piece) = piece(&frame.part, count(index).unwrap_or_default(), kind) {
            self.items.whole(frame.place(), &piece, out);
        }
    }

    fn start(&mut self, response: &Response<'_>, out: &mut Vec<Event>) {
        if self.state == State::Waiting {
            self.state = State::Started;
            out.push(Event::Start {
                id: response.id().to_owned(),
                model: response.model().to_owned(),
                created: response.created(),
            });
        }
    }

    fn complete(&mut self, told: &str, response: &Response<'_>, out: &mut Vec<Event>) {
        self.start(response, out);
        let failure = response.failure().or_else(|| match told {
            "failed" | "cancelled" => Some(error_of_response(&Value::Null)),
            _ => None,
        });
        if let Some(failure) = failure {
            out.extend(response.usage().map(Event::Usage));
            return self.fail(failure, out);
        }
        self.items.settle(response.output.as_deref().unwrap_or_default(), out);
        let reason = response.finish(told, self.items.called(), self.items.refused());
        out.extend(reason.map(|reason| Event::Finish { choice: 0, reason }));
        out.extend(response.usage().map(Event::Usage));
        out.push(Event::End);
        self.state = State::Over;
    }

    fn fail(&mut self, error: UpstreamError, out: &mut Vec<Event>) {
        self.state = State::Over;
        out.push(Event::Error(error));
    }
}

impl Frame<'_> {
    fn place(&self) -> Place<'_> {
        Place { index: count(&self.output_index), id: str_of(&self.item_id) }
    }
}
