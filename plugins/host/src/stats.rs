//! What happened to a plugin so far.

use std::collections::BTreeMap;

use serde::Serialize;

/// Whether a plugin is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Live,
    /// It failed too often and rests.
    Quarantined,
}

/// A plugin's life since it was loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// Whether it is called.
    pub state: State,
    /// Milliseconds since 1970 when that became so.
    pub since_ms: u64,
    /// Calls that reached it: checks, windows and conditions.
    pub calls: u64,
    /// By kind: pass, mask, rewrite, fail, block, true, false.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// By [`crate::CallError::name`].
    pub errors: BTreeMap<&'static str, u64>,
    /// How often it trapped.
    pub traps: u64,
    /// Half of the calls took no longer, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 calls took no longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
    /// Bytes of linear memory, of its largest instance.
    pub memory_peak: u64,
    /// The plugin's own counters.
    pub counters: BTreeMap<String, u64>,
}
