//! A reader that does not read costs no memory: upstream is held back instead.

use std::time::{Duration, Instant};

use tidegate_tests::wait;

use crate::support::{World, chat_stream, world};

const MEGABYTE: u64 = 1 << 20;

#[tokio::test]
async fn a_reader_that_stops_holds_upstream_back() {
    let World { mock, gateway, client } = world().await;
    // Warm: what a first request allocates for good is not the reader's fault.
    client.chat(&chat_stream("@openai-prod/mock", "warm")).send().await.events().await;
    for provider in ["openai-prod", "anthropic-prod"] {
        let before = gateway.resident_bytes();
        // 2,000 pieces of 100 KB: 200 MB.
        let text = format!("[[chunks=2000&pad=100000]] {provider} floods");
        let request =
            client.chat(&chat_stream(&format!("@{provider}/mock"), &text)).receive_buffer(16 * 1024);
        let mut answer = request.send().await;
        assert!(answer.next_bytes().await.is_some());
        let record = mock.request_with(&format!("{provider} floods"));
        let accepted = standstill(|| record.bytes_accepted()).await;
        assert!(
            accepted < 40 * MEGABYTE,
            "{provider}: upstream was not held back: {accepted} bytes were taken"
        );
        assert!(record.finished_at().is_none());
        let grown = gateway.resident_bytes().saturating_sub(before);
        assert!(grown < 20 * MEGABYTE, "{provider}: the gateway grew by {grown} bytes");
        answer.hang_up();
        wait::until("upstream to be let go", || record.client_closed_at()).await;
    }
}

/// Waits until a counter has not moved for half a second.
async fn standstill(read: impl Fn() -> u64) -> u64 {
    let mut last = (read(), Instant::now());
    wait::until("upstream to stand still", || {
        let now = read();
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(500)).then_some(now)
    })
    .await
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let world = world().await;
    let World { client, .. } = &world;
    let body = chat_stream("@openai-prod/mock", "[[chunks=300&pad=10000]]");
    let mut answer = client.chat(&body).receive_buffer(16 * 1024).send().await;
    let mut bytes = 0;
    while let Some(piece) = answer.next_bytes().await {
        bytes += piece.len();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!answer.was_cut());
    assert!(bytes > 3_000_000, "{bytes} bytes arrived");
}

#[tokio::test]
async fn a_reader_that_never_reads_again_is_cut_and_settled() {
    let mock = tidegate_tests::Mock::start();
    let settings = crate::support::providers(&mock).key("tests", crate::support::KEY, "");
    let settings = settings.toml("[timeouts]\nwrite_ms = 1500");
    let world = crate::support::world_with(mock, settings).await;
    let body = chat_stream("@openai-prod/mock", "[[chunks=2000&pad=100000]] stuck");
    let request = world.client.chat(&body).header("x-portkey-trace-id", "stuck").receive_buffer(16 * 1024);
    let mut answer = request.send().await;
    assert!(answer.next_bytes().await.is_some());
    let row = world.gateway.log_of("stuck").await;
    assert_eq!(row["outcome"], "client_gone", "{row}");
    assert!(world.mock.request_with("stuck").client_closed_at().is_some());
}
