//! Which text a check sees: that of the last message or of the first choice, as Portkey does, or with
//! `"messages": "all"` that of all of them.

use std::borrow::Cow;

use tidegate_plugin_sdk::{Hook, Params, Piece, StreamWindow, Subject};

/// Which text counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Of the last message, or of the first choice.
    Last,
    /// Of all messages and choices.
    All,
}

impl Seen {
    /// Reads the parameter `messages`.
    pub(crate) fn of(params: &Params) -> Self {
        if params.text("messages") == Some("all") { Self::All } else { Self::Last }
    }

    /// Returns whether a piece counts.
    pub(crate) fn counts(self, subject: &Subject) -> impl Fn(&Piece) -> bool {
        let wanted = match (self, subject.hook) {
            (Self::All, _) => None,
            (Self::Last, Hook::Output) => Some(0),
            // The texts of an embedding or completion are one input.
            (Self::Last, Hook::Input) if !has_messages(&subject.call.endpoint) => None,
            (Self::Last, Hook::Input) => {
                let pieces = subject.pieces.iter().map(|piece| piece.index).max().unwrap_or_default();
                // The last message may have no text at all: then only its count says that it is there.
                Some(pieces.max(messages(subject).saturating_sub(1)))
            }
        };
        move |piece| {
            let is_text = piece.kind == "text" || piece.kind == "tool-result";
            is_text && wanted.is_none_or(|index| piece.index == index)
        }
    }

    /// Returns whether a window counts.
    pub(crate) fn counts_window(self, window: &StreamWindow) -> bool {
        window.kind == "text" && (self == Self::All || window.index == 0)
    }

    /// Returns the text that counts, a line for each part. Empty parts leave no empty lines.
    pub(crate) fn text(self, subject: &Subject) -> Cow<'_, str> {
        let counts = self.counts(subject);
        let texts = subject.pieces.iter().filter(|piece| counts(piece) && !piece.text.is_empty());
        let mut texts = texts.map(|piece| piece.text.as_str());
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let all: Vec<&str> = [first, second].into_iter().chain(texts).collect();
                Cow::Owned(all.join("\n"))
            }
        }
    }
}

/// Returns how many messages a request has, where the last of them has no text.
fn messages(subject: &Subject) -> u32 {
    let count = subject.extra.iter().find(|(name, _)| name == "messages");
    count.and_then(|(_, count)| count.parse().ok()).unwrap_or_default()
}

fn has_messages(endpoint: &str) -> bool {
    !endpoint.ends_with("/embeddings")
        && (endpoint.ends_with("/chat/completions") || !endpoint.ends_with("/completions"))
}

/// UTF-16 units of an excerpt.
const EXCERPT: usize = 100;

/// Returns the beginning of a text for results: 100 UTF-16 units, as JavaScript counts.
pub(crate) fn excerpt(text: &str) -> String {
    if text.len() <= EXCERPT {
        return text.to_owned();
    }
    if let Some(beginning) = text.get(..EXCERPT).filter(|beginning| beginning.is_ascii()) {
        return [beginning, "..."].concat();
    }
    let mut units = 0;
    for (at, letter) in text.char_indices() {
        units += letter.len_utf16();
        if units > EXCERPT {
            return format!("{}...", text.get(..at).unwrap_or_default());
        }
    }
    text.to_owned()
}

/// Returns an excerpt, or what Portkey says where there is no text.
pub(crate) fn excerpt_or_none(text: &str) -> String {
    if text.is_empty() { "No text available".to_owned() } else { excerpt(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(pieces: Vec<Piece>) -> Subject {
        let mut subject = Subject::of(Hook::Input, pieces);
        subject.call.endpoint = "/v1/chat/completions".to_owned();
        subject
    }

    #[test]
    fn only_the_last_message_is_seen_unless_asked() {
        let subject = chat(vec![
            Piece::new("text", "user", 0, "old"),
            Piece::new("text", "user", 2, "new"),
            Piece::new("text", "user", 2, ""),
            Piece::new("text", "user", 2, "part"),
            Piece::new("tool-arguments", "assistant", 2, "{}"),
        ]);
        assert_eq!(Seen::Last.text(&subject), "new\npart");
        assert_eq!(Seen::All.text(&subject), "old\nnew\npart");
    }

    #[test]
    fn all_inputs_of_an_embedding_are_seen() {
        let pieces = vec![Piece::new("text", "user", 0, "a"), Piece::new("text", "user", 1, "secret")];
        let mut subject = Subject::of(Hook::Input, pieces);
        subject.call.endpoint = "/v1/embeddings".to_owned();
        assert_eq!(Seen::Last.text(&subject), "a\nsecret");
    }

    #[test]
    fn a_last_message_without_text_is_empty() {
        let mut subject = chat(vec![Piece::new("text", "user", 0, "old")]);
        subject.extra.push(("messages".to_owned(), "2".to_owned()));
        assert_eq!(Seen::Last.text(&subject), "");
    }

    #[test]
    fn only_the_first_choice_is_seen_unless_asked() {
        let pieces =
            vec![Piece::new("text", "assistant", 0, "one"), Piece::new("text", "assistant", 1, "two")];
        let subject = Subject::of(Hook::Output, pieces);
        assert_eq!(Seen::Last.text(&subject), "one");
        assert_eq!(Seen::All.text(&subject), "one\ntwo");
    }

    #[test]
    fn excerpts_are_cut_as_javascript_counts() {
        assert_eq!(excerpt(&"a".repeat(100)).len(), 100);
        assert_eq!(excerpt(&"a".repeat(101)), format!("{}...", "a".repeat(100)));
        assert_eq!(excerpt(&"😀".repeat(51)), format!("{}...", "😀".repeat(50)));
    }
}
