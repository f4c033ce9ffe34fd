//! Which text of an answer.

use tidegate_providers::Event;

/// One text of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Which choice.
    pub(super) choice: u32,
    /// What of it.
    pub(super) kind: Kind,
}

/// Texts of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What it says.
    Text,
    /// What it thinks.
    Reasoning,
    /// How it declines.
    Refusal,
    /// Arguments of a tool call, by its number.
    Arguments(u32),
}

impl Kind {
    /// Returns the word that plugins see.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Reasoning => "reasoning",
            Kind::Refusal => "refusal",
            Kind::Arguments(_) => "tool-arguments",
        }
    }
}

impl Key {
    /// Returns whether the text is JSON.
    pub(super) fn is_json(self) -> bool {
        matches!(self.kind, Kind::Arguments(_))
    }

    /// Splits an event that carries text.
    pub(super) fn of(event: &Event) -> Option<(Self, &str)> {
        let (choice, kind, text) = match event {
            Event::Text { choice, text } => (choice, Kind::Text, text),
            Event::Reasoning { choice, text } => (choice, Kind::Reasoning, text),
            Event::Refusal { choice, text } => (choice, Kind::Refusal, text),
            Event::ToolArguments { choice, tool, json } => (choice, Kind::Arguments(*tool), json),
            _ => return None,
        };
        Some((Self { choice: *choice, kind }, text))
    }

    /// Makes an event that carries text.
    pub(super) fn event(self, text: String) -> Event {
        let choice = self.choice;
        match self.kind {
            Kind::Text => Event::Text { choice, text },
            Kind::Reasoning => Event::Reasoning { choice, text },
            Kind::Refusal => Event::Refusal { choice, text },
            Kind::Arguments(tool) => Event::ToolArguments { choice, tool, json: text },
        }
    }
}
