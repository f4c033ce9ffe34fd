//! What requests found, and how often.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde_json::{Value, json};

/// What a request found, in Portkey's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The answer is an entry's.
    Hit,
    /// There was no entry.
    Miss,
    /// The client wanted a new answer.
    Refresh,
    /// The answer is the entry of another text that means the same.
    SemanticHit,
    /// There was no entry of a text that means the same.
    SemanticMiss,
}

impl Status {
    /// Returns the word of `x-portkey-cache-status`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Status::Hit => "HIT",
            Status::Miss => "MISS",
            Status::Refresh => "REFRESH",
            Status::SemanticHit => "SEMANTIC HIT",
            Status::SemanticMiss => "SEMANTIC MISS",
        }
    }
}

/// Counters since the start.
#[derive(Default)]
pub(super) struct Counts {
    found: [AtomicU64; 5],
    /// Answers kept.
    pub(super) kept: AtomicU64,
    /// Answers that were too large, or whose recording found no room.
    pub(super) too_large: AtomicU64,
    saved_nano_usd: AtomicI64,
}

impl Counts {
    pub(super) fn count(&self, status: Status, saved_nano_usd: i64) {
        if let Some(counter) = self.found.get(status as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.saved_nano_usd.fetch_add(saved_nano_usd, Ordering::Relaxed);
    }

    pub(super) fn view(&self) -> Value {
        let of = |status: Status| {
            self.found.get(status as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
        };
        json!({
            "hits": of(Status::Hit),
            "misses": of(Status::Miss),
            "refreshes": of(Status::Refresh),
            "semantic_hits": of(Status::SemanticHit),
            "semantic_misses": of(Status::SemanticMiss),
            "kept": self.kept.load(Ordering::Relaxed),
            "too_large": self.too_large.load(Ordering::Relaxed),
            "saved_nano_usd": self.saved_nano_usd.load(Ordering::Relaxed),
        })
    }
}
