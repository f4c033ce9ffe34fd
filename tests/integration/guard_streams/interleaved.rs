//! Texts that a vendor sends in turns: parallel tool calls, several choices, text between thoughts. Each is guarded on
//! its own, also where the client's dialect can only write one after the other.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::mock::plan::{Kind, Plan};

use super::corpus::{Case, Hound, cases, cut_before, harmless};
use super::wire::{Ask, CHAT, Front, MESSAGES_OVER_OPENAI, RESPONSES, all, world};
use crate::support::World;

const APART: Duration = Duration::from_millis(25);

fn redact() -> Value {
    json!([{ "pii.redact": {}, "secrets.redact": {} }])
}

fn arguments(text: &str) -> String {
    json!({ "note": text, "n": 3 }).to_string()
}

/// Two calls whose pieces come in turns, each secret cut once, at the same share of its length.
#[tokio::test]
async fn parallel_tool_calls_in_turns_are_masked_and_stay_json() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases = &cases();
    let hound = &Hound::of_cases(cases);
    for pair in [CHAT, RESPONSES, MESSAGES_OVER_OPENAI] {
        let ask = &Ask { client, mock, pair, guards: redact() };
        let plans = (0..cases.len()).flat_map(|index| (1..8).map(move |eighth| (index, eighth)));
        all(plans.map(|(index, eighth)| async move {
            let two = [&cases[index], &cases[(index + 7) % cases.len()]];
            let raw = two.map(|case| arguments(&case.text()));
            let wanted = two.map(|case| arguments(&case.masked()));
            let halves = [0, 1].map(|at| {
                let secret = json!(two[at].secret).to_string();
                let start = raw[at].find(&secret[1..secret.len() - 1]).expect("it is in there");
                raw[at].split_at(cut_before(&raw[at], start + (secret.len() - 2) * eighth / 8))
            });
            let mut plan = Plan::new();
            for half in 0..2 {
                for (tool, parts) in (0..).zip(&halves) {
                    let text = if half == 0 { parts.0 } else { parts.1 };
                    plan = plan.then(Kind::Arguments(tool), text, APART);
                }
            }
            let heard = ask.stream(plan).await;
            let what = format!("{pair:?} {:?} and {:?} cut at {eighth}/8", two[0].secret, two[1].secret);
            let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
            assert_eq!(leak, None, "{what}: {}", heard.raw);
            for (tool, wanted) in (0..).zip(&wanted) {
                let said = heard.text(Kind::Arguments(tool));
                let said: Value =
                    serde_json::from_str(said).unwrap_or_else(|error| panic!("{what}: {error} in {said}"));
                assert_eq!(said, serde_json::from_str::<Value>(wanted).unwrap(), "{what}");
            }
            assert!(heard.ended && heard.error.is_none(), "{what}: {}", heard.raw);
        }))
        .await;
    }
}

/// The same, denied.
#[tokio::test]
async fn what_is_denied_in_a_call_between_pieces_of_another_does_not_leave() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases: &Vec<Case> = &cases().into_iter().filter(|case| case.plugin == "secrets").collect();
    let clean = &harmless(120).trim_end().to_owned();
    for pair in [CHAT, RESPONSES, MESSAGES_OVER_OPENAI] {
        let guards = json!([{ "secrets.detect": {}, "deny": true }]);
        let ask = &Ask { client, mock, pair, guards };
        all(cases.iter().flat_map(|case| (1..4).map(move |quarter| (case, quarter))).map(
            |(case, quarter)| async move {
                let (head, tail) =
                    case.secret.split_at(cut_before(&case.secret, case.secret.len() * quarter / 4));
                let escaped = |text: &str| {
                    let json = json!(text).to_string();
                    json[1..json.len() - 1].to_owned()
                };
                let plan = Plan::new()
                    .say(
                        Kind::Arguments(0),
                        &format!("{{\"a\": \"{clean} {}{}", escaped(case.before), escaped(head)),
                    )
                    .then(Kind::Arguments(1), &format!("{{\"b\": \"{clean}"), APART)
                    .then(Kind::Arguments(0), &format!("{}{}\"}}", escaped(tail), escaped(case.after)), APART)
                    .then(Kind::Arguments(1), "\"}", APART);
                let heard = ask.stream(plan).await;
                let what = format!("{pair:?} {:?} cut at {quarter}/4", case.secret);
                assert!(heard.status == 446 || heard.error.is_some(), "{what}: not denied: {}", heard.raw);
                // Not even the half that came before the other call, which nobody could know alone.
                let sent = heard.texts.get(&(0, Kind::Arguments(0)));
                if let Some(sent) = sent.filter(|sent| *sent != "{}") {
                    let before = format!("{{\"a\": \"{clean} {}", escaped(case.before));
                    assert!(before.starts_with(sent.as_str()), "{what}: {sent}: {}", heard.raw);
                }
            },
        ))
        .await;
    }
}

/// Pieces of two choices in turns.
#[tokio::test]
async fn choices_in_turns_are_masked_each_on_its_own() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let ask = &Ask { client, mock, pair: CHAT, guards: redact() };
    let cases = &cases();
    let hound = &Hound::of_cases(cases);
    all((0..24).map(|at: usize| async move {
        let mut plan = Plan::new();
        for (index, case) in cases.iter().enumerate() {
            // What one choice holds back must not be judged with what the other says.
            let cut = cut_before(&case.secret, (at * 3 + index) % case.secret.len());
            let (head, tail) = case.secret.split_at(cut);
            let other = &cases[(index + 11) % cases.len()];
            let (first, second) = other.secret.split_at(cut_before(&other.secret, other.secret.len() / 2));
            plan = plan
                .piece(0, Kind::Text, &format!("{}{head}", case.before), APART)
                .piece(1, Kind::Text, &format!("{}{first}", other.before), Duration::ZERO)
                .piece(0, Kind::Text, &format!("{tail}{} ~ ", case.after), APART)
                .piece(1, Kind::Text, &format!("{second}{} ~ ", other.after), Duration::ZERO);
        }
        let heard = ask.stream(plan).await;
        let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
        assert_eq!(leak, None, "cut {at}: {}", heard.raw);
        let wanted: [String; 2] = [0, 11].map(|offset| {
            (0..cases.len()).map(|index| cases[(index + offset) % cases.len()].masked() + " ~ ").collect()
        });
        for (choice, wanted) in (0..).zip(&wanted) {
            assert_eq!(heard.texts.get(&(choice, Kind::Text)), Some(wanted), "cut {at}, choice {choice}");
        }
        assert_eq!(heard.finishes, ["stop", "stop"]);
    }))
    .await;
}

/// Thoughts, then text, then calls, as vendors send them, and thoughts again between pieces of text.
#[tokio::test]
async fn kinds_in_turns_are_masked_each_on_its_own() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases = &cases();
    let hound = &Hound::of_cases(cases);
    for pair in [CHAT, MESSAGES_OVER_OPENAI] {
        let ask = &Ask { client, mock, pair, guards: redact() };
        all((0..cases.len()).map(|index| async move {
            let [thought, text, call] = [0, 5, 13].map(|offset| &cases[(index + offset) % cases.len()]);
            let raw = arguments(&call.text());
            let (head, tail) = raw.split_at(cut_before(&raw, raw.len() / 2));
            let (first, second) =
                thought.secret.split_at(cut_before(&thought.secret, thought.secret.len() / 2));
            let (one, two) = text.secret.split_at(cut_before(&text.secret, text.secret.len() / 2));
            let plan = Plan::new()
                .say(Kind::Reasoning, &format!("{}{first}", thought.before))
                .then(Kind::Reasoning, &format!("{second}{}", thought.after), APART)
                .then(Kind::Text, &format!("{}{one}", text.before), APART)
                .then(Kind::Text, &format!("{two}{}", text.after), APART)
                .then(Kind::Arguments(0), head, APART)
                .then(Kind::Arguments(0), tail, APART);
            let heard = ask.stream(plan).await;
            let what = format!("{pair:?} {index}");
            let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
            assert_eq!(leak, None, "{what}: {}", heard.raw);
            assert_eq!(heard.text(Kind::Reasoning), thought.masked(), "{what}");
            assert_eq!(heard.text(Kind::Text), text.masked(), "{what}");
            let said: Value = serde_json::from_str(heard.text(Kind::Arguments(0))).expect("JSON");
            assert_eq!(said["note"], call.masked(), "{what}");
            // One after the other, also where all of it was held back.
            let reason = if pair.front == Front::Messages { "tool_use" } else { "tool_calls" };
            assert_eq!(heard.finishes, [reason], "{what}");
            let first_text =
                heard.raw.find("\"text_delta\"").or_else(|| heard.raw.find("\"content\":\"[^\"]"));
            let last_thought = heard.raw.rfind("\"thinking_delta\"");
            if let (Some(text), Some(thought)) = (first_text, last_thought) {
                assert!(thought < text, "{what}: {}", heard.raw);
            }
        }))
        .await;
    }
}

/// Thoughts that the vendor interrupts with pieces of its answer and takes up again.
#[tokio::test]
async fn thoughts_that_are_interrupted_and_go_on_are_masked_whole() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases = &cases();
    let hound = &Hound::of_cases(cases);
    for pair in [CHAT, MESSAGES_OVER_OPENAI] {
        let ask = &Ask { client, mock, pair, guards: redact() };
        let plans = (0..cases.len()).flat_map(|index| (1..8).map(move |eighth| (index, eighth)));
        all(plans.map(|(index, eighth)| async move {
            let [thought, text] = [0, 9].map(|offset| &cases[(index + offset) % cases.len()]);
            let cut = |case: &Case| cut_before(&case.secret, case.secret.len() * eighth / 8);
            let (head, tail) = thought.secret.split_at(cut(thought));
            let (one, two) = text.secret.split_at(cut(text));
            let plan = Plan::new()
                .say(Kind::Reasoning, &format!("{}{head}", thought.before))
                .then(Kind::Text, &format!("{}{one}", text.before), APART)
                .then(Kind::Reasoning, &format!("{tail}{}", thought.after), APART)
                .then(Kind::Text, &format!("{two}{}", text.after), APART);
            let heard = ask.stream(plan).await;
            let what = format!("{pair:?} {:?} in {:?}, cut at {eighth}/8", thought.secret, text.secret);
            let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
            assert_eq!(leak, None, "{what}: {}", heard.raw);
            assert_eq!(heard.text(Kind::Reasoning), thought.masked(), "{what}");
            assert_eq!(heard.text(Kind::Text), text.masked(), "{what}");
            assert!(heard.ended && heard.error.is_none(), "{what}: {}", heard.raw);
        }))
        .await;
    }
}

/// The same, denied: nothing of it leaves, not even its beginning.
#[tokio::test]
async fn what_is_denied_in_interrupted_thoughts_does_not_leave() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases: &Vec<Case> = &cases().into_iter().filter(|case| case.plugin == "secrets").collect();
    for pair in [CHAT, MESSAGES_OVER_OPENAI] {
        let guards = json!([{ "secrets.detect": {}, "deny": true }]);
        let ask = &Ask { client, mock, pair, guards };
        let plans = cases.iter().flat_map(|case| (1..4).map(move |quarter| (case, quarter)));
        all(plans.map(|(case, quarter)| async move {
            let cut = cut_before(&case.secret, case.secret.len() * quarter / 4);
            let (head, tail) = case.secret.split_at(cut);
            let plan = Plan::new()
                .say(Kind::Reasoning, &format!("{}{head}", case.before))
                .then(Kind::Text, "Well, ", APART)
                .then(Kind::Reasoning, &format!("{tail}{}", case.after), APART)
                .then(Kind::Text, "this is it.", APART);
            let heard = ask.stream(plan).await;
            let what = format!("{pair:?} {:?} cut at {quarter}/4", case.secret);
            assert!(heard.status == 446 || heard.error.is_some(), "{what}: not denied: {}", heard.raw);
            let sent = heard.texts.get(&(0, Kind::Reasoning)).map_or("", String::as_str);
            assert!(case.before.starts_with(sent), "{what}: {sent}: {}", heard.raw);
        }))
        .await;
    }
}
