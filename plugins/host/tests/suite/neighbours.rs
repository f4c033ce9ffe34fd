//! What a hostile guest costs its neighbours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidegate_plugin_host::{CallError, Plugin};

use crate::guest::Guest;
use crate::{check, host, limits, run};

const CALLS: usize = 3_000;

fn percentiles(plugin: &Arc<Plugin>) -> (Duration, Duration, Duration) {
    let text = "a".repeat(1_024);
    let mut durations: Vec<Duration> = run(async {
        let mut durations = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let start = Instant::now();
            check(plugin, &text).await.expect("the good guard works");
            durations.push(start.elapsed());
        }
        durations
    });
    durations.sort_unstable();
    (durations[CALLS / 2], durations[CALLS * 99 / 100], durations[CALLS - 1])
}

#[test]
fn a_good_guard_stays_quick_beside_four_endless_loops() {
    let host = host(32);
    let good = host.load(&Guest::passes().build(), limits(|_| {})).unwrap();
    let mut hostile = Guest::checks("(loop $again (br $again)) (unreachable)");
    hostile.manifest.id = "hostile".to_owned();
    let setup = limits(|limits| (limits.deadline_ms, limits.total_ms) = (600_000, 1_000));
    let hostile = hostile.build();
    // One plugin each, and again when one rests.
    let stop = AtomicBool::new(false);
    let ended = AtomicUsize::new(0);
    let quiet = percentiles(&good);
    let beside = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let plugin = host.load(&hostile, setup.clone()).unwrap();
                    for _ in 0..4 {
                        assert_eq!(run(check(&plugin, "text")), Err(CallError::Deadline));
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let beside = percentiles(&good);
        stop.store(true, Ordering::Relaxed);
        beside
    });
    eprintln!("p50, p99, max of a guard: quiet {quiet:?}, beside 4 endless loops {beside:?}");
    assert!(ended.load(Ordering::Relaxed) >= 4, "the loops did not run");
    // Loose: the machine that runs the tests is shared. What must not happen is a wait for a loop's deadline.
    assert!(beside.1 < Duration::from_millis(100), "quiet {quiet:?}, beside loops {beside:?}");
}
