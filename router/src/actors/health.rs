//! What a provider's actor publishes and routing reads without asking.
//!
//! Written by the actor alone; readers may see it a moment late. One figure has another writer where the actor has nothing
//! to refuse, and so is not asked: attempts count themselves in and out, and the actor does not. Times are nanoseconds of
//! the process's clock, so that a snapshot stays right while nothing happens.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;

/// Models remembered for one provider. Names come from callers.
const MODELS: usize = 256;
/// An average moves all the more towards a new value the longer ago the last one was: half the way after this long,
const SPAN_MS: u64 = 30_000;
/// and these thousandths of it at least.
const LEAST_STEP: u64 = 100;
/// A figure older than this is not trusted for long.
const STALE_MS: u64 = 10_000;
/// How many times as slow a target counts all of whose attempts fail.
const FAILING: u64 = 10;

/// What routing reads.
#[derive(Debug, Default)]
pub struct Health {
    in_flight: AtomicU32,
    /// How many may be inside; 0 is no limit.
    concurrent: AtomicU32,
    first_byte_us: AtomicU64,
    faults_per_mille: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) lost: AtomicU32,
    /// Until when its breaker lets nothing through; 0 while it is closed.
    shut_until: AtomicU64,
    /// From when on its rate limits let a request in.
    free_from: AtomicU64,
    paces: DashMap<Box<str>, [Pace; 2]>,
    watched: AtomicBool,
}

/// How fast one model answers, whole or streamed.
#[derive(Debug, Default)]
struct Pace {
    first_byte_us: AtomicU64,
    faults_per_mille: AtomicU64,
    /// Milliseconds of the clock at the last attempt; 0 before the first.
    at_ms: AtomicU64,
}

impl Health {
    /// Returns attempts inside.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the moving average of microseconds to the first byte; 0 before the first answer.
    #[must_use]
    pub fn first_byte_us(&self) -> u64 {
        self.first_byte_us.load(Ordering::Relaxed)
    }

    /// Returns the moving average of faults per thousand attempts.
    #[must_use]
    pub fn faults_per_mille(&self) -> u64 {
        self.faults_per_mille.load(Ordering::Relaxed)
    }

    /// Returns whether its circuit breaker keeps attempts away.
    #[must_use]
    pub fn is_shut(&self, now: Duration) -> bool {
        self.shut_for(|| now).is_some()
    }

    /// Returns for how long its circuit breaker still keeps attempts away.
    #[must_use]
    pub fn shut_for(&self, now: impl FnOnce() -> Duration) -> Option<Duration> {
        // Most never are: the clock isn't read then.
        let until = self.shut_until.load(Ordering::Acquire);
        let left = if until == 0 { 0 } else { until.saturating_sub(nanos(now())) };
        (left > 0).then(|| Duration::from_nanos(left))
    }

    /// Returns whether its own limits let another request in.
    #[must_use]
    pub fn has_room(&self, now: Duration) -> bool {
        let concurrent = self.concurrent.load(Ordering::Relaxed);
        (concurrent == 0 || self.in_flight() < concurrent)
            && nanos(now) >= self.free_from.load(Ordering::Relaxed)
    }

    /// Returns microseconds to the first byte of a model, whole or streamed, and whether they were not measured lately.
    /// Failing attempts make it slower; 0 is a model that nobody asked. From the first look on it is measured.
    #[must_use]
    pub fn latency(&self, model: &str, stream: bool, now: Duration) -> (u64, bool) {
        if !self.watched.load(Ordering::Relaxed) {
            self.watched.store(true, Ordering::Relaxed);
        }
        let Some(paces) = self.paces.get(model) else { return (0, true) };
        let pace = &paces[usize::from(stream)];
        let at = pace.at_ms.load(Ordering::Relaxed);
        let stale = millis(now).saturating_sub(at) >= STALE_MS;
        let faults = pace.faults_per_mille.load(Ordering::Relaxed);
        let micros = match pace.first_byte_us.load(Ordering::Relaxed) {
            0 if faults > 0 => u64::MAX / 2,
            micros => micros.saturating_mul(1_000 + faults * (FAILING - 1)) / 1_000,
        };
        (micros, stale)
    }

    /// Returns whether anybody chooses by latency.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Counts an attempt in that nobody was asked for.
    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts it out.
    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn publish_inside(&self, in_flight: u32, concurrent: Option<u32>, free_from: Duration) {
        self.in_flight.store(in_flight, Ordering::Relaxed);
        // A limit of 0 is told by `free_from`.
        self.concurrent.store(concurrent.unwrap_or(0), Ordering::Relaxed);
        let never = if concurrent == Some(0) { u64::MAX } else { nanos(free_from) };
        self.free_from.store(never, Ordering::Relaxed);
    }

    pub(super) fn publish_shut(&self, until: Option<Duration>) {
        let until = until.map_or(0, |until| nanos(until).max(1));
        self.shut_until.store(until, Ordering::Release);
    }

    /// Learns from an attempt of the provider as a whole.
    pub(super) fn learn(&self, first_byte_us: Option<u64>, fault: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let new = if fault { 1_000 } else { 0 };
        self.faults_per_mille.store(moved(self.faults_per_mille(), new, LEAST_STEP), Ordering::Relaxed);
        if let Some(micros) = first_byte_us {
            let known = self.first_byte_us();
            let next = if known == 0 { micros } else { moved(known, micros, LEAST_STEP) };
            self.first_byte_us.store(next, Ordering::Relaxed);
        }
    }

    /// Learns from an attempt of one model.
    pub(super) fn learn_model(
        &self,
        (model, stream): (&str, bool),
        first_byte_us: Option<u64>,
        fault: bool,
        now: Duration,
    ) {
        if !self.paces.contains_key(model) {
            if self.paces.len() >= MODELS {
                self.paces.clear();
            }
            self.paces.insert(model.into(), Default::default());
        }
        let Some(paces) = self.paces.get(model) else { return };
        let pace = &paces[usize::from(stream)];
        let before = pace.at_ms.swap(millis(now).max(1), Ordering::Relaxed);
        let step = (millis(now).saturating_sub(before) * 500 / SPAN_MS).clamp(LEAST_STEP, 500);
        let new = if fault { 1_000 } else { 0 };
        let faults = moved(pace.faults_per_mille.load(Ordering::Relaxed), new, step);
        pace.faults_per_mille.store(faults, Ordering::Relaxed);
        if let Some(micros) = first_byte_us {
            let known = pace.first_byte_us.load(Ordering::Relaxed);
            let next = if known == 0 { micros.max(1) } else { moved(known, micros.max(1), step) };
            pace.first_byte_us.store(next, Ordering::Relaxed);
        }
    }
}

/// Moves an average so many thousandths of the way, rounding towards the new value so that it reaches it.
fn moved(known: u64, new: u64, per_mille: u64) -> u64 {
    let step = |distance: u64| distance.saturating_mul(per_mille).div_ceil(1_000);
    if new > known { known + step(new - known) } else { known - step(known - new) }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(3_600 + seconds)
    }

    #[test]
    fn an_average_reaches_what_it_is_told_for_long() {
        let health = Health::default();
        for _ in 0..200 {
            health.learn_model(("m", true), Some(500_000), false, at(0));
        }
        assert_eq!(health.latency("m", true, at(1)), (500_000, false));
        assert_eq!(health.latency("m", false, at(1)), (0, true), "whole answers are another matter");
        for _ in 0..200 {
            health.learn_model(("m", true), Some(7), false, at(0));
        }
        assert_eq!(health.latency("m", true, at(9)), (7, false));
        assert_eq!(health.latency("m", true, at(10)), (7, true));
    }

    #[test]
    fn a_new_figure_weighs_more_the_longer_nothing_was_measured() {
        let health = Health::default();
        health.learn_model(("m", true), Some(1_000), false, at(0));
        health.learn_model(("m", true), Some(2_000), false, at(0));
        assert_eq!(health.latency("m", true, at(0)).0, 1_100);
        health.learn_model(("m", true), Some(2_100), false, at(300));
        assert_eq!(health.latency("m", true, at(300)).0, 1_600);
    }

    #[test]
    fn failing_makes_slow_however_quickly_it_fails() {
        let health = Health::default();
        for _ in 0..100 {
            health.learn_model(("m", false), None, true, at(0));
        }
        assert!(health.latency("m", false, at(0)).0 > 1_000_000_000, "never answered");
        health.learn_model(("m", false), Some(1_000), false, at(0));
        assert!(health.latency("m", false, at(0)).0 > 8_000);
    }

    #[test]
    fn models_are_bounded_and_measured_only_for_those_who_look() {
        let health = Health::default();
        assert!(!health.is_watched());
        assert_eq!(health.latency("m", true, at(0)), (0, true));
        assert!(health.is_watched());
        for number in 0..3 * MODELS {
            health.learn_model((&number.to_string(), true), Some(1), false, at(0));
            assert!(health.paces.len() <= MODELS);
        }
    }

    #[test]
    fn room_and_breaker_are_told_for_any_moment() {
        let health = Health::default();
        assert!(health.has_room(at(0)) && !health.is_shut(at(0)));
        health.publish_inside(2, Some(2), Duration::ZERO);
        assert!(!health.has_room(at(0)));
        health.publish_inside(1, Some(2), at(5));
        assert!(!health.has_room(at(4)) && health.has_room(at(5)));
        health.publish_inside(0, Some(0), Duration::ZERO);
        assert!(!health.has_room(at(0)));
        health.publish_shut(Some(at(5)));
        assert!(health.is_shut(at(4)) && !health.is_shut(at(5)));
        health.publish_shut(None);
        assert!(!health.is_shut(at(4)));
    }
}
