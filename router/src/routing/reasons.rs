//! Why a choice was made, in a few words: for the log and for explanations.

use serde_json::Value;
use tidegate_config::{By, Condition, Facts, Node, Seen, Strategy};

use super::fallback::{Reach, Verdict};
use super::loadbalance;
use super::outlook::{Outlook, is_open, least};

/// Values are shown up to here.
const LONGEST: usize = 80;
/// Weights are listed up to here.
const MOST: usize = 12;

/// Returns the word for a strategy.
#[must_use]
pub fn how(strategy: &Strategy) -> &'static str {
    match strategy {
        Strategy::Single => "single",
        Strategy::Fallback { .. } => "fallback",
        Strategy::LoadBalance { .. } => "loadbalance",
        Strategy::Priority { .. } => "priority",
        Strategy::Conditional { .. } => "conditional",
        Strategy::Leaf(_) => "target",
    }
}

/// Says why a node chose a child; nothing where there was nothing to choose. `drawn`: numbers that chance gave.
/// `bypass`: all children were open.
#[must_use]
pub fn chosen(
    node: &Node,
    child: usize,
    drawn: &[f64],
    bypass: bool,
    outlook: &dyn Outlook,
) -> Option<(&'static str, String)> {
    let mut why = match &node.strategy {
        Strategy::Single | Strategy::Fallback { .. } if child == 0 => return None,
        Strategy::Single | Strategy::Fallback { .. } => String::new(),
        Strategy::LoadBalance { weights, by, sticky } => match (by, sticky, drawn.last()) {
            (_, Some(_), None) => "sticky: by what the caller is known by".to_owned(),
            (By::Weight, _, Some(drawn)) => format!("drew {drawn:.4}; weights {}", shares(weights)),
            (By::Weight, ..) => "the only one left".to_owned(),
            (by, ..) => figures(node, *by, outlook),
        },
        Strategy::Priority { levels, .. } => {
            let level = levels.get(child).copied().unwrap_or_default();
            format!("level {level} is the first that has room")
        }
        Strategy::Conditional { .. } | Strategy::Leaf(_) => return None,
    };
    let open = if bypass {
        "all are open: the breakers are passed over".to_owned()
    } else {
        left_out(node, outlook)
    };
    if !open.is_empty() {
        let comma = if why.is_empty() { "" } else { "; " };
        why = format!("{why}{comma}{open}");
    }
    Some((how(&node.strategy), why))
}

/// Lists the children that breakers keep requests away from.
fn left_out(node: &Node, outlook: &dyn Outlook) -> String {
    if !outlook.may_be_open() {
        return String::new();
    }
    let open = node.children.iter().filter(|child| is_open(child, outlook));
    let open: Vec<&str> = open.take(MOST).map(|child| child.path.as_str()).collect();
    if open.is_empty() { String::new() } else { format!("left out as open: {}", open.join(", ")) }
}

/// Lists what children were compared by.
#[must_use]
pub fn figures(node: &Node, by: By, outlook: &dyn Outlook) -> String {
    let (word, figure): (&str, &dyn Fn(&Node) -> String) = match by {
        By::Weight => return "by weight".to_owned(),
        By::Latency => ("latency", &|child| match least(child, &|target| outlook.latency(target)) {
            Some(latency) if latency.micros > 0 => {
                let stale = if latency.stale { " some time ago" } else { "" };
                format!("{} ms{stale}", latency.micros / 1_000)
            }
            _ => "not measured".to_owned(),
        }),
        By::Cost => {
            ("cost", &|child| match least(child, &|target| outlook.cost(target).unwrap_or(u64::MAX)) {
                None | Some(u64::MAX) => "no price".to_owned(),
                Some(nanos) => format!("{} USD", tidegate_prices::NanoUsd(nanos)),
            })
        }
        By::LeastBusy => ("load", &|child| {
            format!("{} in flight", least(child, &|target| outlook.in_flight(target)).unwrap_or_default())
        }),
    };
    let listed = node.children.iter().take(MOST).map(|child| format!("{} {}", child.path, figure(child)));
    format!("by {word}: {}", listed.collect::<Vec<_>>().join(", "))
}

/// Lists weights with what they come to.
#[must_use]
pub fn shares(weights: &[f64]) -> String {
    let one = |at: usize| format!("{} ({} %)", weights[at], percent(loadbalance::share(weights, at)));
    let mut listed: Vec<String> = (0..weights.len().min(MOST)).map(one).collect();
    if weights.len() > MOST {
        listed.push(format!("and {} more", weights.len() - MOST));
    }
    listed.join(", ")
}

/// Writes a share as a percentage.
#[must_use]
pub fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Says why a target was left, or why its answer stays; nothing where nobody asked. `left`: its place.
#[must_use]
pub fn left(node: &Node, left: &str, verdict: &Verdict, goes_on: bool) -> Option<(&'static str, String)> {
    let listed = match &node.strategy {
        Strategy::Fallback { on_status_codes, .. } | Strategy::Priority { on_status_codes, .. } => {
            on_status_codes
        }
        _ => return None,
    };
    if verdict.is_success() && !goes_on {
        return None;
    }
    let reason = match (verdict.reach, listed, goes_on) {
        (Reach::Request, ..) => "which holds for every target",
        (Reach::Shut, ..) => "by its breaker",
        (Reach::Target, ..) if matches!(node.strategy, Strategy::Priority { .. }) => "so there was no room",
        (_, Some(_), true) => "which on_status_codes lists",
        (_, Some(_), false) => "which on_status_codes does not list",
        (_, None, true) => "no success",
        (_, None, false) => "which is no reason to go on",
    };
    Some((how(&node.strategy), format!("{left} came to {}, {reason}", verdict.status)))
}

/// Says which condition decided. What callers wrote is not shown, but for metadata, the model and plain values: this
/// is kept in the log.
#[must_use]
pub fn decided(conditions: &[Condition], by: Option<usize>, facts: &dyn Facts, answers: &[bool]) -> String {
    let Some((at, condition)) = by.and_then(|at| Some((at, conditions.get(at)?))) else {
        return "no condition holds: the default".to_owned();
    };
    let seen: Vec<String> = condition
        .query
        .seen(facts, answers)
        .iter()
        .filter(|seen| seen.holds == Some(true))
        .map(short)
        .collect();
    if seen.is_empty() {
        return format!("conditions[{at}] holds: it asks nothing");
    }
    format!("conditions[{at}] holds: {}", seen.join(", "))
}

fn short(seen: &Seen) -> String {
    let told = match &seen.value {
        Some(Value::String(text)) if !is_public(&seen.path) => format!("a text of {} bytes", text.len()),
        Some(Value::Array(_)) => "a list".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(value) => cut(&value.to_string()),
        None => "absent".to_owned(),
    };
    if seen.path.ends_with("$plugin") {
        return format!("$plugin {} says yes", seen.test);
    }
    format!("{} is {told} ({})", seen.path, cut(&seen.test))
}

/// Returns whether a text found there may be kept in the log.
fn is_public(path: &str) -> bool {
    let name = path.rsplit("].").next().unwrap_or(path);
    name.starts_with("metadata.") || name == "params.model" || name == "url.pathname"
}

/// Cuts a long text.
#[must_use]
pub fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LONGEST).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_config::Plan;

    struct Asked;

    impl Facts for Asked {
        fn metadata(&self, key: &str) -> Option<Value> {
            (key == "plan").then(|| "paid".into())
        }
        fn param(&self, name: &str) -> Option<Value> {
            match name {
                "model" => Some("gpt-4o".into()),
                "prompt" => Some("a secret".into()),
                "max_tokens" => Some(200.into()),
                _ => None,
            }
        }
        fn pathname(&self) -> &str {
            "/v1/completions"
        }
    }

    fn told(query: &str) -> String {
        let config = format!(
            r#"{{"strategy": {{"mode": "conditional", "conditions": [{{"query": {query}, "then": "a"}}]}}, "targets": [{{"name": "a"}}]}}"#
        );
        let plan = Plan::parse(&config).unwrap();
        let Strategy::Conditional { conditions, .. } = &plan.root().strategy else { panic!("{plan:?}") };
        decided(conditions, Some(0), &Asked, &[true])
    }

    #[test]
    fn conditions_are_told_with_what_they_saw() {
        assert_eq!(
            told(r#"{"metadata.plan": "paid", "params.max_tokens": {"$gt": 100}}"#),
            r#"conditions[0] holds: metadata.plan is "paid" ($eq "paid"), params.max_tokens is 200 ($gt 100)"#
        );
        assert_eq!(told(r#"{"$plugin": {"id": "geo.eu"}}"#), "conditions[0] holds: $plugin geo.eu says yes");
        assert_eq!(told("{}"), "conditions[0] holds: it asks nothing");
        assert_eq!(decided(&[], None, &Asked, &[]), "no condition holds: the default");
    }

    #[test]
    fn what_callers_wrote_is_not_told() {
        let told = told(r#"{"params.prompt": {"$regex": "sec"}, "params.model": {"$ne": "x"}}"#);
        assert!(!told.contains("a secret"), "{told}");
        assert!(told.contains("params.prompt is a text of 8 bytes"), "{told}");
        assert!(told.contains(r#"params.model is "gpt-4o""#), "{told}");
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(shares(&[3.0, 1.0]), "3 (75 %), 1 (25 %)");
        assert_eq!(shares(&[1.0, 1.0, 1.0]), "1 (33.33 %), 1 (33.33 %), 1 (33.33 %)");
        assert_eq!(shares(&[0.0, 0.5]), "0 (0 %), 0.5 (100 %)");
    }
}
