//! Planned answers in the dialects of the vendors.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::anthropic::{self, SIGNATURE};
use super::body::{Part, Stream};
use super::plan::{Kind, Piece, Plan};
use super::{gemini, openai, planned_responses};

const CREATED: u64 = 1_790_000_000;

/// What a request says about the form of its answer.
pub(super) struct Form<'a> {
    pub(super) model: &'a str,
    pub(super) include_usage: bool,
}

/// The name of a planned tool.
pub(super) fn tool_name(tool: u32) -> String {
    format!("tool_{tool}")
}

/// The id of a planned call.
pub(super) fn call_id(choice: u32, tool: u32) -> String {
    format!("call_{choice}_{tool}")
}

/// Counts pieces of output, as every answer here does.
pub(super) fn written(plan: &Plan) -> usize {
    plan.pieces.len()
}

fn usage(plan: &Plan) -> Value {
    let output = written(plan);
    json!({ "prompt_tokens": 7, "completion_tokens": output, "total_tokens": 7 + output })
}

fn finish(plan: &Plan, choice: u32) -> &'static str {
    if plan.calls(choice) { "tool_calls" } else { "stop" }
}

fn logprobs(text: &str) -> Value {
    let bytes: Vec<u8> = text.bytes().collect();
    json!({ "content": [{ "token": text, "logprob": -0.25, "bytes": bytes, "top_logprobs": [] }], "refusal": null })
}

/// Parts of a stream, or the same bytes cut otherwise.
pub(super) fn stream(plan: &Plan, parts: Vec<Part>, error: String) -> Stream {
    let error = Bytes::from(error);
    if plan.writes.is_empty() {
        return Stream { parts: Box::new(parts.into_iter()), error };
    }
    let mut all = BytesMut::new();
    parts.iter().for_each(|part| all.extend_from_slice(&part.bytes));
    let mut all = all.freeze();
    let mut writes = plan.writes.iter().copied();
    let mut size = writes.next().unwrap_or(usize::MAX).max(1);
    let mut cut = Vec::new();
    while !all.is_empty() {
        let bytes = all.split_to(all.len().min(size));
        let pause = if cut.is_empty() { Default::default() } else { plan.pause };
        cut.push(Part { bytes, content: true, pause });
        size = writes.next().unwrap_or(size).max(1);
    }
    Stream { parts: Box::new(cut.into_iter()), error }
}

fn chat_delta(piece: &Piece, begun: &mut Vec<(u32, u32)>) -> Vec<Value> {
    let text = &piece.text;
    match piece.kind {
        Kind::Text => vec![json!({ "content": text })],
        Kind::Reasoning => vec![json!({ "reasoning_content": text })],
        Kind::Refusal => vec![json!({ "refusal": text })],
        Kind::Arguments(tool) => {
            let mut deltas = Vec::new();
            if !begun.contains(&(piece.choice, tool)) {
                begun.push((piece.choice, tool));
                let function = json!({ "name": tool_name(tool), "arguments": "" });
                let id = call_id(piece.choice, tool);
                let first = json!({ "index": tool, "id": id, "type": "function", "function": function });
                deltas.push(json!({ "tool_calls": [first] }));
            }
            let more = json!({ "index": tool, "function": { "arguments": text } });
            deltas.push(json!({ "tool_calls": [more] }));
            deltas
        }
    }
}

/// A chat, streamed.
pub(super) fn chat_stream(plan: &Plan, form: &Form<'_>) -> Stream {
    let event = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-planned", "object": "chat.completion.chunk", "created": CREATED,
            "model": form.model, "choices": choices,
        });
        if form.include_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |choice: u32, delta: Value, logprobs: Value| {
        let choice = json!({ "index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": null });
        event(json!([choice]), Value::Null)
    };
    let mut parts = Vec::new();
    for choice in 0..plan.choices() {
        let role = json!({ "role": "assistant", "content": "" });
        parts.push(Part::frame(delta(choice, role, Value::Null)));
    }
    let mut begun = Vec::new();
    for piece in &plan.pieces {
        let spelled = plan.logprobs && piece.kind == Kind::Text;
        let mut deltas = chat_delta(piece, &mut begun);
        let last = deltas.pop().expect("a delta");
        parts.extend(deltas.into_iter().map(|first| Part::frame(delta(piece.choice, first, Value::Null))));
        let spelling = if spelled { logprobs(&piece.text) } else { Value::Null };
        parts.push(Part::content(delta(piece.choice, last, spelling)).after(piece.pause));
    }
    for choice in 0..plan.choices() {
        let last = json!({ "index": choice, "delta": {}, "finish_reason": finish(plan, choice) });
        parts.push(Part::frame(event(json!([last]), Value::Null)));
    }
    if form.include_usage {
        parts.push(Part::frame(event(json!([]), usage(plan))));
    }
    parts.push(Part::frame("data: [DONE]\n\n".to_owned()));
    let error = openai::error_body(500, "the scripted upstream failed in the middle");
    stream(plan, parts, format!("data: {error}\n\n"))
}

/// A chat, whole.
pub(super) fn chat(plan: &Plan, form: &Form<'_>) -> Value {
    let choice = |index: u32| {
        let mut message = json!({ "role": "assistant", "content": null, "refusal": null });
        let mut calls = Vec::new();
        let mut spelling = Value::Null;
        for (_, kind, text) in plan.texts().into_iter().filter(|text| text.0 == index) {
            match kind {
                Kind::Text => {
                    if plan.logprobs {
                        spelling = logprobs(&text);
                    }
                    message["content"] = text.into();
                }
                Kind::Reasoning => message["reasoning_content"] = text.into(),
                Kind::Refusal => message["refusal"] = text.into(),
                Kind::Arguments(tool) => calls.push(json!({
                    "id": call_id(index, tool),
                    "type": "function",
                    "function": { "name": tool_name(tool), "arguments": text },
                })),
            }
        }
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        json!({ "index": index, "message": message, "logprobs": spelling, "finish_reason": finish(plan, index) })
    };
    let choices: Vec<Value> = (0..plan.choices()).map(choice).collect();
    json!({
        "id": "chatcmpl-planned", "object": "chat.completion", "created": CREATED, "model": form.model,
        "choices": choices, "usage": usage(plan),
    })
}

/// A legacy completion, streamed. It has texts only.
pub(super) fn completion_stream(plan: &Plan, form: &Form<'_>) -> Stream {
    let event = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "cmpl-planned", "object": "text_completion", "created": CREATED, "model": form.model,
            "choices": choices,
        });
        if form.include_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let choice = |index: u32, text: &str, reason: Value| json!([{ "text": text, "index": index, "logprobs": null, "finish_reason": reason }]);
    let pieces = plan.pieces.iter();
    let mut parts: Vec<Part> = pieces
        .map(|piece| {
            let event = event(choice(piece.choice, &piece.text, Value::Null), Value::Null);
            Part::content(event).after(piece.pause)
        })
        .collect();
    for index in 0..plan.choices() {
        parts.push(Part::frame(event(choice(index, "", "stop".into()), Value::Null)));
    }
    if form.include_usage {
        parts.push(Part::frame(event(json!([]), usage(plan))));
    }
    parts.push(Part::frame("data: [DONE]\n\n".to_owned()));
    let error = openai::error_body(500, "the scripted upstream failed in the middle");
    stream(plan, parts, format!("data: {error}\n\n"))
}

/// A legacy completion, whole.
pub(super) fn completion(plan: &Plan, form: &Form<'_>) -> Value {
    let choices: Vec<Value> = plan
        .texts()
        .into_iter()
        .map(|(index, _, text)| json!({ "text": text, "index": index, "logprobs": null, "finish_reason": "stop" }))
        .collect();
    json!({
        "id": "cmpl-planned", "object": "text_completion", "created": CREATED, "model": form.model,
        "choices": choices, "usage": usage(plan),
    })
}

fn block_start(kind: Kind) -> Value {
    match kind {
        Kind::Reasoning => json!({ "type": "thinking", "thinking": "", "signature": "" }),
        Kind::Arguments(tool) => {
            json!({ "type": "tool_use", "id": call_id(0, tool), "name": tool_name(tool), "input": {} })
        }
        Kind::Text | Kind::Refusal => json!({ "type": "text", "text": "" }),
    }
}

fn block_delta(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Reasoning => json!({ "type": "thinking_delta", "thinking": text }),
        Kind::Arguments(_) => json!({ "type": "input_json_delta", "partial_json": text }),
        Kind::Text | Kind::Refusal => json!({ "type": "text_delta", "text": text }),
    }
}

fn messages_reason(plan: &Plan) -> &'static str {
    if plan.calls(0) { "tool_use" } else { "end_turn" }
}

/// A message of Anthropic, streamed: one block after the other, a new one where the kind of text changes.
pub(super) fn message_stream(plan: &Plan, form: &Form<'_>) -> Stream {
    let event =
        |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
    let usage = json!({ "input_tokens": 7, "output_tokens": 1 });
    let started = json!({
        "id": "msg_planned", "type": "message", "role": "assistant", "model": form.model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    let mut parts = vec![Part::frame(event(json!({ "type": "message_start", "message": started })))];
    let mut open: Option<(Kind, usize)> = None;
    let close = |parts: &mut Vec<Part>, (kind, index): (Kind, usize)| {
        if kind == Kind::Reasoning {
            let signed = json!({ "type": "signature_delta", "signature": SIGNATURE });
            let signed = json!({ "type": "content_block_delta", "index": index, "delta": signed });
            parts.push(Part::frame(event(signed)));
        }
        parts.push(Part::frame(event(json!({ "type": "content_block_stop", "index": index }))));
    };
    for piece in &plan.pieces {
        if open.is_none_or(|(kind, _)| kind != piece.kind) {
            if let Some(block) = open {
                close(&mut parts, block);
            }
            let index = open.map_or(0, |(_, index)| index + 1);
            let block = block_start(piece.kind);
            let start = json!({ "type": "content_block_start", "index": index, "content_block": block });
            parts.push(Part::frame(event(start)));
            open = Some((piece.kind, index));
        }
        let index = open.map_or(0, |(_, index)| index);
        let delta = block_delta(piece.kind, &piece.text);
        let delta = json!({ "type": "content_block_delta", "index": index, "delta": delta });
        parts.push(Part::content(event(delta)).after(piece.pause));
    }
    if let Some(block) = open {
        close(&mut parts, block);
    }
    let ended = json!({ "stop_reason": messages_reason(plan), "stop_sequence": null });
    let usage = json!({ "output_tokens": written(plan) });
    parts.push(Part::frame(event(json!({ "type": "message_delta", "delta": ended, "usage": usage }))));
    parts.push(Part::frame(event(json!({ "type": "message_stop" }))));
    let error = anthropic::error_body(529, "the scripted upstream failed in the middle");
    stream(plan, parts, event(error))
}

/// A message of Anthropic, whole.
pub(super) fn message(plan: &Plan, form: &Form<'_>) -> Value {
    let content = plan.texts().into_iter().map(|(_, kind, text)| match kind {
        Kind::Reasoning => json!({ "type": "thinking", "thinking": text, "signature": SIGNATURE }),
        Kind::Arguments(tool) => {
            let input: Value = serde_json::from_str(&text).expect("planned arguments are JSON");
            json!({ "type": "tool_use", "id": call_id(0, tool), "name": tool_name(tool), "input": input })
        }
        Kind::Text | Kind::Refusal => json!({ "type": "text", "text": text }),
    });
    let content: Vec<Value> = content.collect();
    json!({
        "id": "msg_planned", "type": "message", "role": "assistant", "model": form.model, "content": content,
        "stop_reason": messages_reason(plan), "stop_sequence": null,
        "usage": { "input_tokens": 7, "output_tokens": written(plan) },
    })
}

fn gemini_chunk(plan: &Plan, form: &Form<'_>, parts: &[Value], last: bool) -> Value {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
    let mut chunk = json!({ "modelVersion": form.model, "responseId": "planned" });
    if last {
        candidate["finishReason"] = "STOP".into();
        let output = written(plan);
        chunk["usageMetadata"] =
            json!({ "promptTokenCount": 7, "candidatesTokenCount": output, "totalTokenCount": 7 + output });
    }
    chunk["candidates"] = json!([candidate]);
    chunk
}

fn gemini_part(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Reasoning => json!({ "text": text, "thought": true }),
        Kind::Arguments(tool) => {
            let args: Value = serde_json::from_str(text).expect("planned arguments are JSON");
            json!({ "functionCall": { "name": tool_name(tool), "args": args } })
        }
        Kind::Text | Kind::Refusal => json!({ "text": text }),
    }
}

/// Gemini's answer, whole.
pub(super) fn content(plan: &Plan, form: &Form<'_>) -> Value {
    let parts: Vec<Value> = plan.texts().iter().map(|(_, kind, text)| gemini_part(*kind, text)).collect();
    gemini_chunk(plan, form, &parts, true)
}

/// Gemini's answer, streamed as events. Its calls come whole, at the end.
pub(super) fn content_stream(plan: &Plan, form: &Form<'_>) -> Stream {
    let event =
        |parts: &[Value], last: bool| format!("data: {}\r\n\r\n", gemini_chunk(plan, form, parts, last));
    let is_call = |kind: Kind| matches!(kind, Kind::Arguments(_));
    let texts = plan.pieces.iter().filter(|piece| !is_call(piece.kind));
    let mut parts: Vec<Part> = texts
        .map(|piece| Part::content(event(&[gemini_part(piece.kind, &piece.text)], false)).after(piece.pause))
        .collect();
    let calls = plan.texts().into_iter().filter(|text| is_call(text.1));
    let calls: Vec<Value> = calls.map(|(_, kind, text)| gemini_part(kind, &text)).collect();
    parts.push(Part::content(event(&calls, true)));
    let error = gemini::error_body(503, "the scripted upstream failed in the middle");
    stream(plan, parts, format!("data: {error}\r\n\r\n"))
}

/// OpenAI's response, whole.
pub(super) fn response(plan: &Plan, form: &Form<'_>) -> Value {
    planned_responses::response(plan, form.model)
}

/// OpenAI's response, streamed.
pub(super) fn response_stream(plan: &Plan, form: &Form<'_>) -> Stream {
    planned_responses::response_stream(plan, form.model)
}
