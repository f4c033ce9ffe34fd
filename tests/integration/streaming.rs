//! A stream arrives whole, in the client's dialect, as soon as upstream sends it.

use std::time::Duration;

use serde_json::json;
use tidegate_tests::{Client, sse};

use crate::support::{KEY, World, chat_stream, message, world};

#[tokio::test]
async fn a_chat_stream_ends_with_done_and_hides_usage_nobody_asked_for() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    let mut answer = client.chat(&chat_stream("@openai-prod/mock", "hello you")).send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/event-stream"), "{:?}", answer.headers);
    let events = answer.events().await;
    assert!(!answer.was_cut());
    assert_eq!(sse::chat_text(&events), "echo: hello you");
    assert_eq!(sse::finish_reason(&events).as_deref(), Some("stop"));
    assert!(events.last().is_some_and(sse::Event::is_done), "{events:#?}");
    for event in &events[..events.len() - 1] {
        let chunk = event.json();
        assert!(chunk["usage"].is_null(), "usage although nobody asked: {chunk}");
        assert!(chunk["choices"].as_array().is_some_and(|choices| !choices.is_empty()), "{chunk}");
    }
    let asked = mock.request_with("hello you").body_json();
    assert_eq!(asked["model"], "mock", "the slug stays here");
    assert_eq!(asked["stream_options"]["include_usage"], true, "usage is always asked for");
}

#[tokio::test]
async fn usage_is_the_last_chunk_for_a_client_that_asks() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        let mut body = chat_stream(&format!("@{provider}/mock"), "one two three");
        body["stream_options"] = json!({ "include_usage": true });
        let events = client.chat(&body).send().await.events().await;
        let with_usage: Vec<_> =
            events.iter().map(sse::Event::json).filter(|c| c["usage"].is_object()).collect();
        assert_eq!(with_usage.len(), 1, "{provider}: {events:#?}");
        let usage = &with_usage[0]["usage"];
        assert_eq!(usage["prompt_tokens"], 3, "{provider}");
        assert_eq!(usage["completion_tokens"], 4, "{provider}");
        assert_eq!(usage["total_tokens"], 7, "{provider}");
        assert!(events.last().is_some_and(sse::Event::is_done), "{provider}: {events:#?}");
    }
}

#[tokio::test]
async fn the_same_chat_streams_from_every_dialect() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        let model = format!("@{provider}/mock");
        let mut answer = client.chat(&chat_stream(&model, "grüße 🌊 tide")).send().await;
        assert_eq!(answer.status, 200, "{provider}");
        let events = answer.events().await;
        assert_eq!(sse::chat_text(&events), "echo: grüße 🌊 tide", "{provider}: {events:#?}");
        assert_eq!(sse::finish_reason(&events).as_deref(), Some("stop"), "{provider}");
        assert!(events.last().is_some_and(sse::Event::is_done), "{provider}");

        let mut answer = client.message(&message(&model, "grüße 🌊 tide", true)).send().await;
        assert_eq!(answer.status, 200, "{provider}");
        let events = answer.events().await;
        assert_eq!(sse::message_text(&events), "echo: grüße 🌊 tide", "{provider}: {events:#?}");
        assert_eq!(events.first().map(|event| event.name.as_str()), Some("message_start"), "{provider}");
        assert_eq!(events.last().map(|event| event.name.as_str()), Some("message_stop"), "{provider}");
        assert!(!events.iter().any(sse::Event::is_done), "{provider}: Anthropic has no [DONE]");
    }
}

#[tokio::test]
async fn upstream_may_write_byte_by_byte_with_any_line_ends() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        for how in ["split=1", "split=3&crlf", "crlf&comments", "split=1&comments"] {
            if provider == "google-prod" && how.contains("crlf") {
                continue; // Google's lines end so anyway.
            }
            let body = chat_stream(&format!("@{provider}/mock"), &format!("[[{how}]] grüße 🌊 tide"));
            let mut answer = client.chat(&body).send().await;
            let events = answer.events().await;
            assert_eq!(sse::chat_text(&events), "echo: grüße 🌊 tide", "{provider} {how}: {events:#?}");
            assert!(events.last().is_some_and(sse::Event::is_done), "{provider} {how}");
        }
    }
}

#[tokio::test]
async fn a_line_of_300_kb_passes() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        let body = chat_stream(&format!("@{provider}/mock"), "[[big=300000&chunks=3]]");
        let events = client.chat(&body).send().await.events().await;
        assert_eq!(sse::chat_text(&events).len(), 300_000 + " two three".len(), "{provider}");
    }
}

#[tokio::test]
async fn an_upstream_without_done_still_gives_one() {
    let world = world().await;
    let World { client, .. } = &world;
    let body = chat_stream("@openai-prod/mock", "[[no_done]] hi");
    let events = client.chat(&body).send().await.events().await;
    assert_eq!(sse::chat_text(&events), "echo: hi");
    assert!(events.last().is_some_and(sse::Event::is_done), "finished properly, so [DONE]: {events:#?}");
}

#[tokio::test]
async fn pieces_are_not_held_back() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        // Upstream sends two pieces and then nothing: both must arrive although nothing follows.
        let body = chat_stream(&format!("@{provider}/mock"), "[[chunks=9&stall_after=2]]");
        let mut answer = client.chat(&body).send().await;
        let mut text = String::new();
        while text != " one two" {
            let event = answer.next_event().await.expect("more of the stream");
            text += &sse::chat_text(&[event]);
        }
        assert!(answer.is_silent_for(Duration::from_millis(50)).await);
    }
}

/// The added delay, not the delay: both clients ask the same upstream in the same run, in turns.
#[tokio::test]
async fn the_first_token_comes_within_5_ms_of_upstreams() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    let direct = Client::new(mock.addr()).with_key("any");
    let mut through = Vec::new();
    let mut without = Vec::new();
    for round in 0..41 {
        let text = "[[first_delay_ms=3&chunks=5&delay_ms=1]]";
        let gateway = first_token(client, "@openai-prod/mock", text).await;
        let upstream = first_token(&direct, "mock", text).await;
        if round > 0 {
            through.push(gateway);
            without.push(upstream);
        }
    }
    let added = median(&mut through).saturating_sub(median(&mut without));
    assert!(added < Duration::from_millis(5), "the gateway adds {added:?} to the first token (median of 40)");
}

async fn first_token(client: &Client, model: &str, text: &str) -> Duration {
    let mut answer = client.chat(&chat_stream(model, text)).send().await;
    loop {
        let event = answer.next_event().await.expect("a first token");
        if !sse::chat_text(&[event]).is_empty() {
            return answer.sent_at.elapsed();
        }
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn tool_calls_stream_from_every_dialect() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        let mut body = chat_stream(&format!("@{provider}/mock"), "[[tools=2]] weather?");
        let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
        let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "description": name, "parameters": parameters } });
        body["tools"] = json!([tool("weather"), tool("time")]);
        let events = client.chat(&body).send().await.events().await;
        let mut calls = vec![(String::new(), String::new(), String::new()); 2];
        for event in &events {
            for call in event.json()["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let index =
                    call["index"].as_u64().unwrap_or_else(|| panic!("{provider}: no index in {call}"));
                let known = &mut calls[index as usize];
                known.0 += call["id"].as_str().unwrap_or_default();
                known.1 += call["function"]["name"].as_str().unwrap_or_default();
                known.2 += call["function"]["arguments"].as_str().unwrap_or_default();
            }
        }
        let names: Vec<&str> = calls.iter().map(|call| call.1.as_str()).collect();
        assert_eq!(names, ["weather", "time"], "{provider}: {events:#?}");
        for (id, _, arguments) in &calls {
            assert!(!id.is_empty(), "{provider}");
            let arguments: serde_json::Value = serde_json::from_str(arguments).expect("arguments are JSON");
            assert_eq!(arguments["city"], "Paris", "{provider}");
        }
        assert_ne!(calls[0].0, calls[1].0, "{provider}: ids differ");
        assert_eq!(sse::finish_reason(&events).as_deref(), Some("tool_calls"), "{provider}");
    }
}

#[tokio::test]
async fn streams_are_neither_cached_nor_compressed_on_the_way() {
    let world = world().await;
    let World { gateway, .. } = &world;
    let client = gateway.with_key(KEY);
    let body = chat_stream("@openai-prod/mock", "hi");
    let answer = client.chat(&body).header("accept-encoding", "gzip, deflate, br").send().await;
    assert_eq!(answer.header("content-encoding"), "");
    assert!(!answer.header("x-portkey-trace-id").is_empty(), "SDKs read it: {:?}", answer.headers);
}
