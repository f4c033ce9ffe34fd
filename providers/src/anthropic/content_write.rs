//! Writes a canonical conversation as Anthropic's `system` and `messages`.
//!
//! The vendor wants user and assistant to take turns, every tool result in the user turn right behind the call and
//! in front of that turn's words, no empty text, and tool ids of a small alphabet. OpenAI's clients send none of
//! that on purpose, so all of it is arranged here.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::call::{Media, Message, Part, Role};
use crate::error::InvalidCall;

/// A conversation in the vendor's arrangement.
#[derive(Default)]
pub(super) struct Conversation {
    /// Text blocks of all system and developer messages.
    pub(super) system: Vec<Value>,
    turns: Vec<Turn>,
}

struct Turn {
    role: &'static str,
    results: Vec<Value>,
    blocks: Vec<Value>,
}

impl Conversation {
    /// Arranges the messages.
    pub(super) fn from_messages(messages: &[Message]) -> Result<Self, InvalidCall> {
        let mut conversation = Conversation::default();
        for (at, message) in messages.iter().enumerate() {
            match message.role {
                Role::System | Role::Developer => conversation.add_system(message),
                Role::Assistant => conversation.turn("assistant").add(at, message)?,
                Role::User | Role::Tool => conversation.turn("user").add(at, message)?,
            }
        }
        conversation.turns.retain(|turn| !turn.results.is_empty() || !turn.blocks.is_empty());
        if conversation.turns.is_empty() {
            return Err(InvalidCall::at("messages", "Anthropic needs at least one message with content"));
        }
        Ok(conversation)
    }

    fn add_system(&mut self, message: &Message) {
        for part in &message.parts {
            if let Part::Text { text, cache_control } = part {
                self.system.extend(text_block(text, cache_control.as_ref()));
            }
        }
    }

    /// Returns the turn that goes on or begins when `role` speaks.
    fn turn(&mut self, role: &'static str) -> &mut Turn {
        let goes_on = self.turns.last().is_some_and(|turn| turn.role == role);
        if !goes_on {
            self.turns.push(Turn { role, results: Vec::new(), blocks: Vec::new() });
        }
        let last = self.turns.len() - 1;
        &mut self.turns[last]
    }

    /// Returns `messages`.
    pub(super) fn into_messages(mut self) -> Vec<Value> {
        if let Some(turn) = self.turns.last_mut()
            && turn.role == "assistant"
            && let Some(Value::String(text)) = turn.blocks.last_mut().and_then(|block| block.get_mut("text"))
        {
            // The vendor refuses a prefill that ends in white space.
            text.truncate(text.trim_end().len());
        }
        self.turns.into_iter().map(Turn::into_message).collect()
    }
}

impl Turn {
    fn add(&mut self, at: usize, message: &Message) -> Result<(), InvalidCall> {
        for part in &message.parts {
            match part {
                Part::ToolResult { id, content, is_error, cache_control, .. } => {
                    self.results.push(tool_result(at, id, content, *is_error, cache_control.as_ref())?);
                }
                part => self.blocks.extend(block(at, part)?),
            }
        }
        Ok(())
    }

    fn into_message(self) -> Value {
        let mut blocks = self.results;
        blocks.extend(self.blocks);
        json!({"role": self.role, "content": plain(blocks)})
    }
}

/// A single bare text is written as a string.
fn plain(mut blocks: Vec<Value>) -> Value {
    if let [Value::Object(block)] = blocks.as_mut_slice()
        && block.len() == 2
        && block.get("type").is_some_and(|kind| kind == "text")
        && let Some(text) = block.get_mut("text")
    {
        return text.take();
    }
    Value::Array(blocks)
}

fn tool_result(
    at: usize,
    id: &str,
    content: &[Part],
    is_error: bool,
    cache_control: Option<&Value>,
) -> Result<Value, InvalidCall> {
    let mut result = object("tool_result");
    result.insert("tool_use_id".to_owned(), Value::String(safe_id(id).into_owned()));
    let mut blocks = Vec::with_capacity(content.len());
    for part in content {
        blocks.extend(block(at, part)?);
    }
    if !blocks.is_empty() {
        result.insert("content".to_owned(), plain(blocks));
    }
    if is_error {
        result.insert("is_error".to_owned(), Value::Bool(true));
    }
    Ok(with_cache_control(result, cache_control))
}

/// Returns the block of a part; `None` for parts that have nothing to say to the vendor.
fn block(at: usize, part: &Part) -> Result<Option<Value>, InvalidCall> {
    let invalid = |message: String| InvalidCall::at(format!("messages[{at}]"), message);
    Ok(match part {
        Part::Text { text, cache_control } => text_block(text, cache_control.as_ref()),
        Part::Refusal { text } => text_block(text, None),
        Part::Image { source, cache_control, .. } => {
            Some(media_block(source, None, cache_control.as_ref(), "image").map_err(invalid)?)
        }
        Part::File { source, name, cache_control } => {
            Some(media_block(source, name.as_deref(), cache_control.as_ref(), "document").map_err(invalid)?)
        }
        Part::Audio { .. } => return Err(invalid("Anthropic's models take no audio".to_owned())),
        // The vendor accepts its own signed thoughts only.
        Part::Thinking { signature: None, .. } => None,
        Part::Thinking { text, signature: Some(signature) } => {
            Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        Part::RedactedThinking { data } => Some(json!({"type": "redacted_thinking", "data": data})),
        Part::ToolCall { id, name, arguments, .. } => {
            let input = input(arguments).ok_or_else(|| {
                invalid(format!("the arguments of the call of `{name}` must be a JSON object"))
            })?;
            Some(json!({"type": "tool_use", "id": safe_id(id), "name": name, "input": input}))
        }
        // A result inside a result; no client writes that.
        Part::ToolResult { .. } => None,
    })
}

/// Reads the JSON text of arguments; `None` when it isn't an object.
pub(super) fn input(arguments: &str) -> Option<Value> {
    if arguments.trim().is_empty() {
        return Some(Value::Object(Map::new()));
    }
    crate::surrogates::from_slice(arguments.as_bytes()).ok().filter(Value::is_object)
}

/// The vendor refuses empty texts, and OpenAI's clients send many beside tool calls.
fn text_block(text: &str, cache_control: Option<&Value>) -> Option<Value> {
    if text.is_empty() {
        return None;
    }
    let mut block = object("text");
    block.insert("text".to_owned(), text.into());
    Some(with_cache_control(block, cache_control))
}

/// Returns an image or a document, whichever the content is; `fallback` counts where nothing tells.
fn media_block(
    source: &Media,
    name: Option<&str>,
    cache_control: Option<&Value>,
    fallback: &'static str,
) -> Result<Value, String> {
    let (kind, source) = match source {
        Media::FileId(id) => (fallback, json!({"type": "file", "file_id": id})),
        Media::Base64 { media_type, data } => inline(media_type, data, name)?,
        Media::Url { url, media_type } => match data_url(url) {
            Some((media_type, data)) => inline(media_type, data, name)?,
            None => linked(url, media_type.as_deref(), fallback)?,
        },
    };
    let mut block = object(kind);
    block.insert("source".to_owned(), source);
    if let (Some(name), "document") = (name, kind) {
        block.insert("title".to_owned(), name.into());
    }
    Ok(with_cache_control(block, cache_control))
}

fn inline(media_type: &str, data: &str, name: Option<&str>) -> Result<(&'static str, Value), String> {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let named_pdf = name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".pdf"));
    if essence == "application/pdf" || (named_pdf && essence == "application/octet-stream") {
        return Ok(("document", json!({"type": "base64", "media_type": "application/pdf", "data": data})));
    }
    if essence.starts_with("image/") {
        // Many clients write `image/jpg`, which the vendor doesn't know.
        let essence = if essence == "image/jpg" { "image/jpeg" } else { &essence };
        return Ok(("image", json!({"type": "base64", "media_type": essence, "data": data})));
    }
    if essence.starts_with("text/") || essence == "application/json" {
        let bytes = STANDARD.decode(data).map_err(|_| "the file is not valid base64".to_owned())?;
        let text = String::from_utf8(bytes).map_err(|_| "the text file is not valid UTF-8".to_owned())?;
        return Ok(("document", json!({"type": "text", "media_type": "text/plain", "data": text})));
    }
    Err(format!("Anthropic takes images, PDF and text, not `{media_type}`"))
}

fn linked(
    url: &str,
    media_type: Option<&str>,
    fallback: &'static str,
) -> Result<(&'static str, Value), String> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err("a file must be an http(s) URL or a base64 data URL".to_owned());
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let is_pdf = media_type == Some("application/pdf") || path.to_ascii_lowercase().ends_with(".pdf");
    let kind = if is_pdf { "document" } else { fallback };
    Ok((kind, json!({"type": "url", "url": url})))
}

fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// The vendor's ids match `[a-zA-Z0-9_-]+`; other vendors' may hold dots and colons. Call and result change alike.
fn safe_id(id: &str) -> Cow<'_, str> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() {
        Cow::Borrowed("_")
    } else if id.chars().all(is_safe) {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(id.chars().map(|c| if is_safe(c) { c } else { '_' }).collect())
    }
}

fn object(kind: &str) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("type".to_owned(), kind.into());
    object
}

fn with_cache_control(mut block: Map<String, Value>, cache_control: Option<&Value>) -> Value {
    if let Some(cache_control) = cache_control {
        block.insert("cache_control".to_owned(), cache_control.clone());
    }
    Value::Object(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, parts: Vec<Part>) -> Message {
        Message { role, name: None, parts }
    }

    fn result(id: &str, text: &str) -> Part {
        let content = vec![Part::text(text)];
        Part::ToolResult { id: id.into(), name: None, content, is_error: false, cache_control: None }
    }

    fn call(id: &str, arguments: &str) -> Part {
        Part::ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into(), signature: None }
    }

    fn written(messages: &[Message]) -> Value {
        Value::Array(Conversation::from_messages(messages).unwrap().into_messages())
    }

    #[test]
    fn turns_are_merged_and_results_come_first() {
        let messages = [
            message(Role::User, vec![Part::text("a")]),
            message(Role::User, vec![Part::text("b")]),
            message(Role::Assistant, vec![Part::text(""), call("c.1", ""), call("c2", r#"{"x":1}"#)]),
            message(Role::User, vec![Part::text("hurry")]),
            message(Role::Tool, vec![result("c.1", "one")]),
            message(Role::Tool, vec![result("c2", "")]),
        ];
        assert_eq!(
            written(&messages),
            json!([
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "c_1", "name": "f", "input": {}},
                    {"type": "tool_use", "id": "c2", "name": "f", "input": {"x": 1}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c_1", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "c2"},
                    {"type": "text", "text": "hurry"},
                ]},
            ])
        );
    }

    #[test]
    fn unparsable_arguments_name_the_message() {
        let messages =
            [message(Role::User, vec![Part::text("a")]), message(Role::Assistant, vec![call("c", "{")])];
        let error = Conversation::from_messages(&messages).err().unwrap();
        assert_eq!(error.param.as_deref(), Some("messages[1]"));
    }

    #[test]
    fn media_find_their_block() {
        let image = |source| Part::Image { source, detail: None, cache_control: None };
        let url = |url: &str| Media::Url { url: url.into(), media_type: None };
        let file = Media::Base64 { media_type: "text/csv".into(), data: STANDARD.encode("a,b") };
        let parts = vec![
            image(url("https://example.com/a.png")),
            image(url("data:image/jpg;base64,AAAA")),
            image(url("data:application/pdf;base64,AAAA")),
            image(url("https://example.com/a.PDF?x=1")),
            Part::File { source: file, name: Some("n".into()), cache_control: None },
            Part::File { source: Media::FileId("file_1".into()), name: None, cache_control: None },
        ];
        assert_eq!(
            written(&[message(Role::User, parts)])[0]["content"],
            json!([
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}},
                {"type": "document", "source": {"type": "url", "url": "https://example.com/a.PDF?x=1"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"},
                 "title": "n"},
                {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            ])
        );
        let sound = Part::Audio { source: Media::FileId("x".into()) };
        assert!(Conversation::from_messages(&[message(Role::User, vec![sound])]).is_err());
    }

    #[test]
    fn thoughts_go_back_only_when_signed() {
        let signed = Part::Thinking { text: "t".into(), signature: Some("s".into()) };
        let unsigned = Part::Thinking { text: "t".into(), signature: None };
        let sealed = Part::RedactedThinking { data: "d".into() };
        let parts = vec![unsigned, signed, sealed, Part::text("end  ")];
        assert_eq!(
            written(&[message(Role::Assistant, parts)])[0]["content"],
            json!([
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "text", "text": "end"},
            ])
        );
    }
}
