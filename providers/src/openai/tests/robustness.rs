//! Arbitrary JSON never panics, and what is read can be written.

use http::HeaderMap;
use proptest::prelude::*;
use serde_json::Value;

use super::options;
use crate::openai::{ChatCodec, CompletionsCodec};
use crate::{Inbound, Outbound};

/// Member names of the wire, so that arbitrary objects get past the first check.
const NAMES: &[&str] = &[
    "arguments",
    "cache_control",
    "choices",
    "code",
    "completion_tokens",
    "content",
    "content_blocks",
    "custom",
    "data",
    "delta",
    "detail",
    "error",
    "errors",
    "extra_content",
    "file",
    "file_data",
    "finish_reason",
    "format",
    "function",
    "function_call",
    "functions",
    "google",
    "id",
    "image_url",
    "index",
    "input_audio",
    "loc",
    "message",
    "messages",
    "model",
    "msg",
    "name",
    "parameters",
    "prompt",
    "prompt_tokens",
    "prompt_tokens_details",
    "reasoning",
    "reasoning_content",
    "refusal",
    "response_format",
    "role",
    "stop",
    "stream",
    "text",
    "thinking",
    "tool_call_id",
    "tool_calls",
    "tool_choice",
    "tools",
    "total_tokens",
    "type",
    "url",
    "usage",
    "x_groq",
];

/// Words that the wire knows.
const WORDS: &[&str] = &[
    "",
    "assistant",
    "auto",
    "data:image/png;base64,AA==",
    "developer",
    "file",
    "function",
    "image_url",
    "input_audio",
    "json_schema",
    "redacted_thinking",
    "refusal",
    "stop",
    "system",
    "text",
    "thinking",
    "tool",
    "user",
    "é",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((prop::sample::select(NAMES), inner), 0..8).prop_map(|members| {
                Value::Object(members.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
            }),
        ]
    })
}

/// Wraps arbitrary values in the outermost layers, so that the inner readers see them.
fn chat_body() -> impl Strategy<Value = Value> {
    let role = prop::sample::select(&["system", "developer", "user", "assistant", "tool", "function"][..]);
    let message = (role, json(), json(), json()).prop_map(|(role, content, calls, blocks)| {
        serde_json::json!({
            "role": role, "content": content, "tool_calls": calls, "content_blocks": blocks,
            "tool_call_id": "c", "name": "f",
        })
    });
    prop::collection::vec(message, 0..4).prop_map(|messages| serde_json::json!({"messages": messages}))
}

fn chunk() -> impl Strategy<Value = Value> {
    (json(), json(), json(), json()).prop_map(|(content, calls, blocks, usage)| {
        let delta = serde_json::json!({"content": content, "tool_calls": calls, "content_blocks": blocks});
        serde_json::json!({"id": "x", "choices": [{"index": 0, "delta": delta}], "usage": usage})
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_never_panic(body in prop_oneof![json(), chat_body()]) {
        if let Ok(call) = ChatCodec.read_call(&body) {
            let _ = ChatCodec.write_call(&call);
        }
        let _ = CompletionsCodec.read_call(&body);
    }

    #[test]
    fn what_was_written_reads_the_same_again(body in chat_body()) {
        if let Ok(call) = ChatCodec.read_call(&body)
            && let Ok(first) = ChatCodec.write_call(&call)
        {
            let again = ChatCodec.read_call(&first).unwrap();
            prop_assert_eq!(ChatCodec.write_call(&again).unwrap(), first);
        }
    }

    #[test]
    fn answers_never_panic(body in json(), message in json(), status in any::<u16>()) {
        let bytes = body.to_string().into_bytes();
        let _ = ChatCodec.read_error(status, &HeaderMap::new(), &bytes);
        let _ = ChatCodec.read_answer(&bytes);
        let whole = serde_json::json!({"choices": [{"message": message}], "usage": body}).to_string();
        let answer = ChatCodec.read_answer(whole.as_bytes()).unwrap();
        for strict in [true, false] {
            let _ = ChatCodec.write_answer(&answer, &options(strict));
            let _ = CompletionsCodec.write_answer(&answer, &options(strict));
        }
    }

    #[test]
    fn streams_never_panic(chunks in prop::collection::vec(prop_oneof![json(), chunk()], 0..6), event in "(error)?") {
        let (mut decoder, mut events) = (ChatCodec.decoder(), Vec::new());
        for chunk in &chunks {
            decoder.decode(&event, &chunk.to_string(), &mut events);
        }
        decoder.finish(&mut events);
        let (mut chat, mut text) = (ChatCodec.encoder(options(false)), CompletionsCodec.encoder(options(true)));
        let mut out = bytes::BytesMut::new();
        for event in &events {
            chat.encode(event, &mut out);
            text.encode(event, &mut out);
        }
    }

    #[test]
    fn text_that_is_no_json_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "\\PC{0,700}") {
        let _ = ChatCodec.read_answer(&bytes);
        let _ = ChatCodec.read_error(500, &HeaderMap::new(), &bytes);
        let _ = ChatCodec.read_error(500, &HeaderMap::new(), text.as_bytes());
        let (mut decoder, mut events) = (ChatCodec.decoder(), Vec::new());
        decoder.decode("", &text, &mut events);
        decoder.finish(&mut events);
    }
}
