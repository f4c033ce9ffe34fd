//! Memory stays at its bound in the real process.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;

use super::{ask, ask_text, gateway, simple, status};
use crate::support::{chat, chat_stream};

const KEYS: u64 = 8_000;

#[tokio::test]
async fn thousands_of_distinct_questions_stay_within_the_bound() {
    let world = gateway("[cache]\nmemory_mb = 4").await;
    // Connections and buffers are there before anything is measured.
    let warm = |number: u64| {
        let client = world.client.clone();
        async move {
            client.chat(&chat("@openai-prod/mock", &format!("warm {number}"))).send().await.bytes().await
        }
    };
    stream::iter(0..500).for_each_concurrent(16, |number| async move { drop(warm(number).await) }).await;
    let before = world.gateway.resident_bytes();
    let send = |number: u64| {
        let client = world.client.clone();
        async move {
            let body = chat("@openai-prod/mock", &format!("[[pad=700&chunks=4]] question {number}"));
            let mut answer = ask(&client, &body).await;
            assert_eq!((answer.status, status(&answer)), (200, "MISS"));
            answer.bytes().await;
        }
    };
    stream::iter(0..KEYS).for_each_concurrent(16, send).await;
    let cache = world.gateway.state().await["cache"].clone();
    let grew = world.gateway.resident_bytes().saturating_sub(before);
    eprintln!("after {KEYS} questions: {cache}; resident memory grew by {grew} bytes");
    let (bytes, bound) =
        (cache["bytes"].as_u64().expect("bytes"), cache["bound_bytes"].as_u64().expect("a bound"));
    assert_eq!(bound, 4 << 20);
    assert!(bytes <= bound && bytes > bound / 2, "{cache}");
    assert_eq!(cache["kept"].as_u64(), Some(KEYS), "{cache}");
    // Log rows on their way and the debug build's own waste are not the cache's, and bounded too.
    assert!(grew < 40 << 20, "{grew}");
}

#[tokio::test]
async fn answers_that_are_too_large_pass_by() {
    let world = gateway("[cache]\nentry_kb = 8").await;
    for body in [
        chat("@openai-prod/mock", "[[big=20000]] whole"),
        chat_stream("@openai-prod/mock", "[[chunks=100&pad=200]] stream"),
    ] {
        for _ in 0..2 {
            let mut answer = ask(&world.client, &body).await;
            assert!(answer.bytes().await.len() > 15_000);
            assert_eq!(status(&answer), "MISS");
        }
    }
    let cache = world.gateway.state().await["cache"].clone();
    assert_eq!(
        (&cache["too_large"], &cache["entries"], &cache["recording_bytes"]),
        (&json!(4), &json!(0), &json!(0)),
        "{cache}"
    );
    assert_eq!(ask_text(&world.client, "small").await.0, "MISS");
    assert_eq!(ask_text(&world.client, "small").await.0, "HIT");
}

#[tokio::test]
async fn settings_change_under_a_running_gateway() {
    let world = gateway("[cache]\nmax_age = 3600").await;
    assert_eq!(ask_text(&world.client, "kept").await.0, "MISS");
    let text = world.gateway.settings_text().replace("max_age = 3600", "max_age = 1");
    world.gateway.write_settings_text(&text);
    let wait = tidegate_tests::wait::until_async("the entry to be too old", || async {
        let answer = world
            .client
            .chat(&chat("@openai-prod/mock", "kept"))
            .header("x-portkey-config", simple())
            .send()
            .await;
        (status(&answer) == "MISS").then_some(())
    });
    wait.await;
}
