//! Conditions that a plugin decides: `$plugin` in a conditional strategy.

use serde_json::{Value, json};
use tidegate_tests::{Answer, Mock};

use super::{settings, warm};
use crate::support::{World, chat, openai_error, world_with};

async fn deciding() -> World {
    let mock = Mock::start();
    let settings = settings(&mock, "");
    let world = world_with(mock, settings).await;
    warm::warm(&world, &warm::conditions()).await;
    world.mock.reset();
    world
}

/// A config whose queries lead to targets `first`, `second`, …; what matches nothing goes to `rest`.
fn config(queries: &[Value]) -> Value {
    let names = ["first", "second", "third"];
    let conditions: Vec<Value> =
        queries.iter().zip(names).map(|(query, name)| json!({"query": query, "then": name})).collect();
    let targets: Vec<Value> = names
        .iter()
        .chain(&["rest"])
        .map(|name| json!({"name": name, "provider": "@openai-prod", "override_params": {"model": format!("mock-{name}")}}))
        .collect();
    json!({"strategy": {"mode": "conditional", "conditions": conditions, "default": "rest"}, "targets": targets})
}

async fn ask(world: &World, text: &str, config: &Value) -> Answer {
    let request = world.client.chat(&chat("any", text)).header("x-portkey-config", config.to_string());
    request.header("x-portkey-metadata", r#"{"plan": "paid"}"#).send().await
}

/// Which target was chosen.
async fn chosen(world: &World, text: &str, config: &Value) -> String {
    let body = ask(world, text, config).await.expect(200).await;
    body["model"].as_str().expect("a model").trim_start_matches("mock-").to_owned()
}

fn longer_than(characters: u32) -> Value {
    json!({"$plugin": {"id": "prompt.longer_than", "params": {"characters": characters}}})
}

fn language(any_of: &[&str]) -> Value {
    json!({"$plugin": {"id": "prompt.language", "params": {"any_of": any_of}}})
}

#[tokio::test]
async fn the_size_of_a_prompt_chooses_a_target() {
    let world = deciding().await;
    let config = config(&[longer_than(100), longer_than(10)]);
    for (length, target) in [(5, "rest"), (10, "rest"), (11, "second"), (100, "second"), (101, "first")] {
        assert_eq!(chosen(&world, &"ä".repeat(length), &config).await, target, "{length} characters");
    }
    // All messages count together.
    let mut body = chat("any", "0123456");
    body["messages"]
        .as_array_mut()
        .expect("messages")
        .insert(0, json!({"role": "system", "content": "789abc"}));
    let request = world.client.chat(&body).header("x-portkey-config", config.to_string());
    assert_eq!(request.send().await.expect(200).await["model"], "mock-second");
}

#[tokio::test]
async fn the_language_of_a_prompt_chooses_a_target() {
    let world = deciding().await;
    let config = config(&[language(&["de", "nl"]), language(&["ja", "zh"]), language(&["ar"])]);
    for (text, target) in [
        ("Kannst du mir bitte sagen, wie das ist und was es bedeutet?", "first"),
        ("日本語で答えてください", "second"),
        ("كيف حالك اليوم", "third"),
        ("What is this and how do you do it?", "rest"),
        ("42", "rest"),
    ] {
        assert_eq!(chosen(&world, text, &config).await, target, "{text}");
    }
}

#[tokio::test]
async fn plugin_conditions_are_joined_with_others() {
    let world = deciding().await;
    let long = "x".repeat(50);
    let paid = json!({"metadata.plan": {"$eq": "paid"}});
    let free = json!({"metadata.plan": {"$eq": "free"}});
    for (query, short, long_one) in [
        (json!({"$and": [paid, longer_than(20)]}), "rest", "first"),
        (json!({"$and": [free, longer_than(20)]}), "rest", "rest"),
        (json!({"$or": [free, longer_than(20)]}), "rest", "first"),
        (json!({"$or": [paid, longer_than(20)]}), "first", "first"),
        (
            json!({"$or": [{"$and": [paid, longer_than(20)]}, {"$and": [free, language(&["de"])]}]}),
            "rest",
            "first",
        ),
        (json!({"metadata.plan": "paid", "$plugin": longer_than(20)["$plugin"]}), "rest", "first"),
        (json!({"$plugin": longer_than(20)["$plugin"], "metadata.plan": "free"}), "rest", "rest"),
    ] {
        let config = config(std::slice::from_ref(&query));
        assert_eq!(chosen(&world, "short", &config).await, short, "{query}");
        assert_eq!(chosen(&world, &long, &config).await, long_one, "{query}");
    }
}

#[tokio::test]
async fn every_dialect_is_measured() {
    let world = deciding().await;
    let config = config(&[longer_than(20)]).to_string();
    let long = "x".repeat(50);
    for (path, body) in [
        ("/v1/messages", json!({"max_tokens": 10, "messages": [{"role": "user", "content": long}]})),
        ("/v1/responses", json!({"input": long})),
        ("/v1/completions", json!({"prompt": long})),
    ] {
        let mut body = body;
        body["model"] = "any".into();
        let request = world.client.post(path, &body).header("anthropic-version", "2023-06-01");
        let answer = request.header("x-portkey-config", &config).send().await.expect(200).await;
        assert_eq!(answer["model"], "mock-first", "{path}: {answer}");
    }
}

#[tokio::test]
async fn conditions_that_nobody_knows_or_that_make_no_sense_are_refused() {
    let world = deciding().await;
    for (query, status, part) in [
        (json!({"$plugin": {"id": "prompt.colour"}}), 400, "prompt.colour"),
        (json!({"$plugin": {"id": "nobody.knows"}}), 400, "nobody.knows"),
        (json!({"$plugin": {"id": "pii.detect"}}), 400, "pii.detect"),
        (json!({"$plugin": {"params": {}}}), 400, "$plugin.id"),
        (json!({"$plugin": "prompt.language"}), 400, "$plugin"),
        (json!({"$plugins": {"id": "prompt.language"}}), 400, "$plugins"),
        // It can't be decided, and either way could be the wrong one.
        (language(&["xx"]), 503, "xx"),
        (json!({"$plugin": {"id": "prompt.longer_than"}}), 503, "prompt.longer_than"),
    ] {
        let mut answer = ask(&world, "hi", &config(std::slice::from_ref(&query))).await;
        assert_eq!(answer.status, status, "{query}");
        let message = openai_error(&answer.json().await);
        assert!(message.contains(part), "{query}: {message}");
    }
    assert!(world.mock.requests().is_empty());
}

#[tokio::test]
async fn a_condition_that_is_decided_without_its_plugin_asks_none() {
    let world = deciding().await;
    let nobody = json!({"$plugin": {"id": "nobody.knows"}});
    let (paid, free) = (json!({"metadata.plan": "paid"}), json!({"metadata.plan": "free"}));
    for (queries, target) in [
        // What decides before is enough, and so is a part of the query itself.
        (vec![paid.clone(), nobody.clone()], "first"),
        (vec![json!({"$or": [paid, nobody]})], "first"),
        (vec![json!({"$and": [free, nobody]})], "rest"),
    ] {
        assert_eq!(chosen(&world, "hi", &config(&queries)).await, target, "{queries:?}");
    }
}
