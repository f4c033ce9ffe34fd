//! A corpus of secrets, cut everywhere: streams show what the whole answer shows.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::mock::plan::{Kind, Plan};

use super::corpus::{Case, Hound, cases, cut_before, cuts, thin};
use super::wire::{
    Ask, CHAT, CHAT_OVER_ANTHROPIC, COMPLETIONS, Front, MESSAGES, MESSAGES_OVER_OPENAI, PAIRS, Pair,
    RESPONSES, RESPONSES_OVER_ANTHROPIC, all, world,
};
use crate::support::World;

/// Longer than the shortest time between two windows, so that each side of a cut is judged on its own.
const APART: Duration = Duration::from_millis(25);

fn redact() -> Value {
    json!([{ "pii.redact": {}, "secrets.redact": {} }])
}

/// Every case's secret cut once, so many bytes behind its start; shorter ones somewhere too.
fn long_plan(cases: &[Case], kind: Kind, at: usize) -> Plan {
    let mut plan = Plan::new();
    let mut held = String::new();
    for (index, case) in cases.iter().enumerate() {
        // The cut moves on from case to case, so that its distance to the window before differs too.
        // Every second `at` reaches every place of a secret that is half as long as the longest.
        let places = case.secret.len() + 1;
        let cut = cut_before(&case.secret, (at + at / places + index) % places);
        held.push_str(case.before);
        held.push_str(&case.secret[..cut]);
        plan = plan.then(kind, &held, APART);
        held = format!("{}{} ~ ", &case.secret[cut..], case.after);
    }
    plan.then(kind, &held, APART)
}

fn longest(cases: &[Case]) -> usize {
    cases.iter().map(|case| case.secret.len()).max().unwrap_or_default()
}

/// The whole answer is masked as the corpus says, and each stream as the whole answer.
async fn long_streams(world: &World, pair: Pair, kind: Kind, step: usize) {
    let World { mock, client, .. } = world;
    let ask = Ask { client, mock, pair, guards: redact() };
    let cases = cases();
    let hound = Hound::of_cases(&cases);
    let wanted: String = cases.iter().map(|case| case.masked() + " ~ ").collect();
    let whole = ask.whole(long_plan(&cases, kind, 0)).await;
    assert_eq!(whole.status, 200, "{pair:?}: {}", whole.raw);
    assert_eq!(whole.text(kind), wanted, "{pair:?} {kind:?}: the whole answer");
    let whole = &whole;
    let streams = (0..=longest(&cases)).step_by(thin(step)).map(|at| {
        let (ask, cases, hound, wanted) = (&ask, &cases, &hound, &wanted);
        async move {
            let heard = ask.stream(long_plan(cases, kind, at)).await;
            let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
            assert_eq!(leak, None, "{pair:?} {kind:?}: a secret left with cut {at}: {}", heard.raw);
            assert_eq!(heard.text(kind), wanted, "{pair:?} {kind:?}: cut {at}");
            assert!(heard.ended && !heard.cut && heard.error.is_none(), "{pair:?} {kind:?}: {}", heard.raw);
            assert_eq!(heard.verdicts(), whole.verdicts(), "{pair:?} {kind:?}: cut {at}");
        }
    });
    all(streams).await;
}

#[tokio::test]
async fn secrets_cut_at_every_byte_stay_masked_in_the_text_of_every_dialect() {
    let world = world().await;
    for pair in PAIRS {
        // Native pairs have every cut; translated ones have an end of each kind in common with them.
        let step = match (pair.front, pair.provider) {
            (Front::Chat | Front::Responses, "openai-prod") | (Front::Messages, "anthropic-prod") => 1,
            (Front::Responses, _) | (_, "google-prod") => 6,
            _ => 2,
        };
        long_streams(&world, pair, Kind::Text, step).await;
    }
}

#[tokio::test]
async fn secrets_cut_at_every_byte_stay_masked_in_reasoning() {
    let world = world().await;
    for (pair, step) in [
        (CHAT, 1),
        (MESSAGES, 3),
        (RESPONSES, 3),
        (MESSAGES_OVER_OPENAI, 9),
        (CHAT_OVER_ANTHROPIC, 9),
        (RESPONSES_OVER_ANTHROPIC, 9),
    ] {
        long_streams(&world, pair, Kind::Reasoning, step).await;
    }
}

#[tokio::test]
async fn secrets_cut_at_every_byte_stay_masked_in_refusals() {
    let world = world().await;
    for pair in [CHAT, RESPONSES] {
        long_streams(&world, pair, Kind::Refusal, 3).await;
    }
}

/// The text as a JSON string in which some characters are spelled as escapes.
fn spelled(text: &str) -> String {
    let mut json = String::from("\"");
    for (index, letter) in text.chars().enumerate() {
        let must = matches!(letter, '"' | '\\' | '\n');
        if must || (index < 24 && index % 3 == 0 && (letter as u32) < 0x10000) {
            json.push_str(&format!("\\u{:04x}", letter as u32));
        } else {
            json.push(letter);
        }
    }
    json + "\""
}

/// Arguments with every secret in a string of its own, one of them as a name.
fn arguments(texts: impl Fn(&Case) -> String, cases: &[Case]) -> String {
    let list: Vec<String> = cases.iter().map(|case| spelled(&texts(case))).collect();
    format!("{{\"n\": -1.5e3, \"list\": [{}], \"deep\": {{{}: [true, null]}}}}", list.join(", "), list[0])
}

/// Cuts a text into pieces of this size, the first one shorter.
fn pieces(text: &str, first: usize, size: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut next = first;
    while !rest.is_empty() {
        let mut cut = cut_before(rest, next);
        if cut == 0 && next > 0 {
            cut = rest.chars().next().map_or(0, char::len_utf8);
        }
        let (piece, others) = rest.split_at(cut);
        pieces.push(piece.to_owned());
        rest = others;
        next = size;
    }
    pieces
}

#[tokio::test]
async fn secrets_in_tool_arguments_stay_masked_and_the_arguments_json() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases = cases();
    let hound = &Hound::of_cases(&cases);
    let raw = &arguments(Case::text, &cases);
    let wanted: Value = serde_json::from_str(&arguments(Case::masked, &cases)).unwrap();
    let kind = Kind::Arguments(0);
    /// Prime, so that the cuts of one stream fall on all places of escapes and secrets.
    const SIZE: usize = 61;
    for pair in
        [CHAT, MESSAGES, RESPONSES, MESSAGES_OVER_OPENAI, CHAT_OVER_ANTHROPIC, RESPONSES_OVER_ANTHROPIC]
    {
        let ask = &Ask { client, mock, pair, guards: redact() };
        let whole = &ask.whole(Plan::new().say(kind, raw)).await;
        assert_eq!(whole.status, 200, "{pair:?}: {}", whole.raw);
        let said: Value = serde_json::from_str(whole.text(kind)).unwrap();
        assert_eq!(said, wanted, "{pair:?}: the whole answer");
        let wanted = &wanted;
        let native = matches!(
            (pair.front, pair.provider),
            (Front::Chat | Front::Responses, "openai-prod") | (Front::Messages, "anthropic-prod")
        );
        all((0..SIZE).step_by(if native { 1 } else { thin(5) }).map(|first| async move {
            let pieces = pieces(raw, first, SIZE);
            let plan = pieces.iter().fold(Plan::new(), |plan, piece| plan.then(kind, piece, APART));
            let heard = ask.stream(plan).await;
            let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
            assert_eq!(leak, None, "{pair:?}: a secret left with cut {first}: {}", heard.raw);
            let said: Value = serde_json::from_str(heard.text(kind))
                .unwrap_or_else(|error| panic!("{pair:?}: {error} in {}", heard.text(kind)));
            assert_eq!(said, *wanted, "{pair:?}: cut {first}");
            assert!(heard.ended && heard.error.is_none(), "{pair:?}: {}", heard.raw);
            assert_eq!(heard.verdicts(), whole.verdicts(), "{pair:?}: cut {first}");
        }))
        .await;
    }
}

/// One cut in each choice, all choices of a stream at once: the shortest texts leave the least room.
#[tokio::test]
async fn every_choice_is_guarded_on_its_own_at_every_cut() {
    const CHOICES: usize = 8;
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases = cases();
    for pair in [CHAT, COMPLETIONS] {
        // A guard that looks for one kind only holds back least.
        let one_kind = |case: &Case| match case.plugin {
            "pii" => {
                let category = case.mask.trim_matches(['[', ']']).to_lowercase();
                json!([{ "pii.redact": { "categories": [category] } }])
            }
            _ => json!([{ "secrets.redact": {} }]),
        };
        let streams = cases.iter().flat_map(|case| {
            let cuts = cuts(&case.text());
            let groups: Vec<Vec<usize>> = cuts.chunks(CHOICES).map(<[usize]>::to_vec).collect();
            groups.into_iter().map(move |group| (case, group))
        });
        all(streams.map(|(case, group)| async move {
            let ask = Ask { client, mock, pair, guards: one_kind(case) };
            let text = case.text();
            let halves = group.iter().zip(0..).map(|(cut, choice)| (choice, text.split_at(*cut)));
            let mut plan = Plan::new();
            for (choice, (head, _)) in halves.clone() {
                plan = plan.piece(choice, Kind::Text, head, Duration::ZERO);
            }
            for (choice, (_, tail)) in halves {
                let pause = if choice == 0 { APART } else { Duration::ZERO };
                plan = plan.piece(choice, Kind::Text, tail, pause);
            }
            let heard = ask.stream(plan).await;
            let hound = Hound::of([case.secret.as_str()]);
            let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
            assert_eq!(leak, None, "{pair:?} {case:?} {group:?}: {}", heard.raw);
            for (choice, cut) in (0..).zip(&group) {
                let said = heard.texts.get(&(choice, Kind::Text)).map(String::as_str);
                assert_eq!(said, Some(case.masked().as_str()), "{pair:?} {case:?} cut {cut}: {}", heard.raw);
            }
            assert_eq!(heard.finishes, vec!["stop"; group.len()], "{}", heard.raw);
        }))
        .await;
    }
}

/// Reads of the gateway may end anywhere, also within a character or an event's name.
#[tokio::test]
async fn bytes_cut_within_events_and_characters_change_nothing() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let cases: Vec<Case> = cases().into_iter().step_by(thin(5)).collect();
    let hound = &Hound::of_cases(&cases);
    let wanted: &String = &cases.iter().map(|case| case.masked() + " ~ ").collect();
    let cases = &cases;
    for pair in [CHAT, MESSAGES, RESPONSES, CHAT_OVER_ANTHROPIC, MESSAGES_OVER_OPENAI] {
        let ask = &Ask { client, mock, pair, guards: redact() };
        all((1..97).map(|first| async move {
            // Writes of a length that has nothing to do with events; the first one moves all of them.
            let mut plan = long_plan(cases, Kind::Text, 3 + first % 9);
            plan.pieces.iter_mut().for_each(|piece| piece.pause = Duration::ZERO);
            plan.writes = vec![first, 97];
            plan.pause = Duration::from_millis(5);
            let heard = ask.stream(plan).await;
            let leak = heard.strings().iter().find_map(|text| hound.sniff(text));
            assert_eq!(leak, None, "{pair:?}: first write {first}: {}", heard.raw);
            assert_eq!(heard.text(Kind::Text), wanted, "{pair:?}: first write {first}");
            assert!(heard.ended && heard.error.is_none(), "{pair:?}: {}", heard.raw);
        }))
        .await;
    }
}

/// Log probabilities spell the text again, token by token.
#[tokio::test]
async fn log_probabilities_do_not_tell_what_is_masked() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let ask = Ask { client, mock, pair: CHAT, guards: redact() };
    assert_eq!(ask.pair.front, Front::Chat);
    for case in cases() {
        let hound = Hound::of([case.secret.as_str()]);
        let text = case.text();
        let mut plan = Plan::new().say(Kind::Text, &text);
        plan.logprobs = true;
        let whole = ask.whole(plan.clone()).await;
        let heard = ask.stream(plan).await;
        for seen in [&whole, &heard] {
            let leak = seen.strings().iter().find_map(|text| hound.sniff(text));
            assert_eq!(leak, None, "{case:?}: {}", seen.raw);
            assert_eq!(seen.text(Kind::Text), case.masked(), "{}", seen.raw);
        }
    }
}

/// Quotes, dashes and letters of scripts that write without spaces stand right beside what is looked for.
#[tokio::test]
async fn signs_and_scripts_beyond_ascii_hide_nothing_that_stands_beside_them() {
    let World { mock, client, gateway: _gateway } = &world().await;
    let ask = &Ask { client, mock, pair: CHAT, guards: redact() };
    // Values after names like "password" are known by how they are written down in ASCII.
    let cases: &Vec<Case> = &cases().into_iter().filter(|case| case.mask != "[SECRET]").collect();
    let around = [("“", "”"), ("«", "»"), ("「", "」"), ("—", "…"), ("卡号", "。")];
    let asked = cases.iter().flat_map(|case| around.map(|around| (case, around)));
    let seen = all(asked.map(|(case, (before, after))| async move {
        let text = format!("so: {before}{}{after}", case.secret);
        let hound = Hound::of([case.secret.as_str()]);
        let heard = ask.stream(Plan::new().say(Kind::Text, &text)).await;
        heard.strings().iter().any(|text| hound.sniff(text).is_some()).then_some(text)
    }))
    .await;
    let left: Vec<String> = seen.into_iter().flatten().collect();
    assert!(left.is_empty(), "{} of {} texts were not masked: {left:#?}", left.len(), cases.len() * 5);
}
