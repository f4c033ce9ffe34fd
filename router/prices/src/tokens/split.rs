//! How `o200k_base` splits a text into the pieces that are encoded one by one.

use std::sync::LazyLock;

use regex_automata::dfa::Automaton;
use regex_automata::dfa::sparse::DFA;
use regex_automata::{Anchored, Input};

/// The number of the pattern that ends with a look-ahead, see the build script.
const LOOKS_AHEAD: usize = 1;

/// The patterns as one automaton, which the build script made: it is checked at its first use and takes no memory.
static PATTERNS: LazyLock<Option<DFA<&'static [u8]>>> = LazyLock::new(|| {
    let bytes: &'static [u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k.dfa"));
    DFA::from_bytes(bytes).ok().map(|(automaton, _)| automaton)
});

/// Returns the pieces of a text, which together are the text.
pub(super) fn split(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let known = || PATTERNS.as_ref().and_then(|patterns| end_of_first(patterns, text));
        let end = match end_of_plain(text.as_bytes()).or_else(known) {
            Some(end) => end,
            None if text.is_empty() => return None,
            // Some pattern matches at the start of any text.
            None => text.len(),
        };
        let (piece, rest) = text.split_at_checked(end)?;
        text = rest;
        Some(piece)
    })
}

/// Returns where the first piece ends of a text that starts with plain ASCII, as most do; the automaton is asked for the
/// others.
fn end_of_plain(text: &[u8]) -> Option<usize> {
    let first = *text.first()?;
    if first.is_ascii_digit() {
        let end = text.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
        return (end == 3 || is_ascii_or_end(text, end)).then_some(end);
    }
    if !first.is_ascii() || matches!(first, b'\r' | b'\n') {
        return None;
    }
    let sign = usize::from(!first.is_ascii_alphabetic());
    let Some(second) = text.get(sign) else { return Some(1) };
    if second.is_ascii_alphabetic() {
        return end_of_word(text, sign);
    }
    if first == b' ' && second.is_ascii_digit() {
        return Some(1);
    }
    let is_mark = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric() && !is_space(*byte);
    let from = usize::from(first == b' ');
    let end = run(text, from, is_mark);
    (end > from && is_ascii_or_end(text, end))
        .then(|| run(text, end, |byte| matches!(byte, b'\r' | b'\n' | b'/')))
}

/// Returns where a word ends: capitals, then small letters.
fn end_of_word(text: &[u8], start: usize) -> Option<usize> {
    let end = run(text, run(text, start, u8::is_ascii_uppercase), u8::is_ascii_lowercase);
    // A letter that is not ASCII would belong to it, and an apostrophe may begin a contraction.
    (is_ascii_or_end(text, end) && text.get(end) != Some(&b'\'')).then_some(end)
}

/// Returns where the bytes end, from here on, that are such.
fn run(text: &[u8], from: usize, is_such: impl Fn(&u8) -> bool) -> usize {
    from + text.get(from..).unwrap_or_default().iter().take_while(|byte| is_such(byte)).count()
}

fn is_ascii_or_end(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(u8::is_ascii)
}

/// As `\s` has it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

fn end_of_first(patterns: &DFA<&'static [u8]>, text: &str) -> Option<usize> {
    let found = patterns.try_search_fwd(&Input::new(text).anchored(Anchored::Yes)).ok().flatten()?;
    let ahead = match found.pattern().as_usize() {
        LOOKS_AHEAD => text.get(..found.offset())?.chars().next_back()?.len_utf8(),
        _ => 0,
    };
    Some(found.offset() - ahead)
}
