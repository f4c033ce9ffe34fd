//! Equal requests in flight.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate_tests::wait;

use super::{config, gateway, status};
use crate::support::{World, chat, chat_stream};

fn together() -> String {
    config(json!({"mode": "simple", "single_flight": true}))
}

async fn send(world: &World, body: &Value) -> (u16, String, String) {
    let mut answer = world.client.chat(body).header("x-portkey-config", together()).send().await;
    let text = answer.text().await;
    (answer.status, status(&answer).to_owned(), text)
}

#[tokio::test]
async fn fifty_equal_requests_ask_the_vendor_once() {
    let world = gateway("").await;
    for body in [
        chat("@openai-prod/mock", "[[head_delay_ms=400]] whole crowd"),
        chat_stream("@openai-prod/mock", "[[chunks=10&delay_ms=40]] streaming crowd"),
        chat_stream("@anthropic-prod/mock", "[[chunks=10&delay_ms=40]] translated crowd"),
    ] {
        let answers = join_all((0..50).map(|_| send(&world, &body))).await;
        let found = |wanted: &str| answers.iter().filter(|(_, status, _)| status == wanted).count();
        assert_eq!((found("MISS"), found("HIT")), (1, 49), "{body}");
        assert!(answers.iter().all(|answer| answer.0 == 200 && answer.2 == answers[0].2), "{body}");
    }
    assert_eq!(world.mock.find("crowd").len(), 3);
}

#[tokio::test]
async fn without_the_option_each_asks_for_itself() {
    let world = gateway("").await;
    let body = chat("@openai-prod/mock", "[[head_delay_ms=300]] alone");
    let plain = config(json!({"mode": "simple"}));
    join_all((0..5).map(|_| world.client.chat(&body).header("x-portkey-config", &plain).send())).await;
    assert_eq!(world.mock.find("alone").len(), 5);
}

#[tokio::test]
async fn when_the_first_fails_the_others_ask_themselves() {
    let world = gateway("").await;
    let body = chat("@openai-prod/mock", "[[head_delay_ms=300&status=503]] failing");
    let answers = join_all((0..10).map(|_| send(&world, &body))).await;
    assert!(answers.iter().all(|(status, cache, _)| *status == 503 && cache == "MISS"), "{answers:?}");
    let asked = world.mock.find("failing").len();
    assert!((2..=10).contains(&asked), "{asked}");
}

#[tokio::test]
async fn when_the_first_leaves_another_one_takes_its_place() {
    let world = gateway("").await;
    for body in [
        chat("@openai-prod/mock", "[[head_delay_ms=700]] deserted whole"),
        chat_stream("@openai-prod/mock", "[[chunks=10&delay_ms=70]] deserted stream"),
    ] {
        let text = body["messages"][0]["content"]
            .as_str()
            .expect("a text")
            .split("]] ")
            .last()
            .expect("words")
            .to_owned();
        let first = world.client.chat(&body).header("x-portkey-config", together());
        let first = tokio::spawn(async move {
            let mut answer = first.send().await;
            // Of a stream something is read.
            answer.next_bytes().await;
            std::future::pending::<()>().await;
        });
        wait::until("the first to be asked", || world.mock.find(&text).pop()).await;
        let others = join_all((0..9).map(|_| send(&world, &body)));
        let leaving = async {
            tokio::time::sleep(Duration::from_millis(250)).await;
            first.abort();
        };
        let (answers, ()) = tokio::join!(others, leaving);
        let found = |wanted: &str| answers.iter().filter(|(_, status, _)| status == wanted).count();
        assert_eq!((found("MISS"), found("HIT")), (1, 8), "{answers:?}");
        assert_eq!(world.mock.find(&text).len(), 2, "one leads after the other: no stampede");
    }
}
