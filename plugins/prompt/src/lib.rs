//! Routing conditions on the prompt: how long it is, and in which language.
//!
//! `{"query": {"$plugin": {"id": "prompt.longer_than", "params": {"characters": 8000}}}, "then": "long-context"}`

mod language;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use tidegate_plugin_sdk::{CallView, CheckError, Manifest, Message, Params, Plugin};

const LONGER_THAN: &str = r#"{"type": "object", "required": ["characters"], "properties": {
    "characters": {"type": "integer", "minimum": 0, "description": "Of all messages together"}
}}"#;

const LANGUAGE: &str = r#"{"type": "object", "required": ["any_of"], "properties": {
    "any_of": {"type": "array", "minItems": 1, "items": {"type": "string"},
        "description": "ISO 639-1 codes: ar, de, el, en, es, fr, he, hi, it, ja, ko, nl, pl, pt, ru, th, tr, uk, zh"}
}}"#;

#[derive(Deserialize)]
struct LongerThan {
    characters: usize,
}

#[derive(Deserialize)]
struct Language {
    any_of: Vec<String>,
}

/// The plugin.
#[derive(Debug)]
pub struct Prompt;

impl Plugin for Prompt {
    fn manifest() -> Manifest {
        Manifest::new("prompt", env!("CARGO_PKG_VERSION"))
            .wants("messages")
            .condition("longer_than", LONGER_THAN)
            .condition("language", LANGUAGE)
    }

    fn matches(condition: &str, params: &Params, call: &CallView) -> Result<bool, CheckError> {
        match condition {
            "longer_than" => {
                let LongerThan { characters } = params.read()?;
                let texts = call.messages.iter().filter_map(|message| message.text.as_deref());
                // The last character that is needed ends the counting.
                Ok(texts.flat_map(str::chars).nth(characters).is_some())
            }
            "language" => {
                let Language { any_of } = params.read()?;
                if let Some(unknown) = any_of.iter().find(|code| !language::is_known(code)) {
                    let message =
                        format!("parameters: any_of: `{unknown}` is not a language this plugin knows");
                    return Err(CheckError::new("ParamsError", message));
                }
                let spoken = last_text(&call.messages).and_then(language::of);
                Ok(spoken.is_some_and(|code| any_of.iter().any(|wanted| wanted == code)))
            }
            other => Err(CheckError::unknown(other)),
        }
    }
}

/// What the user said last decides; without a user, the last text.
fn last_text(messages: &[Message]) -> Option<&str> {
    let texts = || messages.iter().rev().filter(|message| message.text.is_some());
    let said = texts().find(|message| message.role == "user").or_else(|| texts().next());
    said.and_then(|message| message.text.as_deref())
}

tidegate_plugin_sdk::register!(Prompt);
