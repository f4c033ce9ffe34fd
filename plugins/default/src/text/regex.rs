//! Regular expressions as JavaScript has them, and their errors as V8 words them.

use std::cell::RefCell;
use std::rc::Rc;

use regress::{Match, Regex};
use tidegate_plugin_sdk::CheckError;

use super::scout::Scout;

/// So many compiled patterns are kept; an attachment has one or two.
const MOST_KEPT: usize = 8;

thread_local! {
    /// What was compiled: an instance that is used again compiles each pattern once.
    static KEPT: RefCell<Vec<Rc<Compiled>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Compiled {
    pattern: String,
    flags: String,
    regex: Regex,
    scout: Option<Scout>,
}

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    compiled: Rc<Compiled>,
    /// All matches, not only the first one.
    pub(crate) global: bool,
    /// Whether letters are alike in either case: those of ASCII are then like some that are not.
    folds: bool,
}

impl Rule {
    /// Compiles a bare pattern.
    pub(crate) fn bare(pattern: &str) -> Result<Self, CheckError> {
        Self::with_flags(pattern, "")
    }

    /// Compiles `/pattern/flags`, or a bare pattern.
    pub(crate) fn literal(rule: &str) -> Result<Self, CheckError> {
        let inner = rule.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
        let inner = inner.filter(|(pattern, flags)| {
            !pattern.is_empty()
                && !pattern.contains('\n')
                && flags.chars().all(|flag| "gimsuyd".contains(flag))
        });
        let (pattern, flags) = inner.unwrap_or((rule, ""));
        Self::with_flags(pattern, flags)
    }

    fn with_flags(pattern: &str, flags: &str) -> Result<Self, CheckError> {
        let known = |known: &&Rc<Compiled>| known.pattern == pattern && known.flags == flags;
        let (global, folds) = (flags.contains('g'), flags.contains('i'));
        if let Some(compiled) = KEPT.with_borrow(|kept| kept.iter().find(known).cloned()) {
            return Ok(Self { compiled, global, folds });
        }
        let twice =
            (1..).zip(flags.chars()).any(|(next, flag)| flags.chars().skip(next).any(|other| other == flag));
        if twice {
            let message = format!("Invalid flags supplied to RegExp constructor '{flags}'");
            return Err(CheckError::new("SyntaxError", message));
        }
        match Regex::with_flags(pattern, flags) {
            Ok(regex) => {
                let scout = Scout::new(pattern, flags);
                let (pattern, flags) = (pattern.to_owned(), flags.to_owned());
                let compiled = Rc::new(Compiled { pattern, flags, regex, scout });
                KEPT.with_borrow_mut(|kept| {
                    if kept.len() >= MOST_KEPT {
                        kept.clear();
                    }
                    kept.push(Rc::clone(&compiled));
                });
                Ok(Self { compiled, global, folds })
            }
            Err(error) => {
                let problem = as_v8_says(&error.to_string(), pattern);
                let message = format!("Invalid regular expression: /{pattern}/{flags}: {problem}");
                Err(CheckError::new("SyntaxError", message))
            }
        }
    }

    /// Returns the first match that starts at a position or later.
    pub(crate) fn find(&self, text: &str, from: usize) -> Option<Match> {
        let Compiled { regex, scout, .. } = &*self.compiled;
        let is_ascii = text.is_ascii();
        if is_ascii
            && let (Some(scout), Some(rest)) = (scout, text.as_bytes().get(from..))
            && !scout.lets_through(rest)
        {
            return None;
        }
        // Bytes are faster to walk than characters, and the same where all text is ASCII.
        if is_ascii && !self.folds {
            return regex.find_from_ascii(text, from).next();
        }
        regex.find_from(text, from).next()
    }
}

/// Returns V8's words for a problem.
fn as_v8_says(problem: &str, pattern: &str) -> String {
    let lower = problem.to_lowercase();
    let known = [
        (
            "unbalanced parenthesis",
            if pattern.matches('(').count() > pattern.matches(')').count() {
                "Unterminated group"
            } else {
                "Unmatched ')'"
            },
        ),
        ("unbalanced bracket", "Unterminated character class"),
        ("invalid character range", "Range out of order in character class"),
        ("range values reversed", "Range out of order in character class"),
        ("invalid quantifier", "numbers out of order in {} quantifier"),
        ("quantifier not allowed", "Nothing to repeat"),
        ("invalid atom", "Nothing to repeat"),
        ("invalid braced quantifier", "Nothing to repeat"),
        ("incomplete escape", "\\ at end of pattern"),
        ("unterminated escape", "\\ at end of pattern"),
        ("invalid group modifier", "Invalid group"),
        ("capture group identifier", "Invalid capture group name"),
        ("duplicate capture group", "Duplicate capture group name"),
        ("named backreference", "Invalid named reference"),
        ("property", "Invalid property name"),
        ("unicode escape", "Invalid Unicode escape"),
        ("too deeply nested", "Regular expression too large"),
    ];
    let words = known.iter().find(|(ours, _)| lower.contains(ours)).map(|(_, v8)| (*v8).to_owned());
    words.unwrap_or_else(|| problem.to_owned())
}

/// Returns what replaces a match: `$&`, `$1`, `$<name>`, the text before and after, and `$$` are filled in.
pub(crate) fn expand(template: &str, text: &str, found: &Match) -> String {
    let group = |index: usize| found.group(index).and_then(|range| text.get(range));
    let groups = found.captures.len();
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let digits = |count: usize| {
            let number: usize = after.get(..count)?.parse().ok()?;
            (1..=groups).contains(&number).then_some((number, count))
        };
        let named = after.strip_prefix('<').and_then(|name| name.split_once('>'));
        rest = if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            after
        } else if let Some(after) = after.strip_prefix('&') {
            out.push_str(group(0).unwrap_or_default());
            after
        } else if let Some(after) = after.strip_prefix('`') {
            out.push_str(text.get(..found.start()).unwrap_or_default());
            after
        } else if let Some(after) = after.strip_prefix('\'') {
            out.push_str(text.get(found.end()..).unwrap_or_default());
            after
        } else if let Some((number, count)) = digits(2).or_else(|| digits(1)) {
            out.push_str(group(number).unwrap_or_default());
            after.get(count..).unwrap_or_default()
        } else if let Some((name, after)) = named.filter(|_| found.named_groups().next().is_some()) {
            let range = found.named_group(name);
            out.push_str(range.and_then(|range| text.get(range)).unwrap_or_default());
            after
        } else {
            out.push('$');
            after
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(rule: &str) -> String {
        Rule::literal(rule).unwrap_err().message
    }

    #[test]
    fn errors_read_as_in_v8() {
        assert_eq!(message("*"), "Invalid regular expression: /*/: Nothing to repeat");
        assert_eq!(message("a**"), "Invalid regular expression: /a**/: Nothing to repeat");
        assert_eq!(message("(a"), "Invalid regular expression: /(a/: Unterminated group");
        assert_eq!(message("a)"), "Invalid regular expression: /a)/: Unmatched ')'");
        assert_eq!(message("[a"), "Invalid regular expression: /[a/: Unterminated character class");
        assert_eq!(
            message("[z-a]"),
            "Invalid regular expression: /[z-a]/: Range out of order in character class"
        );
        assert_eq!(
            message("a{2,1}"),
            "Invalid regular expression: /a{2,1}/: numbers out of order in {} quantifier"
        );
        assert_eq!(message("a\\"), "Invalid regular expression: /a\\/: \\ at end of pattern");
        assert_eq!(message("/(/gi"), "Invalid regular expression: /(/gi: Unterminated group");
        assert_eq!(message("/a/gg"), "Invalid flags supplied to RegExp constructor 'gg'");
    }

    #[test]
    fn slashes_and_flags_are_understood() {
        assert!(Rule::literal("/HELLO/i").unwrap().find("hello", 0).is_some());
        assert!(Rule::literal("/a/x").unwrap().find("/a/x", 0).is_some());
        assert!(Rule::literal("//").unwrap().find("//", 0).is_some());
        assert!(
            Rule::bare(r"(?<!no )go(?=!)")
                .unwrap()
                .find("no go! go!", 0)
                .is_some_and(|found| found.start() == 7)
        );
    }

    #[test]
    fn text_of_ascii_is_matched_like_any_other() {
        let long = format!("{} ABC-1234, and x", "All quiet at the harbour. ".repeat(20));
        for text in ["", "a", "ABC-1234", " no go! go!", "K k s", "a\nb\tc\u{7f}", &long] {
            for rule in [
                r"\b[A-Z]{3}-\d{4}\b",
                r"/(?<!no )go(?=!)/",
                r"/[^a-z]+$/m",
                r"/\u212a|ſ/iu",
                r"/\u212a|[^é]/u",
                r"/(?<one>.)\k<one>|\W\w\B/s",
                r"[\u0000-\uffff]{2}$",
                r"^\S*",
            ] {
                let rule = Rule::literal(rule).unwrap();
                for from in 0..=text.len() {
                    let ranges = |found: Option<Match>| found.map(|found| found.groups().collect::<Vec<_>>());
                    let other = ranges(rule.compiled.regex.find_from(text, from).next());
                    assert_eq!(ranges(rule.find(text, from)), other, "{rule:?} in {text:?} from {from}");
                }
            }
        }
    }

    #[test]
    fn replacements_are_filled_in() {
        let text = "call bob now";
        let found = Rule::bare(r"(?<who>b)(o)b").unwrap().find(text, 0).unwrap();
        for (template, filled) in [
            ("[$&]", "[bob]"),
            ("$1$2$1", "bob"),
            ("$<who>", "b"),
            ("$$1", "$1"),
            ("$3$0", "$3$0"),
            ("$`|$'", "call | now"),
            ("$", "$"),
            ("$é", "$é"),
            ("$12", "b2"),
        ] {
            assert_eq!(expand(template, text, &found), filled, "{template}");
        }
    }
}
