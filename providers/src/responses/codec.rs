//! The codec itself: which function serves which side of the wire.

use http::HeaderMap;
use serde_json::Value;

use crate::answer::Answer;
use crate::call::ChatCall;
use crate::codec::{Decoder, EncodeOptions, Encoder, Inbound, Outbound};
use crate::error::{ErrorBody, InvalidCall, UpstreamError};
use crate::openai::{ChatCodec, error_from_body};

use super::call::call_from_body;
use super::decode::ResponseDecoder;
use super::fault::error_answer;
use super::read::answer_from_response;
use super::stream::ResponseEncoder;
use super::write::response_from_answer;

/// The codec of [`Wire::Responses`](crate::Wire::Responses).
///
/// ```
/// use serde_json::json;
/// use tidegate_providers::Inbound;
/// use tidegate_providers::responses::ResponsesCodec;
///
/// let call = ResponsesCodec.read_call(&json!({"model": "gpt-4o", "input": "Tides?"}))?;
/// assert_eq!(call.messages.len(), 1);
/// # Ok::<(), tidegate_providers::InvalidCall>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponsesCodec;

impl Inbound for ResponsesCodec {
    fn read_call(&self, body: &Value) -> Result<ChatCall, InvalidCall> {
        call_from_body(body)
    }

    fn write_answer(&self, answer: &Answer, options: &EncodeOptions) -> Value {
        response_from_answer(answer, options)
    }

    fn encoder(&self, options: EncodeOptions) -> Box<dyn Encoder> {
        Box::new(ResponseEncoder::new(options))
    }

    fn write_error(&self, error: &ErrorBody) -> Value {
        error_answer(error)
    }
}

impl Outbound for ResponsesCodec {
    /// Writes a chat body: no lane translates to this wire, calls of its own clients go out as they came.
    fn write_call(&self, call: &ChatCall) -> Result<Value, InvalidCall> {
        ChatCodec.write_call(call)
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, UpstreamError> {
        answer_from_response(body).map_err(|error| *error)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::<ResponseDecoder>::default()
    }

    fn read_error(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        error_from_body(status, body)
    }
}
