//! Hooks: which guardrails and mutators run around a target, as Portkey writes them.
//!
//! Reads full hook objects (`before_request_hooks`, `after_request_hooks`) and the shorthand (`input_guardrails`,
//! `output_guardrails`, `input_mutators`, `output_mutators`). What a check does is the plugin's business; here only
//! its place, its parameters and its failure policy are read.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::feedback;
use crate::members::{Members, join, refused, snake};
use crate::plan::{ConfigError, Reference};

/// Members of a shorthand object that are not checks.
const HOOK_FIELDS: [&str; 10] = [
    "deny",
    "async",
    "sequential",
    "speculative",
    "on_success",
    "on_fail",
    "type",
    "id",
    "guardrail_version_id",
    "soft_deny_200",
];
/// More checks than this around one target is a mistake or an attack.
const MOST_CHECKS: usize = 256;

/// What a hook is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// Judges, and may mask.
    Guardrail,
    /// Changes.
    Mutator,
}

/// How instances of a check's plugin live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// One per call.
    Fresh,
    /// A small pool that is used again.
    Reuse,
}

/// One guardrail or mutator: checks with what follows from their verdicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// Its id, generated where the config names none.
    pub id: String,
    /// What it is for.
    pub kind: HookKind,
    /// Whether a failing verdict blocks (446).
    pub deny: bool,
    /// Whether its result is only logged.
    pub asynchronous: bool,
    /// Whether its checks run in order, each on what the one before made.
    pub sequential: bool,
    /// Whether the vendor may be asked while it still judges; its answer waits for the verdict.
    pub speculative: bool,
    /// Feedback attached when it passes.
    pub on_success: Option<Value>,
    /// Feedback attached when it fails.
    pub on_fail: Option<Value>,
    /// Its checks.
    pub checks: Vec<CheckCall>,
    /// Where it stands in the config, like `targets[0].input_guardrails[1]`.
    pub path: String,
}

/// One call of a plugin's check.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckCall {
    /// `plugin.check`.
    pub id: Arc<str>,
    /// Its name within the plugin.
    pub name: Arc<str>,
    /// What the check is given, as JSON text: it is the same for every request.
    pub parameters: Arc<str>,
    /// False where the config switched it off.
    pub enabled: bool,
    /// Whether an error of the check counts as a fail (`parameters.failOnError`).
    pub fail_on_error: bool,
    /// How its instances live, where the config says so (`instances`; `$instances` among shorthand parameters).
    pub instances: Option<Instances>,
    /// Limits of its calls, where the config sets some (`limits`; `$limits` among shorthand parameters).
    pub limits: Option<Value>,
}

/// The hooks of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hooks {
    /// Run before the vendor is asked.
    pub before: Vec<Arc<Hook>>,
    /// Run on its answer.
    pub after: Vec<Arc<Hook>>,
    /// Ids of saved guardrails: input, output.
    pub saved: (Vec<String>, Vec<String>),
}

/// Hooks of one side, and the saved guardrails that it names.
type Side = (Vec<Arc<Hook>>, Vec<Reference>);

impl Hooks {
    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty() && self.saved.0.is_empty() && self.saved.1.is_empty()
    }

    /// Reads a saved guardrail: a hook object, a shorthand object, or a list of either. It serves both sides.
    ///
    /// # Errors
    /// [`ConfigError`] with the JSON path and what is accepted.
    pub fn parse(json: &str) -> Result<Self, ConfigError> {
        let value: Value =
            serde_json::from_str(json).map_err(|error| refused("", &format!("not JSON: {error}")))?;
        let list = match value {
            Value::Array(list) => list,
            one => vec![one],
        };
        let mut hooks = Self::default();
        for (at, value) in list.iter().enumerate() {
            let path = format!("[{at}]");
            let read = |word: &str| match value.get("checks") {
                Some(_) => hook(value, &path, word),
                None => shorthand(value, &path, word, HookKind::Guardrail),
            };
            hooks.before.push(Arc::new(read("input")?));
            hooks.after.push(Arc::new(read("output")?));
        }
        Ok(hooks)
    }
}

/// Hooks as one node writes them; `None` where it writes none of a side.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) before: Option<Side>,
    pub(crate) after: Option<Side>,
}

/// Reads the hooks of a node.
pub(crate) fn read(node: &Members<'_>) -> Result<Written, ConfigError> {
    Ok(Written {
        before: side(node, "before_request_hooks", "input")?,
        after: side(node, "after_request_hooks", "output")?,
    })
}

fn side(node: &Members<'_>, full: &str, word: &str) -> Result<Option<Side>, ConfigError> {
    let (mut hooks, mut saved, mut written) = (Vec::new(), Vec::new(), false);
    if let Some(list) = node.list(full, "hook objects")? {
        written = true;
        for (at, value) in list.iter().enumerate() {
            hooks.push(Arc::new(hook(value, &node.at(&format!("{full}[{at}]")), word)?));
        }
    }
    for (suffix, kind) in [("guardrails", HookKind::Guardrail), ("mutators", HookKind::Mutator)] {
        let name = format!("{word}_{suffix}");
        let Some(list) = node.list(&name, "guardrail objects or saved ids")? else { continue };
        written = true;
        if list.iter().any(Value::is_string) && !list.iter().all(Value::is_string) {
            return Err(node.wrong(&name, "saved ids and guardrail objects can't be mixed in one list"));
        }
        for (at, value) in list.iter().enumerate() {
            match value {
                Value::String(id) => {
                    saved.push(Reference { path: node.at(&format!("{name}[{at}]")), id: id.clone() });
                }
                _ => hooks.push(Arc::new(shorthand(value, &node.at(&format!("{name}[{at}]")), word, kind)?)),
            }
        }
    }
    if hooks.iter().map(|hook| hook.checks.len()).sum::<usize>() > MOST_CHECKS {
        return Err(node.wrong(full, &format!("at most {MOST_CHECKS} checks are accepted on one side")));
    }
    Ok(written.then_some((hooks, saved)))
}

fn hook(value: &Value, path: &str, word: &str) -> Result<Hook, ConfigError> {
    let members = Members::of(value, path)?;
    let kind = kind(&members)?.unwrap_or(HookKind::Guardrail);
    let mut checks = Vec::new();
    for (at, value) in members.list("checks", "checks")?.unwrap_or_default().iter().enumerate() {
        let path = format!("{path}.checks[{at}]");
        let check = Members::of(value, &path)?;
        let Some(id) = check.text("id")? else {
            return Err(check.wrong("id", "is missing; a string like \"plugin.check\" is expected"));
        };
        let parameters = check.object("parameters")?.cloned().unwrap_or_default();
        let (id, name) = check_id(&id, &check.at("id"))?;
        checks.push(CheckCall {
            id,
            name,
            fail_on_error: fail_on_error(&parameters),
            parameters: text_of(parameters),
            enabled: check.flag("is_enabled")?.unwrap_or(true),
            instances: instances(check.get("instances"), &check.at("instances"))?,
            limits: check.object("limits")?.map(|limits| Value::Object(limits.clone())),
        });
    }
    finish(&members, word, kind, checks)
}

fn shorthand(value: &Value, path: &str, word: &str, kind: HookKind) -> Result<Hook, ConfigError> {
    let Value::Object(object) = value else {
        return Err(refused(path, "a guardrail object or a saved id is expected"));
    };
    let members = Members { object, path };
    let kind = self::kind(&members)?.unwrap_or(kind);
    let mut checks = Vec::new();
    for (name, value) in object {
        if HOOK_FIELDS.contains(&snake(name).as_str()) {
            continue;
        }
        let at = join(path, name);
        let mut parameters = match value {
            Value::Object(parameters) => parameters.clone(),
            Value::Null => Map::new(),
            _ => return Err(refused(&at, "an object with the check's parameters is expected")),
        };
        let instances =
            instances(parameters.shift_remove("$instances").as_ref(), &format!("{at}.$instances"))?;
        let limits = parameters.shift_remove("$limits");
        if limits.as_ref().is_some_and(|limits| !limits.is_object()) {
            return Err(refused(&format!("{at}.$limits"), "an object is expected"));
        }
        let (id, name) = check_id(name, &at)?;
        checks.push(CheckCall {
            id,
            name,
            fail_on_error: fail_on_error(&parameters),
            parameters: text_of(parameters),
            enabled: true,
            instances,
            limits,
        });
    }
    finish(&members, word, kind, checks)
}

fn finish(
    members: &Members<'_>,
    word: &str,
    kind: HookKind,
    checks: Vec<CheckCall>,
) -> Result<Hook, ConfigError> {
    members.text("guardrail_version_id")?;
    Ok(Hook {
        id: members.text("id")?.unwrap_or_else(|| generated(word, members)),
        kind,
        deny: members.flag("deny")?.unwrap_or(false),
        asynchronous: members.flag("async")?.unwrap_or(false),
        sequential: members.flag("sequential")?.unwrap_or(false),
        speculative: members.flag("speculative")?.unwrap_or(false),
        on_success: feedback::read(members, "on_success")?,
        on_fail: feedback::read(members, "on_fail")?,
        checks,
        path: members.path.to_owned(),
    })
}

fn kind(members: &Members<'_>) -> Result<Option<HookKind>, ConfigError> {
    match members.text("type")?.as_deref() {
        None => Ok(None),
        Some("guardrail") => Ok(Some(HookKind::Guardrail)),
        Some("mutator") => Ok(Some(HookKind::Mutator)),
        Some(other) => {
            Err(members.wrong("type", &format!("\"{other}\" is unknown; guardrail or mutator is expected")))
        }
    }
}

fn instances(value: Option<&Value>, path: &str) -> Result<Option<Instances>, ConfigError> {
    match value.map(|value| value.as_str().unwrap_or("")) {
        None => Ok(None),
        Some("fresh") => Ok(Some(Instances::Fresh)),
        Some("reuse") => Ok(Some(Instances::Reuse)),
        Some(_) => Err(refused(path, "\"fresh\" or \"reuse\" is expected")),
    }
}

fn text_of(parameters: Map<String, Value>) -> Arc<str> {
    Value::Object(parameters).to_string().into()
}

/// A bare name is one of Portkey's own checks.
/// Returns a check's whole id, and its name within the plugin.
fn check_id(id: &str, path: &str) -> Result<(Arc<str>, Arc<str>), ConfigError> {
    match id.split_once('.') {
        None if !id.is_empty() => Ok((format!("default.{id}").into(), id.into())),
        Some((plugin, check)) if !plugin.is_empty() && !check.is_empty() => Ok((id.into(), check.into())),
        _ => Err(refused(path, "a check id like \"plugin.check\" is expected")),
    }
}

fn fail_on_error(parameters: &Map<String, Value>) -> bool {
    ["failOnError", "fail_on_error"].iter().any(|name| parameters.get(*name) == Some(&Value::Bool(true)))
}

/// Makes `input_guardrail_xxx`. Portkey draws the three characters for each request; here they follow from the hook's
/// place and content, so that one config always names its hooks alike and logs can be compared.
fn generated(word: &str, members: &Members<'_>) -> String {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    // FNV-1a: no secret is kept here, only a spread.
    let text = format!("{}{}", members.path, Value::Object(members.object.clone()));
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut id = format!("{word}_guardrail_");
    for _ in 0..3 {
        id.push(char::from(LETTERS[usize::try_from(hash % 36).unwrap_or(0)]));
        hash /= 36;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hooks(node: Value) -> Result<Written, ConfigError> {
        read(&Members::of(&node, "").unwrap())
    }

    fn before(node: Value) -> Vec<Arc<Hook>> {
        hooks(node).unwrap().before.unwrap().0
    }

    #[test]
    fn a_full_hook_is_read_in_both_spellings() {
        for (list, enabled) in [("before_request_hooks", "is_enabled"), ("beforeRequestHooks", "isEnabled")] {
            let found = before(json!({ list: [{"id": "g", "type": "guardrail", "deny": true, "async": false,
                "checks": [{"id": "default.contains", "parameters": {"words": ["x"], "failOnError": true},
                            enabled: false, "instances": "reuse", "limits": {"memory_mb": 8}}],
                "on_fail": {"feedback": {"value": -5}}}]}));
            let hook = &found[0];
            assert_eq!((hook.id.as_str(), hook.kind, hook.deny), ("g", HookKind::Guardrail, true));
            assert_eq!(
                (hook.on_fail.as_ref(), hook.on_success.as_ref()),
                (Some(&json!({"value": -5})), None)
            );
            let check = &hook.checks[0];
            assert_eq!((&*check.id, check.enabled, check.fail_on_error), ("default.contains", false, true));
            assert_eq!(check.instances, Some(Instances::Reuse));
            assert_eq!(check.limits, Some(json!({"memory_mb": 8})));
        }
    }

    #[test]
    fn shorthand_keys_are_checks_unless_they_are_hook_fields() {
        let found = before(json!({"input_guardrails": [{"deny": true, "contains": {"words": ["x"]},
            "acme.pii": {"$instances": "fresh", "redact": true}}],
            "input_mutators": [{"default.regexReplace": {"rule": "x"}}]}));
        assert_eq!(found.len(), 2);
        let ids: Vec<&str> = found[0].checks.iter().map(|check| &*check.id).collect();
        assert_eq!(ids, ["default.contains", "acme.pii"]);
        assert_eq!(&*found[0].checks[1].parameters, r#"{"redact":true}"#);
        assert_eq!((found[0].deny, found[1].kind), (true, HookKind::Mutator));
        assert_eq!(found[0].path, "input_guardrails[0]");
    }

    #[test]
    fn missing_ids_look_like_portkeys_and_stay_the_same() {
        let node = json!({"input_guardrails": [{"contains": {}}], "output_guardrails": [{"contains": {}}]});
        let (first, second) = (hooks(node.clone()).unwrap(), hooks(node).unwrap());
        let id = |written: &Written| written.before.as_ref().unwrap().0[0].id.clone();
        assert_eq!(id(&first), id(&second));
        let tail = id(&first).strip_prefix("input_guardrail_").unwrap().to_owned();
        assert!(
            tail.len() == 3 && tail.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        );
        assert!(first.after.unwrap().0[0].id.starts_with("output_guardrail_"));
    }

    #[test]
    fn strings_are_saved_guardrails() {
        let written = hooks(json!({"output_guardrails": ["pg-a", "pg-b"]})).unwrap();
        assert!(written.before.is_none());
        let named: Vec<(String, String)> =
            written.after.unwrap().1.into_iter().map(|named| (named.path, named.id)).collect();
        let of = |at: usize, id: &str| (format!("output_guardrails[{at}]"), id.to_owned());
        assert_eq!(named, [of(0, "pg-a"), of(1, "pg-b")]);
    }

    #[test]
    fn mistakes_are_named_by_path() {
        for (node, part) in [
            (json!({"input_guardrails": {}}), "input_guardrails: an array"),
            (json!({"input_guardrails": ["a", {}]}), "input_guardrails: saved ids and guardrail objects"),
            (json!({"input_guardrails": [1]}), "input_guardrails[0]: a guardrail object"),
            (json!({"input_guardrails": [{"contains": 1}]}), "input_guardrails[0].contains: an object"),
            (json!({"input_guardrails": [{"deny": "yes"}]}), "input_guardrails[0].deny: true or false"),
            (json!({"input_guardrails": [{".x": {}}]}), "input_guardrails[0]..x: a check id"),
            (json!({"input_guardrails": [{"a.b": {"$instances": 1}}]}), "a.b.$instances: \"fresh\""),
            (json!({"input_guardrails": [{"a.b": {"$limits": 1}}]}), "a.b.$limits: an object"),
            (json!({"before_request_hooks": ["a"]}), "before_request_hooks[0]: a JSON object"),
            (json!({"before_request_hooks": [{"type": "x"}]}), "[0].type: \"x\" is unknown"),
            (json!({"after_request_hooks": [{"checks": [{}]}]}), "[0].checks[0].id: is missing"),
            (
                json!({"after_request_hooks": [{"checks": [{"id": "a.b", "parameters": 1}]}]}),
                "parameters: an object",
            ),
            (json!({"after_request_hooks": [{"on_fail": 1}]}), "on_fail: an object"),
            (
                json!({"after_request_hooks": [{"on_fail": {"feedback": {"value": "5"}}}]}),
                "feedback.value: a number",
            ),
        ] {
            let error = hooks(node.clone()).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(part), "{node}: {error}");
        }
    }
}
