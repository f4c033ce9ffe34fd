// The layout of the table of ranks, for the build script that writes it and for the code that reads it.
//
// A power of two of slots, open addressing, linear probing. A slot is a little-endian `u64`: the upper bits of the
// token's hash, and below them the token's rank and one. Zero is an empty slot.

/// Slots, as a power of two: 200,000 tokens fill two fifths of it, so that most lookups end at the first slot.
pub(crate) const SLOTS_LOG2: u32 = 19;
/// Bits of a slot that hold the rank and one.
pub(crate) const RANK_BITS: u32 = 18;

/// Returns the hash of a token's bytes: FNV-1a, and a last mix so that all bits depend on all bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
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
