//! JSON text, walked without a tree and without a copy.
//!
//! Only what is plain is walked. Of anything else (escaped names, deep nesting, what is no JSON) nothing is said, and
//! serde_json decides: whatever is accepted here serde_json accepts with the same result, but not the other way round.

use memchr::memchr2;

/// Deepest nesting that is walked: one bit for each level.
const DEEPEST: u32 = 64;
/// So many bytes of a string are looked at by eights, the others by a search.
const NEAR: usize = 64;

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
        let digits = rest.iter().take(19).take_while(|byte| byte.is_ascii_digit()).count();
        let (first, next) = (rest.first()?, rest.get(digits).copied().unwrap_or(b' '));
        // `01`, `1.5` and `1a` are no counts.
        if !(1..=18).contains(&digits)
            || (*first == b'0' && digits > 1)
            || !matches!(next, b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r')
        {
            return None;
        }
        self.at += digits;
        Some(rest[..digits].iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
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
    fn string(&mut self) -> Option<bool> {
        let bytes = self.text.as_bytes();
        if self.byte()? != b'"' {
            return None;
        }
        let (mut at, mut is_plain) = (self.at + 1, true);
        loop {
            at += plain_length(bytes.get(at..)?);
            match bytes.get(at)? {
                b'"' => {
                    self.at = at + 1;
                    return Some(is_plain);
                }
                b'\\' => is_plain = false,
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
pub fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let mut length = 0;
    // Most strings are names and words, shorter than what it takes to begin a search.
    while length < NEAR
        && let Some(word) = text.get(length..).and_then(|rest| rest.first_chunk())
    {
        let word = u64::from_le_bytes(*word);
        let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let (quote, backslash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
        let odd = (is_zero(quote) | is_zero(backslash) | control) & (ONES << 7);
        if odd != 0 {
            // The first is exact; those behind it may be a borrow.
            return length + (odd.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    let rest = text.get(length..).unwrap_or_default();
    let found = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    let piece = rest.get(..found).unwrap_or(rest);
    // No early end: so many bytes are compared at once.
    if piece.iter().fold(false, |odd, byte| odd | (*byte < b' ')) {
        return length + piece.iter().take_while(|byte| **byte >= b' ').count();
    }
    length + found
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
