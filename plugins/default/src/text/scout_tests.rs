use proptest::prelude::*;
use regress::Regex;

use super::*;

fn lets_through(rule: &str, flags: &str, text: &str) -> Option<bool> {
    Some(Scout::new(rule, flags)?.lets_through(text.as_bytes()))
}

#[test]
fn what_holds_no_part_of_a_match_is_held_back() {
    for (rule, through, back) in [
        (r"\b[A-Z]{3}-\d{4}\b", "see ABC-1234", "see AB-1234 and ABC-123"),
        ("sk-[A-Za-z0-9]{20,}", "sk-abcdefghij0123456789", "sk-abc, and task-force"),
        ("(AKIA|ASIA)[A-Z0-9]{16}", "ASIA0123456789ABCDEF", "AKIA and ASIA"),
        (r"[\w.+-]+@[\w-]+\.[a-z]{2,}", "a.b@c.org", "@ me, or a@b"),
        ("(?:secret|password) *[:=]", "password: x", "a secre and a passwd:"),
        (r"^\s*ignore (?<what>all|previous)", "Now ignore all", "ignoring all"),
        ("a(?:bc)+d", "abcbcd", "ab cd"),
        ("x{40}y", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy", "xxxxy"),
        ("colou?r", "colour", "cold"),
    ] {
        assert_eq!(lets_through(rule, "", through), Some(true), "{rule}");
        assert_eq!(lets_through(rule, "", back), Some(false), "{rule}");
    }
    assert_eq!(lets_through("Hello", "i", "well, hELLO"), Some(true));
    assert_eq!(lets_through("Hello", "", "well, hELLO"), Some(false));
    assert_eq!(lets_through("Hello", "", "é"), Some(true), "of other texts nothing is known");
}

#[test]
fn of_what_is_not_plain_nothing_is_known() {
    for rule in [
        "",
        ".*",
        r"\w+",
        "a*",
        "(abc)?",
        "abc|",
        r"(.)\1abc",
        "(?=abc)abc",
        "(?<!a)abc",
        r"\babc\p{L}",
        "é abc",
        r"\u00e9abc",
        r"abc\cA",
        "abc{",
        "abc]",
        "a{,2}bcd",
        "(abc",
        "abc)",
        r"[\d-x]abcd",
        "(?i:abc)",
        "abc$*",
    ] {
        assert!(Scout::new(rule, "").is_none(), "{rule}");
    }
    let words = |count: usize| (0..count).map(|at| format!("word{at:04}")).collect::<Vec<_>>().join("|");
    assert!(Scout::new(&words(8), "").is_some());
    assert!(Scout::new(&format!("{}|longer word", words(1_000)), "").is_none(), "a list too long");
    assert!(Scout::new("abc", "y").is_none() && Scout::new("abc", "iu").is_none());
    assert!(Scout::new("[^a]bcde", "i").is_none());
    assert!(Scout::new(&("(".repeat(40) + "abc" + &")".repeat(40)), "").is_none());
}

/// Patterns of few characters, so that texts of the same match them now and then.
fn pattern() -> impl Strategy<Value = String> {
    let set = prop_oneof![
        8 => prop_oneof![Just("a"), Just("b"), Just("-"), Just("A"), Just("[ab]"), Just(r"\w")],
        1 => prop_oneof![
            Just("."), Just(r"\d"), Just(r"\W"), Just("[^a]"), Just("[a-c1]"), Just("[-k]"), Just(r"\x61"),
            Just(r"[\s\d]"), Just("^"), Just("$"), Just(r"\b"),
        ],
    ];
    set.prop_map(str::to_owned).prop_recursive(4, 24, 4, |inner| {
        let times = prop_oneof![
            4 => Just(""), 1 => Just("*"), 1 => Just("+"), 1 => Just("?"), 1 => Just("{2}"), 1 => Just("{1,}"),
            1 => Just("{0,2}"), 1 => Just("+?"), 1 => Just("{3}"),
        ];
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            1 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            2 => (inner, times).prop_map(|(part, times)| format!("({part}){times}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_match_is_held_back(
        rule in pattern(),
        flags in prop_oneof![Just(""), Just("i"), Just("s"), Just("m"), Just("u"), Just("gi")],
        texts in prop::collection::vec("[aabAB-]{0,12}", 64),
    ) {
        let (Some(scout), Ok(regex)) = (Scout::new(&rule, flags), Regex::with_flags(&rule, flags)) else {
            return Ok(());
        };
        for text in texts {
            let matches = regex.find(&text).is_some();
            prop_assert!(!matches || scout.lets_through(text.as_bytes()), "/{rule}/{flags} {text:?}");
        }
    }
}
