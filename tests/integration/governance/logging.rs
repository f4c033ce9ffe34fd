//! `debug_log`, its header and `system_log_retention`: what the request log keeps, and for how long.

use serde_json::{Value, json};
use tidegate_tests::{Gateway, wait};

use super::orders::{done, meanwhile};
use crate::support::{World, chat, world};

/// Asks a vendor that refuses with a sentence, and returns the row.
async fn row(gateway: &Gateway, key: &str, trace: &str, debug: Option<&str>) -> Value {
    let body = chat("@openai-prod/mock", "hello [[status=418]]");
    let mut request = gateway.with_key(key).chat(&body).header("x-portkey-trace-id", trace);
    request = request.header("x-portkey-metadata", r#"{"team": "a"}"#);
    if let Some(debug) = debug {
        request = request.header("x-portkey-debug", debug);
    }
    request.send().await.expect(418).await;
    gateway.log_of(trace).await
}

async fn set(gateway: &Gateway, target: &str, settings: Value) {
    done(gateway, "PUT", target, json!({"settings": settings})).await;
}

const HOUSE: &str = "/v1/admin/organisation";
const HOME: &str = "/v1/admin/workspaces/ws-default";

#[tokio::test]
async fn metrics_only_keeps_figures_and_names_and_no_sentence() {
    let World { gateway, mock: _mock, .. } = world().await;
    let key = crate::support::KEY;
    let full = row(&gateway, key, "t1", None).await;
    assert!(full["error"].is_string(), "{full}");
    assert_eq!(row(&gateway, key, "t2", Some("false")).await["error"], Value::Null);
    set(&gateway, HOUSE, json!({"debug_log": 0})).await;
    let bare = row(&gateway, key, "t3", None).await;
    assert_eq!(
        (&bare["error"], &bare["status"], &bare["outcome"]),
        (&Value::Null, &full["status"], &full["outcome"])
    );
    assert_eq!((&bare["metadata"]["team"], &bare["model"]), (&json!("a"), &full["model"]), "{bare}");
    assert!(row(&gateway, key, "t4", Some("true")).await["error"].is_string());
    set(&gateway, HOUSE, json!({"enforce_debug_log_setting": 1})).await;
    assert_eq!(row(&gateway, key, "t5", Some("true")).await["error"], Value::Null);
    set(&gateway, HOME, json!({"debug_log": true})).await;
    assert!(
        row(&gateway, key, "t6", Some("false")).await["error"].is_string(),
        "the workspace, and no header"
    );
    // A request that no vendor saw.
    set(&gateway, HOME, json!({"debug_log": 0})).await;
    let asked = gateway.with_key(key).chat(&chat("@nobody/mock", "hello"));
    asked.header("x-portkey-trace-id", "t7").send().await.expect(400).await;
    let refused = gateway.log_of("t7").await;
    assert_eq!((&refused["error"], &refused["status"]), (&Value::Null, &json!(400)), "{refused}");
    set(&gateway, HOME, json!({"debug_log": null})).await;
    set(&gateway, HOUSE, json!({"debug_log": null, "enforce_debug_log_setting": null})).await;
    assert!(row(&gateway, key, "t8", None).await["error"].is_string());
}

#[tokio::test]
async fn the_organisation_keeps_rows_for_less_time_than_the_operator() {
    let World { mut gateway, mock: _mock, client, .. } = world().await;
    for trace in ["old", "new"] {
        let asked = client.chat(&chat("@openai-prod/mock", "hello")).header("x-portkey-trace-id", trace);
        asked.send().await.expect(200).await;
        gateway.log_of(trace).await;
    }
    set(&gateway, HOUSE, json!({"system_log_retention": 3})).await;
    gateway.kill();
    // Four days ago: the operator's thirty would keep it.
    meanwhile(
        &gateway,
        "UPDATE request_log SET started_at_ms = started_at_ms - 345600000 WHERE trace_id = 'old'",
    );
    gateway.restart().await;
    wait::until("the old row to go", || {
        gateway.logs().iter().all(|row| row["trace_id"] != "old").then_some(())
    })
    .await;
    assert!(gateway.logs().iter().any(|row| row["trace_id"] == "new"));
}
