//! Streams: recorded while they pass, replayed byte for byte, and never half.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_tests::{Answer, Mock, Request, wait};

use super::{config, gateway, simple, status};
use crate::support::{KEY, World, chat_stream, message, providers, world_with};

/// Questions of every dialect, each to a vendor of the same one and of another.
fn questions(directives: &str) -> Vec<(&'static str, Value)> {
    let text = format!("[[{directives}]] tell me");
    let chat = |model: &str| {
        let mut body = chat_stream(model, &text);
        body["stream_options"] = json!({"include_usage": true});
        body
    };
    let respond = |model: &str| json!({"model": model, "input": text, "stream": true});
    vec![
        ("/v1/chat/completions", chat("@openai-prod/mock")),
        ("/v1/chat/completions", chat("@anthropic-prod/mock")),
        ("/v1/messages", message("@anthropic-prod/mock", &text, true)),
        ("/v1/messages", message("@openai-prod/mock", &text, true)),
        ("/v1/responses", respond("@openai-prod/mock")),
        ("/v1/responses", respond("@google-prod/mock")),
        ("/v1/completions", json!({"model": "@openai-prod/mock", "prompt": text, "stream": true})),
    ]
}

fn post(world: &World, (path, body): &(&str, Value), config: &str) -> Request {
    world.client.post(path, body).header("x-portkey-config", config).header("anthropic-version", "2023-06-01")
}

/// Reads a stream to its end. Returns its bytes and how long it took from its first ones.
async fn read(answer: &mut Answer) -> (Vec<u8>, Duration) {
    let mut bytes = Vec::new();
    let mut first = None;
    while let Some(more) = answer.next_bytes().await {
        first.get_or_insert_with(Instant::now);
        bytes.extend_from_slice(&more);
    }
    assert!(!answer.was_cut());
    (bytes, first.map(|at| at.elapsed()).unwrap_or_default())
}

#[tokio::test]
async fn a_replayed_stream_equals_the_recorded_one_byte_for_byte() {
    let world = gateway("").await;
    for question in questions("chunks=40&split=17") {
        let mut heard = Vec::new();
        for wanted in ["MISS", "HIT", "HIT"] {
            let mut answer = post(&world, &question, &simple()).send().await;
            assert_eq!((answer.status, status(&answer)), (200, wanted), "{question:?}");
            assert!(answer.header("content-type").starts_with("text/event-stream"), "{question:?}");
            heard.push(read(&mut answer).await.0);
        }
        assert!(heard[0].len() > 1_000, "{question:?}");
        assert_eq!(String::from_utf8_lossy(&heard[0]), String::from_utf8_lossy(&heard[1]), "{question:?}");
        assert_eq!(heard[0], heard[2], "{question:?}");
    }
    let asked = world.mock.requests().len();
    assert_eq!(asked, questions("").len(), "every stream was asked for once");
}

#[tokio::test]
async fn a_stream_is_replayed_at_once_or_as_it_was_heard() {
    let world = gateway("").await;
    let natural = config(json!({"mode": "simple", "replay": "natural"}));
    for question in questions("chunks=11&delay_ms=60") {
        let mut answer = post(&world, &question, &simple()).send().await;
        let (recorded, _) = read(&mut answer).await;
        assert_eq!(status(&answer), "MISS");
        let mut answer = post(&world, &question, &simple()).send().await;
        let (replayed, at_once) = read(&mut answer).await;
        assert_eq!((status(&answer), &replayed), ("HIT", &recorded), "{question:?}");
        let mut answer = post(&world, &question, &natural).send().await;
        let (replayed, paced) = read(&mut answer).await;
        assert_eq!((status(&answer), &replayed), ("HIT", &recorded), "{question:?}");
        // Ten pauses of 60 ms were recorded.
        assert!(paced >= Duration::from_millis(450), "{paced:?} {question:?}");
        assert!(at_once < paced / 2, "{at_once:?} of {paced:?} {question:?}");
    }
}

#[tokio::test]
async fn streams_and_whole_answers_are_apart() {
    let world = gateway("").await;
    let mut body = chat_stream("@openai-prod/mock", "both");
    let send = |body: &Value| world.client.chat(body).header("x-portkey-config", simple()).send();
    assert_eq!(status(&send(&body).await), "MISS");
    body["stream"] = false.into();
    let mut whole = send(&body).await;
    assert_eq!(status(&whole), "MISS");
    assert!(whole.json().await["choices"][0]["message"].is_object());
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_no_entry() {
    let world = gateway("").await;
    let body = chat_stream("@openai-prod/mock", "[[chunks=30&delay_ms=50]] leaves");
    let send = || world.client.chat(&body).header("x-portkey-config", simple()).send();
    let mut answer = send().await;
    assert_eq!(status(&answer), "MISS");
    for _ in 0..3 {
        answer.next_event().await.expect("an event");
    }
    answer.hang_up();
    let record = world.mock.request_with("leaves");
    wait::until("the vendor to be stopped", || record.client_closed_at()).await;
    assert_eq!(world.gateway.state().await["cache"]["entries"], 0);
    assert_eq!(world.gateway.state().await["cache"]["recording_bytes"], 0);
    let answer = send().await;
    assert_eq!(status(&answer), "MISS");
}

#[tokio::test]
async fn a_broken_stream_leaves_no_entry() {
    let world = gateway("").await;
    for fault in ["close_after=3", "end_after=3", "error_after=3", "malformed_after=3"] {
        for question in questions(&format!("chunks=9&{fault}")) {
            for _ in 0..2 {
                let mut answer = post(&world, &question, &simple()).send().await;
                assert_eq!(status(&answer), "MISS", "{fault} {question:?}");
                answer.bytes().await;
            }
        }
        assert_eq!(world.gateway.state().await["cache"]["recording_bytes"], 0, "{fault}");
    }
    let cache = world.gateway.state().await["cache"].clone();
    assert_eq!(cache["hits"], 0, "{cache}");
}

#[tokio::test]
async fn a_stream_that_a_budget_ends_leaves_no_entry() {
    let mock = Mock::start();
    let settings = providers(&mock).key("poor", KEY, "budget = { usd = 0.002 }");
    let world = world_with(mock, settings).await;
    let body = chat_stream("@openai-prod/mock", "[[chunks=400&delay_ms=1]] too long");
    let request = || world.client.chat(&body).header("x-portkey-config", simple());
    let mut answer = request().send().await;
    let text = answer.text().await;
    assert!(text.contains("Budget exceeded"), "{text}");
    assert_eq!(world.gateway.state().await["cache"]["entries"], 0);
}

#[tokio::test]
async fn a_replay_that_a_client_leaves_is_logged_and_lets_go() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "limits = [{ concurrent = 1 }]");
    let world = world_with(mock, settings).await;
    let body = chat_stream("@openai-prod/mock", "[[chunks=30&delay_ms=40]] slow");
    let natural = config(json!({"mode": "simple", "replay": "natural"}));
    let send = |trace: &'static str| {
        let request = world.client.chat(&body).header("x-portkey-config", &natural);
        request.header("x-portkey-trace-id", trace).send()
    };
    send("recorded").await.bytes().await;
    wait::until_async("the first to end", || async {
        let state = world.gateway.state().await;
        (!state.to_string().contains("\"in_flight\":1")).then_some(())
    })
    .await;
    let mut left = send("left").await;
    assert_eq!(status(&left), "HIT");
    left.next_event().await.expect("an event");
    left.hang_up();
    let row = world.gateway.log_of("left").await;
    assert_eq!((&row["outcome"], &row["cache"]), (&json!("client_gone"), &json!("HIT")), "{row}");
    let mut whole = send("stayed").await;
    assert_eq!((whole.status, status(&whole)), (200, "HIT"), "the place of the one that left is free");
    whole.bytes().await;
    let row = world.gateway.log_of("stayed").await;
    assert_eq!((&row["outcome"], &row["stream"]), (&json!("ok"), &json!(true)), "{row}");
}
