//! Instances between two calls of the same tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
}

impl Idle {
    pub(crate) fn new(live: Live, place: Place, calls: u32, now: Instant) -> Self {
        Self { live, place, calls, since: now }
    }
}

/// Keeps instances by tenant: none is ever given to another.
pub(crate) struct Shelf {
    calls: u32,
    per_tenant: usize,
    most: usize,
    idle: Mutex<HashMap<Arc<str>, Vec<Idle>>>,
}

impl Shelf {
    /// Makes a shelf for so many instances altogether; `None` if instances are not reused.
    pub(crate) fn new(instances: Instances, most: usize) -> Option<Self> {
        match instances {
            Instances::Fresh | Instances::Reuse { calls: 0 | 1, .. } | Instances::Reuse { idle: 0, .. } => {
                None
            }
            Instances::Reuse { calls, idle } => Some(Self {
                calls,
                per_tenant: usize::try_from(idle).unwrap_or(usize::MAX),
                most: most.max(1),
                idle: Mutex::default(),
            }),
        }
    }

    /// Whether an instance of the tenant waits.
    pub(crate) fn has(&self, tenant: &str) -> bool {
        self.lock().contains_key(tenant)
    }

    /// Takes the tenant's instance that was used last.
    pub(crate) fn take(&self, tenant: &str) -> Option<Idle> {
        let mut shelf = self.lock();
        let waiting = shelf.get_mut(tenant)?;
        let idle = waiting.pop();
        if waiting.is_empty() {
            shelf.remove(tenant);
        }
        idle
    }

    /// Puts an instance back, if it has calls left and there is room.
    pub(crate) fn put(&self, tenant: &Arc<str>, idle: Idle) {
        if idle.calls >= self.calls {
            return;
        }
        let now = idle.since;
        let mut shelf = self.lock();
        // Dropped after the lock: that gives memory back to the system.
        let mut dropped = Vec::new();
        for waiting in shelf.values_mut() {
            dropped.extend(waiting.extract_if(.., |idle| now.saturating_duration_since(idle.since) > STALE));
        }
        shelf.retain(|_, waiting| !waiting.is_empty());
        let total: usize = shelf.values().map(Vec::len).sum();
        if total >= self.most {
            dropped.extend(oldest(&mut shelf));
        }
        let waiting = shelf.entry(Arc::clone(tenant)).or_default();
        if waiting.len() < self.per_tenant {
            waiting.push(idle);
        } else {
            dropped.push(idle);
        }
        drop(shelf);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the instance that waited longest: the first of its tenant's, since the last is used first.
fn oldest(shelf: &mut HashMap<Arc<str>, Vec<Idle>>) -> Option<Idle> {
    let oldest = shelf.iter().min_by_key(|(_, waiting)| waiting.first().map(|idle| idle.since));
    let tenant = Arc::clone(oldest?.0);
    let waiting = shelf.get_mut(&tenant)?;
    let idle = waiting.remove(0);
    if waiting.is_empty() {
        shelf.remove(&tenant);
    }
    Some(idle)
}
