//! Texts of messages and their content parts: OpenAI's, Anthropic's and those of hosts that speak a bit of both.
//!
//! One walker for all dialects, because clients mix them (Anthropic's blocks stand in `content_blocks` of chat
//! messages), and a text that is missed is a text that no guardrail sees.

use serde_json::Value;

use super::finder::Finder;
use super::slot::TextKind;

/// Returns the role under which a message's texts are judged. Unknown speakers count as users: nobody is trusted
/// less.
pub(super) fn role_of(message: &Value) -> &'static str {
    message.get("role").and_then(Value::as_str).map_or("user", role_named)
}

/// The same of the role's name.
pub(super) fn role_named(name: &str) -> &'static str {
    match name {
        "system" => "system",
        "developer" => "developer",
        "assistant" | "model" => "assistant",
        "tool" | "function" => "tool",
        _ => "user",
    }
}

pub(super) fn kind_of(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// Returns whether a string member is there with something in it.
pub(super) fn has_text(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

impl Finder {
    /// Visits a chat or Messages message.
    pub(super) fn message(&mut self, message: &Value) {
        let kind = if role_of(message) == "tool" { TextKind::ToolResult } else { TextKind::Text };
        for name in ["reasoning_content", "reasoning", "thinking"] {
            self.member(message, name, Self::thought);
        }
        // OpenRouter's thoughts, each with the signature of its vendor.
        self.member(message, "reasoning_details", |finder, details| {
            finder.each(details, |finder, detail| {
                finder.signed(has_text(detail, "signature"), |finder| {
                    for name in ["text", "summary"] {
                        finder.member(detail, name, Self::thought);
                    }
                });
            });
        });
        for name in ["content_blocks", "content"] {
            self.member(message, name, |finder, content| finder.content(kind, content));
        }
        self.member(message, "refusal", |finder, text| finder.text(TextKind::Refusal, text));
        self.member(message, "tool_calls", |finder, calls| finder.each(calls, Self::tool_call));
        self.member(message, "function_call", Self::arguments);
    }

    /// Visits a string, an array of parts, or a single part.
    pub(super) fn content(&mut self, kind: TextKind, content: &Value) {
        match content {
            Value::Array(_) => self.each(content, |finder, part| finder.part(kind, part)),
            _ => self.part(kind, content),
        }
    }

    fn part(&mut self, kind: TextKind, part: &Value) {
        match kind_of(part) {
            "refusal" => self.member(part, "refusal", |finder, text| finder.text(TextKind::Refusal, text)),
            "thinking" => self.signed(has_text(part, "signature"), |finder| {
                finder.member(part, "thinking", Self::thought);
            }),
            "tool_use" | "server_tool_use" | "mcp_tool_use" => self.said_by("assistant", |finder| {
                finder.member(part, "input", |finder, input| finder.json(TextKind::ToolArguments, input));
            }),
            "document" => self.document(kind, part),
            "search_result" | "web_search_result" => {
                for name in ["title", "source"] {
                    self.member(part, name, |finder, text| finder.text(kind, text));
                }
                self.member(part, "content", |finder, content| finder.content(kind, content));
            }
            // `tool_result`, and `web_fetch_tool_result` and its like.
            name if name.ends_with("tool_result") => self.said_by("tool", |finder| {
                let kind = TextKind::ToolResult;
                finder.member(part, "content", |finder, content| finder.content(kind, content));
            }),
            _ => {
                self.text(kind, part);
                for name in ["text", "stdout", "stderr", "logs"] {
                    self.member(part, name, |finder, text| finder.text(kind, text));
                }
                self.member(part, "content", |finder, content| finder.content(kind, content));
            }
        }
    }

    fn document(&mut self, kind: TextKind, part: &Value) {
        for name in ["title", "context"] {
            self.member(part, name, |finder, text| finder.text(kind, text));
        }
        self.member(part, "source", |finder, source| {
            if kind_of(source) == "text" {
                finder.member(source, "data", |finder, text| finder.text(kind, text));
            }
            finder.member(source, "content", |finder, content| finder.content(kind, content));
        });
    }

    /// Visits a thought: a string, or as Mistral and the Responses API write it, a list of text parts.
    pub(super) fn thought(&mut self, thought: &Value) {
        self.text(TextKind::Reasoning, thought);
        self.each(thought, |finder, piece| {
            finder.text(TextKind::Reasoning, piece);
            finder.member(piece, "text", |finder, text| finder.text(TextKind::Reasoning, text));
        });
    }

    fn tool_call(&mut self, call: &Value) {
        self.member(call, "function", Self::arguments);
        // The input of a custom tool is free text.
        self.member(call, "custom", |finder, custom| {
            finder.member(custom, "input", |finder, input| finder.json(TextKind::ToolArguments, input));
        });
    }

    fn arguments(&mut self, function: &Value) {
        self.member(function, "arguments", |finder, text| finder.json(TextKind::ToolArguments, text));
    }
}
