//! The queue of one channel, and the loop that empties it: one attempt at a time, so that a receiver is not flooded
//! when it comes back. Nothing here waits for another channel.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use crate::channel::{Channel, Parcel};
use crate::event::Event;
use crate::failure::{Failure, Next};
use crate::queue::Queue;
use crate::retry::{Retry, jitter};
use crate::statistics::{ChannelStatistics, Counter};

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not in sight.
    Running,
    /// Asked for: until then what waits is tried once more.
    Stopping { deadline: Instant },
    /// The same, and no event will come any more.
    Fed { deadline: Instant },
    /// Reached, with so many notifications left.
    Ended { left: usize },
}

/// A notification on its way.
#[derive(Debug)]
struct Delivery {
    parcel: Parcel,
    failures: u32,
    since: Instant,
}

#[derive(Debug)]
struct State {
    queue: Queue<Delivery>,
    on_the_way: bool,
    /// Attempts in a row that found no receiver.
    unreachable: u32,
    pause: Option<Pause>,
    /// Whether there was no receiver at the end: what is left is not tried.
    gone: bool,
}

/// A time in which nothing is sent.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    /// Whether the receiver asked for it: such a pause is kept at the end too.
    asked: bool,
}

/// What a line does next.
enum Step {
    Deliver(Delivery),
    Wait(Option<Instant>),
    Done,
}

/// A channel with its queue.
pub(crate) struct Line {
    pub(crate) channel: Channel,
    retry: Retry,
    state: Mutex<State>,
    wake: Notify,
    sent: Counter,
    failed: Counter,
    retried: Counter,
    dropped: Counter,
}

impl Line {
    pub(crate) fn new(channel: Channel, capacity: usize, retry: Retry) -> Self {
        let queue = Queue::new(capacity);
        Self {
            channel,
            retry,
            state: Mutex::new(State { queue, on_the_way: false, unreachable: 0, pause: None, gone: false }),
            wake: Notify::new(),
            sent: Counter::default(),
            failed: Counter::default(),
            retried: Counter::default(),
            dropped: Counter::default(),
        }
    }

    /// Queues the event for each of its receivers.
    pub(crate) fn push(&self, event: &Arc<Event>) {
        let now = Instant::now();
        for parcel in self.channel.outlet.parcels(event) {
            let delivery = Delivery { parcel, failures: 0, since: now };
            self.enqueue(&mut self.state(), now, delivery);
        }
        self.wake.notify_one();
    }

    /// Delivers until the end.
    pub(crate) async fn run(&self, mut phase: watch::Receiver<Phase>) {
        loop {
            let current = *phase.borrow_and_update();
            match self.step(current) {
                Step::Done => return,
                Step::Deliver(delivery) => {
                    let outcome = self.channel.outlet.deliver(&delivery.parcel).await;
                    let deadline = match *phase.borrow() {
                        Phase::Stopping { deadline } | Phase::Fed { deadline } => Some(deadline),
                        Phase::Running | Phase::Ended { .. } => None,
                    };
                    self.settle(delivery, outcome, deadline);
                }
                Step::Wait(until) => {
                    let due = async {
                        match until {
                            Some(until) => sleep_until(until).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = due => {}
                        () = self.wake.notified() => {}
                        changed = phase.changed() => if changed.is_err() { return },
                    }
                }
            }
        }
    }

    /// Returns how many notifications have not been delivered, and counts them as dropped.
    pub(crate) fn close(&self) -> usize {
        let left = self.waiting();
        self.dropped.add_many(left);
        let mut state = self.state();
        state.on_the_way = false;
        while state.queue.take_first().is_some() {}
        left
    }

    pub(crate) fn waiting(&self) -> usize {
        let state = self.state();
        state.queue.len() + usize::from(state.on_the_way)
    }

    pub(crate) fn statistics(&self) -> ChannelStatistics {
        ChannelStatistics {
            name: self.channel.name.clone(),
            kind: self.channel.kind,
            sent: self.sent.get(),
            failed: self.failed.get(),
            retried: self.retried.get(),
            dropped: self.dropped.get(),
            waiting: self.waiting(),
        }
    }

    fn step(&self, phase: Phase) -> Step {
        let now = Instant::now();
        let mut state = self.state();
        let (deadline, fed) = match phase {
            Phase::Running => (None, false),
            Phase::Stopping { deadline } => (Some(deadline), false),
            Phase::Fed { deadline } => (Some(deadline), true),
            Phase::Ended { .. } => return Step::Done,
        };
        let parked = if fed { Step::Done } else { Step::Wait(None) };
        match (deadline, state.pause.filter(|pause| pause.until > now)) {
            (Some(_), _) if state.gone => return parked,
            (None, Some(pause)) => return Step::Wait(Some(pause.until)),
            (Some(deadline), Some(pause)) if pause.asked && pause.until > deadline => return parked,
            (Some(_), Some(pause)) if pause.asked => return Step::Wait(Some(pause.until)),
            // What waits for a receiver that was away is tried once more.
            (Some(_), _) | (None, None) => {}
        }
        loop {
            let next = if deadline.is_some() { state.queue.take_first() } else { state.queue.take_due(now) };
            let Some(delivery) = next else { break };
            if now.duration_since(delivery.since) > self.retry.lifetime {
                self.give_up(&delivery, "it is too old");
                continue;
            }
            state.on_the_way = true;
            return Step::Deliver(delivery);
        }
        match state.queue.next_due() {
            None if fed => Step::Done,
            due => Step::Wait(due),
        }
    }

    /// Counts an attempt and decides whether there is another. With a deadline there is one only for a receiver that
    /// asked to be left alone and will be ready before it.
    fn settle(&self, mut delivery: Delivery, outcome: Result<(), Failure>, deadline: Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state();
        state.on_the_way = false;
        if delivery.failures > 0 {
            self.retried.add();
        }
        let Err(failure) = outcome else {
            self.sent.add();
            state.unreachable = 0;
            state.pause = None;
            return;
        };
        delivery.failures = delivery.failures.saturating_add(1);
        let own_wait = self.retry.wait(delivery.failures, jitter());
        state.unreachable =
            if failure.next == Next::Unreachable { state.unreachable.saturating_add(1) } else { 0 };
        let wait = match failure.next {
            Next::Never => return self.give_up(&delivery, &failure.reason),
            Next::Later => own_wait,
            Next::Unreachable => self.retry.wait(state.unreachable, jitter()),
            Next::After(asked) => asked.min(self.retry.lifetime),
        };
        state.pause = match failure.next {
            Next::Unreachable => Some(Pause { until: now + wait, asked: false }),
            Next::After(_) => Some(Pause { until: now + wait, asked: true }),
            Next::Never | Next::Later => None,
        };
        state.gone = deadline.is_some() && failure.next == Next::Unreachable;
        let asked = matches!(failure.next, Next::After(_));
        let last = deadline.is_some_and(|deadline| !asked || now + wait > deadline);
        if last || (now + wait).duration_since(delivery.since) > self.retry.lifetime {
            return self.give_up(&delivery, &failure.reason);
        }
        let event = &delivery.parcel.event;
        let (channel, attempt, error) = (&self.channel.name, delivery.failures, &failure);
        if attempt == 1 {
            warn!(channel, event = %event.id, %error, "a notification is tried again later");
        } else {
            debug!(channel, event = %event.id, attempt, %error, "a notification is tried again later");
        }
        self.enqueue(&mut state, now + wait, delivery);
    }

    fn enqueue(&self, state: &mut State, due: Instant, delivery: Delivery) {
        let level = delivery.parcel.event.level;
        if state.queue.push(level, due, delivery).is_some() {
            let dropped = self.dropped.add();
            // A flood of events must not become one of log lines.
            if dropped.is_power_of_two() {
                warn!(channel = %self.channel.name, dropped, "the queue of notifications is full");
            }
        }
    }

    fn give_up(&self, delivery: &Delivery, reason: &str) {
        self.failed.add();
        let event = &delivery.parcel.event;
        warn!(channel = %self.channel.name, event = %event.id, kind = event.kind.as_str(),
              attempts = delivery.failures, reason, "a notification is given up");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
