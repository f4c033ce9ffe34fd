//! What servers do with the events of this wire: leave out, number otherwise, say late.

use serde_json::{Value, json};

use super::ResponsesCodec;
use crate::call::Part;
use crate::codec::Outbound;
use crate::event::{Event, FinishKind, FinishReason};
use crate::usage::Usage;

/// Decodes events whose name is in their data only.
fn decoded(frames: &[Value]) -> Vec<Event> {
    let mut decoder = ResponsesCodec.decoder();
    let mut events = Vec::new();
    for frame in frames {
        decoder.decode("", &frame.to_string(), &mut events);
    }
    decoder.finish(&mut events);
    events
}

/// Decodes what stands between the first and the last event, and returns what that makes.
fn between(frames: &[Value], output: Value) -> Vec<Event> {
    let mut all = vec![json!({"type": "response.created", "response": {"id": "resp_1", "model": "m"}})];
    all.extend_from_slice(frames);
    all.push(json!({"type": "response.completed", "response": {"status": "completed", "output": output}}));
    let events = decoded(&all);
    let start = Event::Start { id: "resp_1".into(), model: "m".into(), created: 0 };
    assert_eq!(events.first(), Some(&start), "{events:?}");
    let [.., Event::Finish { .. }, Event::End] = &events[..] else { panic!("no end in {events:?}") };
    events[1..events.len() - 2].to_vec()
}

fn text(text: &str) -> Event {
    Event::Text { choice: 0, text: text.into() }
}

fn thought(text: &str) -> Event {
    Event::Reasoning { choice: 0, text: text.into() }
}

fn call(tool: u32, id: &str) -> Event {
    Event::ToolStart { choice: 0, tool, id: id.into(), name: "f".into(), signature: None }
}

fn arguments(tool: u32, json: &str) -> Event {
    Event::ToolArguments { choice: 0, tool, json: json.into() }
}

fn message(id: &str, texts: &[&str]) -> Value {
    let parts: Vec<Value> = texts.iter().map(|text| json!({"type": "output_text", "text": text})).collect();
    json!({"type": "message", "id": id, "role": "assistant", "content": parts})
}

fn function_call(id: &str, call_id: &str, json: &str) -> Value {
    json!({"type": "function_call", "id": id, "call_id": call_id, "name": "f", "arguments": json})
}

fn delta(item: &str, index: u64, delta: &str) -> Value {
    json!({"type": "response.output_text.delta", "item_id": item, "output_index": index, "content_index": 0,
        "delta": delta})
}

fn arguments_delta(item: &str, index: u64, delta: &str) -> Value {
    json!({"type": "response.function_call_arguments.delta", "item_id": item, "output_index": index, "delta": delta})
}

fn added(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn done(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

#[test]
fn text_that_comes_only_at_the_end_of_a_piece_is_told_once() {
    let whole = json!({"type": "response.output_text.done", "item_id": "m", "output_index": 0, "content_index": 0,
        "text": "Hi"});
    let part = json!({"type": "response.content_part.done", "item_id": "m", "output_index": 0, "content_index": 0,
        "part": {"type": "output_text", "text": "Hi"}});
    let item = done(0, message("m", &["Hi"]));
    for frames in [vec![whole.clone()], vec![part.clone()], vec![item.clone()], vec![whole, part, item]] {
        assert_eq!(between(&frames, json!([])), [text("Hi")], "{frames:?}");
        assert_eq!(between(&frames, json!([message("m", &["Hi"])])), [text("Hi")], "{frames:?}");
    }
    assert_eq!(between(&[], json!([message("m", &["Hi"])])), [text("Hi")]);
}

#[test]
fn what_the_deltas_left_out_is_told_at_the_end() {
    let output = json!([message("m", &["High tide"])]);
    assert_eq!(between(&[delta("m", 0, "High")], output), [text("High"), text(" tide")]);
}

#[test]
fn what_begins_with_text_goes_on_from_there() {
    let frames = [added(0, message("m", &["High"])), delta("m", 0, " tide")];
    let output = json!([message("m", &["High tide"])]);
    assert_eq!(between(&frames, output), [text("High"), text(" tide")]);
}

#[test]
fn another_spelling_at_the_end_is_no_new_text() {
    let frames = [delta("m", 0, "High  tide"), done(0, message("m", &["High tide"]))];
    assert_eq!(between(&frames, json!([message("m", &["high tide"])])), [text("High  tide")]);
}

#[test]
fn items_with_other_ids_in_each_event_are_known_by_their_number() {
    let frames = [
        added(0, message("a", &[])),
        delta("b", 0, "Hi"),
        done(0, message("c", &["Hi"])),
        added(1, message("d", &[])),
        delta("e", 1, "ho"),
    ];
    let output = json!([message("f", &["Hi"]), message("g", &["ho"])]);
    assert_eq!(between(&frames, output), [text("Hi"), text("ho")]);
}

#[test]
fn items_with_the_same_number_are_known_by_their_id() {
    let frames = [
        added(0, message("a", &[])),
        delta("a", 0, "Hi"),
        done(0, message("a", &["Hi"])),
        added(0, function_call("b", "c1", "")),
        added(0, function_call("c", "c2", "")),
        arguments_delta("b", 0, "[1]"),
        arguments_delta("c", 0, "[2]"),
        done(0, function_call("b", "c1", "[1]")),
        done(0, function_call("c", "c2", "[2]")),
    ];
    let output =
        json!([message("a", &["Hi"]), function_call("b", "c1", "[1]"), function_call("c", "c2", "[2]"),]);
    let wanted = [text("Hi"), call(0, "c1"), call(1, "c2"), arguments(0, "[1]"), arguments(1, "[2]")];
    assert_eq!(between(&frames, output), wanted);
}

#[test]
fn deltas_that_name_no_item_belong_to_the_last_one() {
    let frames = [
        json!({"type": "response.output_text.delta", "delta": "Hi"}),
        json!({"type": "response.output_text.delta", "delta": " ho"}),
    ];
    assert_eq!(between(&frames, json!([message("m", &["Hi ho"])])), [text("Hi"), text(" ho")]);
}

#[test]
fn numbers_of_parts_that_differ_at_the_end_make_no_new_text() {
    // The deltas say 0 for both parts.
    let frames = [delta("m", 0, "Hi"), delta("m", 0, " ho")];
    let output = json!([message("m", &["Hi", " ho"])]);
    assert_eq!(between(&frames, output), [text("Hi"), text(" ho")]);
}

#[test]
fn an_item_that_only_the_last_event_has_is_told_behind_the_others() {
    let output = json!([function_call("f", "c1", "{}"), message("m", &["Hi"])]);
    assert_eq!(between(&[delta("m", 1, "Hi")], output), [text("Hi"), call(0, "c1"), arguments(0, "{}")]);
}

#[test]
fn arguments_wait_for_the_name_of_their_call() {
    let frames = [
        arguments_delta("f", 0, "{\"a\""),
        arguments_delta("f", 0, ":1}"),
        done(0, function_call("f", "c1", "{\"a\":1}")),
    ];
    assert_eq!(between(&frames, json!([])), [call(0, "c1"), arguments(0, "{\"a\":1}")]);
    // A call without a name can't be answered.
    assert_eq!(between(&frames[..2], json!([])), []);
}

#[test]
fn arguments_that_are_an_object_are_written_as_text() {
    let item = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": {"a": 1}});
    assert_eq!(between(&[done(0, item)], json!([])), [call(0, "c1"), arguments(0, "{\"a\":1}")]);
}

#[test]
fn a_call_without_an_id_has_the_id_of_its_item_or_a_number() {
    let frames = [added(0, function_call("fc_1", "", "")), added(1, function_call("", "", ""))];
    assert_eq!(between(&frames, json!([])), [call(0, "fc_1"), call(1, "call_1")]);
}

#[test]
fn calls_that_share_an_id_stay_two_calls() {
    let frames = [added(0, function_call("a", "c", "")), added(1, function_call("b", "c", ""))];
    let output = json!([function_call("x", "c", "[1]"), function_call("y", "c", "[2]")]);
    let wanted = [call(0, "c"), call(1, "c"), arguments(0, "[1]"), arguments(1, "[2]")];
    assert_eq!(between(&frames, output), wanted);
}

#[test]
fn thoughts_of_one_item_are_paragraphs() {
    let summary = |index: u64, step: &str, text: &str| {
        json!({"type": format!("response.reasoning_summary_text.{step}"), "item_id": "r", "output_index": 0,
            "summary_index": index, "delta": text, "text": text})
    };
    let frames = [
        summary(0, "delta", "A"),
        summary(0, "done", "A"),
        summary(1, "delta", "B"),
        summary(1, "delta", "C"),
    ];
    let item = json!({"type": "reasoning", "id": "r",
        "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "BC"}]});
    let wanted = [thought("A"), thought("\n\nB"), thought("C")];
    assert_eq!(between(&frames, json!([item])), wanted);
    let body = json!({"object": "response", "output": [item]}).to_string();
    let answer = ResponsesCodec.read_answer(body.as_bytes()).unwrap();
    assert_eq!(answer.choices[0].parts, [Part::Thinking { text: "A\n\nBC".into(), signature: None }]);
}

#[test]
fn only_a_thought_that_is_done_is_sealed_and_once() {
    let item =
        |sealed: &str| json!({"type": "reasoning", "id": "r", "summary": [], "encrypted_content": sealed});
    let signature = [Event::Signature { choice: 0, signature: "responses.encrypted:whole".into() }];
    let frames = [added(0, item("half")), done(0, item("whole"))];
    assert_eq!(between(&frames, json!([item("whole")])), signature);
    assert_eq!(between(&frames[..1], json!([item("whole")])), signature);
}

#[test]
fn items_of_the_vendors_own_tools_say_nothing() {
    let own = [
        json!({"type": "web_search_call", "id": "w", "action": {"type": "search"}}),
        json!({"type": "tool_search_call", "id": "t", "arguments": {"a": 1}, "name": ["odd"]}),
        json!({"type": "image_generation_call", "id": "i", "result": "AAAA"}),
        json!({"type": 7}),
        json!("odd"),
    ];
    let frames: Vec<Value> = (0..).zip(&own).map(|(index, item)| done(index, item.clone())).collect();
    let progress = json!({"type": "response.mcp_call_arguments.delta", "item_id": "x", "delta": "{}"});
    assert_eq!(between(&[frames, vec![progress]].concat(), json!(own)), []);
}

#[test]
fn the_last_event_tells_why_and_how_much() {
    let last = |kind: &str, response: Value| {
        let kind = format!("response.{kind}");
        decoded(&[json!({"type": kind, "response": response})])
    };
    let refused = json!([{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]);
    let usage = json!({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 4});
    let finish = |kind, raw: &str| Event::Finish { choice: 0, reason: FinishReason::new(kind, raw) };
    let start = || Event::Start { id: String::new(), model: String::new(), created: 7 };
    let no = Event::Refusal { choice: 0, text: "No.".into() };
    let told = Event::Usage(Usage { input: 3, cached_input: 2, output: 4, ..Usage::default() });
    assert_eq!(
        last("completed", json!({"created_at": 7.5, "output": refused, "usage": usage})),
        [start(), no, finish(FinishKind::Refusal, "completed"), told, Event::End]
    );
    for (reason, kind) in [
        ("max_output_tokens", FinishKind::Length),
        ("content_filter", FinishKind::ContentFilter),
        ("out_of_coffee", FinishKind::Length),
    ] {
        let response = json!({"created_at": 7, "incomplete_details": {"reason": reason}});
        assert_eq!(last("incomplete", response), [start(), finish(kind, reason), Event::End]);
    }
}

#[test]
fn every_kind_of_failure_is_an_error_with_a_status() {
    for (frame, status, message) in [
        (json!({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": null}), 429, "m"),
        (json!({"type": "error", "error": {"type": "invalid_request_error", "message": "m"}}), 400, "m"),
        (json!({"error": {"message": "m", "code": 503}}), 503, "m"),
        (
            json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}}),
            500,
            "m",
        ),
        (
            json!({"type": "response.failed", "response": null}),
            502,
            "the vendor says that the response failed and not why",
        ),
        (
            json!({"type": "response.completed", "response": {"status": "cancelled"}}),
            502,
            "the vendor calls the response cancelled and doesn't say why",
        ),
    ] {
        let events = decoded(&[frame.clone(), json!({"type": "response.completed"})]);
        let Some(Event::Error(error)) = events.last() else { panic!("{frame}: {events:?}") };
        assert_eq!((error.status, error.message.as_str()), (status, message), "{frame}");
        assert_ne!(error.kind.as_deref(), Some("error"), "{frame}");
    }
}

#[test]
fn data_that_is_no_event_is_an_error() {
    for (name, data, message) in [
        ("error", "Slow down", "Slow down"),
        ("", "{", "the stream has an event that can't be read"),
        ("response.output_text.delta", "7", "the stream has an event that can't be read"),
    ] {
        let (mut decoder, mut events) = (ResponsesCodec.decoder(), Vec::new());
        decoder.decode(name, data, &mut events);
        decoder.finish(&mut events);
        assert!(
            matches!(&events[..], [Event::Error(error)] if error.status == 502 && error.message.starts_with(message)),
            "{data}: {events:?}"
        );
    }
}

#[test]
fn a_stream_without_its_last_event_was_cut() {
    for frames in [
        vec![],
        vec![json!({"type": "response.created", "response": {}})],
        vec![added(0, message("m", &[])), delta("m", 0, "Hi"), done(0, message("m", &["Hi"]))],
    ] {
        let events = decoded(&frames);
        assert!(matches!(events.last(), Some(Event::Error(error)) if error.status == 502), "{events:?}");
    }
}

#[test]
fn names_of_events_count_where_the_data_has_none() {
    let (mut decoder, mut events) = (ResponsesCodec.decoder(), Vec::new());
    decoder.decode("response.output_text.delta", r#"{"delta":"Hi"}"#, &mut events);
    decoder.decode("response.completed", "{}", &mut events);
    assert_eq!(events[1], text("Hi"));
    assert_eq!(events.last(), Some(&Event::End));
}

#[test]
fn a_whole_answer_that_has_not_ended_has_no_finish_and_a_failed_one_is_an_error() {
    let read = |body: Value| ResponsesCodec.read_answer(body.to_string().as_bytes());
    let waiting = read(json!({"id": "resp_1", "status": "queued", "output": []})).unwrap();
    assert_eq!((waiting.choices.len(), &waiting.choices[0].finish), (1, &None));
    let failed = json!({"status": "failed", "output": [], "error": {"code": "server_error", "message": "m"}});
    let error = read(failed).unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (500, "m"));
    assert_eq!(read(json!({"error": {"message": "m", "code": 429}})).unwrap_err().status, 429);
    assert_eq!(read(json!({"object": "response"})).unwrap_err().status, 502);
}
