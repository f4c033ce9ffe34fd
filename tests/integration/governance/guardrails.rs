//! Guardrails of the Admin API: named by configs, by a workspace, by the organisation.

use serde_json::{Value, json};
use tidegate_tests::gateway;

use super::bench::Bench;
use crate::guardrails::warm::warm_default;
use crate::support::{KEY, chat};

fn no_hello() -> Value {
    json!({"name": "No hello", "checks": [{"id": "default.contains", "parameters": {"words": ["hello"], "operator": "none"}}],
        "actions": {"deny": true, "on_fail": {"feedback": {"value": -5}}}})
}

#[tokio::test]
async fn a_guardrail_is_named_by_configs_at_once_and_stays_while_it_is() {
    let bench = Bench::start("").await;
    bench.integration("one").await;
    let made = bench.done("POST", "/guardrails", &no_hello()).await;
    let slug = made["slug"].as_str().expect("a slug");
    assert!(slug.starts_with("pg-nohell-") && made["version_id"].is_string(), "{made}");
    let config =
        json!({"provider": "@one", "override_params": {"model": "mock"}, "input_guardrails": [slug]});
    let client = bench.gateway.with_key(KEY);
    let asked =
        |text: &'static str| client.chat(&chat("mock", text)).header("x-portkey-config", config.to_string());
    assert_eq!(asked("hello there").send().await.status, 446);
    assert_eq!(asked("good day").send().await.status, 200);
    let saved = bench.done("POST", "/configs", &json!({"name": "guarded", "config": config})).await;
    let (status, answer) = bench.ask("DELETE", &format!("/guardrails/{slug}"), &Value::Null).await;
    assert_eq!((status, &answer["errorCode"]), (409, &json!("AB07")), "{answer}");
    let allowing = json!({"actions": {"deny": false}});
    let changed = bench.done("PUT", &format!("/guardrails/{slug}"), &allowing).await;
    assert_ne!(changed["version_id"], made["version_id"], "{changed}");
    assert_eq!(asked("hello there").send().await.status, 246);
    let versions = bench.done("GET", &format!("/guardrails/{slug}/versions"), &Value::Null).await;
    assert_eq!(versions["total"], 2, "{versions}");
    bench
        .done("DELETE", &format!("/configs/{}", saved["slug"].as_str().expect("a slug")), &Value::Null)
        .await;
    bench.done("DELETE", &format!("/guardrails/{slug}"), &Value::Null).await;
}

#[tokio::test]
async fn checks_that_nobody_has_are_refused_with_what_exists() {
    let bench = Bench::start("").await;
    for (checks, param, part) in [
        (json!([{"id": "default.nothing"}]), "checks[0].id", "contains"),
        (json!([{"id": "nobody.contains"}]), "checks[0].id", "default"),
        (json!([]), "checks", "1 to"),
        (json!([{"parameters": {}}]), "checks[0].id", "is missing"),
    ] {
        let order = json!({"name": "x", "checks": checks, "actions": {}});
        let (status, answer) = bench.ask("POST", "/guardrails", &order).await;
        assert_eq!((status, &answer["error"]["param"]), (400, &json!(param)), "{answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.contains(part)), "{answer}");
    }
}

#[tokio::test]
async fn actions_and_parameters_that_would_guard_nothing_are_refused() {
    let bench = Bench::start("").await;
    warm_default(&bench.gateway).await;
    let rule = |rule: &str| json!([{"id": "default.regexMatch", "parameters": {"rule": rule}}]);
    for (checks, actions, param, part) in [
        (rule("a"), json!({"dny": 1}), "actions.dny", "deny"),
        (rule("a"), json!({"deny": 1}), "actions.deny", "true or false"),
        (rule("("), json!({"deny": true}), "checks[0].parameters", "default.regexMatch can't use"),
    ] {
        let order = json!({"name": "x", "checks": checks, "actions": actions});
        let (status, answer) = bench.ask("POST", "/guardrails", &order).await;
        assert_eq!((status, &answer["error"]["param"]), (400, &json!(param)), "{answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.contains(part)), "{answer}");
    }
    let config = json!({"input_guardrails": [{"default.regexMatch": {"rule": "("}, "deny": true}]});
    let (status, answer) = bench.ask("POST", "/configs", &json!({"name": "c", "config": config})).await;
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("config.input_guardrails[0]")), "{answer}");
}

#[tokio::test]
async fn secrets_of_guardrails_and_configs_are_in_no_audit_row_and_no_export() {
    let bench = Bench::start("").await;
    warm_default(&bench.gateway).await;
    let webhook = |secret: &str| {
        json!([{"id": "default.webhook", "parameters": {"webhookURL": format!("https://x.example/{secret}"),
            "headers": {"Authorization": secret}}}])
    };
    let order = json!({"name": "g", "checks": webhook("SEC-ONE"), "actions": {}});
    let made = bench.done("POST", "/guardrails", &order).await;
    let path = format!("/guardrails/{}", made["slug"].as_str().expect("a slug"));
    bench.done("PUT", &path, &json!({"checks": webhook("SEC-TWO")})).await;
    // Who may read it needs it as it is: Terraform compares.
    let known = bench.done("GET", &path, &Value::Null).await;
    assert_eq!(known["checks"], webhook("SEC-TWO"));
    let config = json!({"provider": "openai", "api_key": "SEC-THREE", "input_guardrails": [
        {"default.log": {"logURL": "https://x.example/SEC-FOUR"}}]});
    bench.done("POST", "/configs", &json!({"name": "c", "config": config})).await;
    let url = format!("http://{}", bench.gateway.addr());
    let export = ["export", "--url", &url, "--admin-key", tidegate_tests::gateway::ADMIN_KEY];
    let exported = bench.gateway.cli(&export).to_string();
    bench.done("DELETE", &path, &Value::Null).await;
    let rows = gateway::rows(bench.gateway.cli(&["audit", "export"]), &[]);
    assert_eq!(
        rows.iter().filter(|row| row["resource"] == "guardrail").count(),
        2 + 3,
        "with the one that warmed up"
    );
    for shown in [exported, Value::from(rows).to_string()] {
        assert!(shown.contains("https://x.example/*****") && !shown.contains("SEC-"), "{shown}");
    }
}

#[tokio::test]
async fn the_organisations_guardrails_judge_every_request_but_of_exempt_workspaces() {
    let bench = Bench::start("").await;
    bench.integration("one").await;
    let made = bench.done("POST", "/guardrails", &no_hello()).await;
    assert_eq!(bench.chat("@one/mock").await.0, 200);
    bench.done("PUT", "/admin/organisation/defaults", &json!({"input_guardrails": [made["slug"]]})).await;
    assert_eq!(bench.chat("@one/mock").await.0, 446);
    let (status, answer) = bench
        .ask("DELETE", &format!("/guardrails/{}", made["id"].as_str().expect("an id")), &Value::Null)
        .await;
    assert_eq!(status, 409, "{answer}");
    let exempt = |flag: bool| json!({"workspaces": [{"workspace_id": "ws-default", "excluded": flag}]});
    bench.done("PUT", "/workspace-exclusions/input-guardrails", &exempt(true)).await;
    let listed = bench.done("GET", "/workspace-exclusions/input-guardrails", &Value::Null).await;
    assert_eq!(listed["workspaces"][0]["excluded"], true, "{listed}");
    assert_eq!(bench.chat("@one/mock").await.0, 200);
    bench.done("PUT", "/workspace-exclusions/input-guardrails", &exempt(false)).await;
    assert_eq!(bench.chat("@one/mock").await.0, 446);
    // No way round them: a path that they can't read is closed.
    let client = bench.gateway.with_key(KEY);
    let files = client.get("/v1/files").header("x-portkey-provider", "@one").send().await;
    assert_eq!(files.status, 400);
}
