//! How long a guest has been running.
//!
//! Two clocks: processor time of the threads that ran the guest, so that a busy machine does not make a good guest
//! look like an endless loop, and the time on the wall, which also counts queueing and waiting.
//!
//! On its caller's thread a guest has two ticks, and most need a hundredth of one: to ask the system twice what
//! processor time that took would cost more than the guest. So there only the wall counts.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::Limits;

/// The time of one call. Written by the thread that polls it, read by host functions on that thread: the atomics are
/// for the change of threads between polls, which synchronises by itself.
#[derive(Debug)]
pub(crate) struct Clock {
    used_ns: AtomicU64,
    entered_ns: AtomicU64,
    limit_ns: u64,
    pub(crate) until: Instant,
    on_caller: AtomicBool,
}

impl Clock {
    /// Starts at `now`, on the caller's thread or not.
    pub(crate) fn start(limits: &Limits, now: Instant, on_caller: bool) -> Arc<Self> {
        Arc::new(Self {
            used_ns: AtomicU64::new(0),
            entered_ns: AtomicU64::new(0),
            limit_ns: limits.deadline_ms.saturating_mul(1_000_000),
            until: now + Duration::from_millis(limits.total_ms),
            on_caller: AtomicBool::new(on_caller),
        })
    }

    /// Whether the time is up, asked from within a poll.
    pub(crate) fn is_over(&self) -> bool {
        let used = self.used_ns.load(Ordering::Relaxed).saturating_add(self.since());
        used >= self.limit_ns || Instant::now() >= self.until
    }

    /// Returns nanoseconds of processor time since the poll began; none while they are not counted.
    fn since(&self) -> u64 {
        if self.is_on_caller() {
            return 0;
        }
        thread_ns().saturating_sub(self.entered_ns.load(Ordering::Relaxed))
    }

    /// Whether the guest runs on the thread of whoever called it, and so must not wait.
    pub(crate) fn is_on_caller(&self) -> bool {
        self.on_caller.load(Ordering::Relaxed)
    }

    /// Notes that the guest moves to a background thread.
    pub(crate) fn leave_caller(&self) {
        self.on_caller.store(false, Ordering::Relaxed);
    }

    fn enter(&self) {
        if !self.is_on_caller() {
            self.entered_ns.store(thread_ns(), Ordering::Relaxed);
        }
    }

    fn leave(&self) {
        self.used_ns.fetch_add(self.since(), Ordering::Relaxed);
    }
}

/// A future whose polls a clock counts.
pub(crate) struct Clocked<T> {
    clock: Arc<Clock>,
    future: Pin<Box<dyn Future<Output = T> + Send>>,
}

impl<T> Clocked<T> {
    /// Makes the future in its box: it is large, and `Box::pin` would make it on the stack and copy it.
    #[inline(always)]
    pub(crate) fn new<F: Future<Output = T> + Send + 'static>(
        clock: Arc<Clock>,
        make: impl FnOnce() -> F,
    ) -> Self {
        let future: Box<F> = Box::write(Box::new_uninit(), make());
        Self { clock, future: Box::into_pin(future) }
    }
}

impl<T> Future for Clocked<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.clock.enter();
        let poll = self.future.as_mut().poll(context);
        self.clock.leave();
        poll
    }
}

/// Returns nanoseconds of processor time of this thread.
#[cfg(target_os = "linux")]
fn thread_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Elsewhere the time on the wall has to do.
#[cfg(not(target_os = "linux"))]
fn thread_ns() -> u64 {
    use std::sync::LazyLock;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn limits(deadline_ms: u64, total_ms: u64) -> Limits {
        Limits { deadline_ms, total_ms, ..Limits::default() }
    }

    #[test]
    fn waiting_between_polls_does_not_count_as_running() {
        let now = Instant::now();
        let clock = Clock::start(&limits(1_000, 60_000), now, false);
        let mut future = Clocked::new(Arc::clone(&clock), std::future::pending::<()>);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut future).poll(&mut context).is_pending());
        let used = clock.used_ns.load(Ordering::Relaxed);
        while now.elapsed() < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        assert_eq!(clock.used_ns.load(Ordering::Relaxed), used);
    }

    #[test]
    fn running_uses_the_deadline_up() {
        let clock = Clock::start(&limits(3, 600_000), Instant::now(), true);
        let begun = Instant::now();
        clock.enter();
        while begun.elapsed() < Duration::from_millis(6) {
            std::hint::spin_loop();
        }
        assert!(!clock.is_over(), "on the caller's thread its ticks are the limit");
        clock.leave();
        clock.leave_caller();
        clock.enter();
        assert!(!clock.is_over(), "it has just begun");
        while !clock.is_over() {
            std::hint::spin_loop();
        }
        clock.leave();
        assert!(clock.used_ns.load(Ordering::Relaxed) >= 3_000_000);
    }

    #[test]
    fn the_wall_clock_ends_a_call_that_never_runs() {
        let now = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let clock = Clock::start(&limits(60_000, 1_000), now, true);
        clock.enter();
        assert!(clock.is_over());
    }
}
