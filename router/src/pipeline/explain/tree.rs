//! The plan as a tree, with what its nodes choose by.

use std::collections::BTreeMap;

use tidegate_config::{By, Condition, Facts, Node, Strategy};

use super::view::{ConditionView, NodeView, SeenView};
use crate::pipeline::conditions::Decided;
use crate::routing::outlook::is_open;
use crate::routing::{Outlook, reasons};

/// What conditionals of a walk decided, by their places.
pub(super) type Decisions<'a> = BTreeMap<&'a str, Decided>;

/// Shows a node and what is below it. `decisions` hold what plugins said, where they were asked.
pub(super) fn node(
    node: &Node,
    facts: &dyn Facts,
    outlook: &dyn Outlook,
    decisions: &Decisions<'_>,
) -> NodeView {
    let mut view = NodeView { path: node.path.clone(), name: node.name.clone(), ..NodeView::default() };
    reasons::how(&node.strategy).clone_into(&mut view.how);
    match &node.strategy {
        Strategy::Leaf(_) | Strategy::Single => {}
        Strategy::Fallback { on_status_codes, hedge, continue_stream } => {
            view.by.push(match on_status_codes {
                Some(statuses) => format!("goes on after {}", list(statuses)),
                None => "goes on after any status but 2xx".to_owned(),
            });
            if let Some(hedge) = hedge {
                let (after, most) = (hedge.after.as_millis(), hedge.most);
                view.by.push(format!("up to {most} more beside one that is silent for {after} ms"));
            }
            if *continue_stream {
                view.by.push("continues streams that break off".to_owned());
            }
        }
        Strategy::LoadBalance { weights, by, sticky } => {
            if *by != By::Weight {
                view.by.push(reasons::figures(node, *by, outlook));
            }
            view.by.push(format!("weights {}", reasons::shares(weights)));
            if let Some(sticky) = sticky {
                let fields = sticky.hash_fields.join(", ");
                view.by.push(format!("sticky for {} s by {fields}", sticky.ttl.as_secs()));
            }
        }
        Strategy::Priority { levels, weights, by, .. } => {
            let levels: Vec<String> = levels.iter().map(u64::to_string).collect();
            view.by.push(format!("levels {}", levels.join(", ")));
            if *by != By::Weight {
                view.by.push(reasons::figures(node, *by, outlook));
            }
            view.by.push(format!("weights {}", reasons::shares(weights)));
        }
        Strategy::Conditional { conditions, default } => {
            let child =
                |at: usize| node.children.get(at).map_or_else(String::new, |child| child.path.clone());
            if let Some(default) = default {
                view.by.push(format!("default {}", child(*default)));
            }
            let decided = decisions.get(node.path.as_str());
            let looked = conditions.iter().enumerate();
            view.conditions = looked
                .map(|(at, one)| {
                    let answers = decided.map_or(&[][..], |decided| decided.answers(at));
                    condition(one, child(one.then), facts, answers)
                })
                .collect();
        }
    }
    if let Some(breaker) = &node.breaker {
        let failures = breaker.failure_threshold.map(|most| format!("{most} failures"));
        let share = breaker.failure_threshold_percentage.map(|most| format!("{most} % failures"));
        let limits: Vec<String> = failures.into_iter().chain(share).collect();
        let cooldown = breaker.cooldown.as_secs();
        view.by.push(format!("breaker: opens at {}, for {cooldown} s", limits.join(" or ")));
    }
    if outlook.may_be_open() && is_open(node, outlook) {
        view.by.push("open: its breaker keeps requests away".to_owned());
    }
    view.children = node.children.iter().map(|child| self::node(child, facts, outlook, decisions)).collect();
    view
}

fn condition(condition: &Condition, then: String, facts: &dyn Facts, answers: &[bool]) -> ConditionView {
    let query = &condition.query;
    let holds = if answers.is_empty() { query.decided(facts) } else { Some(query.evaluate(facts, answers)) };
    let seen = query.seen(facts, answers);
    let seen = seen
        .into_iter()
        .map(|seen| SeenView { path: seen.path, test: seen.test, value: seen.value, holds: seen.holds })
        .collect();
    ConditionView { then, holds, seen }
}

fn list(statuses: &[u16]) -> String {
    let listed: Vec<String> = statuses.iter().map(u16::to_string).collect();
    if listed.is_empty() { "nothing".to_owned() } else { listed.join(", ") }
}
