//! Counts a stream's output on its own thread; nothing leaves this file but a number.

use tidegate_prices::tokens;

/// Counts output tokens.
///
/// Where money is held for a stream each piece is counted with a tokenizer and the vendor's margin, and counts at
/// least one; the sum over pieces is not less than the count of the whole. Otherwise only bytes are added up.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    vendor: &'static str,
    exact: bool,
    counted: u64,
    bytes: u64,
}

impl Meter {
    /// Makes a meter.
    #[must_use]
    pub(super) fn new(vendor: &'static str, exact: bool) -> Self {
        Self { vendor, exact, counted: 0, bytes: 0 }
    }

    /// Returns what a piece would count, without counting it.
    #[must_use]
    pub(super) fn weigh(&self, piece: &str) -> u64 {
        if self.exact { tokens::count_piece(piece).max(1) } else { 0 }
    }

    /// Counts a piece of `bytes` that weighs `tokens`.
    pub(super) fn add(&mut self, bytes: u64, tokens: u64) {
        self.bytes += bytes;
        self.counted += tokens;
    }

    /// Returns the output with `more` tokens on top, with the vendor's margin.
    #[must_use]
    pub(super) fn output_with(&self, more: u64) -> u64 {
        if self.exact { tokens::scaled(self.vendor, self.counted + more) } else { self.bytes.div_ceil(4) }
    }

    /// Returns the output so far.
    #[must_use]
    pub(super) fn output(&self) -> u64 {
        self.output_with(0)
    }
}
