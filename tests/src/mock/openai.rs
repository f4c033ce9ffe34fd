//! The dialect of OpenAI: chat, completions, embeddings, images, audio, models.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::body::{Part, Stream};
use super::reply::{Asked, Finish, Reply, argument_pieces, list_at, seed, str_at, text_of};
use super::script::Script;

const CREATED: u64 = 1_790_000_000;

/// A transparent picture of one pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

pub(super) fn asked(body: &Value) -> Asked {
    let mut asked = Asked { model: str_at(body, "model").to_owned(), ..Asked::default() };
    for message in list_at(body, "messages") {
        let text = text_of(&message["content"], &mut asked.images);
        asked.saw(str_at(message, "role"), &text);
        if str_at(message, "role") == "tool" {
            asked.results.push(text);
        }
    }
    match &body["prompt"] {
        Value::String(prompt) => asked.saw("user", prompt),
        Value::Array(prompts) => {
            asked.saw("user", prompts.first().and_then(Value::as_str).unwrap_or_default())
        }
        _ => {}
    }
    asked.tools =
        list_at(body, "tools").iter().map(|tool| str_at(&tool["function"], "name").to_owned()).collect();
    asked.forced = match &body["tool_choice"] {
        Value::String(choice) if choice == "required" => Some(String::new()),
        Value::Object(choice) => Some(choice.get("function").map_or("", |f| str_at(f, "name")).to_owned()),
        _ => None,
    };
    asked.max_tokens = body["max_completion_tokens"].as_u64().or_else(|| body["max_tokens"].as_u64());
    asked.wants_json = matches!(str_at(&body["response_format"], "type"), "json_object" | "json_schema");
    asked.wants_stream = body["stream"].as_bool() == Some(true);
    asked
}

fn finish(reply: &Reply) -> &'static str {
    match reply.finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
    }
}

fn usage(reply: &Reply) -> Value {
    let Some(usage) = reply.usage else { return Value::Null };
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": { "cached_tokens": usage.cached, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning, "audio_tokens": 0 },
    })
}

pub(super) fn chat(reply: &Reply) -> Value {
    let text = reply.text();
    let content = if text.is_empty() && !reply.calls.is_empty() { Value::Null } else { Value::String(text) };
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null, "annotations": [] });
    if !reply.thoughts.is_empty() {
        message["reasoning_content"] = reply.thoughts.concat().into();
    }
    if !reply.calls.is_empty() {
        let calls = reply.calls.iter().map(|call| {
            json!({
                "id": call.id,
                "type": "function",
                "function": { "name": call.name, "arguments": call.arguments },
            })
        });
        message["tool_calls"] = calls.collect();
    }
    let mut answer = json!({
        "id": reply.id("chatcmpl-"),
        "object": "chat.completion",
        "created": CREATED,
        "model": reply.model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish(reply) }],
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    });
    if reply.usage.is_some() {
        answer["usage"] = usage(reply);
    }
    answer
}

pub(super) fn chat_stream(reply: &Reply, body: &Value, script: &Script) -> Stream {
    let include_usage = body["stream_options"]["include_usage"].as_bool() == Some(true);
    let envelope = json!({
        "id": reply.id("chatcmpl-"),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": reply.model,
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    });
    let event = move |choices: Value, usage: Value| {
        let mut chunk = envelope.clone();
        chunk["choices"] = choices;
        // OpenAI sends the member in every chunk once it was asked for.
        if include_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta = {
        let event = event.clone();
        move |delta: Value| event(json!([{ "index": 0, "delta": delta, "finish_reason": null }]), Value::Null)
    };
    let mut head = vec![Part::frame(delta(json!({ "role": "assistant", "content": "", "refusal": null })))];
    for thought in &reply.thoughts {
        head.push(Part::content(delta(json!({ "reasoning_content": thought }))));
    }
    let mut tail = Vec::new();
    for (index, call) in reply.calls.iter().enumerate() {
        let function = json!({ "name": call.name, "arguments": "" });
        let first = json!({ "index": index, "id": call.id, "type": "function", "function": function });
        tail.push(Part::content(delta(json!({ "tool_calls": [first] }))));
        for piece in argument_pieces(&call.arguments) {
            let more = json!({ "index": index, "function": { "arguments": piece } });
            tail.push(Part::content(delta(json!({ "tool_calls": [more] }))));
        }
    }
    let last = json!([{ "index": 0, "delta": {}, "finish_reason": finish(reply) }]);
    tail.push(Part::frame(event(last, Value::Null)));
    if include_usage && reply.usage.is_some() {
        tail.push(Part::frame(event(json!([]), usage(reply))));
    }
    if !script.no_done {
        tail.push(Part::frame("data: [DONE]\n\n".to_owned()));
    }
    let pieces = reply.pieces().map(move |piece| Part::content(delta(json!({ "content": piece }))));
    Stream { parts: Box::new(head.into_iter().chain(pieces).chain(tail)), error: stream_error() }
}

fn stream_error() -> Bytes {
    let error = error_body(500, "the scripted upstream failed in the middle");
    Bytes::from(format!("data: {error}\n\n"))
}

pub(super) fn completion(reply: &Reply) -> Value {
    json!({
        "id": reply.id("cmpl-"),
        "object": "text_completion",
        "created": CREATED,
        "model": reply.model,
        "choices": [{ "text": reply.text(), "index": 0, "logprobs": null, "finish_reason": finish(reply) }],
        "usage": usage(reply),
    })
}

pub(super) fn completion_stream(reply: &Reply, body: &Value, script: &Script) -> Stream {
    let include_usage = body["stream_options"]["include_usage"].as_bool() == Some(true);
    let (id, model) = (reply.id("cmpl-"), reply.model.clone());
    let event = move |choices: Value, usage: Value| {
        let object = "text_completion";
        let mut chunk =
            json!({ "id": id, "object": object, "created": CREATED, "model": model, "choices": choices });
        if include_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let choice = |text: &str, reason: Value| json!([{ "text": text, "index": 0, "logprobs": null, "finish_reason": reason }]);
    let mut tail = vec![Part::frame(event(choice("", finish(reply).into()), Value::Null))];
    if include_usage && reply.usage.is_some() {
        tail.push(Part::frame(event(json!([]), usage(reply))));
    }
    if !script.no_done {
        tail.push(Part::frame("data: [DONE]\n\n".to_owned()));
    }
    let pieces =
        reply.pieces().map(move |text| Part::content(event(choice(&text, Value::Null), Value::Null)));
    Stream { parts: Box::new(pieces.chain(tail)), error: stream_error() }
}

/// A vector of eight numbers (or `dimensions`) that depends on the text alone. Texts that name the same `means:WORD` are
/// alike, at a cosine above 0.99.
pub(super) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    if let Some(meaning) =
        text.split_once("means:").map(|(_, rest)| rest.split_whitespace().next().unwrap_or(""))
    {
        let (one, other) = (vector(meaning, dimensions), vector(&text.replace("means:", ""), dimensions));
        return one.iter().zip(other).map(|(one, other)| one + other / 20.0).collect();
    }
    let start = seed(text);
    (0..dimensions).map(|at| (start.rotate_left(at as u32 * 3) % 2000) as f32 / 1000.0 - 1.0).collect()
}

pub(super) fn embeddings(body: &Value) -> Value {
    let inputs: Vec<String> = match &body["input"] {
        Value::Array(items) if items.iter().all(Value::is_number) => vec![body["input"].to_string()],
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
        }
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    };
    let dimensions = body["dimensions"].as_u64().unwrap_or(8) as usize;
    let in_base64 = body["encoding_format"] == "base64";
    let data = inputs.iter().enumerate().map(|(index, text)| {
        let numbers = vector(text, dimensions);
        let embedding = match in_base64 {
            true => STANDARD
                .encode(numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
                .into(),
            false => json!(numbers),
        };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    });
    let data: Vec<Value> = data.collect();
    let tokens: usize = inputs.iter().map(|text| text.split_whitespace().count()).sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    json!({ "object": "list", "data": data, "model": body["model"], "usage": usage })
}

pub(super) fn images(prompt: &str, count: u64, as_url: bool) -> Value {
    let one = match as_url {
        true => json!({ "url": "https://images.example.test/mock.png", "revised_prompt": prompt }),
        false => json!({ "b64_json": PIXEL, "revised_prompt": prompt }),
    };
    let data: Vec<Value> = (0..count).map(|_| one.clone()).collect();
    let usage = json!({
        "input_tokens": 10,
        "output_tokens": 100,
        "total_tokens": 110,
        "input_tokens_details": { "text_tokens": 10, "image_tokens": 0 },
    });
    json!({ "created": CREATED, "data": data, "usage": usage })
}

/// Silence in a WAV file, of a length that depends on the text.
pub(super) fn speech(text: &str) -> Bytes {
    let samples = vec![0_u8; 100 * text.len().max(1)];
    let mut wav = Vec::from(*b"RIFF");
    wav.extend((36 + samples.len() as u32).to_le_bytes());
    wav.extend(*b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    wav.extend((samples.len() as u32).to_le_bytes());
    wav.extend(samples);
    wav.into()
}

pub(super) fn transcription(file: usize) -> Value {
    let usage = json!({ "type": "tokens", "input_tokens": 10, "output_tokens": 4, "total_tokens": 14 });
    json!({ "text": format!("heard {file} bytes"), "usage": usage })
}

pub(super) const MODELS: [&str; 14] = [
    "mock",
    "mock-large",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-5",
    "text-embedding-3-small",
    "dall-e-3",
    "gpt-image-1",
    "tts-1",
    "whisper-1",
    "claude-sonnet-4",
    "claude-sonnet-4-5",
    "gemini-2.0-flash",
    "gemini-2.5-flash",
];

pub(super) fn model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "mock" })
}

pub(super) fn models() -> Value {
    json!({ "object": "list", "data": MODELS.map(model) })
}

pub(super) fn error_body(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        401 => ("invalid_request_error", json!("invalid_api_key")),
        404 => ("invalid_request_error", json!("model_not_found")),
        429 => ("requests", json!("rate_limit_exceeded")),
        500.. => ("server_error", Value::Null),
        _ => ("invalid_request_error", Value::Null),
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}
