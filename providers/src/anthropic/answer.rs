//! Whole answers of the Messages wire, read from vendors and written for clients.

use serde_json::{Value, json};

use super::content_write::input;
use super::error::unreadable;
use super::frames::{Block, MessageShape, finish_reason, stop_reason};
use super::frames_out::UsageOut;
use crate::answer::{Answer, Choice};
use crate::call::Part;
use crate::codec::EncodeOptions;
use crate::error::UpstreamError;

/// Reads a 2xx body.
pub(super) fn read(body: &[u8]) -> Result<Answer, UpstreamError> {
    let message: MessageShape = serde_json::from_slice(body)
        .map_err(|error| unreadable(format!("the vendor's answer is not a message: {error}")))?;
    if let Some(error) = message.error {
        return Err(error.into_upstream(None));
    }
    let Some(blocks) = message.content else {
        return Err(unreadable("the vendor's answer is not a message: `content` is missing"));
    };
    let finish = message.stop_reason.map(|reason| finish_reason(reason, message.stop_sequence));
    let parts = blocks.into_iter().filter_map(part).collect();
    Ok(Answer {
        id: message.id.unwrap_or_default(),
        model: message.model.unwrap_or_default(),
        created: 0,
        choices: vec![Choice { parts, finish, logprobs: None }],
        usage: message.usage.map(|usage| usage.usage()),
    })
}

/// Returns the part of a block; `None` for those of server tools, which have no canonical form.
fn part(block: Block) -> Option<Part> {
    match block.kind.as_str() {
        "text" => Some(Part::text(block.text.unwrap_or_default())),
        "thinking" => Some(Part::Thinking {
            text: block.thinking.unwrap_or_default(),
            signature: block.signature.filter(|signature| !signature.is_empty()),
        }),
        "redacted_thinking" => Some(Part::RedactedThinking { data: block.data.unwrap_or_default() }),
        "tool_use" => Some(Part::ToolCall {
            arguments: block.arguments().to_owned(),
            id: block.id.unwrap_or_default(),
            name: block.name.unwrap_or_default(),
            signature: None,
        }),
        _ => None,
    }
}

/// Writes a whole answer. The wire has one choice; others are left out.
pub(super) fn write(answer: &Answer, options: &EncodeOptions) -> Value {
    let choice = answer.choices.first();
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    let called_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
    json!({
        "id": message_id(&answer.id, options),
        "type": "message",
        "role": "assistant",
        "model": if answer.model.is_empty() { &options.model } else { &answer.model },
        "content": parts.iter().filter_map(block).collect::<Vec<_>>(),
        "stop_reason": stop_reason(finish, called_tools, refused),
        "stop_sequence": finish.and_then(|finish| finish.stop_sequence.as_deref()),
        "usage": UsageOut::from(&answer.usage.unwrap_or_default()),
    })
}

fn block(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text, .. } | Part::Refusal { text } => Some(json!({"type": "text", "text": text})),
        Part::Thinking { text, signature } => {
            let signature = signature.as_deref().unwrap_or_default();
            Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        Part::RedactedThinking { data } => Some(json!({"type": "redacted_thinking", "data": data})),
        Part::ToolCall { id, name, arguments, .. } => {
            // The wire wants an object. A model that wrote something else shall be seen, not silenced.
            let input = input(arguments).unwrap_or_else(|| json!({"arguments": arguments}));
            Some(json!({"type": "tool_use", "id": id, "name": name, "input": input}))
        }
        // Nothing in an answer of this wire can carry pictures, sounds or files.
        Part::Image { .. } | Part::Audio { .. } | Part::File { .. } | Part::ToolResult { .. } => None,
    }
}

/// Returns an id as this wire's clients expect it.
pub(super) fn message_id(vendors: &str, options: &EncodeOptions) -> String {
    let id = if vendors.is_empty() { &options.id } else { vendors };
    if id.starts_with("msg_") { id.to_owned() } else { format!("msg_{id}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_back() {
        let body = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [
                {"type": "thinking", "thinking": "hmm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "Hi "},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Pune"}},
                {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
            ],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {
                "input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4,
                "output_tokens": 20,
                "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1},
                "output_tokens_details": {"thinking_tokens": 6},
            },
        });
        let answer = read(body.to_string().as_bytes()).unwrap();
        assert_eq!(answer.usage.unwrap().input, 17);
        assert_eq!(write(&answer, &EncodeOptions::default()), body);
    }

    #[test]
    fn a_foreign_answer_gets_an_id_and_an_object_as_input() {
        let call =
            Part::ToolCall { id: "call_1".into(), name: "f".into(), arguments: "[1".into(), signature: None };
        let choice = Choice { parts: vec![call], finish: None, logprobs: None };
        let answer = Answer { id: "chatcmpl-9".into(), choices: vec![choice], ..Answer::default() };
        let options = EncodeOptions { model: "gpt".into(), ..EncodeOptions::default() };
        let body = write(&answer, &options);
        assert_eq!(body["id"], "msg_chatcmpl-9");
        assert_eq!(body["model"], "gpt");
        assert_eq!(body["content"][0]["input"], json!({"arguments": "[1"}));
        assert_eq!(body["stop_reason"], "tool_use");
    }

    #[test]
    fn other_bodies_are_errors() {
        let overloaded = br#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#;
        assert_eq!(read(overloaded).unwrap_err().status, 529);
        for body in [&b""[..], b"<html>", br#"{"weird":1}"#, b"[]", br#"{"content":"text"}"#] {
            assert_eq!(read(body).unwrap_err().status, 502, "{}", String::from_utf8_lossy(body));
        }
    }
}
