//! The encoder: what clients see.

use bytes::BytesMut;
use serde_json::{Value, json};

use super::{encode, frames, options};
use crate::event::{Event, FinishKind, FinishReason};
use crate::openai::ChatCodec;
use crate::usage::Usage;
use crate::{ErrorBody, Inbound, UpstreamError};

fn start() -> Event {
    Event::Start { id: "a-1".into(), model: "m".into(), created: 9 }
}

fn text(text: &str) -> Event {
    Event::Text { choice: 0, text: text.into() }
}

fn finish() -> Event {
    Event::Finish { choice: 0, reason: FinishReason::new(FinishKind::Stop, "end_turn") }
}

fn budget_used_up() -> ErrorBody {
    ErrorBody {
        status: 412,
        message: "budget used up".into(),
        kind: "budget_exceeded".into(),
        param: None,
        code: None,
        provider: None,
    }
}

/// Encodes and returns the deltas of choice 0 in order.
fn deltas(strict: bool, events: &[Event]) -> Vec<Value> {
    let frames = encode(ChatCodec.encoder(options(strict)), events);
    let chunks = frames.iter().filter(|frame| *frame != "[DONE]");
    chunks.map(|frame| serde_json::from_str::<Value>(frame).unwrap()["choices"][0]["delta"].take()).collect()
}

#[test]
fn a_stream_has_role_text_finish_usage_and_end() {
    let usage = Event::Usage(Usage { input: 3, output: 4, ..Usage::default() });
    let got = encode(ChatCodec.encoder(options(true)), &[start(), text("H\"i"), finish(), usage, Event::End]);
    let head = r#"{"id":"a-1","object":"chat.completion.chunk","created":9,"model":"m","provider":"acme","choices":["#;
    let wanted = [
        format!(r#"{head}{{"index":0,"delta":{{"role":"assistant","content":""}},"finish_reason":null}}]}}"#),
        format!(r#"{head}{{"index":0,"delta":{{"content":"H\"i"}},"finish_reason":null}}]}}"#),
        format!(r#"{head}{{"index":0,"delta":{{}},"finish_reason":"stop"}}]}}"#),
        format!(
            r#"{head}],"usage":{{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{{"cached_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0}}}}}}"#
        ),
        "[DONE]".to_owned(),
    ];
    assert_eq!(got, wanted);
}

#[test]
fn texts_of_any_choice_differ_in_nothing_else() {
    let said =
        [(0, "a"), (0, "\""), (1, "b\\"), (1, "é\u{1}\n"), (0, ""), (0, "x\""), (2, "\"},\"finish_reason\"")];
    for between in [None, Some(start())] {
        let events = said.iter().flat_map(|(choice, text)| {
            between.clone().into_iter().chain([Event::Text { choice: *choice, text: (*text).into() }])
        });
        let events: Vec<Event> = std::iter::once(start()).chain(events).collect();
        let frames = encode(ChatCodec.encoder(options(true)), &events);
        let head = r#"{"id":"a-1","object":"chat.completion.chunk","created":9,"model":"m","provider":"acme","choices":["#;
        let wanted = said.map(|(choice, text)| {
            let text = serde_json::to_string(text).unwrap();
            format!(r#"{head}{{"index":{choice},"delta":{{"content":{text}}},"finish_reason":null}}]}}"#)
        });
        let got: Vec<_> = frames.into_iter().filter(|frame| !frame.contains("\"role\"")).collect();
        assert_eq!(got, wanted);
    }
}

#[test]
fn usage_is_sent_only_when_asked_for() {
    let mut options = options(true);
    options.include_usage = false;
    let usage = Event::Usage(Usage { input: 3, output: 4, ..Usage::default() });
    let got = encode(ChatCodec.encoder(options), &[start(), finish(), usage, Event::End]);
    assert!(!got.iter().any(|frame| frame.contains("usage")), "{got:?}");
}

#[test]
fn no_chunk_has_a_member_that_user_interfaces_act_on() {
    let events = [start(), text("a"), finish(), Event::Usage(Usage::default()), Event::End];
    for frame in encode(ChatCodec.encoder(options(false)), &events) {
        let Ok(chunk) = serde_json::from_str::<Value>(&frame) else { continue };
        for name in ["event", "type", "selected_model_id", "timings"] {
            assert_eq!(chunk.get(name), None, "{frame}");
        }
    }
}

#[test]
fn thoughts_are_reasoning_content_and_blocks_when_lax() {
    let events = [
        start(),
        Event::Reasoning { choice: 0, text: "hm".into() },
        Event::Signature { choice: 0, signature: "s".into() },
        Event::Reasoning { choice: 0, text: "so".into() },
        Event::RedactedReasoning { choice: 0, data: "x".into() },
        text("Hi"),
    ];
    let strict = deltas(true, &events);
    let thoughts = [json!({"reasoning_content": "hm"}), json!({"reasoning_content": "so"})];
    assert_eq!(strict[1..3], thoughts);
    assert_eq!(strict[3..], [json!({"content": "Hi"})]);
    let block = |index: u32, delta: Value| json!([{"index": index, "delta": delta}]);
    let wanted = [
        json!({"reasoning_content": "hm", "content_blocks": block(0, json!({"thinking": "hm"}))}),
        json!({"content_blocks": block(0, json!({"signature": "s"}))}),
        json!({"reasoning_content": "so", "content_blocks": block(1, json!({"thinking": "so"}))}),
        json!({"content_blocks": block(2, json!({"data": "x"}))}),
        json!({"content": "Hi", "content_blocks": block(3, json!({"text": "Hi"}))}),
    ];
    assert_eq!(deltas(false, &events)[1..], wanted);
}

#[test]
fn calls_begin_with_id_and_name() {
    let events = [
        start(),
        Event::ToolStart {
            choice: 0,
            tool: 0,
            id: "c".into(),
            name: "f".into(),
            signature: Some("s".into()),
        },
        Event::ToolArguments { choice: 0, tool: 0, json: "{}".into() },
    ];
    let wanted = [
        json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""},
            "extra_content": {"google": {"thought_signature": "s"}}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
    ];
    assert_eq!(deltas(true, &events)[1..], wanted);
}

#[test]
fn every_choice_begins_with_a_role() {
    let got =
        encode(ChatCodec.encoder(options(true)), &[start(), Event::Text { choice: 1, text: "b".into() }]);
    assert_eq!(got.len(), 3);
    assert!(got[1].contains(r#"{"index":1,"delta":{"role":"assistant","content":""}"#), "{got:?}");
}

#[test]
fn the_own_word_is_shown_when_lax() {
    let got = encode(ChatCodec.encoder(options(false)), &[start(), finish()]);
    assert!(got[1].contains(r#""finish_reason":"end_turn""#), "{got:?}");
}

#[test]
fn a_stream_that_the_vendor_broke_has_no_end_marker() {
    let error = UpstreamError {
        status: 503,
        message: "overloaded".into(),
        kind: None,
        code: Some(json!("x")),
        param: None,
    };
    let got =
        encode(ChatCodec.encoder(options(true)), &[start(), text("H"), Event::Error(error), Event::End]);
    let last: Value = serde_json::from_str(got.last().unwrap()).unwrap();
    let wanted =
        json!({"error": {"message": "overloaded", "type": "upstream_error", "param": null, "code": "x"}});
    assert_eq!(last, wanted);
}

#[test]
fn a_stream_that_the_gateway_ended_has_an_end_marker() {
    let mut encoder = ChatCodec.encoder(options(true));
    let mut out = BytesMut::new();
    encoder.encode(&start(), &mut out);
    encoder.encode_error(&budget_used_up(), &mut out);
    encoder.encode(&text("late"), &mut out);
    encoder.encode(&Event::End, &mut out);
    encoder.encode(&Event::End, &mut out);
    let got = frames(&out);
    let error = r#"{"error":{"message":"budget used up","type":"budget_exceeded","param":null,"code":null}}"#;
    assert_eq!(got[1..], [error, "[DONE]"]);
}

#[test]
fn a_call_without_arguments_has_an_empty_object_before_its_choice_ends() {
    let call = |tool: u32| Event::ToolStart {
        choice: 0,
        tool,
        id: format!("c{tool}"),
        name: "f".into(),
        signature: None,
    };
    let arguments = Event::ToolArguments { choice: 0, tool: 1, json: "{\"a\":1}".into() };
    let deltas = deltas(true, &[start(), call(0), call(1), arguments, call(2), finish(), Event::End]);
    let mut collected = [String::new(), String::new(), String::new()];
    for call in deltas.iter().filter_map(|delta| delta["tool_calls"].get(0)) {
        let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        collected[at].push_str(call["function"]["arguments"].as_str().unwrap());
    }
    assert_eq!(collected, ["{}", "{\"a\":1}", "{}"], "clients parse what they collected");
    assert_eq!(deltas.last(), Some(&json!({})), "the finish comes last");
}

#[test]
fn a_call_that_was_cut_has_no_arguments_that_nobody_sent() {
    let call = Event::ToolStart { choice: 0, tool: 0, id: "c".into(), name: "f".into(), signature: None };
    for kind in [FinishKind::Length, FinishKind::ContentFilter] {
        let cut = Event::Finish { choice: 0, reason: FinishReason::new(kind, "cut") };
        let deltas = deltas(true, &[start(), call.clone(), cut, Event::End]);
        assert_eq!(deltas.len(), 3, "role, call, finish: {deltas:?}");
    }
}
