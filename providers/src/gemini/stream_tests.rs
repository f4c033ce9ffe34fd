use proptest::prelude::*;
use serde_json::json;

use super::*;

fn decoded(events: &[Value]) -> Vec<Event> {
    let mut decoder = GeminiDecoder::default();
    let mut out = Vec::new();
    for event in events {
        decoder.decode("", &event.to_string(), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn parts(parts: Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]})
}

fn stop() -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": "STOP"}]})
}

fn finish(choice: u32, kind: FinishKind, raw: &str) -> Event {
    Event::Finish { choice, reason: FinishReason::new(kind, raw) }
}

#[test]
fn a_documented_stream_is_read() {
    let mut decoder = GeminiDecoder::default();
    let mut out = Vec::new();
    for line in include_str!("../../fixtures/google/stream.sse").lines() {
        if let Some(data) = line.strip_prefix("data: ") {
            decoder.decode("", data, &mut out);
        }
    }
    decoder.finish(&mut out);
    let usage = |output, reasoning| Usage { input: 10, output, reasoning, ..Usage::default() };
    assert_eq!(
        out,
        [
            Event::Start { id: "R1-x_y".into(), model: "gemini-2.5-pro".into(), created: 0 },
            Event::Reasoning { choice: 0, text: "pondering".into() },
            Event::Usage(usage(0, 0)),
            Event::Text { choice: 0, text: "Hi".into() },
            Event::Usage(usage(1, 0)),
            Event::ToolStart {
                choice: 0,
                tool: 0,
                id: "call_R1-x_y_0".into(),
                name: "get_weather".into(),
                signature: Some("TS".into()),
            },
            Event::ToolArguments { choice: 0, tool: 0, json: r#"{"city":"Pune"}"#.into() },
            Event::ToolStart {
                choice: 0,
                tool: 1,
                id: "call_R1-x_y_1".into(),
                name: "get_time".into(),
                signature: None,
            },
            Event::ToolArguments { choice: 0, tool: 1, json: "{}".into() },
            Event::Usage(usage(25, 5)),
            finish(0, FinishKind::ToolCalls, "STOP"),
            Event::End,
        ]
    );
}

#[test]
fn calls_are_numbered_across_events_and_keep_their_ids() {
    let starts = || {
        let events = decoded(&[
            parts(json!([{"functionCall": {"name": "a", "id": "own"}}])),
            parts(json!([{"functionCall": {"name": "b", "args": null}}])),
            parts(json!([{"functionCall": {"name": "c"}}])),
            stop(),
        ]);
        let starts = events.into_iter().filter_map(|event| match event {
            Event::ToolStart { tool, id, .. } => Some((tool, id)),
            _ => None,
        });
        starts.collect::<Vec<_>>()
    };
    let (first, second) = (starts(), starts());
    assert_eq!(first[0], (0, "own".to_owned()));
    let made = |(tool, id): &(u32, String)| {
        (*tool, id.rsplit_once('_').map(|(stem, at)| (stem.to_owned(), at.to_owned())))
    };
    let (tool, Some((stem, at))) = made(&first[1]) else { panic!("{first:?}") };
    assert_eq!((tool, at.as_str()), (1, "1"));
    assert!(stem.len() > "call_".len() && stem.len() <= 36, "{stem}");
    assert_eq!(first[2].1, format!("{stem}_2"), "one word for one answer");
    assert_ne!(first[1], second[1], "turns of one conversation must not share ids");
}

#[test]
fn a_signature_may_come_on_text() {
    let events = decoded(&[parts(json!([{"text": "Hi", "thoughtSignature": "S"}])), stop()]);
    assert_eq!(events[1], Event::Text { choice: 0, text: "Hi".into() });
    assert_eq!(events[2], Event::Signature { choice: 0, signature: "S".into() });
}

#[test]
fn pictures_become_markdown_and_sketches_are_dropped() {
    let picture = json!({"mimeType": "image/png", "data": "AAAA"});
    let events =
        decoded(&[parts(json!([{"inlineData": picture, "thought": true}, {"inlineData": picture}])), stop()]);
    assert_eq!(events[1], Event::Text { choice: 0, text: "![image](data:image/png;base64,AAAA)".into() });
    assert_eq!(events.len(), 4);
}

#[test]
fn a_finish_reason_in_every_event_finishes_once() {
    let event = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}]});
    let events = decoded(&[event("a"), event("b")]);
    assert_eq!(
        events[1..],
        [
            Event::Text { choice: 0, text: "a".into() },
            Event::Text { choice: 0, text: "b".into() },
            finish(0, FinishKind::Stop, "STOP"),
            Event::End,
        ]
    );
}

#[test]
fn a_blocked_prompt_is_a_filtered_choice() {
    let events = decoded(&[json!({"promptFeedback": {"blockReason": "OTHER"}, "modelVersion": "m"})]);
    assert_eq!(events[1..], [finish(0, FinishKind::ContentFilter, "OTHER"), Event::End]);
}

#[test]
fn a_cut_stream_is_a_bad_gateway() {
    for events in [vec![], vec![parts(json!([{"text": "Hel"}]))], vec![json!({"usageMetadata": {}})]] {
        let out = decoded(&events);
        assert!(matches!(out.last(), Some(Event::Error(error)) if error.status == 502), "{out:?}");
    }
    let one_of_two = json!({"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1}]});
    assert!(matches!(decoded(&[one_of_two]).last(), Some(Event::Error(_))));
}

#[test]
fn nothing_follows_an_error() {
    let error = json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}});
    for event in [error.clone(), json!([error])] {
        let out = decoded(&[parts(json!([{"text": "a"}])), event, stop()]);
        assert_eq!(out.len(), 3, "{out:?}");
        assert!(
            matches!(&out[2], Event::Error(error) if error.status == 503 && error.message == "overloaded")
        );
    }
}

#[test]
fn unreadable_data_is_a_bad_gateway() {
    let mut out = Vec::new();
    let mut decoder = GeminiDecoder::default();
    decoder.decode("", "{\"candidates\":", &mut out);
    decoder.finish(&mut out);
    assert!(matches!(&out[..], [Event::Error(error)] if error.status == 502), "{out:?}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "candidates",
        "content",
        "parts",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "name",
        "args",
        "id",
        "index",
        "finishReason",
        "usageMetadata",
        "promptTokenCount",
        "thoughtsTokenCount",
        "error",
        "code",
        "promptFeedback",
        "blockReason",
        "inlineData",
        "mimeType",
        "data",
        "logprobsResult",
        "chosenCandidates",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(Value::from("STOP")),
    ];
    leaf.prop_recursive(8, 96, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_read_without_panic(events in prop::collection::vec(any_json(), 0..4)) {
        let out = decoded(&events);
        let ended = matches!(out.last(), Some(Event::End | Event::Error(_)));
        prop_assert!(ended, "{out:?}");
        let errors = out.iter().filter(|event| matches!(event, Event::Error(_))).count();
        prop_assert!(errors <= 1);
        for event in &events {
            drop(super::super::decode::answer(event.to_string().as_bytes()));
        }
    }

    #[test]
    fn any_candidate_is_read_without_panic(candidate in any_json(), usage in any_json()) {
        let whole = json!({"candidates": [candidate], "usageMetadata": usage});
        drop(super::super::decode::answer(whole.to_string().as_bytes()));
        drop(decoded(&[whole]));
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".{0,64}") {
        let mut out = Vec::new();
        let mut decoder = GeminiDecoder::default();
        decoder.decode("", &text, &mut out);
        decoder.finish(&mut out);
        drop(super::super::decode::answer(text.as_bytes()));
        let _ = errors::from_body(500, text.as_bytes());
    }
}
