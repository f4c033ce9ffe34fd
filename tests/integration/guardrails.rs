//! Guardrails: what clients and vendors see of them, on every route, in bodies and in streams.

mod cases;
mod checks;
mod conditions;
mod elsewhere;
mod routes;
mod streams;
pub(crate) mod warm;

pub(crate) use cases::fits;
use serde_json::{Value, json};
use tidegate_tests::{Answer, Mock, Settings, wait};

use crate::support::{KEY, World, chat, providers, world_with};

const SAVED: &str = r#"
[security]
trusted_hosts = ["127.0.0.1"]

[[guardrail]]
id = "pg-no-hello"
json = '{"id": "no-hello", "deny": true, "checks": [{"id": "default.contains", "parameters": {"words": ["hello"], "operator": "none"}}]}'

[[guardrail]]
id = "pg-pair"
json = '[{"contains": {"words": ["hello"], "operator": "none"}}, {"notNull": {}}]'
"#;

/// Settings with saved guardrails and a key that may bring its own credentials. `more` is TOML.
fn settings(mock: &Mock, more: &str) -> Settings {
    providers(mock).toml(SAVED).toml(more).key("tests", KEY, "header_credentials = true")
}

/// A gateway with those settings.
pub(crate) async fn guarded() -> World {
    let mock = Mock::start();
    let settings = settings(&mock, "");
    warmed(mock, settings).await
}

/// A gateway whose plugins are ready.
pub(crate) async fn warmed(mock: Mock, settings: Settings) -> World {
    let world = world_with(mock, settings).await;
    warm::warm(&world, &warm::checks()).await;
    world.mock.reset();
    world
}

/// A word that inputs must not have: `deny` says whether that is all.
fn no_word(word: &str, deny: bool) -> Value {
    json!([{"id": "no-word", "deny": deny, "contains": {"words": [word], "operator": "none"}}])
}

/// Checks that a body is Portkey's denial in OpenAI's form.
fn assert_denied(body: &Value) {
    assert_eq!(body["error"]["type"], "hooks_failed", "{body}");
    assert!(body["hook_results"]["before_request_hooks"].is_array(), "{body}");
    assert!(body["hook_results"]["after_request_hooks"].is_array(), "{body}");
}

/// Sends a chat with guards around the first provider.
async fn ask(world: &World, text: &str, guards: &Value) -> Answer {
    world
        .client
        .chat(&chat("@openai-prod/mock", text))
        .header("x-portkey-config", guards.to_string())
        .send()
        .await
}

#[tokio::test]
async fn what_portkey_was_seen_to_do_is_done() {
    let world = guarded().await;
    let cases = cases::read(include_str!("../fixtures/guardrails/observed.json"));
    assert!(cases.len() >= 21, "cases are missing");
    cases::run(&world, &cases).await;
}

#[tokio::test]
async fn the_rules_of_hooks_hold() {
    let world = guarded().await;
    let cases = cases::read(include_str!("../fixtures/guardrails/rules.json"));
    assert!(cases.len() >= 60, "cases are missing");
    cases::run(&world, &cases).await;
}

#[tokio::test]
async fn an_operator_may_count_every_error_as_a_failure() {
    let mock = Mock::start();
    let settings = settings(&mock, "[guardrails]\nfail_on_error = true");
    let world = warmed(mock, settings).await;
    let broken = json!({"input_guardrails": [{"deny": true, "regexMatch": {"rule": "*"}}]});
    let body = ask(&world, "errs", &broken).await.expect(446).await;
    assert_denied(&body);
    let check = &body["hook_results"]["before_request_hooks"][0]["checks"][0];
    assert_eq!(
        (&check["fail_on_error"], &check["error"]["name"]),
        (&json!(true), &json!("SyntaxError")),
        "{body}"
    );
    let unknown = json!({"output_guardrails": [{"acme.pii": {}}]});
    ask(&world, "nobody knows", &unknown).await.expect(246).await;
    assert!(world.mock.find("errs").is_empty());
}

#[tokio::test]
async fn guards_of_a_keys_own_config_need_no_header() {
    let mock = Mock::start();
    let saved = r#"{"input_guardrails": ["pg-no-hello"], "output_guardrails": [{"pii.redact": {}}]}"#;
    let settings = providers(&mock)
        .toml(SAVED)
        .toml(&format!("[[config]]\nid = \"guarded\"\njson = '''{saved}'''"))
        .key("tests", KEY, "config = \"guarded\"");
    let world = warmed(mock, settings).await;
    let denied = world.client.chat(&chat("@openai-prod/mock", "hello")).send().await;
    assert_denied(&denied.expect(446).await);
    let answer =
        world.client.chat(&chat("@openai-prod/mock", "I am a@example.com")).send().await.expect(200).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "echo: I am [EMAIL]", "{answer}");
    assert_eq!(answer["hook_results"]["before_request_hooks"][0]["id"], "no-hello", "{answer}");
}

#[tokio::test]
async fn a_denied_request_costs_nothing_and_a_denied_answer_costs_its_price() {
    let mock = Mock::start();
    let settings = providers(&mock).key("paying", KEY, "budget = { usd = 1.00 }");
    let world = warmed(mock, settings).await;
    let send = |guards: Value, trace: &'static str| {
        let request = world.client.chat(&chat("@openai-prod/mock", "[[input=100&output=10]] hello"));
        request.header("x-portkey-config", guards.to_string()).header("x-portkey-trace-id", trace).send()
    };
    let spent =
        || async { world.gateway.settled_budget("paying").await["spent"].as_i64().expect("an integer") };
    let before = spent().await;
    send(json!({"input_guardrails": no_word("hello", true)}), "before").await.expect(446).await;
    assert_eq!(spent().await, before);
    let row = world.gateway.log_of("before").await;
    assert_eq!((&row["status"], &row["outcome"]), (&json!(446), &json!("guardrail_denied")), "{row}");
    send(json!({"output_guardrails": no_word("hello", true)}), "after").await.expect(446).await;
    let price = 100 * crate::support::INPUT_NANO + 10 * crate::support::OUTPUT_NANO;
    assert_eq!(spent().await, before + price);
    let row = world.gateway.log_of("after").await;
    assert_eq!((&row["status"], &row["outcome"]), (&json!(446), &json!("guardrail_denied")), "{row}");
}

#[tokio::test]
async fn what_an_asynchronous_guard_found_is_logged_without_what_was_said() {
    let world = guarded().await;
    let quiet = |id: &str| json!([{"id": id, "async": true, "deny": true, "wordCount": {"maxWords": 1}}]);
    let guards = json!({"input_guardrails": quiet("quiet-in"), "output_guardrails": quiet("quiet-out")});
    ask(&world, "forbidden fruit", &guards).await.expect(200).await;
    for id in ["quiet-in", "quiet-out"] {
        let line = wait::until("the result in the log", || {
            let output = world.gateway.output();
            output
                .lines()
                .find(|line| line.contains("guardrail judged") && line.contains(id))
                .map(str::to_owned)
        });
        let line = line.await;
        assert!(line.contains("verdict=false") && line.contains("default.wordCount"), "{line}");
        assert!(!line.contains("forbidden fruit"), "what was said stays out of the log: {line}");
    }
}

#[tokio::test]
async fn an_asynchronous_guard_is_shown_what_it_wants_also_where_nobody_else_wants_it() {
    let world = guarded().await;
    let guards = |keys: &[&str]| {
        let check = json!({"metadataKeys": keys, "operator": "all"});
        json!({"input_guardrails": [{"id": keys.join("-"), "async": true, "requiredMetadataKeys": check}]})
    };
    for (keys, verdict) in [(&["team"][..], "verdict=true"), (&["team", "cost"], "verdict=false")] {
        let request = world.client.chat(&chat("@openai-prod/mock", "hello"));
        let request = request.header("x-portkey-metadata", r#"{"team": "red"}"#);
        request.header("x-portkey-config", guards(keys).to_string()).send().await.expect(200).await;
        let id = format!("hook=\"{}\"", keys.join("-"));
        let line = wait::until("the result in the log", || {
            let output = world.gateway.output();
            output
                .lines()
                .find(|line| line.contains("guardrail judged") && line.contains(&id))
                .map(str::to_owned)
        });
        let line = line.await;
        assert!(line.contains(verdict), "{line}");
    }
}
