//! Makes subjects of cases, as the gateway makes them of requests and answers.

use serde_json::{Map, Value};
use tidegate_plugin_host::{CallView, Hook, Message, Piece, Subject, ToolCall};

use super::case::{Case, HookName, PieceOrText};

/// Returns what a check is given to judge.
pub(super) fn subject(case: &Case) -> Subject {
    let usual = if case.request.is_some() { HookName::Input } else { HookName::Output };
    let hook = Hook::from(case.hook.unwrap_or(usual));
    let body = case.request.as_ref().or(case.answer.as_ref());
    let pieces = match (&case.pieces, &case.request, &case.answer) {
        (Some(pieces), ..) => pieces.iter().map(|given| piece(hook, given)).collect(),
        (_, Some(request), _) => pieces_of(request.get("messages"), |message| message),
        (_, _, Some(answer)) => {
            pieces_of(answer.get("choices"), |choice| choice.get("message").unwrap_or(choice))
        }
        _ => Vec::new(),
    };
    Subject {
        hook,
        call: case.request.as_ref().map_or_else(empty_call, call),
        pieces,
        body_json: body.map(Value::to_string),
        extra: Vec::new(),
    }
}

/// Returns the same subject with one of its pieces.
pub(super) fn only(subject: &Subject, piece: &Piece) -> Subject {
    Subject { pieces: vec![piece.clone()], ..subject.clone() }
}

fn piece(hook: Hook, given: &PieceOrText) -> Piece {
    let role = if hook == Hook::Input { "user" } else { "assistant" };
    let plain = |text: &str| Piece {
        kind: "text".to_owned(),
        role: role.to_owned(),
        index: 0,
        text: text.to_owned(),
    };
    match given {
        PieceOrText::Text(text) => plain(text),
        PieceOrText::Piece(whole) => {
            let mut piece = plain(&whole.text);
            piece.index = whole.index;
            piece.kind = whole.kind.clone().unwrap_or(piece.kind);
            piece.role = whole.role.clone().unwrap_or(piece.role);
            piece
        }
    }
}

/// Returns the texts of messages, in order. Tool arguments are not among them: cases give those as pieces.
fn pieces_of<'a>(items: Option<&'a Value>, message: impl Fn(&'a Value) -> &'a Value) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (item, index) in items.and_then(Value::as_array).into_iter().flatten().zip(0..) {
        let message = message(item);
        let role = text(message, "role").unwrap_or_else(|| "assistant".to_owned());
        let kind = if role == "tool" { "tool-result" } else { "text" };
        for text in texts(message) {
            pieces.push(Piece { kind: kind.to_owned(), role: role.clone(), index, text: text.to_owned() });
        }
    }
    pieces
}

fn texts(message: &Value) -> Vec<&str> {
    match message.get("content") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => Vec::new(),
    }
}

fn call(request: &Value) -> CallView {
    let others: Map<String, Value> = request
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !matches!(name.as_str(), "messages" | "metadata" | "user" | "model" | "stream"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let metadata = request.get("metadata").and_then(Value::as_object);
    CallView {
        model: text(request, "model").unwrap_or_default(),
        messages: request
            .get("messages")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(message)
            .collect(),
        params_json: Some(Value::Object(others).to_string()),
        metadata: metadata
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect(),
        user: text(request, "user"),
        stream: request.get("stream").and_then(Value::as_bool).unwrap_or_default(),
        ..empty_call()
    }
}

fn empty_call() -> CallView {
    CallView {
        endpoint: "/v1/chat/completions".to_owned(),
        model: String::new(),
        provider: None,
        messages: Vec::new(),
        params_json: None,
        metadata: Vec::new(),
        user: None,
        stream: false,
        extra: Vec::new(),
    }
}

fn message(value: &Value) -> Message {
    let texts = texts(value);
    let tool_calls =
        value.get("tool_calls").and_then(Value::as_array).into_iter().flatten().map(|call| ToolCall {
            id: text(call, "id").unwrap_or_default(),
            name: call.get("function").and_then(|function| text(function, "name")).unwrap_or_default(),
            arguments_json: call
                .get("function")
                .and_then(|function| text(function, "arguments"))
                .unwrap_or_default(),
        });
    Message {
        role: text(value, "role").unwrap_or_default(),
        text: (!texts.is_empty()).then(|| texts.join("\n")),
        tool_calls: tool_calls.collect(),
        tool_call_id: text(value, "tool_call_id"),
        parts_json: None,
        extra: Vec::new(),
    }
}

fn text(value: &Value, member: &str) -> Option<String> {
    value.get(member)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(case: Value) -> Subject {
        subject(&serde_json::from_value(case).unwrap())
    }

    #[test]
    fn a_request_is_input_with_its_texts_in_order() {
        let subject = of(json!({
            "name": "n", "check": "c", "expect": {"verdict": "pass"},
            "request": {"model": "m", "user": "u", "temperature": 1, "metadata": {"team": "a", "level": 2}, "messages": [
                {"role": "system", "content": "one"},
                {"role": "user", "content": [{"type": "text", "text": "two"}, {"type": "image_url"}]},
                {"role": "tool", "content": "three", "tool_call_id": "t"}]},
        }));
        let texts: Vec<(&str, &str, u32)> =
            subject.pieces.iter().map(|piece| (&*piece.kind, &*piece.text, piece.index)).collect();
        assert_eq!(texts, [("text", "one", 0), ("text", "two", 1), ("tool-result", "three", 2)]);
        assert_eq!((subject.hook, &*subject.call.model, subject.call.messages.len()), (Hook::Input, "m", 3));
        assert_eq!(subject.call.params_json.as_deref(), Some(r#"{"temperature":1}"#));
        assert_eq!(subject.call.metadata[1], ("level".to_owned(), "2".to_owned()));
    }

    #[test]
    fn an_answer_is_output_with_a_piece_per_choice() {
        let subject = of(json!({
            "name": "n", "check": "c", "expect": {"verdict": "pass"},
            "answer": {"choices": [{"message": {"role": "assistant", "content": "a"}}, {"message": {"content": "b"}}]},
        }));
        assert_eq!((subject.hook, subject.pieces.len(), subject.pieces[1].index), (Hook::Output, 2, 1));
        assert_eq!(subject.pieces[1].role, "assistant");
    }
}
