//! Decimal text to integers, exactly: the only door by which a price or an amount enters the program.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use thiserror::Error;

/// Why a decimal was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Not a number in decimal notation.
    #[error("not a decimal number")]
    Malformed,
    /// Prices and amounts start at zero.
    #[error("a price or amount cannot be negative")]
    Negative,
    /// More decimal places than the unit can hold.
    #[error("more decimal places than can be kept exactly")]
    TooFine,
    /// More than 64 bits in the smallest unit.
    #[error("too large")]
    TooLarge,
}

/// What to do with places finer than the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Refuse them: a person wrote the figure and should know.
    Exact,
    /// Round up, after cutting three places below the unit: other programs write figures that went through
    /// binary floats, and `0.30000000000000004` must not become one unit dearer.
    UpFromNoise,
}

/// Parses `text` as a decimal and returns it times 10^`places`.
pub(crate) fn scaled(text: &str, places: u32, rounding: Rounding) -> Result<u64, DecimalError> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(DecimalError::Negative);
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, exponent.parse::<i32>().map_err(|_| DecimalError::Malformed)?)
        }
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    let mut digits = 0_u128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        digits = digits
            .checked_mul(10)
            .and_then(|value| value.checked_add(u128::from(byte - b'0')))
            .ok_or(DecimalError::TooLarge)?;
    }
    let shift = i64::from(exponent) + i64::from(places) - fraction.len() as i64;
    let value = match rounding {
        Rounding::Exact => shifted(digits, shift, true)?,
        Rounding::UpFromNoise => shifted(digits, shift + 3, false)?.div_ceil(1_000),
    };
    u64::try_from(value).map_err(|_| DecimalError::TooLarge)
}

/// Returns `digits` times 10^`shift`, cutting or refusing what lies below one.
fn shifted(digits: u128, shift: i64, exact: bool) -> Result<u128, DecimalError> {
    if digits == 0 {
        return Ok(0);
    }
    let power = u32::try_from(shift.unsigned_abs()).ok().and_then(|power| 10_u128.checked_pow(power));
    if shift >= 0 {
        return power.and_then(|power| digits.checked_mul(power)).ok_or(DecimalError::TooLarge);
    }
    // A divisor beyond 128 bits is larger than any `digits`.
    let (quotient, rest) = power.map_or((0, digits), |power| (digits / power, digits % power));
    if exact && rest != 0 { Err(DecimalError::TooFine) } else { Ok(quotient) }
}

/// Returns the decimal a person meant by a float that a settings parser read.
///
/// Fifteen significant digits are what every decimal keeps on its way through a binary double, even when the
/// parser was off by one in the last place (JSON parsers may be). So `0.15` is 0.15, not 0.1499999…
pub(crate) fn text_of(value: f64) -> String {
    format!("{value:.14e}")
}

/// Writes `value` / 10^`places` in plain decimal notation without trailing zeros.
pub(crate) fn write(value: u64, places: usize) -> String {
    let digits = format!("{value:0width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// Reads a decimal given as a string, an integer or a float, times 10^`places`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, places: u32) -> Result<u64, D::Error> {
    deserializer.deserialize_any(DecimalVisitor { places })
}

struct DecimalVisitor {
    places: u32,
}

impl Visitor<'_> for DecimalVisitor {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number of dollars such as 0.15 or \"0.15\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        scaled(text, self.places, Rounding::Exact).map_err(|error| E::custom(format!("{text:?}: {error}")))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<u64, E> {
        scaled(&text_of(value), self.places, Rounding::Exact)
            .map_err(|error| E::custom(format!("{value}: {error}")))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
        self.visit_str(&value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_and_scientific_notation_agree() {
        for (text, expected) in [
            ("0.15", 150_000),
            ("1.5e-1", 150_000),
            ("15E-2", 150_000),
            ("0.0375", 37_500),
            ("3", 3_000_000),
            ("3.000000000000000000000000000000000000000", 3_000_000),
            ("+2.50", 2_500_000),
            ("0e999999", 0),
        ] {
            assert_eq!(scaled(text, 6, Rounding::Exact), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_exact_amount_is_refused_with_its_reason() {
        for (text, expected) in [
            ("", DecimalError::Malformed),
            (".5", DecimalError::Malformed),
            ("1,5", DecimalError::Malformed),
            ("1e", DecimalError::Malformed),
            ("NaN", DecimalError::Malformed),
            ("inf", DecimalError::Malformed),
            ("١", DecimalError::Malformed),
            ("-1", DecimalError::Negative),
            ("0.0000001", DecimalError::TooFine),
            ("1e-999999", DecimalError::TooFine),
            ("1e30", DecimalError::TooLarge),
            ("1e999999", DecimalError::TooLarge),
            ("18446744073709.551616", DecimalError::TooLarge),
        ] {
            assert_eq!(scaled(text, 6, Rounding::Exact), Err(expected), "{text}");
        }
    }

    #[test]
    fn the_noise_of_other_programs_floats_is_cut_and_the_rest_rounds_up() {
        for (text, expected) in [
            ("3.0000000000000004e-07", 300_000),
            ("2.9999999999999997e-07", 300_000),
            ("1.590001e-07", 159_001),
            ("1e-12", 1),
            ("1e-14", 1),
        ] {
            assert_eq!(scaled(text, 12, Rounding::UpFromNoise), Ok(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_agree(value: u64, places in 0_usize..13) {
            prop_assert_eq!(scaled(&write(value, places), places as u32, Rounding::Exact), Ok(value));
        }

        #[test]
        fn a_price_written_as_a_float_is_read_as_it_was_written(value in 0_u64..999_999_999_999) {
            let float: f64 = write(value, 6).parse().unwrap();
            prop_assert_eq!(scaled(&text_of(float), 6, Rounding::Exact), Ok(value));
            let neighbour = f64::from_bits(float.to_bits() + 1);
            prop_assert_eq!(scaled(&text_of(neighbour), 6, Rounding::Exact), Ok(value));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}", places in 0_u32..13) {
            let _ = scaled(&text, places, Rounding::Exact);
            let _ = scaled(&text, places, Rounding::UpFromNoise);
        }
    }
}
