//! Streams get the verdict of the whole answer.

use proptest::prelude::*;
use serde_json::json;
use tidegate_plugin_sdk::testing::{assert_streams_like_whole, stream};
use tidegate_plugin_sdk::{Params, Plugin, WindowNeeds};

use crate::Default;

#[test]
fn words_and_patterns_are_found_wherever_a_stream_is_cut() {
    for text in ["hello world", "x", "say hello", "hell o", "worldhello"] {
        for operator in ["none", "any", "all"] {
            let params = json!({"words": ["hello", "world"], "operator": operator}).to_string();
            assert_streams_like_whole::<Default>("contains", &params, text);
        }
        for rule in
            ["/o/g", "o", r"/\bhel+o\b/g", "/(l)(l)/g", "/l*/g", "/(?<=w)o/gi", "/^h/g", "/d$/g", "/o/gm"]
        {
            let params = json!({"rule": rule, "redactText": "<$1>"}).to_string();
            assert_streams_like_whole::<Default>("regexReplace", &params, text);
        }
        assert_streams_like_whole::<Default>("regexMatch", r#"{"rule": "wor"}"#, text);
    }
}

#[test]
fn a_forbidden_pattern_fails_a_stream_before_it_leaves() {
    let params = r#"{"rule": "se.ret", "not": true, "lookahead": 6}"#;
    let streamed = stream::<Default>("regexMatch", params, &["the s", "ec", "ret", " is out"]).unwrap();
    assert!(streamed.failed.is_some(), "{streamed:?}");
    let streamed = stream::<Default>("regexMatch", params, &["all ", "is", " well"]).unwrap();
    assert_eq!((streamed.failed, streamed.text.as_str()), (None, "all is well"));
}

#[test]
fn what_only_the_end_can_tell_holds_the_stream() {
    let needs = |check: &str, params: &str| Default::needs(check, &Params::parse(params).unwrap()).unwrap();
    assert_eq!(needs("contains", r#"{"words": ["a"]}"#), WindowNeeds::WHOLE);
    assert_eq!(needs("contains", r#"{"words": ["abc"], "operator": "none"}"#).lookahead, 2);
    assert_eq!(needs("regexMatch", r#"{"rule": "a"}"#), WindowNeeds::WHOLE);
    assert_eq!(needs("regexReplace", r#"{"rule": "a"}"#), WindowNeeds::WHOLE);
    assert_eq!(needs("regexReplace", r#"{"rule": "/a/g"}"#).lookahead, 256);
    assert_eq!(needs("regexReplace", r#"{"rule": "/a/g", "redactText": "$`"}"#), WindowNeeds::WHOLE);
}

#[test]
fn wrong_rules_are_known_before_the_first_window() {
    let error = Default::needs("regexReplace", &Params::parse(r#"{"rule": "("}"#).unwrap()).unwrap_err();
    assert_eq!(error.name, "SyntaxError");
}

const RULES: &[&str] =
    &["a", "b|ab", "ab", "a+", "[ab]{1,3}", r"\bb", r"b\b", "(?!a)b", "(?<=b)a", "é", "a*?b", "$"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_stream_is_replaced_like_the_whole(text in "[abé ]{1,30}", rule in prop::sample::select(RULES)) {
        let params = json!({"rule": format!("/{rule}/g"), "lookahead": 32}).to_string();
        assert_streams_like_whole::<Default>("regexReplace", &params, &text);
    }
}
