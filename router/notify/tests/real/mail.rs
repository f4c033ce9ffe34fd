//! Mail to an SMTP server.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_notify::{Channel, Next};

use crate::receiver::Receiver;
use crate::support::{Log, channel, event, start, webhook};

const PASSWORD: &str = "correct-horse-battery";

fn mail(port: u16, to: &str) -> Channel {
    channel(&format!(
        "name = 'mail'\nkind = 'mail'\nsmtp = 'smtp://127.0.0.1:{port}'\nfrom = 'Tidegate <gateway@acme.example>'\nto = {to}\ntimeout_ms = 20000"
    ))
}

fn with_password(port: u16, password: &str) -> Channel {
    channel(&format!(
        "name = 'mail'\nkind = 'mail'\nsmtp = 'smtp://bot@127.0.0.1:{port}'\npassword = '{password}'\nfrom = 'gateway@acme.example'\nto = ['ops@acme.example']"
    ))
}

fn content(mail: &Value) -> &str {
    mail["content"].as_str().expect("content")
}

#[tokio::test]
async fn mail_arrives_with_envelope_subject_and_both_parts() {
    let mut receiver = Receiver::start(&["smtp"]).await;
    let running = start(vec![mail(receiver.port, "['ops@acme.example']")]);
    let mut event = event("evt_1");
    event.recipients = vec!["ada@example.com".into()];
    running.notifier.notify(event);
    let mails = [receiver.next().await, receiver.next().await];
    for (mail, to) in mails.iter().zip(["ada@example.com", "ops@acme.example"]) {
        assert_eq!(mail["sender"], "gateway@acme.example");
        assert_eq!(mail["receivers"], json!([to]));
        let content = content(mail);
        assert!(content.contains("Subject: [Tidegate] Budget 80 % used: API key support\r\n"), "{content}");
        assert!(content.contains(&format!("To: {to}\r\n")), "{content}");
        assert!(content.contains("From: Tidegate <gateway@acme.example>\r\n"), "{content}");
        assert!(content.contains("Auto-Submitted: auto-generated\r\n"), "{content}");
        assert!(content.contains("text/plain") && content.contains("text/html"), "{content}");
    }
    assert_eq!(running.stop().await, 0);
}

#[tokio::test]
async fn no_name_adds_a_header_or_a_receiver() {
    let mut receiver = Receiver::start(&["smtp"]).await;
    let running = start(vec![mail(receiver.port, "['ops@acme.example']")]);
    let mut event = event("evt_1\r\nX-Id: 1");
    event.subject_name = "a\r\nBcc: eve@example.com\r\n\r\n.\r\nMAIL FROM:<eve@example.com>".into();
    event.sentence = "x\r\n.\r\nMAIL FROM:<eve@example.com>\r\nRCPT TO:<eve@example.com>\r\n".into();
    event.recipients = vec!["a@example.com>\r\nRCPT TO:<eve@example.com".into()];
    running.notifier.notify(event);
    let mail = receiver.next().await;
    assert_eq!(mail["receivers"], json!(["ops@acme.example"]));
    let (head, _) = content(&mail).split_once("\r\n\r\n").expect("a head");
    assert!(!head.lines().any(|line| line.starts_with("Bcc:") || line.starts_with("X-Id:")), "{head}");
    assert!(receiver.silent_for(Duration::from_millis(300)).await);
    running.stop().await;
}

#[tokio::test]
async fn one_bad_address_stops_no_other_and_a_greylisting_server_is_asked_again() {
    let mut receiver = Receiver::start(&["smtp"]).await;
    let to = "['unknown@acme.example', 'grey@acme.example', 'ops@acme.example']";
    let running = start(vec![mail(receiver.port, to)]);
    running.notifier.notify(event("evt_1"));
    assert_eq!(receiver.next().await["receivers"], json!(["ops@acme.example"]));
    assert_eq!(receiver.next().await["receivers"], json!(["grey@acme.example"]));
    assert!(receiver.silent_for(Duration::from_millis(300)).await, "each gets it once");
    let seen = running.end().await.1.channels[0].clone();
    assert_eq!((seen.sent, seen.failed, seen.retried), (2, 1, 1));
}

#[tokio::test]
async fn a_dead_mail_server_delays_no_webhook() {
    // A server that accepts connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let mut receiver = Receiver::start(&["http"]).await;
    let running = start(vec![
        mail(port, "['ops@acme.example']"),
        // Nobody listens on port 9.
        mail(9, "['ops@acme.example']"),
        webhook("ops", receiver.port, "/accept"),
    ]);
    let began = std::time::Instant::now();
    for at in 0..20 {
        running.notifier.notify(event(&format!("evt_{at}")));
    }
    for at in 0..20 {
        assert_eq!(receiver.next().await["headers"]["webhook-id"], format!("evt_{at}"));
    }
    // One timeout of the silent server alone is twenty seconds.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let (_, seen) = running.end().await;
    assert_eq!((seen.channels[0].sent, seen.channels[1].sent, seen.channels[2].sent), (0, 0, 20));
}

#[tokio::test]
async fn a_password_logs_in() {
    let mut receiver = Receiver::start(&["smtp", "--user", "bot", "--password", PASSWORD]).await;
    with_password(receiver.port, PASSWORD).send(event("evt_1")).await.expect("accepted");
    assert_eq!(receiver.next().await["user"], "bot");
}

#[tokio::test]
async fn a_server_that_repeats_the_password_does_not_get_it_into_the_log() {
    let (log, _guard) = Log::keep();
    let mut receiver = Receiver::start(&["smtp", "--user", "bot", "--password", "another"]).await;
    let channel = with_password(receiver.port, PASSWORD);
    let failure = channel.send(event("evt_1")).await.expect_err("refused");
    assert_eq!(receiver.next().await["refused"], "bot");
    assert_eq!(failure.next, Next::Never);
    assert_eq!(failure.to_string(), "the mail server answered 535 5.7.8");
    let shown = format!("{channel:?} {failure:?}");
    let running = start(vec![channel]);
    running.notifier.notify(event("evt_2"));
    assert_eq!(receiver.next().await["refused"], "bot");
    running.stop().await;
    let log = log.text();
    assert!(log.contains("a notification is given up"), "{log}");
    assert!(!log.contains(PASSWORD) && !shown.contains(PASSWORD), "{shown} {log}");
}
