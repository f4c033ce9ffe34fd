//! `containsCode`: fenced code of a language.

use serde_json::json;
use tidegate_plugin_sdk::{Params, Subject};

use super::seen::{Seen, excerpt, excerpt_or_none};
use crate::judged::{Judged, array, error, judged, with};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "required": ["format"], "properties": {
    "format": {"enum": ["SQL", "Python", "TypeScript", "JavaScript", "Java", "C#", "C++", "C", "Ruby", "PHP", "Swift",
        "Kotlin", "Go", "Rust", "Scala", "R", "Perl", "Shell", "HTML", "CSS", "XML", "JSON", "YAML", "Markdown",
        "Dockerfile"]},
    "not": {"type": "boolean", "default": false},
    "messages": {"enum": ["last", "all"], "default": "last"}
}}"#;

/// What fences say, and which language that is. Beyond Portkey's list the full names of languages are known.
const LANGUAGES: &[(&str, &str)] = &[
    ("sql", "SQL"),
    ("py python gyp", "Python"),
    ("ts tsx typescript", "TypeScript"),
    ("js jsx javascript", "JavaScript"),
    ("java", "Java"),
    ("cs csharp", "C#"),
    ("cpp cxx", "C++"),
    ("c", "C"),
    ("rb ruby", "Ruby"),
    ("php", "PHP"),
    ("swift", "Swift"),
    ("kt kotlin", "Kotlin"),
    ("go golang", "Go"),
    ("rs rust", "Rust"),
    ("scala", "Scala"),
    ("r", "R"),
    ("pl perl", "Perl"),
    ("sh bash shell zsh", "Shell"),
    ("html", "HTML"),
    ("css", "CSS"),
    ("xml", "XML"),
    ("json", "JSON"),
    ("yml yaml", "YAML"),
    ("md markdown", "Markdown"),
    ("dockerfile", "Dockerfile"),
];

/// Returns the languages of the fenced blocks: three backticks, a word, a line end, anything, and three backticks at
/// the start of a line.
fn languages(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("```") {
        rest = after;
        let word =
            after.len() - after.trim_start_matches(|l: char| l.is_ascii_alphanumeric() || l == '_').len();
        let (Some(name), Some(body)) = (after.get(..word), after.get(word..)) else { break };
        let Some(body) = body.strip_prefix('\n').filter(|_| word > 0) else { continue };
        let Some((_, after)) = body.split_once("\n```") else { continue };
        let name = name.to_lowercase();
        let known = LANGUAGES.iter().find(|(names, _)| names.split(' ').any(|known| known == name));
        found.push(known.map_or(name, |(_, language)| (*language).to_owned()));
        rest = after;
    }
    found
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    let text = Seen::of(params).text(subject);
    let not = params.flag("not");
    let failed = |message: &str| {
        let data = json!({ "explanation": format!("Error while checking for code blocks: {message}") });
        let data = with(data, "searchedFormat", params.get("format").cloned());
        let data = with(data, "not", Some(not.into()));
        error(message, &with(data, "textExcerpt", Some(excerpt_or_none(&text).into())))
    };
    let Some(format) = params.text("format").filter(|format| !format.is_empty()) else {
        return Err(failed("Missing required parameter: format"));
    };
    if text.is_empty() {
        return Err(failed("No text content to analyze"));
    }
    let found = languages(&text);
    let verdict = found.iter().any(|language| language == format) != not;
    let explanation = match (verdict, not) {
        _ if found.is_empty() => "No code blocks found in the text".to_owned(),
        (true, true) => format!("No code blocks in {format} format found as expected"),
        (true, false) => format!("Found code block(s) in {format} format"),
        (false, true) => format!("Found code block(s) in {format} format when none were expected"),
        (false, false) => format!("No code blocks in {format} format found"),
    };
    let data = json!({
        "explanation": explanation, "searchedFormat": format, "not": not, "foundFormats": array(&found),
        "textExcerpt": excerpt(&text),
    });
    Ok(judged("containsCode", verdict, &data))
}
