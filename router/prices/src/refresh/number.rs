//! Numbers of foreign files, taken from their text so that no float comes between.

use serde_json::value::RawValue;

use crate::{
    decimal::{self, Rounding},
    pico::PicoUsd,
};

/// Reads a number, in quotes or not, times 10^`places`. Anything else is `None`: foreign files mix types.
pub(super) fn picos(raw: &RawValue, places: u32) -> Option<PicoUsd> {
    let text = raw.get().trim_matches('"');
    decimal::scaled(text, places, Rounding::UpFromNoise).ok().map(PicoUsd)
}

/// Reads a positive count.
pub(super) fn count(raw: &RawValue) -> Option<u64> {
    let text = raw.get().trim_matches('"');
    decimal::scaled(text, 0, Rounding::Exact).ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_are_read_from_their_text() {
        assert_eq!(picos(&raw("3.0000000000000004e-07"), 12), Some(PicoUsd(300_000)));
        assert_eq!(picos(&raw("\"0.000002\""), 12), Some(PicoUsd(2_000_000)));
        assert_eq!(picos(&raw("null"), 12), None);
        assert_eq!(picos(&raw("{}"), 12), None);
        assert_eq!(count(&raw("128000.0")), Some(128_000));
        assert_eq!(count(&raw("1e5")), Some(100_000));
        assert_eq!(count(&raw("\"max tokens\"")), None);
        assert_eq!(count(&raw("0")), None);
    }
}
