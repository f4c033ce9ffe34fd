// The layout of the table of ranks, for the build script that writes it and for the code that reads it.
//
// A power of two of slots, open addressing, linear probing. A slot is a little-endian `u64`: the upper bits of the
// token's hash, and below them the token's rank and one. Zero is an empty slot.

/// Slots, as a power of two: 200,000 tokens fill two fifths of it, so that most lookups end at the first slot.
pub(crate) const SLOTS_LOG2: u32 = 19;
/// Bits of a slot that hold the rank and one.
pub(crate) const RANK_BITS: u32 = 18;

/// The hash of nothing, to which bytes are [`add`]ed.
pub(crate) const NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// Returns the hash of what was hashed so far and of bytes behind it: FNV-1a.
pub(crate) fn add(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Returns the hash by which a token is found: all bits depend on all bytes.
pub(crate) fn mixed(hash: u64) -> u64 {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// Returns the slot at which the search for a hash begins.
pub(crate) fn first(hash: u64) -> usize {
    (hash & ((1 << SLOTS_LOG2) - 1)) as usize
}

/// Returns the slot after a slot.
pub(crate) fn next(slot: usize) -> usize {
    (slot + 1) & ((1 << SLOTS_LOG2) - 1)
}
