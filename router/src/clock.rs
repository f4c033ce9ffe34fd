//! The clocks of the process: one monotonic for limits, one for the calendar.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Returns the time since the process first asked, plus an hour so that it is never near zero. Follows tokio's
/// paused clock in tests.
#[must_use]
pub fn uptime() -> Duration {
    START.get_or_init(Instant::now).elapsed() + Duration::from_secs(3_600)
}

/// Returns the seconds by which idle time is told: of a monotonic clock that is cheap to ask, and a few milliseconds late at
/// most. Does not follow tokio's paused clock.
#[must_use]
pub fn idling() -> u64 {
    coarse::monotonic()
}

/// Returns seconds since the epoch, a few milliseconds late at most: each request asks several times.
#[must_use]
pub fn unix() -> i64 {
    coarse::calendar()
}

/// Returns milliseconds since the epoch.
#[must_use]
pub fn unix_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// Clocks that are set with each tick of the kernel: reading them asks no hardware, a third of what the exact ones cost.
#[cfg(target_os = "linux")]
mod coarse {
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn monotonic() -> u64 {
        u64::try_from(clock_gettime(ClockId::MonotonicCoarse).tv_sec).unwrap_or(0)
    }

    pub(super) fn calendar() -> i64 {
        clock_gettime(ClockId::RealtimeCoarse).tv_sec
    }
}

#[cfg(not(target_os = "linux"))]
mod coarse {
    pub(super) fn monotonic() -> u64 {
        super::uptime().as_secs()
    }

    pub(super) fn calendar() -> i64 {
        super::unix_ms() / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_clocks_are_late_by_milliseconds_at_most() {
        let exact = || (unix_ms() - 100) / 1_000;
        for _ in 0..1_000 {
            let before = exact();
            let seconds = unix();
            assert!((before..=unix_ms() / 1_000).contains(&seconds), "{seconds} after {before}");
        }
        let began = idling();
        std::thread::sleep(Duration::from_millis(1_100));
        assert!((began + 1..=began + 3).contains(&idling()));
    }
}
