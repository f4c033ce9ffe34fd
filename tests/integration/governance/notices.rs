//! Events of the running gateway at real receivers: a webhook's server and a mail server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidegate_tests::{Gateway, Mock, wait};

use super::orders::{asks, done, person, service_key};
use crate::support::{chat, providers};

/// A server on a thread of its own that keeps what it is sent, for as long as the test runs.
struct Receiver {
    at: SocketAddr,
    kept: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start(serve: fn(TcpStream) -> Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeps = kept.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keeps = keeps.clone();
                std::thread::spawn(move || {
                    if let Some(text) = serve(stream) {
                        keeps.lock().expect("what was kept").push(text);
                    }
                });
            }
        });
        Self { at, kept }
    }

    fn all(&self) -> Vec<String> {
        self.kept.lock().expect("what was kept").clone()
    }

    /// Events of a type.
    fn events(&self, kind: &str) -> Vec<Value> {
        let read = |text: &String| serde_json::from_str::<Value>(text).expect("JSON");
        self.all().iter().map(read).filter(|event| event["type"] == kind).collect()
    }

    async fn event(&self, kind: &str) -> Value {
        wait::until(&format!("{kind} at the webhook"), || self.events(kind).pop()).await
    }
}

/// Takes one POST and answers 200.
fn webhook(mut stream: TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut length, mut signed) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let (name, value) = line.split_once(':').unwrap_or((line.as_str(), ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "webhook-signature" => signed = value.trim().starts_with("v1,"),
            _ => {}
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
    assert!(signed, "a webhook is signed");
    String::from_utf8(body).ok()
}

/// Takes one mail and returns its envelope and text.
fn mailbox(mut stream: TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut kept = String::new();
    stream.write_all(b"220 test\r\n").ok()?;
    let mut in_text = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if in_text {
            if line.trim_end() == "." {
                stream.write_all(b"250 kept\r\n").ok()?;
                return Some(kept);
            }
            kept.push_str(&line);
            continue;
        }
        let answer: &[u8] = match line.get(..4).unwrap_or_default() {
            "DATA" => {
                in_text = true;
                b"354 go on\r\n"
            }
            "MAIL" | "RCPT" => {
                kept.push_str(&line);
                b"250 fine\r\n"
            }
            _ => b"250 fine\r\n",
        };
        stream.write_all(answer).ok()?;
    }
}

/// A gateway that tells a webhook and a mailbox.
async fn told(mock: &Mock) -> (Gateway, Receiver, Receiver) {
    let (hook, mail) = (Receiver::start(webhook), Receiver::start(mailbox));
    let channels = format!(
        "[[notify]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"http://{}/hook\"\n\
         secret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"\n\n\
         [[notify]]\nname = \"mail\"\nkind = \"mail\"\nsmtp = \"smtp://{}\"\nfrom = \"tidegate@example.com\"\n\
         starttls = \"never\"\n",
        hook.at, mail.at
    );
    let settings = providers(mock).toml(&channels).key("tests", crate::support::KEY, "");
    (Gateway::start(settings).await, hook, mail)
}

/// Waits for a mail about something to an address.
async fn letter(mail: &Receiver, about: &str, to: &str) {
    let is_it = |text: &String| text.contains(about) && text.contains(&format!("RCPT TO:<{to}>"));
    wait::until(&format!("a mail to {to}"), || mail.all().into_iter().find(is_it)).await;
}

#[tokio::test]
async fn a_limit_that_refuses_is_told_once_to_those_it_concerns() {
    let mock = Mock::start();
    let (gateway, hook, mail) = told(&mock).await;
    person(&gateway, "owner@example.com", "owner", json!([])).await;
    person(&gateway, "nobody@example.com", "member", json!([])).await;
    let limits = json!([{"type": "requests", "unit": "rph", "value": 2}]);
    let more = json!({"rate_limits": limits, "alert_emails": ["team@example.com"]});
    let (id, key) = service_key(&gateway, "ws-default", &["completions.write"], more).await;
    assert_eq!((asks(&gateway, &key).await, asks(&gateway, &key).await), (200, 200));
    assert_eq!(hook.events("rate_limit.exhausted").len(), 0, "nothing was refused yet");
    for _ in 0..5 {
        assert_eq!(asks(&gateway, &key).await, 429);
    }
    let event = hook.event("rate_limit.exhausted").await;
    let data = &event["data"];
    assert_eq!(
        (&data["subject"]["kind"], &data["subject"]["id"]),
        (&json!("api_key"), &json!(id)),
        "{event}"
    );
    assert_eq!(
        (&data["facts"]["limit"], &data["facts"]["unit"], &data["facts"]["per"]),
        (&json!(2), &json!("requests"), &json!("hour"))
    );
    for address in ["owner@example.com", "team@example.com"] {
        letter(&mail, "Rate limit reached", address).await;
    }
    let told = mail.all().into_iter().filter(|text| text.contains("Rate limit reached"));
    assert!(told.into_iter().all(|text| !text.contains("nobody@example.com")), "{:?}", mail.all());

    // A workspace's and a policy's limits, each for itself.
    let own = json!({"rate_limits": [{"type": "requests", "unit": "rpm", "value": 1}]});
    let home = super::orders::workspace(&gateway, "Busy").await;
    done(&gateway, "PUT", &format!("/v1/admin/workspaces/{home}"), own).await;
    let (_, busy) = service_key(&gateway, &home, &["completions.write"], Value::Null).await;
    assert_eq!((asks(&gateway, &busy).await, asks(&gateway, &busy).await), (200, 429));
    let of = |event: &Value| event["data"]["subject"]["kind"].as_str().unwrap_or_default().to_owned();
    let seen = |kind: &'static str| {
        let hook = &hook;
        async move {
            wait::until(kind, || {
                hook.events("rate_limit.exhausted").into_iter().find(|event| of(event) == kind)
            })
            .await
        }
    };
    let event = seen("workspace").await;
    assert_eq!(
        (&event["data"]["workspace"], &event["data"]["subject"]["name"]),
        (&json!(home), &json!("Busy")),
        "{event}"
    );
    let third = super::orders::workspace(&gateway, "Ruled").await;
    let policy = json!({"name": "slow", "workspace_id": third, "type": "requests", "unit": "rpm", "value": 1,
        "conditions": [{"key": "workspace_id", "value": third}], "group_by": [{"key": "api_key"}]});
    done(&gateway, "POST", "/v1/policies/rate-limits", policy).await;
    let (_, ruled) = service_key(&gateway, &third, &["completions.write"], Value::Null).await;
    assert_eq!((asks(&gateway, &ruled).await, asks(&gateway, &ruled).await), (200, 429));
    assert_eq!(seen("policy").await["data"]["subject"]["name"], "slow");
    let of_keys = hook.events("rate_limit.exhausted").iter().filter(|event| of(event) == "api_key").count();
    assert_eq!(of_keys, 1, "five refusals are told once");
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_told_without_it() {
    let mock = Mock::start();
    let (gateway, hook, mail) = told(&mock).await;
    person(&gateway, "owner@example.com", "owner", json!([])).await;
    let folder = gateway.settings_path().parent().expect("a folder").join("data");
    let store = rusqlite::Connection::open(folder.join("tidegate.db")).expect("the store");
    store.execute_batch("BEGIN IMMEDIATE").expect("the only writer");
    let asked = chat("@openai-prod/mock", "hello");
    gateway.with_key(crate::support::KEY).chat(&asked).send().await.expect(200).await;
    let event = hook.event("store.unavailable").await;
    assert_eq!(
        (&event["data"]["level"], &event["data"]["subject"]["kind"]),
        (&json!("critical"), &json!("gateway")),
        "{event}"
    );
    assert_eq!(event["data"]["facts"]["trouble"], "takes no settlements", "{event}");
    letter(&mail, "Store unavailable", "owner@example.com").await;
    store.execute_batch("ROLLBACK").expect("free again");
    wait::until_async("the ledger to be well", || async {
        (gateway.state().await["ledger"]["healthy"] == true).then_some(())
    })
    .await;
    assert_eq!(hook.events("store.unavailable").len(), 1);
}
