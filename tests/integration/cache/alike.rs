//! Texts that mean the same: the scripted upstream makes vectors alike that name the same `means:WORD`.

use serde_json::{Value, json};
use tidegate_tests::{Mock, wait};

use super::{gateway, simple, status};
use crate::support::{KEY, World, chat_stream, providers, world_with};

fn semantic() -> String {
    json!({"cache": {"mode": "semantic", "embedding": {"model": "@openai-prod/embedder"}}}).to_string()
}

fn question(system: &str, text: &str) -> Value {
    json!({"model": "@openai-prod/mock", "messages": [
        {"role": "system", "content": system}, {"role": "user", "content": text}]})
}

async fn ask(world: &World, body: &Value) -> (String, String) {
    let mut answer = world.client.chat(body).header("x-portkey-config", semantic()).send().await;
    let text = answer.text().await;
    assert_eq!(answer.status, 200, "{text}");
    (status(&answer).to_owned(), text)
}

#[tokio::test]
async fn another_wording_hits_and_another_meaning_misses() {
    let world = gateway("").await;
    let (found, first) = ask(&world, &question("be brief", "will it rain? means:weather")).await;
    assert_eq!(found, "SEMANTIC MISS");
    let (found, second) = ask(&world, &question("be brief", "do I need an umbrella? means:weather")).await;
    assert_eq!((found.as_str(), &second), ("SEMANTIC HIT", &first));
    assert_eq!(
        ask(&world, &question("be brief", "will it rain? means:weather")).await.0,
        "HIT",
        "exactly first"
    );
    assert_eq!(ask(&world, &question("be brief", "what is for dinner? means:food")).await.0, "SEMANTIC MISS");
    let asked = world.mock.requests();
    let chats = asked.iter().filter(|request| request.target.ends_with("/chat/completions")).count();
    let vectors = asked.iter().filter(|request| request.target.ends_with("/embeddings")).count();
    assert_eq!((chats, vectors), (2, 3), "an exact hit needs no vector");
    let cache = world.gateway.state().await["cache"].clone();
    let counted =
        [&cache["semantic_hits"], &cache["semantic_misses"], &cache["hits"], &cache["vectors"]["entries"]];
    assert_eq!(counted, [&json!(1), &json!(2), &json!(1), &json!(2)], "{cache}");
}

#[tokio::test]
async fn everything_but_the_compared_text_must_be_equal() {
    let world = gateway("").await;
    let base = || question("be brief", "will it rain? means:weather");
    assert_eq!(ask(&world, &base()).await.0, "SEMANTIC MISS");
    let reworded = |change: &dyn Fn(&mut Value)| {
        let mut body = question("be brief", "is it going to rain? means:weather");
        change(&mut body);
        body
    };
    let tool = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Value));
    let changes: [Change<'_>; 6] = [
        ("system", &|body| body["messages"][0]["content"] = "be verbose".into()),
        ("temperature", &|body| body["temperature"] = 0.7.into()),
        ("tools", &|body| body["tools"] = tool.clone()),
        ("model", &|body| body["model"] = "@openai-prod/mock-large".into()),
        ("history", &|body| {
            let turns = body["messages"].as_array_mut().expect("messages");
            turns.insert(1, json!({"role": "user", "content": "hi"}));
            turns.insert(2, json!({"role": "assistant", "content": "hello"}));
        }),
        ("stream", &|body| body["stream"] = true.into()),
    ];
    for (what, change) in changes {
        assert_eq!(ask(&world, &reworded(change)).await.0, "SEMANTIC MISS", "{what}");
    }
    assert_eq!(ask(&world, &reworded(&|_| {})).await.0, "SEMANTIC HIT");
    let named = world
        .client
        .chat(&question("be brief", "rain? means:weather"))
        .header("x-portkey-config", semantic());
    let answer = named.header("x-portkey-metadata", r#"{"team":"a"}"#).send().await;
    assert_eq!(status(&answer), "SEMANTIC MISS", "metadata");
}

#[tokio::test]
async fn two_keys_never_share_what_means_the_same() {
    const OTHER: &str = "tg-another-key-of-the-tests-9876543210";
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "").key("others", OTHER, "");
    let world = world_with(mock, settings).await;
    assert_eq!(ask(&world, &question("s", "one means:same")).await.0, "SEMANTIC MISS");
    let other = World { client: world.gateway.with_key(OTHER), ..world };
    assert_eq!(ask(&other, &question("s", "two means:same")).await.0, "SEMANTIC MISS");
}

#[tokio::test]
async fn streams_hit_too() {
    let world = gateway("").await;
    let send = |text: &'static str| {
        world
            .client
            .chat(&chat_stream("@openai-prod/mock", text))
            .header("x-portkey-config", semantic())
            .send()
    };
    let mut first = send("tell me means:story").await;
    let recorded = first.text().await;
    let mut second = send("a tale please means:story").await;
    assert_eq!(second.text().await, recorded);
    assert_eq!(status(&second), "SEMANTIC HIT");
}

#[tokio::test]
async fn vectors_are_paid_and_logged_as_requests_of_the_key() {
    let mock = Mock::start();
    let prices = r#"prices = { "mock" = { input = 3.00, output = 15.00 }, "embedder" = { input = 1000.00, output = 0.00 } }"#;
    let settings = tidegate_tests::Settings::new().provider("openai-prod", "openai", &mock, prices).key(
        "paying",
        KEY,
        "budget = { usd = 1.00 }",
    );
    let world = world_with(mock, settings).await;
    let mut body = question("s", "[[input=0&output=0]] two words means:x");
    body["max_tokens"] = 5.into();
    assert_eq!(ask(&world, &body).await.0, "SEMANTIC MISS");
    let spent = world.gateway.settled_budget("paying").await["spent"].as_i64().expect("an integer");
    assert!(spent > 1_000_000, "the vector costs a tenth of a cent a token: {spent}");
    let row = wait::until("the vector's row", || {
        world.gateway.logs().into_iter().find(|row| row["endpoint"] == "/v1/embeddings")
    })
    .await;
    assert_eq!(
        (&row["metadata"]["_cache"], &row["key_name"]),
        (&json!("embedding"), &json!("paying")),
        "{row}"
    );
}

#[tokio::test]
async fn where_no_vector_is_to_be_had_the_request_goes_on() {
    let world = gateway("").await;
    for model in ["@nobody/embedder", "@openai-prod/embedder?status=500", "@anthropic-prod/embedder"] {
        let config = json!({"cache": {"mode": "semantic", "embedding": {"model": model}}}).to_string();
        for wanted in ["SEMANTIC MISS", "HIT"] {
            let request =
                world.client.chat(&question(model, "goes on means:x")).header("x-portkey-config", &config);
            let answer = request.send().await;
            assert_eq!((answer.status, status(&answer)), (200, wanted), "{model}");
        }
    }
}

#[tokio::test]
async fn without_a_model_for_vectors_it_is_a_simple_cache_and_settings_may_name_one() {
    let config = json!({"cache": {"mode": "semantic"}}).to_string();
    for (more, wanted) in [
        ("", ["MISS", "MISS", "HIT"]),
        ("[cache]\nembedding_model = \"@openai-prod/embedder\"", ["SEMANTIC MISS", "SEMANTIC HIT", "HIT"]),
    ] {
        let world = gateway(more).await;
        for (text, wanted) in ["one means:a", "two means:a", "one means:a"].into_iter().zip(wanted) {
            let request = world.client.chat(&question("s", text)).header("x-portkey-config", &config);
            assert_eq!(status(&request.send().await), wanted, "{text} {more}");
        }
    }
}

#[tokio::test]
async fn endpoints_without_a_question_are_compared_exactly() {
    let world = gateway("").await;
    let body = json!({"model": "@openai-prod/mock", "max_tokens": 9, "messages": [{"role": "user", "content": "x means:y"}]});
    for wanted in ["MISS", "HIT"] {
        let answer = world.client.message(&body).header("x-portkey-config", semantic()).send().await;
        assert_eq!((answer.status, status(&answer)), (200, wanted));
    }
    let body = json!({"model": "@openai-prod/mock", "messages": [{"role": "user", "content": "exact"}]});
    let answer = world.client.chat(&body).header("x-portkey-config", simple()).send().await;
    assert_eq!(status(&answer), "MISS", "simple stays simple");
}
