//! Every endpoint gives the answer that its official SDK expects.

use serde_json::{Value, json};
use tidegate_tests::{Mock, sse};

use crate::support::{KEY, World, chat, message, openai_error, providers, world, world_with};

const DIALECTS: [&str; 3] = ["openai-prod", "anthropic-prod", "google-prod"];

#[tokio::test]
async fn chat_completions() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in DIALECTS {
        let body = chat(&format!("@{provider}/mock"), "one two three");
        let answer = client.chat(&body).send().await.expect(200).await;
        assert_eq!(answer["object"], "chat.completion", "{provider}: {answer}");
        assert_eq!(answer["choices"][0]["message"]["content"], "echo: one two three", "{provider}: {answer}");
        assert_eq!(answer["choices"][0]["message"]["role"], "assistant", "{provider}: {answer}");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{provider}: {answer}");
        assert_eq!(answer["usage"]["prompt_tokens"], 3, "{provider}: {answer}");
        assert_eq!(answer["usage"]["completion_tokens"], 4, "{provider}: {answer}");
    }
}

#[tokio::test]
async fn messages() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in DIALECTS {
        let body = message(&format!("@{provider}/mock"), "one two three", false);
        let answer = client.message(&body).send().await.expect(200).await;
        assert_eq!(answer["type"], "message", "{provider}: {answer}");
        assert_eq!(answer["content"][0]["type"], "text", "{provider}: {answer}");
        assert_eq!(answer["content"][0]["text"], "echo: one two three", "{provider}: {answer}");
        assert_eq!(answer["stop_reason"], "end_turn", "{provider}: {answer}");
        assert_eq!(answer["usage"]["input_tokens"], 3, "{provider}: {answer}");
        assert_eq!(answer["usage"]["output_tokens"], 4, "{provider}: {answer}");
    }
}

#[tokio::test]
async fn count_tokens() {
    let world = world().await;
    let World { client, .. } = &world;
    let mut body = message("@anthropic-prod/mock", "one two three", false);
    body.as_object_mut().expect("an object").remove("max_tokens");
    let request = client.post("/v1/messages/count_tokens", &body).header("anthropic-version", "2023-06-01");
    assert_eq!(request.send().await.expect(200).await["input_tokens"], 3);
    body["model"] = "@openai-prod/mock".into();
    let request = client.post("/v1/messages/count_tokens", &body).header("anthropic-version", "2023-06-01");
    let counted = request.send().await.expect(200).await["input_tokens"].as_u64().expect("a number");
    assert!((3..20).contains(&counted), "counted here, near enough: {counted}");
}

#[tokio::test]
async fn responses() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in DIALECTS {
        let mut body = json!({ "model": format!("@{provider}/mock"), "input": "one two three" });
        let answer = client.post("/v1/responses", &body).send().await.expect(200).await;
        assert_eq!(answer["object"], "response", "{provider}: {answer}");
        assert_eq!(answer["status"], "completed", "{provider}: {answer}");
        let text = &answer["output"][0]["content"][0]["text"];
        assert_eq!(text, "echo: one two three", "{provider}: {answer}");
        assert_eq!(answer["usage"]["output_tokens"], 4, "{provider}: {answer}");

        body["stream"] = true.into();
        let events = client.post("/v1/responses", &body).send().await.events().await;
        let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names.first(), Some(&"response.created"), "{provider}: {names:?}");
        assert_eq!(names.last(), Some(&"response.completed"), "{provider}: {names:?}");
        let deltas = events.iter().filter(|event| event.name == "response.output_text.delta");
        let text: String =
            deltas.map(|event| event.json()["delta"].as_str().expect("text").to_owned()).collect();
        assert_eq!(text, "echo: one two three", "{provider}");
        let ended = events.last().expect("an end").json();
        assert_eq!(ended["response"]["usage"]["output_tokens"], 4, "{provider}: {ended}");
    }
}

#[tokio::test]
async fn completions() {
    let world = world().await;
    let World { client, .. } = &world;
    let mut body = json!({ "model": "@openai-prod/mock", "prompt": "one two" });
    let answer = client.post("/v1/completions", &body).send().await.expect(200).await;
    assert_eq!(answer["choices"][0]["text"], "echo: one two", "{answer}");
    body["stream"] = true.into();
    let events = client.post("/v1/completions", &body).send().await.events().await;
    let text: String = events
        .iter()
        .map(|event| event.json()["choices"][0]["text"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(text, "echo: one two");
    assert!(events.last().is_some_and(sse::Event::is_done));
}

#[tokio::test]
async fn embeddings() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in ["openai-prod", "google-prod"] {
        let mut body = json!({ "model": format!("@{provider}/mock"), "input": ["one", "two"] });
        let answer = client.post("/v1/embeddings", &body).send().await.expect(200).await;
        assert_eq!(answer["object"], "list", "{provider}: {answer}");
        assert_eq!(answer["data"].as_array().map(Vec::len), Some(2), "{provider}: {answer}");
        let floats = answer["data"][1]["embedding"].as_array().expect("numbers").clone();
        assert_eq!(floats.len(), 8, "{provider}");
        assert_eq!(answer["data"][1]["index"], 1, "{provider}");

        body["encoding_format"] = "base64".into();
        let answer = client.post("/v1/embeddings", &body).send().await.expect(200).await;
        let text = answer["data"][1]["embedding"].as_str().unwrap_or_else(|| panic!("{provider}: {answer}"));
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        let (numbers, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty());
        let numbers: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        for (number, float) in numbers.iter().zip(&floats) {
            assert!((f64::from(*number) - float.as_f64().expect("a number")).abs() < 1e-6, "{provider}");
        }
    }
}

#[tokio::test]
async fn images() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    let body = json!({ "model": "@openai-prod/dall-e-3", "prompt": "a pier", "n": 2, "size": "1024x1024" });
    let answer = client.post("/v1/images/generations", &body).send().await.expect(200).await;
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2), "{answer}");
    assert!(answer["data"][0]["b64_json"].is_string(), "{answer}");

    let body =
        form(&[("model", "@openai-prod/gpt-image-1"), ("prompt", "make it red")], Some(("image", 5000)));
    let request = client.request("POST", "/v1/images/edits").header("content-type", FORM).body(body);
    let answer = request.send().await.expect(200).await;
    assert_eq!(answer["data"][0]["revised_prompt"], "make it red", "{answer}");
    let sent = mock.request_with("make it red");
    assert!(!sent.body_text().contains("@openai-prod"), "the slug stays here");
}

#[tokio::test]
async fn audio() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    let body = json!({ "model": "@openai-prod/tts-1", "input": "Hello there", "voice": "alloy" });
    let mut answer = client.post("/v1/audio/speech", &body).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "audio/wav");
    let wav = answer.bytes().await;
    assert!(wav.starts_with(b"RIFF") && wav.len() == 44 + 1100, "{} bytes", wav.len());

    for path in ["/v1/audio/transcriptions", "/v1/audio/translations"] {
        for chunked in [false, true] {
            let body = form(&[("model", "@openai-prod/whisper-1")], Some(("file", 32044)));
            let mut request = client.request("POST", path).header("content-type", FORM).body(body);
            if chunked {
                request = request.chunked();
            }
            let answer = request.send().await.expect(200).await;
            assert_eq!(answer["text"], "heard 32044 bytes", "{path}: {answer}");
        }
    }
    assert!(mock.find("whisper-1").iter().all(|record| !record.body_text().contains("@openai-prod")));
}

pub(crate) const FORM: &str = "multipart/form-data; boundary=b0undary";

/// A multipart form with a binary file.
pub(crate) fn form(fields: &[(&str, &str)], file: Option<(&str, usize)>) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part =
            format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.as_bytes());
    }
    if let Some((name, size)) = file {
        let head = format!(
            "--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.bin\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend((0..size).map(|at| (at * 7 % 251) as u8));
        body.extend(b"\r\n");
    }
    body.extend(b"--b0undary--\r\n");
    body
}

fn ids(list: &Value) -> Vec<String> {
    let models = list["data"].as_array().unwrap_or_else(|| panic!("no data in {list}"));
    models.iter().map(|model| model["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn models_are_listed_as_slugs_and_only_those_the_key_may_use() {
    const NARROW: &str = "tg-narrow-key-of-the-tests-0123456789";
    let mock = Mock::start();
    let models = "models = [\"@openai-prod/mock\", \"@anthropic-prod/*\"]";
    let settings = providers(&mock).key("tests", KEY, "").key("narrow", NARROW, models);
    let world = world_with(mock, settings).await;
    let World { gateway, client, .. } = &world;
    let list = client.get("/v1/models").send().await.expect(200).await;
    assert_eq!(list["object"], "list");
    let all = ids(&list);
    for model in ["@openai-prod/mock", "@anthropic-prod/mock", "@google-prod/mock"] {
        assert!(all.iter().any(|id| id == model), "no {model} in {all:?}");
    }
    let first = &list["data"][0];
    assert_eq!(first["object"], "model", "{first}");
    assert!(first["created"].is_u64() && first["owned_by"].is_string(), "{first}");

    let narrow = gateway.with_key(NARROW);
    let some = ids(&narrow.get("/v1/models").send().await.expect(200).await);
    assert!(some.contains(&"@openai-prod/mock".to_owned()), "{some:?}");
    let others = |id: &&String| *id != "@openai-prod/mock" && !id.starts_with("@anthropic-prod/");
    assert_eq!(some.iter().find(others), None, "{some:?}");

    for target in ["/v1/models/@openai-prod/mock", "/v1/models/%40openai-prod%2Fmock"] {
        let model = narrow.get(target).send().await.expect(200).await;
        assert_eq!(model["id"], "@openai-prod/mock", "{target}");
    }
    let mut answer = narrow.get("/v1/models/@google-prod/mock").send().await;
    assert_eq!(answer.status, 404);
    openai_error(&answer.json().await);
}

#[tokio::test]
async fn health_needs_no_key() {
    let world = world().await;
    let World { gateway, .. } = &world;
    for path in ["/v1/health", "/v1/ready"] {
        assert_eq!(gateway.client().get(path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_admin_api_needs_the_admin_key() {
    let world = world().await;
    let World { gateway, client, .. } = &world;
    for client in [client.clone(), gateway.client()] {
        let status = client.get("/v1/admin/state").send().await.status;
        assert!(status == 401 || status == 403, "{status}");
    }
    let state = gateway.state().await;
    for list in ["budgets", "keys", "providers"] {
        assert!(state[list].is_array(), "no {list} in {state}");
    }
    // And the admin key is not good for inference.
    let status = gateway.admin().chat(&chat("@openai-prod/mock", "hi")).send().await.status;
    assert!(status == 401 || status == 403, "{status}");
}

#[tokio::test]
async fn limits_are_told_and_kept() {
    let mock = Mock::start();
    let limits = "limits = [ { requests = 3, per = \"minute\" } ]";
    let settings = providers(&mock).key("tests", KEY, limits);
    let world = world_with(mock, settings).await;
    let World { mock, client, .. } = &world;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let answer = client.chat(&chat("@openai-prod/mock", "hi")).send().await;
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "3", "{:?}", answer.headers);
        assert!(!answer.header("x-ratelimit-remaining-requests").is_empty(), "{:?}", answer.headers);
        if answer.status == 429 {
            let seconds: u64 = answer.header("retry-after").parse().expect("Retry-After in seconds");
            assert!((1..=60).contains(&seconds), "{seconds}");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(mock.requests().len(), 3, "a refused request never reaches upstream");
}

#[tokio::test]
async fn concurrency_is_kept_and_given_back() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "limits = [ { concurrent = 2 } ]");
    let world = world_with(mock, settings).await;
    let World { client, .. } = &world;
    let stream = crate::support::chat_stream("@openai-prod/mock", "[[chunks=9&stall_after=1]]");
    let first = client.chat(&stream).send().await;
    let second = client.chat(&stream).send().await;
    let mut third = client.chat(&stream).send().await;
    assert_eq!((first.status, second.status, third.status), (200, 200, 429));
    openai_error(&third.json().await);
    first.hang_up();
    tidegate_tests::wait::until_async("the place of the one that left", || async {
        let answer = client.chat(&chat("@openai-prod/mock", "hi")).send().await;
        (answer.status == 200).then_some(())
    })
    .await;
    drop(second);
}
