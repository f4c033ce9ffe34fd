//! A circuit breaker: closed, open, half-open.
//!
//! **Closed**: everything passes; attempts and faults of a rolling window are counted. **Open**: nothing passes until
//! the cooldown is over. **Half-open**: one attempt passes to see how things are; the next one when that has ended, or
//! after another cooldown should it hang. The probe's success closes the breaker, its fault opens it again.
//!
//! A probe proves itself by beginning to answer, so that a long answer does not keep everybody else out; should it
//! break off later, that opens the breaker again at once. What began before the breaker last changed says nothing about
//! how things are now and is not counted.

use std::time::Duration;

use super::tally::Tally;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerRules {
    /// Faults in the window that open it.
    pub faults: Option<u64>,
    /// Share of faults, in percent, that opens it once `minimum` attempts were seen.
    pub percent: Option<f64>,
    /// Attempts in the window before the share counts.
    pub minimum: u64,
    /// What is counted.
    pub window: Duration,
    /// How long it stays open.
    pub cooldown: Duration,
}

/// What an attempt says of its vendor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sign {
    /// It did its part.
    Sound,
    /// It failed.
    Fault,
    /// Nothing: the client left, or the gateway itself ended it.
    #[default]
    Nothing,
}

/// An attempt that a breaker let through. Hand it back to [`Breaker::settle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// How often the breaker had changed.
    turn: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Probe(u64),
    /// Let through although the breaker was not closed, because there was nobody else.
    Forced,
}

impl Pass {
    /// Returns whether the breaker waits for what becomes of it.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.kind != Kind::Plain
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        /// A probe that began to answer, and has not ended yet.
        proving: Option<u64>,
    },
    Open {
        until: Duration,
    },
    HalfOpen {
        probe: u64,
        until: Duration,
    },
}

/// What a breaker shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BreakerView {
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// Attempts in the window.
    pub requests: u64,
    /// Faults in the window.
    pub faults: u64,
    /// Milliseconds until the next attempt may pass; 0 when one may pass now.
    pub retry_in_ms: u64,
}

/// The state machine. Time is passed in and must not go back.
#[derive(Clone, Debug)]
pub struct Breaker {
    rules: BreakerRules,
    state: State,
    tally: Tally,
    /// How often it opened or closed.
    turn: u64,
    probes: u64,
}

impl Breaker {
    /// Makes a closed breaker.
    #[must_use]
    pub fn new(rules: BreakerRules) -> Self {
        let tally = Tally::new(rules.window);
        Self { rules, state: State::Closed { proving: None }, tally, turn: 0, probes: 0 }
    }

    /// Lets an attempt through, or says how long to wait.
    ///
    /// # Errors
    /// The time until it is worth asking again.
    pub fn enter(&mut self, now: Duration) -> Result<Pass, Duration> {
        match self.state {
            State::Closed { .. } => Ok(self.pass(Kind::Plain)),
            State::Open { until } | State::HalfOpen { until, .. } if now < until => Err(until - now),
            State::Open { .. } | State::HalfOpen { .. } => {
                self.probes += 1;
                let probe = self.probes;
                self.state = State::HalfOpen { probe, until: now + self.rules.cooldown };
                Ok(self.pass(Kind::Probe(probe)))
            }
        }
    }

    /// Lets an attempt through in any case.
    pub fn force(&mut self, now: Duration) -> Pass {
        self.enter(now).unwrap_or_else(|_| self.pass(Kind::Forced))
    }

    fn pass(&self, kind: Kind) -> Pass {
        Pass { turn: self.turn, kind }
    }

    /// Notes that the vendor began to answer an attempt that has not ended yet.
    pub fn began(&mut self, pass: Pass) {
        match (self.state, pass.kind) {
            (State::HalfOpen { probe, .. }, Kind::Probe(own)) if probe == own => self.close(Some(own)),
            (State::Open { .. } | State::HalfOpen { .. }, Kind::Forced) if pass.turn == self.turn => {
                self.close(None);
            }
            _ => {}
        }
    }

    /// Notes how an attempt ended.
    pub fn settle(&mut self, now: Duration, pass: Pass, sign: Sign) {
        match (self.state, pass.kind) {
            (State::HalfOpen { probe, .. }, Kind::Probe(own)) if probe == own => match sign {
                Sign::Sound => self.close(None),
                Sign::Fault => self.open(now),
                // It found nothing out; the next one may try at once.
                Sign::Nothing => self.state = State::Open { until: now },
            },
            // A probe that hung so long that another one was sent: late, but good news.
            (State::HalfOpen { .. }, Kind::Probe(_)) if sign == Sign::Sound && pass.turn == self.turn => {
                self.close(None);
            }
            (State::Open { .. } | State::HalfOpen { .. }, Kind::Forced)
                if sign == Sign::Sound && pass.turn == self.turn =>
            {
                self.close(None);
            }
            (State::Closed { proving: Some(probe) }, Kind::Probe(own)) if probe == own => match sign {
                Sign::Fault => self.open(now),
                _ => self.state = State::Closed { proving: None },
            },
            (State::Closed { .. }, Kind::Plain) if pass.turn == self.turn => self.count(now, sign),
            _ => {}
        }
    }

    fn count(&mut self, now: Duration, sign: Sign) {
        if sign == Sign::Nothing {
            return;
        }
        self.tally.add(now, sign == Sign::Fault);
        if sign == Sign::Fault && self.is_too_much(now) {
            self.open(now);
        }
    }

    fn is_too_much(&self, now: Duration) -> bool {
        let (attempts, faults) = self.tally.sum(now);
        let enough = self.rules.faults.is_some_and(|most| faults >= most);
        #[expect(clippy::cast_precision_loss, reason = "counts of one window fit a double")]
        let share = |percent: f64| faults as f64 * 100.0 >= percent * attempts as f64;
        enough || (attempts >= self.rules.minimum && self.rules.percent.is_some_and(share))
    }

    fn open(&mut self, now: Duration) {
        self.turn += 1;
        self.state = State::Open { until: now + self.rules.cooldown };
    }

    fn close(&mut self, proving: Option<u64>) {
        self.turn += 1;
        self.tally.clear();
        self.state = State::Closed { proving };
    }

    /// Returns until when nothing passes; `None` while it is closed.
    #[must_use]
    pub fn shut_until(&self) -> Option<Duration> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until } | State::HalfOpen { until, .. } => Some(until),
        }
    }

    /// Returns what it shows of itself.
    #[must_use]
    pub fn view(&self, now: Duration) -> BreakerView {
        let (requests, faults) = self.tally.sum(now);
        let state = match self.state {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half_open",
        };
        let wait = self.shut_until().map_or(Duration::ZERO, |until| until.saturating_sub(now));
        let retry_in_ms = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        BreakerView { state, requests, faults, retry_in_ms }
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
