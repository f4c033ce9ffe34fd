//! One call of a guest, from the caller's thread to the background and back.
//!
//! Most guards answer within microseconds, less than it takes to wake another thread: the guest is polled once where
//! the caller is. If it has not finished when the second tick comes, or wants to wait for the world, it moves to a
//! background thread of low priority and goes on there until it is done or out of time. So a hostile guest holds up
//! its caller's thread for five milliseconds at most, and where others like it ran just before for two. Dropping the call at any point stops the guest and frees its
//! slot.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::time::timeout_at;

use super::instance::Code;
use super::shelf::{Idle, Owner, Shelf};
use super::slots::{Slot, Slots};
use crate::background::Task;
use crate::bindings::{Answer, Ask};
use crate::clock::{Clock, Clocked};
use crate::guest::Lent;
use crate::host::Threads;
use crate::ticker::Running;
use crate::{CallError, Limits};

/// Bytes that are handed over on the caller's thread: no tick interrupts the copying.
const INLINE_INPUT: usize = 256 << 10;

/// Everything a call needs, owned: it may outlive the borrow of whoever made it.
pub(crate) struct Job {
    pub(crate) code: Code,
    pub(crate) lent: Arc<Lent>,
    pub(crate) tenant: Arc<str>,
    pub(crate) ask: Ask,
    /// Bytes of what is asked.
    pub(crate) input: usize,
    pub(crate) limits: Limits,
    /// Where an instance may be taken from and put back, and in whose name.
    pub(crate) shelf: Option<(Arc<Shelf>, Owner)>,
    /// Starting an instance takes so long that it is not tried on the caller's thread.
    pub(crate) starts_slowly: bool,
}

/// How a call ended.
pub(crate) struct Done {
    pub(crate) answer: Result<Answer, CallError>,
    /// Bytes of linear memory that the instance took.
    pub(crate) memory: usize,
}

impl Done {
    fn failed(error: CallError) -> Self {
        Self { answer: Err(error), memory: 0 }
    }
}

/// Runs a call that began at `now`.
pub(crate) async fn call(threads: &Threads, slots: &Slots, job: Job, now: Instant) -> Done {
    let running = threads.ticker.run();
    let warm = !job.starts_slowly || job.shelf.as_ref().is_some_and(|(shelf, owner)| shelf.has(owner));
    let slot = if warm && job.input <= INLINE_INPUT { slots.try_take() } else { None };
    let Some(slot) = slot else {
        return queue(threads, slots, job, running, now).await;
    };
    let clock = Clock::start(&job.limits, now, true);
    let mut work = Clocked::new(Arc::clone(&clock), || work(job, Arc::clone(&clock), slot));
    // Nothing needs to be woken: what is not ready is polled again by the background.
    if let Poll::Ready(done) = Pin::new(&mut work).poll(&mut Context::from_waker(Waker::noop())) {
        return done;
    }
    clock.leave_caller();
    let task = threads.background.spawn(finish(work, clock, running));
    join(task).await
}

/// Runs a call on the background from the start, after waiting for a slot.
async fn queue(threads: &Threads, slots: &Slots, job: Job, running: Running, now: Instant) -> Done {
    let slots = slots.clone();
    let task = threads.background.spawn(async move {
        let clock = Clock::start(&job.limits, now, false);
        match timeout_at(clock.until.into(), slots.take()).await {
            Ok(Some(slot)) => {
                let work = Clocked::new(Arc::clone(&clock), || work(job, Arc::clone(&clock), slot));
                finish(work, clock, running).await
            }
            Ok(None) | Err(_) => Done::failed(CallError::Busy),
        }
    });
    join(task).await
}

async fn join(task: Option<Task<Done>>) -> Done {
    let Some(task) = task else { return Done::failed(CallError::Busy) };
    let gone = || Done::failed(CallError::Trap { message: "the host broke down".to_owned() });
    task.join().await.unwrap_or_else(gone)
}

/// Ends a call at its last moment, even if the guest waits for the world.
async fn finish(work: Clocked<Done>, clock: Arc<Clock>, running: Running) -> Done {
    let done = timeout_at(clock.until.into(), work).await;
    drop(running);
    done.unwrap_or_else(|_| Done::failed(CallError::Deadline))
}

/// `slot` is an argument, and so outlives the instance however this ends: its place is free when it is given back.
async fn work(job: Job, clock: Arc<Clock>, mut slot: Slot) -> Done {
    let Job { code, lent, tenant, ask, limits, shelf, .. } = job;
    let reused = shelf.as_ref().and_then(|(shelf, owner)| shelf.take(owner));
    let (mut live, calls) = match reused {
        Some(Idle { mut live, place, calls, .. }) => {
            // The instance brought its place along.
            slot.place = place;
            live.renew(clock, &limits);
            (live, calls)
        }
        None => match code.start(lent, tenant, clock, &limits).await {
            Ok(live) => (live, 0),
            Err((error, memory)) => return Done { answer: Err(error), memory },
        },
    };
    let answer = live.call(&ask).await;
    let memory = live.memory();
    if let Some((shelf, owner)) = shelf
        && answer.as_ref().is_ok_and(Answer::is_judged)
        && !live.is_bloated()
    {
        shelf.put(&owner, live, slot.place, calls + 1, Instant::now());
    }
    Done { answer, memory }
}
