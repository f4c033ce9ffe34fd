//! Instances between two calls of the same attachment: one tenant's, of one check, with the same parameters.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::instance::Live;
use super::slots::Place;
use crate::Instances;

/// An instance that nobody used for so long is dropped.
const STALE: Duration = Duration::from_secs(60);

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
            idle: Mutex::default(),
        });
        let mut all = lock(&self.all);
        all.retain(|shelf| shelf.strong_count() > 0);
        all.push(Arc::downgrade(&shelf));
        shelf
    }

    /// Returns the right to keep one more instance, clearing old ones away if there is none.
    fn right(&self, now: Instant) -> Option<OwnedSemaphorePermit> {
        let take = || Arc::clone(&self.rights).try_acquire_owned().ok();
        take().or_else(|| {
            let shelves: Vec<Arc<Shelf>> = lock(&self.all).iter().filter_map(Weak::upgrade).collect();
            shelves.iter().for_each(|shelf| shelf.clear_stale(now));
            take()
        })
    }
}

/// Keeps a plugin's instances by owner: none is ever given to another.
pub(crate) struct Shelf {
    calls: u32,
    per_owner: usize,
    shelves: Arc<Shelves>,
    idle: Mutex<ByOwner>,
}

/// Who reuses an instance.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Owner {
    pub(crate) tenant: Arc<str>,
    /// Of the check or condition.
    pub(crate) name: Arc<str>,
    pub(crate) params: Arc<str>,
}

type ByOwner = HashMap<Owner, Vec<Idle>>;

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl Shelf {
    /// Whether an instance of the owner's waits.
    pub(crate) fn has(&self, owner: &Owner) -> bool {
        lock(&self.idle).contains_key(owner)
    }

    /// Takes the owner's instance that was used last.
    pub(crate) fn take(&self, owner: &Owner) -> Option<Idle> {
        let mut shelf = lock(&self.idle);
        let waiting = shelf.get_mut(owner)?;
        let idle = waiting.pop();
        if waiting.is_empty() {
            shelf.remove(owner);
        }
        idle
    }

    /// Puts an instance back after so many calls, if it has some left and there is room.
    pub(crate) fn put(&self, owner: &Owner, live: Live, place: Place, calls: u32, now: Instant) {
        if calls >= self.calls {
            return;
        }
        self.clear_stale(now);
        let mut shelf = lock(&self.idle);
        if shelf.get(owner).is_some_and(|waiting| waiting.len() >= self.per_owner) {
            return;
        }
        let total: usize = shelf.values().map(Vec::len).sum();
        let evicted = if total >= self.shelves.per_plugin { oldest(&mut shelf) } else { None };
        drop(shelf);
        // Not under the lock: giving memory back to the system takes a while.
        drop(evicted);
        if let Some(right) = self.shelves.right(now) {
            let idle = Idle { live, place, calls, since: now, _right: right };
            lock(&self.idle).entry(owner.clone()).or_default().push(idle);
        }
    }

    /// Drops what nobody used for long.
    fn clear_stale(&self, now: Instant) {
        let mut stale = Vec::new();
        let mut shelf = lock(&self.idle);
        for waiting in shelf.values_mut() {
            stale.extend(waiting.extract_if(.., |idle| now.saturating_duration_since(idle.since) > STALE));
        }
        shelf.retain(|_, waiting| !waiting.is_empty());
        drop(shelf);
        drop(stale);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the instance that waited longest: the first of its owner's, since the last is used first.
fn oldest(shelf: &mut ByOwner) -> Option<Idle> {
    let oldest = shelf.iter().min_by_key(|(_, waiting)| waiting.first().map(|idle| idle.since));
    let owner = oldest?.0.clone();
    let waiting = shelf.get_mut(&owner)?;
    let idle = waiting.remove(0);
    if waiting.is_empty() {
        shelf.remove(&owner);
    }
    Some(idle)
}
