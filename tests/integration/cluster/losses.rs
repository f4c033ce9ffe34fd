//! Redis is stopped and started: limits that are open on store loss let in and count, the others refuse.

use std::time::Duration;

use tidegate_tests::{Gateway, wait};

use super::servers::Redis;
use super::{Cluster, stream};
use crate::support::{KEY, OUTPUT_NANO, chat};

const CLOSED: &str = "tg-closed-budget-0123456789abcdef";
const OPEN_RATE: &str = "tg-open-rate-limit-0123456789abc";
const CLOSED_RATE: &str = "tg-closed-rate-limit-0123456789a";
/// What the open budget may spend, in nano-dollars: less than three streams of 100 tokens.
const LIMIT: i64 = 4_000_000;

async fn status(node: &Gateway, key: &str) -> (u16, String) {
    let mut answer = node.with_key(key).chat(&chat("@openai-prod/mock", "hi")).send().await;
    let retry_after = answer.header("retry-after").to_owned();
    let _body = answer.bytes().await;
    (answer.status, retry_after)
}

async fn until_status(node: &Gateway, key: &str, expected: u16) {
    wait::until_async("an answer of that status", || async {
        (status(node, key).await.0 == expected).then_some(())
    })
    .await;
}

fn spent_of(cluster: &Cluster, key: &str) -> i64 {
    let rows = cluster.nodes[0].logs();
    rows.iter().filter(|row| row["key_name"] == key).filter_map(|row| row["cost_nano_usd"].as_i64()).sum()
}

async fn seen_by(node: &Gateway, name: &str) -> i64 {
    let state = node.state().await;
    let budgets = state["budgets"].as_array().expect("budgets");
    let budget = budgets.iter().find(|budget| budget["name"] == name).expect("the budget");
    budget["spent"].as_i64().expect("an integer")
}

#[tokio::test]
async fn without_redis_open_limits_let_in_and_count_and_closed_ones_refuse() {
    let mut cluster = Cluster::start(2, Redis::start(true), |settings| {
        settings
            .toml("[ledger]\ndurability = \"each\"")
            .key("open", KEY, "budget = { usd = 0.004, on_store_loss = \"open\" }")
            .key("closed", CLOSED, "budget = { usd = 1 }")
            .key(
                "open-rate",
                OPEN_RATE,
                "limits = [ { requests = 5, per = \"hour\", on_store_loss = \"open\" } ]",
            )
            .key("closed-rate", CLOSED_RATE, "limits = [ { requests = 100, per = \"hour\" } ]")
    })
    .await;
    for node in &cluster.nodes {
        until_status(node, CLOSED, 200).await;
        assert_eq!(status(node, CLOSED_RATE).await.0, 200);
        // Awake, it knows no more of what others spend than Redis says.
        until_status(node, KEY, 200).await;
    }
    cluster.redis.stop();
    for node in &cluster.nodes {
        until_status(node, CLOSED, 503).await;
    }

    // Each node lets in what it would by itself: less than three streams.
    let mut words = 0;
    for node in &cluster.nodes {
        let mut refused = false;
        for number in 0..4 {
            let text = format!("[[chunks=100&delay_ms=1]] stream {number}.");
            let end = stream(node.with_key(KEY), text).await;
            assert!([200, 412].contains(&end.status), "{end:?}");
            refused |= end.status == 412;
            words += end.words;
        }
        assert!(refused, "a node lets in no more than the limit by itself");
        let (code, retry_after) = status(node, CLOSED).await;
        assert_eq!((code, retry_after.is_empty()), (503, false));
        assert_eq!(status(node, CLOSED_RATE).await.0, 503);
        let shared = node.state().await["shared"].clone();
        assert_eq!(shared["lost"], true);
        assert!(shared["unchecked"].as_u64().expect("a count") > 0, "{shared}");
    }
    assert!(words * OUTPUT_NANO > LIMIT, "{words} words: the budget is above its limit by what was let in");
    let first = &cluster.nodes[0];
    for _ in 0..3 {
        assert_eq!(status(first, OPEN_RATE).await.0, 200);
    }

    cluster.redis.go_on();
    for node in &cluster.nodes {
        until_status(node, CLOSED, 200).await;
    }
    let spent = spent_of(&cluster, "open");
    assert!(spent > LIMIT, "{spent} logged");
    for node in &cluster.nodes {
        until_status(node, KEY, 412).await;
        wait::until_async("what was let in to be known to all", || async {
            let _refused = status(node, KEY).await;
            (seen_by(node, "open").await == spent).then_some(())
        })
        .await;
    }
    assert_eq!(spent_of(&cluster, "open"), spent, "nothing more is let in");

    // Three of five were let in, this is the fourth, and the shared bucket hears of all.
    assert_eq!(status(&cluster.nodes[0], OPEN_RATE).await.0, 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(status(&cluster.nodes[1], OPEN_RATE).await.0, 200);
    assert_eq!(status(&cluster.nodes[1], OPEN_RATE).await.0, 429);
}
