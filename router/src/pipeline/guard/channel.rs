//! One text of a stream under guard: what was pushed, how far each check has judged it, and what may leave.
//!
//! Each check sees windows by its own needs. Its **edge** is how far it has judged for good: a window runs from
//! `overlap` bytes before the edge to the end of what is there, and, unless the text is complete, moves the edge to
//! `lookahead` bytes before that end. What lies before every edge may leave. Nothing here waits or calls anybody.

use tidegate_providers::json_text::JsonText;

use super::masks::{Mask, merge};
use super::nesting::Nesting;

/// A mask that begins before the edge but ends behind it is still growing: the edge waits at its start, up to this
/// many bytes. Longer ones are taken as they are.
const LONGEST_GROWING: usize = 64 << 10;

/// What one check needs around a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Bytes after it.
    pub lookahead: usize,
    /// Bytes before it.
    pub overlap: usize,
}

impl Needs {
    /// A lookahead that is never there before the end: the check wants the whole text.
    pub(super) const EVERYTHING: usize = u32::MAX as usize;

    fn wants_all(self) -> bool {
        self.lookahead >= Self::EVERYTHING
    }
}

/// What a check is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Context, then bytes to judge.
    pub text: String,
    /// Length of the context.
    pub overlap: usize,
    /// What the check returned with the window before.
    pub state: Vec<u8>,
}

/// How far one check is.
#[derive(Debug, Default)]
struct Reader {
    needs: Needs,
    /// Judged for good up to here.
    edge: usize,
    /// Whether it was shown everything that is there, and whether that was the end.
    shown: usize,
    closed: bool,
    masks: Vec<Mask>,
    state: Vec<u8>,
}

/// How text leaves.
#[derive(Debug)]
enum Out {
    /// As it is.
    Plain,
    /// As JSON text, of which the checks see the decoded form.
    Json(Box<JsonText>),
}

/// One text. Positions count from the start of the text.
#[derive(Debug)]
pub(super) struct Channel {
    /// Position of the first byte that is kept.
    base: usize,
    text: String,
    released: usize,
    readers: Vec<Reader>,
    out: Out,
    nesting: Nesting,
    masked: bool,
}

impl Channel {
    /// Makes a channel for checks with these needs. `json`: the pieces are JSON text.
    pub(super) fn new(needs: impl Iterator<Item = Needs>, json: bool) -> Self {
        Self {
            base: 0,
            text: String::new(),
            released: 0,
            readers: needs.map(|needs| Reader { needs, ..Reader::default() }).collect(),
            out: if json { Out::Json(Box::default()) } else { Out::Plain },
            nesting: Nesting::default(),
            masked: false,
        }
    }

    /// Adds a piece.
    pub(super) fn push(&mut self, piece: &str) {
        if self.is_closed() {
            self.reopen();
        }
        match &mut self.out {
            Out::Plain => self.text.push_str(piece),
            Out::Json(json) => {
                self.nesting.push(piece);
                json.push(piece);
                self.catch_up();
            }
        }
    }

    /// Returns whether the text is JSON that was begun and is not complete: more of it is sure to come.
    pub(super) fn is_unfinished_json(&self) -> bool {
        matches!(self.out, Out::Json(_)) && !self.is_closed() && !self.nesting.is_complete()
    }

    /// Says that no piece follows.
    pub(super) fn end(&mut self) {
        if let Out::Json(json) = &mut self.out {
            json.finish();
            self.catch_up();
        }
    }

    /// Goes on after an end that was none: the vendor came back to this text. What is context stays context.
    fn reopen(&mut self) {
        for reader in &mut self.readers {
            reader.closed = false;
        }
        if let Out::Json(_) = &self.out {
            // Whatever follows a complete JSON text is none.
            self.out = Out::Plain;
        }
    }

    /// Takes over what was decoded since the last look.
    fn catch_up(&mut self) {
        if let Out::Json(json) = &self.out {
            let known = self.base + self.text.len() - self.released;
            self.text.push_str(json.decoded().get(known..).unwrap_or_default());
        }
    }

    fn length(&self) -> usize {
        self.base + self.text.len()
    }

    /// Returns how many bytes some check was not shown yet.
    pub(super) fn unseen(&self) -> usize {
        let patient = self.readers.iter().filter(|reader| !reader.needs.wants_all());
        let shown = patient.map(|reader| reader.shown).min().unwrap_or(self.length());
        self.length() - shown
    }

    /// Returns how many bytes wait to leave.
    pub(super) fn held(&self) -> usize {
        self.length() - self.released
    }

    /// Returns whether the text is complete and judged.
    pub(super) fn is_closed(&self) -> bool {
        !self.readers.is_empty() && self.readers.iter().all(|reader| reader.closed)
    }

    /// Returns whether a mask was applied.
    pub(super) fn was_masked(&self) -> bool {
        self.masked
    }

    /// Returns the next window of a check, or `None` when there is nothing new for it.
    pub(super) fn window(&self, check: usize, last: bool) -> Option<Window> {
        let reader = self.readers.get(check)?;
        if reader.closed || (!last && (reader.shown == self.length() || reader.needs.wants_all())) {
            return None;
        }
        let from = self.floor(reader.edge.saturating_sub(reader.needs.overlap).max(self.base));
        Some(Window {
            text: self.text.get(from - self.base..).unwrap_or_default().to_owned(),
            overlap: reader.edge - from,
            state: reader.state.clone(),
        })
    }

    /// Takes a check's answer to a window of this text; `masks` count from the window's start.
    pub(super) fn judged(
        &mut self,
        check: usize,
        window: &Window,
        last: bool,
        masks: Vec<Mask>,
        state: Vec<u8>,
    ) {
        let Some(old) = self.readers.get(check).map(|reader| reader.edge) else { return };
        let start = old - window.overlap;
        let end = start + window.text.len();
        let lookahead = self.readers[check].needs.lookahead;
        let mut edge = if last { end } else { self.floor(end.saturating_sub(lookahead)).max(old) };
        let mut masks: Vec<Mask> = masks
            .into_iter()
            .map(|mask| Mask { range: mask.range.start + start..mask.range.end + start, ..mask })
            // An insertion at the edge is new; anything else that ends there was judged before.
            .filter(|mask| mask.range.end > old || (mask.range.is_empty() && mask.range.start == old))
            .collect();
        for mask in &masks {
            if mask.range.start < edge && mask.range.end > edge {
                let growing = end - mask.range.start <= LONGEST_GROWING.max(4 * lookahead);
                edge = if growing { mask.range.start.max(old) } else { mask.range.end };
            }
        }
        masks.retain(|mask| mask.range.start < edge || (last && mask.range.start == edge));
        let reader = &mut self.readers[check];
        for mut mask in masks {
            mask.range.start = mask.range.start.max(old);
            reader.masks.push(mask);
        }
        reader.edge = edge;
        reader.shown = end;
        reader.state = state;
        reader.closed = last;
    }

    /// Returns what may leave now, masked: text, or JSON text.
    pub(super) fn release(&mut self) -> String {
        let edge = self.readers.iter().map(|reader| reader.edge).min().unwrap_or(self.length());
        let all_closed = self.readers.iter().all(|reader| reader.closed);
        let mut masks = Vec::new();
        for reader in &mut self.readers {
            masks.extend(reader.masks.iter().cloned());
        }
        let mut masks = merge(masks);
        // A merged mask that reaches behind the edge of a slower check leaves with its last byte.
        let edge = masks
            .iter()
            .filter(|mask| mask.range.start < edge && mask.range.end > edge)
            .map(|mask| mask.range.start)
            .min()
            .unwrap_or(edge);
        if edge < self.released || (edge == self.released && !all_closed) {
            return String::new();
        }
        masks.retain(|mask| {
            mask.range.start >= self.released
                && mask.range.end <= edge
                && (mask.range.start < edge || all_closed)
        });
        for reader in &mut self.readers {
            reader.masks.retain(|mask| mask.range.start >= edge && !(all_closed && mask.range.start == edge));
        }
        self.masked |= !masks.is_empty();
        let from = self.released;
        let leaving = match &mut self.out {
            Out::Plain => {
                let text = self.text.get(from - self.base..edge - self.base).unwrap_or_default();
                for mask in &mut masks {
                    mask.range = mask.range.start - from..mask.range.end - from;
                }
                super::masks::apply(text, &masks)
            }
            Out::Json(json) => {
                let masks: Vec<_> = masks
                    .into_iter()
                    .map(|mask| (mask.range.start - from..mask.range.end - from, mask.replacement))
                    .collect();
                json.release(edge - from, &masks)
            }
        };
        self.released = edge;
        self.forget();
        leaving
    }

    /// Drops what no check needs as context any more.
    fn forget(&mut self) {
        let needed = |reader: &Reader| reader.edge.saturating_sub(reader.needs.overlap);
        let from = self.readers.iter().map(needed).min().unwrap_or(self.released).min(self.released);
        let from = self.floor(from.max(self.base));
        // Moving the rest costs its length: worth it only when most goes.
        if from - self.base > self.text.len() / 2 {
            self.text.drain(..from - self.base);
            self.base = from;
        }
    }

    /// Returns the last character boundary at or before a position.
    fn floor(&self, position: usize) -> usize {
        let at = position.saturating_sub(self.base).min(self.text.len());
        self.base + self.text.floor_char_boundary(at)
    }
}
