//! What can't be understood is refused with its place, and nothing ever panics.

use proptest::prelude::*;
use tidegate_import::{litellm, portkey};

#[test]
fn mistakes_in_yaml_are_named_by_line_and_path() {
    for (yaml, expected) in [
        ("model_list: [", "line 2: not YAML"),
        ("5", "line 1: an object is expected"),
        ("model_list: 5", "line 1: model_list: a list is expected"),
        (
            "model_list:\n- litellm_params: {model: openai/a}\n",
            "line 2: model_list[0]: model_name is missing",
        ),
        ("model_list:\n- model_name: a\n", "line 2: model_list[0]: litellm_params is missing"),
        (
            "model_list:\n- model_name: a\n  litellm_params: {}\n",
            "line 3: model_list[0].litellm_params: model is missing",
        ),
        (
            "model_list:\n- model_name: a\n  litellm_params:\n    model: openai/a\n    rpm: lots\n",
            "line 5: model_list[0].litellm_params.rpm: a number",
        ),
        (
            "model_list:\n- model_name: a\n  litellm_params:\n    model: openai/a\n    input_cost_per_token: -1\n",
            "line 5: model_list[0].litellm_params.input_cost_per_token: a price",
        ),
        ("router_settings:\n  fallbacks: 5\n", "line 2: router_settings.fallbacks"),
        ("guardrails:\n- litellm_params: {}\n", "line 2: guardrails[0]: guardrail_name is missing"),
    ] {
        let error = litellm(yaml).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{yaml}\n{error}");
    }
}

#[test]
fn what_an_export_masked_is_left_to_fill_in() {
    let export = r#"{"guardrails": [{"id": "g", "checks": [{"id": "default.webhook", "parameters": {
        "webhookURL": "https://x.example/*****", "headers": {"x-any": "*****"}}},
        {"id": "default.regexReplace", "parameters": {"rule": "a", "redactText": "*****"}}]}],
        "configs": [{"slug": "a", "config": {"provider": "openai", "api_key": "sk-SE*****end"}}]}"#;
    let converted = portkey(export).unwrap();
    let notes: Vec<&str> = converted.notes.iter().map(|note| note.path.as_str()).collect();
    for part in ["webhookURL", "x-any"] {
        assert!(notes.iter().any(|path| path.ends_with(part)), "{part}: {notes:?}");
    }
    assert!(
        !converted.toml.contains("x.example") && !converted.toml.contains("sk-SE*"),
        "{}",
        converted.toml
    );
    assert!(converted.toml.contains("env:OPENAI_API_KEY"), "{}", converted.toml);
    assert!(converted.toml.contains(r#""redactText": "*****""#), "{}", converted.toml);
}

#[test]
fn mistakes_in_json_are_named_by_line_or_path() {
    for (json, expected) in [
        ("{\n,", "line 2: not JSON"),
        ("5", "a config, or a list of configs, is expected"),
        ("[5]", "[0]: an object is expected"),
        (r#"[{"slug": "pc-a"}]"#, "[0].config: is missing; lists leave it out"),
        (r#"[{"slug": "pc-a", "config": "{"}]"#, "[0].config: not JSON inside the text"),
        (r#"{"strategy": {"mode": "nope"}, "targets": [{}]}"#, "strategy.mode: Invalid 'mode' value"),
        (
            r#"{"configs": [{"slug": "a", "config": {"retry": {"attempts": "x"}}}]}"#,
            "configs[0].config.retry.attempts: a whole number",
        ),
        (r#"{"virtual_keys": [{}]}"#, "virtual_keys[0]: slug is missing"),
    ] {
        let error = portkey(json).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{json}\n{error}");
    }
}

#[test]
fn errors_show_no_values() {
    let secret = "sk-do-not-show-me-000000";
    let yaml =
        format!("model_list:\n- model_name: a\n  litellm_params: {{model: openai/a, rpm: {secret}}}\n");
    assert!(!litellm(&yaml).unwrap_err().to_string().contains(secret));
}

#[test]
fn an_empty_configuration_is_a_file_with_notes() {
    let converted = litellm("").unwrap();
    assert!(converted.notes.iter().any(|note| note.path == "model_list"), "{:?}", converted.notes);
    assert!(converted.toml.parse::<toml::Table>().is_ok(), "{}", converted.toml);
}

/// Words that lead deep into both conversions.
fn word() -> impl Strategy<Value = String> {
    let words = [
        "model_list",
        "model_name",
        "litellm_params",
        "model",
        "openai/gpt-4o",
        "azure/x",
        "openai/*",
        "*",
        "api_key",
        "os.environ/KEY",
        "api_base",
        "http://a:1",
        "rpm",
        "weight",
        "order",
        "router_settings",
        "fallbacks",
        "context_window_fallbacks",
        "model_group_alias",
        "litellm_settings",
        "cache",
        "cache_params",
        "ttl",
        "general_settings",
        "master_key",
        "guardrails",
        "configs",
        "config",
        "strategy",
        "mode",
        "fallback",
        "targets",
        "provider",
        "@slug/m",
        "virtual_key",
        "slug",
        "openai",
        "api_keys",
        "defaults",
        "usage_limits",
        "credit_limit",
        "'''",
        "\"\"\"",
        "\u{0}",
        "é\u{85}",
        "a\nb",
        "5",
        "-1",
        "1e999",
        "true",
        "",
        "<<",
    ];
    prop_oneof![4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => ".{0,12}"]
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        word().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::vec((word(), inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A model list with anything for parameters.
fn models() -> impl Strategy<Value = serde_json::Value> {
    let entry =
        (word(), word(), prop::collection::vec((word(), tree()), 0..4)).prop_map(|(name, model, more)| {
            let mut params: serde_json::Map<String, serde_json::Value> = more.into_iter().collect();
            params.insert("model".to_owned(), model.into());
            serde_json::json!({"model_name": name, "litellm_params": params})
        });
    (prop::collection::vec(entry, 0..4), tree(), tree()).prop_map(|(list, router, settings)| {
        serde_json::json!({"model_list": list, "router_settings": router, "litellm_settings": settings})
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}") {
        let _ = litellm(&text);
        let _ = portkey(&text);
    }

    #[test]
    fn whatever_is_converted_is_toml_whose_configs_are_read(value in prop_oneof![tree(), models()]) {
        let text = value.to_string();
        for converted in [litellm(&text), portkey(&text)].into_iter().flatten() {
            let table: toml::Table = converted.toml.parse().map_err(|error| {
                TestCaseError::fail(format!("{error}\n{}", converted.toml))
            })?;
            for config in table.get("config").and_then(toml::Value::as_array).into_iter().flatten() {
                let json = config["json"].as_str().unwrap();
                prop_assert!(tidegate_config::Plan::parse(json).is_ok(), "{}", json);
            }
        }
    }
}
