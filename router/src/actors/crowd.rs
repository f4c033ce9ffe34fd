//! Buckets in a crowd: policies make one for every value that a client may choose, so nobody knows how many come.
//!
//! Beyond [`CROWD`] of a kind, those that nobody used for a few seconds rest, although they would stay awake else. A
//! budget loses nothing by that: what it spent is in the store. A limiter leaves the state of its limits here, a few
//! numbers in place of an actor, until they are full again.

use std::sync::Arc;

use dashmap::DashMap;
use tidegate_store::LimitRecord;

use super::limiter::LimiterHandle;
use crate::clock;

/// So many of a kind stay awake until they have been idle for a quarter of an hour.
pub(super) const CROWD: usize = 10_000;
/// In a crowd they rest after so many seconds without a request.
pub(super) const CROWDED_REST_SECS: u64 = 5;
/// States that are kept at most, about 200 bytes each. Beyond it those go first that are full again soonest.
const MOST_ASLEEP: usize = 1_000_000;
/// States that are full again within so many seconds are given up first, then twice as many, and so on.
const FIRST_GIVEN_UP_SECS: u64 = 1;

/// The state of a limiter at rest.
struct Asleep {
    limits: Arc<Vec<LimitRecord>>,
    /// As [`LimiterHandle::meters`] gives them.
    meters: Box<[u64]>,
}

impl Asleep {
    /// Returns when it is full again, in nanoseconds since the process began.
    fn full_at(&self) -> u64 {
        self.meters.iter().copied().max().unwrap_or(0)
    }
}

/// Limiters that rest and are not full yet.
#[derive(Default)]
pub(super) struct Sleepers(DashMap<String, Asleep>);

impl Sleepers {
    /// Puts a limiter to rest.
    pub(super) fn lay(&self, limiter: &LimiterHandle) {
        let asleep = Asleep { limits: limiter.limits(), meters: limiter.meters() };
        if asleep.full_at() > now() {
            self.0.insert(limiter.id().to_owned(), asleep);
        }
    }

    /// Returns what a limiter that wakes under these limits has used of them.
    pub(super) fn wake(&self, id: &str, limits: &[LimitRecord]) -> Option<Box<[u64]>> {
        if self.0.is_empty() {
            return None;
        }
        let (_, asleep) = self.0.remove(id)?;
        (**asleep.limits == *limits).then_some(asleep.meters)
    }

    /// Forgets those that are full again, and more if there are too many.
    pub(super) fn sweep(&self) {
        let mut horizon_secs = 0;
        loop {
            let until = now().saturating_add(horizon_secs * 1_000_000_000);
            self.0.retain(|_, asleep| asleep.full_at() > until);
            if self.0.len() <= MOST_ASLEEP {
                break;
            }
            horizon_secs = (horizon_secs * 2).max(FIRST_GIVEN_UP_SECS);
        }
        if horizon_secs > 0 {
            tracing::warn!(
                horizon_secs,
                "too many buckets: those were forgotten that are full again so soon"
            );
        }
        if self.0.is_empty() {
            self.0.shrink_to_fit();
        }
    }
}

fn now() -> u64 {
    u64::try_from(clock::uptime().as_nanos()).unwrap_or(u64::MAX)
}
