//! The two faces of a wire: [`Inbound`] towards clients, [`Outbound`] towards vendors.

use bytes::BytesMut;
use http::HeaderMap;
use serde_json::Value;

use crate::answer::Answer;
use crate::call::ChatCall;
use crate::error::{ErrorBody, InvalidCall, UpstreamError};
use crate::event::Event;
use crate::provider::Wire;

/// What an encoder must know besides the events.
#[derive(Clone, Debug, Default)]
pub struct EncodeOptions {
    /// Model name to show when the vendor says none.
    pub model: String,
    /// Vendor's Portkey name, shown as `provider` in OpenAI chat answers.
    pub provider: String,
    /// Id to show when the vendor gave none (already in the dialect's form is not required).
    pub id: String,
    /// Seconds since the epoch, shown when the vendor gave none.
    pub created: u64,
    /// Whether the client asked for `stream_options.include_usage`.
    pub include_usage: bool,
    /// Portkey's `strict_open_ai_compliance`: true maps finish reasons to OpenAI's and leaves `content_blocks`
    /// out; false keeps the vendor's own finish word and adds `content_blocks` with signatures.
    pub strict: bool,
}

/// The client's face of a wire: reads requests, writes answers.
pub trait Inbound: Send + Sync {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`InvalidCall`] names the member at fault.
    fn read_call(&self, body: &Value) -> Result<ChatCall, InvalidCall>;

    /// Writes a whole answer.
    fn write_answer(&self, answer: &Answer, options: &EncodeOptions) -> Value;

    /// Starts a streamed answer.
    fn encoder(&self, options: EncodeOptions) -> Box<dyn Encoder>;

    /// Writes an error answer. Used by native and translated lanes alike.
    fn write_error(&self, error: &ErrorBody) -> Value;
}

/// Writes one streamed answer as SSE bytes.
pub trait Encoder: Send {
    /// Appends the frames for one event to `out`. [`Event::Error`] writes the dialect's error event.
    /// [`Event::End`] ends the stream the dialect's way (`data: [DONE]`, `event: message_stop`), also after an
    /// error; dialects whose error event is final write nothing more.
    fn encode(&mut self, event: &Event, out: &mut BytesMut);

    /// Appends the dialect's error event for an error of the gateway itself (budget used up, guardrail).
    fn encode_error(&mut self, error: &ErrorBody, out: &mut BytesMut);
}

/// The vendor's face of a wire: writes requests, reads answers.
pub trait Outbound: Send + Sync {
    /// Writes a request body.
    ///
    /// # Errors
    /// [`InvalidCall`] when the call asks for something this wire can't say.
    fn write_call(&self, call: &ChatCall) -> Result<Value, InvalidCall>;

    /// Reads a whole 2xx answer.
    ///
    /// # Errors
    /// [`UpstreamError`] with status 502 when the body is not an answer of this wire, or the error that a 200
    /// body carries.
    fn read_answer(&self, body: &[u8]) -> Result<Answer, UpstreamError>;

    /// Starts reading a streamed answer.
    fn decoder(&self) -> Box<dyn Decoder>;

    /// Reads a non-2xx answer; never fails: unreadable bodies become the message.
    fn read_error(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> UpstreamError;
}

/// Reads one streamed answer, SSE event by SSE event.
pub trait Decoder: Send {
    /// Pushes the canonical events of one SSE event. `event` is the SSE `event:` field (empty or
    /// `message` when absent), `data` its joined `data:` lines. Unreadable data pushes [`Event::Error`] with status 502.
    fn decode(&mut self, event: &str, data: &str, out: &mut Vec<Event>);

    /// Called once at the end of the upstream body. Pushes [`Event::End`] when the wire has no end marker of its
    /// own (Gemini) and the answer is complete, or [`Event::Error`] with status 502 when the answer was cut.
    fn finish(&mut self, out: &mut Vec<Event>);

    /// Returns the wire of the stream, where it is so far that SSE events which say nothing but one piece of text (as
    /// [`frame`](crate::look::frame) sees it) change nothing here: of two that differ in nothing but that text, the
    /// canonical events differ in nothing else. `None` where each must be decoded.
    fn repeats(&self) -> Option<Wire> {
        None
    }
}
