//! New secrets of keys: by order and by policy. Two secrets are one key.

use serde_json::{Value, json};
use tidegate_tests::wait;

use super::orders::{asks, done, meanwhile, refused, service_key, text};
use crate::support::{World, world};

const INFER: &[&str] = &["completions.write"];

#[tokio::test]
async fn two_secrets_share_limits_and_budget_until_the_old_one_ends() {
    let World { mut gateway, mock: _mock, .. } = world().await;
    let more = json!({
        "rate_limits": [{"type": "requests", "unit": "rpd", "value": 5}],
        "usage_limits": {"type": "tokens", "credit_limit": 100_000},
    });
    let (id, old) = service_key(&gateway, "ws-default", INFER, more).await;
    assert_eq!(asks(&gateway, &old).await, 200);
    let at = format!("/v1/api-keys/{id}/rotate");
    let short = refused(&gateway.admin(), "POST", &at, json!({"key_transition_period_ms": 1_799_999})).await;
    assert_eq!((short.0, short.1.as_str()), (400, "AB01"));
    let rotated = done(&gateway, "POST", &at, json!({"key_transition_period_ms": 1_800_000})).await;
    let new = text(&rotated, "key");
    assert!(new != old && rotated["key_transition_expires_at"].is_string(), "{rotated}");
    assert_eq!((asks(&gateway, &new).await, asks(&gateway, &old).await), (200, 200));
    let target = format!("/v1/api-keys/{id}");
    let shown = done(&gateway, "GET", &target, Value::Null).await;
    let each = shown["current_usage"].as_i64().expect("tokens") / 3;
    assert!(each > 0, "{shown}");
    // A change between leaves both secrets alone.

    done(&gateway, "PUT", &target, json!({"description": "in between"})).await;
    assert_eq!((asks(&gateway, &old).await, asks(&gateway, &new).await), (200, 200));
    assert_eq!(done(&gateway, "GET", &target, Value::Null).await["current_usage"], each * 5);
    assert_eq!((asks(&gateway, &old).await, asks(&gateway, &new).await), (429, 429), "five a day, for both");
    let third = refused(&gateway.admin(), "POST", &at, json!({})).await;
    assert_eq!((third.0, third.1.as_str()), (409, "AB07"));
    gateway.kill();
    meanwhile(
        &gateway,
        "UPDATE api_key SET record = json_set(record, '$.extra.old_secret.until', 1)
        WHERE json_extract(record, '$.extra.old_secret') IS NOT NULL",
    );
    gateway.restart().await;
    assert_eq!((asks(&gateway, &old).await, asks(&gateway, &new).await), (401, 200));
    let again = done(&gateway, "POST", &at, json!({})).await;
    assert_eq!((asks(&gateway, &text(&again, "key")).await, asks(&gateway, &new).await), (200, 200));
    done(&gateway, "DELETE", &target, Value::Null).await;
    assert_eq!((asks(&gateway, &text(&again, "key")).await, asks(&gateway, &new).await), (401, 401));
}

#[tokio::test]
async fn a_policy_that_is_due_makes_a_secret_that_is_fetched_once() {
    let World { gateway, mock: _mock, .. } = world().await;
    let more =
        json!({"rotation_policy": {"rotation_period_days": 30, "next_rotation_at": "2026-01-01T00:00:00Z"}});
    let (id, old) = service_key(&gateway, "ws-default", INFER, more).await;
    let at = format!("/v1/api-keys/{id}");
    let shown = wait::until_async("the policy to be followed", || async {
        let shown = done(&gateway, "GET", &at, Value::Null).await;
        (shown["has_new_secret"] == true).then_some(shown)
    })
    .await;
    let next = shown["rotation_policy"]["next_rotation_at"].as_str().unwrap_or_default();
    assert!(next > "2026-02", "the next one is to come: {shown}");
    let fetched = done(&gateway, "GET", &format!("{at}/secret"), Value::Null).await;
    let new = text(&fetched, "key");
    assert_ne!(new, old);
    assert_eq!((asks(&gateway, &new).await, asks(&gateway, &old).await), (200, 200));
    assert_eq!(refused(&gateway.admin(), "GET", &format!("{at}/secret"), Value::Null).await.0, 404);
    let audit =
        done(&gateway, "GET", &format!("/v1/audit-logs?resource_id={id}&action=rotate"), Value::Null).await;
    assert_eq!(audit["records"][0]["after"]["rotation_mode"], "auto", "{audit}");
    assert!(!audit.to_string().contains(&new), "{audit}");
}
