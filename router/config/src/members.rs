//! Typed reading of a JSON object's members, in snake or camel case, with errors that name the place.

use serde_json::{Map, Value};

use crate::plan::ConfigError;

/// An object of the config and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a> {
    pub(crate) object: &'a Map<String, Value>,
    pub(crate) path: &'a str,
}

impl<'a> Members<'a> {
    /// Takes `value` as an object.
    pub(crate) fn of(value: &'a Value, path: &'a str) -> Result<Self, ConfigError> {
        match value {
            Value::Object(object) => Ok(Self { object, path }),
            _ => Err(refused(path, "a JSON object is expected")),
        }
    }

    /// Returns the member of a snake-case name or of its camel-case spelling; null is absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).or_else(|| self.object.get(&camel(name))).filter(|value| !value.is_null())
    }

    /// Returns the path of a member.
    pub(crate) fn at(&self, name: &str) -> String {
        join(self.path, name)
    }

    /// Makes the error of a member.
    pub(crate) fn wrong(&self, name: &str, message: &str) -> ConfigError {
        refused(&self.at(name), message)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(name, "a string is expected")),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(name, "true or false is expected")),
        }
    }

    /// Reads a whole number of at least `least`.
    pub(crate) fn whole(&self, name: &str, least: u64, what: &str) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        // JavaScript writes whole numbers as 3.0 at times.
        let number = value.as_u64().or_else(|| whole(value.as_f64()?));
        match number {
            Some(number) if number >= least => Ok(Some(number)),
            _ => Err(self.wrong(name, &format!("{what} is expected"))),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.wrong(name, "an object is expected")),
        }
    }

    pub(crate) fn list(&self, name: &str, what: &str) -> Result<Option<&'a [Value]>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(self.wrong(name, &format!("an array of {what} is expected"))),
        }
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(list) = self.list(name, "strings")? else { return Ok(None) };
        let text = |(at, value): (usize, &Value)| match value {
            Value::String(text) => Ok(text.clone()),
            _ => Err(self.wrong(&format!("{name}[{at}]"), "a string is expected")),
        };
        list.iter().enumerate().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// Reads HTTP status codes.
    pub(crate) fn statuses(&self, name: &str) -> Result<Option<Vec<u16>>, ConfigError> {
        let Some(list) = self.list(name, "status codes")? else { return Ok(None) };
        let status = |(at, value): (usize, &Value)| {
            let code = value.as_u64().and_then(|code| u16::try_from(code).ok());
            code.filter(|code| (100..=599).contains(code)).ok_or_else(|| {
                self.wrong(&format!("{name}[{at}]"), "a status code from 100 to 599 is expected")
            })
        };
        list.iter().enumerate().map(status).collect::<Result<_, _>>().map(Some)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole and in range"
)]
fn whole(number: f64) -> Option<u64> {
    let fits = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    fits.then_some(number as u64)
}

/// Returns the camel-case spelling of a snake-case name.
pub(crate) fn camel(name: &str) -> String {
    let mut spelled = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            spelled.extend(letter.to_uppercase());
        } else {
            spelled.push(letter);
        }
    }
    spelled
}

/// Returns the snake-case spelling of a camel-case name.
pub(crate) fn snake(name: &str) -> String {
    let mut spelled = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            spelled.push('_');
            spelled.push(letter.to_ascii_lowercase());
        } else {
            spelled.push(letter);
        }
    }
    spelled
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

pub(crate) fn refused(path: &str, message: &str) -> ConfigError {
    ConfigError { path: path.to_owned(), message: message.to_owned() }
}
