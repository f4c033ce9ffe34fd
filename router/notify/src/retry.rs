//! When to try again.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// How failed attempts are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Wait after the first failure; it doubles with each further one.
    pub first: Duration,
    /// Longest wait.
    pub most: Duration,
    /// How long a notification is tried; after that it is old news.
    pub lifetime: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(5 * 60),
            lifetime: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Retry {
    /// Returns the wait after so many failures. `jitter`, from 0 to 255, makes it up to half as long again, so that
    /// nodes that failed together do not come back together.
    pub(crate) fn wait(&self, failures: u32, jitter: u8) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let base = self.first.saturating_mul(doubled).min(self.most);
        base.saturating_add((base / 2).saturating_mul(jitter.into()) / 255).min(self.most)
    }
}

/// Returns a random number; without randomness the middle.
pub(crate) fn jitter() -> u8 {
    let mut byte = [128];
    // The buffer stays as it is if the system has no randomness, and a wait without jitter is still a wait.
    let _ = SystemRandom::new().fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_from_a_second_to_five_minutes() {
        let retry = Retry::default();
        let waits: Vec<u64> = (1..=11).map(|failures| retry.wait(failures, 0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(retry.wait(2, 255), Duration::from_secs(3));
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_the_first_nor_longer_than_the_most(failures in any::<u32>(), jitter: u8) {
            let retry = Retry::default();
            let wait = retry.wait(failures, jitter);
            prop_assert!(wait >= retry.first && wait <= retry.most, "{wait:?}");
        }
    }
}
