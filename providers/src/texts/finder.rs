//! Walks a body and notes the texts it is shown, with the way to each.

use serde_json::Value;

use super::slot::{Form, Place, Slot, Step, TextKind};

/// Collects slots. The walkers in `content` and `items` say what is a text, this keeps the way there.
#[derive(Debug, Default)]
pub(super) struct Finder {
    pub(super) slots: Vec<Slot>,
    role: &'static str,
    index: u32,
    path: Vec<Step>,
    signed: Option<usize>,
}

impl Finder {
    /// Starts the next message, which stands at `path`.
    pub(super) fn start(&mut self, index: usize, role: &'static str, path: Vec<Step>) {
        self.index = u32::try_from(index).unwrap_or(u32::MAX);
        self.role = role;
        self.path = path;
        self.signed = None;
    }

    /// Visits a member where there is one.
    pub(super) fn member(
        &mut self,
        value: &Value,
        name: &'static str,
        visit: impl FnOnce(&mut Self, &Value),
    ) {
        if let Some(member) = value.get(name) {
            self.step(name.into(), member, visit);
        }
    }

    /// Visits the entries where the value is an array.
    pub(super) fn each(&mut self, value: &Value, mut visit: impl FnMut(&mut Self, &Value)) {
        for (index, entry) in value.as_array().into_iter().flatten().enumerate() {
            self.step(index.into(), entry, &mut visit);
        }
    }

    pub(super) fn step(&mut self, step: Step, value: &Value, visit: impl FnOnce(&mut Self, &Value)) {
        self.path.push(step);
        visit(self, value);
        self.path.pop();
    }

    /// Visits what another role says than the message's.
    pub(super) fn said_by(&mut self, role: &'static str, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.role, role);
        visit(self);
        self.role = outer;
    }

    /// Visits what must go as a whole, if `is_signed`, when a text in it changes.
    pub(super) fn signed(&mut self, is_signed: bool, visit: impl FnOnce(&mut Self)) {
        let outer = self.signed;
        if is_signed {
            self.signed = outer.or(Some(self.path.len()));
        }
        visit(self);
        self.signed = outer;
    }

    /// Notes the value if it is a string.
    pub(super) fn text(&mut self, kind: TextKind, value: &Value) {
        if let Value::String(text) = value {
            self.note(kind, text.clone(), Form::String);
        }
    }

    /// Notes the value if it is a string, or a structure that stands for its JSON.
    pub(super) fn json(&mut self, kind: TextKind, value: &Value) {
        match value {
            Value::String(text) => self.note(kind, text.clone(), Form::String),
            Value::Object(_) | Value::Array(_) => self.note(kind, value.to_string(), Form::Json),
            _ => {}
        }
    }

    fn note(&mut self, kind: TextKind, text: String, form: Form) {
        if text.is_empty() {
            return;
        }
        let place = Place { path: self.path.clone(), form, signed: self.signed };
        self.slots.push(Slot { kind, role: self.role, index: self.index, text, place });
    }
}
