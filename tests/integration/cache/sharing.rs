//! Who may have whose answer.

use serde_json::json;
use tidegate_tests::{Mock, Settings};

use super::{ask, ask_text, gateway, simple, status};
use crate::support::{KEY, PRICES, chat, providers, world_with};

const OTHER: &str = "tg-another-key-of-the-tests-9876543210";

#[tokio::test]
async fn two_keys_never_share() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "").key("others", OTHER, "");
    let world = world_with(mock, settings).await;
    let other = world.gateway.with_key(OTHER);
    for (client, wanted, asked) in
        [(&world.client, "MISS", 1), (&other, "MISS", 2), (&world.client, "HIT", 2), (&other, "HIT", 2)]
    {
        assert_eq!(ask_text(client, "secret of mine").await.0, wanted);
        assert_eq!(world.mock.find("secret of mine").len(), asked);
    }
}

#[tokio::test]
async fn keys_of_one_tenant_share_where_the_operator_says_so() {
    let mock = Mock::start();
    let settings =
        providers(&mock).toml("[cache]\nscope = \"gateway\"").key("tests", KEY, "").key("others", OTHER, "");
    let world = world_with(mock, settings).await;
    assert_eq!(ask_text(&world.client, "ours").await.0, "MISS");
    assert_eq!(ask_text(&world.gateway.with_key(OTHER), "ours").await.0, "HIT");
}

#[tokio::test]
async fn a_key_that_became_another_text_has_an_empty_cache() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "");
    let world = world_with(mock, settings).await;
    assert_eq!(ask_text(&world.client, "before").await.0, "MISS");
    // The text itself lies in a file of its own: a comment makes the settings another file.
    world.gateway.write_settings(&providers(&world.mock).toml("# changed").key("tests", OTHER, ""));
    let other = world.gateway.with_key(OTHER);
    let body = chat("@openai-prod/mock", "hello");
    tidegate_tests::wait::until_async("the new text to work", || async {
        (other.chat(&body).send().await.status == 200).then_some(())
    })
    .await;
    assert_eq!(ask_text(&other, "before").await.0, "MISS");
}

#[tokio::test]
async fn different_credentials_and_hosts_never_share() {
    let mock = Mock::start();
    let more = "[security]\ntrusted_hosts = [\"127.0.0.1\", \"localhost\"]";
    let settings = Settings::new()
        .toml(more)
        .provider("one", "openai", &mock, PRICES)
        .provider("two", "openai", &mock, PRICES)
        .key("tests", KEY, "header_credentials = true");
    let world = world_with(mock, settings).await;
    let host = world.mock.url("/v1");
    let local = host.replace("127.0.0.1", "localhost");
    let send = |host: String, key: &'static str, trace: &'static str| {
        let request =
            world.gateway.with_key(key).chat(&chat("mock", "brought")).header("x-portkey-api-key", KEY);
        let request = request.header("x-portkey-provider", "openai").header("x-portkey-custom-host", host);
        request.header("x-portkey-config", simple()).header("x-portkey-trace-id", trace).send()
    };
    assert_eq!(status(&send(host.clone(), "sk-a", "1").await), "MISS");
    assert_eq!(status(&send(host.clone(), "sk-a", "2").await), "HIT", "another trace is the same question");
    assert_eq!(status(&send(host, "sk-b", "3").await), "MISS", "another credential");
    assert_eq!(status(&send(local, "sk-a", "4").await), "MISS", "another host");
    for slug in ["@one/mock", "@two/mock"] {
        assert_eq!(status(&ask(&world.client, &chat(slug, "brought")).await), "MISS", "{slug}");
        assert_eq!(status(&ask(&world.client, &chat(slug, "brought")).await), "HIT", "{slug}");
    }
}

#[tokio::test]
async fn metadata_is_part_of_the_key_unless_a_namespace_takes_its_place() {
    let world = gateway("").await;
    let send = |metadata: Option<&'static str>, namespace: Option<&'static str>| {
        let mut request =
            world.client.chat(&chat("@openai-prod/mock", "about")).header("x-portkey-config", simple());
        if let Some(metadata) = metadata {
            request = request.header("x-portkey-metadata", metadata);
        }
        if let Some(namespace) = namespace {
            request = request.header("x-tidegate-cache-namespace", namespace);
        }
        request.send()
    };
    let (alice, bob) = (Some(r#"{"_user":"alice"}"#), Some(r#"{"_user":"bob"}"#));
    for (metadata, namespace, wanted) in [
        (None, None, "MISS"),
        (alice, None, "MISS"),
        (bob, None, "MISS"),
        (alice, None, "HIT"),
        (alice, Some("team"), "MISS"),
        (bob, Some("team"), "HIT"),
        (bob, Some("other"), "MISS"),
        (None, None, "HIT"),
    ] {
        assert_eq!(status(&send(metadata, namespace).await), wanted, "{metadata:?} {namespace:?}");
    }
}

#[tokio::test]
async fn headers_that_reach_the_vendor_are_part_of_the_key() {
    let world = gateway("").await;
    let send = |beta: &'static str| {
        let body = json!({"model": "@anthropic-prod/mock", "max_tokens": 9, "messages": [{"role": "user", "content": "beta"}]});
        world.client.message(&body).header("anthropic-beta", beta).header("x-portkey-config", simple()).send()
    };
    assert_eq!(status(&send("a-2025").await), "MISS");
    assert_eq!(status(&send("b-2025").await), "MISS");
    assert_eq!(status(&send("a-2025").await), "HIT");
}
