//! A second target starts when the first is late; the first real answer wins and the other is let go and paid.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::{Mock, Settings, sse, wait};

use super::{attempts, costs, paying, target, warmed, with};
use crate::support::{KEY, World, chat, chat_stream, message};

fn hedged(after_ms: u64, targets: Value) -> Value {
    json!({ "strategy": { "mode": "fallback", "hedge": { "after_ms": after_ms } }, "targets": targets })
}

#[tokio::test]
async fn the_next_target_answers_when_the_first_content_is_late() {
    let world = paying().await;
    let World { mock, client, gateway } = &world;
    // Late with its head, and late with its first content although it began.
    for (number, script) in ["head_delay_ms=60000", "first_delay_ms=60000"].into_iter().enumerate() {
        for second in ["anthropic-prod", "google-prod"] {
            let trace = format!("{number}-{second}");
            let config = hedged(200, json!([target("openai-prod", script), target(second, "")]));
            let body = chat_stream("any", &trace);
            let mut answer = with(client.chat(&body), &config, &trace).send().await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[1]");
            let events = answer.events().await;
            assert!(sse::chat_text(&events).contains(&trace), "{events:#?}");
            let loser = mock.find(&trace).into_iter().find(|asked| asked.target.contains("chat/completions"));
            let loser = loser.expect("the first was asked");
            wait::until("the loser to be let go", || loser.client_closed_at()).await;
            let row = gateway.log_of(&trace).await;
            assert_eq!((&row["outcome"], &row["status"]), (&json!("ok"), &json!(200)), "{row}");
            assert_eq!((&row["attempts"], &row["option_index"]), (&json!(2), &json!("config.targets[1]")));
            assert_eq!(attempts(&row, "outcome"), ["outrun", "ok"], "{row}");
            assert_eq!(attempts(&row, "hedged"), [&Value::Null, &json!(true)], "{row}");
            let costs: i64 = attempts(&row, "cost_nano_usd").iter().filter_map(|cost| cost.as_i64()).sum();
            assert_eq!(row["cost_nano_usd"].as_i64(), Some(costs), "{row}");
            assert!(attempts(&row, "cost_nano_usd").iter().all(|cost| cost.as_i64() > Some(0)), "{row}");
        }
    }
    let budget = gateway.settled_budget("paying").await;
    assert_eq!(budget["spent"].as_i64(), Some(costs(&world)), "{budget}");
    let state = gateway.state().await.to_string();
    assert!(!state.contains("\"in_flight\":1"), "something is still inside: {state}");
}

#[tokio::test]
async fn whole_answers_are_hedged_in_both_dialects() {
    let world = paying().await;
    let slow = target("openai-prod", "head_delay_ms=60000");
    let config = hedged(200, json!([slow, target("anthropic-prod", "")]));
    let mut answer = with(world.client.chat(&chat("any", "whole")), &config, "a").send().await;
    assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[1]");
    assert!(answer.text().await.contains("echo: whole"));
    let mut answer = with(world.client.message(&message("any", "whole", false)), &config, "b").send().await;
    assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[1]");
    assert!(answer.text().await.contains("echo: whole"));
    let row = world.gateway.log_of("a").await;
    assert_eq!(attempts(&row, "outcome").last(), Some(&&json!("outrun")), "the winner is noted first: {row}");
    assert_eq!((&row["outcome"], &row["option_index"]), (&json!("ok"), &json!("config.targets[1]")), "{row}");
    world.gateway.settled_budget("paying").await;
}

#[tokio::test]
async fn a_target_in_time_is_alone_and_a_slow_winner_keeps_its_answer() {
    let world = paying().await;
    let config = hedged(20_000, json!([target("openai-prod", ""), target("google-prod", "")]));
    let answer = with(world.client.chat(&chat("any", "alone")), &config, "a").send().await;
    assert_eq!((answer.status, world.mock.find("alone").len()), (200, 1));
    // Both are late; the first is the first all the same, and the second is let go.
    let first = target("openai-prod", "first_delay_ms=900");
    let config = hedged(200, json!([first, target("openai-prod", "first_delay_ms=60000")]));
    let mut answer = with(world.client.chat(&chat_stream("any", "beaten")), &config, "b").send().await;
    assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[0]");
    assert_eq!(sse::chat_text(&answer.events().await), "echo: beaten");
    let row = world.gateway.log_of("b").await;
    assert_eq!((&row["provider"], &row["outcome"]), (&json!("openai-prod"), &json!("ok")), "{row}");
    assert_eq!(row["attempts"], 2, "{row}");
}

#[tokio::test]
async fn failures_fall_as_in_any_fallback() {
    let world = paying().await;
    // The hedge fails at once and decides nothing; the first answers.
    let first = target("openai-prod", "head_delay_ms=800");
    let config = hedged(200, json!([first, target("openai-prod", "status=400")]));
    let answer = with(world.client.chat(&chat("any", "hi")), &config, "a").send().await;
    assert_eq!(
        (answer.status, answer.header("x-portkey-last-used-option-index")),
        (200, "config.targets[0]")
    );
    // The first fails while the hedge runs: the hedge goes on, and the third is spared.
    let first = target("openai-prod", "head_delay_ms=500&status=500");
    let second = target("openai-prod", "head_delay_ms=900");
    let config = hedged(200, json!([first, second, target("google-prod", "")]));
    let answer = with(world.client.chat(&chat("any", "hi")), &config, "b").send().await;
    assert_eq!(
        (answer.status, answer.header("x-portkey-last-used-option-index")),
        (200, "config.targets[1]")
    );
    // Both fail: the third is asked.
    let first = target("openai-prod", "head_delay_ms=400&status=500");
    let second = target("openai-prod", "status=500");
    let config = hedged(200, json!([first, second, target("google-prod", "")]));
    let answer = with(world.client.chat(&chat("any", "hi")), &config, "c").send().await;
    assert_eq!(
        (answer.status, answer.header("x-portkey-last-used-option-index")),
        (200, "config.targets[2]")
    );
    let row = world.gateway.log_of("c").await;
    assert_eq!(row["attempts"], 3, "{row}");
    world.gateway.settled_budget("paying").await;
}

#[tokio::test]
async fn a_budget_that_can_pay_one_answer_pays_one_answer() {
    let mock = Mock::start();
    // A hundred tokens of output at fifteen dollars a million are 1,500,000 nano-dollars; two such holds don't fit.
    let settings = super::priced(&mock).key("poor", KEY, "budget = { usd = 0.0025 }");
    let world = warmed(mock, settings).await;
    let first = target("openai-prod", "head_delay_ms=900");
    let config = hedged(200, json!([first, target("google-prod", "")]));
    let mut body = chat("any", "poor");
    body["max_tokens"] = 100.into();
    let answer = with(world.client.chat(&body), &config, "poor").send().await;
    assert_eq!(
        (answer.status, answer.header("x-portkey-last-used-option-index")),
        (200, "config.targets[0]")
    );
    assert_eq!(world.mock.find("poor").len(), 1, "the hedge was not asked");
    let row = world.gateway.log_of("poor").await;
    assert_eq!(attempts(&row, "status"), [412, 200], "{row}");
    assert_eq!(attempts(&row, "asked"), [false, true], "{row}");
    let budget = world.gateway.settled_budget("poor").await;
    assert_eq!(budget["spent"], row["cost_nano_usd"], "{budget}");
}

#[tokio::test]
async fn leaving_in_the_middle_of_a_race_ends_both() {
    let world = paying().await;
    let slow = |provider| target(provider, "head_delay_ms=60000");
    let config = hedged(100, json!([slow("openai-prod"), slow("openai-prod")]));
    let request = with(world.client.chat(&chat("any", "leaves")), &config, "left");
    let asking = tokio::spawn(request.try_send());
    wait::until("both to be asked", || (world.mock.find("leaves").len() == 2).then_some(())).await;
    asking.abort();
    let _ = asking.await;
    for asked in world.mock.find("leaves") {
        wait::until("both to be let go", || asked.client_closed_at()).await;
    }
    let row = world.gateway.log_of("left").await;
    assert_eq!((&row["outcome"], &row["status"]), (&json!("client_gone"), &json!(499)), "{row}");
    assert_eq!(attempts(&row, "outcome"), ["client_gone", "client_gone"], "{row}");
    let budget = world.gateway.settled_budget("paying").await;
    assert_eq!(budget["spent"], row["cost_nano_usd"], "{budget} {row}");
}

#[tokio::test]
async fn both_holds_of_a_race_survive_a_crash_and_a_restart() {
    let mock = Mock::start();
    let settings: Settings = super::priced(&mock).toml("[ledger]\ndurability = \"each\"").key(
        "paying",
        KEY,
        "budget = { usd = 1.00 }",
    );
    let mut world = warmed(mock, settings).await;
    let config =
        hedged(100, json!([target("openai-prod", "head_delay_ms=60000"), target("google-prod", "")]));
    let answer = with(world.client.chat(&chat("any", "durable")), &config, "durable").send().await;
    assert_eq!(answer.status, 200);
    let before = world.gateway.settled_budget("paying").await;
    assert!(world.gateway.terminate().await.success());
    world.gateway.restart().await;
    let after = world.gateway.settled_budget("paying").await;
    assert_eq!(before["spent"], after["spent"], "{before} {after}");

    // Killed while both run: both holds are on disk, and both are taken for spent.
    world.client = world.gateway.with_key(KEY);
    let slow = |provider| target(provider, "head_delay_ms=60000");
    let config = hedged(100, json!([slow("openai-prod"), slow("openai-prod")]));
    let asking = tokio::spawn(with(world.client.chat(&chat("any", "killed")), &config, "killed").try_send());
    wait::until("both to be asked", || (world.mock.find("killed").len() == 2).then_some(())).await;
    let held = world.gateway.budget("paying").await["held"].as_i64().expect("an amount");
    world.gateway.kill();
    let _ = asking.await;
    world.gateway.restart().await;
    let recovered = world.gateway.settled_budget("paying").await;
    let spent = |budget: &Value| budget["spent"].as_i64().expect("an amount");
    assert_eq!(spent(&recovered), spent(&after) + held, "{recovered}");
}

#[tokio::test]
async fn hedges_are_limited_like_retries() {
    let world = paying().await;
    let config = hedged(
        1,
        json!([target("openai-prod", "head_delay_ms=2000"), target("openai-prod", "head_delay_ms=2500")]),
    );
    let body = chat("any", "storm");
    let requests = (0..160).map(|_| with(world.client.chat(&body), &config, "storm").send());
    for answer in futures_util::future::join_all(requests).await {
        assert_eq!(answer.status, 200);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    // A hundred are saved up, some more come back while the requests run.
    let asked = world.mock.find("storm").len();
    assert!((255..310).contains(&asked), "{asked} calls for 160 requests");
}
