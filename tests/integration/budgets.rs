//! A budget is never overspent: by streams in parallel, by whole calls, by `kill -9`.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tidegate_tests::{Client, Gateway, Mock, gateway, sse, wait};

use crate::support::{KEY, OUTPUT_NANO, World, chat, chat_stream, openai_error, providers, world_with};

const DOLLAR: i64 = 1_000_000_000;

/// How one stream of many ended.
#[derive(Debug, Default)]
struct End {
    refused: bool,
    over_budget: bool,
    done: bool,
    broken: bool,
    words: i64,
}

async fn one_stream(client: Client, text: String, trace_id: String) -> End {
    let request =
        client.chat(&chat_stream("@openai-prod/mock", &text)).header("x-portkey-trace-id", trace_id);
    let Ok(mut answer) = request.try_send().await else {
        return End { broken: true, ..End::default() };
    };
    if answer.status != 200 {
        let status = answer.status;
        let body = answer.json().await;
        assert_eq!(status, 412, "{body}");
        openai_error(&body);
        return End { refused: true, ..End::default() };
    }
    let events = answer.events().await;
    let error = sse::error(&events);
    let typed = |error: &Value| error["type"] == "budget_exceeded" || error["code"] == "budget_exceeded";
    if let Some(error) = &error {
        assert!(typed(error), "another error: {error}");
    }
    End {
        over_budget: error.is_some(),
        done: events.last().is_some_and(sse::Event::is_done),
        broken: answer.was_cut(),
        words: sse::chat_text(&events).split_whitespace().count() as i64,
        ..End::default()
    }
}

/// Starts many streams at once. Each upstream answer is 100 tokens, so that 1,000 of them cost $1.50.
fn start_streams(client: &Client, count: usize, delay_ms: u64) -> Vec<tokio::task::JoinHandle<End>> {
    let streams = (0..count).map(|number| {
        let text = format!("[[chunks=100&delay_ms={delay_ms}]] stream {number}.");
        tokio::spawn(one_stream(client.clone(), text, format!("load-{number}")))
    });
    streams.collect()
}

async fn one_dollar(more: &str) -> World {
    let mock = Mock::start();
    let settings = providers(&mock).key("paying", KEY, "budget = { usd = 1.00 }").toml(more);
    world_with(mock, settings).await
}

#[tokio::test]
async fn a_thousand_streams_never_spend_more_than_the_budget() {
    let World { mock, gateway, client } = one_dollar("").await;
    let mut ends = Vec::new();
    for stream in start_streams(&client, 1000, 10) {
        ends.push(wait::within("a stream to end", stream).await.expect("a stream"));
    }
    let count = |which: fn(&End) -> bool| ends.iter().filter(|end| which(end)).count();
    let refused = count(|end| end.refused);
    let cut = count(|end| end.over_budget);
    let done = count(|end| end.done && !end.over_budget);
    assert_eq!(count(|end| end.broken), 0, "no connection is cut");
    assert_eq!(
        refused + cut + done,
        1000,
        "every stream has an end: {refused} refused, {cut} cut, {done} done"
    );
    assert!(cut > 0, "some streams are ended by the budget: {refused} refused, {cut} cut, {done} done");

    let budget = gateway.settled_budget("paying").await;
    let spent = budget["spent"].as_i64().expect("an integer");
    assert_eq!(budget["limit"].as_i64(), Some(DOLLAR));
    assert!(spent <= DOLLAR, "overspent: {budget}");
    assert!(spent > DOLLAR / 2, "most of the budget can be used: {budget}");
    let words: i64 = ends.iter().map(|end| end.words).sum();
    assert!(words * OUTPUT_NANO <= DOLLAR, "{words} tokens were given out for {spent}");

    let logged: i64 = gateway.logs().iter().map(cost).sum();
    assert_eq!(logged, spent, "the request log and the budget agree");
    assert!(mock.requests().len() <= 1000 - refused);
}

/// The cost of a log row in nano-dollars.
fn cost(row: &Value) -> i64 {
    let cost = row["cost_nano_usd"].as_i64();
    cost.unwrap_or_else(|| panic!("no cost in nano-dollars in {row}"))
}

#[tokio::test]
async fn whole_calls_are_refused_with_412_when_the_budget_is_used_up() {
    let World { mock, gateway, client } = one_dollar("").await;
    // Each reports 5,000 tokens of output, 7.5 cents: 13 fit.
    let calls: Vec<_> = (0..40)
        .map(|number| {
            let mut body =
                chat("@openai-prod/mock", &format!("[[chunks=5000&head_delay_ms=20]] whole {number}"));
            body["max_tokens"] = 5000.into();
            tokio::spawn(client.chat(&body).send())
        })
        .collect();
    let mut statuses = Vec::new();
    for call in calls {
        let mut answer = call.await.expect("a call");
        let body = answer.json().await;
        if answer.status == 412 {
            openai_error(&body);
        }
        statuses.push(answer.status);
    }
    let ok = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 412).count();
    assert_eq!(ok + refused, 40, "{statuses:?}");
    assert!((1..=13).contains(&ok), "{ok} calls of 7.5 cents fit into a dollar");
    assert_eq!(mock.requests().len(), ok, "a refused call never reaches upstream");
    let budget = gateway.settled_budget("paying").await;
    assert!(budget["spent"].as_i64().is_some_and(|spent| spent <= DOLLAR), "{budget}");
}

#[tokio::test]
async fn a_call_without_max_tokens_is_capped_at_what_the_budget_affords() {
    let mock = Mock::start();
    let settings = providers(&mock).key("paying", KEY, "budget = { usd = 0.0015 }");
    let World { mock, gateway, client } = world_with(mock, settings).await;
    // A dollar-fifty per hundred thousand tokens: 100 tokens of output and not one more.
    let mut answer = client.chat(&chat("@openai-prod/mock", "[[chunks=5000]] capped")).send().await;
    let body = answer.json().await;
    if answer.status == 200 {
        let asked = mock.request_with("capped").body_json();
        let cap = asked["max_completion_tokens"].as_u64().or(asked["max_tokens"].as_u64());
        assert!(cap.is_some_and(|cap| cap <= 100), "upstream is told what is affordable: {asked}");
    } else {
        assert_eq!(answer.status, 412, "{body}");
    }
    let budget = gateway.settled_budget("paying").await;
    assert!(budget["spent"].as_i64().is_some_and(|spent| spent <= 1_500_000), "{budget}");
}

#[tokio::test]
async fn an_upstream_that_fails_costs_nothing() {
    let world = one_dollar("").await;
    let World { gateway, client, .. } = &world;
    for fault in ["status=500", "status=429", "error_first"] {
        client.chat(&chat_stream("@openai-prod/mock", &format!("[[{fault}]]"))).send().await;
        client.chat(&chat("@openai-prod/mock", "[[status=503]]")).send().await;
    }
    let budget = gateway.settled_budget("paying").await;
    assert_eq!(budget["spent"].as_i64(), Some(0), "{budget}");
}

#[tokio::test]
async fn spend_is_exact_when_upstream_reports_it() {
    let world = one_dollar("").await;
    let World { gateway, client, .. } = &world;
    let body = chat_stream("@openai-prod/mock", "[[chunks=10&input=100]] exact");
    client.chat(&body).send().await.events().await;
    client.chat(&chat("@openai-prod/mock", "[[chunks=20&input=200]] exact")).send().await.expect(200).await;
    let budget = gateway.settled_budget("paying").await;
    assert_eq!(budget["spent"].as_i64(), Some(300 * 3_000 + 30 * 15_000), "{budget}");
}

#[tokio::test]
async fn an_unpriced_model_is_refused_on_a_key_with_a_budget() {
    let world = one_dollar("").await;
    let World { mock, client, .. } = &world;
    let mut answer = client.chat(&chat("@openai-prod/mock-unpriced", "hi")).send().await;
    let said = openai_error(&answer.json().await);
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert!(said.contains("price"), "it says why: {said}");
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn kill_9_loses_nothing_that_upstream_was_asked_to_do() {
    let mut world = one_dollar("[ledger]\ndurability = \"each\"").await;
    let World { mock, gateway, client } = &mut world;
    let streams = start_streams(client, 300, 25);
    wait::until("a load of running streams", || {
        let running = mock.requests().iter().filter(|record| record.chunks_sent() >= 5).count();
        (running >= 100).then_some(())
    })
    .await;
    gateway.kill();
    for stream in streams {
        wait::within("a stream to end", stream).await.expect("a stream");
    }
    gateway.restart().await;

    let asked: HashSet<String> =
        mock.requests().iter().filter_map(|record| number_of(&record.body_text())).collect();
    assert!(asked.len() >= 100);
    let logged: HashSet<String> =
        gateway.logs().iter().filter_map(|row| row["trace_id"].as_str().map(str::to_owned)).collect();
    let missing: Vec<&String> = asked.iter().filter(|trace_id| !logged.contains(*trace_id)).collect();
    assert!(
        missing.is_empty(),
        "{} of {} requests are not in the ledger: {missing:?}",
        missing.len(),
        asked.len()
    );

    let pieces: i64 = mock.requests().iter().map(|record| record.chunks_sent() as i64).sum();
    let budget = listed_budget(gateway);
    let spent = budget["spent"].as_i64().expect("an integer");
    assert!(spent >= pieces * OUTPUT_NANO, "upstream made {pieces} tokens, the ledger says {budget}");
    assert!(spent <= DOLLAR, "{budget}");
    assert_eq!(budget["held"].as_i64(), Some(0), "open holds are settled at start: {budget}");
    let live = gateway.budget("paying").await;
    assert_eq!(live["spent"], budget["spent"], "the running gateway says the same");
}

fn number_of(body: &str) -> Option<String> {
    let number = body.split("stream ").nth(1)?.split('.').next()?;
    Some(format!("load-{number}"))
}

fn listed_budget(gateway: &Gateway) -> Value {
    let mut rows = gateway::rows(gateway.cli(&["budget", "list"]), &["budgets", "data", "rows"]);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

#[tokio::test]
async fn a_restart_forgets_no_spend() {
    let mut world = one_dollar("").await;
    let World { gateway, client, .. } = &mut world;
    client.chat(&chat("@openai-prod/mock", "[[chunks=20&input=200]]")).send().await.expect(200).await;
    let before = gateway.settled_budget("paying").await;
    assert!(gateway.terminate().await.success(), "a drain is a success");
    gateway.restart().await;
    let after = gateway.settled_budget("paying").await;
    assert_eq!(before["spent"], after["spent"]);
    assert_eq!(after["spent"].as_i64(), Some(200 * 3_000 + 20 * 15_000));
}

/// Whatever way a request asks for more than its key has, the vendor is not asked, or told what is affordable.
#[tokio::test]
async fn no_spelling_of_a_request_goes_around_the_budget() {
    let mock = Mock::start();
    let settings = providers(&mock).key("paying", KEY, "budget = { usd = 0.10 }");
    let world = world_with(mock, settings).await;
    let World { gateway, client, .. } = &world;
    let plain = |text: &str| {
        let mut body = chat("@openai-prod/mock", text);
        body["max_tokens"] = 1.into();
        body
    };
    let overriding = |params: Value| serde_json::json!({ "override_params": params }).to_string();
    for (params, text) in [
        (serde_json::json!({ "max_tokens": 4000 * 100 }), "[[chunks=400000]]"),
        (serde_json::json!({ "n": 128, "max_tokens": 4000 }), "[[chunks=4000]]"),
    ] {
        let request = client.chat(&plain(text)).header("x-portkey-config", overriding(params));
        assert_eq!(request.send().await.status, 412);
    }
    let mut both = plain("[[chunks=400000]]");
    both["max_completion_tokens"] = 1.into();
    both["max_tokens"] = 400_000.into();
    assert_eq!(client.chat(&both).send().await.status, 412);
    let many = serde_json::json!({
        "model": "@openai-prod/mock", "prompt": ["a", "b"], "best_of": 20, "max_tokens": 1000,
    });
    assert_eq!(client.post("/v1/completions", &many).send().await.status, 412);
    let budget = gateway.settled_budget("paying").await;
    assert_eq!(budget["spent"].as_i64(), Some(0), "{budget}");
}

#[tokio::test]
async fn a_whole_answer_without_usage_is_counted() {
    let world = one_dollar("").await;
    let World { gateway, client, .. } = &world;
    client.chat(&chat("@openai-prod/mock", "[[chunks=200&no_usage]]")).send().await.expect(200).await;
    let budget = gateway.settled_budget("paying").await;
    let spent = budget["spent"].as_i64().expect("an integer");
    assert!(spent >= 100 * OUTPUT_NANO, "{budget}");
}

#[tokio::test]
async fn leaving_a_whole_call_costs_what_the_vendor_may_have_made() {
    let World { mock, gateway, client } = one_dollar("").await;
    let body = chat("@openai-prod/mock", "[[head_delay_ms=5000]] leaves");
    let leaving = tokio::spawn(client.chat(&body).send());
    wait::until("the vendor to be asked", || mock.find("leaves").pop()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    leaving.abort();
    let spent = wait::until_async("a settlement", || async {
        let budget = gateway.settled_budget("paying").await;
        budget["spent"].as_i64().filter(|spent| *spent > 0)
    })
    .await;
    assert!((30 * OUTPUT_NANO..2_000 * OUTPUT_NANO).contains(&spent), "{spent}");
}
