//! One request or token limit: GCRA by governor, with give-back.
//!
//! Governor decides; this file keeps its one number (the theoretical arrival time) in a meter that outlives the
//! owner, so that a refusal elsewhere can give back and a settlement can charge what was really used.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use tidegate_store::Window;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RateKind {
    /// Requests.
    Requests,
    /// Input and output tokens.
    Tokens,
}

/// What a caller may see of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RateView {
    /// What it counts.
    pub kind: RateKind,
    /// How many in the window.
    pub limit: u32,
    /// How many at once right now.
    pub remaining: u32,
    /// Until it is full again.
    pub reset: Duration,
}

#[derive(Debug, Clone)]
struct Meter(Arc<AtomicU64>);

impl StateStore for Meter {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // One owner: plain load and store, no loop.
        let before = self.0.load(Ordering::Relaxed);
        let (answer, after) = decide((before != 0).then(|| Nanos::from(before)))?;
        self.0.store(after.as_u64(), Ordering::Relaxed);
        Ok(answer)
    }
}

/// A clock that shows what its owner was told.
#[derive(Debug, Default)]
struct Told(Cell<Duration>);

impl Clock for Told {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.get()
    }
}

/// One limit. Durations count from the start of the process.
#[derive(Debug)]
pub struct RateLimit {
    kind: RateKind,
    amount: u32,
    per: Window,
    weight: u64,
    meter: Meter,
    limiter: RateLimiter<NotKeyed, Meter, Told, NoOpMiddleware<Duration>>,
}

impl RateLimit {
    /// Makes a limit of `amount` per window. `meter` is shared with whoever keeps the limit's state over a restart
    /// of its owner. Amount 0 admits nothing.
    #[must_use]
    pub fn new(kind: RateKind, amount: u32, per: Window, meter: Arc<AtomicU64>) -> Self {
        let burst = NonZeroU32::new(amount).unwrap_or(NonZeroU32::MIN);
        let weight = (per.seconds() * 1_000_000_000 / u64::from(burst.get())).max(1);
        let quota = Quota::with_period(Duration::from_nanos(weight))
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let meter = Meter(meter);
        let limiter = RateLimiter::new(quota, meter.clone(), Told::default());
        Self { kind, amount, per, weight, meter, limiter }
    }

    /// Returns what it counts.
    #[must_use]
    pub fn kind(&self) -> RateKind {
        self.kind
    }

    /// Returns the window.
    #[must_use]
    pub fn per(&self) -> Window {
        self.per
    }

    /// Takes `count`, or says how long to wait. More than the whole limit needs the whole limit, so that a large
    /// estimate waits for a full bucket rather than for ever.
    ///
    /// # Errors
    /// The time until `count` could be taken.
    pub fn take(&self, now: Duration, count: u32) -> Result<(), Duration> {
        if self.amount == 0 {
            return Err(Duration::from_secs(self.per.seconds()));
        }
        let Some(count) = NonZeroU32::new(count.min(self.amount)) else { return Ok(()) };
        self.limiter.clock().0.set(now);
        match self.limiter.check_n(count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_yet)) => Err(not_yet.wait_time_from(now)),
            Err(_) => Err(Duration::from_secs(self.per.seconds())),
        }
    }

    /// Gives back what was taken.
    pub fn give_back(&self, count: u32) {
        let count = u64::from(count.min(self.amount));
        let before = self.meter.0.load(Ordering::Relaxed);
        self.meter.0.store(before.saturating_sub(count * self.weight), Ordering::Relaxed);
    }

    /// Charges beyond what was taken, also past the limit: later requests wait for it.
    pub fn charge(&self, now: Duration, count: u64) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let from = self.meter.0.load(Ordering::Relaxed).max(now);
        self.meter.0.store(from.saturating_add(count.saturating_mul(self.weight)), Ordering::Relaxed);
    }

    /// Returns how many units are taken at most by an estimate.
    #[must_use]
    pub fn cap(&self, count: u32) -> u32 {
        count.min(self.amount)
    }

    /// Returns when there is room for one more.
    #[must_use]
    pub fn free_from(&self) -> Duration {
        if self.amount == 0 {
            return Duration::MAX;
        }
        let ahead = u64::from(self.amount - 1) * self.weight;
        Duration::from_nanos(self.meter.0.load(Ordering::Relaxed).saturating_sub(ahead))
    }

    /// Returns what a caller may see.
    #[must_use]
    pub fn view(&self, now: Duration) -> RateView {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let used = self.meter.0.load(Ordering::Relaxed).saturating_sub(now);
        let whole = u64::from(self.amount) * self.weight;
        let remaining = u32::try_from(whole.saturating_sub(used) / self.weight).unwrap_or(u32::MAX);
        RateView {
            kind: self.kind,
            limit: self.amount,
            remaining: remaining.min(self.amount),
            reset: Duration::from_nanos(used),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limit(amount: u32) -> RateLimit {
        RateLimit::new(RateKind::Requests, amount, Window::Minute, Arc::default())
    }

    #[test]
    fn the_limit_is_reached_exactly_and_refills() {
        let limit = limit(60);
        let start = Duration::from_secs(5);
        for _ in 0..60 {
            limit.take(start, 1).unwrap();
        }
        assert_eq!(limit.view(start).remaining, 0);
        assert_eq!(limit.take(start, 1), Err(Duration::from_secs(1)));
        assert_eq!(limit.take(start + Duration::from_secs(1), 1), Ok(()));
    }

    #[test]
    fn a_large_estimate_needs_the_whole_limit_only() {
        let limit = limit(10);
        assert_eq!(limit.take(Duration::ZERO, 1_000), Ok(()));
        assert!(limit.take(Duration::ZERO, 1).is_err());
    }

    #[test]
    fn zero_admits_nothing() {
        assert!(limit(0).take(Duration::from_secs(100), 1).is_err());
    }

    #[test]
    fn a_charge_past_the_limit_makes_later_requests_wait() {
        let limit = limit(60);
        limit.charge(Duration::ZERO, 90);
        assert_eq!(limit.take(Duration::ZERO, 1), Err(Duration::from_secs(31)));
    }

    proptest! {
        #[test]
        fn what_is_given_back_was_never_taken(amount in 1u32..1000, count in 1u32..1000, at in 1u64..1_000_000) {
            let limit = limit(amount);
            let now = Duration::from_millis(at);
            limit.take(now, 1).unwrap();
            let before = limit.view(now);
            if limit.take(now, count).is_ok() {
                limit.give_back(count);
            }
            prop_assert_eq!(limit.view(now), before);
        }
    }
}
