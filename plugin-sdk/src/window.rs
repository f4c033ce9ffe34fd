//! Windows of streams: what a check is shown of a text that is still being written, and what it answers.

use crate::verdict::{Reason, Span};

/// What a check of streams needs around a position to judge it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowNeeds {
    /// Bytes after it. The host holds so many back.
    pub lookahead: u32,
    /// Bytes before it. The host repeats so many at the start of the next window.
    pub overlap: u32,
}

impl WindowNeeds {
    /// Everything: nothing leaves before the text is complete. For parameters with which a check has no final verdict
    /// earlier.
    pub const WHOLE: Self = Self { lookahead: u32::MAX, overlap: 0 };
}

/// What a check says of a window of a stream; spans are in bytes of the window's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WindowVerdict {
    /// Goes on as it is.
    #[default]
    Pass,
    /// Goes on once the spans are replaced.
    Mask(Vec<Span>),
    /// Failed. Whether it goes on is the attachment's business (`deny`).
    Fail(Reason),
    /// Must not go on, whatever the attachment says.
    Block(Reason),
}

/// A window of one text of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamWindow {
    /// Bytes that were released before, for context; then bytes that were not.
    pub text: String,
    /// So many bytes at the start were released before. Spans there have no effect.
    pub overlap: u32,
    /// Nothing follows.
    pub last: bool,
    /// `text`, `reasoning`, `refusal` or `tool-arguments`, as in a piece.
    pub kind: String,
    /// The choice.
    pub index: u32,
    /// What the window before it of this text returned; empty at first. Instances do not outlive a call.
    pub state: Vec<u8>,
}

/// What a check answers to a window. The default passes and keeps nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowAnswer {
    /// What it says of the window.
    pub verdict: WindowVerdict,
    /// What the next window of this text is given.
    pub state: Vec<u8>,
    /// A JSON object for results and logs; the last one of a text counts.
    pub data_json: Option<String>,
}
