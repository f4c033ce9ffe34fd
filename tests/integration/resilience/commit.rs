//! Nothing is asked after the commit point: whatever a plan says, the attempt whose content left is the last one.

use proptest::prelude::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tidegate_tests::sse;

use super::{paying, target, with};
use crate::support::chat_stream;

/// Plans that are tried.
const PLANS: usize = 150;
/// Ends before any content, so that another attempt may follow.
const BEFORE: [&str; 4] = ["status=500", "status=429", "close_after=0", "chunks=9&error_first"];
/// Content leaves, and then it is cut, ends early, says that it failed, or goes wrong.
const AFTER: [&str; 5] = [
    "chunks=3",
    "chunks=9&close_after=2",
    "chunks=9&end_after=2",
    "chunks=9&error_after=2",
    "chunks=9&malformed_after=2",
];

fn plans() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![3 => prop::sample::select(&BEFORE[..]), 1 => prop::sample::select(&AFTER[..])];
    let leaf = (leaf, 0..2).prop_map(|(script, attempts)| {
        let mut target = target("openai-prod", script);
        target["retry"] = json!({ "attempts": attempts });
        target
    });
    leaf.prop_recursive(3, 12, 4, |inner| {
        let mode = prop_oneof![
            3 => Just(json!({ "mode": "fallback" })),
            1 => Just(json!({ "mode": "fallback", "on_status_codes": [429, 500, 502] })),
            1 => Just(json!({ "mode": "loadbalance" })),
            1 => Just(json!({ "mode": "priority", "on_status_codes": [500] })),
            1 => Just(json!({ "mode": "single" })),
        ];
        (mode, prop::collection::vec(inner, 1..5))
            .prop_map(|(strategy, targets)| json!({ "strategy": strategy, "targets": targets }))
    })
}

#[tokio::test]
async fn whatever_the_plan_nothing_is_asked_once_content_has_left() {
    let world = &paying().await;
    let mut runner = TestRunner::deterministic();
    let plans: Vec<Value> =
        (0..PLANS).map(|_| plans().new_tree(&mut runner).expect("a plan").current()).collect();
    let asked = plans.iter().enumerate().map(|(number, plan)| async move {
        let trace = format!("plan {number} of many");
        let mut answer = with(world.client.chat(&chat_stream("any", &trace)), plan, &trace).send().await;
        let status = answer.status;
        let events = sse::parse(&answer.text().await);
        let scripts: Vec<String> = world
            .mock
            .find(&trace)
            .iter()
            .map(|seen| seen.body_json()["mock"].as_str().unwrap_or_default().to_owned())
            .collect();
        let began = scripts.iter().position(|script| AFTER.contains(&script.as_str()));
        assert!(!scripts.is_empty(), "{trace}: nobody was asked: {plan}");
        assert_eq!(status == 200, began.is_some(), "{trace}: {status} after {scripts:?}: {plan}");
        if let Some(began) = began {
            assert_eq!(began, scripts.len() - 1, "{trace}: {scripts:?}: {plan}");
            let said = sse::chat_text(&events);
            let wanted = if scripts[began] == "chunks=3" { " one two three" } else { " one two" };
            assert_eq!(said, wanted, "{trace}: {scripts:?}");
        }
        (began.is_some(), scripts.len())
    });
    let came = futures_util::future::join_all(asked).await;
    // Both kinds of ends were met often, and long ways too.
    assert!(came.iter().filter(|(began, _)| *began).count() > PLANS / 4, "{came:?}");
    assert!(came.iter().filter(|(began, _)| !began).count() > PLANS / 8, "{came:?}");
    assert!(came.iter().any(|(_, attempts)| *attempts > 4), "{came:?}");
    world.gateway.settled_budget("paying").await;
}
