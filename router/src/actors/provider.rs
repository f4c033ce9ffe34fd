//! A provider's actor.
//!
//! - **owns** concurrency, limits, and latency and error averages of one provider.
//! - **answers** `Acquire` with a [`ProviderPermit`] or a refusal, `Observe` with [`ProviderView`]; publishes a
//!   [`Health`] snapshot that routing reads without asking.
//! - **never** waits, opens a connection, or shows its credential.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use actix::{Actor, Context, Handler, Message};
use serde::Serialize;
use tidegate_providers::{Credential, Provider};
use tidegate_store::ProviderRecord;

use super::Unavailable;
use super::owner::Owner;
use super::permit::ProviderPermit;
use super::shards::Shards;
use crate::clock;
use crate::limits::{Gate, Grant, RateView, Refusal};

const MAILBOX: usize = 4_096;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Tokens used.
    pub tokens: u64,
    /// Microseconds to the first byte of the answer, where there was one.
    pub first_byte_us: Option<u64>,
    /// Whether the vendor failed: no connection, 5xx, cut or stalled stream. A caller's mistake is no fault.
    pub fault: bool,
}

/// What routing reads.
#[derive(Debug, Default)]
pub struct Health {
    in_flight: AtomicU32,
    first_byte_us: AtomicU64,
    faults_per_mille: AtomicU64,
    requests: AtomicU64,
    lost: AtomicU32,
}

impl Health {
    /// Returns attempts inside.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the moving average of microseconds to the first byte; 0 before the first answer.
    #[must_use]
    pub fn first_byte_us(&self) -> u64 {
        self.first_byte_us.load(Ordering::Relaxed)
    }

    /// Returns the moving average of faults per thousand attempts.
    #[must_use]
    pub fn faults_per_mille(&self) -> u64 {
        self.faults_per_mille.load(Ordering::Relaxed)
    }
}

/// Where a provider is reached.
pub struct ProviderHandle {
    record: ProviderRecord,
    vendor: &'static dyn Provider,
    credential: Arc<Credential>,
    health: Arc<Health>,
    owner: Owner<ProviderActor>,
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
        let shard = shards.of(&record.slug);
        let state = health.clone();
        let (slug, vendor_name, limits) = (record.slug.clone(), record.vendor.clone(), record.limits.clone());
        let owner = Owner::new(move || {
            let (health, meters, limits) = (state.clone(), meters.clone(), limits.clone());
            let (slug, vendor) = (slug.clone(), vendor_name.clone());
            ProviderActor::start_in_arbiter(&shard, move |_| {
                let in_flight = health.in_flight();
                let gate = Gate::new(&limits, in_flight, |at| meters[at].clone());
                ProviderActor { slug, vendor, gate, health }
            })
        });
        Arc::new(Self { record, vendor, credential, health, owner })
    }

    /// Returns the record.
    #[must_use]
    pub fn record(&self) -> &ProviderRecord {
        &self.record
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
        self.owner.ask(Acquire { tokens, handle: self.clone() }).await
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
    gate: Gate,
    health: Arc<Health>,
}

impl ProviderActor {
    fn publish(&self) {
        self.health.in_flight.store(self.gate.in_flight(), Ordering::Relaxed);
    }

    fn learn(&self, outcome: Outcome) {
        self.health.requests.fetch_add(1, Ordering::Relaxed);
        let fault = if outcome.fault { 1_000 } else { 0 };
        let faults = average(self.health.faults_per_mille(), fault);
        self.health.faults_per_mille.store(faults, Ordering::Relaxed);
        if let Some(first_byte_us) = outcome.first_byte_us {
            let known = self.health.first_byte_us();
            let next = if known == 0 { first_byte_us } else { average(known, first_byte_us) };
            self.health.first_byte_us.store(next, Ordering::Relaxed);
        }
    }
}

/// Moves an average a tenth of the way, rounding towards the new value so that it reaches it.
fn average(known: u64, new: u64) -> u64 {
    if new > known { known + (new - known).div_ceil(10) } else { known - (known - new).div_ceil(10) }
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
        for _ in 0..self.health.lost.swap(0, Ordering::AcqRel) {
            self.gate.settle(now, Grant { tokens: 0 }, 0);
        }
        let grant = self.gate.admit(now, order.tokens)?;
        self.publish();
        Ok(ProviderPermit::new(order.handle, grant))
    }
}

/// Ends an attempt; `outcome` is `None` when it was never made.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SettleProvider {
    grant: Grant,
    outcome: Option<Outcome>,
    health: Arc<Health>,
    read: bool,
}

impl SettleProvider {
    pub(super) fn new(grant: Grant, outcome: Option<Outcome>, health: Arc<Health>) -> Self {
        Self { grant, outcome, health, read: false }
    }
}

impl Drop for SettleProvider {
    fn drop(&mut self) {
        if !self.read {
            self.health.lost.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Handler<SettleProvider> for ProviderActor {
    type Result = ();

    fn handle(&mut self, mut order: SettleProvider, _context: &mut Self::Context) {
        order.read = true;
        match order.outcome {
            Some(outcome) => {
                self.gate.settle(clock::uptime(), order.grant, outcome.tokens);
                self.learn(outcome);
            }
            None => self.gate.give_back(order.grant),
        }
        self.publish();
    }
}

#[derive(Clone, Message)]
#[rtype(result = "ProviderView")]
struct Observe;

impl Handler<Observe> for ProviderActor {
    type Result = actix::MessageResult<Observe>;

    fn handle(&mut self, _question: Observe, _context: &mut Self::Context) -> Self::Result {
        actix::MessageResult(ProviderView {
            slug: self.slug.clone(),
            vendor: self.vendor.clone(),
            in_flight: self.gate.in_flight(),
            requests: self.health.requests.load(Ordering::Relaxed),
            first_byte_us: self.health.first_byte_us(),
            faults_per_mille: self.health.faults_per_mille(),
            limits: self.gate.views(clock::uptime()),
        })
    }
}
