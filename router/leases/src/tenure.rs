//! What one tenure has, as its node counts it.

use crate::ids::{Epoch, Holder};

/// A part of a lease that one request holds. Give it to [`crate::Share::settle`], whatever happens.
#[derive(Debug, Eq, PartialEq)]
#[must_use = "what is held stays held until it is settled"]
pub struct Held {
    pub(crate) tenure: u64,
    pub(crate) amount: i64,
}

impl Held {
    /// How much it is.
    pub fn amount(&self) -> i64 {
        self.amount
    }

    /// The tenure it belongs to: the durable store files the hold under it.
    pub fn tenure(&self) -> u64 {
        self.tenure
    }

    /// Adds another part of the same tenure; gives back a part of another.
    pub fn join(&mut self, other: Held) -> Result<(), Held> {
        if self.tenure != other.tenure {
            return Err(other);
        }
        self.amount = self.amount.saturating_add(other.amount);
        Ok(())
    }
}

/// A tenure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenure {
    pub(crate) holder: Holder,
    /// The epoch in which Redis knows of it.
    pub(crate) epoch: Epoch,
    /// Of the last operation; 0 before the first.
    pub(crate) seq: u64,
    /// Whether Redis has answered.
    pub(crate) joined: bool,
    /// Handed out and not given back, spent or not. What is being given back is gone from it.
    pub(crate) authority: i64,
    pub(crate) spent: i64,
    /// As Redis knows it.
    pub(crate) reported: i64,
    pub(crate) held: i64,
    /// Of what was spent: what no lease covered.
    pub(crate) charged: i64,
    /// Redis must hear of it by [`Declare`](crate::protocol::Declare), because whoever opens the pool would count
    /// what it spent.
    pub(crate) undeclared: bool,
    /// Of an ended one: what Redis counts as burnt, at most.
    pub(crate) burnt: i64,
}

impl Tenure {
    pub(crate) fn new(holder: Holder, epoch: Epoch) -> Self {
        Self {
            holder,
            epoch,
            seq: 0,
            joined: false,
            authority: 0,
            spent: 0,
            reported: 0,
            held: 0,
            charged: 0,
            undeclared: false,
            burnt: i64::MAX,
        }
    }

    /// Returns what a request may hold now; below zero when more was spent than was there.
    pub(crate) fn available(&self) -> i64 {
        self.authority.saturating_sub(self.spent).saturating_sub(self.held)
    }

    /// Returns of what was charged how much Redis may not count, at most: what was not reported, and what it counts in
    /// the place of a lease that requests still hold.
    pub(crate) fn uncounted(&self) -> i64 {
        let unknown = self.spent.saturating_sub(self.reported).saturating_add(self.held);
        self.charged.min(unknown).max(0)
    }

    /// Spends what no lease covers.
    pub(crate) fn charge(&mut self, spent: i64) {
        self.settle(0, spent);
        self.charged = self.charged.saturating_add(spent.max(0));
    }

    pub(crate) fn settle(&mut self, held: i64, spent: i64) {
        self.held -= held;
        self.spent = self.spent.saturating_add(spent.max(0));
    }
}
