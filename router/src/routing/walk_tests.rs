//! Walks over plans, in good times.

use super::*;
use crate::routing::fallback::Reach;
use proptest::prelude::*;
use proptest::strategy::Strategy as Shape;
use serde_json::{Value, json};
use tidegate_config::{Plan, Sticky};

use crate::routing::outlook::Latency;

/// Nothing is known of any target, and nothing is wrong with one.
struct Blue;

impl Outlook for Blue {
    fn may_be_open(&self) -> bool {
        false
    }
    fn is_open(&self, _leaf: &Node, _target: &Target) -> bool {
        false
    }
    fn has_room(&self, _target: &Target) -> bool {
        true
    }
    fn latency(&self, _target: &Target) -> Latency {
        Latency::default()
    }
    fn cost(&self, _target: &Target) -> Option<u64> {
        None
    }
    fn in_flight(&self, _target: &Target) -> u32 {
        0
    }
    fn caller(&self, _sticky: &Sticky, _path: &str) -> u64 {
        0
    }
    fn enter(&self, _leaf: &Node, _target: &Target, _forced: bool) -> bool {
        true
    }
}

/// Walks with a verdict per target and returns the paths asked.
fn asked(config: &Value, draws: &[f64], status: impl Fn(&str) -> u16) -> Vec<String> {
    let plan = Plan::parse(&config.to_string()).unwrap();
    let mut draws = draws.iter().copied().cycle();
    let mut walk = Walk::new(plan.root());
    let mut asked = Vec::new();
    loop {
        let target = match walk.step(&Blue, &mut || draws.next().unwrap_or(0.0)) {
            Step::Target(target) => target,
            Step::Race(contest) => {
                walk.enter(&contest);
                continue;
            }
            Step::Choose { default, .. } => {
                walk.take(default.unwrap_or(0), "conditional", String::new());
                continue;
            }
        };
        asked.push(target.path.clone());
        let verdict = Verdict { status: status(&target.path), reach: Reach::Answer };
        if !walk.fall(&verdict, &Blue, &mut || draws.next().unwrap_or(0.0)) {
            return asked;
        }
    }
}

#[test]
fn what_was_chosen_is_kept_with_its_reason() {
    let config = json!({"strategy": {"mode": "fallback", "on_status_codes": [429]}, "targets": [
        {"strategy": {"mode": "loadbalance"}, "targets": [{"weight": 3}, {"weight": 1}]}, {}]});
    let plan = Plan::parse(&config.to_string()).unwrap();
    let mut walk = Walk::new(plan.root());
    walk.step(&Blue, &mut || 0.8);
    assert_eq!(walk.failing(), Some(Verdict { status: 429, reach: Reach::Answer }));
    assert!(walk.fall(&Verdict { status: 429, reach: Reach::Answer }, &Blue, &mut || 0.0));
    walk.step(&Blue, &mut || 0.0);
    assert_eq!(walk.failing(), None);
    assert!(!walk.fall(&Verdict { status: 500, reach: Reach::Answer }, &Blue, &mut || 0.0));
    let made = walk.made();
    let told: Vec<String> = made
        .iter()
        .map(|made| {
            format!("{} {} {:?}: {}", made.at, made.how, made.chose.as_deref().unwrap_or("-"), made.why)
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"config.targets[0] loadbalance "config.targets[0].targets[1]": drew 0.8000; weights 3 (75 %), 1 (25 %)"#,
            r#"config fallback "config.targets[1]": config.targets[0].targets[1] came to 429, which on_status_codes lists"#,
            r#"config fallback "-": config.targets[1] came to 500, which on_status_codes does not list"#,
        ]
    );
    assert!(walk.made().is_empty());
}

#[test]
fn a_fallback_goes_on_until_one_does_not_fail() {
    let config = json!({"strategy": {"mode": "fallback"}, "targets": [{}, {}, {}]});
    let status = |path: &str| if path.ends_with("[1]") { 200 } else { 500 };
    assert_eq!(asked(&config, &[0.0], status), ["config.targets[0]", "config.targets[1]"]);
    assert_eq!(asked(&config, &[0.0], |_| 500).len(), 3);
}

#[test]
fn an_inner_fallbacks_last_answer_is_judged_by_the_outer_one() {
    let config = json!({"strategy": {"mode": "fallback"}, "targets": [
        {"strategy": {"mode": "fallback", "on_status_codes": [429]}, "targets": [{}, {}]}, {}]});
    let of = |status: u16| asked(&config, &[0.0], move |_| status);
    assert_eq!(of(500), ["config.targets[0].targets[0]", "config.targets[1]"]);
    assert_eq!(of(429).len(), 3);
    assert_eq!(of(200).len(), 1);
}

#[test]
fn a_load_balancer_in_a_fallback_draws_once_and_does_not_pick_again() {
    let config = json!({"strategy": {"mode": "fallback"}, "targets": [
        {"strategy": {"mode": "loadbalance"}, "targets": [{}, {}]}, {}]});
    assert_eq!(asked(&config, &[0.9], |_| 500), ["config.targets[0].targets[1]", "config.targets[1]"]);
}

#[test]
fn conditionals_and_singles_are_passed_through() {
    let config = json!({"strategy": {"mode": "conditional", "conditions": [], "default": "b"}, "targets": [
        {"name": "a"}, {"name": "b", "strategy": {"mode": "single"}, "targets": [{}, {}]}]});
    assert_eq!(asked(&config, &[0.0], |_| 500), ["config.targets[1].targets[0]"]);
}

fn tree() -> impl Shape<Value = Value> {
    let leaf = prop_oneof![Just(json!({"name": "a"})), Just(json!({"name": "a", "weight": 3}))];
    leaf.prop_recursive(4, 20, 3, |inner| {
        let mode = prop_oneof![
            Just(json!({"mode": "single"})),
            Just(json!({"mode": "fallback"})),
            Just(json!({"mode": "fallback", "on_status_codes": [429]})),
            Just(json!({"mode": "loadbalance"})),
            Just(json!({"mode": "loadbalance", "by": "latency"})),
            Just(json!({"mode": "priority", "on_status_codes": [429]})),
            Just(json!({"mode": "conditional", "conditions": [], "default": "a"})),
        ];
        (mode, prop::collection::vec(inner, 1..4))
            .prop_map(|(strategy, targets)| json!({"name": "a", "strategy": strategy, "targets": targets}))
    })
}

proptest! {
    #[test]
    fn a_walk_asks_at_least_one_target_none_twice_and_ends(
        config in tree(), draws in prop::collection::vec(0.0_f64..1.0, 1..6), failing in prop_oneof![Just(429_u16), Just(500), Just(200)],
    ) {
        let paths = asked(&config, &draws, |_| failing);
        prop_assert!(!paths.is_empty());
        let mut distinct = paths.clone();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), paths.len());
        if failing == 200 {
            prop_assert_eq!(paths.len(), 1);
        }
    }
}
