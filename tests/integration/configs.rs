//! Saved configs: made, used, changed under running requests, rolled back, refused, kept through a restart.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_tests::{Client, Gateway, sse};

use crate::support::{KEY, World, chat, chat_stream, providers, world, world_with};

/// A config with one target.
fn to(provider: &str) -> Value {
    json!({"provider": format!("@{provider}"), "override_params": {"model": "mock"}})
}

async fn ask(gateway: &Gateway, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let request = gateway.admin().request(method, target).header("content-type", "application/json");
    let mut answer = request.body(body.to_string()).send().await;
    let body = answer.json().await;
    (answer.status, body)
}

async fn save(gateway: &Gateway, name: &str, config: &Value) -> String {
    let (status, saved) = ask(gateway, "POST", "/v1/configs", &json!({"name": name, "config": config})).await;
    assert_eq!(status, 200, "{saved}");
    saved["slug"].as_str().unwrap_or_else(|| panic!("no slug in {saved}")).to_owned()
}

/// Asks with a config and returns the status, who answered, and the body.
async fn asked(client: &Client, config: &str) -> (u16, String, Value) {
    let mut answer = client.chat(&chat("mock", "hello")).header("x-portkey-config", config).send().await;
    let body = answer.json().await;
    (answer.status, answer.header("x-portkey-provider").to_owned(), body)
}

async fn answers(client: &Client, config: &str, provider: &str) {
    let (status, by, body) = asked(client, config).await;
    assert_eq!((status, by.as_str()), (200, provider), "{body}");
}

/// Checks that an id is refused in Portkey's words.
async fn is_unknown(client: &Client, config: &str) {
    let (status, _, body) = asked(client, config).await;
    assert_eq!(status, 400, "{body}");
    assert_eq!(body["status"], "failure", "{body}");
    assert_eq!(body["message"], format!("Following keys are not valid: {config}"), "{body}");
}

#[tokio::test]
async fn a_saved_config_is_used_by_its_slug_or_id_at_once_and_until_it_goes() {
    let World { gateway, client, mock: _mock } = world().await;
    let order = json!({"name": "Support Bot", "config": to("openai-prod"), "isDefault": 1, "workspace_id": "ws-default"});
    let (status, saved) = ask(&gateway, "POST", "/v1/configs", &order).await;
    assert_eq!(status, 200, "{saved}");
    let slug = saved["slug"].as_str().expect("a slug");
    assert!(slug.starts_with("pc-suppor-") && slug.len() == 16, "{saved}");
    assert_eq!(saved["success"], true, "{saved}");
    assert_eq!(saved["data"]["version_id"], saved["version_id"], "{saved}");
    answers(&client, slug, "openai").await;
    answers(&client, saved["id"].as_str().expect("an id"), "openai").await;
    let one = gateway.admin().get(&format!("/v1/configs/{slug}")).send().await.expect(200).await;
    let text = one["config"].as_str().unwrap_or_else(|| panic!("no text in {one}"));
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), to("openai-prod"));
    assert_eq!((&one["format"], &one["type"]), (&json!("json"), &json!("ORG_CONFIG")), "{one}");
    assert_eq!(one["is_default"], 1, "{one}");
    assert!(one["workspace_id"].is_string() && one["organisation_id"].is_string(), "{one}");
    assert!(one["created_at"].as_str().is_some_and(|at| at.ends_with('Z') && at.len() == 24), "{one}");
    let listed = gateway.admin().get("/v1/configs?workspace_id=ws-default").send().await.expect(200).await;
    assert_eq!((&listed["object"], &listed["total"]), (&json!("list"), &json!(1)), "{listed}");
    assert_eq!((&listed["data"][0]["slug"], &listed["data"][0]["object"]), (&json!(slug), &json!("config")));
    let (status, elsewhere) = ask(&gateway, "GET", "/v1/configs?workspace_id=ws-b", &Value::Null).await;
    assert_eq!(status, 404, "{elsewhere}");
    let (status, gone) = ask(&gateway, "DELETE", &format!("/v1/configs/{slug}"), &Value::Null).await;
    assert_eq!((status, gone), (200, json!({})));
    is_unknown(&client, slug).await;
    let (status, body) = ask(&gateway, "GET", &format!("/v1/configs/{slug}"), &Value::Null).await;
    assert_eq!(
        (status, &body["errorCode"], &body["error"]["code"]),
        (404, &json!("AB08"), &json!("AB08")),
        "{body}"
    );
}

#[tokio::test]
async fn a_running_stream_ends_under_the_version_it_began_with() {
    let World { gateway, client, mock: _mock } = world().await;
    let slug = save(&gateway, "live", &to("openai-prod")).await;
    let question = chat_stream("mock", "[[chunks=40&delay_ms=25]] stay with me");
    let mut running = client.chat(&question).header("x-portkey-config", &slug).send().await;
    assert_eq!((running.status, running.header("x-portkey-provider")), (200, "openai"));
    let first = running.next_event().await.expect("an event");
    let (status, saved) =
        ask(&gateway, "PUT", &format!("/v1/configs/{slug}"), &json!({"config": to("anthropic-prod")})).await;
    assert_eq!((status, &saved["version"]), (200, &json!(2)), "{saved}");
    answers(&client, &slug, "anthropic").await;
    let mut events = vec![first];
    events.extend(running.events().await);
    assert!(!running.was_cut() && sse::error(&events).is_none(), "{events:#?}");
    assert!(events.last().is_some_and(sse::Event::is_done), "{events:#?}");
    assert_eq!(sse::finish_reason(&events).as_deref(), Some("stop"), "{events:#?}");
}

#[tokio::test]
async fn every_change_is_a_version_and_any_of_them_can_be_put_in_force_again() {
    let World { mut gateway, client, mock: _mock } = world().await;
    let slug = save(&gateway, "versions", &to("openai-prod")).await;
    let path = |order: &str| format!("/v1/configs/{slug}{order}");
    for provider in ["anthropic-prod", "google-prod"] {
        ask(&gateway, "PUT", &path(""), &json!({"config": to(provider).to_string()})).await;
    }
    // Another name is no other version.
    let (_, renamed) = ask(&gateway, "PUT", &path(""), &json!({"name": "renamed"})).await;
    assert_eq!(renamed["version"], 3, "{renamed}");
    let listed = gateway.admin().get(&path("/versions")).send().await.expect(200).await;
    let rows = listed["data"].as_array().unwrap_or_else(|| panic!("no rows in {listed}"));
    let seen: Vec<_> = rows.iter().map(|row| (row["version"].as_u64(), row["is_active"] == true)).collect();
    assert_eq!(seen, [(Some(3), true), (Some(2), false), (Some(1), false)], "{listed}");
    assert!(rows.iter().all(|row| row["name"] == "renamed" && row["config"].is_string()), "{listed}");
    answers(&client, &slug, "google").await;
    // Back to the version that is named, not to the one before.
    let (_, named) = ask(&gateway, "POST", &path("/rollback"), &json!({"version": 1})).await;
    assert_eq!(named["version"], 1, "{named}");
    for (order, status) in [(json!({"version": 9}), 404), (json!({"version": true}), 400)] {
        let (found, told) = ask(&gateway, "POST", &path("/rollback"), &order).await;
        assert_eq!(found, status, "{order}: {told}");
    }
    ask(&gateway, "POST", &path("/activate"), &json!({"version": 3})).await;
    let (_, back) = ask(&gateway, "POST", &path("/rollback"), &Value::Null).await;
    assert_eq!(back["version"], 2, "{back}");
    answers(&client, &slug, "anthropic").await;
    let first = rows[2]["version_id"].clone();
    let (_, first) = ask(&gateway, "POST", &path("/activate"), &json!({"version_id": first})).await;
    assert_eq!(first["version"], 1, "{first}");
    answers(&client, &slug, "openai").await;
    let (status, none) = ask(&gateway, "POST", &path("/rollback"), &Value::Null).await;
    assert_eq!((status, &none["errorCode"]), (409, &json!("AB07")), "{none}");
    let (status, none) = ask(&gateway, "POST", &path("/activate"), &json!({"version": 9})).await;
    assert_eq!((status, &none["errorCode"]), (404, &json!("AB08")), "{none}");
    // A restart keeps the version in force and all others; the next change goes on counting.
    gateway.restart().await;
    let client = gateway.with_key(KEY);
    answers(&client, &slug, "openai").await;
    let listed = gateway.admin().get(&path("/versions")).send().await.expect(200).await;
    assert_eq!((&listed["total"], &listed["data"][2]["is_active"]), (&json!(3), &json!(true)), "{listed}");
    let (_, next) = ask(&gateway, "PUT", &path(""), &json!({"config": to("google-prod")})).await;
    assert_eq!(next["version"], 4, "{next}");
    answers(&client, &slug, "google").await;
}

#[tokio::test]
async fn what_could_not_work_is_refused_when_it_is_saved() {
    let World { gateway, client, mock: _mock } = world().await;
    let kept = save(&gateway, "kept", &to("openai-prod")).await;
    let deep = (0..60)
        .fold(to("openai-prod"), |inner, _| json!({"strategy": {"mode": "fallback"}, "targets": [inner]}));
    let many = json!({"strategy": {"mode": "fallback"}, "targets": vec![to("openai-prod"); 1_001]});
    let fallback =
        |target: Value| json!({"strategy": {"mode": "fallback"}, "targets": [to("openai-prod"), target]});
    let cases = [
        (json!("{"), "config", "not JSON"),
        (json!([1]), "config", "a JSON object"),
        (json!({"strategy": {"mode": "x"}, "targets": [{}]}), "config.strategy.mode", "fallback"),
        (json!({"strategy": {"mode": "fallback"}, "targets": []}), "config.targets", "at least one target"),
        (
            json!({"strategy": {"mode": "conditional", "conditions": []}, "targets": [to("openai-prod")]}),
            "config.strategy.conditions",
            "no target could ever be chosen",
        ),
        (
            json!({"strategy": {"mode": "loadbalance"}, "targets": [{"provider": "@openai-prod", "weight": 0}]}),
            "config.targets",
            "weight",
        ),
        (deep, "config.targets", "nested too deeply"),
        (many, "config.targets[1000]", "at most 1000 targets"),
        (to("nope"), "config.provider", "Following keys are not valid: nope (providers: @anthropic-prod"),
        (fallback(to("gone")), "config.targets[1].provider", "Following keys are not valid: gone"),
        (fallback(json!({"virtual_key": "gone"})), "config.targets[1].virtual_key", "gone"),
        (
            fallback(json!({"override_params": {"model": "@gone/m"}})),
            "config.targets[1].override_params.model",
            "gone",
        ),
        (fallback(json!({"provider": "opnai"})), "config.targets[1].provider", "Invalid provider passed"),
        (
            fallback(json!({"provider": "cohere"})),
            "config.targets[1].provider",
            "no provider is named cohere",
        ),
        (
            json!({"provider": "openai", "api_key": "k", "custom_host": "http://169.254.169.254/v1"}),
            "config.custom_host",
            "Invalid custom host",
        ),
        (
            json!({"provider": "@openai-prod", "input_guardrails": ["pg-none"]}),
            "config.input_guardrails[0]",
            "Following guardrails are not valid: pg-none",
        ),
        (
            json!({"provider": "@openai-prod", "output_guardrails": [{"nobody.check": {}, "deny": true}]}),
            "config.output_guardrails[0]",
            "no plugin has the check nobody.check",
        ),
        (
            json!({"strategy": {"mode": "conditional", "default": "a",
                "conditions": [{"query": {"$plugin": {"id": "nobody.there", "params": {}}}, "then": "a"}]},
                "targets": [{"name": "a", "provider": "@openai-prod"}]}),
            "config.strategy.conditions[0].query.$plugin",
            "no plugin has the condition nobody.there",
        ),
        // Configs that refer to configs could loop.
        (fallback(json!({"config": kept})), "config.targets[1].config", "can't refer to another"),
    ];
    let mut wrong = Vec::new();
    for (config, path, part) in cases {
        let order = json!({"name": "bad", "config": config});
        for (method, target) in [("POST", "/v1/configs".to_owned()), ("PUT", format!("/v1/configs/{kept}"))] {
            let (status, body) = ask(&gateway, method, &target, &order).await;
            let param = body["error"]["param"].as_str().unwrap_or_default();
            let message = body["message"].as_str().unwrap_or_default();
            if status != 400
                || body["errorCode"] != "AB01"
                || !param.starts_with(path)
                || !message.contains(part)
            {
                let config: String = config.to_string().chars().take(120).collect();
                wrong.push(format!("{method} {config}: {status} {body}, not {path} with {part:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed = gateway.admin().get("/v1/configs").send().await.expect(200).await;
    assert_eq!((&listed["total"], &listed["data"][0]["version"]), (&json!(1), &json!(1)), "{listed}");
    answers(&client, &kept, "openai").await;
    // Whatever else is wrong with an order.
    for order in [json!({}), json!({"name": "", "config": {}}), json!({"config": {}, "isDefault": 7})] {
        let (status, body) = ask(&gateway, "POST", "/v1/configs", &order).await;
        assert_eq!((status, &body["errorCode"]), (400, &json!("AB01")), "{order}: {body}");
    }
    let mut refused = client.get("/v1/configs").send().await;
    let body = refused.json().await;
    assert_eq!((refused.status, &body["errorCode"]), (403, &json!("AB03")), "{body}");
    let mut refused = gateway.client().get("/v1/configs").send().await;
    let body = refused.json().await;
    assert_eq!((refused.status, &body["errorCode"]), (401, &json!("AB05")), "{body}");
}

#[tokio::test]
async fn bundled_plugins_are_known_when_a_config_is_saved() {
    let World { gateway, mock: _mock, .. } = world().await;
    let with = |condition: &str| {
        let query = json!({"$plugin": {"id": condition, "params": {"characters": 1000}}});
        json!({"strategy": {"mode": "conditional", "default": "a", "conditions": [{"query": query, "then": "a"}]},
            "targets": [{"name": "a", "provider": "@openai-prod"}]})
    };
    let order = json!({"name": "good", "config": with("prompt.longer_than")});
    // The plugin is compiled for it, which takes a debug build longer than a test usually waits.
    let saved = gateway.admin().post("/v1/configs", &order).try_send().await.expect("an answer");
    saved.expect(200).await;
    let order = json!({"name": "bad", "config": with("prompt.longest")});
    let (status, body) = ask(&gateway, "POST", "/v1/configs", &order).await;
    assert_eq!(status, 400, "{body}");
    let message = body["message"].as_str().unwrap_or_default();
    assert!(message.contains("plugin prompt has no condition longest; it has: "), "{body}");
    assert!(message.contains("longer_than"), "{body}");
}

#[tokio::test]
async fn a_key_begins_with_a_saved_config_and_may_be_bound_to_it() {
    let mock = tidegate_tests::Mock::start();
    let declared = "[[config]]\nid = \"pc-declared\"\njson = '{\"provider\": \"@google-prod\", \"override_params\": {\"model\": \"mock\"}}'";
    let bound = "config = \"pc-declared\"\nallow_config_override = false";
    let settings =
        providers(&mock).toml(declared).key("tests", KEY, "").key("bound", "tg-bound-key-0123456789", bound);
    let World { gateway, client, mock: _mock } = world_with(mock, settings).await;
    let slug = save(&gateway, "free", &to("anthropic-prod")).await;
    let made = |more: &[&str]| {
        let made = gateway.cli(&[&["key", "create", "a key", "--default-config", &slug][..], more].concat());
        gateway.with_key(made["key"].as_str().expect("a key"))
    };
    let plain = |client: Client| async move {
        let answer = client.chat(&chat("mock", "hello")).send().await;
        (answer.status, answer.header("x-portkey-provider").to_owned())
    };
    let (free, shut) = (made(&[]), made(&["--forbid-config-override"]));
    for (key, provider) in
        [(&free, "anthropic"), (&shut, "anthropic"), (&gateway.with_key("tg-bound-key-0123456789"), "google")]
    {
        assert_eq!(plain(key.clone()).await, (200, provider.to_owned()));
    }
    answers(&free, "pc-declared", "google").await;
    // Naming the config that it has anyway is no override.
    answers(&shut, &slug, "anthropic").await;
    let bound = gateway.with_key("tg-bound-key-0123456789");
    for (key, other) in
        [(&shut, "pc-declared".to_owned()), (&bound, slug.clone()), (&bound, to("openai-prod").to_string())]
    {
        let (status, _, body) = asked(key, &other).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(body["message"], "Cannot override default config set for this API key.", "{body}");
        assert_eq!(body["status"], "failure", "{body}");
    }
    // A change of the config acts on the keys that begin with it; it can't be deleted from under them.
    ask(&gateway, "PUT", &format!("/v1/configs/{slug}"), &json!({"config": to("openai-prod")})).await;
    assert_eq!(plain(free.clone()).await, (200, "openai".to_owned()));
    let (status, body) = ask(&gateway, "DELETE", &format!("/v1/configs/{slug}"), &Value::Null).await;
    assert_eq!((status, &body["errorCode"]), (409, &json!("AB07")), "{body}");
    assert!(body["message"].as_str().is_some_and(|message| message.contains("a key")), "{body}");
    answers(&client, &slug, "openai").await;
    // What the settings file declares is shown, and changed there.
    let listed = gateway.admin().get("/v1/configs").send().await.expect(200).await;
    assert_eq!((&listed["total"], &listed["data"][0]["origin"]), (&json!(2), &json!("settings")), "{listed}");
    for (method, order) in [("PUT", ""), ("DELETE", ""), ("POST", "/rollback")] {
        let order = format!("/v1/configs/pc-declared{order}");
        let (status, body) = ask(&gateway, method, &order, &json!({"config": {}})).await;
        assert_eq!((status, &body["errorCode"]), (409, &json!("AB07")), "{method}: {body}");
    }
    let unknown = gateway.run(&["key", "create", "b", "--default-config", "pc-none"]);
    assert!(!unknown.status.success(), "{unknown:?}");
}

#[tokio::test]
async fn the_command_line_does_all_of_it() {
    let World { gateway, client, mock: _mock } = world().await;
    let url = format!("http://{}", gateway.addr());
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = |provider: &str| {
        let path = folder.path().join(provider);
        std::fs::write(&path, to(provider).to_string()).expect("a file");
        path.display().to_string()
    };
    let run = |arguments: &[&str]| gateway.cli(&[&["config", "--url", &url][..], arguments].concat());
    let saved = run(&["set", "support", &file("openai-prod")]);
    let slug = saved["slug"].as_str().unwrap_or_else(|| panic!("no slug in {saved}"));
    answers(&client, slug, "openai").await;
    assert_eq!(run(&["set", "support", &file("google-prod")])["version"], 2);
    answers(&client, slug, "google").await;
    assert_eq!(run(&["rollback", "support"])["version"], 1);
    answers(&client, slug, "openai").await;
    assert_eq!(run(&["rollback", slug, "--to", "2"])["version"], 2);
    assert_eq!(run(&["versions", slug]).as_array().map(Vec::len), Some(2));
    assert_eq!(run(&["list"])[0]["slug"], slug);
    assert_eq!(run(&["show", slug])["version"], 2);
    let bad = gateway.run(&["config", "--url", &url, "set", slug, &file("nope")]);
    assert!(!bad.status.success(), "{bad:?}");
    let said = String::from_utf8_lossy(&bad.stderr);
    assert!(said.contains("config.provider: Following keys are not valid: nope"), "{said}");
    run(&["remove", slug]);
    is_unknown(&client, slug).await;
}

/// How long a request takes, in the middle of many.
async fn median(client: &Client, config: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..60 {
        let started = Instant::now();
        answers(client, config, "openai").await;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn a_thousand_saved_configs_cost_a_request_nothing() {
    let World { mut gateway, client, mock: _mock } = world().await;
    let first = save(&gateway, "first", &to("openai-prod")).await;
    let alone = median(&client, &first).await;
    for some in (0..1_000).collect::<Vec<_>>().chunks(20) {
        let saves = some.iter().map(|at| {
            let gateway = &gateway;
            async move { save(gateway, &format!("c{at}"), &to("openai-prod")).await }
        });
        futures_util::future::join_all(saves).await;
    }
    let listed = gateway.admin().get("/v1/configs?page_size=1000").send().await.expect(200).await;
    assert_eq!(listed["total"], 1_001);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1_000));
    let last = listed["data"][0]["slug"].as_str().expect("a slug").to_owned();
    let among = median(&client, &last).await;
    // Reading or looking through 1,000 configs would take tens of milliseconds in this build; noise does not.
    assert!(among < alone * 2 + Duration::from_millis(5), "{alone:?} alone, {among:?} among 1,000");
    gateway.restart().await;
    answers(&gateway.with_key(KEY), &last, "openai").await;
}
