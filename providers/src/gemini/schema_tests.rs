use proptest::prelude::*;

use super::*;

#[test]
fn unknown_members_are_dropped_at_every_level() {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "city": {"type": "string", "x-order": 1, "examples": ["Pune"], "format": "uri"},
            "when": {"type": "string", "format": "date-time"},
            "days": {"type": "integer", "exclusiveMinimum": 0, "minimum": 1, "format": "int32"},
            "additionalProperties": {"type": "boolean"},
        },
        "required": ["city", "gone"],
        "additionalProperties": false,
    });
    assert_eq!(
        clean(&schema),
        json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "when": {"type": "string", "format": "date-time"},
                "days": {"type": "integer", "minimum": 1, "format": "int32"},
                "additionalProperties": {"type": "boolean"},
            },
            "required": ["city"],
        })
    );
}

#[test]
fn references_are_replaced() {
    let schema = json!({
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/Place"},
            "b": {"$ref": "#/definitions/My%20Place", "description": "where to"},
        },
        "$defs": {"Place": {"type": "string", "description": "a place"}},
        "definitions": {"My Place": {"type": "string", "description": "a place"}},
    });
    assert_eq!(
        clean(&schema)["properties"],
        json!({
            "a": {"type": "string", "description": "a place"},
            "b": {"type": "string", "description": "where to"},
        })
    );
}

#[test]
fn recursion_ends_in_a_plain_object() {
    let schema = json!({
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    });
    assert_eq!(clean(&schema), json!({"type": "object", "properties": {"next": {"type": "object"}}}));
    assert_eq!(clean(&json!({"$ref": "#"})), json!({"type": "object"}));
    assert_eq!(clean(&json!({"$ref": "other.json#/a"})), json!({"type": "object"}));
}

#[test]
fn doubling_references_stay_bounded() {
    let mut defs = Map::new();
    for at in 0..30 {
        let next = format!("#/$defs/d{}", at + 1);
        let node = json!({"type": "object", "properties": {"a": {"$ref": next}, "b": {"$ref": next}}});
        defs.insert(format!("d{at}"), node);
    }
    defs.insert("d30".into(), json!({"type": "string", "description": "x".repeat(1000)}));
    let cleaned = clean(&json!({"$ref": "#/$defs/d0", "$defs": defs}));
    assert!(cleaned.to_string().len() < 3 * MAX_SIZE);
}

#[test]
fn null_becomes_nullable() {
    for (schema, expected) in [
        (json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true})),
        (
            json!({"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "d", "default": null}),
            json!({"type": "integer", "description": "d", "nullable": true}),
        ),
        (json!({"enum": ["a", null]}), json!({"type": "string", "enum": ["a"], "nullable": true})),
        (
            json!({"oneOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "string"}, {"type": "number"}], "nullable": true}),
        ),
    ] {
        assert_eq!(clean(&schema), expected, "{schema}");
    }
}

#[test]
fn several_types_become_a_union() {
    let schema = json!({
        "type": ["string", "array", "null"],
        "description": "one or more",
        "items": {"type": "string"},
        "minLength": 1,
    });
    assert_eq!(
        clean(&schema),
        json!({
            "description": "one or more",
            "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}}],
            "nullable": true,
        })
    );
}

#[test]
fn enumerations_are_strings() {
    for (schema, expected) in [
        (json!({"const": "a"}), json!({"type": "string", "enum": ["a"]})),
        (json!({"enum": ["a", ""]}), json!({"type": "string", "enum": ["a"]})),
        (
            json!({"type": "integer", "enum": [1, 2], "description": "Level."}),
            json!({"type": "integer", "description": "Level. One of: 1, 2."}),
        ),
        (json!({"const": true}), json!({"type": "boolean"})),
    ] {
        assert_eq!(clean(&schema), expected, "{schema}");
    }
}

#[test]
fn all_of_is_merged() {
    let schema = json!({
        "allOf": [
            {"$ref": "#/$defs/Base"},
            {"properties": {"b": {"type": "string"}}},
            {"required": ["a", "b"]},
        ],
        "$defs": {"Base": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    });
    assert_eq!(
        clean(&schema),
        json!({
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
            "required": ["a", "b"],
        })
    );
}

#[test]
fn arrays_say_what_they_hold() {
    assert_eq!(clean(&json!({"type": "array"})), json!({"type": "array", "items": {"type": "string"}}));
    assert_eq!(
        clean(&json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]})),
        json!({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}})
    );
}

#[test]
fn a_union_beside_properties_is_dropped() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    });
    assert_eq!(clean(&schema), json!({"type": "object", "properties": {"a": {"type": "string"}}}));
}

fn schema_like() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "$ref",
        "$defs",
        "allOf",
        "anyOf",
        "oneOf",
        "type",
        "items",
        "prefixItems",
        "properties",
        "required",
        "enum",
        "const",
        "format",
        "description",
        "a",
        "b",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "#",
            "#/$defs/a",
            "#/$defs/b",
            "#/properties/a",
            "object",
            "string",
            "null",
            "x"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cleaning_ends_with_a_type(schema in schema_like()) {
        let cleaned = clean(&schema);
        prop_assert!(cleaned.get("type").is_some() || cleaned.get("anyOf").is_some(), "{schema} -> {cleaned}");
    }
}
