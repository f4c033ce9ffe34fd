//! Texts of Responses input items.

use serde_json::Value;

use super::content::{has_text, kind_of, role_of};
use super::finder::Finder;
use super::slot::TextKind;

/// Returns who says an item.
pub(super) fn role_of_item(item: &Value) -> &'static str {
    match kind_of(item) {
        "message" | "" => role_of(item),
        kind if kind.ends_with("_output") => "tool",
        _ => "assistant",
    }
}

impl Finder {
    /// Visits an input item.
    pub(super) fn item(&mut self, item: &Value) {
        match kind_of(item) {
            "message" | "" => self.message(item),
            // What is encrypted tells the whole thought again, or is a signature over the text.
            "reasoning" => self.signed(has_text(item, "encrypted_content"), |finder| {
                for name in ["summary", "content"] {
                    finder.member(item, name, Self::thought);
                }
            }),
            _ => {
                self.asked_of_tool(item);
                self.said_by("tool", |finder| finder.answered_by_tool(item));
            }
        }
    }

    /// What the model wants of a function, or of one of OpenAI's own tools.
    fn asked_of_tool(&mut self, item: &Value) {
        let kind = TextKind::ToolArguments;
        for name in ["arguments", "input"] {
            self.member(item, name, |finder, text| finder.json(kind, text));
        }
        self.member(item, "code", |finder, text| finder.text(kind, text));
        self.member(item, "queries", |finder, list| finder.strings(kind, list));
        self.member(item, "action", |finder, action| {
            finder.member(action, "query", |finder, text| finder.text(kind, text));
            for name in ["queries", "command", "commands"] {
                finder.member(action, name, |finder, list| finder.strings(kind, list));
            }
            // Typed into a computer.
            finder.member(action, "text", |finder, text| finder.text(kind, text));
        });
        self.member(item, "operation", |finder, operation| {
            finder.member(operation, "diff", |finder, text| finder.text(kind, text));
        });
    }

    fn answered_by_tool(&mut self, item: &Value) {
        for name in ["output", "outputs", "results", "error"] {
            self.member(item, name, |finder, output| finder.content(TextKind::ToolResult, output));
        }
    }

    fn strings(&mut self, kind: TextKind, list: &Value) {
        self.each(list, |finder, text| finder.text(kind, text));
    }
}
