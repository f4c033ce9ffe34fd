//! Each payload of each vendor is read whole.

use http::HeaderMap;
use serde_json::Value;

use super::corpus::{self, Fixture};
use super::sse;
use super::told::Told;
use crate::answer::Answer;
use crate::error::ErrorBody;
use crate::event::Event;
use crate::registry;

fn answer(file: &Fixture) -> Answer {
    registry::outbound(file.wire())
        .read_answer(&file.bytes)
        .unwrap_or_else(|error| panic!("{}: {error}", file.path()))
}

fn says_something(told: &Told) -> bool {
    told.choices.values().any(|said| {
        !(said.text.is_empty()
            && said.calls.is_empty()
            && said.refusal.is_empty()
            && said.reasoning.is_empty())
    })
}

#[test]
fn whole_answers_have_content_usage_and_finish() {
    for file in corpus::all().iter().filter(|file| file.is_answer()) {
        let answer = answer(file);
        let told = Told::of_answer(&answer);
        assert!(says_something(&told), "{}: {answer:?}", file.path());
        let usage = answer.usage.unwrap_or_else(|| panic!("{}: no usage", file.path()));
        assert!(usage.input > 0 && usage.output > 0, "{}: {usage:?}", file.path());
        assert!(usage.cached_input + usage.cache_write <= usage.input, "{}: {usage:?}", file.path());
        assert!(usage.reasoning <= usage.output, "{}: {usage:?}", file.path());
        assert!(told.choices.values().all(|said| said.finish.is_some()), "{}: {answer:?}", file.path());
        assert!(!answer.model.is_empty(), "{}: {answer:?}", file.path());
    }
}

#[test]
fn streams_have_content_usage_finish_and_end() {
    for file in corpus::streams().iter().filter(|file| !file.is_broken_stream()) {
        let events = sse::decoded(file.wire(), &[&file.bytes]);
        sse::check_grammar(&events, &file.path());
        let told = Told::of_events(&events);
        assert!(says_something(&told), "{}: {events:?}", file.path());
        assert_eq!(told.error, None, "{}", file.path());
        assert!(told.ended && told.usage.is_some_and(|usage| usage.output > 0), "{}: {told:?}", file.path());
        assert!(told.choices.values().all(|said| said.finish.is_some()), "{}: {told:?}", file.path());
        let named =
            events.iter().any(|event| matches!(event, Event::Start { model, .. } if !model.is_empty()));
        assert!(named, "{}: {events:?}", file.path());
    }
}

#[test]
fn broken_streams_end_in_the_vendors_error() {
    for file in corpus::streams().iter().filter(|file| file.is_broken_stream()) {
        let events = sse::decoded(file.wire(), &[&file.bytes]);
        sse::check_grammar(&events, &file.path());
        let Some(Event::Error(error)) = events.iter().find(|event| matches!(event, Event::Error(_))) else {
            panic!("{}: no error in {events:?}", file.path());
        };
        assert!((400..600).contains(&error.status), "{}: {error:?}", file.path());
        let raw = String::from_utf8_lossy(&file.bytes);
        assert!(raw.contains(&error.message), "{}: {error:?}", file.path());
    }
}

#[test]
fn a_whole_answer_and_its_stream_say_the_same() {
    let files = corpus::all();
    let mut compared = 0;
    for file in files.iter().filter(|file| file.is_answer()) {
        let stream = file.name.replacen("response", "stream", 1).replace(".json", ".sse");
        let Some(stream) = files.iter().find(|other| other.folder == file.folder && other.name == stream)
        else {
            continue;
        };
        let whole = answer(file);
        let events = sse::decoded(stream.wire(), &[&stream.bytes]);
        assert_eq!(Told::of_events(&events), Told::of_answer(&whole), "{}", file.path());
        let Some(Event::Start { id, model, created }) = events.first() else { panic!("{}", stream.path()) };
        assert_eq!((id, model, *created), (&whole.id, &whole.model, whole.created), "{}", file.path());
        compared += 1;
    }
    assert!(compared >= 12, "{compared}");
}

#[test]
fn errors_have_status_and_a_sentence_that_every_client_gets() {
    for file in corpus::all() {
        let Some(status) = file.error_status() else { continue };
        let error = registry::outbound(file.wire()).read_error(status, &HeaderMap::new(), &file.bytes);
        assert_eq!(error.status, status, "{}", file.path());
        let readable =
            !error.message.is_empty() && !error.message.contains("{\"") && error.message.len() < 300;
        assert!(readable, "{}: {error:?}", file.path());
        for wire in super::clients::WIRES {
            let body = ErrorBody {
                status,
                message: error.message.clone(),
                kind: error.kind.clone().unwrap_or_default(),
                param: error.param.clone(),
                code: error.code.clone(),
                provider: Some(file.folder.clone()),
            };
            let written = registry::inbound(wire).unwrap().write_error(&body);
            let message = written.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
            assert!(message.ends_with(&error.message), "{} on {wire:?}: {written}", file.path());
        }
    }
}

#[test]
fn garbage_in_place_of_an_answer_is_an_error_with_a_status() {
    let of_vendors = registry::all().map(|provider| (provider.slug(), corpus::wire_of(provider)));
    let of_clients = super::clients::WIRES.map(|wire| ("a client", wire));
    for (who, wire) in of_vendors.chain(of_clients) {
        let codec = registry::outbound(wire);
        for body in
            [&b""[..], b"null", b"{}", b"[]", b"<html><title>Bad gateway</title></html>", b"{\"a\":", b"\xff"]
        {
            let what = format!("{who} on {wire:?}: {}", String::from_utf8_lossy(body));
            let error = codec.read_answer(body).expect_err(&what);
            assert!((400..600).contains(&error.status) && !error.message.is_empty(), "{what}: {error:?}");
            let error = codec.read_error(503, &HeaderMap::new(), body);
            assert_eq!(error.status, 503, "{what}");
            assert!(!error.message.is_empty(), "{what}");
        }
    }
}
