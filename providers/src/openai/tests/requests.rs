//! Request bodies, in and out.

use serde_json::{Value, json};

use crate::call::{ChatCall, Media, Message, Part, ReasoningRequest, ResponseFormat, Role, Tool, ToolChoice};
use crate::openai::ChatCodec;
use crate::{Inbound, InvalidCall, Outbound};

fn read(body: Value) -> Result<ChatCall, InvalidCall> {
    ChatCodec.read_call(&body)
}

/// Reads a body of one message and returns its parts.
fn parts(message: Value) -> Vec<Part> {
    let mut call = read(json!({"model": "m", "messages": [message]})).unwrap();
    call.messages.remove(0).parts
}

fn written(messages: Vec<Message>) -> Value {
    let call = ChatCall { model: "m".into(), messages, ..ChatCall::default() };
    ChatCodec.write_call(&call).unwrap()["messages"].take()
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts }
}

fn fault(body: Value) -> String {
    read(body).unwrap_err().param.unwrap()
}

#[test]
fn a_documented_body_survives_the_round_trip() {
    let body: Value = serde_json::from_str(include_str!("../../../fixtures/openai/request.json")).unwrap();
    let call = read(body.clone()).unwrap();
    assert_eq!(ChatCodec.write_call(&call).unwrap(), body);
}

#[test]
fn content_may_be_text_parts_or_nothing() {
    assert_eq!(parts(json!({"role": "user", "content": "Hi"})), [Part::text("Hi")]);
    assert_eq!(parts(json!({"role": "user", "content": ["Hi"]})), [Part::text("Hi")]);
    assert_eq!(parts(json!({"role": "assistant", "content": null})), []);
    assert_eq!(parts(json!({"role": "assistant"})), []);
    let cached = json!({"type": "ephemeral"});
    let content = json!([{"type": "text", "text": "Hi", "cache_control": cached}]);
    let wanted = Part::Text { text: "Hi".into(), cache_control: Some(cached) };
    assert_eq!(parts(json!({"role": "system", "content": content})), [wanted]);
}

#[test]
fn pictures_come_as_object_or_text() {
    let url = Media::Url { url: "https://e.example/a.png".into(), media_type: None };
    for image_url in [json!("https://e.example/a.png"), json!({"url": "https://e.example/a.png"})] {
        let got = parts(json!({"role": "user", "content": [{"type": "image_url", "image_url": image_url}]}));
        assert_eq!(got, [Part::Image { source: url.clone(), detail: None, cache_control: None }]);
    }
}

#[test]
fn sound_and_files_are_read() {
    let got = parts(json!({"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]}));
    let bytes =
        |media_type: &str, data: &str| Media::Base64 { media_type: media_type.into(), data: data.into() };
    let pdf = bytes("application/pdf", "JVBERg==");
    let wanted = [
        Part::Audio { source: bytes("audio/wav", "UklGRg==") },
        Part::File { source: pdf, name: Some("a.pdf".into()), cache_control: None },
        Part::File { source: Media::FileId("file-1".into()), name: None, cache_control: None },
    ];
    assert_eq!(got, wanted);
}

#[test]
fn arguments_may_be_an_object() {
    let call = |arguments: Value| json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
    let wanted = |arguments: &str| Part::ToolCall {
        id: "c".into(),
        name: "f".into(),
        arguments: arguments.into(),
        signature: None,
    };
    for (arguments, text) in
        [(json!("{\"a\":1}"), "{\"a\":1}"), (json!({"a": 1}), "{\"a\":1}"), (json!(null), "")]
    {
        let got = parts(json!({"role": "assistant", "tool_calls": [call(arguments)]}));
        assert_eq!(got, [wanted(text)]);
    }
}

#[test]
fn signatures_of_calls_go_both_ways() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "sig"}}});
    let body =
        json!({"model": "m", "messages": [{"role": "assistant", "content": null, "tool_calls": [call]}]});
    let read = read(body.clone()).unwrap();
    assert!(matches!(&read.messages[0].parts[0], Part::ToolCall { signature: Some(s), .. } if s == "sig"));
    assert_eq!(ChatCodec.write_call(&read).unwrap(), body);
}

#[test]
fn legacy_functions_become_tools_whose_results_find_their_call() {
    let call = read(json!({
        "model": "m",
        "messages": [
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "31C"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object"}}],
        "function_call": {"name": "f"},
    }))
    .unwrap();
    let Part::ToolCall { id: called, .. } = &call.messages[0].parts[0] else { panic!("{call:?}") };
    let Part::ToolResult { id: answered, .. } = &call.messages[1].parts[0] else { panic!("{call:?}") };
    assert_eq!(called, answered);
    assert_eq!(call.tool_choice, Some(ToolChoice::Named("f".into())));
    assert!(matches!(&call.tools[..], [Tool::Function { name, .. }] if name == "f"));
}

#[test]
fn thoughts_sent_back_keep_signature_and_order() {
    let got =
        parts(json!({"role": "assistant", "content": "Hi", "reasoning_content": "hm", "content_blocks": [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "c", "name": "f", "input": {}},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    ], "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}));
    let call = Part::ToolCall { id: "c".into(), name: "f".into(), arguments: "{}".into(), signature: None };
    let wanted = [
        Part::Thinking { text: "hm".into(), signature: Some("sig".into()) },
        Part::RedactedThinking { data: "xx".into() },
        Part::text("Hi"),
        call,
    ];
    assert_eq!(got, wanted);
    let unsigned = Part::Thinking { text: "hm".into(), signature: None };
    for name in ["reasoning_content", "reasoning"] {
        let got = parts(json!({"role": "assistant", "content": "Hi", name: "hm"}));
        assert_eq!(got, [unsigned.clone(), Part::text("Hi")]);
    }
}

#[test]
fn every_way_to_ask_for_thinking_is_read() {
    let reasoning = |member: &str, value: Value| {
        read(json!({"model": "m", "messages": [], member: value})).unwrap().reasoning.unwrap()
    };
    assert_eq!(reasoning("reasoning_effort", json!("low")).effort.as_deref(), Some("low"));
    let openrouter = reasoning("reasoning", json!({"effort": "high", "max_tokens": 9, "exclude": true}));
    let wanted = ReasoningRequest {
        effort: Some("high".into()),
        budget_tokens: Some(9),
        include_thoughts: Some(false),
        raw: None,
    };
    assert_eq!(openrouter, wanted);
    let thinking = json!({"type": "enabled", "budget_tokens": 2048});
    let anthropic = reasoning("thinking", thinking.clone());
    assert_eq!((anthropic.budget_tokens, anthropic.raw), (Some(2048), Some(thinking)));
    assert_eq!(reasoning("thinking", json!({"type": "disabled"})).effort.as_deref(), Some("none"));
}

#[test]
fn the_newer_limit_counts_and_stop_is_always_a_list() {
    let call =
        read(json!({"messages": [], "max_tokens": 5, "max_completion_tokens": 77.0, "stop": "END"})).unwrap();
    assert_eq!((call.max_tokens, call.stop), (Some(77), vec!["END".to_owned()]));
    let call = read(json!({"messages": [], "stop": null, "temperature": "portkey-default"})).unwrap();
    assert_eq!((call.stop.len(), call.temperature), (0, None));
}

#[test]
fn members_without_a_place_are_kept() {
    let call = read(json!({"messages": [], "logit_bias": {"1": 1}, "unknown": "z", "gone": null})).unwrap();
    assert_eq!(Value::Object(call.extra), json!({"logit_bias": {"1": 1}, "unknown": "z"}));
    let vendor = json!({"type": "web_search_preview"});
    let call = read(json!({"messages": [], "tools": [vendor]})).unwrap();
    assert_eq!(call.tools, [Tool::Vendor(vendor)]);
}

#[test]
fn choices_of_tools_have_many_spellings() {
    let choice =
        |value: Value| read(json!({"messages": [], "tool_choice": value})).unwrap().tool_choice.unwrap();
    assert_eq!(choice(json!("any")), ToolChoice::Required);
    assert_eq!(choice(json!({"type": "auto"})), ToolChoice::Auto);
    assert_eq!(choice(json!({"type": "tool", "name": "f"})), ToolChoice::Named("f".into()));
    assert_eq!(
        choice(json!({"type": "allowed_tools", "allowed_tools": {"mode": "required"}})),
        ToolChoice::Required
    );
}

#[test]
fn a_schema_without_name_gets_one() {
    let format = json!({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}});
    let call = read(json!({"messages": [], "response_format": format})).unwrap();
    assert!(
        matches!(call.response_format, Some(ResponseFormat::JsonSchema { name, .. }) if name == "response")
    );
}

#[test]
fn faults_are_named_by_their_path() {
    let messages = |message: Value| json!({"messages": [{"role": "user", "content": "a"}, message]});
    for (body, path) in [
        (json!({}), "messages"),
        (json!({"messages": "Hi"}), "messages"),
        (messages(json!("Hi")), "messages[1]"),
        (messages(json!({"content": "a"})), "messages[1].role"),
        (messages(json!({"role": "robot"})), "messages[1].role"),
        (messages(json!({"role": "user", "content": 5})), "messages[1].content"),
        (messages(json!({"role": "user", "content": [{"type": "video"}]})), "messages[1].content[0].type"),
        (
            messages(json!({"role": "user", "content": [{"type": "image_url"}]})),
            "messages[1].content[0].image_url",
        ),
        (messages(json!({"role": "tool", "content": "a"})), "messages[1].tool_call_id"),
        (
            messages(json!({"role": "assistant", "tool_calls": [{"id": "c"}]})),
            "messages[1].tool_calls[0].function",
        ),
        (json!({"messages": [], "max_tokens": -1}), "max_tokens"),
        (json!({"messages": [], "stop": ["a", 1]}), "stop[1]"),
        (json!({"messages": [], "tools": [{"type": "function"}]}), "tools[0].function"),
        (json!({"messages": [], "response_format": {"type": "xml"}}), "response_format.type"),
        (json!({"messages": [], "tool_choice": "maybe"}), "tool_choice"),
    ] {
        assert_eq!(fault(body.clone()), path, "{body}");
    }
    assert_eq!(read(json!([])).unwrap_err().param, None);
}

#[test]
fn tool_results_stand_right_behind_their_calls() {
    let result = |id: &str, content: Vec<Part>| Part::ToolResult {
        id: id.into(),
        name: None,
        content,
        is_error: false,
        cache_control: None,
    };
    let png = Media::Base64 { media_type: "image/png".into(), data: "AA==".into() };
    let picture = Part::Image { source: png, detail: None, cache_control: None };
    let got = written(vec![message(
        Role::User,
        vec![
            Part::text("What now?"),
            result("a", vec![Part::text("31C"), picture]),
            result("b", vec![Part::text("one"), Part::text("two")]),
        ],
    )]);
    let wanted = json!([
        {"role": "tool", "tool_call_id": "a", "content": "31C"},
        {"role": "tool", "tool_call_id": "b", "content": "one\ntwo"},
        {"role": "user", "content": [
            {"type": "text", "text": "Attached to the result of tool call a:"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            {"type": "text", "text": "What now?"},
        ]},
    ]);
    assert_eq!(got, wanted);
}

#[test]
fn pictures_of_results_wait_until_all_results_are_given() {
    let png = Media::Url { url: "https://e.example/a.png".into(), media_type: None };
    let picture = Part::Image { source: png, detail: None, cache_control: None };
    let result = |id: &str, content| {
        message(
            Role::Tool,
            vec![Part::ToolResult {
                id: id.into(),
                name: None,
                content,
                is_error: false,
                cache_control: None,
            }],
        )
    };
    let got = written(vec![result("a", vec![picture]), result("b", vec![Part::text("ok")])]);
    let roles: Vec<&str> = got.as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["tool", "tool", "user"]);
}

#[test]
fn thoughts_are_not_sent_to_openai() {
    let got = written(vec![message(
        Role::Assistant,
        vec![Part::Thinking { text: "hm".into(), signature: Some("s".into()) }, Part::text("Hi")],
    )]);
    assert_eq!(got, json!([{"role": "assistant", "content": "Hi"}]));
}

#[test]
fn what_openai_can_not_take_is_refused_by_path() {
    let url = |u: &str| Media::Url { url: u.into(), media_type: None };
    for part in [
        Part::Audio { source: url("https://e.example/a.wav") },
        Part::File { source: url("https://e.example/a.pdf"), name: None, cache_control: None },
    ] {
        let call = ChatCall {
            messages: vec![message(Role::User, vec![Part::text("a"), part])],
            ..ChatCall::default()
        };
        let error = ChatCodec.write_call(&call).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("messages[0].content[1]"));
    }
}

#[test]
fn text_documents_are_sent_as_text() {
    let note = Media::Base64 { media_type: "text/plain".into(), data: "aGVsbG8=".into() };
    let part = Part::File { source: note, name: Some("n.txt".into()), cache_control: None };
    assert_eq!(
        written(vec![message(Role::User, vec![part])]),
        json!([{"role": "user", "content": "n.txt:\nhello"}])
    );
}

#[test]
fn members_of_other_dialects_stay_behind() {
    let mut call = ChatCall { model: "m".into(), stream: true, ..ChatCall::default() };
    call.extra =
        json!({"anthropic_version": "x", "instructions": "y", "logit_bias": {}}).as_object().unwrap().clone();
    call.reasoning = Some(ReasoningRequest { budget_tokens: Some(4000), ..Default::default() });
    call.tool_choice = Some(ToolChoice::Auto);
    let wanted = json!({
        "model": "m", "messages": [], "reasoning_effort": "medium", "stream": true,
        "stream_options": {"include_usage": true}, "logit_bias": {},
    });
    assert_eq!(ChatCodec.write_call(&call).unwrap(), wanted);
}
