//! The frames that are written to clients, as small structs that borrow; nothing is built up before it is written.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use crate::usage::Usage;

/// One event of a stream.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Frame<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: u32, content_block: Block<'a> },
    ContentBlockDelta { index: u32, delta: Delta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: MessageDelta<'a>, usage: UsageOut },
    MessageStop,
    Error { error: ErrorOut<'a> },
}

/// The `message` of `message_start`.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: [(); 0],
    pub(super) stop_reason: (),
    pub(super) stop_sequence: (),
    pub(super) usage: UsageOut,
}

/// A content block at its start.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: &'a str },
    RedactedThinking { data: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Empty },
}

/// `{}`
#[derive(Serialize)]
pub(super) struct Empty {}

/// A piece of a content block.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Json { partial_json: &'a str },
}

/// How the message ended.
#[derive(Serialize)]
pub(super) struct MessageDelta<'a> {
    pub(super) stop_reason: &'a str,
    pub(super) stop_sequence: Option<&'a str>,
}

/// The inner object of an error.
#[derive(Serialize)]
pub(super) struct ErrorOut<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) message: &'a str,
}

impl Frame<'_> {
    fn name(&self) -> &'static str {
        match self {
            Frame::MessageStart { .. } => "message_start",
            Frame::ContentBlockStart { .. } => "content_block_start",
            Frame::ContentBlockDelta { .. } => "content_block_delta",
            Frame::ContentBlockStop { .. } => "content_block_stop",
            Frame::MessageDelta { .. } => "message_delta",
            Frame::MessageStop => "message_stop",
            Frame::Error { .. } => "error",
        }
    }

    /// Appends the frame as an SSE event.
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.put_slice(b"event: ");
        out.put_slice(self.name().as_bytes());
        out.put_slice(b"\ndata: ");
        let written = serde_json::to_writer((&mut *out).writer(), self);
        // Strings, numbers and a buffer that grows: neither serde nor the writer has a way to fail.
        debug_assert!(written.is_ok());
        out.put_slice(b"\n\n");
    }
}

/// Tokens as this wire counts them: `input_tokens` leaves cached tokens out.
#[derive(Serialize)]
pub(super) struct UsageOut {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<CacheCreationOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetailsOut>,
}

#[derive(Serialize)]
struct CacheCreationOut {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetailsOut {
    thinking_tokens: u64,
}

impl From<&Usage> for UsageOut {
    fn from(usage: &Usage) -> Self {
        let cached = usage.cached_input.saturating_add(usage.cache_write);
        Self {
            input_tokens: usage.input.saturating_sub(cached),
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cached_input,
            output_tokens: usage.output,
            cache_creation: (usage.cache_write > 0).then(|| CacheCreationOut {
                ephemeral_5m_input_tokens: usage.cache_write.saturating_sub(usage.cache_write_1h),
                ephemeral_1h_input_tokens: usage.cache_write_1h,
            }),
            output_tokens_details: (usage.reasoning > 0)
                .then_some(OutputDetailsOut { thinking_tokens: usage.reasoning }),
        }
    }
}

/// Ends a native stream that the gateway cuts: closes the open block and says `max_tokens` with the usage so far.
/// An error event follows.
pub fn cut(open_block: Option<u32>, usage: &Usage, out: &mut BytesMut) {
    if let Some(index) = open_block {
        Frame::ContentBlockStop { index }.write(out);
    }
    let usage = UsageOut::from(usage);
    let delta = MessageDelta { stop_reason: "max_tokens", stop_sequence: None };
    Frame::MessageDelta { delta, usage }.write(out);
}
