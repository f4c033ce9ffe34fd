//! What an operator does while traffic flows: keys, providers, budgets and limits by command, all without a restart.

use serde_json::Value;
use tidegate_tests::{Gateway, Mock, Settings, sse, wait};

use crate::support::{KEY, World, chat, chat_stream, providers, world_with};

async fn one_key(more: &str) -> World {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, more);
    world_with(mock, settings).await
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Waits until a request with this key is answered with this status.
async fn answers(gateway: &Gateway, key: &str, model: &str, status: u16) -> Value {
    wait::until_async("the change to act", || async {
        let mut answer = gateway.with_key(key).chat(&chat(model, "hi")).send().await;
        let body = answer.json().await;
        (answer.status == status).then_some(body)
    })
    .await
}

#[tokio::test]
async fn a_key_made_by_command_works_and_stops_working_when_revoked() {
    let world = one_key("").await;
    let made = world.gateway.cli(&["key", "create", "alice", "--model", "@openai-prod/*"]);
    let key = text(&made, "key");
    answers(&world.gateway, key, "@openai-prod/mock", 200).await;
    let refused = answers(&world.gateway, key, "@anthropic-prod/mock", 412).await;
    assert_eq!(refused["error"]["type"], "model_not_allowed_error", "{refused}");
    world.gateway.cli(&["key", "revoke", "alice"]);
    answers(&world.gateway, key, "@openai-prod/mock", 401).await;
}

#[tokio::test]
async fn a_budget_raised_by_command_lets_requests_in_again() {
    let world = one_key("").await;
    let made = world.gateway.cli(&["key", "create", "bob", "--usd", "0.000001"]);
    let key = text(&made, "key");
    let refused = answers(&world.gateway, key, "@openai-prod/mock", 412).await;
    assert_eq!((text(&refused["error"], "code"), text(&refused, "status")), ("04", "failure"), "{refused}");
    world.gateway.cli(&["budget", "set", "bob", "1"]);
    answers(&world.gateway, key, "@openai-prod/mock", 200).await;
}

#[tokio::test]
async fn a_provider_added_by_command_serves_and_its_key_is_not_in_the_store() {
    let world = one_key("").await;
    let base = world.mock.url("/v1");
    let secret = world.gateway.settings_path().with_file_name("vendor-key");
    std::fs::write(&secret, "sk-very-secret").expect("a file");
    let secret = format!("file:{}", secret.display());
    world.gateway.cli(&[
        "provider",
        "add",
        "second",
        "--vendor",
        "openai",
        "--api-key",
        &secret,
        "--base-url",
        &base,
        "--trusted",
    ]);
    answers(&world.gateway, KEY, "@second/mock", 200).await;
    let store = world.gateway.settings_path().with_file_name("data").join("tidegate.db");
    let bytes = std::fs::read(store).expect("the store");
    assert!(!bytes.windows(14).any(|window| window == b"sk-very-secret"));
    world.gateway.cli(&["provider", "remove", "second"]);
    answers(&world.gateway, KEY, "@second/mock", 400).await;
}

#[tokio::test]
async fn a_request_limit_answers_429_with_its_headers() {
    let world = one_key("limits = [{ requests = 2, per = \"minute\" }]").await;
    for left in ["1", "0"] {
        let answer = world.client.chat(&chat("@openai-prod/mock", "hi")).send().await;
        assert_eq!((answer.status, answer.header("x-ratelimit-remaining-requests")), (200, left));
    }
    let mut answer = world.client.chat(&chat("@openai-prod/mock", "hi")).send().await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "2");
    assert!((1..=30).contains(&answer.header("retry-after").parse::<u32>().expect("seconds")));
    assert_eq!(answer.json().await["error"]["code"], "05");
    assert_eq!(world.mock.requests().len(), 2);
}

#[tokio::test]
async fn a_token_limit_charges_what_was_used_in_fact() {
    let world = one_key("limits = [{ tokens = 1000, per = \"hour\" }]").await;
    let body = chat("@openai-prod/mock", "[[chunks=300&input=500]] tokens");
    world.client.chat(&body).send().await.expect(200).await;
    let left = wait::until_async("the settlement", || async {
        let answer = world.client.chat(&chat("@openai-prod/mock", "hi")).send().await;
        let left: u32 = answer.header("x-ratelimit-remaining-tokens").parse().ok()?;
        (left < 250).then_some(left)
    })
    .await;
    assert!((100..=200).contains(&left), "800 of 1,000 were used, {left} are left");
}

#[tokio::test]
async fn a_concurrency_limit_counts_streams_until_they_end() {
    let world = one_key("limits = [{ concurrent = 1 }]").await;
    let mut stream =
        world.client.chat(&chat_stream("@openai-prod/mock", "[[chunks=50&delay_ms=100]]")).send().await;
    assert!(stream.next_bytes().await.is_some());
    let refused = world.client.chat(&chat("@openai-prod/mock", "hi")).send().await;
    assert_eq!(refused.status, 429);
    stream.hang_up();
    answers(&world.gateway, KEY, "@openai-prod/mock", 200).await;
}

#[tokio::test]
async fn a_stream_cut_by_its_budget_ends_in_its_own_id_with_usage() {
    let world = one_key("budget = { usd = 0.004 }").await;
    let mut body = chat_stream("@openai-prod/mock", "[[chunks=2000]] cut me");
    body["stream_options"] = serde_json::json!({ "include_usage": true });
    let events = world.client.chat(&body).send().await.events().await;
    let chunks: Vec<Value> = events.iter().filter(|event| !event.is_done()).map(sse::Event::json).collect();
    let error = sse::error(&events).expect("a typed error");
    assert_eq!(error["type"], "budget_exceeded", "{error}");
    let with_choices: Vec<&Value> = chunks.iter().filter(|chunk| chunk["choices"].is_array()).collect();
    assert!(with_choices.iter().all(|chunk| chunk["id"] == chunks[0]["id"]), "one stream, one id");
    let roles = with_choices.iter().filter(|chunk| chunk["choices"][0]["delta"]["role"].is_string()).count();
    assert_eq!(roles, 1, "one role chunk");
    let finish = with_choices.iter().find_map(|chunk| chunk["choices"][0]["finish_reason"].as_str());
    assert_eq!(finish, Some("length"));
    let usage =
        with_choices.iter().find_map(|chunk| chunk["usage"].as_object()).expect("usage before the error");
    assert!(usage["completion_tokens"].as_u64().is_some_and(|tokens| tokens > 60), "{usage:?}");
    assert!(events.last().is_some_and(sse::Event::is_done));
}

#[tokio::test]
async fn an_anthropic_stream_cut_by_its_budget_is_closed_properly() {
    let world = one_key("budget = { usd = 0.004 }").await;
    let mut body = crate::support::message("@anthropic-prod/mock", "[[chunks=2000]] cut me", true);
    body["max_tokens"] = 4000.into();
    let events = world.client.message(&body).send().await.events().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(&names[names.len() - 3..], ["content_block_stop", "message_delta", "error"], "{names:?}");
    let delta = events[events.len() - 2].json();
    assert_eq!(delta["delta"]["stop_reason"], "max_tokens", "{delta}");
}

#[tokio::test]
async fn a_second_gateway_on_the_same_data_is_refused() {
    let world = one_key("").await;
    let second = world.gateway.run(&["serve"]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another tidegate"), "{said}");
}

#[tokio::test]
async fn malformed_bodies_of_a_known_key_are_logged() {
    let world = one_key("").await;
    let request =
        world.client.request("POST", "/v1/chat/completions").header("x-portkey-trace-id", "broken-body");
    assert_eq!(request.body("{not json").send().await.status, 400);
    let row = world.gateway.log_of("broken-body").await;
    assert_eq!((row["status"].as_u64(), row["outcome"].as_str()), (Some(400), Some("refused")), "{row}");
}

#[tokio::test]
async fn a_declared_provider_keeps_its_credential_for_itself() {
    let mock = Mock::start();
    let settings = Settings::new().provider("only", "openai", &mock, "").key("tests", KEY, "");
    let world = world_with(mock, settings).await;
    let listed = world.gateway.state().await;
    assert_eq!(listed["providers"].as_array().map(Vec::len), Some(1), "{listed}");
}

/// A name that is public by its spelling and private by its address gets nowhere.
#[tokio::test]
async fn a_client_reaches_no_private_address_by_a_public_name() {
    let mock = Mock::start();
    let settings = providers(&mock).key("guest", KEY, "header_credentials = true");
    let world = world_with(mock, settings).await;
    let own_name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let port = world.mock.url("").rsplit(':').next().expect("a port").to_owned();
    for host in [own_name.trim(), "127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        let request = world.client.chat(&chat("mock", "hi")).header("x-portkey-provider", "openai");
        let request = request.header("x-portkey-custom-host", format!("http://{host}:{port}/v1"));
        let answer =
            request.header("x-portkey-api-key", KEY).header("authorization", "Bearer sk-mine").send().await;
        assert!([400, 502].contains(&answer.status), "{host}: {}", answer.status);
    }
    assert!(world.mock.requests().is_empty(), "nothing reaches a private address");
}

/// Counting is free of charge but not free for all.
#[tokio::test]
async fn counting_tokens_asks_the_key_like_everything_else() {
    let world = one_key("models = [\"@openai-prod/*\"]\nlimits = [{ requests = 1, per = \"hour\" }]").await;
    let mut body = crate::support::message("@openai-prod/mock", "one two", false);
    let count = |body: &Value| world.client.post("/v1/messages/count_tokens", body);
    let answer = count(&body).header("x-portkey-trace-id", "counted").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.gateway.log_of("counted").await["status"], 200);
    assert_eq!(count(&body).send().await.status, 429, "the request counted");
    body["model"] = "@google-prod/mock".into();
    assert_eq!(count(&body).send().await.status, 412, "not the key's model");
    let admin = world.gateway.admin().post("/v1/messages/count_tokens", &body).send().await;
    assert_eq!(admin.status, 403, "not the admin key's business");
}

/// Service that costs more is held and paid at its price.
#[tokio::test]
async fn a_dearer_service_tier_costs_more() {
    let world = one_key("budget = { usd = 1.00 }").await;
    let mut body = chat("@openai-prod/mock", "[[chunks=100&input=100]]");
    body["service_tier"] = "priority".into();
    world.client.chat(&body).send().await.expect(200).await;
    let budget = world.gateway.settled_budget("tests").await;
    assert_eq!(budget["spent"].as_i64(), Some(2 * (100 * 3_000 + 100 * 15_000)), "{budget}");
}
