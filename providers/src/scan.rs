//! JSON text, walked without a tree and without a copy.
//!
//! Only what is plain is walked. Of anything else (escaped names, deep nesting, what is no JSON) nothing is said, and
//! serde_json decides: whatever is accepted here serde_json accepts with the same result, but not the other way round.

use memchr::memchr2;

use self::piece::PIECE;

/// Deepest nesting that is walked: one bit for each level.
const DEEPEST: u32 = 64;
/// So many bytes of a string are looked at by pieces, the others by a search.
const NEAR: usize = 128;

/// A walk through JSON text. Every method returns `None` when it isn't sure; the walk is of no use then.
///
/// ```
/// use tidegate_providers::Scan;
///
/// let mut scan = Scan::new(r#"{"a": [1, 2], "b": "c"}"#);
/// let mut found = Vec::new();
/// let walked = scan.object(|name, scan| {
///     found.push((name, scan.value()?));
///     Some(())
/// });
/// assert!(walked.is_some() && scan.end().is_some());
/// assert_eq!(found, [("a", "[1, 2]"), ("b", r#""c""#)]);
/// ```
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// Begins a walk.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the first byte of the next value.
    pub fn peek(&mut self) -> Option<u8> {
        self.space();
        self.byte()
    }

    /// Walks through an object. `each` takes the value of each name.
    pub fn object(&mut self, mut each: impl FnMut(&'a str, &mut Self) -> Option<()>) -> Option<()> {
        self.space();
        self.expect(b'{')?;
        self.space();
        if self.byte()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.space();
            let start = self.at + 1;
            let is_plain = self.string()?;
            let name = self.text.get(start..self.at - 1).filter(|_| is_plain)?;
            self.space();
            self.expect(b':')?;
            each(name, self)?;
            self.space();
            match self.byte()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// Walks through an array. `each` takes each value.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.space();
        self.expect(b'[')?;
        self.space();
        if self.byte()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            each(self)?;
            self.space();
            match self.byte()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// Takes any value as it stands.
    pub fn value(&mut self) -> Option<&'a str> {
        self.space();
        let start = self.at;
        // A bit for each level: whether it is an object.
        let (mut levels, mut depth) = (0_u64, 0);
        loop {
            self.space();
            match self.byte()? {
                b'"' => drop(self.string()?),
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    self.space();
                    let is_object = open == b'{';
                    if self.byte()? == if is_object { b'}' } else { b']' } {
                        self.at += 1;
                    } else if depth == DEEPEST {
                        return None;
                    } else {
                        depth += 1;
                        levels = levels << 1 | u64::from(is_object);
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => self.number()?,
            }
            loop {
                if depth == 0 {
                    return self.text.get(start..self.at);
                }
                self.space();
                let is_object = levels & 1 == 1;
                match self.byte()? {
                    b',' => {
                        self.at += 1;
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ => return None,
                }
                self.at += 1;
                depth -= 1;
                levels >>= 1;
            }
        }
    }

    /// Returns what was walked since an earlier place of the same walk.
    pub(crate) fn since(&self, earlier: &Self) -> &'a str {
        self.text.get(earlier.at..self.at).unwrap_or_default()
    }

    /// Takes a number that is nothing but digits, 18 at most, as counts are.
    pub(crate) fn count(&mut self) -> Option<u64> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let (mut digits, mut count) = (0, 0_u64);
        let next = loop {
            match rest.get(digits).unwrap_or(&b' ') {
                digit @ b'0'..=b'9' => count = count.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')),
                next => break next,
            }
            digits += 1;
        };
        // `01`, `1.5` and `1a` are no counts.
        if !(1..=18).contains(&digits)
            || (rest.first() == Some(&b'0') && digits > 1)
            || !matches!(next, b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r')
        {
            return None;
        }
        self.at += digits;
        Some(count)
    }

    /// Says that nothing follows.
    pub fn end(&mut self) -> Option<()> {
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.byte()? == wanted).then(|| self.at += 1)
    }

    fn space(&mut self) {
        // Most JSON is written without.
        if self.byte().is_some_and(|byte| byte > b' ') {
            return;
        }
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// Takes a name, whatever it says, and its colon.
    fn name(&mut self) -> Option<()> {
        self.space();
        self.string()?;
        self.space();
        self.expect(b':')
    }

    /// Takes a string. Returns whether it holds no escape.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        let inside = match self.text.as_bytes().get(self.at..)? {
            [b'"', inside @ ..] => inside,
            _ => return None,
        };
        let length = plain_length(inside);
        if *inside.get(length)? == b'"' {
            self.at += length + 2;
            return Some(true);
        }
        self.escaped(self.at + 1 + length)
    }

    /// Takes what is left of a string from its first escape on.
    #[cold]
    fn escaped(&mut self, mut at: usize) -> Option<bool> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(at)? {
                b'"' => {
                    self.at = at + 1;
                    return Some(false);
                }
                b'\\' => {}
                _ => return None,
            }
            match bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' => {
                    let digits = bytes.get(at + 2..at + 6)?;
                    digits.iter().all(u8::is_ascii_hexdigit).then(|| at += 6)?;
                }
                _ => return None,
            }
            at += plain_length(bytes.get(at..)?);
        }
    }

    fn number(&mut self) -> Option<()> {
        if self.byte()? == b'-' {
            self.at += 1;
        }
        if self.byte()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        // `01` and `1a` are nothing; what may follow is seen by whoever looks next.
        (!self.byte().is_some_and(|byte| byte.is_ascii_alphanumeric())).then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// Returns how many bytes come before a quote, a backslash or a control character: how long a JSON string is whose inside
/// they begin with, as far as it is plain.
///
/// ```
/// assert_eq!(tidegate_providers::plain_length(b"a word\", and more"), 6);
/// ```
#[must_use]
#[inline]
pub fn plain_length(text: &[u8]) -> usize {
    // Most strings are names and words, shorter than what it takes to begin a search.
    let (pieces, rest) = text.as_chunks();
    for (at, piece) in pieces.iter().take(NEAR / PIECE).enumerate() {
        let odd = piece::odd(piece);
        if odd < PIECE {
            return at * PIECE + odd;
        }
    }
    if pieces.len() > NEAR / PIECE {
        return plain_length_far(text, NEAR);
    }
    pieces.len() * PIECE + plain_length_of_few(rest)
}

/// The same of less than a piece, as it stands at the end of a document. Apart, because few strings come here.
#[inline(never)]
fn plain_length_of_few(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks();
    for (at, word) in words.iter().enumerate() {
        let odd = word::odd(word);
        if odd < word::PIECE {
            return at * word::PIECE + odd;
        }
    }
    let odd = rest.iter().position(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\'));
    words.len() * word::PIECE + odd.unwrap_or(rest.len())
}

/// The same of a long text that is plain up to `length`. Apart as well.
#[inline(never)]
fn plain_length_far(text: &[u8], length: usize) -> usize {
    let rest = text.get(length..).unwrap_or_default();
    let found = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    let piece = rest.get(..found).unwrap_or(rest);
    // No early end: so many bytes are compared at once.
    if piece.iter().fold(false, |odd, byte| odd | (*byte < b' ')) {
        return length + piece.iter().take_while(|byte| **byte >= b' ').count();
    }
    length + found
}

/// A piece of a string, all bytes of which are looked at together.
#[cfg(target_arch = "x86_64")]
mod piece {
    use safe_arch::{
        cmp_eq_mask_i8_m128i, load_unaligned_m128i, min_u8_m128i, move_mask_i8_m128i, set_splat_i8_m128i,
    };

    pub(super) const PIECE: usize = 16;

    /// Returns where the first byte is that is not plain; more than there are where all are.
    #[inline]
    pub(super) fn odd(piece: &[u8; PIECE]) -> usize {
        let piece = load_unaligned_m128i(piece);
        let is = |byte: u8| cmp_eq_mask_i8_m128i(piece, set_splat_i8_m128i(byte.cast_signed()));
        let is_control = cmp_eq_mask_i8_m128i(min_u8_m128i(piece, set_splat_i8_m128i(31)), piece);
        move_mask_i8_m128i(is(b'"') | is(b'\\') | is_control).trailing_zeros() as usize
    }
}
#[cfg(not(target_arch = "x86_64"))]
use word as piece;

/// The same with the registers that every machine has.
mod word {
    pub(super) const PIECE: usize = 8;
    const ONES: u64 = u64::from_ne_bytes([1; 8]);

    #[inline]
    pub(super) fn odd(piece: &[u8; PIECE]) -> usize {
        let word = u64::from_le_bytes(*piece);
        // With this bit turned a quote comes behind the control characters, and what was there does not.
        let turned = word ^ (ONES * 2);
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let is_low = turned.wrapping_sub(ONES * (u64::from(b' ') + 1)) & !turned;
        let odd = (is_low | backslash.wrapping_sub(ONES) & !backslash) & (ONES << 7);
        // The first is exact; those behind it may be a borrow.
        (odd.trailing_zeros() / 8) as usize
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
