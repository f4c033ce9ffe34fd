//! Puts masks into JSON text, run by run.

use std::ops::Range;

use serde_json::Value;

use super::run::Kind;

/// How the number or word that is being written began, when its beginning left in an earlier release or run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Head {
    /// Nothing of it was written.
    #[default]
    Nothing,
    /// A part of it, as it came.
    Shown(Digits),
    /// A part of it, then zeros.
    Zeroed(Digits),
    /// A string in its stead.
    Replaced,
}

/// Which zeros may be written next. A number may begin with one zero and not with two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    /// Only the minus was written.
    First,
    /// It began with a zero of ours; no digit may follow before the point.
    NoMore,
    /// Any.
    Any,
}

struct Mask<'m> {
    range: Range<usize>,
    replacement: &'m str,
    is_written: bool,
}

/// Writes the released text.
pub(super) struct Masker<'m> {
    out: String,
    masks: Vec<Mask<'m>>,
    /// The first mask that is not behind us.
    next: usize,
    head: Head,
}

impl<'m> Masker<'m> {
    /// Brings the masks in order. Of masks that overlap, the first one's replacement counts.
    pub(super) fn new(head: Head, decoded: &str, masks: &'m [(Range<usize>, String)]) -> Self {
        let in_text = masks.iter().map(|(range, replacement)| {
            let range = decoded.floor_char_boundary(range.start)..decoded.ceil_char_boundary(range.end);
            Mask { range, replacement, is_written: false }
        });
        let mut sorted: Vec<Mask<'m>> = in_text.filter(|mask| !mask.range.is_empty()).collect();
        sorted.sort_by_key(|mask| mask.range.start);
        sorted.dedup_by(|mask, before| {
            let overlaps = mask.range.start < before.range.end;
            if overlaps {
                before.range.end = before.range.end.max(mask.range.end);
            }
            overlaps
        });
        Self { out: String::new(), masks: sorted, next: 0, head }
    }

    /// Returns what was written, and how the number or word at its end began.
    pub(super) fn finish(self) -> (String, Head) {
        (self.out, self.head)
    }

    /// Writes a run, or as much of it as is released, that stands at `at` of the decoded text. `whole` is the decoded
    /// length of all of it.
    pub(super) fn write(&mut self, kind: Kind, raw: &str, at: usize, whole: usize) {
        while self.masks.get(self.next).is_some_and(|mask| mask.range.end <= at) {
            self.next += 1;
        }
        if kind != Kind::Bare {
            self.head = Head::Nothing;
        }
        match kind {
            Kind::Structure => self.out.push_str(raw),
            Kind::Text | Kind::Plain => self.text(kind, raw, at),
            Kind::Escape if self.touches(at + whole) => self.replacements(at + whole),
            Kind::Escape => self.out.push_str(raw),
            Kind::Bare => self.bare(raw, at + whole),
        }
    }

    fn touches(&self, end: usize) -> bool {
        self.masks.get(self.next).is_some_and(|mask| mask.range.start < end)
    }

    fn text(&mut self, kind: Kind, raw: &str, at: usize) {
        let end = at + raw.len();
        let mut done = at;
        for mask in &mut self.masks[self.next..] {
            if mask.range.start >= end {
                break;
            }
            if let Some(shown) = mask.range.start.checked_sub(at) {
                self.out.push_str(&raw[done - at..shown]);
            }
            if !std::mem::replace(&mut mask.is_written, true) {
                match kind {
                    Kind::Plain => self.out.push_str(mask.replacement),
                    _ => push_escaped(&mut self.out, mask.replacement),
                }
            }
            done = mask.range.end.min(end);
        }
        self.out.push_str(&raw[done - at..]);
    }

    /// Writes the replacements of all masks that begin before `end` and found no place yet.
    fn replacements(&mut self, end: usize) {
        for mask in self.masks[self.next..].iter_mut().take_while(|mask| mask.range.start < end) {
            if !std::mem::replace(&mut mask.is_written, true) {
                push_escaped(&mut self.out, mask.replacement);
            }
        }
    }

    fn bare(&mut self, raw: &str, end: usize) {
        self.head = match self.head {
            Head::Replaced => Head::Replaced,
            Head::Nothing if self.touches(end) => {
                self.out.push('"');
                self.replacements(end);
                self.out.push('"');
                Head::Replaced
            }
            Head::Shown(digits) if self.touches(end) => self.zeros(raw, digits),
            Head::Zeroed(digits) => self.zeros(raw, digits),
            Head::Nothing | Head::Shown(_) => {
                let is_minus = self.head == Head::Nothing && raw == "-";
                self.out.push_str(raw);
                Head::Shown(if is_minus { Digits::First } else { Digits::Any })
            }
        };
    }

    fn zeros(&mut self, raw: &str, mut digits: Digits) -> Head {
        for byte in raw.chars() {
            if !byte.is_ascii_digit() {
                self.out.push(byte);
                digits = Digits::Any;
            } else if digits != Digits::NoMore {
                self.out.push('0');
                if digits == Digits::First {
                    digits = Digits::NoMore;
                }
            }
        }
        Head::Zeroed(digits)
    }
}

fn push_escaped(out: &mut String, text: &str) {
    let quoted = Value::from(text).to_string();
    out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
}
