//! A stream that breaks off after its first content is continued by the next target: one answer, no byte twice.

use serde_json::{Value, json};
use tidegate_tests::{Answer, Mock, sse, wait};

use super::{attempts, costs, paying, target, warmed, with};
use crate::support::{KEY, chat_stream, message};

const NAMES: [&str; 3] = ["openai-prod", "anthropic-prod", "google-prod"];
const FAULTS: [&str; 4] =
    ["close_after=2", "end_after=2", "error_after=2", "malformed_after=2&close_after=3"];

fn continuing(targets: Value) -> Value {
    json!({ "strategy": { "mode": "fallback", "continue_stream": true }, "targets": targets })
}

/// The text of a stream, and its bytes.
async fn read(answer: &mut Answer) -> (String, Vec<sse::Event>, String) {
    let raw = answer.text().await;
    let events = sse::parse(&raw);
    let text = match events.iter().any(|event| event.name == "message_start") {
        true => sse::message_text(&events),
        false => sse::chat_text(&events),
    };
    (text, events, raw)
}

#[tokio::test]
async fn every_dialect_continues_every_other_after_every_fault() {
    let prices = r#"prices = { "mock" = { input = 3.00, output = 15.00 } }"#;
    let second_mock = Mock::scripted("say=%20three%20four");
    let first_mocks = FAULTS.map(|fault| Mock::scripted(&format!("chunks=9&{fault}")));
    let mut settings = super::priced(&second_mock).key("paying", KEY, "budget = { usd = 100.00 }");
    for (number, mock) in first_mocks.iter().enumerate() {
        for (name, vendor) in NAMES.into_iter().zip(["openai", "anthropic", "google"]) {
            settings = settings.provider(&format!("{name}-{number}"), vendor, mock, prices);
        }
    }
    let world = &warmed(second_mock, settings).await;
    let mut cases = Vec::new();
    for first in NAMES {
        for second in NAMES {
            for fault in 0..FAULTS.len() {
                cases.extend([false, true].map(|anthropic| (first, second, fault, anthropic)));
            }
        }
    }
    let run = cases.iter().map(|&(first, second, fault, anthropic)| async move {
        let first = format!("{first}-{fault}");
        let trace = format!("{first} {second} {} {anthropic}", FAULTS[fault]);
        let config = continuing(json!([target(&first, ""), target(second, "")]));
        let request = match anthropic {
            true => world.client.message(&message("any", &trace, true)),
            false => world.client.chat(&chat_stream("any", &trace)),
        };
        let mut answer = with(request, &config, &trace).send().await;
        assert_eq!(answer.status, 200, "{trace}");
        assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[0]");
        let (text, events, raw) = read(&mut answer).await;
        assert_eq!(text, " one two three four", "{trace}: {raw}");
        assert!(sse::error(&events).is_none(), "{trace}: {raw}");
        let last = events.last().expect("an end");
        assert!(last.is_done() || last.name == "message_stop", "{trace}: {raw}");
        assert_eq!(raw.matches(": continued by config.targets[1]\n\n").count(), 1, "{trace}: {raw}");
        assert!(raw.matches("\"role\":\"assistant\"").count() <= 1, "{trace}: {raw}");
        let asked = world.mock.find(&trace);
        assert_eq!(asked.len(), 1, "{trace}");
        assert!(asked[0].body_text().contains(" one two"), "{trace}: {}", asked[0].body_text());
        (trace, first, second)
    });
    let run = futures_util::future::join_all(run).await;
    world.gateway.log_of(&run.last().expect("cases").0).await;
    let budget = world.gateway.settled_budget("paying").await;
    assert_eq!(budget["spent"].as_i64(), Some(costs(world)), "{budget}");
    let rows = world.gateway.logs();
    for (trace, first, second) in run {
        let row = rows.iter().find(|row| row["trace_id"] == trace).expect("a row");
        assert_eq!((&row["outcome"], &row["status"]), (&json!("ok"), &json!(200)), "{row}");
        assert_eq!(attempts(row, "continued"), [&Value::Null, &json!(true)], "{row}");
        assert_eq!(attempts(row, "provider"), [&json!(first), &json!(second)], "{row}");
    }
}

#[tokio::test]
async fn each_vendor_is_asked_to_go_on_in_its_own_way() {
    let world = paying().await;
    let mut body = chat_stream("any", "asks");
    body["max_tokens"] = 100.into();
    for second in ["anthropic-prod", "openai-prod"] {
        let config = continuing(json!([target("openai-prod", "chunks=9&close_after=2"), target(second, "")]));
        let mut answer = with(world.client.chat(&body), &config, second).send().await;
        answer.events().await;
        let asked = world.mock.find("asks").pop().expect("the second").body_json();
        let messages = asked["messages"].as_array().expect("messages");
        let own = messages.iter().find(|message| message["role"] == "assistant").expect("the text so far");
        assert!(own.to_string().contains(" one two\""), "{asked}");
        let last = messages.last().expect("a message");
        let wanted = if second == "anthropic-prod" { "assistant" } else { "user" };
        assert_eq!(last["role"], wanted, "{asked}");
        let limit = asked["max_tokens"].as_u64().expect("a limit");
        assert!((90..100).contains(&limit), "what was said is taken off: {asked}");
    }
}

/// Whatever of the end is repeated, wherever the first broke off.
#[tokio::test]
async fn no_byte_is_repeated_at_any_cut() {
    let world = paying().await;
    let words = [" one", " two", " three", " four", " five", " six", " seven", " eight"];
    for cut in 1..words.len() {
        for back in [0, 3, 8] {
            let again = words[cut.saturating_sub(back)..].concat().replace(' ', "%20");
            let trace = format!("cut {cut} {back}");
            let config = continuing(json!([
                target("openai-prod", &format!("chunks=9&close_after={cut}")),
                target("openai-prod", &format!("say={again}"))
            ]));
            let mut answer =
                with(world.client.chat(&chat_stream("any", &trace)), &config, &trace).send().await;
            let (text, _, raw) = read(&mut answer).await;
            assert_eq!(text, words.concat(), "{trace}: {raw}");
        }
    }
}

#[tokio::test]
async fn a_continuation_that_breaks_is_continued_in_turn() {
    let world = paying().await;
    let config = continuing(json!([
        target("openai-prod", "chunks=9&close_after=1"),
        target("openai-prod", "status=500"),
        target("openai-prod", "chunks=9&close_after=0"),
        target("openai-prod", "say=%20two%20three%20more&close_after=2"),
        target("openai-prod", "say=%20end")
    ]));
    let mut body = chat_stream("any", "in turn");
    body["stream_options"] = json!({ "include_usage": true });
    let mut answer = with(world.client.chat(&body), &config, "turns").send().await;
    let (text, events, raw) = read(&mut answer).await;
    assert_eq!(text, " one two end", "{raw}");
    assert!(
        raw.contains(": continued by config.targets[2], config.targets[3], config.targets[4]\n\n"),
        "{raw}"
    );
    let row = world.gateway.log_of("turns").await;
    assert_eq!(row["attempts"], 5, "{row}");
    let usage = events.iter().map(sse::Event::json).rev().find(|chunk| chunk["usage"].is_object());
    let usage = usage.expect("usage")["usage"].clone();
    // What the client is told is what all vendors together took, as far as they or the gateway counted.
    assert!(usage["completion_tokens"].as_u64() >= Some(4), "{usage}");
    assert!(usage["prompt_tokens"].as_u64() >= Some(6), "{usage}");
    world.gateway.settled_budget("paying").await;
}

#[tokio::test]
async fn when_nobody_goes_on_the_error_is_the_ordinary_one() {
    let world = paying().await;
    let config = continuing(json!([
        target("openai-prod", "chunks=9&close_after=2"),
        target("openai-prod", "status=500")
    ]));
    let mut answer = with(world.client.chat(&chat_stream("any", "hi")), &config, "ends").send().await;
    let (text, events, raw) = read(&mut answer).await;
    assert_eq!(text, " one two");
    assert!(sse::error(&events).is_some(), "{raw}");
    assert!(!events.iter().any(sse::Event::is_done), "{raw}");
    assert!(!raw.contains("continued"), "{raw}");
    let row = world.gateway.log_of("ends").await;
    assert_eq!((&row["outcome"], &row["status"]), (&json!("upstream_unreachable"), &json!(200)), "{row}");
    assert_eq!(attempts(&row, "status"), [200, 500], "{row}");
    world.gateway.settled_budget("paying").await;
}

#[tokio::test]
async fn what_no_other_vendor_could_go_on_with_is_not_continued() {
    let world = paying().await;
    let second = || target("openai-prod", "say=%20more");
    let cases: [(&str, &str, Value); 2] = [
        ("chunks=9&close_after=2", "n", json!(2)),
        ("chunks=9&close_after=2", "response_format", json!({ "type": "json_object" })),
    ];
    for (script, name, value) in cases {
        let mut body = chat_stream("any", &format!("refuses {name}"));
        body[name] = value;
        let config = continuing(json!([target("openai-prod", script), second()]));
        let mut answer = with(world.client.chat(&body), &config, name).send().await;
        let (_, events, raw) = read(&mut answer).await;
        assert!(sse::error(&events).is_some(), "{name}: {raw}");
        assert_eq!(world.mock.find(&format!("refuses {name}")).len(), 1, "{name}");
    }
    // Thoughts, and a target with other guardrails.
    let first = target("anthropic-prod", "reasoning&chunks=9&close_after=3");
    let config = continuing(json!([first, target("anthropic-prod", "")]));
    let mut answer = with(world.client.message(&message("any", "thinks", true)), &config, "a").send().await;
    let (_, events, raw) = read(&mut answer).await;
    assert!(sse::error(&events).is_some(), "{raw}");
    assert_eq!(world.mock.find("thinks").len(), 1, "{raw}");
    let mut other = second();
    other["output_guardrails"] = json!([{ "default.contains": { "words": ["zzz"], "operator": "none" } }]);
    let config = continuing(json!([target("openai-prod", "chunks=9&close_after=2"), other]));
    let mut answer = with(world.client.chat(&chat_stream("any", "guards")), &config, "b").send().await;
    let (_, events, raw) = read(&mut answer).await;
    assert!(sse::error(&events).is_some(), "{raw}");
    assert_eq!(world.mock.find("guards").len(), 1, "{raw}");
}

#[tokio::test]
async fn a_budget_that_cannot_pay_the_rest_ends_with_the_ordinary_error() {
    let mock = Mock::start();
    let dear = r#"prices = { "mock" = { input = 3000.00, output = 15000.00 } }"#;
    let settings = super::priced(&mock).provider("dear", "openai", &mock, dear).key(
        "poor",
        KEY,
        "budget = { usd = 0.05 }",
    );
    let world = warmed(mock, settings).await;
    let config = continuing(json!([target("openai-prod", "chunks=9&close_after=2"), target("dear", "")]));
    let mut answer = with(world.client.chat(&chat_stream("any", "poor")), &config, "poor").send().await;
    let (text, events, raw) = read(&mut answer).await;
    assert_eq!(text, " one two");
    assert!(sse::error(&events).is_some(), "{raw}");
    assert_eq!(world.mock.find("poor").len(), 1);
    let row = world.gateway.log_of("poor").await;
    assert_eq!(attempts(&row, "status"), [200, 412], "{row}");
    assert_eq!(row["outcome"], "upstream_unreachable", "{row}");
    let budget = world.gateway.settled_budget("poor").await;
    assert_eq!(budget["spent"], row["cost_nano_usd"], "{budget}");
}

#[tokio::test]
async fn a_client_that_leaves_while_a_stream_is_continued_ends_both() {
    let world = paying().await;
    let config = continuing(json!([
        target("openai-prod", "chunks=9&close_after=2"),
        target("openai-prod", "head_delay_ms=60000")
    ]));
    let mut answer = with(world.client.chat(&chat_stream("any", "leaves")), &config, "left").send().await;
    let second = wait::until("the second to be asked", || world.mock.find("leaves").get(1).cloned()).await;
    let _ = answer.next_event().await;
    answer.hang_up();
    wait::until("the second to be let go", || second.client_closed_at()).await;
    let row = world.gateway.log_of("left").await;
    assert_eq!((&row["outcome"], row["attempts"].as_u64()), (&json!("client_gone"), Some(2)), "{row}");
    let budget = world.gateway.settled_budget("paying").await;
    assert_eq!(budget["spent"], row["cost_nano_usd"], "{budget}");
}

/// Without the option nothing changes, and a stream that does not break is the vendor's own text.
#[tokio::test]
async fn a_stream_that_does_not_break_is_whole_and_unmarked() {
    let world = paying().await;
    let config = continuing(json!([target("openai-prod", ""), target("google-prod", "")]));
    let mut answer = with(world.client.chat(&chat_stream("any", "calm water")), &config, "calm").send().await;
    let (text, events, raw) = read(&mut answer).await;
    assert_eq!(text, "echo: calm water");
    assert!(events.last().is_some_and(sse::Event::is_done) && !raw.contains("continued"), "{raw}");
}
