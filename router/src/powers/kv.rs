//! The store lent to plugins: in memory, separate for each plugin and tenant, bounded, forgotten at the end.
//!
//! Room is taken from the one that needs it: a space that is full loses its own oldest entries, and only when all
//! spaces together are too large do the oldest of all go.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Bytes of a key and of a value.
const LONGEST_KEY: usize = 512;
const LONGEST_VALUE: usize = 256 << 10;
/// Bytes of one plugin for one tenant, and of all.
const SPACE_BYTES: usize = 8 << 20;
const ALL_BYTES: usize = 64 << 20;
/// What an entry costs besides its key and value, about.
const ENTRY_BYTES: usize = 200;

/// Whose entries: plugin and tenant.
type Owner = (String, String);

struct Entry {
    value: Vec<u8>,
    /// Time of the clock that is passed in.
    ends: Option<Duration>,
    written: u64,
}

#[derive(Default)]
struct Space {
    entries: HashMap<String, Entry>,
    /// Keys in the order they were written.
    order: BTreeMap<u64, String>,
    bytes: usize,
}

#[derive(Default)]
struct Spaces {
    spaces: HashMap<Owner, Space>,
    /// Whose entry was written when.
    order: BTreeMap<u64, Owner>,
    bytes: usize,
    writes: u64,
}

/// The store.
#[derive(Default)]
pub(crate) struct Kv(Mutex<Spaces>);

fn cost(key: &str, value: &[u8]) -> usize {
    // The key is kept twice.
    2 * key.len() + value.len() + ENTRY_BYTES
}

impl Spaces {
    fn remove(&mut self, owner: &Owner, key: &str) {
        let Some(space) = self.spaces.get_mut(owner) else { return };
        let Some(entry) = space.entries.remove(key) else { return };
        let cost = cost(key, &entry.value);
        space.order.remove(&entry.written);
        space.bytes -= cost;
        self.bytes -= cost;
        self.order.remove(&entry.written);
        if space.entries.is_empty() {
            self.spaces.remove(owner);
        }
    }

    fn insert(&mut self, owner: &Owner, key: &str, value: Vec<u8>, ends: Option<Duration>) {
        self.writes += 1;
        let (written, cost) = (self.writes, cost(key, &value));
        let space = self.spaces.entry(owner.clone()).or_default();
        space.entries.insert(key.to_owned(), Entry { value, ends, written });
        space.order.insert(written, key.to_owned());
        space.bytes += cost;
        self.bytes += cost;
        self.order.insert(written, owner.clone());
    }

    fn make_room(&mut self, owner: &Owner) {
        while let Some(space) = self.spaces.get(owner).filter(|space| space.bytes > SPACE_BYTES) {
            let Some(key) = space.order.values().next().cloned() else { return };
            self.remove(owner, &key);
        }
        while self.bytes > ALL_BYTES {
            let Some((written, owner)) = self.order.iter().next().map(|(at, owner)| (*at, owner.clone()))
            else {
                return;
            };
            let key = self.spaces.get(&owner).and_then(|space| space.order.get(&written)).cloned();
            match key {
                Some(key) => self.remove(&owner, &key),
                None => {
                    self.order.remove(&written);
                }
            }
        }
    }
}

impl Kv {
    fn spaces(&self) -> std::sync::MutexGuard<'_, Spaces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a key.
    pub(crate) fn get(&self, plugin: &str, tenant: &str, key: &str, now: Duration) -> Option<Vec<u8>> {
        let owner = (plugin.to_owned(), tenant.to_owned());
        let mut spaces = self.spaces();
        let entry = spaces.spaces.get(&owner)?.entries.get(key)?;
        if entry.ends.is_some_and(|ends| ends <= now) {
            spaces.remove(&owner, key);
            return None;
        }
        Some(entry.value.clone())
    }

    /// Writes a key; it lives for `ttl`, if one is given.
    ///
    /// # Errors
    /// A sentence for the plugin, when key or value are too large.
    pub(crate) fn set(
        &self,
        plugin: &str,
        tenant: &str,
        key: &str,
        value: Vec<u8>,
        ttl: Option<Duration>,
        now: Duration,
    ) -> Result<(), String> {
        if key.len() > LONGEST_KEY {
            return Err(format!("a key may have {LONGEST_KEY} bytes, this one has {}", key.len()));
        }
        if value.len() > LONGEST_VALUE {
            return Err(format!("a value may have {LONGEST_VALUE} bytes, this one has {}", value.len()));
        }
        let owner = (plugin.to_owned(), tenant.to_owned());
        let mut spaces = self.spaces();
        spaces.remove(&owner, key);
        spaces.insert(&owner, key, value, ttl.map(|ttl| now.saturating_add(ttl)));
        spaces.make_room(&owner);
        Ok(())
    }

    /// Deletes a key.
    pub(crate) fn delete(&self, plugin: &str, tenant: &str, key: &str) {
        self.spaces().remove(&(plugin.to_owned(), tenant.to_owned()), key);
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let spaces = self.spaces();
        assert_eq!(spaces.bytes, spaces.spaces.values().map(|space| space.bytes).sum::<usize>());
        assert_eq!(
            spaces.order.len(),
            spaces.spaces.values().map(|space| space.entries.len()).sum::<usize>()
        );
        spaces.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn plugins_and_tenants_do_not_see_each_other() {
        let kv = Kv::default();
        kv.set("p", "a", "k", b"1".to_vec(), None, NOW).unwrap();
        assert_eq!(kv.get("p", "a", "k", NOW), Some(b"1".to_vec()));
        assert_eq!(kv.get("p", "b", "k", NOW), None);
        assert_eq!(kv.get("q", "a", "k", NOW), None);
        kv.delete("p", "b", "k");
        assert_eq!(kv.get("p", "a", "k", NOW), Some(b"1".to_vec()));
        kv.delete("p", "a", "k");
        assert_eq!((kv.get("p", "a", "k", NOW), kv.bytes()), (None, 0));
    }

    #[test]
    fn an_entry_ends_with_its_time() {
        let kv = Kv::default();
        let second = Duration::from_secs(1);
        kv.set("p", "a", "k", b"1".to_vec(), Some(second), NOW).unwrap();
        assert!(kv.get("p", "a", "k", NOW + second / 2).is_some());
        assert!(kv.get("p", "a", "k", NOW + second).is_none());
        assert_eq!(kv.bytes(), 0);
    }

    #[test]
    fn a_full_space_loses_its_own_oldest_and_nobody_elses() {
        let kv = Kv::default();
        kv.set("p", "b", "k", b"1".to_vec(), None, NOW).unwrap();
        let value = vec![0; LONGEST_VALUE];
        for number in 0..40 {
            kv.set("p", "a", &format!("{number:02}"), value.clone(), None, NOW).unwrap();
        }
        assert!(kv.bytes() < SPACE_BYTES + 1_000);
        assert_eq!(kv.get("p", "a", "00", NOW), None);
        assert!(kv.get("p", "a", "39", NOW).is_some());
        assert!(kv.get("p", "b", "k", NOW).is_some());
    }

    #[test]
    fn all_spaces_together_are_bounded() {
        let kv = Kv::default();
        for tenant in 0..12 {
            for number in 0..31 {
                let value = vec![0; LONGEST_VALUE];
                kv.set("p", &tenant.to_string(), &number.to_string(), value, None, NOW).unwrap();
            }
        }
        assert!(kv.bytes() <= ALL_BYTES, "{}", kv.bytes());
        assert_eq!(kv.get("p", "0", "0", NOW), None);
        assert!(kv.get("p", "11", "30", NOW).is_some());
    }

    #[test]
    fn what_is_too_large_is_refused_and_overwriting_costs_once() {
        let kv = Kv::default();
        assert!(kv.set("p", "a", "k", vec![0; LONGEST_VALUE + 1], None, NOW).is_err());
        assert!(kv.set("p", "a", &"k".repeat(LONGEST_KEY + 1), Vec::new(), None, NOW).is_err());
        for _ in 0..3 {
            kv.set("p", "a", "k", vec![0; 10], None, NOW).unwrap();
        }
        assert_eq!(kv.bytes(), cost("k", &[0; 10]));
    }
}
