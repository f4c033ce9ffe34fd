//! Plugins that are compiled once for all tests: each gateway has a folder of its own, and a debug build takes a while.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::{Gateway, Request};

use crate::support::{World, chat};

/// For a machine that compiles all of them and does other things too.
const PATIENCE: Duration = Duration::from_secs(400);

/// A config with checks of every bundled plugin.
pub(super) fn checks() -> Value {
    json!({"provider": "@openai-prod", "input_guardrails": [
        {"notNull": {}, "pii.detect": {}, "secrets.detect": {}, "topics.keywords": {"topics": {"none": ["zzzzzz"]}}}]})
}

/// A config with a condition of the bundled plugin that has some.
pub(super) fn conditions() -> Value {
    json!({"strategy": {"mode": "conditional", "default": "all", "conditions": [
            {"query": {"$plugin": {"id": "prompt.longer_than", "params": {"characters": 1000}}}, "then": "all"}]},
        "targets": [{"name": "all", "provider": "@openai-prod"}]})
}

/// Lends a gateway what earlier tests had compiled, waits until it has the plugins of a config, and keeps what is new.
pub(super) async fn warm(world: &World, config: &Value) {
    let request = world.client.chat(&chat("mock", "warms up")).header("x-portkey-config", config.to_string());
    warmed_by(&world.gateway, request).await;
}

/// Does the same for the plugin of the checks that are named `default.*`, on a gateway without providers.
pub(crate) async fn warm_default(gateway: &Gateway) {
    let order = json!({"name": "warms up", "checks": [{"id": "default.notNull"}], "actions": {}});
    let made = warmed_by(gateway, gateway.admin().post("/v1/guardrails", &order)).await;
    let path = format!("/v1/guardrails/{}", made["id"].as_str().expect("an id"));
    gateway.admin().request("DELETE", &path).send().await.expect(200).await;
}

async fn warmed_by(gateway: &Gateway, request: Request) -> Value {
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-plugins");
    fs::create_dir_all(&shared).expect("a shared folder");
    // One after the other: what the first compiles the others take.
    let lock = fs::File::create(shared.join("lock")).expect("a lock");
    lock.lock().expect("a lock");
    let own = compiled(gateway);
    fs::create_dir_all(&own).expect("the gateway's folder");
    copy(&shared, &own);
    let answer = tokio::time::timeout(PATIENCE, request.try_send()).await.expect("plugins in time");
    let answer = answer.expect("an answer").expect(200).await;
    copy(&own, &shared);
    answer
}

fn compiled(gateway: &Gateway) -> PathBuf {
    gateway.settings_path().with_file_name("data").join("plugins").join("compiled")
}

/// Copies what is not there yet, in one step each.
fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("a folder").flatten() {
        let (name, path) = (file.file_name(), file.path());
        let known = to.join(&name).exists();
        let is_ours = [".cwasm", ".sha256"].iter().any(|end| name.to_string_lossy().ends_with(end));
        if known || !is_ours {
            continue;
        }
        let aside = to.join(format!("{}.new", name.to_string_lossy()));
        fs::copy(&path, &aside).and_then(|_| fs::rename(&aside, to.join(&name))).expect("a copy");
    }
}
