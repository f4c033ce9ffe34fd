//! Why a request goes where it goes: said beforehand, and kept afterwards.

use serde_json::{Value, json};
use tidegate_tests::Mock;

use crate::support::{KEY, World, chat, openai_error, providers, world_with};

const OTHER: &str = "tg-another-key-of-the-tests-012345";

/// Paid requests go to a fallback of two, all others to a cheap target; the fallback is guarded.
fn saved() -> String {
    json!({"strategy": {"mode": "conditional", "default": "cheap",
            "conditions": [{"query": {"metadata.plan": "paid", "params.max_tokens": {"$gt": 10}}, "then": "best"}]},
        "targets": [
            {"name": "cheap", "override_params": {"model": "@google-prod/mock"}},
            {"name": "best", "strategy": {"mode": "fallback", "on_status_codes": [429]}, "retry": {"attempts": 1}, "weigth": 1,
             "targets": [
                {"override_params": {"model": "@openai-prod/mock", "temperature": 0}, "drop_params": ["user"],
                 "input_guardrails": [{"id": "no-x", "deny": true, "contains": {"words": ["xyzzy"], "operator": "none"}}]},
                {"override_params": {"model": "@anthropic-prod/mock"}}]}]})
    .to_string()
}

async fn explaining() -> World {
    let mock = Mock::start();
    let settings = providers(&mock)
        .toml(&format!("[[config]]\nid = \"support\"\njson = '''{}'''", saved()))
        .key(
            "tests",
            KEY,
            "config = \"support\"\nbudget = { usd = 1.00 }\nlimits = [ { requests = 10, per = \"hour\" } ]",
        )
        .key(
            "other",
            OTHER,
            "scopes = [\"completions.write\", \"explain.read\"]\nmodels = [\"@openai-prod/*\"]",
        );
    world_with(mock, settings).await
}

fn asked(more: Value) -> Value {
    let mut body = chat("any", "hello");
    body["max_tokens"] = 100.into();
    body["user"] = "somebody".into();
    let mut question = json!({"body": body, "metadata": {"plan": "paid"}});
    for (name, value) in more.as_object().expect("members") {
        question[name] = value.clone();
    }
    question
}

async fn told(world: &World, question: &Value) -> Value {
    world.gateway.admin().post("/v1/admin/explain", question).send().await.expect(200).await
}

#[tokio::test]
async fn a_config_may_stand_in_lines_and_any_letters() {
    let world = explaining().await;
    let config =
        "{\n\t\"provider\": \"@openai-prod\",\r\n\t\"override_params\": {\"user\": \"J\u{fc}rgen\"}\n}\n";
    let told = told(&world, &asked(json!({"key": "other", "config": config}))).await;
    assert!(told.to_string().contains("J\u{fc}rgen"), "{told}");
    let broken = asked(json!({"key": "other", "headers": {"x-portkey-config": "{\n}"}}));
    let refused = world.gateway.admin().post("/v1/admin/explain", &broken).send().await.expect(400).await;
    assert!(openai_error(&refused).contains("x-portkey-config"));
}

#[tokio::test]
async fn a_dry_run_says_what_the_request_then_does() {
    let world = explaining().await;
    let question = asked(json!({"key": "tests"}));
    let told = told(&world, &question).await;
    assert!(world.mock.find("hello").is_empty(), "somebody was asked");
    assert_eq!((&told["config"], &told["refused"]), (&json!("key support"), &Value::Null), "{told}");
    assert_eq!(told["notes"][0]["path"], "targets[1].weigth", "{told}");
    assert_eq!(told["asked_first"], "config.targets[1].targets[0]", "{told}");
    let condition = &told["plan"]["conditions"][0];
    assert_eq!((&condition["holds"], &condition["then"]), (&json!(true), &json!("config.targets[1]")));
    assert_eq!(condition["seen"][0]["value"], "paid", "{condition}");
    let targets = told["targets"].as_array().expect("targets");
    let turns: Vec<&Value> = targets.iter().map(|target| &target["turn"]).collect();
    assert_eq!(turns, [&Value::Null, &json!(1), &json!(2)], "{told}");
    let first = &targets[1];
    assert_eq!((&first["provider"], &first["model"]), (&json!("openai-prod"), &json!("mock")), "{first}");
    assert_eq!(first["url"], format!("{}/chat/completions", world.mock.url("/v1")), "{first}");
    let changed: Vec<String> = first["parameters"]
        .as_array()
        .expect("parameters")
        .iter()
        .map(|it| format!("{} {} {}", it["name"], it["by"], it["value"]))
        .collect();
    let wanted = [
        r#""user" "drop" null"#,
        r#""model" "override" "@openai-prod/mock""#,
        r#""temperature" "override" 0"#,
    ];
    assert_eq!(changed, wanted, "{first}");
    let guard = &first["guards"][0];
    assert_eq!(
        (&guard["id"], &guard["side"], &guard["ways"]),
        (&json!("no-x"), &json!("input"), &json!(["denies"]))
    );
    assert_eq!(guard["checks"][0]["id"], "default.contains", "{guard}");
    assert!(guard["checks"][0]["digest"].as_str().is_some_and(|digest| digest.len() > 20), "{guard}");
    assert_eq!(
        (&first["price"]["input"], &first["price"]["output"]),
        (&json!("3.00"), &json!("15.00")),
        "{first}"
    );
    assert_eq!(first["holds"][0]["budget"], "tests", "{first}");
    assert!(first["retry"].as_str().is_some_and(|retry| retry.starts_with("up to 1 after 429")), "{first}");
    assert!(!told.to_string().contains("sk-"), "a credential: {told}");
    // What was granted for it is given back.
    let state = world.gateway.state().await.to_string();
    assert!(!state.contains("\"in_flight\":1"), "{state}");
    let request = world.client.chat(&question["body"]).header("x-portkey-metadata", r#"{"plan":"paid"}"#);
    let answer = request.send().await;
    // This is the first: explaining took none.
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "9");
    assert_eq!(answer.header("x-portkey-last-used-option-index"), "config.targets[1].targets[0]");
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_can_not_be_asked_is_told_with_its_reason() {
    let world = explaining().await;
    let dear = json!({"strategy": {"mode": "fallback"}, "targets": [
        {"override_params": {"model": "@anthropic-prod/mock"}}, {"override_params": {"model": "@openai-prod/mock"}}]});
    let told_of = told(&world, &asked(json!({"key": "other", "config": dear}))).await;
    assert_eq!(told_of["asked_first"], "config.targets[1]", "{told_of}");
    let refused = &told_of["targets"][0]["refused"];
    assert_eq!(refused["status"], 412, "{told_of}");
    assert!(
        refused["message"].as_str().is_some_and(|it| it.contains("is not allowed for API key other")),
        "{refused}"
    );
    let why = &told_of["choices"][0]["why"];
    assert_eq!(why, "config.targets[0] came to 412, no success", "{told_of}");
    // Nobody is left.
    let only = json!({"override_params": {"model": "@anthropic-prod/mock"}});
    let told_of = told(&world, &asked(json!({"key": "other", "config": only}))).await;
    assert_eq!(
        (&told_of["refused"]["status"], &told_of["asked_first"]),
        (&json!(412), &Value::Null),
        "{told_of}"
    );
    for (config, at) in [
        (json!({"strategy": {"mode": "x"}}), "strategy.mode"),
        (json!({"input_guardrails": ["nope"]}), "input_guardrails[0]"),
    ] {
        let told_of = told(&world, &asked(json!({"key": "tests", "config": config}))).await;
        let refused = &told_of["refused"];
        assert_eq!(refused["status"], 400, "{told_of}");
        assert!(refused.to_string().contains(at), "{at}: {refused}");
    }
}

#[tokio::test]
async fn keys_explain_what_they_may() {
    let world = explaining().await;
    let question = asked(json!({}));
    let refused = world.client.post("/v1/admin/explain", &question).send().await.expect(403).await;
    openai_error(&refused);
    let other = world.gateway.with_key(OTHER);
    let own = other.post("/v1/admin/explain", &asked(json!({"config": {"provider": "@openai-prod"}})));
    assert_eq!(own.send().await.expect(200).await["key"], "other");
    other.post("/v1/admin/explain", &asked(json!({"key": "tests"}))).send().await.expect(403).await;
    for (question, part) in [
        (json!({"key": "nobody"}), "no API key"),
        (json!({"path": "/v1/x"}), "a path like"),
        (json!({"x": 1}), "unknown field"),
    ] {
        let answer =
            world.gateway.admin().post("/v1/admin/explain", &question).send().await.expect(400).await;
        let message = openai_error(&answer);
        assert!(message.contains(part), "{message}");
    }
    world.gateway.admin().request("GET", "/v1/admin/explain").send().await.expect(405).await;
}

#[tokio::test]
async fn a_command_explains_beside_a_running_gateway() {
    let world = explaining().await;
    let cli = |more: &[&str]| {
        let mut arguments = vec!["check", "--explain", "--key", "tests", "--metadata", r#"{"plan":"free"}"#];
        arguments.extend(more);
        world.gateway.cli(&arguments)
    };
    let told = cli(&[]);
    assert_eq!(
        (&told["asked_first"], &told["config"]),
        (&json!("config.targets[0]"), &json!("key support")),
        "{told}"
    );
    let file = world.gateway.settings_path().with_file_name("fallback.json");
    std::fs::write(&file, r#"{"provider": "@openai-prod"}"#).expect("a file");
    let told = cli(&[
        "--with",
        &file.display().to_string(),
        "--model",
        "mock",
        "--header",
        "x-portkey-request-timeout: 70",
    ]);
    assert_eq!((&told["asked_first"], &told["config"]), (&json!("config"), &json!("header")), "{told}");
    assert_eq!(told["targets"][0]["provider"], "openai-prod", "{told}");
    let url = format!("http://{}", world.gateway.addr());
    let running = cli(&["--running", "--url", &url]);
    assert_eq!(running["asked_first"], "config.targets[0]", "{running}");
    let output = world.gateway.run(&["check"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("note: config support: targets[1].weigth is not known"), "{text}");
    assert!(world.mock.find("Hello").is_empty(), "somebody was asked");
}

#[tokio::test]
async fn what_was_decided_is_kept_with_the_row() {
    let world = explaining().await;
    let ask = |text: &str, trace: &str| {
        let mut body = chat("any", text);
        body["max_tokens"] = 100.into();
        let request = world.client.chat(&body).header("x-portkey-trace-id", trace);
        request.header("x-portkey-metadata", r#"{"plan":"paid"}"#).send()
    };
    let answer = ask("[[status=429]] kept", "kept").await;
    assert_eq!(answer.status, 429);
    let row = world.gateway.log_of("kept").await;
    let decision = &row["decision"];
    assert_eq!(decision["config"], "key support", "{row}");
    let told: Vec<String> = decision["choices"]
        .as_array()
        .expect("choices")
        .iter()
        .map(|made| format!("{}: {}", made["how"], made["why"]))
        .collect();
    let wanted = [
        r#""conditional": "conditions[0] holds: metadata.plan is \"paid\" ($eq \"paid\"), params.max_tokens is 100 ($gt 10)""#,
        r#""fallback": "config.targets[1].targets[0] came to 429, which on_status_codes lists""#,
        r#""fallback": "config.targets[1].targets[1] came to 429, which on_status_codes lists""#,
    ];
    assert_eq!(told, wanted, "{row}");
    assert_eq!(
        (&decision["guards"][0]["id"], &decision["guards"][0]["verdict"]),
        (&json!("no-x"), &json!(true)),
        "{row}"
    );
    assert_eq!(row["tried"].as_array().map(Vec::len), Some(4), "{row}");
    // A denial is kept too, and nothing of what was said.
    assert_eq!(ask("xyzzy and a secret", "denied").await.status, 446);
    let row = world.gateway.log_of("denied").await;
    let guard = &row["decision"]["guards"][0];
    assert_eq!((&guard["denied"], &guard["failed"]), (&json!(true), &json!(["default.contains"])), "{row}");
    assert!(!row.to_string().contains("secret"), "{row}");
    let listed = world.gateway.admin().get("/v1/admin/logs/denied").send().await.expect(200).await;
    assert_eq!(listed["data"][0]["decision"], row["decision"], "{listed}");
    world.client.get("/v1/admin/logs/denied").send().await.expect(403).await;
    let shown = world.gateway.cli(&["logs", "show", "kept"]);
    assert_eq!(shown[0]["decision"]["config"], "key support", "{shown}");
}

#[tokio::test]
async fn a_plain_request_has_nothing_decided() {
    let mock = Mock::start();
    let settings = providers(&mock).key("tests", KEY, "");
    let world = world_with(mock, settings).await;
    let request =
        world.client.chat(&chat("@openai-prod/mock", "plain")).header("x-portkey-trace-id", "plain");
    request.send().await.expect(200).await;
    let row = world.gateway.log_of("plain").await;
    assert!(row.get("decision").is_none(), "{row}");
}
