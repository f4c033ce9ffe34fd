//! Circuit breakers of configs' targets, Portkey's `cb_config`.
//!
//! A target's breaker belongs to whoever wrote the config, the config's text, the target's place in it and the provider
//! that is meant. Whether it is open is one atomic read; its lock is held for microseconds and never across a wait.
//! Memory is bounded: clients may send ever new inline configs, so what was not used for the longest is forgotten, and
//! they never push out those of saved configs.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::shelf::Shelf;
use crate::limits::{Breaker, BreakerRules, BreakerView, Pass, Sign};

/// Targets of saved configs remembered. There are as many as the operator wrote.
const SAVED: usize = 8_192;
/// Targets of inline configs remembered.
const INLINE: usize = 2_048;

/// Who wrote a config, and which.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Author {
    /// The saved config's id; `None` is an inline one.
    pub saved: Option<String>,
    /// The key for which alone it counts; `None` is everybody.
    pub key: Option<String>,
    /// The config's text.
    pub digest: u64,
}

/// How an attempt at a target ended, as far as its vendor is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// With an answer of this status.
    Answered(u16),
    /// It could not be reached, said nothing in time or broke off.
    Broke,
    /// The client left, or the gateway ended it.
    #[default]
    Nothing,
}

impl Ended {
    /// Returns what this says of the vendor; `failures` are the statuses that count, 500 and above without a list.
    #[must_use]
    pub fn sign(self, failures: Option<&[u16]>) -> Sign {
        let failed = |status| failures.map_or(status >= 500, |failures| failures.contains(&status));
        match self {
            Ended::Answered(status) if failed(status) => Sign::Fault,
            Ended::Answered(_) => Sign::Sound,
            Ended::Broke => Sign::Fault,
            Ended::Nothing => Sign::Nothing,
        }
    }
}

/// A target and its breaker.
pub struct Seat {
    author: Author,
    path: String,
    provider: String,
    failures: Option<Vec<u16>>,
    breaker: Mutex<Breaker>,
    /// Nanoseconds until which nothing passes; 0 while it is closed.
    shut_until: AtomicU64,
}

/// What a breaker of a target shows of itself.
#[derive(Clone, Debug, Serialize)]
pub struct SeatView {
    /// The saved config's id; empty for an inline one.
    pub config: String,
    /// The key that sent it, where it is for that one only.
    pub key: String,
    /// The target's place in the config.
    pub target: String,
    /// Its provider.
    pub provider: String,
    /// The breaker.
    #[serde(flatten)]
    pub breaker: BreakerView,
}

impl Seat {
    fn new(author: Author, path: &str, provider: &str, config: &tidegate_config::Breaker) -> Self {
        let rules = BreakerRules {
            faults: config.failure_threshold,
            percent: config.failure_threshold_percentage,
            minimum: config.minimum_requests,
            // Portkey forgets its counts one cooldown after the first failure.
            window: config.cooldown,
            cooldown: config.cooldown,
        };
        Self {
            author,
            path: path.to_owned(),
            provider: provider.to_owned(),
            failures: config.failure_status_codes.clone(),
            breaker: Mutex::new(Breaker::new(rules)),
            shut_until: AtomicU64::new(0),
        }
    }

    /// Returns whether attempts are kept away.
    #[must_use]
    pub fn is_open(&self, now: Duration) -> bool {
        nanos(now) < self.shut_until.load(Ordering::Acquire)
    }

    /// Lets an attempt through; `None` keeps it away, unless it is `forced`.
    #[must_use]
    pub fn enter(self: &Arc<Self>, now: Duration, forced: bool) -> Option<Entry> {
        let pass =
            self.with(|breaker| if forced { Some(breaker.force(now)) } else { breaker.enter(now).ok() })?;
        Some(Entry { seat: self.clone(), pass: Some(pass) })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let before = breaker.view(Duration::ZERO).state;
        let answer = change(&mut breaker);
        let until = breaker.shut_until().map_or(0, |until| nanos(until).max(1));
        self.shut_until.store(until, Ordering::Release);
        let after = breaker.view(Duration::ZERO).state;
        drop(breaker);
        if before != after {
            let Self { author, path, provider, .. } = self;
            let config = author.saved.as_deref().unwrap_or("inline");
            tracing::info!(config, target = path, provider, state = after, "circuit breaker of a target");
        }
        answer
    }

    /// Returns what it shows of itself.
    #[must_use]
    pub fn view(&self, now: Duration) -> SeatView {
        let breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner).view(now);
        SeatView {
            config: self.author.saved.clone().unwrap_or_default(),
            key: self.author.key.clone().unwrap_or_default(),
            target: self.path.clone(),
            provider: self.provider.clone(),
            breaker,
        }
    }
}

/// An attempt that a breaker let through. Dropped, it says nothing.
#[must_use = "dropping an entry gives it back"]
pub struct Entry {
    seat: Arc<Seat>,
    pass: Option<Pass>,
}

impl Entry {
    /// Notes that the vendor began to answer.
    pub fn began(&self) {
        if let Some(pass) = self.pass.filter(Pass::is_watched) {
            self.seat.with(|breaker| breaker.began(pass));
        }
    }

    /// Ends the attempt.
    pub fn settle(mut self, now: Duration, ended: Ended) {
        let sign = ended.sign(self.seat.failures.as_deref());
        self.end(now, sign);
    }

    fn end(&mut self, now: Duration, sign: Sign) {
        if let Some(pass) = self.pass.take() {
            self.seat.with(|breaker| breaker.settle(now, pass, sign));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // What says nothing needs no clock.
        self.end(Duration::ZERO, Sign::Nothing);
    }
}

/// All of them.
pub struct Breakers {
    hasher: RandomState,
    saved: Shelf<Seat>,
    inline: Shelf<Seat>,
}

impl Default for Breakers {
    fn default() -> Self {
        Self { hasher: RandomState::new(), saved: Shelf::new(SAVED), inline: Shelf::new(INLINE) }
    }
}

impl Breakers {
    /// Returns a target's breaker if an attempt was made of late.
    #[must_use]
    pub fn find(&self, author: &Author, path: &str, provider: &str) -> Option<Arc<Seat>> {
        self.shelf(author).find(self.number(author, path, provider))
    }

    /// Returns a target's breaker.
    #[must_use]
    pub fn seat(
        &self,
        author: &Author,
        path: &str,
        provider: &str,
        config: &tidegate_config::Breaker,
    ) -> Arc<Seat> {
        let number = self.number(author, path, provider);
        let shelf = self.shelf(author);
        shelf
            .find(number)
            .unwrap_or_else(|| shelf.put(number, Arc::new(Seat::new(author.clone(), path, provider, config))))
    }

    /// Returns the breakers that are not closed, or closed with faults; the worst first, `most` at most.
    #[must_use]
    pub fn views(&self, now: Duration, most: usize) -> Vec<SeatView> {
        let mut views = Vec::new();
        for shelf in [&self.saved, &self.inline] {
            shelf.each(|seat| {
                let view = seat.view(now);
                if view.breaker.state != "closed" || view.breaker.faults > 0 {
                    views.push(view);
                }
            });
        }
        views.sort_by_key(|view| (view.breaker.state == "closed", std::cmp::Reverse(view.breaker.faults)));
        views.truncate(most);
        views
    }

    fn number(&self, author: &Author, path: &str, provider: &str) -> u64 {
        // 64 bits with a key of this process: nobody meets another one's breaker by chance or by malice.
        self.hasher.hash_one((author, path, provider))
    }

    fn shelf(&self, author: &Author) -> &Shelf<Seat> {
        if author.saved.is_some() { &self.saved } else { &self.inline }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(3_600);

    fn config() -> tidegate_config::Breaker {
        tidegate_config::Breaker {
            failure_threshold: Some(2),
            failure_threshold_percentage: None,
            cooldown: Duration::from_secs(30),
            failure_status_codes: None,
            minimum_requests: 5,
        }
    }

    fn author(saved: bool, number: u64) -> Author {
        let (saved, key) = if saved { (Some("c".to_owned()), None) } else { (None, Some("k".to_owned())) };
        Author { saved, key, digest: number }
    }

    fn fail(seat: &Arc<Seat>, now: Duration) {
        seat.enter(now, false).unwrap().settle(now, Ended::Broke);
    }

    #[test]
    fn only_what_is_the_vendors_counts() {
        for (ended, statuses, expected) in [
            (Ended::Answered(200), None, Sign::Sound),
            (Ended::Answered(400), None, Sign::Sound),
            (Ended::Answered(429), None, Sign::Sound),
            (Ended::Answered(500), None, Sign::Fault),
            (Ended::Answered(529), None, Sign::Fault),
            (Ended::Answered(429), Some(&[429][..]), Sign::Fault),
            (Ended::Answered(500), Some(&[429][..]), Sign::Sound),
            (Ended::Broke, Some(&[429][..]), Sign::Fault),
            (Ended::Nothing, None, Sign::Nothing),
        ] {
            assert_eq!(ended.sign(statuses), expected, "{ended:?} {statuses:?}");
        }
    }

    #[test]
    fn open_is_read_without_a_lock_and_a_probe_is_given_back_by_drop() {
        let breakers = Breakers::default();
        let seat = breakers.seat(&author(true, 1), "config.targets[0]", "a", &config());
        fail(&seat, START);
        assert!(!seat.is_open(START));
        fail(&seat, START);
        assert!(seat.is_open(START) && seat.enter(START, false).is_none());
        let later = START + Duration::from_secs(30);
        assert!(!seat.is_open(later));
        let probe = seat.enter(later, false).unwrap();
        assert!(seat.is_open(later) && seat.enter(later, false).is_none());
        drop(probe);
        assert!(!seat.is_open(later));
        let probe = seat.enter(later, false).unwrap();
        probe.began();
        assert!(!seat.is_open(later));
        probe.settle(later, Ended::Answered(200));
        assert!(!seat.is_open(later));
        assert!(breakers.views(later, 10).is_empty());
    }

    #[test]
    fn a_probe_is_given_to_one_of_many_threads() {
        let breakers = Breakers::default();
        let seat = breakers.seat(&author(true, 1), "config.targets[0]", "a", &config());
        fail(&seat, START);
        fail(&seat, START);
        let later = START + Duration::from_secs(31);
        let entries: Vec<Option<Entry>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| seat.enter(later, false))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(entries.iter().flatten().count(), 1);
    }

    #[test]
    fn breakers_of_different_owners_configs_targets_and_providers_are_apart() {
        let breakers = Breakers::default();
        let one = breakers.seat(&author(false, 1), "config.targets[0]", "a", &config());
        fail(&one, START);
        fail(&one, START);
        let other_key = Author { key: Some("other".to_owned()), ..author(false, 1) };
        for (author, path, provider) in [
            (author(false, 2), "config.targets[0]", "a"),
            (author(true, 1), "config.targets[0]", "a"),
            (other_key, "config.targets[0]", "a"),
            (author(false, 1), "config.targets[1]", "a"),
            (author(false, 1), "config.targets[0]", "b"),
        ] {
            assert!(!breakers.seat(&author, path, provider, &config()).is_open(START));
        }
        assert!(breakers.find(&author(false, 1), "config.targets[0]", "a").unwrap().is_open(START));
        let views = breakers.views(START, 10);
        assert_eq!((views.len(), views[0].breaker.state, views[0].key.as_str()), (1, "open", "k"));
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let breakers = Breakers::default();
        let saved = breakers.seat(&author(true, 0), "config", "a", &config());
        let used = breakers.seat(&author(false, 0), "config", "a", &config());
        fail(&used, START);
        fail(&used, START);
        for number in 1..20_000 {
            let _seat = breakers.seat(&author(false, number), "config", "a", &config());
            let used = breakers.find(&author(false, 0), "config", "a").expect("in use");
            assert!(used.is_open(START));
            assert!(breakers.inline.len() <= INLINE, "{}", breakers.inline.len());
        }
        assert!(Arc::ptr_eq(&saved, &breakers.find(&author(true, 0), "config", "a").unwrap()));
    }
}
