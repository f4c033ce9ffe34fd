//! Why a receiver did not take a notification, and what follows from it.

use std::time::Duration;

use thiserror::Error;

/// Why an attempt failed. The text names no secret and no URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Failure {
    /// What went wrong, for the log.
    pub reason: String,
    /// Whether and when to try again.
    pub next: Next,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The receiver will not take it, whenever it comes.
    Never,
    /// The receiver failed on this one: it is tried again, others go on.
    Later,
    /// There is no receiver: nothing else is sent there until the next attempt.
    Unreachable,
    /// The receiver said how long to leave it alone.
    After(Duration),
}

impl Failure {
    pub(crate) fn never(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), next: Next::Never }
    }

    pub(crate) fn later(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), next: Next::Later }
    }

    pub(crate) fn unreachable(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), next: Next::Unreachable }
    }

    pub(crate) fn after(reason: impl Into<String>, wait: Duration) -> Self {
        Self { reason: reason.into(), next: Next::After(wait) }
    }
}

/// Returns the deepest cause of an error: what the operating system or the TLS library said.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
