//! The walk over a plan: down to a target, and after a failure on to the next.

use tidegate_config::{Condition, Node, Strategy, Target};

use super::fallback::Verdict;
use super::loadbalance;

/// What the walk needs or found.
#[derive(Debug)]
pub enum Step<'a> {
    /// Ask this target.
    Target(&'a Target),
    /// Say which child a conditional chooses, with [`Walk::take`].
    Choose {
        /// Its conditions.
        conditions: &'a [Condition],
        /// Its default.
        default: Option<usize>,
    },
}

/// A walk over a plan.
pub struct Walk<'a> {
    at: &'a Node,
    /// Fallbacks on the way, the outermost first, each with the child that was tried last.
    fallbacks: Vec<(&'a Node, usize)>,
}

impl<'a> Walk<'a> {
    /// Begins at a plan's root.
    #[must_use]
    pub fn new(root: &'a Node) -> Self {
        Self { at: root, fallbacks: Vec::new() }
    }

    /// Goes down until a target is found or a conditional must be decided. `draw` gives numbers from 0 up to 1.
    pub fn step(&mut self, draw: &mut dyn FnMut() -> f64) -> Step<'a> {
        loop {
            let node = self.at;
            let child = match &node.strategy {
                Strategy::Leaf(target) => return Step::Target(target),
                Strategy::Conditional { conditions, default } => {
                    return Step::Choose { conditions, default: *default };
                }
                Strategy::Single => 0,
                Strategy::LoadBalance { weights, .. } => loadbalance::choose(weights, draw()),
                Strategy::Fallback { .. } => {
                    self.fallbacks.push((node, 0));
                    0
                }
            };
            self.take(child);
        }
    }

    /// Goes on at a child of the node where the walk stands.
    pub fn take(&mut self, child: usize) {
        let children = &self.at.children;
        // A plan's indexes are valid; were one not, the first child is still a target that the operator named.
        if let Some(child) = children.get(child).or_else(|| children.first()) {
            self.at = child;
        }
    }

    /// Takes the verdict on the last target. Returns whether there is another one to try.
    pub fn fall(&mut self, verdict: &Verdict) -> bool {
        while let Some((node, tried)) = self.fallbacks.last_mut() {
            let Strategy::Fallback { on_status_codes } = &node.strategy else { break };
            // A verdict that does not fall here is this node's answer, and the next outer fallback judges it.
            if verdict.falls(on_status_codes.as_deref())
                && let Some(next) = node.children.get(*tried + 1)
            {
                *tried += 1;
                self.at = next;
                return true;
            }
            self.fallbacks.pop();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::fallback::Reach;
    use proptest::prelude::*;
    use proptest::strategy::Strategy as Shape;
    use serde_json::{Value, json};
    use tidegate_config::Plan;

    /// Walks with a verdict per target and returns the paths asked.
    fn asked(config: &Value, draws: &[f64], status: impl Fn(&str) -> u16) -> Vec<String> {
        let plan = Plan::parse(&config.to_string()).unwrap();
        let mut draws = draws.iter().copied().cycle();
        let mut walk = Walk::new(plan.root());
        let mut asked = Vec::new();
        loop {
            let target = match walk.step(&mut || draws.next().unwrap_or(0.0)) {
                Step::Target(target) => target,
                Step::Choose { default, .. } => {
                    walk.take(default.unwrap_or(0));
                    continue;
                }
            };
            asked.push(target.path.clone());
            let verdict = Verdict { status: status(&target.path), reach: Reach::Answer };
            if !walk.fall(&verdict) {
                return asked;
            }
        }
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
                Just(json!({"mode": "conditional", "conditions": [], "default": "a"})),
            ];
            (mode, prop::collection::vec(inner, 1..4)).prop_map(
                |(strategy, targets)| json!({"name": "a", "strategy": strategy, "targets": targets}),
            )
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
}
