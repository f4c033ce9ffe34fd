//! Laws of the reader: whatever a server leaves out, each thing is told once as long as the last event tells it.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::ResponsesCodec;
use crate::answer::Answer;
use crate::call::Part;
use crate::codec::{EncodeOptions, Inbound, Outbound};
use crate::event::{Event, FinishKind, FinishReason};
use crate::usage::Usage;

/// What a response says, in whatever pieces.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    text: String,
    refusal: String,
    thoughts: String,
    sealed: Vec<String>,
    calls: Vec<(String, String, String)>,
    finish: Option<FinishKind>,
    usage: Option<Usage>,
}

fn sum_of_events(events: &[Event]) -> Sum {
    let mut sum = Sum::default();
    for event in events {
        match event {
            Event::Start { .. } | Event::End => {}
            Event::Text { text, .. } => sum.text.push_str(text),
            Event::Refusal { text, .. } => sum.refusal.push_str(text),
            Event::Reasoning { text, .. } => sum.thoughts.push_str(text),
            Event::Signature { signature, .. } => sum.sealed.push(signature.clone()),
            Event::RedactedReasoning { data, .. } => sum.sealed.push(format!("redacted {data}")),
            Event::ToolStart { id, name, .. } => {
                sum.calls.push((id.clone(), name.clone(), String::new()));
            }
            Event::ToolArguments { tool, json, .. } => sum.calls[*tool as usize].2.push_str(json),
            Event::Finish { reason, .. } => sum.finish = Some(reason.kind),
            Event::Usage(usage) => sum.usage = Some(*usage),
            Event::Error(error) => panic!("{error}"),
        }
    }
    // Calls that only the last event tells come in its order.
    sum.calls.sort();
    sum
}

fn sum_of_answer(mut answer: Answer) -> Sum {
    let choice = answer.choices.remove(0);
    let finish = choice.finish.map(|reason| reason.kind);
    let mut sum = Sum { finish, usage: answer.usage, ..Sum::default() };
    for part in choice.parts {
        match part {
            Part::Text { text, .. } => sum.text.push_str(&text),
            Part::Refusal { text } => sum.refusal.push_str(&text),
            Part::Thinking { text, signature } => {
                sum.thoughts.push_str(&text);
                sum.sealed.extend(signature);
            }
            Part::RedactedThinking { data } => sum.sealed.push(format!("redacted {data}")),
            Part::ToolCall { id, name, arguments, .. } => sum.calls.push((id, name, arguments)),
            other => panic!("{other:?}"),
        }
    }
    sum.calls.sort();
    sum
}

/// The frames of a response: name and data.
fn encoded(events: &[Event]) -> Vec<(String, String)> {
    let options = EncodeOptions { id: "gw1".into(), model: "m".into(), ..EncodeOptions::default() };
    let (mut encoder, mut out) = (ResponsesCodec.encoder(options), BytesMut::new());
    for event in events {
        encoder.encode(event, &mut out);
    }
    let stream = String::from_utf8(out.to_vec()).unwrap();
    let frame = |frame: &str| {
        let (event, data) = frame.split_once('\n').unwrap();
        (event["event: ".len()..].to_owned(), data["data: ".len()..].to_owned())
    };
    stream.split_terminator("\n\n").map(frame).collect()
}

fn decoded<'f>(frames: impl Iterator<Item = &'f (String, String)>) -> Vec<Event> {
    let (mut decoder, mut events) = (ResponsesCodec.decoder(), Vec::new());
    for (event, data) in frames {
        decoder.decode(event, data, &mut events);
    }
    decoder.finish(&mut events);
    events
}

/// Events of choice 0 in an order that a vendor can send: calls are numbered, and nothing follows the finish.
fn answers() -> impl Strategy<Value = Vec<Event>> {
    let choice = 0;
    let piece = "[a-z\"\\n é]{1,4}";
    let step = prop_oneof![
        4 => piece.prop_map(move |text| Event::Text { choice, text }),
        3 => piece.prop_map(move |text| Event::Reasoning { choice, text }),
        1 => piece.prop_map(move |signature| Event::Signature { choice, signature }),
        1 => piece.prop_map(move |data| Event::RedactedReasoning { choice, data }),
        1 => piece.prop_map(move |text| Event::Refusal { choice, text }),
        2 => Just(Event::ToolStart { choice, tool: 0, id: String::new(), name: "f".into(), signature: None }),
        3 => (0..3_u32, piece).prop_map(move |(tool, json)| Event::ToolArguments { choice, tool, json }),
    ];
    let kinds = vec![FinishKind::Stop, FinishKind::Length, FinishKind::ContentFilter];
    let usage = proptest::array::uniform4(0..1_000_u64);
    (vec(step, 0..24), prop::sample::select(kinds), usage).prop_map(move |(steps, kind, figures)| {
        let mut events = vec![Event::Start { id: "resp_1".into(), model: "m".into(), created: 5 }];
        let mut calls = 0;
        for mut event in steps {
            match &mut event {
                Event::ToolStart { tool, id, .. } => {
                    (*tool, *id) = (calls, format!("call_{calls}"));
                    calls += 1;
                }
                Event::ToolArguments { tool, .. } if *tool >= calls => continue,
                _ => {}
            }
            events.push(event);
        }
        let [input, cached_input, output, reasoning] = figures;
        events.push(Event::Finish { choice, reason: FinishReason::new(kind, "x") });
        events.push(Event::Usage(Usage { input, cached_input, output, reasoning, ..Usage::default() }));
        events.push(Event::End);
        events
    })
}

/// What this wire can say of the events.
fn shown(events: &[Event]) -> Sum {
    let mut sum = sum_of_events(events);
    for (_, _, arguments) in &mut sum.calls {
        if arguments.is_empty() {
            arguments.push_str("{}");
        }
    }
    sum.finish = match sum.finish {
        Some(FinishKind::Stop) if !sum.calls.is_empty() => Some(FinishKind::ToolCalls),
        Some(FinishKind::Stop) if !sum.refusal.is_empty() => Some(FinishKind::Refusal),
        finish => finish,
    };
    sum
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read(events in answers()) {
        let again = decoded(encoded(&events).iter());
        prop_assert_eq!(&again[0], &events[0]);
        prop_assert_eq!(sum_of_events(&again), shown(&events));
        // And once more: nothing changes any more.
        prop_assert_eq!(decoded(encoded(&again).iter()), again);
    }

    #[test]
    fn the_whole_answer_says_what_its_stream_says(events in answers()) {
        let frames = encoded(&events);
        let last: Value = serde_json::from_str(&frames.last().unwrap().1).unwrap();
        let answer = ResponsesCodec.read_answer(last["response"].to_string().as_bytes()).unwrap();
        let told = decoded(frames.iter());
        prop_assert_eq!(sum_of_answer(answer.clone()), sum_of_events(&told));
        // Written and read again it is the same answer.
        let written = ResponsesCodec.write_answer(&answer, &EncodeOptions::default());
        prop_assert_eq!(ResponsesCodec.read_answer(written.to_string().as_bytes()).unwrap(), answer);
    }

    #[test]
    fn each_letter_is_told_once_whatever_kinds_of_events_are_missing(
        events in answers(),
        kinds in prop::sample::subsequence(vec![
            "response.created", "response.in_progress", "output_item.added", "output_item.done", "_part.added",
            "_part.done", "text.delta", "text.done", "refusal.delta", "refusal.done", "arguments.delta",
            "arguments.done",
        ], 0..12),
    ) {
        let frames = encoded(&events);
        let left = frames.iter().filter(|(event, _)| !kinds.iter().any(|kind| event.ends_with(kind)));
        prop_assert_eq!(sum_of_events(&decoded(left)), shown(&events));
    }

    #[test]
    fn what_follows_no_more_in_pieces_is_told_at_the_end(events in answers(), place: prop::sample::Index) {
        let frames = encoded(&events);
        let (last, before) = frames.split_last().unwrap();
        let left = before[..place.index(frames.len())].iter().chain([last]);
        prop_assert_eq!(sum_of_events(&decoded(left)), shown(&events));
    }

    #[test]
    fn a_hole_in_the_stream_makes_nothing_told_twice(
        events in answers(),
        holes in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let frames = encoded(&events);
        let (a, b) = (holes.0.index(frames.len()), holes.1.index(frames.len()));
        let hole = a.min(b)..a.max(b);
        let left = frames.iter().enumerate().filter(|(at, _)| !hole.contains(at)).map(|(_, frame)| frame);
        let told = sum_of_events(&decoded(left));
        let whole = shown(&events);
        // A hole in the middle of a piece can't be filled, and nothing is told twice.
        prop_assert!(told.text.len() <= whole.text.len());
        prop_assert!(told.thoughts.len() <= whole.thoughts.len());
        prop_assert_eq!(told.calls.len(), whole.calls.len());
        prop_assert_eq!((told.finish, told.usage), (whole.finish, whole.usage));
    }

    #[test]
    fn no_frame_makes_the_reader_panic(frames in vec((super::laws::any_json(), any::<bool>()), 0..8)) {
        let (mut decoder, mut events) = (ResponsesCodec.decoder(), Vec::new());
        for (number, (frame, named)) in frames.iter().enumerate() {
            let names = ["response.output_item.done", "response.output_text.delta", "response.completed", ""];
            decoder.decode(if *named { names[number % 4] } else { "" }, &frame.to_string(), &mut events);
            let _ = ResponsesCodec.read_answer(frame.to_string().as_bytes());
        }
        decoder.finish(&mut events);
        let ends = events.iter().filter(|event| matches!(event, Event::End | Event::Error(_))).count();
        prop_assert_eq!(ends, 1);
    }
}
