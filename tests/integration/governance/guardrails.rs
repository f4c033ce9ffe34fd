//! Guardrails of the Admin API: named by configs, by a workspace, by the organisation.

use serde_json::{Value, json};

use super::bench::Bench;
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
