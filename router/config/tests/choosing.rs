//! Configs that say how to choose among targets.

use serde_json::{Value, json};
use tidegate_config::{By, Plan, Strategy};

#[expect(clippy::panic, reason = "a test's own helper")]
fn plan(config: &Value) -> Plan {
    Plan::parse(&config.to_string()).unwrap_or_else(|error| panic!("{config}: {error}"))
}

#[test]
fn by_is_read_in_every_spelling() {
    for (written, expected) in [
        ("weight", By::Weight),
        ("latency", By::Latency),
        ("cost", By::Cost),
        ("least_busy", By::LeastBusy),
        ("least-busy", By::LeastBusy),
        ("leastBusy", By::LeastBusy),
    ] {
        let plan = plan(&json!({"strategy": {"mode": "loadbalance", "by": written}, "targets": [{}]}));
        let Strategy::LoadBalance { by, .. } = &plan.root().strategy else { panic!("{plan:?}") };
        assert_eq!(*by, expected, "{written}");
        assert!(plan.notes().is_empty(), "{:?}", plan.notes());
    }
}

fn levels(targets: Value) -> Vec<u64> {
    let plan = plan(&json!({"strategy": {"mode": "priority"}, "targets": targets}));
    let Strategy::Priority { levels, .. } = &plan.root().strategy else { unreachable!("{plan:?}") };
    assert!(plan.notes().is_empty(), "{:?}", plan.notes());
    levels.clone()
}

#[test]
fn targets_are_ranked_by_their_numbers_or_as_they_are_written() {
    assert_eq!(levels(json!([{}, {}, {}])), [0, 1, 2]);
    assert_eq!(levels(json!([{"priority": 2}, {"priority": 1}, {"priority": 1}])), [2, 1, 1]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (config, path, part) in [
        (
            json!({"strategy": {"mode": "loadbalance", "by": "speed"}, "targets": [{}]}),
            "strategy.by",
            "least_busy",
        ),
        (json!({"strategy": {"mode": "loadbalance", "by": 1}, "targets": [{}]}), "strategy.by", "a string"),
        (
            json!({"strategy": {"mode": "loadbalance", "by": "cost", "sticky": {"enabled": true}}, "targets": [{}]}),
            "strategy.sticky",
            "chosen by weight",
        ),
        (
            json!({"strategy": {"mode": "priority"}, "targets": [{"priority": 1}, {}]}),
            "targets[1].priority",
            "give every target a number, or none",
        ),
        (
            json!({"strategy": {"mode": "priority"}, "targets": [{"priority": -1}]}),
            "targets[0].priority",
            "a whole number",
        ),
        (
            json!({"strategy": {"mode": "priority"}, "targets": [{"weight": 0}]}),
            "targets",
            "all weights are 0",
        ),
        (
            json!({"strategy": {"mode": "priority", "on_status_codes": [1]}, "targets": [{}]}),
            "strategy.on_status_codes[0]",
            "from 100 to 599",
        ),
    ] {
        let error = Plan::parse(&config.to_string()).err().unwrap_or_else(|| panic!("accepted: {config}"));
        assert_eq!(error.path, path, "{config}: {error}");
        assert!(error.message.contains(part), "{config}: {error}");
    }
}

#[test]
fn a_plan_knows_whether_its_targets_have_breakers() {
    let breaker = json!({"failure_threshold": 3, "cooldown_interval": 30000});
    let with = |mode: Value| json!({"strategy": mode, "targets": [{"name": "a"}]});
    assert!(plan(&with(json!({"mode": "fallback", "cb_config": breaker}))).has_breakers());
    assert!(!plan(&with(json!({"mode": "fallback"}))).has_breakers());
    // A conditional's own children have none.
    let conditional = json!({"mode": "conditional", "conditions": [], "default": "a", "cb_config": breaker});
    assert!(!plan(&with(conditional)).has_breakers());
}

#[test]
fn what_has_no_effect_is_noted() {
    let breaker = json!({"failure_threshold": 3, "cooldown_interval": 30000});
    for (strategy, path) in [
        (json!({"mode": "fallback", "by": "cost"}), "strategy.by"),
        (json!({"mode": "priority", "sticky": {"enabled": true}}), "strategy.sticky"),
        (json!({"mode": "loadbalance", "on_status_codes": [429]}), "strategy.on_status_codes"),
        (
            json!({"mode": "conditional", "conditions": [], "default": "a", "cb_config": breaker}),
            "strategy.cb_config",
        ),
    ] {
        let plan = plan(&json!({"strategy": strategy, "targets": [{"name": "a"}]}));
        let noted: Vec<&str> = plan.notes().iter().map(|note| note.path.as_str()).collect();
        assert!(noted.contains(&path), "{strategy}: {noted:?}");
    }
}

#[test]
fn equal_texts_have_equal_digests() {
    let digest = |text: &str| Plan::parse(text).unwrap().digest();
    assert_eq!(digest("{}"), digest("{}"));
    assert_ne!(digest("{}"), digest("{ }"));
}
