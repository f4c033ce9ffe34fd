//! What a budget's actor publishes, and where holds that end leave their figures. Outlives the actor.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Published state of a budget, in nano-dollars.
#[derive(Debug, Default)]
pub struct BudgetGauge {
    pub(super) spent: AtomicI64,
    pub(super) held: AtomicI64,
    pub(super) period_start: AtomicI64,
    /// `i64::MAX` where there is none.
    period_end: AtomicI64,
    /// What holds spent and held that ended since the actor collected.
    ended_spent: AtomicI64,
    pub(super) ended_held: AtomicI64,
    /// Whether the actor was told of them, and did not hear it yet.
    told: AtomicBool,
    /// Whether something is leased, or to be reported, in a cluster.
    pub(super) leasing: AtomicBool,
    /// In a cluster: number of the present pool, and what was let in that Redis may not count yet.
    pub(super) pool: AtomicI64,
    pub(super) uncounted: AtomicI64,
    /// The same, of settlements that died in a mailbox.
    pub(super) lost_let_in: AtomicI64,
}

impl BudgetGauge {
    /// Says in which period spend is counted: its start and end.
    pub(super) fn begin(&self, start: i64, end: i64) {
        self.period_start.store(start, Ordering::Relaxed);
        // After the start: who sees the end sees the start that belongs to it.
        self.period_end.store(end, Ordering::Release);
    }

    /// Returns start and end of the period that holds `now`, if spend is counted in it.
    pub(super) fn period(&self, now: i64) -> Option<(i64, i64)> {
        let end = self.period_end.load(Ordering::Acquire);
        let start = self.period_start.load(Ordering::Relaxed);
        (start..end).contains(&now).then_some((start, end))
    }

    /// Puts down that a hold ended. Returns whether the actor must be told.
    #[must_use]
    pub(super) fn end(&self, held: i64, spent: i64) -> bool {
        // First what is spent: whoever sees that it is held no more sees that it is spent.
        self.ended_spent.fetch_add(spent, Ordering::AcqRel);
        self.ended_held.fetch_add(held, Ordering::AcqRel);
        !self.told.swap(true, Ordering::AcqRel)
    }

    /// The actor hears that holds ended: before it collects, so that who puts down figures after that tells it again.
    pub(super) fn hear(&self) {
        self.told.swap(false, Ordering::AcqRel);
    }

    /// Returns what was held and spent by those that ended since the last time.
    pub(super) fn collect(&self) -> (i64, i64) {
        if self.ended_held.load(Ordering::Relaxed) == 0 && self.ended_spent.load(Ordering::Relaxed) == 0 {
            return (0, 0);
        }
        let held = self.ended_held.swap(0, Ordering::AcqRel);
        (held, self.ended_spent.swap(0, Ordering::AcqRel))
    }
}
