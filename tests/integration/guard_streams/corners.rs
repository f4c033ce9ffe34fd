//! Where a stream may differ from the whole answer: texts cut by other texts, guards over the same bytes, an end by
//! budget, an answer that takes its time.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::mock::plan::{Kind, Plan};

use super::corpus::{Hound, cases, cut_before, cuts, harmless, thin};
use super::wire::{
    Ask, CHAT, CHAT_OVER_ANTHROPIC, Front, Heard, MESSAGES, MESSAGES_OVER_OPENAI, RESPONSES,
    RESPONSES_OVER_ANTHROPIC, all, world, world_like,
};
use crate::support::World;

const APART: Duration = Duration::from_millis(25);

fn redact() -> Value {
    json!([{ "pii.redact": {}, "secrets.redact": {} }])
}

/// A client puts the text of an answer together again, whatever stood between its pieces.
#[tokio::test]
async fn a_secret_with_another_kind_of_text_in_its_middle_does_not_leave() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases = &cases();
    let asked =
        [CHAT, MESSAGES, RESPONSES, MESSAGES_OVER_OPENAI, CHAT_OVER_ANTHROPIC, RESPONSES_OVER_ANTHROPIC];
    let betweens = [Kind::Reasoning, Kind::Arguments(0)];
    let asked = asked.into_iter().flat_map(|pair| betweens.map(|between| (pair, between)));
    let asked = asked.flat_map(|asked| (0..cases.len()).step_by(3).map(move |index| (asked, index)));
    let seen = all(asked.map(|((pair, between), index)| async move {
        let case = &cases[index];
        let ask = Ask { client, mock, pair, guards: redact() };
        let (head, tail) = case.secret.split_at(cut_before(&case.secret, case.secret.len() / 2));
        let words = if matches!(between, Kind::Arguments(_)) { "{\"a\": 1}" } else { "hm" };
        let plan = Plan::new()
            .say(Kind::Text, &format!("{}{}{head}", harmless(300), case.before))
            .then(between, words, APART)
            .then(Kind::Text, &format!("{tail}{}", case.after), APART);
        let whole = ask.whole(plan.clone()).await;
        let heard = ask.stream(plan).await;
        let hound = Hound::of([case.secret.as_str()]);
        let leaks = |heard: &Heard| heard.texts.values().any(|text| hound.sniff(text).is_some());
        let what = format!("{pair:?} {between:?} {:?}", case.secret);
        assert!(!leaks(&whole), "{what}: the whole answer: {}", whole.raw);
        leaks(&heard).then(|| format!("{what}: {}", heard.text(Kind::Text)))
    }))
    .await;
    let left: Vec<String> = seen.into_iter().flatten().collect();
    assert!(left.is_empty(), "{} secrets left: {left:#?}", left.len());
}

/// Three guards find overlapping bytes; what they show together is what they show of the whole answer.
#[tokio::test]
async fn guards_over_the_same_bytes_show_what_the_whole_answer_shows() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let guards = json!([
        { "default.regexReplace": { "rule": "/\\d{3,4}/g", "redactText": "#", "lookahead": 8 } },
        { "pii.redact": { "categories": ["card", "iban", "ssn", "phone", "ip"] } },
        { "secrets.redact": {}, "default.regexReplace": { "rule": "/[a-e]+[1-9]/g", "redactText": "", "lookahead": 40 } },
    ]);
    for pair in [CHAT, MESSAGES] {
        let ask = &Ask { client, mock, pair, guards: guards.clone() };
        for case in cases().iter().step_by(thin(3)) {
            let text = &format!("{} 12345 {} abc1", harmless(60), case.text());
            let whole = &ask.whole(Plan::new().say(Kind::Text, text)).await;
            assert_eq!(whole.status, 200, "{}", whole.raw);
            assert_ne!(whole.text(Kind::Text), text, "something is masked");
            all(cuts(text).into_iter().step_by(thin(5)).map(|cut| async move {
                let (head, tail) = text.split_at(cut);
                let plan = Plan::new().say(Kind::Text, head).then(Kind::Text, tail, APART);
                let heard = ask.stream(plan).await;
                assert_eq!(heard.text(Kind::Text), whole.text(Kind::Text), "{pair:?} cut {cut} of {text:?}");
                assert_eq!(heard.verdicts(), whole.verdicts(), "{pair:?} cut {cut} of {text:?}");
            }))
            .await;
        }
    }
}

/// What the budget paid for arrives, with guards as without.
#[tokio::test]
async fn a_budget_that_runs_out_ends_a_guarded_stream_behind_all_that_it_paid() {
    const KEYS: [&str; 2] = ["tg-first-key-of-the-tests-0123456789", "tg-other-key-of-the-tests-0123456789"];
    // 15 dollars per million: some 100 pieces and the question.
    let budget = "budget = { usd = 0.0017 }";
    let World { mock, gateway, .. } =
        &world_like(|settings| settings.key("one", KEYS[0], budget).key("two", KEYS[1], budget)).await;
    let mut said = Vec::new();
    for (key, guards) in KEYS.into_iter().zip([json!([]), redact()]) {
        let client = &gateway.with_key(key);
        let ask = Ask { client, mock, pair: CHAT, guards };
        let plan =
            (0..400).fold(Plan::new(), |plan, _| plan.then(Kind::Text, " tide", Duration::from_millis(4)));
        let heard = ask.stream(plan).await;
        assert_eq!(heard.status, 200, "{}", heard.raw);
        let error = heard.error.as_ref().unwrap_or_else(|| panic!("no error: {}", heard.raw));
        assert!(error.to_string().contains("budget"), "{error}");
        said.push(heard.text(Kind::Text).len());
    }
    let (plain, guarded) = (said[0], said[1]);
    assert!(plain > 200, "{plain} bytes without guards");
    assert!(
        guarded + 10 >= plain,
        "{guarded} bytes with guards, {plain} without: the held ones were paid and are lost"
    );
}

/// A guard that wants the whole answer keeps the client waiting, not the vendor: it did send its first event.
#[tokio::test]
async fn a_held_answer_may_take_longer_than_a_first_event() {
    let World { mock, client, gateway: _gateway } =
        &world_like(|settings| settings.toml("[timeouts]\nfirst_event_ms = 700")).await;
    let held = json!([{ "default.wordCount": { "minWords": 1, "maxWords": 9000 }, "deny": true }]);
    let windows = json!([{ "pii.redact": {} }]);
    let asked = [CHAT, MESSAGES, RESPONSES].into_iter();
    let asked = asked.flat_map(|pair| [held.clone(), windows.clone()].map(|guards| (pair, guards)));
    all(asked.map(|(pair, guards)| async move {
        let ask = Ask { client, mock, pair, guards };
        let plan =
            (0..15).fold(Plan::new(), |plan, _| plan.then(Kind::Text, "tide ", Duration::from_millis(100)));
        let heard = ask.stream(plan).await;
        assert_eq!(heard.status, 200, "{pair:?}: {}", heard.raw);
        assert_eq!(heard.text(Kind::Text), "tide ".repeat(15), "{pair:?}: {}", heard.raw);
        assert!(heard.ended && heard.error.is_none(), "{pair:?}: {}", heard.raw);
    }))
    .await;
}

/// Usage that a client asked for, and the order of a chat's last events, are those of an unguarded stream.
#[tokio::test]
async fn what_is_no_text_arrives_as_without_guards() {
    let World { mock, client, gateway: _gateway } = &world().await;
    for pair in [CHAT, CHAT_OVER_ANTHROPIC, MESSAGES, RESPONSES] {
        let mut seen = Vec::new();
        for guards in [json!([]), redact()] {
            let ask = Ask { client, mock, pair, guards };
            let plan = Plan::new()
                .say(Kind::Reasoning, "let me think")
                .say(Kind::Text, &harmless(500))
                .say(Kind::Arguments(0), "{\"city\": \"Paris\", \"days\": 2}");
            let heard = ask.stream(plan).await;
            assert!(heard.ended && heard.error.is_none(), "{pair:?}: {}", heard.raw);
            let usage = heard.events.iter().map(|event| event.json()).find_map(|data| {
                let places = [&data["usage"], &data["response"]["usage"]];
                places.into_iter().find(|usage| usage["output_tokens"].as_u64() > Some(1)).cloned()
            });
            if matches!(pair.front, Front::Messages | Front::Responses) {
                assert!(usage.is_some(), "{pair:?}: no usage: {}", heard.raw);
            }
            seen.push((
                heard.texts.clone(),
                heard.finishes.clone(),
                usage.map(|usage| usage["output_tokens"].clone()),
            ));
        }
        assert_eq!(seen[0], seen[1], "{pair:?}");
    }
}
