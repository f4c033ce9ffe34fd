//! Replays what Open WebUI and common SDKs were recorded to send, and reads the answers as they do.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_tests::{Mock, Settings, client::Answer, sse};

use crate::support::{World, openai_error, world_with};

const KEY: &str = "GATEWAY_KEY";
const ORIGIN: &str = "http://openwebui.test";

/// The recorded requests, with header groups and shared tools put back in.
struct Recorded {
    requests: Vec<Value>,
    groups: Value,
    tools: Value,
}

impl Recorded {
    fn load() -> Recorded {
        let file: Value = serde_json::from_str(include_str!("../fixtures/openwebui/requests.json"))
            .expect("recorded requests");
        let tools =
            serde_json::from_str(include_str!("../fixtures/openwebui/native-tools.json")).expect("tools");
        let requests = file["requests"].as_array().expect("a list").clone();
        Recorded { requests, groups: file["headers"].clone(), tools }
    }

    fn headers(&self, request: &Value) -> BTreeMap<String, String> {
        let groups = request["with"].as_array().expect("groups").iter();
        let groups = groups.map(|name| &self.groups[name.as_str().expect("a name")]);
        let own = request.get("headers").into_iter();
        let all = groups.chain(own).filter_map(Value::as_object).flatten();
        all.map(|(name, value)| (name.clone(), value.as_str().expect("a header").to_owned())).collect()
    }

    fn body(&self, request: &Value) -> Option<Vec<u8>> {
        if let Some(parts) = request["form"].as_array() {
            return Some(form(&self.headers(request)["Content-Type"], parts));
        }
        let mut body = request.get("body")?.clone();
        match body["tools"].as_str() {
            Some("NATIVE_TOOLS") => body["tools"] = self.tools.clone(),
            Some("NATIVE_TOOLS_OF_RESPONSES") => {
                let flat = self.tools.as_array().expect("tools").iter().map(|tool| {
                    let mut flat = tool["function"].clone();
                    flat["type"] = "function".into();
                    flat["strict"] = false.into();
                    flat
                });
                body["tools"] = flat.collect();
            }
            _ => {}
        }
        Some(body.to_string().into_bytes())
    }
}

fn form(content_type: &str, parts: &[Value]) -> Vec<u8> {
    let boundary = content_type.split("boundary=").nth(1).expect("a boundary");
    let mut body = Vec::new();
    for part in parts {
        body.extend(format!("--{boundary}\r\n").as_bytes());
        for header in part["headers"].as_array().expect("headers") {
            body.extend(format!("{}\r\n", header.as_str().expect("a header")).as_bytes());
        }
        body.extend(b"\r\n");
        match part["value"].as_str() {
            Some(value) => body.extend(value.as_bytes()),
            // The files themselves were not kept, only how they begin and how long they are.
            None => {
                let magic = part["magic"].as_str().expect("how the file begins");
                let start = body.len();
                let digits: Vec<char> = magic.chars().collect();
                let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
                body.extend(pairs.map(|pair| u8::from_str_radix(&pair, 16).expect("hexadecimal")));
                body.resize(start + part["bytes"].as_u64().expect("a size") as usize, 0);
            }
        }
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").as_bytes());
    body
}

async fn open_webui() -> World {
    let mock = Mock::start();
    let settings = Settings::new()
        .provider("openai-prod", "openai", &mock, "")
        .provider("anthropic-prod", "anthropic", &mock, "")
        .provider("mock", "openai", &mock, "")
        .key("openwebui", KEY, "")
        .toml("[[config]]\nid = \"pc-demo\"\njson = '''{ \"retry\": { \"attempts\": 1 } }'''");
    world_with(mock, settings).await
}

#[tokio::test]
async fn every_recorded_request_gets_a_right_answer() {
    let world = open_webui().await;
    let World { gateway, .. } = &world;
    let recorded = Recorded::load();
    assert_eq!(recorded.requests.len(), 48);
    for request in &recorded.requests {
        let name = request["name"].as_str().expect("a name");
        let (method, target) =
            request["request"].as_str().and_then(|line| line.split_once(' ')).expect("a line");
        let mut sending = gateway.client().request(method, target);
        for (name, value) in recorded.headers(request) {
            sending = sending.header(&name, value);
        }
        if let Some(body) = recorded.body(request) {
            sending = sending.body(body);
        }
        if request["chunked"] == true {
            sending = sending.chunked();
        }
        let answer = sending.send().await;
        if name.starts_with("direct-") {
            let allowed = answer.header("access-control-allow-origin");
            assert!(allowed == "*" || allowed == ORIGIN, "{name}: {:?}", answer.headers);
        }
        assert_eq!(answer.header("content-encoding"), "", "{name}");
        check(name, method, target, request, answer).await;
    }
}

async fn check(name: &str, method: &str, target: &str, request: &Value, mut answer: Answer) {
    let body = &request["body"];
    let plain = body["model"].as_str().is_some_and(|model| !model.starts_with('@'));
    match (method, target) {
        ("OPTIONS", _) => preflight(name, &answer),
        // Gemini's own dialect is not one of ours downstream; it may be refused, but in JSON.
        _ if target.contains(":generateContent") => {
            assert!(answer.header("content-type").starts_with("application/json"), "{name}");
        }
        _ if target.starts_with("/v1/audio/") && method == "GET" => {
            assert!(matches!(answer.status, 401 | 404), "{name}: {}", answer.status);
        }
        ("GET", "/v1/models") if name.contains("wrong-key") => {
            assert_eq!(answer.status, 401, "{name}");
            openai_error(&answer.json().await);
        }
        ("GET", "/v1/models") => {
            let list = answer.expect(200).await;
            let models = list["data"].as_array().unwrap_or_else(|| panic!("{name}: {list}"));
            assert!(models.iter().any(|model| model["id"] == "@openai-prod/gpt-4o"), "{name}: {list}");
        }
        // A name without a slug: which provider is meant cannot be known, and the refusal must say so.
        _ if plain => {
            if answer.status != 200 {
                assert_eq!(answer.status, 400, "{name}");
                openai_error(&answer.json().await);
            }
        }
        (_, "/v1/chat/completions") if body["stream"] == true => chat_stream(name, body, answer).await,
        (_, "/v1/chat/completions") => {
            let whole = answer.expect(200).await;
            let text = whole["choices"][0]["message"]["content"].as_str().unwrap_or_default();
            assert!(text.starts_with("echo: ") || text.starts_with("tool said: "), "{name}: {whole}");
            assert!(whole["usage"]["total_tokens"].is_u64(), "{name}: {whole}");
        }
        (_, "/v1/messages") => {
            let whole = answer.expect(200).await;
            assert_eq!(whole["content"][0]["text"], "echo: hi", "{name}: {whole}");
        }
        (_, "/v1/responses") if body["stream"] == true => responses_stream(name, answer).await,
        (_, "/v1/responses") => {
            let whole = answer.expect(200).await;
            let text = whole["output"][0]["content"][0]["text"].as_str().unwrap_or_default();
            assert!(text.starts_with("echo: "), "{name}: {whole}");
        }
        (_, "/v1/embeddings") => {
            let list = answer.expect(200).await;
            assert_eq!(list["data"][0]["embedding"].as_array().map(Vec::len), Some(8), "{name}: {list}");
        }
        (_, "/v1/images/generations" | "/v1/images/edits") => {
            let images = answer.expect(200).await;
            assert!(images["data"][0]["b64_json"].is_string(), "{name}: {images}");
        }
        (_, "/v1/audio/speech") => {
            assert_eq!(answer.status, 200, "{name}");
            assert!(answer.bytes().await.starts_with(b"RIFF"), "{name}");
        }
        (_, "/v1/audio/transcriptions") => {
            assert_eq!(answer.expect(200).await["text"], "heard 32044 bytes", "{name}");
        }
        _ => panic!("{name}: no check for {method} {target}"),
    }
}

fn preflight(name: &str, answer: &Answer) {
    assert!(matches!(answer.status, 200 | 204), "{name}: {}", answer.status);
    let wanted = if name.contains("models") { "GET" } else { "POST" };
    let methods = answer.header("access-control-allow-methods");
    assert!(methods.contains(wanted) || methods == "*", "{name}: {methods}");
    let headers = answer.header("access-control-allow-headers").to_lowercase();
    // `*` does not cover Authorization, says the standard.
    for header in ["authorization", "content-type"] {
        assert!(headers.contains(header), "{name}: {headers}");
    }
}

/// Members on which Open WebUI acts, and which a chunk must therefore not have.
const FORBIDDEN: [&str; 4] = ["event", "selected_model_id", "type", "timings"];

async fn chat_stream(name: &str, body: &Value, mut answer: Answer) {
    assert_eq!(answer.status, 200, "{name}");
    assert!(answer.header("content-type").starts_with("text/event-stream"), "{name}: {:?}", answer.headers);
    let events = answer.events().await;
    assert!(!answer.was_cut(), "{name}");
    assert!(events.last().is_some_and(sse::Event::is_done), "{name}: {events:#?}");
    let text = sse::chat_text(&events);
    assert!(text.starts_with("echo: ") || text.starts_with("tool said: "), "{name}: {text}");
    if name == "owui-chat-vision" {
        assert!(text.ends_with("(1 images)"), "{name}: the picture arrived: {text}");
    }
    let asked = body["stream_options"]["include_usage"] == true;
    let mut usage = Value::Null;
    for event in &events[..events.len() - 1] {
        let chunk = event.json();
        for member in FORBIDDEN {
            assert_eq!(chunk.get(member), None, "{name}: {chunk}");
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            assert!(choice["delta"].is_object(), "{name}: {chunk}");
        }
        if chunk["usage"].is_object() {
            usage = chunk["usage"].clone();
        }
    }
    assert_eq!(usage.is_object(), asked, "{name}: usage is shown to those who ask: {usage}");
}

async fn responses_stream(name: &str, mut answer: Answer) {
    assert_eq!(answer.status, 200, "{name}");
    let events = answer.events().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    for wanted in [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_item.done",
        "response.completed",
    ] {
        assert!(names.contains(&wanted), "{name}: no {wanted} in {names:?}");
    }
    for event in &events {
        assert_eq!(event.json()["type"], event.name.as_str(), "{name}: both say the type");
    }
}

#[tokio::test]
async fn parameters_reach_a_reasoning_model_in_its_form() {
    let world = open_webui().await;
    let World { mock, client, .. } = &world;
    let client = client.with_key(KEY);
    let recorded = Recorded::load();
    let request = recorded.requests.iter().find(|request| request["name"] == "owui-chat-params-gpt5");
    client.chat(&request.expect("the request")["body"]).send().await.events().await;
    let sent = mock.request_with("Question for openai-prod/gpt-5").body_json();
    assert_eq!(sent["max_completion_tokens"], 1024, "{sent}");
    assert_eq!(sent.get("max_tokens"), None, "{sent}");
    assert_eq!(sent.get("temperature"), None, "{sent}");
    assert_eq!(sent["reasoning_effort"], "low", "{sent}");
    assert_eq!(sent.get("logit_bias"), None, "a reasoning model answers 400 to it: {sent}");
    assert_eq!(sent["metadata"], json!({ "k": "v" }), "{sent}");
}

#[tokio::test]
async fn errors_and_streams_carry_cors_headers() {
    let world = open_webui().await;
    let World { gateway, .. } = &world;
    let body = crate::support::chat_stream("@openai-prod/gpt-4o", "hi");
    for (key, status) in [("WRONG_KEY", 401), (KEY, 200)] {
        let answer = gateway.with_key(key).chat(&body).header("origin", ORIGIN).send().await;
        assert_eq!(answer.status, status);
        let allowed = answer.header("access-control-allow-origin");
        assert!(allowed == "*" || allowed == ORIGIN, "{status}: {:?}", answer.headers);
    }
    let answer = gateway.client().get("/v1/nowhere").header("origin", ORIGIN).send().await;
    assert!(!answer.header("access-control-allow-origin").is_empty(), "{:?}", answer.headers);
}

#[tokio::test]
async fn pages_may_ask_for_inference_and_never_for_what_administers() {
    let world = open_webui().await;
    let World { gateway, .. } = &world;
    let allowed = "access-control-allow-origin";
    for (path, method) in [
        ("/v1/configs", "GET"),
        ("/v1/configs/pc-a", "PUT"),
        ("/v2/api-keys", "GET"),
        ("/v1/integrations", "GET"),
        ("/v1/audit-logs", "GET"),
        ("/v1/invites/secret", "GET"),
        ("/v1/admin/users", "GET"),
        ("/v1/admin/state", "GET"),
        ("/v1/plugins", "GET"),
        ("/v1/guardrails", "POST"),
        ("/v1/%63onfigs", "GET"),
    ] {
        for asked in ["OPTIONS", method] {
            let request = gateway.admin().request(asked, path).header("origin", ORIGIN);
            let answer = request.header("access-control-request-method", method).send().await;
            assert_eq!(answer.header(allowed), "", "{asked} {path}");
        }
    }
    for (path, methods) in [
        ("/v1/chat/completions", "POST, GET, OPTIONS"),
        ("/v1/embeddings", "POST, OPTIONS"),
        ("/v1/models", "GET, OPTIONS"),
        ("/v1/files", "GET, POST, PUT, DELETE, PATCH, OPTIONS"),
        ("/v1/threads/a", "GET, POST, PUT, DELETE, PATCH, OPTIONS"),
    ] {
        let request = gateway.client().request("OPTIONS", path).header("origin", ORIGIN);
        let answer = request.header("access-control-request-method", "POST").send().await;
        assert!(!answer.header(allowed).is_empty(), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), methods, "{path}");
    }
    let wrong = gateway.admin().request("PATCH", "/v1/configs/pc-a").send().await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, PUT, DELETE"));
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let world = open_webui().await;
    let client = world.gateway.with_key(KEY);
    for path in ["/", "/v1/health", "/v1/ready", "/v1/models"] {
        let get = client.get(path).send().await;
        let mut head = client.request("HEAD", path).send().await;
        assert_eq!((head.status, head.text().await.as_str()), (200, ""), "{path}");
        for name in ["content-type", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{path}");
        }
    }
}
