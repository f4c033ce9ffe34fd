//! Legacy completions as chat calls: the prompt becomes one user message, the text of an answer its only part.
//!
//! Refuses what a chat model can't do: several prompts, token ids, a suffix, an echo, `best_of`.

use http::HeaderMap;
use serde_json::Value;

use super::chat::ChatCodec;
use super::completions_encoder::CompletionsEncoder;
use super::decoder::ChatDecoder;
use super::errors::{error_from_body, error_to_openai};
use super::json::{Object, Path, bool_member, count_member, object, present, str_member};
use super::read_answer::answer_from_completion;
use super::read_call::{others, sampling};
use super::write_answer::{head, put_usage};
use crate::answer::{Answer, Choice};
use crate::call::{ChatCall, Message, Part, Role};
use crate::codec::{Decoder, EncodeOptions, Encoder, Inbound, Outbound};
use crate::error::{ErrorBody, InvalidCall, UpstreamError};
use crate::event::{FinishKind, FinishReason};

/// The codec of [`Wire::Completions`](crate::Wire::Completions).
#[derive(Clone, Copy, Debug, Default)]
pub struct CompletionsCodec;

const KNOWN: &[&str] = &[
    "model",
    "prompt",
    "suffix",
    "echo",
    "best_of",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "seed",
    "user",
    "stream",
    "stream_options",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "metadata",
    "service_tier",
];

impl Inbound for CompletionsCodec {
    fn read_call(&self, body: &Value) -> Result<ChatCall, InvalidCall> {
        let root = Path::Root;
        let body = object(body, &root)?;
        refuse_what_chat_lacks(body)?;
        let mut call = sampling(body)?;
        let parts = vec![Part::text(prompt(body)?)];
        call.messages = vec![Message { role: Role::User, name: None, parts }];
        // Here `logprobs` is a count; chat has a switch and a count.
        if let Some(alternatives) = count_member(body, "logprobs", &root)? {
            call.logprobs = Some(true);
            call.top_logprobs = Some(alternatives);
        }
        call.extra = others(body, KNOWN);
        Ok(call)
    }

    fn write_answer(&self, answer: &Answer, options: &EncodeOptions) -> Value {
        let choices: Vec<Value> = answer
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| choice_to_text(index, choice, options))
            .collect();
        let mut body = head(answer, options, "text_completion");
        body.insert("choices".into(), choices.into());
        put_usage(&mut body, answer);
        Value::Object(body)
    }

    fn encoder(&self, options: EncodeOptions) -> Box<dyn Encoder> {
        Box::new(CompletionsEncoder::new(options))
    }

    fn write_error(&self, error: &ErrorBody) -> Value {
        error_to_openai(error)
    }
}

impl Outbound for CompletionsCodec {
    /// Writes a chat body: no lane translates to this wire, calls of its own clients go out as they came.
    fn write_call(&self, call: &ChatCall) -> Result<Value, InvalidCall> {
        ChatCodec.write_call(call)
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, UpstreamError> {
        answer_from_completion(body).map_err(|error| *error)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(ChatDecoder::of_completions())
    }

    fn read_error(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        error_from_body(status, body)
    }
}

fn prompt(body: &Object) -> Result<&str, InvalidCall> {
    let root = Path::Root;
    let at = root.member("prompt");
    match present(body, "prompt") {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Array(list)) => match list.as_slice() {
            [Value::String(text)] => Ok(text),
            [] => Err(at.error("is empty; give a string")),
            [Value::String(_), ..] => {
                Err(at.error("holds several prompts; this model takes one, send a request for each"))
            }
            _ => Err(at.error("holds token ids; this model takes text")),
        },
        Some(other) => Err(at.wrong_type(other, "a string")),
        None => Err(at.error("is missing; give a string")),
    }
}

fn refuse_what_chat_lacks(body: &Object) -> Result<(), InvalidCall> {
    let root = Path::Root;
    let refuse =
        |name: &str| Err(root.member(name).error("is not available for this model, it answers as a chat"));
    if str_member(body, "suffix", &root)?.is_some_and(|suffix| !suffix.is_empty()) {
        return refuse("suffix");
    }
    if bool_member(body, "echo", &root)? == Some(true) {
        return refuse("echo");
    }
    if count_member(body, "best_of", &root)?.is_some_and(|best| best > 1) {
        return refuse("best_of");
    }
    Ok(())
}

fn choice_to_text(index: usize, choice: &Choice, options: &EncodeOptions) -> Value {
    let mut text = String::new();
    for part in &choice.parts {
        if let Part::Text { text: piece, .. } | Part::Refusal { text: piece } = part {
            text.push_str(piece);
        }
    }
    serde_json::json!({
        "text": text,
        "index": index,
        // Chat's log probabilities have another shape, with no offsets to fill this one from.
        "logprobs": null,
        "finish_reason": choice.finish.as_ref().map(|reason| legacy_word(reason, options.strict)),
    })
}

/// Legacy completions know three words only.
pub(super) fn legacy_word(reason: &FinishReason, strict: bool) -> &str {
    if !strict && !reason.raw.is_empty() {
        return &reason.raw;
    }
    match reason.kind {
        FinishKind::Length => "length",
        FinishKind::ContentFilter | FinishKind::Refusal => "content_filter",
        FinishKind::Stop | FinishKind::StopSequence | FinishKind::ToolCalls => "stop",
    }
}
