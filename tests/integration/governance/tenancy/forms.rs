//! How names stand in members that are more than a text: `%` is the name.

use super::names::Kind;
use super::rules::Form;

/// Ways in which a config names a provider.
const OF_PROVIDER: &[&str] = &[
    r#"{"provider":"@%"}"#,
    r#"{"provider":"%"}"#,
    r#"{"virtual_key":"%"}"#,
    r#"{"override_params":{"model":"@%/mock"}}"#,
    r#"{"default_params":{"model":"@%/mock"}}"#,
    r#"{"strategy":{"mode":"fallback"},"targets":[{"provider":"@%"},{"virtual_key":"home-main"}]}"#,
    r#"{"strategy":{"mode":"fallback"},"targets":[{"virtual_key":"home-main"},{"virtual_key":"%"}]}"#,
    r#"{"strategy":{"mode":"loadbalance"},"targets":[{"targets":[{"provider":"@%"}]},{"provider":"@home-main"}]}"#,
    r#"{"strategy":{"mode":"conditional","conditions":[{"query":{"metadata.x":{"$eq":"1"}},"then":"t"}],"default":"t"},"targets":[{"name":"t","provider":"@%"}]}"#,
];

/// Ways in which a config names a guardrail.
const OF_GUARDRAIL: &[&str] = &[
    r#"{"provider":"@home-main","input_guardrails":["%"]}"#,
    r#"{"provider":"@home-main","output_guardrails":["%"]}"#,
    r#"{"provider":"@home-main","before_request_hooks":[{"id":"%"}]}"#,
    r#"{"provider":"@home-main","after_request_hooks":[{"id":"%"}]}"#,
    r#"{"strategy":{"mode":"fallback"},"targets":[{"provider":"@home-main","input_guardrails":["%"]}]}"#,
];

/// What a config may name: each form with the kind that it names.
pub(super) fn of_config() -> Vec<Form> {
    let providers = OF_PROVIDER.iter().map(|form| Form::json(Kind::Provider, form));
    let guardrails = OF_GUARDRAIL.iter().map(|form| Form::json(Kind::Guardrail, form));
    providers.chain(guardrails).collect()
}

/// What conditions of policies may name.
pub(super) fn of_conditions() -> Vec<Form> {
    let mut all = Vec::new();
    for (kind, key) in [
        (Kind::Key, "api_key"),
        (Kind::Workspace, "workspace_id"),
        (Kind::Provider, "virtual_key"),
        (Kind::Provider, "provider"),
        (Kind::Config, "config"),
    ] {
        for form in [
            format!(r#"[{{"key":"{key}","value":"%"}}]"#),
            format!(r#"[{{"key":"{key}","value":["%"]}}]"#),
            format!(r#"[{{"key":"{key}","value":"*","excludes":["%"]}}]"#),
        ] {
            all.push(Form::json(kind, &form));
        }
    }
    all.push(Form::json(Kind::Provider, r#"[{"key":"model","value":"@%/*"}]"#));
    all
}
