//! The settings file: refused with a line when it is bad, and followed while the gateway runs.

use std::time::Duration;

use serde_json::Value;
use tidegate_tests::gateway::start_in_vain;
use tidegate_tests::{Mock, Settings, gateway, wait};

use crate::support::{KEY, World, chat, providers, world_with};

const SOON: Duration = Duration::from_secs(2);

const OTHER_KEY: &str = "tg-another-key-of-the-tests-0123456789";

async fn refused_at_start(text: &str, line: usize, mentions: &str) {
    let (status, output) = gateway::start_in_vain(text).await;
    assert!(!status.success(), "{text}");
    let at = [format!("line {line}"), format!(":{line}:"), format!(":{line}\n"), format!("{line} |")];
    assert!(at.iter().any(|at| output.contains(at)), "no line {line} in {output:?} for\n{text}");
    assert!(output.contains(mentions), "no {mentions:?} in {output:?} for\n{text}");
}

#[tokio::test]
async fn a_bad_file_ends_the_start_with_a_line() {
    refused_at_start("listen = \"127.0.0.1:0\"\n\nledger = [\n", 3, "").await;
    refused_at_start("listen = \"127.0.0.1:0\"\nlisten = \"127.0.0.1:0\"\n", 2, "listen").await;
    refused_at_start("listen = 17\n", 1, "listen").await;
}

#[tokio::test]
async fn an_unknown_name_is_refused_with_a_suggestion() {
    let provider = "[[provider]]\nslug = \"a\"\nvendor = \"openai\"\n";
    refused_at_start(&format!("listen = \"127.0.0.1:0\"\n{provider}base_ulr = \"x\"\n"), 5, "base_url").await;
    refused_at_start("listen = \"127.0.0.1:0\"\nlissten = 3\n", 2, "listen").await;
}

#[tokio::test]
async fn a_wrong_value_names_what_is_accepted() {
    refused_at_start("listen = \"127.0.0.1:0\"\n[ledger]\ndurability = \"sometimes\"\n", 3, "each").await;
    let provider = "[[provider]]\nslug = \"a\"\nvendor = \"opnai\"\napi_key = \"x\"\n";
    refused_at_start(&format!("listen = \"127.0.0.1:0\"\n{provider}"), 4, "openai").await;
}

#[tokio::test]
async fn a_secret_that_is_missing_is_named() {
    let text = "listen = \"127.0.0.1:0\"\n[[provider]]\nslug = \"a\"\nvendor = \"openai\"\napi_key = \"env:NO_SUCH_KEY\"\n";
    refused_at_start(text, 5, "NO_SUCH_KEY").await;
}

#[tokio::test]
async fn check_says_the_same_without_starting() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "");
    let world = world_with(mock, settings).await;
    let World { gateway, .. } = &world;
    let good = gateway.run(&["check"]);
    assert!(good.status.success(), "{good:?}");
    gateway.write_settings_text(&format!("{}\nnonsense\n", gateway.settings_text()));
    let bad = gateway.run(&["check"]);
    assert!(!bad.status.success(), "{bad:?}");
}

async fn status_of(world: &World, key: &str) -> u16 {
    world.gateway.with_key(key).chat(&chat("@openai-prod/mock", "hi")).send().await.status
}

async fn until_key_answers(world: &World, key: &str, wanted: u16) {
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let status = status_of(world, key).await;
        if status == wanted {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "still {status} after {SOON:?}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn two_keys(mock: &Mock) -> Settings {
    providers(mock).key("tests", KEY, "").key("other", OTHER_KEY, "")
}

#[tokio::test]
async fn a_new_key_works_within_two_seconds_and_a_removed_one_stops() {
    let mock = Mock::start();
    let one = providers(&mock).key("tests", KEY, "");
    let world = world_with(mock, one.clone()).await;
    assert_eq!(status_of(&world, OTHER_KEY).await, 401);
    world.gateway.write_settings(&two_keys(&world.mock));
    until_key_answers(&world, OTHER_KEY, 200).await;
    assert_eq!(status_of(&world, KEY).await, 200);
    world.gateway.write_settings(&one);
    until_key_answers(&world, OTHER_KEY, 401).await;
    assert_eq!(status_of(&world, KEY).await, 200);
}

#[tokio::test]
async fn a_bad_file_while_running_is_refused_and_the_last_good_one_stays() {
    let mock = Mock::start();
    let settings = two_keys(&mock);
    let world = world_with(mock, settings.clone()).await;
    let good = world.gateway.settings_text();
    world.gateway.write_settings_text(&format!("{good}\n[[key]]\nnmae = \"oops\"\n"));
    wait::until("the refusal in the gateway's output", || {
        world.gateway.output().contains("nmae").then_some(())
    })
    .await;
    assert_eq!(status_of(&world, KEY).await, 200);
    assert_eq!(status_of(&world, OTHER_KEY).await, 200);
    // And a good file is taken again afterwards.
    world.gateway.write_settings(&providers(&world.mock).key("tests", KEY, ""));
    until_key_answers(&world, OTHER_KEY, 401).await;
}

/// Settings with a guardrail in a config, and with a saved one.
fn guarded_by(check: &str) -> [String; 2] {
    [
        format!(
            "[[config]]\nid = \"c\"\njson = '{{\"input_guardrails\":[{{\"{check}\":{{}},\"deny\":true}}]}}'\n"
        ),
        format!(
            "[[guardrail]]\nid = \"g\"\njson = '{{\"checks\":[{{\"id\":\"{check}\"}}],\"deny\":true}}'\n"
        ),
    ]
}

#[tokio::test]
async fn a_misspelt_check_of_a_bundled_plugin_is_refused_in_the_words_of_the_api() {
    let world = crate::guardrails::guarded().await;
    for plugin in ["default", "pii", "secrets", "topics", "prompt"] {
        let check = format!("{plugin}.detekt");
        let config = serde_json::json!({"input_guardrails": [{&check: {}}]});
        let order = serde_json::json!({"name": "c", "config": config});
        // The plugin may be compiled for it, which takes a debug build longer than a test usually waits.
        let request = world.gateway.admin().post("/v1/configs", &order);
        let refused = request.try_send().await.expect("an answer").expect(400).await;
        let said = refused["message"].as_str().expect("a message");
        let words = &said[said.find("plugin ").expect("the plugin")..];
        assert!(words.contains("has no check detekt; it has: "), "{words}");
        for settings in guarded_by(&check) {
            let (status, output) = start_in_vain(&settings).await;
            assert!(!status.success() && output.contains(words), "not {words}: {output}");
        }
    }
    // A running gateway keeps the last good file.
    let good = world.gateway.settings_text();
    world.gateway.write_settings_text(&format!("{good}\n{}", guarded_by("default.contians")[0]));
    wait::until("the refusal in the gateway's output", || {
        world.gateway.output().contains("did you mean contains?").then_some(())
    })
    .await;
    assert_eq!(status_of(&world, KEY).await, 200);
}

#[tokio::test]
async fn a_reload_breaks_no_running_stream_and_forgets_no_spend() {
    let mock = Mock::start();
    let budget = "budget = { usd = 1.00 }";
    let settings = providers(&mock).key("tests", KEY, budget);
    let world = world_with(mock, settings).await;
    let body = crate::support::chat_stream("@openai-prod/mock", "[[chunks=100&delay_ms=20]]");
    let mut answer = world.client.chat(&body).send().await;
    answer.next_event().await.expect("a first event");
    world
        .gateway
        .write_settings(&providers(&world.mock).key("tests", KEY, budget).key("other", OTHER_KEY, ""));
    until_key_answers(&world, OTHER_KEY, 200).await;
    let events = answer.events().await;
    assert!(events.last().is_some_and(tidegate_tests::sse::Event::is_done), "{events:#?}");
    let budget = world.gateway.settled_budget("tests").await;
    assert!(budget["spent"].as_i64().is_some_and(|spent| spent >= 100 * 15_000), "{budget}");
}

#[tokio::test]
async fn secrets_are_printed_nowhere() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "budget = { usd = 1.00 }");
    let world = world_with(mock, settings).await;
    let World { gateway, client, .. } = &world;
    client.chat(&chat("@openai-prod/mock", "a private question")).send().await.expect(200).await;
    client.chat(&chat("@openai-prod/mock", "[[status=500]] a private question")).send().await;
    let state: Value = gateway.state().await;
    for secret in [KEY, "sk-upstream-openai-prod", gateway::ADMIN_KEY, "a private question"] {
        assert!(!gateway.output().contains(secret), "{secret} was printed");
        assert!(!state.to_string().contains(secret), "{secret} is shown in {state}");
    }
}
