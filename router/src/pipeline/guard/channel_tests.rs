//! Whatever the cut, a channel gives what judging the whole text gives, and never a byte too early.

use proptest::prelude::*;

use super::channel::{Channel, Needs, Window};
use super::masks::{Mask, apply, merge};

/// Finds a word, as a guard would.
fn find(text: &str, word: &str) -> Vec<Mask> {
    text.match_indices(word)
        .map(|(at, hit)| Mask { range: at..at + hit.len(), replacement: "[#]".to_owned() })
        .collect()
}

fn needs(word: &str) -> Needs {
    Needs { lookahead: word.len() - 1, overlap: word.len() - 1 }
}

/// Runs every check over what is there and returns what may leave.
fn turn(channel: &mut Channel, words: &[&str], last: bool) -> String {
    for (check, word) in words.iter().enumerate() {
        let Some(window) = channel.window(check, last) else { continue };
        let masks = find(&window.text, word);
        channel.judged(check, &window, last, masks, Vec::new());
    }
    channel.release()
}

fn streamed(pieces: &[&str], words: &[&str], json: bool) -> Vec<String> {
    let mut channel = Channel::new(words.iter().map(|word| needs(word)), json);
    let mut out: Vec<String> = pieces
        .iter()
        .map(|piece| {
            channel.push(piece);
            turn(&mut channel, words, false)
        })
        .collect();
    channel.end();
    out.push(turn(&mut channel, words, true));
    out
}

fn whole(text: &str, words: &[&str]) -> String {
    apply(text, &merge(words.iter().flat_map(|word| find(text, word)).collect()))
}

#[test]
fn a_word_cut_anywhere_never_leaves_and_the_rest_is_not_held_longer_than_needed() {
    let text = "say swordfish é swordfis";
    for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
        let out = streamed(&[&text[..cut], &text[cut..]], &["swordfish"], false);
        assert_eq!(out.concat(), "say [#] é swordfis", "cut at {cut}");
        if cut < 4 {
            continue;
        }
        let held = cut - out[0].replace("[#]", "swordfish").len();
        // The lookahead, and before it a match that could still grow.
        let most = 2 * "swordfish".len() - 1;
        assert!(held <= most, "{held} bytes were held at cut {cut}");
    }
}

#[test]
fn without_lookahead_everything_leaves_at_once() {
    let mut channel = Channel::new([Needs::default()].into_iter(), false);
    channel.push("abc");
    let window = channel.window(0, false).unwrap();
    assert_eq!(window, Window { text: "abc".to_owned(), overlap: 0, state: Vec::new() });
    channel.judged(0, &window, false, Vec::new(), vec![7]);
    assert_eq!(channel.release(), "abc");
    assert_eq!(channel.window(0, false), None, "nothing new");
    channel.push("d");
    let window = channel.window(0, false).unwrap();
    assert_eq!((window.text.as_str(), window.state.as_slice()), ("d", [7].as_slice()));
}

#[test]
fn a_match_that_grows_is_held_until_it_ends() {
    let mut channel = Channel::new([Needs { lookahead: 2, overlap: 0 }].into_iter(), false);
    let digits = |text: &str| {
        let start = text.find(|c: char| c.is_ascii_digit())?;
        let rest = &text[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |at| start + at);
        Some(Mask { range: start..end, replacement: "#".to_owned() })
    };
    let mut out = String::new();
    for (piece, last) in [("a12", false), ("345", false), ("678 b", false), ("", true)] {
        channel.push(piece);
        if let Some(window) = channel.window(0, last) {
            let masks = digits(&window.text).into_iter().collect();
            channel.judged(0, &window, last, masks, Vec::new());
        }
        out.push_str(&channel.release());
    }
    assert_eq!(out, "a# b");
}

#[test]
fn tool_arguments_stay_json_and_hide_what_escapes_spell() {
    let raw = r#"{"a":"sword\u0066ish","n":1}"#;
    for cut in 0..=raw.len() {
        let out = streamed(&[&raw[..cut], &raw[cut..]], &["swordfish"], true).concat();
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value, serde_json::json!({"a": "[#]", "n": 1}), "cut at {cut}: {out}");
    }
}

#[test]
fn context_is_forgotten_when_nobody_needs_it() {
    let mut channel = Channel::new([needs("swordfish")].into_iter(), false);
    for _ in 0..10_000 {
        channel.push("some words ");
        turn(&mut channel, &["swordfish"], false);
    }
    assert!(format!("{channel:?}").len() < 1_000, "a long stream is kept whole");
}

proptest! {
    #[test]
    fn any_cut_gives_what_the_whole_gives(
        text in "[ab é]{0,60}",
        cuts in prop::collection::vec(0usize..60, 0..8),
        words in prop::collection::vec("[ab é]{1,5}", 1..4),
    ) {
        // Words that overlap themselves (aa in aaa) match differently from different starts: in any scanner.
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(|word| (1..word.len()).all(|at| !word.is_char_boundary(at) || !word.starts_with(&word[at..])))
            .collect();
        prop_assume!(!words.is_empty());
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut.min(text.len()))).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(streamed(&pieces, &words, false).concat(), whole(&text, &words));
    }

    #[test]
    fn any_spans_from_a_guard_are_survived(
        pieces in prop::collection::vec("[aé]{0,6}", 1..8),
        spans in prop::collection::vec((0usize..20, 0usize..20), 0..12),
        lookahead in 0usize..9, overlap in 0usize..9,
    ) {
        let mut channel = Channel::new([Needs { lookahead, overlap }].into_iter(), false);
        let mut spans = spans.into_iter();
        let count = pieces.len();
        let mut out = String::new();
        for (index, piece) in pieces.iter().enumerate() {
            channel.push(piece);
            let last = index + 1 == count;
            if let Some(window) = channel.window(0, last) {
                let masks = spans.next().map(|(start, length)| {
                    let start = window.text.floor_char_boundary(start.min(window.text.len()));
                    let end = window.text.floor_char_boundary((start + length).min(window.text.len())).max(start);
                    Mask { range: start..end, replacement: String::new() }
                });
                channel.judged(0, &window, last, masks.into_iter().collect(), Vec::new());
            }
            out.push_str(&channel.release());
        }
        prop_assert!(out.len() <= pieces.concat().len());
        prop_assert_eq!(channel.unseen(), 0);
    }
}
