//! What a target changes in the body: `default_params`, `override_params`, `drop_params`, in this order.

use serde_json::{Map, Value};

use crate::members::refused;
use crate::plan::ConfigError;

/// A path of `drop_params`: `user`, `a.b`, `messages[*].name`, `tools[0]["x.y"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
    Every,
}

impl DropPath {
    /// Reads a path.
    pub(crate) fn read(text: &str, path: &str) -> Result<Self, ConfigError> {
        let bad =
            || refused(path, "a path like user, metadata.team, tools[0] or messages[*].name is expected");
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let quote = inside.chars().next().filter(|first| matches!(first, '"' | '\''));
                let (step, after) = match quote {
                    Some(quote) => {
                        let (name, after) = inside[1..].split_once(quote).ok_or_else(bad)?;
                        (Step::Member(name.to_owned()), after.strip_prefix(']').ok_or_else(bad)?)
                    }
                    None => {
                        let (index, after) = inside.split_once(']').ok_or_else(bad)?;
                        match index {
                            "*" => (Step::Every, after),
                            _ => (Step::Item(index.parse().map_err(|_| bad())?), after),
                        }
                    }
                };
                steps.push(step);
                rest = after;
            } else {
                let name = if steps.is_empty() { rest } else { rest.strip_prefix('.').ok_or_else(bad)? };
                let end = name.find(['.', '[']).unwrap_or(name.len());
                if end == 0 {
                    return Err(bad());
                }
                steps.push(Step::Member(name[..end].to_owned()));
                rest = &name[end..];
            }
        }
        match steps.first() {
            Some(Step::Member(_)) => Ok(Self { steps }),
            _ => Err(bad()),
        }
    }

    /// Returns the member of the body that the path begins with.
    #[must_use]
    pub fn member(&self) -> &str {
        match self.steps.first() {
            Some(Step::Member(name)) => name,
            _ => "",
        }
    }

    /// Returns whether the whole member goes.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.steps.len() == 1
    }

    /// Removes what the path names below its first member. Returns whether anything was there.
    pub fn remove_from(&self, member: &mut Value) -> bool {
        remove(member, &self.steps[1..])
    }
}

fn remove(value: &mut Value, steps: &[Step]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    match (step, value) {
        (Step::Member(name), Value::Object(members)) => {
            if rest.is_empty() {
                return members.shift_remove(name).is_some();
            }
            members.get_mut(name).is_some_and(|value| remove(value, rest))
        }
        (Step::Item(at), Value::Array(items)) if *at < items.len() => {
            if rest.is_empty() {
                items.remove(*at);
                return true;
            }
            remove(&mut items[*at], rest)
        }
        (Step::Every, Value::Array(items)) => {
            if rest.is_empty() {
                let some = !items.is_empty();
                items.clear();
                return some;
            }
            removed_from_each(items.iter_mut(), rest)
        }
        (Step::Every, Value::Object(members)) if !rest.is_empty() => {
            removed_from_each(members.values_mut(), rest)
        }
        _ => false,
    }
}

fn removed_from_each<'a>(values: impl Iterator<Item = &'a mut Value>, steps: &[Step]) -> bool {
    let mut some = false;
    for value in values {
        some |= remove(value, steps);
    }
    some
}

/// Lays a child's members over its parent's: the child wins, member by member.
pub(crate) fn merged(parent: &Map<String, Value>, child: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = parent.clone();
    merged.extend(child.iter().map(|(name, value)| (name.clone(), value.clone())));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dropped(path: &str, mut body: Value) -> Value {
        let path = DropPath::read(path, "drop_params[0]").unwrap();
        if path.is_whole() {
            body.as_object_mut().unwrap().shift_remove(path.member());
        } else if let Some(member) = body.get_mut(path.member()) {
            path.remove_from(member);
        }
        body
    }

    #[test]
    fn paths_reach_members_items_and_all_of_them() {
        for (path, before, after) in [
            ("user", json!({"user": 1, "a": 2}), json!({"a": 2})),
            ("a.b", json!({"a": {"b": 1, "c": 2}}), json!({"a": {"c": 2}})),
            ("a[1]", json!({"a": [1, 2, 3]}), json!({"a": [1, 3]})),
            (
                "m[*].name",
                json!({"m": [{"name": 1, "x": 1}, {"x": 2}, 3]}),
                json!({"m": [{"x": 1}, {"x": 2}, 3]}),
            ),
            ("m[*]", json!({"m": [1, 2]}), json!({"m": []})),
            ("a[\"x.y\"]", json!({"a": {"x.y": 1}}), json!({"a": {}})),
            ("a['x'][0]", json!({"a": {"x": [1]}}), json!({"a": {"x": []}})),
            ("absent[*].x", json!({"a": 1}), json!({"a": 1})),
            ("a.b.c", json!({"a": {"b": 3}}), json!({"a": {"b": 3}})),
        ] {
            assert_eq!(dropped(path, before), after, "{path}");
        }
    }

    #[test]
    fn paths_that_mean_nothing_are_refused() {
        for path in ["", "[0]", "[*].a", "a.", "a..b", ".a", "a[", "a[x]", "a[\"x]", "a]b["] {
            let error = DropPath::read(path, "drop_params[0]").unwrap_err();
            assert_eq!(error.path, "drop_params[0]", "{path}");
        }
    }
}
