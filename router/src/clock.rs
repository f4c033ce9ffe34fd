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

/// Returns seconds since the epoch.
#[must_use]
pub fn unix() -> i64 {
    unix_ms() / 1_000
}

/// Returns milliseconds since the epoch.
#[must_use]
pub fn unix_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
