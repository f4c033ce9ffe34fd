//! Where one vendor's answer ends and another's goes on: what was said so far, and what of the new text repeats it.
//!
//! Only plain text of one choice can be continued. A vendor that continues a prefix seldom repeats any of it; one that
//! was asked in words may begin again with the last words, the last sentence, or all of it. What repeats the end
//! exactly is dropped, but only where chance is no likely reason for it: `hel` and `lo` make `hello`, and a line that
//! a program writes twice stays.

use tidegate_providers::{Event, Usage};

/// Longest text that is continued; it goes to the next vendor whole.
const LONGEST: usize = 1 << 20;
/// So much of the end is compared.
const TAIL: usize = 4 << 10;

/// How a vendor is brought to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It takes the text as the beginning of its own answer.
    Prefix,
    /// It is asked to, in words.
    Asked,
}

impl Manner {
    /// Returns how long a repetition must be to be one.
    fn least(self) -> usize {
        match self {
            Manner::Prefix => 32,
            Manner::Asked => 8,
        }
    }
}

/// What a stream said so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    text: String,
    /// Something came that no other vendor could continue.
    closed: bool,
    /// Tokens of the vendors before this one.
    before: Usage,
    continued: bool,
    joint: Option<Joint>,
}

impl Said {
    /// Begins where another vendor's text ended.
    pub(super) fn after(text: &str, manner: Manner) -> Self {
        Self {
            text: text.to_owned(),
            continued: true,
            joint: Some(Joint::new(text, manner)),
            ..Self::default()
        }
    }

    /// Adds what vendors before this one used.
    pub(super) fn used_before(&mut self, usage: Usage) {
        self.before = sum(&self.before, &usage);
    }

    /// Returns the text, while another vendor could continue it.
    #[must_use]
    pub(super) fn so_far(&self) -> Option<&str> {
        (!self.closed && self.text.len() <= LONGEST).then_some(self.text.as_str())
    }

    /// Returns what all vendors before this one used.
    #[must_use]
    pub(super) fn usage_before(&self) -> Usage {
        self.before
    }

    /// Gives up: what breaks now is broken.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Lets an event pass as what the client may see of it: of a continuation, no second beginning and no repetition.
    /// Text that was waiting goes before it.
    pub(super) fn pass(&mut self, event: Event) -> (Option<Event>, Option<Event>) {
        match event {
            Event::Text { choice: 0, text } => {
                let new = match &mut self.joint {
                    Some(joint) => joint.push(&text),
                    None => Some(text),
                };
                let Some(new) = new else { return (None, None) };
                self.joint = None;
                (None, self.say(new))
            }
            Event::Start { .. } if self.continued => (None, None),
            // Thoughts about how to go on are none of the answer, which had begun.
            Event::Reasoning { .. } | Event::Signature { .. } | Event::RedactedReasoning { .. }
                if self.continued =>
            {
                (None, None)
            }
            Event::Usage(usage) => (None, Some(Event::Usage(sum(&self.before, &usage)))),
            Event::Start { .. } => (None, Some(event)),
            other => {
                self.closed = true;
                let waiting = self.joint.take().map(Joint::rest).filter(|text| !text.is_empty());
                (waiting.and_then(|text| self.say(text)), Some(other))
            }
        }
    }

    fn say(&mut self, text: String) -> Option<Event> {
        if text.is_empty() {
            return None;
        }
        self.text.push_str(&text);
        Some(Event::Text { choice: 0, text })
    }
}

/// Adds usage.
#[must_use]
pub(super) fn sum(one: &Usage, other: &Usage) -> Usage {
    Usage {
        input: one.input.saturating_add(other.input),
        cached_input: one.cached_input.saturating_add(other.cached_input),
        cache_write: one.cache_write.saturating_add(other.cache_write),
        cache_write_1h: one.cache_write_1h.saturating_add(other.cache_write_1h),
        audio_input: one.audio_input.saturating_add(other.audio_input),
        image_input: one.image_input.saturating_add(other.image_input),
        output: one.output.saturating_add(other.output),
        reasoning: one.reasoning.saturating_add(other.reasoning),
        audio_output: one.audio_output.saturating_add(other.audio_output),
        image_output: one.image_output.saturating_add(other.image_output),
    }
}

/// Finds what of a new text repeats the end of an old one.
#[derive(Debug)]
struct Joint {
    /// The end of the old text.
    tail: String,
    /// Whether that is all of it.
    whole: bool,
    /// Bytes of white space at its end, which no vendor is shown.
    blank: usize,
    manner: Manner,
    /// The new text, while it may still turn out to be a repetition.
    new: String,
}

impl Joint {
    fn new(text: &str, manner: Manner) -> Self {
        let start = (text.len().saturating_sub(TAIL)..text.len()).find(|at| text.is_char_boundary(*at));
        let tail = &text[start.unwrap_or(text.len())..];
        Self {
            whole: tail.len() == text.len(),
            blank: tail.len() - tail.trim_end().len(),
            tail: tail.to_owned(),
            manner,
            new: String::new(),
        }
    }

    /// Takes more of the new text. Returns what is new in it, once that is known.
    fn push(&mut self, more: &str) -> Option<String> {
        self.new.push_str(more);
        // Longer repetitions may still come out; the longest one counts.
        let open = self.starts().any(|at| {
            let repeated = &self.tail[at..];
            repeated.len() > self.new.len() && repeated.starts_with(&self.new) && self.is_one(at)
        });
        if open {
            return None;
        }
        Some(self.cut())
    }

    /// Returns what is new, as nothing more comes.
    fn rest(self) -> String {
        self.cut()
    }

    fn cut(&self) -> String {
        let repeated = self.starts().find(|at| self.new.starts_with(&self.tail[*at..]) && self.is_one(*at));
        self.new[repeated.map_or(0, |at| self.tail.len() - at)..].to_owned()
    }

    /// Returns where a repetition could begin in the tail, the longest first.
    fn starts(&self) -> impl Iterator<Item = usize> {
        self.tail.char_indices().map(|(at, _)| at)
    }

    /// Returns whether the tail from here on, seen again, is a repetition and no chance.
    fn is_one(&self, at: usize) -> bool {
        let repeated = &self.tail[at..];
        if repeated.len() <= self.blank {
            return true;
        }
        let before = self.tail[..at].chars().next_back();
        let in_word = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        if in_word(before) && in_word(repeated.chars().next()) {
            return false;
        }
        let words = repeated.chars().any(char::is_alphanumeric);
        if words && repeated.len() >= self.manner.least() {
            return true;
        }
        // All of it, or the word that was cut.
        let cut_word = !repeated.is_empty() && repeated.chars().all(char::is_alphanumeric);
        self.manner == Manner::Asked && words && (cut_word || (self.whole && at == 0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Event {
        Event::Text { choice: 0, text: text.into() }
    }

    /// Joins an old text and the pieces of a new one.
    fn joined(old: &str, manner: Manner, pieces: &[&str]) -> String {
        let mut said = Said::after(old, manner);
        let mut out = old.to_owned();
        let end = Event::Usage(Usage::default());
        for event in pieces.iter().map(|piece| text(piece)).chain([end, Event::End]) {
            let (first, second) = said.pass(event);
            for event in [first, second].into_iter().flatten() {
                if let Event::Text { text, .. } = event {
                    out.push_str(&text);
                }
            }
        }
        assert_eq!(said.text, out);
        out
    }

    #[test]
    fn what_repeats_the_end_is_dropped() {
        for (old, manner, pieces, whole) in [
            ("hel", Manner::Prefix, &["lo"][..], "hello"),
            ("hel", Manner::Asked, &["lo"], "hello"),
            ("one two three", Manner::Asked, &[" two three", " four"], "one two three four"),
            ("one two three", Manner::Asked, &["one", " two", " three four"], "one two three four"),
            ("The quick bro", Manner::Asked, &["brown fox"], "The quick brown fox"),
            ("The quick bro", Manner::Prefix, &["wn fox"], "The quick brown fox"),
            ("a\n", Manner::Prefix, &["\n\nb"], "a\n\nb"),
            ("a ", Manner::Prefix, &[" b"], "a b"),
            ("a ", Manner::Prefix, &["b"], "a b"),
            ("x {\n}\n", Manner::Prefix, &["\n}\n"], "x {\n}\n}\n"),
            ("he said that", Manner::Prefix, &[" that", " it"], "he said that that it"),
            ("", Manner::Asked, &["all"], "all"),
            ("grüße 🌊", Manner::Asked, &["grüße 🌊", " tide"], "grüße 🌊 tide"),
        ] {
            assert_eq!(joined(old, manner, pieces), whole, "{old:?} {manner:?} {pieces:?}");
        }
    }

    #[test]
    fn a_repetition_that_never_ends_still_comes_out_as_what_it_was() {
        // The vendor stops in the middle of what could have become a repetition.
        assert_eq!(joined("one two three", Manner::Asked, &["one two"]), "one two threeone two");
    }

    #[test]
    fn only_plain_text_can_be_continued() {
        let tool = Event::ToolArguments { choice: 0, tool: 0, json: "{".into() };
        let thought = Event::Reasoning { choice: 0, text: "hm".into() };
        for event in [tool, thought, Event::Text { choice: 1, text: "b".into() }, Event::End] {
            let mut said = Said::default();
            said.pass(text("a"));
            assert_eq!(said.so_far(), Some("a"));
            assert_eq!(said.pass(event.clone()), (None, Some(event)));
            assert_eq!(said.so_far(), None);
        }
    }

    #[test]
    fn a_continuation_has_no_second_beginning_and_sums_usage() {
        let mut said = Said::after("a", Manner::Prefix);
        said.used_before(Usage { input: 3, output: 4, ..Usage::default() });
        let start = Event::Start { id: "2".into(), model: "m".into(), created: 1 };
        assert_eq!(said.pass(start), (None, None));
        assert_eq!(said.pass(Event::Reasoning { choice: 0, text: "hm".into() }), (None, None));
        let (_, usage) = said.pass(Event::Usage(Usage { input: 10, output: 20, ..Usage::default() }));
        assert_eq!(usage, Some(Event::Usage(Usage { input: 13, output: 24, ..Usage::default() })));
        assert_eq!(said.so_far(), Some("a"));
    }

    proptest! {
        /// Words are distinct, so that a repetition is one and not the text's own.
        #[test]
        fn nothing_is_repeated_and_nothing_is_lost(
            words in prop::collection::hash_set("[a-z]{2,6}", 6..24), cut in 0_usize..400, overlap in 0_usize..400,
            split in 1_usize..9, prefix: bool,
        ) {
            let whole = words.into_iter().collect::<Vec<_>>().join(" ");
            let cut = cut % whole.len();
            let manner = if prefix { Manner::Prefix } else { Manner::Asked };
            // Whole words, as a model repeats them, and long enough to be no chance; or nothing at all.
            let overlap = overlap % (cut + 1);
            let start = whole[..cut - overlap].rfind(' ').map_or(0, |at| at + 1);
            let start = if cut - start < manner.least() { cut } else { start };
            let new: Vec<String> =
                whole.as_bytes()[start..].chunks(split).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
            let pieces: Vec<&str> = new.iter().map(String::as_str).collect();
            // A new text may by itself begin like the word that was cut; then nobody can know.
            let fragment = whole[..cut].rsplit(' ').next().unwrap_or_default();
            prop_assume!(start < cut || fragment.is_empty() || !whole[cut..].starts_with(fragment));
            prop_assert_eq!(joined(&whole[..cut], manner, &pieces), whole);
        }
    }
}
