//! An amount of money.

use std::{fmt, iter::Sum, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::decimal::{self, DecimalError, Rounding};

const PLACES: u32 = 9;

/// An amount in nano-dollars (10⁻⁹ US dollars), never negative. The largest is 18.4 thousand million dollars.
///
/// As JSON and in stores it is the integer of nano-dollars; people read and write dollars (`Display`,
/// `FromStr`, [`dollars`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount; what overflowing arithmetic stays at.
    pub const MAX: Self = Self(u64::MAX);

    /// Returns whole dollars as an amount.
    #[must_use]
    pub fn from_dollars(dollars: u64) -> Self {
        Self(dollars.saturating_mul(1_000_000_000))
    }

    /// Returns the dollars a person meant by a float from a settings file (15 significant digits).
    ///
    /// # Errors
    /// Negative, not finite, finer than a nano-dollar, or too large.
    pub fn from_dollars_float(dollars: f64) -> Result<Self, DecimalError> {
        decimal::text_of(dollars).parse()
    }

    /// Returns the integer of nano-dollars.
    #[must_use]
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the integer for stores that only have signed ones; too large stays at their largest.
    #[must_use]
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// Returns whether this is nothing.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns the sum, or `None` on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Returns the difference, or `None` when `other` is larger.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Returns the sum, at most [`NanoUsd::MAX`].
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the difference, at least zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Returns `times` as much, at most [`NanoUsd::MAX`].
    #[must_use]
    pub fn saturating_mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }

    /// Writes the amount as `Display` does, without a formatter, into a place that the caller lends. Returns the text.
    ///
    /// ```
    /// assert_eq!(tidegate_prices::NanoUsd(1_500_000_000).text(&mut [0; 32]), "1.50");
    /// ```
    pub fn text(self, place: &mut [u8; 32]) -> &str {
        std::str::from_utf8(self.digits(place)).unwrap_or_default()
    }

    /// The same as bytes.
    pub fn digits(self, place: &mut [u8; 32]) -> &[u8] {
        // From the right: nine places but for the zeros at their end, the point, the dollars.
        let (whole, mut fraction) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let (mut end, point) = (32, 32 - PLACES as usize - 1);
        // Two places always.
        while fraction.is_multiple_of(10) && end > point + 3 {
            fraction /= 10;
            end -= 1;
        }
        digits(place, end, fraction, end - point - 1);
        place[point] = b'.';
        let start = digits(place, point, whole, 1);
        &place[start..end]
    }

    /// Returns pico-dollars as nano-dollars, rounded up so that nothing is under-charged.
    pub(crate) fn from_picos_up(picos: u128) -> Self {
        Self(u64::try_from(picos.div_ceil(1_000)).unwrap_or(u64::MAX))
    }
}

/// Dollars without sign, at least two decimal places: `1.00`, `0.0000015`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = [0; 32];
        let text = self.text(&mut place);
        if formatter.width().is_none() { formatter.write_str(text) } else { formatter.pad(text) }
    }
}

/// Writes a number to the left of a place, with at least so many digits. Returns where it begins.
fn digits(text: &mut [u8; 32], before: usize, mut number: u64, least: usize) -> usize {
    let mut at = before;
    while number > 0 || before - at < least {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    at
}

/// Reads dollars: `1`, `1.00`, `2.5e-3`.
impl FromStr for NanoUsd {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        decimal::scaled(text, PLACES, Rounding::Exact).map(Self)
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

/// For `#[serde(with = "tidegate_prices::dollars")]`: a [`NanoUsd`] written in dollars, as a number or text.
///
/// Reads `1`, `1.5` and `"1.50"`; writes text, because a number would pass through somebody's float.
pub mod dollars {
    use serde::{Deserializer, Serializer};

    use super::{NanoUsd, PLACES};
    use crate::decimal;

    /// Reads dollars.
    ///
    /// # Errors
    /// Not a number, negative, finer than a nano-dollar, or too large.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NanoUsd, D::Error> {
        decimal::deserialize(deserializer, PLACES).map(NanoUsd)
    }

    /// Writes dollars as text.
    ///
    /// # Errors
    /// Whatever the serializer reports.
    pub fn serialize<S: Serializer>(amount: &NanoUsd, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(amount)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Budget {
        #[serde(with = "dollars")]
        limit: NanoUsd,
    }

    #[test]
    fn dollars_are_read_from_text_integers_and_floats() {
        for (toml, nanos) in [
            ("limit = 1", 1_000_000_000),
            ("limit = 1.00", 1_000_000_000),
            ("limit = 0.1", 100_000_000),
            ("limit = \"0.000000001\"", 1),
            ("limit = 1e-9", 1),
            ("limit = 12345.678901", 12_345_678_901_000),
        ] {
            assert_eq!(toml::from_str::<Budget>(toml).unwrap().limit, NanoUsd(nanos), "{toml}");
        }
        let error = toml::from_str::<Budget>("limit = -1.0").unwrap_err().to_string();
        assert!(error.contains("negative"), "{error}");
        assert!(toml::from_str::<Budget>("limit = nan").is_err());
        assert_eq!(
            serde_json::to_string(&Budget { limit: NanoUsd(1_500_000_000) }).unwrap(),
            r#"{"limit":"1.50"}"#
        );
    }

    #[test]
    fn stores_see_an_integer() {
        assert_eq!(serde_json::to_string(&NanoUsd(42)).unwrap(), "42");
        assert_eq!(serde_json::from_str::<NanoUsd>("42").unwrap(), NanoUsd(42));
        assert!(serde_json::from_str::<NanoUsd>("0.5").is_err());
        assert_eq!(NanoUsd::MAX.as_i64(), i64::MAX);
    }

    #[test]
    fn arithmetic_stays_at_its_ends() {
        assert_eq!(NanoUsd::MAX.saturating_add(NanoUsd(1)), NanoUsd::MAX);
        assert_eq!(NanoUsd::ZERO.saturating_sub(NanoUsd(1)), NanoUsd::ZERO);
        assert_eq!(NanoUsd::MAX.saturating_mul(2), NanoUsd::MAX);
        assert_eq!(NanoUsd::MAX.checked_add(NanoUsd(1)), None);
        assert_eq!(NanoUsd::ZERO.checked_sub(NanoUsd(1)), None);
        assert_eq!([NanoUsd(1), NanoUsd(2)].into_iter().sum::<NanoUsd>(), NanoUsd(3));
        assert_eq!(NanoUsd::from_dollars(u64::MAX), NanoUsd::MAX);
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(nanos: u64) {
            prop_assert_eq!(NanoUsd(nanos).to_string().parse::<NanoUsd>(), Ok(NanoUsd(nanos)));
        }

        #[test]
        fn picos_never_round_down(picos: u128) {
            let nanos = NanoUsd::from_picos_up(picos);
            prop_assert!(nanos == NanoUsd::MAX || u128::from(nanos.0) * 1_000 >= picos);
        }
    }
}
