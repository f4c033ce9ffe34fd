//! Configs as people write them, and what becomes of them.

use serde_json::{Value, json};
use tidegate_config::{CacheMode, Plan, Strategy, Target};

#[expect(clippy::panic, reason = "a test's own helper")]
fn plan(config: Value) -> Plan {
    Plan::parse(&config.to_string()).unwrap_or_else(|error| panic!("{config}: {error}"))
}

fn targets(config: Value) -> Vec<Target> {
    plan(config).targets().into_iter().map(|target| (**target).clone()).collect()
}

fn only(config: Value) -> Target {
    let mut found = targets(config);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[test]
fn parameters_merge_down_and_the_child_wins() {
    let target = only(json!({
        "strategy": {"mode": "single"},
        "override_params": {"temperature": 0.1, "model": "p"},
        "default_params": {"a": 1, "b": 1},
        "drop_params": ["user"],
        "targets": [{"override_params": {"model": "c"}, "default_params": {"b": 2}, "drop_params": ["m[*].name"]}],
    }));
    assert_eq!(Value::Object((*target.override_params).clone()), json!({"temperature": 0.1, "model": "c"}));
    assert_eq!(Value::Object((*target.default_params).clone()), json!({"a": 1, "b": 2}));
    let dropped: Vec<&str> = target.drop_params.iter().map(|path| path.member()).collect();
    assert_eq!(dropped, ["user", "m"]);
}

#[test]
fn retry_cache_timeout_host_strictness_and_headers_go_down_unless_replaced() {
    let found = targets(json!({
        "strategy": {"mode": "fallback"},
        "retry": {"attempts": 3, "on_status_codes": [429]},
        "cache": {"mode": "semantic", "max_age": 60},
        "request_timeout": 1000, "custom_host": "http://a/v1",
        "forward_headers": ["X-One"], "strict_open_ai_compliance": false,
        "targets": [{"provider": "@a"}, {
            "provider": "@b", "retry": {"attempts": 1}, "cache": {"mode": "simple"},
            "request_timeout": 5, "custom_host": "http://b/v1", "forward_headers": ["x-two"],
            "strict_open_ai_compliance": true,
        }],
    }));
    let (first, second) = (&found[0], &found[1]);
    let retry = |target: &Target| {
        let retry = target.retry.clone().unwrap();
        (retry.attempts, retry.on_status_codes.clone())
    };
    assert_eq!(retry(first), (3, vec![429]));
    // The child's object replaces the parent's whole object.
    assert_eq!(retry(second), (1, vec![429, 500, 502, 503, 504, 529]));
    let cache = |target: &Target| {
        let cache = target.cache.clone().unwrap();
        (cache.mode, cache.max_age.map(|age| age.as_secs()))
    };
    assert_eq!(cache(first), (CacheMode::Semantic, Some(60)));
    assert_eq!(cache(second), (CacheMode::Simple, None));
    assert_eq!((first.request_timeout, second.request_timeout), (Some(1000), Some(5)));
    assert_eq!(first.custom_host.as_deref(), Some("http://a/v1"));
    assert_eq!(second.custom_host.as_deref(), Some("http://b/v1"));
    assert_eq!((&first.forward_headers[0], &second.forward_headers[0]), (&"x-one".into(), &"x-two".into()));
    assert_eq!(
        (first.strict_open_ai_compliance, second.strict_open_ai_compliance),
        (Some(false), Some(true))
    );
}

#[test]
fn each_side_of_hooks_is_replaced_by_the_childs() {
    let found = targets(json!({
        "strategy": {"mode": "fallback"},
        "input_guardrails": [{"contains": {}}], "output_guardrails": ["saved"],
        "targets": [{}, {"before_request_hooks": [{"id": "own", "checks": []}]}, {"input_guardrails": []}],
    }));
    let before = |at: usize| found[at].hooks.before.iter().map(|hook| hook.path.clone()).collect::<Vec<_>>();
    assert_eq!(before(0), ["input_guardrails[0]"]);
    assert_eq!(before(1), ["targets[1].before_request_hooks[0]"]);
    assert!(before(2).is_empty());
    assert!(found.iter().all(|target| target.hooks.saved.1 == ["saved"]));
}

#[test]
fn providers_credentials_names_and_vendor_fields_stay_where_they_are_written() {
    let config = json!({
        "strategy": {"mode": "single"}, "provider": "openai", "api_key": "k", "virtual_key": "v",
        "azure_resource_name": "r", "name": "outer", "weight": 3,
        "targets": [{}],
    });
    let target = only(config.clone());
    assert_eq!((&target.provider, &target.virtual_key, &target.api_key), (&None, &None, &None));
    assert!(target.options.is_empty());
    let plan = plan(config);
    assert_eq!(plan.root().children[0].name, None);
    let noted: Vec<&str> = plan.notes().iter().map(|note| note.path.as_str()).collect();
    assert_eq!(noted, ["provider", "virtual_key", "api_key"]);
}

#[test]
fn both_cases_and_all_spellings_are_read() {
    let target = only(json!({
        "provider": "azure-openai", "apiKey": "k", "customHost": "http://a/v1", "requestTimeout": 5,
        "overrideParams": {"max_tokens": 1}, "strictOpenAiCompliance": false, "azureResourceName": "r",
        "retry": {"attempts": 1, "useRetryAfterHeaders": true},
        "vertex_service_account_json": {"a": 1},
    }));
    assert_eq!(target.api_key.as_ref().map(|key| key.expose()), Some("k"));
    assert_eq!(target.options["azure_resource_name"].expose(), "r");
    assert_eq!(target.options["vertex_service_account_json"].expose(), r#"{"a":1}"#);
    assert_eq!(target.override_params["max_tokens"], 1);
    assert!(target.retry.unwrap().use_retry_after_header);
    for (mode, retry) in [("load-balance", "use_retry_after_headers"), ("loadbalance", "useRetryAfterHeader")]
    {
        let plan = plan(
            json!({"strategy": {"mode": mode}, "retry": {"attempts": 1, retry: true}, "targets": [{}, {}]}),
        );
        assert!(matches!(plan.root().strategy, Strategy::LoadBalance { .. }));
        assert!(plan.targets()[0].retry.as_ref().unwrap().use_retry_after_header, "{retry}");
        assert!(plan.notes().is_empty(), "{:?}", plan.notes());
    }
}

#[test]
fn paths_are_portkeys() {
    let plan = plan(json!({"strategy": {"mode": "fallback"}, "targets": [
        {}, {"strategy": {"mode": "loadbalance"}, "targets": [{"weight": 0}, {"weight": 1}]}]}));
    let paths: Vec<&str> = plan.targets().iter().map(|target| target.path.as_str()).collect();
    assert_eq!(paths, ["config.targets[0]", "config.targets[1].targets[0]", "config.targets[1].targets[1]"]);
    let bare = Plan::parse("{}").unwrap();
    assert_eq!(bare.targets()[0].path, "config");
    assert_eq!(Plan::bare().root(), bare.root());
}

#[test]
fn conditions_point_at_named_children() {
    let plan = plan(json!({"strategy": {"mode": "conditional", "default": "a", "conditions": [
        {"query": {"metadata.plan": "paid"}, "then": "b"}]}, "targets": [{"name": "a"}, {"name": "b"}]}));
    let Strategy::Conditional { conditions, default } = &plan.root().strategy else { panic!("{plan:?}") };
    assert_eq!((conditions[0].then, *default), (1, Some(0)));
}

#[test]
fn a_breaker_goes_down_and_ends_at_a_conditional() {
    let breaker = json!({"failure_threshold": 3, "cooldown_interval": 30000});
    let plan = plan(json!({"strategy": {"mode": "fallback", "cb_config": breaker}, "targets": [
        {"strategy": {"mode": "loadbalance"}, "targets": [{}]},
        {"strategy": {"mode": "conditional", "conditions": [], "default": "a"}, "targets": [{"name": "a"}]}]}));
    let root = plan.root();
    assert_eq!(root.children[0].children[0].breaker.as_ref().unwrap().failure_threshold, Some(3));
    assert_eq!(root.children[1].children[0].breaker, None);
}

#[test]
fn what_has_no_effect_is_kept_and_noted() {
    let plan = plan(json!({
        "strategy": {"mode": "single", "mod": 1}, "retry": {"attempts": 9, "after": 1}, "prompt_id": "x",
        "targets": [{"overide_params": {}}, {}],
    }));
    let notes: Vec<String> =
        plan.notes().iter().map(|note| format!("{} {}", note.path, note.message)).collect();
    for part in [
        "strategy.mod is not known",
        "retry.attempts is cut to 5",
        "retry.after is not known",
        "prompt_id is accepted",
        "targets[0].overide_params is not known",
        "targets only the first target",
    ] {
        assert!(notes.iter().any(|note| note.contains(part)), "{part}: {notes:?}");
    }
    assert_eq!(plan.targets()[0].retry.as_ref().unwrap().attempts, 5);
}

#[test]
fn secrets_are_not_shown() {
    let target =
        only(json!({"provider": "openai", "api_key": "sk-secret", "aws_secret_access_key": "sk-secret"}));
    assert!(!format!("{target:?}").contains("sk-secret"));
}

/// One row per rule: the config that breaks it, where, and what the message says.
#[test]
fn every_rule_names_its_place_and_what_is_accepted() {
    let conditional = |conditions: Value| json!({"strategy": {"mode": "conditional", "conditions": conditions, "default": "a"}, "targets": [{"name": "a"}]});
    let breaker =
        |breaker: Value| json!({"strategy": {"mode": "fallback", "cb_config": breaker}, "targets": [{}]});
    let sticky =
        |sticky: Value| json!({"strategy": {"mode": "loadbalance", "sticky": sticky}, "targets": [{}]});
    for (config, path, part) in [
        (json!([]), "", "a JSON object"),
        (json!({"strategy": 1}), "strategy", "an object"),
        (
            json!({"strategy": {}}),
            "strategy.mode",
            "is missing; one of single, loadbalance, fallback, priority, conditional",
        ),
        (json!({"strategy": {"mode": "x"}}), "strategy.mode", "Invalid 'mode' value. Must be one of: single"),
        (json!({"strategy": {"mode": "single"}}), "targets", "is missing"),
        (json!({"strategy": {"mode": "single"}, "targets": {}}), "targets", "an array"),
        (json!({"strategy": {"mode": "single"}, "targets": []}), "targets", "is empty"),
        (json!({"strategy": {"mode": "fallback"}, "targets": []}), "targets", "is empty"),
        (json!({"strategy": {"mode": "fallback"}, "targets": [1]}), "targets[0]", "a JSON object"),
        (json!({"targets": [{}, {}]}), "strategy", "is missing"),
        (
            json!({"strategy": {"mode": "fallback", "on_status_codes": [1]}, "targets": [{}]}),
            "strategy.on_status_codes[0]",
            "from 100 to 599",
        ),
        (
            json!({"strategy": {"mode": "fallback", "on_status_codes": "x"}, "targets": [{}]}),
            "strategy.on_status_codes",
            "an array",
        ),
        (
            json!({"strategy": {"mode": "loadbalance"}, "targets": [{"weight": -1}, {}]}),
            "targets[0].weight",
            "from 0",
        ),
        (
            json!({"strategy": {"mode": "loadbalance"}, "targets": [{"weight": "1"}]}),
            "targets[0].weight",
            "a number",
        ),
        (
            json!({"strategy": {"mode": "loadbalance"}, "targets": [{"weight": 0}, {"weight": 0}]}),
            "targets",
            "all weights are 0",
        ),
        (
            sticky(json!({"hash_fields": ["user"]})),
            "strategy.sticky.hash_fields[0]",
            "metadata., params. or headers.",
        ),
        (sticky(json!({"ttl": 0})), "strategy.sticky.ttl", "a positive number of seconds"),
        (breaker(json!({"cooldown_interval": 30000})), "strategy.cb_config", "failure_threshold"),
        (breaker(json!({"failure_threshold": 1})), "strategy.cb_config.cooldown_interval", "is missing"),
        (
            breaker(json!({"failure_threshold": 1, "cooldown_interval": 1})),
            "strategy.cb_config.cooldown_interval",
            "at least 30000",
        ),
        (
            breaker(json!({"failure_threshold_percentage": 200})),
            "strategy.cb_config.failure_threshold_percentage",
            "at most 100",
        ),
        (
            json!({"strategy": {"mode": "conditional"}, "targets": [{}]}),
            "strategy.conditions",
            "No conditions passed in the query router",
        ),
        (
            json!({"strategy": {"mode": "conditional", "conditions": []}, "targets": [{}]}),
            "strategy.conditions",
            "is empty",
        ),
        (
            conditional(json!([{"query": {}, "then": "zz"}])),
            "strategy.conditions[0].then",
            "Invalid target name found in the query router: zz",
        ),
        (conditional(json!([{"query": {}}])), "strategy.conditions[0].then", "is missing"),
        (conditional(json!([{"then": "a"}])), "strategy.conditions[0].query", "is missing"),
        (
            conditional(json!([{"then": "a", "query": {"params.x": {"$foo": 1}}}])),
            "strategy.conditions[0].query.params.x.$foo",
            "$eq, $ne",
        ),
        (
            json!({"strategy": {"mode": "conditional", "conditions": [], "default": "b"}, "targets": [{"name": "a"}]}),
            "strategy.default",
            "b (targets: a)",
        ),
        (json!({"provider": 1}), "provider", "a string"),
        (json!({"targets": [{"api_key": 1}]}), "targets[0].api_key", "a string"),
        (json!({"options": []}), "options", "Please migrate to the latest version"),
        (json!({"override_params": []}), "override_params", "an object"),
        (json!({"default_params": 1}), "default_params", "an object"),
        (json!({"drop_params": "x"}), "drop_params", "an array"),
        (json!({"drop_params": ["a["]}), "drop_params[0]", "a path like"),
        (json!({"request_timeout": 0}), "request_timeout", "a positive number of milliseconds"),
        (json!({"retry": 1}), "retry", "an object"),
        (json!({"retry": {}}), "retry.attempts", "is missing; a whole number"),
        (json!({"retry": {"attempts": 1.5}}), "retry.attempts", "a whole number"),
        (
            json!({"retry": {"attempts": 1, "on_status_codes": [99]}}),
            "retry.on_status_codes[0]",
            "a status code",
        ),
        (
            json!({"retry": {"attempts": 1, "use_retry_after_header": "x"}}),
            "retry.use_retry_after_header",
            "true or false",
        ),
        (json!({"cache": {"mode": "x"}}), "cache.mode", "simple or semantic"),
        (json!({"cache": {"max_age": -1}}), "cache.max_age", "seconds"),
        (json!({"forward_headers": ["x-portkey-forward-headers"]}), "forward_headers[0]", "must not contain"),
        (json!({"forward_headers": ["a b"]}), "forward_headers[0]", "a header's name"),
        (json!({"strict_open_ai_compliance": "no"}), "strict_open_ai_compliance", "true or false"),
        (json!({"passthrough": 1}), "passthrough", "true or false"),
        (json!({"input_guardrails": [1]}), "input_guardrails[0]", "a guardrail object"),
    ] {
        let error = Plan::parse(&config.to_string()).err().unwrap_or_else(|| panic!("accepted: {config}"));
        assert_eq!(error.path, path, "{config}: {error}");
        assert!(error.message.contains(part), "{config}: {error}");
    }
}

#[test]
fn configs_that_explode_are_refused() {
    let mut deep = json!({});
    for _ in 0..60 {
        deep = json!({"targets": [deep]});
    }
    assert!(Plan::parse(&deep.to_string()).unwrap_err().message.contains("nested too deeply"));
    let wide = json!({"strategy": {"mode": "fallback"}, "targets": vec![json!({}); 1_001]});
    assert!(Plan::parse(&wide.to_string()).unwrap_err().message.contains("at most 1000 targets"));
    let big: serde_json::Map<String, Value> = (0..1_000).map(|at| (format!("p{at}"), json!(1))).collect();
    let copies = json!({"strategy": {"mode": "fallback"}, "override_params": big,
        "targets": vec![json!({"override_params": {"x": 1}}); 900]});
    let error = Plan::parse(&copies.to_string()).unwrap_err();
    assert!(error.path.ends_with(".override_params"), "{error}");
    assert!(
        Plan::parse(&format!("{{\"x\": \"{}\"}}", "a".repeat(600_000)))
            .unwrap_err()
            .message
            .contains("too long")
    );
    let queries = |from: usize, to: usize| -> Vec<Value> {
        (from..to).map(|at| json!({"params.x": {"$regex": format!("{at}")}})).collect()
    };
    let many = json!({"strategy": {"mode": "conditional", "default": "a", "conditions": [
        {"query": {"$or": queries(0, 20)}, "then": "a"}, {"query": {"$or": queries(20, 40)}, "then": "a"}]},
        "targets": [{"name": "a"}]});
    let error = Plan::parse(&many.to_string()).unwrap_err();
    assert_eq!(error.path, "strategy.conditions[1].query", "{error}");
    assert!(Plan::parse(&"[".repeat(10_000)).unwrap_err().message.contains("not JSON"));
}
