//! [`JsonText`]: the text that came and is not yet released.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::escape::{Escape, read};
use super::mask::{Head, Masker};
use super::run::{Kind, Runs};

/// Released bytes are dropped once they are so many and most of the buffer, so that dropping costs nothing per byte.
const WORTH_DROPPING: usize = 4096;

/// JSON text in pieces, with its strings decoded. The module's docs show its use.
#[derive(Clone, Debug, Default)]
pub struct JsonText {
    raw: Tail,
    decoded: Tail,
    /// How much of `raw` is shown in `decoded`. The rest is a cut escape.
    scanned: usize,
    runs: Runs,
    state: State,
    /// Something stood outside of strings that no JSON has.
    is_broken: bool,
    head: Head,
}

/// Where the text ends so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    InString,
    InNumber,
    /// In `true`, `false` or `null`; what must follow.
    InWord(&'static [u8]),
}

impl JsonText {
    /// Makes an empty text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece. An escape that is cut at its end is not shown before it is complete.
    pub fn push(&mut self, raw: &str) {
        self.raw.text.push_str(raw);
        self.scan(false);
    }

    /// Takes note that nothing follows, and shows what was held as an escape.
    pub fn finish(&mut self) {
        self.scan(true);
    }

    /// Returns the decoded text that is not yet released.
    #[must_use]
    pub fn decoded(&self) -> &str {
        self.decoded.get()
    }

    /// Releases the beginning of [`JsonText::decoded`], `upto` not included, and returns its JSON text with the masks
    /// put in.
    ///
    /// A mask is a byte range of `decoded` and what stands there instead; it is widened to whole characters.
    ///
    /// - In strings the replacement is escaped. A mask over several strings empties all but the first, and leaves the
    ///   structure between.
    /// - A number, `true`, `false` or `null` becomes a string as a whole. If its beginning was released before, its
    ///   other digits become zeros instead.
    /// - A mask over nothing but structure changes nothing, and so does an empty one.
    /// - Of a mask that goes beyond `upto` only the part before is done. Its rest belongs in the next release, best
    ///   with an empty replacement.
    #[must_use]
    pub fn release(&mut self, upto: usize, masks: &[(Range<usize>, String)]) -> String {
        let decoded = self.decoded.get();
        let upto = decoded.floor_char_boundary(upto);
        let raw = self.raw.get();
        let mut masker = Masker::new(self.head, decoded, masks);
        let (mut at, mut raw_at) = (0, 0);
        while at < upto
            && let Some(run) = self.runs.first()
        {
            let take = run.decoded.min(upto - at);
            let raw_take = if take == run.decoded { run.raw } else { take };
            masker.write(run.kind, &raw[raw_at..raw_at + raw_take], at, run.decoded);
            self.runs.drop_front(raw_take, take);
            at += take;
            raw_at += raw_take;
        }
        let (out, head) = masker.finish();
        self.head = head;
        self.decoded.drop_front(at);
        self.raw.drop_front(raw_at);
        self.scanned -= raw_at;
        out
    }

    /// Returns how many bytes the buffers take.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.raw.text.capacity() + self.decoded.text.capacity() + self.runs.capacity()
    }

    /// Shows what came, up to an escape that is cut.
    fn scan(&mut self, is_last: bool) {
        let raw = std::mem::take(&mut self.raw);
        let text = raw.get();
        while self.scanned < text.len() {
            let rest = &text[self.scanned..];
            match self.state {
                State::InString => {
                    if !self.scan_string(rest, is_last) {
                        break;
                    }
                }
                _ if self.is_broken => {
                    let end = memchr(b'"', rest.as_bytes()).map_or(rest.len(), |quote| quote + 1);
                    self.show(Kind::Plain, &rest[..end]);
                    if rest[..end].ends_with('"') {
                        self.state = State::InString;
                    }
                }
                _ => self.scan_between(rest),
            }
        }
        self.raw = raw;
    }

    /// Shows the next of a string; false when it must wait for more.
    fn scan_string(&mut self, rest: &str, is_last: bool) -> bool {
        let end = memchr2(b'"', b'\\', rest.as_bytes()).unwrap_or(rest.len());
        if end > 0 {
            self.show(Kind::Text, &rest[..end]);
            return true;
        }
        if rest.starts_with('"') {
            self.show(if self.is_broken { Kind::Plain } else { Kind::Structure }, "\"");
            self.state = State::Between;
            return true;
        }
        match read(rest, is_last) {
            Escape::Cut => return false,
            Escape::Bad(len) => {
                // An escape of its own: what is left of a masked one could mean something together with its neighbour.
                self.decoded.text.push_str(&rest[..len]);
                self.runs.push(Kind::Escape, len, len);
                self.scanned += len;
            }
            Escape::Char(char, len) => {
                self.decoded.text.push(char);
                self.runs.push(Kind::Escape, len, char.len_utf8());
                self.scanned += len;
            }
        }
        true
    }

    /// Shows the next character outside of strings.
    fn scan_between(&mut self, rest: &str) {
        let Some(&byte) = rest.as_bytes().first() else { return };
        let (kind, next) = match (self.state, byte) {
            (_, b'"') => (Kind::Structure, State::InString),
            (_, b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') => {
                (Kind::Structure, State::Between)
            }
            (State::Between | State::InNumber, b'-' | b'0'..=b'9') => (Kind::Bare, State::InNumber),
            (State::InNumber, b'+' | b'.' | b'e' | b'E') => (Kind::Bare, State::InNumber),
            (State::Between, b't') => (Kind::Bare, State::InWord(b"rue")),
            (State::Between, b'f') => (Kind::Bare, State::InWord(b"alse")),
            (State::Between, b'n') => (Kind::Bare, State::InWord(b"ull")),
            (State::InWord([first, others @ ..]), byte) if byte == *first => {
                (Kind::Bare, State::InWord(others))
            }
            (state, _) => {
                if state != State::Between {
                    self.runs.last_is_plain();
                }
                self.is_broken = true;
                self.state = State::Between;
                return;
            }
        };
        self.show(kind, &rest[..1]);
        self.state = next;
    }

    fn show(&mut self, kind: Kind, text: &str) {
        self.decoded.text.push_str(text);
        self.runs.push(kind, text.len(), text.len());
        self.scanned += text.len();
    }
}

/// A text that grows at its end and is dropped from its beginning.
#[derive(Clone, Debug, Default)]
struct Tail {
    text: String,
    start: usize,
}

impl Tail {
    fn get(&self) -> &str {
        &self.text[self.start..]
    }

    fn drop_front(&mut self, len: usize) {
        self.start += len;
        if self.start == self.text.len() {
            self.text.clear();
            self.start = 0;
        } else if self.start >= WORTH_DROPPING && self.start > self.text.len() / 2 {
            self.text.drain(..self.start);
            self.start = 0;
        }
    }
}
