//! Whether an answer sends a request to the next target.

/// What an attempt came to, as far as routing cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// HTTP status that the client would get.
    pub status: u16,
    /// How far the trouble reaches.
    pub reach: Reach,
}

/// How far trouble reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The vendor answered, with whatever status.
    Answer,
    /// The vendor could not be reached or broke off.
    Network,
    /// This target can't be used right now, by our own decision: its limits or budgets, what may be said to it.
    Target,
    /// A circuit breaker keeps attempts away from this target.
    Shut,
    /// The request is refused, whichever target is asked.
    Request,
}

/// Statuses that Portkey gives a network failure, beside our own. A config that lists one of them means it.
const NETWORK: [u16; 3] = [500, 502, 503];

impl Verdict {
    /// Returns whether it is a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns whether a list of statuses names this verdict.
    #[must_use]
    pub fn is_listed(&self, statuses: &[u16]) -> bool {
        statuses.contains(&self.status)
            || (self.reach == Reach::Network && statuses.iter().any(|status| NETWORK.contains(status)))
    }

    /// Returns whether a target of less priority is tried: always after our own refusal of this one, and after an answer
    /// that is listed.
    #[must_use]
    pub fn spills(&self, on_status_codes: Option<&[u16]>) -> bool {
        match self.reach {
            Reach::Request => false,
            Reach::Target | Reach::Shut => true,
            Reach::Answer | Reach::Network => {
                on_status_codes.is_some_and(|statuses| self.is_listed(statuses))
            }
        }
    }

    /// Returns whether a fallback goes on: without a list after any answer but 2xx, else only after those listed.
    #[must_use]
    pub fn falls(&self, on_status_codes: Option<&[u16]>) -> bool {
        match (self.reach, on_status_codes) {
            (Reach::Request, _) => false,
            // It counts as a target that was left out.
            (Reach::Shut, _) => true,
            (_, Some(statuses)) => self.is_listed(statuses),
            (_, None) => !self.is_success(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, reach: Reach) -> Verdict {
        Verdict { status, reach }
    }

    #[test]
    fn without_a_list_every_failure_falls() {
        for status in [400, 401, 408, 429, 446, 500] {
            assert!(verdict(status, Reach::Answer).falls(None), "{status}");
        }
        for status in [200, 201, 246] {
            assert!(!verdict(status, Reach::Answer).falls(None), "{status}");
        }
    }

    #[test]
    fn with_a_list_only_what_is_listed_falls() {
        assert!(verdict(246, Reach::Answer).falls(Some(&[246, 446])));
        assert!(!verdict(500, Reach::Answer).falls(Some(&[429])));
        assert!(!verdict(500, Reach::Answer).falls(Some(&[])));
        assert!(verdict(412, Reach::Target).falls(Some(&[412])));
    }

    #[test]
    fn network_failures_count_as_portkeys_500() {
        let lost = verdict(502, Reach::Network);
        assert!(lost.falls(None));
        assert!(lost.falls(Some(&[500])));
        assert!(!lost.falls(Some(&[429])));
        assert!(!verdict(502, Reach::Answer).falls(Some(&[500])));
    }

    #[test]
    fn a_target_that_is_shut_is_passed_over_whatever_is_listed() {
        assert!(verdict(503, Reach::Shut).falls(None));
        assert!(verdict(503, Reach::Shut).falls(Some(&[429])));
        assert!(verdict(503, Reach::Shut).spills(None));
    }

    #[test]
    fn priority_spills_over_our_own_limits_and_what_is_listed() {
        assert!(verdict(429, Reach::Target).spills(None));
        assert!(verdict(412, Reach::Target).spills(Some(&[500])));
        assert!(!verdict(429, Reach::Answer).spills(None));
        assert!(!verdict(500, Reach::Network).spills(None));
        assert!(verdict(429, Reach::Answer).spills(Some(&[429])));
        assert!(verdict(502, Reach::Network).spills(Some(&[500])));
        assert!(!verdict(200, Reach::Answer).spills(Some(&[429])));
        assert!(!verdict(401, Reach::Request).spills(Some(&[401])));
    }

    #[test]
    fn a_refused_request_goes_nowhere() {
        assert!(!verdict(401, Reach::Request).falls(None));
        assert!(!verdict(429, Reach::Request).falls(Some(&[429])));
    }
}
