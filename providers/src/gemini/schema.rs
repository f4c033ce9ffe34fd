//! Cleans a JSON Schema down to what Gemini reads in function parameters.
//!
//! Gemini takes a subset of OpenAPI 3.0 and refuses the whole request for one unknown member, so everything
//! outside the subset is rewritten where its meaning can be kept and left out where not. Cleaning never fails: a
//! schema that is no schema becomes a string. References may be recursive and may multiply; both are cut off
//! by plain objects, since Gemini has no references here.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// Members that mean the same for every type.
const COMMON: &[&str] = &["title", "description", "nullable", "default", "example"];
/// Deepest nesting; Google documents no figure, real schemas stay far below.
const MAX_DEPTH: usize = 32;
/// Most bytes of schema after references are replaced, against schemas that double at each reference.
const MAX_SIZE: usize = 4 << 20;
/// What a subschema counts besides its texts.
const NODE_SIZE: usize = 64;

/// Returns the schema in Gemini's subset.
pub(super) fn clean(schema: &Value) -> Value {
    let mut cleaner = Cleaner { root: schema, open: Vec::new(), left: MAX_SIZE };
    Value::Object(cleaner.schema(schema, 0))
}

struct Cleaner<'a> {
    root: &'a Value,
    /// References being replaced; one that is met again is recursive.
    open: Vec<String>,
    /// Bytes that may still be written.
    left: usize,
}

impl<'a> Cleaner<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Map<String, Value> {
        let Some(object) = schema.as_object() else { return anything() };
        let size = NODE_SIZE + texts_size(object);
        if size > self.left {
            self.left = 0;
            return anything();
        }
        self.left -= size;
        if depth > MAX_DEPTH {
            return plain_object(object);
        }
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return self.reference(reference, object, depth);
        }
        if let Some(pieces) = object.get("allOf").and_then(Value::as_array) {
            return self.all_of(pieces, object, depth);
        }
        if let Some(types) = object.get("type").and_then(Value::as_array) {
            return self.by_types(types, object, depth);
        }
        let variants = ["anyOf", "oneOf"].iter().find_map(|name| object.get(*name)).and_then(Value::as_array);
        match variants {
            // Beside properties a union only says which of them go together; the properties matter more.
            Some(variants) if !variants.is_empty() && !object.contains_key("properties") => {
                self.union(variants, object, depth)
            }
            _ => self.plain(&type_name(object), object, depth),
        }
    }

    fn target(&self, reference: &str) -> Option<&'a Value> {
        let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8_lossy();
        self.root.pointer(&pointer)
    }

    fn reference(
        &mut self,
        reference: &str,
        object: &'a Map<String, Value>,
        depth: usize,
    ) -> Map<String, Value> {
        let recursive = self.open.iter().any(|open| open == reference);
        let Some(target) = self.target(reference).filter(|_| !recursive) else { return plain_object(object) };
        self.open.push(reference.to_owned());
        let mut cleaned = self.schema(target, depth + 1);
        self.open.pop();
        // Members beside the reference, usually a description, win over the target's.
        cleaned.extend(kept(object, COMMON));
        cleaned
    }

    /// Makes one schema of `allOf`: properties and required names add up, of other members the first counts.
    fn all_of(
        &mut self,
        pieces: &'a [Value],
        object: &'a Map<String, Value>,
        depth: usize,
    ) -> Map<String, Value> {
        let mut out = kept(object, COMMON);
        let mut properties = Map::new();
        let mut required = object.get("required").into_iter().collect::<Vec<_>>();
        let mut cleaned = Vec::new();
        if object.contains_key("type") || object.contains_key("properties") {
            cleaned.push(self.plain(&type_name(object), object, depth));
        }
        for piece in pieces {
            let reference = piece.get("$ref").and_then(Value::as_str);
            let raw = reference.and_then(|reference| self.target(reference)).unwrap_or(piece);
            required.extend(raw.get("required"));
            let shapes = ["type", "properties", "$ref", "allOf", "anyOf", "oneOf", "enum", "const", "items"];
            if shapes.iter().any(|name| piece.get(name).is_some()) {
                cleaned.push(self.schema(piece, depth + 1));
            }
        }
        for piece in cleaned {
            for (name, value) in piece {
                match value {
                    Value::Object(theirs) if name == "properties" => properties.extend(theirs),
                    _ if name == "required" => {}
                    value => {
                        out.entry(name).or_insert(value);
                    }
                }
            }
        }
        if !properties.is_empty() {
            let names = required.into_iter().filter_map(Value::as_array).flatten();
            require(names, &properties, &mut out);
            out.insert("type".into(), "object".into());
            out.insert("properties".into(), Value::Object(properties));
        }
        if !out.contains_key("type") && !out.contains_key("anyOf") {
            out.append(&mut anything());
        }
        out
    }

    fn by_types(
        &mut self,
        types: &[Value],
        object: &'a Map<String, Value>,
        depth: usize,
    ) -> Map<String, Value> {
        let names: Vec<_> = types.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect();
        let mut cleaned = match names.as_slice() {
            [] => self.plain(&type_name(object), object, depth),
            [only] => self.plain(&only.to_ascii_lowercase(), object, depth),
            several => {
                let mut branches = Vec::new();
                // JSON Schema has seven types; more names are repetitions.
                for name in several.iter().take(7) {
                    let mut branch = self.plain(&name.to_ascii_lowercase(), object, depth);
                    branch.retain(|name, _| !COMMON.contains(&name.as_str()));
                    branches.push(Value::Object(branch));
                }
                let mut head = kept(object, COMMON);
                head.insert("anyOf".into(), Value::Array(branches));
                head
            }
        };
        if types.iter().any(|name| name == "null") {
            cleaned.insert("nullable".into(), true.into());
        }
        cleaned
    }

    fn union(
        &mut self,
        variants: &'a [Value],
        object: &Map<String, Value>,
        depth: usize,
    ) -> Map<String, Value> {
        let is_null = |variant: &Value| variant.get("type").is_some_and(|name| name == "null");
        let nullable = variants.iter().any(is_null);
        let mut cleaned: Vec<_> = Vec::new();
        for variant in variants.iter().filter(|variant| !is_null(variant)) {
            if self.left == 0 {
                break;
            }
            let variant = self.schema(variant, depth + 1);
            cleaned.push(variant);
        }
        cleaned.dedup();
        let mut head = kept(object, COMMON);
        match cleaned.len() {
            0 => head.append(&mut anything()),
            1 => {
                for (name, value) in cleaned.remove(0) {
                    head.entry(name).or_insert(value);
                }
            }
            _ => {
                head.insert("anyOf".into(), cleaned.into_iter().map(Value::Object).collect());
            }
        }
        if nullable {
            head.insert("nullable".into(), true.into());
        }
        head
    }

    fn plain(&mut self, name: &str, object: &'a Map<String, Value>, depth: usize) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("type".into(), name.into());
        out.append(&mut kept(object, COMMON));
        out.append(&mut kept(object, limits_of(name)));
        if let Some(format) = object.get("format").and_then(Value::as_str)
            && format_is_read(name, format)
        {
            out.insert("format".into(), format.into());
        }
        enumeration(name, object, &mut out);
        match name {
            "object" => self.properties(object, &mut out, depth),
            "array" => {
                // Arrays must say what they hold.
                let items = self.items(object, depth);
                out.insert("items".into(), Value::Object(items));
            }
            _ => {}
        }
        out
    }

    fn properties(&mut self, object: &'a Map<String, Value>, out: &mut Map<String, Value>, depth: usize) {
        let Some(properties) = object.get("properties").and_then(Value::as_object) else { return };
        let mut cleaned = Map::new();
        for (name, property) in properties {
            self.left = self.left.saturating_sub(name.len());
            if self.left == 0 {
                break;
            }
            cleaned.insert(name.clone(), Value::Object(self.schema(property, depth + 1)));
        }
        require(object.get("required").and_then(Value::as_array).into_iter().flatten(), &cleaned, out);
        out.insert("properties".into(), Value::Object(cleaned));
    }

    fn items(&mut self, object: &'a Map<String, Value>, depth: usize) -> Map<String, Value> {
        let tuple = object.get("prefixItems").or_else(|| object.get("items")).and_then(Value::as_array);
        match (tuple, object.get("items")) {
            (Some(tuple), _) if !tuple.is_empty() => self.union(tuple, &Map::new(), depth),
            (_, Some(items)) => self.schema(items, depth + 1),
            _ => anything(),
        }
    }
}

/// Writes `required`. A required name without a property is an error at Google.
fn require<'v>(
    names: impl Iterator<Item = &'v Value>,
    properties: &Map<String, Value>,
    out: &mut Map<String, Value>,
) {
    let known = names.filter_map(Value::as_str).filter(|name| properties.contains_key(*name));
    let mut known: Vec<_> = known.collect();
    let mut seen = HashSet::new();
    known.retain(|name| seen.insert(*name));
    if !known.is_empty() {
        out.insert("required".into(), json!(known));
    }
}

/// Returns the length of the texts that a subschema brings into the result.
fn texts_size(object: &Map<String, Value>) -> usize {
    let length = |value: &Value| value.as_str().map_or(8, str::len);
    let own: usize = object.values().filter_map(Value::as_str).map(str::len).sum();
    let values = object.get("enum").and_then(Value::as_array);
    own + values.map_or(0, |values| values.iter().map(length).sum())
}

/// Anything at all. Gemini wants a type, and a string can hold whatever the model wants to say.
fn anything() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), Value::from("string"))])
}

fn plain_object(object: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::from_iter([("type".to_owned(), Value::from("object"))]);
    out.append(&mut kept(object, &["description"]));
    out
}

/// Copies members. All of them are scalars in use; a `default` that is an object only feeds documentation, which
/// Google ignores, and could be large.
fn kept(object: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let scalar = |value: &Value| !(value.is_null() || value.is_object() || value.is_array());
    let wanted = object.iter().filter(|(name, value)| names.contains(&name.as_str()) && scalar(value));
    wanted.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Returns the limits that one type knows.
fn limits_of(name: &str) -> &'static [&'static str] {
    match name {
        "object" => &["minProperties", "maxProperties"],
        "array" => &["minItems", "maxItems"],
        "string" => &["pattern", "minLength", "maxLength"],
        "number" | "integer" => &["minimum", "maximum"],
        _ => &[],
    }
}

fn type_name(object: &Map<String, Value>) -> String {
    if let Some(name) = object.get("type").and_then(Value::as_str)
        && let known = name.to_ascii_lowercase()
        && ["object", "array", "string", "number", "integer", "boolean", "null"].contains(&known.as_str())
    {
        return known;
    }
    let sample = object.get("const").or_else(|| object.get("enum").and_then(|list| list.get(0)));
    let guess = match sample {
        _ if object.contains_key("properties") => "object",
        _ if object.contains_key("items") || object.contains_key("prefixItems") => "array",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(number)) if number.is_f64() => "number",
        Some(Value::Number(_)) => "integer",
        _ => "string",
    };
    guess.to_owned()
}

fn format_is_read(name: &str, format: &str) -> bool {
    match name {
        "string" => matches!(format, "enum" | "date-time"),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}

/// Writes `enum`, which Gemini allows for strings only. For other types the values move to the description.
fn enumeration(name: &str, object: &Map<String, Value>, out: &mut Map<String, Value>) {
    let values: Vec<&Value> = match (object.get("const"), object.get("enum").and_then(Value::as_array)) {
        (Some(value), _) => vec![value],
        (None, Some(values)) => values.iter().collect(),
        (None, None) => return,
    };
    if values.iter().any(|value| value.is_null()) {
        out.insert("nullable".into(), true.into());
    }
    if name == "string" {
        // Empty names are refused.
        let texts: Vec<_> =
            values.iter().filter_map(|v| v.as_str()).filter(|text| !text.is_empty()).collect();
        if !texts.is_empty() {
            out.insert("enum".into(), json!(texts));
        }
    } else if matches!(name, "integer" | "number") {
        let texts: Vec<_> =
            values.iter().filter(|value| value.is_number()).map(ToString::to_string).collect();
        if !texts.is_empty() {
            let known = out.get("description").and_then(Value::as_str).map(|text| format!("{text} "));
            let text = format!("{}One of: {}.", known.unwrap_or_default(), texts.join(", "));
            out.insert("description".into(), text.into());
        }
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
