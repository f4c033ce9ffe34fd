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
        let end = match end_of_word(text.as_bytes()).or_else(known) {
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

/// Returns where a word ends that a text starts with: one sign before it at most, capitals, then small letters. Most
/// pieces are such words, and the first pattern takes them as they are; the automaton is asked for the others.
fn end_of_word(text: &[u8]) -> Option<usize> {
    let run = |from: usize, is_in: fn(&u8) -> bool| {
        from + text.get(from..).unwrap_or_default().iter().take_while(|byte| is_in(byte)).count()
    };
    let sign = text.first()?;
    let is_sign = sign.is_ascii() && !sign.is_ascii_alphanumeric() && !matches!(sign, b'\r' | b'\n');
    let small = run(usize::from(is_sign), u8::is_ascii_uppercase);
    let end = run(small, u8::is_ascii_lowercase);
    // A letter that is not ASCII would belong to it, and an apostrophe may begin a contraction.
    let goes_on = text.get(end).is_some_and(|byte| !byte.is_ascii() || *byte == b'\'');
    (end > small && !goes_on).then_some(end)
}

fn end_of_first(patterns: &DFA<&'static [u8]>, text: &str) -> Option<usize> {
    let found = patterns.try_search_fwd(&Input::new(text).anchored(Anchored::Yes)).ok().flatten()?;
    let ahead = match found.pattern().as_usize() {
        LOOKS_AHEAD => text.get(..found.offset())?.chars().next_back()?.len_utf8(),
        _ => 0,
    };
    Some(found.offset() - ahead)
}
