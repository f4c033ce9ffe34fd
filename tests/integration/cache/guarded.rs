//! Guards and the cache: nothing that a guard would not let through now comes from an answer kept before.

use std::fs;

use serde_json::{Value, json};
use tidegate_tests::{Gateway, Mock, Settings, wait};

use super::status;
use crate::plugins::guest::Guest;
use crate::support::{KEY, World, chat, chat_stream, providers, world_with};

/// A guard that lets everything pass.
fn mild(version: &str) -> Guest {
    let mut guest = Guest::passes();
    guest.manifest.id = "guard".to_owned();
    guest.manifest.version = version.to_owned();
    // It only judges, so that a vendor may be asked meanwhile.
    guest.manifest.checks[0].mutates = false;
    guest
}

/// A guard that lets nothing pass.
fn strict(version: &str) -> Vec<u8> {
    let mut guest = mild(version);
    let reason = [guest.text("no"), guest.text("not this")].concat();
    let answer = guest.judgement(3, &reason, None);
    guest.check = Some(format!("(i32.const {answer})"));
    guest.build()
}

async fn drop_in(gateway: &Gateway, bytes: &[u8], version: &str) {
    let folder = gateway.plugin_folder();
    fs::create_dir_all(&folder).expect("the plugin folder");
    fs::write(folder.join(".new"), bytes).expect("a file");
    fs::rename(folder.join(".new"), folder.join("guard.wasm")).expect("a plugin");
    wait::until_async("the plugin to be in force", || async {
        let list = gateway.admin().get("/v1/plugins").send().await.expect(200).await;
        let found = list["data"]
            .as_array()?
            .iter()
            .any(|plugin| plugin["id"] == "guard" && plugin["version"] == version);
        found.then_some(())
    })
    .await;
}

fn settings(mock: &Mock, more: &str) -> Settings {
    providers(mock).toml(more).key("tests", KEY, "")
}

async fn world(more: &str) -> World {
    let mock = Mock::start();
    let settings = settings(&mock, more);
    let world = world_with(mock, settings).await;
    drop_in(&world.gateway, &mild("1.0.0").build(), "1.0.0").await;
    world
}

/// The guard on one side or both, around a cached target.
fn config(sides: &[&str], parameters: Value, deny: bool) -> String {
    let mut config = json!({"cache": {"mode": "simple"}});
    for side in sides {
        config[*side] = json!([{"id": "g", "deny": deny, "guard.check": parameters}]);
    }
    config.to_string()
}

const OUTPUT: &[&str] = &["output_guardrails"];
const INPUT: &[&str] = &["input_guardrails"];

async fn ask(world: &World, body: &Value, config: &str) -> (u16, String, String) {
    let mut answer = world.client.chat(body).header("x-portkey-config", config).send().await;
    let text = answer.text().await;
    (answer.status, status(&answer).to_owned(), text)
}

#[tokio::test]
async fn a_replaced_plugin_is_not_bypassed_by_an_old_entry() {
    let world = world("").await;
    let guards = config(OUTPUT, json!({}), true);
    let bodies =
        [chat("@openai-prod/mock", "guarded whole"), chat_stream("@openai-prod/mock", "guarded stream")];
    for body in &bodies {
        assert_eq!(ask(&world, body, &guards).await.1, "MISS");
        assert_eq!(ask(&world, body, &guards).await.1, "HIT");
    }
    drop_in(&world.gateway, &strict("1.1.0"), "1.1.0").await;
    let (code, found, body) = ask(&world, &bodies[0], &guards).await;
    assert_eq!((code, found.as_str()), (446, "MISS"), "{body}");
    let (_, found, body) = ask(&world, &bodies[1], &guards).await;
    assert_eq!(found, "MISS");
    assert!(body.contains("hooks_failed"), "the stream is denied: {body}");
    assert!(!body.contains("echo: guarded stream"), "{body}");
    // Back to the old bytes: what they let pass is found again.
    drop_in(&world.gateway, &mild("1.0.0").build(), "1.0.0").await;
    assert_eq!(ask(&world, &bodies[0], &guards).await.1, "HIT");
}

#[tokio::test]
async fn a_tightened_config_is_not_bypassed_by_an_old_entry() {
    let world = world("").await;
    let body = chat("@openai-prod/mock", "tightened");
    let unguarded = json!({"cache": {"mode": "simple"}}).to_string();
    for config in [
        unguarded,
        config(OUTPUT, json!({}), false),
        config(OUTPUT, json!({}), true),
        config(OUTPUT, json!({"level": 2}), true),
        config(&["input_guardrails", "output_guardrails"], json!({}), true),
    ] {
        assert_eq!(ask(&world, &body, &config).await.1, "MISS", "{config}");
        assert_eq!(ask(&world, &body, &config).await.1, "HIT", "{config}");
    }
}

#[tokio::test]
async fn a_changed_guardrail_of_the_settings_is_not_bypassed_by_an_old_entry() {
    let saved = |level: u32| {
        format!(
            "[[guardrail]]\nid = \"pg-1\"\njson = '{{\"deny\": true, \"guard.check\": {{\"level\": {level}}}}}'"
        )
    };
    let world = world(&saved(1)).await;
    let config = json!({"cache": {"mode": "simple"}, "output_guardrails": ["pg-1"]}).to_string();
    let body = chat("@openai-prod/mock", "saved");
    assert_eq!(ask(&world, &body, &config).await.1, "MISS");
    assert_eq!(ask(&world, &body, &config).await.1, "HIT");
    world.gateway.write_settings(&settings(&world.mock, &saved(2)));
    let changed = || world.gateway.output().contains("settings changed and are in force").then_some(());
    wait::until("the settings to change", changed).await;
    assert_eq!(ask(&world, &body, &config).await.1, "MISS");
    // And what the plugin itself reads.
    let configured = format!("{}\n[[plugin]]\nid = \"guard\"\nconfig = {{ level = \"3\" }}", saved(2));
    assert_eq!(ask(&world, &body, &config).await.1, "HIT");
    world.gateway.write_settings(&settings(&world.mock, &configured));
    wait::until_async("the plugin to read another config", || async {
        (ask(&world, &body, &config).await.1 == "MISS").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_denied_request_is_never_answered_from_the_cache() {
    let world = world("").await;
    let guards = config(INPUT, json!({}), true);
    let body = chat("@openai-prod/mock", "asked before");
    assert_eq!(ask(&world, &body, &guards).await.1, "MISS");
    assert_eq!(ask(&world, &body, &guards).await.1, "HIT");
    drop_in(&world.gateway, &strict("1.1.0"), "1.1.0").await;
    let (code, found, text) = ask(&world, &body, &guards).await;
    assert_eq!((code, found.as_str()), (446, ""), "no status where nobody looked: {text}");
    assert_eq!(world.mock.find("asked before").len(), 1);
}

#[tokio::test]
async fn results_of_guards_are_said_anew_and_a_failed_one_is_246_also_on_a_hit() {
    let world = world("").await;
    let guards = config(INPUT, json!({}), false);
    let body = chat("@openai-prod/mock", "judged");
    let (_, _, first) = ask(&world, &body, &guards).await;
    let (code, found, second) = ask(&world, &body, &guards).await;
    assert_eq!((code, found.as_str()), (200, "HIT"));
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let (mut first, mut second) = (read(&first), read(&second));
    let results =
        |body: &mut Value| body.as_object_mut().expect("an object").remove("hook_results").expect("results");
    let (before, now) = (results(&mut first), results(&mut second));
    assert_eq!(first, second);
    assert_eq!(now["before_request_hooks"][0]["id"], "g", "{now}");
    assert_eq!(now["after_request_hooks"], json!([]), "{now}");
    assert_ne!(before["before_request_hooks"][0]["created_at"], now["before_request_hooks"][0]["created_at"]);
}

#[tokio::test]
async fn answers_that_a_guard_finds_fault_with_are_not_kept() {
    let world = world("").await;
    drop_in(&world.gateway, &strict("1.1.0"), "1.1.0").await;
    for sides in [OUTPUT, INPUT] {
        let guards = config(sides, json!({}), false);
        for body in [chat("@openai-prod/mock", "faulted"), chat_stream("@openai-prod/mock", "faulted")] {
            for _ in 0..2 {
                let (code, found, text) = ask(&world, &body, &guards).await;
                assert_eq!(found, "MISS", "{code} {sides:?} {text}");
            }
        }
    }
    assert_eq!(world.gateway.state().await["cache"]["entries"], 0);
}

#[tokio::test]
async fn a_speculative_guard_is_heard_before_a_hit() {
    let world = world("").await;
    let guards = json!({"cache": {"mode": "simple"},
        "input_guardrails": [{"id": "g", "deny": true, "speculative": true, "guard.check": {}}]})
    .to_string();
    let body = chat("@openai-prod/mock", "speculated");
    assert_eq!(ask(&world, &body, &guards).await.1, "MISS");
    assert_eq!(ask(&world, &body, &guards).await.1, "HIT");
    drop_in(&world.gateway, &strict("1.1.0"), "1.1.0").await;
    let (code, found, text) = ask(&world, &body, &guards).await;
    assert_eq!((code, found.as_str()), (446, ""), "{text}");
}

#[tokio::test]
async fn an_answer_that_a_guard_could_not_judge_is_not_kept() {
    let world = world("").await;
    let mut broken = mild("1.1.0");
    broken.check = Some("(unreachable)".to_owned());
    drop_in(&world.gateway, &broken.build(), "1.1.0").await;
    let guards = config(OUTPUT, json!({}), true);
    for body in [chat("@openai-prod/mock", "unjudged"), chat_stream("@openai-prod/mock", "unjudged")] {
        for _ in 0..2 {
            let (code, found, text) = ask(&world, &body, &guards).await;
            assert_eq!((code, found.as_str()), (200, "MISS"), "{text}");
        }
    }
}
