//! The actor of limits that are neither a key's nor a provider's: of a workspace, an integration in it, or one bucket
//! of a rate policy.
//!
//! - **owns** request and token limits and concurrency of one such holder.
//! - **answers** `Admit` with a [`LimiterPermit`] or a refusal.
//! - **never** waits, reads the store, or takes anything for a refused request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use actix::{Actor, Context, Handler, Message};
use arc_swap::{ArcSwap, ArcSwapOption};
use tidegate_store::LimitRecord;

use super::Unavailable;
use super::news::{Holder, News, Quiet};
use super::owner::Owner;
use super::permit::LimiterPermit;
use super::shards::Shards;
use crate::clock;
use crate::cluster::{Cluster, SharedGate};
use crate::limits::{Gate, Grant, RateView, Refusal};

const MAILBOX: usize = 4_096;

/// Why a limiter does not let a request in, beside the limits it has.
pub type Refused = (Refusal, Vec<RateView>);

/// State that outlives the actor.
#[derive(Debug)]
pub struct LimiterGauge {
    in_flight: AtomicU32,
    lost: AtomicU32,
    meters: ArcSwap<Vec<Arc<AtomicU64>>>,
}

/// Where a limiter is reached.
pub struct LimiterHandle {
    id: String,
    limits: ArcSwap<Vec<LimitRecord>>,
    gauge: Arc<LimiterGauge>,
    owner: Owner<LimiterActor>,
    last_used: AtomicU64,
    cluster: Option<Arc<Cluster>>,
    shared: ArcSwapOption<SharedGate>,
    news: Arc<News>,
    quiet: Quiet,
}

impl LimiterHandle {
    /// Starts the actor of these limits. `used` is what [`Self::meters`] said when it went to rest.
    #[must_use]
    pub fn start(
        id: String,
        limits: Arc<Vec<LimitRecord>>,
        used: Option<&[u64]>,
        shards: &Shards,
    ) -> Arc<Self> {
        let gauge = Arc::new(LimiterGauge {
            in_flight: AtomicU32::new(0),
            lost: AtomicU32::new(0),
            meters: ArcSwap::from_pointee(meters(&limits)),
        });
        for (meter, used) in gauge.meters.load().iter().zip(used.unwrap_or_default()) {
            meter.store(*used, Ordering::Relaxed);
        }
        let (threads, place) = (shards.clone(), id.clone());
        let news = shards.news().clone();
        let cluster = shards.cluster().cloned();
        let shared = cluster.clone().map(|cluster| Arc::new(SharedGate::new(cluster, &id, &limits)));
        Arc::new_cyclic(|this: &std::sync::Weak<Self>| {
            let (this, state, first) = (this.clone(), gauge.clone(), limits.clone());
            let spawn = move || {
                let limits = this.upgrade().map_or_else(|| first.clone(), |it| it.limits.load_full());
                let gauge = state.clone();
                LimiterActor::start_in_arbiter(&threads.near(&place), move |_| {
                    let gate = gate(&limits, &gauge);
                    LimiterActor { gate, gauge }
                })
            };
            Self {
                id,
                limits: ArcSwap::new(limits),
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

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Asks it to let a request in that will use about `tokens`, under these limits: others than before are put in
    /// force first.
    ///
    /// # Errors
    /// [`Unavailable`] when it can't be asked; inside, its refusal.
    pub async fn admit(
        self: &Arc<Self>,
        limits: &Arc<Vec<LimitRecord>>,
        tokens: u32,
    ) -> Result<Result<LimiterPermit, Refused>, Unavailable> {
        let known = self.limits.load();
        if !Arc::ptr_eq(&known, limits) {
            if **known != **limits {
                self.quiet.end();
                self.gauge.meters.store(Arc::new(meters(limits)));
                let shared = self.cluster.clone().map(|cluster| SharedGate::new(cluster, &self.id, limits));
                self.shared.store(shared.map(Arc::new));
            }
            self.limits.store(limits.clone());
            self.owner.ask(Reload(limits.clone())).await?;
        }
        let permit = match self.owner.ask(Admit { tokens, handle: self.clone() }).await? {
            Ok(permit) => permit,
            Err(refused) => {
                self.tell(&refused.0);
                return Ok(Err(refused));
            }
        };
        let Some(shared) = self.shared.load_full() else { return Ok(Ok(permit)) };
        Ok(match Box::pin(shared.take(tokens)).await? {
            Ok(()) => Ok(permit.with_shared(shared, tokens)),
            Err(refusal) => {
                self.tell(&refusal);
                Err((refusal, permit.views.clone()))
            }
        })
    }

    fn tell(&self, refusal: &Refusal) {
        self.news.limited(&self.quiet, refusal, || Holder::Limiter(self.id.clone()));
    }

    /// Returns the limits in force.
    #[must_use]
    pub fn limits(&self) -> Arc<Vec<LimitRecord>> {
        self.limits.load_full()
    }

    /// Returns when each limit is full again, in nanoseconds since the process began.
    #[must_use]
    pub fn meters(&self) -> Box<[u64]> {
        self.gauge.meters.load().iter().map(|meter| meter.load(Ordering::Relaxed)).collect()
    }

    /// Returns whether it may rest: nobody asked of late, and nobody is inside.
    #[must_use]
    pub fn is_idle(&self, idle_secs: u64) -> bool {
        clock::idling().saturating_sub(self.last_used.load(Ordering::Relaxed)) >= idle_secs
            && self.gauge.in_flight.load(Ordering::Relaxed) == 0
            && self.gauge.lost.load(Ordering::Relaxed) == 0
    }

    /// Returns whether nothing is lost if it rests: its limits are full, too.
    #[must_use]
    pub fn rested(&self, idle_secs: u64) -> bool {
        let now = u64::try_from(clock::uptime().as_nanos()).unwrap_or(u64::MAX);
        self.is_idle(idle_secs) && self.meters().iter().all(|full_at| *full_at <= now)
    }

    pub(super) fn gauge(&self) -> Arc<LimiterGauge> {
        self.gauge.clone()
    }

    pub(super) fn owner(&self) -> &Owner<LimiterActor> {
        &self.owner
    }
}

fn meters(limits: &[LimitRecord]) -> Vec<Arc<AtomicU64>> {
    limits.iter().map(|_| Arc::default()).collect()
}

fn gate(limits: &[LimitRecord], gauge: &LimiterGauge) -> Gate {
    let meters = gauge.meters.load();
    let in_flight = gauge.in_flight.load(Ordering::Relaxed);
    Gate::new(limits, in_flight, |at| meters.get(at).cloned().unwrap_or_default())
}

/// The actor.
pub(super) struct LimiterActor {
    gate: Gate,
    gauge: Arc<LimiterGauge>,
}

impl LimiterActor {
    fn publish(&self) {
        self.gauge.in_flight.store(self.gate.in_flight(), Ordering::Relaxed);
    }
}

impl Actor for LimiterActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

#[derive(Clone, Message)]
#[rtype(result = "Result<LimiterPermit, Refused>")]
struct Admit {
    tokens: u32,
    handle: Arc<LimiterHandle>,
}

impl Handler<Admit> for LimiterActor {
    type Result = Result<LimiterPermit, Refused>;

    fn handle(&mut self, order: Admit, _context: &mut Self::Context) -> Self::Result {
        let now = clock::uptime();
        order.handle.last_used.store(clock::idling(), Ordering::Relaxed);
        for _ in 0..self.gauge.lost.swap(0, Ordering::AcqRel) {
            self.gate.settle(now, Grant { tokens: 0 }, 0);
        }
        let grant = self.gate.admit(now, order.tokens).map_err(|refusal| (refusal, self.gate.views(now)))?;
        self.publish();
        Ok(LimiterPermit::new(order.handle, grant, self.gate.views(now)))
    }
}

/// Ends a request; `tokens` is `None` when it never started. If the message dies unread, the gauge notes it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SettleLimiter {
    grant: Grant,
    tokens: Option<u64>,
    gauge: Arc<LimiterGauge>,
    read: bool,
}

impl SettleLimiter {
    pub(super) fn new(grant: Grant, tokens: Option<u64>, gauge: Arc<LimiterGauge>) -> Self {
        Self { grant, tokens, gauge, read: false }
    }
}

impl Drop for SettleLimiter {
    fn drop(&mut self) {
        if !self.read {
            self.gauge.lost.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Handler<SettleLimiter> for LimiterActor {
    type Result = ();

    fn handle(&mut self, mut order: SettleLimiter, _context: &mut Self::Context) {
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
struct Reload(Arc<Vec<LimitRecord>>);

impl Handler<Reload> for LimiterActor {
    type Result = ();

    fn handle(&mut self, order: Reload, _context: &mut Self::Context) {
        self.publish();
        self.gate = gate(&order.0, &self.gauge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_store::Window;

    fn requests(amount: u32) -> Arc<Vec<LimitRecord>> {
        Arc::new(vec![LimitRecord::requests(amount, Window::Hour)])
    }

    #[actix::test]
    async fn a_dropped_permit_gives_the_request_back() {
        let limits = requests(1);
        let limiter = LimiterHandle::start("l".into(), limits.clone(), None, &Shards::start(1));
        drop(limiter.admit(&limits, 1).await.unwrap().unwrap());
        limiter.admit(&limits, 1).await.unwrap().unwrap().settle(3);
        assert!(limiter.admit(&limits, 1).await.unwrap().is_err());
        assert!(!limiter.is_idle(60) && !limiter.rested(0));
    }

    #[actix::test]
    async fn other_limits_act_on_the_next_request() {
        let limiter = LimiterHandle::start("l".into(), requests(1), None, &Shards::start(1));
        limiter.admit(&requests(1), 1).await.unwrap().unwrap().settle(0);
        assert!(limiter.admit(&requests(1), 1).await.unwrap().is_err());
        limiter.admit(&requests(2), 1).await.unwrap().unwrap().settle(0);
    }
}
