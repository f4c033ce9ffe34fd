//! All rate limits and the concurrency limit of one owner: everything is granted or nothing is taken.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tidegate_store::{LimitRecord, Window};

use super::rate::{RateKind, RateLimit, RateView};

/// Why a gate stays shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A rate limit is used up.
    Rate {
        /// What it counts.
        kind: RateKind,
        /// How many in the window.
        limit: u32,
        /// The window.
        per: Window,
        /// How long to wait.
        wait: Duration,
    },
    /// Too many requests at the same time.
    Concurrency {
        /// How many are allowed.
        limit: u32,
    },
    /// A circuit breaker is open.
    Open {
        /// How long to wait.
        wait: Duration,
    },
}

impl Refusal {
    /// Returns how long people are not told of the same again: its window, and an hour at least.
    #[must_use]
    pub fn quiet(&self) -> Duration {
        const LEAST: Duration = Duration::from_secs(3_600);
        match self {
            Self::Rate { per, .. } => LEAST.max(Duration::from_secs(per.seconds())),
            Self::Concurrency { .. } | Self::Open { .. } => LEAST,
        }
    }
}

/// What was taken; hand it back to [`Gate::settle`] or [`Gate::give_back`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Tokens that were estimated.
    pub tokens: u32,
}

/// The limits of one key or provider.
#[derive(Debug, Default)]
pub struct Gate {
    rates: Vec<RateLimit>,
    concurrent: Option<u32>,
    in_flight: u32,
}

impl Gate {
    /// Makes the gate of these limits. `meter` gives the nth limit's lasting state; `in_flight` requests are
    /// already inside.
    #[must_use]
    pub fn new(
        limits: &[LimitRecord],
        in_flight: u32,
        mut meter: impl FnMut(usize) -> Arc<AtomicU64>,
    ) -> Self {
        let mut gate = Self { in_flight, ..Self::default() };
        for (at, limit) in limits.iter().enumerate() {
            match *limit {
                LimitRecord::Requests { amount, per, .. } => {
                    gate.rates.push(RateLimit::new(RateKind::Requests, amount, per, meter(at)));
                }
                LimitRecord::Tokens { amount, per, .. } => {
                    gate.rates.push(RateLimit::new(RateKind::Tokens, amount, per, meter(at)));
                }
                LimitRecord::Concurrent { amount } => {
                    gate.concurrent = Some(gate.concurrent.map_or(amount, |known| known.min(amount)));
                }
            }
        }
        gate
    }

    /// Returns how many requests are inside.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Returns how many may be inside, where that is limited.
    #[must_use]
    pub fn concurrent(&self) -> Option<u32> {
        self.concurrent
    }

    /// Returns when every rate limit has room for one more.
    #[must_use]
    pub fn free_from(&self) -> Duration {
        self.rates.iter().map(RateLimit::free_from).max().unwrap_or(Duration::ZERO)
    }

    /// Lets a request in that will use about `tokens`.
    ///
    /// # Errors
    /// The first limit that refuses; then nothing was taken.
    pub fn admit(&mut self, now: Duration, tokens: u32) -> Result<Grant, Refusal> {
        if let Some(limit) = self.concurrent
            && self.in_flight >= limit
        {
            return Err(Refusal::Concurrency { limit });
        }
        for (at, rate) in self.rates.iter().enumerate() {
            let count = units(rate.kind(), tokens);
            if let Err(wait) = rate.take(now, count) {
                for taken in &self.rates[..at] {
                    taken.give_back(units(taken.kind(), tokens));
                }
                let view = rate.view(now);
                return Err(Refusal::Rate { kind: rate.kind(), limit: view.limit, per: rate.per(), wait });
            }
        }
        self.in_flight += 1;
        Ok(Grant { tokens })
    }

    /// Takes back a grant that was never used.
    pub fn give_back(&mut self, grant: Grant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for rate in &self.rates {
            rate.give_back(units(rate.kind(), grant.tokens));
        }
    }

    /// Ends a request that used `tokens` in fact.
    pub fn settle(&mut self, now: Duration, grant: Grant, tokens: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        for rate in self.rates.iter().filter(|rate| rate.kind() == RateKind::Tokens) {
            let estimated = u64::from(rate.cap(grant.tokens));
            if tokens > estimated {
                rate.charge(now, tokens - estimated);
            } else {
                rate.give_back(u32::try_from(estimated - tokens).unwrap_or(u32::MAX));
            }
        }
    }

    /// Returns the tightest limit of each kind.
    #[must_use]
    pub fn views(&self, now: Duration) -> Vec<RateView> {
        let mut tightest: Vec<RateView> = Vec::new();
        for view in self.rates.iter().map(|rate| rate.view(now)) {
            match tightest.iter_mut().find(|known| known.kind == view.kind) {
                Some(known) if known.remaining <= view.remaining => {}
                Some(known) => *known = view,
                None => tightest.push(view),
            }
        }
        tightest
    }
}

fn units(kind: RateKind, tokens: u32) -> u32 {
    match kind {
        RateKind::Requests => 1,
        RateKind::Tokens => tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gate(limits: &[LimitRecord]) -> Gate {
        Gate::new(limits, 0, |_| Arc::default())
    }

    #[test]
    fn a_refusal_takes_nothing_from_the_limits_before_it() {
        let mut gate =
            gate(&[LimitRecord::requests(10, Window::Minute), LimitRecord::tokens(100, Window::Minute)]);
        let now = Duration::from_secs(1);
        gate.admit(now, 100).unwrap();
        let before = gate.views(now);
        assert!(matches!(gate.admit(now, 1), Err(Refusal::Rate { kind: RateKind::Tokens, .. })));
        assert_eq!(gate.views(now), before);
        assert_eq!(gate.in_flight(), 1);
    }

    #[test]
    fn concurrency_counts_both_ways() {
        let mut gate = gate(&[LimitRecord::Concurrent { amount: 1 }]);
        let grant = gate.admit(Duration::ZERO, 0).unwrap();
        assert_eq!(gate.admit(Duration::ZERO, 0), Err(Refusal::Concurrency { limit: 1 }));
        gate.settle(Duration::ZERO, grant, 5);
        assert!(gate.admit(Duration::ZERO, 0).is_ok());
    }

    #[test]
    fn settling_corrects_the_estimate_in_every_token_window() {
        let mut gate =
            gate(&[LimitRecord::tokens(100, Window::Minute), LimitRecord::tokens(1_000, Window::Hour)]);
        let now = Duration::from_secs(1);
        let grant = gate.admit(now, 50).unwrap();
        gate.settle(now, grant, 90);
        assert_eq!(gate.views(now)[0].remaining, 10);
        assert_eq!(gate.rates[1].view(now).remaining, 910);
    }

    #[test]
    fn it_says_when_there_is_room_again() {
        let mut gate =
            gate(&[LimitRecord::requests(2, Window::Minute), LimitRecord::tokens(60, Window::Minute)]);
        let now = Duration::from_secs(100);
        assert!(gate.free_from() <= now);
        gate.admit(now, 10).unwrap();
        assert!(gate.free_from() <= now);
        gate.admit(now, 10).unwrap();
        assert_eq!(gate.free_from(), now + Duration::from_secs(30));
        assert!(gate.admit(now + Duration::from_secs(29), 1).is_err());
        assert!(gate.admit(now + Duration::from_secs(30), 1).is_ok());
        let closed = Gate::new(&[LimitRecord::requests(0, Window::Hour)], 0, |_| Arc::default());
        assert_eq!(closed.free_from(), Duration::MAX);
    }

    /// An exact oracle of GCRA: what was let in is a debt that time pays off evenly, counted in nanoseconds.
    struct Oracle {
        debt_until: u128,
        weight: u128,
        burst: u128,
    }

    impl Oracle {
        fn lets_in(&mut self, now: u128) -> bool {
            let from = self.debt_until.max(now);
            let fits = from + self.weight <= now + self.burst * self.weight;
            if fits {
                self.debt_until = from + self.weight;
            }
            fits
        }
    }

    proptest! {
        #[test]
        fn random_arrivals_are_let_in_as_the_oracle_says(
            amount in 1u32..40,
            gaps in proptest::collection::vec(0u64..3_000_000_000, 1..300),
        ) {
            let mut gate = gate(&[LimitRecord::requests(amount, Window::Minute)]);
            let weight = u128::from(60_000_000_000u64 / u64::from(amount));
            let mut oracle = Oracle { debt_until: 0, weight, burst: u128::from(amount) };
            let mut now = Duration::from_secs(3_600);
            for gap in gaps {
                now += Duration::from_nanos(gap);
                let before = gate.views(now);
                match gate.admit(now, 0) {
                    Ok(_) => prop_assert!(oracle.lets_in(now.as_nanos())),
                    Err(Refusal::Rate { wait, .. }) => {
                        prop_assert!(!oracle.lets_in(now.as_nanos()));
                        // A refusal consumes nothing, and says exactly when to come back.
                        prop_assert_eq!(gate.views(now), before);
                        let almost = now + wait.saturating_sub(Duration::from_nanos(2));
                        let probe = gate.views(almost)[0].remaining;
                        prop_assert!(wait <= Duration::from_nanos(2) || probe == 0);
                    }
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }
        }

        #[test]
        fn what_one_limit_refuses_no_other_counts(
            requests in 1u32..20, tokens in 1u32..2_000, asked in proptest::collection::vec(1u32..500, 1..60),
        ) {
            let mut gate = gate(&[
                LimitRecord::requests(requests, Window::Hour),
                LimitRecord::tokens(tokens, Window::Minute),
                LimitRecord::tokens(tokens, Window::Day),
            ]);
            let now = Duration::from_secs(9);
            for tokens in asked {
                let before = gate.views(now);
                if gate.admit(now, tokens).is_err() {
                    prop_assert_eq!(gate.views(now), before);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn never_more_requests_than_the_limit_at_once(amount in 1u32..50, tries in 1usize..200) {
            let mut gate = gate(&[LimitRecord::requests(amount, Window::Hour)]);
            let admitted = (0..tries).filter(|_| gate.admit(Duration::from_secs(9), 0).is_ok()).count();
            prop_assert_eq!(admitted, tries.min(amount as usize));
        }
    }
}
