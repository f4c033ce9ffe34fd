//! Three nodes, one PostgreSQL, one Redis: what holds on one node holds on all together.

mod deaths;
mod losses;
pub(crate) mod servers;
mod trace;

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::{Client, Gateway, Mock, Settings, sse, wait};

use crate::support::{KEY, OUTPUT_NANO, chat, chat_stream, providers};
use servers::{Postgres, Redis};

const DOLLAR: i64 = 1_000_000_000;
const STREAMS: usize = 1_000;

struct Cluster {
    mock: Mock,
    nodes: Vec<Gateway>,
    redis: Redis,
    _postgres: Postgres,
}

impl Cluster {
    async fn start(count: usize, redis: Redis, with: impl Fn(Settings) -> Settings) -> Self {
        let (mock, postgres) = (Mock::start(), Postgres::start());
        let mut nodes = Vec::new();
        for _ in 0..count {
            let settings = providers(&mock)
                .top(&format!("store = \"{}\"", postgres.url()))
                .top(&format!("shared = \"{}\"", redis.url()))
                .top("master_key = \"one key for all nodes of this test\"");
            nodes.push(Gateway::start(with(settings)).await);
        }
        Self { mock, nodes, redis, _postgres: postgres }
    }

    fn client(&self, number: usize) -> Client {
        self.nodes[number % self.nodes.len()].with_key(KEY)
    }

    /// Waits until a budget is shared: the first word to Redis opens nothing for a moment.
    async fn warm(&self) {
        for node in &self.nodes {
            wait::until_async("a node to be let in", || async {
                let mut answer = node.with_key(KEY).chat(&chat("@openai-prod/mock", "warm")).send().await;
                let body = answer.json().await;
                (answer.status == 200).then_some(()).or_else(|| {
                    assert_eq!(answer.status, 503, "{body}");
                    None
                })
            })
            .await;
        }
    }

    fn logged(&self) -> i64 {
        self.nodes[0].logs().iter().filter_map(|row| row["cost_nano_usd"].as_i64()).sum()
    }
}

#[derive(Debug, Default)]
struct End {
    status: u16,
    words: i64,
    broken: bool,
}

async fn stream(client: Client, text: String) -> End {
    let Ok(mut answer) = client.chat(&chat_stream("@openai-prod/mock", &text)).try_send().await else {
        return End { broken: true, ..End::default() };
    };
    if answer.status != 200 {
        let status = answer.status;
        let _body = answer.bytes().await;
        return End { status, ..End::default() };
    }
    let events = answer.events().await;
    End {
        status: 200,
        words: i64::try_from(sse::chat_text(&events).split_whitespace().count()).expect("words"),
        broken: answer.was_cut(),
    }
}

fn streams(cluster: &Cluster, delay_ms: u64) -> Vec<tokio::task::JoinHandle<End>> {
    (0..STREAMS)
        .map(|number| {
            // 100 tokens each: all of them would cost $1.50.
            let text = format!("[[chunks=100&delay_ms={delay_ms}]] stream {number}.");
            tokio::spawn(stream(cluster.client(number), text))
        })
        .collect()
}

async fn ends(streams: Vec<tokio::task::JoinHandle<End>>) -> Vec<End> {
    let mut all = Vec::new();
    for stream in streams {
        let ended = tokio::time::timeout(Duration::from_secs(90), stream).await;
        all.push(ended.expect("a stream to end").expect("a stream"));
    }
    all
}

fn words(ends: &[End]) -> i64 {
    ends.iter().map(|end| end.words).sum()
}

/// Checks how streams ended.
fn only(ends: &[End], statuses: &[u16]) {
    let others: Vec<&End> = ends.iter().filter(|end| !statuses.contains(&end.status)).collect();
    assert!(others.is_empty(), "{} ended otherwise: {:?}", others.len(), others.first());
}

fn paying(settings: Settings) -> Settings {
    settings.key("paying", KEY, "budget = { usd = 1.00 }")
}

async fn settled(cluster: &Cluster) {
    for node in &cluster.nodes {
        wait::until_async("holds to return to zero", || async {
            let state = node.state().await;
            let held = state["budgets"].as_array().expect("budgets").iter().map(|it| it["held"].as_i64());
            held.map(|held| held.expect("an integer")).all(|held| held == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn three_nodes_never_spend_more_than_one_budget() {
    let cluster = Cluster::start(3, Redis::start(true), paying).await;
    cluster.warm().await;
    let ends = ends(streams(&cluster, 5)).await;
    assert_eq!(ends.iter().filter(|end| end.broken).count(), 0, "no connection is cut");
    only(&ends, &[200, 412]);
    settled(&cluster).await;
    let (given, logged) = (words(&ends) * OUTPUT_NANO, cluster.logged());
    assert!(given <= DOLLAR && logged <= DOLLAR, "{given} given out, {logged} logged");
    assert!(logged > DOLLAR / 2, "most of the budget can be used: {logged}");
    wait::until("leases to be given back", || {
        let told = trace::follow(&cluster.redis.trace());
        (told.leased == 0 && told.changes > 100).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_bucket_of_a_policy_is_shared_by_all_nodes() {
    let cluster = Cluster::start(3, Redis::start(true), |settings| settings.key("free", KEY, "")).await;
    let policy = json!({
        "name": "all", "conditions": [{"key": "api_key", "value": "*"}], "group_by": [],
        "type": "requests", "credit_limit": 100,
    });
    cluster.nodes[0].admin().post("/v1/policies/usage-limits", &policy).send().await.expect(200).await;
    // Changes made on one node act on all within a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.warm().await;
    let calls: Vec<_> = (0..300)
        .map(|number| tokio::spawn(cluster.client(number).chat(&chat("@openai-prod/mock", "hi")).send()))
        .collect();
    let mut good = 0;
    for call in calls {
        let mut answer = call.await.expect("a call");
        let body = answer.json().await;
        match answer.status {
            200 => good += 1,
            412 => assert_eq!(body["error"]["type"], "usage_limits_policy_exhaust_error", "{body}"),
            other => panic!("{other}: {body}"),
        }
    }
    assert!(good <= 100 - 3, "{good} requests beside three to warm up");
    assert!(good >= 80, "most of the limit can be used: {good}");
    trace::follow(&cluster.redis.trace());
}

#[tokio::test]
async fn a_redis_that_forgets_in_the_middle_hands_nothing_out_twice() {
    let mut cluster = Cluster::start(3, Redis::start(false), |settings| {
        paying(settings).toml("[ledger]\ndurability = \"each\"")
    })
    .await;
    cluster.warm().await;
    let running = streams(&cluster, 30);
    tokio::time::sleep(Duration::from_millis(700)).await;
    cluster.redis.restart();
    let ends = ends(running).await;
    assert_eq!(ends.iter().filter(|end| end.broken).count(), 0, "no connection is cut");
    only(&ends, &[200, 412, 503]);
    settled(&cluster).await;
    let (given, logged) = (words(&ends) * OUTPUT_NANO, cluster.logged());
    assert!(given <= DOLLAR && logged <= DOLLAR, "{given} given out, {logged} logged");
    // Limits come back by themselves.
    wait::until_async("a request to be decided", || async {
        let mut answer = cluster.client(0).chat(&chat("@openai-prod/mock", "again")).send().await;
        let _body = answer.bytes().await;
        [200, 412].contains(&answer.status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rate_limit_holds_across_nodes() {
    let limit = "limits = [ { requests = 60, per = \"hour\" } ]";
    let cluster = Cluster::start(3, Redis::start(true), |settings| settings.key("limited", KEY, limit)).await;
    let calls: Vec<_> = (0..180)
        .map(|number| tokio::spawn(cluster.client(number).chat(&chat("@openai-prod/mock", "hi")).send()))
        .collect();
    let (mut good, mut refused) = (0, 0);
    for call in calls {
        let mut answer = call.await.expect("a call");
        let retry_after = answer.header("retry-after").to_owned();
        let body = answer.json().await;
        match answer.status {
            200 => good += 1,
            429 => {
                refused += 1;
                assert!(!retry_after.is_empty(), "{body}");
            }
            other => panic!("{other}: {body}"),
        }
    }
    assert_eq!((good, refused), (60, 120), "a limit below 64 is shared one by one");
}

#[tokio::test]
async fn a_change_on_one_node_acts_on_all_within_a_second() {
    let cluster = Cluster::start(2, Redis::start(true), |settings| settings.key("free", KEY, "")).await;
    let body =
        json!({"name": "c", "config": {"targets": [{"override_params": {"model": "@openai-prod/mock"}}]}});
    let made: Value = cluster.nodes[0].admin().post("/v1/configs", &body).send().await.expect(200).await;
    let slug = made["slug"].as_str().expect("a slug").to_owned();
    let started = std::time::Instant::now();
    wait::until_async("the config on the other node", || async {
        let request = cluster.client(1).chat(&chat("mock", "hi")).header("x-portkey-config", &slug);
        let mut answer = request.send().await;
        let _body = answer.bytes().await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}
