//! How a text that arrives in parts is shown to a check and let go.
//!
//! The check sees the last `overlap` bytes that were let go, then all that were not. Its spans are applied to what may
//! leave now: all but the last `lookahead` bytes, unless nothing follows. A span that reaches over that point is held
//! from its start, and comes again. Spans that begin in the overlap have no effect: those bytes are gone.

use thiserror::Error;
use tidegate_plugin_host::{Span, StreamWindow, WindowNeeds};

/// Why spans can't be applied to a window.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WindowError {
    /// Backwards, out of order, out of range, or cutting a character.
    #[error("apply span {start}..{end} to a text of {length} bytes")]
    Span {
        /// Its start.
        start: u32,
        /// Its end.
        end: u32,
        /// The text's length.
        length: usize,
    },
}

/// One text of a stream on its way.
#[derive(Clone, Debug)]
pub struct WindowRule {
    needs: WindowNeeds,
    kind: String,
    index: u32,
    /// What was let go last, as it was before masking.
    behind: String,
    /// What was not let go.
    held: String,
    state: Vec<u8>,
}

impl WindowRule {
    /// Returns the rule for a text of a kind and choice.
    #[must_use]
    pub fn new(needs: WindowNeeds, kind: &str, index: u32) -> Self {
        let (behind, held) = (String::new(), String::new());
        Self { needs, kind: kind.to_owned(), index, behind, held, state: Vec::new() }
    }

    /// Takes the next part and returns the window to judge, or `None` where nothing could leave.
    pub fn push(&mut self, part: &str, last: bool) -> Option<StreamWindow> {
        self.held.push_str(part);
        if !last && self.held.len() <= self.needs.lookahead as usize {
            return None;
        }
        Some(StreamWindow {
            text: format!("{}{}", self.behind, self.held),
            overlap: u32::try_from(self.behind.len()).unwrap_or(u32::MAX),
            last,
            kind: self.kind.clone(),
            index: self.index,
            state: self.state.clone(),
        })
    }

    /// Takes what the check said of a window, and returns what leaves.
    ///
    /// # Errors
    /// When a span can't be applied.
    pub fn release(
        &mut self,
        window: &StreamWindow,
        spans: &[Span],
        state: Vec<u8>,
    ) -> Result<String, WindowError> {
        let text = window.text.as_str();
        let gone = window.overlap as usize;
        self.state = state;
        let mut point = text.len();
        if !window.last {
            point =
                text.floor_char_boundary(text.len().saturating_sub(self.needs.lookahead as usize)).max(gone);
        }
        let (mut out, mut done, mut end_before) = (String::new(), gone, 0);
        for span in spans {
            let wrong = || WindowError::Span { start: span.start, end: span.end, length: text.len() };
            let (start, end) = (span.start as usize, span.end as usize);
            if start < end_before || text.get(start..end).is_none() {
                return Err(wrong());
            }
            end_before = end;
            if start < gone || start >= point && !window.last {
                continue;
            }
            if end > point {
                point = start;
                continue;
            }
            out.push_str(text.get(done..start).ok_or_else(wrong)?);
            out.push_str(&span.replacement);
            done = end;
        }
        out.push_str(text.get(done..point).unwrap_or_default());
        self.held = text.get(point..).unwrap_or_default().to_owned();
        let behind = text.get(..point).unwrap_or_default();
        let from = behind.ceil_char_boundary(behind.len().saturating_sub(self.needs.overlap as usize));
        self.behind = behind.get(from..).unwrap_or_default().to_owned();
        Ok(out)
    }
}

/// Returns a whole text with its spans replaced.
pub(crate) fn masked(text: &str, spans: &[Span]) -> Result<String, WindowError> {
    let mut rule = WindowRule::new(WindowNeeds { lookahead: 0, overlap: 0 }, "text", 0);
    match rule.push(text, true) {
        Some(window) => rule.release(&window, spans, Vec::new()),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u32, end: u32) -> Span {
        Span { start, end, replacement: "*".to_owned() }
    }

    fn needs(lookahead: u32, overlap: u32) -> WindowNeeds {
        WindowNeeds { lookahead, overlap }
    }

    #[test]
    fn the_lookahead_is_held_until_the_end_and_the_overlap_comes_again() {
        let mut rule = WindowRule::new(needs(2, 3), "text", 0);
        assert!(rule.push("ab", false).is_none());
        let window = rule.push("cdef", false).unwrap();
        assert_eq!((window.text.as_str(), window.overlap), ("abcdef", 0));
        assert_eq!(rule.release(&window, &[], vec![7]).unwrap(), "abcd");
        let window = rule.push("", true).unwrap();
        assert_eq!((window.text.as_str(), window.overlap, window.last), ("bcdef", 3, true));
        assert_eq!(window.state, [7]);
        assert_eq!(rule.release(&window, &[], vec![]).unwrap(), "ef");
    }

    #[test]
    fn a_span_over_the_release_point_is_held_from_its_start() {
        let mut rule = WindowRule::new(needs(2, 0), "text", 0);
        let window = rule.push("abcdef", false).unwrap();
        assert_eq!(rule.release(&window, &[span(1, 2), span(3, 5)], vec![]).unwrap(), "a*c");
        let window = rule.push("g", true).unwrap();
        assert_eq!(window.text, "defg");
        assert_eq!(rule.release(&window, &[span(0, 2)], vec![]).unwrap(), "*fg");
    }

    #[test]
    fn spans_in_the_overlap_have_no_effect() {
        let mut rule = WindowRule::new(needs(0, 2), "text", 0);
        let window = rule.push("abc", false).unwrap();
        rule.release(&window, &[], vec![]).unwrap();
        let window = rule.push("de", false).unwrap();
        assert_eq!((window.text.as_str(), window.overlap), ("bcde", 2));
        assert_eq!(rule.release(&window, &[span(0, 1), span(1, 2), span(2, 3)], vec![]).unwrap(), "*e");
    }

    #[test]
    fn no_character_is_cut_by_lookahead_or_overlap() {
        let mut rule = WindowRule::new(needs(1, 1), "text", 0);
        let window = rule.push("äé", false).unwrap();
        assert_eq!(rule.release(&window, &[], vec![]).unwrap(), "ä");
        let window = rule.push("ü", true).unwrap();
        assert_eq!((window.text.as_str(), window.overlap), ("éü", 0));
    }

    #[test]
    fn spans_that_fit_nothing_are_refused() {
        for spans in [vec![span(2, 1)], vec![span(0, 9)], vec![span(0, 4)], vec![span(1, 2), span(0, 1)]] {
            assert!(masked("abcé", &spans).is_err(), "{spans:?}");
        }
        assert_eq!(masked("abcé", &[span(0, 1), span(3, 5)]).unwrap(), "*bc*");
    }
}
