//! Canonical events → the responses event stream.
//!
//! At most one reasoning or message item is open at a time; text of the other kind closes it. Calls stay open
//! beside it until the answer finishes, because a vendor may send the arguments of several calls in turns.
//!
//! The last event repeats the whole answer, so everything streamed is kept until the end. The response is only
//! completed at [`Event::End`]: usage may come after the finish reason.

use bytes::BytesMut;

use crate::codec::{EncodeOptions, Encoder};
use crate::error::ErrorBody;
use crate::event::{Event, FinishKind};
use crate::usage::Usage;

use super::fault::ErrorObject;
use super::frame::{ItemFrame, Piece, PieceFrame, Place, ResponseFrame, write_frame};
use super::item::{Content, Item, Status, Summary, seal_redacted, seal_signature};
use super::object::{Head, ResponseObject, status_of};

/// Writes one streamed response.
pub(super) struct ResponseEncoder {
    options: EncodeOptions,
    /// Absent until the first event that shows something.
    head: Option<Head>,
    sequence: u64,
    /// Every item begun, by its place in `output`.
    items: Vec<Item>,
    /// The open reasoning or message item.
    open: Option<usize>,
    /// Open calls: the canonical number of each, and its place in `items`.
    calls: Vec<(u32, usize)>,
    finish: Option<FinishKind>,
    usage: Option<Usage>,
    /// The stream has ended, well or not; nothing more is written.
    is_over: bool,
}

impl ResponseEncoder {
    pub(super) fn new(options: EncodeOptions) -> Self {
        Self {
            options,
            head: None,
            sequence: 0,
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            finish: None,
            usage: None,
            is_over: false,
        }
    }

    /// Opens the response if it isn't yet. A vendor's first event may be something else than [`Event::Start`].
    fn begin(&mut self, id: &str, model: &str, created: u64, out: &mut BytesMut) {
        if self.head.is_some() {
            return;
        }
        let head = Head::new(id, model, created, &self.options);
        for event in ["response.created", "response.in_progress"] {
            let sequence_number = next(&mut self.sequence);
            let response = ResponseObject::begun(&head);
            write_frame(out, event, &ResponseFrame { event, sequence_number, response });
        }
        self.head = Some(head);
    }

    fn stem(&self) -> &str {
        self.head.as_ref().map_or("0", Head::stem)
    }

    /// Adds an item to `output` and says so.
    fn add(&mut self, item: Item, out: &mut BytesMut) -> usize {
        let output_index = self.items.len();
        self.write_item("response.output_item.added", output_index, &item, out);
        self.items.push(item);
        output_index
    }

    fn write_item(&mut self, event: &'static str, output_index: usize, item: &Item, out: &mut BytesMut) {
        let sequence_number = next(&mut self.sequence);
        write_frame(out, event, &ItemFrame { event, sequence_number, output_index, item });
    }

    /// Streams a piece of text or of a refusal.
    fn content(&mut self, is_refusal: bool, text: &str, out: &mut BytesMut) {
        self.begin("", "", 0, out);
        if text.is_empty() {
            return;
        }
        let index = match self.open {
            Some(index) if matches!(self.items[index], Item::Message { .. }) => index,
            _ => {
                self.close_open(None, out);
                let item = Item::message(self.stem(), self.items.len());
                self.add(item, out)
            }
        };
        self.open = Some(index);
        let Item::Message { id, content, .. } = &mut self.items[index] else { return };
        if content.last().is_none_or(|part| part.is_refusal() != is_refusal) {
            if let Some(part) = content.last() {
                let place = Place::Content(content.len() - 1);
                close_content(&mut self.sequence, (index, id), place, part, out);
            }
            let part = Content::empty(is_refusal);
            let (place, piece) = (Place::Content(content.len()), Piece::Content { part: &part });
            write_piece(&mut self.sequence, "response.content_part.added", (index, id), place, piece, out);
            content.push(part);
        }
        let place = Place::Content(content.len() - 1);
        if let Some(part) = content.last_mut() {
            part.push(text);
        }
        let (event, piece) = if is_refusal {
            ("response.refusal.delta", Piece::Delta { delta: text })
        } else {
            ("response.output_text.delta", Piece::TextDelta { delta: text, logprobs: [] })
        };
        write_piece(&mut self.sequence, event, (index, id), place, piece, out);
    }

    /// Returns the open reasoning item, opening one where there is none.
    fn reasoning_item(&mut self, out: &mut BytesMut) -> usize {
        self.begin("", "", 0, out);
        match self.open {
            Some(index) if matches!(self.items[index], Item::Reasoning { .. }) => index,
            _ => {
                self.close_open(None, out);
                let item = Item::reasoning(self.stem(), self.items.len());
                let index = self.add(item, out);
                self.open = Some(index);
                index
            }
        }
    }

    /// Streams a piece of thought.
    fn thought(&mut self, text: &str, out: &mut BytesMut) {
        if text.is_empty() {
            return self.begin("", "", 0, out);
        }
        let index = self.reasoning_item(out);
        let Item::Reasoning { id, summary, .. } = &mut self.items[index] else { return };
        if summary.is_empty() {
            let part = Summary::SummaryText { text: String::new() };
            let (event, piece) = ("response.reasoning_summary_part.added", Piece::Summary { part: &part });
            write_piece(&mut self.sequence, event, (index, id), Place::Summary, piece, out);
            summary.push(part);
        }
        if let Some(Summary::SummaryText { text: whole }) = summary.last_mut() {
            whole.push_str(text);
        }
        let (event, piece) = ("response.reasoning_summary_text.delta", Piece::Delta { delta: text });
        write_piece(&mut self.sequence, event, (index, id), Place::Summary, piece, out);
    }

    /// Ends a reasoning item with what the vendor wants back. The next thought is an item of its own, so that
    /// each keeps its own signature.
    fn seal(&mut self, sealed: String, out: &mut BytesMut) {
        let index = self.reasoning_item(out);
        if let Item::Reasoning { encrypted_content, .. } = &mut self.items[index] {
            *encrypted_content = Some(sealed);
        }
        self.close_open(None, out);
    }

    fn start_call(&mut self, tool: u32, id: &str, name: &str, signature: Option<&str>, out: &mut BytesMut) {
        self.begin("", "", 0, out);
        self.close_open(None, out);
        let item = Item::function_call(self.stem(), self.items.len(), id, name, signature);
        let index = self.add(item, out);
        self.calls.push((tool, index));
    }

    fn call_arguments(&mut self, tool: u32, json: &str, out: &mut BytesMut) {
        // The newest call of a number counts. Arguments of a call that never began have no place to go.
        let Some((_, index)) = self.calls.iter().rev().find(|(number, _)| *number == tool) else { return };
        let index = *index;
        let Item::FunctionCall { id, arguments, .. } = &mut self.items[index] else { return };
        if json.is_empty() {
            return;
        }
        arguments.push_str(json);
        let (event, piece) = ("response.function_call_arguments.delta", Piece::Delta { delta: json });
        write_piece(&mut self.sequence, event, (index, id), Place::Arguments, piece, out);
    }

    /// Closes the open reasoning or message item.
    fn close_open(&mut self, finish: Option<FinishKind>, out: &mut BytesMut) {
        let Some(index) = self.open.take() else { return };
        match &self.items[index] {
            Item::Reasoning { id, summary, .. } => {
                if let Some(part @ Summary::SummaryText { text }) = summary.last() {
                    let pieces = [
                        ("response.reasoning_summary_text.done", Piece::SummaryDone { text }),
                        ("response.reasoning_summary_part.done", Piece::Summary { part }),
                    ];
                    for (event, piece) in pieces {
                        write_piece(&mut self.sequence, event, (index, id), Place::Summary, piece, out);
                    }
                }
            }
            Item::Message { id, content, .. } => {
                if let Some(part) = content.last() {
                    let place = Place::Content(content.len() - 1);
                    close_content(&mut self.sequence, (index, id), place, part, out);
                }
            }
            Item::FunctionCall { .. } => {}
        }
        self.finish_item(index, finish, out);
    }

    /// Closes the open calls in the order they began.
    fn close_calls(&mut self, finish: Option<FinishKind>, out: &mut BytesMut) {
        for (_, index) in std::mem::take(&mut self.calls) {
            let Item::FunctionCall { id, name, arguments, .. } = &mut self.items[index] else { continue };
            if arguments.is_empty() {
                // Clients parse the arguments; an empty string is no JSON. Those who add up deltas get it too.
                arguments.push_str("{}");
                let (event, piece) = ("response.function_call_arguments.delta", Piece::Delta { delta: "{}" });
                write_piece(&mut self.sequence, event, (index, id), Place::Arguments, piece, out);
            }
            let (event, piece) =
                ("response.function_call_arguments.done", Piece::ArgumentsDone { name, arguments });
            write_piece(&mut self.sequence, event, (index, id), Place::Arguments, piece, out);
            self.finish_item(index, finish, out);
        }
    }

    fn finish_item(&mut self, index: usize, finish: Option<FinishKind>, out: &mut BytesMut) {
        let item = &mut self.items[index];
        item.set_status(status_of(finish));
        let event = "response.output_item.done";
        let sequence_number = next(&mut self.sequence);
        write_frame(out, event, &ItemFrame { event, sequence_number, output_index: index, item });
    }

    /// Completes the response.
    fn end(&mut self, out: &mut BytesMut) {
        self.begin("", "", 0, out);
        self.close_open(self.finish, out);
        self.close_calls(self.finish, out);
        self.is_over = true;
        let Some(head) = &self.head else { return };
        let event = match status_of(self.finish) {
            Status::Incomplete => "response.incomplete",
            Status::Completed | Status::InProgress => "response.completed",
        };
        let response = ResponseObject::ended(head, &self.items, self.finish, self.usage.as_ref());
        let sequence_number = next(&mut self.sequence);
        write_frame(out, event, &ResponseFrame { event, sequence_number, response });
    }

    /// Ends the stream with an error. Open items stay open: what was cut is not done.
    fn fail(&mut self, error: &ErrorObject<'_>, provider: Option<&str>, out: &mut BytesMut) {
        self.is_over = true;
        write_frame(out, "error", &error.frame(next(&mut self.sequence), provider));
    }
}

impl Encoder for ResponseEncoder {
    fn encode(&mut self, event: &Event, out: &mut BytesMut) {
        if self.is_over {
            return;
        }
        match event {
            Event::Start { id, model, created } => self.begin(id, model, *created, out),
            Event::Text { choice: 0, text } => self.content(false, text, out),
            Event::Refusal { choice: 0, text } => self.content(true, text, out),
            Event::Reasoning { choice: 0, text } => self.thought(text, out),
            Event::Signature { choice: 0, signature } => self.seal(seal_signature(signature), out),
            Event::RedactedReasoning { choice: 0, data } => {
                // Redacted data is a thought of its own, never the end of the one before it.
                self.close_open(None, out);
                self.seal(seal_redacted(data), out);
            }
            Event::ToolStart { choice: 0, tool, id, name, signature } => {
                self.start_call(*tool, id, name, signature.as_deref(), out);
            }
            Event::ToolArguments { choice: 0, tool, json } => self.call_arguments(*tool, json, out),
            Event::Finish { choice: 0, reason } => {
                self.finish = Some(reason.kind);
                self.close_open(self.finish, out);
                self.close_calls(self.finish, out);
            }
            Event::Usage(usage) => match &mut self.usage {
                Some(sum) => sum.merge(usage),
                None => self.usage = Some(*usage),
            },
            Event::Error(error) => {
                let provider = std::mem::take(&mut self.options.provider);
                let named = (!provider.is_empty()).then_some(provider.as_str());
                self.fail(&ErrorObject::of_vendor(error, &provider), named, out);
            }
            Event::End => self.end(out),
            // Further choices have no place in a response.
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
        if !self.is_over {
            self.fail(&ErrorObject::of_gateway(error), error.provider.as_deref(), out);
        }
    }
}

fn next(sequence: &mut u64) -> u64 {
    let number = *sequence;
    *sequence += 1;
    number
}

fn write_piece(
    sequence: &mut u64,
    event: &'static str,
    item: (usize, &str),
    place: Place,
    piece: Piece<'_>,
    out: &mut BytesMut,
) {
    write_frame(out, event, &PieceFrame::new(event, next(sequence), item, place, piece));
}

fn close_content(sequence: &mut u64, item: (usize, &str), place: Place, part: &Content, out: &mut BytesMut) {
    let (event, piece) = if part.is_refusal() {
        ("response.refusal.done", Piece::RefusalDone { refusal: part.text() })
    } else {
        ("response.output_text.done", Piece::TextDone { text: part.text(), logprobs: [] })
    };
    write_piece(sequence, event, item, place, piece, out);
    write_piece(sequence, "response.content_part.done", item, place, Piece::Content { part }, out);
}
