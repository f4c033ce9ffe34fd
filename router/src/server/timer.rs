//! A deadline that is moved far more often than it is met.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline. The clock is only told when it comes nearer; one that rang too early is told the rest.
pub(super) struct Timer {
    at: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Makes a timer for a deadline.
    pub(super) fn new(at: Instant) -> Self {
        Self { at, sleep: None }
    }

    /// Moves the deadline.
    pub(super) fn set(&mut self, at: Instant) {
        self.at = at;
    }

    /// Waits for the deadline.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
    }
}
