//! The gateway that most tests use: one scripted upstream behind a provider of each dialect.

use serde_json::{Value, json};
use tidegate_tests::{Client, Gateway, Mock, Settings};

/// The key of most tests.
pub(crate) const KEY: &str = "tg-key-of-the-tests-0123456789";

/// 3 and 15 dollars per million tokens: 3,000 and 15,000 nano-dollars each.
pub(crate) const PRICES: &str = r#"prices = { "mock" = { input = 3.00, output = 15.00 } }"#;
pub(crate) const INPUT_NANO: i64 = 3_000;
pub(crate) const OUTPUT_NANO: i64 = 15_000;

pub(crate) struct World {
    pub(crate) mock: Mock,
    pub(crate) gateway: Gateway,
    pub(crate) client: Client,
}

/// Providers of every dialect.
pub(crate) fn providers(mock: &Mock) -> Settings {
    Settings::new()
        .provider("openai-prod", "openai", mock, PRICES)
        .provider("anthropic-prod", "anthropic", mock, PRICES)
        .provider("google-prod", "google", mock, PRICES)
}

/// A gateway with those providers and one key without limits.
pub(crate) async fn world() -> World {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "");
    world_with(mock, settings).await
}

pub(crate) async fn world_with(mock: Mock, settings: Settings) -> World {
    let gateway = Gateway::start(settings).await;
    let client = gateway.with_key(KEY);
    World { mock, gateway, client }
}

/// A question in OpenAI's chat dialect.
pub(crate) fn chat(model: &str, text: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": text }] })
}

/// The same, streamed.
pub(crate) fn chat_stream(model: &str, text: &str) -> Value {
    let mut body = chat(model, text);
    body["stream"] = true.into();
    body
}

/// A question in Anthropic's dialect, streamed or not.
pub(crate) fn message(model: &str, text: &str, stream: bool) -> Value {
    let mut body = chat(model, text);
    body["max_tokens"] = 1000.into();
    if stream {
        body["stream"] = true.into();
    }
    body
}

/// Checks that a body is an error as OpenAI's SDKs read it, and returns its message.
pub(crate) fn openai_error(body: &Value) -> String {
    let message = body["error"]["message"].as_str().unwrap_or_else(|| panic!("no error.message in {body}"));
    assert!(!message.is_empty(), "an empty error.message in {body}");
    assert!(body["error"]["type"].is_string(), "no error.type in {body}");
    message.to_owned()
}

/// Checks that a body is an error as Anthropic's SDKs read it, and returns its message.
pub(crate) fn anthropic_error(body: &Value) -> String {
    assert_eq!(body["type"], "error", "not an Anthropic error: {body}");
    assert!(body["error"]["type"].is_string(), "no error.type in {body}");
    body["error"]["message"].as_str().unwrap_or_else(|| panic!("no error.message in {body}")).to_owned()
}
