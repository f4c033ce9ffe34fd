//! What a client's wire can say of an answer. Everything that isn't taken away here must survive.

use super::told::{Said, Told};
use crate::event::FinishKind;
use crate::provider::Wire;
use crate::usage::Usage;

/// How the client's answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) wire: Wire,
    pub(super) strict: bool,
}

impl Client {
    /// Returns what this client is told of an answer.
    pub(super) fn shown(self, told: &Told) -> Told {
        let mut shown = told.clone();
        if matches!(self.wire, Wire::Messages | Wire::Responses) {
            // These wires have one choice.
            shown.choices.retain(|index, _| *index == 0);
        }
        for said in shown.choices.values_mut() {
            self.choice(said);
        }
        if self.wire == Wire::Messages {
            // The wire's usage is never absent.
            shown.usage.get_or_insert_default();
        }
        shown.usage = shown.usage.map(|usage| self.usage(usage));
        if shown.error.is_some() {
            // An end marker after an error would be a lie.
            shown.ended = false;
        }
        shown
    }

    fn choice(self, said: &mut Said) {
        match self.wire {
            Wire::Chat => {
                if self.strict {
                    // OpenAI has no member for these.
                    said.signatures.clear();
                    said.redacted.clear();
                }
                said.finish = said.finish.map(|kind| match kind {
                    FinishKind::StopSequence if self.strict => FinishKind::Stop,
                    kind => kind,
                });
            }
            Wire::Messages => {
                said.text.push_str(&std::mem::take(&mut said.refusal));
                for call in &mut said.calls {
                    // Gemini's signatures have no place beside a tool call here.
                    call.signature = None;
                }
                said.finish = said.finish.map(|kind| match kind {
                    FinishKind::ContentFilter => FinishKind::Refusal,
                    kind => kind,
                });
            }
            Wire::Responses => {
                said.finish = said.finish.map(|kind| match kind {
                    FinishKind::Length | FinishKind::ContentFilter => kind,
                    _ => FinishKind::Stop,
                });
            }
            Wire::Completions | Wire::Gemini => {
                let text = format!("{}{}", said.text, said.refusal);
                let finish = said.finish.map(|kind| match kind {
                    FinishKind::Length => kind,
                    FinishKind::ContentFilter | FinishKind::Refusal => FinishKind::ContentFilter,
                    _ => FinishKind::Stop,
                });
                *said = Said { text, finish, ..Said::default() };
            }
        }
    }

    fn usage(self, usage: Usage) -> Usage {
        match self.wire {
            Wire::Messages => Usage {
                input: usage.input,
                cached_input: usage.cached_input,
                cache_write: usage.cache_write,
                cache_write_1h: usage.cache_write_1h,
                output: usage.output,
                reasoning: usage.reasoning,
                ..Usage::default()
            },
            Wire::Responses => Usage {
                input: usage.input,
                cached_input: usage.cached_input,
                cache_write: usage.cache_write,
                output: usage.output,
                reasoning: usage.reasoning,
                ..Usage::default()
            },
            _ => Usage { cache_write_1h: 0, ..usage },
        }
    }
}
