//! Which thresholds of a budget a spending crosses.
//!
//! Amounts are whole numbers of whatever the budget counts: nano-dollars, tokens, requests. A threshold is told once
//! in a period and for a limit: the key of an event names both, so that a new period or another limit arms it again.

use crate::event::{Kind, Level};

/// When people are told unless the operator says otherwise.
pub const DEFAULT: [Threshold; 3] = [Threshold::Percent(50), Threshold::Percent(80), Threshold::Percent(100)];

/// A point of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Threshold {
    /// A part of the limit.
    Percent(u8),
    /// An amount, such as a key's `alert_threshold`.
    Amount(i64),
}

impl Threshold {
    /// Returns the amount at which the threshold is reached, rounded up.
    #[must_use]
    pub fn amount(self, limit: i64) -> i64 {
        match self {
            Threshold::Percent(percent) => {
                let hundredfold = i128::from(limit) * i128::from(percent);
                i64::try_from((hundredfold + 99).div_euclid(100)).unwrap_or(i64::MAX)
            }
            Threshold::Amount(amount) => amount,
        }
    }

    /// Returns the kind of event: the whole limit is the end of the budget.
    #[must_use]
    pub fn kind(self, limit: i64) -> Kind {
        if self.amount(limit) >= limit { Kind::BudgetExhausted } else { Kind::BudgetThreshold }
    }

    /// Returns how bad it is.
    #[must_use]
    pub fn level(self, limit: i64) -> Level {
        match self.kind(limit) {
            Kind::BudgetExhausted => Level::Critical,
            _ => Level::Warning,
        }
    }

    /// Returns the key that lets the threshold be told once in the period, which began at `period_start`.
    #[must_use]
    pub fn dedup_key(self, budget: &str, period_start: i64, limit: i64) -> String {
        let at = match self {
            Threshold::Percent(percent) => format!("{percent}%"),
            Threshold::Amount(amount) => amount.to_string(),
        };
        format!("budget:{budget}:{period_start}:{limit}:{at}")
    }
}

/// Returns the thresholds that lie above `before` and not above `after`, from the lowest; those beyond the limit and
/// those at nothing are none. Whoever tells only the last tells enough.
#[must_use]
pub fn crossed(before: i64, after: i64, limit: i64, thresholds: &[Threshold]) -> Vec<Threshold> {
    within(limit, thresholds, |amount| before < amount && amount <= after)
}

/// Returns the thresholds that another limit crosses without any spending: those that `spent` reaches under the new
/// limit and did not reach under the old one.
#[must_use]
pub fn crossed_by_limit(spent: i64, old: i64, new: i64, thresholds: &[Threshold]) -> Vec<Threshold> {
    let mut found = within(new, thresholds, |amount| amount <= spent);
    found.retain(|threshold| threshold.amount(old) > spent);
    found
}

fn within(limit: i64, thresholds: &[Threshold], reached: impl Fn(i64) -> bool) -> Vec<Threshold> {
    let mut found: Vec<Threshold> = Vec::new();
    for threshold in thresholds {
        let amount = threshold.amount(limit);
        let known = found.iter().any(|one| one.amount(limit) == amount);
        if amount > 0 && amount <= limit && reached(amount) && !known {
            found.push(*threshold);
        }
    }
    found.sort_by_key(|threshold| threshold.amount(limit));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use Threshold::{Amount, Percent};
    use proptest::prelude::*;

    #[test]
    fn a_threshold_is_crossed_when_it_is_reached() {
        assert_eq!(crossed(0, 49, 100, &DEFAULT), []);
        assert_eq!(crossed(49, 50, 100, &DEFAULT), [Percent(50)]);
        assert_eq!(crossed(50, 79, 100, &DEFAULT), []);
        assert_eq!(crossed(50, 80, 100, &DEFAULT), [Percent(80)]);
        assert_eq!(crossed(0, 130, 100, &DEFAULT), DEFAULT);
        assert_eq!(crossed(100, 130, 100, &DEFAULT), []);
    }

    #[test]
    fn parts_of_small_limits_are_rounded_up() {
        assert_eq!(crossed(0, 1, 3, &[Percent(50)]), []);
        assert_eq!(crossed(1, 2, 3, &[Percent(50)]), [Percent(50)]);
    }

    #[test]
    fn an_absolute_threshold_counts_once_beside_an_equal_part() {
        assert_eq!(crossed(0, 85, 100, &[Amount(80), Percent(80), Amount(85)]), [Amount(80), Amount(85)]);
        assert_eq!(crossed(0, 500, 100, &[Amount(200)]), []);
    }

    #[test]
    fn a_refund_crosses_nothing() {
        assert_eq!(crossed(90, 10, 100, &DEFAULT), []);
    }

    #[test]
    fn a_limit_of_nothing_has_no_thresholds() {
        assert_eq!(crossed(0, 10, 0, &DEFAULT), []);
        assert_eq!(crossed(0, i64::MAX, i64::MAX, &DEFAULT), DEFAULT);
    }

    #[test]
    fn a_raised_limit_and_a_new_period_arm_again() {
        assert_eq!(crossed(100, 120, 150, &DEFAULT), [Percent(80)]);
        let key = Percent(80).dedup_key("key_1", 1_000, 100);
        assert_ne!(key, Percent(80).dedup_key("key_1", 1_000, 150));
        assert_ne!(key, Percent(80).dedup_key("key_1", 2_000, 100));
        assert_eq!(key, Percent(80).dedup_key("key_1", 1_000, 100));
        assert_ne!(Percent(80).dedup_key("k", 1, 100), Amount(80).dedup_key("k", 1, 100));
    }

    #[test]
    fn a_lowered_limit_crosses_without_spending() {
        assert_eq!(crossed_by_limit(60, 200, 100, &DEFAULT), [Percent(50)]);
        assert_eq!(crossed_by_limit(60, 200, 60, &DEFAULT), DEFAULT);
        assert_eq!(crossed_by_limit(60, 100, 200, &DEFAULT), []);
    }

    #[test]
    fn the_whole_limit_is_the_end() {
        assert_eq!(Percent(100).kind(100), Kind::BudgetExhausted);
        assert_eq!(Percent(80).kind(100), Kind::BudgetThreshold);
        assert_eq!((Percent(100).level(9), Amount(8).level(9)), (Level::Critical, Level::Warning));
    }

    proptest! {
        #[test]
        fn in_steps_each_is_crossed_exactly_once(steps in prop::collection::vec(0_i64..40, 1..60), limit in 1_i64..500) {
            let (mut spent, mut told) = (0, Vec::new());
            for step in steps {
                told.extend(crossed(spent, spent + step, limit, &DEFAULT));
                spent += step;
            }
            prop_assert_eq!(told, crossed(0, spent, limit, &DEFAULT));
        }
    }
}
