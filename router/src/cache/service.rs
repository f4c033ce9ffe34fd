//! The cache as the pipeline knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use serde_json::{Value, json};

use super::counts::{Counts, Status};
use super::digest::{Digest, Key, hex};
use super::entry::{Entry, exact};
use super::flights::{Flights, Joined};
use super::index::Index;
use super::memory::Memory;
use super::shared::Shared;
use crate::clock;
use crate::settings::{CacheSettings, Secret};

/// Vectors from which on a search is left to a thread that may block.
const MANY_VECTORS: usize = 2_000;

/// All kept answers.
pub struct Cache {
    memory: Memory,
    shared: ArcSwapOption<Shared>,
    /// The URL that `shared` was made of.
    url: ArcSwap<Option<Secret>>,
    settings: ArcSwap<CacheSettings>,
    flights: Flights,
    index: Arc<Index>,
    counts: Counts,
    /// Turns with every purge: what was recorded before is not kept after it.
    epoch: AtomicU64,
    recording: Arc<AtomicUsize>,
}

/// Room for a recording; given back when dropped.
pub struct Room {
    taken: usize,
    recording: Arc<AtomicUsize>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.recording.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

impl Cache {
    /// Makes the cache; with `shared`, reaches for a Redis.
    #[must_use]
    pub fn start(settings: &CacheSettings, shared: Option<&Secret>) -> Self {
        let cache = Self {
            memory: Memory::new(settings.memory_bytes()),
            shared: ArcSwapOption::empty(),
            url: ArcSwap::from_pointee(None),
            settings: ArcSwap::from_pointee(settings.clone()),
            flights: Flights::default(),
            index: Arc::new(Index::new(settings.index_bytes())),
            counts: Counts::default(),
            epoch: AtomicU64::new(0),
            recording: Arc::new(AtomicUsize::new(0)),
        };
        cache.apply(settings, shared);
        cache
    }

    /// Puts changed settings in force.
    pub fn apply(&self, settings: &CacheSettings, shared: Option<&Secret>) {
        self.memory.resize(settings.memory_bytes());
        self.index.resize(settings.index_bytes());
        self.settings.store(Arc::new(settings.clone()));
        if self.url.load().as_ref().as_ref() == shared {
            return;
        }
        self.url.store(Arc::new(shared.cloned()));
        let started = shared.map(|url| Shared::start(url.reveal())).transpose();
        let started = started.unwrap_or_else(|error| {
            tracing::error!(error, "the shared cache can't be used");
            None
        });
        self.shared.store(started.map(Arc::new));
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<CacheSettings> {
        self.settings.load_full()
    }

    /// Returns an entry whose time is not over.
    pub async fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        let now_ms = clock::unix_ms();
        let Some(shared) = self.shared.load_full() else { return self.memory.get(key, now_ms) };
        let bytes = shared.get(self.name(key)).await?;
        let entry = Entry::from_bytes(key, bytes)?;
        (entry.until_ms > now_ms).then(|| Arc::new(entry))
    }

    /// Keeps an entry that was begun in an epoch. Returns whether it is kept.
    pub async fn put(&self, key: Key, entry: Entry, epoch: u64) -> bool {
        if epoch != self.epoch() {
            return false;
        }
        if entry.weight() > self.most_bytes() {
            self.too_large();
            return false;
        }
        let ttl_ms = u64::try_from(entry.until_ms - clock::unix_ms()).unwrap_or(0);
        if ttl_ms == 0 {
            return false;
        }
        let kept = match self.shared.load_full() {
            Some(shared) => shared.put(self.name(&key), entry.to_bytes(&key), ttl_ms).await,
            None => {
                let body = exact(&entry.body);
                self.memory.put(key, Arc::new(Entry { body, ..entry }));
                true
            }
        };
        self.counts.kept.fetch_add(u64::from(kept), Ordering::Relaxed);
        kept
    }

    /// Returns the number of purges so far.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Throws away the entries of a tenant, or all. Returns how many.
    pub async fn purge(&self, tenant: Option<[u8; 8]>) -> usize {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.index.purge(tenant);
        let own = self.memory.purge(tenant);
        match self.shared.load_full() {
            Some(shared) => {
                let tenant = tenant.map_or_else(|| "*".to_owned(), |tenant| hex(&tenant));
                own + shared.purge(format!("{}{tenant}:*", self.prefix())).await
            }
            None => own,
        }
    }

    /// Joins the requests that ask the same at this moment.
    #[must_use]
    pub fn join(&self, digest: Digest) -> Joined {
        self.flights.join(digest)
    }

    /// Returns the largest answer that is kept.
    #[must_use]
    pub fn most_bytes(&self) -> usize {
        self.settings.load().entry_bytes().min(self.memory.most())
    }

    /// Counts an answer that was too large.
    pub fn too_large(&self) {
        self.counts.too_large.fetch_add(1, Ordering::Relaxed);
    }

    /// Begins a recording.
    #[must_use]
    pub fn room(&self) -> Room {
        Room { taken: 0, recording: self.recording.clone() }
    }

    /// Makes room for more of a recording: all recordings together may take as much again as half of the entries.
    /// Returns whether there is some.
    #[must_use]
    pub fn extend(&self, room: &mut Room, bytes: usize) -> bool {
        let most = self.settings.load().memory_bytes() / 2;
        if self.recording.fetch_add(bytes, Ordering::Relaxed) + bytes > most {
            self.recording.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        room.taken += bytes;
        true
    }

    /// Returns entries of texts that are at least so alike, the nearest first.
    pub async fn nearest(&self, partition: Digest, vector: Arc<[f32]>, threshold: f32) -> Vec<(Key, f32)> {
        if self.index.size_of(&partition) < MANY_VECTORS {
            return self.index.nearest(&partition, &vector, threshold);
        }
        let index = self.index.clone();
        let search = tokio::task::spawn_blocking(move || index.nearest(&partition, &vector, threshold));
        search.await.unwrap_or_default()
    }

    /// Keeps the vector of an entry's text.
    pub fn place(&self, partition: Digest, key: Key, vector: &[f32]) {
        self.index.put(partition, key, vector);
    }

    /// Forgets the vector of an entry that is gone.
    pub fn displace(&self, partition: &Digest, key: &Key) {
        self.index.remove(partition, &key.digest);
    }

    /// Counts what a request found, and what that saved.
    pub fn count(&self, status: Status, saved_nano_usd: i64) {
        self.counts.count(status, saved_nano_usd);
    }

    /// Returns what there is and how often it was used.
    #[must_use]
    pub fn view(&self) -> Value {
        let (entries, bytes, bound) = self.memory.sizes();
        let (vectors, vector_bytes, vector_bound) = self.index.sizes();
        let mut view = self.counts.view();
        view["entries"] = entries.into();
        view["bytes"] = bytes.into();
        view["bound_bytes"] = bound.into();
        view["recording_bytes"] = self.recording.load(Ordering::Relaxed).into();
        view["vectors"] = json!({ "entries": vectors, "bytes": vector_bytes, "bound_bytes": vector_bound });
        view["shared"] = match self.shared.load().as_ref() {
            Some(shared) => {
                let (up, failures) = shared.view();
                json!({ "up": up, "failures": failures })
            }
            None => Value::Null,
        };
        view
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{}", self.prefix(), key.name())
    }

    fn prefix(&self) -> String {
        format!("{}:cache:", self.settings.load().prefix)
    }
}
