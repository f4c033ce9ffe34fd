//! An upstream that gives its answers in turn, whatever it is asked: first this, then that, the last one for ever.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What one call asked.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// When it had been read.
    pub(crate) at: Instant,
    /// The vendor's key that it brought.
    pub(crate) key: String,
    /// Its body.
    pub(crate) body: Value,
}

/// The upstream.
pub(crate) struct Turns {
    addr: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Turns {
    /// Starts it. An answer is an object with `status` (200), `headers`, `delay_ms`, `destroy`.
    pub(crate) async fn start(answers: Vec<Value>) -> Turns {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone(), Arc::clone(&seen)));
            }
        });
        Turns { addr, calls }
    }

    /// Its address, as a base URL without path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it was asked so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("calls").clone()
    }
}

async fn serve(mut stream: TcpStream, answers: Vec<Value>, calls: Arc<Mutex<Vec<Call>>>) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let header = |wanted: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned()))
    };
    let key = header("authorization").unwrap_or_default();
    let turn = {
        let mut calls = calls.lock().expect("calls");
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        calls.push(Call { at: Instant::now(), key: key.trim_start_matches("Bearer ").to_owned(), body });
        calls.len() - 1
    };
    let answer = answers.get(turn).or(answers.last()).cloned().unwrap_or(json!({}));
    tokio::time::sleep(Duration::from_millis(answer["delay_ms"].as_u64().unwrap_or(0))).await;
    if answer["destroy"] == true {
        return;
    }
    let status = answer["status"].as_u64().unwrap_or(200);
    let body = if status == 200 {
        json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Apple pie"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
    } else {
        json!({"error": {"message": "boom", "type": "server_error", "param": null, "code": null}})
    };
    let body = body.to_string();
    let mut head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\n");
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        head.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap_or_default()));
    }
    let message = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    // The gateway may have given up meanwhile.
    let _ = stream.write_all(message.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            let wanted = end + 4 + length.unwrap_or(0);
            while bytes.len() < wanted {
                if stream.read_buf(&mut bytes).await.ok()? == 0 {
                    return None;
                }
            }
            return Some((head, bytes.split_off(end + 4)));
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
