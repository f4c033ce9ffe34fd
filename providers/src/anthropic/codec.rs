//! The codec of [`crate::Wire::Messages`]: ties the readers and writers of this folder to the two faces.

use http::HeaderMap;
use serde_json::Value;

use super::{answer, decode, encode, error, read, write};
use crate::answer::Answer;
use crate::call::ChatCall;
use crate::codec::{Decoder, EncodeOptions, Encoder, Inbound, Outbound};
use crate::error::{ErrorBody, InvalidCall, UpstreamError};

/// Reads and writes Anthropic's Messages wire.
///
/// ```
/// use serde_json::json;
/// use tidegate_providers::{Inbound, Outbound, anthropic::MessagesCodec};
///
/// let body = json!({"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
/// let call = MessagesCodec.read_call(&body).unwrap();
/// assert_eq!(call.max_tokens, Some(9));
/// assert_eq!(MessagesCodec.write_call(&call).unwrap(), body);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagesCodec;

impl Inbound for MessagesCodec {
    fn read_call(&self, body: &Value) -> Result<ChatCall, InvalidCall> {
        read::call(body)
    }

    fn write_answer(&self, answer: &Answer, options: &EncodeOptions) -> Value {
        answer::write(answer, options)
    }

    fn encoder(&self, options: EncodeOptions) -> Box<dyn Encoder> {
        Box::new(encode::MessagesEncoder::new(options))
    }

    fn write_error(&self, error: &ErrorBody) -> Value {
        error::write(error)
    }
}

impl Outbound for MessagesCodec {
    fn write_call(&self, call: &ChatCall) -> Result<Value, InvalidCall> {
        write::call(call)
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, UpstreamError> {
        answer::read(body)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::<decode::MessagesDecoder>::default()
    }

    fn read_error(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        error::read(status, body)
    }
}
