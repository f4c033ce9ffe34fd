//! Members that routes read: checked before a handler sees them, and written into the OpenAPI document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::governance::Bad;

/// What a member may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text of 1 to so many bytes.
    Text(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words, joined by commas: of a query.
    Words(&'static [&'static str]),
    /// A whole number, written with or without `.0`.
    Whole,
    /// Any number.
    Number,
    /// True, false, 1 or 0.
    Flag,
    /// A list of texts.
    Texts,
    /// A list of objects.
    Objects,
    /// An object.
    Object,
    /// An object or a list of objects.
    OneOrMany,
    /// Whatever its handler reads.
    Any,
}

/// One member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// Whether null clears it.
    pub nullable: bool,
    /// What it means.
    pub what: &'static str,
}

impl Field {
    /// A member that may be left out.
    pub(super) const fn new(name: &'static str, kind: Kind, what: &'static str) -> Self {
        Self { name, kind, required: false, nullable: true, what }
    }

    /// One that must be there.
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self.nullable = false;
        self
    }

    /// Checks a value.
    fn check(&self, value: &Value) -> Result<(), Bad> {
        let bad = |message: String| Err(Bad::new(self.name, message));
        let fits = match self.kind {
            Kind::Text(longest) => match value.as_str() {
                Some(text) if text.trim().is_empty() || text.len() > longest => {
                    return bad(format!("1 to {longest} bytes are accepted"));
                }
                Some(_) => true,
                None => false,
            },
            Kind::Word(words) => match value.as_str() {
                Some(word) if words.contains(&word) => true,
                _ => return bad(format!("{} is expected", words.join(", "))),
            },
            Kind::Words(words) => match value.as_str() {
                Some(list) if list.split(',').all(|word| words.contains(&word.trim())) => true,
                _ => return bad(format!("{}, or several with commas, is expected", words.join(", "))),
            },
            Kind::Whole => value.as_i64().is_some() || value.as_f64().is_some_and(|it| it.fract() == 0.0),
            Kind::Number => value.is_number(),
            Kind::Flag => value.is_boolean() || matches!(value.as_u64(), Some(0 | 1)),
            Kind::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            Kind::Objects => value.as_array().is_some_and(|list| list.iter().all(Value::is_object)),
            Kind::Object => value.is_object(),
            Kind::OneOrMany => {
                value.is_object() || value.as_array().is_some_and(|list| list.iter().all(Value::is_object))
            }
            Kind::Any => true,
        };
        if fits { Ok(()) } else { bad(format!("{} is expected", self.kind.expected())) }
    }

    /// Writes it as a JSON Schema (draft 2020-12, as OpenAPI 3.1 has it).
    pub(super) fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Text(longest) => json!({"type": "string", "minLength": 1, "maxLength": longest}),
            Kind::Word(words) => json!({"type": "string", "enum": words}),
            Kind::Words(_) => json!({"type": "string"}),
            Kind::Whole => json!({"type": "integer"}),
            Kind::Number => json!({"type": "number"}),
            Kind::Flag => json!({"oneOf": [{"type": "boolean"}, {"type": "integer", "enum": [0, 1]}]}),
            Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Objects => json!({"type": "array", "items": {"type": "object"}}),
            Kind::Object => json!({"type": "object"}),
            Kind::OneOrMany => {
                json!({"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]})
            }
            Kind::Any => json!({}),
        };
        if self.nullable && self.kind != Kind::Any {
            schema = json!({"oneOf": [schema, {"type": "null"}]});
        }
        schema["description"] = self.what.into();
        schema
    }
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Word(_) => "one of its words",
            Self::Words(_) => "some of its words",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Flag => "true, false, 1 or 0",
            Self::Texts => "a list of texts",
            Self::Objects => "a list of objects",
            Self::Object => "an object",
            Self::OneOrMany => "an object or a list of objects",
            Self::Any => "a value",
        }
    }
}

/// Checks the words that a query filters by: one that nothing could fit would find nothing, or everything. Other
/// parameters are for those who read them; an empty one says nothing.
///
/// # Errors
/// [`Bad`] with the parameter and what is accepted.
pub(super) fn check_query(fields: &[Field], query: &BTreeMap<String, String>) -> Result<(), Bad> {
    let words = fields.iter().filter(|field| matches!(field.kind, Kind::Word(_) | Kind::Words(_)));
    for field in words {
        if let Some(text) = query.get(field.name).filter(|text| !text.is_empty()) {
            field.check(&text.as_str().into())?;
        }
    }
    Ok(())
}

/// Checks a body against its fields. Members that nobody reads are left alone: clients send more than they document.
///
/// # Errors
/// [`Bad`] with the member and what is accepted.
pub(super) fn check(fields: &[Field], body: &Map<String, Value>) -> Result<(), Bad> {
    for field in fields {
        match body.get(field.name) {
            None if field.required => {
                return Err(Bad::new(
                    field.name,
                    format!("is missing; {} is expected", field.kind.expected()),
                ));
            }
            None => {}
            Some(Value::Null) if field.nullable => {}
            Some(value) => field.check(value)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[
        Field::new("name", Kind::Text(5), "its name").required(),
        Field::new("status", Kind::Word(&["active", "archived"]), "whether it works"),
        Field::new("default", Kind::Flag, "whether it is the default"),
        Field::new("days", Kind::Whole, "so many"),
    ];

    fn refused(body: Value) -> Option<String> {
        check(FIELDS, body.as_object().unwrap()).err().map(|bad| bad.to_string())
    }

    #[test]
    fn members_are_checked_by_name() {
        assert_eq!(
            refused(json!({"name": "a", "status": null, "days": 3.0, "default": 1, "other": []})),
            None
        );
        for (body, message) in [
            (json!({}), "name: is missing; a text is expected"),
            (json!({"name": null}), "name: a text is expected"),
            (json!({"name": "toolong"}), "name: 1 to 5 bytes are accepted"),
            (json!({"name": "a", "status": "on"}), "status: active, archived is expected"),
            (json!({"name": "a", "days": 1.5}), "days: a whole number is expected"),
            (json!({"name": "a", "default": "yes"}), "default: true, false, 1 or 0 is expected"),
        ] {
            assert_eq!(refused(body).as_deref(), Some(message));
        }
    }

    #[test]
    fn filters_take_their_words_only() {
        let fields = [
            Field::new("status", Kind::Words(&["active", "archived"]), "which"),
            Field::new("type", Kind::Word(&["cost", "tokens"]), "which"),
            Field::new("name", Kind::Text(3), "which"),
        ];
        let ask = |name: &str, value: &str| {
            check_query(&fields, &BTreeMap::from([(name.to_owned(), value.to_owned())]))
                .map_err(|bad| bad.to_string())
        };
        for (name, value) in [
            ("status", "active, archived"),
            ("status", ""),
            ("type", "cost"),
            ("name", "longer"),
            ("more", "x"),
        ] {
            assert_eq!(ask(name, value), Ok(()), "{name}={value}");
        }
        for (name, value, part) in [
            ("status", "active,foo", "active, archived, or several"),
            ("type", "foo", "cost, tokens is expected"),
        ] {
            assert!(ask(name, value).is_err_and(|error| error.contains(part)), "{name}={value}");
        }
    }
}
