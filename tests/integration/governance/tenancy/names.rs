//! What a workspace owns has ids, slugs and names; each has a twin of the same shape that nobody has.

use super::super::orders::text;
use serde_json::Value;

/// Kinds of what a place may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Workspace,
    WorkspaceName,
    Key,
    Provider,
    Integration,
    Config,
    Version,
    Guardrail,
    GuardrailVersion,
    Usage,
    Rate,
    Bucket,
    Reference,
    Person,
    Invite,
    /// A row of the request log.
    Request,
    /// A slug that is to be given to something new: taken elsewhere says nothing here.
    Taken,
}

impl Kind {
    /// Returns what the table calls it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::WorkspaceName => "workspace's name",
            Self::Key => "key",
            Self::Provider => "provider",
            Self::Integration => "integration",
            Self::Config => "config",
            Self::Version => "config's version",
            Self::Guardrail => "guardrail",
            Self::GuardrailVersion => "guardrail's version",
            Self::Usage => "usage policy",
            Self::Rate => "rate policy",
            Self::Bucket => "bucket",
            Self::Reference => "secret reference",
            Self::Person => "person",
            Self::Invite => "invitation",
            Self::Request => "request",
            Self::Taken => "provider's slug",
        }
    }
}

/// One name of something that the other workspace owns.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// The names of what a workspace owns.
#[derive(Default)]
pub(super) struct Names(Vec<Name>);

impl Names {
    pub(super) fn add(&mut self, kind: Kind, text: impl Into<String>) {
        let text = text.into();
        assert!(text.len() > 5, "{text:?} is too short to be told from others");
        self.0.push(Name { kind, text });
    }

    /// Adds these members of an answer.
    pub(super) fn add_of(&mut self, kind: Kind, answer: &Value, members: &[&str]) {
        for member in members {
            self.add(kind, text(answer, member));
        }
    }

    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &Name> {
        self.0.iter().filter(move |name| name.kind == kind)
    }

    /// Returns the first name that stands in a text.
    pub(super) fn found_in(&self, text: &str) -> Option<&Name> {
        self.0.iter().find(|name| text.contains(&name.text))
    }
}

/// Makes a name of the same shape: the last letters and digits are others.
pub(super) fn twin(name: &str) -> String {
    let end = name.find('@').filter(|_| name.contains(".com")).unwrap_or(name.len());
    let mut left = 8;
    let mut made: Vec<char> = Vec::new();
    for letter in name[..end].chars().rev() {
        made.push(match letter {
            '0'..='9' if left > 0 => char::from(b'0' + (letter as u8 - b'0' + 7) % 10),
            'a'..='f' if left > 0 => char::from(b'a' + (letter as u8 - b'a' + 3) % 6),
            'g'..='z' if left > 0 => char::from(b'g' + (letter as u8 - b'g' + 7) % 20),
            other => other,
        });
        left -= i32::from(left > 0 && letter.is_ascii_alphanumeric());
    }
    made.into_iter().rev().chain(name[end..].chars()).collect()
}

#[test]
fn twins_have_the_shape_of_what_they_are_twins_of() {
    for name in ["018f3b1c-77aa-7c1e-9a55-0123456789ab", "pg-victim-0a1b2c", "ada-victim@example.com"] {
        let twin = twin(name);
        assert_ne!(twin, name);
        assert_eq!(twin.len(), name.len());
        assert_eq!(twin.find(['-', '@']), name.find(['-', '@']));
    }
}
