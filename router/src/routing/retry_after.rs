//! How long a vendor asks to wait, in all the forms vendors use.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Reads the wait from an answer's headers; `now` is seconds since the epoch. In Portkey's order: `retry-after-ms`,
/// `x-ms-retry-after-ms`, then `retry-after` in seconds or as an HTTP date.
#[must_use]
pub fn wait<'a>(header: impl Fn(&str) -> Option<&'a str>, now: i64) -> Option<Duration> {
    for name in ["retry-after-ms", "x-ms-retry-after-ms"] {
        if let Some(wait) = header(name).and_then(|text| number(text, 0.001)) {
            return Some(wait);
        }
    }
    let text = header("retry-after")?.trim();
    number(text, 1.0).or_else(|| until(text, now))
}

/// A wait longer than a day is read as a day: nobody waits for either.
const LONGEST: f64 = 86_400.0;

fn number(text: &str, unit: f64) -> Option<Duration> {
    let text = text.trim();
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64((number * unit).min(LONGEST)).ok()
}

/// The time left until an HTTP date; none is left of one that is past.
fn until(text: &str, now: i64) -> Option<Duration> {
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    let left = date.unix_timestamp().saturating_sub(now);
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &'static str)], now: i64) -> Option<Duration> {
        wait(|wanted| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value), now)
    }

    #[test]
    fn every_form_is_read() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        const DATE: i64 = 784_111_777;
        for (name, value, expected) in [
            ("retry-after-ms", "100", Some(100)),
            ("retry-after-ms", "100.5", Some(100)),
            ("x-ms-retry-after-ms", "250", Some(250)),
            ("retry-after", "2", Some(2_000)),
            ("retry-after", " 1.5 ", Some(1_500)),
            ("retry-after", "0", Some(0)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(7_000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("retry-after", "soon", None),
            ("retry-after", "-3", None),
            ("retry-after", "inf", None),
            ("retry-after", "", None),
            ("retry-after", "99999999999999999999", Some(86_400_000)),
        ] {
            let found = read(&[(name, value)], DATE - 7).map(|wait| wait.as_millis());
            assert_eq!(found, expected, "{name}: {value}");
        }
    }

    #[test]
    fn milliseconds_come_first() {
        let headers = [("retry-after", "9"), ("x-ms-retry-after-ms", "20"), ("retry-after-ms", "10")];
        assert_eq!(read(&headers, 0), Some(Duration::from_millis(10)));
        assert_eq!(read(&headers[..2], 0), Some(Duration::from_millis(20)));
        assert_eq!(read(&[("retry-after-ms", "x"), ("retry-after", "9")], 0), Some(Duration::from_secs(9)));
    }
}
