//! What is found, and that streams say the same.

use proptest::prelude::*;
use tidegate_plugin_sdk::testing::{assert_streams_like_whole, check, stream};
use tidegate_plugin_sdk::{Subject, Verdict};

use super::Topics;

const PARAMS: &str = r#"{
    "topics": {"weapons": ["gun", "hand grenade", "control"], "betting": ["Wette", "赌博", "straße"]},
    "allow": ["gun control", "remote control"]
}"#;

/// The topics that are found.
fn found(params: &str, text: &str) -> Option<String> {
    let judgement = check::<Topics>("keywords", params, &Subject::input(text)).unwrap();
    assert_eq!(judgement.verdict == Verdict::Pass, judgement.data_json.is_none());
    judgement.data_json
}

const CASES: &[(&str, Option<&str>)] = &[
    ("", None),
    ("begun gunpowder guns", None),
    ("My GUN.", Some(r#"{"found":["weapons"]}"#)),
    ("a hand\n   grenade", Some(r#"{"found":["weapons"]}"#)),
    ("hand-grenade", None),
    ("gun control and remote  control", None),
    ("gun control, gun", Some(r#"{"found":["weapons"]}"#)),
    ("birth control", Some(r#"{"found":["weapons"]}"#)),
    ("我喜欢赌博吗", Some(r#"{"found":["betting"]}"#)),
    ("WETTE, gun", Some(r#"{"found":["betting","weapons"]}"#)),
    ("STRAßE", Some(r#"{"found":["betting"]}"#)),
];

#[test]
fn whole_words_are_found_in_any_case() {
    for (text, topics) in CASES {
        assert_eq!(found(PARAMS, text).as_deref(), *topics, "{text}");
    }
}

#[test]
fn only_denied_topics_fail() {
    let params = r#"{"topics": {"a": ["one"], "b": ["two"]}, "deny": ["b"]}"#;
    assert_eq!(found(params, "one"), None);
    assert!(found(params, "two").is_some());
    let error =
        check::<Topics>("keywords", r#"{"topics": {"a": ["x"]}, "deny": ["z"]}"#, &Subject::input(""));
    assert_eq!(error.unwrap_err().message, "parameters: deny: there is no topic `z`");
}

#[test]
fn the_end_user_reads_the_operators_sentence() {
    let params = r#"{"topics": {"a": ["one"]}, "message": "Ask about boats."}"#;
    let streamed = stream::<Topics>("keywords", params, &["o", "ne"]).unwrap();
    assert_eq!(streamed.failed.unwrap().message, "Ask about boats.");
}

#[test]
fn streams_say_the_same_wherever_they_are_cut() {
    for (text, _) in CASES {
        assert_streams_like_whole::<Topics>("keywords", PARAMS, text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_text_streams_like_it_is_judged_whole(
        words in prop::collection::vec(prop::sample::select(vec!["gun", "control", "remote", "hand", "grenade", " ", "\n", "赌博", "ß", "x", "."]), 0..12)
    ) {
        assert_streams_like_whole::<Topics>("keywords", PARAMS, &words.concat());
    }
}
