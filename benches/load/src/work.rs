//! The load: closed loops, open loops, held streams. All on one thread.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_timerslack;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::script::Script;
use crate::verify::{Closeness, Verifier};

/// So many streams are opened at the same time, so that no queue of connections overflows.
const OPENING: usize = 64;

/// Whom to ask for what.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) address: SocketAddr,
    pub(crate) request: Rc<[u8]>,
    pub(crate) script: Script,
    pub(crate) closeness: Closeness,
    /// What has come so far, in bytes of what is wanted.
    pub(crate) seen: Rc<Cell<u64>>,
}

impl Question {
    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.script, self.closeness, self.seen.clone())
    }
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Tally {
    /// Good answers.
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// The first failure.
    pub(crate) failure: Option<String>,
    /// From when a request was due to the end of its answer, microseconds.
    pub(crate) whole_us: Vec<f64>,
    /// From when a request was due to the first bytes of its body, microseconds.
    pub(crate) first_us: Vec<f64>,
    /// From when a request was due to the first text, microseconds.
    pub(crate) token_us: Vec<f64>,
}

impl Tally {
    fn fail(&mut self, error: &io::Error) {
        self.failed += 1;
        self.failure.get_or_insert(error.to_string());
    }
}

/// Returns what so many percent of the samples stay below.
pub(crate) fn percentile(samples: &mut [f64], percent: usize) -> f64 {
    if samples.is_empty() {
        return f64::NAN;
    }
    samples.sort_unstable_by(f64::total_cmp);
    samples[(samples.len() * percent / 100).min(samples.len() - 1)]
}

/// When a closed loop ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// No request begins later than this.
    Time(Duration),
    /// So many requests in all.
    Count(u64),
}

/// Runs `work` on a thread of its own kind: one thread, all tasks local.
pub(crate) fn block_on<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// So many connections, each asks again as soon as it is answered. Streams begin spread over `spread`, so that their
/// chunks don't come all at once.
pub(crate) async fn closed(question: &Question, connections: usize, spread: Duration, until: Until) -> Tally {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let begun = Rc::new(RefCell::new(0_u64));
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for number in 0..connections {
        let (question, tally, begun) = (question.clone(), tally.clone(), begun.clone());
        let wait = spread.mul_f64(number as f64 / connections as f64);
        tasks.spawn_local(async move {
            tokio::time::sleep(wait).await;
            let mut client = Client::new(question.address);
            let mut verifier = question.verifier();
            loop {
                let more = match until {
                    Until::Time(time) => started.elapsed() < time,
                    Until::Count(count) => *begun.borrow() < count,
                };
                if !more {
                    return;
                }
                *begun.borrow_mut() += 1;
                let asked = Instant::now();
                let answer = client.ask(&question.request, &mut verifier).await;
                let mut tally = tally.borrow_mut();
                match answer {
                    Ok(answer) => {
                        tally.done += 1;
                        tally.whole_us.push(micros(answer.end - asked));
                        tally.first_us.push(micros(answer.first - asked));
                        tally.token_us.push(micros(answer.token - asked));
                    }
                    Err(error) => {
                        tally.fail(&error);
                        if tally.failed > 100 {
                            return;
                        }
                    }
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    tally.take()
}

/// So many requests a second, whether the ones before are answered or not. Times count from when a request was due, not
/// from when it could be sent: what waits, waits in the figures.
pub(crate) async fn open(question: &Question, rate: u64, time: Duration) -> Tally {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let idle: Rc<RefCell<Vec<(Client, Verifier)>>> = Rc::default();
    let started = Instant::now();
    let mut dues = metronome(started, Duration::from_nanos(1_000_000_000 / rate), time);
    let mut tasks = JoinSet::new();
    while let Some(due) = dues.recv().await {
        let (question, tally, idle) = (question.clone(), tally.clone(), idle.clone());
        let free = idle.borrow_mut().pop();
        tasks.spawn_local(async move {
            let (mut client, mut verifier) =
                free.unwrap_or_else(|| (Client::new(question.address), question.verifier()));
            let answer = client.ask(&question.request, &mut verifier).await;
            let mut tally = tally.borrow_mut();
            match answer {
                Ok(answer) => {
                    tally.done += 1;
                    tally.whole_us.push(micros(answer.end.saturating_duration_since(due)));
                    tally.first_us.push(micros(answer.first.saturating_duration_since(due)));
                    tally.token_us.push(micros(answer.token.saturating_duration_since(due)));
                    idle.borrow_mut().push((client, verifier));
                }
                Err(error) => tally.fail(&error),
            }
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
    tally.take()
}

/// Says on a thread of its own when each request is due: the runtime's timers know milliseconds only.
fn metronome(started: Instant, gap: Duration, time: Duration) -> UnboundedReceiver<Instant> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        // Without it the kernel lets a sleeper sleep 50 microseconds longer; it is only a matter of precision.
        let _imprecise = set_timerslack(1);
        let mut due = started;
        while due < started + time {
            due += gap;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(due).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Streams that have begun and wait.
pub(crate) struct Held {
    streams: Vec<(Client, Verifier)>,
    tally: Tally,
}

/// Begins so many streams and leaves them open.
pub(crate) async fn hold(question: &Question, count: usize) -> Held {
    let streams = Rc::new(RefCell::new(Vec::with_capacity(count)));
    let tally = Rc::new(RefCell::new(Tally::default()));
    let mut tasks = JoinSet::new();
    for first in 0..OPENING.min(count) {
        let (question, streams, tally) = (question.clone(), streams.clone(), tally.clone());
        tasks.spawn_local(async move {
            for number in (first..count).step_by(OPENING) {
                let mut client = Client::spread(question.address, number);
                let mut verifier = question.verifier();
                match client.begin(&question.request, &mut verifier).await {
                    Ok(()) => streams.borrow_mut().push((client, verifier)),
                    Err(error) => tally.borrow_mut().fail(&error),
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    Held { streams: streams.take(), tally: tally.take() }
}

impl Held {
    pub(crate) fn count(&self) -> usize {
        self.streams.len()
    }

    /// Reads all streams to their ends, which somebody must have caused.
    pub(crate) async fn finish(mut self) -> Tally {
        for (client, verifier) in &mut self.streams {
            match client.finish(verifier).await {
                Ok(_token) => self.tally.done += 1,
                Err(error) => self.tally.fail(&error),
            }
        }
        self.tally
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
