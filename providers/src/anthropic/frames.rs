//! The vendor's answer shapes as serde reads them: only the members that are used, all of them optional.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::ErrorObject;
use crate::event::{FinishKind, FinishReason};
use crate::usage::Usage;

/// A whole answer, or the `message` of `message_start`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MessageShape {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) content: Option<Vec<Block>>,
    pub(super) stop_reason: Option<String>,
    pub(super) stop_sequence: Option<String>,
    pub(super) usage: Option<UsageShape>,
    pub(super) error: Option<ErrorObject>,
}

/// A content block of any type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) data: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) input: Option<Box<RawValue>>,
}

impl Block {
    /// Returns a call's arguments as JSON text; empty when there are none.
    pub(super) fn arguments(&self) -> &str {
        let input = self.input.as_ref().map_or("", |input| input.get());
        if input == "null" || input.bytes().filter(|b| !b.is_ascii_whitespace()).eq(*b"{}") {
            ""
        } else {
            input
        }
    }
}

/// One event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) index: Option<u64>,
    pub(super) message: Option<MessageShape>,
    pub(super) content_block: Option<Block>,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    pub(super) usage: Option<UsageShape>,
    pub(super) error: Option<ErrorObject>,
}

/// The `delta` of `content_block_delta` and of `message_delta`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) partial_json: Option<String>,
    pub(super) stop_reason: Option<String>,
    pub(super) stop_sequence: Option<String>,
}

/// Tokens as the vendor counts them; a stream reports some of the figures at a time.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageShape {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl UsageShape {
    /// Overwrites what `later` reports; the vendor's figures are cumulative.
    pub(super) fn update(&mut self, later: UsageShape) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }

    /// Returns whether it holds a figure; servers that don't count send `{}`.
    pub(super) fn tells(&self) -> bool {
        self.input_tokens.is_some() || self.output_tokens.is_some()
    }

    /// Returns the figures in the gateway's meaning: input counts cached tokens.
    pub(super) fn usage(&self) -> Usage {
        let cached_input = self.cache_read_input_tokens.unwrap_or(0);
        let by_lifetime = self.cache_creation.unwrap_or_default();
        let cache_write_1h = by_lifetime.ephemeral_1h_input_tokens.unwrap_or(0);
        let cache_write = self.cache_creation_input_tokens.unwrap_or_else(|| {
            by_lifetime.ephemeral_5m_input_tokens.unwrap_or(0).saturating_add(cache_write_1h)
        });
        let fresh = self.input_tokens.unwrap_or(0);
        Usage {
            input: fresh.saturating_add(cached_input).saturating_add(cache_write),
            cached_input,
            cache_write,
            cache_write_1h,
            output: self.output_tokens.unwrap_or(0),
            reasoning: self.output_tokens_details.and_then(|details| details.thinking_tokens).unwrap_or(0),
            ..Usage::default()
        }
    }
}

/// Reads the JSON text of a usage object; `None` when it is not one.
pub(crate) fn usage_from(json: &str) -> Option<Usage> {
    serde_json::from_str::<UsageShape>(json).ok().filter(UsageShape::tells).map(|shape| shape.usage())
}

/// Reads a `stop_reason`; a word younger than this code counts as a natural end.
pub(super) fn finish_reason(reason: String, stop_sequence: Option<String>) -> FinishReason {
    FinishReason { kind: kind_of(&reason), raw: reason, stop_sequence }
}

fn kind_of(reason: &str) -> FinishKind {
    match reason {
        "stop_sequence" => FinishKind::StopSequence,
        "max_tokens" | "model_context_window_exceeded" => FinishKind::Length,
        "tool_use" => FinishKind::ToolCalls,
        "refusal" => FinishKind::Refusal,
        _ => FinishKind::Stop,
    }
}

/// Returns the `stop_reason` to show a client: the vendor's own word where it is one of this wire's and means here
/// what it was taken for.
pub(super) fn stop_reason(finish: Option<&FinishReason>, called_tools: bool, refused: bool) -> &str {
    const WORDS: [&str; 7] = [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
    ];
    let kind = match finish {
        Some(finish) if WORDS.contains(&finish.raw.as_str()) && kind_of(&finish.raw) == finish.kind => {
            return &finish.raw;
        }
        Some(finish) => finish.kind,
        None => FinishKind::Stop,
    };
    match kind {
        // Some vendors end a turn of tool calls or a refusal with their word for a natural end; clients of this
        // wire run tools only on `tool_use`.
        FinishKind::Stop if called_tools => "tool_use",
        FinishKind::Stop if refused => "refusal",
        kind => kind.anthropic(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_counts_cached_tokens() {
        let json = r#"{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":4,
            "cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":2},
            "output_tokens":20,"output_tokens_details":{"thinking_tokens":7}}"#;
        let mut shape: UsageShape = serde_json::from_str(json).unwrap();
        shape.update(serde_json::from_str(r#"{"output_tokens":21}"#).unwrap());
        let expected = Usage {
            input: 19,
            cached_input: 4,
            cache_write: 5,
            cache_write_1h: 2,
            output: 21,
            reasoning: 7,
            ..Usage::default()
        };
        assert_eq!(shape.usage(), expected);
    }

    #[test]
    fn stop_reasons_keep_this_wires_words_and_translate_others() {
        let finish = |kind, raw: &str| FinishReason::new(kind, raw);
        assert_eq!(stop_reason(Some(&finish(FinishKind::Stop, "pause_turn")), true, false), "pause_turn");
        assert_eq!(stop_reason(Some(&finish(FinishKind::Stop, "STOP")), true, false), "tool_use");
        assert_eq!(stop_reason(Some(&finish(FinishKind::Stop, "stop")), false, true), "refusal");
        assert_eq!(stop_reason(Some(&finish(FinishKind::Length, "length")), false, false), "max_tokens");
        assert_eq!(stop_reason(None, false, false), "end_turn");
    }
}
