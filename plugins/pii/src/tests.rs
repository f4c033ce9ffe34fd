//! What is found, what is not, and that streams say the same however they are cut.

use proptest::prelude::*;
use tidegate_plugin_sdk::testing::{assert_streams_like_whole, check, stream};
use tidegate_plugin_sdk::{Hook, Judgement, Piece, Plugin, Subject, Verdict, masked};

use super::Pii;

fn redacted(text: &str) -> String {
    let judgement = check::<Pii>("redact", "{}", &Subject::output(text)).unwrap();
    match judgement.verdict {
        Verdict::Pass => text.to_owned(),
        Verdict::Mask(masks) => masked(text, &masks[0].spans).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Personal data (test numbers, documentation addresses) and what becomes of it.
const FOUND: &[(&str, &str)] = &[
    ("write to jane.doe+tag@mail.example.co.uk.", "write to [EMAIL]."),
    ("<a_b%c@example.com>", "<[EMAIL]>"),
    ("jürgen@bücher.example", "[EMAIL]"),
    ("me@xn--bcher-kva.example", "[EMAIL]"),
    ("mailto:x@example.com?subject=hi", "mailto:[EMAIL]?subject=hi"),
    ("card 4111 1111 1111 1111 12/29", "card [CARD] 12/29"),
    ("5555-5555-5555-4444", "[CARD]"),
    ("378282246310005", "[CARD]"),
    ("nr 7 4111111111111111.", "nr 7 [CARD]."),
    ("IBAN DE89 3704 0044 0532 0130 00 and", "IBAN [IBAN] and"),
    ("gb82west12345698765432", "[IBAN]"),
    ("NO9386011117947", "[IBAN]"),
    ("ssn 078-05-1120,", "ssn [SSN],"),
    ("123 45 6789", "[SSN]"),
    ("from 192.0.2.17.", "from [IP]."),
    ("[2001:db8::8a2e:370:7334]:443", "[[IP]]:443"),
    ("::1 and ::ffff:192.0.2.1", "[IP] and [IP]"),
    ("call +49 (0)30 1234-5678 now", "call [PHONE] now"),
    ("+14155550132", "[PHONE]"),
    ("(415) 555-0132", "[PHONE]"),
    ("1-415-555-0132", "[PHONE]"),
    ("415.555.0132", "[PHONE]"),
    ("030/1234567", "[PHONE]"),
    ("a@example.com,b@example.org", "[EMAIL],[EMAIL]"),
];

const NOT_FOUND: &[&str] = &[
    "",
    "a@b, @home, user@localhost, x@y.1",
    "4111 1111 1111 1112",
    "41111111111111111111111",
    "id-4111111111111111x",
    "GB82 WEST 1234 5698 7654 33",
    "000-12-3456 666-12-3456 900-12-3456 123-00-4568 123-45-0000",
    "1234-45-67890",
    "version 1.2.3.4.5, 256.1.1.1, 12:30:45, std::fmt, a::b",
    "2026-11-22 01:30",
    "order 4155550132 of 20261122",
    "3.14159265358979",
];

#[test]
fn personal_data_is_masked_by_category() {
    for (text, masked) in FOUND {
        assert_eq!(redacted(text), *masked);
    }
}

#[test]
fn what_only_looks_alike_stays() {
    for text in NOT_FOUND {
        assert_eq!(redacted(text), *text);
    }
}

#[test]
fn only_wanted_categories_count() {
    let subject = Subject::input("a@example.com from 192.0.2.1");
    let judgement = check::<Pii>("detect", r#"{"categories": ["ip"]}"#, &subject).unwrap();
    assert_eq!(judgement.data_json.as_deref(), Some(r#"{"found":["ip"]}"#));
    assert!(matches!(judgement.verdict, Verdict::Fail(_)), "{judgement:?}");
    let judgement = check::<Pii>("detect", r#"{"categories": ["iban"]}"#, &subject).unwrap();
    assert_eq!(judgement, Judgement::pass());
}

#[test]
fn unknown_categories_are_refused_by_name() {
    let error = check::<Pii>("detect", r#"{"categories": ["shoe"]}"#, &Subject::input("")).unwrap_err();
    assert!(error.message.contains("unknown variant `shoe`, expected one of `email`"), "{error}");
}

#[test]
fn placeholders_are_the_operators_choice() {
    let streamed = stream::<Pii>("redact", r#"{"placeholder": "<%>"}"#, &["x a@exam", "ple.com"]).unwrap();
    assert_eq!(streamed.text, "x <EMAIL>");
}

#[test]
fn every_kind_of_text_is_looked_at() {
    let kinds = ["text", "reasoning", "refusal", "tool-arguments", "tool-result"];
    let pieces = kinds.iter().map(|kind| Piece::new(kind, "user", 0, "a@example.com")).collect();
    let judgement = check::<Pii>("redact", "{}", &Subject::of(Hook::Input, pieces)).unwrap();
    let Verdict::Mask(masks) = judgement.verdict else { panic!("{judgement:?}") };
    assert_eq!(masks.len(), kinds.len());
}

#[test]
fn an_overlong_name_is_masked_as_far_as_an_address_reaches() {
    let text = format!("{}@example.com", "a".repeat(70));
    assert_eq!(redacted(&text), "aaaaaa[EMAIL]");
    assert_streams_like_whole::<Pii>("redact", "{}", &text);
}

#[test]
fn streams_say_the_same_wherever_they_are_cut() {
    let all: Vec<&str> = FOUND.iter().map(|(text, _)| *text).chain(NOT_FOUND.iter().copied()).collect();
    for text in &all {
        assert_streams_like_whole::<Pii>("redact", "{}", text);
        assert_streams_like_whole::<Pii>("detect", "{}", text);
    }
    assert_streams_like_whole::<Pii>("redact", "{}", &all.join(" ~ "));
}

#[test]
fn the_lookahead_is_that_of_the_wanted_categories() {
    let needs =
        |params: &str| Pii::needs("detect", &tidegate_plugin_sdk::Params::parse(params).unwrap()).unwrap();
    assert_eq!(needs("{}").lookahead, 258);
    assert_eq!(needs(r#"{"categories": ["ssn"]}"#).lookahead, 15);
}

#[test]
fn schemas_of_parameters_are_json() {
    for check in Pii::manifest().checks {
        let schema = tidegate_plugin_sdk::Params::parse(&check.params_schema_json).unwrap();
        assert_eq!(schema.text("type"), Some("object"), "{}", check.name);
    }
}

/// Text that is made to come close: digits, signs and scraps of what is looked for.
fn near_misses() -> impl Strategy<Value = String> {
    let scraps = prop::sample::select(vec![
        "4111", "1111", " ", "-", ".", "@", "a", "example", "com", "+", "(", ")", "0", "49", "415", "555",
        "0132", "DE89", "3704", "0044", "0532", "0130", "00", "078", "05", "1120", "::", ":", "ffff", "192",
        "é", "\n", "“",
    ]);
    prop::collection::vec(scraps, 0..24).prop_map(|scraps| scraps.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_streams_like_it_is_judged_whole(text in near_misses()) {
        assert_streams_like_whole::<Pii>("redact", "{}", &text);
        // The smaller the lookahead, the sooner a wrong one shows.
        for category in ["phone", "card", "iban", "ssn", "ip"] {
            assert_streams_like_whole::<Pii>("redact", &format!(r#"{{"categories": ["{category}"]}}"#), &text);
        }
    }

    #[test]
    fn personal_data_within_any_words_never_leaves(before in "[a-z ]{0,20}", at in 0..FOUND.len(), after in "[a-z ]{0,20}") {
        let text = format!("{before} {} {after}", FOUND[at].0);
        prop_assert_ne!(redacted(&text), text);
    }
}
