//! The canonical answer stream.

use crate::error::UpstreamError;
use crate::usage::Usage;

/// One step of a streamed answer. Indexes count from 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The vendor began. Comes first and once.
    Start {
        /// Vendor's id of the answer; empty when it gave none.
        id: String,
        /// Model that answers, as the vendor calls it; empty when it said none.
        model: String,
        /// Seconds since the epoch, 0 when the vendor gave none.
        created: u64,
    },
    /// A piece of the answer's text.
    Text {
        /// Which choice.
        choice: u32,
        /// The piece.
        text: String,
    },
    /// A piece of reasoning text.
    Reasoning {
        /// Which choice.
        choice: u32,
        /// The piece.
        text: String,
    },
    /// Signature of the reasoning that was just streamed.
    Signature {
        /// Which choice.
        choice: u32,
        /// Opaque; the vendor wants it back.
        signature: String,
    },
    /// Reasoning that the vendor encrypted.
    RedactedReasoning {
        /// Which choice.
        choice: u32,
        /// Opaque; the vendor wants it back.
        data: String,
    },
    /// A piece of a refusal.
    Refusal {
        /// Which choice.
        choice: u32,
        /// The piece.
        text: String,
    },
    /// A tool call begins. Calls of one choice are numbered by `tool` from 0.
    ToolStart {
        /// Which choice.
        choice: u32,
        /// Number of the call within the choice.
        tool: u32,
        /// Id for the result.
        id: String,
        /// Tool's name.
        name: String,
        /// Vendor's signature of the call (Gemini).
        signature: Option<String>,
    },
    /// A piece of a call's JSON arguments.
    ToolArguments {
        /// Which choice.
        choice: u32,
        /// Number of the call within the choice.
        tool: u32,
        /// Piece of JSON text.
        json: String,
    },
    /// A choice is complete.
    Finish {
        /// Which choice.
        choice: u32,
        /// Why.
        reason: FinishReason,
    },
    /// Tokens so far, cumulative. May come several times; see [`Usage::merge`].
    Usage(Usage),
    /// The vendor broke off. Nothing but [`Event::End`] follows.
    Error(UpstreamError),
    /// The vendor said it is done (`[DONE]`, `message_stop`).
    End,
}

/// Why an answer ended, with the vendor's own word beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishReason {
    /// The common meaning.
    pub kind: FinishKind,
    /// Vendor's word, for clients that asked for it (`strict_open_ai_compliance: false`).
    pub raw: String,
    /// The stop sequence that ended it, where the vendor says which.
    pub stop_sequence: Option<String>,
}

impl FinishReason {
    /// Makes a reason whose raw word is the vendor's.
    #[must_use]
    pub fn new(kind: FinishKind, raw: impl Into<String>) -> Self {
        Self { kind, raw: raw.into(), stop_sequence: None }
    }
}

/// The common meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishKind {
    /// Natural end.
    Stop,
    /// A stop sequence of the client was met.
    StopSequence,
    /// The output limit or the context window is used up.
    Length,
    /// The model waits for tool results.
    ToolCalls,
    /// A filter cut it.
    ContentFilter,
    /// The model declined.
    Refusal,
}

impl FinishKind {
    /// Returns OpenAI's word.
    #[must_use]
    pub fn openai(self) -> &'static str {
        match self {
            FinishKind::Stop | FinishKind::StopSequence => "stop",
            FinishKind::Length => "length",
            FinishKind::ToolCalls => "tool_calls",
            FinishKind::ContentFilter => "content_filter",
            FinishKind::Refusal => "refusal",
        }
    }

    /// Returns Anthropic's word.
    #[must_use]
    pub fn anthropic(self) -> &'static str {
        match self {
            FinishKind::Stop => "end_turn",
            FinishKind::StopSequence => "stop_sequence",
            FinishKind::Length => "max_tokens",
            FinishKind::ToolCalls => "tool_use",
            FinishKind::ContentFilter | FinishKind::Refusal => "refusal",
        }
    }
}
