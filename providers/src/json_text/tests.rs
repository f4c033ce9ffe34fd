//! Single cases, each a sentence.

use std::ops::Range;

use super::JsonText;

fn view(pieces: &[&str]) -> JsonText {
    let mut text = JsonText::new();
    for piece in pieces {
        text.push(piece);
    }
    text.finish();
    text
}

/// Masks every occurrence of a word of the decoded text.
fn without(json: &str, word: &str, replacement: &str) -> String {
    let mut text = view(&[json]);
    let decoded = text.decoded().to_owned();
    let found: Vec<(Range<usize>, String)> =
        decoded.match_indices(word).map(|(at, word)| (at..at + word.len(), replacement.to_owned())).collect();
    assert!(!found.is_empty(), "{word:?} is not in {decoded:?}");
    text.release(decoded.len(), &found)
}

#[test]
fn escapes_in_strings_are_shown_resolved() {
    let text = view(&[r#"{"\u0061\n": ["\ud83d\ude00\/", 1.5e3, null]}"#]);
    assert_eq!(text.decoded(), "{\"a\n\": [\"😀/\", 1.5e3, null]}");
}

#[test]
fn a_cut_escape_is_held_back_until_it_is_complete() {
    let mut text = JsonText::new();
    let shown: Vec<String> = r#""\ud83d\ude00\n""#
        .chars()
        .map(|char| {
            text.push(&char.to_string());
            text.decoded().to_owned()
        })
        .collect();
    let mut wanted = vec!["\""; 12];
    wanted.extend(["\"😀", "\"😀", "\"😀\n", "\"😀\n\""]);
    assert_eq!(shown, wanted);
}

#[test]
fn an_escape_that_never_completes_is_shown_at_the_end() {
    let mut text = JsonText::new();
    text.push(r#""a\u00"#);
    assert_eq!(text.decoded(), "\"a");
    text.finish();
    assert_eq!(text.decoded(), "\"a\\u00");
    assert_eq!(text.release(6, &[]), r#""a\u00"#);
    assert_eq!(text.decoded(), "");
}

#[test]
fn what_is_not_masked_keeps_its_spelling() {
    let json = "{ \"\\u0061\" :\t\"\\/ \\ud83d\\ude00 secret \\n\" }";
    assert_eq!(without(json, "secret", "*"), json.replace("secret", "*"));
}

#[test]
fn a_word_is_found_however_it_is_spelled() {
    assert_eq!(without(r#"{"a":"my \u0073e\u0063ret."}"#, "secret", "*"), r#"{"a":"my *."}"#);
}

#[test]
fn replacements_are_escaped() {
    assert_eq!(without(r#"["x"]"#, "x", "\"\\\n\u{1}ö"), r#"["\"\\\n\u0001ö"]"#);
}

#[test]
fn a_mask_goes_around_whole_escapes_and_characters() {
    let mut text = view(&[r#""\u00f6-ö-\ud83d\ude00""#]);
    assert_eq!(text.decoded(), "\"ö-ö-😀\"");
    let masks = [(2..3, "a".to_owned()), (4..5, "b".to_owned()), (8..9, "c".to_owned())];
    assert_eq!(text.release(12, &masks), r#""a-b-c""#);
}

#[test]
fn over_several_strings_the_first_takes_the_replacement() {
    assert_eq!(without(r#"["ab","cd","ef"]"#, r#"b","cd","e"#, "*"), r#"["a*","","f"]"#);
    assert_eq!(without(r#"{"ab":"cd"}"#, r#"b":"c"#, "*"), r#"{"a*":"d"}"#);
}

#[test]
fn numbers_and_words_become_strings() {
    assert_eq!(without("[-12.5e3, true,null]", "2", "*"), r#"["*", true,null]"#);
    assert_eq!(without("[-12.5e3, true,null]", "true,n", "*"), r#"[-12.5e3, "*",""]"#);
    assert_eq!(without("1234", "1", ""), r#""""#);
    assert_eq!(without(r#"["ab",12]"#, r#"b",1"#, "*"), r#"["a*",""]"#);
    assert_eq!(without("1213", "1", "*"), r#""**""#);
}

#[test]
fn a_number_that_was_begun_goes_on_with_zeros() {
    for (begun, rest, wanted) in [
        ("12", "34.5e-6]", "00.0e-0]"),
        ("-", "34.05]", "0.00]"),
        ("1.", "25]", "00]"),
        ("1e", "+25]", "+00]"),
        ("tr", "ue]", "ue]"),
    ] {
        let mut text = JsonText::new();
        text.push("[");
        text.push(begun);
        let mut out = text.release(1 + begun.len(), &[]);
        // Only its first byte is masked: the rest is as much of a secret.
        text.push(&rest[..1]);
        out += &text.release(1, &[(0..1, "*".to_owned())]);
        text.push(&rest[1..]);
        out += &text.release(rest.len() - 1, &[]);
        assert_eq!(out, format!("[{begun}{wanted}"));
        serde_json::from_str::<serde_json::Value>(&out).unwrap();
    }
}

#[test]
fn the_rest_of_a_replaced_number_is_swallowed() {
    let mut text = JsonText::new();
    text.push("[12");
    let mut out = text.release(3, &[(1..2, "*".to_owned())]);
    text.push("34");
    out += &text.release(2, &[]);
    text.push(", 5]");
    out += &text.release(4, &[]);
    assert_eq!(out, r#"["*", 5]"#);
}

#[test]
fn structure_can_not_be_masked() {
    assert_eq!(without(r#"{"a": 1}"#, r#"": "#, "*"), r#"{"a": 1}"#);
    let mut text = view(&["\"ab\""]);
    let masks = [(2..2, "empty".to_owned()), (9..12, "behind".to_owned())];
    assert_eq!(text.release(4, &masks), "\"ab\"");
}

#[test]
fn of_masks_that_overlap_the_first_counts() {
    let mut text = view(&["\"abcdef\""]);
    let masks = [(3..5, "2".to_owned()), (2..4, "1".to_owned()), (6..7, "3".to_owned())];
    assert_eq!(text.release(8, &masks), "\"a1e3\"");
}

#[test]
fn a_mask_may_go_on_in_the_next_release() {
    let mut text = view(&["[\"abcdef\"]"]);
    let mut out = text.release(4, &[(3..6, "*".to_owned())]);
    out += &text.release(6, &[(0..2, String::new())]);
    assert_eq!(out, "[\"a*ef\"]");
}

#[test]
fn what_is_no_json_is_masked_as_plain_text() {
    assert_eq!(without("call Ada {now}!", "Ada {now}", "\"x\""), "call \"x\"!");
    assert_eq!(without("tree story", "tree s", "x"), "xtory");
    assert_eq!(without("{a: 1, b: [2]}", "1, b: [2]", "x"), "{a: x}");
}

#[test]
fn strings_behind_an_error_are_still_shown_decoded() {
    assert_eq!(without(r#"{a: "\u0073ecret"}"#, "secret", "*"), r#"{a: "*"}"#);
    assert_eq!(without(r#"{a: "xy" b}"#, "y\" b", "*"), r#"{a: "x*}"#);
    assert_eq!(view(&[r#"'x' "\n" \n"#]).decoded(), "'x' \"\n\" \\n");
}

#[test]
fn a_bad_escape_stands_as_it_is_and_falls_as_one() {
    assert_eq!(view(&[r#""\x \u0g \'""#]).decoded(), r#""\x \u0g \'""#);
    assert_eq!(without(r#""\x-""#, "x", ""), r#""-""#);
}

#[test]
fn half_a_character_is_shown_as_such_and_kept() {
    let json = r#"["\ud83d x", "\ude00"]"#;
    assert_eq!(view(&[json]).decoded(), "[\"\u{fffd} x\", \"\u{fffd}\"]");
    assert_eq!(without(json, "x", "*"), r#"["\ud83d *", "\ude00"]"#);
}

#[test]
fn a_release_inside_of_a_character_ends_before_it() {
    let mut text = view(&["\"aö\""]);
    assert_eq!(text.release(3, &[]), "\"a");
    assert_eq!(text.release(99, &[]), "ö\"");
    assert_eq!(text.release(1, &[]), "");
}

#[test]
fn a_long_text_needs_no_more_memory_than_its_window() {
    let mut text = JsonText::new();
    text.push("\"");
    for _ in 0..100_000 {
        text.push("a\\u0062c");
        let upto = text.decoded().len().saturating_sub(64);
        let _ = text.release(upto, &[]);
    }
    assert!(text.capacity() < 64 * 1024, "{} bytes", text.capacity());
}
