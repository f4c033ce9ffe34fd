//! Chat completions, both faces.

use http::HeaderMap;
use serde_json::Value;

use super::decoder::ChatDecoder;
use super::encoder::ChatEncoder;
use super::{errors, read_answer, read_call, write_answer, write_call};
use crate::answer::Answer;
use crate::call::ChatCall;
use crate::codec::{Decoder, EncodeOptions, Encoder, Inbound, Outbound};
use crate::error::{ErrorBody, InvalidCall, UpstreamError};

/// The codec of [`Wire::Chat`](crate::Wire::Chat).
#[derive(Clone, Copy, Debug, Default)]
pub struct ChatCodec;

impl Inbound for ChatCodec {
    fn read_call(&self, body: &Value) -> Result<ChatCall, InvalidCall> {
        read_call::call_from_chat(body)
    }

    fn write_answer(&self, answer: &Answer, options: &EncodeOptions) -> Value {
        write_answer::chat_from_answer(answer, options)
    }

    fn encoder(&self, options: EncodeOptions) -> Box<dyn Encoder> {
        Box::new(ChatEncoder::new(options))
    }

    fn write_error(&self, error: &ErrorBody) -> Value {
        errors::error_to_openai(error)
    }
}

impl Outbound for ChatCodec {
    fn write_call(&self, call: &ChatCall) -> Result<Value, InvalidCall> {
        write_call::chat_from_call(call)
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, UpstreamError> {
        read_answer::answer_from_chat(body).map_err(|error| *error)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(ChatDecoder::default())
    }

    fn read_error(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        errors::error_from_body(status, body)
    }
}
