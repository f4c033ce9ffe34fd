//! A budget's actor.
//!
//! - **owns** limit, period, spend and holds of one budget.
//! - **answers** `Reserve` with a [`Hold`](super::permit::Hold) or a refusal, `Observe` with [`BudgetView`].
//! - **never** waits, reads the store, or lets spent + held pass the limit.
//!
//! Its last state is published in a [`BudgetGauge`] that outlives it, so that a respawned actor knows what is spent
//! and held; settlements that die in a dead actor's mailbox put themselves there too.

mod handle;
mod messages;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use actix::{Actor, Context};
use serde::Serialize;
use tidegate_store::BudgetRecord;

pub use self::handle::BudgetHandle;
use self::messages::Refused;
pub(super) use self::messages::SettleHold;
use super::news::{News, Story};
use super::pool::{Part, Pool};
use crate::clock;
use crate::limits::{Exhausted, Spend};

/// Asks in flight beyond this wait at the sender; an actor answers some hundred thousand a second.
const MAILBOX: usize = 4_096;
/// Shares of a limit at which somebody is told, beside the amounts that the budget names.
const ALERT_PERCENT: [i64; 3] = [50, 80, 100];

/// Published state of a budget, in nano-dollars.
#[derive(Debug, Default)]
pub struct BudgetGauge {
    spent: AtomicI64,
    held: AtomicI64,
    period_start: AtomicI64,
    lost_spent: AtomicI64,
    lost_held: AtomicI64,
    /// Whether something is leased, or to be reported, in a cluster.
    leasing: AtomicBool,
    /// In a cluster: number of the present pool, and what was let in that Redis may not count yet.
    pool: AtomicI64,
    uncounted: AtomicI64,
    /// The same, of settlements that died in a mailbox.
    lost_let_in: AtomicI64,
}

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
    let shares = ALERT_PERCENT.iter().map(|percent| record.limit / 100 * percent);
    let amounts = shares.chain(record.alerts.iter().copied());
    amounts.filter(|amount| *amount > spent).min().unwrap_or(i64::MAX)
}

impl BudgetActor {
    fn new(record: BudgetRecord, gauge: Arc<BudgetGauge>, news: Arc<News>, pool: Option<Pool>) -> Self {
        let (now, held) = (clock::unix(), gauge.held.load(Ordering::Relaxed));
        let same_period = gauge.period_start.load(Ordering::Relaxed) == record.period_start(now);
        let spent = if same_period { gauge.spent.load(Ordering::Relaxed) } else { 0 };
        let alert_at = next_alert(&record, spent);
        let spend = Spend::new(record, now, spent, held);
        let mut pool = pool;
        if let Some(pool) = &mut pool {
            pool.inherit((gauge.pool.load(Ordering::Relaxed), gauge.uncounted.load(Ordering::Relaxed)));
        }
        Self { spend, pool, gauge, news, alert_at, refused_in: None }
    }

    /// Takes in settlements that died in a mailbox.
    fn collect_lost(&mut self) {
        if self.gauge.lost_held.load(Ordering::Relaxed) != 0
            || self.gauge.lost_spent.load(Ordering::Relaxed) != 0
        {
            let held = self.gauge.lost_held.swap(0, Ordering::AcqRel);
            let spent = self.gauge.lost_spent.swap(0, Ordering::AcqRel);
            self.spend.settle(clock::unix(), held, spent);
            if let Some(pool) = &mut self.pool {
                let let_in = self.gauge.lost_let_in.swap(0, Ordering::AcqRel);
                pool.inherit((self.gauge.pool.load(Ordering::Relaxed), let_in));
            }
        }
    }

    /// Tells when spend passed an amount at which somebody is told.
    fn alert(&mut self, paid: i64) {
        let after = self.spend.state().0;
        if after - paid < 0 || after < paid {
            // The period began again meanwhile.
            self.rearm();
        }
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

    fn publish(&self) {
        let (spent, held) = self.spend.state();
        self.gauge.spent.store(spent, Ordering::Relaxed);
        self.gauge.held.store(held, Ordering::Relaxed);
        self.gauge.period_start.store(self.spend.period_start(), Ordering::Relaxed);
        if let Some(pool) = &self.pool {
            let (number, uncounted) = pool.uncounted();
            self.gauge.pool.store(number, Ordering::Relaxed);
            self.gauge.uncounted.store(uncounted, Ordering::Relaxed);
        }
        let leasing = self.pool.as_ref().is_some_and(|pool| !pool.is_at_rest());
        self.gauge.leasing.store(leasing, Ordering::Relaxed);
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
        self.collect_lost();
        self.publish();
    }
}

#[cfg(test)]
mod tests {
    use actix::{Handler, Message};

    use super::super::shards::Shards;
    use super::*;

    #[derive(Clone, Message)]
    #[rtype(result = "()")]
    struct Panic;

    impl Handler<Panic> for BudgetActor {
        type Result = ();
        fn handle(&mut self, _order: Panic, _context: &mut Self::Context) {
            panic!("asked to");
        }
    }

    fn handle(limit: i64) -> Arc<BudgetHandle> {
        let record = BudgetRecord::named("b", "b", limit);
        BudgetHandle::start(record, (0, 0), &Shards::start(1))
    }

    #[actix::test]
    async fn a_dropped_hold_is_released() {
        let budget = handle(100);
        let hold = budget.reserve(10, 60).await.unwrap().unwrap();
        assert_eq!(hold.amount(), 60);
        drop(hold);
        let view = budget.observe().await.unwrap();
        assert_eq!((view.spent, view.held), (0, 0));
    }

    #[actix::test]
    async fn an_asker_that_leaves_leaks_nothing() {
        let budget = handle(100);
        {
            let asking = budget.reserve(10, 60);
            futures_util::pin_mut!(asking);
            // Polled once, so that the message is on its way, then dropped with whatever was answered meanwhile.
            let _answered = futures_util::poll!(asking.as_mut());
        }
        let view = budget.observe().await.unwrap();
        assert_eq!(view.held, 0);
    }

    #[actix::test]
    async fn a_refusal_tells_what_is_left() {
        let budget = handle(100);
        let _hold = budget.reserve(90, 90).await.unwrap().unwrap();
        let refusal = budget.reserve(20, 20).await.unwrap().err().unwrap();
        assert_eq!((refusal.limit, refusal.spent, refusal.held), (100, 0, 90));
    }

    #[actix::test]
    async fn a_panicked_budget_comes_back_with_spend_and_holds() {
        let budget = handle(100);
        let hold = budget.reserve(40, 40).await.unwrap().unwrap();
        budget.reserve(10, 10).await.unwrap().unwrap().settle(7);
        assert!(budget.owner().address().send(Panic).await.is_err());
        let view = budget.observe().await.unwrap();
        assert_eq!((view.spent, view.held), (7, 40));
        hold.settle(30);
        let view = budget.observe().await.unwrap();
        assert_eq!((view.spent, view.held), (37, 0));
    }
}
