//! Every vendor's wire × every client's wire: text, thoughts, tool calls, usage and finish survive.

use serde_json::Value;

use super::clients::{self, WIRES};
use super::corpus;
use super::expected::Client;
use super::sse;
use super::told::Told;
use crate::answer::{Answer, Choice};
use crate::call::Part;
use crate::error::UpstreamError;
use crate::event::{Event, FinishKind, FinishReason};
use crate::provider::Wire;
use crate::registry;
use crate::usage::Usage;

/// Lenient completions end with the vendor's own word, which no reader of that wire knows.
fn clients() -> impl Iterator<Item = Client> {
    let strictness = |wire| [true, false].map(|strict| Client { wire, strict });
    let clients = WIRES.into_iter().flat_map(strictness);
    clients.filter(|client| client.strict || client.wire != Wire::Completions)
}

/// Writes the events for each client, reads them back and compares.
fn check_stream(what: &str, events: &[Event]) {
    let told = Told::of_events(events);
    for client in clients() {
        let encoder = registry::inbound(client.wire).unwrap().encoder(sse::options(client.strict));
        let bytes = sse::encoded(encoder, events);
        let mut read = clients::read_stream(client.wire, &bytes);
        let mut shown = client.shown(&told);
        let text = String::from_utf8_lossy(&bytes);
        // Some wires put the vendor's name in front of its words.
        if let (Some(read), Some(shown)) = (&mut read.error, &mut shown.error) {
            assert!(read.ends_with(shown.as_str()), "{what} on {client:?}: {text}");
            shown.clone_from(read);
            continue;
        }
        assert_eq!(read, shown, "{what} on {client:?}\n{text}");
    }
}

fn check_answer(what: &str, answer: &Answer) {
    let told = Told::of_answer(answer);
    for client in clients() {
        let body = registry::inbound(client.wire).unwrap().write_answer(answer, &sse::options(client.strict));
        let read = clients::read_answer(client.wire, &body);
        assert_eq!(read, client.shown(&told), "{what} on {client:?}\n{body:#}");
    }
}

#[test]
fn every_stream_survives_every_client() {
    for file in corpus::streams() {
        check_stream(&file.path(), &sse::decoded(file.wire(), &[&file.bytes]));
    }
}

#[test]
fn every_whole_answer_survives_every_client() {
    for file in corpus::all().iter().filter(|file| file.is_answer()) {
        let answer = registry::outbound(file.wire()).read_answer(&file.bytes).unwrap();
        check_answer(&file.path(), &answer);
    }
}

fn start() -> Event {
    Event::Start { id: "a-1".into(), model: "m".into(), created: 5 }
}

fn text(choice: u32, text: &str) -> Event {
    Event::Text { choice, text: text.into() }
}

fn call(tool: u32) -> Event {
    let (id, name) = (format!("call_{tool}"), format!("f{tool}"));
    Event::ToolStart { choice: 0, tool, id, name, signature: None }
}

fn json(tool: u32, json: &str) -> Event {
    Event::ToolArguments { choice: 0, tool, json: json.into() }
}

fn finish(choice: u32, kind: FinishKind, raw: &str) -> Event {
    Event::Finish { choice, reason: FinishReason::new(kind, raw) }
}

fn usage(input: u64, output: u64) -> Event {
    Event::Usage(Usage { input, output, ..Usage::default() })
}

/// Answers that no fixture holds, each a thing that some vendor does.
fn oddities() -> Vec<(&'static str, Vec<Event>)> {
    use FinishKind::{ContentFilter, Length, Refusal, Stop, StopSequence, ToolCalls};
    let thought = |text: &str| Event::Reasoning { choice: 0, text: text.into() };
    let signed = |signature: &str| Event::Signature { choice: 0, signature: signature.into() };
    let redacted = |data: &str| Event::RedactedReasoning { choice: 0, data: data.into() };
    let refused = Event::Refusal { choice: 0, text: "No.".into() };
    let all = Usage {
        input: 100,
        cached_input: 20,
        cache_write: 30,
        cache_write_1h: 10,
        audio_input: 3,
        image_input: 4,
        output: 50,
        reasoning: 25,
        audio_output: 5,
        image_output: 6,
    };
    vec![
        (
            "letters",
            vec![
                start(),
                text(0, "é"),
                text(0, "漢字"),
                text(0, "🦀\u{0}\u{2028}\"\\\r\n"),
                finish(0, Stop, "stop"),
                usage(1, 1),
                Event::End,
            ],
        ),
        ("a limit", vec![start(), text(0, "a"), finish(0, Length, "length"), usage(1, 1), Event::End]),
        (
            "a filter",
            vec![start(), text(0, "a"), finish(0, ContentFilter, "content_filter"), usage(1, 1), Event::End],
        ),
        (
            "a stop sequence",
            vec![start(), text(0, "a"), finish(0, StopSequence, "stop_sequence"), usage(1, 1), Event::End],
        ),
        ("a refusal", vec![start(), refused, finish(0, Refusal, "refusal"), usage(1, 1), Event::End]),
        (
            "usage before, between and after",
            vec![
                start(),
                usage(9, 0),
                text(0, "a"),
                usage(9, 1),
                finish(0, Stop, "stop"),
                usage(9, 2),
                Event::End,
            ],
        ),
        (
            "usage twice after the finish",
            vec![start(), text(0, "a"), finish(0, Stop, "stop"), usage(9, 2), usage(9, 3), Event::End],
        ),
        ("every figure", vec![start(), text(0, "a"), finish(0, Stop, "stop"), Event::Usage(all), Event::End]),
        ("nothing but a finish", vec![start(), finish(0, Stop, "stop"), usage(3, 1), Event::End]),
        (
            "calls without arguments",
            vec![
                start(),
                call(0),
                call(1),
                json(1, "{}"),
                finish(0, ToolCalls, "tool_calls"),
                usage(1, 1),
                Event::End,
            ],
        ),
        (
            "arguments in turns",
            vec![
                start(),
                text(0, "a"),
                call(0),
                json(0, "{\"a\":"),
                call(1),
                json(1, "{\"b\":"),
                json(0, "1}"),
                json(1, "2}"),
                finish(0, ToolCalls, "tool_calls"),
                usage(1, 1),
                Event::End,
            ],
        ),
        (
            "text after calls",
            vec![
                start(),
                call(0),
                json(0, "{\"a\":1}"),
                text(0, "b"),
                call(1),
                finish(0, ToolCalls, "tool_calls"),
                usage(1, 1),
                Event::End,
            ],
        ),
        (
            "arguments after text",
            vec![
                start(),
                call(0),
                json(0, "{\"a\":"),
                text(0, "b"),
                json(0, "1}"),
                finish(0, ToolCalls, "tool_calls"),
                usage(1, 1),
                Event::End,
            ],
        ),
        (
            "calls of a gateway with another word",
            vec![start(), call(0), finish(0, ToolCalls, "end_turn"), usage(1, 1), Event::End],
        ),
        (
            "thoughts and signatures",
            vec![
                start(),
                thought("a"),
                signed("s1"),
                thought("b"),
                signed("s2"),
                redacted("r1"),
                redacted("r2"),
                text(0, "c"),
                finish(0, Stop, "end_turn"),
                usage(1, 1),
                Event::End,
            ],
        ),
        (
            "a signature behind the text",
            vec![
                start(),
                thought("a"),
                text(0, "b"),
                signed("s"),
                finish(0, Stop, "STOP"),
                usage(1, 1),
                Event::End,
            ],
        ),
        (
            "two choices",
            vec![
                start(),
                text(0, "a"),
                text(1, "b"),
                text(0, "c"),
                finish(1, Length, "length"),
                finish(0, Stop, "stop"),
                usage(1, 1),
                Event::End,
            ],
        ),
        (
            "a break",
            vec![
                start(),
                text(0, "a"),
                Event::Error(UpstreamError {
                    status: 529,
                    message: "It broke".into(),
                    kind: None,
                    code: None,
                    param: None,
                }),
            ],
        ),
        (
            "a break before the start",
            vec![
                Event::Error(UpstreamError {
                    status: 429,
                    message: "Slow down".into(),
                    kind: Some("rate".into()),
                    code: Some(7.into()),
                    param: None,
                }),
                Event::End,
            ],
        ),
    ]
}

#[test]
fn odd_streams_survive_every_client() {
    for (what, events) in oddities() {
        check_stream(what, &events);
    }
}

/// The same answers whole, gathered from their events.
#[test]
fn odd_answers_survive_every_client() {
    for (what, events) in oddities().into_iter().filter(|(what, _)| !what.starts_with("a break")) {
        check_answer(what, &gathered(&events));
    }
}

/// Makes the whole answer that says what the events say.
pub(super) fn gathered(events: &[Event]) -> Answer {
    let told = Told::of_events(events);
    let mut answer =
        Answer { id: "a-1".into(), model: "m".into(), created: 5, usage: told.usage, ..Answer::default() };
    for said in told.choices.into_values() {
        let mut parts = Vec::new();
        if !said.reasoning.is_empty() {
            parts.push(Part::Thinking { text: said.reasoning, signature: None });
        }
        let sign = |signature| Part::Thinking { text: String::new(), signature: Some(signature) };
        parts.extend(said.signatures.into_iter().map(sign));
        parts.extend(said.redacted.into_iter().map(|data| Part::RedactedThinking { data }));
        if !said.text.is_empty() {
            parts.push(Part::text(said.text));
        }
        if !said.refusal.is_empty() {
            parts.push(Part::Refusal { text: said.refusal });
        }
        for call in said.calls {
            let (id, name, arguments, signature) = (call.id, call.name, call.arguments, call.signature);
            parts.push(Part::ToolCall { id, name, arguments, signature });
        }
        let finish = said.finish.map(|kind| match kind {
            FinishKind::StopSequence => FinishReason::new(kind, "stop_sequence"),
            kind => FinishReason::new(kind, kind.openai()),
        });
        answer.choices.push(Choice { parts, finish, logprobs: None });
    }
    answer
}

#[test]
fn every_frame_for_a_client_is_one_line_of_json() {
    for (what, events) in oddities() {
        for client in clients() {
            let encoder = registry::inbound(client.wire).unwrap().encoder(sse::options(client.strict));
            let text = String::from_utf8(sse::encoded(encoder, &events)).unwrap();
            assert!(text.ends_with("\n\n"), "{what} on {client:?}: {text}");
            for line in text.split_terminator('\n').filter(|line| !line.is_empty()) {
                let (field, value) = line.split_once(": ").unwrap();
                let whole = match field {
                    "data" => value == "[DONE]" || serde_json::from_str::<Value>(value).is_ok(),
                    field => field == "event",
                };
                assert!(whole, "{what} on {client:?}: {line}");
            }
        }
    }
}
