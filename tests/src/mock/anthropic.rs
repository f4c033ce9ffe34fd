//! The dialect of Anthropic: messages and token counts.

use bytes::Bytes;
use serde_json::{Value, json};

use super::body::{Part, Stream};
use super::reply::{Asked, Finish, Reply, argument_pieces, list_at, str_at, text_of};
use super::script::Script;

/// What a thinking block is signed with; a conversation that comes back must carry it unchanged.
pub(super) const SIGNATURE: &str = "c2lnbmVkLWJ5LXRoZS1tb2Nr";

pub(super) fn asked(body: &Value) -> Asked {
    let mut asked = Asked { model: str_at(body, "model").to_owned(), ..Asked::default() };
    let system = text_of(&body["system"], &mut asked.images);
    asked.saw("system", &system);
    for message in list_at(body, "messages") {
        let blocks = list_at(message, "content");
        let results: Vec<String> = blocks
            .iter()
            .filter(|block| str_at(block, "type") == "tool_result")
            .map(|block| text_of(&block["content"], &mut asked.images))
            .collect();
        let text = text_of(&message["content"], &mut asked.images);
        if results.is_empty() || !text.is_empty() {
            asked.saw(str_at(message, "role"), &text);
        }
        asked.words += results.iter().map(|text| text.split_whitespace().count()).sum::<usize>();
        asked.results.extend(results);
    }
    asked.tools = list_at(body, "tools").iter().map(|tool| str_at(tool, "name").to_owned()).collect();
    asked.forced = match str_at(&body["tool_choice"], "type") {
        "any" => Some(String::new()),
        "tool" => Some(str_at(&body["tool_choice"], "name").to_owned()),
        _ => None,
    };
    asked.max_tokens = body["max_tokens"].as_u64();
    let format = if body["output_config"]["format"].is_object() {
        &body["output_config"]["format"]
    } else {
        &body["output_format"]
    };
    asked.wants_json = str_at(format, "type") == "json_schema";
    asked.wants_stream = body["stream"].as_bool() == Some(true);
    asked
}

fn stop_reason(reply: &Reply) -> &'static str {
    match reply.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
    }
}

fn usage(reply: &Reply, output: bool) -> Value {
    let Some(usage) = reply.usage else { return json!({}) };
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": if output { usage.output } else { 1 },
        "service_tier": "standard",
    })
}

fn parsed(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| json!({}))
}

pub(super) fn message(reply: &Reply) -> Value {
    let mut content = Vec::new();
    if !reply.thoughts.is_empty() {
        let thinking = reply.thoughts.concat();
        content.push(json!({ "type": "thinking", "thinking": thinking, "signature": SIGNATURE }));
    }
    let text = reply.text();
    if !text.is_empty() {
        content.push(json!({ "type": "text", "text": text }));
    }
    for call in &reply.calls {
        let input = parsed(&call.arguments);
        content.push(json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input }));
    }
    json!({
        "id": reply.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop_reason(reply),
        "stop_sequence": null,
        "usage": usage(reply, true),
    })
}

fn event(data: Value) -> String {
    format!("event: {}\ndata: {data}\n\n", str_at(&data, "type"))
}

pub(super) fn message_stream(reply: &Reply, script: &Script) -> Stream {
    let started = json!({
        "id": reply.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage(reply, false),
    });
    let mut head = vec![Part::frame(event(json!({ "type": "message_start", "message": started })))];
    let start = |index: usize, block: Value| {
        Part::frame(event(json!({ "type": "content_block_start", "index": index, "content_block": block })))
    };
    let delta = |index: usize, delta: Value| {
        Part::content(event(json!({ "type": "content_block_delta", "index": index, "delta": delta })))
    };
    let stop = |index: usize| Part::frame(event(json!({ "type": "content_block_stop", "index": index })));
    let mut index = 0;
    if !reply.thoughts.is_empty() {
        head.push(start(index, json!({ "type": "thinking", "thinking": "", "signature": "" })));
        for thought in &reply.thoughts {
            head.push(delta(index, json!({ "type": "thinking_delta", "thinking": thought })));
        }
        let signed = json!({ "type": "signature_delta", "signature": SIGNATURE });
        head.push(Part::frame(event(
            json!({ "type": "content_block_delta", "index": index, "delta": signed }),
        )));
        head.push(stop(index));
        index += 1;
    }
    let mut tail = Vec::new();
    let text_index = index;
    if reply.pieces().next().is_some() {
        head.push(start(index, json!({ "type": "text", "text": "" })));
        head.push(Part::frame(event(json!({ "type": "ping" }))));
        tail.push(stop(index));
        index += 1;
    }
    for call in &reply.calls {
        tail.push(start(index, json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} })));
        for piece in argument_pieces(&call.arguments) {
            tail.push(delta(index, json!({ "type": "input_json_delta", "partial_json": piece })));
        }
        tail.push(stop(index));
        index += 1;
    }
    let ended = json!({ "stop_reason": stop_reason(reply), "stop_sequence": null });
    let spent = match reply.usage {
        Some(usage) => json!({ "output_tokens": usage.output }),
        None => json!({}),
    };
    tail.push(Part::frame(event(json!({ "type": "message_delta", "delta": ended, "usage": spent }))));
    if !script.no_done {
        tail.push(Part::frame(event(json!({ "type": "message_stop" }))));
    }
    let pieces =
        reply.pieces().map(move |text| delta(text_index, json!({ "type": "text_delta", "text": text })));
    let error = error_body(529, "the scripted upstream failed in the middle");
    Stream { parts: Box::new(head.into_iter().chain(pieces).chain(tail)), error: Bytes::from(event(error)) }
}

pub(super) fn models() -> Value {
    let data = ["claude-sonnet-4", "claude-sonnet-4-5"].map(
        |id| json!({ "type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z" }),
    );
    json!({ "data": data, "has_more": false, "first_id": "claude-sonnet-4", "last_id": "claude-sonnet-4-5" })
}

pub(super) fn error_body(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_mock" })
}
