//! Instances between two calls of the same attachment: one tenant's, of one check, with the same parameters.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::instance::Live;
use super::slots::Place;
use crate::Instances;

/// An instance that nobody used for so long is dropped.
const STALE: Duration = Duration::from_secs(60);
/// Shelves are looked through for such not more often than this: a look costs with what is there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An instance on the shelf. The place is given back after the instance is gone.
pub(crate) struct Idle {
    pub(crate) live: Live,
    pub(crate) place: Place,
    pub(crate) calls: u32,
    since: Instant,
    _right: OwnedSemaphorePermit,
}

/// The shelves of all plugins. Together they keep at most half of the pool's places: the other half is always there
/// for calls.
#[derive(Debug)]
pub(crate) struct Shelves {
    rights: Arc<Semaphore>,
    per_plugin: usize,
    all: Mutex<Vec<Weak<Shelf>>>,
}

impl Shelves {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            rights: Arc::new(Semaphore::new(places / 2)),
            per_plugin: (places / 4).max(1),
            all: Mutex::default(),
        })
    }

    /// Makes a plugin's shelf. It stays empty while nobody reuses instances.
    pub(crate) fn add(self: &Arc<Self>, instances: Instances) -> Arc<Shelf> {
        let (calls, idle) = match instances {
            Instances::Reuse { calls, idle } => (calls, idle),
            Instances::Fresh => (Instances::CALLS, Instances::IDLE),
        };
        let shelf = Arc::new(Shelf {
            calls,
            per_owner: usize::try_from(idle).unwrap_or(usize::MAX),
            shelves: Arc::clone(self),
            idle: Mutex::new(Waiting { by_owner: HashMap::new(), count: 0, looked: Instant::now() }),
        });
        let mut all = lock(&self.all);
        all.retain(|shelf| shelf.strong_count() > 0);
        all.push(Arc::downgrade(&shelf));
        shelf
    }

    /// Returns the right to keep one more instance, clearing old ones away if there is none.
    fn right(&self, now: Instant) -> Option<OwnedSemaphorePermit> {
        self.free_right().or_else(|| {
            let shelves: Vec<Arc<Shelf>> = lock(&self.all).iter().filter_map(Weak::upgrade).collect();
            shelves.iter().for_each(|shelf| drop(lock(&shelf.idle).stale(now)));
            self.free_right()
        })
    }

    fn free_right(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.rights).try_acquire_owned().ok()
    }
}

/// Keeps a plugin's instances by owner: none is ever given to another.
pub(crate) struct Shelf {
    calls: u32,
    per_owner: usize,
    shelves: Arc<Shelves>,
    idle: Mutex<Waiting>,
}

/// The instances. An owner whose instances are all at work has an empty place until somebody looks for stale ones.
struct Waiting {
    by_owner: HashMap<Owner, Vec<Idle>>,
    count: usize,
    /// When stale ones were last looked for.
    looked: Instant,
}

/// Who reuses an instance.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Owner {
    pub(crate) tenant: Arc<str>,
    /// Of the check or condition.
    pub(crate) name: Arc<str>,
    pub(crate) params: Arc<str>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl Shelf {
    /// Whether an instance of the owner's waits.
    pub(crate) fn has(&self, owner: &Owner) -> bool {
        lock(&self.idle).by_owner.get(owner).is_some_and(|own| !own.is_empty())
    }

    /// Takes the owner's instance that was used last.
    pub(crate) fn take(&self, owner: &Owner) -> Option<Idle> {
        let mut waiting = lock(&self.idle);
        let idle = waiting.by_owner.get_mut(owner)?.pop()?;
        waiting.count -= 1;
        Some(idle)
    }

    /// Puts an instance back after so many calls, if it has some left and there is room.
    pub(crate) fn put(&self, owner: &Owner, live: Live, place: Place, calls: u32, now: Instant) {
        if calls >= self.calls {
            return;
        }
        let mut waiting = lock(&self.idle);
        if waiting.by_owner.get(owner).is_some_and(|own| own.len() >= self.per_owner) {
            return;
        }
        let is_time = now.saturating_duration_since(waiting.looked) >= LOOK_EVERY;
        let stale = if is_time { waiting.stale(now) } else { Vec::new() };
        let is_full = waiting.count >= self.shelves.per_plugin;
        let evicted = if is_full { waiting.take_oldest() } else { None };
        let is_calm = stale.is_empty() && evicted.is_none();
        let idle = |right| Idle { live, place, calls, since: now, _right: right };
        if is_calm && let Some(right) = self.shelves.free_right() {
            waiting.put(owner, idle(right));
            return;
        }
        drop(waiting);
        // Not under the lock: giving memory back to the system takes a while.
        drop((stale, evicted));
        if let Some(right) = self.shelves.right(now) {
            lock(&self.idle).put(owner, idle(right));
        }
    }
}

impl Waiting {
    fn put(&mut self, owner: &Owner, idle: Idle) {
        self.count += 1;
        match self.by_owner.get_mut(owner) {
            Some(own) => own.push(idle),
            None => drop(self.by_owner.insert(owner.clone(), vec![idle])),
        }
    }

    /// Takes out what nobody used for long.
    fn stale(&mut self, now: Instant) -> Vec<Idle> {
        let is_stale = |idle: &mut Idle| now.saturating_duration_since(idle.since) > STALE;
        let stale: Vec<Idle> =
            self.by_owner.values_mut().flat_map(|own| own.extract_if(.., is_stale)).collect();
        self.by_owner.retain(|_, own| !own.is_empty());
        self.count -= stale.len();
        self.looked = now;
        stale
    }

    /// Takes the instance that waited longest: the first of its owner's, since the last is used first.
    fn take_oldest(&mut self) -> Option<Idle> {
        let first = |own: &&mut Vec<Idle>| own.first().map(|idle| idle.since);
        let oldest = self.by_owner.values_mut().filter(|own| !own.is_empty()).min_by_key(first)?;
        self.count -= 1;
        Some(oldest.remove(0))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
