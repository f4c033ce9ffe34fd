//! Streamed chat answer or legacy completion → events.
//!
//! Closed on doubt: a chunk that can't be read and a body that ends too early are errors, never a silent end.

use serde::Deserialize;
use serde_json::Value;

use super::errors::{bad_gateway, error_inside_answer, shorten};
use super::finish::finish_from_word;
use super::json::{count, json_text};
use super::read_messages::thinking_text;
use super::tool_deltas::ToolDeltas;
use super::usage::usage_from;
use crate::codec::Decoder;
use crate::error::UpstreamError;
use crate::event::Event;
use crate::provider::Wire;

/// One chunk. Members whose type differs between vendors stay untyped; a text costs the same either way.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Chunk {
    id: Value,
    model: Value,
    created: Value,
    choices: Option<Vec<ChoiceDelta>>,
    usage: Value,
    error: Value,
    x_groq: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ChoiceDelta {
    index: Value,
    text: Value,
    delta: Option<Delta>,
    finish_reason: Value,
    usage: Value,
    error: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Delta {
    content: Value,
    reasoning_content: Value,
    reasoning: Value,
    thinking: Value,
    content_blocks: Value,
    refusal: Value,
    tool_calls: Value,
    function_call: Value,
}

/// Reads one streamed chat answer, or one streamed legacy completion: its chunks are the same but for `text`.
#[derive(Default)]
pub(super) struct ChatDecoder {
    /// Whether `text` counts. Some vendors repeat there what a chat delta says.
    of_completions: bool,
    id: String,
    state: State,
    choices: Vec<ChoiceState>,
}

#[derive(Default, PartialEq)]
enum State {
    #[default]
    Waiting,
    Started,
    Failed,
    Ended,
}

struct ChoiceState {
    index: u32,
    finished: bool,
    tools: ToolDeltas,
}

impl Decoder for ChatDecoder {
    fn decode(&mut self, event: &str, data: &str, out: &mut Vec<Event>) {
        let data = data.trim();
        if data.is_empty() || self.state == State::Ended {
            return;
        }
        if data == "[DONE]" {
            match self.state {
                State::Waiting => self.finish(out),
                _ => self.end(out),
            }
            return;
        }
        if self.state == State::Failed {
            return;
        }
        if !data.starts_with('{') {
            self.fail(error_without_object(data), out);
            return;
        }
        match serde_json::from_str::<Chunk>(data) {
            Ok(chunk) if !chunk.error.is_null() || event == "error" => {
                let whole = serde_json::from_str(data).unwrap_or(chunk.error);
                self.fail(error_inside_answer(&whole), out);
            }
            Ok(chunk) => self.chunk(chunk, out),
            Err(_) if event == "error" => self.fail(bad_gateway(shorten(data)), out),
            Err(error) => {
                let message =
                    format!("the stream has a chunk that can't be read ({error}): {}", shorten(data));
                self.fail(bad_gateway(message), out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        match self.state {
            State::Failed | State::Ended => {}
            // Some vendors close the connection instead of sending [DONE].
            State::Started
                if !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finished) =>
            {
                self.end(out);
            }
            State::Waiting => self.fail(bad_gateway("the stream ended before the answer began"), out),
            State::Started => {
                self.fail(bad_gateway("the stream was cut before the answer was complete"), out)
            }
        }
    }

    fn repeats(&self) -> Option<Wire> {
        (self.state == State::Started && !self.of_completions).then_some(Wire::Chat)
    }
}

impl ChatDecoder {
    pub(super) fn of_completions() -> Self {
        Self { of_completions: true, ..Self::default() }
    }

    fn fail(&mut self, error: UpstreamError, out: &mut Vec<Event>) {
        self.state = State::Failed;
        out.push(Event::Error(error));
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if self.state != State::Failed {
            for choice in &mut self.choices {
                choice.finish("", out);
            }
        }
        self.state = State::Ended;
        out.push(Event::End);
    }

    fn chunk(&mut self, chunk: Chunk, out: &mut Vec<Event>) {
        if let Some(error) = chunk.x_groq.get("error").filter(|error| !error.is_null()) {
            self.fail(error_inside_answer(&serde_json::json!({ "error": error })), out);
            return;
        }
        let choices = chunk.choices.unwrap_or_default();
        // Azure sends a chunk of filter results ahead, without id and model.
        let id = json_text(&chunk.id);
        if self.state == State::Waiting && !(id.is_empty() && choices.is_empty()) {
            self.state = State::Started;
            self.id.clone_from(&id);
            let model = chunk.model.as_str().unwrap_or_default().to_owned();
            out.push(Event::Start { id, model, created: count(&chunk.created).unwrap_or_default() });
        }
        let mut usage = usage_from(&chunk.usage);
        for (position, mut choice) in choices.into_iter().enumerate() {
            if !choice.error.is_null() {
                self.fail(error_inside_answer(&serde_json::json!({ "error": choice.error })), out);
                return;
            }
            // Moonshot reports usage inside the choice.
            usage = usage.or_else(|| usage_from(&choice.usage));
            let index = count(&choice.index).and_then(|n| u32::try_from(n).ok()).unwrap_or(position as u32);
            let mut delta = choice.delta.take().unwrap_or_default();
            if self.of_completions && choice.text.is_string() {
                delta.content = choice.text;
            }
            let finish = choice.finish_reason.as_str().unwrap_or_default();
            let state = choice_state(&mut self.choices, index);
            state.delta(delta, &self.id, out);
            if !finish.is_empty() {
                state.finish(finish, out);
            }
        }
        let usage = usage.or_else(|| chunk.x_groq.get("usage").and_then(usage_from));
        out.extend(usage.map(Event::Usage));
    }
}

/// Reads data that is no chunk: Google wraps its errors in an array, some servers send a bare sentence.
fn error_without_object(data: &str) -> UpstreamError {
    match serde_json::from_str::<Value>(data) {
        Ok(value @ (Value::String(_) | Value::Array(_))) => error_inside_answer(&value),
        _ => bad_gateway(shorten(data)),
    }
}

fn choice_state(choices: &mut Vec<ChoiceState>, index: u32) -> &mut ChoiceState {
    let at = choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
        choices.push(ChoiceState { index, finished: false, tools: ToolDeltas::default() });
        choices.len() - 1
    });
    &mut choices[at]
}

impl ChoiceState {
    fn delta(&mut self, delta: Delta, answer: &str, out: &mut Vec<Event>) {
        let choice = self.index;
        let mut thought =
            [delta.reasoning_content, delta.reasoning, delta.thinking].into_iter().filter_map(text);
        match thought.next() {
            Some(text) => out.push(Event::Reasoning { choice, text }),
            None => thoughts_of_blocks(&delta.content_blocks, choice, out),
        }
        opaque_of_blocks(&delta.content_blocks, choice, out);
        match delta.content {
            Value::Array(parts) => {
                out.extend(parts.into_iter().filter_map(|part| content_part(part, choice)))
            }
            content => out.extend(text(content).map(|text| Event::Text { choice, text })),
        }
        out.extend(text(delta.refusal).map(|text| Event::Refusal { choice, text }));
        self.tools.push(&delta.tool_calls, choice, answer, out);
        self.tools.push_function(&delta.function_call, choice, answer, out);
    }

    /// Ends the choice once; an empty word means that the vendor gave none.
    fn finish(&mut self, word: &str, out: &mut Vec<Event>) {
        if !self.finished {
            self.finished = true;
            let reason = finish_from_word(word, !self.tools.is_empty());
            out.push(Event::Finish { choice: self.index, reason });
        }
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn content_part(part: Value, choice: u32) -> Option<Event> {
    match part {
        Value::String(text) => Some(Event::Text { choice, text }),
        Value::Object(mut part) => match part.get("type").and_then(Value::as_str) {
            Some("thinking") => {
                let text = thinking_text(part.get("thinking"));
                (!text.is_empty()).then_some(Event::Reasoning { choice, text })
            }
            _ => text(part.remove("text")?).map(|text| Event::Text { choice, text }),
        },
        _ => None,
    }
}

/// Deltas of Portkey's `content_blocks`, when the vendor is such a gateway itself.
fn block_deltas(blocks: &Value) -> impl Iterator<Item = &Value> {
    blocks.as_array().into_iter().flatten().filter_map(|block| block.get("delta"))
}

fn block_text(delta: &Value, name: &str) -> Option<String> {
    delta.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn thoughts_of_blocks(blocks: &Value, choice: u32, out: &mut Vec<Event>) {
    let thoughts = block_deltas(blocks).filter_map(|delta| block_text(delta, "thinking"));
    out.extend(thoughts.map(|text| Event::Reasoning { choice, text }));
}

fn opaque_of_blocks(blocks: &Value, choice: u32, out: &mut Vec<Event>) {
    for delta in block_deltas(blocks) {
        out.extend(block_text(delta, "signature").map(|signature| Event::Signature { choice, signature }));
        out.extend(block_text(delta, "data").map(|data| Event::RedactedReasoning { choice, data }));
    }
}
