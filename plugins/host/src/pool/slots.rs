//! How many calls may run: of one plugin, and of all.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A place in the pool of instances. Lives as long as the instance that takes it.
pub(crate) type Place = OwnedSemaphorePermit;

/// The right to run one call. Dropped after the instance it is for.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) place: Place,
    _lane: OwnedSemaphorePermit,
}

/// Gives out slots.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    lane: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Slots {
    /// Makes the slots of a plugin that runs so many calls at once, out of a pool of so many places. One plugin never
    /// gets the last quarter: it must not starve the others.
    pub(crate) fn new(places: &Arc<Semaphore>, pool: usize, concurrency: usize) -> Self {
        let most = (pool - pool / 4).max(1);
        Self { lane: Arc::new(Semaphore::new(concurrency.clamp(1, most))), places: Arc::clone(places) }
    }

    /// Returns a slot if one is free.
    pub(crate) fn try_take(&self) -> Option<Slot> {
        let lane = Arc::clone(&self.lane).try_acquire_owned().ok()?;
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Slot { place, _lane: lane })
    }

    /// Waits for a slot, in the order of asking.
    pub(crate) async fn take(&self) -> Option<Slot> {
        let lane = Arc::clone(&self.lane).acquire_owned().await.ok()?;
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(Slot { place, _lane: lane })
    }
}
