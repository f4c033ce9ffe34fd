//! The forms in which configs come: one, a list, an export.

use serde_json::{Map, Value};

use crate::error::ImportError;
use crate::place::joined;

/// A row and where it stands.
pub(super) struct Row {
    pub(super) path: String,
    pub(super) members: Map<String, Value>,
}

/// A config and what it is called.
pub(super) struct Config {
    pub(super) path: String,
    pub(super) id: Option<String>,
    /// Its id beside the slug.
    pub(super) other_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) json: Value,
}

/// What the input holds.
#[derive(Default)]
pub(super) struct Input {
    pub(super) configs: Vec<Config>,
    /// Virtual keys and providers, then integrations.
    pub(super) credentials: Vec<Row>,
    pub(super) integrations: Vec<Row>,
    pub(super) api_keys: Vec<Row>,
    pub(super) guardrails: Vec<Row>,
    /// Members of an export that are something else.
    pub(super) others: Vec<String>,
}

/// Members that make an object an export.
const LISTS: [&str; 6] = ["configs", "virtual_keys", "providers", "integrations", "api_keys", "guardrails"];

impl Row {
    /// Returns the first of several members that is a text with something in it.
    pub(super) fn text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.members.get(*name)?.as_str()).filter(|text| !text.is_empty())
    }

    pub(super) fn at(&self, name: &str) -> String {
        joined(&self.path, name)
    }
}

/// Reads the text.
pub(super) fn read(text: &str) -> Result<Input, ImportError> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| ImportError::at_line(error.line(), format!("not JSON: {error}")))?;
    let mut input = Input::default();
    let Value::Object(mut members) = value else {
        input.configs = configs(value, "")?;
        return Ok(input);
    };
    let is_export =
        LISTS.iter().any(|name| members.get(*name).is_some_and(|list| list.is_array() || is_page(list)));
    if !is_export {
        if is_page(&Value::Object(members.clone())) {
            input.configs = configs(members.remove("data").unwrap_or_default(), "data")?;
        } else {
            input.configs.push(config(Value::Object(members), String::new())?);
        }
        return Ok(input);
    }
    for (name, value) in members {
        match name.as_str() {
            "configs" => input.configs = configs(unpaged(value), &name)?,
            "virtual_keys" | "providers" => input.credentials.extend(rows(unpaged(value), &name)?),
            "integrations" => input.integrations = rows(unpaged(value), &name)?,
            "api_keys" => input.api_keys = rows(unpaged(value), &name)?,
            "guardrails" => input.guardrails = rows(unpaged(value), &name)?,
            "object" | "total" | "success" => {}
            _ => input.others.push(name),
        }
    }
    Ok(input)
}

/// Whether a value is an answer of Portkey's API: `{"object": "list", "data": […]}`.
fn is_page(value: &Value) -> bool {
    value.get("data").is_some_and(Value::is_array)
}

fn unpaged(mut value: Value) -> Value {
    if is_page(&value) { value["data"].take() } else { value }
}

fn configs(value: Value, path: &str) -> Result<Vec<Config>, ImportError> {
    let Value::Array(items) = value else {
        return Err(ImportError::at(path, "a config, or a list of configs, is expected"));
    };
    items.into_iter().enumerate().map(|(at, item)| config(item, format!("{path}[{at}]"))).collect()
}

/// Reads a row with a `config` in it, or a config as it is.
fn config(value: Value, path: String) -> Result<Config, ImportError> {
    let Value::Object(mut members) = value else {
        return Err(ImportError::at(path, "an object is expected"));
    };
    let text = |members: &Map<String, Value>, name: &str| {
        members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let Some(json) = members.remove("config") else {
        if members.contains_key("slug") {
            let message = "is missing; lists leave it out, GET /configs/{slug} has it";
            return Err(ImportError::at(joined(&path, "config"), message));
        }
        return Ok(Config { path, id: None, other_id: None, name: None, json: Value::Object(members) });
    };
    let path = joined(&path, "config");
    let json = match json {
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|error| ImportError::at(path.clone(), format!("not JSON inside the text: {error}")))?,
        json => json,
    };
    if !json.is_object() {
        return Err(ImportError::at(path, "an object, or its JSON as a text, is expected"));
    }
    let id = text(&members, "slug").or_else(|| text(&members, "id"));
    let other_id = text(&members, "id");
    Ok(Config { id, other_id, name: text(&members, "name"), json, path })
}

fn rows(value: Value, path: &str) -> Result<Vec<Row>, ImportError> {
    let Value::Array(items) = value else { return Err(ImportError::at(path, "a list is expected")) };
    let row = |(at, item): (usize, Value)| match item {
        Value::Object(members) => Ok(Row { path: format!("{path}[{at}]"), members }),
        _ => Err(ImportError::at(format!("{path}[{at}]"), "an object is expected")),
    };
    items.into_iter().enumerate().map(row).collect()
}
