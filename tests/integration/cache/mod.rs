//! The cache as clients, vendors and the operator see it.

mod alike;
mod bounds;
mod guarded;
mod plain;
mod redis;
mod sharing;
mod streams;
mod together;

use serde_json::{Value, json};
use tidegate_tests::{Answer, Client, Mock};

use crate::support::{KEY, World, chat, providers, world_with};

/// A config with this cache.
fn config(cache: Value) -> String {
    json!({ "cache": cache }).to_string()
}

/// Keeps what is asked, as Portkey's simple mode does.
fn simple() -> String {
    config(json!({ "mode": "simple" }))
}

fn status(answer: &Answer) -> &str {
    answer.header("x-portkey-cache-status")
}

/// A gateway with providers of every dialect. `more` is TOML.
async fn gateway(more: &str) -> World {
    let mock = Mock::start();
    let settings = providers(&mock).toml(more).key("tests", KEY, "");
    world_with(mock, settings).await
}

/// Sends a chat through the cache.
async fn ask(client: &Client, body: &Value) -> Answer {
    client.chat(body).header("x-portkey-config", simple()).send().await
}

/// Sends a question through the cache and returns what was found, and the answer.
async fn ask_text(client: &Client, text: &str) -> (String, String) {
    let mut answer = ask(client, &chat("@openai-prod/mock", text)).await;
    let body = answer.text().await;
    assert!(answer.status == 200 || answer.status == 246, "{} {body}", answer.status);
    (status(&answer).to_owned(), body)
}
