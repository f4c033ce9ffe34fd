//! Counts a stream's output on its own thread; nothing leaves this file but a number.

use tidegate_prices::tokens;

/// Text that waits to be counted is counted when it is this long, so that it takes little memory. Most answers are
/// shorter, and their vendor says what they are: then nobody ever counts.
const LONGEST: usize = 16 << 10;

/// Counts output tokens.
///
/// Where money is held for a stream, text is counted with a tokenizer and the vendor's margin, and each piece of it
/// counts at least one. A token has at least one byte: as long as the holds afford a token for each byte that waits,
/// nobody needs to know more, and the tokenizer is not asked. Elsewhere only bytes are added up.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    /// What a thousand counted tokens are with the vendor's margin.
    per_mille: u64,
    exact: bool,
    counted: u64,
    bytes: u64,
    /// Text that was not counted yet: what was kept, then what was noted since.
    waiting: String,
    kept: Noted,
    fresh: Noted,
}

/// A part of the text that waits.
#[derive(Clone, Copy, Debug, Default)]
struct Noted {
    bytes: u64,
    pieces: u64,
    /// Bytes, and one for each piece without any.
    most: u64,
}

impl Meter {
    /// Makes a meter.
    #[must_use]
    pub(super) fn new(vendor: &'static str, exact: bool) -> Self {
        Self {
            per_mille: tokens::scaled(vendor, 1_000),
            exact,
            counted: 0,
            bytes: 0,
            waiting: String::new(),
            kept: Noted::default(),
            fresh: Noted::default(),
        }
    }

    /// Notes a piece of output; it counts once it is kept.
    pub(super) fn note(&mut self, piece: &str) {
        let bytes = piece.len() as u64;
        self.fresh.bytes += bytes;
        if self.exact {
            self.fresh.pieces += 1;
            self.fresh.most += bytes.max(1);
            self.waiting.push_str(piece);
        }
    }

    /// Returns whether pieces are noted that must be paid for.
    #[must_use]
    pub(super) fn has_fresh(&self) -> bool {
        self.fresh.pieces > 0
    }

    /// Returns what the output would be with what is noted, where that is more than the holds afford.
    pub(super) fn exceeds(&mut self, affords: u64) -> Option<u64> {
        if !self.has_fresh() || self.scaled(self.counted + self.kept.most + self.fresh.most) <= affords {
            return None;
        }
        self.count();
        // What was kept is known now: perhaps that is enough already.
        if self.scaled(self.counted + self.fresh.most) <= affords {
            return None;
        }
        let output = self.scaled(self.counted + counted(&self.waiting, self.fresh));
        (output > affords).then_some(output)
    }

    /// Keeps what is noted.
    pub(super) fn keep(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        self.bytes += fresh.bytes;
        self.kept.bytes += fresh.bytes;
        self.kept.pieces += fresh.pieces;
        self.kept.most += fresh.most;
        if self.waiting.len() > LONGEST {
            self.count();
        }
    }

    /// Forgets what is noted: it will be noted again.
    pub(super) fn forget(&mut self) {
        self.fresh = Noted::default();
        self.waiting.truncate(self.end_of_kept());
    }

    /// Returns the output that was kept.
    #[must_use]
    pub(super) fn output(&self) -> u64 {
        if !self.exact {
            return self.bytes.div_ceil(4);
        }
        let kept = self.waiting.get(..self.end_of_kept()).unwrap_or_default();
        self.scaled(self.counted + counted(kept, self.kept))
    }

    /// Returns whether any output was kept.
    #[must_use]
    pub(super) fn has_output(&self) -> bool {
        self.bytes > 0 || self.counted + self.kept.pieces > 0
    }

    /// Counts the text that was kept.
    fn count(&mut self) {
        let end = self.end_of_kept();
        let kept = std::mem::take(&mut self.kept);
        self.counted += counted(self.waiting.get(..end).unwrap_or_default(), kept);
        self.waiting.drain(..end);
    }

    fn end_of_kept(&self) -> usize {
        usize::try_from(self.kept.bytes).unwrap_or(usize::MAX).min(self.waiting.len())
    }

    fn scaled(&self, tokens: u64) -> u64 {
        if self.per_mille == 1_000 {
            return tokens;
        }
        let scaled = (u128::from(tokens) * u128::from(self.per_mille)).div_ceil(1_000);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }
}

/// Counts a text that came in pieces: a piece is a token at least.
fn counted(text: &str, noted: Noted) -> u64 {
    tokens::count(text).max(noted.pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(meter: &mut Meter, piece: &str) {
        meter.note(piece);
        meter.keep();
    }

    #[test]
    fn text_is_counted_as_a_whole_and_a_piece_is_a_token_at_least() {
        let mut meter = Meter::new("openai", true);
        for piece in ["Hello", ",", " wor", "ld", "!"] {
            keep(&mut meter, piece);
        }
        assert_eq!(meter.output(), 5);
        keep(&mut meter, " How are you doing on this fine day?");
        assert_eq!(meter.output(), tokens::count("Hello, world! How are you doing on this fine day?"));
    }

    #[test]
    fn what_the_holds_do_not_afford_is_not_kept() {
        let mut meter = Meter::new("openai", true);
        keep(&mut meter, "tokenization");
        meter.note(" is great");
        assert_eq!(meter.exceeds(3), Some(4));
        meter.forget();
        assert_eq!(meter.output(), tokens::count("tokenization"));
        meter.note(" is great");
        assert_eq!(meter.exceeds(4), None);
        meter.keep();
        assert_eq!(meter.output(), 4);
        meter.note("");
        assert_eq!(meter.exceeds(4), Some(5), "an empty piece is a token");
    }

    #[test]
    fn the_vendors_margin_is_on_top() {
        let mut meter = Meter::new("nobody", true);
        keep(&mut meter, "one two three four");
        assert_eq!(meter.output(), tokens::scaled("nobody", 4));
        assert!(meter.has_output());
    }

    #[test]
    fn without_holds_bytes_are_counted() {
        let mut meter = Meter::new("openai", false);
        keep(&mut meter, "12345");
        assert_eq!((meter.output(), meter.exceeds(0)), (2, None));
    }

    #[test]
    fn long_text_is_counted_on_the_way() {
        let mut meter = Meter::new("openai", true);
        let piece = "All quiet at the harbour. ";
        for _ in 0..2_000 {
            keep(&mut meter, piece);
        }
        assert!(meter.waiting.len() <= LONGEST && meter.counted > 0);
        let whole = tokens::count(&piece.repeat(2_000));
        assert!(meter.output().abs_diff(whole) <= 10, "{} of {whole}", meter.output());
    }
}
