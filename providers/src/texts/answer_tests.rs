//! What becomes of an answer's parts.

use serde_json::json;

use super::{TextKind, of_answer, replace_in_answer};
use crate::answer::{Answer, Choice};
use crate::call::Part;

fn call(arguments: &str) -> Part {
    Part::ToolCall {
        id: "c".into(),
        name: "f".into(),
        arguments: arguments.into(),
        signature: Some("g".into()),
    }
}

fn thought(text: &str, signature: Option<&str>) -> Part {
    Part::Thinking { text: text.into(), signature: signature.map(str::to_owned) }
}

fn answer() -> Answer {
    let parts = vec![
        thought("th", Some("s1")),
        Part::text("Hello "),
        call("{\"a\":1}"),
        thought("ink", Some("s2")),
        Part::RedactedThinking { data: "x".into() },
        call(""),
        Part::text("world"),
        call("{\"b\":2}"),
    ];
    let first = Choice { parts, finish: None, logprobs: Some(json!({"content": []})) };
    let refused = vec![Part::Refusal { text: "No.".into() }];
    let second = Choice { parts: refused, finish: None, logprobs: Some(json!(1)) };
    Answer { choices: vec![first, second], ..Answer::default() }
}

#[test]
fn the_text_of_a_choice_is_one_piece() {
    let found = of_answer(&answer());
    let found: Vec<_> = found.iter().map(|slot| (slot.kind, slot.index, slot.text.as_str())).collect();
    let wanted = [
        (TextKind::Reasoning, 0, "think"),
        (TextKind::Text, 0, "Hello world"),
        (TextKind::ToolArguments, 0, "{\"a\":1}"),
        (TextKind::ToolArguments, 0, "{\"b\":2}"),
        (TextKind::Refusal, 1, "No."),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn its_own_text_changes_nothing() {
    let mut same = answer();
    for slot in of_answer(&answer()) {
        replace_in_answer(&mut same, &slot, slot.text.clone());
    }
    assert_eq!(same, answer());
}

#[test]
fn every_slot_can_be_replaced_with_slots_found_once() {
    let mut changed = answer();
    for (slot, new) in of_answer(&answer()).iter().zip(["A", "B", "C", "D", "E"]) {
        replace_in_answer(&mut changed, slot, new.to_owned());
    }
    let wanted = [
        thought("A", None),
        Part::text("B"),
        call("C"),
        Part::RedactedThinking { data: "x".into() },
        call(""),
        call("D"),
    ];
    assert_eq!(changed.choices[0].parts, wanted);
    assert_eq!(changed.choices[0].logprobs, None);
    assert_eq!(changed.choices[1].parts, [Part::Refusal { text: "E".into() }]);
    let found: Vec<String> = of_answer(&changed).into_iter().map(|slot| slot.text).collect();
    assert_eq!(found, ["A", "B", "C", "D", "E"]);
}

#[test]
fn changed_text_leaves_signed_thoughts_and_other_choices_alone() {
    let mut changed = answer();
    let slots = of_answer(&changed);
    replace_in_answer(&mut changed, &slots[1], String::new());
    assert_eq!(changed.choices[0].parts[0], thought("th", Some("s1")));
    assert_eq!(changed.choices[0].parts[1], Part::text(""));
    assert_eq!(changed.choices[1], answer().choices[1]);
}
