//! What a call may cost.

/// The limits of one call of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds of a processor that the guest may use.
    pub deadline_ms: u64,
    /// Milliseconds on the clock, with queueing and host calls.
    pub total_ms: u64,
    /// Bytes of linear memory.
    pub memory: usize,
    /// Bytes of what is given to the guest.
    pub input: usize,
    /// Bytes of what the guest answers, and of what it hands to the host in one call.
    pub output: usize,
    /// How often the guest may call the host.
    pub host_calls: u32,
    /// How many calls of the plugin may run at once.
    pub concurrency: usize,
    /// Bytes of a request or response body of the `http` power.
    pub http_body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A guard of a prompt takes microseconds, an interpreted one about a millisecond.
            deadline_ms: 50,
            total_ms: 5_000,
            // The largest measured guest (StarlingMonkey) starts with 9 MiB, Python with 12 MiB.
            memory: 64 << 20,
            input: 8 << 20,
            output: 8 << 20,
            host_calls: 1_000,
            concurrency: 64,
            http_body: 4 << 20,
        }
    }
}
