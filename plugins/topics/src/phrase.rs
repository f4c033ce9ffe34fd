//! Words that stand whole in a text, in any case.

/// White space between two words, in characters: a line end and some indentation.
const GAP: usize = 8;
/// No character has more bytes.
const WIDEST: usize = 4;

/// A word or phrase.
#[derive(Debug)]
pub(crate) struct Phrase {
    /// In lower case; spaces stand for any white space.
    letters: Vec<char>,
    /// Scripts without spaces between words have no whole words.
    whole_start: bool,
    whole_end: bool,
}

impl Phrase {
    pub(crate) fn new(words: &str) -> Self {
        let letters: Vec<char> = words
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .flat_map(char::to_lowercase)
            .collect();
        let is_whole =
            |edge: Option<&char>| edge.is_some_and(|&edge| edge.is_alphanumeric() && edge < '\u{e00}');
        Self { whole_start: is_whole(letters.first()), whole_end: is_whole(letters.last()), letters }
    }

    /// Returns how many bytes of a text it may take.
    pub(crate) fn longest(&self) -> usize {
        let spaces = self.letters.iter().filter(|&&letter| letter == ' ').count();
        WIDEST * (self.letters.len() - spaces + spaces * GAP)
    }

    /// Returns where it ends, if it starts here.
    pub(crate) fn end(&self, text: &str, start: usize) -> Option<usize> {
        let before = text.get(..start)?.chars().next_back();
        if self.letters.is_empty() || self.whole_start && before.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let mut rest = text.get(start..)?.char_indices().peekable();
        // What one character of the text becomes in lower case may be several.
        let mut lower = Vec::new();
        for &wanted in &self.letters {
            if wanted == ' ' && lower.is_empty() {
                let mut gap = 0;
                while gap < GAP && rest.next_if(|(_, letter)| letter.is_whitespace()).is_some() {
                    gap += 1;
                }
                if gap == 0 {
                    return None;
                }
                continue;
            }
            if lower.is_empty() {
                lower.extend(rest.next()?.1.to_lowercase());
                lower.reverse();
            }
            if lower.pop() != Some(wanted) {
                return None;
            }
        }
        let after = rest.peek();
        let cut =
            !lower.is_empty() || self.whole_end && after.is_some_and(|(_, letter)| letter.is_alphanumeric());
        (!cut).then(|| after.map_or(text.len(), |(at, _)| start + at))
    }
}
