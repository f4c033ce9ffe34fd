//! A budget's arithmetic: what is spent, what is held, what is left, in the budget's unit.

use tidegate_store::BudgetRecord;

/// A slice is longer than asked for where that is at most this part of what is left,
const PLENTY: i64 = 4_096;
/// and so many times what was asked for at most: a crash pays for what was held.
const LONGER: i64 = 16;
/// What may be held without asking is this part of what is left at most,
const ADVANCE: i64 = 64;
/// where that is so many times what was asked for last.
const OFTEN: i64 = 8;

/// Why nothing was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The budget's limit.
    pub limit: i64,
    /// Spent in this period.
    pub spent: i64,
    /// Held by requests in flight.
    pub held: i64,
    /// When the period ends, seconds since the epoch.
    pub resets_at: Option<i64>,
}

/// Spend and holds against a limit in one period. Invariant: `reserve` and `extend` never let
/// `spent + held` pass `limit`.
#[derive(Clone, Debug)]
pub struct Spend {
    terms: BudgetRecord,
    period_start: i64,
    /// `i64::MAX` where it never starts again.
    period_end: i64,
    spent: i64,
    held: i64,
}

impl Spend {
    /// Continues a budget with what was spent in the period that holds `now`, and what is held.
    #[must_use]
    pub fn new(terms: BudgetRecord, now: i64, spent: i64, held: i64) -> Self {
        let (period_start, period_end) = period(&terms, now);
        Self { terms, period_start, period_end, spent, held }
    }

    /// Returns the record in force.
    #[must_use]
    pub fn terms(&self) -> &BudgetRecord {
        &self.terms
    }

    /// Returns spent and held.
    #[must_use]
    pub fn state(&self) -> (i64, i64) {
        (self.spent, self.held)
    }

    /// Returns the start of the current period.
    #[must_use]
    pub fn period_start(&self) -> i64 {
        self.period_start
    }

    /// Returns the end of the current period, `i64::MAX` where there is none.
    #[must_use]
    pub fn period_end(&self) -> i64 {
        self.period_end
    }

    /// Changes limit and period; spend stays unless the period's start differs.
    pub fn change(&mut self, terms: BudgetRecord, now: i64) {
        self.terms = terms;
        self.begin(now);
    }

    /// Sets spend; holds stay.
    pub fn reset(&mut self, spent: i64) {
        self.spent = spent;
    }

    /// Reserves up to `want`, at least `need`; more than `want` where it is the larger and there is plenty.
    ///
    /// # Errors
    /// [`Exhausted`] when less than `need` is left.
    pub fn reserve(&mut self, now: i64, need: i64, want: i64) -> Result<i64, Exhausted> {
        self.reserve_beyond(now, 0, need, want)
    }

    /// Reserves up to `want`, at least `need`, where others say that at least `known` is spent in all.
    ///
    /// # Errors
    /// [`Exhausted`] when less than `need` is left.
    pub fn reserve_beyond(&mut self, now: i64, known: i64, need: i64, want: i64) -> Result<i64, Exhausted> {
        self.roll(now);
        let spent = self.spent.max(known);
        let left = self.terms.limit.saturating_sub(spent).saturating_sub(self.held);
        // A used-up budget refuses also what costs nothing: its owner asked for a stop.
        if need > left || left <= 0 {
            return Err(Exhausted {
                limit: self.terms.limit,
                spent,
                held: self.held,
                resets_at: self.terms.period_end(now),
            });
        }
        let granted = granted(left, need, want);
        self.held = self.held.saturating_add(granted);
        Ok(granted)
    }

    /// Returns how much may be held, in parts like `amount`, without asking again; 0 where there is no plenty.
    #[must_use]
    pub fn advance(&self, amount: i64) -> i64 {
        let left = self.terms.limit.saturating_sub(self.spent).saturating_sub(self.held);
        let advance = left / ADVANCE;
        if advance >= amount.max(1).saturating_mul(OFTEN) { advance } else { 0 }
    }

    /// Holds what was granted elsewhere: whoever shares the limit looked after it.
    pub fn hold(&mut self, now: i64, amount: i64) {
        self.roll(now);
        self.held = self.held.saturating_add(amount);
    }

    /// Ends a hold and spends `actual`, which may differ from it.
    pub fn settle(&mut self, now: i64, held: i64, actual: i64) {
        self.roll(now);
        self.collect(0, held, actual);
    }

    /// Takes in what happened in the current period, also if that is over by now: `taken` is held besides, of it all
    /// `held` is held no more, and `spent` is spent.
    pub fn collect(&mut self, taken: i64, held: i64, spent: i64) {
        self.held = self.held.saturating_add(taken).saturating_sub(held).max(0);
        self.spent = self.spent.saturating_add(spent);
    }

    /// Begins the period that holds `now`, if it has not begun: at zero, with what is held.
    pub fn roll(&mut self, now: i64) {
        if !(self.period_start..self.period_end).contains(&now) {
            self.begin(now);
        }
    }

    /// Begins the period that holds `now`, if it has not begun.
    fn begin(&mut self, now: i64) {
        let (start, end) = period(&self.terms, now);
        self.period_end = end;
        if start != self.period_start {
            self.period_start = start;
            self.spent = 0;
        }
    }
}

/// Returns how much is granted where so much is left: `want` or `need`, as far as it is there, or a longer slice.
#[must_use]
pub fn granted(left: i64, need: i64, want: i64) -> i64 {
    let granted = want.max(need).min(left);
    // A stream asks for one slice after the other. Where there is plenty, a longer one harms nobody, and is
    // counted and asked for less often.
    let longer = if want > need { (left / PLENTY).min(want.saturating_mul(LONGER)) } else { 0 };
    granted.max(longer)
}

/// Returns start and end of the period that holds `now`.
fn period(terms: &BudgetRecord, now: i64) -> (i64, i64) {
    (terms.period_start(now), terms.period_end(now).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_store::Period;

    fn spend(limit: i64, period: Period, spent: i64, held: i64) -> Spend {
        Spend::new(BudgetRecord { period, ..BudgetRecord::named("b", "b", limit) }, 0, spent, held)
    }

    #[test]
    fn what_is_left_is_granted_when_it_covers_the_need() {
        let mut spend = spend(100, Period::Total, 70, 0);
        assert_eq!(spend.reserve(0, 10, 50), Ok(30));
        assert!(spend.reserve(0, 1, 1).is_err());
        spend.settle(0, 30, 12);
        assert_eq!(spend.state(), (82, 0));
    }

    #[test]
    fn a_slice_is_longer_where_there_is_plenty() {
        let asked = |limit: i64, need, want| spend(limit, Period::Total, 0, 0).reserve(0, need, want);
        assert_eq!(asked(PLENTY * 10, 1, 10), Ok(10));
        assert_eq!(asked(PLENTY * 11, 1, 10), Ok(11));
        assert_eq!(asked(i64::MAX, 1, 10), Ok(10 * LONGER));
        // What must be held whole is held as it is.
        assert_eq!(asked(i64::MAX, 10, 10), Ok(10));
    }

    #[test]
    fn a_new_period_starts_at_zero_and_keeps_holds() {
        let mut spend = spend(100, Period::Daily, 90, 10);
        assert!(spend.reserve(1, 1, 1).is_err());
        assert_eq!(spend.reserve(86_400, 1, 200), Ok(90));
        spend.settle(86_401, 100, 42);
        assert_eq!(spend.state(), (42, 0));
    }

    proptest! {
        #[test]
        fn never_above_the_limit_and_holds_return_to_zero(
            limit in prop_oneof![1i64..10_000, 1i64..10_000_000],
            orders in proptest::collection::vec((0i64..500, 0i64..500, any::<bool>()), 1..200),
        ) {
            let mut spend = spend(limit, Period::Total, 0, 0);
            let mut open = Vec::new();
            for (need, more, settle_first) in orders {
                if settle_first && let Some(held) = open.pop() {
                    spend.settle(0, held, held / 2);
                }
                if let Ok(held) = spend.reserve(0, need, need + more) {
                    prop_assert!(held >= need);
                    open.push(held);
                }
                let (spent, held) = spend.state();
                prop_assert!(spent + held <= limit);
            }
            for held in open {
                spend.settle(0, held, 0);
            }
            prop_assert_eq!(spend.state().1, 0);
        }
    }
}
