//! JavaScript regular expressions, run by an engine that can't be made to run for ever.
//!
//! Conditions are written for JavaScript, whose engines backtrack without bound: a config that a client sends could
//! stop a worker. So patterns are rewritten, construct by construct, for a linear engine that backtracks only where
//! look-around or back-references need it, and never past a limit. What JavaScript refuses is refused.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

use fancy_regex::{Regex, RegexBuilder};

/// Longest pattern accepted.
const LONGEST: usize = 4 << 10;
/// Steps that look-around and back-references may take; about a millisecond.
const BACKTRACKS: usize = 100_000;
/// Bytes of a compiled part: room for a few dozen of any letters, not for a thousand.
const SIZE: usize = 512 << 10;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Pattern {
    /// Compiles a JavaScript pattern without flags.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        if source.len() > LONGEST {
            return Err(format!("is too long; at most {LONGEST} bytes are accepted"));
        }
        let translated = Translation { rest: source.chars().peekable(), out: String::new() }.run()?;
        let regex = RegexBuilder::new(&translated)
            .backtrack_limit(BACKTRACKS)
            .delegate_size_limit(SIZE)
            .build()
            .map_err(|error| format!("is no regular expression: {error}"))?;
        Ok(Self { source: source.to_owned(), regex })
    }

    /// Returns the pattern as written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Returns whether the pattern is found in `text`. One that takes too many steps is not.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text).unwrap_or(false)
    }
}

struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Translation<'_> {
    fn run(mut self) -> Result<String, String> {
        // Whether the last thing was a quantifier, after which only `?` may follow.
        let mut quantified = false;
        while let Some(letter) = self.rest.next() {
            let after_quantifier = std::mem::take(&mut quantified);
            match letter {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group()?,
                // JavaScript's dot stops at four line ends.
                '.' => self.out.push_str(r"[^\n\r\x{2028}\x{2029}]"),
                '?' if after_quantifier => self.out.push('?'),
                '*' | '+' | '?' if after_quantifier => return Err("nothing to repeat".to_owned()),
                '*' | '+' | '?' => {
                    self.out.push(letter);
                    quantified = true;
                }
                '{' => match self.count() {
                    Some(_) if after_quantifier => return Err("nothing to repeat".to_owned()),
                    Some(count) => {
                        self.out.push_str(&count);
                        quantified = true;
                    }
                    None => self.out.push_str(r"\{"),
                },
                '}' | ']' => {
                    self.out.push('\\');
                    self.out.push(letter);
                }
                other => self.out.push(other),
            }
        }
        Ok(self.out)
    }

    /// Takes `3}`, `3,}` or `3,5}`, if that is what follows a brace; any other brace stands for itself.
    fn count(&mut self) -> Option<String> {
        let ahead: String = self.rest.clone().take_while(|letter| *letter != '}').collect();
        let closed = self.rest.clone().nth(ahead.chars().count()) == Some('}');
        let (least, most) = ahead.split_once(',').unwrap_or((&ahead, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !closed || least.is_empty() || !digits(least) || !digits(most) {
            return None;
        }
        self.rest.nth(ahead.len());
        Some(format!("{{{ahead}}}"))
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        let head: String = self.rest.clone().take(2).collect();
        let known = head.starts_with([':', '=', '!']) || matches!(head.as_str(), "<=" | "<!");
        let named = head
            .strip_prefix('<')
            .is_some_and(|name| name.starts_with(|it: char| it.is_alphabetic() || it == '_'));
        let flags = head.starts_with(['i', 'm', 's', '-']);
        if !(known || named || flags) {
            return Err("invalid group".to_owned());
        }
        self.out.push('?');
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        if self.rest.next_if_eq(&']').is_some() {
            self.out.push_str(if negated { r"[\s\S]" } else { r"[^\s\S]" });
            return Ok(());
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        let mut dash = false;
        while let Some(letter) = self.rest.next() {
            let after_dash = std::mem::replace(&mut dash, letter == '-');
            match letter {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                // These mean set operations to the engine, and themselves to JavaScript.
                '[' | '&' | '~' | '^' => {
                    self.out.push('\\');
                    self.out.push(letter);
                }
                '-' if after_dash => self.out.push_str(r"\-"),
                other => self.out.push(other),
            }
        }
        Err("unterminated character class".to_owned())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(letter) = self.rest.next() else { return Err("\\ at end of pattern".to_owned()) };
        match letter {
            'd' => self.out.push_str("[0-9]"),
            'D' => self.out.push_str("[^0-9]"),
            'w' => self.out.push_str("[A-Za-z0-9_]"),
            'W' => self.out.push_str("[^A-Za-z0-9_]"),
            'b' if in_class => self.out.push_str(r"\x08"),
            'B' if in_class => self.out.push('B'),
            's' | 'S' | 'n' | 'r' | 't' | 'v' | 'f' | 'b' | 'B' | 'p' | 'P' => {
                self.out.push('\\');
                self.out.push(letter);
            }
            'k' if !in_class && self.rest.peek() == Some(&'<') => self.out.push_str(r"\k"),
            '0' => self.out.push_str(r"\x00"),
            '1'..='9' if !in_class => {
                self.out.push('\\');
                self.out.push(letter);
            }
            'c' => match self.rest.next() {
                Some(control) if control.is_ascii_alphabetic() => self.point(u32::from(control) % 32)?,
                _ => return Err("\\c needs a letter".to_owned()),
            },
            'x' => {
                let point = self.hex(2).ok_or("\\x needs two hexadecimal digits")?;
                self.point(point)?;
            }
            'u' => {
                let point = self.unicode().ok_or("\\u needs a code point")?;
                self.point(point)?;
            }
            other if other.is_ascii_punctuation() => {
                self.out.push('\\');
                self.out.push(other);
            }
            // Any other escaped letter stands for itself in JavaScript.
            other => self.out.push(other),
        }
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text: String = self.rest.clone().take(digits).collect();
        let value = (text.len() == digits).then(|| u32::from_str_radix(&text, 16).ok()).flatten()?;
        self.rest.nth(digits - 1);
        Some(value)
    }

    fn unicode(&mut self) -> Option<u32> {
        if self.rest.next_if_eq(&'{').is_some() {
            let text: String = self.rest.by_ref().take_while(|letter| *letter != '}').take(8).collect();
            return u32::from_str_radix(&text, 16).ok();
        }
        let first = self.hex(4)?;
        if !(0xD800..0xDC00).contains(&first) {
            return Some(first);
        }
        // A pair of surrogates is one character.
        let pair = self.rest.next() == Some('\\') && self.rest.next() == Some('u');
        let second = pair.then(|| self.hex(4)).flatten().filter(|low| (0xDC00..0xE000).contains(low))?;
        Some(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    }

    fn point(&mut self, point: u32) -> Result<(), String> {
        if char::from_u32(point).is_none() {
            return Err(format!("{point:x} is no character"));
        }
        write!(self.out, r"\x{{{point:X}}}").map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(text)
    }

    #[test]
    fn patterns_mean_what_javascript_means() {
        for (pattern, text, expected) in [
            ("gpt", "my gpt-4o", true),
            ("^gpt-(4|5)", "gpt-4o", true),
            (r"^\d{3}$", "123", true),
            (r"^\d{3}$", "１２３", false),
            (r"^\w+$", "é", false),
            (r"a\/b", "a/b", true),
            (r"[\w.-]+@[\w-]+\.com", "x.y@z.com", true),
            ("[[]x", "[x", true),
            ("[a&&b]", "&", true),
            ("[^]", "\n", true),
            ("[]", "x", false),
            ("a{", "a{", true),
            ("a{2}", "aa", true),
            ("^a.b$", "a\nb", false),
            (r"(?<=x)y(?!z)", "xy", true),
            (r"(?<n>a)\k<n>", "aa", true),
            (r"(.)\1", "abba", true),
            (r"\u0041\x42", "AB", true),
            (r"\uD83D\uDE00", "😀", true),
            (r"\cA", "\u{1}", true),
            (r"\A", "A", true),
            (r"[\b]", "\u{8}", true),
            ("x$", "x\n", false),
            ("a+?b", "aab", true),
            ("]}", "]}", true),
            ("[+--]", ",", true),
            (r"^[\p{L} '-]{1,9}$", "Zoë O'Hara", false),
            (r"^[\p{L} '-]+$", "Zoë O'Hara", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_javascript_refuses_is_refused() {
        for pattern in ["(", "[a", "a++", "a**", "*a", "\\", "(?P<a>b)", "(?>a)", "a{2}{3}", r"\uD83D"] {
            assert!(Pattern::compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_explode_are_refused() {
        assert!(Pattern::compile(r"(\p{L}{1000}){1000}").is_err());
        assert!(Pattern::compile(&"a".repeat(LONGEST + 1)).is_err());
    }

    #[test]
    fn catastrophic_patterns_end() {
        let text = "a".repeat(50_000) + "!";
        let started = std::time::Instant::now();
        assert!(!matches("^(a+)+$", &text));
        assert!(!matches(r"^(?=(a+)+b)(\w)\2", &text));
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
