//! What is found, what is not, and that streams say the same however they are cut. All keys are made up.

use proptest::prelude::*;
use tidegate_plugin_sdk::testing::{assert_streams_like_whole, check, stream};
use tidegate_plugin_sdk::{Judgement, Params, Plugin, Subject, Verdict, masked};

use super::{Secrets, formats};

fn redacted(text: &str) -> String {
    let judgement = check::<Secrets>("redact", "{}", &Subject::output(text)).unwrap();
    match judgement.verdict {
        Verdict::Pass => text.to_owned(),
        Verdict::Mask(masks) => masked(text, &masks[0].spans).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Prefix and rest apart, so that no scanner takes this file for a leak.
fn key(prefix: &str, length: usize) -> String {
    let rest: String = "a1B2c3D4e5F6g7H8i9J0".chars().cycle().take(length).collect();
    format!("{prefix}{rest}")
}

/// Text around a secret, the secret, its kind.
fn found() -> Vec<(&'static str, String, &'static str)> {
    let private_key = |label: &str| {
        format!("-----BEGIN {label}PRIVATE KEY-----\n{}\n-----END {label}PRIVATE KEY-----", key("MII", 120))
    };
    vec![
        ("use %.", key("sk-proj-", 120), "[OPENAI_KEY]"),
        ("use %", key("sk-", 48), "[OPENAI_KEY]"),
        ("'%'", key("sk-ant-api03-", 90), "[ANTHROPIC_KEY]"),
        ("id % end", "AKIA".to_owned() + "IOSFODNN7EXAMPLE", "[AWS_KEY_ID]"),
        ("%", key("ghp_", 36), "[GITHUB_TOKEN]"),
        ("%,", key("github_pat_", 82), "[GITHUB_TOKEN]"),
        ("(%)", key("glpat-", 20), "[GITLAB_TOKEN]"),
        ("%\n", key("xoxb-", 50), "[SLACK_TOKEN]"),
        ("k=%&x", key("AIza", 35), "[GOOGLE_KEY]"),
        ("%", key("sk_live_", 24), "[STRIPE_KEY]"),
        ("%", key("hf_", 34), "[HUGGINGFACE_TOKEN]"),
        ("%", key("npm_", 36), "[NPM_TOKEN]"),
        ("Bearer %.", key("eyJhbGciOi", 400) + "." + &key("eyJ", 300) + "." + &key("", 43), "[JWT]"),
        ("%", private_key(""), "[PRIVATE_KEY]"),
        ("a\n%\nb", private_key("RSA "), "[PRIVATE_KEY]"),
        ("%", private_key("OPENSSH "), "[PRIVATE_KEY]"),
        ("aws_secret_access_key = %", key("wJ/", 37), "[SECRET]"),
        ("\"api_key\": \"%\"", key("", 24), "[SECRET]"),
        ("The password is %.", "hunter2-Tr0ub4dor".to_owned(), "[SECRET]"),
        ("client-secret => '%'", key("", 20), "[SECRET]"),
        ("TOKEN:%", key("", 40), "[SECRET]"),
    ]
}

const NOT_FOUND: &[&str] = &[
    "",
    "the task-force risk-averse-behaviour-of-people-in-groups sk-learn",
    "sk-this-is-only-a-long-name-with-dashes",
    "AKIA, AKIATOOSHORT, AKIAIOSFODNN7EXAMPLE1",
    "The key is to listen. A token: one word. password: ********",
    "key: primary, token = None, secret: 42",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "eyJ is how JSON begins in base64",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
];

#[test]
fn secrets_are_masked_by_kind() {
    for (around, secret, kind) in found() {
        assert_eq!(redacted(&around.replace('%', &secret)), around.replace('%', kind), "{secret}");
    }
}

#[test]
fn what_only_looks_alike_stays() {
    for text in NOT_FOUND {
        assert_eq!(redacted(text), *text);
    }
}

#[test]
fn detecting_fails_and_names_the_kinds_once() {
    let text = format!("{} {} {}", key("ghp_", 36), key("npm_", 36), key("ghp_", 36));
    let judgement = check::<Secrets>("detect", "{}", &Subject::input(text)).unwrap();
    assert!(matches!(judgement.verdict, Verdict::Fail(_)), "{judgement:?}");
    assert_eq!(judgement.data_json.as_deref(), Some(r#"{"found":["github_token","npm_token"]}"#));
}

#[test]
fn values_after_names_can_be_left_alone() {
    let subject = Subject::input(format!("password: {}", key("", 20)));
    assert_eq!(check::<Secrets>("detect", r#"{"entropy": false}"#, &subject), Ok(Judgement::pass()));
}

#[test]
fn streams_say_the_same_wherever_they_are_cut() {
    let mut all = Vec::new();
    for (around, secret, _) in found() {
        let text = around.replace('%', &secret);
        assert_streams_like_whole::<Secrets>("redact", "{}", &text);
        assert_streams_like_whole::<Secrets>("detect", "{}", &text);
        all.push(text);
    }
    for text in NOT_FOUND {
        assert_streams_like_whole::<Secrets>("redact", "{}", text);
    }
    assert_streams_like_whole::<Secrets>("redact", "{}", &all.join(" ~ "));
}

#[test]
fn little_is_held_back_however_long_a_secret_is() {
    let needs = Secrets::needs("redact", &Params::default()).unwrap();
    assert_eq!((needs.lookahead, needs.overlap), (72, 43));
    // Nothing of a token leaves before its end is known.
    let token = key("eyJhbGciOi", 3_000);
    let streamed =
        stream::<Secrets>("redact", "{}", &["It is ", &token[..1_000], &token[1_000..], " now"]).unwrap();
    assert_eq!(streamed.text, "It is [JWT] now");
}

#[test]
fn a_private_key_without_an_end_is_masked_as_far_as_it_may_reach() {
    let text = format!("-----BEGIN PRIVATE KEY-----\n{}", key("", 100));
    assert_eq!(redacted(&text), "[PRIVATE_KEY]");
    let text = format!("-----BEGIN PRIVATE KEY-----\n{}", "é".repeat(formats::LONGEST_PEM));
    assert!(redacted(&text).starts_with("[PRIVATE_KEY]é"));
}

/// Text that is made to come close.
fn near_misses() -> impl Strategy<Value = String> {
    let scraps = prop::sample::select(vec![
        "sk-",
        "ant-",
        "AKIA",
        "ghp_",
        "eyJhbGciOi",
        "-----",
        "BEGIN ",
        "PRIVATE KEY",
        "END ",
        "RSA ",
        "key",
        "token",
        "password",
        " is ",
        ": ",
        "=",
        "\"",
        "'",
        ".",
        " ",
        "\n",
        "é",
        "A1b2C3d4E5f6",
        "x9Y8z7",
        "-",
        "_",
        "!",
        "hf_",
        "IOSFODNN7EXAMPLE",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ]);
    prop::collection::vec(scraps, 0..20).prop_map(|scraps| scraps.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_text_streams_like_it_is_judged_whole(text in near_misses()) {
        assert_streams_like_whole::<Secrets>("redact", "{}", &text);
        assert_streams_like_whole::<Secrets>("detect", "{}", &text);
    }
}
