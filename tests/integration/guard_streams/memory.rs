//! What guards hold back is bounded, and goes with the client.

use std::time::Duration;

use serde_json::json;
use tidegate_tests::mock::plan::{Kind, Plan};
use tidegate_tests::wait;

use super::corpus::harmless;
use super::wire::{Ask, CHAT, CHAT_OVER_ANTHROPIC, MESSAGES, all, world, world_like};
use crate::support::World;

const MEGABYTE: u64 = 1 << 20;
const APART: Duration = Duration::from_millis(25);

#[tokio::test]
async fn clients_that_leave_a_guarded_stream_leave_no_hold_and_no_memory() {
    const CLIENTS: usize = 120;
    const PAYING: &str = "tg-paying-key-of-the-tests-0123456789";
    let World { mock, gateway, .. } =
        &world_like(|settings| settings.key("paying", PAYING, "budget = { usd = 1000.0 }")).await;
    let client = &gateway.with_key(PAYING);
    let turn = |turn: usize| async move {
        let streams = (0..CLIENTS).map(|number| async move {
            let pair = [CHAT, MESSAGES, CHAT_OVER_ANTHROPIC][number % 3];
            let guards = json!([{ "pii.redact": {}, "secrets.redact": {} }]);
            let ask = Ask { client, mock, pair, guards };
            let mut plan = Plan::new().say(Kind::Text, &harmless(600));
            for _ in 0..200 {
                plan = plan.then(Kind::Text, &harmless(2_000), Duration::from_millis(100));
            }
            let directives = mock.plan(plan);
            let mut answer = ask.request(&directives, 1, true).send().await;
            assert_eq!(answer.status, 200);
            assert!(answer.next_bytes().await.is_some(), "turn {turn}");
            if number % 2 == 0 {
                tokio::time::sleep(APART * (number as u32 % 9)).await;
            }
            answer.hang_up();
            let record = mock.find(&format!("{directives}]]")).pop().expect("asked");
            wait::until("upstream to be let go", || record.client_closed_at()).await;
        });
        all(streams).await;
    };
    turn(0).await;
    gateway.settled_budget("paying").await;
    let before = gateway.resident_bytes();
    for number in 1..3 {
        turn(number).await;
    }
    gateway.settled_budget("paying").await;
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 24 * MEGABYTE, "the gateway grew by {grown} bytes over two turns of {CLIENTS} clients");
}

#[tokio::test]
async fn a_large_answer_through_windows_is_never_in_memory() {
    let World { mock, client, gateway } = &world().await;
    let guards = json!([{ "secrets.redact": {} }]);
    let ask = Ask { client, mock, pair: CHAT, guards };
    // Warm: what a first large answer allocates for good is not this one's fault.
    ask.request("chunks=20&pad=100000", 1, true).send().await.bytes().await;
    // An unoptimized gateway takes 40 seconds of a processor for all of it; what it shows, a part shows too.
    let pieces = if cfg!(debug_assertions) { 300 } else { 2_000 };
    let before = gateway.resident_bytes();
    let mut answer = ask.request(&format!("chunks={pieces}&pad=100000"), 1, true).send().await;
    assert_eq!(answer.status, 200);
    let (mut bytes, mut most) = (0_u64, 0);
    let mut next_look = 0;
    while let Some(piece) = answer.next_bytes().await {
        bytes += piece.len() as u64;
        if bytes >= next_look {
            most = most.max(gateway.resident_bytes());
            next_look = bytes + 2 * MEGABYTE;
        }
    }
    assert!(!answer.was_cut());
    assert!(bytes > pieces * 100_000, "{bytes} bytes arrived");
    let grown = most.saturating_sub(before);
    println!("{bytes} bytes through a guard: {} MiB more at most", grown / MEGABYTE);
    assert!(grown < 24 * MEGABYTE, "the gateway grew by {grown} bytes");
}

#[tokio::test]
async fn a_guard_that_wants_everything_ends_an_answer_over_its_bound() {
    let World { mock, client, gateway } = &world().await;
    for (number, pair) in [CHAT, MESSAGES, CHAT_OVER_ANTHROPIC].into_iter().enumerate() {
        let guards = json!([{ "default.wordCount": { "minWords": 1, "maxWords": 9000 }, "deny": true }]);
        let ask = Ask { client, mock, pair, guards };
        let answer = ask.request("chunks=20&pad=1000", 1, true).send().await;
        assert_eq!(
            answer.header("x-tidegate-guardrail-stream"),
            "held",
            "the client is told that nothing streams"
        );
        drop(answer);
        let before = gateway.resident_bytes();
        // 100 MB; the bound is 16 MiB.
        let mark = format!("over{number}");
        let directives = format!("chunks=1000&pad=100000&say={mark}");
        let mut answer = ask.request(&directives, 1, true).send().await;
        assert!(answer.status >= 400, "{pair:?}: {}", answer.status);
        let error = answer.json().await;
        assert!(error["error"]["message"].is_string(), "{pair:?}: {error}");
        let record = mock.find(&format!("say={mark}]]")).pop().expect("asked");
        wait::until("upstream to be let go", || record.client_closed_at()).await;
        assert!(record.bytes_sent() < 40 * MEGABYTE, "{pair:?}: {} bytes were taken", record.bytes_sent());
        let grown = gateway.resident_bytes().saturating_sub(before);
        assert!(grown < 64 * MEGABYTE, "{pair:?}: the gateway grew by {grown} bytes");
    }
}

/// Below the bound, a held answer comes whole.
#[tokio::test]
async fn a_guard_that_wants_everything_lets_an_answer_within_its_bound_through() {
    let World { mock, client, gateway: _gateway } = &world().await;
    for pair in [CHAT, MESSAGES] {
        let guards = json!([{ "default.wordCount": { "minWords": 1, "maxWords": 9000 }, "deny": true }]);
        let ask = Ask { client, mock, pair, guards };
        let text = harmless(3_000);
        let mut plan = Plan::new();
        for word in text.split_inclusive(' ') {
            plan = plan.say(Kind::Text, word);
        }
        let heard = ask.stream(plan.clone()).await;
        assert_eq!((heard.status, heard.text(Kind::Text)), (200, text.as_str()), "{pair:?}");
        assert!(heard.ended && heard.error.is_none(), "{pair:?}: {}", heard.raw);
        let guards = json!([{ "default.wordCount": { "minWords": 1, "maxWords": 20 }, "deny": true }]);
        let heard = Ask { client, mock, pair, guards }.stream(plan).await;
        assert_eq!(heard.status, 446, "{pair:?}: {}", heard.raw);
        assert!(heard.texts.is_empty(), "{pair:?}: {}", heard.raw);
    }
}
