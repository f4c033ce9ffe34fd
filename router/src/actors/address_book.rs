//! Where actors are found: read-mostly maps of handles.
//!
//! A key is loaded from the store on its first use and forgotten after a quiet spell, so 100,000 keys cost nothing
//! until used. Unknown keys are remembered for a moment, so that guessing does not reach the store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tidegate_store::{Change, ChangeKind, KeyHash, Store, StoreError};

use super::budget::BudgetHandle;
use super::key::KeyHandle;
use super::provider::ProviderHandle;
use super::shards::Shards;
use crate::clock;

/// How long an unknown key stays unknown without a look at the store. A new key made by another process may take
/// this long to work.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);
const UNKNOWN_AT_MOST: usize = 10_000;
/// A key rests after this long without a request.
const REST_AFTER_SECS: u64 = 900;

/// The address book.
pub struct AddressBook {
    keys: DashMap<KeyHash, Arc<KeyHandle>>,
    unknown: DashMap<KeyHash, Instant>,
    budgets: DashMap<String, Arc<BudgetHandle>>,
    providers: DashMap<String, Arc<ProviderHandle>>,
    /// Whether any of them has a circuit breaker.
    breakers: AtomicBool,
    reader: Arc<Mutex<Box<dyn Store>>>,
    shards: Shards,
}

impl AddressBook {
    /// Makes an empty book over a store connection of its own.
    #[must_use]
    pub fn new(reader: Box<dyn Store>, shards: Shards) -> Self {
        Self {
            keys: DashMap::new(),
            unknown: DashMap::new(),
            budgets: DashMap::new(),
            providers: DashMap::new(),
            breakers: AtomicBool::new(false),
            reader: Arc::new(Mutex::new(reader)),
            shards,
        }
    }

    /// Returns the key with this hash, started from the store on its first use; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub async fn key(&self, hash: &KeyHash) -> Result<Option<Arc<KeyHandle>>, StoreError> {
        if let Some(known) = self.keys.get(hash) {
            return Ok(Some(known.clone()));
        }
        if self.unknown.get(hash).is_some_and(|since| since.elapsed() < UNKNOWN_FOR) {
            return Ok(None);
        }
        let wanted = *hash;
        let found = self
            .read(move |store| {
                let Some(key) = store.key_by_hash(&wanted)? else { return Ok(None) };
                let budget = match &key.budget {
                    Some(id) => store.budget(id, clock::unix())?,
                    None => None,
                };
                Ok(Some((key, budget)))
            })
            .await?;
        let Some((record, budget)) = found else {
            if self.unknown.len() >= UNKNOWN_AT_MOST {
                self.unknown.clear();
            }
            self.unknown.insert(*hash, Instant::now());
            return Ok(None);
        };
        if let Some((budget, spent)) = budget {
            self.budgets
                .entry(budget.id.clone())
                .or_insert_with(|| BudgetHandle::start(budget, spent, &self.shards));
        }
        let handle = self.keys.entry(*hash).or_insert_with(|| KeyHandle::start(record, &self.shards)).clone();
        Ok(Some(handle))
    }

    /// Returns a budget, started from the store on its first use.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub async fn budget(&self, id: &str) -> Result<Option<Arc<BudgetHandle>>, StoreError> {
        if let Some(known) = self.budgets.get(id) {
            return Ok(Some(known.clone()));
        }
        let wanted = id.to_owned();
        let found = self.read(move |store| store.budget(&wanted, clock::unix())).await?;
        Ok(found.map(|(record, spent)| {
            let start = || BudgetHandle::start(record, spent, &self.shards);
            self.budgets.entry(id.to_owned()).or_insert_with(start).clone()
        }))
    }

    /// Returns a provider.
    #[must_use]
    pub fn provider(&self, slug: &str) -> Option<Arc<ProviderHandle>> {
        self.providers.get(slug).map(|found| found.clone())
    }

    /// Returns whether any provider has a circuit breaker.
    #[must_use]
    pub fn has_breakers(&self) -> bool {
        self.breakers.load(Ordering::Relaxed)
    }

    /// Returns all providers by slug.
    #[must_use]
    pub fn providers(&self) -> Vec<Arc<ProviderHandle>> {
        let mut all: Vec<_> = self.providers.iter().map(|entry| entry.value().clone()).collect();
        all.sort_by(|a, b| a.record().slug.cmp(&b.record().slug));
        all
    }

    /// Puts these providers in force; those whose record did not change keep their actor, others go.
    pub fn set_providers(&self, records: Vec<tidegate_store::ProviderRecord>) {
        let slugs: std::collections::HashSet<String> =
            records.iter().map(|record| record.slug.clone()).collect();
        self.breakers.store(records.iter().any(|record| record.breaker.is_some()), Ordering::Relaxed);
        for record in records {
            let same = self.provider(&record.slug).is_some_and(|known| *known.record() == record);
            let Some(vendor) = tidegate_providers::registry::find(&record.vendor).filter(|_| !same) else {
                continue;
            };
            self.providers.insert(record.slug.clone(), ProviderHandle::start(record, vendor, &self.shards));
        }
        self.providers.retain(|slug, _| slugs.contains(slug));
    }

    /// Returns the keys and budgets that are awake.
    #[must_use]
    pub fn awake(&self) -> (Vec<Arc<KeyHandle>>, Vec<Arc<BudgetHandle>>) {
        (
            self.keys.iter().map(|entry| entry.value().clone()).collect(),
            self.budgets.iter().map(|entry| entry.value().clone()).collect(),
        )
    }

    /// Puts changes of the store in force for what is awake.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read; the rest of the changes is not applied.
    pub async fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            match change.kind {
                ChangeKind::Key => self.reload_key(&change.id).await?,
                ChangeKind::Budget => {
                    let id = change.id.clone();
                    let record = self.read(move |store| store.budget(&id, clock::unix())).await?;
                    let known = self.budgets.get(&change.id).map(|known| known.clone());
                    if let (Some((record, _)), Some(known)) = (record, known) {
                        let _ask = known.reload(record).await;
                    }
                }
                ChangeKind::Reset => {
                    // What was settled since the reset was written is in the store already.
                    let id = change.id.clone();
                    let record = self.read(move |store| store.budget(&id, clock::unix())).await?;
                    let known = self.budgets.get(&change.id).map(|known| known.clone());
                    if let (Some((_, spent)), Some(known)) = (record, known) {
                        let _ask = known.reset(spent).await;
                    }
                }
                ChangeKind::Provider | ChangeKind::Prices | ChangeKind::Config => {}
            }
        }
        Ok(())
    }

    async fn reload_key(&self, id: &str) -> Result<(), StoreError> {
        self.unknown.clear();
        if id == "*" {
            self.keys.clear();
            return Ok(());
        }
        let awake = self.keys.iter().find(|entry| entry.value().record().id == id).map(|entry| *entry.key());
        let Some(awake) = awake else { return Ok(()) };
        let wanted = id.to_owned();
        let found = self.read(move |store| store.key_by_id(&wanted)).await?;
        let handle = self.keys.get(&awake).map(|known| known.clone());
        match (found, handle) {
            (Some((hash, record)), Some(handle)) if hash == awake => {
                let _ask = handle.reload(record).await;
            }
            _ => {
                self.keys.remove(&awake);
            }
        }
        Ok(())
    }

    /// Lets keys rest that nobody uses and whose limits are full again.
    pub fn rest(&self) {
        self.keys.retain(|_, key| {
            Arc::strong_count(key) > 1 || key.idle_secs() < REST_AFTER_SECS || !key.rested()
        });
        self.unknown.retain(|_, since| since.elapsed() < UNKNOWN_FOR);
    }

    /// Runs a read on a thread that may block.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = self.reader.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let mut store = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            question(store.as_mut())
        });
        answer.await.map_err(|_| StoreError::Database("a read was broken off".into()))?
    }
}
