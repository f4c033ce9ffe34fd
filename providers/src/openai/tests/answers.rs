//! Whole answers, in and out.

use serde_json::{Value, json};

use super::options;
use crate::answer::{Answer, Choice};
use crate::call::Part;
use crate::event::{FinishKind, FinishReason};
use crate::openai::ChatCodec;
use crate::usage::Usage;
use crate::{Inbound, Outbound, UpstreamError};

fn read(body: &Value) -> Result<Answer, Box<UpstreamError>> {
    ChatCodec.read_answer(body.to_string().as_bytes()).map_err(Box::new)
}

fn parts(message: Value) -> Vec<Part> {
    let mut answer = read(&json!({"choices": [{"message": message}]})).unwrap();
    answer.choices.remove(0).parts
}

fn claude() -> Answer {
    Answer {
        id: "msg_1".into(),
        model: "claude".into(),
        created: 0,
        choices: vec![Choice {
            parts: vec![
                Part::Thinking { text: "hm".into(), signature: Some("sig".into()) },
                Part::RedactedThinking { data: "xx".into() },
                Part::text("Hi"),
                Part::ToolCall {
                    id: "c".into(),
                    name: "f".into(),
                    arguments: String::new(),
                    signature: Some("g".into()),
                },
            ],
            finish: Some(FinishReason::new(FinishKind::ToolCalls, "tool_use")),
            logprobs: None,
        }],
        usage: Some(Usage {
            input: 10,
            cached_input: 4,
            cache_write: 3,
            output: 5,
            reasoning: 2,
            ..Usage::default()
        }),
    }
}

#[test]
fn reasoning_has_many_names() {
    let wanted = [Part::Thinking { text: "hm".into(), signature: None }, Part::text("Hi")];
    for name in ["reasoning_content", "reasoning", "thinking"] {
        assert_eq!(parts(json!({"content": "Hi", name: "hm"})), wanted, "{name}");
    }
}

#[test]
fn refusals_images_and_spoken_words_are_read() {
    assert_eq!(parts(json!({"content": null, "refusal": "no"})), [Part::Refusal { text: "no".into() }]);
    assert_eq!(parts(json!({"content": null, "audio": {"transcript": "Hi"}})), [Part::text("Hi")]);
    let images = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]);
    assert!(matches!(parts(json!({"content": "", "images": images}))[..], [Part::Image { .. }]));
}

#[test]
fn a_legacy_call_is_a_tool_call() {
    let got = parts(json!({"content": null, "function_call": {"name": "f", "arguments": "{}"}}));
    assert!(matches!(&got[..], [Part::ToolCall { name, .. }] if name == "f"));
}

#[test]
fn an_error_in_a_200_is_an_error() {
    let error = read(&json!({"error": {"message": "slow down", "code": 429}})).unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (429, "slow down"));
    let in_choice =
        json!({"choices": [{"error": {"message": "broke", "code": 503}, "finish_reason": "error"}]});
    assert_eq!(read(&in_choice).unwrap_err().status, 503);
    assert_eq!(read(&json!({"weird": 1})).unwrap_err().status, 502);
    assert_eq!(ChatCodec.read_answer(b"<html>").unwrap_err().status, 502);
}

#[test]
fn a_strict_answer_has_only_openai_members() {
    let wanted = json!({
        "id": "msg_1", "object": "chat.completion", "created": 7, "model": "claude", "provider": "acme",
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant", "content": "Hi", "reasoning_content": "hm",
                "tool_calls": [{
                    "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "g"}},
                }],
            },
            "logprobs": null,
            "finish_reason": "tool_calls",
        }],
        "usage": {
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2},
            "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3,
        },
    });
    assert_eq!(ChatCodec.write_answer(&claude(), &options(true)), wanted);
}

#[test]
fn a_lax_answer_adds_blocks_and_the_own_word() {
    let got = ChatCodec.write_answer(&claude(), &options(false));
    let choice = &got["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_use");
    let blocks = json!([
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
        {"type": "text", "text": "Hi"},
    ]);
    assert_eq!(choice["message"]["content_blocks"], blocks);
    // What a client sends back is what came.
    let call = ChatCodec.read_call(&json!({"messages": [choice["message"]]})).unwrap();
    let mut sent = claude().choices.remove(0).parts;
    if let Some(Part::ToolCall { arguments, .. }) = sent.last_mut() {
        *arguments = "{}".into();
    }
    assert_eq!(call.messages[0].parts, sent);
}

#[test]
fn content_is_null_beside_tool_calls_only() {
    let mut answer = claude();
    answer.choices[0].parts.retain(|part| matches!(part, Part::ToolCall { .. }));
    let got = ChatCodec.write_answer(&answer, &options(true));
    assert_eq!(got["choices"][0]["message"]["content"], Value::Null);
    answer.choices[0].parts.clear();
    let got = ChatCodec.write_answer(&answer, &options(true));
    assert_eq!(got["choices"][0]["message"]["content"], "");
}

#[test]
fn what_the_vendor_did_not_say_is_filled_in() {
    let got = ChatCodec.write_answer(&Answer::default(), &options(true));
    assert_eq!(got["id"], "own-id");
    assert_eq!(got["model"], "own-model");
    assert_eq!(got["created"], 7);
    assert_eq!(got.get("usage"), None);
}
