//! An upstream that fails is never silence, and never a false `[DONE]`.

use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_tests::{Mock, Settings, sse, wait};

use crate::support::{
    KEY, World, anthropic_error, chat, chat_stream, message, openai_error, world, world_with,
};

const PROVIDERS: [&str; 3] = ["openai-prod", "anthropic-prod", "google-prod"];

#[tokio::test]
async fn upstream_dying_in_the_middle_is_an_error_event_in_the_clients_dialect() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in PROVIDERS {
        let model = format!("@{provider}/mock");
        for fault in ["close_after=2", "error_after=2", "malformed_after=2&close_after=3", "end_after=2"] {
            let text = format!("[[chunks=9&{fault}]]");
            let mut answer = client.chat(&chat_stream(&model, &text)).send().await;
            assert_eq!(answer.status, 200, "{provider} {fault}");
            let events = answer.events().await;
            assert!(!answer.was_cut(), "{provider} {fault}: the body ends properly");
            assert!(sse::chat_text(&events).starts_with(" one two"), "{provider} {fault}: {events:#?}");
            let error =
                sse::error(&events).unwrap_or_else(|| panic!("{provider} {fault}: silence: {events:#?}"));
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
            assert!(
                !events.iter().any(sse::Event::is_done),
                "{provider} {fault}: a false [DONE]: {events:#?}"
            );
            assert_eq!(sse::finish_reason(&events), None, "{provider} {fault}: a false end: {events:#?}");

            let mut answer = client.message(&message(&model, &text, true)).send().await;
            assert_eq!(answer.status, 200, "{provider} {fault}");
            let events = answer.events().await;
            let last = events.last().unwrap_or_else(|| panic!("{provider} {fault}: silence"));
            assert_eq!(last.name, "error", "{provider} {fault}: {events:#?}");
            anthropic_error(&last.json());
            assert!(
                !events.iter().any(|event| event.name == "message_stop"),
                "{provider} {fault}: a false end"
            );
        }
    }
}

#[tokio::test]
async fn an_error_before_content_is_an_ordinary_error() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in PROVIDERS {
        let model = format!("@{provider}/mock");
        for fault in ["error_first", "close_after=0", "end_after=0"] {
            let text = format!("[[chunks=9&{fault}]]");
            let mut answer = client.chat(&chat_stream(&model, &text)).send().await;
            assert!(answer.status >= 500, "{provider} {fault}: {}", answer.status);
            assert!(answer.header("content-type").starts_with("application/json"), "{provider} {fault}");
            openai_error(&answer.json().await);

            let mut answer = client.message(&message(&model, &text, true)).send().await;
            assert!(answer.status >= 500, "{provider} {fault}: {}", answer.status);
            anthropic_error(&answer.json().await);
        }
    }
}

#[tokio::test]
async fn a_status_of_upstream_is_kept() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in PROVIDERS {
        let model = format!("@{provider}/mock");
        for status in [400, 401, 403, 404, 413, 422, 429, 500, 503] {
            for stream in [false, true] {
                let text = format!("[[status={status}&retry_after=7]]");
                let body = if stream { chat_stream(&model, &text) } else { chat(&model, &text) };
                let mut answer = client.chat(&body).send().await;
                assert_eq!(answer.status, status, "{provider}");
                assert_eq!(answer.header("retry-after"), "7", "{provider} {status}");
                let said = openai_error(&answer.json().await);
                assert!(
                    said.contains(&format!("answers {status}")),
                    "{provider}: upstream's words are kept: {said}"
                );

                let mut answer = client.message(&message(&model, &text, stream)).send().await;
                assert_eq!(answer.status, status, "{provider}");
                let said = anthropic_error(&answer.json().await);
                assert!(said.contains(&format!("answers {status}")), "{provider}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn an_error_without_json_is_still_a_sentence() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in PROVIDERS {
        for body in ["html", "empty"] {
            let text = format!("[[status=502&error_body={body}]]");
            let mut answer = client.chat(&chat(&format!("@{provider}/mock"), &text)).send().await;
            assert_eq!(answer.status, 502, "{provider} {body}");
            let said = openai_error(&answer.json().await);
            assert!(!said.contains("<html>"), "{provider}: not the source of a page: {said}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_an_error() {
    let mock = Mock::start();
    // A port that was free a moment ago and that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let settings = Settings::new()
        .provider_at("down", "openai", &format!("http://{free}/v1"), crate::support::PRICES)
        .key("tests", KEY, "");
    let world = world_with(mock, settings).await;
    let World { client, .. } = &world;
    for stream in [false, true] {
        let body = if stream { chat_stream("@down/mock", "hi") } else { chat("@down/mock", "hi") };
        let mut answer = client.chat(&body).send().await;
        assert!((500..=504).contains(&answer.status), "{}", answer.status);
        openai_error(&answer.json().await);
        let mut answer = client.message(&message("@down/mock", "hi", stream)).send().await;
        assert!((500..=504).contains(&answer.status), "{}", answer.status);
        anthropic_error(&answer.json().await);
    }
}

/// The time between two events is limited by the node's settings.
fn impatient(mock: &Mock) -> Settings {
    let timeouts = "[timeouts]\nidle_ms = 300\nfirst_event_ms = 600";
    crate::support::providers(mock).key("tests", KEY, "").toml(timeouts)
}

#[tokio::test]
async fn an_upstream_that_stalls_is_an_idle_timeout() {
    let mock = Mock::start();
    let settings = impatient(&mock);
    let world = world_with(mock, settings).await;
    let World { mock, client, .. } = &world;
    for provider in PROVIDERS {
        let text = format!("[[chunks=9&stall_after=2]] {provider} stalls");
        let started = Instant::now();
        let mut answer = client.chat(&chat_stream(&format!("@{provider}/mock"), &text)).send().await;
        let events = answer.events().await;
        assert!(started.elapsed() < Duration::from_secs(10), "{provider}: {:?}", started.elapsed());
        let error = sse::error(&events).unwrap_or_else(|| panic!("{provider}: silence: {events:#?}"));
        assert!(error.to_string().contains("time"), "{provider}: it says that time ran out: {error}");
        assert!(!events.iter().any(sse::Event::is_done), "{provider}: a false [DONE]");
        let record = mock.request_with(&format!("{provider} stalls"));
        wait::until("upstream to be let go", || record.client_closed_at()).await;
    }
}

#[tokio::test]
async fn an_upstream_that_never_starts_is_a_408() {
    let mock = Mock::start();
    let settings = impatient(&mock);
    let world = world_with(mock, settings).await;
    let World { client, .. } = &world;
    for fault in ["head_delay_ms=60000", "first_delay_ms=60000"] {
        let body = chat_stream("@openai-prod/mock", &format!("[[{fault}]]"));
        let mut answer = client.chat(&body).send().await;
        assert_eq!(answer.status, 408, "{fault}");
        openai_error(&answer.json().await);
    }
}

#[tokio::test]
async fn a_timeout_in_a_header_is_a_408() {
    let world = world().await;
    let World { client, .. } = &world;
    for (stream, fault) in [(false, "head_delay_ms=60000"), (true, "first_delay_ms=60000")] {
        let text = format!("[[{fault}]]");
        let body =
            if stream { chat_stream("@openai-prod/mock", &text) } else { chat("@openai-prod/mock", &text) };
        let mut answer = client.chat(&body).header("x-portkey-request-timeout", "200").send().await;
        assert_eq!(answer.status, 408, "{fault}");
        openai_error(&answer.json().await);
    }
}

#[tokio::test]
async fn a_whole_answer_that_is_not_json_is_an_error() {
    let world = world().await;
    let World { client, .. } = &world;
    let body = chat("@openai-prod/mock", "[[status=200&error_body=html]]");
    let mut answer = client.chat(&body).send().await;
    assert!(answer.status >= 500, "not a 200 with an error inside: {}", answer.status);
    let said: Value = answer.json().await;
    openai_error(&said);
}
