//! How many tokens a piece of text is: byte-pair encoding over the table that the build script writes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slot;

static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k.ranks"));
include!(concat!(env!("OUT_DIR"), "/o200k.rs"));

/// Longer pieces are not counted but judged by [`SAMPLES`] parts of them. No writing has such words, and what has them
/// must not cost a thread more than a text does.
const LONGEST_PIECE: usize = 4 << 10;
const SAMPLES: usize = 4;
const SAMPLE: usize = 1 << 10;

/// Returns the rank of a token by the hash of its bytes; `None` when there is none.
fn rank(hash: u64) -> Option<u32> {
    let hash = slot::mixed(hash);
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
    /// By the byte at which a part starts.
    parts: Vec<Part>,
    /// Neighbours that may be merged: rank, start, end. Some are no neighbours any more.
    pairs: BinaryHeap<Reverse<(u32, u16, u16)>>,
}

/// A token so far, of the bytes of a piece.
#[derive(Clone, Copy)]
struct Part {
    /// Where it ends; 0 where no part starts.
    end: u16,
    /// Where the part before it starts.
    before: u16,
    /// The hash of its bytes, to which those of the next part can be added.
    hash: u64,
}

impl Merger {
    /// Returns the number of tokens of a piece, one of those into which a text is split; of one of more than
    /// [`LONGEST_PIECE`] bytes about so many.
    pub(super) fn count(&mut self, piece: &[u8]) -> u64 {
        if piece.len() < 2 || (piece.len() <= LONGEST && rank(slot::add(slot::NOTHING, piece)).is_some()) {
            return u64::from(!piece.is_empty());
        }
        if piece.len() <= LONGEST_PIECE {
            return self.merge(piece);
        }
        let parts = piece.chunks(piece.len().div_ceil(SAMPLES));
        let (mut counted, mut looked_at) = (0, 0);
        for part in parts.map(|part| part.get(..SAMPLE).unwrap_or(part)) {
            counted += self.merge(part);
            looked_at += part.len() as u64;
        }
        (counted * piece.len() as u64).div_ceil(looked_at)
    }

    fn merge(&mut self, piece: &[u8]) -> u64 {
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        self.parts.clear();
        self.parts.extend((0..length).zip(piece).map(|(start, byte)| Part {
            end: start + 1,
            before: start.saturating_sub(1),
            hash: slot::add(slot::NOTHING, &[*byte]),
        }));
        let mut pairs = std::mem::take(&mut self.pairs).into_vec();
        pairs.clear();
        pairs.extend((0..length).filter_map(|start| Some(Reverse(self.pair(piece, start)?))));
        self.pairs = pairs.into();
        let mut tokens = u64::from(length);
        while let Some(Reverse((_, start, end))) = self.pairs.pop() {
            let (first, at) = (self.parts[usize::from(start)], usize::from(start));
            let middle = usize::from(first.end);
            if first.end == 0 || first.end >= end || self.parts[middle].end != end {
                continue;
            }
            let hash = slot::add(first.hash, piece.get(middle..usize::from(end)).unwrap_or_default());
            self.parts[at] = Part { end, hash, ..first };
            self.parts[middle].end = 0;
            tokens -= 1;
            if end < length {
                self.parts[usize::from(end)].before = start;
            }
            let before = (start > 0).then_some(first.before);
            for neighbour in before.into_iter().chain([start]) {
                if let Some(pair) = self.pair(piece, neighbour) {
                    self.pairs.push(Reverse(pair));
                }
            }
        }
        tokens
    }

    /// Returns a part and the next as what they may become: rank, start, end.
    fn pair(&self, piece: &[u8], start: u16) -> Option<(u32, u16, u16)> {
        let first = self.parts.get(usize::from(start))?;
        let end = self.parts.get(usize::from(first.end))?.end;
        if usize::from(end - start) > LONGEST {
            return None;
        }
        let hash = slot::add(first.hash, piece.get(usize::from(first.end)..usize::from(end))?);
        Some((rank(hash)?, start, end))
    }
}
