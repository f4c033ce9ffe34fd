//! A loaded plugin.

use std::sync::Arc;

use crate::{
    CallError, CallView, CheckInfo, ConditionInfo, Judgement, Limits, Manifest, Statistics, StreamWindow,
    Subject, WindowAnswer, WindowNeeds,
};

/// A component that passed all tests of loading. Its code lives as long as somebody holds it.
#[derive(Debug)]
pub struct Plugin {
    manifest: Manifest,
    digest: String,
}

impl Plugin {
    /// Returns what the plugin says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the SHA-256 of the component's bytes, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether the plugin asks for something, in the manifest's words, and got it.
    #[must_use]
    pub fn wants(&self, _what: &str) -> bool {
        false
    }

    /// Returns a check by its name.
    #[must_use]
    pub fn check_info(&self, check: &str) -> Option<&CheckInfo> {
        self.manifest.checks.iter().find(|info| info.name == check)
    }

    /// Returns a condition by its name.
    #[must_use]
    pub fn condition_info(&self, condition: &str) -> Option<&ConditionInfo> {
        self.manifest.conditions.iter().find(|info| info.name == condition)
    }

    /// Returns what happened so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            state: crate::State::Live,
            since_ms: 0,
            calls: 0,
            verdicts: Default::default(),
            errors: Default::default(),
            traps: 0,
            p50_us: 0,
            p99_us: 0,
            max_us: 0,
            memory_peak: 0,
            counters: Default::default(),
        }
    }

    /// Judges a whole input or output. `limits` are the attachment's, if it has its own.
    pub async fn check(
        self: &Arc<Self>,
        _tenant: &str,
        _check: &str,
        _params: &str,
        _subject: &Subject,
        _limits: Option<&Limits>,
    ) -> Result<Judgement, CallError> {
        Err(CallError::Busy)
    }

    /// Returns how much a check of streams must see around a position.
    pub async fn needs(
        self: &Arc<Self>,
        _tenant: &str,
        _check: &str,
        _params: &str,
        _limits: Option<&Limits>,
    ) -> Result<WindowNeeds, CallError> {
        Err(CallError::Busy)
    }

    /// Judges a window of a stream.
    pub async fn window(
        self: &Arc<Self>,
        _tenant: &str,
        _check: &str,
        _params: &str,
        _window: &StreamWindow,
        _limits: Option<&Limits>,
    ) -> Result<WindowAnswer, CallError> {
        Err(CallError::Busy)
    }

    /// Decides a routing condition.
    pub async fn matches(
        self: &Arc<Self>,
        _tenant: &str,
        _condition: &str,
        _params: &str,
        _call: &CallView,
        _limits: Option<&Limits>,
    ) -> Result<bool, CallError> {
        Err(CallError::Busy)
    }
}
