//! Headers: which value wins where several say something, one test per row of Portkey's table, and the errors that
//! Portkey's clients match on.

use serde_json::{Value, json};
use tidegate_tests::{Mock, Request, Settings};

use crate::support::{KEY, World, chat, openai_error, providers, world, world_with};
use crate::turns::Turns;

const OTHER_KEY: &str = "tg-key-other-of-the-tests-0123456789";

/// A gateway whose key may bring its own credentials; this machine is trusted.
async fn guest() -> World {
    let mock = Mock::start();
    let settings = providers(&mock)
        .toml("[security]\ntrusted_hosts = [\"127.0.0.1\"]")
        .toml("[[config]]\nid = \"saved\"\njson = '''{\"provider\": \"@anthropic-prod\"}'''")
        .key("tests", KEY, "header_credentials = true")
        .key("other", OTHER_KEY, "config = \"saved\"\nmetadata = { team = \"red\" }");
    world_with(mock, settings).await
}

impl World {
    fn ask(&self, model: &str, config: &Value) -> Request {
        let request = self.client.chat(&chat(model, "hi")).header("x-portkey-api-key", KEY);
        if config.is_null() { request } else { request.header("x-portkey-config", config.to_string()) }
    }
}

#[tokio::test]
async fn custom_host_is_the_headers_then_the_targets_then_the_parents() {
    let world = guest().await;
    let host = |name: &str| world.mock.url(&format!("/{name}/v1"));
    let parent = json!({"custom_host": host("parent"), "strategy": {"mode": "single"},
        "targets": [{"provider": "openai", "api_key": "k"}]});
    let mut target = parent.clone();
    target["targets"][0]["custom_host"] = json!(host("target"));
    for (config, header, first) in [
        (&parent, None, "/parent/"),
        (&target, None, "/target/"),
        (&target, Some(host("header")), "/header/"),
    ] {
        world.mock.reset();
        let mut request = world.ask("m", config);
        if let Some(host) = &header {
            request = request.header("x-tidegate-custom-host", host);
        }
        request.send().await.expect(200).await;
        let seen = world.mock.requests().pop().expect("a call");
        assert!(seen.target.starts_with(first), "{} for {header:?} {config}", seen.target);
    }
}

#[tokio::test]
async fn request_timeout_is_the_headers_then_the_configs() {
    let world = guest().await;
    let config = json!({"provider": "@openai-prod", "request_timeout": 60_000});
    for (config, header) in
        [(config, Some("80")), (json!({"provider": "@openai-prod", "request_timeout": 80}), None)]
    {
        let mut request = world.ask("mock", &config).header("x-mock-script", "head_delay_ms=5000");
        request = request.header("x-portkey-forward-headers", "x-mock-script");
        if let Some(ms) = header {
            request = request.header("x-portkey-request-timeout", ms);
        }
        let body = request.send().await.expect(408).await;
        assert_eq!(body["error"]["message"], "Request exceeded the timeout sent in the request: 80ms");
    }
}

#[tokio::test]
async fn forwarded_headers_are_the_headers_then_the_configs() {
    let world = guest().await;
    let config = json!({"provider": "@openai-prod", "forward_headers": ["X-From-Config", "cookie", "authorization",
        "x-portkey-api-key", "x-portkey-config", "connection", "host", "content-length"]});
    for (header, wanted) in
        [(None, "x-from-config"), (Some("x-from-header, X-Api-Key,cookie"), "x-from-header")]
    {
        world.mock.reset();
        let mut request =
            world.ask("mock", &config).header("x-from-config", "1").header("x-from-header", "1");
        request = request.header("cookie", "session=1").header("x-api-key", KEY);
        if let Some(names) = header {
            request = request.header("x-portkey-forward-headers", names);
        }
        request.send().await.expect(200).await;
        let seen = world.mock.requests().pop().expect("a call");
        let from =
            seen.headers.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("x-from-"));
        assert_eq!(from.collect::<Vec<_>>(), [wanted]);
        assert_eq!(seen.header("cookie"), None);
        assert_eq!(seen.header("authorization"), Some("Bearer sk-upstream-openai-prod"));
        assert!(seen.headers.iter().all(|(_, value)| !value.contains(KEY)), "{:?}", seen.headers);
    }
}

#[tokio::test]
async fn strict_compliance_ends_where_header_or_config_say_false() {
    let world = guest().await;
    let say = |flag: Option<bool>| match flag {
        Some(flag) => json!({"provider": "@anthropic-prod", "strict_open_ai_compliance": flag}),
        None => json!({"provider": "@anthropic-prod"}),
    };
    for (config, header, strict) in [
        (None, None, true),
        (Some(true), None, true),
        (Some(false), None, false),
        (Some(true), Some("false"), false),
        (Some(false), Some("true"), false),
        (None, Some("true"), true),
    ] {
        let body = json!({"model": "mock", "max_tokens": 3000, "mock": "reasoning",
            "messages": [{"role": "user", "content": "[[reasoning]] hi"}]});
        let mut request = world.client.chat(&body).header("x-portkey-config", say(config).to_string());
        if let Some(flag) = header {
            request = request.header("x-portkey-strict-open-ai-compliance", flag);
        }
        let body = request.send().await.expect(200).await;
        let message = &body["choices"][0]["message"];
        assert_eq!(message.get("content_blocks").is_none(), strict, "{config:?} {header:?}: {body}");
    }
}

#[tokio::test]
async fn a_config_with_targets_takes_no_credentials_of_headers_and_one_without_takes_all() {
    let world = guest().await;
    let client = world.gateway.with_key("sk-of-the-client");
    let ask = |config: Value| {
        let request = client.chat(&chat("m", "hi")).header("x-portkey-api-key", KEY);
        request.header("x-portkey-provider", "openai").header("x-portkey-config", config.to_string())
    };
    let host = world.mock.url("/v1");
    ask(json!({"custom_host": host})).send().await.expect(200).await;
    let seen = world.mock.requests().pop().expect("a call");
    assert_eq!(seen.header("authorization"), Some("Bearer sk-of-the-client"));
    let config = json!({"strategy": {"mode": "fallback"}, "custom_host": host, "targets": [
        {"provider": "anthropic", "api_key": "sk-of-the-config"}, {"provider": "openai", "api_key": "x"}]});
    ask(config).send().await.expect(200).await;
    let seen = world.mock.requests().pop().expect("a call");
    assert_eq!((seen.header("x-api-key"), seen.header("authorization")), (Some("sk-of-the-config"), None));
    // Vendors' own headers are credentials, too.
    let azure = json!({"provider": "azure-openai", "api_key": "x"});
    let with_header =
        |config: Value| ask(config).header("x-portkey-azure-resource-name", "not a name").send();
    let single = openai_error(&with_header(azure.clone()).await.expect(400).await);
    assert!(single.contains("azure_resource_name"), "{single}");
    let two = with_header(json!({"strategy": {"mode": "fallback"}, "targets": [azure.clone(), azure]})).await;
    let message = openai_error(&two.expect(400).await);
    assert!(message.contains("azure_resource_name") && message != single, "{message}");
}

#[tokio::test]
async fn a_vendors_key_may_be_bare() {
    let world = guest().await;
    for (vendor, name, sent, seen_name) in [
        ("openai", "authorization", "Bearer sk-own", "authorization"),
        ("openai", "authorization", "sk-own", "authorization"),
        ("anthropic", "x-api-key", "sk-own", "x-api-key"),
        ("anthropic", "authorization", "Bearer sk-own", "x-api-key"),
    ] {
        let request = world.gateway.client().chat(&chat("m", "hi")).header("x-portkey-api-key", KEY);
        let request = request.header("x-portkey-provider", vendor).header(name, sent);
        request.header("x-portkey-custom-host", world.mock.url("/v1")).send().await.expect(200).await;
        let seen = world.mock.requests().pop().expect("a call");
        let value = seen.header(seen_name).unwrap_or_default().trim_start_matches("Bearer ");
        assert_eq!(value, "sk-own", "{vendor} {name} {sent}");
    }
}

#[tokio::test]
async fn the_trace_id_is_the_headers_then_the_parents_then_a_new_one() {
    let world = world().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let of = async |headers: &[(&str, &str)]| {
        let mut request = world.client.chat(&chat("@openai-prod/mock", "hi"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().await.header("x-portkey-trace-id").to_owned()
    };
    assert_eq!(of(&[("x-portkey-trace-id", "mine"), ("traceparent", parent)]).await, "mine");
    assert_eq!(of(&[("x-tidegate-trace-id", "mine")]).await, "mine");
    assert_eq!(of(&[("traceparent", parent)]).await, "0af7651916cd43dd8448eb211c80319c");
    let made = of(&[]).await;
    assert_eq!(made.len(), 36, "{made}");
    for broken in ["00--x-01", "x", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
        assert_eq!(of(&[("traceparent", broken)]).await.len(), 36, "{broken}");
    }
}

#[tokio::test]
async fn metadata_is_the_baggages_then_the_headers_then_the_keys() {
    let world = guest().await;
    let client = world.gateway.with_key(OTHER_KEY);
    let ask = |trace: &str| {
        let request = client.chat(&chat("mock", "hi")).header("x-portkey-trace-id", trace);
        request
            .header("baggage", "a=bag%20gage;p=1, b=baggage,team=baggage,broken")
            .header("x-portkey-metadata", r#"{"b": "header", "team": "header", "_user": "u"}"#)
    };
    ask("told").send().await.expect(200).await;
    let row = world.gateway.log_of("told").await;
    assert_eq!(
        row["metadata"],
        json!({"_user": "u", "a": "bag gage", "b": "header", "team": "red"}),
        "{row}"
    );
    // Who wants no record gets none of what it said; the bill stays.
    ask("quiet").header("x-portkey-ignore-service-log", "true").send().await.expect(200).await;
    let row = world.gateway.log_of("quiet").await;
    assert_eq!((&row["metadata"], &row["status"]), (&json!({"team": "red"}), &json!(200)), "{row}");
    assert!(row["cost_nano_usd"].as_i64() > Some(0), "{row}");
}

#[tokio::test]
async fn the_gateway_key_is_its_own_headers_then_authorizations() {
    let world = guest().await;
    let status = async |headers: &[(&str, &str)]| {
        let mut request = world.gateway.client().chat(&chat("@openai-prod/mock", "hi"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().await.status
    };
    let bearer = format!("Bearer {KEY}");
    assert_eq!(status(&[("x-portkey-api-key", KEY), ("authorization", "Bearer other")]).await, 200);
    assert_eq!(status(&[("x-tidegate-api-key", KEY)]).await, 200);
    assert_eq!(status(&[("x-portkey-api-key", KEY), ("authorization", &bearer)]).await, 200);
    assert_eq!(status(&[("authorization", &bearer)]).await, 200);
    assert_eq!(status(&[("x-portkey-api-key", "wrong"), ("authorization", &bearer)]).await, 401);
    assert!(
        world.mock.requests().iter().all(|call| call.headers.iter().all(|(_, value)| !value.contains(KEY)))
    );
}

#[tokio::test]
async fn the_config_is_the_headers_then_the_keys() {
    let world = guest().await;
    let client = world.gateway.with_key(OTHER_KEY);
    let answer = client.chat(&chat("mock", "hi")).send().await;
    assert_eq!((answer.status, answer.header("x-portkey-provider")), (200, "anthropic"));
    let request =
        client.chat(&chat("mock", "hi")).header("x-portkey-config", r#"{"provider":"@google-prod"}"#);
    let answer = request.send().await;
    assert_eq!((answer.status, answer.header("x-portkey-provider")), (200, "google"));
}

#[tokio::test]
async fn the_slug_is_the_provider_headers_then_the_virtual_keys_then_the_models_then_the_querys() {
    let world = guest().await;
    for (headers, model, query, vendor) in [
        (
            &[("x-portkey-provider", "@openai-prod"), ("x-portkey-virtual-key", "google-prod")][..],
            "@anthropic-prod/m",
            "",
            "openai",
        ),
        (&[("x-portkey-virtual-key", "google-prod")], "@anthropic-prod/m", "", "google"),
        (&[], "@anthropic-prod/m", "?model=@google-prod/m", "anthropic"),
    ] {
        let path = format!("/v1/chat/completions{query}");
        let mut request = world.client.post(&path, &chat(model, "hi"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await;
        assert_eq!(
            (answer.status, answer.header("x-portkey-provider")),
            (200, vendor),
            "{headers:?} {model}"
        );
    }
    let answer = world.client.get("/v1/echo/x?model=@google-prod/m").send().await;
    assert_eq!((answer.status, answer.header("x-portkey-provider")), (200, "google"));
}

#[tokio::test]
async fn a_form_takes_a_targets_parameters() {
    let world = guest().await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
        --b\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nen\r\n\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF..\r\n--b--\r\n";
    let config = json!({"provider": "@openai-prod", "default_params": {"language": "fr", "temperature": 0.5},
        "override_params": {"response_format": "verbose_json", "model": "whisper-2"}, "drop_params": ["prompt"]});
    let request = world.client.request("POST", "/v1/audio/transcriptions").body(form);
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    request.header("x-portkey-config", config.to_string()).send().await.expect(200).await;
    let sent = world.mock.requests().pop().expect("a call").body_text();
    for (name, value) in [
        ("model", "whisper-2"),
        ("language", "en"),
        ("temperature", "0.5"),
        ("response_format", "verbose_json"),
    ] {
        let part = format!("name=\"{name}\"\r\n\r\n{value}\r\n");
        assert_eq!(sent.matches(&format!("name=\"{name}\"")).count(), 1, "{sent}");
        assert!(sent.contains(&part), "no {name} = {value} in {sent}");
    }
    assert!(sent.contains("RIFF.."), "{sent}");
}

/// What Portkey's clients match on. Where the status is another one than Portkey's, its table of decisions says so.
#[tokio::test]
async fn errors_say_what_portkeys_clients_match_on() {
    let upstream = Turns::start(vec![json!({"status": 418, "body": {"error": {"message": "no tea"}}})]).await;
    let mock = Mock::start();
    let settings: Settings = providers(&mock)
        .provider_at("teapot", "mistral-ai", &upstream.url(), "")
        .toml("[limits]\nbody_bytes = 1048576")
        .key("tests", KEY, "header_credentials = true");
    let world = world_with(mock, settings).await;
    let plain = chat("@openai-prod/mock", "hi");
    let none = Value::Null;
    let with = |config: &str| Some(("x-portkey-config", config.to_owned()));
    let conditional = |rest: &str| {
        format!(
            r#"{{"strategy":{{"mode":"conditional"{rest}}},"targets":[{{"name":"a","provider":"@openai-prod"}}]}}"#
        )
    };
    let nameless = chat("m", "hi");
    for (what, path, body, header, status, message) in [
        ("no route", "/nowhere", &plain, None, 404, "Not Found"),
        (
            "neither config nor provider",
            "/v1/chat/completions",
            &nameless,
            None,
            400,
            "Either x-portkey-config or x-portkey-provider header is required",
        ),
        (
            "unknown provider",
            "/v1/chat/completions",
            &nameless,
            Some(("x-portkey-provider", "nobody".to_owned())),
            400,
            "Invalid provider passed",
        ),
        (
            "config without provider",
            "/v1/chat/completions",
            &nameless,
            with(r#"{"retry":{"attempts":1}}"#),
            400,
            "Either x-portkey-provider needs to be passed. Or the x-portkey-config header should have a valid config with provider details in it.",
        ),
        (
            "config is no JSON",
            "/v1/chat/completions",
            &plain,
            with("{nope"),
            400,
            "Invalid config passed. You need to pass a valid json",
        ),
        (
            "config is invalid",
            "/v1/chat/completions",
            &plain,
            with(r#"{"strategy":{"mode":"x"},"targets":[{}]}"#),
            400,
            "Invalid config passed",
        ),
        (
            "legacy options",
            "/v1/chat/completions",
            &plain,
            with(r#"{"options":[{}]}"#),
            400,
            "This version of config is not supported in this route. Please migrate to the latest version",
        ),
        (
            "custom host",
            "/v1/chat/completions",
            &nameless,
            with(r#"{"provider":"openai","api_key":"k","custom_host":"http://10.0.0.1"}"#),
            400,
            "Invalid custom host",
        ),
        (
            "forwarding itself",
            "/v1/chat/completions",
            &plain,
            Some(("x-portkey-forward-headers", "x-portkey-forward-headers".to_owned())),
            400,
            "forward_headers must not contain the 'x-portkey-forward-headers' header",
        ),
        (
            "forwarding itself in a config",
            "/v1/chat/completions",
            &plain,
            with(r#"{"provider":"@openai-prod","forward_headers":["x-portkey-forward-headers"]}"#),
            400,
            "forward_headers must not contain the 'x-portkey-forward-headers' header",
        ),
        (
            "no conditions",
            "/v1/chat/completions",
            &plain,
            with(&conditional("")),
            400,
            "No conditions passed in the query router",
        ),
        (
            "nothing matched",
            "/v1/chat/completions",
            &plain,
            with(&conditional(r#","conditions":[{"query":{"params.model":"x"},"then":"a"}]"#)),
            400,
            "Query router did not resolve to any valid target",
        ),
        (
            "unknown target",
            "/v1/chat/completions",
            &plain,
            with(&conditional(r#","conditions":[],"default":"zz""#)),
            400,
            "Invalid target name found in the query router: zz",
        ),
        (
            "unknown operator",
            "/v1/chat/completions",
            &plain,
            with(&conditional(r#","conditions":[{"query":{"params.x":{"$foo":1}},"then":"a"}]"#)),
            400,
            "Unsupported operator used in the query router: $foo",
        ),
        (
            "unknown slug",
            "/v1/chat/completions",
            &chat("@a/m", "hi"),
            None,
            400,
            "Following keys are not valid: a",
        ),
        (
            "unsupported endpoint",
            "/v1/images/generations",
            &json!({"model": "@anthropic-prod/m", "prompt": "x"}),
            None,
            400,
            "imageGenerate is not supported by anthropic",
        ),
        (
            "too large",
            "/v1/chat/completions",
            &chat("@openai-prod/m", &"x".repeat(1_100_000)),
            None,
            413,
            "Payload size exceeds the limit of 1MB",
        ),
    ] {
        let mut request = world.client.post(path, body).header("x-portkey-api-key", KEY);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let mut answer = request.send().await;
        let exception = answer.header("x-portkey-gateway-exception").to_owned();
        assert!(!answer.header("x-portkey-trace-id").is_empty(), "{what}");
        let body = answer.json().await;
        assert_eq!((answer.status, &body["message"]), (status, &json!(message)), "{what}: {body}");
        assert_eq!(body["status"], "failure", "{what}: {body}");
        assert!(!openai_error(&body).is_empty());
        assert_eq!(exception == "true", what == "unsupported endpoint", "{what}");
        assert_eq!(body["errors"].is_array(), what == "config is invalid", "{what}: {body}");
    }
    // Bodies that are no JSON are the client's fault; types that no endpoint takes, too.
    let request = |kind: &str| {
        let request = world.client.request("POST", "/v1/chat/completions").header("content-type", kind);
        request.body("{nope").send()
    };
    let body = request("application/json").await.expect(400).await;
    assert_eq!(body["status"], "failure", "{body}");
    let body = request("multipart/form-data; boundary=b").await.expect(400).await;
    assert_eq!(body["message"], "Invalid content type passed", "{body}");
    // A vendor's error: its status, its words, and whose they are.
    let body = world.ask("@teapot/m", &none).send().await.expect(418).await;
    assert_eq!(body["error"]["message"], "mistral-ai error: no tea", "{body}");
    assert_eq!((&body["provider"], body.get("status")), (&json!("mistral-ai"), None), "{body}");
    let request = world.gateway.with_key("wrong").chat(&plain);
    let body = request.send().await.expect(401).await;
    assert_eq!((&body["status"], &body["error"]["code"]), (&json!("failure"), &json!("03")), "{body}");
}

/// What headers say in other letters than ASCII, as UTF-8 and as browsers and Node send it.
#[tokio::test]
async fn headers_in_other_letters_are_read() {
    let world = world().await;
    let latin = |text: &str| text.chars().map(|letter| u8::try_from(letter).unwrap()).collect::<Vec<u8>>();
    let utf8 = |text: &str| text.as_bytes().to_vec();
    let guarded = json!({"provider": "@openai-prod", "input_guardrails": [{"id": "g", "deny": true,
        "default.contains": {"words": ["größe"], "operator": "none"}}]});
    let conditional = json!({"strategy": {"mode": "conditional", "default": "other", "conditions": [
            {"query": {"$and": [{"metadata._user": "Jürgen"}, {"metadata.n": 5}]}, "then": "his"}]},
        "targets": [{"name": "his", "provider": "@openai-prod"}, {"name": "other", "provider": "@anthropic-prod"}]});
    for bytes in [&utf8 as &dyn Fn(&str) -> Vec<u8>, &latin] {
        let ask = |text: &str| world.client.chat(&chat("mock", text));
        let denied = ask("die größe ist").header("x-portkey-config", bytes(&guarded.to_string()));
        denied.send().await.expect(446).await;
        let metadata = json!({"_user": "Jürgen", "n": 5}).to_string();
        let his = ask("hi").header("x-portkey-config", conditional.to_string());
        let his = his.header("x-portkey-metadata", bytes(&metadata)).send().await;
        assert_eq!((his.status, his.header("x-portkey-provider")), (200, "openai"));
        let nobody = ask("hi").header("x-portkey-provider", bytes("@nöpe")).send().await.expect(400).await;
        assert!(openai_error(&nobody).contains("nöpe"));
    }
    let cached = json!({"provider": "@openai-prod", "cache": {"mode": "simple"}}).to_string();
    for (namespace, wanted) in [("Müller", "MISS"), ("Schröder", "MISS"), ("Müller", "HIT")] {
        let asked = world.client.chat(&chat("mock", "cached")).header("x-portkey-config", &cached);
        let mut answer = asked.header("x-portkey-cache-namespace", namespace).send().await;
        assert_eq!(answer.header("x-portkey-cache-status"), wanted, "{namespace}");
        answer.bytes().await;
    }
}

#[tokio::test]
async fn refusals_name_what_is_missing_or_unknown() {
    let world = world().await;
    let client = &world.client;
    let told = async |request: tidegate_tests::Request| request.send().await.expect(400).await;
    let nameless = json!({"messages": [{"role": "user", "content": "hi"}]});
    let body = told(client.chat(&nameless)).await;
    assert!(openai_error(&body).starts_with("model is missing;"), "{body}");
    let body = told(client.get("/v1/files")).await;
    assert!(openai_error(&body).starts_with("the header x-portkey-provider is missing;"), "{body}");
    let plain = chat("@openai-prod/mock", "hi");
    let body = told(client.chat(&plain).header("x-portkey-config", "nope")).await;
    assert_eq!(body["message"], "Invalid config passed. You need to pass a valid json");
    assert!(
        openai_error(&body).starts_with("Invalid config passed. You need to pass a valid json"),
        "{body}"
    );
    assert!(openai_error(&body).contains("there is none \"nope\""), "{body}");
    for (host, part) in [("http://10.0.0.1/v1", "security.trusted_hosts"), ("https://a.example/#b", "`#`")] {
        let body = told(client.chat(&plain).header("x-portkey-custom-host", host)).await;
        assert!(openai_error(&body).contains(part), "{host}: {body}");
    }
}
