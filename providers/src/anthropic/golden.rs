//! Golden tests over `fixtures/anthropic`.
//!
//! `calls.json` holds the bodies that must be sent for calls of OpenAI's clients. They agree with what Portkey's
//! gateway sends, except on purpose here:
//!
//! - `system` is left out when there is none, instead of an empty list;
//! - a lone stop sequence is a list, since the vendor refuses a string;
//! - consecutive turns of one side are merged, so several tool results share a user message;
//! - a lone text of an assistant is a string;
//! - tool schemas stay as sent: `additionalProperties` is kept and no empty `$defs` is added;
//! - `parallel_tool_calls: false` is said, not dropped;
//! - effort means a thinking budget, or nothing, for models that don't know effort;
//! - members that a model refuses are left out (sampling while thinking and from 4.7 on).

use serde_json::{Map, Value, json};

use super::MessagesCodec;
use crate::call::{ChatCall, Media, Message, Part, ReasoningRequest, ResponseFormat, Role, Tool, ToolChoice};
use crate::codec::{Inbound, Outbound};
use crate::event::{Event, FinishKind, FinishReason};
use crate::usage::Usage;

const REQUEST: &str = include_str!("../../fixtures/anthropic/request.json");
const RESPONSE: &str = include_str!("../../fixtures/anthropic/response.json");
const STREAM: &str = include_str!("../../fixtures/anthropic/stream.sse");
const CALLS: &str = include_str!("../../fixtures/anthropic/calls.json");

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts }
}

fn user(text: &str) -> Message {
    message(Role::User, vec![Part::text(text)])
}

fn hello(max_tokens: u64) -> ChatCall {
    ChatCall {
        model: "claude-sonnet-4-5".into(),
        messages: vec![user("Hello")],
        max_tokens: Some(max_tokens),
        ..ChatCall::default()
    }
}

fn with_tool(choice: ToolChoice) -> ChatCall {
    let tool = Tool::Function {
        name: "weather".into(),
        description: Some("Weather of a city".into()),
        parameters: Some(json!({"type": "object", "properties": {"city": {"type": "string"}},
            "required": ["city"], "additionalProperties": false})),
        strict: None,
        cache_control: None,
    };
    ChatCall { tools: vec![tool], tool_choice: Some(choice), ..hello(5) }
}

fn tool_round_trip() -> ChatCall {
    let call = |id: &str, arguments: &str| Part::ToolCall {
        id: id.into(),
        name: "weather".into(),
        arguments: arguments.into(),
        signature: None,
    };
    let result = |id: &str, text: &str| Part::ToolResult {
        id: id.into(),
        name: Some("weather".into()),
        content: vec![Part::text(text)],
        is_error: false,
        cache_control: None,
    };
    let mut chat = hello(5);
    chat.messages.extend([
        message(Role::Assistant, vec![call("call_1", r#"{"city":"Pune"}"#), call("call_2", "")]),
        message(Role::Tool, vec![result("call_1", "31C")]),
        message(Role::Tool, vec![result("call_2", "which city?")]),
    ]);
    chat
}

fn with_image(source: Media) -> ChatCall {
    let image = Part::Image { source, detail: Some("low".into()), cache_control: None };
    let messages = vec![message(Role::User, vec![Part::text("What?"), image])];
    ChatCall { messages, ..hello(5) }
}

fn system_and_stop() -> ChatCall {
    let messages = vec![
        message(Role::System, vec![Part::text("Be brief")]),
        user("Hello"),
        message(Role::Assistant, vec![Part::text("Yes?")]),
        message(Role::Developer, vec![Part::text("And kind")]),
        user("More"),
    ];
    ChatCall { messages, stop: vec!["END".into()], ..hello(5) }
}

fn with_effort(model: &str, max_tokens: u64) -> ChatCall {
    let reasoning = ReasoningRequest { effort: Some("low".into()), ..ReasoningRequest::default() };
    ChatCall { model: model.into(), reasoning: Some(reasoning), ..hello(max_tokens) }
}

fn of_other_vendors() -> ChatCall {
    let extra: Map<String, Value> = [("logit_bias", json!({"1": 1})), ("store", json!(false))]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    ChatCall {
        n: Some(2),
        seed: Some(7),
        user: Some("u1".into()),
        top_k: Some(5),
        top_p: Some(0.9),
        logprobs: Some(true),
        frequency_penalty: Some(0.2),
        service_tier: Some("auto".into()),
        metadata: Some(extra.clone()),
        extra,
        ..hello(5)
    }
}

fn cases() -> Vec<(&'static str, ChatCall)> {
    let schema = ResponseFormat::JsonSchema {
        name: "p".into(),
        description: None,
        schema: json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        strict: Some(true),
    };
    let thinking = ReasoningRequest {
        raw: Some(json!({"type": "enabled", "budget_tokens": 2048})),
        budget_tokens: Some(2048),
        ..ReasoningRequest::default()
    };
    let url = |url: &str| Media::Url { url: url.into(), media_type: None };
    vec![
        ("plain", ChatCall { temperature: Some(0.5), ..hello(50) }),
        ("no max_tokens", ChatCall { max_tokens: None, ..hello(0) }),
        ("system and stop", system_and_stop()),
        ("tools auto", with_tool(ToolChoice::Auto)),
        ("tools required", ChatCall { parallel_tool_calls: Some(false), ..with_tool(ToolChoice::Required) }),
        ("tools named", with_tool(ToolChoice::Named("weather".into()))),
        ("tool round trip", tool_round_trip()),
        ("image by url", with_image(url("https://example.com/a.png"))),
        ("image by data", with_image(url("data:image/png;base64,iVBORw0KGgo="))),
        ("json schema", ChatCall { response_format: Some(schema), ..hello(5) }),
        ("effort", with_effort("claude-opus-4-6", 5)),
        ("effort before effort", with_effort("claude-sonnet-4-5", 4096)),
        ("thinking as sent", ChatCall { reasoning: Some(thinking), ..hello(4096) }),
        ("stream", ChatCall { stream: true, ..hello(5) }),
        ("members of other vendors", of_other_vendors()),
    ]
}

fn stream_events() -> Vec<Event> {
    let mut decoder = MessagesCodec.decoder();
    let mut events = Vec::new();
    for frame in STREAM.split_terminator("\n\n") {
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        decoder.decode(field("event: "), field("data: "), &mut events);
    }
    decoder.finish(&mut events);
    events
}

#[test]
fn calls_are_written_as_the_vendor_wants_them() {
    let expected: Map<String, Value> = serde_json::from_str(CALLS).unwrap();
    let cases = cases();
    assert_eq!(cases.len(), expected.len());
    for (name, call) in cases {
        assert_eq!(MessagesCodec.write_call(&call).as_ref(), Ok(&expected[name]), "{name}");
    }
}

#[test]
fn a_request_of_the_same_wire_is_written_as_it_was_read() {
    let body: Value = serde_json::from_str(REQUEST).unwrap();
    let call = MessagesCodec.read_call(&body).unwrap();
    assert_eq!(MessagesCodec.write_call(&call).unwrap(), body);
}

fn usage(output: u64, reasoning: u64) -> Usage {
    let (cached_input, cache_write, cache_write_1h) = (7, 5, 2);
    Usage { input: 23, cached_input, cache_write, cache_write_1h, output, reasoning, ..Usage::default() }
}

#[test]
fn an_answer_is_read() {
    let answer = MessagesCodec.read_answer(RESPONSE.as_bytes()).unwrap();
    assert_eq!(answer.id, "msg_01Tide");
    assert_eq!(answer.usage, Some(usage(40, 9)));
    let choice = &answer.choices[0];
    assert_eq!(choice.finish, Some(FinishReason::new(FinishKind::ToolCalls, "tool_use")));
    assert_eq!(
        choice.parts,
        [
            Part::Thinking { text: "The harbour is Husum.".into(), signature: Some("c2lnbmVk".into()) },
            Part::text("Let me "),
            Part::text("look."),
            Part::ToolCall {
                id: "toolu_01".into(),
                name: "high_water".into(),
                arguments: r#"{"harbour": "Husum"}"#.into(),
                signature: None,
            },
            Part::ToolCall {
                id: "toolu_02".into(),
                name: "weather".into(),
                arguments: String::new(),
                signature: None,
            },
        ]
    );
}

#[test]
fn a_stream_is_read() {
    let reasoning = |text: &str| Event::Reasoning { choice: 0, text: text.into() };
    let arguments = |json: &str| Event::ToolArguments { choice: 0, tool: 0, json: json.into() };
    let tool = |tool: u32, id: &str, name: &str| {
        let (choice, signature) = (0, None);
        Event::ToolStart { choice, tool, id: id.into(), name: name.into(), signature }
    };
    assert_eq!(
        stream_events(),
        [
            Event::Start { id: "msg_01Tide".into(), model: "claude-sonnet-4-5-20250929".into(), created: 0 },
            Event::Usage(usage(1, 0)),
            reasoning("The harbour "),
            reasoning("is Husum."),
            Event::Signature { choice: 0, signature: "c2lnbmVk".into() },
            Event::Text { choice: 0, text: "Let me look.".into() },
            tool(0, "toolu_01", "high_water"),
            arguments(r#"{"harbour":"#),
            arguments(r#" "Husum"}"#),
            tool(1, "toolu_02", "weather"),
            Event::Finish { choice: 0, reason: FinishReason::new(FinishKind::ToolCalls, "tool_use") },
            Event::Usage(usage(40, 9)),
            Event::End,
        ]
    );
}

#[test]
fn errors_are_read() {
    for (status, body, kind) in [
        (401, include_str!("../../fixtures/anthropic/error_401.json"), "authentication_error"),
        (429, include_str!("../../fixtures/anthropic/error_429.json"), "rate_limit_error"),
        (529, include_str!("../../fixtures/anthropic/error_529.json"), "overloaded_error"),
    ] {
        let error = MessagesCodec.read_error(status, &http::HeaderMap::new(), body.as_bytes());
        assert_eq!((error.status, error.kind.as_deref()), (status, Some(kind)));
        assert!(!error.message.is_empty());
    }
}
