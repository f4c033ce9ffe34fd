//! A stream that is read and written again on its own wire says the same: what a guardrail looks into reaches the
//! client as the vendor meant it.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::clients::WIRES;
use super::corpus;
use super::expected::Client;
use super::matrix;
use super::sse;
use super::told::{Call, Said, Told};
use crate::call::Part;
use crate::event::{Event, FinishKind, FinishReason};
use crate::provider::Wire;
use crate::registry;
use crate::usage::Usage;

/// Writes events on a wire and reads them back.
fn again(client: Client, events: &[Event]) -> Vec<Event> {
    let encoder = registry::inbound(client.wire).unwrap().encoder(sse::options(client.strict));
    sse::decoded(client.wire, &[&sse::encoded(encoder, events)])
}

fn clients() -> impl Iterator<Item = Client> {
    WIRES.into_iter().flat_map(|wire| [true, false].map(|strict| Client { wire, strict }))
}

/// Two choices that say all that events can say, in pieces that come in turns.
fn answers() -> impl Strategy<Value = Vec<Event>> {
    let piece = || "[a-z\"\\n é漢]{1,4}";
    let choice = || prop_oneof![3 => Just(0_u32), 1 => Just(1_u32)];
    let signature = proptest::option::of(Just("sig".to_owned()));
    let step = prop_oneof![
        4 => (choice(), piece()).prop_map(|(choice, text)| Event::Text { choice, text }),
        3 => (choice(), piece()).prop_map(|(choice, text)| Event::Reasoning { choice, text }),
        1 => (choice(), piece()).prop_map(|(choice, signature)| Event::Signature { choice, signature }),
        1 => (choice(), piece()).prop_map(|(choice, data)| Event::RedactedReasoning { choice, data }),
        1 => (choice(), piece()).prop_map(|(choice, text)| Event::Refusal { choice, text }),
        2 => (choice(), signature).prop_map(|(choice, signature)| Event::ToolStart {
            choice, tool: 0, id: String::new(), name: "f".into(), signature,
        }),
        3 => (choice(), 0..3_u32, piece())
            .prop_map(|(choice, tool, json)| Event::ToolArguments { choice, tool, json }),
    ];
    (vec(step, 0..30), any::<bool>(), proptest::array::uniform10(0..1_000_u64))
        .prop_map(|(steps, cut, figures)| ordered(steps, cut, figures))
}

/// Puts steps into an order that a vendor can send.
fn ordered(steps: Vec<Event>, cut: bool, figures: [u64; 10]) -> Vec<Event> {
    let mut events = vec![Event::Start { id: "msg_1".into(), model: "m".into(), created: 5 }];
    let mut calls = [0; 2];
    let mut refused = [false; 2];
    let mut last_choice = 0;
    // Some wires put a refusal into the text; a model declines when it has said the rest.
    let (refusals, steps): (Vec<Event>, Vec<Event>) =
        steps.into_iter().partition(|event| matches!(event, Event::Refusal { .. }));
    for mut event in steps.into_iter().chain(refusals) {
        let of = sse::choice_of(&event).unwrap();
        last_choice = last_choice.max(of);
        let calls = &mut calls[of as usize];
        match &mut event {
            Event::ToolStart { tool, id, .. } => {
                (*tool, *id) = (*calls, format!("call_{of}_{calls}"));
                *calls += 1;
            }
            Event::ToolArguments { tool, .. } if *tool >= *calls => continue,
            Event::Refusal { .. } => refused[of as usize] = true,
            _ => {}
        }
        events.push(event);
    }
    for choice in 0..=last_choice {
        let at = choice as usize;
        let reason = match (cut, calls[at] > 0, refused[at]) {
            (true, _, _) => FinishReason::new(FinishKind::Length, "length"),
            (_, true, _) => FinishReason::new(FinishKind::ToolCalls, "tool_calls"),
            (_, _, true) => FinishReason::new(FinishKind::Refusal, "refusal"),
            _ => FinishReason::new(FinishKind::Stop, "stop"),
        };
        events.push(Event::Finish { choice, reason });
    }
    let [fresh, cached_input, cache_write, audio_input, image_input, shown, reasoning, ..] = figures;
    let input = fresh + cached_input + cache_write + audio_input + image_input;
    // One more than nothing: vendors of OpenAI's wire that count reasoning beside the output are told by their sum.
    let output = shown + 2 * reasoning + figures[7] + figures[8];
    let (audio_output, image_output) = (figures[7], figures[8]);
    let cache_write_1h = figures[9].min(cache_write);
    events.push(Event::Usage(Usage {
        input,
        cached_input,
        cache_write,
        cache_write_1h,
        audio_input,
        image_input,
        output,
        reasoning,
        audio_output,
        image_output,
    }));
    events.push(Event::End);
    events
}

/// Lenient completions end with the vendor's own word; what is no word of that wire is a natural end there.
fn comparable(client: Client, mut told: Told) -> Told {
    for said in told.choices.values_mut() {
        said.finish = said.finish.map(|kind| match (client.wire, kind) {
            (Wire::Completions, FinishKind::Length) => FinishKind::Length,
            (Wire::Completions, _) => FinishKind::Stop,
            // The wire's own laws are exact; what the others mean by these is one thing here.
            (Wire::Responses, FinishKind::ToolCalls | FinishKind::Refusal) => FinishKind::Stop,
            (_, kind) => kind,
        });
    }
    told
}

/// What choice 0 says, in order; neighbouring pieces of one kind are one. Arguments belong to their call, wherever
/// they come.
fn steps(events: &[Event], refusal: &str) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for event in events.iter().filter(|event| sse::choice_of(event) == Some(0)) {
        let (kind, text) = match event {
            Event::Text { text, .. } => ("text", text),
            Event::Refusal { text, .. } => (refusal, text),
            Event::Reasoning { text, .. } => ("thought", text),
            Event::Signature { signature, .. } => ("signature", signature),
            Event::RedactedReasoning { data, .. } => ("redacted", data),
            Event::ToolStart { id, .. } => ("call", id),
            _ => continue,
        };
        match steps.last_mut() {
            Some((last, whole)) if last == kind && ["text", "refusal", "thought"].contains(&kind) => {
                whole.push_str(text);
            }
            _ => steps.push((kind.to_owned(), text.clone())),
        }
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_wire_says_again_what_it_can_say(events in answers()) {
        let told = Told::of_events(&events);
        for client in clients() {
            let read = again(client, &events);
            sse::check_grammar(&read, &format!("{client:?}"));
            let wanted = comparable(client, client.shown(&told));
            prop_assert_eq!(comparable(client, Told::of_events(&read)), wanted, "{:?}", client);
            // Which signature seals which thought is a matter of order.
            let refusal = if client.wire == Wire::Messages { "text" } else { "refusal" };
            let tells_all = matches!(client.wire, Wire::Messages | Wire::Responses);
            if tells_all || (client.wire == Wire::Chat && !client.strict) {
                prop_assert_eq!(steps(&read, refusal), steps(&events, refusal), "{:?}", client);
            }
            // What was read from a wire is all that this wire can say: from here on nothing is lost.
            if client.strict || client.wire != Wire::Completions {
                prop_assert_eq!(Told::of_events(&again(client, &read)), Told::of_events(&read), "{:?}", client);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_wire_says_whole_answers_again(events in answers()) {
        let mut answer = matrix::gathered(&events);
        for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            // Whole messages hold arguments as an object.
            if let Part::ToolCall { arguments, .. } = part {
                *arguments = json!({"a": arguments.as_str()}).to_string();
            }
        }
        for client in clients() {
            let body = registry::inbound(client.wire).unwrap().write_answer(&answer, &sse::options(client.strict));
            let read = registry::outbound(client.wire).read_answer(body.to_string().as_bytes()).unwrap();
            let wanted = comparable(client, client.shown(&Told::of_answer(&answer)));
            prop_assert_eq!(comparable(client, Told::of_answer(&read)), wanted, "{:?}", client);
        }
    }
}

#[test]
fn every_recorded_stream_survives_its_own_wire() {
    for file in corpus::streams().iter().filter(|file| file.wire() != Wire::Gemini) {
        let events = sse::decoded(file.wire(), &[&file.bytes]);
        if file.is_broken_stream() {
            continue;
        }
        let client = Client { wire: file.wire(), strict: false };
        let read = again(client, &events);
        assert_eq!(Told::of_events(&read), Told::of_events(&events), "{}", file.path());
        let starts = |events: &[Event]| match events.first() {
            Some(Event::Start { id, model, .. }) => (id.clone(), model.clone()),
            other => panic!("{}: {other:?}", file.path()),
        };
        assert_eq!(starts(&read), starts(&events), "{}", file.path());
    }
}

fn call(id: &str, name: &str, arguments: &str) -> Call {
    Call { id: id.into(), name: name.into(), arguments: arguments.into(), signature: None }
}

/// Reads frames of data, holds them against what they say, and again after a round on the same wire.
fn check(wire: Wire, data: &[serde_json::Value], wanted: &Told) {
    let mut stream: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
    if wire == Wire::Chat {
        stream.push_str("data: [DONE]\n\n");
    }
    let events = sse::decoded(wire, &[stream.as_bytes()]);
    sse::check_grammar(&events, &stream);
    assert_eq!(&Told::of_events(&events), wanted, "{events:#?}");
    let round = again(Client { wire, strict: false }, &events);
    assert_eq!(&Told::of_events(&round), wanted, "{round:#?}");
}

#[test]
fn a_chat_with_choices_and_calls_in_turns_is_told_whole() {
    let chunk = |index: u32, delta: serde_json::Value| json!({"id": "c", "choices": [{"index": index, "delta": delta}]});
    let tool = |index: u32, call: serde_json::Value| {
        let mut call = call;
        call["index"] = index.into();
        chunk(0, json!({"tool_calls": [call]}))
    };
    let block = |name: &str, text: &str| json!([{"index": 0, "delta": {name: text}}]);
    let finish =
        |index: u32, word: &str| json!({"choices": [{"index": index, "delta": {}, "finish_reason": word}]});
    let data = [
        chunk(0, json!({"role": "assistant", "content": ""})),
        chunk(0, json!({"reasoning_content": "hm", "content_blocks": block("thinking", "hm")})),
        chunk(0, json!({"content_blocks": block("signature", "sig")})),
        chunk(0, json!({"content_blocks": block("data", "xx")})),
        chunk(1, json!({"role": "assistant", "refusal": "I can"})),
        chunk(0, json!({"content": "Look"})),
        tool(0, json!({"id": "a", "function": {"name": "f", "arguments": ""}})),
        tool(1, json!({"id": "b", "function": {"name": "g", "arguments": "{\"b\""}})),
        tool(0, json!({"function": {"arguments": "{\"a\":"}})),
        chunk(1, json!({"refusal": "'t."})),
        tool(1, json!({"function": {"arguments": ":2}"}})),
        tool(0, json!({"function": {"arguments": "1}"}})),
        finish(1, "stop"),
        finish(0, "tool_calls"),
        json!({"choices": [], "usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2}}}),
    ];
    let first = Said {
        text: "Look".into(),
        reasoning: "hm".into(),
        signatures: vec!["sig".into()],
        redacted: vec!["xx".into()],
        calls: vec![call("a", "f", "{\"a\":1}"), call("b", "g", "{\"b\":2}")],
        finish: Some(FinishKind::ToolCalls),
        ..Said::default()
    };
    let second = Said { refusal: "I can't.".into(), finish: Some(FinishKind::Stop), ..Said::default() };
    let usage = Usage { input: 9, cached_input: 4, output: 5, reasoning: 2, ..Usage::default() };
    let wanted =
        Told { choices: [(0, first), (1, second)].into(), usage: Some(usage), error: None, ended: true };
    check(Wire::Chat, &data, &wanted);
}

#[test]
fn a_message_with_blocks_in_turns_is_told_whole() {
    let begin = |index: u32, block: serde_json::Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u32, delta: serde_json::Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
    let input =
        |index: u32, json: &str| delta(index, json!({"type": "input_json_delta", "partial_json": json}));
    let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2}, "output_tokens": 1});
    let data = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": usage}}),
        begin(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "s1"})),
        stop(0),
        begin(1, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(1, json!({"type": "signature_delta", "signature": "s2"})),
        stop(1),
        begin(2, json!({"type": "redacted_thinking", "data": "xx"})),
        stop(2),
        begin(3, json!({"type": "text", "text": ""})),
        delta(3, json!({"type": "text_delta", "text": "Look"})),
        begin(4, json!({"type": "tool_use", "id": "a", "name": "f", "input": {}})),
        begin(5, json!({"type": "tool_use", "id": "b", "name": "g", "input": {}})),
        input(4, "{\"a\":"),
        input(5, "{\"b\""),
        delta(3, json!({"type": "text_delta", "text": " here"})),
        input(4, "1}"),
        stop(4),
        input(5, ":2}"),
        stop(5),
        stop(3),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
            "usage": {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 2}}}),
        json!({"type": "message_stop"}),
    ];
    let said = Said {
        text: "Look here".into(),
        reasoning: "hm".into(),
        signatures: vec!["s1".into(), "s2".into()],
        redacted: vec!["xx".into()],
        calls: vec![call("a", "f", "{\"a\":1}"), call("b", "g", "{\"b\":2}")],
        finish: Some(FinishKind::ToolCalls),
        ..Said::default()
    };
    let usage = Usage {
        input: 12,
        cached_input: 4,
        cache_write: 5,
        cache_write_1h: 2,
        output: 7,
        reasoning: 2,
        ..Usage::default()
    };
    let wanted = Told { choices: [(0, said)].into(), usage: Some(usage), error: None, ended: true };
    check(Wire::Messages, &data, &wanted);
}

#[test]
fn the_stop_sequence_that_ended_a_message_is_told_again() {
    let reason = FinishReason {
        kind: FinishKind::StopSequence,
        raw: "stop_sequence".into(),
        stop_sequence: Some("END".into()),
    };
    let events = [
        Event::Start { id: "msg_1".into(), model: "m".into(), created: 0 },
        Event::Text { choice: 0, text: "Hi".into() },
        Event::Finish { choice: 0, reason },
        Event::End,
    ];
    let read = again(Client { wire: Wire::Messages, strict: true }, &events);
    assert!(events.iter().all(|event| read.contains(event)), "{read:?}");
}
