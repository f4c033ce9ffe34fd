//! Pieces of tool calls in a stream, put in order.
//!
//! By the book every piece has an `index`, and the first piece of a call has id and name. In practice the index is
//! missing, or 0 for every call; the id comes with each piece, or never; the arguments come as an object.

use serde_json::Value;

use super::json::{Object, count, json_text};
use super::read_messages::call_signature;
use crate::event::Event;

/// Calls of one choice so far.
#[derive(Default)]
pub(super) struct ToolDeltas {
    calls: Vec<Call>,
    started: u32,
}

struct Call {
    index: Option<u64>,
    id: String,
    /// Arguments that came before the name; sent once the call can start.
    held: String,
    number: Option<u32>,
}

/// One piece, whatever the spelling.
#[derive(Default)]
struct Piece<'v> {
    index: Option<u64>,
    id: &'v str,
    name: &'v str,
    arguments: String,
    signature: Option<&'v str>,
}

impl ToolDeltas {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Pushes the events of a delta's `tool_calls`: a list by the book, a lone object from some.
    pub(super) fn push(&mut self, value: &Value, choice: u32, answer: &str, out: &mut Vec<Event>) {
        match value {
            Value::Array(list) => {
                for entry in list.iter().filter_map(Value::as_object) {
                    self.push_piece(Piece::from_entry(entry), choice, answer, out);
                }
            }
            Value::Object(entry) => self.push_piece(Piece::from_entry(entry), choice, answer, out),
            _ => {}
        }
    }

    /// Pushes the events of a legacy `function_call` delta; there is one call at most.
    pub(super) fn push_function(&mut self, value: &Value, choice: u32, answer: &str, out: &mut Vec<Event>) {
        if let Value::Object(function) = value {
            let mut piece = Piece::from_function(function);
            piece.index = Some(0);
            self.push_piece(piece, choice, answer, out);
        }
    }

    fn push_piece(&mut self, piece: Piece<'_>, choice: u32, answer: &str, out: &mut Vec<Event>) {
        let at = self.find(&piece).unwrap_or_else(|| {
            self.calls.push(Call {
                index: piece.index,
                id: String::new(),
                held: String::new(),
                number: None,
            });
            self.calls.len() - 1
        });
        let Some(call) = self.calls.get_mut(at) else { return };
        if call.id.is_empty() {
            call.id.push_str(piece.id);
        }
        if call.number.is_none() && !piece.name.is_empty() {
            if call.id.is_empty() {
                call.id = made_up_id(answer, choice, self.started);
            }
            call.number = Some(self.started);
            out.push(Event::ToolStart {
                choice,
                tool: self.started,
                id: call.id.clone(),
                name: piece.name.to_owned(),
                signature: piece.signature.map(str::to_owned),
            });
            self.started += 1;
        }
        match call.number {
            None => call.held.push_str(&piece.arguments),
            Some(tool) => {
                let mut json = std::mem::take(&mut call.held);
                json.push_str(&piece.arguments);
                if !json.is_empty() {
                    out.push(Event::ToolArguments { choice, tool, json });
                }
            }
        }
    }

    /// Finds the call that a piece goes on with; `None` when it begins a new one.
    fn find(&self, piece: &Piece<'_>) -> Option<usize> {
        let last = self.calls.len().checked_sub(1)?;
        let begins_call = !piece.id.is_empty() && !piece.name.is_empty();
        if piece.index.is_some() {
            let at = self.calls.iter().rposition(|call| call.index == piece.index)?;
            // Google's endpoint gives parallel calls one index; id and name tell them apart.
            let other = self.calls.get(at).is_some_and(|call| !call.id.is_empty() && call.id != piece.id);
            return if begins_call && other { None } else { Some(at) };
        }
        if !piece.id.is_empty() {
            return match self.calls.iter().position(|call| call.id == piece.id) {
                Some(at) => Some(at),
                None => (!begins_call).then_some(last),
            };
        }
        piece.name.is_empty().then_some(last)
    }
}

impl<'v> Piece<'v> {
    fn from_entry(entry: &'v Object) -> Self {
        let function = match (entry.get("function"), entry.get("custom")) {
            (Some(Value::Object(function)), _) | (_, Some(Value::Object(function))) => Some(function),
            _ => None,
        };
        Piece {
            index: entry.get("index").and_then(count),
            id: entry.get("id").and_then(Value::as_str).unwrap_or_default(),
            signature: call_signature(entry),
            ..function.map(Piece::from_function).unwrap_or_default()
        }
    }

    fn from_function(function: &'v Object) -> Self {
        let arguments = function.get("arguments").or_else(|| function.get("input"));
        Piece {
            name: function.get("name").and_then(Value::as_str).unwrap_or_default(),
            arguments: arguments.map(json_text).unwrap_or_default(),
            ..Piece::default()
        }
    }
}

/// Makes an id that no other answer of the conversation has: clients join calls of all rounds by id.
fn made_up_id(answer: &str, choice: u32, number: u32) -> String {
    let mut id = String::from("call_");
    id.extend(answer.chars().filter(char::is_ascii_alphanumeric).take(32));
    id.push_str(&format!("_{choice}_{number}"));
    id
}
