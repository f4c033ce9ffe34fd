//! Planned answers as OpenAI's Responses API gives them: every text is an item of its own, and its end repeats it.

use serde_json::{Value, json};

use super::body::{Part, Stream};
use super::plan::{Kind, Plan};
use super::planned::{call_id, stream, tool_name, written};

const CREATED: u64 = 1_790_000_000;

fn id(at: usize) -> String {
    format!("item_{at}")
}

/// The part of an item that holds its text; calls have none.
fn part(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Text => Some(json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })),
        Kind::Refusal => Some(json!({ "type": "refusal", "refusal": text })),
        Kind::Reasoning => Some(json!({ "type": "summary_text", "text": text })),
        Kind::Arguments(_) => None,
    }
}

fn item(at: usize, kind: Kind, text: &str, status: &str) -> Value {
    let parts = match status {
        "completed" => part(kind, text).into_iter().collect(),
        _ => Vec::new(),
    };
    match kind {
        Kind::Reasoning => json!({ "id": id(at), "type": "reasoning", "summary": parts }),
        Kind::Arguments(tool) => json!({
            "id": id(at), "type": "function_call", "status": status, "call_id": call_id(0, tool),
            "name": tool_name(tool), "arguments": text,
        }),
        Kind::Text | Kind::Refusal => json!({
            "id": id(at), "type": "message", "status": status, "role": "assistant", "content": parts,
        }),
    }
}

fn envelope(plan: &Plan, model: &str, status: &str, output: &[Value]) -> Value {
    let output_tokens = written(plan);
    let usage = json!({
        "input_tokens": 7, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": output_tokens,
        "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 7 + output_tokens,
    });
    json!({
        "id": "resp_planned", "object": "response", "created_at": CREATED, "status": status, "error": null,
        "incomplete_details": null, "instructions": null, "model": model, "output": output,
        "parallel_tool_calls": true, "store": false, "tool_choice": "auto", "tools": [], "metadata": {},
        "usage": if status == "completed" { usage } else { Value::Null },
    })
}

fn items(plan: &Plan) -> Vec<Value> {
    let texts = plan.texts().into_iter().enumerate();
    texts.map(|(at, (_, kind, text))| item(at, kind, &text, "completed")).collect()
}

/// Names of the events about a text: what is added, a piece, the whole, what is done.
fn names(kind: Kind) -> [&'static str; 4] {
    match kind {
        Kind::Text => ["content_part.added", "output_text.delta", "output_text.done", "content_part.done"],
        Kind::Refusal => ["content_part.added", "refusal.delta", "refusal.done", "content_part.done"],
        Kind::Reasoning => [
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
        ],
        Kind::Arguments(_) => ["", "function_call_arguments.delta", "function_call_arguments.done", ""],
    }
}

/// A response, whole.
pub(super) fn response(plan: &Plan, model: &str) -> Value {
    envelope(plan, model, "completed", &items(plan))
}

/// A response, streamed.
pub(super) fn response_stream(plan: &Plan, model: &str) -> Stream {
    let mut next = 0;
    let mut event = |kind: &str, mut data: Value| {
        data["type"] = format!("response.{kind}").into();
        data["sequence_number"] = next.into();
        next += 1;
        format!("event: response.{kind}\ndata: {data}\n\n")
    };
    let mut parts = Vec::new();
    for kind in ["created", "in_progress"] {
        let response = envelope(plan, model, "in_progress", &[]);
        parts.push(Part::frame(event(kind, json!({ "response": response }))));
    }
    let texts = plan.texts();
    let mut begun: Vec<Kind> = Vec::new();
    let place = |at: usize, kind: Kind| {
        let mut place = json!({ "item_id": id(at), "output_index": at });
        match kind {
            Kind::Text | Kind::Refusal => place["content_index"] = 0.into(),
            Kind::Reasoning => place["summary_index"] = 0.into(),
            Kind::Arguments(_) => {}
        }
        place
    };
    for piece in &plan.pieces {
        let kind = piece.kind;
        let at = texts.iter().position(|text| text.1 == kind).expect("a text of its own");
        let [added, delta, _, _] = names(kind);
        if !begun.contains(&kind) {
            begun.push(kind);
            let item = item(at, kind, "", "in_progress");
            let data = json!({ "output_index": at, "item": item });
            parts.push(Part::frame(event("output_item.added", data)));
            if let Some(part) = part(kind, "") {
                let mut data = place(at, kind);
                data["part"] = part;
                parts.push(Part::frame(event(added, data)));
            }
        }
        let mut data = place(at, kind);
        data["delta"] = piece.text.clone().into();
        parts.push(Part::content(event(delta, data)).after(piece.pause));
    }
    for (at, (_, kind, text)) in texts.iter().enumerate() {
        let [_, _, whole, done] = names(*kind);
        let mut data = place(at, *kind);
        let member = match kind {
            Kind::Refusal => "refusal",
            Kind::Arguments(_) => "arguments",
            Kind::Text | Kind::Reasoning => "text",
        };
        data[member] = text.clone().into();
        parts.push(Part::frame(event(whole, data)));
        if let Some(part) = part(*kind, text) {
            let mut data = place(at, *kind);
            data["part"] = part;
            parts.push(Part::frame(event(done, data)));
        }
        let data = json!({ "output_index": at, "item": item(at, *kind, text, "completed") });
        parts.push(Part::frame(event("output_item.done", data)));
    }
    let response = envelope(plan, model, "completed", &items(plan));
    parts.push(Part::frame(event("completed", json!({ "response": response }))));
    let message = "the scripted upstream failed in the middle";
    let error = json!({
        "type": "error", "code": "server_error", "message": message, "param": null, "sequence_number": 999,
    });
    stream(plan, parts, format!("event: error\ndata: {error}\n\n"))
}
