//! Takes events from anywhere in the gateway, holds back those already sent, hands the others to the channels.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::{Either, join, join_all, select};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use crate::channel::Channel;
use crate::event::Event;
use crate::line::{Line, Phase};
use crate::memory::Memory;
use crate::queue::Queue;
use crate::retry::Retry;
use crate::statistics::{Counter, Statistics};

/// Sizes and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Events that may wait for being handed to channels, and notifications that may wait in each channel.
    pub capacity: usize,
    /// How failed attempts are repeated.
    pub retry: Retry,
}

impl Default for Options {
    fn default() -> Self {
        Self { capacity: 1_000, retry: Retry::default() }
    }
}

/// Where events are given. Clones are handles of the same.
#[derive(Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Mutex<Inbox>,
    arrived: Notify,
    lines: Vec<Line>,
    memory: Arc<dyn Memory>,
    phase: watch::Sender<Phase>,
    accepted: Counter,
    repeated: Counter,
    dropped: Counter,
}

struct Inbox {
    queue: Queue<Event>,
    open: bool,
    /// Whether an event has left the queue and not reached the channels.
    between: bool,
}

impl Notifier {
    /// Makes a notifier, and the work that its owner must run as one task until it ends by itself.
    pub fn new(
        channels: Vec<Channel>,
        memory: Arc<dyn Memory>,
        options: Options,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let line = |channel| Line::new(channel, options.capacity, options.retry);
        let shared = Arc::new(Shared {
            inbox: Mutex::new(Inbox { queue: Queue::new(options.capacity), open: true, between: false }),
            arrived: Notify::new(),
            lines: channels.into_iter().map(line).collect(),
            memory,
            phase: watch::Sender::new(Phase::Running),
            accepted: Counter::default(),
            repeated: Counter::default(),
            dropped: Counter::default(),
        });
        (Self { shared: shared.clone() }, shared.run())
    }

    /// Gives an event. Never waits: without room the oldest of the least important is dropped.
    pub fn notify(&self, event: Event) {
        if !self.shared.lines.iter().any(|line| line.channel.filter.wants(&event)) {
            return;
        }
        let mut inbox = self.shared.inbox();
        let dropped =
            if inbox.open { inbox.queue.push(event.level, Instant::now(), event) } else { Some(event) };
        drop(inbox);
        if dropped.is_some() {
            let dropped = self.shared.dropped.add();
            // A flood of events must not become one of log lines.
            if dropped.is_power_of_two() {
                warn!(dropped, "an event found no room among the notifications");
            }
        }
        self.shared.arrived.notify_one();
    }

    /// Returns the channels, such as for trying one with [`Channel::send`].
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.shared.lines.iter().map(|line| &line.channel)
    }

    /// Returns what became of events.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            accepted: self.shared.accepted.get(),
            repeated: self.shared.repeated.get(),
            dropped: self.shared.dropped.get(),
            channels: self.shared.lines.iter().map(Line::statistics).collect(),
        }
    }

    /// Ends the work: what waits is tried once more, at most for so long. Returns how many notifications are left.
    pub async fn stop(&self, within: Duration) -> usize {
        let deadline = Instant::now() + within;
        self.shared.phase.send_modify(|phase| {
            if *phase == Phase::Running {
                *phase = Phase::Stopping { deadline };
            }
        });
        let mut phase = self.shared.phase.subscribe();
        // The work ends itself at the deadline; if it is not run there is nothing to wait for.
        let ended = phase.wait_for(|phase| matches!(phase, Phase::Ended { .. }));
        match timeout(within + Duration::from_millis(200), ended).await {
            Ok(Ok(phase)) => match *phase {
                Phase::Ended { left } => left,
                _ => 0,
            },
            _ => self.shared.close(),
        }
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let lines = self.lines.iter().map(|line| line.run(self.phase.subscribe()));
        let work = pin!(join(self.hand_out_all(), join_all(lines)));
        let cut = pin!(self.deadline());
        if let Either::Right(_) = select(work, cut).await {
            warn!("notifications are left at the end");
        }
        let left = self.close();
        self.phase.send_replace(Phase::Ended { left });
    }

    /// Returns when there is a deadline and it has come.
    async fn deadline(&self) {
        let mut phase = self.phase.subscribe();
        loop {
            let current = *phase.borrow_and_update();
            match current {
                Phase::Running => {
                    if phase.changed().await.is_err() {
                        return;
                    }
                }
                Phase::Stopping { deadline } | Phase::Fed { deadline } => return sleep_until(deadline).await,
                Phase::Ended { .. } => return,
            }
        }
    }

    async fn hand_out_all(&self) {
        let mut phase = self.phase.subscribe();
        loop {
            let current = *phase.borrow_and_update();
            let next = {
                let mut inbox = self.inbox();
                let next = inbox.queue.take_first();
                inbox.between = next.is_some();
                // Closed under the same lock: no event comes in between.
                inbox.open = next.is_some() || current == Phase::Running;
                next
            };
            match (next, current) {
                (Some(event), _) => self.hand_out(event).await,
                (None, Phase::Running) => {
                    tokio::select! {
                        () = self.arrived.notified() => {}
                        changed = phase.changed() => if changed.is_err() { return },
                    }
                }
                (None, Phase::Stopping { deadline }) => {
                    self.phase.send_replace(Phase::Fed { deadline });
                    return;
                }
                (None, Phase::Fed { .. } | Phase::Ended { .. }) => return,
            }
        }
    }

    async fn hand_out(&self, event: Event) {
        if self.was_sent(&event).await {
            self.repeated.add();
        } else {
            self.accepted.add();
            let event = Arc::new(event);
            for line in &self.lines {
                if line.channel.filter.wants(&event) {
                    line.push(&event);
                }
            }
        }
        self.inbox().between = false;
    }

    async fn was_sent(&self, event: &Event) -> bool {
        if event.dedup_key.is_empty() {
            return false;
        }
        let (memory, key, until) = (self.memory.clone(), event.dedup_key.clone(), event.dedup_until_ms);
        let asked = tokio::task::spawn_blocking(move || memory.seen(&key, now_ms(), until)).await;
        match asked.map_err(|error| error.to_string()).and_then(|seen| seen) {
            Ok(seen) => seen,
            Err(error) => {
                // Rather twice than never.
                warn!(event = %event.id, error, "whether this was sent is not known, so it is sent");
                false
            }
        }
    }

    fn close(&self) -> usize {
        let mut inbox = self.inbox();
        inbox.open = false;
        let mut left = usize::from(std::mem::take(&mut inbox.between));
        while inbox.queue.take_first().is_some() {
            left += 1;
        }
        drop(inbox);
        self.dropped.add_many(left);
        left + self.lines.iter().map(Line::close).sum::<usize>()
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
