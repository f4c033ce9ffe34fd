//! SSE frames of the stream, serialized straight into the output buffer.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::item::{Content, Item, Summary};
use super::object::ResponseObject;

/// Events about the whole response.
#[derive(Serialize)]
pub(super) struct ResponseFrame<'a> {
    #[serde(rename = "type")]
    pub(super) event: &'static str,
    pub(super) sequence_number: u64,
    pub(super) response: ResponseObject<'a>,
}

/// Events about one output item.
#[derive(Serialize)]
pub(super) struct ItemFrame<'a> {
    #[serde(rename = "type")]
    pub(super) event: &'static str,
    pub(super) sequence_number: u64,
    pub(super) output_index: usize,
    pub(super) item: &'a Item,
}

/// Events about a piece of an item. Each event type fills the members that it has.
#[derive(Serialize)]
pub(super) struct PieceFrame<'a> {
    #[serde(rename = "type")]
    event: &'static str,
    sequence_number: u64,
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
    #[serde(flatten)]
    piece: Piece<'a>,
}

/// What a [`PieceFrame`] carries.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
pub(super) enum Piece<'a> {
    Delta { delta: &'a str },
    TextDelta { delta: &'a str, logprobs: [(); 0] },
    TextDone { text: &'a str, logprobs: [(); 0] },
    SummaryDone { text: &'a str },
    RefusalDone { refusal: &'a str },
    ArgumentsDone { name: &'a str, arguments: &'a str },
    Content { part: &'a Content },
    Summary { part: &'a Summary },
}

/// Where a piece belongs.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// A part of a message, by its place in the message.
    Content(usize),
    /// The one summary of a reasoning item.
    Summary,
    /// The arguments of a call.
    Arguments,
}

impl<'a> PieceFrame<'a> {
    pub(super) fn new(
        event: &'static str,
        sequence_number: u64,
        item: (usize, &'a str),
        place: Place,
        piece: Piece<'a>,
    ) -> Self {
        let (output_index, item_id) = item;
        let (content_index, summary_index) = match place {
            Place::Content(index) => (Some(index), None),
            Place::Summary => (None, Some(0)),
            Place::Arguments => (None, None),
        };
        Self { event, sequence_number, item_id, output_index, content_index, summary_index, piece }
    }
}

/// Appends one SSE event. A frame is written whole or not at all.
pub(super) fn write_frame(out: &mut BytesMut, event: &str, data: &impl Serialize) {
    let start = out.len();
    out.put_slice(b"event: ");
    out.put_slice(event.as_bytes());
    out.put_slice(b"\ndata: ");
    match serde_json::to_writer((&mut *out).writer(), data) {
        Ok(()) => out.put_slice(b"\n\n"),
        Err(error) => {
            debug_assert!(false, "frames always serialize: {error}");
            out.truncate(start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_has_exactly_the_members_of_its_event() {
        let mut out = BytesMut::new();
        let piece = Piece::TextDelta { delta: "a\nb", logprobs: [] };
        let frame = PieceFrame::new("response.output_text.delta", 3, (1, "msg_1"), Place::Content(0), piece);
        write_frame(&mut out, "response.output_text.delta", &frame);
        assert_eq!(
            out,
            concat!(
                "event: response.output_text.delta\n",
                r#"data: {"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","#,
                r#""output_index":1,"content_index":0,"delta":"a\nb","logprobs":[]}"#,
                "\n\n"
            )
            .as_bytes()
        );
    }
}
