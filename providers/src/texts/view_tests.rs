//! How messages of each dialect look to plugins.

use serde_json::{Value, json};

use super::{MessageView, ToolCallView, messages_view, params_json};
use crate::provider::Endpoint;

fn said(role: &'static str, text: &str) -> MessageView {
    MessageView { role, text: Some(text.to_owned()), ..MessageView::default() }
}

fn called(id: &str, name: &str, arguments: &str) -> ToolCallView {
    ToolCallView { id: id.into(), name: name.into(), arguments: arguments.into() }
}

#[test]
fn chat_and_anthropic_look_alike() {
    let image = json!({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}});
    let chat = json!({"messages": [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, image, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    ]});
    let anthropic = json!({"system": "rules", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, image, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "sunny"}]}]},
    ]});
    let wanted = [
        said("system", "rules"),
        MessageView { parts_json: Some(json!([image]).to_string()), ..said("user", "a\nb") },
        MessageView {
            role: "assistant",
            tool_calls: vec![called("1", "f", "{\"x\":1}")],
            ..MessageView::default()
        },
        MessageView { tool_call_id: Some("1".into()), ..said("tool", "sunny") },
    ];
    assert_eq!(messages_view(Endpoint::Chat, &chat), wanted);
    assert_eq!(messages_view(Endpoint::Messages, &anthropic), wanted);
}

#[test]
fn results_of_several_tools_stay_parts() {
    let results = json!([{"type": "tool_result", "tool_use_id": "1", "content": "a"},
        {"type": "tool_result", "tool_use_id": "2", "content": "b"}]);
    let views =
        messages_view(Endpoint::Messages, &json!({"messages": [{"role": "user", "content": results}]}));
    let wanted =
        MessageView { role: "user", parts_json: Some(results.to_string()), ..MessageView::default() };
    assert_eq!(views, [wanted]);
}

#[test]
fn each_responses_item_is_a_message() {
    let body = json!({"instructions": "rules", "input": [
        {"role": "user", "content": "q"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "r"}]},
        {"type": "item_reference", "id": "x"},
        7,
    ]});
    let wanted = [
        said("system", "rules"),
        said("user", "q"),
        MessageView { role: "assistant", tool_calls: vec![called("1", "f", "{}")], ..MessageView::default() },
        MessageView { tool_call_id: Some("1".into()), ..said("tool", "r") },
        MessageView {
            role: "assistant",
            parts_json: Some(r#"[{"type":"item_reference","id":"x"}]"#.into()),
            ..MessageView::default()
        },
        MessageView { role: "user", parts_json: Some("[7]".into()), ..MessageView::default() },
    ];
    assert_eq!(messages_view(Endpoint::Responses, &body), wanted);
}

#[test]
fn odd_calls_are_shown_as_far_as_they_go() {
    let body = json!({"messages": [{"role": "assistant", "refusal": "no", "tool_calls": [{}, 7,
        {"id": "3", "custom": {"name": "g", "input": "free"}}], "function_call": {"name": "h", "arguments": {"a": 1}}}]});
    let views = messages_view(Endpoint::Chat, &body);
    let calls =
        [called("", "", ""), called("", "", ""), called("3", "g", "free"), called("", "h", "{\"a\":1}")];
    assert_eq!(views, [MessageView { tool_calls: calls.into(), ..said("assistant", "no") }]);
}

#[test]
fn a_list_of_token_ids_is_one_prompt() {
    let shown = |input: Value| messages_view(Endpoint::Embeddings, &json!({"input": input})).len();
    assert_eq!(shown(json!([1, 2])), 1);
    assert_eq!(shown(json!([[1, 2], [3]])), 2);
    assert_eq!(shown(json!(["a", "b", "c"])), 3);
}

#[test]
fn params_are_all_but_the_messages() {
    let body = json!({"model": "m", "messages": [1], "system": "s", "a\"b": {"x": [1.5]}, "tools": []});
    let params: Value = serde_json::from_str(&params_json(&body)).unwrap();
    assert_eq!(params, json!({"model": "m", "a\"b": {"x": [1.5]}, "tools": []}));
    assert_eq!(params_json(&json!([1])), "{}");
    assert_eq!(params_json(&json!({"input": 1})), "{}");
}
