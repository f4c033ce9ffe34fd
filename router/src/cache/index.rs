//! Vectors of texts, by partition. Within a partition everything but one text is equal; likeness decides about that.
//!
//! A vector is kept as one byte a number beside its signature. A search looks at all signatures of one partition (32
//! bytes each) and compares in full only those that may be near. Memory is bounded by bytes; what was not found since
//! its last turn goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use dashmap::DashMap;

use super::digest::{Digest, Key};
use super::projection::{Signature, allowed, distance, signature};

/// What a vector takes besides its numbers: signature, scale, key, its place in the map and in the queue.
const OVERHEAD: usize = 256;
/// Longest vector.
const MOST_DIMENSIONS: usize = 8_192;
/// Neighbours that a search returns at most.
const NEIGHBOURS: usize = 4;

/// Vectors of one partition, in columns.
#[derive(Default)]
struct Partition {
    dimensions: usize,
    signatures: Vec<Signature>,
    numbers: Vec<i8>,
    /// One over the length of the vector of bytes.
    scales: Vec<f32>,
    keys: Vec<Key>,
    /// Whether it was found since its last turn in the queue.
    found: Vec<bool>,
    places: HashMap<Digest, usize>,
}

/// All vectors.
pub(super) struct Index {
    partitions: DashMap<Digest, Arc<RwLock<Partition>>>,
    /// Whose turn it is to go: partition and entry, oldest first.
    queue: Mutex<VecDeque<(Digest, Digest)>>,
    bytes: AtomicUsize,
    count: AtomicUsize,
    most: AtomicUsize,
}

impl Index {
    pub(super) fn new(most: usize) -> Self {
        Self {
            partitions: DashMap::new(),
            queue: Mutex::new(VecDeque::new()),
            bytes: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
        }
    }

    /// Returns the entries whose text is at least so alike, the nearest first.
    pub(super) fn nearest(&self, partition: &Digest, vector: &[f32], threshold: f32) -> Vec<(Key, f32)> {
        let Some(partition) = self.partition(partition) else { return Vec::new() };
        let length = norm(vector.iter().copied());
        if length == 0.0 {
            return Vec::new();
        }
        let (wanted, most) = (signature(vector), allowed(threshold));
        let mut best: Vec<(usize, f32)> = Vec::new();
        {
            let held = partition.read().unwrap_or_else(PoisonError::into_inner);
            if held.dimensions != vector.len() {
                return Vec::new();
            }
            for (at, signature) in held.signatures.iter().enumerate() {
                if distance(signature, &wanted) > most {
                    continue;
                }
                let likeness = held.dot(at, vector) / length;
                if likeness >= threshold {
                    best.push((at, likeness));
                }
            }
        }
        best.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        best.truncate(NEIGHBOURS);
        let mut held = partition.write().unwrap_or_else(PoisonError::into_inner);
        let key = |(at, likeness): (usize, f32)| {
            // Between the two locks it may have moved.
            let key = *held.keys.get(at)?;
            if let Some(found) = held.found.get_mut(at) {
                *found = true;
            }
            Some((key, likeness))
        };
        best.into_iter().filter_map(key).collect()
    }

    /// Keeps the vector of an entry.
    pub(super) fn put(&self, partition: Digest, key: Key, vector: &[f32]) {
        let weight = weight(vector.len());
        let length = norm(vector.iter().copied());
        if vector.is_empty() || vector.len() > MOST_DIMENSIONS || length == 0.0 || !length.is_finite() {
            return;
        }
        let added = {
            let held = self.partitions.entry(partition).or_default().clone();
            let mut held = held.write().unwrap_or_else(PoisonError::into_inner);
            held.add(key, vector)
        };
        if !added {
            return;
        }
        self.bytes.fetch_add(weight, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.queue().push_back((partition, key.digest));
        self.shrink();
    }

    /// Forgets an entry.
    pub(super) fn remove(&self, partition: &Digest, digest: &Digest) {
        let Some(found) = self.partition(partition) else { return };
        let (removed, empty) = {
            let mut held = found.write().unwrap_or_else(PoisonError::into_inner);
            let removed = held.remove(digest).then_some(held.dimensions);
            (removed, held.keys.is_empty())
        };
        if let Some(dimensions) = removed {
            self.bytes.fetch_sub(weight(dimensions), Ordering::Relaxed);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        if empty {
            let unused = |_: &Digest, held: &Arc<RwLock<Partition>>| {
                held.read().unwrap_or_else(PoisonError::into_inner).keys.is_empty()
            };
            self.partitions.remove_if(partition, unused);
        }
    }

    /// Forgets the entries of a tenant, or all.
    pub(super) fn purge(&self, tenant: Option<[u8; 8]>) {
        let of_tenant = |held: &Partition| {
            let of = held.keys.iter().filter(|key| tenant.is_none_or(|tenant| key.tenant == tenant));
            of.map(|key| key.digest).collect::<Vec<_>>()
        };
        let all: Vec<(Digest, Vec<Digest>)> = self
            .partitions
            .iter()
            .map(|held| (*held.key(), of_tenant(&held.read().unwrap_or_else(PoisonError::into_inner))))
            .collect();
        for (partition, digests) in all {
            for digest in digests {
                self.remove(&partition, &digest);
            }
        }
        self.shrink();
    }

    /// Changes the bound.
    pub(super) fn resize(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
        self.shrink();
    }

    /// Returns how many vectors there are and what they take.
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        (self.count.load(Ordering::Relaxed), bytes, self.most.load(Ordering::Relaxed))
    }

    /// Returns how many vectors a search of a partition has to look at.
    pub(super) fn size_of(&self, partition: &Digest) -> usize {
        self.partition(partition)
            .map_or(0, |held| held.read().unwrap_or_else(PoisonError::into_inner).keys.len())
    }

    /// Lets vectors go until the rest fits. What was found since its last turn gets another one.
    fn shrink(&self) {
        loop {
            let turn = {
                let mut queue = self.queue();
                let over = self.bytes.load(Ordering::Relaxed) > self.most.load(Ordering::Relaxed);
                // Entries that went otherwise leave their turns behind.
                let stale = queue.len() > 2 * self.count.load(Ordering::Relaxed) + 64;
                if !over && !stale {
                    return;
                }
                queue.pop_front().map(|turn| (turn, over))
            };
            let Some(((partition, digest), over)) = turn else { return };
            let again = self.partition(&partition).is_some_and(|held| {
                let mut held = held.write().unwrap_or_else(PoisonError::into_inner);
                match held.places.get(&digest).copied() {
                    Some(at) => held.found.get_mut(at).is_some_and(std::mem::take) || !over,
                    None => false,
                }
            });
            if again {
                self.queue().push_back((partition, digest));
            } else {
                self.remove(&partition, &digest);
            }
        }
    }

    fn partition(&self, digest: &Digest) -> Option<Arc<RwLock<Partition>>> {
        self.partitions.get(digest).map(|held| held.clone())
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<(Digest, Digest)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partition {
    /// Adds a vector, or puts it in the place of the entry's older one. Returns whether there is one more.
    fn add(&mut self, key: Key, vector: &[f32]) -> bool {
        if self.keys.is_empty() {
            self.dimensions = vector.len();
        }
        if self.dimensions != vector.len() || self.places.contains_key(&key.digest) {
            return false;
        }
        let largest = vector.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        #[expect(clippy::cast_possible_truncation, reason = "-127 to 127")]
        let numbers = vector.iter().map(|number| (number * 127.0 / largest).round() as i8);
        self.numbers.extend(numbers);
        let own = &self.numbers[self.numbers.len() - vector.len()..];
        self.scales.push(1.0 / norm(own.iter().map(|number| f32::from(*number))));
        self.signatures.push(signature(vector));
        self.places.insert(key.digest, self.keys.len());
        self.keys.push(key);
        self.found.push(false);
        true
    }

    fn remove(&mut self, digest: &Digest) -> bool {
        let Some(at) = self.places.remove(digest) else { return false };
        let last = self.keys.len() - 1;
        self.signatures.swap_remove(at);
        self.scales.swap_remove(at);
        self.keys.swap_remove(at);
        self.found.swap_remove(at);
        self.numbers.copy_within(last * self.dimensions.., at * self.dimensions);
        self.numbers.truncate(last * self.dimensions);
        if at < last
            && let Some(moved) = self.keys.get(at)
        {
            self.places.insert(moved.digest, at);
        }
        if self.numbers.capacity() > 4 * self.numbers.len() + 65_536 {
            self.numbers.shrink_to(2 * self.numbers.len());
        }
        true
    }

    fn dot(&self, at: usize, vector: &[f32]) -> f32 {
        let own = &self.numbers[at * self.dimensions..(at + 1) * self.dimensions];
        let products = own.iter().zip(vector).map(|(own, number)| f32::from(*own) * number);
        products.sum::<f32>() * self.scales.get(at).copied().unwrap_or(0.0)
    }
}

fn weight(dimensions: usize) -> usize {
    dimensions + OVERHEAD
}

fn norm(numbers: impl Iterator<Item = f32>) -> f32 {
    numbers.map(|number| number * number).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::projection::vector;
    use super::*;

    fn key(number: u64) -> Key {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        Key { tenant: [u8::from(number % 2 == 1); 8], digest }
    }

    fn blend(one: &[f32], other: &[f32], share: f32) -> Vec<f32> {
        one.iter().zip(other).map(|(one, other)| one + share * other).collect()
    }

    #[test]
    fn the_nearest_above_the_threshold_is_found_within_its_partition() {
        let index = Index::new(64 << 20);
        let (one, noise) = (vector(1, 384), vector(2, 384));
        index.put([1; 32], key(1), &one);
        index.put([1; 32], key(2), &blend(&one, &noise, 0.2));
        index.put([1; 32], key(3), &noise);
        let found = index.nearest(&[1; 32], &blend(&one, &noise, 0.05), 0.95);
        assert_eq!(found.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key(1), key(2)], "{found:?}");
        assert!(found[0].1 > 0.995 && found[1].1 < found[0].1, "{found:?}");
        // A cosine of 0.894: 1 / sqrt(1 + 0.5²).
        assert!(index.nearest(&[1; 32], &blend(&one, &vector(3, 384), 0.5), 0.95).is_empty());
        assert!(index.nearest(&[2; 32], &one, 0.95).is_empty(), "partitions are apart");
        assert!(index.nearest(&[1; 32], &vector(1, 383), 0.1).is_empty(), "another model's vector");
        index.remove(&[1; 32], &key(1).digest);
        assert_eq!(index.nearest(&[1; 32], &one, 0.95)[0].0, key(2));
        index.purge(Some([0; 8]));
        assert!(index.nearest(&[1; 32], &one, 0.95).is_empty());
        assert_eq!(index.sizes().0, 1);
        index.purge(None);
        assert_eq!((index.sizes().0, index.sizes().1, index.partitions.len()), (0, 0, 0));
    }

    #[test]
    fn vectors_that_mean_nothing_are_not_kept() {
        let index = Index::new(1 << 20);
        for vector in [&[][..], &[0.0, 0.0], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0]] {
            index.put([1; 32], key(1), vector);
            assert!(index.nearest(&[1; 32], vector, 0.1).is_empty());
        }
        assert_eq!(index.sizes().0, 0);
    }

    #[test]
    fn memory_stays_at_its_bound_and_what_is_found_stays() {
        const BOUND: usize = 1 << 20;
        let index = Index::new(BOUND);
        let loved = vector(7, 64);
        index.put([9; 32], key(0), &loved);
        for number in 1..20_000 {
            let mut partition = [0; 32];
            partition[0] = (number % 50) as u8;
            index.put(partition, key(number), &vector(number, 64));
            assert!(index.sizes().1 <= BOUND);
            if number % 100 == 0 {
                assert_eq!(index.nearest(&[9; 32], &loved, 0.99).len(), 1, "{number}");
            }
        }
        let (count, bytes, _) = index.sizes();
        assert_eq!(bytes, count * weight(64));
        assert!(count > BOUND / weight(64) - 50, "{count}");
        assert!(index.queue().len() <= 2 * count + 64);
    }

    #[test]
    fn a_hundred_thousand_vectors_are_searched_in_no_time() {
        let index = Index::new(1 << 30);
        // A debug build makes small vectors slowly enough; what is measured, the signatures, are of the same size.
        for number in 0..100_000 {
            index.put([1; 32], key(number), &vector(number, 48));
        }
        let wanted = vector(77_777, 48);
        let started = std::time::Instant::now();
        let found = index.nearest(&[1; 32], &wanted, 0.95);
        let took = started.elapsed();
        assert_eq!(found[0].0, key(77_777));
        eprintln!("{:?}; a search took {took:?}", index.sizes());
        assert!(took.as_millis() < 500, "{took:?}");
    }
}
