//! Whole answers on every route: nothing that carries text goes around the guards.

use serde_json::{Value, json};
use tidegate_tests::{Answer, Client, Mock};

use super::{assert_denied, guarded, no_word};
use crate::endpoints::{FORM, form};
use crate::support::anthropic_error;

const ALL: [&str; 3] = ["openai-prod", "anthropic-prod", "google-prod"];

/// Routes with JSON bodies, and the providers that serve them.
const ROUTES: [(&str, &[&str]); 8] = [
    ("/v1/chat/completions", &ALL),
    ("/v1/messages", &ALL),
    ("/v1/messages/count_tokens", &["anthropic-prod"]),
    ("/v1/responses", &ALL),
    ("/v1/completions", &["openai-prod"]),
    ("/v1/embeddings", &["openai-prod", "google-prod"]),
    ("/v1/images/generations", &["openai-prod"]),
    ("/v1/audio/speech", &["openai-prod"]),
];

/// Those among them whose answers are texts.
const TEXTS: [(&str, &[&str]); 4] = [
    ("/v1/chat/completions", &ALL),
    ("/v1/messages", &ALL),
    ("/v1/responses", &ALL),
    ("/v1/completions", &["openai-prod"]),
];

fn body(path: &str, provider: &str, text: &str) -> Value {
    let mut body = json!({"model": format!("@{provider}/mock")});
    match path {
        "/v1/responses" | "/v1/embeddings" | "/v1/audio/speech" => body["input"] = text.into(),
        "/v1/completions" | "/v1/images/generations" => body["prompt"] = text.into(),
        _ => body["messages"] = json!([{"role": "user", "content": text}]),
    }
    match path {
        "/v1/messages" => body["max_tokens"] = 1000.into(),
        "/v1/audio/speech" => body["voice"] = "alloy".into(),
        _ => {}
    }
    body
}

async fn post(client: &Client, path: &str, body: &Value, guards: &Value) -> Answer {
    let request = client.post(path, body).header("anthropic-version", "2023-06-01");
    request.header("x-portkey-config", guards.to_string()).send().await
}

/// Checks a denial in the dialect of its route.
fn assert_denied_on(path: &str, body: &Value) {
    if path.starts_with("/v1/messages") {
        assert!(anthropic_error(body).contains("guardrail checks defined"), "{body}");
        assert!(body["hook_results"]["before_request_hooks"].is_array(), "{body}");
    } else {
        assert_denied(body);
    }
}

/// What the one request to an upstream said; all are forgotten then.
fn asked(mock: &Mock) -> String {
    let requests = mock.requests();
    assert_eq!(requests.len(), 1, "{requests:#?}");
    mock.reset();
    requests[0].body_text()
}

#[tokio::test]
async fn a_denied_input_reaches_no_vendor_on_any_route() {
    let world = guarded().await;
    let deny = json!({"input_guardrails": no_word("please", true)});
    for (path, providers) in ROUTES {
        for provider in providers {
            let mut answer = post(&world.client, path, &body(path, provider, "now please"), &deny).await;
            assert_eq!(answer.status, 446, "{path} {provider}");
            // Open WebUI shows nothing else of an error of pictures.
            assert_eq!(answer.reason, "Guardrail checks failed", "{path} {provider}");
            assert_eq!(answer.header("content-type"), "application/json", "{path}");
            assert_eq!(answer.header("x-portkey-last-used-option-index"), "config", "{path}");
            let body = answer.json().await;
            assert_denied_on(path, &body);
            let message = body["error"]["message"].as_str().unwrap_or_default();
            let named =
                "object. Failed: default.contains (Check failed for 'none' words. Some words were found).";
            assert!(message.ends_with(named), "{path}: {message}");
            assert_eq!(body["hook_results"]["before_request_hooks"][0]["deny"], true, "{path}: {body}");
        }
    }
    assert!(world.mock.requests().is_empty(), "{:#?}", world.mock.requests());
}

#[tokio::test]
async fn a_failed_input_is_shown_on_every_route() {
    let world = guarded().await;
    let fail = json!({"input_guardrails": no_word("please", false)});
    for (path, providers) in ROUTES {
        for provider in providers {
            let mut answer = post(&world.client, path, &body(path, provider, "now please"), &fail).await;
            assert_eq!((answer.status, answer.reason.as_str()), (246, "Hooks failed"), "{path} {provider}");
            if path == "/v1/audio/speech" {
                assert!(answer.bytes().await.starts_with(b"RIFF"), "sound has no place for results");
                continue;
            }
            let body = answer.json().await;
            let hook = &body["hook_results"]["before_request_hooks"][0];
            assert_eq!((&hook["verdict"], &hook["deny"]), (&json!(false), &json!(false)), "{path}: {body}");
            assert_eq!(body["hook_results"]["after_request_hooks"], json!([]), "{path}: {body}");
        }
    }
}

#[tokio::test]
async fn a_masked_input_reaches_the_vendor_masked_on_every_route() {
    let world = guarded().await;
    let mask = json!({"input_guardrails": [{"pii.redact": {"categories": ["email"]}}]});
    for (path, providers) in ROUTES {
        for provider in providers {
            let answer =
                post(&world.client, path, &body(path, provider, "I am ada@example.com"), &mask).await;
            assert_eq!(answer.status, 200, "{path} {provider}");
            let sent = asked(&world.mock);
            assert!(sent.contains("I am [EMAIL]") && !sent.contains("ada@"), "{path} {provider}: {sent}");
        }
    }
}

#[tokio::test]
async fn a_denied_answer_is_not_shown_on_any_route() {
    let world = guarded().await;
    let deny = json!({"output_guardrails": no_word("echo", true)});
    for (path, providers) in TEXTS {
        for provider in providers {
            let mut answer = post(&world.client, path, &body(path, provider, "forbidden fruit"), &deny).await;
            assert_eq!(answer.status, 446, "{path} {provider}");
            let text = answer.text().await;
            assert!(!text.contains("forbidden fruit"), "{path} {provider}: {text}");
            let body: Value = serde_json::from_str(&text).expect("JSON");
            assert_denied_on(path, &body);
            assert_eq!(body["hook_results"]["after_request_hooks"][0]["deny"], true, "{path}: {body}");
            asked(&world.mock);
        }
    }
}

#[tokio::test]
async fn answers_are_masked_and_shown_with_results_on_every_route() {
    let world = guarded().await;
    let guards = json!({"output_guardrails": [{"regexReplace": {"rule": "/echo/g", "redactText": "E"}, "wordCount": {"maxWords": 1}}]});
    for (path, providers) in TEXTS {
        for provider in providers {
            let mut answer = post(&world.client, path, &body(path, provider, "hi"), &guards).await;
            assert_eq!(answer.status, 246, "{path} {provider}");
            let body = answer.json().await;
            let text = match path {
                "/v1/chat/completions" => &body["choices"][0]["message"]["content"],
                "/v1/messages" => &body["content"][0]["text"],
                "/v1/responses" => &body["output"][0]["content"][0]["text"],
                _ => &body["choices"][0]["text"],
            };
            assert_eq!(text, "E: hi", "{path} {provider}: {body}");
            let hook = &body["hook_results"]["after_request_hooks"][0];
            assert_eq!(
                (&hook["verdict"], &hook["transformed"]),
                (&json!(false), &json!(true)),
                "{path}: {body}"
            );
            let usage = &body["usage"];
            assert!(
                usage["completion_tokens"] == 2 || usage["output_tokens"] == 2,
                "{path} {provider}: {body}"
            );
        }
    }
}

#[tokio::test]
async fn tokens_that_are_counted_here_are_guarded_like_those_a_vendor_counts() {
    let world = guarded().await;
    let path = "/v1/messages/count_tokens";
    let body = body(path, "openai-prod", "now please");
    let mut answer =
        post(&world.client, path, &body, &json!({"input_guardrails": no_word("please", true)})).await;
    assert_eq!(answer.status, 446);
    assert_denied_on(path, &answer.json().await);
    let mut answer =
        post(&world.client, path, &body, &json!({"input_guardrails": no_word("please", false)})).await;
    let counted = answer.json().await;
    assert!(counted["input_tokens"].is_u64(), "{counted}");
    assert_eq!(counted["hook_results"]["before_request_hooks"][0]["verdict"], false, "{counted}");
    assert_eq!((answer.status, answer.reason.as_str()), (246, "Hooks failed"));
}

#[tokio::test]
async fn vectors_have_no_text_to_judge() {
    let world = guarded().await;
    let guards = json!({"output_guardrails": [{"deny": true, "contains": {"words": ["nothing like it"]}}]});
    let body = body("/v1/embeddings", "openai-prod", "hi");
    let answer = post(&world.client, "/v1/embeddings", &body, &guards).await.expect(200).await;
    assert!(answer["data"][0]["embedding"].is_array() && answer.get("hook_results").is_none(), "{answer}");
}

#[tokio::test]
async fn system_prompts_and_instructions_are_masked_too() {
    let world = guarded().await;
    let mask = json!({"input_guardrails": [{"pii.redact": {"categories": ["email"]}}]});
    let mut messages = body("/v1/messages", "anthropic-prod", "hi a@example.com");
    messages["system"] = json!([{"type": "text", "text": "I am b@example.com"}]);
    let mut responses = body("/v1/responses", "openai-prod", "");
    responses["instructions"] = "I am b@example.com".into();
    responses["input"] =
        json!([{"role": "user", "content": [{"type": "input_text", "text": "hi a@example.com"}]}]);
    for (path, body) in [("/v1/messages", messages), ("/v1/responses", responses)] {
        let answer = post(&world.client, path, &body, &mask).await;
        assert_eq!(answer.status, 200, "{path}");
        let sent = asked(&world.mock);
        assert!(sent.contains("I am [EMAIL]") && sent.contains("hi [EMAIL]"), "{path}: {sent}");
        assert!(!sent.contains("example.com"), "{path}: {sent}");
    }
}

#[tokio::test]
async fn tool_calls_of_an_answer_stay_objects_when_they_are_masked() {
    let world = guarded().await;
    let mask = json!({"output_guardrails": [{"pii.redact": {"categories": ["email"]}}]});
    let ask = "[[tools=1&args=%7B%22to%22%3A%22ada%40example.com%22%2C%22n%22%3A1%7D]] mail";
    for provider in ALL {
        let mut asked = body("/v1/messages", provider, ask);
        asked["tools"] = json!([{"name": "mail", "input_schema": {"type": "object"}}]);
        let answer = post(&world.client, "/v1/messages", &asked, &mask).await.expect(200).await;
        assert_eq!(answer["content"][0]["input"], json!({"to": "[EMAIL]", "n": 1}), "{provider}: {answer}");
        assert_eq!(answer["stop_reason"], "tool_use", "{provider}: {answer}");
    }
}

/// Sends a form under guard.
async fn send_form(
    client: &Client,
    path: &str,
    fields: &[(&str, &str)],
    file: (&str, usize),
    guards: &Value,
) -> Answer {
    let request = client.request("POST", path).header("content-type", FORM).body(form(fields, Some(file)));
    request.header("x-portkey-config", guards.to_string()).send().await
}

#[tokio::test]
async fn prompts_in_forms_are_judged_and_masked() {
    let world = guarded().await;
    let forms = [
        ("/v1/images/edits", "@openai-prod/gpt-image-1", ("image", 3000)),
        ("/v1/audio/transcriptions", "@openai-prod/whisper-1", ("file", 3000)),
        ("/v1/audio/translations", "@openai-prod/whisper-1", ("file", 3000)),
    ];
    let deny = json!({"input_guardrails": no_word("please", true)});
    let mask = json!({"input_guardrails": [{"pii.redact": {"categories": ["email"]}}]});
    for (path, model, file) in forms {
        let mut answer =
            send_form(&world.client, path, &[("model", model), ("prompt", "now please")], file, &deny).await;
        assert_eq!(answer.status, 446, "{path}");
        assert_denied(&answer.json().await);
        assert!(world.mock.requests().is_empty(), "{path}");
        let fields = [("model", model), ("prompt", "by ada@example.com"), ("user", "u1")];
        let answer = send_form(&world.client, path, &fields, file, &mask).await;
        assert_eq!(answer.status, 200, "{path}");
        let sent = world.mock.requests().remove(0);
        let model = model.trim_start_matches("@openai-prod/");
        let wanted = form(&[("model", model), ("prompt", "by [EMAIL]"), ("user", "u1")], Some(file));
        assert_eq!(sent.body_bytes(), wanted, "{path}: nothing else may change: {}", sent.body_text());
        world.mock.reset();
    }
}

#[tokio::test]
async fn transcripts_are_judged_and_masked() {
    let world = guarded().await;
    let path = "/v1/audio/transcriptions";
    let model = ("model", "@openai-prod/whisper-1");
    let file = ("file", 3000);
    let deny = json!({"output_guardrails": no_word("heard", true)});
    let mask = json!({"output_guardrails": [{"regexReplace": {"rule": "heard", "redactText": "H"}}]});
    for format in ["json", "text"] {
        let fields = [model, ("response_format", format)];
        let mut answer = send_form(&world.client, path, &fields, file, &deny).await;
        assert_eq!(answer.status, 446, "{format}");
        assert_denied(&answer.json().await);
        let mut answer = send_form(&world.client, path, &fields, file, &mask).await;
        assert_eq!(answer.status, 200, "{format}");
        let text = answer.text().await;
        assert!(text.contains("H 3000 bytes") && !text.contains("heard 3000"), "{format}: {text}");
        if format == "json" {
            let body: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(body["hook_results"]["after_request_hooks"][0]["transformed"], true, "{body}");
        }
    }
    // What can't be judged is refused, not let through.
    let answer = send_form(&world.client, path, &[model, ("stream", "true")], file, &deny).await;
    answer.expect(400).await;
}
