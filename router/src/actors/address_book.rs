//! Where actors are found: read-mostly maps of handles.
//!
//! A key is loaded from the store on its first use and forgotten after a quiet spell, so 100,000 keys cost nothing
//! until used. Unknown keys are remembered for a moment, so that guessing does not reach the store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use foldhash::quality::RandomState;
use tidegate_store::{
    BudgetRecord, Change, ChangeKind, KeyHash, LimitRecord, ProviderRecord, Store, StoreError,
};

use super::budget::BudgetHandle;
use super::crowd::{CROWD, CROWDED_REST_SECS, Sleepers};
use super::key::KeyHandle;
use super::limiter::LimiterHandle;
use super::provider::ProviderHandle;
use super::shards::Shards;
use crate::clock;

/// How long an unknown key stays unknown without a look at the store. A new key made by another process may take
/// this long to work.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);
const UNKNOWN_AT_MOST: usize = 10_000;
/// A key rests after this long without a request.
const REST_AFTER_SECS: u64 = 900;

/// A key that is awake, as one of its secrets finds it.
#[derive(Clone)]
struct Known {
    handle: Arc<KeyHandle>,
    /// Where it is the secret before the present one: until when it works, seconds since the epoch.
    old_until: Option<i64>,
}

/// The address book.
pub struct AddressBook {
    keys: DashMap<KeyHash, Known, RandomState>,
    /// Hashes that are awake, by the key's id: there are two while a secret is replaced.
    hashes: DashMap<String, Vec<KeyHash>>,
    unknown: DashMap<KeyHash, Instant>,
    budgets: DashMap<String, Arc<BudgetHandle>, RandomState>,
    limiters: DashMap<String, Arc<LimiterHandle>>,
    sleepers: Sleepers,
    /// By place: slug, or workspace and slug.
    providers: DashMap<String, Arc<ProviderHandle>, RandomState>,
    /// Whether any of them has a circuit breaker.
    breakers: AtomicBool,
    /// Whether any of them belongs to a workspace.
    owned: AtomicBool,
    reader: Arc<Mutex<Box<dyn Store>>>,
    /// A connection of its own, so that a long write keeps no key waiting that is used for the first time.
    writer: Arc<Mutex<Box<dyn Store>>>,
    shards: Shards,
}

/// A budget, its spend and the number of its last reset.
type Started = (BudgetRecord, (i64, i64));

/// Reads a budget with its spend and the number of its last reset.
fn known(store: &dyn Store, id: &str) -> Result<Option<Started>, StoreError> {
    let Some((record, spent)) = store.budget(id, clock::unix())? else { return Ok(None) };
    let reset = store.last_reset(id)?;
    Ok(Some((record, (spent, reset))))
}

/// Reads what a budget has spent in a period, and the number of its last reset.
fn spent_of(store: &dyn Store, id: &str, period_start: i64) -> Result<(i64, i64), StoreError> {
    let spent = store.spent_by(id, period_start)?.iter().map(|(_, amount)| amount).sum();
    Ok((spent, store.last_reset(id)?))
}

impl AddressBook {
    /// Makes an empty book over store connections of its own.
    #[must_use]
    pub fn new(reader: Box<dyn Store>, writer: Box<dyn Store>, shards: Shards) -> Self {
        Self {
            keys: DashMap::default(),
            unknown: DashMap::new(),
            hashes: DashMap::new(),
            budgets: DashMap::default(),
            limiters: DashMap::new(),
            sleepers: Sleepers::default(),
            providers: DashMap::default(),
            breakers: AtomicBool::new(false),
            owned: AtomicBool::new(false),
            reader: Arc::new(Mutex::new(reader)),
            writer: Arc::new(Mutex::new(writer)),
            shards,
        }
    }

    /// Returns the key with this hash, started from the store on its first use; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub async fn key(&self, hash: &KeyHash) -> Result<Option<Arc<KeyHandle>>, StoreError> {
        if let Some(known) = self.keys.get(hash).map(|known| known.clone()) {
            if known.old_until.is_none_or(|until| clock::unix() < until) {
                return Ok(Some(known.handle));
            }
            self.keys.remove(hash);
            return Ok(None);
        }
        if self.unknown.get(hash).is_some_and(|since| since.elapsed() < UNKNOWN_FOR) {
            return Ok(None);
        }
        let wanted = *hash;
        let found = self
            .read(move |store| {
                let Some(key) = store.key_by_hash(&wanted)? else { return Ok(None) };
                let old_until = match &key.extra.old_secret {
                    Some(old) => {
                        let is_old = store.key_by_id(&key.id)?.is_some_and(|(present, _)| present != wanted);
                        is_old.then_some(old.until)
                    }
                    None => None,
                };
                let budget = match &key.budget {
                    Some(id) => known(store, id)?,
                    None => None,
                };
                Ok(Some((key, old_until, budget)))
            })
            .await?;
        let Some((record, old_until, budget)) = found else {
            if self.unknown.len() >= UNKNOWN_AT_MOST {
                self.unknown.clear();
            }
            self.unknown.insert(*hash, Instant::now());
            return Ok(None);
        };
        if old_until.is_some_and(|until| until <= clock::unix()) {
            return Ok(None);
        }
        if let Some((budget, spent)) = budget {
            self.budgets
                .entry(budget.id.clone())
                .or_insert_with(|| BudgetHandle::start(budget, spent, &self.shards));
        }
        // Both secrets of a key come to one actor. Whoever holds the entry decides who starts it.
        let mut hashes = self.hashes.entry(record.id.clone()).or_default();
        let awake = hashes.iter().find_map(|other| self.keys.get(other).map(|known| known.handle.clone()));
        let handle = awake.unwrap_or_else(|| KeyHandle::start(record, &self.shards));
        if !hashes.contains(hash) {
            hashes.push(*hash);
        }
        self.keys.insert(*hash, Known { handle: handle.clone(), old_until });
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
        let found = self.read(move |store| known(store, &wanted)).await?;
        Ok(found.map(|(record, spent)| {
            let start = || BudgetHandle::start(record, spent, &self.shards);
            self.budgets.entry(id.to_owned()).or_insert_with(start).clone()
        }))
    }

    /// Returns a budget that rules declare, started with what the store knows of its spend on its first use. Whoever
    /// asks it lets it [follow](BudgetHandle::follow) its terms first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub async fn declared_budget(
        &self,
        id: &str,
        terms: &Arc<BudgetRecord>,
    ) -> Result<Arc<BudgetHandle>, StoreError> {
        if let Some(known) = self.budgets.get(id).map(|known| known.clone()) {
            return Ok(known);
        }
        let (wanted, period_start) = (id.to_owned(), terms.period_start(clock::unix()));
        let spent = self.read(move |store| spent_of(store, &wanted, period_start)).await?;
        let start = || {
            let record = BudgetRecord { id: id.to_owned(), ..(**terms).clone() };
            BudgetHandle::start(record, spent, &self.shards)
        };
        Ok(self.budgets.entry(id.to_owned()).or_insert_with(start).clone())
    }

    /// Returns a budget if it is awake.
    #[must_use]
    pub fn awake_budget(&self, id: &str) -> Option<Arc<BudgetHandle>> {
        self.budgets.get(id).map(|known| known.clone())
    }

    /// Returns the limiter of this id, started on its first use.
    #[must_use]
    pub fn limiter(&self, id: &str, limits: &Arc<Vec<LimitRecord>>) -> Arc<LimiterHandle> {
        if let Some(known) = self.limiters.get(id) {
            return known.clone();
        }
        let start = || {
            let used = self.sleepers.wake(id, limits);
            LimiterHandle::start(id.to_owned(), limits.clone(), used.as_deref(), &self.shards)
        };
        self.limiters.entry(id.to_owned()).or_insert_with(start).clone()
    }

    /// Returns the provider of this slug that everyone may use.
    #[must_use]
    pub fn provider(&self, slug: &str) -> Option<Arc<ProviderHandle>> {
        self.providers.get(slug).map(|found| found.clone())
    }

    /// Returns the provider of this slug that a workspace may use: its own before that of everyone.
    #[must_use]
    pub fn provider_for(&self, workspace: &str, slug: &str) -> Option<Arc<ProviderHandle>> {
        if !workspace.is_empty()
            && let Some(own) = self.providers.get(&format!("{workspace}/{slug}"))
        {
            return Some(own.clone());
        }
        self.provider(slug)
    }

    /// Returns the providers that a workspace may use, by slug.
    #[must_use]
    pub fn providers_for(&self, workspace: &str) -> Vec<Arc<ProviderHandle>> {
        let mut all = self.providers();
        let is_own = |it: &ProviderHandle| it.record().workspace.as_deref() == Some(workspace);
        let own: Vec<String> =
            all.iter().filter(|it| is_own(it)).map(|it| it.record().slug.clone()).collect();
        all.retain(|it| is_own(it) || (it.record().workspace.is_none() && !own.contains(&it.record().slug)));
        all
    }

    /// Returns whether any provider has a circuit breaker.
    #[must_use]
    pub fn has_breakers(&self) -> bool {
        self.breakers.load(Ordering::Relaxed)
    }

    /// Returns whether any provider belongs to a workspace.
    #[must_use]
    pub fn has_owned(&self) -> bool {
        self.owned.load(Ordering::Relaxed)
    }

    /// Returns all providers by slug.
    #[must_use]
    pub fn providers(&self) -> Vec<Arc<ProviderHandle>> {
        let mut all: Vec<_> = self.providers.iter().map(|entry| entry.value().clone()).collect();
        all.sort_by(|a, b| a.record().slug.cmp(&b.record().slug));
        all
    }

    /// Puts these providers in force; those whose record did not change keep their actor, others go.
    pub fn set_providers(&self, records: Vec<ProviderRecord>) {
        let places: std::collections::HashSet<String> = records.iter().map(ProviderRecord::place).collect();
        self.owned.store(records.iter().any(|record| record.workspace.is_some()), Ordering::Relaxed);
        self.breakers.store(records.iter().any(|record| record.breaker.is_some()), Ordering::Relaxed);
        for record in records {
            let place = record.place();
            let known = self.providers.get(&place).map(|known| known.clone());
            let same = known.is_some_and(|known| *known.record() == record);
            let Some(vendor) = tidegate_providers::registry::find(&record.vendor).filter(|_| !same) else {
                continue;
            };
            self.providers.insert(place, ProviderHandle::start(record, vendor, &self.shards));
        }
        self.providers.retain(|place, _| places.contains(place));
    }

    /// Returns the keys and budgets that are awake.
    #[must_use]
    pub fn awake(&self) -> (Vec<Arc<KeyHandle>>, Vec<Arc<BudgetHandle>>) {
        (
            self.keys
                .iter()
                .filter(|entry| entry.value().old_until.is_none())
                .map(|entry| entry.value().handle.clone())
                .collect(),
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
                    match (record, known) {
                        (Some((record, _)), Some(known)) => {
                            let _ask = known.reload(record).await;
                        }
                        (None, Some(_)) => {
                            self.budgets.remove(&change.id);
                        }
                        (_, None) => {}
                    }
                }
                ChangeKind::Reset => {
                    // What was settled since the reset was written is in the store already.
                    if let Some(known) = self.budgets.get(&change.id).map(|known| known.clone()) {
                        let (id, period_start) =
                            (change.id.clone(), known.record().period_start(clock::unix()));
                        let (spent, number) =
                            self.read(move |store| spent_of(store, &id, period_start)).await?;
                        let _ask = known.reset(spent, number).await;
                    }
                }
                ChangeKind::Provider | ChangeKind::Prices | ChangeKind::Config | ChangeKind::Object => {}
            }
        }
        Ok(())
    }

    async fn reload_key(&self, id: &str) -> Result<(), StoreError> {
        self.unknown.clear();
        if id == "*" {
            self.keys.clear();
            self.hashes.clear();
            return Ok(());
        }
        let Some(awake) = self.hashes.get(id).map(|hashes| hashes.clone()) else { return Ok(()) };
        let wanted = id.to_owned();
        let found = self.read(move |store| store.key_by_id(&wanted)).await?;
        let handle = awake.iter().find_map(|hash| self.keys.get(hash).map(|known| known.handle.clone()));
        // Other hashes than the present one are looked up again: one may be the old secret now, or no more.
        let present = found.as_ref().map(|(hash, _)| *hash);
        for hash in awake.iter().filter(|hash| Some(**hash) != present) {
            self.keys.remove(hash);
        }
        match (found, handle) {
            (Some((hash, record)), Some(handle)) => {
                let _ask = handle.reload(record).await;
                self.keys.insert(hash, Known { handle, old_until: None });
                self.hashes.insert(id.to_owned(), vec![hash]);
            }
            _ => {
                self.hashes.remove(id);
            }
        }
        Ok(())
    }

    /// Lets keys rest that nobody uses and whose limits are full again.
    pub fn rest(&self) {
        self.hashes.retain(|_, hashes| {
            let known = hashes.iter().find_map(|hash| self.keys.get(hash).map(|known| known.handle.clone()));
            // One in the map for each hash, and this one here.
            let stays = known.is_some_and(|key| {
                Arc::strong_count(&key) > hashes.len() + 1
                    || key.idle_secs() < REST_AFTER_SECS
                    || !key.rested()
            });
            if !stays {
                for hash in hashes.iter() {
                    self.keys.remove(hash);
                }
            }
            stays
        });
        self.budgets.retain(|_, budget| Arc::strong_count(budget) > 1 || !budget.rested(REST_AFTER_SECS));
        self.limiters.retain(|_, limiter| Arc::strong_count(limiter) > 1 || !limiter.rested(REST_AFTER_SECS));
        self.sleepers.sweep();
        self.unknown.retain(|_, since| since.elapsed() < UNKNOWN_FOR);
    }

    /// Lets buckets rest that nobody used for some seconds, where there is a crowd of them. `settled` says that what
    /// budgets spent is in the store, where they look when they wake.
    pub fn thin_out(&self, settled: bool) {
        self.thin_out_beyond(CROWD, CROWDED_REST_SECS, settled);
    }

    fn thin_out_beyond(&self, crowd: usize, idle_secs: u64, settled: bool) {
        if settled && self.budgets.len() > crowd {
            self.budgets.retain(|_, budget| Arc::strong_count(budget) > 1 || !budget.rested(idle_secs));
            self.budgets.shrink_to_fit();
        }
        if self.limiters.len() > crowd {
            self.limiters.retain(|_, limiter| {
                let stays = Arc::strong_count(limiter) > 1 || !limiter.is_idle(idle_secs);
                if !stays {
                    // Whoever wakes it waits for this entry.
                    self.sleepers.lay(limiter);
                }
                stays
            });
            self.limiters.shrink_to_fit();
            self.sleepers.sweep();
        }
    }

    /// Returns the connection that writes are run on; it may be waited for only where a thread may block.
    #[must_use]
    pub fn store(&self) -> Arc<Mutex<Box<dyn Store>>> {
        self.writer.clone()
    }

    /// Runs a read on a thread that may block.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(self.reader.clone(), question).await
    }

    /// Runs a write on a thread that may block.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn write<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(self.writer.clone(), order).await
    }
}

async fn run<T: Send + 'static>(
    store: Arc<Mutex<Box<dyn Store>>>,
    question: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let answer = tokio::task::spawn_blocking(move || {
        let mut store = store.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        question(store.as_mut())
    });
    answer.await.map_err(|_| StoreError::Database("a question to the store was broken off".into()))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_store::{LedgerEntry, LogRow, Payment, SettleRecord, SqliteStore, Unit, Window};

    fn book(folder: &tempfile::TempDir) -> AddressBook {
        let open = || Box::new(SqliteStore::open(&folder.path().join("t.db")).unwrap());
        AddressBook::new(open(), open(), Shards::start(1))
    }

    /// As many as come and go of a policy's buckets: what they cost must not grow with how many there were.
    const MANY: usize = 1_000;

    #[actix::test]
    async fn limiters_in_a_crowd_rest_and_forget_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let book = book(&folder);
        let limits = Arc::new(vec![LimitRecord::requests(2, Window::Hour)]);
        for number in 0..MANY {
            let limiter = book.limiter(&format!("rate:p:user:{number}"), &limits);
            limiter.admit(&limits, 1).await.unwrap().unwrap().settle(1);
        }
        book.thin_out_beyond(MANY, 0, true);
        assert_eq!(book.limiters.len(), MANY, "this is no crowd yet");
        let kept = book.limiter("rate:p:user:0", &limits);
        let permit = kept.admit(&limits, 1).await.unwrap().unwrap();
        // Settlements are on their way to their actors for a moment.
        let deadline = Instant::now() + Duration::from_secs(10);
        while book.limiters.len() > 1 {
            assert!(Instant::now() < deadline, "{} stay awake", book.limiters.len());
            tokio::time::sleep(Duration::from_millis(1)).await;
            book.thin_out_beyond(1, 0, true);
        }
        assert!(Arc::ptr_eq(&kept, &book.limiter("rate:p:user:0", &limits)), "one is in use");
        permit.settle(1);
        for number in 1..10 {
            let limiter = book.limiter(&format!("rate:p:user:{number}"), &limits);
            limiter.admit(&limits, 1).await.unwrap().unwrap().settle(1);
            assert!(limiter.admit(&limits, 1).await.unwrap().is_err(), "two are used up");
        }
        let others = Arc::new(vec![LimitRecord::requests(3, Window::Hour)]);
        let changed = book.limiter("rate:p:user:11", &others);
        for _ in 0..3 {
            changed.admit(&others, 1).await.unwrap().unwrap().settle(1);
        }
    }

    #[actix::test]
    async fn budgets_in_a_crowd_rest_and_wake_with_what_is_in_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let book = book(&folder);
        let terms = Arc::new(BudgetRecord { unit: Unit::Requests, ..BudgetRecord::named("p", "p", 2) });
        let mut batch = Vec::new();
        for number in 0..MANY {
            let budget = book.declared_budget(&format!("usage:p:user:{number}"), &terms).await.unwrap();
            budget.reserve(1, 1).await.unwrap().unwrap().settle(1);
            assert_eq!(budget.observe().await.unwrap().spent, 1);
            let payment = Payment {
                budget: budget.id().to_owned(),
                period_start: terms.period_start(clock::unix()),
                amount: 1,
                by: String::new(),
            };
            let row = LogRow { id: number.to_string(), ..LogRow::default() };
            let settle = SettleRecord { budgets: vec![payment], held: false, row: row.into() };
            batch.push(LedgerEntry::Settle(Box::new(settle)));
        }
        book.thin_out_beyond(MANY - 1, 0, false);
        assert_eq!(book.budgets.len(), MANY, "what they spent is not in the store yet");
        book.write(move |store| store.commit(&batch)).await.unwrap();
        book.thin_out_beyond(MANY - 1, 0, true);
        assert_eq!(book.budgets.len(), 0);
        let budget = book.declared_budget("usage:p:user:7", &terms).await.unwrap();
        budget.reserve(1, 1).await.unwrap().unwrap().settle(1);
        assert!(budget.reserve(1, 1).await.unwrap().is_err(), "two are used up");
    }
}
