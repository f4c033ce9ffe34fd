//! How many tokens a piece of text is: byte-pair encoding over the table that the build script writes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slot;

static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k.ranks"));
include!(concat!(env!("OUT_DIR"), "/o200k.rs"));

/// Returns the rank of a token; `None` when these bytes are none.
fn rank(bytes: &[u8]) -> Option<u32> {
    if bytes.len() > LONGEST {
        return None;
    }
    let hash = slot::hash(bytes);
    let mut at = slot::first(hash);
    loop {
        let entry = u64::from_le_bytes(*TABLE.get(at * 8..)?.first_chunk()?);
        if entry == 0 {
            return None;
        }
        if entry >> slot::RANK_BITS == hash >> slot::RANK_BITS {
            return u32::try_from(entry & ((1 << slot::RANK_BITS) - 1)).ok();
        }
        at = slot::next(at);
    }
}

/// Merges bytes to tokens: of all neighbours that make a token together, those whose token has the lowest rank first,
/// and of equals the first ones. Kept from piece to piece for its memory.
#[derive(Default)]
pub(super) struct Merger {
    /// Where the part that starts at a byte ends; 0 where none starts.
    ends: Vec<u32>,
    /// Where the part before the one that starts at a byte starts.
    before: Vec<u32>,
    /// Neighbours that may be merged: rank, start, end. Some are no neighbours any more.
    pairs: BinaryHeap<Reverse<(u32, u32, u32)>>,
}

impl Merger {
    /// Returns the number of tokens of a piece, one of those into which a text is split.
    pub(super) fn count(&mut self, piece: &[u8]) -> u64 {
        if piece.len() < 2 || rank(piece).is_some() {
            return u64::from(!piece.is_empty());
        }
        // Offsets are 32 bits wide; what is longer is counted in parts.
        let longest = usize::try_from(u32::MAX - 1).unwrap_or(usize::MAX);
        piece.chunks(longest).map(|part| self.merge(part)).sum()
    }

    fn merge(&mut self, piece: &[u8]) -> u64 {
        let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        self.ends.clear();
        self.ends.extend(1..=length);
        self.before.clear();
        self.before.extend((0..length).map(|start| start.saturating_sub(1)));
        self.pairs.clear();
        for start in 0..length - 1 {
            self.pair(piece, start, start + 2);
        }
        let mut tokens = u64::from(length);
        while let Some(Reverse((_, start, end))) = self.pairs.pop() {
            let middle = self.ends[start as usize];
            if middle == 0 || middle >= end || self.ends[middle as usize] != end {
                continue;
            }
            self.ends[start as usize] = end;
            self.ends[middle as usize] = 0;
            tokens -= 1;
            if end < length {
                self.before[end as usize] = start;
                self.pair(piece, start, self.ends[end as usize]);
            }
            if start > 0 {
                self.pair(piece, self.before[start as usize], end);
            }
        }
        tokens
    }

    fn pair(&mut self, piece: &[u8], start: u32, end: u32) {
        let together = piece.get(start as usize..end as usize);
        if let Some(rank) = together.and_then(rank) {
            self.pairs.push(Reverse((rank, start, end)));
        }
    }
}
