//! Topics: a text that has words of an unwanted topic fails.
//!
//! Words and phrases are found whole and in any case. A phrase that is allowed hides the words within it. All texts of
//! a request or answer are looked at, and streams while they run.

mod phrase;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use std::collections::BTreeMap;
use tidegate_plugin_sdk::patterns::{Action, Finder, Hit, PatternGuard, Reach};
use tidegate_plugin_sdk::{
    CheckError, CheckInfo, Judgement, Manifest, Params, Plugin, Reason, StreamWindow, Subject, WindowAnswer,
    WindowNeeds,
};

use phrase::Phrase;

const SCHEMA: &str = r#"{"type": "object", "required": ["topics"], "properties": {
    "topics": {"type": "object", "minProperties": 1, "description": "Names of topics and their words or phrases",
        "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}},
    "deny": {"type": "array", "items": {"type": "string"}, "description": "Topics that fail; all by default"},
    "allow": {"type": "array", "items": {"type": "string"}, "description": "Phrases that are fine, whatever is in them"},
    "message": {"type": "string", "default": "This topic is not allowed here.",
        "description": "The sentence for the end user"}
}}"#;

#[derive(Deserialize)]
struct Wanted {
    topics: BTreeMap<String, Vec<String>>,
    deny: Option<Vec<String>>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default = "refusal")]
    message: String,
}

fn refusal() -> String {
    "This topic is not allowed here.".to_owned()
}

/// Finds words of topics.
struct Words {
    denied: Vec<(String, Phrase)>,
    allowed: Vec<Phrase>,
}

impl Words {
    fn is_allowed(&self, text: &str, start: usize, end: usize) -> bool {
        self.allowed.iter().any(|phrase| {
            let mut from = start.saturating_sub(phrase.longest());
            while !text.is_char_boundary(from) {
                from += 1;
            }
            let starts = text.get(from..=start).map(str::char_indices).into_iter().flatten();
            starts
                .map(|(at, _)| from + at)
                .any(|at| phrase.end(text, at).is_some_and(|covered| covered >= end))
        })
    }
}

impl Finder for Words {
    fn reach(&self) -> Reach {
        let longest =
            |phrases: &mut dyn Iterator<Item = &Phrase>| phrases.map(Phrase::longest).max().unwrap_or(0);
        let denied = longest(&mut self.denied.iter().map(|(_, phrase)| phrase));
        let allowed = longest(&mut self.allowed.iter());
        // A character more on each side shows that a word is whole.
        Reach { before: allowed as u32 + 4, after: denied.max(allowed) as u32 + 4 }
    }

    fn next(&self, text: &str, from: usize) -> Option<Hit> {
        let rest = text.get(from..)?;
        rest.char_indices().find_map(|(at, _)| {
            let start = from + at;
            // The longest one, so that all of it is seen before anything after it.
            let ends =
                self.denied.iter().filter_map(|(topic, phrase)| Some((phrase.end(text, start)?, topic)));
            let (end, topic) = ends.max_by_key(|(end, _)| *end)?;
            (!self.is_allowed(text, start, end)).then(|| Hit::new(start, end, topic, ""))
        })
    }
}

/// The plugin.
#[derive(Debug)]
pub struct Topics;

impl Topics {
    fn guard(check: &str, params: &Params) -> Result<PatternGuard<Words>, CheckError> {
        if check != "keywords" {
            return Err(CheckError::unknown(check));
        }
        let wanted: Wanted = params.read()?;
        if let Some(unknown) = wanted.deny.iter().flatten().find(|name| !wanted.topics.contains_key(*name)) {
            return Err(CheckError::new(
                "ParamsError",
                format!("parameters: deny: there is no topic `{unknown}`"),
            ));
        }
        let is_denied = |name: &String| wanted.deny.as_ref().is_none_or(|names| names.contains(name));
        let denied = wanted.topics.iter().filter(|(name, _)| is_denied(name));
        let denied =
            denied.flat_map(|(name, words)| words.iter().map(|word| (name.clone(), Phrase::new(word))));
        let words = Words {
            denied: denied.collect(),
            allowed: wanted.allow.iter().map(|words| Phrase::new(words)).collect(),
        };
        Ok(PatternGuard::new(words, Action::Fail(Reason::new("topic_found", wanted.message))))
    }
}

impl Plugin for Topics {
    fn manifest() -> Manifest {
        Manifest::new("topics", env!("CARGO_PKG_VERSION"))
            .check(CheckInfo::new("keywords").streams().params(SCHEMA))
    }

    fn check(check: &str, params: &Params, subject: &Subject) -> Result<Judgement, CheckError> {
        Ok(Self::guard(check, params)?.check(subject))
    }

    fn needs(check: &str, params: &Params) -> Result<WindowNeeds, CheckError> {
        Ok(Self::guard(check, params)?.needs())
    }

    fn window(check: &str, params: &Params, window: &StreamWindow) -> Result<WindowAnswer, CheckError> {
        Ok(Self::guard(check, params)?.window(window))
    }
}

tidegate_plugin_sdk::register!(Topics);
