//! Where a budget is reached: how its actor is asked, also on behalf of Redis.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Actor;
use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, Either};
use tidegate_leases::PoolId;
use tidegate_leases::protocol::{Asked, Opening};
use tidegate_store::{BudgetRecord, OnStoreLoss, Unit};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::messages::{
    Due, Hear, LetIn, MaySend, Observe, Open, Refused, Reload, Reserve, ReserveSeat, Reset,
};
use super::{BudgetActor, BudgetGauge, BudgetView};
use crate::actors::Unavailable;
use crate::actors::owner::Owner;
use crate::actors::permit::Hold;
use crate::actors::pool::{Heard, Next, Pool};
use crate::actors::shards::Shards;
use crate::clock;
use crate::cluster::{Cluster, Polled};
use crate::limits::Exhausted;

/// Longest wait for a shared limit; then the request is refused with 503.
const SHARED_WITHIN: Duration = Duration::from_secs(5);
/// Longest wait for one that is open on store loss; then the request is let in.
const OPEN_WITHIN: Duration = Duration::from_millis(500);
/// Longest pause between two questions about a shared limit.
const PAUSE_MS: i64 = 200;

/// Where a budget is reached. Outlives its actor.
pub struct BudgetHandle {
    id: Arc<str>,
    unit: Unit,
    /// The terms that were put in force last, where rules declare them, and where they lie in memory; 0 while they
    /// change.
    followed: Mutex<Option<Arc<BudgetRecord>>>,
    followed_at: AtomicUsize,
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

impl BudgetHandle {
    /// Starts the actor of a budget that has spent so much in its current period, which was the given number's reset in
    /// the feed of changes.
    #[must_use]
    pub fn start(record: BudgetRecord, (spent, reset): (i64, i64), shards: &Shards) -> Arc<Self> {
        let gauge = Arc::new(BudgetGauge::default());
        gauge.spent.store(spent, Ordering::Relaxed);
        let now = clock::unix();
        gauge.begin(record.period_start(now), record.period_end(now).unwrap_or(i64::MAX));
        let threads = shards.clone();
        Arc::new_cyclic(|this: &std::sync::Weak<Self>| {
            let id = record.id.as_str().into();
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
                followed: Mutex::new(None),
                followed_at: AtomicUsize::new(0),
                last_used: AtomicU64::new(clock::idling()),
                record: ArcSwap::from_pointee(record),
                gauge,
                owner: Owner::new(spawn),
                shared,
            }
        })
    }

    /// Returns the budget's id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
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

    /// Returns the start of the period that holds `now`.
    #[must_use]
    pub fn period_start(&self, now: i64) -> i64 {
        self.gauge.period(now).map_or_else(|| self.record.load().period_start(now), |(start, _)| start)
    }

    /// Returns when the period that holds `now` ends.
    #[must_use]
    pub fn period_end(&self, now: i64) -> Option<i64> {
        match self.gauge.period(now) {
            Some((_, end)) => (end < i64::MAX).then_some(end),
            None => self.record.load().period_end(now),
        }
    }

    /// Returns whether these terms were put in force last.
    #[must_use]
    pub fn follows(&self, terms: &Arc<BudgetRecord>) -> bool {
        // What lies there is kept by `followed`, so it can't be something else by now.
        self.followed_at.load(Ordering::Acquire) == Arc::as_ptr(terms).addr()
    }

    /// Puts terms in force that rules declare, unless they are in force already. Its id stays its own.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn follow(&self, terms: &Arc<BudgetRecord>) -> Result<(), Unavailable> {
        if self.follows(terms) {
            return Ok(());
        }
        let record = BudgetRecord { id: self.id.as_ref().to_owned(), ..(**terms).clone() };
        if *self.record() != record {
            self.reload(record).await?;
        }
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        self.followed_at.store(0, Ordering::Release);
        *followed = Some(terms.clone());
        self.followed_at.store(Arc::as_ptr(terms).addr(), Ordering::Release);
        Ok(())
    }

    /// Returns whether nothing is lost if it rests: nobody asked of late, nothing is held, and what is spent is in
    /// the store.
    #[must_use]
    pub fn rested(&self, idle_secs: u64) -> bool {
        let idle = clock::idling().saturating_sub(self.last_used.load(Ordering::Relaxed));
        idle >= idle_secs && self.gauge.is_idle() && !self.gauge.leasing.load(Ordering::Relaxed)
    }

    /// Holds at least `need`, at best `want`, of what the actor lets askers hold in advance at the time `now`. `None` where
    /// the actor must be asked.
    pub(super) fn take(self: &Arc<Self>, now: i64, need: i64, want: i64) -> Option<Hold> {
        let taken = self.gauge.take(now, need, want)?;
        self.last_used.store(clock::idling(), Ordering::Relaxed);
        Some(Hold::new(self.clone(), taken.amount, None, taken.limit, taken.left))
    }

    /// Asks at once, for an answer that takes its seat. Where the question can't be taken, the seat stays empty.
    pub(super) fn ask(&self, order: ReserveSeat) {
        self.last_used.store(clock::idling(), Ordering::Relaxed);
        // Whoever can't be asked is asked again by its handle, which waits.
        let _ = self.owner.reach(|address| address.try_send(order));
    }

    /// Asks at once for at least `need`, at best `want`, in its unit; what comes back waits for the answer.
    ///
    /// # Errors
    /// [`Unavailable`] when the budget can't be asked; inside, its refusal.
    pub fn reserve(
        self: &Arc<Self>,
        need: i64,
        want: i64,
    ) -> impl Future<Output = Result<Result<Hold, Exhausted>, Unavailable>> {
        let asked = self.take(clock::unix(), need, want).ok_or_else(|| {
            self.last_used.store(clock::idling(), Ordering::Relaxed);
            let order = Reserve { need, want, handle: self.clone() };
            match &self.shared {
                None => Either::Left(self.owner.ask(order)),
                // Boxed: an attempt should carry no state of a cluster that it is not in.
                Some(shared) => Either::Right(Box::pin(self.lease(shared, order))),
            }
        });
        async move {
            match asked {
                Ok(hold) => Ok(Ok(hold)),
                Err(Either::Left(asked)) => match asked.await? {
                    Ok(hold) => Ok(Ok(hold)),
                    Err(Refused::Exhausted(exhausted)) => Ok(Err(exhausted)),
                    Err(Refused::Shared(_)) => Err(Unavailable),
                },
                Err(Either::Right(leasing)) => leasing.await,
            }
        }
    }

    /// The same in a cluster: asks Redis for the actor until it can decide.
    async fn lease(
        self: &Arc<Self>,
        shared: &Shared,
        order: Reserve,
    ) -> Result<Result<Hold, Exhausted>, Unavailable> {
        let (need, want) = (order.need, order.want);
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
                Err(Refused::Shared(next)) => next,
            };
            match *next {
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
                Next::Exhausted(exhausted) => {
                    let resets_at = self.record().period_end(clock::unix());
                    return Ok(Err(Exhausted { resets_at, ..exhausted }));
                }
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
            tracing::debug!(budget = &*self.id, %error, "no answer about a shared budget");
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
        let base =
            shared.cluster.base(self.id.as_ref().to_owned(), period_start, opening.members.clone()).await;
        let base = match base {
            Ok(base) => base,
            Err(error) => {
                tracing::warn!(budget = &*self.id, error, "a shared budget can't be opened");
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
    pub(in crate::actors) async fn may_send(&self, places: Vec<(i64, u64)>) -> bool {
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

    /// Puts down that a hold ended which is part of no lease. Returns whether the actor must be told; `None` where it
    /// must be told the figures, for it counts in another period by now.
    #[must_use]
    pub(in crate::actors) fn ended(&self, held: i64, spent: i64) -> Option<bool> {
        self.gauge.period(clock::unix()).map(|_| self.gauge.end(held, spent))
    }

    pub(in crate::actors) fn gauge(&self) -> Arc<BudgetGauge> {
        self.gauge.clone()
    }

    pub(in crate::actors) fn owner(&self) -> &Owner<BudgetActor> {
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
