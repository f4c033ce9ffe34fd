//! Halves of characters in JSON text: `\ud83d` without its other half.
//!
//! Characters beyond the first 65,536 are written as two escapes. Clients cut texts between them, and vendors cut their
//! streams there. JSON's grammar lets a half stand alone, serde_json does not; here a lone one becomes U+FFFD, and two that
//! were cut apart come together again. Text without halves is looked at and stays as it is.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::DeserializeOwned;

/// Length of `\ud83d`.
const ESCAPE: usize = 6;
/// What stands for half a character.
const REPLACEMENT: &[u8] = br"\ufffd";

/// Which half an escape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

/// Puts U+FFFD in the places of halves that stand alone.
///
/// ```
/// let json = tidegate_providers::surrogates::mended(br#"["\ud83d", "\ud83d\ude00"]"#);
/// assert_eq!(&*json, br#"["\ufffd", "\ud83d\ude00"]"#);
/// ```
#[must_use]
pub fn mended(json: &[u8]) -> Cow<'_, [u8]> {
    mend(json, None)
}

/// The same of text.
#[must_use]
pub fn mended_text(json: &str) -> Cow<'_, str> {
    match mended(json.as_bytes()) {
        // What is put in is text, and stands between whole characters.
        Cow::Owned(whole) => String::from_utf8(whole).map_or(Cow::Borrowed(json), Cow::Owned),
        Cow::Borrowed(_) => Cow::Borrowed(json),
    }
}

/// Parses JSON, also such with halves of characters.
///
/// # Errors
/// serde_json's error.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match mended(json) {
        Cow::Owned(whole) => serde_json::from_slice(&whole),
        Cow::Borrowed(_) => Err(error),
    })
}

/// Mends the documents of a stream one after the other: a character that is cut at the end of a text goes on at the
/// beginning of a later one.
#[derive(Debug, Default)]
pub struct Joiner {
    /// The first half that ended a text.
    first: Option<[u8; ESCAPE]>,
}

impl Joiner {
    /// Mends the next document. A first half at the end of a text is kept; if its other half never comes, it is left out.
    #[must_use]
    pub fn mend(&mut self, json: String) -> String {
        let whole = match mend(json.as_bytes(), Some(self)) {
            Cow::Owned(whole) => String::from_utf8(whole).ok(),
            Cow::Borrowed(_) => None,
        };
        whole.unwrap_or(json)
    }
}

fn mend<'a>(json: &'a [u8], mut joiner: Option<&mut Joiner>) -> Cow<'a, [u8]> {
    if !may_hold_halves(json) {
        return Cow::Borrowed(json);
    }
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        let place = at + found;
        let Some(half) = half_at(json, place) else {
            at = place + 2;
            continue;
        };
        at = place + ESCAPE;
        if half == Half::First && half_at(json, at) == Some(Half::Second) {
            at += ESCAPE;
            continue;
        }
        out.extend_from_slice(&json[copied..place]);
        copied = at;
        let begins = json[..place].ends_with(b"\"");
        let ends = json.get(at) == Some(&b'"');
        match joiner.as_deref_mut() {
            Some(joiner) if half == Half::First && ends => joiner.first = json[place..at].try_into().ok(),
            Some(Joiner { first: waiting @ Some(_) }) if half == Half::Second && begins => {
                out.extend_from_slice(&waiting.take().unwrap_or_default());
                out.extend_from_slice(&json[place..at]);
            }
            _ => out.extend_from_slice(REPLACEMENT),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    out.extend_from_slice(&json[copied..]);
    Cow::Owned(out)
}

/// Returns whether there is anything that looks like half a character. Most documents hold none.
fn may_hold_halves(json: &[u8]) -> bool {
    static ESCAPED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r"\u"));
    let Some(from) = memchr::memchr(b'\\', json) else { return false };
    ESCAPED.find_iter(&json[from..]).any(|at| half_at(json, from + at).is_some())
}

/// Returns which half the escape at a place is.
fn half_at(json: &[u8], at: usize) -> Option<Half> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(br"\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) || !digits[0].eq_ignore_ascii_case(&b'd') {
        return None;
    }
    match digits[1].to_ascii_lowercase() {
        b'8' | b'9' | b'a' | b'b' => Some(Half::First),
        b'c'..=b'f' => Some(Half::Second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn lone_halves_become_the_replacement_and_nothing_else_changes() {
        for (json, wanted) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDE00a\uD83D""#, r#""\ufffda\ufffd""#),
            (r#""\ud83d\ud83d\ude00\ude00""#, r#""\ufffd\ud83d\ude00\ufffd""#),
            (r#""\\ud83d \\\ud83d""#, r#""\\ud83d \\\ufffd""#),
            (
                r#"{"a":"\u00e9\n\"\ud7ff","b":"\ud83d\ude00"}"#,
                r#"{"a":"\u00e9\n\"\ud7ff","b":"\ud83d\ude00"}"#,
            ),
            (r#""\ud83"#, r#""\ud83"#),
            (r#""\"#, r#""\"#),
        ] {
            assert_eq!(mended_text(json), wanted);
            assert_eq!(matches!(mended_text(json), Cow::Borrowed(_)), json == wanted, "{json}");
        }
        assert_eq!(from_slice::<String>(br#""a\ud83d""#).unwrap(), "a\u{fffd}");
        assert!(from_slice::<String>(br#""a\ud83d"#).is_err());
    }

    #[test]
    fn halves_in_two_documents_come_together() {
        let mended = |documents: &[&str]| -> Vec<String> {
            let mut joiner = Joiner::default();
            documents.iter().map(|document| joiner.mend((*document).to_owned())).collect()
        };
        assert_eq!(
            mended(&[r#"{"a":"hi \ud83d"}"#, r#"{"b":1}"#, r#"{"a":"\ude00!"}"#]),
            [r#"{"a":"hi "}"#, r#"{"b":1}"#, r#"{"a":"\ud83d\ude00!"}"#]
        );
        assert_eq!(
            mended(&[r#"{"a":"\ud83d."}"#, r#"{"a":"\ude00"}"#]),
            [r#"{"a":"\ufffd."}"#, r#"{"a":"\ufffd"}"#]
        );
        assert_eq!(mended(&[r#""\ud83d""#, r#""x\ude00""#, r#""\ude00""#])[1], r#""x\ufffd""#);
    }

    proptest! {
        #[test]
        fn what_is_mended_is_json(pieces in proptest::collection::vec(
            prop_oneof![Just(r"\ud83d"), Just(r"\ude00"), Just(r"\\"), Just(r"\u0041"), Just("u"), Just("é")], 0..12,
        )) {
            let json = format!("[\"{}\"]", pieces.concat());
            prop_assert!(from_slice::<Value>(json.as_bytes()).is_ok(), "{}", json);
            if let Ok(value) = serde_json::from_str::<Value>(&json) {
                prop_assert_eq!(from_slice::<Value>(&mended(json.as_bytes())).unwrap(), value);
            }
        }
    }
}
