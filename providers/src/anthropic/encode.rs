//! Writes a stream of the Messages wire from canonical events.
//!
//! Content blocks are opened and closed as the kind of content changes. Two frames wait for their tokens:
//! `message_start` until the first usage or content, `message_delta` until the end, because OpenAI's vendors report
//! tokens last, and some of them more than once.
//!
//! Failure behaviour: an error event is final, nothing follows it. An unfinished block stays open before an error,
//! as it does at the vendor: closing it would make half a tool call look whole.

use bytes::BytesMut;

use super::answer::message_id;
use super::frames::stop_reason;
use super::frames_out::{Block, Delta, Empty, ErrorOut, Frame, Message, MessageDelta, UsageOut};
use crate::codec::{EncodeOptions, Encoder};
use crate::error::{ErrorBody, UpstreamError, anthropic_error_type};
use crate::event::{Event, FinishReason};
use crate::usage::Usage;

/// State of one stream.
pub(super) struct MessagesEncoder {
    options: EncodeOptions,
    id: String,
    model: String,
    phase: Phase,
    open: Option<Open>,
    /// Index of the next content block.
    next: u32,
    /// Block index of each tool, by its number.
    tools: Vec<u32>,
    refused: bool,
    finish: Option<FinishReason>,
    usage: Usage,
}

/// How far the stream is; only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Before,
    Content,
    /// `message_delta` was written.
    Told,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// Thinking whose signature was written; more thinking is a new block.
    Signed,
    Tool,
}

impl Encoder for MessagesEncoder {
    fn encode(&mut self, event: &Event, out: &mut BytesMut) {
        if self.phase == Phase::Over {
            return;
        }
        match event {
            Event::Start { id, model, .. } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            Event::Text { choice: 0, text } => self.text(text, out),
            Event::Refusal { choice: 0, text } => {
                self.refused = true;
                self.text(text, out);
            }
            Event::Reasoning { choice: 0, text } => {
                self.enter(Open::Thinking, Block::Thinking { thinking: "", signature: "" }, out);
                self.delta(Delta::Thinking { thinking: text }, out);
            }
            Event::Signature { choice: 0, signature } => {
                self.enter(Open::Thinking, Block::Thinking { thinking: "", signature: "" }, out);
                self.delta(Delta::Signature { signature }, out);
                self.open = Some(Open::Signed);
            }
            Event::RedactedReasoning { choice: 0, data } => {
                self.close(out);
                self.start_block(Block::RedactedThinking { data }, out);
                self.stop_block(out);
            }
            Event::ToolStart { choice: 0, tool, id, name, .. } => self.tool(*tool, id, name, out),
            Event::ToolArguments { choice: 0, tool, json } => self.arguments(*tool, json, out),
            Event::Finish { choice: 0, reason } => {
                self.close(out);
                self.finish = Some(reason.clone());
            }
            Event::Usage(usage) => self.usage(usage, out),
            Event::Error(error) => self.upstream_error(error, out),
            Event::End => {
                self.tell(out);
                Frame::MessageStop.write(out);
                self.phase = Phase::Over;
            }
            // This wire has no place for a second choice.
            Event::Text { .. }
            | Event::Refusal { .. }
            | Event::Reasoning { .. }
            | Event::Signature { .. }
            | Event::RedactedReasoning { .. }
            | Event::ToolStart { .. }
            | Event::ToolArguments { .. }
            | Event::Finish { .. } => {}
        }
    }

    fn encode_error(&mut self, error: &ErrorBody, out: &mut BytesMut) {
        if self.phase == Phase::Over {
            return;
        }
        // The gateway may end an answer in good order before it says why.
        if self.finish.is_some() {
            self.tell(out);
        }
        self.error(anthropic_error_type(error.status), &error.message, out);
    }
}

impl MessagesEncoder {
    pub(super) fn new(options: EncodeOptions) -> Self {
        Self {
            options,
            id: String::new(),
            model: String::new(),
            phase: Phase::Before,
            open: None,
            next: 0,
            tools: Vec::new(),
            refused: false,
            finish: None,
            usage: Usage::default(),
        }
    }

    /// Writes `message_start` unless it was.
    fn begin(&mut self, out: &mut BytesMut) {
        if self.phase > Phase::Before {
            return;
        }
        self.phase = Phase::Content;
        let message = Message {
            id: &message_id(&self.id, &self.options),
            kind: "message",
            role: "assistant",
            model: if self.model.is_empty() { &self.options.model } else { &self.model },
            content: [],
            stop_reason: (),
            stop_sequence: (),
            usage: UsageOut::from(&self.usage),
        };
        Frame::MessageStart { message }.write(out);
    }

    fn text(&mut self, text: &str, out: &mut BytesMut) {
        if text.is_empty() {
            return;
        }
        self.enter(Open::Text, Block::Text { text: "" }, out);
        self.delta(Delta::Text { text }, out);
    }

    fn tool(&mut self, tool: u32, id: &str, name: &str, out: &mut BytesMut) {
        self.close(out);
        let known = self.tools.len();
        // Numbers come in order; one that skips ahead would leave holes, which then point at this block too.
        let wanted = usize::try_from(tool).unwrap_or(known).min(known);
        self.tools.truncate(wanted);
        self.tools.push(self.next);
        self.start_block(Block::ToolUse { id, name, input: Empty {} }, out);
        self.open = Some(Open::Tool);
    }

    fn arguments(&mut self, tool: u32, json: &str, out: &mut BytesMut) {
        let index = usize::try_from(tool).ok().and_then(|tool| self.tools.get(tool).or(self.tools.last()));
        // Vendors that mix the pieces of several calls are rare; clients add pieces up by index, closed or not.
        if let (Some(&index), false) = (index, json.is_empty()) {
            Frame::ContentBlockDelta { index, delta: Delta::Json { partial_json: json } }.write(out);
        }
    }

    fn usage(&mut self, usage: &Usage, out: &mut BytesMut) {
        self.usage.merge(usage);
        // Later figures have their place in `message_delta`.
        self.begin(out);
    }

    /// Makes a block of the kind the current one.
    fn enter(&mut self, kind: Open, block: Block<'_>, out: &mut BytesMut) {
        if self.open != Some(kind) {
            self.close(out);
            self.start_block(block, out);
            self.open = Some(kind);
        }
    }

    fn start_block(&mut self, content_block: Block<'_>, out: &mut BytesMut) {
        self.begin(out);
        Frame::ContentBlockStart { index: self.next, content_block }.write(out);
        self.next += 1;
    }

    fn delta(&self, delta: Delta<'_>, out: &mut BytesMut) {
        Frame::ContentBlockDelta { index: self.next.saturating_sub(1), delta }.write(out);
    }

    fn close(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            self.stop_block(out);
        }
    }

    fn stop_block(&self, out: &mut BytesMut) {
        Frame::ContentBlockStop { index: self.next.saturating_sub(1) }.write(out);
    }

    /// Writes everything up to and including `message_delta`, once.
    fn tell(&mut self, out: &mut BytesMut) {
        if self.phase >= Phase::Told {
            return;
        }
        self.begin(out);
        self.close(out);
        let finish = self.finish.as_ref();
        let delta = MessageDelta {
            stop_reason: stop_reason(finish, !self.tools.is_empty(), self.refused),
            stop_sequence: finish.and_then(|finish| finish.stop_sequence.as_deref()),
        };
        Frame::MessageDelta { delta, usage: UsageOut::from(&self.usage) }.write(out);
        self.phase = Phase::Told;
    }

    fn upstream_error(&mut self, error: &UpstreamError, out: &mut BytesMut) {
        self.error(anthropic_error_type(error.status), &error.message, out);
    }

    fn error(&mut self, kind: &str, message: &str, out: &mut BytesMut) {
        Frame::Error { error: ErrorOut { kind, message } }.write(out);
        self.phase = Phase::Over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FinishKind;

    fn encoded(events: &[Event]) -> (MessagesEncoder, String) {
        let options = EncodeOptions { model: "m".into(), id: "1".into(), ..EncodeOptions::default() };
        let mut encoder = MessagesEncoder::new(options);
        let mut out = BytesMut::new();
        for event in events {
            encoder.encode(event, &mut out);
        }
        (encoder, String::from_utf8(out.to_vec()).unwrap())
    }

    fn names(stream: &str) -> Vec<&str> {
        stream.lines().filter_map(|line| line.strip_prefix("event: ")).collect()
    }

    fn start() -> Event {
        Event::Start { id: String::new(), model: String::new(), created: 0 }
    }

    fn text(text: &str) -> Event {
        Event::Text { choice: 0, text: text.into() }
    }

    fn finish(kind: FinishKind, raw: &str) -> Event {
        Event::Finish { choice: 0, reason: FinishReason::new(kind, raw) }
    }

    fn usage(input: u64, output: u64) -> Event {
        Event::Usage(Usage { input, output, ..Usage::default() })
    }

    fn gateway_error() -> ErrorBody {
        let (param, code, provider) = (None, None, None);
        ErrorBody { status: 429, message: "budget".into(), kind: String::new(), param, code, provider }
    }

    #[test]
    fn tokens_that_come_last_are_in_message_delta() {
        let events = [start(), text("Hi"), finish(FinishKind::Stop, "stop"), usage(3, 4), Event::End];
        let (_, stream) = encoded(&events);
        let expected = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":4}}

event: message_stop
data: {"type":"message_stop"}

"#;
        assert_eq!(stream, expected);
    }

    #[test]
    fn a_finish_without_tokens_waits_for_the_end() {
        let (mut encoder, stream) = encoded(&[start(), text("Hi"), finish(FinishKind::Stop, "stop")]);
        assert_eq!(names(&stream).last(), Some(&"content_block_stop"));
        let mut out = BytesMut::new();
        encoder.encode(&Event::End, &mut out);
        assert_eq!(names(std::str::from_utf8(&out).unwrap()), ["message_delta", "message_stop"]);
    }

    #[test]
    fn blocks_change_with_the_kind_of_content() {
        let tool = |tool: u32| Event::ToolStart {
            choice: 0,
            tool,
            id: format!("t{tool}"),
            name: "f".into(),
            signature: None,
        };
        let json = |tool, json: &str| Event::ToolArguments { choice: 0, tool, json: json.into() };
        let (_, stream) = encoded(&[
            start(),
            Event::Reasoning { choice: 0, text: "hm".into() },
            Event::Signature { choice: 0, signature: "s".into() },
            Event::Reasoning { choice: 0, text: "again".into() },
            Event::RedactedReasoning { choice: 0, data: "d".into() },
            Event::Text { choice: 1, text: "second choice".into() },
            tool(0),
            json(0, "{"),
            tool(1),
            json(0, "}"),
            finish(FinishKind::Stop, "STOP"),
            Event::End,
        ]);
        let data: Vec<serde_json::Value> = stream
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let started: Vec<(u64, &str)> = data
            .iter()
            .filter(|frame| frame["type"] == "content_block_start")
            .map(|frame| (frame["index"].as_u64().unwrap(), frame["content_block"]["type"].as_str().unwrap()))
            .collect();
        let kinds = ["thinking", "thinking", "redacted_thinking", "tool_use", "tool_use"];
        assert_eq!(started, (0..).zip(kinds).collect::<Vec<_>>());
        assert_eq!(names(&stream).iter().filter(|name| **name == "content_block_stop").count(), 5);
        let pieces: Vec<u64> = data
            .iter()
            .filter(|frame| frame["delta"]["type"] == "input_json_delta")
            .map(|frame| frame["index"].as_u64().unwrap())
            .collect();
        assert_eq!(pieces, [3, 3], "late pieces go to the block of their tool");
        assert!(stream.contains(r#""stop_reason":"tool_use""#));
        assert!(!stream.contains("second choice"));
    }

    #[test]
    fn an_upstream_error_is_final() {
        let error =
            UpstreamError { status: 529, message: "Busy".into(), kind: None, code: None, param: None };
        let (mut encoder, stream) = encoded(&[start(), text("Hi"), Event::Error(error), Event::End]);
        let last = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Busy\"}}\n\n";
        assert!(stream.ends_with(last), "{stream}");
        assert_eq!(names(&stream), ["message_start", "content_block_start", "content_block_delta", "error"]);
        let mut out = BytesMut::new();
        encoder.encode_error(&gateway_error(), &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn the_gateway_can_end_in_good_order_before_its_error() {
        let (mut encoder, before) = encoded(&[start(), text("Hi"), finish(FinishKind::Length, "length")]);
        assert_eq!(names(&before).last(), Some(&"content_block_stop"));
        let mut out = BytesMut::new();
        encoder.encode_error(&gateway_error(), &mut out);
        encoder.encode(&Event::End, &mut out);
        assert_eq!(names(std::str::from_utf8(&out).unwrap()), ["message_delta", "error"]);
    }

    #[test]
    fn an_empty_answer_is_a_whole_message() {
        let (_, stream) = encoded(&[start(), Event::End]);
        assert_eq!(names(&stream), ["message_start", "message_delta", "message_stop"]);
    }
}
