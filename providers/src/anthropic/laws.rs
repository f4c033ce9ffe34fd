//! Laws that hold for any input: nothing panics, and what is decoded survives encoding and decoding again.

use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::MessagesCodec;
use crate::codec::{EncodeOptions, Inbound, Outbound};
use crate::event::Event;

/// Words that readers look for, so that arbitrary bodies reach further than their first check.
const NAMES: [&str; 40] = [
    "type",
    "model",
    "messages",
    "role",
    "content",
    "system",
    "max_tokens",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "format",
    "effort",
    "schema",
    "metadata",
    "user_id",
    "source",
    "media_type",
    "data",
    "url",
    "file_id",
    "text",
    "id",
    "name",
    "input",
    "tool_use_id",
    "budget_tokens",
    "usage",
    "input_tokens",
    "delta",
    "index",
    "content_block",
    "message",
    "error",
    "stop_reason",
    "stop_sequence",
    "partial_json",
    "signature",
    "title",
    "cache_control",
];

const WORDS: [&str; 30] = [
    "text",
    "image",
    "document",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "search_result",
    "base64",
    "url",
    "file",
    "user",
    "assistant",
    "system",
    "auto",
    "any",
    "tool",
    "enabled",
    "json_schema",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "error",
    "text_delta",
    "input_json_delta",
    "signature_delta",
    "",
];

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        prop::sample::select(&WORDS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let name = prop::sample::select(&NAMES[..]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..7).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<Map<_, _>>()
                    .into()
            }),
        ]
    })
}

fn decoded(frames: &[String]) -> Vec<Event> {
    let mut decoder = MessagesCodec.decoder();
    let mut events = Vec::new();
    for frame in frames {
        decoder.decode("", frame, &mut events);
    }
    decoder.finish(&mut events);
    events
}

fn encoded(events: &[Event]) -> Vec<String> {
    let mut encoder = MessagesCodec.encoder(EncodeOptions::default());
    let mut out = BytesMut::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    let stream = String::from_utf8(out.to_vec()).unwrap();
    stream.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}

/// A content block as the vendor streams it: its start, and its pieces.
fn block() -> impl Strategy<Value = (Value, Vec<Value>)> {
    let words = || prop::collection::vec("[a-zä\"\n ]{0,8}", 0..4);
    prop_oneof![
        words().prop_map(|words| {
            let pieces = words.into_iter().map(|text| json!({"type": "text_delta", "text": text}));
            (json!({"type": "text", "text": ""}), pieces.collect())
        }),
        (words(), "[a-z]{1,8}").prop_map(|(words, signature)| {
            let pieces = words.into_iter().map(|text| json!({"type": "thinking_delta", "thinking": text}));
            let last = json!({"type": "signature_delta", "signature": signature});
            (json!({"type": "thinking", "thinking": "", "signature": ""}), pieces.chain([last]).collect())
        }),
        "[a-z]{1,8}".prop_map(|data| (json!({"type": "redacted_thinking", "data": data}), Vec::new())),
        words().prop_map(|words| {
            let pieces =
                words.into_iter().map(|json| json!({"type": "input_json_delta", "partial_json": json}));
            (json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}), pieces.collect())
        }),
    ]
}

fn stream(blocks: Vec<(Value, Vec<Value>)>, usage: [u64; 4]) -> Vec<String> {
    // Figures of a stream only grow, and the first one reported here is 1.
    let [fresh, cached, written, more] = usage;
    let output = 1 + more;
    let usage = json!({"input_tokens": fresh, "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written, "output_tokens": 1});
    let mut frames = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": usage}}),
        json!({"type": "ping"}),
    ];
    for (index, (start, pieces)) in blocks.into_iter().enumerate() {
        frames.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        let pieces = pieces.into_iter();
        frames.extend(
            pieces.map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
        );
        frames.push(json!({"type": "content_block_stop", "index": index}));
    }
    let delta = json!({"stop_reason": "stop_sequence", "stop_sequence": "END"});
    frames.push(json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": output}}));
    frames.push(json!({"type": "message_stop"}));
    frames.iter().map(Value::to_string).collect()
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(body in arbitrary_json()) {
        let mut body = body;
        if let Ok(call) = MessagesCodec.read_call(&body) {
            let _ = MessagesCodec.write_call(&call);
        }
        if let Some(object) = body.as_object_mut() {
            // The same once more with what every call needs.
            object.insert("model".into(), "claude-sonnet-4-5".into());
            object.insert("max_tokens".into(), 2000.into());
            let messages = json!([{"role": "user", "content": object.get("content").unwrap_or(&json!("a"))}]);
            object.entry("messages").or_insert(messages);
            if let Ok(call) = MessagesCodec.read_call(&body) {
                let _ = MessagesCodec.write_call(&call);
            }
        }
        let bytes = body.to_string();
        if let Ok(answer) = MessagesCodec.read_answer(bytes.as_bytes()) {
            MessagesCodec.write_answer(&answer, &EncodeOptions::default());
        }
        MessagesCodec.read_error(500, &http::HeaderMap::new(), bytes.as_bytes());
    }

    #[test]
    fn any_frames_are_decoded_and_encoded(frames in prop::collection::vec(arbitrary_json(), 0..8)) {
        let frames: Vec<String> = frames.iter().map(Value::to_string).collect();
        let events = decoded(&frames);
        let ends = events.iter().filter(|event| matches!(event, Event::End | Event::Error(_))).count();
        prop_assert_eq!(ends, 1);
        encoded(&events);
    }

    #[test]
    fn any_bytes_are_an_error_or_an_answer(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = MessagesCodec.read_answer(&body);
        MessagesCodec.read_error(502, &http::HeaderMap::new(), &body);
    }

    #[test]
    fn a_stream_survives_a_round_trip(
        blocks in prop::collection::vec(block(), 0..6),
        usage in prop::array::uniform4(0u64..1000),
    ) {
        let first = decoded(&stream(blocks, usage));
        let second = decoded(&encoded(&first));
        prop_assert_eq!(first, second);
    }
}
