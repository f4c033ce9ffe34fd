//! `contains`: any, all or none of some words.

use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_plugin_sdk::{
    CheckError, Params, StreamWindow, Subject, WindowAnswer, WindowNeeds, WindowVerdict,
};

use super::seen::Seen;
use crate::judged::{Judged, array, judged, reason};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "required": ["words"], "properties": {
    "words": {"type": "array", "items": {"type": "string"}},
    "operator": {"enum": ["any", "all", "none"], "default": "any"},
    "messages": {"enum": ["last", "all"], "default": "last"}
}}"#;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operator {
    #[default]
    Any,
    All,
    None,
}

impl Operator {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::None => "none",
        }
    }

    pub(crate) fn passes(self, found: usize, missing: usize) -> bool {
        match self {
            Self::Any => found > 0,
            Self::All => missing == 0,
            Self::None => found == 0,
        }
    }
}

#[derive(Deserialize)]
struct Wanted {
    words: Vec<String>,
    #[serde(default)]
    operator: Operator,
}

impl Wanted {
    fn verdict(&self, is_found: impl Fn(&str) -> bool) -> (bool, Value) {
        let (found, missing): (Vec<&str>, Vec<&str>) =
            self.words.iter().map(String::as_str).partition(|word| is_found(word));
        let verdict = self.operator.passes(found.len(), missing.len());
        let detail = match (verdict, self.operator) {
            (true, Operator::Any) => "At least one word was found.",
            (true, Operator::All) => "All words were found.",
            (true, Operator::None) | (false, Operator::Any) => "No words were found.",
            (false, Operator::All) => "Some words were missing.",
            (false, Operator::None) => "Some words were found.",
        };
        let (outcome, operator) = (if verdict { "passed" } else { "failed" }, self.operator.name());
        let data = json!({
            "explanation": format!("Check {outcome} for '{operator}' words. {detail}"),
            "foundWords": array(&found),
            "missingWords": array(&missing),
            "operator": operator,
        });
        (verdict, data)
    }
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let wanted: Wanted = params.read()?;
    let text = Seen::of(params).text(subject);
    let (verdict, data) = wanted.verdict(|word| text.contains(word));
    Ok(judged("contains", verdict, &data))
}

pub(crate) fn needs(params: &Params) -> Result<WindowNeeds, CheckError> {
    let wanted: Wanted = params.read()?;
    // That something is missing is known at the end only.
    if wanted.operator != Operator::None {
        return Ok(WindowNeeds::WHOLE);
    }
    let longest = wanted.words.iter().map(String::len).max().unwrap_or_default();
    Ok(WindowNeeds { lookahead: (longest as u32).saturating_sub(1), overlap: 0 })
}

pub(crate) fn window(params: &Params, window: &StreamWindow) -> Result<WindowAnswer, CheckError> {
    let wanted: Wanted = params.read()?;
    if !Seen::of(params).counts_window(window) || wanted.operator != Operator::None && !window.last {
        return Ok(WindowAnswer::default());
    }
    // A word that was once seen stays found, however often it is shown again.
    let before: Vec<String> = serde_json::from_slice(&window.state).unwrap_or_default();
    let is_found = |word: &str| window.text.contains(word) || before.iter().any(|found| found == word);
    let found: Vec<&String> = wanted.words.iter().filter(|word| is_found(word)).collect();
    let (passes, data) = wanted.verdict(is_found);
    let verdict = if passes { WindowVerdict::Pass } else { WindowVerdict::Fail(reason("contains", &data)) };
    let state = serde_json::to_vec(&found).unwrap_or_default();
    Ok(WindowAnswer { verdict, state, data_json: Some(data.to_string()) })
}
