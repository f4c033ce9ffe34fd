//! A deadline that moves with every read.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

/// Bounds one wait after the other. The timer behind it is set rarely: one that is set too early rings for nothing and
/// is set again then, which costs less than to move it with every wait.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom the timer wakes as it is set.
    wakes: Option<Waker>,
}

/// The time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Late;

impl Alarm {
    /// Waits for a future, until `at` at most. What is ready counts, even if it is late.
    ///
    /// # Errors
    /// [`Late`]
    pub(super) async fn within<F: Future>(&mut self, at: Instant, future: F) -> Result<F::Output, Late> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            let Self { timer, wakes } = self;
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
            let is_known = wakes.as_ref().is_some_and(|known| known.will_wake(context.waker()));
            if timer.deadline() > at {
                timer.as_mut().reset(at);
            } else if is_known && !timer.is_elapsed() {
                // It is set, and rings for this task.
                return Poll::Pending;
            }
            while timer.as_mut().poll(context).is_ready() {
                if at <= Instant::now() {
                    *wakes = None;
                    return Poll::Ready(Err(Late));
                }
                timer.as_mut().reset(at);
            }
            if !is_known {
                *wakes = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;

    const TICK: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn every_wait_has_its_own_end() {
        let mut alarm = Alarm::default();
        let start = Instant::now();
        // The last is long over.
        for (at, rings) in [(1, 1), (5, 5), (8, 8), (10, 10), (3, 10)] {
            let waited = alarm.within(start + TICK * at, pending::<()>()).await;
            assert_eq!(waited, Err(Late));
            assert!(start.elapsed() >= TICK * rings && start.elapsed() < TICK * (rings + 100));
        }
    }

    #[tokio::test]
    async fn what_is_ready_is_taken() {
        let mut alarm = Alarm::default();
        let now = Instant::now();
        assert_eq!(alarm.within(now, async { 7 }).await, Ok(7));
        let soon = async {
            tokio::time::sleep(TICK).await;
            8
        };
        assert_eq!(alarm.within(now + TICK * 200, soon).await, Ok(8));
        // The timer is set for a later time than this.
        assert_eq!(alarm.within(now + TICK * 3, pending::<()>()).await, Err(Late));
        assert!(now.elapsed() >= TICK * 3 && now.elapsed() < TICK * 150);
    }

    #[tokio::test]
    async fn whoever_waits_last_is_woken() {
        let mut alarm = Alarm::default();
        let at = Instant::now() + TICK;
        let mut elsewhere = std::task::Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(pin!(alarm.within(at, pending::<()>())).poll(&mut elsewhere).is_pending());
        }
        let late = alarm.within(at, pending::<()>());
        assert_eq!(tokio::time::timeout(TICK * 100, late).await, Ok(Err(Late)));
        // It rang while nobody waited.
        assert!(pin!(alarm.within(at + TICK, pending::<()>())).poll(&mut elsewhere).is_pending());
        tokio::time::sleep(TICK * 2).await;
        let late = alarm.within(at + TICK * 3, pending::<()>());
        assert_eq!(tokio::time::timeout(TICK * 100, late).await, Ok(Err(Late)));
    }
}
