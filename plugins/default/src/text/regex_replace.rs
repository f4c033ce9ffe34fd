//! `regexReplace`: matches become something else. Without the flag `g` it is the first match of each text only, as in
//! JavaScript; a stream then waits for its end, because a text that was shown before may come again.

use serde_json::{Value, json};
use tidegate_plugin_sdk::patterns::{Action, Finder, Hit, PatternGuard, Reach};
use tidegate_plugin_sdk::{
    CheckError, Judgement, Mask, Params, Span, StreamWindow, Subject, Verdict, WindowAnswer, WindowNeeds,
    WindowVerdict,
};

use super::regex::{Rule, expand};
use super::regex_match::lookahead;
use super::seen::Seen;
use crate::judged::{Judged, reason};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "required": ["rule"], "properties": {
    "rule": {"type": "string", "description": "A JavaScript pattern, bare or as /pattern/flags"},
    "redactText": {"type": "string", "default": "[REDACTED]"},
    "failOnDetection": {"type": "boolean", "default": false},
    "messages": {"enum": ["last", "all"], "default": "last"},
    "lookahead": {"type": "integer", "minimum": 1, "maximum": 65536, "default": 256,
        "description": "Bytes of a stream held back, with the flag g: the longest match"}
}}"#;

/// A rule and what replaces its matches.
struct Replacer {
    rule: Rule,
    redact: String,
    lookahead: u32,
}

impl Replacer {
    fn of(params: &Params) -> Result<Self, CheckError> {
        let rule = Rule::literal(pattern(params)?).map_err(|error| failed(error, params))?;
        let redact = params.text("redactText").filter(|text| !text.is_empty()).unwrap_or("[REDACTED]");
        Ok(Self { rule, redact: redact.to_owned(), lookahead: lookahead(params) })
    }

    /// Returns whether all of a text must be known: to find the first match, or to repeat what stands around one.
    fn is_whole(&self, params: &Params) -> bool {
        let repeats = self.redact.contains("$`") || self.redact.contains("$'");
        (repeats || !self.rule.global) && !params.flag("failOnDetection")
    }

    fn first(&self, text: &str) -> Vec<Span> {
        let hit = self.next(text, 0);
        hit.and_then(|hit| Span::new(hit.start, hit.end - hit.start, hit.replacement)).into_iter().collect()
    }
}

impl Finder for Replacer {
    fn reach(&self) -> Reach {
        Reach { before: self.lookahead, after: self.lookahead }
    }

    fn next(&self, text: &str, from: usize) -> Option<Hit> {
        let found = self.rule.find(text, from)?;
        Some(Hit::new(found.start(), found.end(), "match", expand(&self.redact, text, &found)))
    }
}

fn pattern(params: &Params) -> Result<&str, CheckError> {
    let pattern = params.text("rule").filter(|rule| !rule.is_empty());
    pattern.ok_or_else(|| failed(CheckError::new("Error", "Missing regex pattern"), params))
}

fn failed(error: CheckError, params: &Params) -> CheckError {
    let data = json!({
        "explanation": format!("An error occurred while processing the regex: {}", error.message),
        "regexPattern": params.get("rule").cloned().unwrap_or_default(),
    });
    error.with_data(&data)
}

fn data(params: &Params, redact: &str, matched: bool) -> Value {
    let pattern = params.text("rule").unwrap_or_default();
    let explanation = if matched {
        format!("Pattern '{pattern}' matched and was replaced with '{redact}'")
    } else {
        format!("The regex pattern '{pattern}' did not match any text.")
    };
    let verdict = !(matched && params.flag("failOnDetection"));
    json!({ "regexPattern": pattern, "verdict": verdict, "explanation": explanation })
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let replacer = Replacer::of(params)?;
    let seen = Seen::of(params);
    if seen.text(subject).is_empty() {
        return Err(failed(CheckError::new("Error", "Missing text to match"), params));
    }
    let (redact, global) = (replacer.redact.clone(), replacer.rule.global);
    let verdict = if global {
        PatternGuard::new(replacer, Action::Mask).check_where(subject, seen.counts(subject)).verdict
    } else {
        let counts = seen.counts(subject);
        let pieces = (0..).zip(&subject.pieces).filter(|(_, piece)| counts(piece));
        let masks: Vec<Mask> = pieces
            .map(|(index, piece)| Mask { piece: index, spans: replacer.first(&piece.text) })
            .filter(|mask| !mask.spans.is_empty())
            .collect();
        if masks.is_empty() { Verdict::Pass } else { Verdict::Mask(masks) }
    };
    let matched = verdict != Verdict::Pass;
    let data = data(params, &redact, matched);
    let fails = matched && params.flag("failOnDetection");
    let verdict = if fails { Verdict::Fail(reason("regexReplace", &data)) } else { verdict };
    Ok(Judgement::from(verdict).with_data(&data))
}

pub(crate) fn needs(params: &Params) -> Result<WindowNeeds, CheckError> {
    let replacer = Replacer::of(params)?;
    if replacer.is_whole(params) {
        return Ok(WindowNeeds::WHOLE);
    }
    Ok(PatternGuard::new(replacer, Action::Mask).needs())
}

pub(crate) fn window(params: &Params, window: &StreamWindow) -> Result<WindowAnswer, CheckError> {
    let replacer = Replacer::of(params)?;
    let fails = params.flag("failOnDetection");
    let whole = replacer.is_whole(params);
    if !Seen::of(params).counts_window(window) || whole && !window.last {
        return Ok(WindowAnswer::default());
    }
    let redact = replacer.redact.clone();
    let mut answer = if whole && !replacer.rule.global {
        let spans = replacer.first(&window.text);
        let verdict = if spans.is_empty() { WindowVerdict::Pass } else { WindowVerdict::Mask(spans) };
        WindowAnswer { verdict, ..WindowAnswer::default() }
    } else {
        PatternGuard::new(replacer, Action::Mask).window(window)
    };
    let matched = answer.verdict != WindowVerdict::Pass || !answer.state.is_empty();
    // Nothing was found, and there was nothing to find it in.
    let is_empty = window.last && window.text.is_empty();
    let data = data(params, &redact, matched);
    if fails && answer.verdict != WindowVerdict::Pass {
        answer.verdict = WindowVerdict::Fail(reason("regexReplace", &data));
    }
    answer.data_json = (!is_empty || matched).then(|| data.to_string());
    Ok(answer)
}
