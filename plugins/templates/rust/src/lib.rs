//! Two checks over a list of words: no-secrets fails on them, hide replaces them.

use serde::Deserialize;
use tidegate_plugin_sdk::patterns::{Action, Finder, Hit, PatternGuard, Reach};
use tidegate_plugin_sdk::{CheckError, CheckInfo, Judgement, Manifest, Params, Plugin, Reason};
use tidegate_plugin_sdk::{StreamWindow, Subject, WindowAnswer, WindowNeeds};

const SCHEMA: &str = r#"{"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}"#;

#[derive(Deserialize)]
struct Words {
    #[serde(default = "usual")]
    words: Vec<String>,
}

fn usual() -> Vec<String> {
    vec!["swordfish".to_owned()]
}

impl Finder for Words {
    fn reach(&self) -> Reach {
        // To know that a word begins at a position, the rest of the longest word must be seen.
        let longest = self.words.iter().map(String::len).max().unwrap_or_default();
        Reach { before: 0, after: u32::try_from(longest).unwrap_or(u32::MAX) }
    }

    fn next(&self, text: &str, from: usize) -> Option<Hit> {
        (from..text.len()).filter(|at| text.is_char_boundary(*at)).find_map(|at| {
            let words = self.words.iter().filter(|word| text[at..].starts_with(*word));
            let longest = words.map(String::len).max()?;
            Some(Hit::new(at, at + longest, "word", "[hidden]"))
        })
    }
}

/// What finds words does the rest: whole texts and windows of streams.
fn guard(check: &str, params: &Params) -> Result<PatternGuard<Words>, CheckError> {
    let action = match check {
        "no-secrets" => Action::Fail(Reason::new("word_found", "A word was found that must not pass.")),
        "hide" => Action::Mask,
        _ => return Err(CheckError::unknown(check)),
    };
    let words: Words = params.read()?;
    if words.words.is_empty() || words.words.contains(&String::new()) {
        return Err(CheckError::new("ParamsError", "words must be a list of texts, none of them empty"));
    }
    Ok(PatternGuard::new(words, action))
}

struct Guard;

impl Plugin for Guard {
    fn manifest() -> Manifest {
        Manifest::new("my-guard", env!("CARGO_PKG_VERSION"))
            .check(CheckInfo::new("no-secrets").streams().params(SCHEMA))
            .check(CheckInfo::new("hide").streams().mutates().params(SCHEMA))
    }

    fn check(check: &str, params: &Params, subject: &Subject) -> Result<Judgement, CheckError> {
        Ok(guard(check, params)?.check(subject))
    }

    fn needs(check: &str, params: &Params) -> Result<WindowNeeds, CheckError> {
        Ok(guard(check, params)?.needs())
    }

    fn window(check: &str, params: &Params, window: &StreamWindow) -> Result<WindowAnswer, CheckError> {
        Ok(guard(check, params)?.window(window))
    }
}

tidegate_plugin_sdk::register!(Guard);

#[cfg(test)]
mod tests {
    use tidegate_plugin_sdk::testing;

    use super::*;

    #[test]
    fn a_stream_is_masked_like_the_whole_however_it_is_cut() {
        testing::assert_streams_like_whole::<Guard>("hide", "{}", "a swordfish, a sword and a swordfish");
    }
}
