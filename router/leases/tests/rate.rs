//! Shared rate limits: the script like the model, and the model never above an exact oracle.

#![cfg(test)]

mod support;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::cmd;
use support::RedisServer;
use tidegate_leases::rate::{Bucket, RateLimit, RateOp};
use tidegate_leases::{Batch, wire};

const START_US: i64 = 1_790_000_000_000_000;

fn limit() -> impl Strategy<Value = RateLimit> {
    let period =
        prop_oneof![Just(1_000_i64), Just(60_000), Just(3_600_000), Just(86_400_000), 1..100_000_i64];
    let amount = prop_oneof![1..20_i64, 20..2_000_i64, Just(1_000_000), 1..1_000_000_000_i64];
    (period, amount, 1..=100_i64).prop_map(|(period_ms, amount, percent)| {
        let amount = amount.min(period_ms * 1_000_000);
        RateLimit::new(amount, period_ms, (amount * percent / 100).max(1)).expect("a good limit")
    })
}

/// An operation in parts of the burst, and the time before it in parts of the time of one.
fn op() -> impl Strategy<Value = (u8, i64, i64, i64)> {
    (0_u8..4, -1..130_i64, 0..110_i64, prop_oneof![8 => 0..400_i64, 1 => -200..0_i64, 1 => 0..100_000_i64])
}

fn made(limit: &RateLimit, now_us: i64, (kind, first, second, _): (u8, i64, i64, i64)) -> RateOp {
    let part = |percent: i64| (limit.burst() as i128 * i128::from(percent) / 100) as i64;
    match kind {
        0 => RateOp::GiveBack { count: part(first), at_us: now_us - second * limit.token_ns() / 10_000 },
        1 => RateOp::Take { want: 1, need: 1 },
        _ => RateOp::Take { want: part(first), need: part(second) },
    }
}

#[test]
fn the_script_takes_like_the_model() {
    let server = RedisServer::start();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(300) });
    let ops = prop::collection::vec(op(), 1..60);
    let outcome = runner.run(&(limit(), ops), |(limit, ops)| {
        let mut redis = server.connect();
        cmd("FLUSHALL").exec(&mut redis).expect("an empty redis");
        let sha: String =
            cmd("SCRIPT").arg("LOAD").arg(wire::RATE_SCRIPT).query(&mut redis).expect("a script");
        let (mut model, mut now_us) = (Bucket::default(), START_US);
        for parts in ops {
            now_us += parts.3 * limit.token_ns() / 100_000;
            let op = made(&limit, now_us, parts);
            let expected = model.handle(now_us, &limit, &op);
            let answer: Vec<String> = cmd("EVALSHA")
                .arg(&sha)
                .arg(1)
                .arg("bucket")
                .arg(wire::rate_arguments(&limit, &op, Some(now_us)))
                .query(&mut redis)
                .expect("an answer");
            prop_assert_eq!(
                wire::rate_answer(answer).expect("of the script"),
                expected,
                "{:?} {:?}",
                limit,
                op
            );
            let kept: Option<String> = cmd("GET").arg("bucket").query(&mut redis).expect("a text");
            // What is paid off may be gone already: time here is not Redis'.
            if let Some(kept) = kept.filter(|_| expected.is_ok()) {
                prop_assert_eq!(kept, format!("{} {}", model.at_us, model.debt_ns));
            }
            if model.debt_ns < 3_000_000_000 {
                cmd("PERSIST").arg("bucket").exec(&mut redis).expect("it stays");
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Exactly what a limit allows in a span, in whole tokens.
fn allowed(amount: i64, period_us: i64, burst: i64, span_us: i64) -> i128 {
    i128::from(burst) + i128::from(span_us) * i128::from(amount) / i128::from(period_us)
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(400) })]

    #[test]
    fn nodes_together_never_use_more_than_the_limit_in_any_span(
        (amount, period_ms, percent) in (1_i64..400, 200_i64..20_000, 1_i64..=100),
        steps in prop::collection::vec((0_usize..4, 1_i64..6, 0_i64..120, 0_u8..20), 50..300),
    ) {
        let burst = (amount * percent / 100).max(1);
        let limit = RateLimit::new(amount, period_ms, burst).expect("a good limit");
        let (mut bucket, mut now_ms) = (Bucket::default(), 5_000_000_i64);
        let mut nodes = vec![Batch::new(limit); 4];
        let offsets = [0_i64, -3_000_000, 77, 9_000_000_000];
        let mut used: Vec<(i64, i64)> = Vec::new();
        for (node, count, pass_ms, fault) in steps {
            now_ms += pass_ms;
            let (local, count) = (now_ms + offsets[node], count.min(burst));
            while let Some(op) = nodes[node].stale(local) {
                // One in ten is lost on the way.
                if fault > 1 {
                    let _given = bucket.handle(now_ms * 1_000, &limit, &op);
                }
            }
            if let Err(op) = nodes[node].spend(local, count) {
                // The answer takes a while, or never comes.
                match bucket.handle(now_ms * 1_000, &limit, &op) {
                    Ok(taken) if fault > 0 => nodes[node].fill(local, &taken),
                    _ => continue,
                }
                if nodes[node].spend(local, count).is_err() {
                    continue;
                }
            }
            used.push((now_ms, count));
            let mut sum = 0_i128;
            for (at_ms, count) in used.iter().rev() {
                sum += i128::from(*count);
                let most = allowed(amount, period_ms * 1_000, burst, (now_ms - at_ms + 1_000) * 1_000);
                prop_assert!(sum <= most, "{} used in {} ms, {} allowed", sum, now_ms - at_ms, most);
            }
        }
    }

    #[test]
    fn taken_one_by_one_it_admits_what_the_exact_oracle_admits(
        (amount, period_ms, percent) in (1_i64..2_000, 200_i64..200_000, 1_i64..=100),
        pauses in prop::collection::vec(0_i64..40_000, 50..400),
    ) {
        let burst = (amount * percent / 100).max(1);
        let limit = RateLimit::new(amount, period_ms, burst).expect("a good limit");
        let (mut bucket, mut now_us) = (Bucket::default(), START_US);
        // In parts of period_us: exact, nothing is rounded.
        let period_us = i128::from(period_ms) * 1_000;
        let (mut level, full) = (i128::from(burst) * period_us, i128::from(burst) * period_us);
        let (mut ours, mut exact) = (0_i64, 0_i64);
        for pause_us in pauses {
            now_us += pause_us;
            level = (level + i128::from(pause_us) * i128::from(amount)).min(full);
            if level >= period_us {
                level -= period_us;
                exact += 1;
            }
            ours += i64::from(bucket.handle(now_us, &limit, &RateOp::Take { want: 1, need: 1 }).is_ok());
            prop_assert!(ours <= exact, "{} admitted, exactly {}", ours, exact);
            prop_assert!(exact - ours <= 1, "{} admitted, exactly {}", ours, exact);
        }
    }
}
