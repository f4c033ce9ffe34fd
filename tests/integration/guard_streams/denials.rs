//! A guard that denies ends the stream: nothing of what it found leaves, the client is told in its own dialect, the
//! vendor is let go, and what was made is paid.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::mock::plan::{Kind, Plan};
use tidegate_tests::wait;

use super::corpus::{Case, Hound, cases, cuts, harmless, thin};
use super::wire::{
    Ask, CHAT, CHAT_OVER_ANTHROPIC, COMPLETIONS, Front, Heard, MESSAGES, MESSAGES_OVER_OPENAI, PAIRS,
    RESPONSES, all, world,
};
use crate::support::{INPUT_NANO, OUTPUT_NANO, World};

const APART: Duration = Duration::from_millis(25);

/// A guard of one kind only: it holds back least.
fn detect(case: &Case) -> Value {
    match case.plugin {
        "pii" => {
            let category = case.mask.trim_matches(['[', ']']).to_lowercase();
            json!([{ "pii.detect": { "categories": [category] }, "deny": true }])
        }
        _ => json!([{ "secrets.detect": {}, "deny": true }]),
    }
}

/// More than any guard of one kind holds back.
fn lead(case: &Case) -> String {
    harmless(if case.mask == "[EMAIL]" { 330 } else { 130 })
}

/// Checks what a denied stream showed: a beginning of the lead at most, and why it ended.
fn check_denied(front: Front, kind: Kind, before: &str, heard: &Heard, what: &str) {
    for text in heard.texts.values() {
        assert!(before.starts_with(text.as_str()), "{what}: more left than stands before: {text:?}");
    }
    assert!(!heard.cut, "{what}: the body ends properly");
    if heard.status == 446 {
        assert!(heard.texts.is_empty(), "{what}: {}", heard.raw);
        assert!(heard.error.is_some(), "{what}: {}", heard.raw);
        return;
    }
    assert_eq!(heard.status, 200, "{what}: {}", heard.raw);
    assert!(!heard.text(kind).is_empty(), "{what}: a denial before anything left is a status: {}", heard.raw);
    let error = heard.error.as_ref().unwrap_or_else(|| panic!("{what}: no error: {}", heard.raw));
    assert!(heard.raw.contains("guardrail checks"), "{what}: the error says why: {error}");
    match front {
        Front::Chat | Front::Completions => {
            assert_eq!(heard.finishes, ["content_filter"], "{what}: {}", heard.raw);
            assert_eq!(error["type"], "hooks_failed", "{what}");
            assert!(heard.ended, "{what}: no [DONE]: {}", heard.raw);
        }
        Front::Messages => {
            let last = heard.events.iter().find(|event| event.name == "error");
            assert!(last.is_some_and(|last| last.json()["type"] == "error"), "{what}: {}", heard.raw);
        }
        Front::Responses => {
            let failed = |name: &str| name == "error" || name == "response.failed";
            assert!(heard.events.iter().any(|event| failed(&event.name)), "{what}: {}", heard.raw);
            assert!(!heard.ended, "{what}: no response.completed: {}", heard.raw);
        }
    }
}

#[tokio::test]
async fn nothing_of_what_is_denied_leaves_at_any_cut() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases = cases();
    for (pair, step) in [
        (CHAT, 2),
        (MESSAGES, 5),
        (RESPONSES, 5),
        (COMPLETIONS, 7),
        (MESSAGES_OVER_OPENAI, 7),
        (CHAT_OVER_ANTHROPIC, 7),
    ] {
        for case in cases.iter().step_by(thin(step)) {
            let ask = &Ask { client, mock, pair, guards: detect(case) };
            let before = &(lead(case) + case.before);
            let hound = &Hound::of([case.secret.as_str()]);
            let plan = |cut: usize| {
                let (head, tail) = case.secret.split_at(cut);
                Plan::new().say(Kind::Text, &format!("{before}{head}")).then(
                    Kind::Text,
                    &format!("{tail}{} {}", case.after, harmless(80)),
                    APART,
                )
            };
            let whole = &ask.whole(plan(0)).await;
            assert_eq!(whole.status, 446, "{pair:?} {case:?}: {}", whole.raw);
            // A few cuts of each are enough for categories whose texts are long.
            all(cuts(&case.secret).into_iter().step_by(thin(1 + case.secret.len() / 20)).map(
                |cut| async move {
                    let heard = ask.stream(plan(cut)).await;
                    let what = format!("{pair:?} {:?} cut {cut}", case.secret);
                    let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
                    assert_eq!(leak, None, "{what}: {}", heard.raw);
                    check_denied(pair.front, Kind::Text, before, &heard, &what);
                    if !heard.hooks.is_null() {
                        assert_eq!(heard.verdicts(), whole.verdicts(), "{what}");
                    }
                },
            ))
            .await;
        }
    }
}

#[tokio::test]
async fn what_is_denied_in_arguments_reasoning_and_refusals_does_not_leave() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let places = [
        (CHAT, Kind::Reasoning),
        (CHAT, Kind::Refusal),
        (CHAT, Kind::Arguments(0)),
        (MESSAGES, Kind::Reasoning),
        (MESSAGES, Kind::Arguments(0)),
        (RESPONSES, Kind::Reasoning),
        (RESPONSES, Kind::Refusal),
        (RESPONSES, Kind::Arguments(0)),
        (MESSAGES_OVER_OPENAI, Kind::Arguments(0)),
        (CHAT_OVER_ANTHROPIC, Kind::Arguments(0)),
    ];
    let cases: Vec<Case> = cases().into_iter().step_by(4).collect();
    for (pair, kind) in places {
        let json = matches!(kind, Kind::Arguments(_));
        for case in &cases {
            let ask = &Ask { client, mock, pair, guards: detect(case) };
            let (open, close) = if json { ("{\"note\": \"", "\"}") } else { ("", "") };
            // In arguments the secret is spelled with escapes: the guard must read what the client's parser reads.
            let secret = &match json {
                true => case.secret.chars().map(|letter| format!("\\u{:04x}", letter as u32)).collect(),
                false => case.secret.clone(),
            };
            // The words before it: some are only secrets behind a name.
            let before =
                &format!("{open}{}{}", lead(case), if case.mask == "[SECRET]" { case.before } else { "" });
            let hound = &Hound::of([case.secret.as_str(), secret]);
            all(cuts(secret).into_iter().step_by(1 + secret.len() / 9).map(|cut| async move {
                let (head, tail) = secret.split_at(cut);
                let plan = Plan::new().say(kind, &format!("{before}{head}")).then(
                    kind,
                    &format!("{tail} {}{close}", harmless(80)),
                    APART,
                );
                let heard = ask.stream(plan).await;
                let what = format!("{pair:?} {kind:?} {:?} cut {cut}", case.secret);
                let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
                assert_eq!(leak, None, "{what}: {}", heard.raw);
                check_denied(pair.front, kind, before, &heard, &what);
            }))
            .await;
        }
    }
}

#[tokio::test]
async fn a_denial_before_anything_left_is_a_status() {
    let World { mock, client, gateway: _gateway } = &world().await;
    for pair in PAIRS {
        let guards = json!([{ "secrets.detect": {}, "deny": true }]);
        let ask = Ask { client, mock, pair, guards };
        let case = cases().into_iter().find(|case| case.plugin == "secrets").expect("one");
        let plan = Plan::new().say(Kind::Text, case.before).then(Kind::Text, &case.secret, APART);
        let plan = plan.then(Kind::Text, case.after, APART);
        let whole = ask.whole(plan.clone()).await;
        let heard = ask.stream(plan).await;
        for seen in [&whole, &heard] {
            assert_eq!(seen.status, 446, "{pair:?}: {}", seen.raw);
            let error = seen.error.as_ref().unwrap_or_else(|| panic!("{pair:?}: no error in {}", seen.raw));
            assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
            if pair.front != Front::Messages {
                assert_eq!(error["type"], "hooks_failed", "{pair:?}");
            }
        }
        assert_eq!(heard.verdicts(), whole.verdicts(), "{pair:?}");
        assert_eq!(heard.hooks[0]["deny"], true, "{pair:?}: {}", heard.raw);
    }
}

#[tokio::test]
async fn a_denial_in_the_middle_lets_the_vendor_go_and_is_paid_and_logged() {
    let World { mock, client, gateway } = &world().await;
    for (number, pair) in PAIRS.into_iter().enumerate() {
        let guards = json!([{ "secrets.detect": {}, "deny": true }]);
        let ask = Ask { client, mock, pair, guards };
        let case = cases().into_iter().rfind(|case| case.plugin == "secrets" && case.secret.len() < 72);
        let case = case.expect("a short one");
        let mut plan = Plan::new().say(Kind::Text, &harmless(200)).then(Kind::Text, case.before, APART);
        plan = plan.then(Kind::Text, &case.secret, APART);
        // The vendor would go on for long.
        for _ in 0..400 {
            plan = plan.then(Kind::Text, &harmless(100), APART);
        }
        let directives = mock.plan(plan);
        let trace = format!("denied-{number}");
        let mut request = ask.request(&directives, 1, true);
        request = request.header("x-portkey-trace-id", &trace);
        let heard = Heard::read(pair.front, request.send().await, true).await;
        let what = format!("{pair:?}");
        check_denied(pair.front, Kind::Text, &harmless(200), &heard, &what);
        assert_eq!(heard.status, 200, "{what}: {}", heard.raw);
        let record = mock.find(&directives).pop().expect("asked");
        wait::until("upstream to be let go", || record.client_closed_at()).await;
        let row = gateway.log_of(&trace).await;
        assert_eq!(row["outcome"], "guardrail_denied", "{what}: {row}");
        assert_eq!(row["status"], 200, "{what}: {row}");
        let cost = row["cost_nano_usd"].as_i64().unwrap_or_default();
        // What the vendor sent is paid although the client never saw it.
        assert!(cost >= INPUT_NANO + 20 * OUTPUT_NANO, "{what}: {row}");
    }
}

#[tokio::test]
async fn with_two_choices_a_denial_in_one_ends_both() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let guards = json!([{ "secrets.detect": {}, "deny": true }]);
    let ask = Ask { client, mock, pair: CHAT, guards };
    let case = cases().into_iter().rfind(|case| case.plugin == "secrets").expect("one");
    let clean = harmless(200);
    let mut plan = Plan::new().piece(0, Kind::Text, &clean, Duration::ZERO);
    plan = plan.piece(1, Kind::Text, &clean, Duration::ZERO);
    plan = plan.piece(1, Kind::Text, &case.text(), APART).piece(1, Kind::Text, &clean, APART);
    plan = plan.piece(0, Kind::Text, &clean, APART);
    let heard = ask.stream(plan).await;
    assert_eq!(heard.status, 200, "{}", heard.raw);
    assert_eq!(heard.finishes, ["content_filter", "content_filter"], "{}", heard.raw);
    assert_eq!(heard.error.as_ref().map(|error| &error["type"]), Some(&json!("hooks_failed")));
    assert!(heard.ended);
    let hound = Hound::of([case.secret.as_str()]);
    assert_eq!(heard.strings().iter().find_map(|text| hound.sniff(text)), None, "{}", heard.raw);
}

/// A client may act on the end of a call's arguments at once.
#[tokio::test]
async fn a_denied_call_is_not_ended_with_arguments_that_nobody_sent() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let case = cases().into_iter().rfind(|case| case.mask == "[JWT]").expect("one");
    for pair in [CHAT, RESPONSES, MESSAGES_OVER_OPENAI, MESSAGES] {
        let guards = json!([{ "secrets.detect": {}, "deny": true }]);
        let ask = Ask { client, mock, pair, guards };
        let plan = Plan::new()
            .say(Kind::Text, &harmless(200))
            .then(Kind::Arguments(0), "{\"a\": \"", APART)
            .then(Kind::Arguments(0), &format!("{}\"}}", case.text()), APART);
        let heard = ask.stream(plan).await;
        let what = format!("{pair:?}: {}", heard.raw);
        assert!(heard.error.is_some(), "{what}");
        let sent = heard.text(Kind::Arguments(0));
        assert!("{\"a\": \"Bearer ".starts_with(sent), "{what}");
    }
}
