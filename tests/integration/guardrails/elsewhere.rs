//! Somebody else's server: webhooks, logs, keys, pages and pictures, by path.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::turns::read;

/// What one call asked.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Method, path and protocol.
    pub(super) line: String,
    /// The whole head in lower case.
    pub(super) head: String,
    /// Its body.
    pub(super) body: Value,
}

/// The server.
pub(super) struct Elsewhere {
    port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Elsewhere {
    pub(super) async fn start() -> Elsewhere {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen)));
            }
        });
        Elsewhere { port, calls }
    }

    /// `127.0.0.1:PORT`
    pub(super) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it was asked at a path.
    pub(super) fn calls(&self, path: &str) -> Vec<Call> {
        let calls = self.calls.lock().expect("calls");
        calls.iter().filter(|call| call.line.contains(&format!(" {path} "))).cloned().collect()
    }
}

async fn serve(mut stream: TcpStream, calls: Arc<Mutex<Vec<Call>>>) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let line = head.lines().next().unwrap_or_default().to_owned();
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    calls.lock().expect("calls").push(Call {
        line: line.clone(),
        head: head.to_lowercase(),
        body: body.clone(),
    });
    let (status, headers, answer) = answer(&target, &body);
    if target == "/slow" {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let mut message = format!(
        "HTTP/1.1 {status} x\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    if !line.starts_with("HEAD ") {
        message.push_str(&answer);
    }
    // Whoever asked may have given up meanwhile.
    let _ = stream.write_all(message.as_bytes()).await;
}

/// Status, headers and body for a path.
fn answer(target: &str, body: &Value) -> (u16, String, String) {
    let json = |status: u16, body: Value| {
        (status, "content-type: application/json\r\n".to_owned(), body.to_string())
    };
    match target {
        "/yes" | "/slow" => json(200, json!({"verdict": true, "data": {"by": "elsewhere"}})),
        "/no" => json(200, json!({"verdict": false, "data": {"by": "elsewhere"}})),
        "/silent" => json(200, json!({"data": {}})),
        "/broken" => json(500, json!({"why": "boom"})),
        "/rewrite" => {
            let (mut request, mut response) =
                (body["request"]["json"].clone(), body["response"]["json"].clone());
            if body["eventType"] == "beforeRequestHook" {
                request["messages"][0]["content"] = "rewritten elsewhere".into();
            } else {
                response["choices"][0]["message"]["content"] = "rewritten elsewhere".into();
            }
            json(
                200,
                json!({"verdict": true, "transformedData": {"request": {"json": request}, "response": {"json": response}}}),
            )
        }
        "/page" | "/log" => (200, String::new(), "ok".to_owned()),
        "/moved" => (302, "location: /page\r\n".to_owned(), String::new()),
        "/keys" => json(
            200,
            json!({"keys": [{"kid": "k1", "kty": "oct", "alg": "HS256", "k": super::checks::SHARED_SECRET}]}),
        ),
        "/introspect" => json(200, json!({"active": true, "sub": "ada"})),
        "/revoked" => json(200, json!({"active": false})),
        "/picture.png" => (200, "content-type: image/png\r\n".to_owned(), "picture".to_owned()),
        _ if target.starts_with("/dns?name=known.") => {
            json(200, json!({"Status": 0, "Answer": [{"data": "192.0.2.1"}]}))
        }
        _ if target.starts_with("/dns?") => json(200, json!({"Status": 3})),
        _ => (404, String::new(), String::new()),
    }
}
