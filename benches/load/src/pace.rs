//! When the mock sends the next chunk.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// A pace that begins when it is made.
pub(crate) enum Pace {
    /// The runtime's timers: they go off at whole milliseconds, many at once, and cost the mock next to nothing.
    Rough(Interval),
    /// The kernel's timers, for measuring less than a millisecond. With the runtime's, a target that asks 0.1 ms later
    /// is answered either at the same instant or a whole millisecond later. A timer is read like a pipe: eight bytes each
    /// time that it went off.
    Exact(Receiver),
}

impl Pace {
    pub(crate) fn rough(gap: Duration) -> Self {
        let mut ticks = interval_at(Instant::now() + gap, gap);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Rough(ticks)
    }

    pub(crate) fn exact(gap: Duration) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        timer.set(Expiration::Interval(TimeSpec::from_duration(gap)), TimerSetTimeFlags::empty())?;
        Ok(Self::Exact(Receiver::from_file_unchecked(File::from(OwnedFd::from(timer)))?))
    }

    /// Waits until the next chunk is due.
    pub(crate) async fn tick(&mut self) -> io::Result<()> {
        match self {
            Self::Rough(ticks) => {
                ticks.tick().await;
            }
            Self::Exact(timer) => {
                timer.read_exact(&mut [0; 8]).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::work::block_on;

    #[test]
    fn an_exact_pace_is_neither_early_nor_tied_to_milliseconds() {
        let gap = Duration::from_micros(300);
        let series = || {
            block_on(async {
                let started = Instant::now();
                let mut pace = Pace::exact(gap)?;
                for _ in 0..50 {
                    pace.tick().await?;
                }
                Ok(started.elapsed())
            })
        };
        // The runtime's timers would take 50 ms, always. A busy machine delays some series, not all of them.
        let least = (0..10).map(|_| series().unwrap()).min().unwrap();
        assert!((gap * 50..gap * 100).contains(&least), "{least:?}");
    }
}
