//! Rate limits that nodes share: one bucket in Redis, as a pure state machine. `rate.lua` does the same.
//!
//! What is taken is a debt that time pays off evenly; a debt above the burst is refused. In any span of `t` ms at
//! most `burst + t × amount / period_ms` are taken. The time of one is rounded up to a nanosecond, so a limit of a
//! thousand million a minute loses up to one part in sixty, and one of a million a day nothing that can be seen.

/// The longest period: three months. In nanoseconds that is still counted exactly.
pub const LONGEST_MS: i64 = 100 * 24 * 3_600_000;

/// So many in so long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimit {
    amount: i64,
    period_ms: i64,
    burst: i64,
}

/// A rate limit that can't be kept.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a rate limit is at least 1 in 1 ms to 100 days, of 10^12 at most, with a burst from 1 to the amount"
)]
pub struct RateLimitError;

impl RateLimit {
    /// So many in so long, of which so many may come at once.
    pub fn new(amount: i64, period_ms: i64, burst: i64) -> Result<Self, RateLimitError> {
        let good = (1..=LONGEST_MS).contains(&period_ms) && amount >= 1 && (1..=amount).contains(&burst);
        // More than one in a nanosecond is no limit; more than a million million are not counted exactly.
        if !good || amount > period_ms * 1_000_000 || amount > 1_000_000_000_000 {
            return Err(RateLimitError);
        }
        Ok(Self { amount, period_ms, burst })
    }

    /// Returns what one costs in time.
    pub fn token_ns(&self) -> i64 {
        (self.period_ms * 1_000_000 - 1) / self.amount + 1
    }

    /// Returns how many may come at once.
    pub fn burst(&self) -> i64 {
        self.burst
    }

    /// Returns how many one node takes at once: a 32nd of the burst, so that a small limit is shared one by one.
    pub fn batch(&self) -> i64 {
        (self.burst / 32).max(1)
    }
}

/// Asks a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RateOp {
    /// Takes.
    Take {
        /// As many as there are, up to so many.
        want: i64,
        /// At least so many, or none.
        need: i64,
    },
    /// Returns what was not used. Never sent twice: a second one would count twice.
    GiveBack {
        /// How many.
        count: i64,
        /// From [`Taken`].
        at_us: i64,
    },
}

/// What was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Taken {
    /// How many; of a return, how many counted.
    pub count: i64,
    /// When, by Redis' clock.
    pub at_us: i64,
}

/// Nothing was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RateRefusal {
    /// Enough are there after so long, if nobody comes first.
    #[error("the rate limit is used up for {0} ms")]
    Wait(i64),
    /// More than the burst never are.
    #[error("more than the burst is needed")]
    Never,
}

/// A bucket.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bucket {
    /// When the debt was counted.
    pub at_us: i64,
    /// Time that must pass until nothing is owed.
    pub debt_ns: i64,
}

impl Bucket {
    /// Obeys one operation. `now_us` is Redis' clock.
    pub fn handle(&mut self, now_us: i64, limit: &RateLimit, op: &RateOp) -> Result<Taken, RateRefusal> {
        let token = limit.token_ns();
        // A clock that was set back stands still here.
        let elapsed_us = (now_us - self.at_us).max(0);
        let debt = self.debt_ns.saturating_sub(elapsed_us.saturating_mul(1_000)).max(0);
        let at_us = self.at_us.max(now_us);
        match *op {
            RateOp::Take { want, need } => {
                let need = need.max(1);
                if need > limit.burst {
                    return Err(RateRefusal::Never);
                }
                let free = limit.burst * token - debt;
                if free < need * token {
                    return Err(RateRefusal::Wait((need * token - free + 999_999) / 1_000_000));
                }
                let count = want.min(free / token).max(need);
                *self = Self { at_us, debt_ns: debt + count * token };
                Ok(Taken { count, at_us })
            }
            RateOp::GiveBack { count, at_us: taken_us } => {
                // What time has paid off since may have been the debt of these: it is gone.
                let paid = (at_us - taken_us).max(0).saturating_mul(1_000);
                let back = (count.clamp(0, limit.burst) * token - paid).clamp(0, debt);
                *self = Self { at_us, debt_ns: debt - back };
                Ok(Taken { count: back / token, at_us })
            }
        }
    }
}
