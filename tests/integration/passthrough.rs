//! Paths that the gateway does not model, on their way to a vendor: what goes on, what never does, and who may.

use serde_json::{Value, json};
use tidegate_tests::{Client, Mock, Settings, sse};

use crate::support::{
    INPUT_NANO, KEY, OUTPUT_NANO, PRICES, World, openai_error, providers, world, world_with,
};
use crate::turns::Turns;

const BUDGET: &str = "budget = { usd = 10.0 }";

/// A gateway with a provider of every kind of address and credential.
async fn wide() -> World {
    let mock = Mock::start();
    let settings =
        providers(&mock).provider("azure-prod", "azure-openai", &mock, PRICES).key("tests", KEY, "");
    world_with(mock, settings).await
}

/// A gateway whose key may bring its own credentials; this machine is trusted.
async fn guest() -> World {
    let mock = Mock::start();
    let settings = providers(&mock).toml("[security]\ntrusted_hosts = [\"127.0.0.1\"]").key(
        "tests",
        KEY,
        "header_credentials = true",
    );
    world_with(mock, settings).await
}

fn to(client: &Client, method: &str, target: &str, slug: &str) -> tidegate_tests::Request {
    client.request(method, target).header("x-portkey-provider", format!("@{slug}"))
}

#[tokio::test]
async fn any_method_path_and_query_reaches_every_provider_as_it_is() {
    let world = wide().await;
    for (slug, vendor, base, key) in [
        ("openai-prod", "openai", "/v1", ("authorization", "Bearer sk-upstream-openai-prod")),
        ("anthropic-prod", "anthropic", "/v1", ("x-api-key", "sk-upstream-anthropic-prod")),
        ("google-prod", "google", "/v1beta", ("x-goog-api-key", "sk-upstream-google-prod")),
        ("azure-prod", "azure-openai", "/openai", ("api-key", "sk-upstream-azure-prod")),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            for start in ["/v1", "/v1/proxy"] {
                world.mock.reset();
                let target = format!("{start}/echo/a%20b/c%2Fd?x=1&y=%2F&z");
                let request = to(&world.client, method, &target, slug)
                    .header("x-kept", "yes")
                    .header("x-tidegate-metadata", "{\"a\":\"b\"}")
                    .header("cookie", "session=1")
                    .header("te", "trailers");
                let mut answer = request.send().await;
                let body = answer.text().await;
                let what = format!("{method} {target} at {slug}: {body}");
                assert_eq!(answer.status, 200, "{what}");
                assert_eq!(answer.header("x-portkey-provider"), vendor, "{what}");
                assert_eq!(answer.header("x-portkey-last-used-option-index"), "config", "{what}");
                assert_eq!(answer.header("x-request-id"), "req_mock", "{what}");
                let seen = world.mock.requests().pop().expect("a call");
                let version = if vendor == "azure-openai" { "&api-version=2024-10-21" } else { "" };
                assert_eq!(seen.target, format!("{base}/echo/a%20b/c%2Fd?x=1&y=%2F&z{version}"), "{what}");
                assert_eq!((seen.method.as_str(), seen.header(key.0)), (method, Some(key.1)), "{what}");
                assert_eq!(seen.header("x-kept"), Some("yes"), "{what}");
                for (name, value) in &seen.headers {
                    assert!(!name.starts_with("x-portkey-") && !name.starts_with("x-tidegate-"), "{name}");
                    assert!(!["cookie", "te", "connection"].contains(&name.as_str()), "{name}");
                    assert!(!value.contains(KEY), "the gateway's key went on in {name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn json_goes_on_byte_by_byte_but_for_overrides_and_the_slug() {
    let world = wide().await;
    let sent = r#"{ "a": 1.50, "model":"gpt-4o",  "b":"\u00e9" }"#;
    let post = |body: &str| {
        to(&world.client, "POST", "/v1/echo/x", "openai-prod")
            .header("content-type", "application/json")
            .body(body.to_owned())
    };
    post(sent).send().await.expect(200).await;
    assert_eq!(world.mock.requests()[0].body_text(), sent);
    let config = json!({"provider": "@openai-prod", "override_params": {"a": 2}, "drop_params": ["b"]});
    let request = world.client.request("POST", "/v1/echo/x").header("content-type", "application/json");
    request.header("x-portkey-config", config.to_string()).body(sent).send().await.expect(200).await;
    assert_eq!(world.mock.requests()[1].body_json(), json!({"a": 2, "model": "gpt-4o"}));
    let named = r#"{"model":"@google-prod/gemini-x","n":[1 ,2]}"#;
    let request = world.client.request("POST", "/v1/echo/x").header("content-type", "application/json");
    let answer = request.body(named).send().await;
    assert_eq!((answer.status, answer.header("x-portkey-provider")), (200, "google"));
    assert_eq!(world.mock.requests()[2].body_text(), r#"{"model":"gemini-x","n":[1 ,2]}"#);
    // In the query, where there is no body.
    let answer = world.client.get("/v1/echo/x?model=@anthropic-prod/claude&b=1").send().await;
    assert_eq!((answer.status, answer.header("x-portkey-provider")), (200, "anthropic"));
    assert_eq!(world.mock.requests()[3].target, "/v1/echo/x?model=claude&b=1");
    // What is no JSON is the vendor's to judge.
    post("{broken").send().await.expect(200).await;
    assert_eq!(world.mock.requests()[4].body_text(), "{broken");
}

#[tokio::test]
async fn other_bodies_are_streamed_whatever_they_are() {
    let world = wide().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    for kind in ["application/octet-stream", "multipart/form-data; boundary=x", "audio/wav", ""] {
        for chunked in [false, true] {
            world.mock.reset();
            let mut request = to(&world.client, "PUT", "/v1/echo/upload", "openai-prod").body(bytes.clone());
            if !kind.is_empty() {
                request = request.header("content-type", kind);
            }
            let request = if chunked { request.chunked() } else { request };
            let body = request.send().await.expect(200).await;
            assert_eq!(body["bytes"], bytes.len(), "{kind} {chunked}");
            let seen = world.mock.requests().pop().expect("a call");
            assert!(seen.body_bytes() == bytes, "other bytes for {kind} {chunked}");
            assert_eq!(seen.header("content-type").unwrap_or_default(), kind);
            assert_eq!(seen.header("content-length").is_some(), !chunked, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_body_that_may_be_sent_again_is_sent_again_whole() {
    let world = wide().await;
    let config = json!({"strategy": {"mode": "fallback"}, "targets": [
        {"provider": "@openai-prod", "custom_host": world.mock.url("/v1"), "retry": {"attempts": 1, "on_status_codes": [503]}},
        {"provider": "@google-prod"}]});
    let request = world.client.request("POST", "/v1/echo/x").header("content-type", "text/plain");
    let request = request.header("x-portkey-config", config.to_string()).body("again and again");
    let answer = request.header("x-mock-script", "status=503").send().await;
    assert_eq!(
        (answer.status, answer.header("x-portkey-last-used-option-index")),
        (503, "config.targets[1]")
    );
    let bodies: Vec<String> = world.mock.requests().iter().map(|call| call.body_text()).collect();
    assert_eq!(bodies, ["again and again"; 3]);
}

#[tokio::test]
async fn a_stream_passes_untouched_and_is_measured() {
    let world = wide().await;
    for (path, slug, stream) in [
        ("/v1/proxy/chat/completions", "openai-prod", true),
        ("/v1/proxy/chat/completions", "openai-prod", false),
        ("/v1/proxy/v1/messages", "anthropic-prod", true),
        ("/v1/proxy/models/mock:streamGenerateContent?alt=sse", "google-prod", true),
    ] {
        let trace = format!("trace-{path}-{stream}");
        let body = match slug {
            "google-prod" => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
            "openai-prod" if stream => {
                json!({"model": "mock", "messages": [{"role": "user", "content": "hi"}],
                "stream": true, "stream_options": {"include_usage": true}})
            }
            _ => json!({"model": "mock", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50,
                "stream": stream}),
        };
        let request = world.client.post(path, &body).header("x-portkey-provider", format!("@{slug}"));
        let mut answer = request
            .header("x-mock-script", "input=1000&output=50&chunks=3")
            .header("x-portkey-trace-id", &trace)
            .send()
            .await;
        assert_eq!(answer.status, 200, "{path}");
        let kind = if stream { "text/event-stream" } else { "application/json" };
        assert!(answer.header("content-type").starts_with(kind), "{path}");
        let text = answer.text().await;
        let seen = world.mock.requests().pop().expect("a call");
        assert_eq!(text.len() as u64, seen.bytes_sent(), "{path}: other bytes: {text}");
        let row = world.gateway.log_of(&trace).await;
        assert_eq!((&row["input_tokens"], &row["output_tokens"]), (&json!(1000), &json!(50)), "{row}");
        assert_eq!(row["cost_nano_usd"], json!(1000 * INPUT_NANO + 50 * OUTPUT_NANO), "{row}");
        assert_eq!((&row["provider"], &row["model"]), (&json!(slug), &json!("mock")), "{row}");
        let asked = path.split('?').next().unwrap_or_default().replacen("/proxy", "", 1);
        assert_eq!(row["endpoint"], json!(asked), "{row}");
        // The version that an SDK doubles is there once.
        assert!(!seen.target.contains("/v1/v1/"), "{}", seen.target);
    }
}

#[tokio::test]
async fn a_stream_arrives_as_it_is_made() {
    let world = wide().await;
    let body = json!({"model": "mock", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let request = world.client.post("/v1/proxy/chat/completions", &body);
    let request = request.header("x-portkey-provider", "@openai-prod");
    let mut answer = request.header("x-mock-script", "chunks=5&stall_after=2").send().await;
    let mut text = String::new();
    while text.matches("data: ").count() < 2 {
        let bytes = answer.next_bytes().await.expect("pieces before the stall");
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    answer.hang_up();
    let seen = world.mock.requests().pop().expect("a call");
    tidegate_tests::wait::until("upstream to see the client leave", || seen.client_closed_at()).await;
}

#[tokio::test]
async fn errors_pass_untouched_and_move_retries_and_fallbacks() {
    let world = wide().await;
    for (script, kind, part) in [
        ("status=404", "application/json", "the scripted upstream answers 404"),
        ("status=502&error_body=html", "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>"),
        ("status=429&retry_after=7", "application/json", "429"),
    ] {
        let request = to(&world.client, "GET", "/v1/echo/x", "openai-prod").header("x-mock-script", script);
        let mut answer = request.send().await;
        let body = answer.text().await;
        let seen = world.mock.requests().pop().expect("a call");
        assert_eq!(answer.status, seen.status(), "{script}");
        assert_eq!(answer.header("content-type"), kind, "{script}");
        assert_eq!(body.len() as u64, seen.bytes_sent(), "{script}: {body}");
        assert!(body.contains(part), "{script}: {body}");
        assert_eq!(answer.header("x-portkey-provider"), "openai");
        if script.contains("retry_after") {
            assert_eq!(answer.header("retry-after"), "7");
        }
    }
    let upstream =
        Turns::start(vec![json!({"status": 503}), json!({"status": 200, "body": {"ok": true}})]).await;
    let mock = Mock::start();
    let settings = Settings::new().provider_at("one", "openai", &upstream.url(), "").key("tests", KEY, "");
    let world = world_with(mock, settings).await;
    let config = json!({"provider": "@one", "retry": {"attempts": 2}});
    let request =
        world.client.request("DELETE", "/v1/files/f1").header("x-portkey-config", config.to_string());
    let answer = request.send().await;
    assert_eq!((answer.status, answer.header("x-portkey-retry-attempt-count")), (200, "1"));
    assert_eq!(answer.expect(200).await, json!({"ok": true}));
    let targets: Vec<String> = upstream.calls().into_iter().map(|call| call.target).collect();
    assert_eq!(targets, ["/files/f1", "/files/f1"]);
}

#[tokio::test]
async fn a_redirect_is_the_clients_to_follow() {
    let elsewhere = Turns::start(vec![json!({"status": 200})]).await;
    let location = format!("{}/secret", elsewhere.url());
    let upstream = Turns::start(vec![json!({"status": 302, "headers": {"location": location}})]).await;
    let settings = Settings::new().provider_at("one", "openai", &upstream.url(), "").key("tests", KEY, "");
    let world = world_with(Mock::start(), settings).await;
    let answer = world.client.get("/v1/files").send().await;
    assert_eq!((answer.status, answer.header("location")), (302, location.as_str()));
    let answer = world.client.chat(&json!({"model": "m", "messages": []})).send().await;
    assert!(answer.status >= 300, "{}", answer.status);
    assert_eq!((upstream.calls().len(), elsewhere.calls().len()), (2, 0));
}

#[tokio::test]
async fn no_path_leads_out_of_the_providers_own() {
    let world = world().await;
    for path in [
        "/v1/../admin",
        "/v1/files/..",
        "/v1/%2e%2e/x",
        "/v1/a/..%2fb",
        "/v1/a/%252e%252e/b",
        "/v1/a%5c..%5cb",
        "/v1/a/..;x/b",
        "/v1/a%0d%0ab",
        "/v1/a%00",
        "/v1/proxy/../x",
        "/v1/proxy/%2e%2e/%2e%2e/x",
    ] {
        let body = to(&world.client, "GET", path, "openai-prod").send().await.expect(400).await;
        assert!(openai_error(&body).contains("path"), "{path}: {body}");
    }
    assert!(world.mock.requests().is_empty(), "{:?}", world.mock.requests());
    // These name a place at the provider's own host, however they look.
    for (path, target) in [
        ("/v1/proxy//evil.example/x", "/v1/evil.example/x"),
        ("/v1/proxy/@evil.example/x", "/v1/@evil.example/x"),
        ("/v1/@evil.example", "/v1/@evil.example"),
        ("/v1/proxy/http://evil.example/x", "/v1/http:/evil.example/x"),
        ("/v1/:8080/x", "/v1/:8080/x"),
        ("http://evil.example/v1/files", "/v1/files"),
    ] {
        world.mock.reset();
        let _answered = to(&world.client, "GET", path, "openai-prod").send().await;
        let seen = world.mock.requests();
        assert_eq!(seen.len(), 1, "{path}");
        assert_eq!(seen[0].target, target, "{path}");
    }
}

#[tokio::test]
async fn the_gateways_own_routes_are_never_passed_on() {
    let world = world().await;
    for (method, path, status) in [
        ("GET", "/v1/admin/nothing", 404),
        ("POST", "/v1/admin/state", 405),
        ("GET", "/v1/%61dmin/x", 404),
        ("GET", "/v1/configs", 403),
        ("POST", "/v1/configs/x/y", 404),
        ("GET", "/v1/plugins/a/b/c", 404),
        ("PUT", "/v1/health", 405),
        ("GET", "/v1/health/x", 404),
        ("PUT", "/v1/embeddings", 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/proxy", 404),
        ("GET", "/files", 404),
        ("GET", "/v2/files", 404),
    ] {
        let answer = to(&world.client, method, path, "openai-prod").send().await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    assert!(world.mock.requests().is_empty());
    let answer = world.gateway.client().get("/v1/files").send().await;
    assert_eq!(answer.status, 401, "a path of a vendor needs a key, too");
}

#[tokio::test]
async fn kept_chats_and_models_of_a_named_provider_are_the_vendors() {
    let world = world().await;
    for (method, path) in [
        ("GET", "/v1/chat/completions?limit=2"),
        ("GET", "/v1/chat/completions/c-1"),
        ("DELETE", "/v1/models/ft:gpt-4o:a"),
        ("HEAD", "/v1/files"),
    ] {
        world.mock.reset();
        let answer = to(&world.client, method, path, "openai-prod").send().await;
        let seen = world.mock.requests();
        assert_eq!(seen.len(), 1, "{method} {path}: {}", answer.status);
        assert_eq!(seen[0].target, path, "{method} {path}");
    }
    world.mock.reset();
    let known = to(&world.client, "GET", "/v1/models/mock", "openai-prod").send().await.expect(200).await;
    assert_eq!(known["id"], "@openai-prod/mock", "{known}");
    // Nobody is named: it is the gateway that is asked.
    for (method, path) in [("GET", "/v1/chat/completions"), ("DELETE", "/v1/models/mock")] {
        let mut answer = world.client.request(method, path).send().await;
        let body = answer.json().await;
        assert_eq!(answer.status, 405, "{method} {path}: {body}");
        assert!(openai_error(&body).contains("x-portkey-provider names it"), "{body}");
    }
}

#[tokio::test]
async fn nobody_is_asked_where_no_provider_is_named() {
    let world = world().await;
    let body = world.client.get("/v1/files").send().await.expect(400).await;
    assert!(openai_error(&body).contains("@openai-prod"), "{body}");
    let body = to(&world.client, "GET", "/v1/files", "nobody").send().await.expect(400).await;
    assert_eq!(body["message"], "Following keys are not valid: nobody");
    assert!(world.mock.requests().is_empty());
}

#[tokio::test]
async fn what_cannot_be_measured_is_not_for_keys_with_a_budget() {
    let mock = Mock::start();
    let settings = providers(&mock)
        .key("tests", KEY, BUDGET)
        .key("let", "tg-key-with-leave-0123456789", &format!("unmeasured = \"allow\"\n{BUDGET}"))
        .key("models", "tg-key-some-models-0123456789", "models = [\"@openai-prod/gpt-4o\"]")
        .key("denied", "tg-key-denied-0123456789", "unmeasured = \"deny\"");
    let world = world_with(mock, settings).await;
    let body = json!({"model": "mock", "messages": [{"role": "user", "content": "hi"}]});
    for (key, reason) in [
        (KEY, "has a budget"),
        ("tg-key-some-models-0123456789", "some models"),
        ("tg-key-denied-0123456789", "not"),
    ] {
        for path in ["/v1/proxy/chat/completions", "/v1/echo/x"] {
            let client = world.gateway.with_key(key);
            let request = client.post(path, &body).header("x-portkey-provider", "@openai-prod");
            let message = openai_error(&request.send().await.expect(403).await);
            assert!(message.contains(reason) && message.contains("unmeasured = \"allow\""), "{message}");
        }
    }
    assert!(world.mock.requests().is_empty());
    let client = world.gateway.with_key("tg-key-with-leave-0123456789");
    let request =
        client.post("/v1/proxy/chat/completions", &body).header("x-portkey-provider", "@openai-prod");
    request.header("x-mock-script", "input=1000&output=100").send().await.expect(200).await;
    let spent = 1000 * INPUT_NANO + 100 * OUTPUT_NANO;
    let state = world.gateway.state().await;
    let budgets = state["budgets"].as_array().expect("budgets");
    assert!(budgets.iter().any(|budget| budget["spent"] == spent && budget["held"] == 0), "{state}");
}

#[tokio::test]
async fn limits_of_the_key_hold_there_too() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "limits = [ { requests = 2, per = \"hour\" } ]");
    let world = world_with(mock, settings).await;
    let ask = || to(&world.client, "GET", "/v1/echo/x", "openai-prod").send();
    assert_eq!((ask().await.status, ask().await.status), (200, 200));
    let refused = ask().await;
    assert_eq!((refused.status, refused.header("retry-after").is_empty()), (429, false));
    assert_eq!(world.mock.requests().len(), 2);
}

#[tokio::test]
async fn guardrails_are_not_gone_around_in_silence() {
    let world = world().await;
    let mut config = json!({"provider": "@openai-prod", "input_guardrails": [
        {"default.contains": {"operator": "none", "words": ["secret"]}, "deny": true}]});
    let ask = |config: &Value| {
        let request = world.client.post("/v1/echo/x", &json!({"text": "a secret"}));
        request.header("x-portkey-config", config.to_string()).send()
    };
    let message = openai_error(&ask(&config).await.expect(400).await);
    assert!(message.contains("\"unguarded_passthrough\": true"), "{message}");
    assert!(world.mock.requests().is_empty());
    config["unguarded_passthrough"] = json!(true);
    assert_eq!(ask(&config).await.status, 200);
}

#[tokio::test]
async fn custom_hosts_are_checked_on_every_route() {
    let world = guest().await;
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for path in ["/v1/chat/completions", "/v1/proxy/chat/completions", "/v1/echo/x"] {
        let ask = |host: &str, provider: &str| {
            let request = world.client.post(path, &chat).header("x-portkey-api-key", KEY);
            request.header("x-portkey-provider", provider).header("x-portkey-custom-host", host).send()
        };
        for host in [
            "http://10.0.0.1/v1",
            "http://169.254.169.254/latest",
            "http://2130706433/v1",
            "http://0x7f.1/v1",
            "http://[::1]/v1",
            "http://[::ffff:127.0.0.1]/v1",
            "http://metadata.internal/v1",
            "https://user:pass@example.com/v1",
            "ftp://example.com",
            "http://localhost:9/v1",
        ] {
            for provider in ["openai", "@openai-prod"] {
                let body = ask(host, provider).await.expect(400).await;
                assert_eq!(body["message"], "Invalid custom host", "{path} {host} {provider}: {body}");
            }
        }
        // A stored credential goes nowhere but home and to trusted hosts.
        let body = ask("https://collector.example.com/v1", "@openai-prod").await.expect(400).await;
        assert!(openai_error(&body).contains("credential of @openai-prod"), "{body}");
        assert!(world.mock.requests().is_empty(), "{path}");
        ask(&world.mock.url("/other/v1"), "@openai-prod").await.expect(200).await;
        let seen = world.mock.requests().pop().expect("a call");
        assert!(seen.target.starts_with("/other/v1/"), "{}", seen.target);
        assert_eq!(seen.header("authorization"), Some("Bearer sk-upstream-openai-prod"));
        world.mock.reset();
    }
}

#[tokio::test]
async fn a_cut_answer_is_no_whole_one() {
    let world = world().await;
    let body = json!({"model": "mock", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let request = world.client.post("/v1/proxy/chat/completions", &body);
    let request = request.header("x-portkey-provider", "@openai-prod").header("x-portkey-trace-id", "cut");
    let mut answer = request.header("x-mock-script", "chunks=9&close_after=3").send().await;
    let events = answer.events().await;
    assert!(answer.was_cut(), "{events:#?}");
    assert!(sse::error(&events).is_none(), "nothing is written into a vendor's stream: {events:#?}");
    assert_eq!(world.gateway.log_of("cut").await["outcome"], "upstream_unreachable");
}
