//! What the scripted upstream was asked, and how each answer ended.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

/// All requests of one upstream.
#[derive(Debug)]
pub struct Recorder {
    started: Instant,
    records: Mutex<Vec<Arc<Record>>>,
}

impl Recorder {
    pub(super) fn new() -> Recorder {
        Recorder { started: Instant::now(), records: Mutex::default() }
    }

    pub(super) fn add(&self, record: Arc<Record>) {
        self.records.lock().expect("recorder").push(record);
    }

    pub(super) fn all(&self) -> Vec<Arc<Record>> {
        self.records.lock().expect("recorder").clone()
    }

    pub(super) fn reset(&self) {
        self.records.lock().expect("recorder").clear();
    }

    pub(super) fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.all().iter().map(|record| record.to_json(self.started)).collect();
        json!({ "requests": rows })
    }
}

/// One request and the fate of its answer.
#[derive(Debug)]
pub struct Record {
    /// When its head was read.
    pub at: Instant,
    /// `POST`, `GET`, …
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Headers in the order sent, names in lower case.
    pub headers: Vec<(String, String)>,
    pub(super) body: OnceLock<Bytes>,
    pub(super) connection: Arc<Connection>,
    pub(super) written_before: u64,
    pub(super) status: AtomicU16,
    pub(super) chunks_sent: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) written_at_end: OnceLock<u64>,
    pub(super) first_piece_at: OnceLock<Instant>,
    pub(super) pieces_at: Mutex<Vec<Instant>>,
    pub(super) finished_at: OnceLock<Instant>,
    pub(super) client_closed_at: OnceLock<Instant>,
}

/// A connection of the upstream's server; counts what the socket took.
#[derive(Debug, Default)]
pub struct Connection {
    pub(super) written: AtomicU64,
}

impl Record {
    /// The value of a request header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; empty while it is still being read.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(self.body_bytes()).into_owned()
    }

    /// The body as it came.
    pub fn body_bytes(&self) -> &[u8] {
        self.body.get().map_or(&[], |bytes| bytes.as_ref())
    }

    /// The body as JSON, `null` when it is not.
    pub fn body_json(&self) -> Value {
        serde_json::from_slice(self.body_bytes()).unwrap_or(Value::Null)
    }

    /// Status answered; 0 before the head was sent.
    pub fn status(&self) -> u16 {
        self.status.load(Relaxed)
    }

    /// Pieces of output handed to the connection.
    pub fn chunks_sent(&self) -> u64 {
        self.chunks_sent.load(Relaxed)
    }

    /// Bytes of the body handed to the connection.
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Relaxed)
    }

    /// Bytes of this answer that the socket took, head included.
    pub fn bytes_accepted(&self) -> u64 {
        let written =
            self.written_at_end.get().copied().unwrap_or_else(|| self.connection.written.load(Relaxed));
        written.saturating_sub(self.written_before)
    }

    /// When the first piece of output was handed to the connection.
    pub fn first_piece_at(&self) -> Option<Instant> {
        self.first_piece_at.get().copied()
    }

    /// When each piece was handed to the connection, where the script has pieces wait (`delay_ms`).
    pub fn pieces_at(&self) -> Vec<Instant> {
        self.pieces_at.lock().expect("record").clone()
    }

    /// When the whole answer had been handed to the connection.
    pub fn finished_at(&self) -> Option<Instant> {
        self.finished_at.get().copied()
    }

    /// When the client was seen to leave before the answer was complete.
    pub fn client_closed_at(&self) -> Option<Instant> {
        self.client_closed_at.get().copied()
    }

    fn to_json(&self, started: Instant) -> Value {
        let ms = |at: Instant| millis(at.saturating_duration_since(started));
        let headers: Vec<Value> = self.headers.iter().map(|(name, value)| json!([name, value])).collect();
        let body = match self.body_json() {
            Value::Null if !self.body_bytes().is_empty() => json!({ "text": self.body_text() }),
            body => body,
        };
        json!({
            "method": self.method,
            "target": self.target,
            "headers": headers,
            "body": body,
            "status": self.status(),
            "at_ms": ms(self.at),
            "first_piece_ms": self.first_piece_at().map(ms),
            "finished_ms": self.finished_at().map(ms),
            "client_closed": self.client_closed_at().is_some(),
            "client_closed_ms": self.client_closed_at().map(ms),
            "chunks_sent": self.chunks_sent(),
            "bytes_sent": self.bytes_sent(),
            "bytes_accepted": self.bytes_accepted(),
        })
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Marks the record when the answer ends or is dropped. It travels with the answer's body.
pub(super) struct Fate {
    pub(super) record: Arc<Record>,
}

impl Fate {
    pub(super) fn finished(&self) {
        let _ = self.record.finished_at.set(Instant::now());
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        let now = Instant::now();
        let _ = self.record.written_at_end.set(self.record.connection.written.load(Relaxed));
        if self.record.finished_at.get().is_none() {
            let _ = self.record.client_closed_at.set(now);
        }
    }
}
