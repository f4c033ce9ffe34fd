//! The codec itself: which function serves which side of the wire.

use serde_json::Value;

use crate::answer::Answer;
use crate::call::ChatCall;
use crate::codec::{EncodeOptions, Encoder, Inbound};
use crate::error::{ErrorBody, InvalidCall};

use super::call::call_from_body;
use super::fault::error_answer;
use super::stream::ResponseEncoder;
use super::write::response_from_answer;

/// The client's face of OpenAI's responses wire.
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
