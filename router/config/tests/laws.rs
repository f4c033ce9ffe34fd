//! What holds for every config.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_config::{Node, Plan, Strategy as Mode};

/// Configs of all shapes, most of them acceptable.
fn config() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"name": "a", "provider": "@a"})),
        Just(json!({"name": "b", "weight": 0})),
        Just(json!({"weight": 2.5, "override_params": {"model": "x"}, "retry": {"attempts": 2}})),
        Just(json!({"weight": -1})),
        Just(json!({"priority": 1, "provider": "@a"})),
        Just(json!(null)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let mode = prop_oneof![
            Just(json!({"mode": "single"})),
            Just(json!({"mode": "fallback", "on_status_codes": [429]})),
            Just(json!({"mode": "loadbalance"})),
            Just(json!({"mode": "loadbalance", "by": "least-busy"})),
            Just(json!({"mode": "loadbalance", "by": "cost", "sticky": {"enabled": true}})),
            Just(json!({"mode": "priority", "on_status_codes": [429]})),
            Just(json!({"mode": "conditional", "conditions": [{"query": {"params.x": 1}, "then": "a"}], "default": "a"})),
            Just(json!({"mode": "conditional", "conditions": []})),
            Just(json!({"mode": "else"})),
        ];
        (mode, prop::collection::vec(inner, 0..4)).prop_map(|(strategy, targets)| {
            json!({"strategy": strategy, "targets": targets, "name": "a", "drop_params": ["a.b"]})
        })
    })
}

fn can_choose(node: &Node) -> bool {
    let chosen = match &node.strategy {
        Mode::Leaf(target) => return node.children.is_empty() && target.path == node.path,
        Mode::Single | Mode::Fallback { .. } => !node.children.is_empty(),
        Mode::Priority { levels, weights, .. } if levels.len() != weights.len() => false,
        Mode::LoadBalance { weights, .. } | Mode::Priority { weights, .. } => {
            let sane = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
            weights.len() == node.children.len() && sane && weights.iter().sum::<f64>() > 0.0
        }
        Mode::Conditional { conditions, default } => {
            let within = |at: usize| at < node.children.len();
            let all = conditions.iter().all(|condition| within(condition.then));
            all && default.is_none_or(within) && (default.is_some() || !conditions.is_empty())
        }
    };
    chosen && node.children.iter().all(can_choose)
}

/// Any JSON at all.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("strategy".to_owned()),
        Just("mode".to_owned()),
        Just("targets".to_owned()),
        Just("weight".to_owned()),
        Just("conditions".to_owned()),
        Just("query".to_owned()),
        Just("then".to_owned()),
        Just("retry".to_owned()),
        Just("cache".to_owned()),
        Just("drop_params".to_owned()),
        Just("input_guardrails".to_owned()),
        ".{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!("fallback")),
        Just(json!("conditional")),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_plan_never_resolves_to_nothing(config in config()) {
        if let Ok(plan) = Plan::parse(&config.to_string()) {
            prop_assert!(can_choose(plan.root()), "{config}");
            prop_assert!(!plan.targets().is_empty());
        }
    }

    #[test]
    fn no_json_makes_the_reader_stumble(value in any_json()) {
        match Plan::parse(&value.to_string()) {
            Ok(plan) => prop_assert!(can_choose(plan.root())),
            Err(error) => prop_assert!(!error.message.is_empty()),
        }
    }
}
