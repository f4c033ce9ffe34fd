//! A budget's actor.
//!
//! - **owns** limit, period, spend and holds of one budget.
//! - **answers** `Reserve` with a [`Hold`] or a refusal, `Observe` with [`BudgetView`].
//! - **never** waits, reads the store, or lets spent + held pass the limit.
//!
//! Its last state is published in a [`BudgetGauge`] that outlives it, so that a respawned actor knows what is spent
//! and held; settlements that die in a dead actor's mailbox put themselves there too.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use actix::{Actor, Context, Handler, Message};
use arc_swap::{ArcSwap, ArcSwapOption};
use serde::Serialize;
use tidegate_store::{BudgetRecord, Unit};

use super::Unavailable;
use super::news::{News, Story};
use super::owner::Owner;
use super::permit::Hold;
use super::shards::Shards;
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
}

/// Where a budget is reached. Outlives its actor.
pub struct BudgetHandle {
    id: String,
    unit: Unit,
    /// The terms that were put in force last, where rules declare them.
    followed: ArcSwapOption<BudgetRecord>,
    last_used: AtomicU64,
    record: ArcSwap<BudgetRecord>,
    gauge: Arc<BudgetGauge>,
    owner: Owner<BudgetActor>,
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

impl BudgetHandle {
    /// Starts the actor of a budget that has spent `spent` nano-dollars in its current period.
    #[must_use]
    pub fn start(record: BudgetRecord, spent: i64, shards: &Shards) -> Arc<Self> {
        let gauge = Arc::new(BudgetGauge::default());
        gauge.spent.store(spent, Ordering::Relaxed);
        gauge.period_start.store(record.period_start(clock::unix()), Ordering::Relaxed);
        let shard = shards.of(&record.id);
        Arc::new_cyclic(|this: &std::sync::Weak<Self>| {
            let id = record.id.clone();
            let first = record.clone();
            let (this, state, news) = (this.clone(), gauge.clone(), shards.news().clone());
            let spawn = move || {
                // While the handle is being made there is nothing to upgrade; then the record is the first one.
                let record = this.upgrade().map_or_else(|| first.clone(), |it| (*it.record()).clone());
                let (gauge, news) = (state.clone(), news.clone());
                BudgetActor::start_in_arbiter(&shard, move |_| BudgetActor::new(record, gauge, news))
            };
            let unit = record.unit;
            Self {
                id,
                unit,
                followed: ArcSwapOption::empty(),
                last_used: AtomicU64::new(clock::uptime().as_secs()),
                record: ArcSwap::from_pointee(record),
                gauge,
                owner: Owner::new(spawn),
            }
        })
    }

    /// Returns the budget's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns what it counts; a budget's unit never changes.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Returns the record in force.
    #[must_use]
    pub fn record(&self) -> Arc<BudgetRecord> {
        self.record.load_full()
    }

    /// Puts terms in force that rules declare, unless they are in force already. Its id stays its own.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn follow(&self, terms: &Arc<BudgetRecord>) -> Result<(), Unavailable> {
        if self.followed.load().as_ref().is_some_and(|known| Arc::ptr_eq(known, terms)) {
            return Ok(());
        }
        let record = BudgetRecord { id: self.id.clone(), ..(**terms).clone() };
        if *self.record() != record {
            self.reload(record).await?;
        }
        self.followed.store(Some(terms.clone()));
        Ok(())
    }

    /// Returns whether nothing is lost if it rests: nobody asked of late, nothing is held, and what is spent is in
    /// the store.
    #[must_use]
    pub fn rested(&self, idle_secs: u64) -> bool {
        let idle = clock::uptime().as_secs().saturating_sub(self.last_used.load(Ordering::Relaxed));
        idle >= idle_secs
            && self.gauge.held.load(Ordering::Relaxed) == 0
            && self.gauge.lost_held.load(Ordering::Relaxed) == 0
    }

    /// Reserves at least `need`, at best `want`, in its unit.
    ///
    /// # Errors
    /// [`Unavailable`] when the budget can't be asked; inside, its refusal.
    pub async fn reserve(
        self: &Arc<Self>,
        need: i64,
        want: i64,
    ) -> Result<Result<Hold, Exhausted>, Unavailable> {
        self.last_used.store(clock::uptime().as_secs(), Ordering::Relaxed);
        self.owner.ask(Reserve { need, want, handle: self.clone() }).await
    }

    /// Puts a changed record in force.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn reload(&self, record: BudgetRecord) -> Result<(), Unavailable> {
        self.record.store(Arc::new(record.clone()));
        self.owner.ask(Reload(record)).await
    }

    /// Sets spend to what the store knows after a reset, in nano-dollars.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn reset(&self, spent: i64) -> Result<(), Unavailable> {
        self.owner.ask(Reset { spent }).await
    }

    /// Returns the budget's state.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn observe(&self) -> Result<BudgetView, Unavailable> {
        self.owner.ask(Observe).await
    }

    pub(super) fn gauge(&self) -> Arc<BudgetGauge> {
        self.gauge.clone()
    }

    pub(super) fn owner(&self) -> &Owner<BudgetActor> {
        &self.owner
    }
}

/// The actor.
pub(super) struct BudgetActor {
    spend: Spend,
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
    fn new(record: BudgetRecord, gauge: Arc<BudgetGauge>, news: Arc<News>) -> Self {
        let (now, held) = (clock::unix(), gauge.held.load(Ordering::Relaxed));
        let same_period = gauge.period_start.load(Ordering::Relaxed) == record.period_start(now);
        let spent = if same_period { gauge.spent.load(Ordering::Relaxed) } else { 0 };
        let alert_at = next_alert(&record, spent);
        let spend = Spend::new(record, now, spent, held);
        Self { spend, gauge, news, alert_at, refused_in: None }
    }

    /// Takes in settlements that died in a mailbox.
    fn collect_lost(&mut self) {
        if self.gauge.lost_held.load(Ordering::Relaxed) != 0
            || self.gauge.lost_spent.load(Ordering::Relaxed) != 0
        {
            let held = self.gauge.lost_held.swap(0, Ordering::AcqRel);
            let spent = self.gauge.lost_spent.swap(0, Ordering::AcqRel);
            self.spend.settle(clock::unix(), held, spent);
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

#[derive(Clone, Message)]
#[rtype(result = "Result<Hold, Exhausted>")]
struct Reserve {
    need: i64,
    want: i64,
    handle: Arc<BudgetHandle>,
}

impl Handler<Reserve> for BudgetActor {
    type Result = Result<Hold, Exhausted>;

    fn handle(&mut self, order: Reserve, _context: &mut Self::Context) -> Self::Result {
        self.collect_lost();
        let amount = match self.spend.reserve(clock::unix(), order.need, order.want) {
            Ok(amount) => amount,
            Err(exhausted) => {
                self.refused(&exhausted);
                return Err(exhausted);
            }
        };
        self.publish();
        Ok(Hold::new(order.handle, amount))
    }
}

/// Ends a hold. If the message dies unread, it leaves its figures in the gauge.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SettleHold {
    held: i64,
    actual: i64,
    gauge: Arc<BudgetGauge>,
    read: bool,
}

impl SettleHold {
    pub(super) fn new(held: i64, actual: i64, gauge: Arc<BudgetGauge>) -> Self {
        Self { held, actual, gauge, read: false }
    }
}

impl Drop for SettleHold {
    fn drop(&mut self) {
        if !self.read {
            self.gauge.lost_held.fetch_add(self.held, Ordering::AcqRel);
            self.gauge.lost_spent.fetch_add(self.actual, Ordering::AcqRel);
        }
    }
}

impl Handler<SettleHold> for BudgetActor {
    type Result = ();

    fn handle(&mut self, mut order: SettleHold, _context: &mut Self::Context) {
        order.read = true;
        self.spend.settle(clock::unix(), order.held, order.actual);
        self.publish();
        self.alert(order.actual);
    }
}

#[derive(Clone, Message)]
#[rtype(result = "()")]
struct Reload(BudgetRecord);

impl Handler<Reload> for BudgetActor {
    type Result = ();

    fn handle(&mut self, order: Reload, _context: &mut Self::Context) {
        self.spend.change(order.0, clock::unix());
        self.rearm();
        self.publish();
    }
}

#[derive(Clone, Message)]
#[rtype(result = "()")]
struct Reset {
    spent: i64,
}

impl Handler<Reset> for BudgetActor {
    type Result = ();

    fn handle(&mut self, order: Reset, _context: &mut Self::Context) {
        self.spend.reset(order.spent);
        self.rearm();
        self.publish();
    }
}

#[derive(Clone, Message)]
#[rtype(result = "BudgetView")]
struct Observe;

impl Handler<Observe> for BudgetActor {
    type Result = actix::MessageResult<Observe>;

    fn handle(&mut self, _question: Observe, _context: &mut Self::Context) -> Self::Result {
        self.collect_lost();
        self.publish();
        let (spent, held) = self.spend.state();
        let now = clock::unix();
        actix::MessageResult(BudgetView {
            id: self.spend.terms().id.clone(),
            name: self.spend.terms().name.clone(),
            limit: self.spend.terms().limit,
            spent,
            held,
            period_start: self.spend.period_start(),
            resets_at: self.spend.terms().period_end(now),
        })
    }
}

#[cfg(test)]
mod tests {
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
        BudgetHandle::start(record, 0, &Shards::start(1))
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
