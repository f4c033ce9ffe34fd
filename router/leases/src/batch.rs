//! A node's few tokens of a shared bucket: used within a second, or given back.
//!
//! So in any span of `t` ms all nodes together use at most `burst + (t + 1000) × amount / period_ms`; at the worst,
//! nodes × batch of them lie unused with others for that second.

use std::collections::VecDeque;

use crate::rate::{RateLimit, RateOp, Taken};

/// What was taken is used for so long, by the node's own clock.
pub const USE_WITHIN_MS: i64 = 1_000;

#[derive(Clone, Copy, Debug)]
struct Part {
    count: i64,
    until_ms: i64,
    at_us: i64,
}

/// Tokens on a node.
#[derive(Clone, Debug)]
pub struct Batch {
    limit: RateLimit,
    parts: VecDeque<Part>,
}

impl Batch {
    /// Without any.
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, parts: VecDeque::new() }
    }

    /// Uses so many, or says what to take first. `now_ms` is the node's own monotonic clock.
    pub fn spend(&mut self, now_ms: i64, count: i64) -> Result<(), RateOp> {
        let fresh: i64 = self.fresh(now_ms).map(|part| part.count).sum();
        if fresh < count {
            let need = count - fresh;
            return Err(RateOp::Take { want: need.max(self.limit.batch()), need });
        }
        let mut rest = count;
        for part in self.parts.iter_mut().filter(|part| now_ms < part.until_ms) {
            let used = part.count.min(rest);
            part.count -= used;
            rest -= used;
        }
        self.parts.retain(|part| part.count > 0);
        Ok(())
    }

    /// Takes what was granted to an operation that was *sent* at a time.
    pub fn fill(&mut self, sent_ms: i64, taken: &Taken) {
        let until_ms = sent_ms + USE_WITHIN_MS;
        self.parts.push_back(Part { count: taken.count, until_ms, at_us: taken.at_us });
    }

    /// Returns one thing to give back, if its time is over. It is gone here: send it once at most.
    pub fn stale(&mut self, now_ms: i64) -> Option<RateOp> {
        let at = self.parts.iter().position(|part| now_ms >= part.until_ms)?;
        let part = self.parts.remove(at)?;
        Some(RateOp::GiveBack { count: part.count, at_us: part.at_us })
    }

    /// Returns how many may be used now.
    pub fn left(&self, now_ms: i64) -> i64 {
        self.fresh(now_ms).map(|part| part.count).sum()
    }

    fn fresh(&self, now_ms: i64) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| now_ms < part.until_ms)
    }
}
