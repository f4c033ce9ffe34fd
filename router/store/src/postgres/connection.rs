//! The thread that owns the connection.
//!
//! Callers may be inside a runtime or not: they hand over a job and wait for its answer, never longer than the
//! deadline. A lost connection is made again by the call that finds it lost; what was certainly not done is done
//! once more. The number of each writing transaction is kept in its row of `writer`, within that transaction: when
//! the answer to a commit is lost, the same number again tells whether it happened.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout_at};

use super::session::{Fault, Session};
use super::url::Target;
use crate::store::StoreError;

/// The thread answers by itself at the deadline; this is for one that hangs.
const GRACE: Duration = Duration::from_secs(1);
/// Pauses between failed connections grow between these.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a transaction is tried that the server undid in favour of another one.
const TRIES: u32 = 5;
/// Name of the lock under which changes and audit rows are numbered. Any number will do, the same for all nodes.
const FEED: i64 = 7_445_901;

type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// What is counted. Batches have a count of their own: one may be written again after other transactions.
#[derive(Clone, Copy)]
pub(super) enum Count {
    Batches,
    Others,
}

impl Count {
    fn column(self) -> &'static str {
        match self {
            Self::Batches => "batch",
            Self::Others => "number",
        }
    }
}

/// Which transaction of this connection it is, and what it does beside.
#[derive(Clone, Copy)]
pub(super) struct Writing {
    pub(super) count: Count,
    /// Counts transactions; the same number again is the same transaction.
    pub(super) number: i64,
    /// Whether it notes changes or audit rows: those are written by one transaction at a time.
    pub(super) feed: bool,
    /// The deadline.
    pub(super) within: Duration,
}

/// Where jobs are handed over.
pub(super) struct Link {
    jobs: mpsc::Sender<Job>,
}

impl Link {
    pub(super) fn start(target: Target, node: String, within: Duration) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let failed = |error| StoreError::Database(format!("PostgreSQL: cannot start its thread: {error}"));
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
        let state = State { target, node, within, session: None, failed: None, writer: None };
        let mut worker = Worker { runtime, state };
        let serve = move || inbox.iter().for_each(|job| job(&mut worker));
        thread::Builder::new().name("postgres".into()).spawn(serve).map_err(failed)?;
        Ok(Self { jobs })
    }

    fn ask<T: Send + 'static>(
        &self,
        within: Duration,
        job: impl FnOnce(&mut Worker, Instant) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + within;
        let (answer, answered) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |worker| {
            // Nobody waits any more for a job that stood behind one that hung.
            if Instant::now() < until {
                drop(answer.send(job(worker, until)));
            }
        });
        let gone = || StoreError::Database("PostgreSQL: its thread has ended".to_owned());
        self.jobs.send(job).map_err(|_| gone())?;
        answered.recv_timeout(within + GRACE).map_err(|error| match error {
            RecvTimeoutError::Timeout => silent(within),
            RecvTimeoutError::Disconnected if Instant::now() >= until => silent(within),
            RecvTimeoutError::Disconnected => gone(),
        })
    }

    /// Runs what only reads.
    pub(super) fn read<T, W>(&self, within: Duration, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: AsyncFn(&Session) -> Result<T, Fault> + Send + 'static,
    {
        self.ask(within, move |worker, until| {
            let done = worker.run(until, async |state| state.read(&work).await);
            done.unwrap_or_else(|| Err(silent(within)))
        })?
    }

    /// Runs a transaction; `None` when it was written by an earlier call with the same number.
    pub(super) fn write<T, W>(&self, writing: Writing, work: W) -> Result<Option<T>, StoreError>
    where
        T: Send + 'static,
        W: AsyncFn(&Session) -> Result<T, Fault> + Send + 'static,
    {
        let within = writing.within;
        let answer = self.ask(within, move |worker, until| {
            let mut sent = None;
            let done = worker.run(until, async |state| state.write(writing, &work, &mut sent).await);
            let done = done.unwrap_or_else(|| Err(silent(within)));
            if sent.is_some() { done.map_err(unknown) } else { done }
        });
        // Without an answer of the thread it may be on its way still.
        answer.map_err(unknown)?
    }
}

fn unknown(error: StoreError) -> StoreError {
    match error {
        StoreError::Database(reason) => {
            StoreError::Database(format!("{reason}; whether it was written is not known"))
        }
        error => error,
    }
}

fn silent(within: Duration) -> StoreError {
    StoreError::Database(format!("PostgreSQL did not answer within {} s", within.as_secs_f32()))
}

struct Worker {
    runtime: Runtime,
    state: State,
}

impl Worker {
    /// Returns `None` at the deadline; the connection is given up then.
    fn run<T>(&mut self, until: Instant, work: impl AsyncFnOnce(&mut State) -> T) -> Option<T> {
        let Self { runtime, state } = self;
        let done = runtime.block_on(async {
            let work = Box::pin(work(&mut *state));
            timeout_at(until.into(), work).await.ok()
        });
        if done.is_none() {
            state.session = None;
            // The connection's task ends only while the runtime runs.
            runtime.block_on(tokio::task::yield_now());
        }
        done
    }
}

struct State {
    target: Target,
    node: String,
    within: Duration,
    session: Option<Session>,
    /// When connecting failed, how long nobody tries, and why.
    failed: Option<(Instant, Duration, String)>,
    /// Its row in `writer`.
    writer: Option<i64>,
}

impl State {
    async fn connect(&mut self) -> Result<(), Fault> {
        if self.session.as_ref().is_some_and(|session| !session.is_closed()) {
            return Ok(());
        }
        self.session = None;
        if let Some((at, pause, reason)) = &self.failed
            && at.elapsed() < *pause
        {
            return Err(Fault::Lost(reason.clone()));
        }
        match Session::connect(&self.target, self.within).await {
            Ok(session) => {
                self.session = Some(session);
                self.failed = None;
                Ok(())
            }
            Err(fault) => {
                let Fault::Lost(reason) = fault else { return Err(fault) };
                let pause = self.failed.take().map_or(SHORTEST_PAUSE, |(_, pause, _)| pause * 2);
                self.failed = Some((Instant::now(), pause.min(LONGEST_PAUSE), reason.clone()));
                Err(Fault::Lost(reason))
            }
        }
    }

    async fn session(&mut self) -> Result<&Session, Fault> {
        self.connect().await?;
        self.session.as_ref().ok_or_else(|| Fault::Lost("not connected".to_owned()))
    }

    async fn read<T>(&mut self, work: &impl AsyncFn(&Session) -> Result<T, Fault>) -> Result<T, StoreError> {
        for _ in 0..2 {
            let done = match self.session().await {
                Ok(session) => work(session).await,
                Err(fault) => Err(fault),
            };
            match done {
                Err(Fault::Lost(_)) => self.session = None,
                done => return done.map_err(Fault::into_error),
            }
        }
        let reason = self.failed.as_ref().map_or("the connection was lost", |(_, _, reason)| reason);
        Err(StoreError::Database(format!("PostgreSQL: {reason}")))
    }

    /// `sent` holds a value while a commit was sent whose answer is not known.
    async fn write<T>(
        &mut self,
        writing: Writing,
        work: &impl AsyncFn(&Session) -> Result<T, Fault>,
        sent: &mut Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut tries = 0;
        loop {
            let fault = match self.attempt(writing, work, sent).await {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            tries += 1;
            let again = match &fault {
                Fault::Lost(_) => {
                    self.session = None;
                    // Once more, or, to know what became of a commit, up to the deadline.
                    tries < 2 || sent.is_some()
                }
                Fault::Undone(_) => tries < TRIES,
                _ => false,
            };
            if !again {
                return Err(fault.into_error());
            }
            if tries > 1 {
                sleep(SHORTEST_PAUSE).await;
            }
        }
    }

    async fn attempt<T>(
        &mut self,
        writing: Writing,
        work: &impl AsyncFn(&Session) -> Result<T, Fault>,
        sent: &mut Option<T>,
    ) -> Result<Option<T>, Fault> {
        let writer = self.writer().await?;
        let session = self.session().await?;
        let (count, number) = (writing.count.column(), writing.number);
        // Waits for the transaction before, should the server still be at it. Read committed: what is read after a
        // lock was waited for is what its holder left.
        let mut begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED;
             UPDATE writer SET {count} = {number}, at = now() WHERE writer = {writer} AND {count} < {number}"
        );
        if writing.feed {
            begin.push_str(&format!("; SELECT pg_advisory_xact_lock({FEED})"));
        }
        let begun = session.batch(&begin).await?;
        if begun.get(1) != Some(&1) {
            session.batch("ROLLBACK").await?;
            let known: Option<i64> =
                session.value("SELECT writer FROM writer WHERE writer = $1", &[&writer]).await?;
            if known.is_some() {
                return Ok(sent.take());
            }
            self.writer = None;
            return Err(Fault::Undone("its row of writers was deleted".to_owned()));
        }
        // It was not written before.
        *sent = None;
        let done = match work(session).await {
            Ok(done) => done,
            Err(fault) => {
                if !matches!(fault, Fault::Lost(_)) && session.batch("ROLLBACK").await.is_err() {
                    self.session = None;
                }
                return Err(fault);
            }
        };
        *sent = Some(done);
        match session.batch("COMMIT").await {
            Ok(_) => Ok(sent.take()),
            Err(fault @ Fault::Lost(_)) => Err(fault),
            Err(fault) => {
                *sent = None;
                Err(fault)
            }
        }
    }

    async fn writer(&mut self) -> Result<i64, Fault> {
        if let Some(writer) = self.writer {
            return Ok(writer);
        }
        let node = self.node.clone();
        let session = self.session().await?;
        // Rows of the long dead; one that lives after all makes itself a new one.
        session.run("DELETE FROM writer WHERE at < now() - interval '30 days'", &[]).await?;
        let writer =
            session.value("INSERT INTO writer (node) VALUES ($1) RETURNING writer", &[&node]).await?;
        self.writer = writer;
        writer.ok_or_else(|| Fault::Lost("no row of writers".to_owned()))
    }
}
