//! Whole answers: found, made anew, logged, and thrown away.

use serde_json::{Value, json};
use tidegate_tests::{Mock, Settings};

use super::{ask, ask_text, config, gateway, simple, status};
use crate::support::{INPUT_NANO, KEY, OUTPUT_NANO, PRICES, World, chat, message, providers, world_with};
use crate::turns::Turns;

#[tokio::test]
async fn miss_hit_refresh_hit() {
    let upstream = Turns::start(vec![json!({"says": "old news"}), json!({"says": "new news"})]).await;
    let settings =
        Settings::new().provider_at("news", "openai", &upstream.url(), PRICES).key("tests", KEY, "");
    let world = world_with(Mock::start(), settings).await;
    let body = chat("@news/mock", "what is new");
    let plain = || world.client.chat(&body).header("x-portkey-config", simple());
    let mut answers = Vec::new();
    for (refresh, wanted) in [("false", "MISS"), ("", "HIT"), ("true", "REFRESH"), ("false", "HIT")] {
        let mut answer = plain().header("x-portkey-cache-force-refresh", refresh).send().await;
        assert_eq!((answer.status, status(&answer)), (200, wanted));
        assert_eq!(answer.header("x-portkey-provider"), "openai");
        assert_eq!(answer.header("x-portkey-last-used-option-index"), "config");
        assert_eq!(answer.header("x-portkey-retry-attempt-count"), "0");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("age").is_empty(), wanted != "HIT", "{}", answer.header("age"));
        answers.push(answer.text().await);
    }
    assert_eq!(answers[0], answers[1], "a hit is the kept answer");
    assert_ne!(answers[1], answers[2], "a refresh asks the vendor");
    assert_eq!(answers[2], answers[3], "and what it says is kept");
    assert!(answers[0].contains("old news") && answers[2].contains("new news"), "{answers:?}");
    assert_eq!(upstream.calls().len(), 2);
    let cache = world.gateway.state().await["cache"].clone();
    let counted = [&cache["hits"], &cache["misses"], &cache["refreshes"], &cache["entries"]];
    assert_eq!(counted, [&json!(2), &json!(1), &json!(1), &json!(1)], "{cache}");
}

#[tokio::test]
async fn the_order_of_members_makes_no_difference_and_each_value_does() {
    let world = gateway("").await;
    let send = |body: &'static str| {
        let request =
            world.client.request("POST", "/v1/chat/completions").header("content-type", "application/json");
        request.header("x-portkey-config", simple()).body(body).send()
    };
    let first =
        r#"{"model":"@openai-prod/mock","temperature":0.5,"messages":[{"role":"user","content":"order"}]}"#;
    let turned =
        r#"{"messages":[{"content":"order","role":"user"}],  "temperature":0.5,"model":"@openai-prod/mock"}"#;
    assert_eq!(status(&send(first).await), "MISS");
    assert_eq!(status(&send(turned).await), "HIT");
    for other in [
        r#"{"model":"@openai-prod/mock","temperature":0.6,"messages":[{"role":"user","content":"order"}]}"#,
        r#"{"model":"@openai-prod/mock","temperature":0.5,"messages":[{"role":"user","content":"order "}]}"#,
        r#"{"model":"@openai-prod/mock2","temperature":0.5,"messages":[{"role":"user","content":"order"}]}"#,
        r#"{"model":"@openai-prod/mock","temperature":0.5,"seed":1,"messages":[{"role":"user","content":"order"}]}"#,
        r#"{"model":"@openai-prod/mock","temperature":0.5,"stream":true,"messages":[{"role":"user","content":"order"}]}"#,
        r#"{"model":"@google-prod/mock","temperature":0.5,"messages":[{"role":"user","content":"order"}]}"#,
    ] {
        assert_eq!(status(&send(other).await), "MISS", "{other}");
    }
}

#[tokio::test]
async fn a_hit_costs_nothing_and_is_logged_as_one() {
    let mock = Mock::start();
    let settings = providers(&mock).key("paying", KEY, "budget = { usd = 0.001 }");
    let world = world_with(mock, settings).await;
    let mut body = chat("@openai-prod/mock", "[[input=100&output=10]] dear");
    body["max_tokens"] = 10.into();
    let send = |trace: &'static str| {
        let request = world.client.chat(&body).header("x-portkey-config", simple());
        request.header("x-portkey-trace-id", trace).send()
    };
    assert_eq!(status(&send("first").await), "MISS");
    let price = 100 * INPUT_NANO + 10 * OUTPUT_NANO;
    assert_eq!(world.gateway.settled_budget("paying").await["spent"].as_i64(), Some(price));
    for trace in ["second", "third"] {
        assert_eq!(status(&send(trace).await), "HIT");
    }
    let budget = world.gateway.settled_budget("paying").await;
    assert_eq!((budget["spent"].as_i64(), budget["held"].as_i64()), (Some(price), Some(0)));
    let row = world.gateway.log_of("first").await;
    assert_eq!((&row["cache"], row["cost_nano_usd"].as_i64()), (&json!("MISS"), Some(price)), "{row}");
    let row = world.gateway.log_of("third").await;
    assert_eq!(
        (&row["cache"], &row["outcome"], &row["status"]),
        (&json!("HIT"), &json!("ok"), &json!(200)),
        "{row}"
    );
    assert_eq!(
        (row["cost_nano_usd"].as_i64(), row["saved_nano_usd"].as_i64()),
        (Some(0), Some(price)),
        "{row}"
    );
    assert_eq!(
        (&row["attempts"], &row["provider"], &row["model"]),
        (&json!(0), &json!("openai-prod"), &json!("mock")),
        "{row}"
    );
    let cache = world.gateway.state().await["cache"].clone();
    assert_eq!(cache["saved_nano_usd"].as_i64(), Some(2 * price), "{cache}");
    let listed = String::from_utf8(world.gateway.run(&["logs"]).stdout).expect("text");
    assert!(listed.contains("ok, HIT"), "{listed}");
}

#[tokio::test]
async fn a_hit_needs_a_key_that_works_and_counts_against_its_limits() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "limits = [{ requests = 2, per = \"hour\" }]");
    let world = world_with(mock, settings).await;
    let body = chat("@openai-prod/mock", "limited");
    for (wanted, left) in [("MISS", "1"), ("HIT", "0")] {
        let answer = ask(&world.client, &body).await;
        assert_eq!((status(&answer), answer.header("x-ratelimit-remaining-requests")), (wanted, left));
    }
    assert_eq!(ask(&world.client, &body).await.status, 429);
}

#[tokio::test]
async fn a_revoked_key_gets_no_hit() {
    let mut world = gateway("").await;
    let made = world.gateway.cli(&["key", "create", "alice"]);
    let text = made["key"].as_str().unwrap_or_else(|| panic!("no key: {made}")).to_owned();
    let alice = world.gateway.with_key(&text);
    let body = chat("@openai-prod/mock", "revoked");
    tidegate_tests::wait::until_async("the key to work", || async {
        (ask(&alice, &body).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(status(&ask(&alice, &body).await), "HIT");
    world.gateway.cli(&["key", "revoke", "alice"]);
    tidegate_tests::wait::until_async("the key to be refused", || async {
        (ask(&alice, &body).await.status == 401).then_some(())
    })
    .await;
    let refused = ask(&alice, &body).await;
    assert_eq!((refused.status, refused.header("x-portkey-cache-status")), (401, ""));
    world.gateway.restart().await;
}

#[tokio::test]
async fn only_complete_answers_are_kept() {
    let world = gateway("").await;
    for text in ["[[status=500]] broken", "[[status=429]] broken", "[[status=404]] broken"] {
        for _ in 0..2 {
            let answer = ask(&world.client, &chat("@openai-prod/mock", text)).await;
            assert!(answer.status >= 400);
            assert_eq!(status(&answer), "MISS", "{text}");
        }
        assert_eq!(world.mock.find(text).len(), 2, "{text}");
    }
    assert_eq!(world.gateway.state().await["cache"]["entries"], 0);
}

#[tokio::test]
async fn without_a_cache_in_the_config_the_status_is_disabled() {
    let world = gateway("").await;
    let body = chat("@openai-prod/mock", "off");
    for _ in 0..2 {
        assert_eq!(status(&world.client.chat(&body).send().await), "DISABLED");
    }
    let unlogged =
        world.client.chat(&body).header("x-portkey-config", simple()).header("x-portkey-debug", "false");
    assert_eq!(status(&unlogged.send().await), "DISABLED");
    let speech = json!({"model": "@openai-prod/mock", "input": "hello", "voice": "alloy"});
    for _ in 0..2 {
        let answer =
            world.client.post("/v1/audio/speech", &speech).header("x-portkey-config", simple()).send().await;
        assert_eq!((answer.status, status(&answer)), (200, "DISABLED"));
    }
    assert_eq!(world.gateway.state().await["cache"]["misses"], 0);
}

#[tokio::test]
async fn every_dialect_and_tool_calls_are_kept() {
    let world = gateway("").await;
    let cases: [(&str, Value); 6] = [
        ("/v1/chat/completions", chat("@openai-prod/mock", "[[tool=1]] call")),
        ("/v1/chat/completions", chat("@anthropic-prod/mock", "over anthropic")),
        ("/v1/messages", message("@google-prod/mock", "over gemini", false)),
        ("/v1/responses", json!({"model": "@openai-prod/mock", "input": "respond"})),
        ("/v1/completions", json!({"model": "@openai-prod/mock", "prompt": "complete"})),
        ("/v1/embeddings", json!({"model": "@openai-prod/mock", "input": "embed"})),
    ];
    for (path, body) in cases {
        let mut texts = Vec::new();
        for wanted in ["MISS", "HIT"] {
            let mut answer = world.client.post(path, &body).header("x-portkey-config", simple()).send().await;
            texts.push(answer.text().await);
            assert_eq!((answer.status, status(&answer)), (200, wanted), "{path} {body} {texts:?}");
        }
        assert_eq!(texts[0], texts[1], "{path}");
    }
}

#[tokio::test]
async fn addresses_of_pictures_and_stateful_responses_are_not_kept() {
    let world = gateway("").await;
    for (path, body, wanted) in [
        (
            "/v1/images/generations",
            json!({"model": "@openai-prod/dall-e-3", "prompt": "sea", "response_format": "url"}),
            "MISS",
        ),
        (
            "/v1/responses",
            json!({"model": "@openai-prod/mock", "input": "more", "conversation": "conv_1"}),
            "DISABLED",
        ),
    ] {
        for _ in 0..2 {
            let answer = world.client.post(path, &body).header("x-portkey-config", simple()).send().await;
            assert_eq!((answer.status, status(&answer)), (200, wanted), "{path}");
        }
    }
}

#[tokio::test]
async fn an_admin_throws_everything_away() {
    let world = gateway("").await;
    assert_eq!(ask_text(&world.client, "purged").await.0, "MISS");
    assert_eq!(ask_text(&world.client, "purged").await.0, "HIT");
    let refused = world.client.request("DELETE", "/v1/admin/cache").send().await;
    assert_eq!(refused.status, 403);
    assert_eq!(ask_text(&world.client, "purged").await.0, "HIT");
    let purged = world.gateway.admin().request("DELETE", "/v1/admin/cache").send().await.expect(200).await;
    assert_eq!(purged["purged"], 1, "{purged}");
    assert_eq!(ask_text(&world.client, "purged").await.0, "MISS");
    let wrong = world.gateway.admin().get("/v1/admin/cache").send().await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "DELETE"));
}

#[tokio::test]
async fn a_fallback_keeps_the_answer_of_the_target_that_gave_it() {
    let mock = Mock::start();
    let settings = Settings::new()
        .provider("first", "openai", &mock, PRICES)
        .provider("second", "openai", &mock, PRICES)
        .key("tests", KEY, "");
    let World { client, mock, gateway: _gateway } = world_with(mock, settings).await;
    let fallback = json!({"strategy": {"mode": "fallback"}, "cache": {"mode": "simple"}, "targets": [
        {"override_params": {"model": "@first/mock", "mock": "status=500"}},
        {"override_params": {"model": "@second/mock"}}]})
    .to_string();
    for (wanted, calls) in [("MISS", 2), ("HIT", 3)] {
        let answer =
            client.chat(&chat("any", "falls back")).header("x-portkey-config", &fallback).send().await;
        assert_eq!((answer.status, status(&answer)), (200, wanted));
        assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[1]");
        // The first target is tried again; the second is not asked.
        assert_eq!(mock.find("falls back").len(), calls);
    }
}

#[tokio::test]
async fn bad_cache_settings_of_a_config_are_refused_with_their_place() {
    let world = gateway("").await;
    for (cache, place) in [
        (json!({"mode": "fuzzy"}), "cache.mode"),
        (json!({"max_age": -1}), "cache.max_age"),
        (json!({"replay": "slow"}), "cache.replay"),
        (json!({"threshold": 2}), "cache.threshold"),
    ] {
        let request =
            world.client.chat(&chat("@openai-prod/mock", "x")).header("x-portkey-config", config(cache));
        let body = request.send().await.expect(400).await;
        assert!(body["error"]["message"].as_str().is_some_and(|text| text.contains(place)), "{body}");
    }
}
