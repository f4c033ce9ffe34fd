//! What happened to a plugin so far.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::CallError;

/// Whether a plugin is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Live,
    /// It failed too often and rests.
    Quarantined,
}

/// A plugin's life since it was loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// Whether it is called.
    pub state: State,
    /// Milliseconds since 1970 when that became so.
    pub since_ms: u64,
    /// Calls that it ended, with an answer or an error. Those whose caller went away are not counted.
    pub calls: u64,
    /// By kind: pass, mask, rewrite, fail, block, true, false.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// By [`crate::CallError::name`].
    pub errors: BTreeMap<&'static str, u64>,
    /// How often it trapped.
    pub traps: u64,
    /// Half of the calls took no longer, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 calls took no longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
    /// Bytes of linear memory, of its largest instance.
    pub memory_peak: u64,
    /// The plugin's own counters.
    pub counters: BTreeMap<String, u64>,
}

/// Kinds of answers, as [`Statistics::verdicts`] names them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Pass,
    Mask,
    Rewrite,
    Fail,
    Block,
    True,
    False,
}

const KINDS: [&str; 7] = ["pass", "mask", "rewrite", "fail", "block", "true", "false"];

/// Classes of errors, in the order of their counters.
const ERRORS: [&str; 13] = [
    "CheckError",
    "UnknownCheck",
    "PluginTrap",
    "DeadlineExceeded",
    "MemoryExceeded",
    "OutputTooLarge",
    "InputTooLarge",
    "HostCallsExceeded",
    "PluginBusy",
    "PluginQuarantined",
    "NotDeclared",
    "BadSpans",
    "BadData",
];

/// Counts a plugin's calls without locks.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    calls: AtomicU64,
    verdicts: [AtomicU64; KINDS.len()],
    errors: [AtomicU64; ERRORS.len()],
    memory_peak: AtomicU64,
    durations: Histogram,
}

impl Recorder {
    /// Counts a call that reached the plugin.
    pub(crate) fn call(&self, duration: Duration, memory: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.memory_peak.fetch_max(u64::try_from(memory).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.durations.add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts an answer.
    pub(crate) fn verdict(&self, kind: Kind) {
        if let Some(counter) = self.verdicts.get(kind as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an error.
    pub(crate) fn error(&self, error: &CallError) {
        let class = ERRORS.iter().position(|name| *name == error.name());
        if let Some(counter) = class.and_then(|class| self.errors.get(class)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns everything that was counted.
    pub(crate) fn statistics(&self, state: State, since_ms: u64, counters: &Counters) -> Statistics {
        let errors = named(&ERRORS, &self.errors);
        Statistics {
            state,
            since_ms,
            calls: self.calls.load(Ordering::Relaxed),
            verdicts: named(&KINDS, &self.verdicts),
            traps: errors.get("PluginTrap").copied().unwrap_or(0),
            errors,
            p50_us: self.durations.quantile(50),
            p99_us: self.durations.quantile(99),
            max_us: self.durations.max.load(Ordering::Relaxed),
            memory_peak: self.memory_peak.load(Ordering::Relaxed),
            counters: counters.snapshot(),
        }
    }
}

/// Returns what is not zero, by name.
fn named(names: &[&'static str], counters: &[AtomicU64]) -> BTreeMap<&'static str, u64> {
    let counts = counters.iter().map(|counter| counter.load(Ordering::Relaxed));
    names.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect()
}

/// Steps within a power of two: a quantile is at most an eighth too high.
const STEPS: u64 = 8;
/// Enough for 2^36 microseconds.
const BUCKETS: usize = 8 * 34;

/// Durations in buckets that grow with them.
#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    max: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), max: AtomicU64::new(0) }
    }
}

impl Histogram {
    fn add(&self, us: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(us)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.max.fetch_max(us, Ordering::Relaxed);
    }

    /// Returns the upper end of the bucket in which so many percent of the values are reached.
    fn quantile(&self, percent: u64) -> u64 {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let wanted = total.saturating_mul(percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return top_of(bucket).min(self.max.load(Ordering::Relaxed));
            }
        }
        0
    }
}

fn bucket_of(us: u64) -> usize {
    let bucket = if us < STEPS {
        us
    } else {
        let power = u64::from(us.ilog2()) - 3;
        (power + 1) * STEPS + ((us >> power) - STEPS)
    };
    usize::try_from(bucket).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

fn top_of(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    if bucket < STEPS {
        return bucket;
    }
    let power = bucket / STEPS - 1;
    ((STEPS + bucket % STEPS + 1) << power) - 1
}

/// The plugin's own counters: few, with short plain names, since they become metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<String, u64>>);

/// Counters of one plugin.
const COUNTERS: usize = 64;
/// Bytes of a counter's name.
const COUNTER_NAME: usize = 64;

impl Counters {
    /// Adds to a counter. What has no plain name or comes after too many others is ignored.
    pub(crate) fn add(&self, name: String, by: u64) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > COUNTER_NAME || !name.bytes().all(plain) {
            return;
        }
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() < COUNTERS || counters.contains_key(&name) {
            let count = counters.entry(name).or_default();
            *count = count.saturating_add(by);
        }
    }

    fn snapshot(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::CheckError;

    #[test]
    fn quantiles_are_close_from_above() {
        let histogram = Histogram::default();
        for us in 1..=1000 {
            histogram.add(us);
        }
        let (p50, p99) = (histogram.quantile(50), histogram.quantile(99));
        assert!((500..=563).contains(&p50), "{p50}");
        assert!((990..=1000).contains(&p99), "{p99}");
        assert_eq!(Histogram::default().quantile(99), 0);
    }

    proptest! {
        #[test]
        fn every_duration_lies_below_the_top_of_its_bucket_by_an_eighth_at_most(us in 0_u64..1 << 36) {
            let top = top_of(bucket_of(us));
            prop_assert!(us <= top && top - us <= us / 8, "{} in a bucket up to {}", us, top);
        }
    }

    #[test]
    fn every_class_of_errors_has_a_counter() {
        let check = CheckError { name: String::new(), message: String::new(), data_json: None };
        let all = [
            CallError::Check(check),
            CallError::Unknown { check: String::new() },
            CallError::Trap { message: String::new() },
            CallError::Deadline,
            CallError::Memory,
            CallError::Output,
            CallError::Input,
            CallError::HostCalls,
            CallError::Busy,
            CallError::Quarantined,
            CallError::NotDeclared("mask"),
            CallError::BadSpans(String::new()),
            CallError::BadData(""),
        ];
        let recorder = Recorder::default();
        all.iter().for_each(|error| recorder.error(error));
        let statistics = recorder.statistics(State::Live, 0, &Counters::default());
        assert_eq!(statistics.errors.len(), all.len());
        assert_eq!(statistics.traps, 1);
    }

    #[test]
    fn a_guest_cannot_make_counters_without_end() {
        let counters = Counters::default();
        for number in 0..1000 {
            counters.add(format!("c{number}"), 1);
        }
        counters.add("c1".to_owned(), u64::MAX);
        counters.add("no name".to_owned(), 1);
        let snapshot = counters.snapshot();
        assert_eq!((snapshot.len(), snapshot.get("c1")), (COUNTERS, Some(&u64::MAX)));
    }
}
