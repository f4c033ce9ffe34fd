//! Nodes, a network that loses, doubles and reorders, clocks that run apart, a Redis that forgets: never too much.

#![cfg(test)]

mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use world::{Faults, Step, World};

fn step(faults: Faults) -> impl Strategy<Value = Step> {
    let mut steps = vec![
        (
            90,
            (0_usize..3, 0_usize..2, amount())
                .prop_map(|(node, pool, amount)| Step::Hold { node, pool, amount })
                .boxed(),
        ),
        (90, (0_usize..3, 0_usize..8).prop_map(|(node, at)| Step::Write { node, at }).boxed()),
        (90, (0_usize..3, 0_usize..8).prop_map(|(node, at)| Step::Send { node, at }).boxed()),
        (50, settle().boxed()),
        (150, (1_i64..12).prop_map(|ms| Step::Pass { ms }).boxed()),
        (4, (50_i64..300).prop_map(|ms| Step::Pass { ms }).boxed()),
        (5, (0_usize..3, 20_i64..400).prop_map(|(node, ms)| Step::Pause { node, ms }).boxed()),
        (3, (0_usize..2, 0_i64..3_000).prop_map(|(pool, amount)| Step::Limit { pool, amount }).boxed()),
        (5, (0_usize..3, 0_usize..2).prop_map(|(node, pool)| Step::Reap { node, pool }).boxed()),
        (6, (0_usize..3).prop_map(|node| Step::CreditTheDead { node }).boxed()),
        (1, (0_usize..3).prop_map(|node| Step::Forget { node }).boxed()),
    ];
    steps.push((12, Just(Step::Recover).boxed()));
    if faults.open {
        let let_in = (0_usize..3, 0_usize..2, amount()).prop_map(|(node, pool, amount)| Step::LetIn {
            node,
            pool,
            amount,
        });
        steps.push((8, let_in.boxed()));
    }
    if faults.kills {
        steps.push((3, (0_usize..3).prop_map(|node| Step::Kill { node }).boxed()));
    }
    if faults.forgets {
        steps.push((1, Just(Step::RedisForgets).boxed()));
        steps.push((3, Just(Step::RedisSaves).boxed()));
        steps.push((1, Just(Step::RedisGoesBack).boxed()));
    }
    prop::strategy::Union::new_weighted(steps)
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 1_i64..40, 1 => 1_i64..400]
}

fn settle() -> impl Strategy<Value = Step> {
    (0_usize..3, 0_usize..8, prop_oneof![Just(0_i64), Just(100), 0_i64..=100])
        .prop_map(|(node, at, percent)| Step::Settle { node, at, percent })
}

/// `cases` times `NETWORK_TIMES` scripts, 1 without it.
fn run(faults: Faults, cases: u32) {
    let times = std::env::var("NETWORK_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let cases = cases * times;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let told = std::cell::RefCell::new(world::Told::default());
    let clocks = prop::collection::vec((-1_000_000_i64..1_000_000, 75_i64..=130), 3);
    let script = prop::collection::vec(step(faults), 200..900);
    let outcome = runner.run(&(clocks, script, any::<u64>()), |(clocks, script, seed)| {
        let mut world = World::new(&clocks, seed, faults);
        for step in script {
            world.step(&step);
            if let Err(wrong) = world.check() {
                return Err(TestCaseError::fail(format!("after {step:?}: {wrong}")));
            }
        }
        if let Err(wrong) = world.settle() {
            return Err(TestCaseError::fail(format!("at rest: {wrong}")));
        }
        told.borrow_mut().add(&world.told);
        Ok(())
    });
    let told = told.into_inner();
    eprintln!("{faults:?}, {cases} cases: {told:?}");
    assert!(outcome.is_ok(), "{}", outcome.map_or_else(|error| error.to_string(), |()| String::new()));
    assert!(told.sent > u64::from(cases) * 3, "hardly anything was sent: {told:?}");
}

#[test]
fn a_bad_network_with_bad_clocks_never_spends_more_than_the_limit_and_all_comes_back() {
    run(Faults { kills: false, forgets: false, late: false, open: false }, 500);
}

#[test]
fn killed_nodes_burn_what_they_had_and_nothing_else() {
    run(Faults { kills: true, forgets: false, late: false, open: false }, 500);
}

#[test]
fn what_the_dead_left_is_credited_only_where_all_of_it_is_known() {
    run(Faults { kills: true, forgets: false, late: true, open: false }, 500);
}

#[test]
fn what_nobody_checked_is_reported_and_stops_the_pool() {
    run(Faults { kills: false, forgets: false, late: false, open: true }, 300);
    run(Faults { kills: false, forgets: true, late: false, open: true }, 300);
    run(Faults { kills: true, forgets: true, late: false, open: true }, 300);
}

#[test]
fn a_redis_that_forgets_or_goes_back_in_time_hands_nothing_out_twice() {
    run(Faults { kills: true, forgets: true, late: false, open: false }, 1_000);
}
