//! What every plugin may use: log lines, settings, counters, the clock and randomness.
//!
//! Outside of WebAssembly these are answered by [`crate::testing::FakeHost`].

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth a line.
    Info,
    /// Something to look at.
    Warn,
    /// Something to repair.
    Error,
}

#[cfg(target_family = "wasm")]
use crate::guest::host as real;
#[cfg(not(target_family = "wasm"))]
use crate::testing::host as real;

/// Writes a log line under the plugin's id.
///
/// ```
/// use tidegate_plugin_sdk::{host, testing::FakeHost};
/// let fake = FakeHost::install();
/// host::log(host::Level::Info, "hello");
/// assert_eq!(fake.logs(), [(host::Level::Info, "hello".to_owned())]);
/// ```
pub fn log(level: Level, message: &str) {
    real::log(level, message);
}

/// Returns what the operator set for this plugin under a name.
///
/// ```
/// use tidegate_plugin_sdk::{host, testing::FakeHost};
/// let fake = FakeHost::install();
/// fake.set_config("region", "eu");
/// assert_eq!(host::config("region").as_deref(), Some("eu"));
/// ```
#[must_use]
pub fn config(name: &str) -> Option<String> {
    real::config(name)
}

/// Adds to a counter of the plugin.
///
/// ```
/// use tidegate_plugin_sdk::{host, testing::FakeHost};
/// let fake = FakeHost::install();
/// host::count("found", 2);
/// assert_eq!(fake.counter("found"), 2);
/// ```
pub fn count(counter: &str, by: u64) {
    real::count(counter, by);
}

/// Returns milliseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use tidegate_plugin_sdk::{host, testing::FakeHost};
/// let fake = FakeHost::install();
/// fake.set_now_ms(1_000);
/// assert_eq!(host::now_ms(), 1_000);
/// ```
#[must_use]
pub fn now_ms() -> u64 {
    real::now_ms()
}

/// Returns unpredictable bytes, 1024 at most. Native tests get the same ones each time.
///
/// ```
/// use tidegate_plugin_sdk::host;
/// assert_eq!(host::random(8).len(), 8);
/// ```
#[must_use]
pub fn random(length: u32) -> Vec<u8> {
    real::random(length)
}
