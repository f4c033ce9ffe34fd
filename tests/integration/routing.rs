//! Configs with several targets: who is asked, how often, with what, and who pays.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate_tests::{Client, Mock, Settings, sse, wait};

use crate::support::{INPUT_NANO, KEY, OUTPUT_NANO, World, chat, chat_stream, providers, world_with};
use crate::turns::Turns;

const CASES: &str = include_str!("../fixtures/routing/cases.json");

/// A gateway whose key may bring its own credentials.
async fn guest() -> World {
    let mock = Mock::start();
    let settings = providers(&mock).toml("[security]\ntrusted_hosts = [\"127.0.0.1\", \"localhost\"]").key(
        "tests",
        KEY,
        "header_credentials = true",
    );
    world_with(mock, settings).await
}

/// Each case is a config, what the upstream answers in turn, and what must come of it. What Portkey was seen to do stands
/// in `observed.rs`; these are of the same kind.
#[tokio::test]
async fn cases_come_out_as_written() {
    let cases: Vec<Value> = serde_json::from_str(CASES).expect("cases");
    assert!(cases.len() > 100, "cases are missing");
    let world = guest().await;
    // A case may wait seconds between two attempts; few at a time, so that the machine is not what is measured.
    let mut wrong = Vec::new();
    for some in cases.chunks(8) {
        let found = join_all(some.iter().map(|case| differences(&world.client, case))).await;
        wrong.extend(found.into_iter().flatten());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a case and says what came out differently.
async fn differences(client: &Client, case: &Value) -> Vec<String> {
    let upstream = Turns::start(case["upstream"].as_array().expect("answers").clone()).await;
    let here = |text: &str| text.replace("{upstream}", &upstream.url());
    let path = case["path"].as_str().unwrap_or("/v1/chat/completions");
    let mut request = client.post(path, &case["body"]).header("x-portkey-api-key", KEY);
    if let Some(key) = case["vendor_key"].as_str() {
        request =
            Client::clone(client).with_key(key).post(path, &case["body"]).header("x-portkey-api-key", KEY);
    }
    if let Some(config) = case.get("config") {
        request = request.header("x-portkey-config", here(&config.to_string()));
    }
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        request = request.header(name, here(value.as_str().expect("a header")));
    }
    let mut answer = request.send().await;
    let body = answer.text().await;
    let calls = upstream.calls();
    let expect = &case["expect"];
    let mut wrong = Vec::new();
    let mut check = |what: &str, wanted: &Value, found: Value| {
        if !wanted.is_null() && *wanted != found {
            let name = case["name"].as_str().unwrap_or_default();
            wrong.push(format!("{name}: {what} is {found}, not {wanted}; {} {body}", answer.status));
        }
    };
    check("status", &expect["status"], json!(answer.status));
    check("calls", &expect["calls"], json!(calls.len()));
    check("option index", &expect["option_index"], json!(answer.header("x-portkey-last-used-option-index")));
    check("retry count", &expect["retries"], json!(answer.header("x-portkey-retry-attempt-count")));
    if expect["option_index"].is_string() {
        check("provider", &json!("openai"), json!(answer.header("x-portkey-provider")));
    }
    if let Some(part) = expect["message"].as_str() {
        check("message found", &json!(true), json!(body.contains(part)));
    }
    let of_calls = |what: fn(&crate::turns::Call) -> Value| Value::Array(calls.iter().map(what).collect());
    check("models", &expect["models"], of_calls(|call| call.body["model"].clone()));
    check("bodies", &expect["bodies"], of_calls(|call| call.body.clone()));
    check("keys", &expect["keys"], of_calls(|call| call.key.clone().into()));
    for (at, least) in expect["after_ms"].as_array().into_iter().flatten().enumerate().skip(1) {
        let waited = calls.get(at).map_or(0, |call| call.at.duration_since(calls[at - 1].at).as_millis());
        let least = u128::from(least.as_u64().unwrap_or(0));
        // A quarter of jitter above, and what a busy machine adds.
        let right = waited >= least && waited < least * 5 / 4 + 900;
        check(&format!("wait {at} of {waited} ms right"), &json!(true), json!(right));
    }
    wrong
}

fn config(value: Value) -> String {
    value.to_string()
}

#[tokio::test]
async fn weights_are_honoured() {
    let world = guest().await;
    let weighted = config(json!({"strategy": {"mode": "loadbalance"}, "targets": [
        {"provider": "@openai-prod", "weight": 3}, {"provider": "@google-prod", "weight": 0},
        {"provider": "@anthropic-prod", "weight": 1}]}));
    let mut chosen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..10 {
        let requests = (0..40)
            .map(|_| world.client.chat(&chat("mock", "hi")).header("x-portkey-config", &weighted).send());
        for answer in join_all(requests).await {
            assert_eq!(answer.status, 200);
            *chosen.entry(answer.header("x-portkey-provider").to_owned()).or_default() += 1;
        }
    }
    let of = |provider: &str| chosen.get(provider).copied().unwrap_or(0);
    assert_eq!(of("google"), 0, "{chosen:?}");
    // 300 expected, and eight standard deviations (8.7) around it.
    assert!((230..=370).contains(&of("openai")), "{chosen:?}");
    assert_eq!(of("openai") + of("anthropic"), 400, "{chosen:?}");
}

/// A fallback from a model, and what the upstream does there, to another model.
fn fallback((first, script): (&str, &str), second: &str) -> String {
    config(json!({"strategy": {"mode": "fallback"}, "targets": [
        {"override_params": {"model": first, "mock": script}}, {"override_params": {"model": second}}]}))
}

#[tokio::test]
async fn before_the_commit_point_a_stream_falls_back_to_any_dialect() {
    let world = guest().await;
    for fault in ["error_first", "close_after=0", "end_after=0", "status=503"] {
        for second in ["@openai-prod/mock", "@anthropic-prod/mock", "@google-prod/mock"] {
            let config = fallback(("@openai-prod/mock", fault), second);
            let request =
                world.client.chat(&chat_stream("any", "hello you")).header("x-portkey-config", config);
            let mut answer = request.send().await;
            assert_eq!(answer.status, 200, "{fault} {second}");
            assert_eq!(
                answer.header("x-portkey-last-used-option-index"),
                "config.targets[1]",
                "{fault} {second}"
            );
            let events = answer.events().await;
            assert!(sse::error(&events).is_none(), "{fault} {second}: {events:#?}");
            assert!(sse::chat_text(&events).contains("hello you"), "{fault} {second}: {events:#?}");
        }
    }
}

#[tokio::test]
async fn after_the_commit_point_nobody_else_is_asked() {
    let world = guest().await;
    let config = config(json!({"strategy": {"mode": "fallback"}, "retry": {"attempts": 3}, "targets": [
        {"override_params": {"model": "@openai-prod/mock", "mock": "chunks=9&close_after=2"}},
        {"override_params": {"model": "@anthropic-prod/mock"}}]}));
    let request = world.client.chat(&chat_stream("any", "committed")).header("x-portkey-config", config);
    let mut answer = request.send().await;
    let events = answer.events().await;
    assert!(sse::error(&events).is_some(), "{events:#?}");
    assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[0]");
    assert_eq!(world.mock.find("committed").len(), 1);
}

#[tokio::test]
async fn a_request_with_many_attempts_counts_once_for_its_key() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "limits = [ { requests = 2, per = \"hour\" } ]");
    let world = world_with(mock, settings).await;
    let three = config(json!({"strategy": {"mode": "fallback"}, "targets": [
        {"override_params": {"model": "@openai-prod/mock", "mock": "status=500"}},
        {"override_params": {"model": "@google-prod/mock", "mock": "status=500"}},
        {"override_params": {"model": "@anthropic-prod/mock"}}]}));
    let ask = || world.client.chat(&chat("any", "hi")).header("x-portkey-config", &three).send();
    for left in ["1", "0"] {
        let answer = ask().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), left);
    }
    let refused = ask().await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("x-portkey-last-used-option-index"), "", "the key refused, no target did");
    let state = world.gateway.state().await;
    let text = state.to_string();
    assert!(!text.contains("\"in_flight\":1"), "something is still inside: {state}");
}

#[tokio::test]
async fn every_attempt_pays_for_itself_from_its_own_budgets() {
    let mock = Mock::start();
    let prices = |budget: &str| format!("{}\n{budget}", crate::support::PRICES);
    let settings = Settings::new()
        .provider("first", "openai", &mock, &prices("budget = { usd = 1.00 }"))
        .provider("second", "openai", &mock, &prices("budget = { usd = 1.00 }"))
        .key("paying", KEY, "budget = { usd = 1.00 }");
    let world = world_with(mock, settings).await;
    // The first target says nothing in time: it may be working all the same, so what it may have read is paid.
    let config = config(json!({"strategy": {"mode": "fallback"}, "targets": [
        {"override_params": {"model": "@first/mock", "mock": "head_delay_ms=2000"}, "request_timeout": 200},
        {"override_params": {"model": "@second/mock", "mock": "input=100&output=10"}}]}));
    let request = world.client.chat(&chat("any", "paid twice"));
    let request = request.header("x-portkey-config", config).header("x-portkey-trace-id", "twice");
    request.send().await.expect(200).await;
    let of = |name: &'static str| {
        let gateway = &world.gateway;
        async move { gateway.settled_budget(name).await["spent"].as_i64().expect("an integer") }
    };
    let (first, second, key) = (of("provider:first").await, of("provider:second").await, of("paying").await);
    assert_eq!(second, 100 * INPUT_NANO + 10 * OUTPUT_NANO);
    assert!(first > 0, "the timed out attempt cost nothing");
    assert_eq!(key, first + second);
    let row = world.gateway.log_of("twice").await;
    assert_eq!(row["cost_nano_usd"].as_i64(), Some(key), "{row}");
    assert_eq!(row["attempts"], 2);
    assert_eq!(row["option_index"], "config.targets[1]");
    let tried = row["tried"].as_array().expect("attempts");
    let statuses: Vec<&Value> = tried.iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(statuses, [408, 200], "{row}");
    assert_eq!(tried[0]["cost_nano_usd"].as_i64(), Some(first), "{row}");
}

#[tokio::test]
async fn spend_of_all_attempts_survives_a_restart() {
    let mock = Mock::start();
    let settings = Settings::new()
        .toml("[ledger]\ndurability = \"each\"")
        .provider("first", "openai", &mock, crate::support::PRICES)
        .provider("second", "openai", &mock, crate::support::PRICES)
        .key("paying", KEY, "budget = { usd = 1.00 }");
    let mut world = world_with(mock, settings).await;
    let config = config(json!({"strategy": {"mode": "fallback"}, "targets": [
        {"override_params": {"model": "@first/mock", "mock": "head_delay_ms=2000"}, "request_timeout": 200},
        {"override_params": {"model": "@second/mock", "mock": "input=100&output=10"}}]}));
    world.client.chat(&chat("any", "hi")).header("x-portkey-config", config).send().await.expect(200).await;
    let before = world.gateway.settled_budget("paying").await;
    assert!(world.gateway.terminate().await.success());
    world.gateway.restart().await;
    let after = world.gateway.settled_budget("paying").await;
    assert_eq!((&before["spent"], &before["held"]), (&after["spent"], &after["held"]), "{before} {after}");
}

#[tokio::test]
async fn a_target_that_is_too_dear_is_passed_over_without_asking_it() {
    let mock = Mock::start();
    let dear = r#"prices = { "mock" = { input = 3000.00, output = 15000.00 } }"#;
    let settings = Settings::new()
        .provider("dear", "openai", &mock, dear)
        .provider("cheap", "openai", &mock, crate::support::PRICES)
        .key("paying", KEY, "budget = { usd = 0.05 }");
    let world = world_with(mock, settings).await;
    let mut body = chat("any", "passes over");
    body["max_tokens"] = 100.into();
    let send = |config: String| {
        world
            .client
            .chat(&body)
            .header("x-portkey-config", config)
            .header("x-portkey-trace-id", "dear")
            .send()
    };
    let answer = send(fallback(("@dear/mock", ""), "@cheap/mock")).await;
    assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[1]");
    assert_eq!(answer.status, 200);
    assert_eq!(world.mock.find("passes over").len(), 1);
    let row = world.gateway.log_of("dear").await;
    assert_eq!((&row["attempts"], &row["tried"][0]["status"]), (&json!(1), &json!(412)), "{row}");
    assert_eq!(row["tried"][0]["asked"], false);
    // And the other way round: a failure of the cheap one does not let the dear one overspend.
    let answer = send(fallback(("@cheap/mock", "status=500"), "@dear/mock")).await;
    assert_eq!(answer.status, 412);
    assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[1]");
}

#[tokio::test]
async fn a_full_provider_is_no_reason_to_wait_for_it() {
    let mock = Mock::start();
    let limited = format!("{}\nlimits = [ {{ requests = 1, per = \"hour\" }} ]", crate::support::PRICES);
    let settings = Settings::new()
        .provider("small", "openai", &mock, &limited)
        .provider("large", "openai", &mock, crate::support::PRICES)
        .key("tests", KEY, "");
    let world = world_with(mock, settings).await;
    let config = config(
        json!({"strategy": {"mode": "fallback", "on_status_codes": [429]}, "retry": {"attempts": 2},
        "targets": [{"override_params": {"model": "@small/mock"}}, {"override_params": {"model": "@large/mock"}}]}),
    );
    for index in ["config.targets[0]", "config.targets[1]", "config.targets[1]"] {
        let answer = world.client.chat(&chat("any", "hi")).header("x-portkey-config", &config).send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-portkey-last-used-option-index"), index);
    }
}

#[tokio::test]
async fn leaving_between_two_attempts_ends_the_request() {
    let world = guest().await;
    let config = config(json!({"retry": {"attempts": 5}, "provider": "@openai-prod"}));
    let body = chat("mock", "[[status=500]] leaves early");
    let request = world.client.chat(&body).header("x-portkey-config", config);
    let leaving = tokio::spawn(request.header("x-portkey-trace-id", "left").send());
    wait::until("the first attempt", || world.mock.find("leaves early").pop()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    leaving.abort();
    let row = world.gateway.log_of("left").await;
    assert_eq!((&row["outcome"], &row["status"]), (&json!("client_gone"), &json!(499)), "{row}");
    assert_eq!(row["attempts"], 1, "{row}");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(world.mock.find("leaves early").len(), 1, "the back-off went on for nobody");
}

#[tokio::test]
async fn retries_do_not_multiply_an_outage() {
    let world = guest().await;
    let config = config(json!({"retry": {"attempts": 1}, "provider": "@openai-prod"}));
    let body = chat("mock", "[[status=500]] outage");
    let requests = (0..200).map(|_| world.client.chat(&body).header("x-portkey-config", &config).send());
    for answer in join_all(requests).await {
        assert_eq!((answer.status, answer.header("x-portkey-retry-attempt-count")), (500, "-1"));
    }
    let asked = world.mock.find("outage").len();
    // A hundred retries are saved up, some more come back while the requests run.
    assert!((300..390).contains(&asked), "{asked} calls for 200 requests");
}

#[tokio::test]
async fn saved_configs_are_used_by_id_and_by_default() {
    let mock = Mock::start();
    let saved = r#"{"strategy": {"mode": "fallback"}, "targets": [
        {"override_params": {"model": "@openai-prod/mock", "mock": "status=500"}}, {"override_params": {"model": "@google-prod/mock"}}]}"#;
    let settings = providers(&mock)
        .toml(&format!("[[config]]\nid = \"support\"\njson = '''{saved}'''"))
        .key("tests", KEY, "config = \"support\"")
        .key("other", "tg-another-key-of-the-tests-012345", "");
    let world = world_with(mock, settings).await;
    let answer = world.client.chat(&chat("any", "hi")).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-portkey-provider"), "google");
    let other = world.gateway.with_key("tg-another-key-of-the-tests-012345");
    let answer = other.chat(&chat("any", "hi")).header("x-portkey-config", "support").send().await;
    assert_eq!((answer.status, answer.header("x-portkey-provider")), (200, "google"));
    // The header beats the key's default.
    let answer =
        world.client.chat(&chat("mock", "hi")).header("x-portkey-config", r#"{"provider": "@openai-prod"}"#);
    assert_eq!(answer.send().await.header("x-portkey-provider"), "openai");
}
