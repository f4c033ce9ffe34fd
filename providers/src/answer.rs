//! The canonical whole answer.

use crate::call::Part;
use crate::event::FinishReason;
use crate::usage::Usage;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Vendor's id; empty when it gave none.
    pub id: String,
    /// Model that answered; empty when the vendor said none.
    pub model: String,
    /// Seconds since the epoch; 0 when the vendor gave none.
    pub created: u64,
    /// The choices, by index.
    pub choices: Vec<Choice>,
    /// Tokens, where the vendor reported them.
    pub usage: Option<Usage>,
}

/// One choice.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Text, thinking, refusals and tool calls in order.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Option<FinishReason>,
    /// OpenAI's `logprobs`, kept as sent.
    pub logprobs: Option<serde_json::Value>,
}
