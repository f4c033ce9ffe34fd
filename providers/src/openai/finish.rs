//! Finish words of OpenAI and of the vendors that speak its wire.

use crate::event::{FinishKind, FinishReason};

/// Reads a vendor's finish word; words nobody documented count as a natural end.
pub(super) fn finish_from_word(raw: &str, has_tools: bool) -> FinishReason {
    let kind = match raw {
        "length"
        | "max_tokens"
        | "max_output_tokens"
        | "model_length"
        | "MAX_TOKENS"
        | "LENGTH"
        | "model_context_window_exceeded" => FinishKind::Length,
        "tool_calls" | "function_call" | "tool_use" | "TOOL_CALL" => FinishKind::ToolCalls,
        "content_filter" | "content_filtered" | "sensitive" | "SAFETY" => FinishKind::ContentFilter,
        "refusal" => FinishKind::Refusal,
        "stop_sequence" | "STOP_SEQUENCE" => FinishKind::StopSequence,
        // Several servers say `stop` after tool calls; clients wait for the proper word to run them.
        _ if has_tools => FinishKind::ToolCalls,
        _ => FinishKind::Stop,
    };
    FinishReason::new(kind, raw)
}

/// Returns the word for the client: OpenAI's when strict, else the vendor's own.
pub(super) fn finish_word(reason: &FinishReason, strict: bool) -> &str {
    if strict || reason.raw.is_empty() { reason.kind.openai() } else { &reason.raw }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_after_tool_calls_waits_for_results() {
        assert_eq!(finish_from_word("stop", true).kind, FinishKind::ToolCalls);
        assert_eq!(finish_from_word("length", true).kind, FinishKind::Length);
        assert_eq!(finish_from_word("max_output_tokens", true).kind, FinishKind::Length);
    }

    #[test]
    fn the_own_word_shows_only_when_asked_for() {
        let reason = finish_from_word("model_length", false);
        assert_eq!(finish_word(&reason, true), "length");
        assert_eq!(finish_word(&reason, false), "model_length");
        assert_eq!(finish_word(&FinishReason::new(FinishKind::Stop, ""), false), "stop");
    }
}
