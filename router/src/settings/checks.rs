//! Checks and conditions that configs and guardrails name. What the bundled plugins have is written here, too, so that
//! a misspelt check is refused when settings are read: nobody would be guarded by it, and no plugin is loaded then.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_config::{ConfigError, Hook, Hooks, Node, Plan, Strategy};

/// Names that a refusal says are accepted, at most.
const MOST_NAMED: usize = 30;
/// What is less alike than this is not suggested.
const ALIKE: f64 = 0.75;

/// What a bundled plugin has.
#[derive(Debug)]
struct Known {
    /// Its id.
    id: &'static str,
    /// Its checks.
    checks: &'static [&'static str],
    /// Its conditions.
    conditions: &'static [&'static str],
}

/// What the bundled plugins have, as their manifests say.
const BUNDLED: [Known; 5] = [
    Known {
        id: "default",
        checks: &[
            "contains",
            "regexMatch",
            "regexReplace",
            "sentenceCount",
            "wordCount",
            "characterCount",
            "alluppercase",
            "alllowercase",
            "endsWith",
            "notNull",
            "containsCode",
            "jsonKeys",
            "jsonSchema",
            "modelWhitelist",
            "modelwhitelist",
            "modelRules",
            "requiredMetadataKeys",
            "requiredMetadataKeyValuePairs",
            "allowedRequestTypes",
            "requestParametersCheck",
            "addPrefix",
            "validUrls",
            "webhook",
            "log",
            "jwt",
            "inlineImageUrls",
        ],
        conditions: &[],
    },
    Known { id: "pii", checks: &["detect", "redact"], conditions: &[] },
    Known { id: "prompt", checks: &[], conditions: &["longer_than", "language"] },
    Known { id: "secrets", checks: &["detect", "redact"], conditions: &[] },
    Known { id: "topics", checks: &["keywords"], conditions: &[] },
];

/// A check or condition that is named somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    /// Id of the plugin.
    pub(crate) plugin: String,
    /// Its name within the plugin.
    pub(crate) name: String,
    /// Whether it is a condition.
    pub(crate) is_condition: bool,
    /// Place of the guardrail, or of the condition.
    pub(crate) path: String,
    /// Which check of its guardrail it is.
    pub(crate) at: usize,
    /// What it is given, as JSON; empty for conditions.
    pub(crate) parameters: Arc<str>,
}

/// Returns what the conditions and guardrails of a config name.
pub(crate) fn of_plan(plan: &Plan) -> Vec<Called> {
    let mut all = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for target in plan.targets() {
        for hook in target.hooks.before.iter().chain(&target.hooks.after) {
            // Hooks are inherited: each is looked at once.
            if seen.insert(Arc::as_ptr(hook).addr()) {
                of_hook(hook, &mut all);
            }
        }
    }
    conditions(plan.root(), &mut all);
    all
}

/// Returns what a saved guardrail names.
pub(crate) fn of_hooks(hooks: &Hooks) -> Vec<Called> {
    let mut all = Vec::new();
    hooks.before.iter().for_each(|hook| of_hook(hook, &mut all));
    all
}

fn of_hook(hook: &Hook, all: &mut Vec<Called>) {
    for (at, check) in hook.checks.iter().enumerate() {
        let parameters = check.parameters.clone();
        all.push(Called { parameters, at, ..called(&check.id, false, &hook.path) });
    }
}

fn conditions(node: &Node, all: &mut Vec<Called>) {
    if let Strategy::Conditional { conditions, .. } = &node.strategy {
        for condition in conditions.iter().flat_map(|condition| condition.query.plugin_conditions()) {
            all.push(called(&condition.id, true, &condition.path));
        }
    }
    node.children.iter().for_each(|child| self::conditions(child, all));
}

fn called(id: &str, is_condition: bool, path: &str) -> Called {
    let (plugin, name) = id.split_once('.').unwrap_or(("default", id));
    Called {
        plugin: plugin.to_owned(),
        name: name.to_owned(),
        is_condition,
        path: path.to_owned(),
        at: 0,
        parameters: Arc::from(""),
    }
}

impl Called {
    /// Says that the plugin has no such thing, and what it has.
    pub(crate) fn lacking<'a>(&self, names: impl Iterator<Item = &'a str>) -> String {
        let Self { plugin, name, .. } = self;
        let what = if self.is_condition { "condition" } else { "check" };
        let names: Vec<&str> = names.collect();
        let alike = |known: &str| strsim::jaro_winkler(name, known);
        let nearest = names.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
        let meant = nearest.filter(|nearest| alike(nearest) > ALIKE);
        let meant = meant.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
        let shown = names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
        let shown = if shown.is_empty() { "none" } else { &shown };
        format!("plugin {plugin} has no {what} {name}; it has: {shown}{meant}")
    }
}

/// Where plugins lie that may take the place of bundled ones.
pub(super) struct Replacements {
    folders: [PathBuf; 2],
}

impl Replacements {
    /// Names the folder of plugins and that of uploads.
    pub(super) fn of(plugins: &Path, data: &Path) -> Self {
        Self { folders: [plugins.to_owned(), data.join("plugins")] }
    }

    /// Returns whether a plugin is bundled, or may be there.
    pub(super) fn may_hold(&self, plugin: &str) -> bool {
        BUNDLED.iter().any(|known| known.id == plugin) || self.have(plugin)
    }

    /// Returns whether a component there has a name in it, as one that has the check does. They are read only when
    /// something is about to be refused.
    fn have(&self, name: &str) -> bool {
        let entries = self.folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let mut components =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "wasm"));
        let finder = memchr::memmem::Finder::new(name);
        components.any(|path| fs::read(path).is_ok_and(|bytes| finder.find(&bytes).is_some()))
    }
}

/// Refuses what bundled plugins are asked for and don't have. What other plugins have is known once they are loaded.
pub(super) fn check(all: &[Called], replacements: &Replacements) -> Result<(), ConfigError> {
    for called in all {
        let Some(known) = BUNDLED.iter().find(|known| known.id == called.plugin) else { continue };
        let names = if called.is_condition { known.conditions } else { known.checks };
        if !names.contains(&called.name.as_str()) && !replacements.have(&called.name) {
            let message = called.lacking(names.iter().copied());
            return Err(ConfigError { path: called.path.clone(), message });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str, folder: &Path) -> Result<(), String> {
        let replacements = Replacements::of(folder, folder);
        check(&of_plan(&Plan::parse(json).unwrap()), &replacements).map_err(|error| error.to_string())
    }

    #[test]
    fn a_misspelt_check_is_refused_with_what_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let error = refused(
            r#"{"targets": [{"input_guardrails": [{"default.contians": {}, "deny": true}]}]}"#,
            folder.path(),
        )
        .unwrap_err();
        assert!(
            error.starts_with(
                "targets[0].input_guardrails[0]: plugin default has no check contians; it has: "
            )
        );
        assert!(error.ends_with("; did you mean contains?"), "{error}");
        let condition = r#"{"strategy": {"mode": "conditional", "default": "a", "conditions": [{"then": "a",
            "query": {"$plugin": {"id": "prompt.languages"}}}]}, "targets": [{"name": "a"}]}"#;
        let error = refused(condition, folder.path()).unwrap_err();
        assert!(error.contains("plugin prompt has no condition languages"), "{error}");
        for fine in ["contains", "pii.detect", "acme.anything"] {
            let config = format!(r#"{{"output_guardrails": [{{"{fine}": {{}}}}]}}"#);
            assert_eq!(refused(&config, folder.path()), Ok(()), "{fine}");
        }
    }

    #[test]
    fn a_plugin_in_the_place_of_a_bundled_one_may_have_more() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"input_guardrails": [{"default.ours": {}}]}"#;
        assert!(refused(config, folder.path()).is_err());
        fs::write(folder.path().join("default.wasm"), b"\0asm default ours").unwrap();
        assert_eq!(refused(config, folder.path()), Ok(()));
    }
}
