//! Workspaces kept apart: nobody sees, uses or changes what is another's.

use serde_json::{Value, json};
use tidegate_tests::Client;

use super::bench::{Bench, VENDOR_KEY};
use super::orders::{service_key, workspace};
use crate::support::chat;

const SCOPES: [&str; 18] = [
    "completions.write",
    "workspace_integrations.list",
    "workspace_integrations.read",
    "workspace_integrations.create",
    "workspace_integrations.update",
    "workspace_integrations.delete",
    "providers.list",
    "providers.read",
    "providers.create",
    "providers.update",
    "providers.delete",
    "virtual_keys.read",
    "configs.read",
    "configs.create",
    "configs.delete",
    "guardrails.read",
    "guardrails.create",
    "guardrails.delete",
];

async fn uses(client: &Client, model: &str) -> (u16, Value) {
    Bench::ask_as(client, "POST", "/chat/completions", &chat(model, "hello")).await
}

#[tokio::test]
async fn a_workspaces_own_is_not_there_for_others() {
    let bench = Bench::start("").await;
    let (a, b) = (workspace(&bench.gateway, "A").await, workspace(&bench.gateway, "B").await);
    let of_a = bench.gateway.with_key(&service_key(&bench.gateway, &a, &SCOPES, Value::Null).await.1);
    let of_b = bench.gateway.with_key(&service_key(&bench.gateway, &b, &SCOPES, Value::Null).await.1);
    let order = json!({"name": "Own", "slug": "own", "ai_provider_id": "openai", "key": VENDOR_KEY,
        "configurations": {"custom_host": bench.mock.url("/v1")}});
    let (status, made) = Bench::ask_as(&of_a, "POST", "/integrations", &order).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(uses(&of_a, "@own/mock").await.0, 200);
    assert_eq!(uses(&of_b, "@own/mock").await.0, 400);
    let (_, provider) = Bench::ask_as(&of_a, "GET", "/providers/own", &Value::Null).await;
    let config = json!({"name": "own", "config": {"provider": "@own"}});
    let (status, config) = Bench::ask_as(&of_a, "POST", "/configs", &config).await;
    assert_eq!(status, 200, "{config}");
    let guardrail = json!({"name": "own", "checks": [{"id": "default.notNull"}], "actions": {}});
    let (status, guardrail) = Bench::ask_as(&of_a, "POST", "/guardrails", &guardrail).await;
    assert_eq!(status, 200, "{guardrail}");
    for (path, made) in [
        ("integrations", &made),
        ("providers", &provider),
        ("virtual-keys", &provider),
        ("configs", &config),
        ("guardrails", &guardrail),
    ] {
        for name in ["id", "slug"] {
            let path = format!("/{path}/{}", made[name].as_str().expect("a name"));
            let (status, own) = Bench::ask_as(&of_a, "GET", &path, &Value::Null).await;
            assert_eq!(status, 200, "{path}: {own}");
            let (status, other) = Bench::ask_as(&of_b, "GET", &path, &Value::Null).await;
            assert_eq!((status, &other["errorCode"]), (404, &json!("AB08")), "{path}: {other}");
        }
    }
    for (method, path, order) in [
        ("DELETE", "/integrations/own", Value::Null),
        ("PUT", "/integrations/own/models", json!({"models": []})),
        ("PUT", "/providers/own", json!({"note": "mine now"})),
        ("DELETE", "/providers/own", Value::Null),
        ("GET", "/providers?workspace_id=a", Value::Null),
        ("POST", "/providers", json!({"name": "x", "integration_id": made["id"]})),
        ("POST", "/providers", json!({"name": "x", "integration_id": made["id"], "workspace_id": a})),
    ] {
        let (status, answer) = Bench::ask_as(&of_b, method, path, &order).await;
        assert_eq!(status, 404, "{method} {path}: {answer}");
    }
    for path in ["/integrations", "/providers"] {
        let (_, listed) = Bench::ask_as(&of_b, "GET", path, &Value::Null).await;
        assert_eq!(listed["total"], 0, "{listed}");
    }
    assert_eq!(uses(&of_a, "@own/mock").await.0, 200);
}

#[tokio::test]
async fn an_integration_of_the_organisation_is_there_where_it_is_given() {
    let bench = Bench::start("").await;
    let (a, b) = (workspace(&bench.gateway, "A").await, workspace(&bench.gateway, "B").await);
    let of_a = bench.gateway.with_key(&service_key(&bench.gateway, &a, &SCOPES, Value::Null).await.1);
    let of_b = bench.gateway.with_key(&service_key(&bench.gateway, &b, &SCOPES, Value::Null).await.1);
    bench.integration("shared").await;
    let given = json!({"workspaces": [{"id": a, "enabled": true, "create_default_provider": true,
        "usage_limits": [{"type": "requests", "credit_limit": 1}]}]});
    bench.done("PUT", "/integrations/shared/workspaces", &given).await;
    let (status, seen) = Bench::ask_as(&of_a, "GET", "/integrations/shared", &Value::Null).await;
    assert_eq!((status, &seen["configurations"]), (200, &Value::Null), "{seen}");
    assert_eq!(Bench::ask_as(&of_b, "GET", "/integrations/shared", &Value::Null).await.0, 404);
    let (status, refused) =
        Bench::ask_as(&of_a, "PUT", "/integrations/shared", &json!({"name": "mine"})).await;
    assert_eq!((status, &refused["errorCode"]), (403, &json!("AB03")), "{refused}");
    assert_eq!(uses(&of_a, "@shared/mock").await.0, 200);
    let (status, answer) = uses(&of_a, "@shared/mock").await;
    assert_eq!((status, &answer["error"]["type"]), (412, &json!("integration_exhaust_error")), "{answer}");
    // Each workspace has its own count.
    let order = json!({"name": "x", "slug": "x", "integration_id": "shared", "workspace_id": b});
    assert_eq!(Bench::ask_as(&of_b, "POST", "/providers", &order).await.0, 404);
    bench.done("POST", "/providers", &order).await;
    assert_eq!(uses(&of_b, "@x/mock").await.0, 200);
    assert_eq!(uses(&of_a, "@x/mock").await.0, 400);
}

#[tokio::test]
async fn guardrails_of_a_workspace_judge_its_requests_only_and_its_default_config_stays() {
    let bench = Bench::start("").await;
    bench.integration("shared").await;
    let a = workspace(&bench.gateway, "A").await;
    let of_a = bench.gateway.with_key(&service_key(&bench.gateway, &a, &SCOPES, Value::Null).await.1);
    bench
        .done(
            "POST",
            "/providers",
            &json!({"name": "s", "slug": "shared", "integration_id": "shared", "workspace_id": a}),
        )
        .await;
    let order = json!({"name": "g", "workspace_id": a, "actions": {"deny": true},
        "checks": [{"id": "default.contains", "parameters": {"words": ["hello"], "operator": "none"}}]});
    let made = bench.done("POST", "/guardrails", &order).await;
    let config = json!({"name": "c", "workspace_id": a, "config": {"provider": "@shared"}});
    let config = bench.done("POST", "/configs", &config).await;
    let defaults =
        json!({"defaults": {"input_guardrails": [made["id"]], "user_api_key_config": config["slug"]}});
    bench.done("PUT", &format!("/admin/workspaces/{a}"), &defaults).await;
    assert_eq!(uses(&of_a, "@shared/mock").await.0, 446);
    assert_eq!(bench.chat("@shared/mock").await.0, 200);
    for path in [
        format!("/guardrails/{}", made["slug"].as_str().expect("a slug")),
        format!("/configs/{}", config["slug"].as_str().expect("a slug")),
    ] {
        let (status, answer) = bench.ask("DELETE", &path, &Value::Null).await;
        assert_eq!((status, &answer["errorCode"]), (409, &json!("AB07")), "{path}: {answer}");
    }
}
