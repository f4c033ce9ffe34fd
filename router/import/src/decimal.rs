//! Decimal arithmetic on text, so that no price passes through a binary float.

/// Places behind the point that prices of a million tokens may have.
const PLACES: i64 = 6;

/// Returns a decimal text times a million, with at most [`PLACES`] places, and whether anything was cut.
/// `None` for what is no number, is negative, or has more digits than a price.
pub(crate) fn per_million(text: &str) -> Option<(String, bool)> {
    let text = text.trim().trim_start_matches('+').replace('_', "");
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text.as_str(), 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 40 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if !(-60..=20).contains(&exponent) {
        return None;
    }
    // The point stands so many digits from the left.
    let point = i64::try_from(whole.len()).ok()? + exponent + 6;
    let padded =
        if point <= 0 { format!("{}{digits}", "0".repeat(usize::try_from(1 - point).ok()?)) } else { digits };
    let point = usize::try_from(point.max(1)).ok()?;
    let padded = format!("{padded:0<point$}");
    let (whole, fraction) = padded.split_at(point);
    let places = usize::try_from(PLACES).ok()?;
    let is_cut = fraction.bytes().skip(places).any(|byte| byte != b'0');
    let fraction: String = fraction.chars().take(places).collect();
    let fraction = fraction.trim_end_matches('0');
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some((format!("{whole}.{}", if fraction.is_empty() { "0" } else { fraction }), is_cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_a_token_become_prices_of_a_million() {
        for (token, million) in [
            ("0.00000015", "0.15"),
            ("1.5e-07", "0.15"),
            ("3e-6", "3.0"),
            ("0.00001", "10.0"),
            ("0", "0.0"),
            ("0.0000025", "2.5"),
            ("1E-8", "0.01"),
            ("0.000421", "421.0"),
            ("1", "1000000.0"),
            (".5e-6", "0.5"),
        ] {
            assert_eq!(per_million(token), Some((million.to_owned(), false)), "{token}");
        }
    }

    #[test]
    fn what_is_finer_than_prices_is_cut_and_said() {
        assert_eq!(per_million("1.23456789e-7"), Some(("0.123456".to_owned(), true)));
        for wrong in ["", "-1", "x", "1e400", "1.2.3", "1e", "."] {
            assert_eq!(per_million(wrong), None, "{wrong}");
        }
    }
}
