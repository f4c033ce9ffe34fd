//! Measures a plugin: what a call costs in a fresh and in a reused instance, and what it needs of memory.

use std::fmt;
use std::time::{Duration, Instant};

use thiserror::Error;
use tidegate_plugin_host::{CallError, Instances};

use crate::golden::Case;
use crate::host::{REUSE, RunError, Runner};

/// So long each way of keeping instances is measured, after a tenth of that to warm up.
const MEASURE: Duration = Duration::from_secs(2);
/// At least so many calls, however slow.
const LEAST_CALLS: usize = 50;

/// A fresh instance is the safer one; below this it is also cheap enough.
const CHEAP: Duration = Duration::from_micros(150);
/// So many times faster reuse must be to be worth it.
const WORTH: u32 = 3;

/// Why there is nothing to measure.
#[derive(Debug, Error)]
pub enum BenchError {
    /// No case that the plugin answers.
    #[error("measure a plugin: none of its golden cases is of a check that answers")]
    Nothing,
    /// The host refused it.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// One way of keeping instances, measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// How many calls were made.
    pub calls: usize,
    /// Half of them took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// Bytes of linear memory of the largest instance.
    pub memory: u64,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct BenchReport {
    /// A new instance for each call.
    pub fresh: Measured,
    /// One instance for all calls.
    pub reuse: Measured,
}

impl BenchReport {
    /// Says whether `reuse` is the better setting for `instances`.
    #[must_use]
    pub fn recommends_reuse(&self) -> bool {
        self.fresh.p50 > CHEAP && self.fresh.p50 > self.reuse.p50 * WORTH
    }
}

impl fmt::Display for BenchReport {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "instances  calls      p50 µs    p99 µs   memory KiB")?;
        for (name, measured) in [("fresh", self.fresh), ("reuse", self.reuse)] {
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            let (p50, p99, memory) = (micros(measured.p50), micros(measured.p99), measured.memory / 1024);
            writeln!(to, "{name:9} {:6}  {p50:10.1} {p99:9.1} {memory:12}", measured.calls)?;
        }
        if cfg!(debug_assertions) {
            writeln!(
                to,
                "(by a host built without optimisation: its own part is many times slower than a gateway's)"
            )?;
        }
        if self.recommends_reuse() {
            writeln!(
                to,
                "recommended: instances = \"reuse\", a fresh instance costs more than the call itself"
            )
        } else {
            writeln!(
                to,
                "recommended: instances = \"fresh\", nothing stays between calls and it is cheap enough"
            )
        }
    }
}

/// Measures a component with the cases that it answers, in turn.
///
/// # Errors
/// When the host refuses the component, or no case can be used.
pub fn bench(runner: &Runner, component: &[u8], cases: &[Case]) -> Result<BenchReport, BenchError> {
    let fresh = measure(runner, component, cases, Instances::Fresh)?;
    let reuse = measure(runner, component, cases, REUSE)?;
    Ok(BenchReport { fresh, reuse })
}

fn measure(
    runner: &Runner,
    component: &[u8],
    cases: &[Case],
    instances: Instances,
) -> Result<Measured, BenchError> {
    let plugin = runner.load(component, instances)?;
    let mut calls: Vec<_> = cases.iter().map(Case::call).collect();
    // Checks that say no are not what a gateway spends its time with.
    calls.retain(|call| runner.wait(call.make(&plugin)).is_ok());
    if calls.is_empty() {
        return Err(BenchError::Nothing);
    }
    let warm = Instant::now() + MEASURE / 10;
    let end = warm + MEASURE;
    let mut took = Vec::new();
    for call in calls.iter().cycle() {
        let started = Instant::now();
        if started > end && took.len() >= LEAST_CALLS {
            break;
        }
        let answered: Result<(), CallError> = runner.wait(call.make(&plugin));
        if answered.is_ok() && started > warm {
            took.push(started.elapsed());
        }
    }
    took.sort_unstable();
    let at = |part: usize| took.get((took.len() * part / 100).min(took.len().saturating_sub(1))).copied();
    Ok(Measured {
        calls: took.len(),
        p50: at(50).unwrap_or_default(),
        p99: at(99).unwrap_or_default(),
        memory: plugin.statistics().memory_peak,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(fresh: u64, reuse: u64) -> BenchReport {
        let measured = |micros| Measured {
            calls: 100,
            p50: Duration::from_micros(micros),
            p99: Duration::from_micros(2 * micros),
            memory: 1 << 20,
        };
        BenchReport { fresh: measured(fresh), reuse: measured(reuse) }
    }

    #[test]
    fn reuse_is_recommended_where_starting_is_most_of_the_cost() {
        assert!(report(1_000, 12).recommends_reuse());
        assert!(!report(30, 2).recommends_reuse(), "cheap either way");
        assert!(!report(2_000, 1_500).recommends_reuse(), "the call itself is slow");
        assert!(report(440, 5).to_string().contains("\"reuse\""));
    }
}
