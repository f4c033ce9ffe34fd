//! Runs: stretches of JSON text that are masked alike.

use std::collections::VecDeque;

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Brackets, commas, colons, blanks and the quotes around strings. Can't be masked.
    Structure,
    /// Text in a string that stands as it is shown.
    Text,
    /// One escape in a string, masked as a whole.
    Escape,
    /// A number, `true`, `false` or `null`, or as much of it as there is.
    Bare,
    /// What no JSON has.
    Plain,
}

/// Neighbouring bytes of one kind. Only an escape has other lengths raw and decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) kind: Kind,
    pub(super) raw: usize,
    pub(super) decoded: usize,
}

/// The runs of the text that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs(VecDeque<Run>);

impl Runs {
    pub(super) fn push(&mut self, kind: Kind, raw: usize, decoded: usize) {
        match self.0.back_mut() {
            Some(last) if last.kind == kind && kind != Kind::Escape => {
                last.raw += raw;
                last.decoded += decoded;
            }
            _ => self.0.push_back(Run { kind, raw, decoded }),
        }
    }

    /// Takes a bare run back that turns out to be none.
    pub(super) fn last_is_plain(&mut self) {
        if let Some(last) = self.0.back_mut().filter(|last| last.kind == Kind::Bare) {
            last.kind = Kind::Plain;
        }
    }

    pub(super) fn first(&self) -> Option<Run> {
        self.0.front().copied()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity() * size_of::<Run>()
    }

    /// Drops the first run, or its first bytes.
    pub(super) fn drop_front(&mut self, raw: usize, decoded: usize) {
        match self.0.front_mut() {
            Some(first) if decoded < first.decoded => {
                first.raw -= raw;
                first.decoded -= decoded;
            }
            _ => {
                self.0.pop_front();
            }
        }
    }
}
