//! An API key's actor.
//!
//! - **owns** status, expiry, scopes, allowed models, request and token limits and concurrency of one key.
//! - **answers** `Admit` with a [`KeyPermit`] or a refusal, `Observe` with [`KeyView`].
//! - **never** waits, reads the store, or takes anything for a refused request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use arc_swap::{ArcSwap, ArcSwapOption};
use serde::Serialize;
use tidegate_store::{KeyRecord, KeyStatus};

use super::Unavailable;
use super::news::{Holder, News, Quiet};
use super::owner::Owner;
use super::permit::KeyPermit;
use super::shards::Shards;
use crate::clock;
use crate::cluster::{Cluster, SharedGate};
use crate::limits::{Gate, Grant, RateView, Refusal, model_allowed};
use crate::scopes;

const MAILBOX: usize = 4_096;

/// More limits than this on one key have no lasting meter; the settings refuse them.
pub const MAX_LIMITS: usize = 16;

/// Why a key does not let a request in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// It was switched off.
    Revoked,
    /// Its time is over.
    Expired,
    /// It lacks this scope.
    Scope(&'static str),
    /// It may not use this model.
    Model,
    /// A limit is reached.
    Limit {
        /// Which one.
        refusal: Refusal,
        /// The key's tightest limits.
        views: Vec<RateView>,
    },
}

/// What a request wants of a key.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Scope needed.
    pub scope: &'static str,
    /// Provider's slug and model, where the request names a model and the key may not use all.
    pub model: Option<(Arc<str>, Arc<str>)>,
    /// Tokens it will use, as far as one can tell.
    pub tokens: u32,
}

/// Published state of a key; outlives its actor.
#[derive(Debug)]
pub struct KeyGauge {
    in_flight: AtomicU32,
    lost: AtomicU32,
    meters: ArcSwap<Vec<Arc<AtomicU64>>>,
}

/// Where a key is reached.
pub struct KeyHandle {
    record: ArcSwap<KeyRecord>,
    gauge: Arc<KeyGauge>,
    owner: Owner<KeyActor>,
    last_used: AtomicU64,
    cluster: Option<Arc<Cluster>>,
    shared: ArcSwapOption<SharedGate>,
    news: Arc<News>,
    quiet: Quiet,
}

/// What a key shows of itself.
#[derive(Clone, Debug, Serialize)]
pub struct KeyView {
    /// Stable id.
    pub id: String,
    /// Operator's name.
    pub name: String,
    /// Requests inside.
    pub in_flight: u32,
    /// Tightest limit of each kind.
    pub limits: Vec<RateView>,
}

impl KeyHandle {
    /// Starts the actor of a key.
    #[must_use]
    pub fn start(record: KeyRecord, shards: &Shards) -> Arc<Self> {
        let gauge = Arc::new(KeyGauge {
            in_flight: AtomicU32::new(0),
            lost: AtomicU32::new(0),
            meters: ArcSwap::from_pointee(new_meters(&record)),
        });
        let (shards, news) = (shards.clone(), shards.news().clone());
        let cluster = shards.cluster().cloned();
        let shared = shared(cluster.as_ref(), &record);
        Arc::new_cyclic(|this: &std::sync::Weak<Self>| {
            let first = record.clone();
            let (this, state) = (this.clone(), gauge.clone());
            let spawn = move || {
                let record = this.upgrade().map_or_else(|| first.clone(), |it| (*it.record()).clone());
                let gauge = state.clone();
                KeyActor::start_in_arbiter(&shards.near(&record.id), move |_| KeyActor::new(record, gauge))
            };
            Self {
                record: ArcSwap::from_pointee(record),
                gauge,
                owner: Owner::new(spawn),
                last_used: AtomicU64::new(clock::idling()),
                cluster,
                shared: ArcSwapOption::from(shared),
                news,
                quiet: Quiet::default(),
            }
        })
    }

    /// Returns the record in force.
    #[must_use]
    pub fn record(&self) -> Arc<KeyRecord> {
        self.record.load_full()
    }

    /// Asks the key at once to let a request in; what comes back waits for the answer.
    ///
    /// # Errors
    /// [`Unavailable`] when the key can't be asked; inside, its refusal.
    pub fn admit(
        self: &Arc<Self>,
        wish: Wish,
    ) -> impl Future<Output = Result<Result<KeyPermit, KeyRefusal>, Unavailable>> {
        let tokens = wish.tokens;
        let asked = self.owner.ask(Admit { wish, handle: self.clone() });
        async move {
            let mut admitted = asked.await?;
            // The actor first: a key that may not do this at all takes nothing from anybody.
            let shared = self.cluster.as_ref().and_then(|_| self.shared.load_full());
            if let (Ok(permit), Some(shared)) = (&mut admitted, shared) {
                match Box::pin(shared.take(tokens)).await? {
                    Ok(()) => permit.share(shared, tokens),
                    Err(refusal) => {
                        let views = permit.views.clone();
                        admitted = Err(KeyRefusal::Limit { refusal, views });
                    }
                }
            }
            if let Err(KeyRefusal::Limit { refusal, .. }) = &admitted {
                self.news.limited(&self.quiet, refusal, || Holder::Key(self.record()));
            }
            Ok(admitted)
        }
    }

    /// Puts a changed record in force. Limits that did not change keep their state.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn reload(&self, record: KeyRecord) -> Result<(), Unavailable> {
        if record.limits != self.record().limits {
            self.quiet.end();
            self.gauge.meters.store(Arc::new(new_meters(&record)));
            self.shared.store(shared(self.cluster.as_ref(), &record));
        }
        self.record.store(Arc::new(record.clone()));
        self.owner.ask(Reload(record)).await
    }

    /// Returns whether all its limits are full and nobody is inside, so that nothing is lost if it rests.
    #[must_use]
    pub fn rested(&self) -> bool {
        let now = u64::try_from(clock::uptime().as_nanos()).unwrap_or(u64::MAX);
        self.gauge.in_flight.load(Ordering::Relaxed) == 0
            && self.gauge.meters.load().iter().all(|meter| meter.load(Ordering::Relaxed) <= now)
    }

    /// Returns the key's state.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn observe(&self) -> Result<KeyView, Unavailable> {
        self.owner.ask(Observe).await
    }

    /// Returns seconds since it was last asked.
    #[must_use]
    pub fn idle_secs(&self) -> u64 {
        clock::idling().saturating_sub(self.last_used.load(Ordering::Relaxed))
    }

    pub(super) fn gauge(&self) -> Arc<KeyGauge> {
        self.gauge.clone()
    }

    pub(super) fn owner(&self) -> &Owner<KeyActor> {
        &self.owner
    }
}

/// Makes the shared side of a key's limits, in a cluster.
fn shared(cluster: Option<&Arc<Cluster>>, record: &KeyRecord) -> Option<Arc<SharedGate>> {
    let cluster = cluster.filter(|_| !record.limits.is_empty())?;
    Some(Arc::new(SharedGate::new(cluster.clone(), &format!("key:{}", record.id), &record.limits)))
}

fn new_meters(record: &KeyRecord) -> Vec<Arc<AtomicU64>> {
    (0..MAX_LIMITS.min(record.limits.len())).map(|_| Arc::default()).collect()
}

fn gate(record: &KeyRecord, gauge: &KeyGauge) -> Gate {
    let meters = gauge.meters.load();
    let in_flight = gauge.in_flight.load(Ordering::Relaxed);
    Gate::new(&record.limits, in_flight, |at| meters.get(at).cloned().unwrap_or_default())
}

/// The actor.
pub(super) struct KeyActor {
    record: KeyRecord,
    gate: Gate,
    gauge: Arc<KeyGauge>,
}

impl KeyActor {
    fn new(record: KeyRecord, gauge: Arc<KeyGauge>) -> Self {
        let gate = gate(&record, &gauge);
        Self { record, gate, gauge }
    }

    fn admit(&mut self, now: Duration, wish: &Wish) -> Result<(Grant, Vec<RateView>), KeyRefusal> {
        self.collect_lost(now);
        if self.record.status != KeyStatus::Active {
            return Err(KeyRefusal::Revoked);
        }
        if self.record.expires_at.is_some_and(|expiry| clock::unix() >= expiry) {
            return Err(KeyRefusal::Expired);
        }
        if !scopes::grants(&self.record, wish.scope) {
            return Err(KeyRefusal::Scope(wish.scope));
        }
        if let Some((provider, model)) = &wish.model
            && !model_allowed(&self.record.models, provider, model)
        {
            return Err(KeyRefusal::Model);
        }
        match self.gate.admit(now, wish.tokens) {
            Ok(grant) => {
                self.publish();
                Ok((grant, self.gate.views(now)))
            }
            Err(refusal) => Err(KeyRefusal::Limit { refusal, views: self.gate.views(now) }),
        }
    }

    /// Ends requests whose settlement died unread with an earlier actor.
    fn collect_lost(&mut self, now: Duration) {
        for _ in 0..self.gauge.lost.swap(0, Ordering::AcqRel) {
            self.gate.settle(now, Grant { tokens: 0 }, 0);
        }
    }

    fn publish(&self) {
        self.gauge.in_flight.store(self.gate.in_flight(), Ordering::Relaxed);
    }
}

impl Actor for KeyActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

#[derive(Clone, Message)]
#[rtype(result = "Result<KeyPermit, KeyRefusal>")]
struct Admit {
    wish: Wish,
    handle: Arc<KeyHandle>,
}

impl Handler<Admit> for KeyActor {
    type Result = Result<KeyPermit, KeyRefusal>;

    fn handle(&mut self, order: Admit, _context: &mut Self::Context) -> Self::Result {
        let now = clock::uptime();
        order.handle.last_used.store(clock::idling(), Ordering::Relaxed);
        let (grant, views) = self.admit(now, &order.wish)?;
        Ok(KeyPermit::new(order.handle, grant, views))
    }
}

/// Ends a request; `tokens` is `None` when it never started. If the message dies unread, the gauge notes it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SettleKey {
    grant: Grant,
    tokens: Option<u64>,
    gauge: Arc<KeyGauge>,
    read: bool,
}

impl SettleKey {
    pub(super) fn new(grant: Grant, tokens: Option<u64>, gauge: Arc<KeyGauge>) -> Self {
        Self { grant, tokens, gauge, read: false }
    }
}

impl Drop for SettleKey {
    fn drop(&mut self) {
        if !self.read {
            self.gauge.lost.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Handler<SettleKey> for KeyActor {
    type Result = ();

    fn handle(&mut self, mut order: SettleKey, _context: &mut Self::Context) {
        order.read = true;
        match order.tokens {
            Some(tokens) => self.gate.settle(clock::uptime(), order.grant, tokens),
            None => self.gate.give_back(order.grant),
        }
        self.publish();
    }
}

#[derive(Clone, Message)]
#[rtype(result = "()")]
struct Reload(KeyRecord);

impl Handler<Reload> for KeyActor {
    type Result = ();

    fn handle(&mut self, order: Reload, _context: &mut Self::Context) {
        self.publish();
        self.gate = gate(&order.0, &self.gauge);
        self.record = order.0;
    }
}

#[derive(Clone, Message)]
#[rtype(result = "KeyView")]
struct Observe;

impl Handler<Observe> for KeyActor {
    type Result = actix::MessageResult<Observe>;

    fn handle(&mut self, _question: Observe, _context: &mut Self::Context) -> Self::Result {
        self.collect_lost(clock::uptime());
        self.publish();
        actix::MessageResult(KeyView {
            id: self.record.id.clone(),
            name: self.record.name.clone(),
            in_flight: self.gate.in_flight(),
            limits: self.gate.views(clock::uptime()),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tidegate_store::{LimitRecord, Window};

    pub(crate) fn record(limits: Vec<LimitRecord>) -> KeyRecord {
        KeyRecord {
            scopes: vec!["completions.write".into()],
            models: vec!["@openai/*".into()],
            limits,
            ..KeyRecord::named("k", "k")
        }
    }

    fn wish(model: &str) -> Wish {
        Wish { scope: "completions.write", model: Some(("openai".into(), model.into())), tokens: 5 }
    }

    #[derive(Clone, Message)]
    #[rtype(result = "()")]
    struct Panic;

    impl Handler<Panic> for KeyActor {
        type Result = ();
        fn handle(&mut self, _order: Panic, _context: &mut Self::Context) {
            panic!("asked to");
        }
    }

    #[actix::test]
    async fn a_dropped_permit_gives_the_request_back() {
        let limits = vec![LimitRecord::requests(1, Window::Hour)];
        let key = KeyHandle::start(record(limits), &Shards::start(1));
        drop(key.admit(wish("a")).await.unwrap().unwrap());
        let permit = key.admit(wish("a")).await.unwrap().unwrap();
        assert_eq!(permit.views[0].remaining, 0);
        assert!(key.idle_secs() < 60, "it was asked just now");
        permit.settle(3);
        assert!(matches!(key.admit(wish("a")).await.unwrap(), Err(KeyRefusal::Limit { .. })));
    }

    #[actix::test]
    async fn limits_survive_a_panicked_key() {
        let limits = vec![LimitRecord::requests(1, Window::Hour), LimitRecord::Concurrent { amount: 5 }];
        let key = KeyHandle::start(record(limits), &Shards::start(1));
        let permit = key.admit(wish("a")).await.unwrap().unwrap();
        assert!(key.owner().address().send(Panic).await.is_err());
        assert!(matches!(key.admit(wish("a")).await.unwrap(), Err(KeyRefusal::Limit { .. })));
        assert_eq!(key.observe().await.unwrap().in_flight, 1);
        permit.settle(1);
        assert_eq!(key.observe().await.unwrap().in_flight, 0);
    }

    #[actix::test]
    async fn an_expired_or_revoked_key_is_refused() {
        let shards = Shards::start(1);
        let expired = KeyRecord { expires_at: Some(1), ..record(Vec::new()) };
        assert_eq!(
            KeyHandle::start(expired, &shards).admit(wish("a")).await.unwrap().err(),
            Some(KeyRefusal::Expired)
        );
        let revoked = KeyRecord { status: KeyStatus::Revoked, ..record(Vec::new()) };
        assert_eq!(
            KeyHandle::start(revoked, &shards).admit(wish("a")).await.unwrap().err(),
            Some(KeyRefusal::Revoked)
        );
    }
}
