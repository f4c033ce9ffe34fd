//! Walks over plans in bad times: targets that are open, full, slow, dear or busy.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tidegate_config::{Node, Plan, Sticky, Target};

use super::fallback::Reach;
use super::outlook::{Latency, Outlook};
use super::{Step, Verdict, Walk};

/// What is known of one target.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) open: bool,
    pub(super) full: bool,
    pub(super) latency: Latency,
    pub(super) cost: Option<u64>,
    pub(super) in_flight: u32,
}

/// A made-up world; targets are known by the end of their path.
#[derive(Default)]
pub(super) struct World {
    pub(super) known: BTreeMap<String, Known>,
    pub(super) caller: u64,
    /// Targets that look closed and turn out to be shut when they are entered.
    pub(super) races: RefCell<BTreeSet<String>>,
    pub(super) lost: RefCell<BTreeSet<String>>,
}

impl World {
    pub(super) fn new(known: &[(&str, Known)]) -> Self {
        let known = known.iter().map(|(name, known)| ((*name).to_owned(), *known)).collect();
        Self { known, ..Self::default() }
    }

    pub(super) fn of(&self, target: &Target) -> Known {
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

pub(super) fn name(target: &Target) -> String {
    target.path.trim_start_matches("config.").to_owned()
}

/// Walks with a verdict per target and returns whom it asks.
pub(super) fn asked(
    config: &Value,
    world: &World,
    draws: &[f64],
    verdict: impl Fn(&str) -> Verdict,
) -> Vec<String> {
    let plan = Plan::parse(&config.to_string()).unwrap();
    let mut draws = draws.iter().copied().cycle();
    let mut draw = move || draws.next().unwrap_or(0.0);
    let mut walk = Walk::new(plan.root());
    let mut asked = Vec::new();
    loop {
        match walk.step(world, &mut draw) {
            Step::Target(target) => asked.push(name(target)),
            Step::Race(contest) => {
                walk.enter(&contest);
                continue;
            }
            Step::Choose { default, .. } => {
                walk.take(default.unwrap_or(0), "conditional", String::new());
                continue;
            }
        }
        let verdict = verdict(asked.last().unwrap());
        if !walk.fall(&verdict, world, &mut draw) {
            return asked;
        }
    }
}

pub(super) fn answered(status: u16) -> impl Fn(&str) -> Verdict {
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
        assert_eq!(asked(&config, &world, &[0.9], answered(200)), std::slice::from_ref(&usual));
        world.known.insert(usual.clone(), OPEN);
        let other = asked(&config, &world, &[0.1], answered(200)).remove(0);
        assert_ne!(other, usual);
        assert_eq!(asked(&config, &world, &[0.9], answered(200)), [other]);
        world.known.clear();
        assert_eq!(asked(&config, &world, &[0.5], answered(200)), [usual]);
    }
}
