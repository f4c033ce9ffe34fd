//! Webhooks and Slack-compatible messages to an HTTP server.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_notify::Next;

use crate::receiver::Receiver;
use crate::support::{Log, SECRET, SECRET_PART, channel, event, start, webhook, webhook_within};

async fn receiver() -> Receiver {
    Receiver::start(&["http", "--secret", SECRET]).await
}

#[tokio::test]
async fn the_receiver_finds_the_signature_good() {
    let mut receiver = receiver().await;
    let running = start(vec![webhook("ops", receiver.port, "/accept")]);
    running.notifier.notify(event("evt_1"));
    let request = receiver.next().await;
    assert_eq!((&request["verified"], &request["status"]), (&json!(true), &json!(200)), "{request}");
    assert_eq!(request["headers"]["webhook-id"], "evt_1");
    assert_eq!(request["headers"]["content-type"], "application/json");
    let body: Value = serde_json::from_str(request["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body["type"], "budget.threshold");
    assert_eq!(body["data"]["facts"]["percent"], 80);
    assert_eq!(running.stop().await, 0);
}

#[tokio::test]
async fn another_secret_is_found_out() {
    let mut receiver =
        Receiver::start(&["http", "--secret", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]).await;
    let running = start(vec![webhook("ops", receiver.port, "/accept")]);
    running.notifier.notify(event("evt_1"));
    let request = receiver.next().await;
    assert_eq!((&request["verified"], &request["status"]), (&json!(false), &json!(401)), "{request}");
    assert!(receiver.silent_for(Duration::from_millis(400)).await, "a 401 is final");
    assert_eq!(running.end().await.1.channels[0].failed, 1);
}

#[tokio::test]
async fn a_receiver_that_fails_twice_gets_the_same_id_three_times() {
    let mut receiver = receiver().await;
    let running = start(vec![webhook("ops", receiver.port, "/flaky")]);
    running.notifier.notify(event("evt_1"));
    for status in [500, 500, 200] {
        let request = receiver.next().await;
        assert_eq!((&request["verified"], &request["status"]), (&json!(true), &json!(status)), "{request}");
        assert_eq!(request["headers"]["webhook-id"], "evt_1");
    }
    assert!(receiver.silent_for(Duration::from_millis(400)).await);
    let seen = running.end().await.1.channels[0].clone();
    assert_eq!((seen.sent, seen.retried, seen.failed), (1, 2, 0));
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let mut receiver = receiver().await;
    let running = start(vec![webhook("ops", receiver.port, "/later")]);
    running.notifier.notify(event("evt_1"));
    let first = receiver.next().await;
    let second = receiver.next().await;
    assert_eq!((&first["status"], &second["status"]), (&json!(429), &json!(200)));
    let waited = second["at"].as_f64().expect("a time") - first["at"].as_f64().expect("a time");
    // Without the header it would have been 50 to 75 ms.
    assert!(waited >= 0.99, "{waited} s");
    assert_eq!(running.stop().await, 0);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let mut receiver = receiver().await;
    let running = start(vec![webhook("ops", receiver.port, "/redirect")]);
    running.notifier.notify(event("evt_1"));
    assert_eq!(receiver.next().await["path"], "/redirect");
    assert!(receiver.silent_for(Duration::from_millis(400)).await, "nobody comes to /elsewhere, or again");
    assert_eq!(running.end().await.1.channels[0].failed, 1);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_after_the_timeout_and_delays_no_other() {
    let mut receiver = receiver().await;
    let running = start(vec![
        webhook_within("hangs", receiver.port, "/hang", 500),
        webhook("works", receiver.port, "/accept"),
    ]);
    running.notifier.notify(event("evt_1"));
    let mut paths = vec![receiver.next().await["path"].clone(), receiver.next().await["path"].clone()];
    paths.sort_by_key(ToString::to_string);
    assert_eq!(paths, ["/accept", "/hang"]);
    // The second attempt shows that the first was left.
    assert_eq!(receiver.next().await["path"], "/hang");
    let (_, seen) = running.end().await;
    assert_eq!((seen.channels[0].sent, seen.channels[1].sent), (0, 1));
}

#[tokio::test]
async fn equal_events_are_sent_once() {
    let mut receiver = receiver().await;
    let running = start(vec![webhook("ops", receiver.port, "/accept")]);
    for id in ["evt_1", "evt_2", "evt_3"] {
        let mut event = event(id);
        event.dedup_key = "budget:key_1:80".into();
        running.notifier.notify(event);
    }
    assert_eq!(receiver.next().await["headers"]["webhook-id"], "evt_1");
    assert!(receiver.silent_for(Duration::from_millis(300)).await);
    assert_eq!(running.end().await.1.repeated, 2);
}

#[tokio::test]
async fn a_trial_says_what_the_receiver_answered() {
    let mut receiver = receiver().await;
    webhook("ops", receiver.port, "/accept").send(event("evt_1")).await.expect("accepted");
    assert_eq!(receiver.next().await["verified"], true);
    let failure = webhook("ops", receiver.port, "/gone").send(event("evt_1")).await.expect_err("refused");
    assert_eq!((failure.to_string().as_str(), failure.next), ("the receiver answered 410", Next::Never));
}

#[tokio::test]
async fn slack_gets_text_and_blocks() {
    let mut receiver = Receiver::start(&["http"]).await;
    let text =
        format!("name = 's'\nkind = 'slack'\nurl = 'http://127.0.0.1:{}/services/T0KEN'", receiver.port);
    let running = start(vec![channel(&text)]);
    let mut event = event("evt_1");
    event.subject_name = "<!channel>".into();
    running.notifier.notify(event);
    let request = receiver.next().await;
    let body: Value = serde_json::from_str(request["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(
        body["text"],
        "Budget 80 % used: API key &lt;!channel&gt;. 80 % of $50.00 are used until 1 December."
    );
    assert_eq!(body["blocks"].as_array().map(Vec::len), Some(2));
    running.stop().await;
}

#[tokio::test]
async fn neither_secret_nor_url_is_shown_anywhere() {
    let (log, _guard) = Log::keep();
    let mut receiver = receiver().await;
    let slack =
        channel(&format!("name='s'\nkind='slack'\nurl='http://127.0.0.1:{}/gone?T0KEN'", receiver.port));
    // Nobody listens on port 9.
    let away = webhook("away", 9, "/T0KEN");
    let mut shown = format!("{:?} {away:?} {slack:?}", webhook("ops", receiver.port, "/T0KEN"));
    for channel in [&slack, &away] {
        let failure = channel.send(event("evt_0")).await.expect_err("refused");
        shown.push_str(&format!("{failure:?} {failure}"));
    }
    let running = start(vec![webhook("ops", receiver.port, "/flaky"), slack, away]);
    running.notifier.notify(event("evt_1"));
    while receiver.next().await["status"] != 200 {}
    shown.push_str(&format!("{:?}", running.end().await));
    let log = log.text();
    // What is looked for must be there to be found: the log does speak of the failures.
    assert!(log.contains("a notification is tried again later") && log.contains("evt_1"), "{log}");
    // The URL's path is hyper's to trace, if the operator asks for that; the secret is nobody's.
    let own: String = log.lines().filter(|line| line.contains("tidegate_notify")).collect();
    assert!(!log.contains(SECRET_PART), "{log}");
    assert!(
        !own.contains("T0KEN") && !shown.contains("T0KEN") && !shown.contains(SECRET_PART),
        "{own} {shown}"
    );
}
