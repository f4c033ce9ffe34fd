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
    /// Its method.
    pub(crate) method: String,
    /// The vendor's key that it brought.
    pub(crate) key: String,
    /// Path and query.
    pub(crate) target: String,
    /// Its headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body.
    pub(crate) body: Value,
    /// Its body as it came.
    pub(crate) text: String,
}

/// The upstream.
pub(crate) struct Turns {
    addr: SocketAddr,
    answers: Arc<Mutex<Vec<Value>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Turns {
    /// Starts it. An answer is an object with `status` (200), `headers`, `content_type`, `delay_ms`, `destroy`; `says`:
    /// the text of its choice, or a list for several; `completion`: its id; `boom`: an error's sentence; `body`: all of
    /// it; `text`: the same as text; `bytes`: the same as bytes; `chunks`: the events of a stream instead; `kill`: it never ends.
    pub(crate) async fn start(answers: Vec<Value>) -> Turns {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers));
        let (seen, says) = (Arc::clone(&calls), Arc::clone(&answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&says), Arc::clone(&seen)));
            }
        });
        Turns { addr, answers, calls }
    }

    /// Forgets what it was asked and answers these from now on.
    pub(crate) fn restart(&self, answers: Vec<Value>) {
        *self.answers.lock().expect("answers") = answers;
        self.calls.lock().expect("calls").clear();
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

async fn serve(mut stream: TcpStream, answers: Arc<Mutex<Vec<Value>>>, calls: Arc<Mutex<Vec<Call>>>) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let header = |wanted: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned()))
    };
    let key = header("authorization").or(header("x-api-key")).unwrap_or_default();
    let turn = {
        let mut calls = calls.lock().expect("calls");
        let text = String::from_utf8_lossy(&body).into_owned();
        let mut line = head.split(' ').map(str::to_owned);
        let split = |line: &str| {
            line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        };
        calls.push(Call {
            at: Instant::now(),
            method: line.next().unwrap_or_default(),
            key: key.trim_start_matches("Bearer ").to_owned(),
            target: line.next().unwrap_or_default(),
            headers: head.lines().skip(1).filter_map(split).collect(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            text,
        });
        calls.len() - 1
    };
    let answer = {
        let answers = answers.lock().expect("answers");
        answers.get(turn).or(answers.last()).cloned().unwrap_or(json!({}))
    };
    tokio::time::sleep(Duration::from_millis(answer["delay_ms"].as_u64().unwrap_or(0))).await;
    if answer["destroy"] == true {
        return;
    }
    let status = answer["status"].as_u64().unwrap_or(200);
    let events: Option<String> = answer["chunks"].as_array().map(|chunks| {
        chunks
            .iter()
            .map(|chunk| format!("data: {}\n\n", chunk.as_str().unwrap_or(&chunk.to_string())))
            .collect()
    });
    let stream_kind =
        if events.is_some() || answer["kill"] == true { "text/event-stream" } else { "application/json" };
    let kind = answer["content_type"].as_str().unwrap_or(stream_kind);
    let bytes: Option<Vec<u8>> = serde_json::from_value(answer["bytes"].clone()).ok();
    let body = match events {
        Some(events) => events,
        None if bytes.is_some() => String::new(),
        None if answer.get("text").is_some() => answer["text"].as_str().unwrap_or_default().to_owned(),
        None if answer.get("body").is_some() => answer["body"].to_string(),
        None if status < 300 => {
            let mut body = completion(&answer["says"]);
            if let Some(id) = answer["completion"].as_str() {
                body["id"] = id.into();
            }
            body.to_string()
        }
        None => {
            let message = answer["boom"].as_str().unwrap_or("boom");
            json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}})
                .to_string()
        }
    };
    let mut head = format!("HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\nconnection: close\r\n");
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        head.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap_or_default()));
    }
    // A length that is never reached: the connection breaks off in the middle.
    let body = bytes.unwrap_or(body.into_bytes());
    let length = body.len() + if answer["kill"] == true { 1_000 } else { 0 };
    let head = format!("{head}content-length: {length}\r\n\r\n");
    // The gateway may have given up meanwhile.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
}

/// A chat completion that says one text, or several in as many choices.
pub(crate) fn completion(says: &Value) -> Value {
    let texts = match says {
        Value::Array(texts) => texts.clone(),
        Value::Null => vec![json!("Apple pie")],
        one => vec![one.clone()],
    };
    let choices = texts.iter().enumerate().map(|(index, text)| {
        json!({"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"})
    });
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
        "choices": choices.collect::<Vec<_>>(),
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}

/// Reads one request: its head, and its body if the head says how long that is.
pub(crate) async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
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
