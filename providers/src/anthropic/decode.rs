//! Reads a stream of the Messages wire.
//!
//! Failure behaviour: an `error` event, unreadable data and a body that ends before a stop reason give one
//! [`Event::Error`], after which nothing is read. A `message_stop` that is missing behind a stop reason loses nothing and
//! is no failure. Event types that this code doesn't know are skipped.

use super::error::{ErrorObject, unreadable};
use super::frames::{Block, Delta, Frame, MessageShape, UsageShape, finish_reason};
use crate::codec::Decoder;
use crate::event::Event;
use crate::provider::Wire;

/// State of one stream. The wire has one choice, so every event is of choice 0.
#[derive(Debug, Default)]
pub(super) struct MessagesDecoder {
    /// Tool blocks so far, stopped ones too: gateways that translate mixed pieces of several calls send some late.
    tools: Vec<ToolBlock>,
    usage: UsageShape,
    /// A stop reason was read.
    finished: bool,
    state: State,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    #[default]
    Reading,
    /// `message_stop` or an error was read.
    Over,
}

#[derive(Debug)]
struct ToolBlock {
    /// Index of the content block.
    block: u64,
    /// Number among the tools.
    tool: u32,
    /// Input that came with the start; counts when no piece follows.
    whole: String,
}

impl Decoder for MessagesDecoder {
    fn decode(&mut self, event: &str, data: &str, out: &mut Vec<Event>) {
        if self.state == State::Over {
            return;
        }
        match serde_json::from_str::<Frame<'_>>(data) {
            Ok(frame) => self.frame(event, frame, out),
            Err(_) if event == "error" => {
                let message = Some(data.to_owned()).filter(|data| !data.is_empty());
                self.fail(ErrorObject { message, ..ErrorObject::default() }.into_upstream(None), out);
            }
            // Keep-alives of some proxies carry no data.
            Err(_) if data.trim().is_empty() => {}
            Err(error) => self.fail(unreadable(format!("the vendor sent an unreadable event: {error}")), out),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.state == State::Reading && self.finished {
            self.state = State::Over;
            out.push(Event::End);
        } else if self.state == State::Reading {
            self.fail(unreadable("the vendor's answer broke off"), out);
        }
    }

    fn repeats(&self) -> Option<Wire> {
        (self.state == State::Reading).then_some(Wire::Messages)
    }
}

impl MessagesDecoder {
    fn frame(&mut self, event: &str, frame: Frame<'_>, out: &mut Vec<Event>) {
        let kind = if frame.kind.is_empty() { event } else { frame.kind.as_ref() };
        match kind {
            "message_start" => self.message_start(frame.message.unwrap_or_default(), out),
            "content_block_start" => {
                if let Some(block) = frame.content_block {
                    self.block_start(frame.index.unwrap_or(0), block, out);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = frame.delta {
                    self.block_delta(frame.index.unwrap_or(0), delta, out);
                }
            }
            "content_block_stop" => self.block_stop(frame.index.unwrap_or(0), out),
            "message_delta" => self.message_delta(frame.delta.unwrap_or_default(), frame.usage, out),
            "message_stop" => {
                self.state = State::Over;
                if !self.finished {
                    // The vendor says that it is done and not why; clients need a reason.
                    let word = if self.tools.is_empty() { "end_turn" } else { "tool_use" };
                    out.push(Event::Finish { choice: 0, reason: finish_reason(word.to_owned(), None) });
                }
                out.push(Event::End);
            }
            "error" => self.fail(frame.error.unwrap_or_default().into_upstream(None), out),
            _ => {}
        }
    }

    fn message_start(&mut self, message: MessageShape, out: &mut Vec<Event>) {
        out.push(Event::Start {
            id: message.id.unwrap_or_default(),
            model: message.model.unwrap_or_default(),
            created: 0,
        });
        self.report(message.usage, out);
    }

    fn block_start(&mut self, index: u64, block: Block, out: &mut Vec<Event>) {
        match block.kind.as_str() {
            "text" => push_text(block.text, out),
            "thinking" => {
                push_reasoning(block.thinking, out);
                push_signature(block.signature, out);
            }
            "redacted_thinking" => {
                out.push(Event::RedactedReasoning { choice: 0, data: block.data.unwrap_or_default() });
            }
            "tool_use" => {
                let tool = u32::try_from(self.tools.len()).unwrap_or(u32::MAX);
                self.tools.push(ToolBlock { block: index, tool, whole: block.arguments().to_owned() });
                out.push(Event::ToolStart {
                    choice: 0,
                    tool,
                    id: block.id.unwrap_or_default(),
                    name: block.name.unwrap_or_default(),
                    signature: None,
                });
            }
            _ => {}
        }
    }

    fn block_delta(&mut self, index: u64, delta: Delta<'_>, out: &mut Vec<Event>) {
        match delta.kind.as_ref() {
            "text_delta" => push_text(delta.text, out),
            "thinking_delta" => push_reasoning(delta.thinking, out),
            "signature_delta" => push_signature(delta.signature, out),
            "input_json_delta" => {
                // Input of server tools comes the same way, but their blocks were never opened here.
                let block = self.tools.iter_mut().rfind(|tool| tool.block == index);
                if let (Some(block), Some(json)) = (block, filled(delta.partial_json)) {
                    block.whole.clear();
                    out.push(Event::ToolArguments { choice: 0, tool: block.tool, json });
                }
            }
            _ => {}
        }
    }

    fn block_stop(&mut self, index: u64, out: &mut Vec<Event>) {
        let Some(block) = self.tools.iter_mut().rfind(|tool| tool.block == index) else { return };
        if let Some(json) = filled(Some(std::mem::take(&mut block.whole))) {
            out.push(Event::ToolArguments { choice: 0, tool: block.tool, json });
        }
    }

    fn message_delta(&mut self, delta: Delta<'_>, usage: Option<UsageShape>, out: &mut Vec<Event>) {
        if let Some(reason) = delta.stop_reason {
            self.finished = true;
            out.push(Event::Finish { choice: 0, reason: finish_reason(reason, delta.stop_sequence) });
        }
        self.report(usage, out);
    }

    fn report(&mut self, usage: Option<UsageShape>, out: &mut Vec<Event>) {
        if let Some(usage) = usage.filter(UsageShape::tells) {
            self.usage.update(usage);
            out.push(Event::Usage(self.usage.usage()));
        }
    }

    fn fail(&mut self, error: crate::error::UpstreamError, out: &mut Vec<Event>) {
        self.state = State::Over;
        out.push(Event::Error(error));
    }
}

/// Empty pieces say nothing and are common at the start of a block.
fn filled(piece: Option<String>) -> Option<String> {
    piece.filter(|piece| !piece.is_empty())
}

fn push_text(text: Option<String>, out: &mut Vec<Event>) {
    out.extend(filled(text).map(|text| Event::Text { choice: 0, text }));
}

fn push_reasoning(text: Option<String>, out: &mut Vec<Event>) {
    out.extend(filled(text).map(|text| Event::Reasoning { choice: 0, text }));
}

fn push_signature(signature: Option<String>, out: &mut Vec<Event>) {
    out.extend(filled(signature).map(|signature| Event::Signature { choice: 0, signature }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FinishKind;

    fn decoded(frames: &[&str]) -> Vec<Event> {
        let mut decoder = MessagesDecoder::default();
        let mut out = Vec::new();
        for frame in frames {
            decoder.decode("", frame, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn input_that_comes_with_the_start_is_one_piece() {
        let events = decoded(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"a":1}}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_stop"}"#,
        ]);
        let start =
            Event::ToolStart { choice: 0, tool: 0, id: "t".into(), name: "f".into(), signature: None };
        let arguments = Event::ToolArguments { choice: 0, tool: 0, json: r#"{"a":1}"#.into() };
        let finish = Event::Finish { choice: 0, reason: finish_reason("tool_use".into(), None) };
        assert_eq!(events, [start, arguments, finish, Event::End]);
    }

    #[test]
    fn error_events_have_the_status_of_their_type() {
        let events = decoded(&[
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#,
            r#"{"type":"message_stop"}"#,
        ]);
        assert!(
            matches!(&events[..], [Event::Error(error)] if error.status == 529 && error.message == "Busy")
        );
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let events = decoded(&[r#"{"type":"ping"}"#, r#"{"type":"from_the_future"}"#]);
        assert!(matches!(&events[..], [Event::Error(error)] if error.status == 502));
        let events = decoded(&["{", r#"{"type":"message_stop"}"#]);
        assert!(matches!(&events[..], [Event::Error(error)] if error.status == 502));
    }

    #[test]
    fn a_pause_is_a_natural_end_with_its_own_word() {
        let events = decoded(&[r#"{"type":"message_delta","delta":{"stop_reason":"pause_turn"}}"#]);
        assert!(matches!(&events[0], Event::Finish { reason, .. }
            if reason.kind == FinishKind::Stop && reason.raw == "pause_turn"));
    }
}
