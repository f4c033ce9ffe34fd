//! Reads content blocks of the Messages wire.
//!
//! Blocks that only Anthropic can use (its server tools' calls and results, uploads into its containers) are
//! skipped: another vendor can't continue them, and Anthropic itself gets the client's body untouched.

use std::fmt;

use serde_json::{Map, Value};

use crate::call::{Media, Part};
use crate::error::InvalidCall;

/// Where a value stands in the body; turned into text only for an error.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root(&'a str),
    Member(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn member(&'a self, name: &'a str) -> Path<'a> {
        Path::Member(self, name)
    }

    pub(super) fn index(&'a self, at: usize) -> Path<'a> {
        Path::Index(self, at)
    }

    pub(super) fn invalid(&self, message: impl Into<String>) -> InvalidCall {
        InvalidCall::at(self.to_string(), message)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(name) => f.write_str(name),
            Path::Member(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

/// Returns a member that is neither absent nor null.
pub(super) fn present<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

/// Returns a member that must be a string.
pub(super) fn required_str<'a>(
    object: &'a Map<String, Value>,
    name: &str,
    path: &Path<'_>,
) -> Result<&'a str, InvalidCall> {
    present(object, name)
        .and_then(Value::as_str)
        .ok_or_else(|| path.member(name).invalid(format!("`{name}` must be a string")))
}

/// Reads a string or a list of blocks.
pub(super) fn content(value: &Value, path: &Path<'_>, out: &mut Vec<Part>) -> Result<(), InvalidCall> {
    match value {
        Value::String(text) => out.push(Part::text(text)),
        Value::Array(blocks) => {
            out.reserve(blocks.len());
            for (at, value) in blocks.iter().enumerate() {
                block(value, &path.index(at), out)?;
            }
        }
        _ => return Err(path.invalid("content must be a string or a list of content blocks")),
    }
    Ok(())
}

fn block(value: &Value, path: &Path<'_>, out: &mut Vec<Part>) -> Result<(), InvalidCall> {
    let Some(block) = value.as_object() else {
        return Err(path.invalid("a content block must be an object"));
    };
    match required_str(block, "type", path)? {
        "text" => {
            let text = required_str(block, "text", path)?.to_owned();
            out.push(Part::Text { text, cache_control: cache_control(block) });
        }
        "image" => {
            let path = path.member("source");
            let source = media(source_of(block, &path)?, &path)?;
            out.push(Part::Image { source, detail: None, cache_control: cache_control(block) });
        }
        "document" => document(block, path, out)?,
        "search_result" => search_result(block, path, out)?,
        "thinking" => {
            let signature = present(block, "signature").and_then(Value::as_str).filter(|s| !s.is_empty());
            out.push(Part::Thinking {
                text: required_str(block, "thinking", path)?.to_owned(),
                signature: signature.map(str::to_owned),
            });
        }
        "redacted_thinking" => {
            out.push(Part::RedactedThinking { data: required_str(block, "data", path)?.to_owned() });
        }
        "tool_use" => out.push(Part::ToolCall {
            id: required_str(block, "id", path)?.to_owned(),
            name: required_str(block, "name", path)?.to_owned(),
            arguments: present(block, "input").map(Value::to_string).unwrap_or_default(),
            signature: None,
        }),
        "tool_result" => {
            let mut parts = Vec::new();
            if let Some(value) = present(block, "content") {
                content(value, &path.member("content"), &mut parts)?;
            }
            out.push(Part::ToolResult {
                id: required_str(block, "tool_use_id", path)?.to_owned(),
                name: None,
                content: parts,
                is_error: present(block, "is_error").and_then(Value::as_bool).unwrap_or(false),
                cache_control: cache_control(block),
            });
        }
        // Server tools and blocks younger than this code: their text, if they have one, is all that others can
        // read.
        _ => {
            if let Some(text) = present(block, "text").and_then(Value::as_str) {
                out.push(Part::text(text));
            }
        }
    }
    Ok(())
}

fn document(block: &Map<String, Value>, path: &Path<'_>, out: &mut Vec<Part>) -> Result<(), InvalidCall> {
    let title = present(block, "title").and_then(Value::as_str);
    let path = path.member("source");
    let source = source_of(block, &path)?;
    match required_str(source, "type", &path)? {
        // Few vendors take text as a file and all of them take text.
        "text" => {
            let text = required_str(source, "data", &path)?;
            let text = title.map_or_else(|| text.to_owned(), |title| format!("{title}\n\n{text}"));
            out.push(Part::Text { text, cache_control: cache_control(block) });
        }
        "content" => {
            out.extend(title.map(Part::text));
            if let Some(value) = present(source, "content") {
                content(value, &path.member("content"), out)?;
            }
        }
        _ => {
            let mut source = media(source, &path)?;
            if let Media::Url { media_type, .. } = &mut source {
                // The wire links no other documents, and Gemini wants to be told.
                *media_type = Some("application/pdf".to_owned());
            }
            let name = title.map(str::to_owned);
            out.push(Part::File { source, name, cache_control: cache_control(block) });
        }
    }
    Ok(())
}

fn search_result(
    block: &Map<String, Value>,
    path: &Path<'_>,
    out: &mut Vec<Part>,
) -> Result<(), InvalidCall> {
    for name in ["title", "source"] {
        out.extend(present(block, name).and_then(Value::as_str).map(Part::text));
    }
    match present(block, "content") {
        Some(value) => content(value, &path.member("content"), out),
        None => Ok(()),
    }
}

fn source_of<'a>(
    block: &'a Map<String, Value>,
    path: &Path<'_>,
) -> Result<&'a Map<String, Value>, InvalidCall> {
    present(block, "source")
        .and_then(Value::as_object)
        .ok_or_else(|| path.invalid("`source` must be an object"))
}

fn media(source: &Map<String, Value>, path: &Path<'_>) -> Result<Media, InvalidCall> {
    match required_str(source, "type", path)? {
        "base64" => Ok(Media::Base64 {
            media_type: required_str(source, "media_type", path)?.to_owned(),
            data: required_str(source, "data", path)?.to_owned(),
        }),
        "url" => Ok(Media::Url { url: required_str(source, "url", path)?.to_owned(), media_type: None }),
        "file" => Ok(Media::FileId(required_str(source, "file_id", path)?.to_owned())),
        other => Err(path.member("type").invalid(format!(
            "unknown source type `{other}`; this gateway reads `base64`, `url` and `file`"
        ))),
    }
}

fn cache_control(block: &Map<String, Value>) -> Option<Value> {
    present(block, "cache_control").cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Vec<Part>, InvalidCall> {
        let mut out = Vec::new();
        content(value, &Path::Root("messages").index(0).member("content"), &mut out)?;
        Ok(out)
    }

    #[test]
    fn server_tools_and_unknown_blocks_are_skipped() {
        let parts = read(&json!([
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            {"type": "from_the_future", "payload": 1},
            {"type": "from_the_future", "text": "kept"},
        ]));
        assert_eq!(parts.unwrap(), vec![Part::text("kept")]);
    }

    #[test]
    fn documents_of_text_become_text() {
        let parts = read(&json!([
            {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "D"}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "C"}]}},
            {"type": "document", "title": "P", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        ]));
        let media_type = Some("application/pdf".into());
        let url = Media::Url { url: "https://example.com/a.pdf".into(), media_type };
        assert_eq!(
            parts.unwrap(),
            vec![
                Part::text("T\n\nD"),
                Part::text("C"),
                Part::File { source: url, name: Some("P".into()), cache_control: None },
            ]
        );
    }

    #[test]
    fn errors_name_the_path() {
        let error =
            read(&json!([{"type": "text", "text": "a"}, {"type": "image", "source": {"type": "base64"}}]));
        assert_eq!(error.unwrap_err().param.as_deref(), Some("messages[0].content[1].source.media_type"));
        let error = read(&json!(["text"]));
        assert_eq!(error.unwrap_err().param.as_deref(), Some("messages[0].content[0]"));
        let error = read(&json!(7));
        assert_eq!(error.unwrap_err().param.as_deref(), Some("messages[0].content"));
    }
}
