//! What does it cost to change the model of a request? The baseline parses the whole body and writes it again.

mod table;

use std::hint::black_box;

use serde_json::{Value, json};
use tidegate_providers::Fields;

use crate::table::{Group, Table};

/// Makes the body of a chat of at least this many bytes, in messages of about 400 bytes as people and models write
/// them: prose, line ends, quotes, some letters beyond ASCII.
fn body(bytes: usize) -> Vec<u8> {
    const TEXT: &str = "The tide gate at Husum closes when the water outside is higher than the water inside.\n\n\
        It has no motor: \"the sea shuts it, the river opens it\", as the keeper says. Caf\u{e9} owners nearby set \
        their clocks by it. What does `let open = inside > outside;` say about a day with two high tides, \
        and which of them is the one that the keeper has to be awake for?\n";
    let mut messages = vec![json!({"role": "system", "content": "You are a helpful assistant."})];
    let turns = bytes.saturating_sub(300) / 400;
    for turn in 0..turns {
        messages.push(json!({"role": if turn % 2 == 0 { "user" } else { "assistant" }, "content": TEXT}));
    }
    let mut whole = json!({
        "model": "@openai/gpt-4o", "stream": true, "temperature": 0.7, "max_tokens": 1024,
        "stream_options": {"include_usage": true}, "messages": messages,
        "tools": [{"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}}],
    });
    let missing = bytes.saturating_sub(whole.to_string().len());
    whole["user"] = Value::String("u".repeat(missing.saturating_sub(10)));
    whole.to_string().into_bytes()
}

fn with_fields(body: &[u8]) -> Vec<u8> {
    let mut fields = Fields::parse(body).expect("an object");
    fields.set_str("model", "gpt-4o");
    fields.to_vec()
}

fn with_value(body: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(body).expect("an object");
    value["model"] = "gpt-4o".into();
    serde_json::to_vec(&value).expect("bytes")
}

fn measure(group: &mut Group<'_>, bytes: usize) {
    let body = body(bytes);
    assert!(body.len().abs_diff(bytes) < bytes / 10, "{} bytes for {bytes}", body.len());
    assert_eq!(with_fields(&body), with_value(&body));
    group.bench("value", |b| b.iter(|| with_value(black_box(&body))));
    group.bench("fields", |b| b.iter(|| with_fields(black_box(&body))));
    group.bench("memcpy", |b| b.iter(|| black_box(&body).clone()));
}

fn main() {
    let mut table = Table::new();
    table.group("1 KB body", 1, |group| measure(group, 1 << 10));
    table.group("32 KB body", 1, |group| measure(group, 32 << 10));
    table.group("1 MB body", 1, |group| measure(group, 1 << 20));
    table.print();
}
