//! Signatures of vectors: on which side of 256 random planes a vector lies. Of two vectors at an angle, each plane
//! separates a share of angle / 180°, so that counting different bits tells likely neighbours from all others at a
//! fortieth of the cost of comparing them.

/// Planes.
pub(super) const PLANES: usize = 256;
const WORDS: usize = PLANES / 64;
/// Standard deviations of the number of different bits that are allowed for: less than one neighbour in thirty
/// thousand is overlooked.
const ALLOWANCE: f64 = 4.0;

/// The sides, a bit a plane.
pub(super) type Signature = [u64; WORDS];

/// Returns the signature of a vector.
#[must_use]
pub(super) fn signature(vector: &[f32]) -> Signature {
    let mut sums = [0.0_f32; PLANES];
    for (at, number) in vector.iter().enumerate() {
        for word in 0..WORDS {
            // The planes are the same for ever: signatures of one day are compared with those of the next.
            let signs = scrambled((at * WORDS + word) as u64);
            let bits = number.to_bits();
            for (bit, sum) in sums[word * 64..(word + 1) * 64].iter_mut().enumerate() {
                // The sign of the number, turned where the plane's is negative.
                let sign = u32::from((signs >> bit) & 1 == 1) << 31;
                *sum += f32::from_bits(bits ^ sign);
            }
        }
    }
    let mut signature = [0; WORDS];
    for (plane, sum) in sums.iter().enumerate() {
        signature[plane / 64] |= u64::from(*sum >= 0.0) << (plane % 64);
    }
    signature
}

/// Returns in how many bits two signatures differ.
#[must_use]
pub(super) fn distance(one: &Signature, other: &Signature) -> u32 {
    one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum()
}

/// Returns how many bits may differ between vectors that are at least so alike (cosine).
#[must_use]
pub(super) fn allowed(likeness: f32) -> u32 {
    let share = f64::from(likeness.clamp(-1.0, 1.0)).acos() / std::f64::consts::PI;
    let planes = PLANES as f64;
    let most = share * planes + ALLOWANCE * (planes * share * (1.0 - share)).sqrt() + 1.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to about 300")]
    let most = most.ceil() as u32;
    most
}

/// Scrambles a number (splitmix64).
fn scrambled(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
pub(super) use tests::vector;

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like those of a normal distribution.
    pub(in crate::cache) fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
        let uniform = |at: u64| (scrambled(seed << 20 ^ at) >> 40) as f32 / (1_u64 << 24) as f32 - 0.5;
        (0..dimensions as u64).map(|at| uniform(at * 3) + uniform(at * 3 + 1) + uniform(at * 3 + 2)).collect()
    }

    #[test]
    fn neighbours_are_found_and_strangers_are_not() {
        let mut found = 0;
        let most = allowed(0.95);
        for seed in 0..300 {
            let one = vector(seed, 256);
            let noise = vector(seed + 10_000, 256);
            // A neighbour at a cosine of 0.957: 1 / sqrt(1 + 0.3²).
            let near: Vec<f32> = one.iter().zip(&noise).map(|(one, noise)| one + 0.3 * noise).collect();
            found += u32::from(distance(&signature(&one), &signature(&near)) <= most);
            assert!(distance(&signature(&one), &signature(&noise)) > most, "a stranger looks near");
        }
        assert_eq!(found, 300);
    }

    #[test]
    fn the_allowance_grows_with_the_angle() {
        assert!(allowed(1.0) <= 1);
        assert!(allowed(0.99) < allowed(0.95) && allowed(0.95) < allowed(0.8));
        assert!(allowed(0.95) < 60, "{}", allowed(0.95));
    }
}
