//! A bounded map that forgets what was not used for the longest, roughly: when the young half is full it becomes the
//! old one, and what is used again comes back.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use dashmap::DashMap;

type Half<T> = ArcSwap<DashMap<u64, Arc<T>>>;

pub(super) struct Shelf<T> {
    most: usize,
    young: Half<T>,
    old: Half<T>,
    turning: Mutex<()>,
}

impl<T> Shelf<T> {
    /// Makes a shelf for `most` things.
    pub(super) fn new(most: usize) -> Self {
        Self { most, young: ArcSwap::default(), old: ArcSwap::default(), turning: Mutex::new(()) }
    }

    /// Returns what is kept under a number.
    pub(super) fn find(&self, number: u64) -> Option<Arc<T>> {
        if let Some(known) = self.young.load().get(&number) {
            return Some(known.clone());
        }
        // It stays in the old half as well, so that nobody misses it on its way.
        let known = self.old.load().get(&number)?.clone();
        Some(self.put(number, known))
    }

    /// Keeps a thing under a number, or returns the one that is there.
    pub(super) fn put(&self, number: u64, thing: Arc<T>) -> Arc<T> {
        if self.young.load().len() >= self.most / 2 {
            let _one_at_a_time = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
            if self.young.load().len() >= self.most / 2 {
                self.old.store(self.young.swap(Arc::default()));
            }
        }
        self.young.load().entry(number).or_insert(thing).clone()
    }

    /// Looks at everything.
    pub(super) fn each(&self, mut visit: impl FnMut(&T)) {
        for half in [self.young.load(), self.old.load()] {
            half.iter().for_each(|entry| visit(entry.value()));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.load().len() + self.old.load().len()
    }
}
