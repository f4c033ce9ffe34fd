//! OpenAI's Responses API.

use bytes::Bytes;
use serde_json::{Value, json};

use super::body::{Part, Stream};
use super::reply::{Asked, Finish, Reply, argument_pieces, list_at, str_at, text_of};

const CREATED: u64 = 1_790_000_000;

pub(super) fn asked(body: &Value) -> Asked {
    let mut asked = Asked { model: str_at(body, "model").to_owned(), ..Asked::default() };
    asked.saw("system", str_at(body, "instructions"));
    if let Some(text) = body["input"].as_str() {
        asked.saw("user", text);
    }
    for item in list_at(body, "input") {
        if str_at(item, "type") == "function_call_output" {
            asked.results.push(text_of(&item["output"], &mut 0));
        } else if item.get("content").is_some() {
            let text = text_of(&item["content"], &mut asked.images);
            asked.saw(str_at(item, "role"), &text);
        }
    }
    asked.tools = list_at(body, "tools").iter().map(|tool| str_at(tool, "name").to_owned()).collect();
    asked.forced = match &body["tool_choice"] {
        Value::String(choice) if choice == "required" => Some(String::new()),
        Value::Object(_) => Some(str_at(&body["tool_choice"], "name").to_owned()),
        _ => None,
    };
    asked.max_tokens = body["max_output_tokens"].as_u64();
    asked.wants_json = matches!(str_at(&body["text"]["format"], "type"), "json_object" | "json_schema");
    asked.wants_stream = body["stream"].as_bool() == Some(true);
    asked
}

fn reasoning_item(reply: &Reply) -> Option<Value> {
    let summary = json!([{ "type": "summary_text", "text": reply.thoughts.concat() }]);
    (!reply.thoughts.is_empty())
        .then(|| json!({ "id": reply.id("rs_"), "type": "reasoning", "summary": summary }))
}

fn message_item(reply: &Reply, text: &str, status: &str) -> Value {
    let content = match status {
        "completed" => json!([{ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }]),
        _ => json!([]),
    };
    json!({ "id": reply.id("msg_"), "type": "message", "status": status, "role": "assistant", "content": content })
}

fn call_item(call: &super::reply::ToolCall, arguments: &str, status: &str) -> Value {
    json!({
        "id": format!("fc_{}", call.id),
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
    })
}

fn envelope(reply: &Reply, status: &str, output: Vec<Value>) -> Value {
    let usage = reply.usage.filter(|_| status != "in_progress").map(|usage| {
        json!({
            "input_tokens": usage.input,
            "input_tokens_details": { "cached_tokens": usage.cached },
            "output_tokens": usage.output,
            "output_tokens_details": { "reasoning_tokens": usage.reasoning },
            "total_tokens": usage.input + usage.output,
        })
    });
    let cut = status == "incomplete";
    json!({
        "id": reply.id("resp_"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": if cut { json!({ "reason": "max_output_tokens" }) } else { Value::Null },
        "instructions": null,
        "max_output_tokens": null,
        "model": reply.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null },
        "store": false,
        "temperature": 1.0,
        "text": { "format": { "type": "text" } },
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "user": null,
        "metadata": {},
    })
}

fn end_status(reply: &Reply) -> &'static str {
    if reply.finish == Finish::Length { "incomplete" } else { "completed" }
}

fn items(reply: &Reply) -> Vec<Value> {
    let text = reply.text();
    let mut items: Vec<Value> = reasoning_item(reply).into_iter().collect();
    if !text.is_empty() {
        items.push(message_item(reply, &text, "completed"));
    }
    items.extend(reply.calls.iter().map(|call| call_item(call, &call.arguments, "completed")));
    items
}

pub(super) fn response(reply: &Reply) -> Value {
    envelope(reply, end_status(reply), items(reply))
}

/// Numbers events and writes them.
struct Events {
    next: u64,
}

impl Events {
    fn write(&mut self, kind: &str, mut data: Value) -> String {
        data["type"] = kind.into();
        data["sequence_number"] = self.next.into();
        self.next += 1;
        format!("event: {kind}\ndata: {data}\n\n")
    }
}

pub(super) fn response_stream(reply: &Reply) -> Stream {
    let reply = reply.clone();
    let error = json!({
        "type": "error",
        "code": "server_error",
        "message": "the scripted upstream failed in the middle",
        "param": null,
        "sequence_number": 999,
    });
    let error = Bytes::from(format!("event: error\ndata: {error}\n\n"));
    let mut events = Events { next: 0 };
    let mut head = Vec::new();
    for kind in ["response.created", "response.in_progress"] {
        head.push(Part::frame(
            events.write(kind, json!({ "response": envelope(&reply, "in_progress", vec![]) })),
        ));
    }
    let mut index = 0;
    if let Some(item) = reasoning_item(&reply) {
        for kind in ["response.output_item.added", "response.output_item.done"] {
            head.push(Part::frame(events.write(kind, json!({ "output_index": index, "item": item }))));
        }
        index += 1;
    }
    let text_index = index;
    let has_text = reply.pieces().next().is_some();
    let id = reply.id("msg_");
    if has_text {
        let item = message_item(&reply, "", "in_progress");
        let added = json!({ "output_index": index, "item": item });
        head.push(Part::frame(events.write("response.output_item.added", added)));
        let part = json!({ "type": "output_text", "text": "", "annotations": [] });
        let added = json!({ "item_id": id, "output_index": index, "content_index": 0, "part": part });
        head.push(Part::frame(events.write("response.content_part.added", added)));
        index += 1;
    }
    let first_delta = events.next;
    let count = reply.pieces().count() as u64;
    let delta_id = id.clone();
    let pieces = reply.pieces().enumerate().map(move |(at, text)| {
        let mut events = Events { next: first_delta + at as u64 };
        let data = json!({
            "item_id": delta_id,
            "output_index": text_index,
            "content_index": 0,
            "delta": text,
            "logprobs": [],
        });
        Part::content(events.write("response.output_text.delta", data))
    });
    events.next += count;
    // The tail repeats the whole text, so it is made only when the stream gets there.
    let tail = std::iter::once(()).flat_map(move |()| {
        tail(&reply, Events { next: events.next }, has_text.then_some((text_index, id.clone())), index)
    });
    Stream { parts: Box::new(head.into_iter().chain(pieces).chain(tail)), error }
}

fn tail(reply: &Reply, mut events: Events, text: Option<(usize, String)>, mut index: usize) -> Vec<Part> {
    let mut tail = Vec::new();
    let all = reply.text();
    if let Some((at, id)) = text {
        let place = json!({ "item_id": id, "output_index": at, "content_index": 0 });
        let mut done = place.clone();
        done["text"] = all.clone().into();
        done["logprobs"] = json!([]);
        tail.push(Part::frame(events.write("response.output_text.done", done)));
        let mut done = place;
        done["part"] = json!({ "type": "output_text", "text": all, "annotations": [] });
        tail.push(Part::frame(events.write("response.content_part.done", done)));
        let done = json!({ "output_index": at, "item": message_item(reply, &all, "completed") });
        tail.push(Part::frame(events.write("response.output_item.done", done)));
    }
    for call in &reply.calls {
        let id = format!("fc_{}", call.id);
        let added = json!({ "output_index": index, "item": call_item(call, "", "in_progress") });
        tail.push(Part::frame(events.write("response.output_item.added", added)));
        for piece in argument_pieces(&call.arguments) {
            let delta = json!({ "item_id": id, "output_index": index, "delta": piece });
            tail.push(Part::content(events.write("response.function_call_arguments.delta", delta)));
        }
        let done =
            json!({ "item_id": id, "output_index": index, "name": call.name, "arguments": call.arguments });
        tail.push(Part::frame(events.write("response.function_call_arguments.done", done)));
        let done = json!({ "output_index": index, "item": call_item(call, &call.arguments, "completed") });
        tail.push(Part::frame(events.write("response.output_item.done", done)));
        index += 1;
    }
    let status = end_status(reply);
    let ended = json!({ "response": envelope(reply, status, items(reply)) });
    tail.push(Part::frame(events.write(&format!("response.{status}"), ended)));
    tail
}
