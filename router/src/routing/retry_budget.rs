//! How many retries a provider is worth: a share of its traffic, so that retries can't multiply an outage.
//!
//! First attempts pay in, retries take out. What is always there lets a quiet provider be retried as its config says.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;

/// Thousandths of a retry that each first attempt pays in: one retry for five requests.
const SHARE: u64 = 200;
/// Thousandths of a retry that come back every millisecond: ten retries a second.
const REFILL: u64 = 10;
/// Thousandths of a retry that can be saved: a hundred retries.
const MOST: u64 = 100_000;
/// Providers remembered. Guests bring their own names, so there is no end to them.
const PROVIDERS: usize = 4_096;

/// The budget of one provider. Time is passed in and must not go back.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    left: u64,
    at: Duration,
}

impl RetryBudget {
    /// Makes a full budget.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self { left: MOST, at: now }
    }

    /// Notes a first attempt.
    pub fn pay(&mut self, now: Duration) {
        self.refill(now);
        self.left = (self.left + SHARE).min(MOST);
    }

    /// Takes a retry out, if there is one.
    pub fn take(&mut self, now: Duration) -> bool {
        self.refill(now);
        let enough = self.left >= 1_000;
        if enough {
            self.left -= 1_000;
        }
        enough
    }

    fn refill(&mut self, now: Duration) {
        let ms = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        // Less than a millisecond is kept for the next time.
        if ms > 0 {
            self.at = now;
            self.left = self.left.saturating_add(ms.saturating_mul(REFILL)).min(MOST);
        }
    }
}

/// The budgets of all providers, by slug.
#[derive(Default)]
pub struct RetryBudgets {
    known: DashMap<Box<str>, Mutex<RetryBudget>>,
}

impl RetryBudgets {
    /// Notes a first attempt at a provider.
    pub fn pay(&self, provider: &str, now: Duration) {
        self.with(provider, now, |budget| budget.pay(now));
    }

    /// Returns whether a provider may be retried.
    pub fn take(&self, provider: &str, now: Duration) -> bool {
        self.with(provider, now, |budget| budget.take(now))
    }

    fn with<T>(&self, provider: &str, now: Duration, use_it: impl Fn(&mut RetryBudget) -> T) -> T {
        if let Some(budget) = self.known.get(provider) {
            return use_it(&mut budget.lock().unwrap_or_else(PoisonError::into_inner));
        }
        if self.known.len() >= PROVIDERS {
            self.known.clear();
        }
        let budget = self.known.entry(provider.into()).or_insert_with(|| Mutex::new(RetryBudget::new(now)));
        use_it(&mut budget.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Duration = Duration::from_secs(7);

    #[test]
    fn a_quiet_provider_is_retried_as_its_config_says() {
        let mut budget = RetryBudget::new(START);
        assert!((0..100).all(|_| budget.take(START)));
        assert!(!budget.take(START));
        assert!(budget.take(START + Duration::from_millis(100)));
        assert!(!budget.take(START + Duration::from_millis(100)));
    }

    #[test]
    fn in_an_outage_five_requests_earn_one_retry() {
        let mut budget = RetryBudget::new(START);
        while budget.take(START) {}
        let retries = (0..1_000).filter(|_| {
            budget.pay(START);
            budget.take(START)
        });
        assert_eq!(retries.count(), 200);
    }

    #[test]
    fn providers_do_not_pay_for_each_other() {
        let budgets = RetryBudgets::default();
        while budgets.take("down", START) {}
        assert!(!budgets.take("down", START));
        assert!(budgets.take("up", START));
        for at in 0..2 * PROVIDERS {
            budgets.pay(&format!("guest-{at}"), START);
            assert!(budgets.known.len() <= PROVIDERS);
        }
    }

    proptest! {
        #[test]
        fn retries_stay_within_what_was_earned(steps in prop::collection::vec((0_u64..50, any::<bool>()), 1..2_000)) {
            let mut budget = RetryBudget::new(START);
            let (mut now, mut paid, mut taken) = (START, 0, 0);
            for (ms, retry) in steps {
                now += Duration::from_millis(ms);
                if retry {
                    taken += u64::from(budget.take(now));
                } else {
                    budget.pay(now);
                    paid += 1;
                }
            }
            let earned = MOST + paid * SHARE + u64::try_from((now - START).as_millis()).unwrap() * REFILL;
            prop_assert!(taken * 1_000 <= earned, "{taken} of {earned}");
        }
    }
}
