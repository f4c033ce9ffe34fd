//! Integrations: used at once, limited by workspace, their secrets shown to nobody.

use serde_json::{Value, json};

use super::bench::{Bench, VENDOR_KEY};

#[tokio::test]
async fn an_integration_serves_at_once_and_shows_its_secrets_to_nobody() {
    let bench = Bench::start("").await;
    let order = json!({
        "name": "OpenAI Prod", "ai_provider_id": "openai", "key": VENDOR_KEY,
        "configurations": {"custom_host": bench.mock.url("/v1"), "custom_headers": {"X-Team": "header-secret-0123456789"}},
    });
    let made = bench.done("POST", "/integrations", &order).await;
    assert_eq!(made["slug"], "openai-prod", "{made}");
    let (status, answer) = bench.chat("@openai-prod/mock").await;
    assert_eq!(status, 200, "{answer}");
    let seen = bench.mock.requests().pop().expect("a request");
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {VENDOR_KEY}").as_str()));
    assert_eq!(seen.header("x-team"), Some("header-secret-0123456789"));
    let mut shown = vec![made];
    for path in [
        "/integrations",
        "/integrations/openai-prod",
        "/providers",
        "/virtual-keys",
        "/virtual-keys/openai-prod",
    ] {
        shown.push(bench.done("GET", path, &Value::Null).await);
    }
    let start = "2020-01-01T00:00:00Z";
    let audit = format!("/audit-logs?start_time={start}&end_time=2100-01-01T00:00:00Z");
    shown.push(bench.done("GET", &audit, &Value::Null).await);
    let text = Value::from(shown.clone()).to_string();
    assert!(text.contains("sk-ve*****789"), "the mask is shown: {text}");
    for secret in [VENDOR_KEY, "header-secret-0123456789"] {
        assert!(!text.contains(secret), "{text}");
        bench.nowhere(secret);
    }
    // What was read is sent back whole: masks change nothing.
    let one = bench.done("GET", "/integrations/openai-prod", &Value::Null).await;
    let again = json!({"name": "Renamed", "configurations": one["configurations"]});
    bench.done("PUT", "/integrations/openai-prod", &again).await;
    assert_eq!(bench.chat("@openai-prod/mock").await.0, 200);
    let seen = bench.mock.requests().pop().expect("a request");
    assert_eq!(seen.header("x-team"), Some("header-secret-0123456789"));
}

#[tokio::test]
async fn private_hosts_unknown_vendors_and_unknown_members_are_refused_by_name() {
    let bench = Bench::start("").await;
    for (vendor, configurations, param) in [
        ("openai", json!({"custom_host": "http://169.254.169.254/latest"}), "configurations.custom_host"),
        ("openai", json!({"custom_host": "file:///etc/passwd"}), "configurations.custom_host"),
        ("openai", json!({"custom_headers": {"host": "x"}}), "configurations.custom_headers.host"),
        ("openai", json!({"aws_region": "x"}), "configurations.aws_region"),
        ("azure-openai", json!({}), "configurations.azure_resource_name"),
        ("azure-openai", json!({"azure_auth_mode": "entra"}), "configurations.azure_auth_mode"),
        ("nobody", json!({}), "ai_provider_id"),
    ] {
        let order = json!({"name": "a", "ai_provider_id": vendor, "configurations": configurations});
        let (status, answer) = bench.ask("POST", "/integrations", &order).await;
        assert_eq!((status, &answer["error"]["param"]), (400, &json!(param)), "{answer}");
    }
    assert_eq!(bench.done("GET", "/integrations", &Value::Null).await["total"], 0);
}

#[tokio::test]
async fn a_model_that_is_not_allowed_is_refused_and_not_listed() {
    let bench = Bench::start("").await;
    bench.integration("one").await;
    let models = json!({"allow_all_models": false, "models": [
        {"slug": "mock", "enabled": true, "pricing_config": {"type": "static", "pay_as_you_go": {
            "request_token": {"price": 0.0003}, "response_token": {"price": 0.0015}}}},
        {"slug": "mine", "enabled": true, "is_custom": 1, "base_model_slug": "gpt-4o"}]});
    bench.done("PUT", "/integrations/one/models", &models).await;
    let (status, answer) = bench.chat("@one/other").await;
    assert_eq!((status, &answer["error"]["type"]), (412, &json!("model_not_allowed_error")), "{answer}");
    assert_eq!(bench.chat("@one/mock").await.0, 200);
    let client = bench.gateway.with_key(crate::support::KEY);
    let listed = client.get("/v1/models").send().await.expect(200).await;
    let ids: Vec<&str> =
        listed["data"].as_array().expect("models").iter().filter_map(|it| it["id"].as_str()).collect();
    assert_eq!(ids, ["@one/mine", "@one/mock"], "{listed}");
    assert_eq!((&listed["total_count"], &listed["data"][0]["canonical_slug"]), (&json!(2), &json!("gpt-4o")));
    bench.done("DELETE", "/integrations/one/models?slugs=mine", &Value::Null).await;
    let (status, answer) =
        bench.ask("DELETE", "/integrations/one/models", &json!({"models": ["mine"]})).await;
    assert_eq!(status, 404, "{answer}");
}

#[tokio::test]
async fn a_workspaces_budget_of_an_integration_blocks_until_it_is_reset_or_taken_away() {
    let bench = Bench::start("").await;
    bench.integration("one").await;
    let limited = json!({"workspaces": [{"id": "ws-default", "enabled": true,
        "usage_limits": [{"type": "requests", "credit_limit": 1}]}]});
    bench.done("PUT", "/integrations/one/workspaces", &limited).await;
    assert_eq!(bench.chat("@one/mock").await.0, 200);
    let (status, answer) = bench.chat("@one/mock").await;
    assert_eq!((status, &answer["error"]["type"]), (412, &json!("integration_exhaust_error")), "{answer}");
    let reset = json!({"workspaces": [{"id": "ws-default", "enabled": true, "reset_usage": true}]});
    bench.done("PUT", "/integrations/one/workspaces", &reset).await;
    assert_eq!(bench.chat("@one/mock").await.0, 200);
    let listed = bench.done("GET", "/integrations/one/workspaces", &Value::Null).await;
    assert_eq!(listed["workspaces"][0]["id"], "ws-default", "{listed}");
    assert_eq!(listed["workspaces"][0]["usage_limits"][0]["credit_limit"].to_string(), "1", "{listed}");
    let cleared = json!({"workspaces": [{"id": "ws-default", "enabled": true, "usage_limits": null}]});
    bench.done("PUT", "/integrations/one/workspaces", &cleared).await;
    assert_eq!(bench.chat("@one/mock").await.0, 200);
    let off = json!({"workspaces": [{"id": "ws-default", "enabled": false}]});
    bench.done("PUT", "/integrations/one/workspaces", &off).await;
    let (status, answer) = bench.chat("@one/mock").await;
    assert_eq!(status, 403, "{answer}");
}

#[tokio::test]
async fn an_integration_goes_with_its_own_provider_but_not_with_others() {
    let bench = Bench::start("").await;
    bench.integration("one").await;
    bench.done("POST", "/providers", &json!({"name": "Mine", "slug": "mine", "integration_id": "one"})).await;
    let (status, answer) = bench.ask("DELETE", "/integrations/one", &Value::Null).await;
    assert_eq!((status, &answer["errorCode"]), (409, &json!("AB07")), "{answer}");
    assert_eq!(bench.chat("@mine/mock").await.0, 200);
    bench.done("DELETE", "/providers/mine", &Value::Null).await;
    bench.done("DELETE", "/integrations/one", &Value::Null).await;
    let (status, answer) = bench.ask("GET", "/integrations/one", &Value::Null).await;
    assert_eq!((status, &answer["errorCode"]), (404, &json!("AB08")), "{answer}");
    assert_eq!(bench.chat("@one/mock").await.0, 400);
}
