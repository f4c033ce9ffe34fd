//! Entries in memory, bounded by their bytes. The policy is S3-FIFO's: what is asked for again stays, and a flood of
//! things that are asked for once goes by.

use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::digest::Key;
use super::entry::Entry;

/// Parts with a lock each. An entry must fit into the bound of its part.
const SHARDS: usize = 4;
/// What answers are taken to weigh when the map is first made; it grows where they are smaller.
const USUAL_WEIGHT: usize = 4 << 10;

#[derive(Clone)]
struct Weights;

impl Weighter<Key, Arc<Entry>> for Weights {
    fn weight(&self, _key: &Key, entry: &Arc<Entry>) -> u64 {
        entry.weight() as u64
    }
}

/// The entries of this process.
pub(super) struct Memory(Cache<Key, Arc<Entry>, Weights>);

impl Memory {
    /// Makes room for `bytes`.
    pub(super) fn new(bytes: usize) -> Self {
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity((bytes / USUAL_WEIGHT).max(64))
            .weight_capacity(bytes as u64)
            .build();
        let cache = match options {
            Ok(options) => Cache::with_options(
                options,
                Weights,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            // Only an incomplete set of options is refused.
            Err(_) => Cache::with_weighter((bytes / USUAL_WEIGHT).max(64), bytes as u64, Weights),
        };
        Self(cache)
    }

    /// Returns an entry whose time is not over.
    pub(super) fn get(&self, key: &Key, now_ms: i64) -> Option<Arc<Entry>> {
        let entry = self.0.get(key)?;
        if entry.until_ms > now_ms {
            return Some(entry);
        }
        self.0.remove_if(key, |entry| entry.until_ms <= now_ms);
        None
    }

    /// Keeps an entry. What does not fit is not kept.
    pub(super) fn put(&self, key: Key, entry: Arc<Entry>) {
        self.0.insert(key, entry);
    }

    /// Throws away the entries of a tenant, or all.
    pub(super) fn purge(&self, tenant: Option<[u8; 8]>) -> usize {
        let before = self.0.len();
        match tenant {
            Some(tenant) => self.0.retain(|key, _| key.tenant != tenant),
            None => self.0.clear(),
        }
        before.saturating_sub(self.0.len())
    }

    /// Changes the bound; what is too much is thrown away at once.
    pub(super) fn resize(&self, bytes: usize) {
        if self.0.capacity() != bytes as u64 {
            self.0.set_capacity(bytes as u64);
        }
    }

    /// Returns how many entries there are, what they weigh, and the bound.
    pub(super) fn sizes(&self) -> (usize, u64, u64) {
        (self.0.len(), self.0.weight(), self.0.capacity())
    }

    /// Returns the largest entry that fits.
    pub(super) fn most(&self) -> usize {
        // Nine tenths: the policy keeps some of a part's room for what is asked for again.
        usize::try_from(self.0.shard_capacity() * 9 / 10).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Key {
        let mut digester = super::super::digest::Digester::new("test");
        digester.part("number", &number.to_le_bytes());
        Key { tenant: [u8::from(number % 2 == 1); 8], digest: digester.finish() }
    }

    fn entry(bytes: usize, until_ms: i64) -> Arc<Entry> {
        Arc::new(Entry {
            made_ms: 0,
            until_ms,
            cost_nano_usd: None,
            content_type: "application/json".into(),
            guarded: "".into(),
            pieces: None,
            body: super::super::entry::exact(&vec![b'x'; bytes]),
        })
    }

    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) * 1024
    }

    #[test]
    fn a_million_distinct_keys_keep_memory_at_its_bound() {
        const BOUND: usize = 64 << 20;
        let before = resident();
        let memory = Memory::new(BOUND);
        let mut highest = 0;
        for number in 0..1_000_000_u64 {
            // Answers of 200 bytes to 8 KB, most of them small, as chats are.
            let bytes =
                200 + (number.wrapping_mul(2_654_435_761) % 8_000) as usize / (1 + number as usize % 4);
            memory.put(key(number), entry(bytes, i64::MAX));
            if number % 10_000 == 0 {
                let (entries, weight, bound) = memory.sizes();
                assert!(weight <= bound && bound <= BOUND as u64, "{weight} of {bound} with {entries}");
                highest = highest.max(resident().saturating_sub(before));
            }
        }
        let (entries, weight, _) = memory.sizes();
        eprintln!("{entries} entries weigh {weight} bytes; resident memory grew by {highest} bytes at most");
        assert!(entries > 5_000, "{entries}");
        // What malloc keeps between allocations of many sizes is not the cache's to bound.
        assert!(highest < BOUND * 3 / 2, "{highest}");
    }

    #[test]
    fn small_entries_are_weighed_with_what_they_cost_besides_their_bytes() {
        const BOUND: usize = 16 << 20;
        let before = resident();
        let memory = Memory::new(BOUND);
        for number in 0..1_000_000_u64 {
            memory.put(key(number), entry(1, i64::MAX));
        }
        let grew = resident().saturating_sub(before);
        eprintln!("{:?}; resident memory grew by {grew} bytes", memory.sizes());
        assert!(memory.sizes().1 <= BOUND as u64);
        assert!(grew < BOUND * 3 / 2, "{grew}");
    }

    #[test]
    fn what_is_asked_for_again_survives_a_flood() {
        let memory = Memory::new(4 << 20);
        for number in 0..100 {
            memory.put(key(number), entry(1_000, i64::MAX));
        }
        for number in 100..50_000 {
            memory.put(key(number), entry(1_000, i64::MAX));
            memory.get(&key(number % 100), 0);
        }
        let left = (0..100).filter(|number| memory.get(&key(*number), 0).is_some()).count();
        assert!(left >= 95, "{left}");
    }

    #[test]
    fn entries_end_with_their_time() {
        let memory = Memory::new(1 << 20);
        memory.put(key(1), entry(10, 1_000));
        assert!(memory.get(&key(1), 999).is_some());
        assert!(memory.get(&key(1), 1_000).is_none());
        assert_eq!(memory.sizes().0, 0, "what is over is not kept until it is evicted");
    }

    #[test]
    fn tenants_are_purged_alone_and_the_bound_can_change() {
        let memory = Memory::new(1 << 20);
        for number in 0..100 {
            memory.put(key(number), entry(100, i64::MAX));
        }
        assert_eq!(memory.purge(Some([1; 8])), 50);
        assert_eq!(memory.purge(None), 50);
        for number in 0..1_000 {
            memory.put(key(number), entry(500, i64::MAX));
        }
        memory.resize(64 << 10);
        let (_, weight, bound) = memory.sizes();
        assert!(weight <= bound && bound <= 64 << 10, "{weight} of {bound}");
    }
}
