//! Data objects as Portkey's own gateway gave them, member for member.

use serde_json::{Value, json};
use tidegate_plugin_sdk::testing::check;
use tidegate_plugin_sdk::{CheckError, Judgement, Subject, Verdict, masked};

use crate::Default;

fn run(name: &str, params: &Value, text: &str) -> Result<Judgement, CheckError> {
    check::<Default>(name, &params.to_string(), &Subject::input(text))
}

/// Verdict and data.
fn result(name: &str, params: Value, text: &str) -> (bool, Value) {
    let judgement = run(name, &params, text).unwrap();
    let passes = !matches!(judgement.verdict, Verdict::Fail(_));
    (passes, serde_json::from_str(&judgement.data_json.unwrap()).unwrap())
}

#[test]
fn contains_says_what_was_found() {
    let params = json!({"words": ["hello"], "operator": "none"});
    let data = json!({
        "explanation": "Check failed for 'none' words. Some words were found.",
        "foundWords": ["hello"], "missingWords": [], "operator": "none",
    });
    assert_eq!(result("contains", params, "hello world"), (false, data));
    let params = json!({"words": ["zzz"], "operator": "none"});
    let data = json!({
        "explanation": "Check passed for 'none' words. No words were found.",
        "foundWords": [], "missingWords": ["zzz"], "operator": "none",
    });
    assert_eq!(result("contains", params, "hello world"), (true, data));
    let params = json!({"words": ["a", "b"], "operator": "all"});
    assert_eq!(
        result("contains", params, "a").1["explanation"],
        "Check failed for 'all' words. Some words were missing."
    );
    let (passes, data) = result("contains", json!({"words": ["a", "b"]}), "a");
    assert_eq!((passes, &data["operator"]), (true, &json!("any")));
}

#[test]
fn a_pattern_that_does_not_compile_is_an_error_with_data() {
    let error = run("regexMatch", &json!({"rule": "*"}), "hello world").unwrap_err();
    assert_eq!(error.name, "SyntaxError");
    assert_eq!(error.message, "Invalid regular expression: /*/: Nothing to repeat");
    let data = json!({
        "explanation":
            "An error occurred while processing the regex: Invalid regular expression: /*/: Nothing to repeat",
        "regexPattern": "*", "not": false, "textExcerpt": "hello world",
    });
    assert_eq!(serde_json::from_str::<Value>(&error.data_json.unwrap()).unwrap(), data);
}

#[test]
fn matches_come_with_their_captures() {
    let (passes, data) = result("regexMatch", json!({"rule": r"(?<w>w\w+)(x)?"}), "é world");
    let details =
        json!({"matchedText": "world", "index": 2, "groups": {"w": "world"}, "captures": ["world", null]});
    assert!(passes);
    assert_eq!(data["matchDetails"], details);
    let (passes, data) = result("regexMatch", json!({"rule": "w", "not": true}), "world");
    assert!(!passes);
    assert_eq!(data["explanation"], "The regex pattern 'w' matched the text when it should not have.");
}

#[test]
fn replacing_masks_and_says_so() {
    let replaced = |params: Value, text: &str| {
        let judgement = run("regexReplace", &params, text).unwrap();
        let data: Value = serde_json::from_str(judgement.data_json.as_ref().unwrap()).unwrap();
        match judgement.verdict {
            Verdict::Mask(masks) => (masked(text, &masks[0].spans).unwrap(), data),
            _ => (text.to_owned(), data),
        }
    };
    let (text, data) = replaced(json!({"rule": "/wor\\w+/g", "redactText": "[X]"}), "hello world");
    assert_eq!(text, "hello [X]");
    let explanation = "Pattern '/wor\\w+/g' matched and was replaced with '[X]'";
    assert_eq!(data, json!({"regexPattern": "/wor\\w+/g", "verdict": true, "explanation": explanation}));
    assert_eq!(replaced(json!({"rule": "o"}), "foo").0, "f[REDACTED]o");
    assert_eq!(replaced(json!({"rule": "/(o)/g", "redactText": "<$1>"}), "foo").0, "f<o><o>");
    assert_eq!(replaced(json!({"rule": "/x*/g", "redactText": "-"}), "xa").0, "--a-");
    assert_eq!(
        replaced(json!({"rule": "x"}), "foo").1["explanation"],
        "The regex pattern 'x' did not match any text."
    );
    let (passes, data) = result("regexReplace", json!({"rule": "o", "failOnDetection": true}), "foo");
    assert_eq!((passes, &data["verdict"]), (false, &json!(false)));
}

#[test]
fn words_are_counted() {
    let data = json!({
        "wordCount": 2, "minWords": 1, "maxWords": 1, "not": false, "verdict": false,
        "explanation": "The text contains 2 words, which is outside the specified range of 1-1 words.",
        "textExcerpt": "hello world",
    });
    assert_eq!(result("wordCount", json!({"minWords": 1, "maxWords": 1}), "hello world"), (false, data));
    let error = run("wordCount", &json!({}), "  ").unwrap_err();
    assert_eq!((error.name.as_str(), error.message.as_str()), ("Error", "Missing text to analyze"));
    let error = run("wordCount", &json!({"minWords": 1.5}), "a").unwrap_err();
    assert_eq!(error.message, "Invalid or missing word count range");
    assert!(result("wordCount", json!({"maxWords": 1, "not": true}), "a b").0);
}

#[test]
fn sentences_and_characters_are_counted() {
    assert_eq!(result("sentenceCount", json!({"minSentences": 2}), "One. Two!").1["sentenceCount"], 2);
    assert!(!result("sentenceCount", json!({"maxSentences": 1}), "One. Two!").0);
    assert_eq!(result("characterCount", json!({}), "é😀").1["characterCount"], 3);
    assert!(!result("characterCount", json!({"maxCharacters": 2}), "é😀").0);
}

#[test]
fn letters_are_compared() {
    assert!(result("alluppercase", json!({}), "ABC 1é").0);
    assert!(!result("alllowercase", json!({}), "abC").0);
    assert!(result("alllowercase", json!({"not": true}), "abC").0);
    assert!(result("endsWith", json!({"suffix": "end"}), "the end.").0);
    assert_eq!(
        result("endsWith", json!({"suffix": "end"}), "the end.").1["explanation"],
        "The text ends with \"end\" (including trailing period)."
    );
    assert!(!result("endsWith", json!({"suffix": "end", "not": true}), "the end").0);
    assert_eq!(run("endsWith", &json!({}), "x").unwrap_err().message, "Missing or empty suffix");
    assert!(!result("notNull", json!({}), " ").0);
    assert!(result("notNull", json!({"not": true}), "").0);
}

#[test]
fn code_is_found_by_its_fence() {
    let text = "Look:\n```py\nprint(1)\n```\nand\n```rust\nfn f() {}\n```";
    let (passes, data) = result("containsCode", json!({"format": "Python"}), text);
    assert_eq!((passes, &data["foundFormats"]), (true, &json!(["Python", "Rust"])));
    assert!(!result("containsCode", json!({"format": "SQL"}), text).0);
    assert!(result("containsCode", json!({"format": "SQL", "not": true}), "no code").0);
}

#[test]
fn json_in_text_is_looked_into() {
    let text = "Sure: {\"a\": {\"b\": 1}, \"c\": 2} done";
    let (passes, data) = result("jsonKeys", json!({"keys": ["a", "x"], "operator": "any"}), text);
    assert_eq!((passes, &data["missingKeys"]), (true, &json!(["x"])));
    assert!(!result("jsonKeys", json!({"keys": ["a", "x"], "operator": "all"}), text).0);
    assert!(!result("jsonKeys", json!({"keys": ["a"], "operator": "none"}), text).0);
    assert_eq!(
        result("jsonKeys", json!({"keys": ["a"]}), "{oops").1["explanation"],
        "No valid JSON found in the text."
    );
    let schema = json!({"schema": {"type": "object", "required": ["z"]}});
    let (passes, data) = result("jsonSchema", schema.clone(), text);
    assert!(!passes);
    assert_eq!(data["validationErrors"][0]["message"], "Instance does not have required property \"z\".");
    assert!(result("jsonSchema", schema, "```json\n{\"z\": 1}\n```").0);
}

#[test]
fn missing_parameters_are_named() {
    let error = run("contains", &json!({}), "x").unwrap_err();
    assert_eq!(error.message, "parameters: missing field `words`");
}
