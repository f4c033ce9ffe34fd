//! Why something an administrator wrote is refused.

use thiserror::Error;

/// A member that is wrong, and what is accepted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{param}: {message}")]
pub struct Bad {
    /// Path of the member, like `usage_limits.credit_limit`.
    pub param: String,
    /// What is accepted.
    pub message: String,
}

impl Bad {
    /// Makes one.
    #[must_use]
    pub fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: param.into(), message: message.into() }
    }
}
