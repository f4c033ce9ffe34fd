//! When a target is asked again: Portkey's back-off with jitter, the vendor's own wait, and their limits.

use std::time::Duration;

use tidegate_config::Retry;

use super::fallback::{Reach, Verdict};

/// First wait; each is twice the one before.
const FIRST: Duration = Duration::from_secs(1);
/// Share of a wait that chance adds, so that callers that failed together don't come back together.
const JITTER: f64 = 0.25;
/// A longer wait, or waits that add up to more, are not waited for.
const LONGEST: Duration = Duration::from_secs(60);
/// No attempt is begun later than this after the request came.
const DEADLINE: Duration = Duration::from_secs(300);
/// Statuses of a failed guardrail; there is nobody to spare, so they are tried again at once.
const HOOKS_FAILED: [u16; 2] = [246, 446];

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same target again, after this wait.
    Again(Duration),
    /// No more. `count` is what `x-portkey-retry-attempt-count` says: retries made, or -1 when they were used up or
    /// the wait was too long.
    Stop {
        /// Retries made, or -1.
        count: i32,
    },
}

/// Retries of one target within one request.
#[derive(Clone, Debug)]
pub struct Retries<'a> {
    rule: Option<&'a Retry>,
    made: u32,
    waited: Duration,
    deadline: Duration,
}

impl<'a> Retries<'a> {
    /// Begins with the first attempt. `total` is the time that the whole request may take.
    #[must_use]
    pub fn new(rule: Option<&'a Retry>, total: Option<Duration>) -> Self {
        let deadline = total.map_or(DEADLINE, |total| total.min(DEADLINE));
        Self { rule, made: 0, waited: Duration::ZERO, deadline }
    }

    /// Returns retries made so far.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Decides after an attempt. `vendor_wait` is what the vendor asked for. Where it may be tried again, `now` is asked
    /// for the request's age and a number from 0 up to 1.
    pub fn next(
        &mut self,
        verdict: &Verdict,
        vendor_wait: Option<Duration>,
        now: impl FnOnce() -> (Duration, f64),
    ) -> Next {
        let made = i32::try_from(self.made).unwrap_or(i32::MAX);
        let Some(rule) = self.rule.filter(|rule| rule.attempts > 0) else {
            return Next::Stop { count: made };
        };
        let again = match verdict.reach {
            Reach::Network => true,
            Reach::Answer => rule.on_status_codes.contains(&verdict.status),
            Reach::Target | Reach::Shut | Reach::Request => false,
        };
        if !again {
            return Next::Stop { count: made };
        }
        if self.made >= rule.attempts.min(Retry::MOST) {
            return Next::Stop { count: -1 };
        }
        let (elapsed, draw) = now();
        let wait = match vendor_wait.filter(|_| rule.use_retry_after_header && verdict.status == 429) {
            Some(wait) => wait,
            None if HOOKS_FAILED.contains(&verdict.status) => Duration::ZERO,
            None => back_off(self.made, draw),
        };
        let waited = self.waited.saturating_add(wait);
        if waited > LONGEST || elapsed.saturating_add(wait) > self.deadline {
            return Next::Stop { count: -1 };
        }
        self.waited = waited;
        self.made += 1;
        Next::Again(wait)
    }
}

fn back_off(made: u32, draw: f64) -> Duration {
    FIRST.saturating_mul(1_u32 << made.min(5)).mul_f64(1.0 + draw.clamp(0.0, 1.0) * JITTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAILED: Verdict = Verdict { status: 500, reach: Reach::Answer };
    const LIMITED: Verdict = Verdict { status: 429, reach: Reach::Answer };

    fn rule(attempts: u32, on_status_codes: &[u16], use_retry_after_header: bool) -> Retry {
        Retry { attempts, on_status_codes: on_status_codes.to_vec(), use_retry_after_header }
    }

    fn again(seconds: f64) -> Next {
        Next::Again(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn waits_double_from_a_second() {
        let rule = rule(5, &[500], false);
        let mut retries = Retries::new(Some(&rule), None);
        for seconds in [1.0, 2.0, 4.0, 8.0, 16.0] {
            assert_eq!(retries.next(&FAILED, None, || (Duration::ZERO, 0.0)), again(seconds));
        }
        assert_eq!(retries.next(&FAILED, None, || (Duration::ZERO, 0.0)), Next::Stop { count: -1 });
    }

    #[test]
    fn chance_adds_up_to_a_quarter_of_each_wait() {
        let rule = rule(5, &[500], false);
        for draw in [0.0, 0.5, 0.999, 1.0, 7.0] {
            let mut retries = Retries::new(Some(&rule), None);
            for seconds in [1.0, 2.0, 4.0, 8.0, 16.0] {
                let expected = seconds * (1.0 + 0.25 * f64::min(draw, 1.0));
                assert_eq!(retries.next(&FAILED, None, || (Duration::ZERO, draw)), again(expected));
            }
        }
    }

    #[test]
    fn success_counts_the_retries_that_were_needed() {
        let rule = rule(3, &[500], false);
        let mut retries = Retries::new(Some(&rule), None);
        let ok = Verdict { status: 200, reach: Reach::Answer };
        assert_eq!(retries.next(&FAILED, None, || (Duration::ZERO, 0.0)), again(1.0));
        assert_eq!(retries.next(&ok, None, || (Duration::ZERO, 0.0)), Next::Stop { count: 1 });
    }

    #[test]
    fn only_listed_statuses_and_network_failures_are_tried_again() {
        let rule = rule(1, &[429], false);
        let next = |status, reach| {
            Retries::new(Some(&rule), None).next(&Verdict { status, reach }, None, || (Duration::ZERO, 0.0))
        };
        assert_eq!(next(500, Reach::Answer), Next::Stop { count: 0 });
        assert_eq!(next(408, Reach::Answer), Next::Stop { count: 0 });
        assert_eq!(next(502, Reach::Network), again(1.0));
        assert_eq!(next(429, Reach::Answer), again(1.0));
        // Our own limits are not the vendor's: asking again would only take from others.
        assert_eq!(next(429, Reach::Target), Next::Stop { count: 0 });
        assert_eq!(next(429, Reach::Request), Next::Stop { count: 0 });
    }

    #[test]
    fn without_a_rule_or_attempts_nothing_is_tried_again() {
        let none = rule(0, &[500], false);
        for rule in [None, Some(&none)] {
            assert_eq!(
                Retries::new(rule, None).next(&FAILED, None, || (Duration::ZERO, 0.0)),
                Next::Stop { count: 0 }
            );
        }
    }

    #[test]
    fn the_vendors_wait_replaces_the_back_off_of_a_429() {
        let heeding = rule(2, &[429, 500], true);
        let wait = Some(Duration::from_millis(100));
        assert_eq!(
            Retries::new(Some(&heeding), None).next(&LIMITED, wait, || (Duration::ZERO, 0.0)),
            again(0.1)
        );
        assert_eq!(
            Retries::new(Some(&heeding), None).next(&FAILED, wait, || (Duration::ZERO, 0.0)),
            again(1.0)
        );
        let deaf = rule(2, &[429], false);
        assert_eq!(
            Retries::new(Some(&deaf), None).next(&LIMITED, wait, || (Duration::ZERO, 0.0)),
            again(1.0)
        );
    }

    #[test]
    fn more_than_a_minute_is_not_waited() {
        let rule = rule(5, &[429], true);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let mut retries = Retries::new(Some(&rule), None);
        assert_eq!(retries.next(&LIMITED, seconds(61), || (Duration::ZERO, 0.0)), Next::Stop { count: -1 });
        assert_eq!(retries.next(&LIMITED, seconds(40), || (Duration::ZERO, 0.0)), again(40.0));
        assert_eq!(retries.next(&LIMITED, seconds(21), || (Duration::ZERO, 0.0)), Next::Stop { count: -1 });
        assert_eq!(retries.next(&LIMITED, seconds(20), || (Duration::ZERO, 0.0)), again(20.0));
    }

    #[test]
    fn no_attempt_begins_after_the_deadline() {
        let rule = rule(5, &[500], false);
        let late = Duration::from_secs(299) + Duration::from_millis(1);
        assert_eq!(
            Retries::new(Some(&rule), None).next(&FAILED, None, || (late, 0.0)),
            Next::Stop { count: -1 }
        );
    }

    #[test]
    fn no_attempt_begins_after_the_requests_own_total() {
        let rule = rule(5, &[500], false);
        let next = |ms| {
            let mut retries = Retries::new(Some(&rule), Some(Duration::from_millis(3_500)));
            retries.next(&FAILED, None, || (Duration::from_millis(ms), 0.0))
        };
        assert_eq!(next(2_500), again(1.0));
        assert_eq!(next(2_501), Next::Stop { count: -1 });
    }

    #[test]
    fn failed_guardrails_are_tried_again_at_once() {
        let rule = rule(1, &[246, 446], false);
        let failed = Verdict { status: 446, reach: Reach::Answer };
        assert_eq!(Retries::new(Some(&rule), None).next(&failed, None, || (Duration::ZERO, 0.9)), again(0.0));
    }

    proptest! {
        #[test]
        fn retries_end_and_never_wait_more_than_a_minute(
            attempts in 0_u32..9, heed: bool, steps in prop::collection::vec((0_u64..90_000, 0.0_f64..1.0), 1..20),
        ) {
            let rule = rule(attempts, &[429], heed);
            let mut retries = Retries::new(Some(&rule), None);
            let (mut waited, mut made) = (Duration::ZERO, 0);
            for (ms, draw) in steps {
                match retries.next(&LIMITED, Some(Duration::from_millis(ms)), || (waited, draw)) {
                    Next::Again(wait) => {
                        waited += wait;
                        made += 1;
                    }
                    Next::Stop { count } => {
                        prop_assert!(count == -1 || attempts == 0);
                    }
                }
            }
            prop_assert!(made <= attempts.min(5));
            prop_assert!(waited <= Duration::from_secs(60));
        }
    }
}
