//! JSON Schema, draft 2020-12: what people write to describe answers. Formats are not asserted, as the draft says;
//! `$dynamicRef`, `unevaluated*` and references to other documents are refused rather than passed over.

use serde_json::{Map, Value};

use super::regex::Rule;

/// Path and message of each violation; an error where the schema itself can't be used.
type Problems = Result<Vec<(String, String)>, String>;

/// References may be recursive, values are finite; this is for schemas that refer to themselves alone.
const DEEPEST: usize = 64;

/// Returns what is wrong with a value.
pub(crate) fn problems(schema: &Value, value: &Value) -> Problems {
    let mut walk = Walk { root: schema, found: Vec::new() };
    walk.visit(schema, value, "", 0)?;
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Value,
    found: Vec<(String, String)>,
}

impl<'a> Walk<'a> {
    fn say(&mut self, path: &str, message: String) {
        self.found.push((path.to_owned(), message));
    }

    fn fits(&self, schema: &'a Value, value: &Value, path: &str, depth: usize) -> Result<bool, String> {
        let mut walk = Walk { root: self.root, found: Vec::new() };
        walk.visit(schema, value, path, depth)?;
        Ok(walk.found.is_empty())
    }

    fn visit(&mut self, schema: &'a Value, value: &Value, path: &str, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err("The schema refers to itself without end.".to_owned());
        }
        let schema = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => {
                self.say(path, "False boolean schema.".to_owned());
                return Ok(());
            }
            Value::Object(schema) => schema,
            _ => return Err("A schema must be an object or a boolean.".to_owned()),
        };
        if let Some(unknown) = ["$dynamicRef", "unevaluatedProperties", "unevaluatedItems"]
            .iter()
            .find(|name| schema.contains_key(**name))
        {
            return Err(format!("The keyword {unknown} is not supported."));
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(&decoded(pointer)));
            let target = target.ok_or_else(|| format!("Unresolved $ref \"{reference}\"."))?;
            self.visit(target, value, path, depth + 1)?;
        }
        self.whole(schema, value, path);
        self.combined(schema, value, path, depth)?;
        match value {
            Value::Object(members) => self.object(schema, members, path, depth)?,
            Value::Array(items) => self.array(schema, items, path, depth)?,
            Value::String(text) => self.string(schema, text, path)?,
            Value::Number(_) => self.number(schema, value.as_f64().unwrap_or_default(), path),
            Value::Bool(_) | Value::Null => {}
        }
        Ok(())
    }

    fn whole(&mut self, schema: &Map<String, Value>, value: &Value, path: &str) {
        let expected: Vec<&str> = match schema.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !expected.is_empty() && !expected.iter().any(|name| is_type(value, name)) {
            let wanted = expected.join("\", \"");
            self.say(
                path,
                format!("Instance type \"{}\" is invalid. Expected \"{wanted}\".", type_of(value)),
            );
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array)
            && !values.contains(value)
        {
            self.say(path, format!("Instance does not match any of {}.", Value::from(values.clone())));
        }
        if let Some(constant) = schema.get("const")
            && constant != value
        {
            self.say(path, format!("Instance does not match {constant}."));
        }
    }

    fn combined(
        &mut self,
        schema: &'a Map<String, Value>,
        value: &Value,
        path: &str,
        depth: usize,
    ) -> Result<(), String> {
        let list =
            |name: &str| schema.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for part in list("allOf") {
            self.visit(part, value, path, depth + 1)?;
        }
        for (name, exactly_one) in [("anyOf", false), ("oneOf", true)] {
            let parts = list(name);
            let mut fitting = 0;
            for part in parts {
                fitting += usize::from(self.fits(part, value, path, depth + 1)?);
            }
            if !parts.is_empty() && (fitting == 0 || exactly_one && fitting > 1) {
                let wanted = if exactly_one { "exactly one subschema" } else { "any subschemas" };
                self.say(path, format!("Instance does not match {wanted} ({fitting} matches)."));
            }
        }
        if let Some(part) = schema.get("not")
            && self.fits(part, value, path, depth + 1)?
        {
            self.say(path, "Instance matched \"not\" schema.".to_owned());
        }
        if let Some(condition) = schema.get("if") {
            let branch = if self.fits(condition, value, path, depth + 1)? { "then" } else { "else" };
            if let Some(branch) = schema.get(branch) {
                self.visit(branch, value, path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn object(
        &mut self,
        schema: &'a Map<String, Value>,
        members: &Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Result<(), String> {
        let names = |name: &str| schema.get(name).and_then(Value::as_object).into_iter().flatten();
        for name in
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !members.contains_key(name) {
                self.say(path, format!("Instance does not have required property \"{name}\"."));
            }
        }
        self.bounds(schema, ("minProperties", "maxProperties"), members.len(), "properties", path);
        let mut patterns = Vec::new();
        for (pattern, part) in names("patternProperties") {
            patterns.push((Rule::bare(pattern).map_err(|error| error.message)?, part));
        }
        for (name, value) in members {
            let inner = format!("{path}/{name}");
            if let Some(part) = schema.get("propertyNames") {
                self.visit(part, &Value::String(name.clone()), &inner, depth + 1)?;
            }
            let mut known = false;
            if let Some(part) = schema.get("properties").and_then(|parts| parts.get(name)) {
                known = true;
                self.visit(part, value, &inner, depth + 1)?;
            }
            for (pattern, part) in &patterns {
                if pattern.find(name, 0).is_some() {
                    known = true;
                    self.visit(part, value, &inner, depth + 1)?;
                }
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) if !known => {
                    self.say(
                        &inner,
                        format!("Property \"{name}\" does not match additional properties schema."),
                    );
                }
                Some(part) if !known => self.visit(part, value, &inner, depth + 1)?,
                _ => {}
            }
        }
        for (name, needed) in names("dependentRequired").filter(|(name, _)| members.contains_key(*name)) {
            for needed in needed.as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(needed) {
                    self.say(path, format!("Instance has \"{name}\" but does not have \"{needed}\"."));
                }
            }
        }
        for (_, part) in names("dependentSchemas").filter(|(name, _)| members.contains_key(*name)) {
            self.visit(part, &Value::Object(members.clone()), path, depth + 1)?;
        }
        Ok(())
    }

    fn array(
        &mut self,
        schema: &'a Map<String, Value>,
        items: &[Value],
        path: &str,
        depth: usize,
    ) -> Result<(), String> {
        self.bounds(schema, ("minItems", "maxItems"), items.len(), "items", path);
        let first =
            schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            if let Some(part) = first.get(index).or_else(|| schema.get("items")) {
                self.visit(part, item, &format!("{path}/{index}"), depth + 1)?;
            }
        }
        if let Some(part) = schema.get("contains") {
            let mut fitting = 0;
            for item in items {
                fitting += usize::from(self.fits(part, item, path, depth + 1)?);
            }
            if fitting == 0 && !schema.contains_key("minContains") {
                self.say(path, "Array does not contain item matching schema.".to_owned());
            }
            self.bounds(schema, ("minContains", "maxContains"), fitting, "matching items", path);
        }
        let repeated = || {
            items.iter().enumerate().any(|(at, item)| items.iter().skip(at + 1).any(|other| other == item))
        };
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) && repeated() {
            self.say(path, "Duplicate items.".to_owned());
        }
        Ok(())
    }

    fn string(&mut self, schema: &Map<String, Value>, text: &str, path: &str) -> Result<(), String> {
        self.bounds(schema, ("minLength", "maxLength"), text.chars().count(), "characters", path);
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && Rule::bare(pattern).map_err(|error| error.message)?.find(text, 0).is_none()
        {
            self.say(path, "String does not match pattern.".to_owned());
        }
        Ok(())
    }

    fn number(&mut self, schema: &Map<String, Value>, number: f64, path: &str) {
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        let wrong = [
            ("less than", limit("minimum").filter(|limit| number < *limit)),
            ("greater than", limit("maximum").filter(|limit| number > *limit)),
            ("less than or equal to", limit("exclusiveMinimum").filter(|limit| number <= *limit)),
            ("greater than or equal to", limit("exclusiveMaximum").filter(|limit| number >= *limit)),
        ];
        for (how, limit) in wrong {
            if let Some(limit) = limit {
                self.say(path, format!("{number} is {how} {limit}."));
            }
        }
        let part = |step: f64| (number / step - (number / step).round()).abs() > 1e-9;
        if let Some(step) = limit("multipleOf").filter(|step| *step > 0.0 && part(*step)) {
            self.say(path, format!("{number} is not a multiple of {step}."));
        }
    }

    fn bounds(
        &mut self,
        schema: &Map<String, Value>,
        names: (&str, &str),
        count: usize,
        what: &str,
        path: &str,
    ) {
        let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
        if limit(names.0).is_some_and(|least| (count as u64) < least) {
            self.say(path, format!("Too few {what} ({count})."));
        }
        if limit(names.1).is_some_and(|most| count as u64 > most) {
            self.say(path, format!("Too many {what} ({count})."));
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => type_of(value) == other,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// References escape slashes in names for URLs as well.
fn decoded(pointer: &str) -> String {
    pointer.replace("%25", "%").replace("%24", "$").replace("%20", " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(schema: &Value, value: &Value) -> Vec<String> {
        problems(schema, value).unwrap().into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn every_violation_is_named_by_its_path() {
        let schema = json!({
            "type": "object",
            "required": ["name", "tags"],
            "properties": {
                "name": {"type": "string", "minLength": 2, "pattern": "^[a-z]+$"},
                "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": true, "maxItems": 3},
            },
            "additionalProperties": false,
        });
        assert!(paths(&schema, &json!({"name": "bob", "age": 5.0, "tags": ["a", "b"]})).is_empty());
        assert_eq!(paths(&schema, &json!({"name": "B"})), ["", "/name", "/name"]);
        let bad = json!({"name": "bob", "age": 150, "tags": ["a", "a", "c"], "more": 1});
        assert_eq!(paths(&schema, &bad), ["/age", "/tags/2", "/tags", "/more"]);
        assert_eq!(paths(&schema, &json!([])), [""]);
    }

    #[test]
    fn schemas_combine() {
        let schema = json!({
            "allOf": [{"minimum": 1}],
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "oneOf": [{"multipleOf": 2}, {"multipleOf": 3}],
            "not": {"const": 8},
            "if": {"minimum": 100}, "then": {"maximum": 200}, "else": {"maximum": 50},
        });
        for (value, fits) in
            [(4, true), (9, true), (6, false), (8, false), (0, false), (52, false), (104, true), (202, false)]
        {
            assert_eq!(paths(&schema, &json!(value)).is_empty(), fits, "{value}");
        }
    }

    #[test]
    fn references_may_be_recursive_but_must_resolve() {
        let tree = json!({
            "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}, "value": {"type": "number"}}}},
            "$ref": "#/$defs/node",
        });
        assert_eq!(paths(&tree, &json!({"next": {"next": {"value": "x"}}})), ["/next/next/value"]);
        assert!(problems(&json!({"$ref": "#"}), &json!(1)).unwrap_err().contains("without end"));
        assert!(problems(&json!({"$ref": "other.json"}), &json!(1)).unwrap_err().contains("other.json"));
    }
}
