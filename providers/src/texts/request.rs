//! Texts of a request.

use std::borrow::Cow;

use serde_json::Value;

use super::finder::Finder;
use super::slot::{Slot, Step, TextKind};
use super::units::{Shape, units};
use crate::provider::Endpoint;

/// Finds the texts of a request body in their order.
#[must_use]
pub fn of_request(endpoint: Endpoint, body: &Value) -> Vec<Slot> {
    let mut finder = Finder::default();
    let units = units(endpoint, body);
    let count = units.len();
    for (index, unit) in units.into_iter().enumerate() {
        finder.start(index, unit.role, unit.path);
        match unit.shape {
            Shape::Content => finder.content(TextKind::Text, unit.value),
            Shape::Message => finder.message(unit.value),
            Shape::Item => finder.item(unit.value),
        }
    }
    outside_of_messages(endpoint, body, count, &mut finder);
    finder.slots
}

fn outside_of_messages(endpoint: Endpoint, body: &Value, index: usize, finder: &mut Finder) {
    match endpoint {
        Endpoint::Chat => {
            finder.start(index, "assistant", Vec::new());
            finder.member(body, "prediction", |finder, prediction| {
                finder.member(prediction, "content", |finder, text| finder.content(TextKind::Text, text));
            });
        }
        Endpoint::Completions => {
            finder.start(index, "user", Vec::new());
            finder.member(body, "suffix", |finder, text| finder.text(TextKind::Text, text));
        }
        Endpoint::Responses => {
            finder.start(index, "user", Vec::new());
            finder.member(body, "prompt", |finder, template| {
                finder.member(template, "variables", variables);
            });
        }
        _ => {}
    }
}

/// What the client fills into a template that OpenAI stores.
fn variables(finder: &mut Finder, variables: &Value) {
    for (name, value) in variables.as_object().into_iter().flatten() {
        let step = Step::Member(Cow::Owned(name.clone()));
        finder.step(step, value, |finder, value| finder.content(TextKind::Text, value));
    }
}
