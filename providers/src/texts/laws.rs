//! What holds for every body, also for bodies that no vendor would take.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

use super::{messages_view, of_request, params_json, replace, replace_all};
use crate::provider::Endpoint;

/// Types of parts and items, among them some that mean nothing.
const TYPES: &[&str] = &[
    "thinking",
    "thinking",
    "text",
    "input_text",
    "thinking",
    "tool_use",
    "tool_result",
    "web_search_tool_result",
    "document",
    "refusal",
    "search_result",
    "image",
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "shell_call",
    "",
    "/messages/0",
];
const ROLES: &[&str] = &["system", "user", "assistant", "tool", "function", "pirate"];
const ENDPOINTS: &[Endpoint] = &[
    Endpoint::Chat,
    Endpoint::Chat,
    Endpoint::Messages,
    Endpoint::Responses,
    Endpoint::Completions,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::CountTokens,
    Endpoint::Embeddings,
    Endpoint::ImageGenerations,
    Endpoint::ImageEdits,
    Endpoint::Speech,
    Endpoint::Transcriptions,
    Endpoint::Translations,
];

/// A text that no body holds.
const NEW: &str = "{\"new\": \"☂\"}";

fn text() -> impl Strategy<Value = Value> {
    const ODD: &[&str] = &["", "/messages/0/content", "~1", "{\"a\": \"\\u0041\"}", "[1", "ö\u{0}\u{1f600}"];
    prop_oneof![select(ODD).prop_map(Value::from), ".{0,8}".prop_map(Value::from)]
}

/// Anything, for the places where something else is wanted.
fn odd() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text(),
    ];
    let names = select(&["text", "content", "type", "a", "role"][..]);
    leaf.prop_recursive(3, 12, 4, move |inner| {
        let members = vec((names.clone(), inner.clone()), 0..4);
        prop_oneof![vec(inner, 0..4).prop_map(Value::from), members.prop_map(object)]
    })
    .boxed()
}

fn object(members: Vec<(&'static str, Value)>) -> Value {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Object(members.collect::<Map<String, Value>>())
}

/// An object with some of these members, each of the wrong type now and then.
fn some_of(members: &[(&'static str, BoxedStrategy<Value>)]) -> BoxedStrategy<Value> {
    let each: Vec<_> = members
        .iter()
        .map(|(name, value)| {
            let value =
                prop_oneof![9 => value.clone().prop_map(Some), 2 => Just(None), 1 => odd().prop_map(Some)];
            let name = *name;
            value.prop_map(move |value| value.map(|value| (name, value)))
        })
        .collect();
    each.prop_map(|members| object(members.into_iter().flatten().collect())).boxed()
}

fn list_of(entry: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    vec(prop_oneof![8 => entry, 1 => odd()], 0..4).prop_map(Value::from).boxed()
}

/// Sets a member, so that most parts say what they are.
fn with(
    name: &'static str,
    words: &'static [&'static str],
    value: BoxedStrategy<Value>,
) -> BoxedStrategy<Value> {
    let with = |(mut value, word): (Value, &str)| {
        if let Some(object) = value.as_object_mut() {
            object.insert(name.to_owned(), word.into());
        }
        value
    };
    (value, select(words)).prop_map(with).boxed()
}

fn part(inner: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let text = || text().boxed();
    let source =
        some_of(&[("type", Just(Value::from("text")).boxed()), ("data", text()), ("content", inner.clone())]);
    let members = [
        ("text", text()),
        ("thinking", text()),
        ("signature", text()),
        ("refusal", text()),
        ("title", text()),
        ("stdout", text()),
        ("input", odd()),
        ("content", inner),
        ("source", source),
        ("cache_control", odd()),
    ];
    with("type", TYPES, some_of(&members))
}

fn message() -> BoxedStrategy<Value> {
    let text = || text().boxed();
    let inner = prop_oneof![text(), list_of(part(text()))].boxed();
    let content = prop_oneof![text(), list_of(part(inner))].boxed();
    let function = some_of(&[("name", text()), ("arguments", prop_oneof![text(), odd()].boxed())]);
    let call =
        some_of(&[("id", text()), ("function", function.clone()), ("custom", some_of(&[("input", text())]))]);
    let detail = some_of(&[("text", text()), ("signature", text())]);
    let members = [
        ("content", content.clone()),
        ("content_blocks", content),
        ("tool_calls", list_of(call)),
        ("refusal", text()),
        ("function_call", function),
        ("reasoning_content", text()),
        ("reasoning_details", list_of(detail)),
    ];
    with("role", ROLES, some_of(&members))
}

fn item() -> BoxedStrategy<Value> {
    let text = || text().boxed();
    let parts = || prop_oneof![text(), list_of(part(text()))].boxed();
    let action = some_of(&[("query", text()), ("commands", list_of(text()))]);
    let members = [
        ("content", parts()),
        ("summary", parts()),
        ("encrypted_content", text()),
        ("arguments", text()),
        ("input", odd()),
        ("output", parts()),
        ("action", action),
        ("call_id", text()),
        ("queries", list_of(text())),
    ];
    prop_oneof![with("type", TYPES, some_of(&members)), message()].boxed()
}

/// A body with members of every endpoint.
fn body() -> BoxedStrategy<Value> {
    let text = || text().boxed();
    let prompt = prop_oneof![text(), list_of(text())].boxed();
    let parts = prop_oneof![text(), list_of(part(text()))].boxed();
    let input = prop_oneof![text(), list_of(item())].boxed();
    let members = [
        ("model", text()),
        ("messages", list_of(message())),
        ("system", parts.clone()),
        ("instructions", text()),
        ("input", input),
        ("prompt", prompt),
        ("suffix", text()),
        ("prediction", some_of(&[("content", parts)])),
    ];
    prop_oneof![12 => some_of(&members), 1 => odd()].boxed()
}

/// Counts the strings and structures that are `NEW`.
fn count_new(value: &Value) -> usize {
    match value {
        Value::String(text) => usize::from(text == NEW),
        Value::Array(list) => list.iter().map(count_new).sum(),
        Value::Object(map) if map.len() == 1 && map.get("new").is_some_and(|new| new == "☂") => 1,
        Value::Object(map) => map.values().map(count_new).sum(),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn its_own_texts_leave_a_body_as_it_was(body in body(), endpoint in select(ENDPOINTS)) {
        let mut same = body.clone();
        for slot in of_request(endpoint, &body) {
            prop_assert!(!slot.text.is_empty());
            replace(&mut same, &slot, slot.text.clone()).unwrap();
        }
        prop_assert_eq!(same, body);
    }

    #[test]
    fn a_new_text_stands_in_its_place_and_nowhere_else(body in body(), endpoint in select(ENDPOINTS)) {
        for slot in of_request(endpoint, &body) {
            let mut changed = body.clone();
            if slot.place.signed.is_some() {
                replace(&mut changed, &slot, NEW.to_owned()).unwrap();
                prop_assert_eq!(count_new(&changed), 0);
                continue;
            }
            // Arrays may stand for arguments, and take no object.
            if replace(&mut changed, &slot, NEW.to_owned()).is_err() {
                prop_assert!(slot.text.starts_with('['));
                continue;
            }
            prop_assert_eq!(count_new(&changed), 1, "{:?} in {}", slot, changed);
            let place = slot.place.path.clone();
            let back = of_request(endpoint, &changed).into_iter().find(|found| found.place.path == place);
            let mut back = back.expect("the slot is found again");
            prop_assert_eq!((back.kind, back.role, back.index), (slot.kind, slot.role, slot.index));
            replace(&mut changed, &back, slot.text.clone()).unwrap();
            // Floats in arguments may differ in their last digit.
            back.text = slot.text.clone();
            if back.place.form == super::slot::Form::String {
                prop_assert_eq!(&changed, &body);
            }
        }
    }

    #[test]
    fn all_texts_can_be_replaced_at_once(body in body(), endpoint in select(ENDPOINTS)) {
        let slots = of_request(endpoint, &body);
        let slots: Vec<_> = slots.iter().filter(|slot| !slot.text.starts_with('[')).collect();
        let mut changed = body.clone();
        replace_all(&mut changed, slots.iter().map(|slot| (*slot, NEW.to_owned()))).unwrap();
        let unsigned = slots.iter().filter(|slot| slot.place.signed.is_none()).count();
        prop_assert!(count_new(&changed) <= unsigned);
        let left = of_request(endpoint, &changed).into_iter().filter(|slot| !slot.text.starts_with('['));
        for slot in left {
            prop_assert_eq!(slot.text.replace(": ", ":"), NEW.replace(": ", ":"));
        }
    }

    #[test]
    fn a_view_has_a_message_for_every_index(body in body(), endpoint in select(ENDPOINTS)) {
        let views = messages_view(endpoint, &body);
        for slot in of_request(endpoint, &body) {
            prop_assert!(slot.index as usize <= views.len());
        }
        for view in views {
            prop_assert!(view.parts_json.is_none_or(|json| serde_json::from_str::<Vec<Value>>(&json).is_ok()));
        }
        prop_assert!(serde_json::from_str::<Map<String, Value>>(&params_json(&body)).is_ok());
    }
}
