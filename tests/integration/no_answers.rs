//! What comes with status 200 and is no answer: an error, so that the next target is asked and nothing of it is kept.

use serde_json::{Value, json};
use tidegate_tests::{Mock, Settings, client::Answer, sse};

use crate::support::{KEY, World, anthropic_error, chat, chat_stream, message, openai_error, world_with};
use crate::turns::{Turns, completion};

/// A gateway with two providers of a vendor, each with an upstream of its own.
async fn pair(vendor: &str, first: Value, second: Value) -> (World, Turns, Turns) {
    let (first, second) = (Turns::start(vec![first]).await, Turns::start(vec![second]).await);
    let settings = Settings::new()
        .provider_at("one", vendor, &first.url(), "")
        .provider_at("two", vendor, &second.url(), "")
        .key("tests", KEY, "");
    (world_with(Mock::start(), settings).await, first, second)
}

fn fallback() -> String {
    json!({"strategy": {"mode": "fallback"}, "targets": [{"provider": "@one"}, {"provider": "@two"}]})
        .to_string()
}

async fn ask(world: &World, path: &str, body: &Value, config: &str) -> Answer {
    world.client.post(path, body).header("x-portkey-config", config).send().await
}

const ERROR: &str =
    r#"{"error":{"message":"bad thing","type":"invalid_request_error","param":null,"code":null}}"#;

#[tokio::test]
async fn a_body_that_is_no_answer_takes_the_fallback_and_is_not_kept() {
    let embeddings = json!({"object": "list", "data": [{"index": 0, "embedding": [1.0]}]});
    let response = json!({"object": "response", "status": "completed", "output": []});
    let anthropics = json!({"type": "message", "content": [{"type": "text", "text": "Apple pie"}]});
    let input = json!({"model": "m", "input": "hi"});
    let prompt = json!({"model": "m", "prompt": "hi"});
    for (vendor, path, body, good) in [
        ("openai", "/v1/chat/completions", chat("m", "hi"), completion(&Value::Null)),
        ("openai", "/v1/chat/completions", chat_stream("m", "hi"), completion(&Value::Null)),
        ("openai", "/v1/completions", prompt, json!({"choices": [{"text": "Apple pie"}]})),
        ("openai", "/v1/responses", input.clone(), response),
        ("openai", "/v1/embeddings", input, embeddings),
        ("anthropic", "/v1/messages", message("m", "hi", false), anthropics),
    ] {
        for (status, bad) in [(200, ERROR), (200, r#"{"detail":"nope"}"#), (202, r#"{"status":"pending"}"#)] {
            let bad = json!({"status": status, "text": bad});
            let (world, first, second) = pair(vendor, bad, json!({"body": good})).await;
            let mut answer = ask(&world, path, &body, &fallback()).await;
            let text = answer.text().await;
            assert_eq!((answer.status, text), (200, good.to_string()), "{path} {status}");
            assert_eq!((first.calls().len(), second.calls().len()), (1, 1), "{path} {status}");
            let kept = json!({"provider": "@one", "cache": {"mode": "simple"}}).to_string();
            for _ in 0..2 {
                let mut answer = ask(&world, path, &body, &kept).await;
                assert!(answer.status >= 400, "{path}: {}", answer.status);
                assert_ne!(answer.header("x-portkey-cache-status"), "HIT", "{path}");
                let body = answer.json().await;
                if vendor == "anthropic" {
                    anthropic_error(&body)
                } else {
                    openai_error(&body)
                };
            }
            assert_eq!(first.calls().len(), 3, "{path}: every time it is asked anew");
        }
    }
}

#[tokio::test]
async fn odd_answers_are_passed_on_as_they_came() {
    for text in [
        r#"{"choices": [], "prompt_filter_results": [{"content_filter_results": {}}]}"#,
        r#"{"error": null, "choices": [{"message": {"content": null}}]}"#,
    ] {
        let (world, _, _) = pair("openai", json!({"text": text}), json!({})).await;
        let mut answer = ask(&world, "/v1/chat/completions", &chat("@one/m", "hi"), "{}").await;
        assert_eq!((answer.status, answer.text().await), (200, text.to_owned()));
    }
    let marked = json!({"text": format!("\u{feff}{}", completion(&Value::Null))});
    let (world, _, _) = pair("openai", marked, json!({})).await;
    let answer = ask(&world, "/v1/chat/completions", &chat("@one/m", "hi"), "{}").await;
    assert_eq!(answer.expect(200).await, completion(&Value::Null), "a byte order mark is no part of JSON");
}

#[tokio::test]
async fn a_stream_that_ends_or_fails_before_it_began_takes_the_fallback() {
    let events = "text/event-stream";
    let good = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    for bad in ["data: [DONE]\n\n", "event: error\ndata: {\"message\":\"kaputt\"}\n\ndata: [DONE]\n\n"] {
        let bad = json!({"text": bad, "content_type": events});
        let good = json!({"text": good, "content_type": events});
        let (world, first, second) = pair("openai", bad, good).await;
        let body = chat_stream("m", "hi");
        let mut answer = ask(&world, "/v1/chat/completions", &body, &fallback()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(sse::chat_text(&answer.events().await), "hi");
        assert_eq!((first.calls().len(), second.calls().len()), (1, 1));
        let kept = json!({"provider": "@one", "cache": {"mode": "simple"}}).to_string();
        for _ in 0..2 {
            let mut answer = ask(&world, "/v1/chat/completions", &body, &kept).await;
            assert_eq!(answer.status, 502);
            openai_error(&answer.json().await);
        }
        assert_eq!(first.calls().len(), 3);
    }
}

#[tokio::test]
async fn halves_of_characters_do_not_break_requests_and_answers() {
    let half = r#"{"model":"@one/m","max_tokens":9,"messages":[{"role":"user","content":"hi \ud83d"}]}"#;
    let anthropics =
        r#"{"type":"message","content":[{"type":"text","text":"a\ude00"}],"stop_reason":"end_turn"}"#;
    let (world, first, _) = pair("anthropic", json!({"text": anthropics}), json!({})).await;
    let request =
        world.client.request("POST", "/v1/chat/completions").header("content-type", "application/json");
    let body = request.body(half).send().await.expect(200).await;
    assert_eq!(body["choices"][0]["message"]["content"], "a\u{fffd}");
    let sent = first.calls()[0].body["messages"][0]["content"].to_string();
    assert!(sent.contains("hi \u{fffd}"), "{sent}");

    let delta = |text: &str| {
        let frame = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"TEXT"}}"#;
        json!(frame.replace("TEXT", text))
    };
    let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let end = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#;
    let chunks = json!([start, delta(r"a\ud83d"), delta(r"\ude00b"), end, r#"{"type":"message_stop"}"#]);
    let (world, _, _) = pair("anthropic", json!({"chunks": chunks}), json!({})).await;
    let mut answer = ask(&world, "/v1/chat/completions", &chat_stream("@one/m", "hi"), "{}").await;
    assert_eq!(sse::chat_text(&answer.events().await), "a😀b");
}

#[tokio::test]
async fn names_that_differ_in_case_are_refused() {
    let (world, first, _) = pair("openai", json!({}), json!({})).await;
    for (body, name) in [
        (r#"{"model":"@one/m","Model":"evil","messages":[]}"#, "Model"),
        (r#"{"model":"@one/m","messages":[],"Messages":[{"role":"user","content":"hi"}]}"#, "Messages"),
    ] {
        let request =
            world.client.request("POST", "/v1/chat/completions").header("content-type", "application/json");
        let told = openai_error(&request.body(body).send().await.expect(400).await);
        assert!(told.contains(name), "{told}");
    }
    assert!(first.calls().is_empty(), "nothing reaches upstream");
}

#[tokio::test]
async fn an_answer_that_was_packed_unasked_is_unpacked() {
    // `{"choices":[{"message":{"content":"packed"},"finish_reason":"stop"}]}` in gzip.
    let whole = json!({"headers": {"content-encoding": "gzip"}, "bytes": [
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 13, 201, 65, 10, 128, 48, 12, 4, 192, 191, 236, 217, 23, 244, 43, 34, 82, 226,
        106, 139, 152, 20, 147, 91, 232, 223, 117, 174, 147, 144, 102, 93, 232, 40, 107, 226, 161, 123, 189, 136, 146,
        16, 211, 160, 6, 10, 70, 149, 155, 7, 230, 130, 179, 107, 247, 182, 191, 172, 110, 250, 143, 135, 13, 204, 109,
        126, 127, 46, 20, 7, 69, 0, 0, 0
    ]});
    // The same as a stream, in deflate.
    let stream = json!({"headers": {"content-encoding": "deflate"}, "content_type": "text/event-stream", "bytes": [
        120, 156, 29, 204, 177, 10, 133, 48, 12, 5, 208, 189, 95, 33, 119, 118, 112, 206, 172, 171, 126, 128, 136, 132,
        38, 98, 81, 82, 177, 25, 4, 233, 191, 63, 121, 243, 129, 35, 236, 76, 205, 139, 184, 231, 20, 181, 128, 230, 23,
        201, 68, 31, 80, 215, 66, 244, 116, 6, 125, 156, 205, 213, 28, 132, 139, 227, 161, 130, 218, 98, 75, 150, 202,
        190, 222, 202, 37, 219, 39, 197, 243, 133, 186, 212, 16, 228, 159, 206, 253, 52, 14, 75, 8, 63, 138, 232, 32, 166
    ]});
    let (world, _, _) = pair("openai", whole, stream).await;
    let body = ask(&world, "/v1/chat/completions", &chat("@one/m", "hi"), "{}").await.expect(200).await;
    assert_eq!(body["choices"][0]["message"]["content"], "packed");
    let mut answer = ask(&world, "/v1/chat/completions", &chat_stream("@two/m", "hi"), "{}").await;
    assert_eq!((answer.status, answer.header("content-encoding")), (200, ""));
    assert_eq!(sse::chat_text(&answer.events().await), "packed");

    let foreign = json!({"headers": {"content-encoding": "br"}, "text": "?"});
    let (world, _, _) = pair("openai", foreign, json!({})).await;
    let answer = ask(&world, "/v1/chat/completions", &chat("@one/m", "hi"), "{}").await;
    let told = openai_error(&answer.expect(502).await);
    assert!(told.contains("Content-Encoding br"), "{told}");
}

#[tokio::test]
async fn guards_refuse_what_others_could_read_otherwise_and_read_what_is_cut() {
    let world = crate::guardrails::guarded().await;
    let config =
        json!({"input_guardrails": [{"deny": true, "contains": {"words": ["hi"], "operator": "none"}}]});
    let send = |message: &str| {
        // Translated, as the scripted upstream itself reads no halves of characters.
        let body = format!(r#"{{"model":"@anthropic-prod/mock","messages":[{message}]}}"#);
        let request =
            world.client.request("POST", "/v1/chat/completions").header("content-type", "application/json");
        request.header("x-portkey-config", config.to_string()).body(body).send()
    };
    for odd in [
        r#"{"role":"user","content":"ok","Content":"hi"}"#,
        r#"{"role":"user","content":"hi","content":"ok"}"#,
        r#"{"role":"user","content":[{"type":"text","text":"ok","TEXT":"hi"}]}"#,
    ] {
        let told = openai_error(&send(odd).await.expect(400).await);
        assert!(told.contains("is expected"), "{told}");
    }
    assert!(world.mock.requests().is_empty(), "nothing reaches upstream");
    send(r#"{"role":"user","content":"cut \ud83d"}"#).await.expect(200).await;
    send(r#"{"role":"user","content":"hi \ud83d"}"#).await.expect(446).await;
}
