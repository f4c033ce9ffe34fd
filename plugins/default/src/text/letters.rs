//! `alluppercase`, `alllowercase`, `endsWith`, `notNull`.

use serde_json::{Value, json};
use tidegate_plugin_sdk::{Params, Subject};

use super::seen::{Seen, excerpt, excerpt_or_none};
use crate::judged::{Judged, error, judged, with};

pub(crate) const NOT_SCHEMA: &str = r#"{"type": "object", "properties": {
    "not": {"type": "boolean", "default": false},
    "messages": {"enum": ["last", "all"], "default": "last"}
}}"#;

pub(crate) const SUFFIX_SCHEMA: &str = r#"{"type": "object", "required": ["suffix"], "properties": {
    "suffix": {"type": "string", "minLength": 1},
    "not": {"type": "boolean", "default": false},
    "messages": {"enum": ["last", "all"], "default": "last"}
}}"#;

pub(crate) fn uppercase(params: &Params, subject: &Subject) -> Judged {
    one_case(
        "alluppercase",
        "uppercase",
        "lowercase",
        |text| !text.contains(|l: char| l.is_ascii_lowercase()),
        params,
        subject,
    )
}

pub(crate) fn lowercase(params: &Params, subject: &Subject) -> Judged {
    one_case(
        "alllowercase",
        "lowercase",
        "uppercase",
        |text| !text.contains(|l: char| l.is_ascii_uppercase()),
        params,
        subject,
    )
}

fn one_case(
    check: &str,
    case: &str,
    other: &str,
    is_case: fn(&str) -> bool,
    params: &Params,
    subject: &Subject,
) -> Judged {
    let text = Seen::of(params).text(subject);
    let not = params.flag("not");
    if text.is_empty() {
        let message = "Missing text to analyze";
        let explanation = format!("An error occurred while checking {case}: {message}");
        let data = json!({ "explanation": explanation, "not": not, "textExcerpt": excerpt_or_none(&text) });
        return Err(error(message, &data));
    }
    let verdict = is_case(&text) != not;
    let explanation = match (verdict, not) {
        (true, true) => format!("The text contains {other} characters as expected."),
        (true, false) => format!("All alphabetic characters in the text are {case}."),
        (false, true) => format!("All alphabetic characters in the text are {case} when they should not be."),
        (false, false) => format!("The text contains {other} characters."),
    };
    let data =
        json!({ "verdict": verdict, "not": not, "explanation": explanation, "textExcerpt": excerpt(&text) });
    Ok(judged(check, verdict, &data))
}

pub(crate) fn ends_with(params: &Params, subject: &Subject) -> Judged {
    let text = Seen::of(params).text(subject);
    let (not, suffix) = (params.flag("not"), params.text("suffix").unwrap_or_default());
    let failed = |message: &str| {
        let explanation = format!("An error occurred while checking suffix: {message}");
        let data = json!({ "explanation": explanation });
        let data = with(data, "suffix", params.get("suffix").cloned());
        let data = with(data, "not", Some(not.into()));
        error(message, &with(data, "textExcerpt", Some(excerpt_or_none(&text).into())))
    };
    if text.is_empty() {
        return Err(failed("Missing text to analyze"));
    }
    if suffix.is_empty() {
        return Err(failed("Missing or empty suffix"));
    }
    let with_period = text.strip_suffix('.').is_some_and(|text| text.ends_with(suffix));
    let verdict = (text.ends_with(suffix) || with_period) != not;
    let period = if with_period { " (including trailing period)" } else { "" };
    let explanation = match (verdict, not) {
        (true, true) => format!("The text does not end with \"{suffix}\" as expected."),
        (true, false) => format!("The text ends with \"{suffix}\"{period}."),
        (false, true) => format!("The text ends with \"{suffix}\" when it should not."),
        (false, false) => format!("The text does not end with \"{suffix}\"."),
    };
    let data = json!({
        "suffix": suffix, "not": not, "verdict": verdict, "explanation": explanation, "textExcerpt": excerpt(&text),
    });
    Ok(judged("endsWith", verdict, &data))
}

pub(crate) fn not_null(params: &Params, subject: &Subject) -> Judged {
    let counts = Seen::of(params).counts(subject);
    let texts: Vec<&str> =
        subject.pieces.iter().filter(|piece| counts(piece)).map(|piece| piece.text.as_str()).collect();
    let is_null = texts.iter().all(|text| text.trim().is_empty());
    let verdict = is_null == params.flag("not");
    // JavaScript calls a list an object.
    let content = match texts.len() {
        0 => "null",
        1 => "string",
        _ => "object",
    };
    let explanation =
        if is_null { "Content is null, undefined, or empty." } else { "Content exists and is not null." };
    let data: Value = json!({
        "isNull": is_null,
        "contentType": content,
        "textArrayLength": texts.len().max(1),
        "explanation": explanation,
        "verdict": if verdict { "passed" } else { "failed" },
    });
    Ok(judged("notNull", verdict, &data))
}
