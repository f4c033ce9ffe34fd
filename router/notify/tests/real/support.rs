//! Notifiers, events, and a log that can be read.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tidegate_notify::{
    Channel, ChannelSettings, Event, InMemory, Kind, Level, Notifier, Options, Retry, Statistics, SubjectKind,
};
use tokio::task::JoinHandle;

/// The example of the specification.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A part of the secret that would show in any form of it.
pub(crate) const SECRET_PART: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn event(id: &str) -> Event {
    Event {
        id: id.into(),
        at_ms: 1_795_000_000_000,
        kind: Kind::BudgetThreshold,
        level: Level::Warning,
        organisation: "acme".into(),
        workspace: Some("support".into()),
        subject_kind: SubjectKind::ApiKey,
        subject_id: "key_1".into(),
        subject_name: "support".into(),
        sentence: "80 % of $50.00 are used until 1 December.".into(),
        facts: BTreeMap::from([("percent".into(), json!(80)), ("limit".into(), json!("$50.00"))]),
        dedup_key: format!("budget:{id}"),
        dedup_until_ms: i64::MAX,
        recipients: Vec::new(),
    }
}

pub(crate) fn settings(text: &str) -> ChannelSettings {
    toml::from_str(text).expect("settings")
}

/// Makes a channel whose references are `env:SECRET` and such.
pub(crate) fn channel(text: &str) -> Channel {
    let resolve = |reference: &str| match reference {
        "env:SECRET" => Ok(SECRET.to_owned()),
        other => Ok(other.to_owned()),
    };
    settings(text).build(&resolve).expect("a channel")
}

pub(crate) fn webhook(name: &str, port: u16, path: &str) -> Channel {
    webhook_within(name, port, path, 8_000)
}

pub(crate) fn webhook_within(name: &str, port: u16, path: &str, timeout_ms: u64) -> Channel {
    channel(&format!(
        "name = '{name}'\nkind = 'webhook'\nurl = 'http://127.0.0.1:{port}{path}'\nsecret = 'env:SECRET'\ntimeout_ms = {timeout_ms}"
    ))
}

pub(crate) struct Running {
    pub(crate) notifier: Notifier,
    work: JoinHandle<()>,
}

/// Starts a notifier that waits 50 ms after the first failure.
pub(crate) fn start(channels: Vec<Channel>) -> Running {
    let retry = Retry { first: Duration::from_millis(50), ..Retry::default() };
    let options = Options { retry, ..Options::default() };
    let (notifier, work) = Notifier::new(channels, Arc::new(InMemory::default()), options);
    #[expect(clippy::disallowed_methods, reason = "the test awaits its end")]
    let work = tokio::spawn(work);
    Running { notifier, work }
}

impl Running {
    /// Stops, which waits for what is on the way, and returns how much was left.
    pub(crate) async fn stop(self) -> usize {
        self.end().await.0
    }

    /// Stops, and returns how much was left and what became of everything.
    pub(crate) async fn end(self) -> (usize, Statistics) {
        let left = self.notifier.stop(Duration::from_secs(5)).await;
        self.work.await.expect("the work ends");
        (left, self.notifier.statistics())
    }
}

/// What was logged on this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Keeps all that is logged until the guard is dropped, down to what libraries trace.
    pub(crate) fn keep() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("log")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
