//! Events → streamed legacy completion. Only text has a place there; thoughts and tool calls are left out.

use bytes::BytesMut;
use serde::Serialize;

use super::completions::legacy_word;
use super::errors::{error_to_openai, upstream_error_to_openai};
use super::frame::{DONE, write_frame};
use super::usage::UsageOut;
use crate::codec::{EncodeOptions, Encoder};
use crate::error::ErrorBody;
use crate::event::Event;
use crate::usage::Usage;

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    provider: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageOut>,
}

#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

/// Writes one streamed legacy completion.
pub(super) struct CompletionsEncoder {
    options: EncodeOptions,
    usage: Option<Usage>,
    /// The vendor broke off: an end marker would be a lie.
    broken: bool,
    /// Nothing but the end may follow.
    closed: bool,
    ended: bool,
}

impl CompletionsEncoder {
    pub(super) fn new(options: EncodeOptions) -> Self {
        Self { options, usage: None, broken: false, closed: false, ended: false }
    }

    fn start(&mut self, id: &str, model: &str, created: u64) {
        if !id.is_empty() {
            id.clone_into(&mut self.options.id);
        }
        if !model.is_empty() {
            model.clone_into(&mut self.options.model);
        }
        if created != 0 {
            self.options.created = created;
        }
    }

    fn write(&self, choices: &[Choice<'_>], usage: Option<UsageOut>, out: &mut BytesMut) {
        let chunk = Chunk {
            id: &self.options.id,
            object: "text_completion",
            created: self.options.created,
            model: &self.options.model,
            provider: &self.options.provider,
            choices,
            usage,
        };
        write_frame(out, &chunk);
    }
}

impl Encoder for CompletionsEncoder {
    fn encode(&mut self, event: &Event, out: &mut BytesMut) {
        if self.ended || (self.closed && *event != Event::End) {
            return;
        }
        match event {
            Event::Start { id, model, created } => self.start(id, model, *created),
            Event::Text { choice, text } | Event::Refusal { choice, text } => {
                self.write(
                    &[Choice { text, index: *choice, logprobs: None, finish_reason: None }],
                    None,
                    out,
                );
            }
            Event::Finish { choice, reason } => {
                let finish_reason = Some(legacy_word(reason, self.options.strict));
                self.write(&[Choice { text: "", index: *choice, logprobs: None, finish_reason }], None, out);
            }
            Event::Usage(later) => self.usage.get_or_insert_default().merge(later),
            Event::Error(error) => {
                (self.broken, self.closed) = (true, true);
                write_frame(out, &upstream_error_to_openai(error));
            }
            Event::End => {
                if !self.closed
                    && self.options.include_usage
                    && let Some(usage) = &self.usage
                {
                    self.write(&[], Some(usage.into()), out);
                }
                if !self.broken {
                    out.extend_from_slice(DONE);
                }
                self.ended = true;
            }
            Event::Reasoning { .. } | Event::Signature { .. } | Event::RedactedReasoning { .. } => {}
            Event::ToolStart { .. } | Event::ToolArguments { .. } => {}
        }
    }

    fn encode_error(&mut self, error: &ErrorBody, out: &mut BytesMut) {
        if !self.closed && !self.ended {
            self.closed = true;
            write_frame(out, &error_to_openai(error));
        }
    }
}
