//! Guests that want more than they may have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_plugin_host::{CallError, Limits, Plugin, Setup, Terms, Verdict};

use crate::guest::Guest;
use crate::{check, limits, load_with, run};

/// Adds a way out to a guest: for a text that is not 4 bytes long it passes, so that one plugin is both.
fn misbehaves(body: &str) -> Guest {
    // The pieces' address is at 100 in the arguments; a piece's text length is at 24 in it.
    let guard = "(if (i32.ne (i32.load offset=24 (i32.load offset=100 (local.get $args))) (i32.const 4)) \
                 (then (return (i32.const 0))))";
    Guest::checks(&format!("{guard} {body}"))
}

/// Calls it so that it misbehaves, then so that it does not.
fn calls(plugin: &Arc<Plugin>) -> CallError {
    run(async {
        let error = check(plugin, "evil").await.expect_err("the guest misbehaves");
        let next = check(plugin, "good text").await.expect("the next call works");
        assert_eq!(next.verdict, Verdict::Pass);
        error
    })
}

fn ends_in(guest: Guest, setup: Setup) -> CallError {
    calls(&load_with(guest, setup))
}

const LOOP: &str = "(loop $again (br $again)) (unreachable)";

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let plugin = load_with(misbehaves(LOOP), limits(|limits| limits.deadline_ms = 20));
    let start = Instant::now();
    assert_eq!(calls(&plugin), CallError::Deadline);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(20), "stopped after {took:?}");
    assert!(took < Duration::from_secs(6), "stopped after {took:?}");
}

#[test]
fn an_endless_loop_ends_by_the_wall_clock_too() {
    let setup = limits(|limits| (limits.deadline_ms, limits.total_ms) = (600_000, 30));
    assert_eq!(ends_in(misbehaves(LOOP), setup), CallError::Deadline);
}

#[test]
fn limits_of_the_attachment_hold_instead_of_the_plugins() {
    let plugin = load_with(misbehaves(LOOP), limits(|limits| limits.deadline_ms = 600_000));
    let own = Limits { deadline_ms: 10, ..Limits::default() };
    let own = Terms { limits: Some(own), reuse: None };
    let subject = crate::subject(&["evil"]);
    let error = run(plugin.check("tenant", "check", "{}", subject, Some(&own))).unwrap_err();
    assert_eq!(error, CallError::Deadline);
}

#[test]
fn a_memory_bomb_ends_at_its_memory() {
    let body = "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) (unreachable)";
    let plugin = load_with(misbehaves(body), Setup::default());
    assert_eq!(calls(&plugin), CallError::Memory);
    let peak = plugin.statistics().memory_peak;
    assert!(peak > 32 << 20 && peak <= 64 << 20, "{peak}");
}

#[test]
fn one_huge_step_of_memory_ends_too() {
    let body = "(drop (memory.grow (i32.const 65000))) (loop $again (br $again)) (unreachable)";
    assert_eq!(ends_in(misbehaves(body), Setup::default()), CallError::Memory);
}

#[test]
fn a_table_bomb_ends_too() {
    let mut guest = misbehaves(
        "(loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)) (unreachable)",
    );
    guest.items.push_str("(table $t 1 funcref)");
    assert_eq!(ends_in(guest, Setup::default()), CallError::Memory);
}

#[test]
fn a_stack_overflow_is_a_trap() {
    let mut guest = misbehaves("(call $deeper (i32.const 1))");
    guest.items.push_str(
        "(func $deeper (param i32) (result i32) \
         (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))",
    );
    let error = ends_in(guest, Setup::default());
    assert!(matches!(&error, CallError::Trap { message } if message.contains("stack")), "{error:?}");
}

#[test]
fn a_trap_is_a_trap() {
    let error = ends_in(misbehaves("(unreachable)"), Setup::default());
    assert!(matches!(&error, CallError::Trap { message } if message.contains("unreachable")), "{error:?}");
}

#[test]
fn a_trap_names_the_functions_that_led_to_it() {
    let mut guest = misbehaves("(call $inner) (unreachable)");
    guest.items.push_str("(func $inner (unreachable))");
    let error = ends_in(guest, Setup::default());
    assert!(matches!(&error, CallError::Trap { message } if message.contains(", in inner")), "{error:?}");
}

#[test]
fn a_result_beyond_the_guests_memory_is_a_trap() {
    let mut guest = misbehaves("");
    let gigabyte = guest.judgement(2, &crate::guest::words(&[0, 1 << 30]), None);
    guest.check = guest.check.map(|check| format!("{check} (i32.const {gigabyte})"));
    let error = ends_in(guest, Setup::default());
    assert!(matches!(error, CallError::Trap { .. }), "{error:?}");
}

#[test]
fn an_answer_at_an_address_that_is_none_is_a_trap() {
    for address in [-4, 2, i32::MAX] {
        let error = ends_in(misbehaves(&format!("(i32.const {address})")), Setup::default());
        assert!(matches!(error, CallError::Trap { .. }), "{address}: {error:?}");
    }
}

#[test]
fn an_answer_that_is_no_utf8_is_a_trap() {
    let mut guest = misbehaves("");
    let text = guest.put(b"\xff\xfe\xfd");
    let broken = guest.judgement(2, &crate::guest::words(&[text, 3]), None);
    guest.check = guest.check.map(|check| format!("{check} (i32.const {broken})"));
    let error = ends_in(guest, Setup::default());
    assert!(matches!(error, CallError::Trap { .. }), "{error:?}");
}

#[test]
fn a_real_result_above_the_output_limit_is_not_taken() {
    let mut guest = misbehaves("");
    guest.pages = 200;
    let huge = guest.judgement(2, &crate::guest::words(&[1 << 20, 9 << 20]), None);
    guest.check = guest.check.map(|check| format!("{check} (i32.const {huge})"));
    assert_eq!(ends_in(guest, Setup::default()), CallError::Output);
}

#[test]
fn a_result_a_little_above_the_output_limit_is_not_taken_either() {
    let mut guest = misbehaves("");
    let large = guest.judgement(2, &crate::guest::words(&[1 << 15, 1001]), None);
    guest.check = guest.check.map(|check| format!("{check} (i32.const {large})"));
    assert_eq!(ends_in(guest, limits(|limits| limits.output = 1000)), CallError::Output);
}

#[test]
fn a_flood_of_host_calls_ends_at_their_number() {
    let guest = misbehaves("(loop $again (drop (call $now-ms)) (br $again)) (unreachable)").importing(
        "host",
        "now-ms",
        "(result i64)",
    );
    let setup = limits(|limits| (limits.deadline_ms, limits.host_calls) = (60_000, 1_000));
    assert_eq!(ends_in(guest, setup), CallError::HostCalls);
}

#[test]
fn a_huge_log_line_is_bounded_before_it_is_copied() {
    let mut guest =
        misbehaves("(call $log (i32.const 3) (i32.const 65536) (i32.const 9437184)) (i32.const 0)")
            .importing("host", "log", "(param i32 i32 i32)");
    guest.pages = 200;
    assert_eq!(ends_in(guest, Setup::default()), CallError::Output);
}

#[test]
fn input_above_the_limit_is_not_given() {
    let plugin = load_with(Guest::passes(), limits(|limits| limits.input = 1_000));
    run(async {
        assert_eq!(check(&plugin, &"a".repeat(1_001)).await, Err(CallError::Input));
        assert!(check(&plugin, &"a".repeat(500)).await.is_ok());
    });
}

#[test]
fn a_loop_while_arguments_are_handed_over_ends_at_its_deadline() {
    let mut guest = Guest::passes();
    guest.in_alloc =
        "(if (i32.gt_u (local.get $size) (i32.const 1000)) (then (loop $again (br $again))))".to_owned();
    let plugin = load_with(guest, limits(|limits| limits.deadline_ms = 10));
    run(async {
        assert_eq!(check(&plugin, &"a".repeat(1_001)).await, Err(CallError::Deadline));
        assert!(check(&plugin, "short").await.is_ok());
    });
}

#[test]
fn an_allocator_that_answers_nonsense_is_a_trap() {
    for address in [-1, i32::MAX] {
        let mut guest = Guest::passes();
        guest.in_alloc = format!(
            "(if (i32.gt_u (local.get $size) (i32.const 1000)) (then (return (i32.const {address}))))"
        );
        let plugin = load_with(guest, Setup::default());
        let error = run(check(&plugin, &"a".repeat(1_001))).unwrap_err();
        assert!(matches!(error, CallError::Trap { .. }), "{error:?}");
        assert!(run(check(&plugin, "short")).is_ok());
    }
}

#[test]
fn a_loop_before_anything_is_asked_ends_too() {
    let mut guest = Guest::passes();
    guest.items.push_str("(func $start (loop $again (br $again))) (start $start)");
    let error = crate::refusal(guest, limits(|limits| limits.total_ms = 100));
    assert!(matches!(error, tidegate_plugin_host::LoadError::Describe(CallError::Deadline)), "{error:?}");
}

#[test]
fn a_plugin_that_keeps_failing_rests_and_says_so() {
    let plugin = load_with(misbehaves("(unreachable)"), Setup::default());
    run(async {
        for _ in 0..5 {
            assert!(matches!(check(&plugin, "evil").await, Err(CallError::Trap { .. })));
        }
        assert_eq!(check(&plugin, "good text").await, Err(CallError::Quarantined));
    });
    let statistics = plugin.statistics();
    assert_eq!(statistics.state, tidegate_plugin_host::State::Quarantined);
    assert_eq!((statistics.calls, statistics.traps), (5, 5));
    assert_eq!(statistics.errors.get("PluginQuarantined"), Some(&1));
    assert!(serde_json::to_string(&statistics).unwrap().contains(r#""state":"quarantined""#));
}

#[test]
fn errors_that_the_guest_returns_do_not_end_it() {
    let mut guest = Guest::checks("");
    let error = guest.error("SyntaxError", "no such pattern");
    guest.check = Some(format!("(i32.const {error})"));
    let plugin = load_with(guest, Setup::default());
    run(async {
        for _ in 0..20 {
            let Err(CallError::Check(error)) = check(&plugin, "text").await else { panic!("no error") };
            assert_eq!((error.name.as_str(), error.message.as_str()), ("SyntaxError", "no such pattern"));
        }
    });
}

#[test]
fn large_input_is_judged_too() {
    let plugin = load_with(Guest::passes(), Setup::default());
    run(async {
        for bytes in [300 << 10, 4 << 20] {
            assert!(check(&plugin, &"a".repeat(bytes)).await.is_ok(), "{bytes}");
        }
    });
}
