//! Targets and providers that fail: who is left alone, for how long, and who is not blamed.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate_tests::{Mock, Settings, wait};

use crate::support::{KEY, PRICES, World, chat, chat_stream, openai_error, world_with};

const OTHER_KEY: &str = "tg-another-key-of-the-tests-012345";

/// Providers of which the first has a breaker.
async fn breaking(breaker: &str) -> World {
    let mock = Mock::start();
    let more = format!("{PRICES}\nbreaker = {breaker}");
    let settings = Settings::new()
        .provider("flaky", "openai", &mock, &more)
        .provider("steady", "openai", &mock, PRICES)
        .key("tests", KEY, "")
        .key("other", OTHER_KEY, "");
    world_with(mock, settings).await
}

async fn status(world: &World, body: &Value) -> u16 {
    world.client.chat(body).send().await.status
}

async fn breaker_of(world: &World, slug: &str) -> Value {
    let state = world.gateway.state().await;
    let providers = state["providers"].as_array().expect("providers");
    let found = providers.iter().find(|provider| provider["slug"] == slug);
    found.unwrap_or_else(|| panic!("no {slug} in {state}"))["breaker"].clone()
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone_and_tried_again() {
    let world = breaking("{ failures = 3, cooldown_ms = 3000 }").await;
    assert_eq!(breaker_of(&world, "flaky").await["state"], "closed");
    assert_eq!(breaker_of(&world, "steady").await, Value::Null, "none is the default");
    for _ in 0..3 {
        assert_eq!(status(&world, &chat("@flaky/mock", "[[status=500]] fails")).await, 500);
    }
    let mut refused = world.client.chat(&chat("@flaky/mock", "left alone")).send().await;
    assert_eq!(refused.status, 503);
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=3).contains(&wait), "{wait}");
    let body: Value = refused.json().await;
    assert!(openai_error(&body).contains("circuit breaker"), "{body}");
    assert_eq!(body["error"]["code"], "circuit_open", "{body}");
    assert!(world.mock.find("left alone").is_empty(), "it was asked");
    assert_eq!(status(&world, &chat("@steady/mock", "hi")).await, 200);
    let view = breaker_of(&world, "flaky").await;
    assert_eq!((&view["state"], &view["faults"]), (&json!("open"), &json!(3)), "{view}");
    wait::until_async("the breaker to close", || async {
        (status(&world, &chat("@flaky/mock", "back again")).await == 200).then_some(())
    })
    .await;
    assert_eq!(breaker_of(&world, "flaky").await["state"], "closed");
    let output = world.gateway.output();
    assert!(output.contains("circuit breaker of a provider"), "the log says nothing");
}

#[tokio::test]
async fn one_request_tries_a_provider_that_failed() {
    let world = breaking("{ failures = 1, cooldown_ms = 2000 }").await;
    assert_eq!(status(&world, &chat("@flaky/mock", "[[status=503]] fails")).await, 503);
    tokio::time::sleep(Duration::from_millis(2_050)).await;
    // Slower than the others take to be refused, quicker than the cooldown after which a second one would try.
    let body = chat("@flaky/mock", "[[head_delay_ms=1000]] probes");
    let statuses = join_all((0..20).map(|_| status(&world, &body))).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 19, "{statuses:?}");
    assert_eq!(world.mock.find("probes").len(), 1);
    assert_eq!(status(&world, &chat("@flaky/mock", "hi")).await, 200);
}

#[tokio::test]
async fn fallbacks_pass_over_a_provider_that_is_open() {
    let world = breaking("{ failures = 1, cooldown_ms = 60000 }").await;
    assert_eq!(status(&world, &chat("@flaky/mock", "[[status=500]] fails")).await, 500);
    let targets = json!([{"override_params": {"model": "@flaky/mock"}}, {"override_params": {"model": "@steady/mock"}}]);
    for strategy in [
        json!({"mode": "fallback", "on_status_codes": [429]}),
        json!({"mode": "loadbalance"}),
        json!({"mode": "priority"}),
    ] {
        let config = json!({"strategy": strategy, "targets": targets}).to_string();
        for _ in 0..5 {
            let request = world.client.chat(&chat("any", "goes on")).header("x-portkey-config", &config);
            let answer = request.send().await;
            let index = answer.header("x-portkey-last-used-option-index");
            assert_eq!((answer.status, index), (200, "config.targets[1]"), "{strategy}");
        }
    }
    // Nobody else is there.
    let config =
        json!({"strategy": {"mode": "fallback"}, "targets": [{"override_params": {"model": "@flaky/mock"}}]});
    let request = world.client.chat(&chat("any", "hi")).header("x-portkey-config", config.to_string());
    assert_eq!(request.send().await.status, 503);
}

#[tokio::test]
async fn nobody_but_the_vendor_is_to_blame() {
    let mock = Mock::start();
    let more = format!(
        "{PRICES}\nbreaker = {{ failures = 1, cooldown_ms = 60000 }}\nlimits = [ {{ concurrent = 1 }} ]"
    );
    let settings = Settings::new().provider("flaky", "openai", &mock, &more).key("tests", KEY, "");
    let world = world_with(mock, settings).await;
    for code in [400, 401, 404, 422, 429] {
        let body = chat("@flaky/mock", &format!("[[status={code}]] the caller's"));
        assert_eq!(status(&world, &body).await, code);
    }
    // How long the client cares to wait says nothing of the vendor.
    let slow = chat("@flaky/mock", "[[head_delay_ms=600]] slow");
    let hurried = world.client.chat(&slow).header("x-portkey-request-timeout", "50").send().await;
    assert_eq!(hurried.status, 408);
    let config = json!({"request_timeout": 50, "override_params": {"model": "@flaky/mock"}}).to_string();
    let hurried = world.client.chat(&slow).header("x-portkey-config", config).send().await;
    assert_eq!(hurried.status, 408);
    // Our own limits.
    let first = tokio::spawn(world.client.chat(&slow).send());
    wait::until("the slow request", || world.mock.find("slow").get(2).cloned()).await;
    assert_eq!(status(&world, &chat("@flaky/mock", "hi")).await, 429);
    assert_eq!(first.await.expect("an answer").status, 200);
    // A client that leaves.
    let leaving =
        tokio::spawn(world.client.chat(&chat("@flaky/mock", "[[head_delay_ms=2000]] leaves")).send());
    wait::until("the request that is left", || world.mock.find("leaves").pop()).await;
    leaving.abort();
    wait::until_async("the provider to be free", || async {
        (status(&world, &chat("@flaky/mock", "hi")).await == 200).then_some(())
    })
    .await;
    let view = breaker_of(&world, "flaky").await;
    assert_eq!((&view["state"], &view["faults"]), (&json!("closed"), &json!(0)), "{view}");
}

#[tokio::test]
async fn streams_that_break_off_count() {
    let world = breaking("{ failures = 2, cooldown_ms = 60000 }").await;
    for _ in 0..2 {
        let body = chat_stream("@flaky/mock", "[[chunks=9&close_after=3]] breaks");
        let mut answer = world.client.chat(&body).send().await;
        assert_eq!(answer.status, 200);
        let _events = answer.events().await;
    }
    wait::until_async("the breaker to open", || async {
        (breaker_of(&world, "flaky").await["state"] == "open").then_some(())
    })
    .await;
}

/// Two targets behind a breaker that opens after two failures.
fn guarded(first: &str) -> Value {
    json!({"strategy": {"mode": "fallback", "cb_config": {"failure_threshold": 2, "cooldown_interval": 30000}},
        "targets": [{"override_params": {"model": "@flaky/mock", "mock": first}}, {"override_params": {"model": "@steady/mock"}}]})
}

#[tokio::test]
async fn a_target_that_failed_is_passed_over_for_its_own_callers_only() {
    let world = breaking("{ failures = 100, cooldown_ms = 60000 }").await;
    let config = guarded("status=500").to_string();
    for _ in 0..5 {
        let request = world.client.chat(&chat("any", "guarded")).header("x-portkey-config", &config);
        let answer = request.send().await;
        assert_eq!(
            (answer.status, answer.header("x-portkey-last-used-option-index")),
            (200, "config.targets[1]")
        );
    }
    let failed = world.mock.find("guarded").len() - 5;
    assert_eq!(failed, 2, "it was asked after it had failed twice");
    let state = world.gateway.state().await;
    let breakers = state["breakers"].as_array().expect("breakers");
    assert_eq!(breakers.len(), 1, "{state}");
    assert_eq!(
        (&breakers[0]["state"], &breakers[0]["target"]),
        (&json!("open"), &json!("config.targets[0]"))
    );
    assert_eq!(breakers[0]["provider"], "flaky");
    // An inline config is its key's alone.
    let other = world.gateway.with_key(OTHER_KEY);
    let answer = other.chat(&chat("any", "by another")).header("x-portkey-config", &config).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.mock.find("by another").len(), 2);
}

#[tokio::test]
async fn a_saved_configs_breakers_are_everybodys() {
    let mock = Mock::start();
    let saved = guarded("status=502");
    let settings = Settings::new()
        .provider("flaky", "openai", &mock, PRICES)
        .provider("steady", "openai", &mock, PRICES)
        .toml(&format!("[[config]]\nid = \"pc-guarded\"\njson = '''{saved}'''"))
        .key("tests", KEY, "config = \"pc-guarded\"")
        .key("other", OTHER_KEY, "config = \"pc-guarded\"");
    let world = world_with(mock, settings).await;
    for _ in 0..2 {
        assert_eq!(status(&world, &chat("any", "first")).await, 200);
    }
    let answer = world.gateway.with_key(OTHER_KEY).chat(&chat("any", "second")).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.mock.find("second").len(), 1);
}

#[tokio::test]
async fn retries_end_when_the_breaker_opens() {
    let world = breaking("{ failures = 100, cooldown_ms = 60000 }").await;
    let mut config = guarded("status=500");
    config["retry"] = json!({"attempts": 5});
    let request = world.client.chat(&chat("any", "retried")).header("x-portkey-config", config.to_string());
    let answer = request.send().await;
    assert_eq!(
        (answer.status, answer.header("x-portkey-last-used-option-index")),
        (200, "config.targets[1]")
    );
    assert_eq!(world.mock.find("retried").len(), 3, "two attempts at the first, one at the second");
}
