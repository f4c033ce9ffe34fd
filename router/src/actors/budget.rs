//! A budget's actor.
//!
//! - **owns** limit, period, spend and holds of one budget.
//! - **answers** `Reserve` with a [`Hold`] or a refusal, `Observe` with [`BudgetView`].
//! - **never** waits, reads the store, or lets spent + held pass the limit.
//!
//! Its last state is published in a [`BudgetGauge`] that outlives it, so that a respawned actor knows what is spent
//! and held; settlements that die in a dead actor's mailbox put themselves there too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::future::BoxFuture;
use serde::Serialize;
use tidegate_leases::PoolId;
use tidegate_leases::protocol::{Answer, Asked, Opening};
use tidegate_store::{BudgetRecord, OnStoreLoss, Unit};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Unavailable;
use super::news::{News, Story};
use super::owner::Owner;
use super::permit::Hold;
use super::pool::{Heard, Next, Part, Pool, dealt, let_in};
use super::shards::Shards;
use crate::clock;
use crate::cluster::{Cluster, Polled};
use crate::limits::{Exhausted, Spend};

/// Asks in flight beyond this wait at the sender; an actor answers some hundred thousand a second.
const MAILBOX: usize = 4_096;
/// Longest wait for a shared limit; then the request is refused with 503.
const SHARED_WITHIN: Duration = Duration::from_secs(5);
/// Longest wait for one that is open on store loss; then the request is let in.
const OPEN_WITHIN: Duration = Duration::from_millis(500);
/// Longest pause between two questions about a shared limit.
const PAUSE_MS: i64 = 200;
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
    shared: Option<Shared>,
}

/// What a handle needs to ask Redis for its actor.
struct Shared {
    cluster: Arc<Cluster>,
    /// Told whenever an answer came.
    answered: Notify,
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
    /// Starts the actor of a budget that has spent so much in its current period, which was the given number's reset in
    /// the feed of changes.
    #[must_use]
    pub fn start(record: BudgetRecord, (spent, reset): (i64, i64), shards: &Shards) -> Arc<Self> {
        let gauge = Arc::new(BudgetGauge::default());
        gauge.spent.store(spent, Ordering::Relaxed);
        gauge.period_start.store(record.period_start(clock::unix()), Ordering::Relaxed);
        let threads = shards.clone();
        Arc::new_cyclic(|this: &std::sync::Weak<Self>| {
            let id = record.id.clone();
            let first = record.clone();
            let (this, state, news) = (this.clone(), gauge.clone(), shards.news().clone());
            let cluster = shards.cluster().cloned();
            let shared = cluster.clone().map(|cluster| Shared { cluster, answered: Notify::new() });
            let spawn = move || {
                // While the handle is being made there is nothing to upgrade; then the record is the first one.
                let record = this.upgrade().map_or_else(|| first.clone(), |it| (*it.record()).clone());
                let (gauge, news) = (state.clone(), news.clone());
                let pool = cluster.clone().map(|cluster| Pool::new(cluster, &record, reset));
                BudgetActor::start_in_arbiter(&threads.near(&record.id), move |_| {
                    BudgetActor::new(record, gauge, news, pool)
                })
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
                shared,
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
            && !self.gauge.leasing.load(Ordering::Relaxed)
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
        let order = Reserve { need, want, handle: self.clone() };
        let Some(shared) = &self.shared else {
            return match self.owner.ask(order).await? {
                Ok(hold) => Ok(Ok(hold)),
                Err(Refused::Exhausted(exhausted)) => Ok(Err(exhausted)),
                Err(Refused::Shared(_)) => Err(Unavailable),
            };
        };
        let is_open = self.record().on_store_loss == OnStoreLoss::Open;
        let deadline = Instant::now() + if is_open { OPEN_WITHIN } else { SHARED_WITHIN };
        loop {
            // Before the actor says what to ask: what it says must be asked.
            if Instant::now() >= deadline {
                return if is_open { self.let_in(shared, need, want).await } else { Err(Unavailable) };
            }
            let answered = shared.answered.notified();
            let next = match self.owner.ask(order.clone()).await? {
                Ok(hold) => {
                    self.watched(shared);
                    return Ok(Ok(hold));
                }
                Err(Refused::Exhausted(exhausted)) => return Ok(Err(exhausted)),
                Err(Refused::Shared(Next::Exhausted(exhausted))) => {
                    let resets_at = self.record().period_end(clock::unix());
                    return Ok(Err(Exhausted { resets_at, ..exhausted }));
                }
                Err(Refused::Shared(next)) => next,
            };
            match next {
                Next::Ask(pool, asked) => {
                    // A task of its own: the answer must come to the actor also if the asker leaves.
                    let about = pool.clone();
                    match self.clone().talking(pool, asked).await.map_err(|_| Unavailable)? {
                        Heard::Exhausted(exhausted) => {
                            // What dead nodes left may be what is missing.
                            shared.cluster.doubt(about);
                            let resets_at = self.record().period_end(clock::unix());
                            return Ok(Err(Exhausted { resets_at, ..exhausted }));
                        }
                        Heard::Wait(_) if is_open && shared.cluster.is_lost() => {
                            return self.let_in(shared, need, want).await;
                        }
                        Heard::Wait(ms) => {
                            let ms = u64::try_from(ms.clamp(1, PAUSE_MS)).unwrap_or(1);
                            tokio::time::sleep(Duration::from_millis(ms)).await;
                        }
                        Heard::Hurry => {
                            shared.cluster.hurry();
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        Heard::Again | Heard::Open(..) => {}
                    }
                }
                Next::Exhausted(_) => {}
                Next::Busy => {
                    let _told = tokio::time::timeout(Duration::from_millis(50), answered).await;
                }
                Next::Suspended if is_open && shared.cluster.is_lost() => {
                    return self.let_in(shared, need, want).await;
                }
                Next::Suspended => {
                    shared.cluster.hurry();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// Sees to it that what was leased or spent is reported.
    fn watched(self: &Arc<Self>, shared: &Shared) {
        let polled: std::sync::Weak<dyn Polled> = Arc::downgrade(&(self.clone() as Arc<dyn Polled>));
        shared.cluster.watch(&self.id, polled);
    }

    /// Holds what no lease covers, as long as what this node knows of the budget is below its limit.
    async fn let_in(
        self: &Arc<Self>,
        shared: &Shared,
        need: i64,
        want: i64,
    ) -> Result<Result<Hold, Exhausted>, Unavailable> {
        let answer = self.owner.ask(LetIn { need, want, handle: self.clone() }).await?;
        if answer.is_ok() {
            self.watched(shared);
            shared.cluster.let_in("budget", &self.id);
        }
        Ok(answer)
    }

    #[expect(clippy::disallowed_methods, reason = "it ends by itself within the client's deadline")]
    fn talking(self: Arc<Self>, pool: PoolId, asked: Asked) -> tokio::task::JoinHandle<Heard> {
        tokio::spawn(self.talk(pool, asked))
    }

    /// Asks Redis for the actor and tells it the answer. Opens the pool where Redis does not know it.
    async fn talk(self: Arc<Self>, pool: PoolId, asked: Asked) -> Heard {
        let Some(shared) = &self.shared else { return Heard::Again };
        let answer = shared.cluster.ask(&pool, &asked).await;
        if let Err(error) = &answer {
            tracing::debug!(budget = self.id, %error, "no answer about a shared budget");
        }
        let told = self.owner.ask(Hear { pool, asked, answer: answer.ok() }).await;
        let heard = match told {
            Ok(Heard::Open(pool, opening)) => self.open(shared, pool, opening).await,
            Ok(heard) => heard,
            Err(Unavailable) => Heard::Wait(PAUSE_MS),
        };
        shared.answered.notify_waiters();
        heard
    }

    async fn open(&self, shared: &Shared, pool: PoolId, opening: Opening) -> Heard {
        let period_start = self.record().period_start(clock::unix());
        let base = shared.cluster.base(self.id.clone(), period_start, opening.members.clone()).await;
        let base = match base {
            Ok(base) => base,
            Err(error) => {
                tracing::warn!(budget = self.id, error, "a shared budget can't be opened");
                return Heard::Wait(PAUSE_MS);
            }
        };
        if let Ok(Some(asked)) = self.owner.ask(Open { pool: pool.clone(), opening, base }).await {
            // Whoever opened it: the next question finds it open, or is told what is missing.
            let _opened = shared.cluster.ask(&pool, &asked).await;
        }
        Heard::Again
    }

    /// Returns whether parts of leases, of these pools and tenures, may be acted on now that they are durable.
    pub(super) async fn may_send(&self, places: Vec<(i64, u64)>) -> bool {
        self.owner.ask(MaySend(places)).await.unwrap_or(false)
    }

    /// Puts a changed record in force.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn reload(&self, record: BudgetRecord) -> Result<(), Unavailable> {
        self.record.store(Arc::new(record.clone()));
        self.owner.ask(Reload(record)).await
    }

    /// Sets spend to what the store knows after a reset of this number in the feed of changes.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn reset(&self, spent: i64, number: i64) -> Result<(), Unavailable> {
        self.owner.ask(Reset { spent, number }).await
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

impl Polled for BudgetHandle {
    fn poll(self: Arc<Self>, leaving: bool) -> BoxFuture<'static, bool> {
        Box::pin(async move {
            let Ok((due, at_rest)) = self.owner.ask(Due { leaving }).await else { return true };
            let is_quiet = due.is_empty();
            for (pool, asked) in due {
                if let Heard::Hurry = self.clone().talk(pool, asked).await
                    && let Some(shared) = &self.shared
                {
                    shared.cluster.hurry();
                }
            }
            !(is_quiet && at_rest)
        })
    }
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
        let part = pool.hold(self.spend.terms(), need, want).map_err(Refused::Shared)?;
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

/// Why nothing is reserved.
#[derive(Clone, Debug)]
enum Refused {
    /// There is not that much left.
    Exhausted(Exhausted),
    /// The shared side must be asked first.
    Shared(Next),
}

#[derive(Clone, Message)]
#[rtype(result = "Result<Hold, Refused>")]
struct Reserve {
    need: i64,
    want: i64,
    handle: Arc<BudgetHandle>,
}

impl Handler<Reserve> for BudgetActor {
    type Result = Result<Hold, Refused>;

    fn handle(&mut self, order: Reserve, _context: &mut Self::Context) -> Self::Result {
        self.collect_lost();
        let (amount, part) = self.reserve(order.need, order.want)?;
        self.publish();
        let (spent, held) = self.spend.state();
        let left = match self.pool.as_ref().and_then(Pool::seen) {
            Some(seen) => seen.limit - seen.spent_all,
            None => self.spend.terms().limit - spent - held,
        };
        Ok(Hold::new(order.handle, amount, part, left.max(0)))
    }
}

/// Holds without a lease: the budget is open on store loss.
#[derive(Clone, Message)]
#[rtype(result = "Result<Hold, Exhausted>")]
struct LetIn {
    need: i64,
    want: i64,
    handle: Arc<BudgetHandle>,
}

impl Handler<LetIn> for BudgetActor {
    type Result = Result<Hold, Exhausted>;

    fn handle(&mut self, order: LetIn, _context: &mut Self::Context) -> Self::Result {
        self.collect_lost();
        // What all nodes spent as far as Redis said, and what this one did since.
        let known = self.pool.as_ref().and_then(Pool::seen).map_or(0, |seen| seen.spent_all);
        let amount = self.spend.reserve_beyond(clock::unix(), known, order.need.max(1), order.want);
        let amount = match amount {
            Ok(amount) => amount,
            Err(exhausted) => {
                self.refused(&exhausted);
                return Err(exhausted);
            }
        };
        let part = self.pool.as_mut().map(|pool| pool.let_in(self.spend.terms(), amount));
        self.publish();
        let (spent, held) = self.spend.state();
        let left = self.spend.terms().limit - spent.max(known) - held;
        Ok(Hold::new(order.handle, amount, part, left.max(0)))
    }
}

/// What Redis answered; `None` when nothing came.
#[derive(Clone, Message)]
#[rtype(result = "Heard")]
struct Hear {
    pool: PoolId,
    asked: Asked,
    answer: Option<Answer>,
}

impl Handler<Hear> for BudgetActor {
    type Result = actix::MessageResult<Hear>;

    fn handle(&mut self, order: Hear, _context: &mut Self::Context) -> Self::Result {
        let Some(pool) = &mut self.pool else { return actix::MessageResult(Heard::Again) };
        let before = pool.seen().map_or(0, |seen| seen.spent_all);
        let heard = pool.hear(&order.pool, &order.asked, order.answer.as_ref());
        let after = pool.seen().map_or(0, |seen| seen.spent_all);
        if let Heard::Exhausted(exhausted) = &heard {
            self.refused(exhausted);
        }
        if after >= self.alert_at && after > before {
            let budget = Box::new(self.spend.terms().clone());
            self.news.tell(Story::Spent { budget, period_start: self.spend.period_start(), before, after });
            self.alert_at = next_alert(self.spend.terms(), after);
        }
        self.publish();
        actix::MessageResult(heard)
    }
}

#[derive(Clone, Message)]
#[rtype(result = "Option<Asked>")]
struct Open {
    pool: PoolId,
    opening: Opening,
    base: i64,
}

impl Handler<Open> for BudgetActor {
    type Result = Option<Asked>;

    fn handle(&mut self, order: Open, _context: &mut Self::Context) -> Self::Result {
        self.pool.as_mut()?.open(&order.pool, &order.opening, order.base)
    }
}

/// What there is to report, and whether nothing is leased any more.
#[derive(Clone, Message)]
#[rtype(result = "(Vec<(PoolId, Asked)>, bool)")]
struct Due {
    leaving: bool,
}

impl Handler<Due> for BudgetActor {
    type Result = actix::MessageResult<Due>;

    fn handle(&mut self, order: Due, _context: &mut Self::Context) -> Self::Result {
        let Some(pool) = &mut self.pool else { return actix::MessageResult((Vec::new(), true)) };
        let due = pool.due(order.leaving);
        let at_rest = pool.is_at_rest();
        self.publish();
        actix::MessageResult((due, at_rest))
    }
}

/// Asks whether parts of leases may be acted on.
#[derive(Clone, Message)]
#[rtype(result = "bool")]
struct MaySend(Vec<(i64, u64)>);

impl Handler<MaySend> for BudgetActor {
    type Result = bool;

    fn handle(&mut self, question: MaySend, _context: &mut Self::Context) -> Self::Result {
        self.pool.as_ref().is_some_and(|pool| pool.may_send(&question.0))
    }
}

/// Ends a hold. If the message dies unread, it leaves its figures in the gauge.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SettleHold {
    held: i64,
    actual: i64,
    parts: Vec<Part>,
    gauge: Arc<BudgetGauge>,
    read: bool,
}

impl SettleHold {
    pub(super) fn new(held: i64, actual: i64, parts: Vec<Part>, gauge: Arc<BudgetGauge>) -> Self {
        Self { held, actual, parts, gauge, read: false }
    }
}

impl Drop for SettleHold {
    fn drop(&mut self) {
        if !self.read {
            let let_in = let_in(&self.parts, self.actual, self.gauge.pool.load(Ordering::Relaxed));
            self.gauge.lost_let_in.fetch_add(let_in, Ordering::AcqRel);
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
        if let Some(pool) = &mut self.pool {
            let spent = dealt(&order.parts, order.actual);
            for (part, spent) in std::mem::take(&mut order.parts).into_iter().zip(spent) {
                pool.settle(part, spent);
            }
        }
        self.publish();
        if self.pool.is_none() {
            self.alert(order.actual);
        }
    }
}

#[derive(Clone, Message)]
#[rtype(result = "()")]
struct Reload(BudgetRecord);

impl Handler<Reload> for BudgetActor {
    type Result = ();

    fn handle(&mut self, order: Reload, _context: &mut Self::Context) {
        self.spend.change(order.0, clock::unix());
        if let Some(pool) = &mut self.pool {
            pool.change(self.spend.terms());
        }
        self.rearm();
        self.publish();
    }
}

#[derive(Clone, Message)]
#[rtype(result = "()")]
struct Reset {
    spent: i64,
    number: i64,
}

impl Handler<Reset> for BudgetActor {
    type Result = ();

    fn handle(&mut self, order: Reset, _context: &mut Self::Context) {
        self.spend.reset(order.spent);
        if let Some(pool) = &mut self.pool {
            pool.reset(self.spend.terms(), order.number);
        }
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
        let (own, held) = self.spend.state();
        // In a cluster what all nodes spent, as far as this one heard; what it let in unheard comes on top.
        let seen = self.pool.as_ref().and_then(Pool::seen).map_or(0, |seen| seen.spent_all);
        let spent = own.max(seen);
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
