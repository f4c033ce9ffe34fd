//! Whether spans fit the text they are for.

use crate::{Mask, Piece, Span};

/// Checks the masks of an answer against the pieces of its subject.
pub(crate) fn check_masks(pieces: &[Piece], masks: &[Mask]) -> Result<(), String> {
    let mut seen = vec![false; pieces.len()];
    for mask in masks {
        let piece =
            usize::try_from(mask.piece).ok().and_then(|index| pieces.get(index).zip(seen.get_mut(index)));
        let Some((piece, seen)) = piece else {
            return Err(format!("there is no piece {}, only {}", mask.piece, pieces.len()));
        };
        if std::mem::replace(seen, true) {
            return Err(format!("piece {} is masked twice", mask.piece));
        }
        check_spans(&piece.text, &mask.spans).map_err(|error| format!("piece {}: {error}", mask.piece))?;
    }
    Ok(())
}

/// Checks that spans ascend without overlap, lie in the text and cut no character.
pub(crate) fn check_spans(text: &str, spans: &[Span]) -> Result<(), String> {
    let mut free_from = 0;
    for &Span { start, end, .. } in spans {
        if start > end {
            return Err(format!("span {start}..{end} ends before it starts"));
        }
        if start < free_from {
            return Err(format!("span {start}..{end} overlaps or precedes the one before"));
        }
        for at in [start, end] {
            // Also false beyond the end of the text.
            if !usize::try_from(at).is_ok_and(|at| text.is_char_boundary(at)) {
                return Err(format!("{at} is inside of a character or beyond {} bytes", text.len()));
            }
        }
        free_from = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(start: u32, end: u32) -> Span {
        Span { start, end, replacement: "*".to_owned() }
    }

    fn piece(text: &str) -> Piece {
        Piece { kind: "text".to_owned(), role: "user".to_owned(), index: 0, text: text.to_owned() }
    }

    #[test]
    fn spans_that_fit_are_taken() {
        assert_eq!(check_spans("grün", &[span(0, 2), span(2, 4), span(5, 5)]), Ok(()));
        assert_eq!(check_spans("", &[]), Ok(()));
    }

    #[test]
    fn spans_out_of_range_backwards_overlapping_or_inside_of_a_character_are_refused() {
        for spans in [
            vec![span(0, 6)],
            vec![span(u32::MAX, u32::MAX)],
            vec![span(2, 1)],
            vec![span(0, 2), span(1, 4)],
            vec![span(4, 5), span(0, 1)],
            vec![span(0, 3)],
            vec![span(3, 4)],
        ] {
            assert!(check_spans("grün", &spans).is_err(), "{spans:?}");
        }
    }

    #[test]
    fn masks_name_each_piece_once() {
        let pieces = [piece("one"), piece("two")];
        let mask = |piece| Mask { piece, spans: vec![span(0, 3)] };
        assert_eq!(check_masks(&pieces, &[mask(1), mask(0)]), Ok(()));
        assert!(check_masks(&pieces, &[mask(2)]).is_err());
        assert!(check_masks(&pieces, &[mask(0), mask(0)]).is_err());
    }

    /// Replaces as the gateway does.
    fn apply(text: &str, spans: &[Span]) -> Option<String> {
        let (mut masked, mut at) = (String::new(), 0);
        for span in spans {
            let (start, end) = (span.start as usize, span.end as usize);
            masked.push_str(text.get(at..start)?);
            text.get(start..end)?;
            masked.push_str(&span.replacement);
            at = end;
        }
        masked.push_str(text.get(at..)?);
        Some(masked)
    }

    proptest! {
        #[test]
        fn spans_are_taken_exactly_if_they_can_be_applied(
            text in "[a-zäß漢🦀]{0,12}",
            ends in prop::collection::vec((0_u32..40, 0_u32..40), 0..4),
        ) {
            let spans: Vec<Span> = ends.into_iter().map(|(start, end)| span(start, end)).collect();
            prop_assert_eq!(check_spans(&text, &spans).is_ok(), apply(&text, &spans).is_some());
        }

        #[test]
        fn spans_made_of_a_texts_own_boundaries_are_taken(
            text in "[a-zäß漢🦀]{0,12}",
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bounds: Vec<u32> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).map(|at| at as u32).collect();
            let mut ends: Vec<u32> = picks.iter().map(|pick| *pick.get(&bounds)).collect();
            ends.sort_unstable();
            let spans: Vec<Span> = ends.chunks_exact(2).map(|pair| span(pair[0], pair[1])).collect();
            prop_assert_eq!(check_spans(&text, &spans), Ok(()));
        }

        #[test]
        fn any_spans_of_any_text_are_judged_without_panic(
            text in ".*",
            ends in prop::collection::vec((any::<u32>(), any::<u32>()), 0..6),
        ) {
            let spans: Vec<Span> = ends.into_iter().map(|(start, end)| span(start, end)).collect();
            if check_spans(&text, &spans).is_ok() {
                prop_assert!(apply(&text, &spans).is_some());
            }
        }
    }
}
