//! Reading untyped JSON with errors that name the member at fault.
//!
//! Pure helpers. They are lenient where clients differ (a null is an absent member, `5.0` is a count) and strict
//! where a guess would change the call's meaning.

use std::fmt;

use serde_json::{Map, Value};

use crate::error::InvalidCall;

pub(super) type Object = Map<String, Value>;

/// Portkey's way to say "whatever your default is"; read as an absent member.
const DEFAULT_WORD: &str = "portkey-default";

/// Where in the body a value stands. Borrowed from the caller's frame: text is only made for an error.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn member(&'a self, name: &'a str) -> Path<'a> {
        Path::Member(self, name)
    }

    pub(super) fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }

    /// Makes an error about this place; the message goes on after the path.
    pub(super) fn error(&self, message: impl fmt::Display) -> InvalidCall {
        match self {
            Path::Root => InvalidCall { param: None, message: format!("the body {message}") },
            _ => {
                let path = self.to_string();
                let message = format!("{path} {message}");
                InvalidCall { param: Some(path), message }
            }
        }
    }

    pub(super) fn wrong_type(&self, value: &Value, wanted: &str) -> InvalidCall {
        self.error(format_args!("must be {wanted}, not {}", kind(value)))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Member(Path::Root, name) => f.write_str(name),
            Path::Member(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Returns a member that is there, not null and not Portkey's default word.
pub(super) fn present<'v>(object: &'v Object, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| !value.is_null() && value.as_str() != Some(DEFAULT_WORD))
}

pub(super) fn object<'v>(value: &'v Value, at: &Path<'_>) -> Result<&'v Object, InvalidCall> {
    value.as_object().ok_or_else(|| at.wrong_type(value, "an object"))
}

pub(super) fn array<'v>(value: &'v Value, at: &Path<'_>) -> Result<&'v [Value], InvalidCall> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| at.wrong_type(value, "an array"))
}

pub(super) fn str_member<'v>(
    object: &'v Object,
    name: &str,
    at: &Path<'_>,
) -> Result<Option<&'v str>, InvalidCall> {
    match present(object, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(at.member(name).wrong_type(other, "a string")),
    }
}

pub(super) fn string_member(
    object: &Object,
    name: &str,
    at: &Path<'_>,
) -> Result<Option<String>, InvalidCall> {
    Ok(str_member(object, name, at)?.map(str::to_owned))
}

pub(super) fn required_str<'v>(
    object: &'v Object,
    name: &str,
    at: &Path<'_>,
) -> Result<&'v str, InvalidCall> {
    str_member(object, name, at)?.ok_or_else(|| at.member(name).error("is missing; give a string"))
}

pub(super) fn bool_member(object: &Object, name: &str, at: &Path<'_>) -> Result<Option<bool>, InvalidCall> {
    match present(object, name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(at.member(name).wrong_type(other, "a boolean")),
    }
}

pub(super) fn number_member(object: &Object, name: &str, at: &Path<'_>) -> Result<Option<f64>, InvalidCall> {
    match present(object, name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(at.member(name).wrong_type(value, "a number")),
        },
    }
}

pub(super) fn count_member(object: &Object, name: &str, at: &Path<'_>) -> Result<Option<u64>, InvalidCall> {
    match present(object, name) {
        None => Ok(None),
        Some(value) => match count(value) {
            Some(number) => Ok(Some(number)),
            None => {
                Err(at.member(name).error(format_args!("must be a whole number of 0 or more, not {value}")))
            }
        },
    }
}

pub(super) fn integer_member(object: &Object, name: &str, at: &Path<'_>) -> Result<Option<i64>, InvalidCall> {
    match present(object, name) {
        None => Ok(None),
        Some(value) => match value.as_i64().or_else(|| count(value).and_then(|n| i64::try_from(n).ok())) {
            Some(number) => Ok(Some(number)),
            None => Err(at.member(name).error(format_args!("must be a whole number, not {value}"))),
        },
    }
}

/// Reads a count; JavaScript and Lua clients write whole numbers as `5.0`.
pub(crate) fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| whole(value.as_f64()?))
}

/// Returns a float's count, where it is a whole one.
pub(super) fn whole(number: f64) -> Option<u64> {
    /// Above this, a float no longer holds every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then_some(number as u64)
}

/// Returns JSON text of a value that some send as text already and others as an object.
pub(crate) fn json_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_reads_like_javascript() {
        let root = Path::Root;
        let messages = root.member("messages");
        let second = messages.index(2);
        assert_eq!(second.member("content").to_string(), "messages[2].content");
        let error = second.member("content").error("is odd");
        assert_eq!(error.param.as_deref(), Some("messages[2].content"));
        assert_eq!(error.message, "messages[2].content is odd");
    }

    #[test]
    fn whole_floats_count_and_broken_ones_do_not() {
        assert_eq!(count(&json!(5.0)), Some(5));
        assert_eq!(count(&json!(5.5)), None);
        assert_eq!(count(&json!(-1)), None);
        assert_eq!(count(&json!(1e300)), None);
    }

    #[test]
    fn the_default_word_of_portkey_is_an_absent_member() {
        let body = json!({"max_tokens": "portkey-default"});
        assert_eq!(count_member(body.as_object().unwrap(), "max_tokens", &Path::Root), Ok(None));
    }
}
