//! Walks over plans in bad times: targets that are open, full, slow, dear or busy.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::Strategy as Shape;
use serde_json::{Value, json};
use tidegate_config::{Node, Plan, Sticky, Target};

use super::fallback::Reach;
use super::outlook::{Latency, Outlook, is_open};
use super::{Step, Verdict, Walk};

/// What is known of one target.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    open: bool,
    full: bool,
    latency: Latency,
    cost: Option<u64>,
    in_flight: u32,
}

/// A made-up world; targets are known by the end of their path.
#[derive(Default)]
struct World {
    known: BTreeMap<String, Known>,
    caller: u64,
    /// Targets that look closed and turn out to be shut when they are entered.
    races: RefCell<BTreeSet<String>>,
    lost: RefCell<BTreeSet<String>>,
}

impl World {
    fn new(known: &[(&str, Known)]) -> Self {
        let known = known.iter().map(|(name, known)| ((*name).to_owned(), *known)).collect();
        Self { known, ..Self::default() }
    }

    fn of(&self, target: &Target) -> Known {
        let name = target.path.trim_start_matches("config.");
        self.known.get(name).copied().unwrap_or_default()
    }
}

impl Outlook for World {
    fn may_be_open(&self) -> bool {
        true
    }
    fn is_open(&self, _leaf: &Node, target: &Target) -> bool {
        self.of(target).open || self.lost.borrow().contains(&target.path)
    }
    fn has_room(&self, target: &Target) -> bool {
        !self.of(target).full
    }
    fn latency(&self, target: &Target) -> Latency {
        self.of(target).latency
    }
    fn cost(&self, target: &Target) -> Option<u64> {
        self.of(target).cost
    }
    fn in_flight(&self, target: &Target) -> u32 {
        self.of(target).in_flight
    }
    fn caller(&self, _sticky: &Sticky, _path: &str) -> u64 {
        self.caller
    }
    fn enter(&self, leaf: &Node, target: &Target, forced: bool) -> bool {
        if self.races.borrow_mut().remove(&target.path) {
            self.lost.borrow_mut().insert(target.path.clone());
        }
        forced || !self.is_open(leaf, target)
    }
}

fn name(target: &Target) -> String {
    target.path.trim_start_matches("config.").to_owned()
}

/// Walks with a verdict per target and returns whom it asks.
fn asked(config: &Value, world: &World, draws: &[f64], verdict: impl Fn(&str) -> Verdict) -> Vec<String> {
    let plan = Plan::parse(&config.to_string()).unwrap();
    let mut draws = draws.iter().copied().cycle();
    let mut draw = move || draws.next().unwrap_or(0.0);
    let mut walk = Walk::new(plan.root());
    let mut asked = Vec::new();
    loop {
        match walk.step(world, &mut draw) {
            Step::Target(target) => asked.push(name(target)),
            Step::Choose { default, .. } => {
                walk.take(default.unwrap_or(0));
                continue;
            }
        }
        let verdict = verdict(asked.last().unwrap());
        if !walk.fall(&verdict, world, &mut draw) {
            return asked;
        }
    }
}

fn answered(status: u16) -> impl Fn(&str) -> Verdict {
    move |_| Verdict { status, reach: Reach::Answer }
}

fn refused(_target: &str) -> Verdict {
    Verdict { status: 429, reach: Reach::Target }
}

/// How often each of many evenly spread draws falls on a target.
fn shares(config: &Value, world: &World) -> BTreeMap<String, f64> {
    let draws = 2_000_u32;
    let mut shares = BTreeMap::new();
    for at in 0..draws {
        let draw = f64::from(at) / f64::from(draws);
        let first = asked(config, world, &[draw], answered(200)).remove(0);
        *shares.entry(first).or_insert(0.0) += 1.0 / f64::from(draws);
    }
    shares
}

const OPEN: Known =
    Known { open: true, full: false, latency: Latency { micros: 0, stale: false }, cost: None, in_flight: 0 };

fn full() -> Known {
    Known { full: true, ..Known::default() }
}

fn slow(micros: u64, stale: bool) -> Known {
    Known { latency: Latency { micros, stale }, ..Known::default() }
}

#[test]
fn a_fallback_passes_over_what_is_open() {
    let config = json!({"strategy": {"mode": "fallback"}, "targets": [{}, {}, {}]});
    let world = World::new(&[("targets[0]", OPEN)]);
    assert_eq!(asked(&config, &world, &[0.0], answered(500)), ["targets[1]", "targets[2]"]);
    let world = World::new(&[("targets[1]", OPEN)]);
    assert_eq!(asked(&config, &world, &[0.0], answered(500)), ["targets[0]", "targets[2]"]);
}

#[test]
fn where_all_are_open_none_is_left_out() {
    let config = json!({"strategy": {"mode": "fallback"}, "targets": [{}, {}]});
    let world = World::new(&[("targets[0]", OPEN), ("targets[1]", OPEN)]);
    assert_eq!(asked(&config, &world, &[0.0], answered(500)), ["targets[0]", "targets[1]"]);
    let config = json!({"strategy": {"mode": "loadbalance"}, "targets": [{"weight": 0}, {}]});
    let world = World::new(&[("targets[1]", OPEN)]);
    assert_eq!(asked(&config, &world, &[0.0], answered(200)), ["targets[1]"], "weight 0 is never chosen");
}

#[test]
fn a_nested_strategy_is_open_when_all_its_targets_are() {
    let config = json!({"strategy": {"mode": "fallback"}, "targets": [
        {"strategy": {"mode": "loadbalance"}, "targets": [{}, {}, {"weight": 0}]}, {}]});
    let world = World::new(&[("targets[0].targets[0]", OPEN)]);
    assert_eq!(asked(&config, &world, &[0.0], answered(200)), ["targets[0].targets[1]"]);
    let world = World::new(&[("targets[0].targets[0]", OPEN), ("targets[0].targets[1]", OPEN)]);
    assert_eq!(asked(&config, &world, &[0.0], answered(200)), ["targets[1]"]);
}

#[test]
fn a_target_that_shuts_at_the_door_is_replaced() {
    let config = json!({"strategy": {"mode": "fallback"}, "targets": [
        {"strategy": {"mode": "loadbalance"}, "targets": [{}, {}]}, {}]});
    let race = |names: &[&str]| {
        let world = World::default();
        world.races.borrow_mut().extend(names.iter().map(|name| format!("config.{name}")));
        asked(&config, &world, &[0.0], answered(200))
    };
    assert_eq!(race(&["targets[0].targets[0]"]), ["targets[0].targets[1]"]);
    assert_eq!(race(&["targets[0].targets[0]", "targets[0].targets[1]"]), ["targets[1]"]);
    // Nobody is left: the last one is asked all the same.
    let all = ["targets[0].targets[0]", "targets[0].targets[1]", "targets[1]"];
    assert_eq!(race(&all), ["targets[1]"]);
}

#[test]
fn a_refusal_by_a_breaker_goes_on_even_from_a_load_balancer() {
    let config = json!({"strategy": {"mode": "loadbalance"}, "targets": [{}, {}, {}]});
    let shut = |_: &str| Verdict { status: 503, reach: Reach::Shut };
    assert_eq!(asked(&config, &World::default(), &[0.0], shut).len(), 3, "each once");
    let config = json!({"strategy": {"mode": "fallback", "on_status_codes": [429]}, "targets": [{}, {}]});
    assert_eq!(asked(&config, &World::default(), &[0.0], shut).len(), 2);
}

#[test]
fn weights_count_among_those_that_are_closed() {
    let config = json!({"strategy": {"mode": "loadbalance"}, "targets": [{"weight": 5}, {"weight": 3}, {"weight": 1}]});
    let shares = shares(&config, &World::new(&[("targets[0]", OPEN)]));
    assert!((shares["targets[1]"] - 0.75).abs() < 0.01, "{shares:?}");
    assert!((shares["targets[2]"] - 0.25).abs() < 0.01, "{shares:?}");
}

#[test]
fn the_fastest_are_asked_and_the_slow_looked_at_now_and_then() {
    let config =
        json!({"strategy": {"mode": "loadbalance", "by": "latency"}, "targets": [{}, {}, {}, {"weight": 0}]});
    let world = World::new(&[
        ("targets[0]", slow(500_000, false)),
        ("targets[1]", slow(550_000, false)),
        ("targets[2]", slow(2_000_000, false)),
    ]);
    let found = shares(&config, &world);
    assert!((found["targets[0]"] - 0.5).abs() < 0.01 && found.len() == 2, "{found:?}");
    // Nothing was heard of the slow one for a while.
    let world = World::new(&[
        ("targets[0]", slow(500_000, false)),
        ("targets[1]", slow(550_000, true)),
        ("targets[2]", slow(2_000_000, true)),
    ]);
    let found = shares(&config, &world);
    assert!((found["targets[2]"] - 0.05).abs() < 0.002, "{found:?}");
    // What was never measured counts as fast.
    let world = World::new(&[("targets[0]", slow(500_000, false)), ("targets[1]", slow(900_000, false))]);
    let found = shares(&config, &world);
    assert!((found["targets[2]"] - 0.5).abs() < 0.01 && !found.contains_key("targets[1]"), "{found:?}");
}

#[test]
fn a_slow_target_that_recovered_is_found_again() {
    let config = json!({"strategy": {"mode": "loadbalance", "by": "latency"}, "targets": [{}, {}]});
    let mut world =
        World::new(&[("targets[0]", slow(500_000, false)), ("targets[1]", slow(5_000_000, true))]);
    let mut draws = (0..).map(|at| f64::from(at % 97) / 97.0);
    let mut asked_before = 0;
    loop {
        let two: Vec<f64> = draws.by_ref().take(2).collect();
        let first = asked(&config, &world, &two, answered(200)).remove(0);
        if first == "targets[1]" {
            break;
        }
        asked_before += 1;
        assert!(asked_before < 200, "never looked at");
    }
    world.known.insert("targets[1]".to_owned(), slow(300_000, false));
    assert_eq!(shares(&config, &world).len(), 1);
    assert_eq!(asked(&config, &world, &[0.5], answered(200)), ["targets[1]"]);
}

#[test]
fn the_cheapest_is_asked_and_what_has_no_price_comes_last() {
    let config = json!({"strategy": {"mode": "loadbalance", "by": "cost"}, "targets": [{}, {}, {}]});
    let priced = |cost| Known { cost: Some(cost), ..Known::default() };
    let world = World::new(&[("targets[1]", priced(70)), ("targets[2]", priced(50))]);
    assert_eq!(asked(&config, &world, &[0.0], answered(200)), ["targets[2]"]);
    let world = World::new(&[("targets[1]", priced(50)), ("targets[2]", priced(50))]);
    let found = shares(&config, &world);
    assert!(!found.contains_key("targets[0]") && (found["targets[1]"] - 0.5).abs() < 0.01, "{found:?}");
    assert_eq!(shares(&config, &World::default()).len(), 3, "none has a price");
}

#[test]
fn the_least_busy_for_its_weight_is_asked() {
    let config = json!({"strategy": {"mode": "loadbalance", "by": "least_busy"},
        "targets": [{"weight": 4}, {"weight": 1}, {"weight": 0}]});
    let busy = |in_flight| Known { in_flight, ..Known::default() };
    let world = World::new(&[("targets[0]", busy(7)), ("targets[1]", busy(2))]);
    assert_eq!(asked(&config, &world, &[0.9], answered(200)), ["targets[0]"]);
    let world = World::new(&[("targets[0]", busy(9)), ("targets[1]", busy(2))]);
    assert_eq!(asked(&config, &world, &[0.0], answered(200)), ["targets[1]"]);
}

#[test]
fn who_balances_by_more_than_weight_avoids_what_is_full() {
    let config = json!({"strategy": {"mode": "loadbalance", "by": "cost"}, "targets": [{}, {}]});
    let known = |cost, full| Known { cost: Some(cost), full, ..Known::default() };
    let world = World::new(&[("targets[0]", known(1, true)), ("targets[1]", known(9, false))]);
    assert_eq!(asked(&config, &world, &[0.0], answered(200)), ["targets[1]"]);
    // By weight it is as with Portkey: the choice is blind to limits.
    let config = json!({"strategy": {"mode": "loadbalance"}, "targets": [{}, {}]});
    assert_eq!(asked(&config, &world, &[0.0], answered(200)), ["targets[0]"]);
}

#[test]
fn priority_goes_to_the_first_level_that_has_room() {
    let config = json!({"strategy": {"mode": "priority"}, "targets": [{}, {}, {}]});
    let first = |world: &World| asked(&config, world, &[0.0], answered(500));
    assert_eq!(first(&World::default()), ["targets[0]"], "an error of the vendor is the answer");
    assert_eq!(first(&World::new(&[("targets[0]", full())])), ["targets[1]"]);
    assert_eq!(first(&World::new(&[("targets[0]", full()), ("targets[1]", OPEN)])), ["targets[2]"]);
    let all_full = World::new(&[("targets[0]", full()), ("targets[1]", full()), ("targets[2]", full())]);
    assert_eq!(first(&all_full), ["targets[0]"]);
    assert_eq!(asked(&config, &all_full, &[0.0], refused), ["targets[0]", "targets[1]", "targets[2]"]);
}

#[test]
fn equal_priorities_are_balanced_by_weight() {
    let config = json!({"strategy": {"mode": "priority"}, "targets": [
        {"priority": 2}, {"priority": 1, "weight": 3}, {"priority": 1}]});
    let found = shares(&config, &World::default());
    assert!((found["targets[1]"] - 0.75).abs() < 0.01 && found.len() == 2, "{found:?}");
    let asked = asked(&config, &World::default(), &[0.0], refused);
    assert_eq!(asked, ["targets[1]", "targets[2]", "targets[0]"]);
}

#[test]
fn priority_goes_on_after_answers_that_are_listed() {
    let config = json!({"strategy": {"mode": "priority", "on_status_codes": [429]}, "targets": [{}, {}]});
    assert_eq!(asked(&config, &World::default(), &[0.0], answered(429)).len(), 2);
    assert_eq!(asked(&config, &World::default(), &[0.0], answered(500)).len(), 1);
}

#[test]
fn a_sticky_caller_goes_elsewhere_only_while_its_target_is_open() {
    let config =
        json!({"strategy": {"mode": "loadbalance", "sticky": {"enabled": true}}, "targets": [{}, {}, {}]});
    for caller in 0..50 {
        let mut world = World { caller, ..World::default() };
        let usual = asked(&config, &world, &[0.1], answered(200)).remove(0);
        assert_eq!(asked(&config, &world, &[0.9], answered(200)), [usual.clone()]);
        world.known.insert(usual.clone(), OPEN);
        let other = asked(&config, &world, &[0.1], answered(200)).remove(0);
        assert_ne!(other, usual);
        assert_eq!(asked(&config, &world, &[0.9], answered(200)), [other]);
        world.known.clear();
        assert_eq!(asked(&config, &world, &[0.5], answered(200)), [usual]);
    }
}

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
