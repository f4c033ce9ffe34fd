//! What holds for every choice, whatever the plan and the world are like.

use proptest::prelude::*;
use proptest::strategy::Strategy as Shape;
use serde_json::{Value, json};
use tidegate_config::Plan;

use super::choice_tests::{Known, World, answered, asked, name};
use super::fallback::Reach;
use super::outlook::{Latency, is_open};
use super::{Step, Verdict, Walk};

fn tree() -> impl Shape<Value = Value> {
    let leaf = prop_oneof![Just(json!({})), Just(json!({"weight": 3})), Just(json!({"weight": 0}))];
    leaf.prop_recursive(4, 20, 4, |inner| {
        let mode = prop_oneof![
            Just(json!({"mode": "single"})),
            Just(json!({"mode": "fallback"})),
            Just(json!({"mode": "loadbalance"})),
            Just(json!({"mode": "loadbalance", "by": "latency"})),
            Just(json!({"mode": "loadbalance", "by": "cost"})),
            Just(json!({"mode": "loadbalance", "by": "least_busy"})),
            Just(json!({"mode": "loadbalance", "sticky": {"enabled": true}})),
            Just(json!({"mode": "priority"})),
        ];
        (mode, prop::collection::vec(inner, 1..5))
            .prop_map(|(strategy, targets)| json!({"strategy": strategy, "targets": targets}))
    })
}

fn known() -> impl Shape<Value = Known> {
    (any::<bool>(), any::<bool>(), 0_u64..9_000_000, any::<bool>(), prop::option::of(0_u64..99), 0_u32..9)
        .prop_map(|(open, full, micros, stale, cost, in_flight)| Known {
            open,
            full,
            latency: Latency { micros, stale },
            cost,
            in_flight,
        })
}

proptest! {
    #[test]
    fn an_open_target_is_never_asked_first_while_another_is_closed(
        config in tree(), known in prop::collection::vec(known(), 20), races in prop::collection::vec(any::<bool>(), 20),
        draws in prop::collection::vec(0.0_f64..1.0, 1..6), caller in any::<u64>(),
    ) {
        let Ok(plan) = Plan::parse(&config.to_string()) else { return Ok(()) };
        let targets = plan.targets();
        let mut world = World { caller, ..World::default() };
        for (at, target) in targets.iter().enumerate() {
            world.known.insert(name(target), known[at % known.len()]);
            if races[at % races.len()] {
                world.races.borrow_mut().insert(target.path.clone());
            }
        }
        let mut draws = draws.iter().copied().cycle();
        let mut walk = Walk::new(plan.root());
        let mut count = 0;
        loop {
            let Step::Target(target) = walk.step(&world, &mut || draws.next().unwrap_or(0.0)) else { unreachable!() };
            let all_open = is_open(plan.root(), &world);
            if count == 0 {
                let open = world.of(target).open || world.lost.borrow().contains(&target.path);
                prop_assert!(!open || all_open, "{} is open in {config}", target.path);
            }
            count += 1;
            prop_assert!(count <= targets.len(), "a target was asked twice in {config}");
            let verdict = Verdict { status: 500, reach: Reach::Answer };
            if !walk.fall(&verdict, &world, &mut || 0.3) {
                break;
            }
        }
    }

    #[test]
    fn weights_are_honoured_among_those_that_are_closed(
        targets in prop::collection::vec((0_u32..8, any::<bool>()), 2..6), sticky in any::<bool>(),
    ) {
        let closed = |(weight, open): &(u32, bool)| if *open { 0 } else { *weight };
        let sum: u32 = targets.iter().map(closed).sum();
        prop_assume!(sum > 0);
        let written: Vec<Value> = targets.iter().map(|(weight, _)| json!({"weight": weight})).collect();
        let strategy = json!({"mode": "loadbalance", "sticky": {"enabled": sticky}});
        let plan = Plan::parse(&json!({"strategy": strategy, "targets": written}).to_string()).unwrap();
        let mut world = World::default();
        for (at, (_, open)) in targets.iter().enumerate() {
            world.known.insert(format!("targets[{at}]"), Known { open: *open, ..Known::default() });
        }
        let requests = 4_000_u32;
        let mut chosen = vec![0_u32; targets.len()];
        for at in 0..requests {
            world.caller = super::sticky::number(&at.to_le_bytes(), std::time::Duration::from_secs(1), 0);
            let mut draw = || f64::from(at) / f64::from(requests);
            let Step::Target(target) = Walk::new(plan.root()).step(&world, &mut draw) else { unreachable!() };
            let place = plan.targets().iter().position(|known| known.path == target.path).unwrap();
            chosen[place] += 1;
        }
        for (target, chosen) in targets.iter().zip(chosen) {
            let share = f64::from(closed(target)) / f64::from(sum);
            let expected = share * f64::from(requests);
            // Even draws are exact to their ends; callers are spread by chance: six standard deviations.
            let spread = if sticky { 6.0 * (expected * (1.0 - share)).sqrt() } else { 2.0 };
            prop_assert!((f64::from(chosen) - expected).abs() <= spread, "{chosen}, not {expected}: {targets:?}");
        }
    }

    #[test]
    fn what_has_no_weight_is_never_asked(
        weights in prop::collection::vec(0_u32..3, 1..6), by in prop::sample::select(vec!["weight", "latency", "cost", "least_busy"]),
        mode in prop::sample::select(vec!["loadbalance", "priority"]), known in prop::collection::vec(known(), 6), draws in prop::collection::vec(0.0_f64..1.0, 1..4),
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let targets: Vec<Value> = weights.iter().map(|weight| json!({"weight": weight})).collect();
        let config = json!({"strategy": {"mode": mode, "by": by, "on_status_codes": [500]}, "targets": targets});
        let config = if mode == "loadbalance" { json!({"strategy": {"mode": mode, "by": by}, "targets": targets}) } else { config };
        let names: Vec<String> = (0..weights.len()).map(|at| format!("targets[{at}]")).collect();
        let pairs: Vec<(&str, Known)> = names.iter().map(String::as_str).zip(known.iter().copied()).collect();
        for name in asked(&config, &World::new(&pairs), &draws, answered(500)) {
            let at = names.iter().position(|known| *known == name).unwrap();
            prop_assert!(weights[at] > 0, "{name} of {weights:?}");
        }
    }
}
