//! Laws of the codec, and the stream against its fixture.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::call::{Part, Role, ToolChoice};
use crate::codec::{EncodeOptions, Inbound};
use crate::error::{ErrorBody, UpstreamError};
use crate::event::{Event, FinishKind, FinishReason};
use crate::usage::Usage;

use super::ResponsesCodec;

fn options() -> EncodeOptions {
    EncodeOptions { id: "gw1".into(), model: "m".into(), created: 7, ..EncodeOptions::default() }
}

fn encoded(events: &[Event]) -> String {
    let mut encoder = ResponsesCodec.encoder(options());
    let mut out = BytesMut::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    String::from_utf8(out.to_vec()).unwrap()
}

/// Reads the frames back; each must be an `event:` line and a `data:` line of the same type.
fn frames(stream: &str) -> Vec<Value> {
    let mut frames = Vec::new();
    for frame in stream.split_terminator("\n\n") {
        let (event, data) = frame.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(event.strip_prefix("event: "), data["type"].as_str(), "{frame}");
        frames.push(data);
    }
    frames
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

fn text(text: &str) -> Event {
    Event::Text { choice: 0, text: text.into() }
}

fn finish(kind: FinishKind) -> Event {
    Event::Finish { choice: 0, reason: FinishReason::new(kind, "x") }
}

fn start() -> Event {
    Event::Start { id: "chatcmpl-1".into(), model: "claude".into(), created: 1_700_000_000 }
}

fn call(tool: u32) -> Event {
    Event::ToolStart { choice: 0, tool, id: format!("call_{tool}"), name: "tide".into(), signature: None }
}

fn arguments(tool: u32, json: &str) -> Event {
    Event::ToolArguments { choice: 0, tool, json: json.into() }
}

#[test]
fn the_stream_matches_the_fixture() {
    let usage = Usage { input: 5, cached_input: 2, output: 3, reasoning: 1, ..Usage::default() };
    let stream = encoded(&[
        start(),
        Event::Reasoning { choice: 0, text: "Look ".into() },
        Event::Reasoning { choice: 0, text: "it up.".into() },
        Event::Signature { choice: 0, signature: "sig".into() },
        text("High "),
        text("tide"),
        Event::Refusal { choice: 0, text: "No.".into() },
        call(0),
        arguments(0, "{\"port\":"),
        arguments(0, "\"Brest\"}"),
        finish(FinishKind::ToolCalls),
        Event::Usage(usage),
        Event::End,
    ]);
    let fixture = include_str!("../../fixtures/responses/stream.sse");
    assert_eq!(stream, fixture, "\n{stream}");
}

#[test]
fn the_request_fixture_is_read() {
    let fixture = include_str!("../../fixtures/responses/request.json");
    let call = ResponsesCodec.read_call(&serde_json::from_str(fixture).unwrap()).unwrap();
    let roles: Vec<_> = call.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::Tool]);
    assert_eq!(call.messages[2].parts.len(), 3);
    assert_eq!((call.tools.len(), call.max_tokens, call.stream), (2, Some(300), true));
    assert_eq!(call.tool_choice, Some(ToolChoice::Auto));
}

#[test]
fn an_answer_can_be_sent_back_as_input() {
    let fixture = include_str!("../../fixtures/responses/response.json");
    let response: Value = serde_json::from_str(fixture).unwrap();
    let call = ResponsesCodec.read_call(&json!({"model": "m", "input": response["output"]})).unwrap();
    assert_eq!(call.messages.len(), 1);
    let wanted = [
        Part::Thinking { text: "Look it up.".into(), signature: Some("sig".into()) },
        Part::text("High tide"),
        Part::Refusal { text: "No.".into() },
        Part::ToolCall {
            id: "call_0".into(),
            name: "tide".into(),
            arguments: r#"{"port":"Brest"}"#.into(),
            signature: None,
        },
    ];
    assert_eq!(call.messages[0].parts, wanted);
}

#[test]
fn usage_after_the_finish_reason_is_in_the_completed_response() {
    let stream = encoded(&[
        start(),
        text("Hi"),
        finish(FinishKind::Stop),
        Event::Usage(Usage { input: 2, output: 1, ..Usage::default() }),
        Event::End,
        text("late"),
    ]);
    let frames = frames(&stream);
    let last = frames.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["usage"]["total_tokens"], 3);
    assert!(!stream.contains("late"));
}

#[test]
fn a_cut_answer_ends_as_incomplete() {
    let stream = encoded(&[start(), text("Hi"), finish(FinishKind::Length), Event::End]);
    let frames = frames(&stream);
    let last = frames.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
}

#[test]
fn arguments_sent_in_turns_reach_their_calls() {
    let stream = encoded(&[
        call(0),
        call(1),
        call(2),
        arguments(0, "[1"),
        arguments(1, "[2"),
        arguments(0, "]"),
        arguments(1, "]"),
        arguments(9, "lost"),
        finish(FinishKind::ToolCalls),
        Event::End,
    ]);
    let frames = frames(&stream);
    let output = &frames.last().unwrap()["response"]["output"];
    let written: Vec<_> = (0..3).map(|index| output[index]["arguments"].as_str().unwrap()).collect();
    assert_eq!(written, ["[1]", "[2]", "{}"]);
    assert_eq!(output[0]["id"], "fc_gw1_0");
}

#[test]
fn a_vendors_error_is_the_last_event() {
    let error = UpstreamError {
        status: 529,
        message: "Overloaded".into(),
        kind: Some("overloaded_error".into()),
        code: None,
        param: None,
    };
    let stream = encoded(&[start(), text("Hi"), Event::Error(error), Event::End]);
    let frames = frames(&stream);
    let last = frames.last().unwrap();
    let wanted = json!({
        "type": "error", "sequence_number": frames.len() - 1, "code": "overloaded_error",
        "message": "Overloaded", "param": null,
        "error": {"message": "Overloaded", "type": "overloaded_error", "param": null, "code": null},
    });
    assert_eq!(*last, wanted);
}

#[test]
fn the_gateways_error_is_the_last_event() {
    let error = ErrorBody {
        status: 412,
        message: "Budget exceeded".into(),
        kind: "budget".into(),
        param: None,
        code: Some(json!("budget_exceeded")),
        provider: None,
    };
    let mut encoder = ResponsesCodec.encoder(options());
    let mut out = BytesMut::new();
    encoder.encode(&text("Hi"), &mut out);
    encoder.encode_error(&error, &mut out);
    let written = out.len();
    encoder.encode(&Event::End, &mut out);
    encoder.encode_error(&error, &mut out);
    assert_eq!(out.len(), written);
    let stream = String::from_utf8(out.to_vec()).unwrap();
    assert_eq!(frames(&stream).last().unwrap()["code"], "budget_exceeded");
}

#[test]
fn other_choices_are_not_shown() {
    let stream = encoded(&[start(), Event::Text { choice: 1, text: "b".into() }, text("a"), Event::End]);
    assert_eq!(frames(&stream).last().unwrap()["response"]["output"][0]["content"][0]["text"], "a");
}

#[test]
fn an_empty_stream_is_still_a_response() {
    let frames = frames(&encoded(&[Event::End]));
    assert_eq!(types(&frames), ["response.created", "response.in_progress", "response.completed"]);
}

pub(super) fn any_json() -> impl Strategy<Value = Value> {
    // Words of the wire, so that the shapes get past the first checks.
    let word = prop::sample::select(vec![
        "type",
        "role",
        "content",
        "input",
        "message",
        "user",
        "assistant",
        "input_text",
        "text",
        "reasoning",
        "summary",
        "function_call",
        "function_call_output",
        "call_id",
        "name",
        "output",
        "tools",
        "function",
        "tool_choice",
        "allowed_tools",
        "input_image",
        "image_url",
        "data:é,",
        "data:a;base64,",
        "format",
        "input_file",
        "file_data",
        "filename",
        "encrypted_content",
        "arguments",
        "extra_content",
        "id",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        let member = (word.clone().prop_map(str::to_owned), inner.clone());
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::Array),
            vec(member, 0..6).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let choice = prop_oneof![9 => Just(0_u32), 1 => Just(1_u32)];
    let piece = "[a-z\"\\n é]{0,4}";
    let kind = prop::sample::select(vec![
        FinishKind::Stop,
        FinishKind::Length,
        FinishKind::ToolCalls,
        FinishKind::ContentFilter,
        FinishKind::Refusal,
    ]);
    prop_oneof![
        4 => (choice.clone(), piece).prop_map(|(choice, text)| Event::Text { choice, text }),
        3 => (choice.clone(), piece).prop_map(|(choice, text)| Event::Reasoning { choice, text }),
        1 => (choice.clone(), piece).prop_map(|(choice, signature)| Event::Signature { choice, signature }),
        1 => (choice.clone(), piece).prop_map(|(choice, data)| Event::RedactedReasoning { choice, data }),
        1 => (choice.clone(), piece).prop_map(|(choice, text)| Event::Refusal { choice, text }),
        2 => (choice.clone(), 0..3_u32, piece).prop_map(|(choice, tool, id)| Event::ToolStart {
            choice, tool, id, name: "f".into(), signature: None,
        }),
        3 => (choice.clone(), 0..3_u32, piece)
            .prop_map(|(choice, tool, json)| Event::ToolArguments { choice, tool, json }),
        1 => (choice, kind)
            .prop_map(|(choice, kind)| Event::Finish { choice, reason: FinishReason::new(kind, "x") }),
        1 => Just(start()),
        1 => any::<u64>().prop_map(|output| Event::Usage(Usage { output, ..Usage::default() })),
    ]
}

/// Adds up the deltas of each item, of whatever kind.
fn sum_of_deltas(frames: &[Value], items: usize) -> Vec<String> {
    let mut sums = vec![String::new(); items];
    for frame in frames {
        if let (Some(delta), Some(index)) = (frame["delta"].as_str(), frame["output_index"].as_u64()) {
            sums[index as usize].push_str(delta);
        }
    }
    sums
}

/// Adds up the text of an item of the completed response.
fn text_of(item: &Value) -> String {
    let mut sum = item["arguments"].as_str().unwrap_or_default().to_owned();
    for list in ["content", "summary"] {
        for part in item[list].as_array().into_iter().flatten() {
            sum.push_str(part["text"].as_str().or(part["refusal"].as_str()).unwrap());
        }
    }
    sum
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(body in any_json(), input in any_json(), tools in any_json()) {
        let _ = ResponsesCodec.read_call(&body);
        let _ = ResponsesCodec.read_call(&json!({"input": [input.clone()], "tools": [tools.clone()]}));
        let _ = ResponsesCodec.read_call(&json!({"input": input, "tool_choice": tools}));
    }

    #[test]
    fn deltas_add_up_to_the_completed_response(mut events in vec(any_event(), 0..40)) {
        events.push(Event::End);
        let frames = frames(&encoded(&events));
        for (index, frame) in frames.iter().enumerate() {
            prop_assert_eq!(frame["sequence_number"].as_u64(), Some(index as u64));
        }
        let last = frames.last().unwrap();
        let output = last["response"]["output"].as_array().unwrap();
        let written: Vec<_> = output.iter().map(text_of).collect();
        prop_assert_eq!(sum_of_deltas(&frames, output.len()), written);
        // Every item is begun once, in order, and its last state is the one in the completed response.
        let of_type = |wanted: &str| -> Vec<&Value> {
            frames.iter().filter(|frame| frame["type"] == wanted).collect()
        };
        let added = of_type("response.output_item.added");
        prop_assert!(added.iter().enumerate().all(|(index, frame)| frame["output_index"] == index));
        let done = of_type("response.output_item.done");
        prop_assert_eq!(done.len(), output.len());
        for frame in done {
            prop_assert_eq!(&frame["item"], &output[frame["output_index"].as_u64().unwrap() as usize]);
        }
    }
}
