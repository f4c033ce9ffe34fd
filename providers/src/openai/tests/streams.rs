//! The decoder and the odd streams that vendors send.

use super::decode;
use crate::Outbound;
use crate::event::Event;
use crate::openai::ChatCodec;

fn chunk(delta: &str) -> String {
    format!(r#"{{"id":"a-1","choices":[{{"index":0,"delta":{delta}}}]}}"#)
}

/// Decodes deltas of choice 0 and returns the tools: id, name and arguments of each.
fn tools(deltas: &[&str]) -> Vec<(String, String, String)> {
    let chunks: Vec<String> = deltas.iter().map(|delta| chunk(delta)).collect();
    let mut tools: Vec<(String, String, String)> = Vec::new();
    for event in decode(&chunks.iter().map(String::as_str).collect::<Vec<_>>()) {
        match event {
            Event::ToolStart { tool, id, name, .. } => {
                assert_eq!(tool as usize, tools.len());
                tools.push((id, name, String::new()));
            }
            Event::ToolArguments { tool, json, .. } => tools[tool as usize].2.push_str(&json),
            _ => {}
        }
    }
    tools
}

fn tool(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.into(), name.into(), arguments.into())
}

#[test]
fn a_missing_index_is_inferred() {
    let got = tools(&[
        r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":"}"}}]}"#,
        r#"{"tool_calls":[{"id":"b","function":{"name":"g","arguments":"{}"}}]}"#,
        r#"{"tool_calls":[{"id":"a","function":{"arguments":" "}}]}"#,
    ]);
    assert_eq!(got, [tool("a", "f", "{} "), tool("b", "g", "{}")]);
}

#[test]
fn one_index_for_several_calls_is_told_apart_by_id() {
    let got = tools(&[
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
        r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"f","arguments":"{"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#,
    ]);
    assert_eq!(got, [tool("a", "f", "{}"), tool("b", "f", "{}")]);
}

#[test]
fn a_repeated_id_and_name_go_on_with_the_call() {
    let piece = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}]}"#;
    assert_eq!(tools(&[piece, piece]), [tool("a", "f", "11")]);
}

#[test]
fn a_missing_id_is_made_up_per_answer() {
    let got = tools(&[r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":{"a":1}}}]}"#]);
    assert_eq!(got, [tool("call_a1_0_0", "f", r#"{"a":1}"#)]);
}

#[test]
fn pieces_before_the_name_are_held() {
    let got = tools(&[
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"}}]}"#,
    ]);
    assert_eq!(got, [tool("a", "f", "{}")]);
}

#[test]
fn a_lone_object_and_a_legacy_call_are_calls() {
    let got = tools(&[r#"{"tool_calls":{"id":"a","function":{"name":"f","arguments":"{}"}}}"#]);
    assert_eq!(got, [tool("a", "f", "{}")]);
    let got = tools(&[
        r#"{"function_call":{"name":"f","arguments":""}}"#,
        r#"{"function_call":{"arguments":"{}"}}"#,
    ]);
    assert_eq!(got, [tool("call_a1_0_0", "f", "{}")]);
}

#[test]
fn signatures_of_calls_are_read() {
    let events = decode(&[&chunk(
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]}"#,
    )]);
    assert!(events.iter().any(|e| matches!(e, Event::ToolStart { signature: Some(s), .. } if s == "s")));
}

#[test]
fn empty_chunks_say_nothing() {
    let events = decode(&[
        r#"{"id":"","model":"","choices":[],"prompt_filter_results":[]}"#,
        r#"{"id":"x","choices":null}"#,
        r#"{"id":"x","choices":[{"index":0,"delta":null}]}"#,
        r#"{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        "[DONE]",
    ]);
    assert!(
        matches!(events[..], [Event::Start { .. }, Event::Finish { .. }, Event::Usage(_), Event::End]),
        "{events:?}"
    );
}

#[test]
fn several_choices_end_one_by_one() {
    let events = decode(&[
        r#"{"id":"x","choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}"#,
        r#"{"id":"x","choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#,
    ]);
    assert!(matches!(events.last(), Some(Event::Error(error)) if error.status == 502), "{events:?}");
}

#[test]
fn a_stream_without_end_marker_is_whole_when_all_choices_are() {
    let finished = r#"{"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    assert_eq!(decode(&[finished]).last(), Some(&Event::End));
    let open = r#"{"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let events = decode(&[open]);
    assert!(
        matches!(events.last(), Some(Event::Error(error)) if error.message.contains("cut")),
        "{events:?}"
    );
    assert!(matches!(decode(&[])[..], [Event::Error(_)]));
    assert!(matches!(decode(&["[DONE]"])[..], [Event::Error(_)]));
}

#[test]
fn an_end_marker_finishes_open_choices() {
    let events = decode(&[r#"{"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}"#, "[DONE]"]);
    assert!(matches!(events[2..], [Event::Finish { .. }, Event::End]), "{events:?}");
}

#[test]
fn errors_inside_a_stream_have_many_shapes() {
    for (payload, status, message) in [
        (r#"{"error":{"message":"m","type":"overloaded_error"}}"#, 503, "m"),
        (r#"{"error":"m"}"#, 502, "m"),
        (r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#, 400, "m"),
        (r#""m""#, 502, "m"),
        (r#"{"error":{"message":"m","code":429}}"#, 429, "m"),
        (r#"{"error":{"message":"m","code":"429"},"choices":[]}"#, 429, "m"),
        (r#"{"id":"x","x_groq":{"error":"m"}}"#, 502, "m"),
        (r#"{"id":"x","choices":[{"error":{"message":"m","code":500},"finish_reason":"error"}]}"#, 500, "m"),
    ] {
        let events = decode(&[payload, r#"{"id":"x","choices":[{"delta":{"content":"late"}}]}"#]);
        let errors: Vec<_> = events.iter().filter(|event| !matches!(event, Event::Start { .. })).collect();
        let [Event::Error(error)] = errors[..] else { panic!("{payload}: {events:?}") };
        assert_eq!((error.status, error.message.as_str()), (status, message), "{payload}");
    }
}

#[test]
fn an_error_event_is_an_error_whatever_its_data() {
    for data in [r#"{"message":"m"}"#, "m", r#"{"error":{"message":"m"}}"#] {
        let (mut decoder, mut events) = (ChatCodec.decoder(), Vec::new());
        decoder.decode("error", data, &mut events);
        assert!(matches!(&events[..], [Event::Error(error)] if error.message == "m"), "{data}: {events:?}");
    }
}

#[test]
fn an_unreadable_chunk_is_an_error() {
    for payload in ["nonsense", "[1]", r#"{"choices":"#, r#"{"choices":7}"#] {
        let events = decode(&[payload]);
        assert!(matches!(&events[..], [Event::Error(error)] if error.status == 502), "{payload}: {events:?}");
    }
}

#[test]
fn blocks_of_another_gateway_are_read() {
    let delta = r#"{"content":null,"content_blocks":[{"index":0,"delta":{"thinking":"hm"}},{"index":0,"delta":{"signature":"s"}},{"index":1,"delta":{"data":"x"}}]}"#;
    let events = decode(&[&chunk(delta)]);
    assert!(
        matches!(
            events[1..4],
            [Event::Reasoning { .. }, Event::Signature { .. }, Event::RedactedReasoning { .. }]
        ),
        "{events:?}"
    );
}

#[test]
fn usage_inside_a_choice_is_read() {
    let payload = r#"{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":3,"completion_tokens":4}}]}"#;
    let events = decode(&[payload]);
    assert!(
        events.iter().any(|event| matches!(event, Event::Usage(usage) if usage.output == 4)),
        "{events:?}"
    );
}
