//! Why a configuration was refused.

use thiserror::Error;

/// Why a configuration was refused. Values are never shown: they may be secrets.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}{}{message}", shown_line(*line), shown_path(path))]
pub struct ImportError {
    /// Line of the input, from 1, where it is known.
    pub line: Option<usize>,
    /// Path of the member at fault; empty for the whole.
    pub path: String,
    /// What is wrong and what is accepted.
    pub message: String,
}

impl ImportError {
    /// Makes the error of a line.
    pub(crate) fn at_line(line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), path: String::new(), message: message.into() }
    }

    /// Makes the error of a member.
    pub(crate) fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { line: None, path: path.into(), message: message.into() }
    }
}

fn shown_line(line: Option<usize>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}

fn shown_path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}
