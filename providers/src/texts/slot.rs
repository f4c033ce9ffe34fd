//! A text of a request and the place where it stands.

use std::borrow::Cow;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// What people and models say to each other.
    Text,
    /// What a model thought.
    Reasoning,
    /// How a model declined.
    Refusal,
    /// JSON text of a tool call's arguments, as the model wrote it; free text where the tool takes that.
    ToolArguments,
    /// What a tool answered.
    ToolResult,
}

impl TextKind {
    /// Returns the word that plugins see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            TextKind::Text => "text",
            TextKind::Reasoning => "reasoning",
            TextKind::Refusal => "refusal",
            TextKind::ToolArguments => "tool-arguments",
            TextKind::ToolResult => "tool-result",
        }
    }
}

/// One text of a request body. It is good for the body it was found in, until a [`replace_all`] there.
///
/// [`replace_all`]: super::replace_all
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What it is.
    pub kind: TextKind,
    /// Who says it: `system`, `developer`, `user`, `assistant` or `tool`. Another role in the body reads as `user`.
    pub role: &'static str,
    /// Index of its message among those of [`messages_view`]. A text outside of the messages (a predicted output,
    /// a suffix, a template's variable) has the index after the last.
    ///
    /// [`messages_view`]: super::messages_view
    pub index: u32,
    /// The text. Never empty.
    pub text: String,
    pub(super) place: Place,
}

/// Where a text stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From the body's root to the value.
    pub(super) path: Vec<Step>,
    pub(super) form: Form,
    /// How many steps lead to the block that must go when its text changes, because its signature would not fit.
    pub(super) signed: Option<usize>,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As a JSON string.
    String,
    /// As a JSON object or array, whose JSON is the text.
    Json,
}

/// One step down a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Member(Cow<'static, str>),
    Index(usize),
}

impl From<&'static str> for Step {
    fn from(name: &'static str) -> Self {
        Step::Member(Cow::Borrowed(name))
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Step::Index(index)
    }
}
