//! RSA signatures with PKCS #1 v1.5 padding (RFC 8017, 8.2.2). Only checks, with public numbers, so time tells nothing.

use num_bigint::BigUint;

/// Shorter keys are no protection; longer ones only cost time.
const BITS: std::ops::RangeInclusive<u64> = 2048..=8192;

/// How the digest's algorithm is written before it, by the digest's length.
fn prefix(digest: &[u8]) -> Option<&'static [u8]> {
    match digest.len() {
        32 => Some(b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"),
        48 => Some(b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"),
        64 => Some(b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"),
        _ => None,
    }
}

/// Returns whether a signature of a digest was made with the private key of this public one.
pub(super) fn is_signature(modulus: &[u8], exponent: &[u8], digest: &[u8], signature: &[u8]) -> bool {
    let (modulus, exponent) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
    let size = modulus.bits().div_ceil(8) as usize;
    let Some(prefix) = prefix(digest) else { return false };
    let value = BigUint::from_bytes_be(signature);
    if !BITS.contains(&modulus.bits()) || exponent.bits() > 33 || signature.len() != size || value >= modulus
    {
        return false;
    }
    let Some(padding) = size.checked_sub(3 + prefix.len() + digest.len()) else { return false };
    let mut expected = vec![0, 1];
    expected.resize(2 + padding, 0xff);
    expected.push(0);
    expected.extend_from_slice(prefix);
    expected.extend_from_slice(digest);
    value.modpow(&exponent, &modulus) == BigUint::from_bytes_be(&expected)
}
