//! `sentenceCount`, `wordCount`, `characterCount`: a number within a range.

use serde_json::{Value, json};
use tidegate_plugin_sdk::{Params, Subject};

use super::seen::{Seen, excerpt, excerpt_or_none};
use crate::judged::{Judged, error, judged};

/// Returns the parameter schema of a check that counts.
pub(crate) fn schema(what: &str, most: u64) -> String {
    format!(
        r#"{{"type": "object", "properties": {{
            "min{what}": {{"type": "number", "default": 0}},
            "max{what}": {{"type": "number", "default": {most}}},
            "not": {{"type": "boolean", "default": false}},
            "messages": {{"enum": ["last", "all"], "default": "last"}}
        }}}}"#
    )
}

/// Returns a limit, or its default where none is given.
fn limit(params: &Params, name: &str, default: u64) -> Value {
    params.get(name).filter(|given| !given.is_null()).cloned().unwrap_or_else(|| default.into())
}

fn in_range(count: usize, least: &Value, most: &Value) -> Option<bool> {
    let count = count as f64;
    Some(count >= least.as_f64()? && count <= most.as_f64()?)
}

/// Returns whether both limits are whole numbers.
fn whole(least: &Value, most: &Value) -> bool {
    let is_whole = |limit: &Value| limit.as_f64().is_some_and(|limit| limit.fract() == 0.0);
    is_whole(least) && is_whole(most)
}

pub(crate) fn sentences(params: &Params, subject: &Subject) -> Judged {
    let text = Seen::of(params).text(subject);
    let (least, most) = (limit(params, "minSentences", 0), limit(params, "maxSentences", 99_999));
    let not = params.flag("not");
    let count = text.matches(['.', '!', '?']).count();
    let Some(inside) = in_range(count, &least, &most) else {
        let message = "Missing sentence count range";
        let data = json!({
            "explanation": format!("An error occurred: {message}"), "minCount": least, "maxCount": most, "not": not,
            "textExcerpt": excerpt_or_none(&text),
        });
        return Err(error(message, &data));
    };
    let range = format!("the specified range of {least} to {most}");
    let explanation = match (inside != not, not) {
        (true, true) => format!("The sentence count ({count}) is outside {range} as expected."),
        (true, false) => format!("The sentence count ({count}) is within {range}."),
        (false, true) => format!("The sentence count ({count}) is within {range} when it should not be."),
        (false, false) => format!("The sentence count ({count}) is outside {range}."),
    };
    let data = json!({
        "sentenceCount": count, "minCount": least, "maxCount": most, "not": not, "verdict": inside != not,
        "explanation": explanation, "textExcerpt": excerpt(&text),
    });
    Ok(judged("sentenceCount", inside != not, &data))
}

/// What tells the two checks apart that count words and characters.
struct Unit {
    check: &'static str,
    plural: &'static str,
    capital: &'static str,
    doing: &'static str,
    problem: &'static str,
    most: u64,
    count: fn(&str) -> usize,
}

const WORDS: Unit = Unit {
    check: "wordCount",
    plural: "words",
    capital: "Words",
    doing: "processing word count",
    problem: "Invalid or missing word count range",
    most: 99_999,
    count: |text| text.split_whitespace().count(),
};

const CHARACTERS: Unit = Unit {
    check: "characterCount",
    plural: "characters",
    capital: "Characters",
    doing: "counting characters",
    problem: "Invalid or missing character count range",
    most: 9_999_999,
    // As JavaScript counts.
    count: |text| text.encode_utf16().count(),
};

pub(crate) fn words(params: &Params, subject: &Subject) -> Judged {
    let text = Seen::of(params).text(subject);
    count(&WORDS, params, text.trim())
}

pub(crate) fn characters(params: &Params, subject: &Subject) -> Judged {
    count(&CHARACTERS, params, &Seen::of(params).text(subject))
}

fn count(unit: &Unit, params: &Params, text: &str) -> Judged {
    let (least_name, most_name) = (format!("min{}", unit.capital), format!("max{}", unit.capital));
    let (least, most) = (limit(params, &least_name, 0), limit(params, &most_name, unit.most));
    let not = params.flag("not");
    let failed = |message: &str| {
        let explanation = format!("An error occurred while {}: {message}", unit.doing);
        let data = json!({
            "explanation": explanation, &least_name: least, &most_name: most, "not": not,
            "textExcerpt": excerpt_or_none(text),
        });
        error(message, &data)
    };
    if text.is_empty() {
        return Err(failed("Missing text to analyze"));
    }
    let count = (unit.count)(text);
    let Some(inside) = in_range(count, &least, &most).filter(|_| whole(&least, &most)) else {
        return Err(failed(unit.problem));
    };
    let (plural, range) = (unit.plural, format!("the specified range of {least}-{most} {}", unit.plural));
    let explanation = match (inside != not, not) {
        (true, true) => format!("The text contains {count} {plural}, which is outside {range} as expected."),
        (true, false) => format!("The text contains {count} {plural}, which is within {range}."),
        (false, true) => {
            format!("The text contains {count} {plural}, which is within {range} when it should not be.")
        }
        (false, false) => format!("The text contains {count} {plural}, which is outside {range}."),
    };
    let data = json!({
        unit.check: count, &least_name: least, &most_name: most, "not": not, "verdict": inside != not,
        "explanation": explanation, "textExcerpt": excerpt(text),
    });
    Ok(judged(unit.check, inside != not, &data))
}
