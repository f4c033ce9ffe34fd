//! When a plugin that keeps failing rests. Pure: time is passed in.

use std::time::{Duration, Instant};

/// Failures in a row that end it.
const IN_A_ROW: u32 = 5;
/// Outcomes that are remembered.
const REMEMBERED: u32 = 100;
/// More failures among them end it too.
const TOLERATED: u32 = 50;
/// How long it rests before it is tried again.
const REST: Duration = Duration::from_secs(30);

/// Whether a call may go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Go,
    /// It may, and its outcome decides for all others.
    Probe,
    /// It may not.
    Refuse,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With an answer, if only that the guest could not judge.
    Answered,
    /// The guest broke down or broke a limit.
    Failed,
    /// Nothing is known: the caller went away, or the guest was never asked.
    Unknown,
}

/// What an outcome changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The plugin rests from now on.
    Rests,
    /// The plugin is back.
    Returns,
}

#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    in_a_row: u32,
    /// The last outcomes, the youngest in the lowest bit; set is failed.
    recent: u128,
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Rest {
    until: Instant,
    probing: bool,
}

impl Quarantine {
    /// Decides about a call; its outcome must be reported, whatever happens.
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        match &mut self.rest {
            None => Admission::Go,
            Some(rest) if rest.probing || now < rest.until => Admission::Refuse,
            Some(rest) => {
                rest.probing = true;
                Admission::Probe
            }
        }
    }

    /// Takes a call's outcome.
    pub(crate) fn report(&mut self, admission: Admission, outcome: Outcome, now: Instant) -> Option<Change> {
        match (admission, &mut self.rest) {
            (Admission::Probe, Some(rest)) => match outcome {
                Outcome::Answered => {
                    *self = Self::default();
                    Some(Change::Returns)
                }
                Outcome::Failed => {
                    *rest = Rest { until: now + REST, probing: false };
                    None
                }
                Outcome::Unknown => {
                    rest.probing = false;
                    None
                }
            },
            // Calls that were under way when the rest began change nothing.
            (_, Some(_)) | (Admission::Refuse, None) => None,
            (_, None) => self.count(outcome, now),
        }
    }

    fn count(&mut self, outcome: Outcome, now: Instant) -> Option<Change> {
        match outcome {
            Outcome::Unknown => return None,
            Outcome::Answered => {
                self.in_a_row = 0;
                self.recent <<= 1;
            }
            Outcome::Failed => {
                self.in_a_row += 1;
                self.recent = (self.recent << 1) | 1;
            }
        }
        let remembered = self.recent & ((1 << REMEMBERED) - 1);
        if self.in_a_row < IN_A_ROW && remembered.count_ones() <= TOLERATED {
            return None;
        }
        self.rest = Some(Rest { until: now + REST, probing: false });
        Some(Change::Rests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(quarantine: &mut Quarantine, outcome: Outcome, now: Instant) -> Option<Change> {
        let admission = quarantine.admit(now);
        quarantine.report(admission, outcome, now)
    }

    fn resting(now: Instant) -> Quarantine {
        let mut quarantine = Quarantine::default();
        for _ in 1..IN_A_ROW {
            assert_eq!(call(&mut quarantine, Outcome::Failed, now), None);
        }
        assert_eq!(call(&mut quarantine, Outcome::Failed, now), Some(Change::Rests));
        quarantine
    }

    #[test]
    fn five_failures_in_a_row_end_it_for_thirty_seconds() {
        let now = Instant::now();
        let mut quarantine = resting(now);
        assert_eq!(quarantine.admit(now), Admission::Refuse);
        assert_eq!(quarantine.admit(now + REST - Duration::from_millis(1)), Admission::Refuse);
        assert_eq!(quarantine.admit(now + REST), Admission::Probe);
    }

    #[test]
    fn an_answer_between_failures_starts_the_row_again() {
        let now = Instant::now();
        let mut quarantine = Quarantine::default();
        for _ in 0..4 {
            assert_eq!(call(&mut quarantine, Outcome::Failed, now), None);
        }
        call(&mut quarantine, Outcome::Answered, now);
        for _ in 0..4 {
            assert_eq!(call(&mut quarantine, Outcome::Failed, now), None);
        }
    }

    #[test]
    fn more_than_half_of_the_last_hundred_end_it() {
        let now = Instant::now();
        let mut quarantine = Quarantine::default();
        for _ in 0..TOLERATED {
            assert_eq!(call(&mut quarantine, Outcome::Answered, now), None);
            assert_eq!(call(&mut quarantine, Outcome::Failed, now), None);
        }
        assert_eq!(call(&mut quarantine, Outcome::Failed, now), Some(Change::Rests));
    }

    #[test]
    fn failures_older_than_a_hundred_calls_are_forgotten() {
        let now = Instant::now();
        let mut quarantine = Quarantine::default();
        for _ in 0..TOLERATED {
            call(&mut quarantine, Outcome::Answered, now);
            call(&mut quarantine, Outcome::Failed, now);
        }
        for _ in 0..REMEMBERED {
            call(&mut quarantine, Outcome::Answered, now);
        }
        assert_eq!(call(&mut quarantine, Outcome::Failed, now), None);
    }

    #[test]
    fn only_one_call_probes_and_success_brings_the_plugin_back() {
        let now = Instant::now();
        let mut quarantine = resting(now);
        let later = now + REST;
        assert_eq!(quarantine.admit(later), Admission::Probe);
        assert_eq!(quarantine.admit(later), Admission::Refuse);
        assert_eq!(quarantine.report(Admission::Probe, Outcome::Answered, later), Some(Change::Returns));
        assert_eq!(quarantine.admit(later), Admission::Go);
    }

    #[test]
    fn a_failed_probe_rests_again_and_a_dropped_one_lets_the_next_try() {
        let now = Instant::now();
        let mut quarantine = resting(now);
        let later = now + REST;
        assert_eq!(call(&mut quarantine, Outcome::Unknown, later), None);
        assert_eq!(call(&mut quarantine, Outcome::Failed, later), None);
        assert_eq!(quarantine.admit(later), Admission::Refuse);
        assert_eq!(quarantine.admit(later + REST), Admission::Probe);
    }

    #[test]
    fn calls_from_before_the_rest_neither_end_nor_prolong_it() {
        let now = Instant::now();
        let mut quarantine = resting(now);
        assert_eq!(quarantine.report(Admission::Go, Outcome::Answered, now), None);
        assert_eq!(quarantine.report(Admission::Go, Outcome::Failed, now + REST), None);
        assert_eq!(quarantine.admit(now + REST), Admission::Probe);
    }
}
