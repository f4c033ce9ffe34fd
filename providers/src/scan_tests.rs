//! Scans beside serde_json, which decides.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

fn scanned(text: &str) -> Option<&str> {
    let mut scan = Scan::new(text);
    let value = scan.value()?;
    scan.end()?;
    Some(value)
}

fn members(text: &str) -> Option<Vec<(&str, &str)>> {
    let (mut scan, mut found) = (Scan::new(text), Vec::new());
    scan.object(|name, scan| {
        found.push((name, scan.value()?));
        Some(())
    })?;
    scan.end()?;
    Some(found)
}

fn elements(text: &str) -> Option<Vec<&str>> {
    let (mut scan, mut found) = (Scan::new(text), Vec::new());
    scan.array(|scan| {
        found.push(scan.value()?);
        Some(())
    })?;
    scan.end()?;
    Some(found)
}

/// What is accepted must be what serde_json makes of it.
fn agrees(text: &str) {
    if let Some(value) = scanned(text) {
        assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text:?}");
        assert_eq!(serde_json::from_str::<&RawValue>(text).unwrap().get(), value, "{text:?}");
    }
    if let Some(found) = members(text) {
        let fields = crate::Fields::read(text.as_bytes()).unwrap();
        let mut names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        for name in &names {
            let last = found.iter().rev().find(|(known, _)| known == name).unwrap();
            assert_eq!(fields.raw(name), Some(last.1), "{text:?}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(fields.names().count(), names.len(), "{text:?}");
    }
    if let Some(found) = elements(text) {
        let raw: Vec<&RawValue> = serde_json::from_str(text).unwrap();
        assert_eq!(raw.into_iter().map(RawValue::get).collect::<Vec<_>>(), found, "{text:?}");
    }
}

#[test]
fn what_is_no_json_is_not_walked() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1]",
        "[1}",
        "01",
        "-",
        "-01",
        "1.",
        ".1",
        "1e",
        "1e+",
        "+1",
        "0x1",
        "1a",
        "tru",
        "truee",
        "nul",
        "NaN",
        "Infinity",
        "\"",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u123",
        "\"\n\"",
        "\"\u{1f}\"",
        "\"\t\"",
        "[] []",
        "{} x",
        "\u{feff}{}",
        "\u{a0}1",
        "\"a\"\"",
        "[1]]",
        "\\",
    ] {
        assert_eq!((scanned(text), members(text), elements(text)), (None, None, None), "{text:?}");
        assert!(serde_json::from_str::<IgnoredAny>(text).is_err(), "{text:?}");
    }
}

#[test]
fn what_is_plain_is_walked() {
    for text in [
        "0",
        "-0",
        "1.50e-07",
        "10E5",
        "true",
        " null\n",
        "\"\"",
        "\"é \\\" \\\\ \\u00e9 \\ud800\"",
        "[]",
        "{}",
        " [ 1 , [ ] , { } ] ",
        "{\"a\" : {\"b\":[[],{\"c\":null}]} }",
        "\"\u{7f}\"",
    ] {
        assert_eq!(scanned(text), Some(text.trim()), "{text:?}");
        agrees(text);
    }
    assert_eq!(members("{ \"a\" : 1 , \"a\":\"\\\"\" }"), Some(vec![("a", "1"), ("a", "\"\\\"\"")]));
    assert_eq!(members("{\"\\u0061\":1}"), None, "whether it is an `a`, serde_json knows");
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(scanned(&nested(64)).is_some());
    assert!(scanned(&nested(1_000)).is_none());
}

proptest! {
    #[test]
    fn the_end_of_what_is_plain_is_found(text in prop::collection::vec(prop_oneof![60 => 32_u8..=255, 1 => any::<u8>()], 0..200)) {
        let end = text.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=31)).count();
        prop_assert_eq!(plain_length(&text), end);
        // What other machines do, piece by piece.
        let (pieces, _) = text.as_chunks();
        for (at, piece) in pieces.iter().enumerate() {
            let odd = word::odd(piece);
            prop_assert_eq!(odd.min(8), end.clamp(at * 8, at * 8 + 8) - at * 8, "{:?}", piece);
            if odd < 8 {
                break;
            }
        }
    }
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[\\x00-\\x7f]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[ -~]{0,8}", inner), 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn all_that_is_json_is_walked(document in document(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let text = text.unwrap();
        prop_assert_eq!(scanned(&text), Some(text.as_str()));
        agrees(&text);
    }

    #[test]
    fn what_is_walked_is_what_serde_sees(document in document(), cuts in prop::collection::vec((any::<prop::sample::Index>(), "[\"\\\\\\[\\]{}:,0-9eE.+\\-tfnu \\x00\\x1f\\x80é]{0,2}", 0_usize..3), 1..4)) {
        let mut text = document.to_string();
        for (at, put, out) in cuts {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let from = at.index(places.len());
            let to = (from + out).min(places.len() - 1);
            text.replace_range(places[from]..places[to], &put);
        }
        agrees(&text);
    }

    #[test]
    fn odd_text_is_what_serde_sees(text in "[\"\\\\\\[\\]{}:,0-9eE.+\\-tfnu \\n]{0,24}") {
        agrees(&text);
    }
}

#[test]
fn a_count_is_digits_and_nothing_else() {
    let count = |text| Scan::new(text).count();
    for (text, counted) in [
        ("52,", 52),
        ("0}", 0),
        ("7", 7),
        ("9 ", 9),
        ("1\n", 1),
        ("123456789012345678]", 123_456_789_012_345_678),
    ] {
        assert_eq!(count(text), Some(counted), "{text:?}");
    }
    for text in ["", "-1", "01,", "00", "1.5", "1e3", "1a", "1\"", "1234567890123456789", "null"] {
        assert_eq!(count(text), None, "{text:?}");
    }
}
