//! What a hostile guest costs its neighbours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidegate_plugin_host::{CallError, Grants, Host, Plugin, Setup};

use crate::guest::Guest;
use crate::{check, host, limits, run};

const CALLS: usize = 1_500;
const BACKGROUND_CALLS: usize = 200;

/// Calls a guard one after the other and returns the median, the 99th percentile and the maximum.
fn percentiles(plugin: &Arc<Plugin>, calls: usize) -> [Duration; 3] {
    let text = "a".repeat(1_024);
    let mut durations: Vec<Duration> = run(async {
        let mut durations = Vec::with_capacity(calls);
        for _ in 0..calls {
            let start = Instant::now();
            check(plugin, &text).await.expect("the good guard works");
            durations.push(start.elapsed());
        }
        durations
    });
    durations.sort_unstable();
    [durations[calls / 2], durations[calls * 99 / 100], durations[calls - 1]]
}

/// Answers at once, but from the background, where every call that asks a power goes on.
fn asks_a_power(host: &Arc<Host>) -> Arc<Plugin> {
    let mut guest = Guest::checks("(call $delete (i32.const 0) (i32.const 1) (i32.const 512)) (i32.const 0)")
        .importing("kv", "delete", "(param i32 i32 i32)");
    guest.manifest.wants = vec!["kv".to_owned()];
    guest.manifest.id = "asks".to_owned();
    let grants = Grants { kv: true, ..Grants::default() };
    host.load(&guest.build(), Setup { grants, ..Setup::default() }).unwrap()
}

#[test]
fn good_guards_stay_quick_beside_four_endless_loops() {
    let host = host(32);
    let inline = host.load(&Guest::passes().build(), Setup::default()).unwrap();
    let background = asks_a_power(&host);
    let mut hostile = Guest::checks("(loop $again (br $again)) (unreachable)");
    hostile.manifest.id = "hostile".to_owned();
    let hostile = hostile.build();
    let setup = limits(|limits| (limits.deadline_ms, limits.total_ms) = (600_000, 500));
    let stop = AtomicBool::new(false);
    let ended = AtomicUsize::new(0);
    let measure = || (percentiles(&inline, CALLS), percentiles(&background, BACKGROUND_CALLS));
    let quiet = measure();
    let beside = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // Another one each time: a plugin that fails so often rests.
                    let plugin = host.load(&hostile, setup.clone()).unwrap();
                    for _ in 0..4 {
                        assert_eq!(run(check(&plugin, "text")), Err(CallError::Deadline));
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let beside = measure();
        stop.store(true, Ordering::Relaxed);
        beside
    });
    eprintln!("p50, p99, max of a guard on the caller's thread and on the background:");
    eprintln!("quiet {quiet:?}\nbeside 4 endless loops {beside:?}");
    assert!(ended.load(Ordering::Relaxed) >= 4, "the loops did not run");
    // Loose: the machine that runs the tests is shared. What must not happen is a wait for a loop's deadline.
    assert!(beside.0[1] < Duration::from_millis(100), "quiet {quiet:?}, beside loops {beside:?}");
    assert!(beside.1[1] < Duration::from_millis(400), "quiet {quiet:?}, beside loops {beside:?}");
}
