//! Typed access to the members of a client's object. `null` counts as absent, as in OpenAI's own API.

use serde_json::{Map, Value};

use crate::error::InvalidCall;

/// An object of the client's body, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Members<'a, 'p> {
    map: &'a Map<String, Value>,
    path: &'p str,
}

impl<'a, 'p> Members<'a, 'p> {
    /// Takes a value that must be an object; `path` is empty for the body itself.
    pub(super) fn of(value: &'a Value, path: &'p str) -> Result<Self, InvalidCall> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ if path.is_empty() => Err(InvalidCall {
                param: None,
                message: format!("the request body must be a JSON object, not {}", kind_of(value)),
            }),
            _ => Err(InvalidCall::at(path, format!("{path} must be an object, not {}", kind_of(value)))),
        }
    }

    /// Returns the full path of a member.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Returns where the object is.
    pub(super) fn path(&self) -> &'p str {
        self.path
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, InvalidCall> {
        self.typed(name, "a string", Value::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, InvalidCall> {
        self.typed(name, "a boolean", Value::as_bool)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, InvalidCall> {
        self.typed(name, "a number", Value::as_f64)
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, InvalidCall> {
        self.typed(name, "a whole number, 0 or more", Value::as_u64)
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<&'a Vec<Value>>, InvalidCall> {
        self.typed(name, "an array", Value::as_array)
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, InvalidCall> {
        self.typed(name, "an object", Value::as_object)
    }

    /// Returns a string that must be there.
    pub(super) fn required_text(&self, name: &str) -> Result<&'a str, InvalidCall> {
        self.text(name)?.ok_or_else(|| self.fault(name, "is required and must be a string"))
    }

    /// Makes an error about one member; `what` continues the member's path.
    pub(super) fn fault(&self, name: &str, what: &str) -> InvalidCall {
        let path = self.path_of(name);
        let message = format!("{path} {what}");
        InvalidCall::at(path, message)
    }

    fn typed<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, InvalidCall> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.fault(name, &format!("must be {wanted}, not {}", kind_of(value)))),
        }
    }
}

/// Returns the JSON kind of a value, for error texts.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number that does not fit",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_counts_as_absent() {
        let value = json!({"a": null});
        let members = Members::of(&value, "").unwrap();
        assert_eq!(members.text("a"), Ok(None));
    }

    #[test]
    fn a_wrong_kind_names_the_path_and_what_is_accepted() {
        let value = json!({"effort": 3});
        let members = Members::of(&value, "reasoning").unwrap();
        let error = members.text("effort").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("reasoning.effort"));
        assert!(error.message.starts_with("reasoning.effort must be a string"), "{}", error.message);
    }
}
