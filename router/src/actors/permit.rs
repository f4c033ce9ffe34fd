//! What an actor grants: values that give back when dropped.
//!
//! A permit or hold is made inside the actor and returned by value. If the asker has gone, the answer is dropped
//! and its `Drop` gives everything back. Settling consumes it. This is the only file that may use `do_send`, which
//! skips the mailbox bound: there is at most one settlement per grant, which is a bound of its own.

use std::sync::Arc;

use tidegate_store::Unit;

use super::Unavailable;
use super::budget::{BudgetHandle, Ended, SettleHold};
use super::key::{KeyHandle, SettleKey};
use super::limiter::{LimiterHandle, SettleLimiter};
use super::pool::{Part, dealt};
use super::provider::{Began, Outcome, ProviderHandle, SettleProvider};
use crate::cluster::SharedGate;
use crate::limits::{Exhausted, Grant, Pass, RateView};

/// What was taken from limits that nodes share, and for how many tokens. Dropped without a settlement, it goes back.
#[derive(Default)]
struct Taken(Option<(Arc<SharedGate>, u32)>);

impl Taken {
    fn settle(&mut self, used: u64) {
        if let Some((gate, tokens)) = self.0.take() {
            gate.settle(tokens, used);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some((gate, tokens)) = self.0.take() {
            gate.give_back(tokens);
        }
    }
}

/// A key let a request in.
#[must_use = "dropping a permit gives it back"]
pub struct KeyPermit {
    handle: Option<Arc<KeyHandle>>,
    grant: Grant,
    shared: Taken,
    /// The key's tightest limits after admission.
    pub views: Vec<RateView>,
}

impl KeyPermit {
    pub(super) fn new(handle: Arc<KeyHandle>, grant: Grant, views: Vec<RateView>) -> Self {
        Self { handle: Some(handle), grant, shared: Taken::default(), views }
    }

    /// Adds what was taken from limits that nodes share.
    pub(super) fn share(&mut self, gate: Arc<SharedGate>, tokens: u32) {
        self.shared = Taken(Some((gate, tokens)));
    }

    /// Ends the request: it counts, with the tokens it used in fact.
    pub fn settle(mut self, tokens: u64) {
        self.shared.settle(tokens);
        self.send(Some(tokens));
    }

    #[expect(clippy::disallowed_methods, reason = "one settlement per permit, see the module docs")]
    fn send(&mut self, tokens: Option<u64>) {
        if let Some(handle) = self.handle.take() {
            let settle = SettleKey::new(self.grant, tokens, handle.gauge());
            handle.owner().reach(|address| address.do_send(settle));
        }
    }
}

impl Drop for KeyPermit {
    fn drop(&mut self) {
        self.send(None);
    }
}

/// A workspace's, integration's or policy's limits let a request in.
#[must_use = "dropping a permit gives it back"]
pub struct LimiterPermit {
    handle: Option<Arc<LimiterHandle>>,
    grant: Grant,
    shared: Taken,
    /// Its tightest limits after admission.
    pub views: Vec<RateView>,
}

impl LimiterPermit {
    pub(super) fn new(handle: Arc<LimiterHandle>, grant: Grant, views: Vec<RateView>) -> Self {
        Self { handle: Some(handle), grant, shared: Taken::default(), views }
    }

    /// Adds what was taken from limits that nodes share.
    pub(super) fn with_shared(mut self, gate: Arc<SharedGate>, tokens: u32) -> Self {
        self.shared = Taken(Some((gate, tokens)));
        self
    }

    /// Ends the request: it counts, with the tokens it used in fact.
    pub fn settle(mut self, tokens: u64) {
        self.shared.settle(tokens);
        self.send(Some(tokens));
    }

    #[expect(clippy::disallowed_methods, reason = "one settlement per permit, see the module docs")]
    fn send(&mut self, tokens: Option<u64>) {
        if let Some(handle) = self.handle.take() {
            let settle = SettleLimiter::new(self.grant, tokens, handle.gauge());
            handle.owner().reach(|address| address.do_send(settle));
        }
    }
}

impl Drop for LimiterPermit {
    fn drop(&mut self) {
        self.send(None);
    }
}

/// A provider let an attempt in.
#[must_use = "dropping a permit gives it back"]
pub struct ProviderPermit {
    handle: Option<Arc<ProviderHandle>>,
    /// `None` where the provider has nothing to refuse.
    grant: Option<Grant>,
    pass: Option<Pass>,
    shared: Taken,
}

impl ProviderPermit {
    pub(super) fn new(handle: Arc<ProviderHandle>, grant: Option<Grant>, pass: Option<Pass>) -> Self {
        Self { handle: Some(handle), grant, pass, shared: Taken::default() }
    }

    /// Adds what was taken from limits that nodes share.
    pub(super) fn with_shared(mut self, gate: Arc<SharedGate>, tokens: u32) -> Self {
        self.shared = Taken(Some((gate, tokens)));
        self
    }

    /// Notes that the vendor began to answer, where the provider's breaker waits for that.
    #[expect(clippy::disallowed_methods, reason = "at most one such note per permit, see the module docs")]
    pub fn began(&self) {
        if let (Some(handle), Some(pass)) = (&self.handle, self.pass.filter(Pass::is_watched)) {
            handle.owner().reach(|address| address.do_send(Began(pass)));
        }
    }

    /// Returns whether somebody chooses by the provider's latency.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.handle.as_ref().is_some_and(|handle| handle.health().is_watched())
    }

    /// Ends the attempt with what became of it.
    pub fn settle(mut self, outcome: Outcome) {
        self.shared.settle(outcome.tokens);
        self.send(Some(outcome));
    }

    #[expect(clippy::disallowed_methods, reason = "one settlement per permit, see the module docs")]
    fn send(&mut self, outcome: Option<Outcome>) {
        if let Some(handle) = self.handle.take() {
            let settle = SettleProvider::new(self.grant, self.pass, outcome, handle.gauge());
            handle.owner().reach(|address| address.do_send(settle));
        }
    }
}

impl Drop for ProviderPermit {
    fn drop(&mut self) {
        self.send(None);
    }
}

/// What a budget holds for a request, in the budget's unit.
#[must_use = "dropping a hold gives it back"]
pub struct Hold {
    handle: Arc<BudgetHandle>,
    amount: i64,
    /// What of leases it is, in a cluster.
    parts: Vec<Part>,
    /// So many parts were durable when they could still be acted on.
    checked: usize,
    /// The budget's limit.
    limit: i64,
    /// What the budget has left beside it.
    left: i64,
    settled: bool,
}

impl Hold {
    pub(super) fn new(
        handle: Arc<BudgetHandle>,
        amount: i64,
        part: Option<Part>,
        limit: i64,
        left: i64,
    ) -> Self {
        Self {
            handle,
            amount,
            parts: part.map_or_else(Vec::new, |part| vec![part]),
            checked: 0,
            limit,
            left,
            settled: false,
        }
    }

    /// Returns the budget's limit when it was made.
    #[must_use]
    pub fn limit(&self) -> i64 {
        self.limit
    }

    /// Returns what the budget had left beside it when it was made.
    #[must_use]
    pub fn left(&self) -> i64 {
        self.left
    }

    /// Returns whose spend `amount` would be in the durable store; nobody's name where it is part of no lease, and so
    /// this node's. There are several where the node was taken for dead while it was held.
    #[must_use]
    pub fn payers(&self, amount: i64) -> Vec<(Arc<str>, i64)> {
        let mut payers: Vec<(Arc<str>, i64)> = Vec::new();
        if self.parts.is_empty() {
            return payers;
        }
        for (part, pays) in self.parts.iter().zip(dealt(&self.parts, amount)) {
            match payers.iter_mut().find(|(by, _)| by == part.by()) {
                Some((_, sum)) => *sum += pays,
                None => payers.push((part.by().clone(), pays)),
            }
        }
        payers
    }

    /// Returns whether it is part of a lease.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Returns whether what was added to it since the last such question, and is durable now, may be acted on: a node
    /// that slept meanwhile may have been taken for dead.
    pub async fn may_send(&mut self) -> bool {
        let fresh: Vec<_> = self.parts[self.checked..].iter().filter_map(Part::place).collect();
        self.checked = self.parts.len();
        fresh.is_empty() || self.handle.may_send(fresh).await
    }

    /// Returns how much is held.
    #[must_use]
    pub fn amount(&self) -> i64 {
        self.amount
    }

    /// Returns what its budget counts.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.handle.unit()
    }

    /// Returns the budget.
    #[must_use]
    pub fn budget(&self) -> &Arc<BudgetHandle> {
        &self.handle
    }

    /// Asks for more: at least `need`, at best `want`. Returns what was added.
    ///
    /// # Errors
    /// The budget's refusal; what is held stays held.
    pub async fn extend(&mut self, need: i64, want: i64) -> Result<Result<i64, Exhausted>, Unavailable> {
        let answer = self.handle.reserve(need, want).await?;
        // The addition comes as a hold of its own, so that nothing leaks if this future is dropped meanwhile.
        Ok(answer.map(|mut more| {
            more.settled = true;
            self.parts.append(&mut more.parts);
            self.amount += more.amount;
            more.amount
        }))
    }

    /// Ends the hold and spends `actual`, unless it ended before.
    #[expect(clippy::disallowed_methods, reason = "one settlement per hold, see the module docs")]
    pub fn settle(&mut self, actual: i64) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let owner = self.handle.owner();
        let told = if self.parts.is_empty() { self.handle.ended(self.amount, actual) } else { None };
        match told {
            Some(false) => {}
            Some(true) => owner.reach(|address| address.do_send(Ended)),
            None => {
                let parts = std::mem::take(&mut self.parts);
                let settle = SettleHold::new(self.amount, actual, parts, self.handle.gauge());
                owner.reach(|address| address.do_send(settle));
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle(0);
    }
}
