//! Every rule of the published format, broken once: the place is named, and what is accepted.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_config::Plan;

/// Values of every type, each but those of the types that a member takes.
fn wrong(taken: &[&str]) -> Vec<Value> {
    let all = [
        ("boolean", json!(true)),
        ("number", json!(1.5)),
        ("string", json!("zz")),
        ("array", json!([1.5])),
        ("object", json!({"zz": 1.5})),
    ];
    all.into_iter().filter(|(kind, _)| !taken.contains(kind)).map(|(_, value)| value).collect()
}

#[expect(clippy::panic, reason = "a test's own helper")]
fn refused(config: &Value, path: &str, part: &str) {
    let error = Plan::parse(&config.to_string()).err().unwrap_or_else(|| panic!("accepted: {config}"));
    assert_eq!(error.path, path, "{config}: {error}");
    assert!(error.message.contains(part), "{config}: {error}, not {part}");
}

/// Puts a member into a config at the root, and into one of several targets.
fn everywhere(name: &str, value: &Value, path: &str, part: &str) {
    refused(&json!({ name: value }), path, part);
    let nested = json!({"strategy": {"mode": "fallback"}, "targets": [{}, {"targets": [{ name: value }]}]});
    refused(&nested, &format!("targets[1].targets[0].{path}"), part);
}

#[test]
fn members_of_a_node_have_their_types() {
    for name in ["name", "id", "provider", "api_key", "virtual_key", "prompt_id", "custom_host"] {
        for value in wrong(&["string"]) {
            everywhere(name, &value, name, "a string is expected");
        }
    }
    for name in ["passthrough", "strict_open_ai_compliance", "fetch_integrated_models"] {
        for value in wrong(&["boolean"]) {
            everywhere(name, &value, name, "true or false is expected");
        }
    }
    for name in ["strategy", "override_params", "default_params", "cache", "retry"] {
        for value in wrong(&["object"]) {
            everywhere(name, &value, name, "an object is expected");
        }
    }
    for name in ["drop_params", "forward_headers", "sensitive_headers"] {
        for value in wrong(&["array"]) {
            everywhere(name, &value, name, "an array of strings is expected");
        }
        everywhere(name, &json!(["x", 1]), &format!("{name}[1]"), "a string is expected");
    }
    for value in wrong(&["array"]) {
        everywhere("on_status_codes", &value, "on_status_codes", "an array of status codes is expected");
        everywhere("targets", &value, "targets", "an array of targets is expected");
    }
    for value in wrong(&[]) {
        everywhere("request_timeout", &value, "request_timeout", "a positive number of milliseconds");
    }
    for value in [json!(0), json!(-1), json!(1e300)] {
        everywhere("request_timeout", &value, "request_timeout", "a positive number of milliseconds");
    }
    for value in wrong(&["number"]) {
        everywhere("weight", &value, "weight", "a number is expected");
    }
}

#[test]
fn vendors_own_members_have_their_types_and_words() {
    for name in [
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_region",
        "aws_role_arn",
        "aws_external_id",
        "aws_s3_bucket",
        "aws_s3_object_key",
        "aws_bedrock_model",
        "azure_resource_name",
        "azure_deployment_id",
        "azure_api_version",
        "azure_model_name",
        "azure_ad_token",
        "azure_managed_client_id",
        "azure_entra_client_id",
        "azure_entra_client_secret",
        "azure_entra_tenant_id",
        "azure_entra_scope",
        "azure_foundry_url",
        "resource_name",
        "deployment_id",
        "api_version",
        "vertex_project_id",
        "vertex_region",
        "vertex_storage_bucket_name",
        "openai_project",
        "openai_organization",
        "workers_ai_account_id",
        "huggingface_base_url",
        "anthropic_beta",
        "anthropic_version",
    ] {
        for value in wrong(&["string"]) {
            everywhere(name, &value, name, "a string is expected");
        }
    }
    for value in wrong(&["string", "object"]) {
        everywhere(
            "vertex_service_account_json",
            &value,
            "vertex_service_account_json",
            "an object, or its JSON",
        );
    }
    for value in wrong(&["string", "boolean"]) {
        everywhere("mistral_fim_completion", &value, "mistral_fim_completion", "a string, true or false");
    }
    everywhere("aws_auth_type", &json!("zz"), "aws_auth_type", "assumedRole, serviceRole, apiKey");
    everywhere("azure_auth_mode", &json!("zz"), "azure_auth_mode", "entra, managed, workload");
}

#[test]
fn strategies_have_their_members() {
    let with = |strategy: Value| json!({"strategy": strategy, "targets": [{"name": "a"}]});
    for (mode, name, kinds, part) in [
        ("fallback", "on_status_codes", &["array"][..], "an array of status codes"),
        ("loadbalance", "sticky", &["object"], "an object"),
        ("fallback", "cb_config", &["object"], "an object"),
        ("conditional", "conditions", &["array"], "an array of objects with query and then"),
    ] {
        for value in wrong(kinds) {
            refused(&with(json!({"mode": mode, name: value})), &format!("strategy.{name}"), part);
        }
    }
    for value in wrong(&["string"]) {
        refused(&with(json!({ "mode": value })), "strategy.mode", "a string");
        refused(
            &with(json!({"mode": "conditional", "conditions": [], "default": value})),
            "strategy.default",
            "a string",
        );
        let then = json!([{"query": {}, "then": value}]);
        refused(
            &with(json!({"mode": "conditional", "conditions": then})),
            "strategy.conditions[0].then",
            "a string",
        );
    }
    for value in wrong(&["object"]) {
        let query = json!([{"query": value, "then": "a"}]);
        refused(
            &with(json!({"mode": "conditional", "conditions": query})),
            "strategy.conditions[0].query",
            "an object like",
        );
        refused(
            &with(json!({"mode": "conditional", "conditions": [value]})),
            "strategy.conditions[0]",
            "a JSON object",
        );
    }
    for name in ["single", "loadbalance", "fallback", "conditional"] {
        refused(&with(json!({"mode": "zz"})), "strategy.mode", name);
        refused(&with(json!({})), "strategy.mode", name);
    }
    for (code, part) in
        [(json!(99), "from 100 to 599"), (json!(600), "from 100 to 599"), (json!("429"), "from 100 to 599")]
    {
        let list = json!({"mode": "fallback", "on_status_codes": [429, code]});
        refused(&with(list), "strategy.on_status_codes[1]", part);
    }
}

#[test]
fn sticky_and_breakers_have_their_ranges() {
    let sticky = |member: &str, value: Value| json!({"strategy": {"mode": "loadbalance", "sticky": {member: value}}, "targets": [{}]});
    for value in wrong(&["boolean"]) {
        refused(&sticky("enabled", value), "strategy.sticky.enabled", "true or false");
    }
    for value in wrong(&["array"]) {
        refused(&sticky("hash_fields", value), "strategy.sticky.hash_fields", "an array of strings");
    }
    for field in ["", "user", "metadata.", "header.x"] {
        refused(
            &sticky("hash_fields", json!([field])),
            "strategy.sticky.hash_fields[0]",
            "metadata., params. or headers.",
        );
    }
    for value in [json!(0), json!(-1), json!("60"), json!(0.5)] {
        refused(&sticky("ttl", value), "strategy.sticky.ttl", "a positive number of seconds");
    }
    let breaker = |member: &str, value: Value| {
        let mut settings = json!({"failure_threshold": 3, "cooldown_interval": 30000});
        settings[member] = value;
        json!({"strategy": {"mode": "fallback", "cb_config": settings}, "targets": [{}]})
    };
    for (member, value, part) in [
        ("failure_threshold", json!(0), "a positive whole number"),
        ("failure_threshold", json!("3"), "a positive whole number"),
        ("failure_threshold_percentage", json!(0), "at most 100"),
        ("failure_threshold_percentage", json!(101), "at most 100"),
        ("failure_threshold_percentage", json!("50"), "at most 100"),
        ("cooldown_interval", json!(29_999), "at least 30000"),
        ("cooldown_interval", json!("30000"), "at least 30000"),
        ("failure_status_codes", json!(500), "an array of status codes"),
        ("minimum_requests", json!(0), "a positive whole number"),
    ] {
        refused(&breaker(member, value), &format!("strategy.cb_config.{member}"), part);
    }
    refused(
        &breaker("failure_status_codes", json!([700])),
        "strategy.cb_config.failure_status_codes[0]",
        "from 100 to 599",
    );
    refused(
        &breaker("failure_threshold", Value::Null),
        "strategy.cb_config",
        "failure_threshold or failure_threshold_percentage",
    );
}

#[test]
fn retry_and_cache_have_their_members() {
    for value in wrong(&["array"]) {
        everywhere(
            "retry",
            &json!({"attempts": 1, "on_status_codes": value}),
            "retry.on_status_codes",
            "an array of status codes",
        );
    }
    for value in wrong(&[]).into_iter().chain([json!(-1), json!(1e300), Value::Null]) {
        everywhere("retry", &json!({ "attempts": value }), "retry.attempts", "a whole number from 0 to 5");
    }
    for name in ["use_retry_after_header", "use_retry_after_headers"] {
        for value in wrong(&["boolean"]) {
            everywhere(
                "retry",
                &json!({"attempts": 1, name: value}),
                &format!("retry.{name}"),
                "true or false",
            );
        }
    }
    everywhere("cache", &json!({"mode": "zz"}), "cache.mode", "simple or semantic");
    for value in wrong(&["string"]) {
        everywhere("cache", &json!({ "mode": value }), "cache.mode", "a string");
    }
    for value in wrong(&[]).into_iter().chain([json!(-1)]) {
        everywhere("cache", &json!({"mode": "simple", "max_age": value}), "cache.max_age", "seconds");
    }
}

#[test]
fn hooks_have_their_members() {
    for name in ["before_request_hooks", "after_request_hooks"] {
        for value in wrong(&["array"]) {
            everywhere(name, &value, name, "an array of hook objects");
        }
        for value in wrong(&["object"]) {
            everywhere(name, &json!([value]), &format!("{name}[0]"), "a JSON object");
        }
        for member in ["id", "type", "guardrail_version_id"] {
            everywhere(name, &json!([{member: 1}]), &format!("{name}[0].{member}"), "a string");
        }
        everywhere(name, &json!([{"type": "zz"}]), &format!("{name}[0].type"), "guardrail or mutator");
        for member in ["async", "sequential", "deny"] {
            for value in wrong(&["boolean"]) {
                everywhere(name, &json!([{member: value}]), &format!("{name}[0].{member}"), "true or false");
            }
        }
        everywhere(name, &json!([{"checks": {}}]), &format!("{name}[0].checks"), "an array of checks");
        for (check, member, part) in [
            (json!({}), ".id", "plugin.check"),
            (json!({"id": 1}), ".id", "a string"),
            (json!({"id": "a."}), ".id", "plugin.check"),
            (json!({"id": "a.b", "parameters": []}), ".parameters", "an object"),
            (json!({"id": "a.b", "is_enabled": 1}), ".is_enabled", "true or false"),
            (json!(1), "", "a JSON object"),
        ] {
            everywhere(name, &json!([{"checks": [check]}]), &format!("{name}[0].checks[0]{member}"), part);
        }
        for outcome in ["on_success", "on_fail"] {
            let at = format!("{name}[0].{outcome}");
            everywhere(name, &json!([{outcome: 1}]), &at, "an object");
            everywhere(name, &json!([{outcome: {"feedback": 1}}]), &format!("{at}.feedback"), "an object");
            for member in ["value", "weight"] {
                let feedback = json!([{outcome: {"feedback": {member: "5"}}}]);
                everywhere(name, &feedback, &format!("{at}.feedback.{member}"), "a number");
            }
            let feedback = json!([{outcome: {"feedback": {"metadata": 1}}}]);
            everywhere(name, &feedback, &format!("{at}.feedback.metadata"), "an object");
        }
    }
    for name in ["input_guardrails", "output_guardrails", "input_mutators", "output_mutators"] {
        for value in wrong(&["array"]) {
            everywhere(name, &value, name, "an array of guardrail objects or saved ids");
        }
        everywhere(name, &json!([1]), &format!("{name}[0]"), "a guardrail object or a saved id");
        everywhere(name, &json!(["a", {}]), name, "can't be mixed");
        everywhere(name, &json!([{"contains": 1}]), &format!("{name}[0].contains"), "the check's parameters");
        everywhere(name, &json!([{"deny": 1}]), &format!("{name}[0].deny"), "true or false");
    }
}

#[test]
fn saved_guardrails_are_named_with_their_places() {
    let config = json!({"input_guardrails": ["a"], "strategy": {"mode": "fallback"},
        "targets": [{"output_guardrails": ["b", "c"]}, {"output_mutators": ["d"]}]});
    let plan = Plan::parse(&config.to_string()).unwrap();
    let named: Vec<String> =
        plan.guardrails().iter().map(|named| format!("{} {}", named.path, named.id)).collect();
    assert_eq!(
        named,
        [
            "input_guardrails[0] a",
            "targets[0].output_guardrails[0] b",
            "targets[0].output_guardrails[1] c",
            "targets[1].output_mutators[0] d",
        ]
    );
}

/// Values that mean something somewhere, and some that never do.
fn scrap() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("fallback"),
        Just("loadbalance"),
        Just("conditional"),
        Just("single"),
        Just("a"),
        Just("metadata.x"),
        Just("(("),
        Just("default.contains"),
        Just(""),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..700).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("strategy"),
        Just("mode"),
        Just("targets"),
        Just("weight"),
        Just("conditions"),
        Just("query"),
        Just("then"),
        Just("default"),
        Just("name"),
        Just("retry"),
        Just("attempts"),
        Just("on_status_codes"),
        Just("cache"),
        Just("sticky"),
        Just("hash_fields"),
        Just("cb_config"),
        Just("cooldown_interval"),
        Just("failure_threshold"),
        Just("override_params"),
        Just("drop_params"),
        Just("input_guardrails"),
        Just("before_request_hooks"),
        Just("checks"),
        Just("id"),
        Just("$and"),
        Just("$or"),
        Just("$regex"),
        Just("$gt"),
        Just("$in"),
        Just("$plugin"),
        Just("params.x"),
        Just("request_timeout"),
        Just("custom_host"),
        Just("forward_headers"),
        Just("weigths"),
    ];
    leaf.prop_recursive(6, 60, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    /// Whatever is sent: a plan that leads somewhere, or a place and a reason. What is wrong at a place is something
    /// that stands there, or is missing where the path ends.
    #[test]
    fn any_config_is_a_plan_or_an_error_with_a_place(config in scrap()) {
        match Plan::parse(&config.to_string()) {
            Ok(plan) => prop_assert!(!plan.targets().is_empty()),
            Err(error) => {
                prop_assert!(!error.message.is_empty());
                prop_assert!(!error.path.is_empty() || !config.is_object(), "{config}: {error}");
            }
        }
    }
}
