//! The price of one thing.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decimal::{self, DecimalError, Rounding};

/// Places between dollars per million and pico-dollars per one.
const PER_MILLION: u32 = 6;
/// Places between dollars and pico-dollars.
const PER_ONE: u32 = 12;

/// The price of one token, character, request, minute or image, in pico-dollars (10⁻¹² US dollars).
///
/// Nano-dollars would be too coarse: 0.0375 dollars per million tokens are 37.5 of them per token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoUsd(pub u64);

impl PicoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads dollars per million, the unit in which vendors print prices of tokens.
    ///
    /// # Errors
    /// Not a decimal, negative, more than six places, or too large.
    pub fn from_dollars_per_million(text: &str) -> Result<Self, DecimalError> {
        decimal::scaled(text, PER_MILLION, Rounding::Exact).map(Self)
    }

    /// Reads dollars per one.
    ///
    /// # Errors
    /// Not a decimal, negative, more than twelve places, or too large.
    pub fn from_dollars(text: &str) -> Result<Self, DecimalError> {
        decimal::scaled(text, PER_ONE, Rounding::Exact).map(Self)
    }

    /// Returns dollars per million as decimal text.
    #[must_use]
    pub fn dollars_per_million(self) -> String {
        decimal::write(self.0, PER_MILLION as usize)
    }

    /// Returns dollars per one as decimal text.
    #[must_use]
    pub fn dollars(self) -> String {
        decimal::write(self.0, PER_ONE as usize)
    }

    /// Returns the price of `units` in pico-dollars; two 64-bit factors fit into 128 bits.
    pub(crate) fn times(self, units: u64) -> u128 {
        u128::from(self.0) * u128::from(units)
    }
}

/// How [`PicoUsd`] appears in files and settings when it is the price of a token or character.
pub(crate) struct PerMillion(pub(crate) PicoUsd);

impl<'de> Deserialize<'de> for PerMillion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        decimal::deserialize(deserializer, PER_MILLION).map(|picos| Self(PicoUsd(picos)))
    }
}

impl Serialize for PerMillion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.dollars_per_million())
    }
}

/// How [`PicoUsd`] appears in files and settings when it is the price of a request, minute or image.
#[derive(Clone, Copy)]
pub(crate) struct PerOne(pub(crate) PicoUsd);

impl<'de> Deserialize<'de> for PerOne {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        decimal::deserialize(deserializer, PER_ONE).map(|picos| Self(PicoUsd(picos)))
    }
}

impl Serialize for PerOne {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.dollars())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_finer_than_a_nano_dollar_is_exact() {
        assert_eq!(PicoUsd::from_dollars_per_million("0.0375"), Ok(PicoUsd(37_500)));
        assert_eq!(PicoUsd::from_dollars_per_million("0.15"), Ok(PicoUsd(150_000)));
        assert_eq!(PicoUsd(37_500).dollars_per_million(), "0.0375");
        assert_eq!(PicoUsd::from_dollars("0.04").unwrap().dollars(), "0.04");
    }

    #[test]
    fn the_largest_product_does_not_overflow() {
        assert!(PicoUsd(u64::MAX).times(u64::MAX) < u128::MAX);
    }
}
