//! A request's messages in one shape for all endpoints, for plugins that were granted to read them.

use serde_json::Value;

use super::content::{has_text, kind_of};
use super::units::{Shape, units};
use crate::provider::Endpoint;

/// A message as plugins see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageView {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: &'static str,
    /// Its text parts, a line break between two.
    pub text: Option<String>,
    /// Calls of tools that the model made.
    pub tool_calls: Vec<ToolCallView>,
    /// The call that a tool message answers.
    pub tool_call_id: Option<String>,
    /// JSON array of all other parts, in the client's dialect: pictures, sound, files, thoughts, and results of
    /// several tools in one message.
    pub parts_json: Option<String>,
}

/// A call of a tool as plugins see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCallView {
    /// Empty where the dialect has none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// As the model wrote them; may be cut or no JSON at all.
    pub arguments: String,
}

/// Members that hold messages and are not parameters.
const MESSAGES: [&str; 5] = ["messages", "input", "prompt", "system", "instructions"];

/// Returns a request's messages; instructions come first. Embeddings and images have one message for each input.
#[must_use]
pub fn messages_view(endpoint: Endpoint, body: &Value) -> Vec<MessageView> {
    let views = units(endpoint, body).into_iter().map(|unit| {
        let mut parts = Parts::default();
        let mut view = MessageView { role: unit.role, ..MessageView::default() };
        match unit.shape {
            Shape::Content => parts.content(unit.value),
            Shape::Message => parts.message(unit.value, &mut view),
            Shape::Item => parts.item(unit.value, &mut view),
        }
        parts.finish(view)
    });
    views.collect()
}

/// Returns how many messages a request has.
#[must_use]
pub fn message_count(endpoint: Endpoint, body: &Value) -> usize {
    units(endpoint, body).len()
}

/// Returns the body's members other than its messages, as a JSON object.
#[must_use]
pub fn params_json(body: &Value) -> String {
    let members = body.as_object().into_iter().flatten();
    let params = members.filter(|(name, _)| !MESSAGES.contains(&name.as_str()));
    let mut json = String::from("{");
    for (name, value) in params {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&Value::from(name.as_str()).to_string());
        json.push(':');
        json.push_str(&value.to_string());
    }
    json.push('}');
    json
}

/// The parts of one message, sorted.
#[derive(Default)]
struct Parts<'v> {
    texts: Vec<&'v str>,
    calls: Vec<ToolCallView>,
    others: Vec<&'v Value>,
}

impl<'v> Parts<'v> {
    fn message(&mut self, message: &'v Value, view: &mut MessageView) {
        let content = message.get("content").unwrap_or(&Value::Null);
        view.tool_call_id = string(message, "tool_call_id");
        match content.as_array().map(Vec::as_slice) {
            // Anthropic's answer of a tool is the only block of a user's message.
            Some([result]) if kind_of(result) == "tool_result" => {
                view.role = "tool";
                view.tool_call_id = string(result, "tool_use_id");
                self.content(result.get("content").unwrap_or(&Value::Null));
            }
            _ => self.content(content),
        }
        if has_text(message, "refusal") {
            self.texts.extend(message.get("refusal").and_then(Value::as_str));
        }
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        self.calls.extend(calls.map(chat_call));
        if let Some(function) = message.get("function_call").filter(|call| call.is_object()) {
            self.calls.push(call(function, None, "arguments"));
        }
    }

    fn item(&mut self, item: &'v Value, view: &mut MessageView) {
        match kind_of(item) {
            "message" | "" if item.is_object() => self.message(item, view),
            "function_call" | "mcp_call" => self.calls.push(call(item, item.get("call_id"), "arguments")),
            "custom_tool_call" => self.calls.push(call(item, item.get("call_id"), "input")),
            "function_call_output" | "custom_tool_call_output" => {
                view.tool_call_id = string(item, "call_id");
                self.content(item.get("output").unwrap_or(&Value::Null));
            }
            _ => self.others.push(item),
        }
    }

    fn content(&mut self, content: &'v Value) {
        match content {
            Value::Array(parts) => parts.iter().for_each(|part| self.part(part)),
            Value::Null => {}
            part => self.part(part),
        }
    }

    fn part(&mut self, part: &'v Value) {
        let text = match kind_of(part) {
            "text" | "input_text" | "output_text" => part.get("text"),
            "refusal" => part.get("refusal"),
            "tool_use" => {
                self.calls.push(call(part, part.get("id"), "input"));
                return;
            }
            _ => Some(part),
        };
        match text.and_then(Value::as_str) {
            Some(text) => self.texts.push(text),
            None => self.others.push(part),
        }
    }

    fn finish(self, view: MessageView) -> MessageView {
        let text = (!self.texts.is_empty()).then(|| self.texts.join("\n"));
        let others = (!self.others.is_empty()).then(|| {
            let others: Vec<String> = self.others.iter().map(|part| part.to_string()).collect();
            format!("[{}]", others.join(","))
        });
        MessageView { text, tool_calls: self.calls, parts_json: others, ..view }
    }
}

fn chat_call(entry: &Value) -> ToolCallView {
    match entry.get("custom") {
        Some(custom) => call(custom, entry.get("id"), "input"),
        None => call(entry.get("function").unwrap_or(&Value::Null), entry.get("id"), "arguments"),
    }
}

fn call(tool: &Value, id: Option<&Value>, arguments: &str) -> ToolCallView {
    let arguments = match tool.get(arguments) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let id = id.and_then(Value::as_str).unwrap_or_default().to_owned();
    ToolCallView { id, name: string(tool, "name").unwrap_or_default(), arguments }
}

fn string(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}
