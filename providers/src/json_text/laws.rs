//! What holds for every JSON text, however it is spelled, cut and masked.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

use super::JsonText;

const REPLACEMENT: &str = "[\"M\\\u{7}]";

/// A string or another token, and where it stands in the decoded text.
#[derive(Clone, Debug)]
struct Token {
    range: Range<usize>,
    /// A string's text; `None` for numbers, `true`, `false` and `null`.
    text: Option<String>,
}

/// JSON text in one of its many spellings, with what must be shown of it.
#[derive(Clone, Debug, Default)]
struct Spelled {
    raw: String,
    decoded: String,
    tokens: Vec<Token>,
}

impl Spelled {
    fn both(&mut self, text: &str) {
        self.raw.push_str(text);
        self.decoded.push_str(text);
    }

    fn value(&mut self, value: &Value, dice: &mut impl Iterator<Item = u8>) {
        self.blank(dice);
        match value {
            Value::String(text) => self.string(text, dice),
            Value::Array(list) => {
                self.both("[");
                for (at, value) in list.iter().enumerate() {
                    if at > 0 {
                        self.both(",");
                    }
                    self.value(value, dice);
                }
                self.both("]");
            }
            Value::Object(map) => {
                self.both("{");
                for (at, (name, value)) in map.iter().enumerate() {
                    if at > 0 {
                        self.both(",");
                    }
                    self.string(name, dice);
                    self.both(":");
                    self.value(value, dice);
                }
                self.both("}");
            }
            other => {
                let start = self.decoded.len();
                self.both(&other.to_string());
                self.tokens.push(Token { range: start..self.decoded.len(), text: None });
            }
        }
        self.blank(dice);
    }

    fn blank(&mut self, dice: &mut impl Iterator<Item = u8>) {
        let blanks = ["", "", "", " ", "\n", "\t "];
        let index = usize::from(dice.next().unwrap_or_default()) % blanks.len();
        self.both(blanks[index]);
    }

    fn string(&mut self, text: &str, dice: &mut impl Iterator<Item = u8>) {
        self.both("\"");
        let start = self.decoded.len();
        for char in text.chars() {
            let must = matches!(char, '"' | '\\' | '\0'..='\u{1f}');
            match dice.next().unwrap_or_default() % 6 {
                0 => char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                    self.raw.push_str(&format!("\\u{unit:04x}"));
                }),
                1 => char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                    self.raw.push_str(&format!("\\u{unit:04X}"));
                }),
                2 if char == '/' => self.raw.push_str("\\/"),
                _ if must => {
                    let quoted = Value::from(char.to_string()).to_string();
                    self.raw.push_str(&quoted[1..quoted.len() - 1]);
                }
                _ => self.raw.push(char),
            }
            self.decoded.push(char);
        }
        self.tokens.push(Token { range: start..self.decoded.len(), text: Some(text.to_owned()) });
        self.both("\"");
    }
}

fn spelled() -> impl Strategy<Value = Spelled> {
    let words = prop_oneof!["[a-z\"\\\\/\n\u{1}ö😀]{0,12}", ".{0,6}"];
    let leaf = prop_oneof![
        4 => words.clone().prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => select(&[Value::Null, Value::Bool(true), Value::Bool(false)][..]),
    ];
    let value = leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((words.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    });
    (value, vec(any::<u8>(), 64)).prop_map(|(value, dice)| {
        let mut spelled = Spelled::default();
        spelled.value(&value, &mut dice.into_iter().cycle());
        spelled
    })
}

/// Cuts a text into pieces of these lengths, again and again.
fn pieces<'t>(text: &'t str, lengths: &[usize]) -> Vec<&'t str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, others) = rest.split_at(rest.ceil_char_boundary(*length));
        pieces.push(piece);
        rest = others;
    }
    pieces
}

/// Masks in ascending order that don't overlap, at character boundaries.
fn masks_of(decoded: &str, seeds: &[(usize, usize)]) -> Vec<Range<usize>> {
    let (mut masks, mut from) = (Vec::new(), 0);
    for (gap, length) in seeds {
        let start = decoded.ceil_char_boundary((from + gap).min(decoded.len()));
        let end = decoded.ceil_char_boundary((start + length).min(decoded.len()));
        if start < end {
            masks.push(start..end);
        }
        from = end;
    }
    masks
}

/// Reads a JSON text's strings and other tokens in their order; `None` stands for another token.
fn tokens_of(json: &str) -> Vec<Option<String>> {
    let (mut tokens, mut rest) = (Vec::new(), json);
    while let Some(first) = rest.chars().next() {
        if "{}[],: \t\n\r".contains(first) {
            rest = &rest[1..];
            continue;
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let value = values.next().expect("a token").unwrap_or_else(|error| panic!("{error}: {rest}"));
        tokens.push(value.as_str().map(str::to_owned));
        rest = &rest[values.byte_offset()..];
    }
    tokens
}

/// What a string becomes when these masks, of which some wrote their replacement before, are put in.
fn masked(token: &Token, masks: &[Range<usize>], written: &mut [bool]) -> String {
    let text = token.text.as_deref().unwrap_or_default();
    let (mut out, mut at) = (String::new(), token.range.start);
    for (mask, written) in masks.iter().zip(written) {
        if mask.start >= token.range.end || mask.end <= token.range.start || token.range.is_empty() {
            continue;
        }
        let start = mask.start.max(token.range.start);
        out.push_str(&text[at - token.range.start..start - token.range.start]);
        if !std::mem::replace(written, true) {
            out.push_str(REPLACEMENT);
        }
        at = mask.end.min(token.range.end);
    }
    out.push_str(&text[at - token.range.start..]);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_shown_and_released_does_not_depend_on_the_cuts(
        json in spelled(), cuts in vec(1_usize..9, 1..6), keep in 0_usize..20,
    ) {
        let mut text = JsonText::new();
        let (mut shown, mut out) = (String::new(), String::new());
        for piece in pieces(&json.raw, &cuts) {
            text.push(piece);
            let upto = text.decoded().floor_char_boundary(text.decoded().len().saturating_sub(keep));
            shown.push_str(&text.decoded()[..upto]);
            out.push_str(&text.release(upto, &[]));
        }
        text.finish();
        shown.push_str(text.decoded());
        out.push_str(&text.release(usize::MAX, &[]));
        prop_assert_eq!(shown, json.decoded);
        prop_assert_eq!(out, json.raw);
    }

    #[test]
    fn masks_change_what_they_cover_and_nothing_else(
        json in spelled(), cuts in vec(1_usize..9, 1..6), seeds in vec((0_usize..12, 0_usize..9), 0..8),
    ) {
        let masks = masks_of(&json.decoded, &seeds);
        let mut text = JsonText::new();
        for piece in pieces(&json.raw, &cuts) {
            text.push(piece);
        }
        text.finish();
        let given: Vec<_> = masks.iter().map(|range| (range.clone(), REPLACEMENT.to_owned())).collect();
        let out = text.release(json.decoded.len(), &given);
        prop_assert!(serde_json::from_str::<Value>(&out).is_ok(), "{}", out);

        let mut written = vec![false; masks.len()];
        let got = tokens_of(&out);
        prop_assert_eq!(got.len(), json.tokens.len(), "{}", out);
        for (token, got) in json.tokens.iter().zip(got) {
            let is_touched =
                masks.iter().any(|mask| mask.start < token.range.end && mask.end > token.range.start);
            let wanted = match &token.text {
                Some(_) => Some(masked(token, &masks, &mut written)),
                None if is_touched => {
                    let bare = Token { text: Some(String::new()), ..token.clone() };
                    let mut replaced = String::new();
                    for (mask, written) in masks.iter().zip(&mut written) {
                        let touches = mask.start < bare.range.end && mask.end > bare.range.start;
                        if touches && !std::mem::replace(written, true) {
                            replaced.push_str(REPLACEMENT);
                        }
                    }
                    Some(replaced)
                }
                None => None,
            };
            prop_assert_eq!(got, wanted, "{}", out);
        }
    }

    #[test]
    fn masks_across_releases_leave_valid_json(
        json in spelled(), cuts in vec(1_usize..9, 1..6), keep in 0_usize..20,
        seeds in vec((0_usize..12, 0_usize..9), 0..8),
    ) {
        let masks = masks_of(&json.decoded, &seeds);
        let mut text = JsonText::new();
        let (mut out, mut released) = (String::new(), 0);
        let mut release = |text: &mut JsonText, keep: usize, out: &mut String| {
            let shown = text.decoded().len();
            let upto = text.decoded().floor_char_boundary(shown.saturating_sub(keep));
            let given: Vec<_> = masks
                .iter()
                .filter(|mask| mask.end > released && mask.start < released + shown)
                .map(|mask| {
                    let range = mask.start.saturating_sub(released)..mask.end - released;
                    (range, if mask.start < released { String::new() } else { REPLACEMENT.to_owned() })
                })
                .collect();
            out.push_str(&text.release(upto, &given));
            released += upto;
        };
        for piece in pieces(&json.raw, &cuts) {
            text.push(piece);
            release(&mut text, keep, &mut out);
        }
        text.finish();
        release(&mut text, 0, &mut out);
        prop_assert!(serde_json::from_str::<Value>(&out).is_ok(), "{}", out);

        let got = tokens_of(&out);
        prop_assert_eq!(got.len(), json.tokens.len(), "{}", out);
        for (token, got) in json.tokens.iter().zip(got) {
            if token.text.is_none() {
                continue;
            }
            // Which string has a replacement depends on the cuts; what was not masked does not.
            let wanted = masked(token, &masks, &mut vec![true; masks.len()]);
            let got = got.expect("a string stays a string");
            prop_assert_eq!(got.replace(REPLACEMENT, ""), wanted.replace(REPLACEMENT, ""), "{}", out);
        }
    }

    #[test]
    fn text_that_is_no_json_passes_and_is_masked_too(
        raw in "[a-z0-9{}\\[\\]\",: \\\\u\n-]{0,40}", cuts in vec(1_usize..9, 1..6),
        seeds in vec((0_usize..12, 0_usize..9), 0..8),
    ) {
        let mut text = JsonText::new();
        for piece in pieces(&raw, &cuts) {
            text.push(piece);
        }
        text.finish();
        let mut untouched = text.clone();
        prop_assert_eq!(untouched.release(usize::MAX, &[]), raw);
        let masks = masks_of(text.decoded(), &seeds);
        let given: Vec<_> = masks.into_iter().map(|range| (range, String::new())).collect();
        let _ = text.release(usize::MAX, &given);
        prop_assert_eq!(text.decoded(), "");
    }
}
