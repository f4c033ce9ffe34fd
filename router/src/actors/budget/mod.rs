//! A budget's actor.
//!
//! - **owns** limit, period, spend and holds of one budget.
//! - **answers** `Reserve` with a [`Hold`] or a refusal, `Observe` with [`BudgetView`].
//! - **never** waits, reads the store, or lets spent + held pass the limit.
//!
//! Its last state is published in a [`BudgetGauge`] that outlives it, so that a respawned actor knows what is spent
//! and held. Holds that end put their figures there, too, for the actor to collect when it is asked next: it is told of
//! the first one only, and those that end until its turn comes cost it no message of their own. None dies with a mailbox.

mod gauge;
mod handle;
mod messages;
mod reserving;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Actor, Context};
use serde::Serialize;
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
/// Shares of a limit at which somebody is told, beside the amounts that the budget names.
const ALERT_PERCENT: [i64; 3] = [50, 80, 100];

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

    /// Takes in what holds spent and held that ended, and publishes it: an actor that comes after this one knows it.
    fn collect(&mut self) {
        let (held, spent) = self.gauge.collect();
        if (held, spent) == (0, 0) {
            return;
        }
        self.spend.settle(clock::unix(), held, spent);
        match &mut self.pool {
            Some(pool) => {
                let let_in = self.gauge.lost_let_in.swap(0, Ordering::AcqRel);
                pool.inherit((self.gauge.pool.load(Ordering::Relaxed), let_in));
            }
            None => self.alert(spent),
        }
        self.publish();
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
        self.gauge.begin(self.spend.period_start(), self.spend.period_end());
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
        assert!(!budget.rested(60), "it was asked just now");
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
        let mut hold = budget.reserve(40, 40).await.unwrap().unwrap();
        budget.reserve(10, 10).await.unwrap().unwrap().settle(7);
        assert!(budget.owner().address().send(Panic).await.is_err());
        let view = budget.observe().await.unwrap();
        assert_eq!((view.spent, view.held), (7, 40));
        hold.settle(30);
        let view = budget.observe().await.unwrap();
        assert_eq!((view.spent, view.held), (37, 0));
    }

    #[actix::test]
    async fn what_a_refusal_collected_survives_the_actor() {
        let budget = handle(100);
        let hold = budget.reserve(60, 60).await.unwrap().unwrap();
        // Its figures are put down, and the message that tells of them is not sent yet.
        assert!(budget.ended(60, 50));
        std::mem::forget(hold);
        let refused = budget.reserve(90, 90);
        let dying = budget.owner().reach(|address| address.send(Panic));
        assert_eq!(refused.await.unwrap().err().unwrap().spent, 50);
        assert!(dying.await.is_err());
        let view = budget.observe().await.unwrap();
        assert_eq!((view.spent, view.held), (50, 0));
    }

    #[actix::test]
    async fn several_are_asked_at_once_and_all_grant_or_all_give_back() {
        let budgets = [handle(100), handle(50), handle(10)];
        let of = |_: &BudgetHandle| (10, 20);
        let holds = reserve_all(&budgets, of).await.unwrap().unwrap_or_else(|_| panic!("enough is left"));
        let amounts: Vec<_> = holds.iter().map(|hold| (hold.amount(), hold.limit(), hold.left())).collect();
        assert_eq!(amounts, [(20, 100, 80), (20, 50, 30), (10, 10, 0)]);
        let (short, exhausted) = reserve_all(&budgets, of).await.unwrap().err().unwrap();
        assert!(Arc::ptr_eq(&short, &budgets[2]));
        assert_eq!((exhausted.limit, exhausted.held), (10, 10));
        assert_eq!(budgets[0].observe().await.unwrap().held, 20, "what the others granted came back");
        assert!(reserve_all(&[], of).await.unwrap().is_ok_and(|holds| holds.is_empty()));
    }

    #[actix::test]
    async fn one_that_died_with_the_question_is_asked_again() {
        let budgets = [handle(100), handle(100)];
        let of = |_: &BudgetHandle| (10, 20);
        let asking = budgets[1].owner().reach(|address| address.send(Panic));
        // The question lies behind the message that ends its actor.
        let reserving = reserve_all(&budgets, of);
        assert!(asking.await.is_err());
        let holds = reserving.await.unwrap().unwrap_or_else(|_| panic!("enough is left"));
        assert_eq!(holds.len(), 2);
        drop(holds);
        for budget in &budgets {
            assert_eq!(budget.observe().await.unwrap().held, 0);
        }
    }

    #[actix::test]
    async fn who_asks_several_and_leaves_leaks_nothing() {
        let budgets = [handle(100), handle(100)];
        let reserving = reserve_all(&budgets, |_| (10, 60));
        drop(reserving);
        for budget in &budgets {
            assert_eq!(budget.observe().await.unwrap().held, 0);
        }
    }

    #[actix::test]
    async fn holds_that_end_together_are_told_once_and_counted_each() {
        let budget = handle(1_000);
        let mut holds = Vec::new();
        for _ in 0..10 {
            holds.push(budget.reserve(10, 10).await.unwrap().unwrap());
        }
        let told = holds.iter().filter(|_| budget.ended(10, 3)).count();
        assert_eq!(told, 1, "the first one only, until the actor heard it");
        holds.into_iter().for_each(std::mem::forget);
        let view = budget.observe().await.unwrap();
        assert_eq!((view.spent, view.held), (30, 0));
        budget.owner().address().send(Ended).await.unwrap();
        assert!(budget.ended(0, 1), "it heard, and must be told again");
    }

    #[actix::test]
    async fn holds_of_many_threads_never_pass_the_limit_and_all_come_back() {
        let budget = BudgetHandle::start(BudgetRecord::named("b", "b", 1_000), (0, 0), &Shards::start(2));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let budget = budget.clone();
                std::thread::spawn(move || {
                    actix::System::new().block_on(async move {
                        let mut spent = 0;
                        for round in 0..500 {
                            let budgets = [budget.clone()];
                            let Ok(mut holds) = reserve_all(&budgets, |_| (7, 7)).await.unwrap() else {
                                continue;
                            };
                            if round % 3 == 0 {
                                tokio::task::yield_now().await;
                            }
                            let mut hold = holds.pop().unwrap();
                            assert!(hold.left() >= 0);
                            let pays = i64::from(round % 2);
                            spent += pays;
                            hold.settle(pays);
                        }
                        spent
                    })
                })
            })
            .collect();
        let mut spent = 0;
        for thread in threads {
            while !thread.is_finished() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            spent += thread.join().unwrap();
        }
        let view = budget.observe().await.unwrap();
        assert_eq!((view.spent, view.held), (spent, 0));
        assert!(spent > 100 && spent <= 1_000, "{spent}");
    }
}
