//! Time limits, hedging and continuation, as clients, vendors and the books see them.

mod commit;
mod continuation;
mod hedging;
mod leaving;
mod timeouts;

use serde_json::{Value, json};
use tidegate_tests::{Mock, Request, Settings};

use crate::support::{KEY, World, world_with};

/// A gateway whose key has a budget, so that every attempt is held and paid.
async fn paying() -> World {
    let mock = Mock::start();
    let settings = priced(&mock).key("paying", KEY, "budget = { usd = 100.00 }");
    warmed(mock, settings).await
}

/// A gateway that has loaded its tokenizer, which takes a debug build its time. Another key's budget pays for that.
async fn warmed(mock: Mock, settings: Settings) -> World {
    const OTHER: &str = "tg-key-that-warms-up-012345678901";
    let world = world_with(mock, settings.key("warm", OTHER, "budget = { usd = 1.00 }")).await;
    let body = crate::support::chat_stream("@openai-prod/mock", "[[chunks=1]] warms up");
    world.gateway.with_key(OTHER).chat(&body).send().await.events().await;
    world.mock.reset();
    world
}

/// What the requests of the paying key cost, by the log.
fn costs(world: &World) -> i64 {
    let rows = world.gateway.logs();
    rows.iter()
        .filter(|row| row["key_name"] == "paying")
        .filter_map(|row| row["cost_nano_usd"].as_i64())
        .sum()
}

/// Providers of every dialect; whatever their models are named, they have a price.
fn priced(mock: &Mock) -> Settings {
    let prices = r#"prices = { "*" = { input = 3.00, output = 15.00 } }"#;
    Settings::new()
        .provider("openai-prod", "openai", mock, prices)
        .provider("anthropic-prod", "anthropic", mock, prices)
        .provider("google-prod", "google", mock, prices)
}

/// A target at a provider, and what the upstream does there.
fn target(provider: &str, script: &str) -> Value {
    // Google's requests are written anew, so a script would not arrive.
    assert!(script.is_empty() || !provider.starts_with("google"), "only the text carries a script to Google");
    json!({ "override_params": { "model": format!("@{provider}/mock"), "mock": script } })
}

/// Puts a config and a trace id on a request.
fn with(request: Request, config: &Value, trace: &str) -> Request {
    request.header("x-portkey-config", config.to_string()).header("x-portkey-trace-id", trace)
}

/// The members of the attempts in a row.
fn attempts<'a>(row: &'a Value, name: &str) -> Vec<&'a Value> {
    row["tried"].as_array().map(|tried| tried.iter().map(|tried| &tried[name]).collect()).unwrap_or_default()
}
