//! What a request owes until it ends: its key's permit, what its attempts cost so far, and its log row.
//!
//! There is one [`Docket`] per request. It goes from attempt to attempt and is never in two places: a settlement takes
//! it at the start of an attempt and puts it back into the walk's [`Slot`] when the attempt ends. Once the walk is
//! over (the answer streams, or the client left) there is no slot to put it into, and the end of the attempt is the
//! end of the request. Whatever happens, `Drop` writes the row and gives the permit back, exactly once.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use tidegate_providers::Usage;
use tidegate_store::{AttemptRow, LedgerEntry, LogRow, SettleRecord, SpendRecord};

use super::resolve::Route;
use super::shape::Shape;
use crate::actors::permit::KeyPermit;
use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::routing::breakers::Entry;

/// What one attempt came to.
#[derive(Default)]
pub(super) struct Share {
    /// `ok`, or what went wrong.
    pub outcome: String,
    /// HTTP status.
    pub status: u16,
    /// Error sentence.
    pub error: Option<String>,
    /// Whether the vendor was asked.
    pub asked: bool,
    /// Tokens used.
    pub usage: Usage,
    /// Whether they were counted here.
    pub estimated: bool,
    /// Cost, where there is a price.
    pub cost: Option<i64>,
    /// Budgets that pay it: id, period start.
    pub budgets: Vec<(String, i64)>,
    /// Whether a hold is on disk for it.
    pub held: bool,
    /// Microseconds from the request's start to the first byte.
    pub first_byte_us: Option<u64>,
}

/// What an attempt cost and the ledger does not know yet.
struct Due {
    budgets: Vec<(String, i64)>,
    nano_usd: i64,
    held: bool,
}

/// What a request owes.
pub(super) struct Docket {
    gateway: Arc<Gateway>,
    /// The key's permit, once the key was asked.
    pub(super) permit: Option<KeyPermit>,
    /// The log row as known so far.
    pub(super) row: LogRow,
    started: Instant,
    asked: bool,
    tokens: u64,
    due: Option<Due>,
    /// Costs of earlier attempts are spent already, so the row's cost is not what is still to be spent.
    partly_spent: bool,
    attempt: AttemptRow,
    /// The pass of the target's breaker, for the attempt that runs.
    pub(super) entry: Option<Entry>,
    /// Whether running out of time counts against the target's breaker and the provider's.
    pub(super) timeouts_count: (bool, bool),
    closed: bool,
}

impl Docket {
    /// Opens a request's docket.
    #[must_use]
    pub(super) fn new(gateway: Arc<Gateway>, row: LogRow, started: Instant) -> Self {
        Self {
            gateway,
            permit: None,
            row,
            started,
            asked: false,
            tokens: 0,
            due: None,
            partly_spent: false,
            attempt: AttemptRow::default(),
            entry: None,
            timeouts_count: (true, true),
            closed: false,
        }
    }

    /// Begins an attempt.
    pub(super) fn begin(&mut self, route: &Route, retry: u32) {
        self.row.provider.clone_from(&route.provider.record().slug);
        self.row.model.clone_from(&route.model);
        self.row.option_index.clone_from(&route.option_index);
        self.attempt = AttemptRow {
            option_index: route.option_index.clone(),
            provider: self.row.provider.clone(),
            model: self.row.model.clone(),
            retry,
            started_us: self.micros(),
            ..AttemptRow::default()
        };
    }

    /// Notes what the body says of the answer and the end user.
    pub(super) fn describe(&mut self, shape: &Shape) {
        self.row.stream = shape.stream;
        if let Some(user) = &shape.user {
            self.row.metadata.entry("_user".to_owned()).or_insert_with(|| user.clone());
        }
    }

    /// Notes that the request counts although no vendor is asked.
    pub(super) fn counts(&mut self) {
        self.asked = true;
    }

    /// Notes how an attempt ended.
    pub(super) fn note(&mut self, share: Share) {
        // An attempt that did not settle it says nothing of its vendor.
        self.entry = None;
        self.asked |= share.asked;
        self.tokens += share.usage.total();
        let row = &mut self.row;
        row.status = share.status;
        row.outcome.clone_from(&share.outcome);
        row.error.clone_from(&share.error);
        row.first_byte_us = share.first_byte_us;
        row.estimated |= share.estimated;
        row.input_tokens += share.usage.input;
        row.cached_input_tokens += share.usage.cached_input;
        row.output_tokens += share.usage.output;
        row.reasoning_tokens += share.usage.reasoning;
        if share.asked {
            row.cost_nano_usd = match (row.cost_nano_usd, share.cost) {
                (Some(before), Some(now)) => Some(before.saturating_add(now)),
                (before, now) => before.or(now),
            };
            for (budget, _) in &share.budgets {
                if !row.budgets.contains(budget) {
                    row.budgets.push(budget.clone());
                }
            }
        }
        if share.held || share.cost.unwrap_or(0) != 0 {
            let nano_usd = share.cost.unwrap_or(0);
            self.due = Some(Due { budgets: share.budgets, nano_usd, held: share.held });
        }
        let mut attempt = std::mem::take(&mut self.attempt);
        attempt.asked = share.asked;
        attempt.status = share.status;
        attempt.outcome = share.outcome;
        attempt.error = share.error;
        attempt.cost_nano_usd = if share.asked { share.cost } else { Some(0) };
        attempt.took_us = self.micros().saturating_sub(attempt.started_us);
        self.row.tried.push(attempt);
    }

    /// Notes a refusal: nothing was asked of a vendor.
    pub(super) fn refused(&mut self, error: &GatewayError) {
        self.note(Share {
            outcome: error.outcome().to_owned(),
            status: error.status(),
            error: Some(error.message.clone()),
            ..Share::default()
        });
    }

    /// Sets what the request comes to when that is not what its last attempt came to.
    pub(super) fn conclude(&mut self, status: u16, outcome: &str, error: Option<String>) {
        self.row.status = status;
        outcome.clone_into(&mut self.row.outcome);
        self.row.error = error;
    }

    /// Ends the request as it was noted.
    pub(super) fn close(mut self) {
        self.write();
    }

    /// Writes down what the last attempt cost: the next one may be paid from other budgets.
    fn pay(&mut self) {
        let Some(due) = self.due.take() else { return };
        self.partly_spent |= due.nano_usd != 0;
        let paid = SpendRecord {
            request: self.row.id.clone(),
            budgets: due.budgets,
            held: due.held,
            nano_usd: due.nano_usd,
        };
        self.gateway.ledger.append(LedgerEntry::Spend(Box::new(paid)));
    }

    fn write(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if self.partly_spent {
            self.pay();
        }
        let total_us = self.micros();
        match self.permit.take() {
            Some(permit) if self.asked => permit.settle(self.tokens),
            // Dropped: a request that nobody was asked for is given back.
            _ => {}
        }
        if !self.asked {
            self.row.cost_nano_usd = Some(0);
        }
        self.row.total_us = total_us;
        if self.row.attempts == 0 {
            self.row.gateway_us = total_us;
        }
        if self.row.tried.len() < 2 {
            // The row itself says it all.
            self.row.tried.clear();
        }
        let due = self.due.take();
        let (budgets, held) = due.map_or_else(Default::default, |due| (due.budgets, due.held));
        let row = std::mem::take(&mut self.row);
        self.gateway.ledger.append(LedgerEntry::Settle(Box::new(SettleRecord { budgets, held, row })));
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for Docket {
    fn drop(&mut self) {
        if !self.closed {
            // Nobody closed it, so the future that would have was dropped: the client left.
            self.conclude(499, "client_gone", None);
            self.write();
        }
    }
}

/// Where a walk keeps its docket between attempts.
pub(super) struct Slot(Arc<Mutex<Option<Docket>>>);

impl Slot {
    /// Makes a slot with a docket in it.
    #[must_use]
    pub(super) fn new(docket: Docket) -> Self {
        Self(Arc::new(Mutex::new(Some(docket))))
    }

    /// Takes the docket; `None` while an answer that began owns it.
    #[must_use]
    pub(super) fn take(&self) -> Option<Docket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts the docket back.
    pub(super) fn put(&self, docket: Docket) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(docket);
    }

    /// Keeps the pass of a target's breaker for the attempt that follows.
    pub(super) fn enter(&self, entry: Option<Entry>) {
        if let Some(docket) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            docket.entry = entry;
        }
    }

    /// Notes what was found in the cache.
    pub(super) fn note_cache(&self, status: &str) {
        if let Some(docket) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            status.clone_into(&mut docket.row.cache);
        }
    }

    /// Writes down what the last attempt cost: another one follows, maybe after a wait.
    pub(super) fn carry_on(&self) {
        if let Some(docket) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            docket.pay();
        }
    }

    /// Returns the way back for a settlement.
    #[must_use]
    pub(super) fn way_back(&self) -> WayBack {
        WayBack(Arc::downgrade(&self.0))
    }
}

/// The way of a docket back to its walk, as long as there is one.
pub(super) struct WayBack(Weak<Mutex<Option<Docket>>>);

impl WayBack {
    /// Gives the docket back, or ends the request if its walk is over.
    pub(super) fn give(&self, docket: Docket) {
        match self.0.upgrade() {
            Some(slot) => *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(docket),
            None => docket.close(),
        }
    }
}
