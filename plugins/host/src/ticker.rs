//! The thread whose ticks take the processor back from guests. It sleeps while no guest runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::Engine;

use crate::HostError;

/// The next tick while a guest runs.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// The next tick where no guest runs at the last one: those that begin meanwhile mostly end meanwhile, and each tick takes
/// the processor from somebody.
const CALM: Duration = Duration::from_millis(4);
/// Time without a guest before the thread sleeps: waking it costs more than the ticks of a short pause.
const REST_AFTER: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// Owns the thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

/// Held while a guest runs, or may.
#[derive(Debug)]
pub(crate) struct Running(Arc<Shared>);

impl Ticker {
    pub(crate) fn start(engine: Engine) -> Result<Self, HostError> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("plugin-ticker".to_owned())
            .spawn(move || tick(&engine, &seen))
            .map_err(HostError::Threads)?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// Makes sure that ticks come until the answer is dropped.
    pub(crate) fn run(&self) -> Running {
        // Both sides write one flag and then read the other, in one order for all threads: so either this thread
        // sees the ticker asleep, or the ticker sees this guest.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(Arc::clone(&self.shared))
    }

    #[cfg(test)]
    fn is_asleep(&self) -> bool {
        self.shared.asleep.load(Ordering::SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(engine: &Engine, shared: &Shared) {
    let mut quiet = Duration::ZERO;
    while !shared.stop.load(Ordering::SeqCst) {
        let is_calm = shared.running.load(Ordering::SeqCst) == 0;
        quiet = if is_calm { quiet + CALM } else { Duration::ZERO };
        if quiet > REST_AFTER {
            shared.asleep.store(true, Ordering::SeqCst);
            while shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            shared.asleep.store(false, Ordering::SeqCst);
            quiet = Duration::ZERO;
        }
        thread::sleep(if is_calm { CALM } else { TICK });
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
            thread::yield_now();
        }
    }

    #[test]
    fn ticker_sleeps_without_guests_and_wakes_for_one() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        wait_for("sleep", || ticker.is_asleep());
        let running = ticker.run();
        wait_for("waking", || !ticker.is_asleep());
        drop(running);
        wait_for("sleep again", || ticker.is_asleep());
    }

    #[test]
    fn ticker_thread_ends_with_its_owner() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let shared = Arc::downgrade(&ticker.shared);
        drop(ticker);
        wait_for("the end of the thread", || shared.strong_count() == 0);
    }
}
