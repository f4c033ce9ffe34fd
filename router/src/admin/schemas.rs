//! JSON Schemas of metadata: what keys and workspaces must say of themselves.

use serde_json::Value;

use super::ctx::invalid;
use crate::error::GatewayError;

/// Checks the organisation's schemas: of type object, all properties texts, nothing closed off.
///
/// # Errors
/// 400 naming the schema.
pub(super) fn check_schemas(schemas: &Value) -> Result<(), GatewayError> {
    for (name, schema) in schemas.as_object().into_iter().flatten() {
        let path = format!("metadata_schemas.{name}");
        if !["api_key", "workspace"].contains(&name.as_str()) {
            return Err(invalid(&path, "api_key and workspace are accepted"));
        }
        if schema.is_null() {
            continue;
        }
        if schema["type"] != "object" || schema["additionalProperties"] == false {
            return Err(invalid(&path, "type object that allows additional properties is expected"));
        }
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (property, schema) in properties {
            if schema["type"] != "string" {
                return Err(invalid(&format!("{path}.properties.{property}"), "type string is expected"));
            }
        }
    }
    Ok(())
}

/// Checks metadata against a schema and fills in its defaults.
///
/// # Errors
/// 400 naming the member and what is accepted.
pub(super) fn check_metadata(schema: &Value, metadata: &mut Value) -> Result<(), GatewayError> {
    if !schema.is_object() {
        return Ok(());
    }
    if metadata.is_null() {
        *metadata = serde_json::json!({});
    }
    let Some(members) = metadata.as_object_mut() else {
        return Err(invalid("metadata", "an object is expected"));
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(default) = property.get("default").filter(|_| !members.contains_key(name)) {
            members.insert(name.clone(), default.clone());
        }
        let Some(value) = members.get(name) else { continue };
        let path = format!("metadata.{name}");
        if !value.is_string() {
            return Err(invalid(&path, "a text is expected"));
        }
        let accepted = property["enum"].as_array();
        if accepted.is_some_and(|accepted| !accepted.contains(value)) {
            let accepted: Vec<&str> = accepted.into_iter().flatten().filter_map(Value::as_str).collect();
            return Err(invalid(&path, &format!("{} is expected", accepted.join(", "))));
        }
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(required) {
            return Err(invalid(
                &format!("metadata.{required}"),
                "is missing; the organisation's schema requires it",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_is_checked_and_completed() {
        let schema = json!({"type": "object", "required": ["team"],
            "properties": {"team": {"type": "string", "enum": ["a", "b"]}, "env": {"type": "string", "default": "dev"}}});
        check_schemas(&json!({"api_key": schema})).unwrap();
        let mut fine = json!({"team": "a", "more": "x"});
        check_metadata(&schema, &mut fine).unwrap();
        assert_eq!(fine["env"], "dev");
        for (metadata, param) in [
            (json!({}), "metadata.team"),
            (json!({"team": "c"}), "metadata.team"),
            (json!({"team": 3}), "metadata.team"),
            (json!(3), "metadata"),
        ] {
            let refused = check_metadata(&schema, &mut metadata.clone()).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(param));
        }
        assert!(check_schemas(&json!({"api_key": {"type": "array"}})).is_err());
    }
}
