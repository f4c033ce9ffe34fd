//! The settings file while it is made.

use serde_json::Value;

use crate::note::Note;
use crate::variables::Variables;

/// Everything that goes into the file.
#[derive(Default)]
pub(crate) struct Draft {
    /// What the input was, for the file's first line.
    pub(crate) source: &'static str,
    pub(crate) providers: Vec<Provider>,
    pub(crate) keys: Vec<Key>,
    pub(crate) configs: Vec<Document>,
    pub(crate) guardrails: Vec<Document>,
    /// Members of the top level, as TOML: name, value, comment.
    pub(crate) top: Vec<Line>,
    pub(crate) cache: Vec<Line>,
    pub(crate) log: Vec<Line>,
    pub(crate) limits: Vec<Line>,
    pub(crate) variables: Variables,
    pub(crate) notes: Vec<Note>,
}

/// `name = value  # comment`, the value as TOML.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) comment: &'static str,
}

/// `[[provider]]`
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Provider {
    pub(crate) slug: String,
    pub(crate) vendor: String,
    /// A reference; never a key itself.
    pub(crate) api_key: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) trusted: bool,
    pub(crate) options: Vec<(String, String)>,
    /// Models to list; none asks the vendor.
    pub(crate) models: Vec<String>,
    /// Model, then names and decimals.
    pub(crate) prices: Vec<(String, Vec<(&'static str, String)>)>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) budget: Option<Budget>,
    /// Said above it.
    pub(crate) comment: String,
}

/// `[[key]]`
#[derive(Default)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// A reference; without one the key is made at the first start.
    pub(crate) key: Option<String>,
    pub(crate) models: Vec<String>,
    pub(crate) config: Option<String>,
    pub(crate) allow_config_override: Option<bool>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) budget: Option<Budget>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) expires_at: Option<String>,
    pub(crate) comment: String,
}

/// `[[config]]` and `[[guardrail]]`
pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) json: Value,
    pub(crate) comment: String,
}

/// One entry of `limits`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Limit {
    Requests(u32, &'static str),
    Tokens(u32, &'static str),
    Concurrent(u32),
}

/// `budget`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Budget {
    /// Decimal text.
    pub(crate) usd: String,
    pub(crate) period: Period,
}

/// When a budget starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    Never,
    Named(&'static str),
    Days(u16),
}

impl Draft {
    pub(crate) fn note(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let note = Note::new(path, message);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Returns a slug that is free: `wanted`, or that with a number.
    pub(crate) fn free_slug(&self, wanted: &str) -> String {
        let base = slug(wanted);
        let mut free = base.clone();
        let mut number = 2;
        while self.providers.iter().any(|known| known.slug == free) {
            free = format!("{}-{number}", base.get(..60).unwrap_or(&base));
            number += 1;
        }
        free
    }
}

/// Returns a text as slugs are written: 1 to 64 letters, digits, `-`, `_`, `.`.
pub(crate) fn slug(text: &str) -> String {
    let fold = |letter: char| {
        if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' }
    };
    let folded: String = text.chars().map(fold).take(64).collect();
    let trimmed = folded.trim_matches('-');
    if trimmed.is_empty() { "provider".to_owned() } else { trimmed.to_owned() }
}

/// Returns dollars as a budget takes them: plain decimals, to a billionth. `None` above what is counted.
pub(crate) fn dollars(amount: f64) -> Option<String> {
    if !(0.0..=9_000_000_000.0).contains(&amount) {
        return None;
    }
    let text = format!("{amount:.9}");
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}
