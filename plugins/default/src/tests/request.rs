//! Checks of model, metadata, endpoint and parameters.

use serde_json::{Value, json};
use tidegate_plugin_sdk::testing::check;
use tidegate_plugin_sdk::{CheckError, Hook, Judgement, Piece, Subject, Verdict, masked};

use crate::Default;

fn subject(metadata: &[(&str, &str)]) -> Subject {
    let mut subject = Subject::input("hello world");
    subject.call.endpoint = "/v1/chat/completions".to_owned();
    subject.call.model = "gpt-4o".to_owned();
    subject.call.metadata =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    subject
}

fn run(name: &str, params: &Value, subject: &Subject) -> Result<Judgement, CheckError> {
    check::<Default>(name, &params.to_string(), subject)
}

fn result(name: &str, params: Value, subject: &Subject) -> (bool, Value) {
    let judgement = run(name, &params, subject).unwrap();
    (judgement.verdict == Verdict::Pass, serde_json::from_str(&judgement.data_json.unwrap()).unwrap())
}

#[test]
fn models_are_on_the_list_or_not() {
    for name in ["modelWhitelist", "modelwhitelist"] {
        assert!(result(name, json!({"models": ["gpt-4o"]}), &subject(&[])).0);
        assert!(!result(name, json!({"models": ["gpt-4o"], "not": true}), &subject(&[])).0);
    }
    let (passes, data) = result("modelWhitelist", json!({"models": ["x"]}), &subject(&[]));
    assert!(!passes);
    assert_eq!(
        data,
        json!({
            "verdict": false, "not": false, "explanation": "Model \"gpt-4o\" is not in the allowed list.",
            "requestedModel": "gpt-4o", "allowedModels": ["x"],
        })
    );
    let error = run("modelWhitelist", &json!({}), &subject(&[])).unwrap_err();
    assert_eq!(error.message, "Missing or invalid model whitelist");
}

#[test]
fn models_follow_metadata() {
    let rules =
        json!({"rules": {"defaults": ["small"], "metadata": {"team": {"red": ["gpt-4o"], "blue": ["o3"]}}}});
    let (passes, data) = result("modelRules", rules.clone(), &subject(&[("team", "red")]));
    assert!(passes);
    assert_eq!(data["explanation"], "Model \"gpt-4o\" is allowed by rules. (matched rules: team:red)");
    assert!(!result("modelRules", rules.clone(), &subject(&[("team", "blue")])).0);
    assert!(!result("modelRules", rules, &subject(&[])).0);
    let error = run("modelRules", &json!({"rules": {}}), &subject(&[])).unwrap_err();
    assert_eq!(error.message, "No allowed models resolved from rules");
}

#[test]
fn metadata_keys_are_required() {
    let (passes, data) = result(
        "requiredMetadataKeys",
        json!({"metadataKeys": ["team", "user"]}),
        &subject(&[("team", "red")]),
    );
    assert!(!passes);
    assert_eq!(
        data,
        json!({
            "explanation": "Check failed for 'all' metadata keys. Some metadata keys were missing.",
            "missing_metadata_keys": ["user"], "found_metadata_keys": ["team"], "operator": "all",
        })
    );
    let any = json!({"metadataKeys": ["team", "user"], "operator": "any"});
    assert!(result("requiredMetadataKeys", any, &subject(&[("team", "red")])).0);
    let error = run("requiredMetadataKeys", &json!({"metadataKeys": []}), &subject(&[])).unwrap_err();
    assert_eq!(error.message, "metadataKeys must be an array and not empty");
}

#[test]
fn metadata_pairs_are_required() {
    let red = subject(&[("team", "red-1")]);
    let pairs = |params: Value| result("requiredMetadataKeyValuePairs", params, &red).0;
    assert!(pairs(json!({"metadataPairs": {"team": "red-1"}})));
    assert!(pairs(json!({"metadataPairs": [{"key": "team", "value": ["blue", "red-1"]}]})));
    assert!(!pairs(json!({"metadataPairs": {"team": "red"}})));
    assert!(pairs(json!({"metadataPairs": {"team": "red"}, "matchType": "contains"})));
    assert!(pairs(json!({"metadataPairs": {"team": r"^red-\d$"}, "matchType": "regex"})));
    assert!(!pairs(json!({"metadataPairs": {"team": "red-1"}, "operator": "none"})));
}

#[test]
fn request_types_are_allowed_and_blocked() {
    let types =
        |params: Value, metadata: &[(&str, &str)]| result("allowedRequestTypes", params, &subject(metadata));
    assert_eq!(types(json!({}), &[]).1["mode"], "unrestricted");
    assert!(types(json!({"allowedTypes": ["chatComplete"]}), &[]).0);
    assert!(!types(json!({"allowedTypes": "embed, complete"}), &[]).0);
    let (passes, data) = types(json!({"blockedTypes": ["chatComplete"]}), &[]);
    assert_eq!((passes, &data["explanation"]), (false, &json!("Request type \"chatComplete\" is blocked.")));
    let (passes, data) = types(json!({}), &[("supported_endpoints", "embed")]);
    assert_eq!((passes, &data["source"]), (false, &json!("metadata")));
    let both = json!({"allowedTypes": ["embed"], "blockedTypes": ["embed"]});
    assert!(
        run("allowedRequestTypes", &both, &subject(&[]))
            .unwrap_err()
            .message
            .starts_with("Conflict detected")
    );
}

#[test]
fn tools_and_parameters_are_checked() {
    let mut subject = subject(&[]);
    let tool = json!({"type": "function", "function": {"name": "shell"}});
    subject.body_json = Some(json!({"model": "gpt-4o", "temperature": 2, "tools": [tool]}).to_string());
    let checked = |params: Value| result("requestParametersCheck", params, &subject);
    assert!(checked(json!({})).0);
    let (passes, data) = checked(json!({"tools": {"blockedFunctionNames": ["shell"]}}));
    assert!(!passes);
    assert_eq!(data["explanation"], "Blocked tools: \"shell\" (function name is blocked)");
    assert_eq!(data["blockedToolsFound"][0]["reasons"], json!(["name_blocked"]));
    let (passes, data) = checked(json!({"params": {"values": {"temperature": {"allowedValues": [0, 1]}}}}));
    assert!(!passes);
    assert_eq!(data["explanation"], "Blocked params: \"temperature\"=2 (value is not in allowed list)");
    assert!(!checked(json!({"params": {"allowedKeys": ["model"]}})).0);
    let both = json!({"tools": {"allowedTypes": ["a"], "blockedTypes": ["a"]}});
    let error = run("requestParametersCheck", &both, &subject).unwrap_err();
    assert_eq!(error.message, "Tools config conflict: Types in both blocked and allowed lists: a");
}

#[test]
fn a_prefix_goes_before_the_first_text_of_its_role() {
    let judgement = run("addPrefix", &json!({"prefix": "PFX "}), &subject(&[])).unwrap();
    let Verdict::Mask(masks) = &judgement.verdict else { panic!("{judgement:?}") };
    assert_eq!(masked("hello world", &masks[0].spans).unwrap(), "PFX hello world");
    let data: Value = serde_json::from_str(judgement.data_json.as_deref().unwrap()).unwrap();
    let expected = json!({
        "prefix": "PFX ", "requestType": "chatComplete", "applyToRole": "user", "addToExisting": true,
        "onlyIfEmpty": false,
    });
    assert_eq!(data, expected);
    let only_if_empty = json!({"prefix": "PFX ", "onlyIfEmpty": true});
    assert_eq!(run("addPrefix", &only_if_empty, &subject(&[])).unwrap().verdict, Verdict::Pass);
}

#[test]
fn a_prefix_without_a_message_of_its_role_becomes_one() {
    let mut subject = subject(&[]);
    let params = json!({"prefix": "PFX", "applyToRole": "system"});
    assert_eq!(run("addPrefix", &params, &subject).unwrap_err().message, "Request JSON is empty or missing");
    let messages = json!([{"role": "user", "content": "hi"}]);
    subject.body_json = Some(json!({"messages": messages, "max_tokens": 5}).to_string());
    let Verdict::Rewrite(body) = run("addPrefix", &params, &subject).unwrap().verdict else {
        panic!("no rewrite")
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "PFX"}));
    subject.call.endpoint = "/v1/messages".to_owned();
    let Verdict::Rewrite(body) = run("addPrefix", &params, &subject).unwrap().verdict else {
        panic!("no rewrite")
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["system"], &body["messages"]), (&json!("PFX"), &messages));
    let before = json!({"prefix": "PFX", "addToExisting": false});
    let Verdict::Rewrite(body) = run("addPrefix", &before, &subject).unwrap().verdict else {
        panic!("no rewrite")
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn answers_get_no_prefix() {
    let mut subject = Subject::of(Hook::Output, vec![Piece::new("text", "assistant", 0, "x")]);
    subject.call.endpoint = "/v1/chat/completions".to_owned();
    assert_eq!(run("addPrefix", &json!({"prefix": "PFX"}), &subject), Ok(Judgement::pass()));
}
