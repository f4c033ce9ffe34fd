//! A budget's actor.
//!
//! - **owns** limit, period, spend and holds of one budget.
//! - **answers** `Reserve` with a [`Hold`] or a refusal, `Observe` with [`BudgetView`].
//! - **never** waits, reads the store, or lets spent + held pass the limit.
//!
//! Its last state is published in a [`BudgetGauge`] that outlives it, so that a respawned actor knows what is spent
//! and held. Holds that end put their figures there, too, for the actor to collect at its next turn; it is told of one
//! only where spend passes an amount that matters to somebody. None dies with a mailbox.
//!
//! Where there is plenty, the actor lets askers hold some of it in advance, without a question for each. Whenever it
//! is asked anything it takes that back first, so it decides by exact figures, and an advance can't be why somebody is
//! refused or the limit is passed. In a cluster a lease is the advance, and there is no other.

mod gauge;
mod handle;
mod messages;
mod reserving;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Actor, Context};
use serde::Serialize;
use tidegate_notify::threshold::DEFAULT;
use tidegate_store::BudgetRecord;

pub use self::gauge::BudgetGauge;
pub use self::handle::BudgetHandle;
pub(super) use self::messages::{Ended, SettleHold};
use self::messages::{Refused, Reserve};
pub use self::reserving::{Short, reserve_all, reserve_shared};
use super::news::{News, Story};
use super::permit::Hold;
use super::pool::{Part, Pool};
use crate::clock;
use crate::limits::{Exhausted, Spend};

/// Asks in flight beyond this wait at the sender; an actor answers some hundred thousand a second.
const MAILBOX: usize = 4_096;
/// What a budget shows of itself, in nano-dollars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetView {
    /// Stable id.
    pub id: String,
    /// Operator's name.
    pub name: String,
    /// Most that may be spent in a period.
    pub limit: i64,
    /// Spent in this period.
    pub spent: i64,
    /// Held by requests in flight.
    pub held: i64,
    /// Start of this period, seconds since the epoch.
    pub period_start: i64,
    /// End of this period.
    pub resets_at: Option<i64>,
}

/// The actor.
pub(super) struct BudgetActor {
    spend: Spend,
    /// The shared side, in a cluster.
    pool: Option<Pool>,
    gauge: Arc<BudgetGauge>,
    news: Arc<News>,
    /// Spend at which somebody is told next.
    alert_at: i64,
    /// Period in which a refusal was told.
    refused_in: Option<i64>,
}

/// Returns the least amount above `spent` at which somebody is told.
fn next_alert(record: &BudgetRecord, spent: i64) -> i64 {
    let shares = DEFAULT.into_iter().map(|share| share.amount(record.limit));
    let amounts = shares.chain(record.alerts.iter().copied());
    amounts.filter(|amount| *amount > spent).min().unwrap_or(i64::MAX)
}

impl BudgetActor {
    fn new(record: BudgetRecord, gauge: Arc<BudgetGauge>, news: Arc<News>, pool: Option<Pool>) -> Self {
        // It goes on in the period that was published, which may be over: what ended in it is to be collected first.
        let (start, held) = (gauge.period_start.load(Ordering::Relaxed), gauge.held.load(Ordering::Relaxed));
        let spent = if record.period_start(start) == start { gauge.spent.load(Ordering::Relaxed) } else { 0 };
        let alert_at = next_alert(&record, spent);
        let spend = Spend::new(record, start, spent, held);
        let mut pool = pool;
        if let Some(pool) = &mut pool {
            pool.inherit((gauge.pool.load(Ordering::Relaxed), gauge.uncounted.load(Ordering::Relaxed)));
        }
        Self { spend, pool, gauge, news, alert_at, refused_in: None }
    }

    /// Takes back what may be held in advance, takes in what is held of it and what holds spent and held that ended, and
    /// begins the period that it is by now.
    fn collect(&mut self) {
        let (taken, held, spent) = self.gauge.collect();
        if (taken, held, spent) != (0, 0, 0) {
            self.take_in(taken, held, spent);
        }
        self.spend.roll(clock::unix());
        if self.is_new_period() {
            self.publish();
        }
    }

    /// Counts in the period that is published, and publishes it: an actor that comes after this one knows it.
    fn take_in(&mut self, taken: i64, held: i64, spent: i64) {
        self.spend.collect(taken, held, spent);
        match &mut self.pool {
            Some(pool) => {
                let let_in = self.gauge.lost_let_in.swap(0, Ordering::AcqRel);
                pool.inherit((self.gauge.pool.load(Ordering::Relaxed), let_in));
            }
            None => self.alert(spent),
        }
        self.publish();
    }

    /// Ends a hold now.
    fn settle(&mut self, held: i64, actual: i64) {
        self.collect();
        self.spend.settle(clock::unix(), held, actual);
        if self.pool.is_none() {
            self.alert(actual);
        }
    }

    /// Returns whether another period is published.
    fn is_new_period(&self) -> bool {
        self.spend.period_start() != self.gauge.period_start.load(Ordering::Relaxed)
    }

    /// Tells when spend passed an amount at which somebody is told.
    fn alert(&mut self, paid: i64) {
        let after = self.spend.state().0;
        if after < self.alert_at {
            return;
        }
        let before = (after - paid).max(0);
        let budget = Box::new(self.spend.terms().clone());
        self.news.tell(Story::Spent { budget, period_start: self.spend.period_start(), before, after });
        self.rearm();
    }

    /// Tells of the first refusal in a period for want of money; one that merely waits for holds is none.
    fn refused(&mut self, exhausted: &Exhausted) {
        let period_start = self.spend.period_start();
        if exhausted.held > 0 || self.refused_in == Some(period_start) {
            return;
        }
        self.refused_in = Some(period_start);
        let budget = Box::new(self.spend.terms().clone());
        self.news.tell(Story::Refused { budget, period_start, spent: exhausted.spent });
    }

    fn rearm(&mut self) {
        self.alert_at = next_alert(self.spend.terms(), self.spend.state().0);
        self.refused_in = None;
    }

    fn publish(&mut self) {
        if self.is_new_period() {
            // People are told anew.
            self.rearm();
        }
        let (spent, held) = self.spend.state();
        self.gauge.spent.store(spent, Ordering::Relaxed);
        self.gauge.held.store(held, Ordering::Relaxed);
        self.gauge.begin(self.spend.period_start(), self.spend.period_end());
        // In a cluster the pool must hear of everything.
        let alert_at = if self.pool.is_some() { i64::MIN } else { self.alert_at };
        self.gauge.bound(self.spend.terms().limit, alert_at);
        if let Some(pool) = &self.pool {
            let (number, uncounted) = pool.uncounted();
            self.gauge.pool.store(number, Ordering::Relaxed);
            self.gauge.uncounted.store(uncounted, Ordering::Relaxed);
        }
        let leasing = self.pool.as_ref().is_some_and(|pool| !pool.is_at_rest());
        self.gauge.leasing.store(leasing, Ordering::Relaxed);
    }

    /// Holds what is asked for, if there is that much.
    fn hold(&mut self, order: Reserve) -> Result<Hold, Refused> {
        self.collect();
        let (amount, part) = self.reserve(order.need, order.want)?;
        self.publish();
        let (spent, held) = self.spend.state();
        let limit = self.spend.terms().limit;
        let left = match self.pool.as_ref().and_then(Pool::seen) {
            Some(seen) => seen.limit - seen.spent_all,
            None => limit - spent - held,
        };
        if self.pool.is_none() {
            self.gauge.give(self.spend.advance(amount));
        }
        Ok(Hold::new(order.handle, amount, part, limit, left.max(0)))
    }

    fn reserve(&mut self, need: i64, want: i64) -> Result<(i64, Option<Part>), Refused> {
        let Some(pool) = &mut self.pool else {
            return match self.spend.reserve(clock::unix(), need, want) {
                Ok(amount) => Ok((amount, None)),
                Err(exhausted) => {
                    self.refused(&exhausted);
                    Err(Refused::Exhausted(exhausted))
                }
            };
        };
        let part = pool.hold(self.spend.terms(), need, want);
        let part = part.map_err(|next| Refused::Shared(Box::new(next)))?;
        self.spend.hold(clock::unix(), part.amount());
        Ok((part.amount(), Some(part)))
    }
}

impl Actor for BudgetActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        self.gauge.hear();
        self.collect();
        self.publish();
    }
}

#[cfg(test)]
mod tests;
