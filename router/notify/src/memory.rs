//! What has been sent: events with the same key are sent once within their window.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Below this many keys nothing is cleaned up.
const FEW: usize = 1_024;

/// Remembers keys. One that several nodes share makes them send an event once together.
///
/// Calls may block, for a store: they are made on threads for it. If a call fails the event is sent: rather twice than
/// never.
pub trait Memory: Send + Sync {
    /// Remembers the key until then (milliseconds since the epoch), and returns whether it already was remembered at
    /// `now_ms`. Of several that ask at once exactly one is told that it was not.
    ///
    /// # Errors
    /// A sentence for the log.
    fn seen(&self, key: &str, now_ms: i64, until_ms: i64) -> Result<bool, String>;
}

/// Remembers within this process.
#[derive(Debug, Default)]
pub struct InMemory {
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    until_ms: HashMap<String, i64>,
    clean_up_at: usize,
}

impl Memory for InMemory {
    fn seen(&self, key: &str, now_ms: i64, until_ms: i64) -> Result<bool, String> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.until_ms.get(key).is_some_and(|until| *until > now_ms) {
            return Ok(true);
        }
        if keys.until_ms.len() >= keys.clean_up_at.max(FEW) {
            keys.until_ms.retain(|_, until| *until > now_ms);
            // Twice what is left: the cost of cleaning up is spread over as many calls.
            keys.clean_up_at = keys.until_ms.len() * 2;
        }
        keys.until_ms.insert(key.to_owned(), until_ms);
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_seen_once_within_its_window() {
        let memory = InMemory::default();
        assert_eq!(memory.seen("a", 0, 100), Ok(false));
        assert_eq!(memory.seen("b", 0, 100), Ok(false));
        assert_eq!(memory.seen("a", 99, 200), Ok(true));
        assert_eq!(memory.seen("a", 100, 200), Ok(false));
        assert_eq!(memory.seen("a", 150, 200), Ok(true));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let memory = InMemory::default();
        for at in 0..100_000_i64 {
            assert_eq!(memory.seen(&format!("k{at}"), at, at + 10), Ok(false));
        }
        let kept = memory.keys.lock().expect("keys").until_ms.len();
        assert!(kept <= FEW + 1, "{kept}");
    }
}
