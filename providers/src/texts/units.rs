//! The messages of a request, whatever its endpoint calls them.
//!
//! Texts and views count messages here, so that an index means the same in both.

use serde_json::Value;

use super::content::role_of;
use super::items::role_of_item;
use super::slot::Step;
use crate::provider::Endpoint;

/// One message.
#[derive(Debug)]
pub(super) struct Unit<'v> {
    pub(super) path: Vec<Step>,
    pub(super) role: &'static str,
    pub(super) shape: Shape,
    pub(super) value: &'v Value,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing but its content: a string, parts, or token ids.
    Content,
    /// An object with `role` and `content`.
    Message,
    /// An item of the Responses API.
    Item,
}

/// Lists the messages in order; instructions come first.
pub(super) fn units(endpoint: Endpoint, body: &Value) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    match endpoint {
        Endpoint::Chat => messages(body, &mut units),
        Endpoint::Messages | Endpoint::CountTokens => {
            instructions(body, "system", &mut units);
            messages(body, &mut units);
        }
        Endpoint::Responses => {
            instructions(body, "instructions", &mut units);
            match body.get("input") {
                Some(Value::Array(_)) => entries(body, "input", Shape::Item, role_of_item, &mut units),
                _ => prompts(body, "input", &mut units),
            }
        }
        Endpoint::Completions
        | Endpoint::ImageGenerations
        | Endpoint::ImageEdits
        | Endpoint::Transcriptions
        | Endpoint::Translations => prompts(body, "prompt", &mut units),
        Endpoint::Embeddings => prompts(body, "input", &mut units),
        Endpoint::Speech => {
            instructions(body, "instructions", &mut units);
            prompts(body, "input", &mut units);
        }
        // Nobody knows what it says.
        Endpoint::Other => {}
    }
    units
}

fn instructions<'v>(body: &'v Value, name: &'static str, units: &mut Vec<Unit<'v>>) {
    if let Some(value @ (Value::String(_) | Value::Array(_))) = body.get(name) {
        units.push(Unit { path: vec![name.into()], role: "system", shape: Shape::Content, value });
    }
}

fn messages<'v>(body: &'v Value, units: &mut Vec<Unit<'v>>) {
    entries(body, "messages", Shape::Message, role_of, units);
}

fn entries<'v>(
    body: &'v Value,
    name: &'static str,
    shape: Shape,
    role: impl Fn(&Value) -> &'static str,
    units: &mut Vec<Unit<'v>>,
) {
    let list = body.get(name).and_then(Value::as_array).into_iter().flatten();
    units.extend(list.enumerate().map(|(index, value)| {
        let path = vec![name.into(), index.into()];
        Unit { path, role: role(value), shape, value }
    }));
}

/// One prompt or several. A flat list of token ids is one prompt without a text.
fn prompts<'v>(body: &'v Value, name: &'static str, units: &mut Vec<Unit<'v>>) {
    match body.get(name) {
        Some(Value::Array(list)) if !list.iter().all(Value::is_number) => {
            entries(body, name, Shape::Content, |_| "user", units);
        }
        Some(value @ (Value::String(_) | Value::Array(_))) => {
            units.push(Unit { path: vec![name.into()], role: "user", shape: Shape::Content, value });
        }
        _ => {}
    }
}
