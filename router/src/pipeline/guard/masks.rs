//! Masks of several checks over one text become one list: nothing that any of them hides is shown.

use std::ops::Range;

/// Bytes of a text that become something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    /// Which bytes; both ends are character boundaries.
    pub range: Range<usize>,
    /// What stands there instead.
    pub replacement: String,
}

/// Merges masks in the order of their checks. Those that overlap become one over all their bytes, with the replacement
/// of the one that begins first; insertions within a masked range go with it.
pub(super) fn merge(mut masks: Vec<Mask>) -> Vec<Mask> {
    // Stable: of two that begin together the earlier check's stays first, but an insertion goes before a range.
    masks.sort_by_key(|mask| (mask.range.start, !mask.range.is_empty()));
    let mut merged: Vec<Mask> = Vec::with_capacity(masks.len());
    for mask in masks {
        match merged.last_mut() {
            Some(last) if mask.range.start < last.range.end => {
                last.range.end = last.range.end.max(mask.range.end);
            }
            // Two checks insert at one place: both take effect.
            Some(last) if last.range == mask.range => last.replacement.push_str(&mask.replacement),
            _ => merged.push(mask),
        }
    }
    merged
}

/// Returns the text with merged masks applied.
pub(super) fn apply(text: &str, masks: &[Mask]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for mask in masks {
        out.push_str(text.get(done..mask.range.start).unwrap_or_default());
        out.push_str(&mask.replacement);
        done = mask.range.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(start: usize, end: usize, replacement: &str) -> Mask {
        Mask { range: start..end, replacement: replacement.to_owned() }
    }

    #[test]
    fn two_redactors_both_take_effect() {
        let merged = merge(vec![mask(6, 11, "[B]"), mask(0, 5, "[A]")]);
        assert_eq!(apply("hello world", &merged), "[A] [B]");
    }

    #[test]
    fn overlapping_masks_hide_everything_that_either_hides() {
        let merged = merge(vec![mask(4, 11, "[B]"), mask(0, 5, "[A]"), mask(5, 5, "+")]);
        assert_eq!(apply("hello world", &merged), "[A]");
    }

    #[test]
    fn insertions_at_one_place_stand_in_order() {
        let merged = merge(vec![mask(0, 0, "a"), mask(0, 0, "b"), mask(0, 2, "-")]);
        assert_eq!(apply("hello", &merged), "ab-llo");
    }

    proptest! {
        #[test]
        fn no_masked_byte_stays(text in "[a-z]{1,30}", ends in prop::collection::vec((0usize..30, 1usize..9), 0..6)) {
            let masks: Vec<Mask> = ends
                .into_iter()
                .map(|(start, length)| mask(start.min(text.len()), (start + length).min(text.len()), "#"))
                .collect();
            let mut hidden = vec![false; text.len()];
            for mask in &masks {
                hidden[mask.range.clone()].fill(true);
            }
            let out = apply(&text, &merge(masks));
            let shown: String = text.char_indices().filter(|(at, _)| !hidden[*at]).map(|(_, c)| c).collect();
            prop_assert_eq!(out.replace('#', ""), shown);
        }
    }
}
