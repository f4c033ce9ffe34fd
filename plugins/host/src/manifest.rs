//! Whether a plugin's manifest can be true and can be used.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::bindings::Exports;
use crate::capability::{is_known_want, sees_too_much};
use crate::{CheckInfo, LoadError, Manifest};

/// Bytes of an id or name.
const NAME: usize = 64;
/// Bytes of a version.
const VERSION: usize = 64;
/// Checks and conditions of one plugin. The largest known bundle has about 30.
const ENTRIES: usize = 256;
/// Bytes of a schema.
const SCHEMA: usize = 256 << 10;

/// Checks everything a manifest says that can be checked.
pub(crate) fn validate(manifest: &Manifest, exports: Exports) -> Result<(), LoadError> {
    check(manifest, exports).map_err(LoadError::Manifest)
}

fn check(manifest: &Manifest, exports: Exports) -> Result<(), String> {
    check_id(&manifest.id)?;
    check_version(&manifest.version)?;
    let entries = manifest.checks.len() + manifest.conditions.len();
    if entries == 0 {
        return Err("it has neither checks nor conditions".to_owned());
    }
    if entries > ENTRIES {
        return Err(format!("it has {entries} checks and conditions, the limit is {ENTRIES}"));
    }
    if !manifest.checks.is_empty() && !exports.guardrail {
        return Err("it has checks, but exports no guardrail".to_owned());
    }
    if !manifest.conditions.is_empty() && !exports.condition {
        return Err("it has conditions, but exports no condition".to_owned());
    }
    let mut names = BTreeSet::new();
    for info in &manifest.checks {
        check_name(&info.name)?;
        if !names.insert(&info.name) {
            return Err(format!("it has two checks {}", info.name));
        }
        check_check(info, exports)?;
        if let Some(word) = sees_too_much(info, &manifest.wants) {
            let data = "one of its plugin's wants that are data of a request";
            return Err(format!("the check {} sees {word:?}, which is not {data}", info.name));
        }
    }
    names.clear();
    for info in &manifest.conditions {
        check_name(&info.name)?;
        if !names.insert(&info.name) {
            return Err(format!("it has two conditions {}", info.name));
        }
        check_schema(&info.name, &info.params_schema_json)?;
    }
    for want in &manifest.wants {
        if !is_known_want(want) {
            return Err(format!("it wants {want:?}, which nobody can grant"));
        }
    }
    Ok(())
}

fn check_check(info: &CheckInfo, exports: Exports) -> Result<(), String> {
    let CheckInfo { name, hooks, .. } = info;
    if hooks.is_empty() || hooks.len() > 2 || (hooks.len() == 2 && hooks.first() == hooks.last()) {
        return Err(format!("the check {name} does not have input, output or both as its hooks"));
    }
    if info.streams && !exports.stream {
        return Err(format!("the check {name} knows streams, but there is no guardrail-stream export"));
    }
    check_schema(name, &info.params_schema_json)
}

fn check_id(id: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = id.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if !starts || id.len() > NAME || !id.bytes().all(plain) {
        return Err(format!(
            "the id {id:?} is not up to {NAME} lower-case letters, digits and dashes after a letter"
        ));
    }
    Ok(())
}

/// Names are free to follow those of other gateways, like `regexMatch`.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > NAME || !name.bytes().all(plain) {
        return Err(format!("the name {name:?} is not 1 to {NAME} letters, digits, dashes and underscores"));
    }
    Ok(())
}

fn check_version(version: &str) -> Result<(), String> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    if version.len() > VERSION
        || numbers.len() != 3
        || !numbers.iter().all(numeric)
        || !version.bytes().all(plain)
    {
        return Err(format!("the version {version:?} is no semantic version like 1.0.0"));
    }
    Ok(())
}

fn check_schema(name: &str, schema: &str) -> Result<(), String> {
    if schema.len() > SCHEMA {
        return Err(format!("the parameter schema of {name} is larger than {SCHEMA} bytes"));
    }
    match serde_json::from_str(schema) {
        Ok(Value::Object(_)) => Ok(()),
        Ok(_) => Err(format!("the parameter schema of {name} is no JSON object")),
        Err(error) => Err(format!("the parameter schema of {name} is no JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConditionInfo, Hook};

    const ALL: Exports = Exports { guardrail: true, stream: true, condition: true };

    fn manifest() -> Manifest {
        Manifest {
            id: "pii".to_owned(),
            version: "1.2.3-rc.1+linux".to_owned(),
            checks: vec![CheckInfo {
                name: "regexMatch".to_owned(),
                hooks: vec![Hook::Input, Hook::Output],
                streams: true,
                mutates: true,
                params_schema_json: "{}".to_owned(),
                extra: Vec::new(),
            }],
            conditions: vec![ConditionInfo {
                name: "eu_only".to_owned(),
                params_schema_json: r#"{"type":"object"}"#.to_owned(),
                extra: Vec::new(),
            }],
            wants: vec!["messages".to_owned(), "http".to_owned(), "header:x-team".to_owned()],
            extra: Vec::new(),
        }
    }

    fn refused(change: impl FnOnce(&mut Manifest)) -> String {
        let mut manifest = manifest();
        change(&mut manifest);
        check(&manifest, ALL).unwrap_err()
    }

    #[test]
    fn a_manifest_that_keeps_the_rules_is_taken() {
        assert_eq!(check(&manifest(), ALL), Ok(()));
    }

    #[test]
    fn a_check_sees_what_its_plugin_wants_and_no_more() {
        let seeing = |words: &str| {
            let mut manifest = manifest();
            manifest.checks[0].extra.push(("sees".to_owned(), words.to_owned()));
            check(&manifest, ALL)
        };
        for words in ["", "messages", " messages  header:x-team "] {
            assert_eq!(seeing(words), Ok(()), "{words}");
        }
        for words in [
            "body",
            "messages body",
            "header:x-other",
            "header:*",
            "http",
            "Messages",
            "messages,header:x-team",
        ] {
            assert!(seeing(words).unwrap_err().contains("regexMatch sees"), "{words}");
        }
    }

    #[test]
    fn exports_must_be_there_for_what_is_declared() {
        let without = [
            Exports { guardrail: false, ..ALL },
            Exports { stream: false, ..ALL },
            Exports { condition: false, ..ALL },
        ];
        for exports in without {
            assert!(check(&manifest(), exports).is_err(), "{exports:?}");
        }
    }

    #[test]
    fn ids_names_and_versions_are_plain() {
        for id in ["", "PII", "1pii", "a b", "a/b", "../a", "a.b", &"a".repeat(65)] {
            assert!(refused(|manifest| manifest.id = id.to_owned()).contains("id"), "{id}");
        }
        for name in ["", "a.b", "a b", "ä"] {
            assert!(refused(|manifest| manifest.checks[0].name = name.to_owned()).contains("name"), "{name}");
        }
        for version in ["", "1", "1.2", "1.2.x", "1.2.3.4", "1.2.3 beta"] {
            assert!(
                refused(|manifest| manifest.version = version.to_owned()).contains("version"),
                "{version}"
            );
        }
    }

    #[test]
    fn schemas_are_json_objects() {
        for schema in ["", "{", "[]", "null"] {
            let error = refused(|manifest| manifest.conditions[0].params_schema_json = schema.to_owned());
            assert!(error.contains("eu_only"), "{error}");
        }
    }

    #[test]
    fn doubles_unknown_wants_and_odd_hooks_are_refused() {
        assert!(refused(|manifest| manifest.checks.push(manifest.checks[0].clone())).contains("two checks"));
        for want in ["files", "header:", "header:X-Upper", "header:a b", ""] {
            assert!(refused(|manifest| manifest.wants.push(want.to_owned())).contains("wants"), "{want}");
        }
        assert!(refused(|manifest| manifest.checks[0].hooks.clear()).contains("hooks"));
        assert!(refused(|manifest| manifest.checks[0].hooks = vec![Hook::Input; 2]).contains("hooks"));
        assert!(
            refused(|manifest| {
                manifest.checks.clear();
                manifest.conditions.clear();
            })
            .contains("neither")
        );
    }
}
