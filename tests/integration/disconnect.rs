//! A client that leaves stops the upstream, and pays for what it got.

use std::time::{Duration, Instant};

use tidegate_tests::{Client, Mock, sse, wait};

use crate::support::{INPUT_NANO, OUTPUT_NANO, World, chat, chat_stream, message, world};

/// The promise is 100 ms.
const PROMPT: Duration = Duration::from_millis(100);

async fn closed_after(mock: &Mock, text: &str, left: Instant) -> Duration {
    let record = mock.request_with(text);
    let closed = wait::until("upstream to see the disconnect", || record.client_closed_at()).await;
    closed.saturating_duration_since(left)
}

async fn read_two_pieces_and_leave(client: &Client, model: &str, text: &str, anthropic: bool) -> Instant {
    let mut answer = match anthropic {
        false => client.chat(&chat_stream(model, text)).send().await,
        true => client.message(&message(model, text, true)).send().await,
    };
    let mut read = String::new();
    while !read.ends_with("two") {
        let event = [answer.next_event().await.expect("more of the stream")];
        read += &sse::chat_text(&event);
        read += &sse::message_text(&event);
    }
    answer.hang_up()
}

#[tokio::test]
async fn hanging_up_stops_an_upstream_that_is_talking() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        let text = format!("[[chunks=5000&delay_ms=20]] {provider} talks");
        let model = format!("@{provider}/mock");
        let left = read_two_pieces_and_leave(client, &model, &text, false).await;
        let took = closed_after(mock, &format!("{provider} talks"), left).await;
        assert!(took < PROMPT, "{provider}: upstream saw it after {took:?}");
    }
}

#[tokio::test]
async fn hanging_up_stops_an_upstream_that_is_silent() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    for provider in ["openai-prod", "anthropic-prod", "google-prod"] {
        for anthropic in [false, true] {
            let mark = format!("{provider} silent {anthropic}");
            let text = format!("[[chunks=9&stall_after=2]] {mark}");
            let model = format!("@{provider}/mock");
            let left = read_two_pieces_and_leave(client, &model, &text, anthropic).await;
            let took = closed_after(mock, &mark, left).await;
            assert!(took < PROMPT, "{mark}: upstream saw it after {took:?}");
        }
    }
}

#[tokio::test]
async fn hanging_up_before_the_first_token_stops_upstream() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    for (what, directive) in [("head", "head_delay_ms=60000"), ("first", "first_delay_ms=60000")] {
        let mark = format!("before the {what}");
        let request = client.chat(&chat_stream("@openai-prod/mock", &format!("[[{directive}]] {mark}")));
        let asking = tokio::spawn(request.try_send());
        wait::until("upstream to be asked", || mock.find(&mark).pop()).await;
        let left = Instant::now();
        asking.abort();
        // Also drops an answer whose head has come already.
        drop(asking);
        let took = closed_after(mock, &mark, left).await;
        assert!(took < PROMPT, "{mark}: upstream saw it after {took:?}");
    }
}

#[tokio::test]
async fn hanging_up_on_a_whole_answer_stops_upstream() {
    let world = world().await;
    let World { mock, client, .. } = &world;
    let request = client.chat(&chat("@openai-prod/mock", "[[head_delay_ms=60000]] whole"));
    let asking = tokio::spawn(request.try_send());
    wait::until("upstream to be asked", || mock.find("whole").pop()).await;
    let left = Instant::now();
    asking.abort();
    drop(asking);
    let took = closed_after(mock, "whole", left).await;
    assert!(took < PROMPT, "upstream saw it after {took:?}");
}

#[tokio::test]
async fn client_disconnect_settles_partial_usage() {
    let mock = Mock::start();
    let settings =
        crate::support::providers(&mock).key("paying", crate::support::KEY, "budget = { usd = 1.00 }");
    let World { mock, gateway, client } = crate::support::world_with(mock, settings).await;
    let text = "[[chunks=5000&delay_ms=5]] partial";
    let request =
        client.chat(&chat_stream("@openai-prod/mock", text)).header("x-portkey-trace-id", "left-early");
    let mut answer = request.send().await;
    let mut read = String::new();
    while read.split_whitespace().count() < 20 {
        read += &sse::chat_text(&[answer.next_event().await.expect("more of the stream")]);
    }
    let read = read.split_whitespace().count() as i64;
    answer.hang_up();
    let budget = gateway.settled_budget("paying").await;
    let record = mock.request_with("partial");
    wait::until("upstream to see it", || record.client_closed_at()).await;
    let spent = budget["spent"].as_i64().expect("an integer");
    let least = read * OUTPUT_NANO + INPUT_NANO;
    // Local counting may disagree with upstream by a factor, never by an order of magnitude.
    let most = 3 * (record.chunks_sent() as i64 * OUTPUT_NANO + 40 * INPUT_NANO);
    assert!((least..=most).contains(&spent), "{read} words read, {spent} nano-dollars spent, {record:#?}");
    let row = gateway.log_of("left-early").await;
    assert!(row["estimated"] == true || row["usage"]["estimated"] == true, "usage was not known: {row}");
}
