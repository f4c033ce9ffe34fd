//! What a call may cost, and the counting of it.

use thiserror::Error;
use wasmtime::ResourceLimiter;

use crate::engine::{MAX_MEMORY, MAX_TABLE_ELEMENTS};

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

/// Log lines of one call; more are left out. Nobody reads them, and a request must not fill a disk.
const LOG_LINES: u32 = 32;

/// Why the host stopped a guest. Travels through the engine as an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Stop {
    #[error("out of time")]
    Deadline,
    #[error("out of memory")]
    Memory,
    #[error("too many host calls")]
    HostCalls,
}

/// Counts what one instance uses.
#[derive(Debug)]
pub(crate) struct Meter {
    memory: usize,
    memory_limit: usize,
    host_calls_left: u32,
    log_lines_left: u32,
    stop: Option<Stop>,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory.min(MAX_MEMORY),
            host_calls_left: limits.host_calls,
            log_lines_left: LOG_LINES,
            stop: None,
        }
    }

    /// Starts another call of the same instance; its memory stays.
    pub(crate) fn renew(&mut self, limits: &Limits) {
        *self = Self { memory: self.memory, ..Self::new(limits) };
    }

    /// Returns the bytes of linear memory in use. Memories never shrink, so this is the peak too.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Whether so much is in use that a fresh instance is better.
    pub(crate) fn is_bloated(&self) -> bool {
        self.memory > self.memory_limit / 2
    }

    /// Returns why the guest was stopped, should it have been.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stop
    }

    /// Counts a host call.
    pub(crate) fn host_call(&mut self) -> Result<(), Stop> {
        match self.host_calls_left.checked_sub(1) {
            Some(left) => {
                self.host_calls_left = left;
                Ok(())
            }
            None => Err(self.stop(Stop::HostCalls)),
        }
    }

    /// Whether one more log line may be written.
    pub(crate) fn log_line(&mut self) -> bool {
        let left = self.log_lines_left.checked_sub(1);
        self.log_lines_left = left.unwrap_or(0);
        left.is_some()
    }

    /// Notes why the guest is stopped.
    pub(crate) fn stop(&mut self, stop: Stop) -> Stop {
        *self.stop.get_or_insert(stop)
    }
}

impl ResourceLimiter for Meter {
    // Refusals are traps, not a failed `memory.grow`: interpreters answer that with exceptions of their own, and a
    // guest that catches those would go on at its limit until the deadline.
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let memory = self.memory.saturating_sub(current).saturating_add(desired);
        if memory > self.memory_limit {
            return Err(self.stop(Stop::Memory).into());
        }
        self.memory = memory;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > MAX_TABLE_ELEMENTS {
            return Err(self.stop(Stop::Memory).into());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_an_instance_count_together() {
        let mut meter = Meter::new(&Limits { memory: 100, ..Limits::default() });
        assert!(meter.memory_growing(0, 60, None).is_ok_and(|grown| grown));
        assert!(meter.memory_growing(0, 30, None).is_ok_and(|grown| grown));
        assert!(meter.memory_growing(30, 40, None).is_ok_and(|grown| grown));
        assert_eq!(meter.memory(), 100);
        assert!(meter.memory_growing(60, 61, None).is_err());
        assert_eq!((meter.memory(), meter.stopped()), (100, Some(Stop::Memory)));
    }

    #[test]
    fn renewing_gives_host_calls_back_but_not_memory() {
        let limits = Limits { memory: 100, host_calls: 1, ..Limits::default() };
        let mut meter = Meter::new(&limits);
        assert!(meter.memory_growing(0, 60, None).is_ok());
        assert_eq!((meter.host_call(), meter.host_call()), (Ok(()), Err(Stop::HostCalls)));
        meter.renew(&limits);
        assert_eq!((meter.host_call(), meter.stopped()), (Ok(()), None));
        assert!(meter.is_bloated());
    }
}
