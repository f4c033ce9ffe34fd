//! Streams under guard: status, results, denials and masks in every dialect.

use serde_json::{Value, json};
use tidegate_tests::{Answer, Client, sse};

use super::{assert_denied, guarded, no_word};
use crate::support::anthropic_error;

/// The routes that stream, with the vendor whose own dialect each is and one of another.
const ROUTES: [(&str, [&str; 2]); 4] = [
    ("/v1/chat/completions", ["openai-prod", "anthropic-prod"]),
    ("/v1/messages", ["anthropic-prod", "openai-prod"]),
    ("/v1/responses", ["openai-prod", "google-prod"]),
    ("/v1/completions", ["openai-prod", "openai-prod"]),
];

/// Asks a route for a stream that says `text`, a word at a time.
async fn stream(
    client: &Client,
    (path, provider): (&str, &str),
    (text, pause): (&str, u32),
    guards: &Value,
) -> Answer {
    let say = text.replace('%', "%25").replace(' ', "%20").replace('@', "%40").replace(',', "%2C");
    let ask = format!("[[say={say}&delay_ms={pause}]] please");
    let mut body = json!({"model": format!("@{provider}/mock"), "stream": true});
    match path {
        "/v1/responses" => body["input"] = ask.into(),
        "/v1/completions" => body["prompt"] = ask.into(),
        _ => body["messages"] = json!([{"role": "user", "content": ask}]),
    }
    if path == "/v1/messages" {
        body["max_tokens"] = 1000.into();
    }
    client
        .post(path, &body)
        .header("anthropic-version", "2023-06-01")
        .header("x-portkey-config", guards.to_string())
        .send()
        .await
}

/// The text of a stream, whatever its dialect.
fn text_of(events: &[sse::Event]) -> String {
    let text = |event: &sse::Event| {
        let data = event.json();
        let delta = [
            &data["choices"][0]["delta"]["content"],
            &data["choices"][0]["text"],
            &data["delta"]["text"],
            &data["delta"],
        ];
        delta.iter().find_map(|text| text.as_str()).unwrap_or_default().to_owned()
    };
    events.iter().filter(|event| event.name != "response.function_call_arguments.delta").map(text).collect()
}

fn results(events: &[sse::Event]) -> Vec<(usize, &sse::Event)> {
    events.iter().enumerate().filter(|(_, event)| event.data.contains("\"hook_results\"")).collect()
}

/// Whether an event is the last one of its dialect.
fn ends(path: &str, event: &sse::Event) -> bool {
    match path {
        "/v1/messages" => event.name == "message_stop",
        "/v1/responses" => event.name == "response.completed",
        _ => event.is_done(),
    }
}

#[tokio::test]
async fn a_denied_input_is_an_error_of_its_dialect_and_no_stream() {
    let world = guarded().await;
    let deny = json!({"input_guardrails": no_word("please", true)});
    for (path, providers) in ROUTES {
        for provider in providers {
            let mut answer = stream(&world.client, (path, provider), ("never", 0), &deny).await;
            assert_eq!(answer.status, 446, "{path} {provider}");
            let body = answer.json().await;
            match path {
                "/v1/messages" => assert!(anthropic_error(&body).contains("guardrail checks"), "{body}"),
                _ => assert_denied(&body),
            }
            let hook = &body["hook_results"]["before_request_hooks"][0];
            assert_eq!((&hook["id"], &hook["deny"]), (&json!("no-word"), &json!(true)), "{path}: {body}");
        }
    }
    assert!(world.mock.requests().is_empty(), "{:?}", world.mock.requests());
}

#[tokio::test]
async fn strict_streams_show_no_results() {
    let world = guarded().await;
    let guards =
        json!({"input_guardrails": no_word("please", false), "output_guardrails": no_word("zzz", false)});
    for (path, providers) in ROUTES {
        for provider in providers {
            let mut answer = stream(&world.client, (path, provider), ("one two", 0), &guards).await;
            assert_eq!((answer.status, answer.reason.as_str()), (246, "Hooks failed"), "{path} {provider}");
            let events = answer.events().await;
            assert_eq!(text_of(&events), "one two", "{path} {provider}: {events:#?}");
            assert!(results(&events).is_empty(), "{path} {provider}: {events:#?}");
            assert!(ends(path, events.last().expect("events")), "{path} {provider}: {events:#?}");
        }
    }
}

#[tokio::test]
async fn lenient_streams_show_results_before_and_after() {
    let world = guarded().await;
    let guards = json!({"strict_open_ai_compliance": false,
        "input_guardrails": no_word("please", false), "output_guardrails": no_word("two", false)});
    for (path, providers) in ROUTES {
        for provider in providers {
            let mut answer = stream(&world.client, (path, provider), ("one two", 0), &guards).await;
            assert_eq!(answer.status, 246, "{path} {provider}");
            let events = answer.events().await;
            let what = format!("{path} {provider}: {events:#?}");
            assert_eq!(text_of(&events), "one two", "{what}");
            let shown = results(&events);
            assert_eq!(shown.len(), 2, "{what}");
            let name = if path == "/v1/messages" { "hook_results" } else { "" };
            assert!(shown.iter().all(|(_, event)| event.name == name), "{what}");
            let (first, last) = (shown[0].1.json(), shown[1].1.json());
            assert_eq!(first.as_object().map(serde_json::Map::len), Some(1), "{what}");
            assert_eq!(first["hook_results"]["before_request_hooks"][0]["verdict"], false, "{what}");
            assert!(first["hook_results"].get("after_request_hooks").is_none(), "{what}");
            assert_eq!(last["hook_results"]["after_request_hooks"][0]["verdict"], false, "{what}");
            assert!(last["hook_results"].get("before_request_hooks").is_none(), "{what}");
            // The first event of all, and the one behind the dialect's last.
            assert_eq!((shown[0].0, shown[1].0), (0, events.len() - 1), "{what}");
            assert!(ends(path, &events[events.len() - 2]), "{what}");
        }
    }
}

#[tokio::test]
async fn the_header_makes_a_stream_lenient_too() {
    let world = guarded().await;
    let guards = json!({"input_guardrails": no_word("zzz", true)}).to_string();
    let body = json!({"model": "@openai-prod/mock", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let request = world.client.chat(&body).header("x-portkey-config", guards);
    let mut answer = request.header("x-portkey-strict-open-ai-compliance", "false").send().await;
    assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"));
    let events = answer.events().await;
    assert_eq!(results(&events).first().map(|(at, _)| *at), Some(0), "{events:#?}");
    assert_eq!(results(&events).len(), 1, "{events:#?}");
}

#[tokio::test]
async fn a_denied_answer_ends_a_stream_in_its_dialect() {
    let world = guarded().await;
    let say = ("one two three four five six seven eight nine ten the secret is out", 25);
    for strict in [true, false] {
        let deny = json!({"strict_open_ai_compliance": strict, "output_guardrails": no_word("secret", true)});
        for (path, providers) in ROUTES {
            for provider in providers {
                let mut answer = stream(&world.client, (path, provider), say, &deny).await;
                assert_eq!(answer.status, 200, "{path} {provider}");
                assert_eq!(answer.header("x-tidegate-guardrail-stream"), "windows");
                let events = answer.events().await;
                let what = format!("{path} {provider}: {events:#?}");
                assert!(!answer.was_cut(), "{what}");
                let text = text_of(&events);
                assert!(text.starts_with("one two") && !text.contains("sec"), "{text:?} {what}");
                let errors = events
                    .iter()
                    .map(sse::Event::json)
                    .filter(|data| data["error"].is_object() || data["type"] == "error");
                let error: Vec<Value> = errors.collect();
                assert_eq!(error.len(), 1, "{what}");
                assert!(error[0].to_string().contains("guardrail checks defined"), "{what}");
                match path {
                    "/v1/chat/completions" | "/v1/completions" => {
                        assert_eq!(sse::finish_reason(&events).as_deref(), Some("content_filter"), "{what}");
                        assert_eq!(error[0]["error"]["type"], "hooks_failed", "{what}");
                        assert!(events.iter().any(sse::Event::is_done), "{what}");
                    }
                    "/v1/messages" => assert!(events.iter().any(|event| event.name == "error"), "{what}"),
                    _ => {}
                }
                assert_eq!(results(&events).len(), usize::from(!strict), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_denial_before_anything_left_is_a_status() {
    let world = guarded().await;
    let deny = json!({"output_guardrails": no_word("secret", true)});
    for (path, providers) in ROUTES {
        for provider in providers {
            let mut answer = stream(&world.client, (path, provider), ("secret first", 0), &deny).await;
            assert_eq!(answer.status, 446, "{path} {provider}");
            let body = answer.json().await;
            match path {
                "/v1/messages" => drop(anthropic_error(&body)),
                _ => assert_denied(&body),
            }
            assert_eq!(body["hook_results"]["after_request_hooks"][0]["deny"], true, "{path}: {body}");
        }
    }
}

#[tokio::test]
async fn a_denied_stream_without_words_left_is_tried_elsewhere() {
    let world = guarded().await;
    let config = json!({"strategy": {"mode": "fallback"}, "targets": [
        {"override_params": {"model": "@openai-prod/mock?say=secret"}, "output_guardrails": no_word("secret", true)},
        {"override_params": {"model": "@anthropic-prod/mock?say=fine"}}]});
    let mut body = json!({"model": "any", "messages": [{"role": "user", "content": "hi"}]});
    body["stream"] = true.into();
    let request = world.client.chat(&body).header("x-portkey-config", config.to_string());
    let mut answer = request.send().await;
    assert_eq!(
        (answer.status, answer.header("x-portkey-last-used-option-index")),
        (200, "config.targets[1]")
    );
    assert_eq!(text_of(&answer.events().await), "fine");
}

#[tokio::test]
async fn redactors_change_streams_in_every_dialect() {
    let world = guarded().await;
    let guards = json!({"output_guardrails": [{"pii.redact": {"categories": ["email"]}, "regexReplace": {"rule": "/two/g", "redactText": "2"}}]});
    for (path, providers) in ROUTES {
        for provider in providers {
            let say = ("one two ada@example.com two three", 5);
            let mut answer = stream(&world.client, (path, provider), say, &guards).await;
            assert_eq!(answer.status, 200, "{path} {provider}");
            let events = answer.events().await;
            assert_eq!(text_of(&events), "one 2 [EMAIL] 2 three", "{path} {provider}: {events:#?}");
            let all: String = events.iter().map(|event| event.data.clone()).collect();
            assert!(!all.contains("ada@"), "{path} {provider}: {events:#?}");
            assert!(events.iter().any(|event| ends(path, event)), "{path} {provider}: {events:#?}");
        }
    }
}

#[tokio::test]
async fn a_check_that_needs_the_whole_answer_holds_a_stream_only_where_it_can_deny() {
    let world = guarded().await;
    let guards = |deny: bool| {
        json!({"strict_open_ai_compliance": false, "output_guardrails": [
        {"id": "count", "deny": deny, "wordCount": {"maxWords": 3}}]})
    };
    let route = ("/v1/chat/completions", "openai-prod");
    let mut answer = stream(&world.client, route, ("one two three four", 5), &guards(true)).await;
    assert_eq!(answer.status, 446);
    assert_denied(&answer.json().await);
    let mut answer = stream(&world.client, route, ("one two three", 5), &guards(true)).await;
    assert_eq!((answer.status, answer.header("x-tidegate-guardrail-stream")), (200, "held"));
    let events = answer.events().await;
    assert_eq!(text_of(&events), "one two three", "{events:#?}");
    assert!(events.iter().any(sse::Event::is_done), "{events:#?}");
    // It may only fail: what it finds is information at the end.
    let mut answer = stream(&world.client, route, ("one two three four", 5), &guards(false)).await;
    assert_eq!(answer.status, 200);
    let events = answer.events().await;
    assert_eq!(text_of(&events), "one two three four", "{events:#?}");
    let last = events.last().expect("events").json();
    let hook = &last["hook_results"]["after_request_hooks"][0];
    assert_eq!(
        (&hook["id"], &hook["verdict"], &hook["deny"]),
        (&json!("count"), &json!(false), &json!(false)),
        "{events:#?}"
    );
    assert_eq!(hook["checks"][0]["data"]["wordCount"], 4, "{events:#?}");
}

#[tokio::test]
async fn asynchronous_guards_leave_streams_alone() {
    let world = guarded().await;
    let guards = json!({"strict_open_ai_compliance": false, "output_guardrails": [
        {"async": true, "deny": true, "contains": {"words": ["one"], "operator": "none"}}]});
    for (path, [provider, _]) in ROUTES {
        let mut answer = stream(&world.client, (path, provider), ("one two", 0), &guards).await;
        assert_eq!(answer.status, 200, "{path}");
        let events = answer.events().await;
        assert_eq!(text_of(&events), "one two", "{path}: {events:#?}");
        assert!(results(&events).is_empty(), "{path}: {events:#?}");
    }
}

#[tokio::test]
async fn tool_arguments_of_a_stream_stay_json_when_they_are_masked() {
    let world = guarded().await;
    let guards = json!({"output_guardrails": [{"pii.redact": {"categories": ["email"]}}]}).to_string();
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        let ask = "[[tools=1&args=%7B%22to%22%3A%22ada%40example.com%22%2C%22n%22%3A1%7D]] mail";
        let tool =
            json!({"type": "function", "function": {"name": "mail", "parameters": {"type": "object"}}});
        let body = json!({"model": format!("@{provider}/mock"), "stream": true, "tools": [tool],
            "messages": [{"role": "user", "content": ask}]});
        let mut answer = world.client.chat(&body).header("x-portkey-config", &guards).send().await;
        assert_eq!(answer.status, 200, "{provider}");
        let events = answer.events().await;
        let pieces = events.iter().map(|event| {
            let data = event.json();
            data["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        });
        let arguments: String = pieces.collect();
        let arguments: Value = serde_json::from_str(&arguments)
            .unwrap_or_else(|error| panic!("{provider}: {error} in {arguments:?}"));
        assert_eq!(arguments, json!({"to": "[EMAIL]", "n": 1}), "{provider}: {events:#?}");
        assert_eq!(sse::finish_reason(&events).as_deref(), Some("tool_calls"), "{provider}: {events:#?}");
    }
}

#[tokio::test]
async fn a_check_that_nobody_knows_denies_a_stream_where_its_errors_count() {
    let world = guarded().await;
    for (check, deny, fail_on_error, wanted) in [
        ("acme.gone", true, true, 446),
        ("default.gone", true, true, 446),
        ("default.gone", true, false, 200),
        ("default.gone", false, true, 200),
    ] {
        let guards = json!({"output_guardrails": [{check: {"failOnError": fail_on_error}, "deny": deny}]});
        for (path, providers) in ROUTES {
            let mut answer = stream(&world.client, (path, providers[0]), ("not judged", 0), &guards).await;
            assert_eq!(answer.status, wanted, "{path} {guards}");
            let body = answer.text().await;
            assert_eq!(body.contains("judged\""), wanted == 200, "{path} {guards}: {body}");
        }
    }
}
