//! Providers and virtual keys: limits, ends, both forms, and workspaces kept apart.

use serde_json::{Value, json};

use super::bench::{Bench, VENDOR_KEY};

#[tokio::test]
async fn a_providers_budget_blocks_with_portkeys_type_until_it_is_raised() {
    let bench = Bench::start("").await;
    bench.integration("one").await;
    let order = json!({"name": "Limited", "slug": "limited", "integration_id": "one",
        "usage_limits": {"type": "requests", "credit_limit": 1},
        "rate_limits": {"type": "requests", "unit": "rpm", "value": 100}});
    let made = bench.done("POST", "/providers", &order).await;
    assert_eq!((&made["slug"], &made["object"]), (&json!("limited"), &json!("provider")), "{made}");
    assert_eq!(bench.chat("@limited/mock").await.0, 200);
    let (status, answer) = bench.chat("@limited/mock").await;
    assert_eq!((status, &answer["error"]["type"]), (412, &json!("virtual_key_exhaust_error")), "{answer}");
    let one = bench.done("GET", "/providers/limited", &Value::Null).await;
    assert_eq!(one["status"], "exhausted", "{one}");
    assert_eq!(one["rate_limits"], json!([{"type": "requests", "unit": "rpm", "value": 100}]), "{one}");
    bench
        .done("PUT", "/providers/limited", &json!({"usage_limits": {"type": "requests", "credit_limit": 2}}))
        .await;
    assert_eq!(bench.chat("@limited/mock").await.0, 200);
    assert_eq!(bench.chat("@limited/mock").await.0, 412);
    bench.done("PUT", "/providers/limited", &json!({"reset_usage": true})).await;
    assert_eq!(bench.chat("@limited/mock").await.0, 200);
    bench.done("PUT", "/providers/limited", &json!({"usage_limits": null, "rate_limits": null})).await;
    let one = bench.done("GET", "/providers/limited", &Value::Null).await;
    assert_eq!(
        (&one["usage_limits"], &one["rate_limits"], &one["status"]),
        (&Value::Null, &Value::Null, &json!("active"))
    );
}

#[tokio::test]
async fn a_provider_whose_time_is_over_is_refused() {
    let bench = Bench::start("").await;
    bench.integration("one").await;
    bench.done("PUT", "/providers/one", &json!({"expires_at": "2020-01-01T00:00:00Z"})).await;
    let (status, answer) = bench.chat("@one/mock").await;
    assert_eq!((status, &answer["error"]["type"]), (401, &json!("virtual_key_expired_error")), "{answer}");
    assert_eq!(bench.done("GET", "/providers/one", &Value::Null).await["status"], "expired");
    bench.done("PUT", "/providers/one", &json!({"expires_at": null})).await;
    assert_eq!(bench.chat("@one/mock").await.0, 200);
}

#[tokio::test]
async fn a_virtual_key_is_a_credential_and_a_provider_in_one() {
    let bench = Bench::start("").await;
    let order = json!({"name": "Legacy", "provider": "openai", "key": VENDOR_KEY,
        "configurations": {"custom_host": bench.mock.url("/v1")}});
    let made = bench.done("POST", "/virtual-keys", &order).await;
    assert_eq!(
        (&made["slug"], &made["data"]["slug"], &made["success"]),
        (&json!("legacy"), &json!("legacy"), &json!(true))
    );
    assert_eq!(bench.chat("@legacy/mock").await.0, 200);
    let one = bench.done("GET", "/virtual-keys/legacy", &Value::Null).await;
    assert_eq!((&one["ai_provider_name"], &one["key"]), (&json!("openai"), &json!("")), "{one}");
    assert_eq!(one["masked_api_key"], "sk-ve*****789", "{one}");
    bench
        .done("PUT", "/virtual-keys/legacy", &json!({"key": "sk-another-key-0123456789", "note": "new"}))
        .await;
    assert_eq!(bench.chat("@legacy/mock").await.0, 200);
    let seen = bench.mock.requests().pop().expect("a request");
    assert_eq!(seen.header("authorization"), Some("Bearer sk-another-key-0123456789"));
    bench.nowhere("sk-another-key-0123456789");
    bench.done("DELETE", "/virtual-keys/legacy", &Value::Null).await;
    assert_eq!(bench.done("GET", "/integrations", &Value::Null).await["total"], 0);
    assert_eq!(bench.chat("@legacy/mock").await.0, 400);
}

#[tokio::test]
async fn slugs_are_unique_and_workspaces_must_be_there() {
    let bench = Bench::start("").await;
    bench.integration("one").await;
    let (status, answer) =
        bench.ask("POST", "/providers", &json!({"name": "x", "slug": "one", "integration_id": "one"})).await;
    assert_eq!((status, &answer["errorCode"]), (409, &json!("AB07")), "{answer}");
    for (path, order) in [
        ("/providers", json!({"name": "x", "integration_id": "nothing"})),
        ("/providers", json!({"name": "x", "integration_id": "one", "workspace_id": "ws-nowhere"})),
        (
            "/virtual-keys",
            json!({"name": "x", "provider": "openai", "key": "k", "workspace_id": "ws-nowhere"}),
        ),
    ] {
        let (status, answer) = bench.ask("POST", path, &order).await;
        assert_eq!(status, 404, "{path} {order}: {answer}");
    }
}
