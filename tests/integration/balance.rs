//! Who is chosen among several: where the caller was, the fastest, the cheapest, the least busy, the first with room.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate_tests::{Mock, Settings, wait};

use crate::support::{KEY, PRICES, World, chat, chat_stream, world_with};

/// Two providers on one upstream, and what else they are.
async fn two(first: &str, second: &str) -> World {
    let mock = Mock::start();
    let settings = Settings::new()
        .provider("one", "openai", &mock, first)
        .provider("two", "openai", &mock, second)
        .key("tests", KEY, "");
    world_with(mock, settings).await
}

fn config(strategy: Value) -> String {
    let target = |model: &str| json!({"override_params": {"model": model}});
    json!({"strategy": strategy, "targets": [target("@one/mock"), target("@two/mock")]}).to_string()
}

/// Which target answers.
async fn target(world: &World, config: &str, body: &Value, metadata: Value) -> String {
    let request = world.client.chat(body).header("x-portkey-config", config);
    let mut answer = request.header("x-portkey-metadata", metadata.to_string()).send().await;
    let text = answer.text().await;
    assert_eq!(answer.status, 200, "{text}");
    answer.header("x-portkey-last-used-option-index").to_owned()
}

async fn counted(world: &World, config: &str, body: &Value, times: usize) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for _ in 0..times {
        *counts.entry(target(world, config, body, json!({})).await).or_insert(0) += 1;
    }
    counts
}

#[tokio::test]
async fn a_sticky_caller_meets_the_same_target() {
    let world = two(PRICES, PRICES).await;
    let config = config(json!({"mode": "loadbalance",
        "sticky": {"enabled": true, "hash_fields": ["metadata.user", "params.user", "headers.x-chat"], "ttl": 86_400}}));
    let mut chosen: BTreeMap<String, u32> = BTreeMap::new();
    let mut moved = 0;
    for user in 0..24 {
        let metadata = json!({"user": format!("user-{user}")});
        let body = chat("any", "hi");
        let targets = join_all((0..6).map(|_| target(&world, &config, &body, metadata.clone()))).await;
        // A caller's slot may end while the test runs, which moves it once.
        moved += u32::from(targets.iter().any(|other| *other != targets[0]));
        *chosen.entry(targets[0].clone()).or_default() += 1;
    }
    assert!(moved <= 1, "{moved} of 24 callers moved");
    assert_eq!(chosen.len(), 2, "{chosen:?}");
    // Body members and headers tell callers apart as well.
    let mut by_header = BTreeMap::new();
    for number in 0..16 {
        let request = world.client.chat(&chat("any", "hi")).header("x-portkey-config", &config);
        let answer = request.header("x-chat", number.to_string()).send().await;
        *by_header.entry(answer.header("x-portkey-last-used-option-index").to_owned()).or_insert(0) += 1;
    }
    assert_eq!(by_header.len(), 2, "{by_header:?}");
}

#[tokio::test]
async fn the_fastest_gets_most_requests() {
    let world = two(PRICES, PRICES).await;
    let slow = json!({"strategy": {"mode": "loadbalance", "by": "latency"}, "targets": [
        {"override_params": {"model": "@one/mock", "mock": "head_delay_ms=400"}}, {"override_params": {"model": "@two/mock"}}]});
    let slow = slow.to_string();
    // Until both were measured chance decides.
    let warm = counted(&world, &slow, &chat("any", "hi"), 12).await;
    let after = counted(&world, &slow, &chat("any", "hi"), 30).await;
    let fast = after.get("config.targets[1]").copied().unwrap_or(0);
    assert!(fast >= 25, "{warm:?}, then {after:?}");
}

#[tokio::test]
async fn a_target_that_fails_quickly_is_not_the_fastest() {
    let world = two(PRICES, PRICES).await;
    let failing = json!({"strategy": {"mode": "fallback"}, "targets": [
        {"strategy": {"mode": "loadbalance", "by": "latency"}, "targets": [
            {"override_params": {"model": "@one/mock", "mock": "status=500"}},
            {"override_params": {"model": "@two/mock", "mock": "head_delay_ms=100"}}]},
        {"override_params": {"model": "@two/other"}}]});
    let failing = failing.to_string();
    counted(&world, &failing, &chat("any", "hi"), 15).await;
    let after = counted(&world, &failing, &chat("any", "hi"), 20).await;
    let working = after.get("config.targets[0].targets[1]").copied().unwrap_or(0);
    assert!(working >= 16, "{after:?}");
}

#[tokio::test]
async fn the_cheapest_is_asked() {
    let dear = r#"prices = { "mock" = { input = 30.00, output = 150.00 } }"#;
    let world = two(dear, PRICES).await;
    let cheapest = config(json!({"mode": "loadbalance", "by": "cost"}));
    let counts = counted(&world, &cheapest, &chat("any", "hi"), 10).await;
    assert_eq!(counts, BTreeMap::from([("config.targets[1]".to_owned(), 10)]));
    // Without a price a target comes last, however cheap it may be.
    let world = two("", dear).await;
    let counts = counted(&world, &cheapest, &chat("any", "hi"), 10).await;
    assert_eq!(counts, BTreeMap::from([("config.targets[1]".to_owned(), 10)]));
}

#[tokio::test]
async fn the_least_busy_is_asked() {
    let world = two(PRICES, PRICES).await;
    let long = chat("@one/mock", "[[head_delay_ms=3000]] long");
    let running: Vec<_> = (0..4).map(|_| tokio::spawn(world.client.chat(&long).send())).collect();
    wait::until("the long requests", || (world.mock.find("long").len() == 4).then_some(())).await;
    let idle = config(json!({"mode": "loadbalance", "by": "leastBusy"}));
    let counts = counted(&world, &idle, &chat("any", "hi"), 10).await;
    assert_eq!(counts, BTreeMap::from([("config.targets[1]".to_owned(), 10)]));
    for one in running {
        one.abort();
    }
}

#[tokio::test]
async fn priority_spills_over_when_the_first_is_full_and_comes_back() {
    let limited = format!("{PRICES}\nlimits = [ {{ concurrent = 2 }} ]");
    let world = two(&limited, PRICES).await;
    let priority = config(json!({"mode": "priority"}));
    let long = chat_stream("any", "[[chunks=3&delay_ms=1500]] long");
    let targets = join_all((0..6).map(|_| target(&world, &priority, &long, json!({})))).await;
    let first = targets.iter().filter(|target| *target == "config.targets[0]").count();
    assert_eq!(first, 2, "{targets:?}");
    wait::until_async("the first to have room again", || async {
        let found = target(&world, &priority, &chat("any", "hi"), json!({})).await;
        (found == "config.targets[0]").then_some(())
    })
    .await;
}

#[tokio::test]
async fn priority_spills_over_rate_limits_and_not_over_the_vendors_errors() {
    let limited = format!("{PRICES}\nlimits = [ {{ requests = 2, per = \"hour\" }} ]");
    let world = two(&limited, PRICES).await;
    let priority = config(json!({"mode": "priority"}));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(target(&world, &priority, &chat("any", "hi"), json!({})).await);
    }
    let (one, two) = ("config.targets[0]", "config.targets[1]");
    assert_eq!(seen, [one, one, two, two]);

    let world = self::two(PRICES, PRICES).await;
    let fails = chat("any", "[[status=429]] hi");
    let answer = world.client.chat(&fails).header("x-portkey-config", &priority).send().await;
    assert_eq!((answer.status, answer.header("x-portkey-last-used-option-index")), (429, one));
    let listed = config(json!({"mode": "priority", "on_status_codes": [429]}));
    let answer = world.client.chat(&fails).header("x-portkey-config", &listed).send().await;
    assert_eq!((answer.status, answer.header("x-portkey-last-used-option-index")), (429, two));
}

#[tokio::test]
async fn equal_priorities_share_by_weight() {
    let world = two(PRICES, PRICES).await;
    let target = |model: &str, weight: u32| json!({"override_params": {"model": model}, "priority": 1, "weight": weight});
    let shared = json!({"strategy": {"mode": "priority"}, "targets": [target("@one/mock", 0), target("@two/mock", 2)]});
    let counts = counted(&world, &shared.to_string(), &chat("any", "hi"), 10).await;
    assert_eq!(counts, BTreeMap::from([("config.targets[1]".to_owned(), 10)]));
}
