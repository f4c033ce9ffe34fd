//! From JSON to plan: walks down to the one target, inheriting on the way.

use serde_json::{Map, Value};

use std::sync::Arc;

use crate::hooks;
use crate::members::{Members, join, refused};
use crate::plan::{ConfigError, Plan, Target};

const MODES: [&str; 4] = ["single", "loadbalance", "fallback", "conditional"];
/// Deep enough for any hand-written config, shallow enough for any stack.
const DEPTH: usize = 64;

pub(crate) fn plan(value: &Value) -> Result<Plan, ConfigError> {
    let mut target = Target { path: "config".to_owned(), ..Target::default() };
    let mut node = value;
    let mut path = String::new();
    for _ in 0..DEPTH {
        let Some(object) = node.as_object() else {
            return Err(refused(&path, "a JSON object is expected"));
        };
        inherit(&mut target, object, &path)?;
        let mode = mode(object, &path)?;
        match member(object, &["targets"]) {
            None if mode.is_some() => return Err(refused(&join(&path, "targets"), "is missing")),
            None => return Ok(Plan { target }),
            Some(Value::Array(targets)) => {
                let at = join(&path, "targets");
                match (targets.as_slice(), mode) {
                    ([], _) => return Err(refused(&at, "is empty; at least one target is needed")),
                    ([only], _) => node = only,
                    ([first, ..], Some("single")) => node = first,
                    _ => {
                        return Err(refused(
                            &at,
                            "strategies over several targets are not available in this version",
                        ));
                    }
                }
                path = format!("{at}[0]");
                target.path = format!("config.{path}");
            }
            Some(_) => return Err(refused(&join(&path, "targets"), "an array is expected")),
        }
    }
    Err(refused(&path, "is nested too deeply"))
}

fn mode<'a>(object: &'a Map<String, Value>, path: &str) -> Result<Option<&'a str>, ConfigError> {
    let Some(strategy) = member(object, &["strategy"]) else { return Ok(None) };
    let at = join(path, "strategy.mode");
    let Some(mode) = strategy.get("mode").and_then(Value::as_str) else {
        return Err(refused(&at, &format!("is missing; one of {} is expected", MODES.join(", "))));
    };
    match mode {
        "load-balance" => Ok(Some("loadbalance")),
        known if MODES.contains(&known) => Ok(Some(known)),
        _ => Err(refused(&at, &format!("\"{mode}\" is unknown; one of {} is expected", MODES.join(", ")))),
    }
}

fn inherit(target: &mut Target, object: &Map<String, Value>, path: &str) -> Result<(), ConfigError> {
    // Credentials belong to the node that names them, everything else goes down to the children.
    target.provider = text(object, &["provider"], path)?;
    target.api_key = text(object, &["api_key", "apiKey"], path)?;
    target.virtual_key = text(object, &["virtual_key", "virtualKey"], path)?;
    if let Some(host) = text(object, &["custom_host", "customHost"], path)? {
        target.custom_host = Some(host);
    }
    match member(object, &["override_params", "overrideParams"]) {
        None | Some(Value::Null) => {}
        Some(Value::Object(overrides)) => target.override_params.extend(overrides.clone()),
        Some(_) => return Err(refused(&join(path, "override_params"), "an object is expected")),
    }
    match member(object, &["request_timeout", "requestTimeout"]) {
        None | Some(Value::Null) => {}
        Some(value) => match value.as_u64() {
            Some(ms) if ms > 0 => target.request_timeout = Some(ms),
            _ => {
                return Err(refused(
                    &join(path, "request_timeout"),
                    "a positive number of milliseconds is expected",
                ));
            }
        },
    }
    if let Some(strict) = member(object, &["strict_open_ai_compliance", "strictOpenAiCompliance"]) {
        target.strict_open_ai_compliance = strict.as_bool();
    }
    let written = hooks::read(&Members { object, path })?;
    if written.before.is_some() || written.after.is_some() {
        let mut hooks = (*target.hooks).clone();
        if let Some((before, saved)) = written.before {
            (hooks.before, hooks.saved.0) = (before, saved);
        }
        if let Some((after, saved)) = written.after {
            (hooks.after, hooks.saved.1) = (after, saved);
        }
        target.hooks = Arc::new(hooks);
    }
    for (name, value) in object {
        let vendor_field =
            ["azure_", "openai_", "anthropic_", "aws_", "vertex_", "workers_ai_", "huggingface_"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
        if let Some(value) = value.as_str().filter(|_| vendor_field) {
            target.options.insert(name.clone(), value.to_owned());
        }
    }
    Ok(())
}

fn member<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| object.get(*name))
}

fn text(object: &Map<String, Value>, names: &[&str], path: &str) -> Result<Option<String>, ConfigError> {
    match member(object, names) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(refused(&join(path, names[0]), "a string is expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_target_inherits_from_its_parents() {
        let plan = Plan::parse(
            r#"{"strategy":{"mode":"fallback"},"override_params":{"a":1,"b":1},
                "targets":[{"provider":"@x","override_params":{"b":2}}]}"#,
        )
        .unwrap();
        assert_eq!(plan.target.path, "config.targets[0]");
        assert_eq!(plan.target.provider.as_deref(), Some("@x"));
        assert_eq!(serde_json::to_string(&plan.target.override_params).unwrap(), r#"{"a":1,"b":2}"#);
    }

    #[test]
    fn mistakes_are_named_by_path() {
        for (json, part) in [
            ("[]", "a JSON object"),
            ("{", "not JSON"),
            (r#"{"strategy":{"mode":"x"}}"#, "strategy.mode: \"x\" is unknown"),
            (r#"{"strategy":{"mode":"single"}}"#, "targets: is missing"),
            (r#"{"strategy":{"mode":"single"},"targets":[]}"#, "targets: is empty"),
            (r#"{"strategy":{"mode":"fallback"},"targets":[{},{}]}"#, "targets: strategies over several"),
            (r#"{"targets":[{"provider":1}]}"#, "targets[0].provider: a string"),
            (r#"{"request_timeout":-1}"#, "request_timeout: a positive"),
        ] {
            let error = Plan::parse(json).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn endless_nesting_is_refused() {
        let mut json = "{}".to_owned();
        for _ in 0..100 {
            json = format!(r#"{{"targets":[{json}]}}"#);
        }
        assert!(Plan::parse(&json).is_err());
    }
}
