//! Slots, instances and their reuse.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tidegate_plugin_host::{CallError, Instances, Plugin, Setup, Terms, Verdict};

use crate::guest::{Guest, words};
use crate::{check, check_as, host, limits, run, subject};

const LOOP: &str = "(loop $again (br $again)) (unreachable)";

#[test]
fn calls_that_are_dropped_midway_leave_no_slot_behind() {
    let host = host(4);
    let guest = Guest::checks(&format!(
        "(if (i32.eq (i32.load offset=24 (i32.load offset=100 (local.get $args))) (i32.const 4)) (then {LOOP}))
         (i32.const 0)"
    ));
    let plugin = host.load(&guest.build(), limits(|limits| limits.deadline_ms = 60_000)).unwrap();
    let mut left = 0;
    for _ in 0..200 {
        let mut call = pin!(check(&plugin, "loop"));
        if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            left += 1;
        }
    }
    assert_eq!(left, 200, "the loops did not run");
    run(async {
        for _ in 0..20 {
            check(&plugin, "other").await.expect("a slot is free");
        }
    });
    let statistics = plugin.statistics();
    assert_eq!(statistics.state, tidegate_plugin_host::State::Live, "going away is no failure");
}

#[test]
fn traps_leave_no_slot_behind() {
    let host = host(2);
    for _ in 0..15 {
        // A plugin each, since one that fails so often rests.
        let plugin = host.load(&Guest::checks("(unreachable)").build(), Setup::default()).unwrap();
        for _ in 0..4 {
            let error = run(check(&plugin, "text")).unwrap_err();
            assert!(matches!(error, CallError::Trap { .. }), "{error:?}");
        }
    }
}

#[test]
fn calls_beyond_the_concurrency_wait_and_are_refused_in_the_end() {
    let host = host(8);
    let setup = limits(|limits| {
        (limits.concurrency, limits.deadline_ms, limits.total_ms) = (1, 60_000, 300);
    });
    let plugin = host.load(&Guest::checks(LOOP).build(), setup).unwrap();
    let (first, second) = run(async { tokio::join!(check(&plugin, "text"), check(&plugin, "text")) });
    assert_eq!(first, Err(CallError::Deadline));
    // The second waits as long as the first runs, and so its own time is up too.
    assert!(matches!(second, Err(CallError::Busy | CallError::Deadline)), "{second:?}");
}

#[test]
fn one_plugin_cannot_take_all_instances() {
    let host = host(4);
    let hostile = Guest::checks(LOOP).build();
    let hostile = host.load(&hostile, limits(|limits| limits.deadline_ms = 60_000)).unwrap();
    let mut good = Guest::passes();
    good.manifest.id = "good".to_owned();
    let good = host.load(&good.build(), Setup::default()).unwrap();
    let mut calls: Vec<_> = (0..10).map(|_| Box::pin(check(&hostile, "text"))).collect();
    for call in &mut calls {
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    run(async {
        for _ in 0..20 {
            check(&good, "text").await.expect("a place is left for others");
        }
    });
}

/// Answers how often this instance was asked: the code of a failure is one more letter each time.
fn counts() -> Guest {
    let mut guest = Guest::checks("");
    let letters = guest.put(b"aaaaaaaaaaaaaaaaaaaa");
    let reason = [words(&[letters, 0]), guest.text("")].concat();
    let answer = guest.judgement(3, &reason, None);
    guest.items.push_str("(global $asked (mut i32) (i32.const 0))");
    guest.check = Some(format!(
        "(global.set $asked (i32.add (global.get $asked) (i32.const 1))) \
         (i32.store offset=12 (i32.const {answer}) (global.get $asked)) (i32.const {answer})"
    ));
    guest
}

async fn asked(plugin: &Arc<Plugin>, tenant: &str) -> usize {
    match check_as(plugin, tenant, "text").await.unwrap().verdict {
        Verdict::Fail(reason) => reason.code.len(),
        other => panic!("{other:?}"),
    }
}

fn reusing(calls: u32, idle: u32) -> Arc<Plugin> {
    let setup = Setup { instances: Instances::Reuse { calls, idle }, ..Setup::default() };
    host(16).load(&counts().build(), setup).unwrap()
}

#[test]
fn fresh_instances_remember_nothing() {
    let plugin = host(4).load(&counts().build(), Setup::default()).unwrap();
    run(async {
        for _ in 0..5 {
            assert_eq!(asked(&plugin, "a").await, 1);
        }
    });
}

#[test]
fn a_reused_instance_is_renewed_after_its_calls() {
    let plugin = reusing(3, 1);
    run(async {
        for expected in [1, 2, 3, 1, 2, 3, 1] {
            assert_eq!(asked(&plugin, "a").await, expected);
        }
    });
}

#[test]
fn tenants_never_share_an_instance() {
    let plugin = reusing(100, 2);
    run(async {
        for turn in 1..=5 {
            assert_eq!(asked(&plugin, "a").await, turn);
            assert_eq!(asked(&plugin, "b").await, turn);
        }
        assert_eq!(asked(&plugin, "").await, 1);
    });
}

#[test]
fn an_attachment_decides_whether_its_instances_are_reused_and_shares_them_with_no_other() {
    let fresh = host(16).load(&counts().build(), Setup::default()).unwrap();
    let reused = reusing(100, 2);
    let subject = subject(&["text"]);
    let asked = async |plugin: &Arc<Plugin>, params: &str, reuse: bool| {
        let terms = Terms { reuse: Some(reuse), limits: None };
        match plugin.check("a", "check", params, subject.clone(), Some(&terms)).await.unwrap().verdict {
            Verdict::Fail(reason) => reason.code.len(),
            other => panic!("{other:?}"),
        }
    };
    run(async {
        for turn in 1..=4 {
            assert_eq!(asked(&fresh, "{}", true).await, turn);
            assert_eq!(asked(&fresh, r#"{"other": 1}"#, true).await, turn);
            assert_eq!(asked(&fresh, "{}", false).await, 1);
            assert_eq!(asked(&reused, "{}", false).await, 1);
        }
    });
}

#[test]
fn more_tenants_than_places_still_work() {
    let plugin = reusing(100, 2);
    run(async {
        for tenant in 0..100 {
            assert_eq!(asked(&plugin, &format!("tenant-{tenant}")).await, 1);
        }
        assert_eq!(asked(&plugin, "tenant-99").await, 2, "the last one is still there");
        assert_eq!(asked(&plugin, "tenant-0").await, 1, "the first one had to make room");
    });
}

#[test]
fn waiting_instances_leave_room_for_calls() {
    let host = host(4);
    let setup = Setup { instances: Instances::Reuse { calls: 100, idle: 4 }, ..Setup::default() };
    let plugins: Vec<_> = (0..6).map(|_| host.load(&counts().build(), setup.clone()).unwrap()).collect();
    run(async {
        for plugin in &plugins {
            for tenant in ["a", "b", "c"] {
                assert_eq!(asked(plugin, tenant).await, 1);
            }
        }
        // Two places were kept for the first plugins' instances; they still wait there.
        assert_eq!(asked(&plugins[0], "c").await, 2);
        assert_eq!(asked(&plugins[5], "c").await, 1);
    });
}

#[test]
fn an_error_ends_a_reused_instance() {
    let mut guest = counts();
    let guard = "(if (i32.eq (i32.load offset=24 (i32.load offset=100 (local.get $args))) (i32.const 5)) \
                 (then (unreachable)))";
    guest.check = guest.check.map(|check| format!("{guard} {check}"));
    let setup = Setup { instances: Instances::Reuse { calls: 100, idle: 1 }, ..Setup::default() };
    let plugin = host(4).load(&guest.build(), setup).unwrap();
    run(async {
        assert_eq!((asked(&plugin, "a").await, asked(&plugin, "a").await), (1, 2));
        assert!(check_as(&plugin, "a", "12345").await.is_err());
        assert_eq!(asked(&plugin, "a").await, 1);
    });
}

#[test]
fn the_last_plugin_may_go_inside_of_a_runtime() {
    let plugin = host(2).load(&Guest::passes().build(), Setup::default()).unwrap();
    run(async move {
        assert!(check(&plugin, "text").await.is_ok());
        drop(plugin);
    });
}
