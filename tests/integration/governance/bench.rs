//! A gateway whose providers come from the Admin API, with keys of two workspaces.

use serde_json::{Value, json};
use tidegate_tests::{Client, Gateway, Mock, Settings};

use crate::support::{KEY, chat};

/// The vendor's key; it must not be anywhere but in the vendor's hands.
pub(super) const VENDOR_KEY: &str = "sk-vendor-plain-text-0123456789";

pub(super) struct Bench {
    pub(super) mock: Mock,
    pub(super) gateway: Gateway,
}

impl Bench {
    /// Starts a gateway without declared providers that trusts the mock's host. `more` is TOML.
    pub(super) async fn start(more: &str) -> Self {
        let mock = Mock::start();
        let security = format!("[security]\ntrusted_hosts = [\"127.0.0.1\"]\n{more}");
        let gateway = Gateway::start(Settings::new().toml(&security).key("tests", KEY, "")).await;
        Self { mock, gateway }
    }

    /// Orders something as a client and returns the status and the answer.
    pub(super) async fn ask_as(client: &Client, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut request = client.request(method, &format!("/v1{path}"));
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let mut answer = request.send().await;
        (answer.status, answer.json().await)
    }

    /// Orders something as the administrator.
    pub(super) async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        Self::ask_as(&self.gateway.admin(), method, path, body).await
    }

    /// Orders something that must succeed.
    pub(super) async fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Makes an integration of OpenAI at the mock, with a provider of this slug in the default workspace.
    pub(super) async fn integration(&self, slug: &str) -> Value {
        let order = json!({
            "name": slug, "slug": slug, "ai_provider_id": "openai", "key": VENDOR_KEY,
            "configurations": {"custom_host": self.mock.url("/v1")},
        });
        self.done("POST", "/integrations", &order).await
    }

    /// Asks a model as the key of the default workspace.
    pub(super) async fn chat(&self, model: &str) -> (u16, Value) {
        let mut body = chat(model, "hello");
        body["max_tokens"] = 10.into();
        Self::ask_as(&self.gateway.with_key(KEY), "POST", "/chat/completions", &body).await
    }

    /// Checks that a text is in nothing that the gateway keeps or prints.
    pub(super) fn nowhere(&self, secret: &str) {
        assert!(!self.gateway.output().contains(secret), "the log holds {secret}");
        let folder = self.gateway.settings_path().with_file_name("data");
        let mut folders = vec![folder];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let bytes = std::fs::read(entry.path()).expect("a file");
                files += 1;
                let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!found, "{} holds {secret}", entry.path().display());
            }
        }
        assert!(files > 0, "nothing is kept");
    }
}
