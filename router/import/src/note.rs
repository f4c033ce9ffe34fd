//! What a conversion returns: the file, and what its reader must know.

use crate::variables::Variable;

/// A settings file made from another gateway's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The text of a `tidegate.toml`, notes and variables included as comments.
    pub toml: String,
    /// What has no counterpart, or another meaning than before.
    pub notes: Vec<Note>,
    /// Environment variables that the file refers to.
    pub variables: Vec<Variable>,
}

/// Something in the input that was not taken over as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Path of the member in the input.
    pub path: String,
    /// What became of it, and what to do instead.
    pub message: String,
}

impl Note {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}
