//! Input items → messages.
//!
//! A client replays an earlier answer item by item: thought, text, calls. Vendors want that turn back as one
//! assistant message (a signed thought must stand beside the call it led to), so what the model said in a row is
//! joined.

use serde_json::Value;

use crate::call::{Message, Part, Role};
use crate::error::InvalidCall;

use super::call::needs_native;
use super::content::parts_from_content;
use super::item::{Sealed, unseal};
use super::members::{Members, kind_of};

/// Appends the messages of `input`.
pub(super) fn messages_from_input(input: &Value, messages: &mut Vec<Message>) -> Result<(), InvalidCall> {
    let items = match input {
        Value::String(text) => {
            messages.push(Message { role: Role::User, name: None, parts: vec![Part::text(text)] });
            return Ok(());
        }
        Value::Array(items) => items,
        other => {
            let message = format!("input must be a string or an array of items, not {}", kind_of(other));
            return Err(InvalidCall::at("input", message));
        }
    };
    messages.reserve(items.len());
    // Instructions before the input are never joined with it.
    let first = messages.len();
    for (index, item) in items.iter().enumerate() {
        let path = format!("input[{index}]");
        read_item(&Members::of(item, &path)?, first, messages)?;
    }
    Ok(())
}

fn read_item(item: &Members<'_, '_>, first: usize, messages: &mut Vec<Message>) -> Result<(), InvalidCall> {
    let kind = match item.text("type")? {
        Some(kind) => kind,
        None if item.get("role").is_some() => "message",
        // OpenAI reads an item with nothing but an id as a reference.
        None if item.get("id").is_some() => "item_reference",
        None => return Err(item.fault("type", "is required for an item without a role")),
    };
    match kind {
        "message" => read_message(item, first, messages),
        "function_call" => {
            let call = Part::ToolCall {
                id: item.required_text("call_id")?.to_owned(),
                name: item.required_text("name")?.to_owned(),
                arguments: item.text("arguments")?.unwrap_or_default().to_owned(),
                signature: call_signature(item)?,
            };
            assistant_turn(first, messages).push(call);
            Ok(())
        }
        "function_call_output" => {
            let result = read_result(item, &messages[first..])?;
            messages.push(Message { role: Role::Tool, name: None, parts: vec![result] });
            Ok(())
        }
        "reasoning" => {
            if let Some(thought) = read_thought(item)? {
                assistant_turn(first, messages).push(thought);
            }
            Ok(())
        }
        "item_reference" => Err(needs_native(item.path())),
        other => {
            let what = format!(
                "is {other}, which needs a vendor with a native Responses API; accepted are message, \
                 function_call, function_call_output and reasoning"
            );
            Err(item.fault("type", &what))
        }
    }
}

fn read_message(
    item: &Members<'_, '_>,
    first: usize,
    messages: &mut Vec<Message>,
) -> Result<(), InvalidCall> {
    let role = match item.required_text("role")? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        other => {
            let what = format!("must be user, assistant, system or developer, not {other}");
            return Err(item.fault("role", &what));
        }
    };
    let Some(content) = item.get("content") else {
        return Err(item.fault("content", "is required: a string or an array of content parts"));
    };
    let parts = parts_from_content(content, &item.path_of("content"))?;
    if role == Role::Assistant && continues_turn(&messages[first..]) {
        assistant_turn(first, messages).extend(parts);
    } else {
        messages.push(Message { role, name: None, parts });
    }
    Ok(())
}

/// Returns whether an assistant's text belongs to the message before it: after a thought or a call it does, two
/// texts in a row are two messages.
fn continues_turn(messages: &[Message]) -> bool {
    let Some(Message { role: Role::Assistant, parts, .. }) = messages.last() else { return false };
    matches!(
        parts.last(),
        Some(Part::Thinking { .. } | Part::RedactedThinking { .. } | Part::ToolCall { .. })
    )
}

/// Returns the parts of the assistant's open turn, beginning one where the last message is someone else's.
fn assistant_turn(first: usize, messages: &mut Vec<Message>) -> &mut Vec<Part> {
    let is_open = messages[first..].last().is_some_and(|message| message.role == Role::Assistant);
    if !is_open {
        messages.push(Message { role: Role::Assistant, name: None, parts: Vec::new() });
    }
    let last = messages.len() - 1;
    &mut messages[last].parts
}

/// Reads Gemini's signature of a call from the place where Gemini's own OpenAI endpoint puts it. Without it
/// Gemini 3 refuses the next turn.
fn call_signature(item: &Members<'_, '_>) -> Result<Option<String>, InvalidCall> {
    let Some(extra) = item.object("extra_content")? else { return Ok(None) };
    let signature = extra.get("google").and_then(|google| google.get("thought_signature"));
    Ok(signature.and_then(Value::as_str).map(str::to_owned))
}

fn read_result(item: &Members<'_, '_>, before: &[Message]) -> Result<Part, InvalidCall> {
    let id = item.required_text("call_id")?;
    let Some(output) = item.get("output") else {
        return Err(item.fault("output", "is required: a string or an array of content parts"));
    };
    let name = match item.text("name")? {
        Some(name) => Some(name),
        None => name_of_call(id, before),
    };
    Ok(Part::ToolResult {
        id: id.to_owned(),
        name: name.map(str::to_owned),
        content: parts_from_content(output, &item.path_of("output"))?,
        is_error: false,
        cache_control: None,
    })
}

/// Gemini wants the tool's name beside a result, but a result only has the id of its call.
fn name_of_call<'a>(wanted: &str, before: &'a [Message]) -> Option<&'a str> {
    let assistants = before.iter().rev().filter(|message| message.role == Role::Assistant);
    assistants.flat_map(|message| message.parts.iter().rev()).find_map(|part| match part {
        Part::ToolCall { id, name, .. } if id == wanted => Some(name.as_str()),
        _ => None,
    })
}

/// Reads a reasoning item. Only encrypted content that this gateway wrote is kept: another vendor's can't be
/// read by the one that is asked now.
fn read_thought(item: &Members<'_, '_>) -> Result<Option<Part>, InvalidCall> {
    let mut text = String::new();
    // `content` is the raw thought and `summary` tells it again; one of them is enough.
    for list in ["content", "summary"] {
        for (index, piece) in item.list(list)?.into_iter().flatten().enumerate() {
            let path = format!("{}[{index}]", item.path_of(list));
            let piece = Members::of(piece, &path)?.text("text")?.unwrap_or_default();
            if !text.is_empty() && !piece.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(piece);
        }
        if !text.is_empty() {
            break;
        }
    }
    Ok(match item.text("encrypted_content")?.and_then(unseal) {
        Some(Sealed::Signature(signature)) => {
            Some(Part::Thinking { text, signature: Some(signature.to_owned()) })
        }
        Some(Sealed::Redacted(data)) if text.is_empty() => {
            Some(Part::RedactedThinking { data: data.to_owned() })
        }
        _ if text.is_empty() => None,
        _ => Some(Part::Thinking { text, signature: None }),
    })
}

#[cfg(test)]
mod tests {
    use super::super::item::{seal_redacted, seal_signature};
    use super::*;
    use serde_json::json;

    fn read(input: Value) -> Result<Vec<Message>, InvalidCall> {
        let mut messages = Vec::new();
        messages_from_input(&input, &mut messages)?;
        Ok(messages)
    }

    #[test]
    fn a_replayed_turn_is_one_assistant_message() {
        let messages = read(json!([
            {"role": "user", "content": "When is high tide?"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Need data."}],
             "encrypted_content": seal_signature("sig")},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]},
            {"type": "function_call", "call_id": "c1", "name": "tide", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "moon", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "06:12"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "full"}]},
        ]))
        .unwrap();
        let roles: Vec<_> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool]);
        let [thought, text, first, second] = messages[1].parts.as_slice() else {
            panic!("{:?}", messages[1].parts)
        };
        let wanted = Part::Thinking { text: "Need data.".into(), signature: Some("sig".into()) };
        assert_eq!(*thought, wanted);
        assert_eq!(*text, Part::text("Let me look."));
        assert!(matches!(first, Part::ToolCall { id, .. } if id == "c1"));
        assert!(matches!(second, Part::ToolCall { id, .. } if id == "c2"));
        let Part::ToolResult { name, content, .. } = &messages[3].parts[0] else { panic!("no result") };
        assert_eq!(name.as_deref(), Some("moon"));
        assert_eq!(*content, [Part::text("full")]);
    }

    #[test]
    fn two_assistant_texts_in_a_row_stay_two_messages() {
        let messages =
            read(json!([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]));
        assert_eq!(messages.unwrap().len(), 2);
    }

    #[test]
    fn foreign_encrypted_thoughts_are_left_out() {
        let messages = read(json!([{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}]));
        assert_eq!(messages, Ok(Vec::new()));
        let own = json!([{"type": "reasoning", "summary": [], "encrypted_content": seal_redacted("xyz")}]);
        let messages = read(own).unwrap();
        assert_eq!(messages[0].parts, [Part::RedactedThinking { data: "xyz".into() }]);
    }

    #[test]
    fn a_gemini_signature_survives_the_round_trip() {
        let messages = read(json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}",
            "extra_content": {"google": {"thought_signature": "s"}}}]))
        .unwrap();
        assert!(matches!(&messages[0].parts[0], Part::ToolCall { signature: Some(s), .. } if s == "s"));
    }

    #[test]
    fn stored_items_are_refused() {
        for item in [json!({"type": "item_reference", "id": "msg_1"}), json!({"id": "msg_1"})] {
            let error = read(json!([item])).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("input[0]"));
            assert!(error.message.contains("native Responses API"), "{}", error.message);
        }
    }

    #[test]
    fn unknown_items_and_roles_are_refused_by_path() {
        let error = read(json!([{"type": "web_search_call", "id": "ws_1"}])).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("input[0].type"));
        let error = read(json!([{"role": "pirate", "content": "arr"}])).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("input[0].role"));
        assert!(read(json!([{}])).is_err());
        assert!(read(json!([7])).is_err());
        assert!(read(json!(7)).is_err());
    }
}
