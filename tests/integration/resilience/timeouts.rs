//! Each stage has its limit, from the config of the target.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_tests::{Mock, sse};
use tokio::net::TcpListener;

use super::{attempts, paying, target, with};
use crate::support::{KEY, PRICES, World, chat, chat_stream, message, providers, world, world_with};

fn limited(provider: &str, script: &str, timeouts: Value) -> Value {
    let mut target = target(provider, script);
    target["timeouts"] = timeouts;
    target
}

#[tokio::test]
async fn each_limit_before_content_is_a_408_and_falls_back() {
    let world = world().await;
    let slow = [
        ("head_delay_ms=60000", json!({ "head_ms": 300 }), "exceeded the timeout"),
        ("first_delay_ms=60000", json!({ "first_token_ms": 300 }), "no content for 300 ms"),
        ("head_delay_ms=60000", json!({ "first_token_ms": 300 }), "exceeded the timeout"),
        ("head_delay_ms=60000", json!({ "total_ms": 300 }), "total of 300 ms"),
        ("first_delay_ms=60000", json!({ "total_ms": 300 }), "total of 300 ms"),
    ];
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        for (script, timeouts, words) in &slow {
            let first = limited(provider, "", timeouts.clone());
            let mut body = chat_stream("any", &format!("[[{script}]] hi"));
            let mut answer = with(world.client.chat(&body), &first, "t").send().await;
            let said = crate::support::openai_error(&answer.json().await);
            assert_eq!(answer.status, 408, "{provider} {script} {timeouts}: {said}");
            assert!(said.contains(words), "{provider} {script} {timeouts}: {said}");
            // The total is the whole request's: the next target has it too, unless it says otherwise.
            body["messages"][0]["content"] = "hi".into();
            let second = limited("google-prod", "", json!({ "total_ms": 20_000 }));
            let first = limited("openai-prod", script, timeouts.clone());
            if provider == "openai-prod" {
                let both = json!({ "strategy": { "mode": "fallback" }, "targets": [first, second] });
                let answer = with(world.client.chat(&body), &both, "t").send().await;
                assert_eq!(answer.status, 200, "{provider} {script} {timeouts}");
                assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[1]");
            }
        }
    }
}

#[tokio::test]
async fn the_header_beats_the_config() {
    let world = world().await;
    let config = limited("openai-prod", "head_delay_ms=60000", json!({ "head_ms": 50_000 }));
    let started = Instant::now();
    let request = with(world.client.chat(&chat("any", "hi")), &config, "t");
    assert_eq!(request.header("x-portkey-request-timeout", "200").send().await.status, 408);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_stall_between_events_is_the_targets_own_limit() {
    let world = world().await;
    let config = limited("openai-prod", "chunks=9&stall_after=2", json!({ "idle_ms": 300 }));
    let mut answer = with(world.client.chat(&chat_stream("any", "hi")), &config, "t").send().await;
    let error = sse::error(&answer.events().await).expect("an error event");
    assert!(error["message"].as_str().is_some_and(|said| said.contains("stalled for 300 ms")), "{error}");
    let mut answer = with(world.client.chat(&chat("any", "hi")), &config, "t").send().await;
    let said = answer.text().await;
    assert_eq!(answer.status, 408, "{said}");
}

/// The stream never pauses for as long as any other limit.
#[tokio::test]
async fn the_total_ends_a_running_stream_with_a_typed_error() {
    let world = paying().await;
    let config = limited("openai-prod", "chunks=100000&delay_ms=20", json!({ "total_ms": 600 }));
    let mut answer = with(world.client.chat(&chat_stream("any", "hi")), &config, "total").send().await;
    assert_eq!(answer.status, 200);
    let events = answer.events().await;
    let error = sse::error(&events).unwrap_or_else(|| panic!("{events:#?}"));
    assert_eq!(error["type"], "timeout_error", "{error}");
    assert!(error["message"].as_str().is_some_and(|said| said.contains("total of 600 ms")), "{error}");
    assert!(sse::chat_text(&events).starts_with(" one two"));
    assert!(!events.iter().any(sse::Event::is_done));
    let row = world.gateway.log_of("total").await;
    assert_eq!((&row["outcome"], &row["status"]), (&json!("upstream_timeout"), &json!(200)), "{row}");
    world.gateway.settled_budget("paying").await;

    let config = limited("anthropic-prod", "chunks=100000&delay_ms=20", json!({ "total_ms": 600 }));
    let mut answer = with(world.client.message(&message("any", "hi", true)), &config, "t").send().await;
    let events = answer.events().await;
    assert_eq!(events.last().map(|last| last.name.as_str()), Some("error"), "{events:#?}");
}

#[tokio::test]
async fn the_total_counts_retries_and_their_waits() {
    let world = world().await;
    let mut config = limited("openai-prod", "status=500", json!({ "total_ms": 2_500 }));
    config["retry"] = json!({ "attempts": 5 });
    let started = Instant::now();
    let answer = with(world.client.chat(&chat("any", "hi")), &config, "retried").send().await;
    assert_eq!((answer.status, answer.header("x-portkey-retry-attempt-count")), (500, "-1"));
    // A second try after one second; the third would begin after three.
    assert!(started.elapsed() < Duration::from_millis(2_500), "{:?}", started.elapsed());
    let row = world.gateway.log_of("retried").await;
    assert_eq!(row["attempts"], 2, "{row}");
}

#[tokio::test]
async fn a_target_whose_time_is_over_is_not_asked() {
    let world = world().await;
    let config = json!({ "strategy": { "mode": "fallback" }, "timeouts": { "total_ms": 400 }, "targets": [
        target("openai-prod", "head_delay_ms=60000"), target("anthropic-prod", "")] });
    let answer = with(world.client.chat(&chat("any", "nobody else")), &config, "over").send().await;
    assert_eq!(answer.status, 408);
    assert_eq!(world.mock.find("nobody else").len(), 1);
    let row = world.gateway.log_of("over").await;
    assert_eq!(attempts(&row, "asked"), [true, false], "{row}");
}

#[tokio::test]
async fn a_connection_that_is_never_made_ends_in_time() {
    // Accepts, and says nothing: no TLS comes about.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = silent.local_addr().expect("an address");
    let mock = Mock::start();
    let settings = providers(&mock)
        .provider_at("silent", "openai", &format!("https://{addr}/v1"), PRICES)
        .key("tests", KEY, "");
    let World { client, gateway: _gateway, mock: _mock } = world_with(mock, settings).await;
    let config = limited("silent", "", json!({ "connect_ms": 300 }));
    let started = Instant::now();
    let mut answer = with(client.chat(&chat("any", "hi")), &config, "t").send().await;
    let said = crate::support::openai_error(&answer.json().await);
    assert_eq!(answer.status, 502, "{said}");
    assert!(said.contains("no connection within 300 ms"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(10));
    // One that is made in time is not hurried afterwards.
    let config = limited("openai-prod", "head_delay_ms=900", json!({ "connect_ms": 700 }));
    for _ in 0..2 {
        assert_eq!(with(client.chat(&chat("any", "hi")), &config, "t").send().await.status, 200);
    }
}

#[tokio::test]
async fn wrong_times_are_refused_with_their_place() {
    let world = world().await;
    let config = limited("openai-prod", "", json!({ "idle_ms": 0 }));
    let mut answer = with(world.client.chat(&chat("any", "hi")), &config, "t").send().await;
    let said = crate::support::openai_error(&answer.json().await);
    assert_eq!(answer.status, 400);
    assert!(said.contains("timeouts.idle_ms: a number of milliseconds from 1 to 86400000"), "{said}");
}
