//! What every match of a pattern holds: a search for it is much shorter than the pattern's own, and says of most texts
//! that nothing matches.
//!
//! A pattern is read as far as it is plain (characters, classes, groups, alternatives, repetitions); of any other nothing
//! is known, and nothing is skipped. Only texts of ASCII are looked through, and all errors are on one side: what a
//! scout lets through may match, what it holds back can't.

/// A set of ASCII characters, a bit for each.
type Set = u128;
/// Characters side by side.
type Run = Vec<Set>;

/// Characters that one search can hold: it keeps its places in the bits of a word.
const MOST: usize = 64;
/// Longest run that is followed.
const LONGEST: usize = 32;
/// Deepest nesting of groups that is followed.
const DEEPEST: usize = 32;
/// Runs that pass over less than 15 of 16 places (2 to the power of this) are not worth a search.
const LEAST_BITS: u32 = 4;
/// Most runs of which one is held: a list of more words is not looked for.
const MOST_RUNS: usize = MOST / 2;

/// A search for runs of which every match holds one (Baeza-Yates and Gonnet's "shift and", with sets).
#[derive(Debug)]
pub(crate) struct Scout {
    /// Which places of the runs a character may stand at.
    places: Box<[u64; 128]>,
    first: u64,
    last: u64,
    /// Characters of the shortest run.
    shortest: usize,
}

impl Scout {
    /// Reads a pattern. `None` where nothing is known of its matches.
    pub(crate) fn new(pattern: &str, flags: &str) -> Option<Self> {
        let folds = flags.contains('i');
        // What is alike beyond ASCII then, and what `y` asks for, is for others to know.
        if !pattern.is_ascii() || flags.contains('y') || folds && flags.contains('u') {
            return None;
        }
        let mut reader =
            Reader { rest: pattern.as_bytes(), folds, dot_is_all: flags.contains('s'), depth: 0 };
        let known = reader.alternatives()?;
        if !reader.rest.is_empty() || bits(&known.held) < LEAST_BITS {
            return None;
        }
        let each = MOST / known.held.len();
        let mut scout = Self { places: Box::new([0; 128]), first: 0, last: 0, shortest: each };
        let mut at = 0;
        for run in &known.held {
            scout.first |= 1 << at;
            scout.shortest = scout.shortest.min(run.len());
            for set in run.iter().take(each) {
                for (character, places) in scout.places.iter_mut().enumerate() {
                    *places |= u64::from(set >> character & 1 == 1) << at;
                }
                at += 1;
            }
            scout.last |= 1 << (at - 1);
        }
        Some(scout)
    }

    /// Returns whether a text may hold a match. Nothing is known of texts beyond ASCII.
    pub(crate) fn lets_through(&self, text: &[u8]) -> bool {
        let places = |at: usize| text.get(at).map(|byte| self.places.get(usize::from(*byte)).copied());
        let (mut at, mut so_far) = (0, 0);
        while let Some(known) = places(at) {
            let Some(of_this) = known else { return true };
            so_far = (so_far << 1 | self.first) & of_this;
            if so_far & self.last != 0 {
                return true;
            }
            at += 1;
            if so_far == 0 {
                // Whatever run begins among the next ones holds the last of them: where that is of no run, none does.
                while places(at + self.shortest - 1) == Some(Some(0)) {
                    at += self.shortest;
                }
            }
        }
        false
    }
}

/// What is known of a part of a pattern.
#[derive(Default)]
struct Known {
    /// All that it matches are these characters side by side.
    exactly: Option<Run>,
    /// Each match holds one of these; none where nothing is known.
    held: Vec<Run>,
}

/// Returns how many places of a text the likeliest of some runs passes over: for each bit, one of two that are left.
fn bits(held: &[Run]) -> u32 {
    // What is beyond the search's room does not count.
    let room = MOST.checked_div(held.len()).unwrap_or(0);
    // Rounded up: a set of more than half of all characters counts for nothing.
    let of = |set: &Set| 7 - set.count_ones().next_power_of_two().trailing_zeros();
    held.iter().map(|run| run.iter().take(room).map(of).sum()).min().unwrap_or(0)
}

/// What is known of the parts of a pattern that were read, one behind the other.
struct Row {
    /// The characters side by side that end here.
    current: Run,
    /// Whether those are all.
    exact: bool,
    held: Vec<Run>,
}

impl Row {
    fn consider(&mut self, held: Vec<Run>) {
        let is_known = !held.is_empty() && held.iter().all(|run| !run.is_empty());
        if is_known && held.len() <= MOST_RUNS && bits(&held) > bits(&self.held) {
            self.held = held;
        }
    }

    /// Ends the characters side by side, of which the last ones are also the first of what follows.
    fn cut(&mut self, again: Run) {
        let run = std::mem::replace(&mut self.current, again);
        self.consider(vec![run]);
        self.exact = false;
    }

    fn repeat(&mut self, run: &Run, times: usize) {
        for _ in 0..times.min(LONGEST + 1) {
            self.current.extend_from_slice(run);
            if self.current.len() > LONGEST {
                let last = self.current.split_off(self.current.len() - LONGEST / 2);
                self.cut(last);
            }
        }
    }

    fn put(&mut self, known: Known, (least, most): (usize, Option<usize>)) {
        match known.exactly {
            Some(run) => {
                self.repeat(&run, least);
                if most != Some(least) {
                    // However often it comes, it comes last as often as it must.
                    let again = run.repeat(least.min(LONGEST / 2 / run.len().max(1)));
                    self.cut(again);
                }
            }
            None => self.cut(Run::new()),
        }
        if least > 0 {
            self.consider(known.held);
        }
    }
}

/// Reads patterns of JavaScript (ECMA-262, 22.2.1). Whatever is not plain ends it.
struct Reader<'p> {
    rest: &'p [u8],
    folds: bool,
    dot_is_all: bool,
    depth: usize,
}

const ALL: Set = Set::MAX;
const DIGITS: Set = range(b'0', b'9');
const WORDS: Set = DIGITS | range(b'a', b'z') | range(b'A', b'Z') | one(b'_');
const SPACES: Set = range(9, 13) | one(b' ');

const fn one(character: u8) -> Set {
    1 << (character & 127)
}

const fn range(first: u8, last: u8) -> Set {
    (ALL >> (127 - (last - first))) << first
}

impl Reader<'_> {
    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn takes(&mut self, words: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(words);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn alternatives(&mut self) -> Option<Known> {
        let mut known = self.row()?;
        while self.takes(b"|") {
            let other = self.row()?;
            known.exactly = match (known.exactly, other.exactly) {
                (Some(one), Some(other)) if one.len() == other.len() => {
                    Some(one.iter().zip(&other).map(|(one, other)| one | other).collect())
                }
                _ => None,
            };
            // One of them is there, if one of each is known.
            let both = !known.held.is_empty() && !other.held.is_empty();
            let fits = known.held.len() + other.held.len() <= MOST_RUNS;
            known.held.extend(other.held);
            if !both || !fits {
                known.held.clear();
            }
        }
        Some(known)
    }

    fn row(&mut self) -> Option<Known> {
        let mut row = Row { current: Run::new(), exact: true, held: Vec::new() };
        while let Some(next) = self.rest.first() {
            if matches!(next, b'|' | b')') {
                break;
            }
            let known = self.atom()?;
            let times = self.times()?;
            // What takes no room can't be repeated here.
            if known.exactly.as_ref().is_some_and(Vec::is_empty) && times != (1, Some(1)) {
                return None;
            }
            row.put(known, times);
        }
        let exactly = row.exact.then(|| row.current.clone());
        let last = std::mem::take(&mut row.current);
        row.consider(vec![last]);
        Some(Known { exactly, held: row.held })
    }

    /// Reads how often the atom before comes: least and most.
    fn times(&mut self) -> Option<(usize, Option<usize>)> {
        let times = match self.rest.first() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => {
                let end = self.rest.iter().position(|byte| *byte == b'}')?;
                let inside = std::str::from_utf8(self.rest.get(1..end)?).ok()?;
                let number = |text: &str| {
                    let is_plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
                    is_plain.then(|| text.parse::<usize>().ok()).flatten()
                };
                let times = match inside.split_once(',') {
                    None => (number(inside)?, Some(number(inside)?)),
                    Some((least, "")) => (number(least)?, None),
                    Some((least, most)) => (number(least)?, Some(number(most)?)),
                };
                self.rest = self.rest.get(end..)?;
                times
            }
            _ => return Some((1, Some(1))),
        };
        self.take()?;
        // As few as possible: which match is found is another, not whether one is.
        self.takes(b"?");
        Some(times)
    }

    fn atom(&mut self) -> Option<Known> {
        let set = match self.take()? {
            b'^' | b'$' => return Some(Known::nothing()),
            b'(' => return self.group(),
            b'[' => self.class()?,
            b'.' if self.dot_is_all => ALL,
            b'.' => ALL & !one(b'\n') & !one(b'\r'),
            b'\\' if self.takes(b"b") || self.takes(b"B") => return Some(Known::nothing()),
            b'\\' => self.escape()?,
            b'*' | b'+' | b'?' | b'{' | b'}' | b']' => return None,
            plain => one(plain),
        };
        Some(Known::one(self.folded(set)))
    }

    fn group(&mut self) -> Option<Known> {
        if self.takes(b"?") {
            if self.takes(b"<") {
                let end = self.rest.iter().position(|byte| *byte == b'>')?;
                let is_name =
                    self.rest.get(..end)?.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
                self.rest = self.rest.get(end + 1..).filter(|_| is_name && end > 0)?;
            } else if !self.takes(b":") {
                return None;
            }
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let known = self.alternatives()?;
        self.depth -= 1;
        self.takes(b")").then_some(known)
    }

    fn class(&mut self) -> Option<Set> {
        let negated = self.takes(b"^");
        let mut set = 0;
        while !self.takes(b"]") {
            let first = self.member()?;
            if self.rest.first() == Some(&b'-') && self.rest.get(1).is_some_and(|next| *next != b']') {
                self.take()?;
                let last = self.member()?;
                // Of classes in ranges nobody says what they mean.
                if first.count_ones() != 1 || last.count_ones() != 1 || first > last {
                    return None;
                }
                #[expect(clippy::cast_possible_truncation, reason = "one of 128 bits")]
                let at = |set: Set| set.trailing_zeros() as u8;
                set |= range(at(first), at(last));
            } else {
                set |= first;
            }
        }
        match negated {
            false => Some(set),
            // What is alike beyond ASCII is part of what is not here.
            true if self.folds => None,
            true => Some(!set),
        }
    }

    fn member(&mut self) -> Option<Set> {
        match self.take()? {
            b'\\' if self.takes(b"b") => Some(one(8)),
            b'\\' => self.escape(),
            plain => Some(one(plain)),
        }
    }

    /// Reads what comes behind a backslash.
    fn escape(&mut self) -> Option<Set> {
        Some(match self.take()? {
            b'd' => DIGITS,
            b'w' => WORDS,
            b's' => SPACES,
            b'D' | b'W' | b'S' if self.folds => return None,
            b'D' => !DIGITS,
            b'W' => !WORDS,
            b'S' => !SPACES,
            b't' => one(b'\t'),
            b'n' => one(b'\n'),
            b'v' => one(11),
            b'f' => one(12),
            b'r' => one(b'\r'),
            b'x' => self.code(2)?,
            b'u' => self.code(4)?,
            // Digits and letters have meanings of their own.
            byte if byte.is_ascii_alphanumeric() => return None,
            byte => one(byte),
        })
    }

    fn code(&mut self, digits: usize) -> Option<Set> {
        let (text, rest) = self.rest.split_at_checked(digits)?;
        let is_plain = text.iter().all(u8::is_ascii_hexdigit);
        let code = u8::from_str_radix(std::str::from_utf8(text).ok().filter(|_| is_plain)?, 16).ok()?;
        self.rest = rest;
        (code < 128).then(|| one(code))
    }

    fn folded(&self, set: Set) -> Set {
        const LARGE: Set = range(b'A', b'Z');
        if self.folds { set | (set & LARGE) << 32 | set >> 32 & LARGE } else { set }
    }
}

impl Known {
    /// What takes no room.
    fn nothing() -> Self {
        Self { exactly: Some(Run::new()), held: Vec::new() }
    }

    fn one(set: Set) -> Self {
        Self { exactly: Some(vec![set]), held: vec![vec![set]] }
    }
}

#[cfg(test)]
#[path = "scout_tests.rs"]
mod tests;
