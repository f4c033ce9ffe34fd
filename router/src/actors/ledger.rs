//! The ledger's actor: the open batch of settlements, holds and log rows.
//!
//! - **owns** when the batch that is not written yet is written. Requests add to it themselves: a message, and with it a
//!   thread that wakes, for each batch rather than for each entry.
//! - **answers** nothing; entries that must be durable are acknowledged after their commit.
//! - **never** writes on its own thread: batches go to a writer thread that owns the store connection.
//!
//! Group commit: a batch leaves after 20 ms, or at once when somebody waits for it and no commit is
//! running. While the store refuses, batches are kept and tried again, and [`LedgerHandle::healthy`] is false: keys
//! with a budget are refused then, because spend that can't be written down may not happen.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use actix::{Actor, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message};
use tidegate_store::{LedgerEntry, Store};
use tokio::sync::oneshot;

use super::Unavailable;

/// A crash in `batch` mode loses at most the settlements of this time.
const FLUSH_AFTER: Duration = Duration::from_millis(20);
/// A batch larger than this leaves early.
const FLUSH_AT: usize = 2_000;
/// Longest wait for a commit, on a full disk say; then the request is refused or the stream ends.
const DURABLE_WITHIN: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_millis(500);
const MAILBOX: usize = 16_384;

/// Where the ledger is reached.
pub struct LedgerHandle {
    address: Addr<LedgerActor>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The batch that is not written yet. Locked to add to it or to take it, never longer.
    open: Mutex<Open>,
    failing: AtomicBool,
    waiting: AtomicU64,
    written: AtomicU64,
}

impl State {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the ledger shows of itself.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LedgerView {
    /// Whether the last commit worked.
    pub healthy: bool,
    /// Entries not written yet.
    pub waiting: u64,
    /// Entries written since start.
    pub written: u64,
}

impl LedgerHandle {
    /// Starts the ledger on an arbiter, with a connection of its own.
    ///
    /// # Errors
    /// When the writer thread can't be started.
    pub fn start(store: Box<dyn Store>, arbiter: &ArbiterHandle) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let (batches, inbox) = mpsc::channel::<Batch>();
        let shared = state.clone();
        let actor_state = state.clone();
        let address = LedgerActor::start_in_arbiter(arbiter, move |_| LedgerActor {
            batches,
            flush_scheduled: false,
            state: actor_state,
        });
        let done = address.clone();
        thread::Builder::new().name("ledger".into()).spawn(move || write(store, &inbox, &shared, &done))?;
        Ok(Self { address, state })
    }

    /// Returns false while the store refuses commits.
    #[must_use]
    pub fn healthy(&self) -> bool {
        !self.state.failing.load(Ordering::Relaxed)
    }

    /// Returns the ledger's state.
    #[must_use]
    pub fn view(&self) -> LedgerView {
        LedgerView {
            healthy: self.healthy(),
            waiting: self.state.waiting.load(Ordering::Relaxed),
            written: self.state.written.load(Ordering::Relaxed),
        }
    }

    /// Appends an entry and waits until it is durable.
    ///
    /// # Errors
    /// [`Unavailable`] when the ledger is gone, or the store refuses for longer than a caller should wait; the entry
    /// is written all the same once it can be.
    pub async fn append_durable(&self, entry: LedgerEntry) -> Result<(), Unavailable> {
        let (done, written) = oneshot::channel();
        self.tell(entry, Some(done));
        match tokio::time::timeout(DURABLE_WITHIN, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Unavailable),
        }
    }

    /// Appends an entry; it is durable within a few tens of milliseconds.
    pub fn append(&self, entry: LedgerEntry) {
        self.tell(entry, None);
    }

    /// Waits until everything appended so far is durable.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.address.send(Flush { done }).await.is_ok() {
            let _closed = written.await;
        }
    }

    fn tell(&self, entry: LedgerEntry, done: Option<oneshot::Sender<()>>) {
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        let urgent = done.is_some();
        let count = {
            let mut open = self.state.open();
            open.batch.entries.push(entry);
            open.batch.waiters.extend(done);
            open.batch.entries.len()
        };
        // Whoever comes first wakes the actor, and whoever fills the batch: the others find it awake.
        if urgent || count == 1 || count == FLUSH_AT {
            self.wake(Look { now: urgent || count >= FLUSH_AT });
        }
    }

    #[expect(clippy::disallowed_methods, reason = "at most a few for each batch, a bound of its own")]
    fn wake(&self, look: Look) {
        self.address.do_send(look);
    }
}

/// What is not written yet.
#[derive(Default)]
struct Open {
    batch: Batch,
    /// Whether the writer has a batch, and the actor did not hear yet that it is written.
    committing: bool,
}

/// What is written together.
#[derive(Default)]
struct Batch {
    entries: Vec<LedgerEntry>,
    waiters: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.waiters.is_empty()
    }
}

fn write(mut store: Box<dyn Store>, inbox: &mpsc::Receiver<Batch>, state: &State, done: &Addr<LedgerActor>) {
    while let Ok(batch) = inbox.recv() {
        while !batch.entries.is_empty() {
            match store.commit(&batch.entries) {
                Ok(()) => break,
                Err(error) => {
                    if !state.failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, entries = batch.entries.len(), "ledger commit failed, trying again");
                    }
                    thread::sleep(RETRY_AFTER);
                }
            }
        }
        if state.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("ledger commits work again");
        }
        let count = batch.entries.len() as u64;
        state.waiting.fetch_sub(count, Ordering::Relaxed);
        state.written.fetch_add(count, Ordering::Relaxed);
        for waiter in batch.waiters {
            let _asker_gone = waiter.send(());
        }
        let is_idle = {
            let mut open = state.open();
            open.committing = !open.batch.is_empty();
            !open.committing
        };
        // Where nothing came meanwhile its thread may sleep: whoever comes next wakes it.
        if !is_idle && done.try_send(Committed).is_err() {
            // A full mailbox flushes by size; a closed one means that the process ends.
            tracing::debug!("ledger busy");
        }
    }
}

/// The actor: decides when the open batch is written.
struct LedgerActor {
    batches: mpsc::Sender<Batch>,
    flush_scheduled: bool,
    state: Arc<State>,
}

impl LedgerActor {
    fn flush(&mut self) {
        let batch = {
            let mut open = self.state.open();
            if open.batch.is_empty() {
                return;
            }
            open.committing = true;
            std::mem::take(&mut open.batch)
        };
        if self.batches.send(batch).is_err() {
            self.state.failing.store(true, Ordering::Relaxed);
            tracing::error!("ledger writer is gone");
        }
    }

    fn schedule(&mut self, context: &mut Context<Self>) {
        if !self.flush_scheduled {
            self.flush_scheduled = true;
            context.run_later(FLUSH_AFTER, |actor, _| {
                actor.flush_scheduled = false;
                actor.flush();
            });
        }
    }
}

impl Actor for LedgerActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

/// There is something in the open batch.
#[derive(Message)]
#[rtype(result = "()")]
struct Look {
    /// Somebody waits for it, or it is full.
    now: bool,
}

impl Handler<Look> for LedgerActor {
    type Result = ();

    fn handle(&mut self, look: Look, context: &mut Self::Context) {
        let (is_full, committing) = {
            let open = self.state.open();
            (open.batch.entries.len() >= FLUSH_AT, open.committing)
        };
        if is_full || (look.now && !committing) {
            self.flush();
        } else if !committing {
            self.schedule(context);
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Flush {
    done: oneshot::Sender<()>,
}

impl Handler<Flush> for LedgerActor {
    type Result = ();

    fn handle(&mut self, order: Flush, _context: &mut Self::Context) {
        self.state.open().batch.waiters.push(order.done);
        self.flush();
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Committed;

impl Handler<Committed> for LedgerActor {
    type Result = ();

    fn handle(&mut self, _news: Committed, context: &mut Self::Context) {
        let (is_awaited, is_empty) = {
            let mut open = self.state.open();
            open.committing = false;
            (!open.batch.waiters.is_empty(), open.batch.is_empty())
        };
        if is_awaited {
            self.flush();
        } else if !is_empty {
            self.schedule(context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::shards::Shards;
    use tidegate_store::{LogFilter, LogRow, SettleRecord, SqliteStore};

    #[actix::test]
    async fn durable_entries_are_in_the_store_when_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let store = SqliteStore::open(&path).unwrap();
        let ledger = LedgerHandle::start(Box::new(store), &Shards::start(1).of("ledger")).unwrap();
        for id in ["a", "b"] {
            let row = LogRow { id: id.into(), ..LogRow::default() };
            let entry = LedgerEntry::Settle(Box::new(SettleRecord {
                budgets: Vec::new(),
                held: false,
                row: row.into(),
            }));
            if id == "a" {
                ledger.append(entry);
            } else {
                ledger.append_durable(entry).await.unwrap();
            }
        }
        let rows = SqliteStore::open(&path).unwrap().logs(&LogFilter::default()).unwrap();
        assert_eq!(rows.len(), 2);
        ledger.flush().await;
        assert_eq!(ledger.view().waiting, 0);
    }
}
