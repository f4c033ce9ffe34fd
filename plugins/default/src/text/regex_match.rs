//! `regexMatch`: a pattern matches, or with `not` does not.

use regress::Match;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tidegate_plugin_sdk::{
    CheckError, Judgement, Params, Reason, StreamWindow, Subject, Verdict, WindowAnswer, WindowNeeds,
    WindowVerdict,
};

use super::regex::Rule;
use super::seen::{Seen, excerpt, excerpt_or_none};
use crate::judged::{Judged, with};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "required": ["rule"], "properties": {
    "rule": {"type": "string", "description": "A JavaScript pattern, without slashes"},
    "not": {"type": "boolean", "default": false},
    "messages": {"enum": ["last", "all"], "default": "last"},
    "lookahead": {"type": "integer", "minimum": 1, "maximum": 65536, "default": 256,
        "description": "Bytes of a stream held back, with not: the longest match"}
}}"#;

/// Long enough for keys, names and sentences; short enough not to be seen on a screen.
const LOOKAHEAD: u32 = 256;

/// Returns the parameter `lookahead`, or its default.
pub(crate) fn lookahead(params: &Params) -> u32 {
    let given = params.get("lookahead").and_then(Value::as_u64).and_then(|given| u32::try_from(given).ok());
    given.filter(|given| (1..=65_536).contains(given)).unwrap_or(LOOKAHEAD)
}

/// Returns the error of a rule that could not be used.
fn failed(error: CheckError, params: &Params, text: &str) -> CheckError {
    let data = json!({
        "explanation": format!("An error occurred while processing the regex: {}", error.message),
        "regexPattern": params.get("rule").cloned().unwrap_or_default(),
        "not": params.flag("not"),
        "textExcerpt": excerpt_or_none(text),
    });
    error.with_data(&data)
}

/// Returns the compiled rule.
fn rule(params: &Params, text: &str) -> Result<Rule, CheckError> {
    let pattern = params.text("rule").unwrap_or_default();
    let rule = if pattern.is_empty() {
        Err(CheckError::new("Error", "Missing regex pattern"))
    } else {
        Rule::bare(pattern)
    };
    rule.map_err(|error| failed(error, params, text))
}

/// What results say, with Portkey's names and in its order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    regex_pattern: &'a str,
    not: bool,
    verdict: bool,
    explanation: String,
    match_details: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_excerpt: Option<String>,
}

fn data<'a>(params: &'a Params, found: Option<Value>, text: Option<&str>) -> Data<'a> {
    let (not, regex_pattern) = (params.flag("not"), params.text("rule").unwrap_or_default());
    let verdict = found.is_some() != not;
    let explanation = match (verdict, not) {
        (true, true) => format!("The regex pattern '{regex_pattern}' did not match the text as expected."),
        (true, false) => format!("The regex pattern '{regex_pattern}' successfully matched the text."),
        (false, true) => {
            format!("The regex pattern '{regex_pattern}' matched the text when it should not have.")
        }
        (false, false) => format!("The regex pattern '{regex_pattern}' did not match the text."),
    };
    Data { regex_pattern, not, verdict, explanation, match_details: found, text_excerpt: text.map(excerpt) }
}

/// Returns what a match captured. Its index counts UTF-16 units from the start of the whole text.
fn details(text: &str, found: &Match, index: bool) -> Value {
    let texts = |range: Option<std::ops::Range<usize>>| json!(range.and_then(|range| text.get(range)));
    let named: Map<String, Value> =
        found.named_groups().map(|(name, range)| (name.to_owned(), texts(range))).collect();
    let before = text.get(..found.start()).unwrap_or_default();
    let data = json!({ "matchedText": text.get(found.range()) });
    let data = with(data, "index", index.then(|| before.encode_utf16().count().into()));
    let data = with(data, "groups", Some(named.into()));
    with(data, "captures", Some(found.groups().skip(1).map(texts).collect()))
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let text = Seen::of(params).text(subject);
    let rule = rule(params, &text)?;
    if text.is_empty() {
        return Err(failed(CheckError::new("Error", "Missing text to match"), params, &text));
    }
    let found = rule.find(&text, 0).map(|found| details(&text, &found, true));
    let data = data(params, found, Some(&text));
    let verdict = if data.verdict {
        Verdict::Pass
    } else {
        Verdict::Fail(Reason::new("regexMatch", &*data.explanation))
    };
    Ok(Judgement::from(verdict).with_data(&data))
}

pub(crate) fn needs(params: &Params) -> Result<WindowNeeds, CheckError> {
    rule(params, "")?;
    // That nothing matches is known at the end only.
    if !params.flag("not") {
        return Ok(WindowNeeds::WHOLE);
    }
    let lookahead = lookahead(params);
    Ok(WindowNeeds { lookahead, overlap: lookahead })
}

pub(crate) fn window(params: &Params, window: &StreamWindow) -> Result<WindowAnswer, CheckError> {
    let not = params.flag("not");
    if !Seen::of(params).counts_window(window) || !not && !window.last {
        return Ok(WindowAnswer::default());
    }
    let rule = rule(params, "")?;
    let held = if window.last { 0 } else { lookahead(params) as usize };
    let until = window.text.len().saturating_sub(held);
    let found = rule.find(&window.text, window.overlap as usize).filter(|found| found.start() <= until);
    if found.is_none() && !window.last {
        return Ok(WindowAnswer::default());
    }
    // An answer without any text is judged like Portkey judges it: not at all.
    if found.is_none() && window.text.is_empty() {
        return Ok(WindowAnswer::default());
    }
    let found = found.map(|found| details(&window.text, &found, !not));
    let data = data(params, found, (!not).then_some(&window.text));
    let verdict = if data.verdict {
        WindowVerdict::Pass
    } else {
        WindowVerdict::Fail(Reason::new("regexMatch", &*data.explanation))
    };
    Ok(WindowAnswer { verdict, state: Vec::new(), data_json: serde_json::to_string(&data).ok() })
}
