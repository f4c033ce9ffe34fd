//! Whatever is dropped gives back what it held, exactly once, whenever it is dropped.

use std::time::Duration;

use serde_json::json;
use tidegate_tests::wait;

use super::{attempts, costs, paying, target, with};
use crate::support::chat_stream;

/// Clients leave at any time of a race, of a stream, and of its continuation.
#[tokio::test]
async fn leaving_at_any_time_gives_every_hold_back_once() {
    let world = paying().await;
    let config = json!({
        "strategy": { "mode": "fallback", "hedge": { "after_ms": 40 }, "continue_stream": true },
        "targets": [
            target("openai-prod", "first_delay_ms=80&chunks=20&delay_ms=5&close_after=12"),
            target("openai-prod", "first_delay_ms=60&chunks=20&delay_ms=5&close_after=9"),
            target("openai-prod", "head_delay_ms=30&chunks=20&delay_ms=5"),
        ],
    });
    let requests = (0..60_u64).map(|number| {
        let (world, config) = (&world, &config);
        async move {
            let trace = format!("leaves-{number}");
            let request = with(world.client.chat(&chat_stream("any", &trace)), config, &trace);
            let reading = async {
                if let Ok(mut answer) = request.try_send().await {
                    while answer.next_bytes().await.is_some() {}
                }
            };
            // The last ones stay to the end.
            let stays = Duration::from_millis(if number < 50 { 8 * number } else { 60_000 });
            let _ = tokio::time::timeout(stays, reading).await;
        }
    });
    futures_util::future::join_all(requests).await;
    let (budget, rows) = wait::until_async("every hold to come back, and every row", || async {
        let state = world.gateway.state().await.to_string();
        let budget = world.gateway.budget("paying").await;
        let cost = costs(&world);
        let rows = world.gateway.logs();
        let settled = budget["held"] == 0 && !state.contains("\"in_flight\":1");
        (settled && budget["spent"].as_i64() == Some(cost)).then_some((budget, rows))
    })
    .await;
    assert!(budget["spent"].as_i64() > Some(0), "{budget}");
    for row in &rows {
        let asked = attempts(row, "asked").iter().filter(|asked| **asked == true).count().max(1);
        assert!(row["attempts"].as_u64() <= Some(asked as u64), "{row}");
        let costs: i64 = attempts(row, "cost_nano_usd").iter().filter_map(|cost| cost.as_i64()).sum();
        assert!(row["tried"].as_array().is_none_or(Vec::is_empty) || row["cost_nano_usd"] == costs, "{row}");
    }
    assert!(rows.iter().any(|row| row["outcome"] == "ok"), "some stayed to the end");
    assert!(rows.iter().any(|row| row["outcome"] == "client_gone"), "some left");
}
