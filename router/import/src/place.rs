//! Typed reading of a YAML tree, with errors that name line and path.

use serde_json::{Map, Number, Value};

use crate::error::ImportError;
use crate::yaml::{Data, Node};

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    pub(crate) path: String,
    pub(crate) node: &'a Node,
}

impl<'a> Place<'a> {
    pub(crate) fn root(node: &'a Node) -> Self {
        Self { path: String::new(), node }
    }

    /// Makes an error here.
    pub(crate) fn wrong(&self, message: impl Into<String>) -> ImportError {
        ImportError { line: Some(self.node.line), path: self.path.clone(), message: message.into() }
    }

    /// Returns a member; null is absent.
    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        let Data::Map(members) = &self.node.data else { return None };
        let (name, node) = members.iter().find(|(key, _)| key == name)?;
        (!matches!(node.data, Data::Null)).then(|| self.member(name, node))
    }

    /// Returns the members that are not null; an absent object has none.
    pub(crate) fn members(&self) -> Result<Vec<(&'a str, Self)>, ImportError> {
        match &self.node.data {
            Data::Null => Ok(Vec::new()),
            Data::Map(members) => Ok(members
                .iter()
                .filter(|(_, node)| !matches!(node.data, Data::Null))
                .map(|(name, node)| (name.as_str(), self.member(name, node)))
                .collect()),
            _ => Err(self.wrong("an object is expected")),
        }
    }

    /// Returns the items of a list.
    pub(crate) fn items(&self) -> Result<Vec<Self>, ImportError> {
        match &self.node.data {
            Data::Null => Ok(Vec::new()),
            Data::List(items) => {
                let item = |(at, node)| Self { path: format!("{}[{at}]", self.path), node };
                Ok(items.iter().enumerate().map(item).collect())
            }
            _ => Err(self.wrong("a list is expected")),
        }
    }

    /// Returns texts, of a list or of a single one.
    pub(crate) fn texts(&self) -> Result<Vec<String>, ImportError> {
        if let Data::List(_) = self.node.data {
            return self.items()?.iter().map(Self::text).collect();
        }
        Ok(vec![self.text()?])
    }

    /// Returns a scalar as text.
    pub(crate) fn text(&self) -> Result<String, ImportError> {
        match &self.node.data {
            Data::Text(text) | Data::Number(text) => Ok(text.clone()),
            Data::Bool(flag) => Ok(flag.to_string()),
            _ => Err(self.wrong("a text is expected")),
        }
    }

    /// Reads true or false, also as text.
    pub(crate) fn flag(&self) -> Result<bool, ImportError> {
        match &self.node.data {
            Data::Bool(flag) => Ok(*flag),
            Data::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Data::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.wrong("true or false is expected")),
        }
    }

    /// Reads a number of at least 0.
    pub(crate) fn number(&self) -> Result<f64, ImportError> {
        let number = match &self.node.data {
            Data::Number(text) | Data::Text(text) => text.trim().parse::<f64>().ok(),
            _ => None,
        };
        number
            .filter(|number| number.is_finite() && *number >= 0.0)
            .ok_or_else(|| self.wrong("a number, 0 or more, is expected"))
    }

    /// Reads a whole number from 0 to 4,294,967,295.
    pub(crate) fn whole(&self) -> Result<u32, ImportError> {
        let number = self.number()?;
        if number.fract() != 0.0 || number > f64::from(u32::MAX) {
            return Err(self.wrong("a whole number up to 4294967295 is expected"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and in range, as checked"
        )]
        Ok(number as u32)
    }

    /// Reads seconds as milliseconds, at least 1 and at most a day.
    pub(crate) fn milliseconds(&self) -> Result<u64, ImportError> {
        let ms = (self.number()? * 1_000.0).round().clamp(1.0, 86_400_000.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a day")]
        Ok(ms as u64)
    }

    /// Returns the value as JSON.
    pub(crate) fn json(&self) -> Value {
        json(self.node)
    }

    fn member(&self, name: &str, node: &'a Node) -> Self {
        Self { path: joined(&self.path, name), node }
    }
}

/// Returns the path of a member.
pub(crate) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn json(node: &Node) -> Value {
    match &node.data {
        Data::Null => Value::Null,
        Data::Bool(flag) => Value::Bool(*flag),
        Data::Number(text) => number(text),
        Data::Text(text) => Value::String(text.clone()),
        Data::List(items) => Value::Array(items.iter().map(json).collect()),
        Data::Map(members) => {
            let members: Map<String, Value> =
                members.iter().map(|(name, node)| (name.clone(), json(node))).collect();
            Value::Object(members)
        }
    }
}

fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        return Value::from(whole);
    }
    let float = text.parse::<f64>().ok().and_then(Number::from_f64);
    float.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}
