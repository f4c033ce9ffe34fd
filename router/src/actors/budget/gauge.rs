//! What a budget's actor publishes, what it lets askers hold without asking, and where holds that end leave their figures.
//! Outlives the actor.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::limits::granted;

/// What an asker took of an advance, in the budget's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) amount: i64,
    /// The budget's limit.
    pub(super) limit: i64,
    /// What the budget has left beside it.
    pub(super) left: i64,
}

/// Published state of a budget, in nano-dollars.
#[derive(Debug, Default)]
pub struct BudgetGauge {
    pub(super) spent: AtomicI64,
    pub(super) held: AtomicI64,
    pub(super) period_start: AtomicI64,
    /// `i64::MAX` where there is none.
    period_end: AtomicI64,
    /// The limit, and spend at which the actor must hear of it at once.
    limit: AtomicI64,
    alert_at: AtomicI64,
    /// What the actor lets askers hold without asking, at first and as far as nobody took it. It is not in `held`.
    advanced: AtomicI64,
    advance: AtomicI64,
    /// What holds spent and held that ended since the actor collected.
    ended_spent: AtomicI64,
    ended_held: AtomicI64,
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

    /// Says how much may be spent, and at which spend the actor must hear of it at once.
    pub(super) fn bound(&self, limit: i64, alert_at: i64) {
        self.limit.store(limit, Ordering::Relaxed);
        self.alert_at.store(alert_at, Ordering::Relaxed);
    }

    /// The actor lets askers hold so much without asking, having taken back what it let them before.
    pub(super) fn give(&self, advance: i64) {
        self.advanced.store(advance, Ordering::Relaxed);
        // Last: who can take of it sees what the actor published besides.
        self.advance.store(advance, Ordering::Release);
    }

    /// Takes of the advance what the actor would grant: at least `need`, at best `want`, or a longer slice. `None` where
    /// the advance is too small, or of a period that is over: then the actor must be asked.
    pub(super) fn take(&self, now: i64, need: i64, want: i64) -> Option<Taken> {
        let mut advance = self.advance.load(Ordering::Acquire);
        if advance <= 0 {
            return None;
        }
        self.period(now)?;
        loop {
            let limit = self.limit.load(Ordering::Relaxed);
            let spent = self.spent.load(Ordering::Relaxed) + self.ended_spent.load(Ordering::Relaxed);
            let left = limit.saturating_sub(spent).saturating_sub(self.held_beside(advance));
            let amount = granted(left, need, want);
            if amount < need.max(want) || amount > advance {
                return None;
            }
            // The actor may have taken it back meanwhile. Then nothing is left to take, or another advance of its.
            match self.advance.compare_exchange_weak(
                advance,
                advance - amount,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(Taken { amount, limit, left: left.saturating_sub(amount).max(0) }),
                Err(now) if now <= 0 => return None,
                Err(now) => advance = now,
            }
        }
    }

    /// Returns what is held, where so much of the advance is not.
    fn held_beside(&self, advance: i64) -> i64 {
        let taken = self.advanced.load(Ordering::Relaxed).saturating_sub(advance);
        let held = self.held.load(Ordering::Relaxed).saturating_add(taken);
        held.saturating_sub(self.ended_held.load(Ordering::Relaxed))
    }

    /// Returns whether nobody holds anything.
    pub(super) fn is_idle(&self) -> bool {
        self.held_beside(self.advance.load(Ordering::Acquire)) == 0
    }

    /// Puts down that a hold ended, in the period that is published. Returns whether the actor must be told: where spend
    /// passes an amount that matters to somebody. Else it learns of it when it is asked next.
    #[must_use]
    pub(super) fn end(&self, held: i64, spent: i64) -> bool {
        // First what is spent: whoever sees that it is held no more sees that it is spent.
        let ended = self.ended_spent.fetch_add(spent, Ordering::AcqRel).saturating_add(spent);
        self.ended_held.fetch_add(held, Ordering::AcqRel);
        let after = self.spent.load(Ordering::Relaxed).saturating_add(ended);
        after >= self.alert_at.load(Ordering::Relaxed) && !self.told.swap(true, Ordering::AcqRel)
    }

    /// The actor hears that holds ended: before it collects, so that who puts down figures after that tells it again.
    pub(super) fn hear(&self) {
        self.told.swap(false, Ordering::AcqRel);
    }

    /// Takes the advance back. Returns what of it is held, or was, and what was held and spent by those that ended since
    /// the last time.
    pub(super) fn collect(&self) -> (i64, i64, i64) {
        // First what was taken: whatever ended was taken before.
        let taken = if self.advanced.load(Ordering::Relaxed) == 0 {
            0
        } else {
            let rest = self.advance.swap(0, Ordering::AcqRel);
            self.advanced.swap(0, Ordering::Relaxed).saturating_sub(rest)
        };
        if self.ended_held.load(Ordering::Acquire) == 0 && self.ended_spent.load(Ordering::Acquire) == 0 {
            return (taken, 0, 0);
        }
        let held = self.ended_held.swap(0, Ordering::AcqRel);
        (taken, held, self.ended_spent.swap(0, Ordering::AcqRel))
    }
}
