//! TLS of mail and webhooks, with an authority of the test's own.
//!
//! Which authorities are trusted is read from the environment once in a process: the tests that trust this one run in a
//! process of their own, which is this program again.

use std::path::PathBuf;
use std::process::Stdio;

use tidegate_notify::{Channel, Next};
use tokio::process::Command;

use crate::receiver::Receiver;
use crate::support::{SECRET, channel, event};

/// In the inner process: the port of the receiver.
const PORT: &str = "NOTIFY_TEST_PORT";

/// A folder for the certificates of one test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs one test of this program again, trusting the authority of the folder.
async fn again(test: &str, port: u16, folder: &std::path::Path) {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(PORT, port.to_string())
        .env("SSL_CERT_FILE", folder.join("authority.pem"))
        .env_remove("SSL_CERT_DIR")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("this program runs again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{output:?}");
}

fn inner_port() -> Option<u16> {
    std::env::var(PORT).ok().map(|port| port.parse().expect("a port"))
}

fn mail(smtp: &str) -> Channel {
    channel(&format!(
        "name = 'mail'\nkind = 'mail'\nsmtp = '{smtp}'\npassword = 'word'\nfrom = 'g@acme.example'\nto = ['ops@acme.example']"
    ))
}

fn starttls(port: u16) -> Channel {
    channel(&format!(
        "name = 'mail'\nkind = 'mail'\nsmtp = 'smtp://bot@localhost:{port}'\npassword = 'word'\nstarttls = 'required'\nfrom = 'g@acme.example'\nto = ['ops@acme.example']"
    ))
}

fn webhook(port: u16) -> Channel {
    channel(&format!("name='w'\nkind='webhook'\nurl='https://localhost:{port}/accept'\nsecret='{SECRET}'"))
}

async fn server(tls: &str, folder: &std::path::Path) -> Receiver {
    let folder = folder.to_str().expect("a path");
    Receiver::start(&["smtp", "--tls", tls, "--certificates", folder, "--user", "bot", "--password", "word"])
        .await
}

#[tokio::test]
async fn mail_goes_over_starttls_to_a_trusted_server() {
    if let Some(port) = inner_port() {
        return starttls(port).send(event("evt_1")).await.expect("accepted");
    }
    let folder = folder("starttls");
    let mut receiver = server("starttls", &folder).await;
    again("encryption::mail_goes_over_starttls_to_a_trusted_server", receiver.port, &folder).await;
    let mail = receiver.next().await;
    assert_eq!((&mail["encrypted"], &mail["user"]), (&true.into(), &"bot".into()), "{mail}");
}

#[tokio::test]
async fn mail_goes_over_tls_to_a_trusted_server() {
    if let Some(port) = inner_port() {
        return mail(&format!("smtps://bot@localhost:{port}")).send(event("evt_1")).await.expect("accepted");
    }
    let folder = folder("tls");
    let mut receiver = server("implicit", &folder).await;
    again("encryption::mail_goes_over_tls_to_a_trusted_server", receiver.port, &folder).await;
    assert_eq!(receiver.next().await["user"], "bot");
}

#[tokio::test]
async fn webhooks_go_to_a_trusted_server() {
    if let Some(port) = inner_port() {
        return webhook(port).send(event("evt_1")).await.expect("accepted");
    }
    let folder = folder("https");
    let path = folder.to_str().expect("a path");
    let mut receiver = Receiver::start(&["http", "--secret", SECRET, "--certificates", path]).await;
    again("encryption::webhooks_go_to_a_trusted_server", receiver.port, &folder).await;
    assert_eq!(receiver.next().await["verified"], true);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_neither_password_nor_mail() {
    let folder = folder("untrusted");
    let mut receiver = server("starttls", &folder).await;
    let failure = starttls(receiver.port).send(event("evt_1")).await.expect_err("refused");
    assert_eq!(failure.next, Next::Unreachable, "{failure}");
    assert!(failure.to_string().contains("certificate"), "{failure}");
    assert!(receiver.silent_for(std::time::Duration::from_millis(200)).await);
}

#[tokio::test]
async fn without_starttls_a_server_gets_no_mail_if_it_is_required() {
    let mut receiver = Receiver::start(&["smtp"]).await;
    let failure = starttls(receiver.port).send(event("evt_1")).await.expect_err("refused");
    assert_eq!(failure.next, Next::Unreachable, "{failure}");
    assert!(receiver.silent_for(std::time::Duration::from_millis(200)).await);
}
