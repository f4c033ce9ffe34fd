//! What is lent, against a gateway that runs and a server of the test's own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_plugin_host::{HttpRequest, Powers};
use tidegate_store::LogFilter;

use super::Lender;
use crate::gateway::Gateway;
use crate::settings::Settings;

/// Answers every request with what `answer` makes of its path and body. Lives as long as the test process.
fn server(answer: impl Fn(&str, &str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let path = first.split(' ').nth(1).unwrap_or_default();
            let answer = answer(path, &String::from_utf8_lossy(&body));
            // Whoever asked may have hung up.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    base
}

fn answered(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn lend(settings: &str) -> (TempDir, Arc<Gateway>, Arc<Lender>) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("data = \"{}\"\n{settings}", folder.path().join("data").display());
    let (gateway, _printed) = Gateway::start(Settings::parse(&text, "t", &|_| None).unwrap()).unwrap();
    let lender = Lender::new(Duration::from_secs(5));
    lender.serve(&gateway);
    (folder, gateway, lender)
}

fn get(url: String) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url, headers: Vec::new(), body: Vec::new(), timeout_ms: 10_000 }
}

#[actix::test]
async fn http_reaches_a_trusted_private_host_and_follows_no_redirect() {
    let base = server(|path, _| match path {
        "/large" => answered("200 OK", "", &"x".repeat((1 << 20) + 1)),
        "/away" => answered("302 Found", "location: http://127.0.0.1:1/\r\n", ""),
        path => answered("200 OK", "x-test: yes\r\n", path),
    });
    let (_folder, _gateway, lender) = lend("[security]\ntrusted_hosts = [\"127.0.0.1\"]");
    let response = lender.http("p", "t", get(format!("{base}/hook?x=1"))).await.unwrap();
    assert_eq!((response.status, response.body), (200, b"/hook?x=1".to_vec()));
    assert!(response.headers.contains(&("x-test".to_owned(), "yes".to_owned())));
    assert_eq!(lender.http("p", "t", get(format!("{base}/away"))).await.unwrap().status, 302);
    let large = lender.http("p", "t", get(format!("{base}/large"))).await.unwrap_err();
    assert!(large.contains("length limit exceeded"), "{large}");
    let (_folder, _gateway, lender) = lend("");
    let refused = lender.http("p", "t", get(format!("{base}/hook"))).await.unwrap_err();
    assert!(refused.contains("127.0.0.1 is private"), "{refused}");
}

#[actix::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (_folder, _gateway, lender) = lend("[security]\ntrusted_hosts = [\"127.0.0.1\"]");
    let late = lender.http("p", "t", HttpRequest { timeout_ms: 50, ..get(url) }).await.unwrap_err();
    assert_eq!(late, "no answer within 50 ms");
}

fn vendor() -> String {
    server(|path, body| {
        let asked: Value = serde_json::from_str(body).unwrap();
        assert_eq!(asked.get("stream"), None);
        let answer = match path {
            "/v1/embeddings" => json!({
                "object": "list", "model": "mock", "usage": {"prompt_tokens": 2, "total_tokens": 2},
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}],
            }),
            _ => json!({
                "id": "c", "object": "chat.completion", "created": 1, "model": "mock",
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
            }),
        };
        answered("200 OK", "content-type: application/json\r\n", &answer.to_string())
    })
}

fn paying(base: &str, plugin: &str) -> String {
    format!(
        "[[provider]]\nslug = \"judge\"\nvendor = \"openai\"\napi_key = \"sk-x\"\nbase_url = \"{base}/v1\"\n\
         trusted = true\nprices = {{ \"mock\" = {{ input = 3, output = 15 }} }}\n\
         [[key]]\nname = \"guards\"\nkey = \"tg-key-of-the-guards-0123456789\"\nbudget = {{ usd = 1 }}\n\
         [[plugin]]\nid = \"asks\"\n{plugin}"
    )
}

const QUESTION: &str =
    r#"{"model": "@judge/mock", "messages": [{"role": "user", "content": "is it fine?"}]}"#;

#[actix::test]
async fn models_are_asked_through_the_gateway_and_paid_by_the_plugins_key() {
    let (_folder, gateway, lender) = lend(&paying(&vendor(), "key = \"guards\""));
    let answer = lender.complete("asks", "t", QUESTION.to_owned()).await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "yes", "{answer}");
    let vectors = lender.embed("asks", "t", "@judge/mock".to_owned(), vec!["a".to_owned()]).await.unwrap();
    assert_eq!(vectors, [vec![0.5, 1.0]]);
    gateway.ledger.flush().await;
    let rows = gateway.book.read(|store| store.logs(&LogFilter::default())).await.unwrap();
    assert_eq!(rows.len(), 2);
    let chat = rows.iter().find(|row| row.endpoint == "/v1/chat/completions").unwrap();
    assert_eq!((chat.key_name.as_str(), chat.cost_nano_usd), ("guards", Some(3 * 3_000 + 15_000)));
    assert_eq!(chat.metadata["_plugin"], "asks");
}

#[actix::test]
async fn who_pays_must_be_said_and_be_there() {
    let base = vendor();
    let (_folder, _gateway, lender) = lend(&paying(&base, ""));
    let unsaid = lender.complete("asks", "t", QUESTION.to_owned()).await.unwrap_err();
    assert!(unsaid.contains("add `key = \"NAME\"` to the [[plugin]] \"asks\""), "{unsaid}");
    let (_folder, _gateway, lender) = lend(&paying(&base, "key = \"nobody\""));
    let absent = lender.complete("asks", "t", QUESTION.to_owned()).await.unwrap_err();
    assert!(absent.contains("there is no API key \"nobody\""), "{absent}");
    let refused = lender.complete("asks", "t", "{\"stream\": true}".to_owned()).await.unwrap_err();
    assert!(refused.contains("leave `stream` out"), "{refused}");
}

#[actix::test]
async fn a_plugin_does_not_ask_from_within_a_call_it_pays_for() {
    let (_folder, _gateway, lender) = lend(&paying(&vendor(), "key = \"guards\""));
    let refused = lender.complete("asks", "key:guards", QUESTION.to_owned()).await.unwrap_err();
    assert!(refused.contains("not judged by plugins that ask models"), "{refused}");
}

#[actix::test]
async fn errors_of_the_gateway_reach_the_plugin_as_sentences() {
    let (_folder, _gateway, lender) = lend(&paying("http://127.0.0.1:1", "key = \"guards\""));
    let unreachable = lender.complete("asks", "t", QUESTION.to_owned()).await.unwrap_err();
    assert!(!unreachable.is_empty(), "{unreachable}");
    let unknown = QUESTION.replace("@judge/", "@nobody/");
    let refused = lender.complete("asks", "t", unknown).await.unwrap_err();
    assert!(refused.contains("nobody"), "{refused}");
}
