//! A receiver in a process of its own.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Installing takes its time when it is the first.
const START: Duration = Duration::from_secs(120);
const WAIT: Duration = Duration::from_secs(30);

/// Ends with the test: the process reads its standard input until it closes.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Receiver {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/receivers"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("tests/receivers starts");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let mut receiver = Self { port: 0, lines, _process: process };
        let first = receiver.line(START).await.expect("the receiver names its port");
        receiver.port = first["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        receiver
    }

    /// Returns the next request or mail.
    pub(crate) async fn next(&mut self) -> Value {
        self.line(WAIT).await.expect("something arrives")
    }

    /// Returns whether nothing arrives for so long.
    pub(crate) async fn silent_for(&mut self, wait: Duration) -> bool {
        self.line(wait).await.is_none()
    }

    async fn line(&mut self, wait: Duration) -> Option<Value> {
        let line = timeout(wait, self.lines.next_line()).await.ok()?;
        let line = line.expect("a line").expect("the receiver runs");
        Some(serde_json::from_str(&line).expect("JSON"))
    }
}
