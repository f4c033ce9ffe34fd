//! An upstream that fails while a guard holds text back: what was judged clean still arrives, then the error; what was
//! found does not.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::mock::plan::{Kind, Plan};

use super::corpus::{Case, Hound, cases, harmless};
use super::wire::{
    Ask, CHAT, CHAT_OVER_GEMINI, Front, Heard, MESSAGES, PAIRS, Pair, RESPONSES, all, world_like,
};
use crate::support::World;

const APART: Duration = Duration::from_millis(25);
/// How an upstream may fail after some pieces.
const FAULTS: [&str; 4] = ["close_after", "error_after", "end_after", "stall_after"];

async fn impatient() -> World {
    world_like(|settings| settings.toml("[timeouts]\nidle_ms = 700\nfirst_event_ms = 20000")).await
}

fn redact() -> Value {
    json!([{ "pii.redact": {}, "secrets.redact": {} }])
}

/// Some text leaves, some is held back, and more would come.
fn plan(tail: &str) -> Plan {
    Plan::new().say(Kind::Text, &harmless(400)).then(Kind::Text, tail, APART).then(
        Kind::Text,
        "never sent",
        APART,
    )
}

/// Checks that an answer broke off properly: an error in the client's dialect, and no end.
fn check_broken(pair: Pair, heard: &Heard, what: &str) {
    assert_eq!(heard.status, 200, "{what}: {}", heard.raw);
    assert!(!heard.cut, "{what}: the body ends properly");
    assert!(heard.error.is_some(), "{what}: silence: {}", heard.raw);
    assert!(!heard.ended, "{what}: a false end: {}", heard.raw);
    let named = |name: &str| heard.events.iter().rposition(|event| event.name == name);
    let last_text = heard.events.iter().rposition(|event| {
        let data = event.json();
        data["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty())
            || data["delta"]["text"].is_string()
            || data["type"] == "response.output_text.delta"
    });
    let error = match pair.front {
        Front::Messages => named("error"),
        Front::Responses => named("response.failed").or_else(|| named("error")),
        _ => heard.events.iter().rposition(|event| event.json()["error"].is_object()),
    };
    assert!(error > last_text, "{what}: the error comes last: {}", heard.raw);
}

#[tokio::test]
async fn a_held_clean_tail_arrives_before_the_error() {
    let World { mock, client, gateway: _gateway } = &impatient().await;
    let clean = "the end of what was höld 海";
    let asked = PAIRS.into_iter().flat_map(|pair| FAULTS.map(|fault| (pair, fault)));
    all(asked.map(|(pair, fault)| async move {
        let ask = Ask { client, mock, pair, guards: redact() };
        let heard = ask.stream_with(plan(clean), &format!("&{fault}=2")).await;
        let what = format!("{pair:?} {fault}");
        check_broken(pair, &heard, &what);
        assert_eq!(heard.text(Kind::Text), harmless(400) + clean, "{what}: {}", heard.raw);
    }))
    .await;
}

#[tokio::test]
async fn a_held_secret_is_masked_before_the_error() {
    let World { mock, client, gateway: _gateway } = &impatient().await;
    let cases = &cases();
    let asked = PAIRS.into_iter().flat_map(|pair| FAULTS.map(|fault| (pair, fault)));
    let asked = asked.enumerate().flat_map(|(number, asked)| {
        // Every secret breaks off in some dialect.
        (0..4).map(move |turn| (asked, &cases[(number + turn * 8) % cases.len()]))
    });
    all(asked.map(|((pair, fault), case)| async move {
        let ask = Ask { client, mock, pair, guards: redact() };
        // Nothing follows the secret: what would end it never came.
        let heard =
            ask.stream_with(plan(&format!("{}{}", case.before, case.secret)), &format!("&{fault}=2")).await;
        let what = format!("{pair:?} {fault} {:?}", case.secret);
        let hound = Hound::of([case.secret.as_str()]);
        assert_eq!(heard.strings().iter().find_map(|text| hound.sniff(text)), None, "{what}: {}", heard.raw);
        check_broken(pair, &heard, &what);
        assert_eq!(
            heard.text(Kind::Text),
            format!("{}{}{}", harmless(400), case.before, case.mask),
            "{what}"
        );
    }))
    .await;
}

#[tokio::test]
async fn a_held_secret_denies_what_broke_off() {
    let World { mock, client, gateway: _gateway } = &impatient().await;
    let cases: &Vec<Case> = &cases().into_iter().filter(|case| case.plugin == "secrets").collect();
    let asked = [CHAT, MESSAGES, RESPONSES, CHAT_OVER_GEMINI].into_iter();
    let asked = asked.flat_map(|pair| FAULTS.map(|fault| (pair, fault))).enumerate();
    all(asked.map(|(number, (pair, fault))| async move {
        let case = &cases[number % cases.len()];
        let guards = json!([{ "pii.detect": {}, "secrets.detect": {}, "deny": true }]);
        let ask = Ask { client, mock, pair, guards };
        let heard = ask.stream_with(plan(&case.text()), &format!("&{fault}=2")).await;
        let what = format!("{pair:?} {fault} {:?}", case.secret);
        let hound = Hound::of([case.secret.as_str()]);
        assert_eq!(heard.strings().iter().find_map(|text| hound.sniff(text)), None, "{what}: {}", heard.raw);
        let before = harmless(400) + case.before;
        assert!(before.starts_with(heard.text(Kind::Text)), "{what}: {}", heard.raw);
        assert!(heard.error.is_some() && heard.raw.contains("guardrail checks"), "{what}: {}", heard.raw);
    }))
    .await;
}

/// Nothing left yet: the client gets a status, and no byte of what was held.
#[tokio::test]
async fn an_upstream_that_fails_while_everything_is_held_is_an_ordinary_error() {
    let World { mock, client, gateway: _gateway } = &impatient().await;
    let asked = PAIRS.into_iter().flat_map(|pair| FAULTS.map(|fault| (pair, fault)));
    all(asked.map(|(pair, fault)| async move {
        let ask = Ask { client, mock, pair, guards: redact() };
        let held =
            Plan::new().say(Kind::Text, "held").then(Kind::Text, " back", APART).then(Kind::Text, "!", APART);
        let heard = ask.stream_with(held, &format!("&{fault}=2")).await;
        let what = format!("{pair:?} {fault}");
        if heard.status == 200 {
            // Where the stream began all the same, it says what was held and then the error.
            check_broken(pair, &heard, &what);
            assert_eq!(heard.text(Kind::Text), "held back", "{what}: {}", heard.raw);
        } else {
            assert!(matches!(heard.status, 408 | 500..=599), "{what}: {} {}", heard.status, heard.raw);
            assert!(heard.error.is_some(), "{what}: {}", heard.raw);
            assert!(!heard.raw.contains("held back"), "{what}: {}", heard.raw);
        }
    }))
    .await;
}
