//! One node of a cluster: its heartbeat, its clock, its connection, and who has something to report.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use dashmap::DashMap;
use futures_util::future::{BoxFuture, join_all};
use tidegate_leases::protocol::{Answer, Asked, Done};
use tidegate_leases::{
    Client, ClientError, Epoch, Holder, Legacy, Node, NodeId, PoolId, RateLimit, RateOp, Rules, Standing,
    Taken, Tenures, Timing,
};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::clock;

/// How often what was spent is reported, and what is idle given back.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// How often dead nodes are looked for.
const REAP_EVERY: Duration = Duration::from_secs(2);
/// A pool that nobody used for so long is forgotten by Redis.
const POOL_IDLE_MS: i64 = 3_600_000;
/// Pools that are looked after at once because they had not enough; others come in turn.
const MOST_DOUBTED: usize = 256;
/// How long the end of a node may take.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// A process that was not heard of for so long is dead: its open holds are settled.
const PROCESS_TTL_MS: i64 = 5_000;
/// A node asks for such a part of a limit at first.
const PARTS: i64 = 64;
const PREFIX: &str = "tidegate";

/// Who has something to report now and then.
pub trait Polled: Send + Sync {
    /// Reports, gives back, asks for more. Returns false when there is nothing left to say.
    fn poll(self: Arc<Self>, leaving: bool) -> BoxFuture<'static, bool>;
}

/// What the durable store says of shared budgets. Errors are sentences for the log.
pub trait Books: Send + Sync {
    /// Returns what was spent and is held of a budget in a period by all but `members`.
    fn base(
        &self,
        budget: String,
        period_start: i64,
        members: Vec<Holder>,
    ) -> BoxFuture<'static, Result<i64, String>>;

    /// Returns what dead holders spent of a pool; those of whom something is still held are left out.
    fn spent(
        &self,
        pool: PoolId,
        holders: Vec<Holder>,
    ) -> BoxFuture<'static, Result<Vec<(Holder, i64)>, String>>;
}

/// A node of a cluster.
pub struct Cluster {
    client: Client,
    node: Mutex<Node>,
    tenures: Tenures,
    active: DashMap<String, Weak<dyn Polled>>,
    hurried: Notify,
    books: OnceLock<Box<dyn Books>>,
    /// What dead nodes left in pools, as Redis said last.
    legacies: Mutex<Vec<Legacy>>,
    /// Pools that had not enough for somebody: dead nodes may have left something in them.
    doubted: Mutex<BTreeSet<PoolId>>,
    /// Whether every hold is durable before it is acted on.
    writes_ahead: bool,
    /// Whether Redis answered last.
    heard: AtomicBool,
    /// Let in without a check since Redis was lost.
    unchecked: AtomicU64,
    /// Let in without a check since the process began.
    unchecked_in_all: AtomicU64,
    first: NodeId,
    /// The epoch that was seen last, and since when.
    since: Mutex<(Epoch, i64)>,
}

impl Cluster {
    /// Makes a node with a fresh id. It is heard of when [`Self::run`] runs. `writes_ahead` says of all its time that
    /// every hold is durable before it is acted on.
    ///
    /// # Errors
    /// [`ClientError`] when the address is wrong.
    pub fn new(url: &str, writes_ahead: bool) -> Result<Arc<Self>, ClientError> {
        let timing = Timing::default();
        let first = NodeId::new(Uuid::new_v4().as_u128(), writes_ahead);
        Ok(Arc::new(Self {
            client: Client::new(url, PREFIX, &timing)?,
            node: Mutex::new(Node::new(first, timing)),
            tenures: Tenures::default(),
            active: DashMap::new(),
            hurried: Notify::new(),
            books: OnceLock::new(),
            legacies: Mutex::default(),
            doubted: Mutex::default(),
            writes_ahead,
            heard: AtomicBool::new(true),
            unchecked: AtomicU64::new(0),
            unchecked_in_all: AtomicU64::new(0),
            first,
            since: Mutex::new((Epoch::UNKNOWN, Self::now_ms())),
        }))
    }

    /// Returns what names this process in the store.
    #[must_use]
    pub fn name(&self) -> String {
        self.first.to_string()
    }

    /// Sets how the durable store is asked; the first one stays.
    pub fn set_books(&self, books: Box<dyn Books>) {
        let _first_stays = self.books.set(books);
    }

    /// Asks the durable store what was spent and is held of a budget by all but `members`.
    ///
    /// # Errors
    /// A sentence for the log.
    pub async fn base(&self, budget: String, period_start: i64, members: Vec<Holder>) -> Result<i64, String> {
        match self.books.get() {
            Some(books) => books.base(budget, period_start, members).await,
            None => Err("the store can't be asked yet".to_owned()),
        }
    }

    /// Returns whether Redis did not answer last, or not for so long that leases may not be used.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        !self.heard.load(Ordering::Relaxed) || Self::now_ms() >= self.standing().until_ms
    }

    /// Notes that something was let in that could not be checked, because its limit is open on store loss.
    pub fn let_in(&self, kind: &str, limit: &str) {
        self.unchecked_in_all.fetch_add(1, Ordering::Relaxed);
        if self.unchecked.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                kind,
                limit,
                "requests are let in that no shared limit checks: on_store_loss is open"
            );
        }
    }

    /// Returns how much was let in without a check since the process began: once for each limit of a request.
    #[must_use]
    pub fn unchecked(&self) -> u64 {
        self.unchecked_in_all.load(Ordering::Relaxed)
    }

    /// Notes that a pool had not enough left: what dead nodes left in it is looked for next.
    pub fn doubt(&self, pool: PoolId) {
        let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        if doubted.len() < MOST_DOUBTED {
            doubted.insert(pool);
        }
    }

    /// Tells Redis what dead nodes really spent, so that others can have the rest. Returns of how many leases.
    ///
    /// Only of nodes that wrote every hold down before they acted on it, a grace time after their death, and of whom
    /// nothing is held any more: then what the durable store has of them is all there will ever be.
    ///
    /// # Errors
    /// A sentence for the log.
    pub async fn credit_the_dead(&self) -> Result<usize, String> {
        let legacies = std::mem::take(&mut *self.legacies.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(books) = self.books.get() else { return Ok(0) };
        let mut credited = 0;
        for legacy in legacies {
            let spent = books.spent(legacy.pool.clone(), legacy.holders.clone()).await?;
            for (holder, spent) in spent {
                let answer = self.client.credit(&legacy, holder, spent, fresh_epoch()).await;
                let answer = answer.map_err(|error| error.to_string())?;
                // Another node was first, or Redis has begun anew: nothing is left to do in either case.
                credited += usize::from(matches!(answer.result, Ok(Done::Credited { .. })));
            }
        }
        Ok(credited)
    }

    /// Returns this node's monotonic clock, in milliseconds.
    #[must_use]
    pub fn now_ms() -> i64 {
        i64::try_from(clock::uptime().as_millis()).unwrap_or(i64::MAX)
    }

    /// Returns whether and until when leases may be used.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.lock().standing()
    }

    /// Returns the numbers of the process' tenures.
    #[must_use]
    pub fn tenures(&self) -> &Tenures {
        &self.tenures
    }

    /// Returns how leases of a limit behave: small parts of it at a time, so that what one node has and does not use is
    /// little, and that not every request asks Redis.
    #[must_use]
    pub fn rules(limit: i64) -> Rules {
        Rules { slice: (limit / PARTS).max(1), idle_ms: 1_000, report_ms: 100 }
    }

    /// Asks Redis about a pool.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn ask(&self, pool: &PoolId, asked: &Asked) -> Result<Answer, ClientError> {
        self.client.ask(pool, asked, fresh_epoch()).await
    }

    /// Takes from a shared rate limit, or gives back.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn take(&self, bucket: &str, limit: &RateLimit, op: &RateOp) -> Result<Taken, ClientError> {
        self.client.take(bucket, limit, op).await
    }

    /// Says that this process lives, and returns all processes that do, once that has been known for long enough to
    /// believe that the others are dead; `None` before.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn living(&self) -> Result<Option<Vec<String>>, ClientError> {
        let living = self.client.processes(&self.name(), PROCESS_TTL_MS).await?;
        let epoch = self.standing().epoch;
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.0 != epoch {
            *since = (epoch, Self::now_ms());
        }
        Ok((Self::now_ms() - since.1 > 2 * PROCESS_TTL_MS).then_some(living))
    }

    /// Makes the next heartbeat due: Redis told of a new epoch, or takes this node for dead.
    pub fn hurry(&self) {
        self.lock().hurry();
        self.hurried.notify_one();
    }

    /// Sees to it that somebody reports.
    pub fn watch(&self, name: &str, polled: Weak<dyn Polled>) {
        if !self.active.contains_key(name) {
            self.active.insert(name.to_owned(), polled);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lives: beats, reports, looks for dead nodes. Runs until the process ends.
    pub async fn run(self: Arc<Self>) {
        if matches!(self.client.may_evict().await, Ok(true)) {
            tracing::warn!(
                "the shared Redis may throw limits away when it is full; set maxmemory-policy noeviction"
            );
        }
        let mut reports = interval(REPORT_EVERY);
        let mut reaps = interval(REAP_EVERY);
        for ticks in [&mut reports, &mut reaps] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut cursor = 0;
        loop {
            tokio::select! {
                () = self.beat_due() => {
                    let heard = self.beat().await;
                    if heard != self.heard.swap(heard, Ordering::Relaxed) {
                        if heard {
                            tracing::info!("the shared Redis answers");
                        } else {
                            tracing::error!("the shared Redis does not answer: shared limits refuse soon");
                        }
                    }
                    if heard && !self.is_lost() {
                        let requests = self.unchecked.swap(0, Ordering::Relaxed);
                        if requests > 0 {
                            tracing::warn!(requests, "were let in while limits could not be checked, and are reported");
                        }
                    }
                }
                _ = reports.tick() => self.report(false).await,
                _ = reaps.tick() => cursor = self.reap(cursor).await.unwrap_or(0),
            }
        }
    }

    /// Looks after pools that had not enough, and after some of all; finds what dead nodes left.
    async fn reap(&self, cursor: u64) -> Result<u64, ClientError> {
        let doubted = std::mem::take(&mut *self.doubted.lock().unwrap_or_else(PoisonError::into_inner));
        let mut found = Vec::new();
        for pool in doubted {
            found.extend(self.client.look_after(pool, POOL_IDLE_MS, fresh_epoch()).await?);
        }
        let (next, others) = self.client.reap(cursor, POOL_IDLE_MS, fresh_epoch()).await?;
        found.extend(others);
        // What was found before and not credited yet is found again.
        *self.legacies.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(next)
    }

    async fn beat_due(&self) {
        let wait = self.lock().next_ms().saturating_sub(Self::now_ms());
        let wait = Duration::from_millis(u64::try_from(wait.max(0)).unwrap_or(0));
        let _woken = timeout(wait, self.hurried.notified()).await;
    }

    /// Beats, and once more where the answer asks for it. Returns whether Redis answered.
    async fn beat(&self) -> bool {
        for _ in 0..3 {
            let sent_ms = Self::now_ms();
            let Some(asked) = self.lock().beat(sent_ms) else { return true };
            match self.client.heartbeat(&asked, fresh_epoch()).await {
                Ok(answer) => {
                    let fresh = NodeId::new(Uuid::new_v4().as_u128(), self.writes_ahead);
                    if !self.lock().hear(&asked, sent_ms, &answer, fresh) {
                        return true;
                    }
                    if asked.epoch != Epoch::UNKNOWN {
                        tracing::warn!(
                            "the shared Redis forgot, or took this node for dead: leases are declared anew"
                        );
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "no heartbeat");
                    return false;
                }
            }
        }
        true
    }

    async fn report(&self, leaving: bool) {
        let due: Vec<(String, Arc<dyn Polled>)> = self
            .active
            .iter()
            .filter_map(|entry| Some((entry.key().clone(), entry.value().upgrade()?)))
            .collect();
        self.active.retain(|_, polled| polled.strong_count() > 0);
        let polls = due.into_iter().map(|(name, polled)| async move {
            if !polled.poll(leaving).await {
                self.active.remove(&name);
            }
        });
        join_all(polls).await;
    }

    /// Gives back what is leased, as far as that goes in a moment. Called at the end of the process, after the last
    /// request.
    pub async fn leave(&self) {
        let deadline = Instant::now() + LEAVE_WITHIN;
        while !self.active.is_empty() && Instant::now() < deadline {
            if timeout(LEAVE_WITHIN, self.report(true)).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn fresh_epoch() -> Epoch {
    // Not 0, which is no epoch, and exact in a script's numbers.
    Epoch((Uuid::new_v4().as_u64_pair().1 >> 12) | 1)
}
