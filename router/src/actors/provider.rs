//! A provider's actor.
//!
//! - **owns** concurrency, limits, circuit breaker, and latency and error averages of one provider.
//! - **answers** `Acquire` with a [`ProviderPermit`] or a refusal, `Observe` with [`ProviderView`]; publishes a
//!   [`Health`] snapshot that routing reads without asking. One that has nothing to refuse is not asked: attempts count
//!   themselves in and out, and it is told what became of them.
//! - **never** waits, opens a connection, or shows its credential.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use arc_swap::ArcSwapOption;
use serde::Serialize;
use tidegate_providers::{Credential, Provider};
use tidegate_store::{BreakerRecord, ProviderRecord};

use super::Unavailable;
pub use super::health::Health;
use super::news::{Holder, News, Quiet, Story};
use super::owner::Owner;
use super::permit::ProviderPermit;
use super::shards::Shards;
use crate::clock;
use crate::cluster::SharedGate;
use crate::limits::{Breaker, BreakerRules, BreakerView, Gate, Grant, Pass, RateView, Refusal, Sign};
use crate::upstream::Envelope;

const MAILBOX: usize = 4_096;

/// What became of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Tokens used.
    pub tokens: u64,
    /// Microseconds to the first byte of an answer; `None` where there was none, or an error in its place.
    pub first_byte_us: Option<u64>,
    /// Whether the vendor failed: no connection, 5xx, cut or stalled stream. A caller's mistake is no fault.
    pub sign: Sign,
    /// The model, and whether it was asked for a stream; only where the provider [is watched](Health::is_watched).
    pub asked: Option<(Box<str>, bool)>,
}

/// Where a provider is reached.
pub struct ProviderHandle {
    record: ProviderRecord,
    place: String,
    vendor: &'static dyn Provider,
    credential: Arc<Credential>,
    health: Arc<Health>,
    owner: Owner<ProviderActor>,
    /// Whether limits or a breaker may refuse an attempt.
    refuses: bool,
    shared: Option<Arc<SharedGate>>,
    news: Arc<News>,
    quiet: Quiet,
    envelopes: Envelopes,
}

/// What a provider's last requests had in common: one of whole answers, one of streams. The record never changes in a
/// handle's life, so an envelope holds as long as its URL is the one that is asked for.
#[derive(Debug, Default)]
pub(crate) struct Envelopes([ArcSwapOption<(String, Arc<Envelope>)>; 2]);

impl Envelopes {
    /// Returns the last one, if it went to this URL.
    pub(crate) fn find(&self, url: &str, stream: bool) -> Option<Arc<Envelope>> {
        let last = self.0[usize::from(stream)].load();
        last.as_deref().filter(|(known, _)| known == url).map(|(_, envelope)| envelope.clone())
    }

    /// Keeps one for the next request.
    pub(crate) fn keep(&self, url: String, stream: bool, envelope: Arc<Envelope>) {
        self.0[usize::from(stream)].store(Some(Arc::new((url, envelope))));
    }
}

/// What a provider shows of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderView {
    /// Slug.
    pub slug: String,
    /// Portkey's vendor name.
    pub vendor: String,
    /// Attempts inside.
    pub in_flight: u32,
    /// Attempts ended since start.
    pub requests: u64,
    /// Moving average of microseconds to the first byte.
    pub first_byte_us: u64,
    /// Moving average of faults per thousand attempts.
    pub faults_per_mille: u64,
    /// Tightest limit of each kind.
    pub limits: Vec<RateView>,
    /// Circuit breaker, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerView>,
}

impl ProviderHandle {
    /// Starts the actor of a provider.
    #[must_use]
    pub fn start(record: ProviderRecord, vendor: &'static dyn Provider, shards: &Shards) -> Arc<Self> {
        let credential = Arc::new(Credential {
            api_key: record.api_key.clone(),
            base_url: record.base_url.as_deref().map(|url| url.trim_end_matches('/').to_owned()),
            options: record.options.clone(),
        });
        let health = Arc::new(Health::default());
        let meters: Vec<Arc<AtomicU64>> = record.limits.iter().map(|_| Arc::default()).collect();
        let (threads, place) = (shards.clone(), record.place());
        let state = health.clone();
        let (slug, vendor_name, limits) = (record.slug.clone(), record.vendor.clone(), record.limits.clone());
        let rules = record.breaker.as_ref().map(rules);
        let refuses = !record.limits.is_empty() || rules.is_some();
        let news = shards.news().clone();
        let told = news.clone();
        let owner = Owner::new(move || {
            let (health, meters, limits) = (state.clone(), meters.clone(), limits.clone());
            let news = news.clone();
            let (slug, vendor) = (slug.clone(), vendor_name.clone());
            ProviderActor::start_in_arbiter(&threads.near(&place), move |_| {
                let in_flight = health.in_flight();
                let gate = Gate::new(&limits, in_flight, |at| meters[at].clone());
                let breaker = rules.map(Breaker::new);
                let actor = ProviderActor { slug, vendor, refuses, gate, breaker, health, news };
                actor.publish();
                actor
            })
        });
        let place = record.place();
        let cluster = shards.cluster().filter(|_| !record.limits.is_empty()).cloned();
        let shared =
            cluster.map(|cluster| SharedGate::new(cluster, &format!("provider:{place}"), &record.limits));
        let shared = shared.map(Arc::new);
        Arc::new(Self {
            place,
            record,
            vendor,
            credential,
            health,
            owner,
            refuses,
            shared,
            news: told,
            quiet: Quiet::default(),
            envelopes: Envelopes::default(),
        })
    }

    /// Returns the record.
    #[must_use]
    pub fn record(&self) -> &ProviderRecord {
        &self.record
    }

    /// Returns what names it among the providers of all workspaces.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the vendor's dialect.
    #[must_use]
    pub fn vendor(&self) -> &'static dyn Provider {
        self.vendor
    }

    /// Returns the credential.
    #[must_use]
    pub fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    /// Returns what its last requests had in common.
    pub(crate) fn envelopes(&self) -> &Envelopes {
        &self.envelopes
    }

    /// Returns the health snapshot.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Asks the provider to let an attempt in.
    ///
    /// # Errors
    /// [`Unavailable`] when it can't be asked; inside, its refusal.
    pub async fn acquire(
        self: &Arc<Self>,
        tokens: u32,
    ) -> Result<Result<ProviderPermit, Refusal>, Unavailable> {
        let acquired = self.asked(tokens).await?;
        if let Err(refusal) = &acquired {
            let holder = || Holder::Provider { slug: self.record.slug.clone(), place: self.place.clone() };
            self.news.limited(&self.quiet, refusal, holder);
        }
        Ok(acquired)
    }

    async fn asked(self: &Arc<Self>, tokens: u32) -> Result<Result<ProviderPermit, Refusal>, Unavailable> {
        if !self.refuses {
            self.health.enter();
            return Ok(Ok(ProviderPermit::new(self.clone(), None, None)));
        }
        let permit = match self.owner.ask(Acquire { tokens, handle: self.clone() }).await? {
            Ok(permit) => permit,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(shared) = &self.shared else { return Ok(Ok(permit)) };
        Ok(Box::pin(shared.take(tokens)).await?.map(|()| permit.with_shared(shared.clone(), tokens)))
    }

    /// Returns the provider's state.
    ///
    /// # Errors
    /// [`Unavailable`]
    pub async fn observe(&self) -> Result<ProviderView, Unavailable> {
        self.owner.ask(Observe).await
    }

    pub(super) fn gauge(&self) -> Arc<Health> {
        self.health.clone()
    }

    pub(super) fn owner(&self) -> &Owner<ProviderActor> {
        &self.owner
    }
}

/// The actor.
pub(super) struct ProviderActor {
    slug: String,
    vendor: String,
    /// As in its handle. If not, nobody asks it, and there is nothing to publish of gate and breaker.
    refuses: bool,
    gate: Gate,
    breaker: Option<Breaker>,
    health: Arc<Health>,
    news: Arc<News>,
}

fn rules(record: &BreakerRecord) -> BreakerRules {
    BreakerRules {
        faults: record.failures,
        percent: record.percent,
        minimum: record.minimum_requests,
        window: Duration::from_millis(record.window_ms),
        cooldown: Duration::from_millis(record.cooldown_ms),
    }
}

impl ProviderActor {
    /// Ends attempts whose settlement died unread with an earlier actor.
    fn collect_lost(&mut self, now: Duration) {
        for _ in 0..self.health.lost.swap(0, Ordering::AcqRel) {
            self.gate.settle(now, Grant { tokens: 0 }, 0);
        }
    }

    fn publish(&self) {
        if !self.refuses {
            return;
        }
        self.health.publish_inside(self.gate.in_flight(), self.gate.concurrent(), self.gate.free_from());
        if let Some(breaker) = &self.breaker {
            self.health.publish_shut(breaker.shut_until());
        }
    }

    fn learn(&self, outcome: &Outcome, now: Duration) {
        let fault = outcome.sign == Sign::Fault;
        self.health.learn(outcome.first_byte_us, fault);
        if let Some((model, stream)) = &outcome.asked
            && outcome.sign != Sign::Nothing
        {
            self.health.learn_model((model, *stream), outcome.first_byte_us, fault, now);
        }
    }

    /// Changes the breaker and says so when that opens or closes it.
    fn break_or_mend(&mut self, change: impl FnOnce(&mut Breaker)) {
        let Some(breaker) = &mut self.breaker else { return };
        let before = breaker.view(Duration::ZERO).state;
        change(breaker);
        let after = breaker.view(Duration::ZERO).state;
        if before != after {
            tracing::info!(provider = self.slug, state = after, "circuit breaker of a provider");
            if after == "open" || after == "closed" {
                self.news.tell(Story::Breaker { provider: self.slug.clone(), open: after == "open" });
            }
        }
    }
}

impl Actor for ProviderActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

#[derive(Clone, Message)]
#[rtype(result = "Result<ProviderPermit, Refusal>")]
struct Acquire {
    tokens: u32,
    handle: Arc<ProviderHandle>,
}

impl Handler<Acquire> for ProviderActor {
    type Result = Result<ProviderPermit, Refusal>;

    fn handle(&mut self, order: Acquire, _context: &mut Self::Context) -> Self::Result {
        let now = clock::uptime();
        self.collect_lost(now);
        if let Some(breaker) = &self.breaker
            && let Some(wait) = breaker.shut_until().and_then(|until| until.checked_sub(now))
            && !wait.is_zero()
        {
            return Err(Refusal::Open { wait });
        }
        // The limits first: a probe that they refuse would be none.
        let admitted = self.gate.admit(now, order.tokens);
        let pass = match &mut self.breaker {
            Some(breaker) if admitted.is_ok() => breaker.enter(now).ok(),
            _ => None,
        };
        self.publish();
        Ok(ProviderPermit::new(order.handle, Some(admitted?), pass))
    }
}

/// Ends an attempt; `outcome` is `None` when it was never made.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SettleProvider {
    /// `None` is an attempt that counted itself.
    grant: Option<Grant>,
    pass: Option<Pass>,
    outcome: Option<Outcome>,
    health: Arc<Health>,
    read: bool,
}

impl SettleProvider {
    pub(super) fn new(
        grant: Option<Grant>,
        pass: Option<Pass>,
        outcome: Option<Outcome>,
        health: Arc<Health>,
    ) -> Self {
        Self { grant, pass, outcome, health, read: false }
    }
}

impl Drop for SettleProvider {
    fn drop(&mut self) {
        match self.grant {
            None => self.health.leave(),
            Some(_) if self.read => {}
            Some(_) => {
                self.health.lost.fetch_add(1, Ordering::AcqRel);
            }
        }
    }
}

impl Handler<SettleProvider> for ProviderActor {
    type Result = ();

    fn handle(&mut self, mut order: SettleProvider, _context: &mut Self::Context) {
        order.read = true;
        // Where there is nothing to refuse, nor anybody who chooses by pace, no time is needed.
        let is_timed = self.refuses || order.outcome.as_ref().is_some_and(|outcome| outcome.asked.is_some());
        let now = if is_timed { clock::uptime() } else { Duration::ZERO };
        let sign = order.outcome.as_ref().map_or(Sign::Nothing, |outcome| outcome.sign);
        if let Some(pass) = order.pass {
            self.break_or_mend(|breaker| breaker.settle(now, pass, sign));
        }
        match (&order.outcome, order.grant) {
            (Some(outcome), Some(grant)) => self.gate.settle(now, grant, outcome.tokens),
            (None, Some(grant)) => self.gate.give_back(grant),
            (_, None) => {}
        }
        if let Some(outcome) = &order.outcome {
            self.learn(outcome, now);
        }
        self.publish();
    }
}

/// An attempt for which the breaker waits began to be answered.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Began(pub(super) Pass);

impl Handler<Began> for ProviderActor {
    type Result = ();

    fn handle(&mut self, order: Began, _context: &mut Self::Context) {
        self.break_or_mend(|breaker| breaker.began(order.0));
        self.publish();
    }
}

#[derive(Clone, Message)]
#[rtype(result = "ProviderView")]
struct Observe;

impl Handler<Observe> for ProviderActor {
    type Result = actix::MessageResult<Observe>;

    fn handle(&mut self, _question: Observe, _context: &mut Self::Context) -> Self::Result {
        self.collect_lost(clock::uptime());
        self.publish();
        actix::MessageResult(ProviderView {
            slug: self.slug.clone(),
            vendor: self.vendor.clone(),
            in_flight: self.health.in_flight(),
            requests: self.health.requests.load(Ordering::Relaxed),
            first_byte_us: self.health.first_byte_us(),
            faults_per_mille: self.health.faults_per_mille(),
            limits: self.gate.views(clock::uptime()),
            breaker: self.breaker.as_ref().map(|breaker| breaker.view(clock::uptime())),
        })
    }
}
