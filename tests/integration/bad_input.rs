//! Bad input is refused with the right status, in the caller's dialect, naming what is wrong.

use serde_json::{Value, json};
use tidegate_tests::{Mock, client::Answer};

use crate::support::{
    KEY, World, anthropic_error, chat, message, openai_error, providers, world, world_with,
};

async fn refused(answer: Answer, status: u16, anthropic: bool, what: &str) -> String {
    let mut answer = answer;
    let text = answer.text().await;
    assert_eq!(answer.status, status, "{what}: {text}");
    assert!(answer.header("content-type").starts_with("application/json"), "{what}: {:?}", answer.headers);
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what}: {error} in {text}"));
    match anthropic {
        false => openai_error(&body) + " " + body["error"]["param"].as_str().unwrap_or_default(),
        true => anthropic_error(&body),
    }
}

#[tokio::test]
async fn malformed_json_is_a_400() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    for body in ["{\"model\":", "", "[]", "\"text\"", "null", "{'model': 1}"] {
        for (path, anthropic) in
            [("/v1/chat/completions", false), ("/v1/messages", true), ("/v1/embeddings", false)]
        {
            let request = client.request("POST", path).header("content-type", "application/json");
            refused(request.body(body).send().await, 400, anthropic, &format!("{path} {body:?}")).await;
        }
    }
    assert!(mock.requests().is_empty(), "nothing reaches upstream");
}

#[tokio::test]
async fn invalid_utf8_is_a_400() {
    let world = world().await;
    let World { client, .. } = &world;
    let body =
        b"{\"model\":\"@openai-prod/mock\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}";
    for (path, anthropic) in [("/v1/chat/completions", false), ("/v1/messages", true)] {
        let request = client.request("POST", path).header("content-type", "application/json");
        refused(request.body(&body[..]).send().await, 400, anthropic, path).await;
    }
}

#[tokio::test]
async fn a_wrong_type_names_the_field() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    let hi = json!([{ "role": "user", "content": "hi" }]);
    let model = "@openai-prod/mock";
    let chats = [
        ("messages", json!({ "model": model, "messages": "hi" })),
        ("messages", json!({ "model": model })),
        ("model", json!({ "model": 7, "messages": hi })),
        ("model", json!({ "messages": hi })),
        ("stream", json!({ "model": model, "messages": hi, "stream": "yes" })),
        ("max_tokens", json!({ "model": model, "messages": hi, "max_tokens": "many" })),
        ("temperature", json!({ "model": model, "messages": hi, "temperature": "hot" })),
        ("tools", json!({ "model": model, "messages": hi, "tools": {} })),
        ("role", json!({ "model": model, "messages": [{ "content": "hi" }] })),
    ];
    for (field, body) in chats {
        let said = refused(client.chat(&body).send().await, 400, false, &body.to_string()).await;
        assert!(said.contains(field), "{body}: {said:?} does not name {field}");
    }
    let model = "@anthropic-prod/mock";
    let messages = [
        ("messages", json!({ "model": model, "max_tokens": 10, "messages": 3 })),
        ("max_tokens", json!({ "model": model, "messages": hi })),
        ("model", json!({ "max_tokens": 10, "messages": hi })),
    ];
    for (field, body) in messages {
        let said = refused(client.message(&body).send().await, 400, true, &body.to_string()).await;
        assert!(said.contains(field), "{body}: {said:?} does not name {field}");
    }
    assert!(mock.requests().is_empty(), "nothing reaches upstream");
}

#[tokio::test]
async fn an_unknown_provider_slug_is_a_400_that_names_it() {
    let world = world().await;
    let World { client, .. } = &world;
    let said = refused(client.chat(&chat("@nobody/mock", "hi")).send().await, 400, false, "chat").await;
    assert!(said.contains("nobody"), "{said}");
    let said =
        refused(client.message(&message("@nobody/mock", "hi", false)).send().await, 400, true, "message")
            .await;
    assert!(said.contains("nobody"), "{said}");
}

#[tokio::test]
async fn a_model_without_a_slug_is_refused_in_words() {
    let world = world().await;
    let World { client, .. } = &world;
    let said = refused(client.chat(&chat("no-such-model", "hi")).send().await, 400, false, "chat").await;
    assert!(said.contains("no-such-model") || said.contains('@'), "{said}");
}

#[tokio::test]
async fn a_model_that_upstream_lacks_is_upstreams_404() {
    let world = world().await;
    let World { client, .. } = &world;
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        let model = format!("@{provider}/missing-model");
        let said = refused(client.chat(&chat(&model, "hi")).send().await, 404, false, provider).await;
        assert!(said.contains("missing-model"), "{said}");
        refused(client.message(&message(&model, "hi", false)).send().await, 404, true, provider).await;
    }
}

#[tokio::test]
async fn a_missing_or_unknown_key_is_a_401() {
    let world = world().await;
    let World { mock, gateway, .. } = &world;
    for client in [gateway.client(), gateway.with_key("tg-nobody"), gateway.with_key("")] {
        refused(client.chat(&chat("@openai-prod/mock", "hi")).send().await, 401, false, "chat").await;
        refused(
            client.message(&message("@openai-prod/mock", "hi", false)).send().await,
            401,
            true,
            "message",
        )
        .await;
        refused(client.get("/v1/models").send().await, 401, false, "models").await;
    }
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn the_key_may_stand_in_any_of_four_headers() {
    let world = world().await;
    let World { gateway, .. } = &world;
    let body = chat("@openai-prod/mock", "hi");
    for name in ["x-portkey-api-key", "x-tidegate-api-key", "x-api-key", "x-goog-api-key"] {
        let answer = gateway.client().chat(&body).header(name, KEY).send().await;
        assert_eq!(answer.status, 200, "{name}");
    }
    // The Python SDK of Portkey sends this literal text beside its own key.
    let both = gateway.with_key("OPENAI_API_KEY").chat(&body).header("x-portkey-api-key", KEY);
    assert_eq!(both.send().await.status, 200);
}

#[tokio::test]
async fn an_expired_key_is_a_401_that_says_so() {
    let mock = Mock::start();
    let settings = providers(&mock).key("old", KEY, "expires = \"2020-01-01T00:00:00Z\"");
    let world = world_with(mock, settings).await;
    let World { client, .. } = &world;
    let said = refused(client.chat(&chat("@openai-prod/mock", "hi")).send().await, 401, false, "chat").await;
    assert!(said.to_lowercase().contains("expired"), "{said}");
    let said =
        refused(client.message(&message("@openai-prod/mock", "hi", false)).send().await, 401, true, "m")
            .await;
    assert!(said.to_lowercase().contains("expired"), "{said}");
}

#[tokio::test]
async fn a_model_that_the_key_may_not_use_is_a_412() {
    let mock = Mock::start();
    let settings = providers(&mock).key("narrow", KEY, "models = [\"@openai-prod/*\"]");
    let world = world_with(mock, settings).await;
    let World { mock, client, .. } = &world;
    assert_eq!(client.chat(&chat("@openai-prod/mock", "hi")).send().await.status, 200);
    mock.reset();
    let said =
        refused(client.chat(&chat("@anthropic-prod/mock", "hi")).send().await, 412, false, "chat").await;
    assert!(said.contains("mock"), "it names the model: {said}");
    refused(client.message(&message("@google-prod/mock", "hi", false)).send().await, 412, true, "message")
        .await;
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_a_413() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "").toml("[limits]\nbody_bytes = 1_000_000");
    let world = world_with(mock, settings).await;
    let World { client, .. } = &world;
    let body = chat("@openai-prod/mock", &"x".repeat(1_200_000));
    refused(client.chat(&body).send().await, 413, false, "chat").await;
    refused(client.chat(&body).chunked().send().await, 413, false, "chunked").await;
    let body = message("@openai-prod/mock", &"x".repeat(1_200_000), false);
    refused(client.message(&body).send().await, 413, true, "message").await;
}

#[tokio::test]
async fn a_wrong_method_is_a_405() {
    let world = world().await;
    let World { client, .. } = &world;
    refused(client.get("/v1/chat/completions").send().await, 405, false, "GET chat").await;
    refused(client.request("DELETE", "/v1/messages").send().await, 405, true, "DELETE messages").await;
    refused(client.post("/v1/models", &json!({})).send().await, 405, false, "POST models").await;
}

#[tokio::test]
async fn an_unknown_path_is_a_404() {
    let world = world().await;
    let World { client, .. } = &world;
    let said = refused(client.get("/nowhere").send().await, 404, false, "GET").await;
    assert!(said.contains("/nowhere"), "it names the path: {said}");
    let message = client.post("/messages/nowhere", &json!({}));
    refused(message.header("anthropic-version", "2023-06-01").send().await, 404, true, "POST").await;
}

#[tokio::test]
async fn a_bad_config_header_is_a_400() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    for config in ["{\"strategy\":", "{\"strategy\":{\"mode\":\"dice\"}}", "pc-unknown"] {
        let request = client.chat(&chat("@openai-prod/mock", "hi")).header("x-portkey-config", config);
        refused(request.send().await, 400, false, config).await;
    }
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn kindness_to_clients_costs_nothing() {
    let world = world().await;
    let World { client, .. } = &world;
    // A doubled slash, an empty header, unknown members and a chunked body all occur in ordinary use.
    let mut body = chat("@openai-prod/mock", "hi");
    body["top_k"] = 5.into();
    body["metadata"] = json!({ "k": "v" });
    let request = client.post("/v1//chat/completions", &body).header("x-portkey-trace-id", "").chunked();
    assert_eq!(request.send().await.expect(200).await["choices"][0]["message"]["content"], "echo: hi");
}

#[tokio::test]
async fn a_packed_body_is_unpacked_or_refused_with_what_is_known() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    // `{"model":"@openai-prod/mock","messages":[{"role":"user","content":"packed"}]}`, twice.
    let gzip: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 13, 202, 59, 14, 128, 32, 16, 69, 209, 189, 188, 90, 99, 79, 229,
        62, 140, 5, 129, 23, 99, 248, 12, 153, 193, 138, 176, 119, 105, 239, 185, 3, 69, 34, 51, 28, 78, 105,
        172, 254, 221, 155, 74, 60, 138, 132, 132, 13, 133, 102, 254, 161, 193, 93, 3, 42, 153, 235, 251,
        140, 186, 40, 72, 237, 172, 125, 133, 230, 67, 98, 196, 188, 231, 15, 187, 196, 154, 161, 77, 0, 0,
        0,
    ];
    let zlib: &[u8] = &[
        120, 218, 13, 202, 59, 14, 128, 32, 16, 69, 209, 189, 188, 90, 99, 79, 229, 62, 140, 5, 129, 23, 99,
        248, 12, 153, 193, 138, 176, 119, 105, 239, 185, 3, 69, 34, 51, 28, 78, 105, 172, 254, 221, 155, 74,
        60, 138, 132, 132, 13, 133, 102, 254, 161, 193, 93, 3, 42, 153, 235, 251, 140, 186, 40, 72, 237, 172,
        125, 133, 230, 67, 98, 196, 188, 231, 15, 6, 152, 26, 121,
    ];
    let send = |coding: &str, body: &[u8]| {
        let request =
            client.request("POST", "/v1/chat/completions").header("content-type", "application/json");
        request.header("content-encoding", coding).body(body.to_vec()).send()
    };
    for (coding, body) in [("gzip", gzip), ("GZIP", gzip), ("deflate", zlib)] {
        let answer = send(coding, body).await.expect(200).await;
        assert_eq!(answer["choices"][0]["message"]["content"], "echo: packed", "{coding}");
    }
    let asked = mock.requests().len();
    assert_eq!(asked, 3);
    for (coding, body) in [("br", gzip), ("gzip, gzip", gzip), ("gzip", zlib), ("gzip", &gzip[..30])] {
        let told = refused(send(coding, body).await, 400, false, coding).await;
        assert!(told.contains("content-encoding"), "{coding}: {told}");
    }
    assert_eq!(mock.requests().len(), asked, "nothing that can't be read reaches upstream");
}
