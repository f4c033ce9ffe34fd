//! `[[plugin]]`, `[[guardrail]]` and `[guardrails]`: what the operator decides about plugins, and what calls them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tidegate_config::Hooks;
use tidegate_plugin_host::{Grants, Instances, Limits};

use super::values::{Secret, resolve_secret};

/// The words of grants that take no name.
const PLAIN_WORDS: [&str; 7] = ["messages", "params", "metadata", "user", "body", "kv", "models"];
/// The words among them that show data of a request. A plugin without a way out gets all of them.
const DATA_WORDS: usize = 5;
/// The host's pool has no room for larger guests.
const MOST_MEMORY_MB: usize = 512;
/// Answers of the `http` power are read so far.
pub(crate) const HTTP_BODY: usize = 1 << 20;

/// `[[plugin]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginSettings {
    /// The id of its manifest.
    pub id: String,
    /// What it may see and reach, like `"http:hooks.example.com"`, `"kv"`, `"models"`, `"header:x-tenant"`.
    #[serde(default)]
    pub grants: Vec<String>,
    /// What it reads with `config`; values may be `env:NAME` and `file:PATH`.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// What a call may cost.
    #[serde(default)]
    pub limits: PluginLimits,
    /// `fresh` (default) or `reuse`.
    #[serde(default)]
    pub instances: InstancesName,
    /// Name or id of the API key that pays for `complete` and `embed`.
    #[serde(default)]
    pub key: Option<String>,
}

/// How instances of a plugin live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstancesName {
    /// A new one for each call.
    #[default]
    Fresh,
    /// A few of each tenant's are kept.
    Reuse,
}

/// `limits` of `[[plugin]]`; what is not named is as the host has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginLimits {
    /// Milliseconds of a processor.
    pub deadline_ms: Option<u64>,
    /// Milliseconds on the clock, host calls included.
    pub total_ms: Option<u64>,
    /// MiB of linear memory.
    pub memory_mb: Option<usize>,
    /// MiB of what is to be judged.
    pub input_mb: Option<usize>,
    /// MiB of an answer.
    pub output_mb: Option<usize>,
    /// Calls of the host.
    pub host_calls: Option<u32>,
    /// Calls at the same time.
    pub concurrency: Option<usize>,
}

/// `[[guardrail]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardrailSettings {
    /// Name that configs use.
    pub id: String,
    /// A Portkey guardrail or list of hooks as JSON.
    pub json: String,
}

/// `[guardrails]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardrailsSettings {
    /// Whether a check that breaks down counts as failed.
    pub fail_on_error: bool,
}

/// What is declared about a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredPlugin {
    /// What it may see and reach.
    pub grants: Grants,
    /// What it reads with `config`.
    pub config: BTreeMap<String, Secret>,
    /// What a call may cost.
    pub limits: Limits,
    /// How its instances live.
    pub instances: Instances,
    /// Name or id of the API key that pays for its models.
    pub key: Option<String>,
}

impl Default for DeclaredPlugin {
    fn default() -> Self {
        Self {
            grants: Grants::default(),
            config: BTreeMap::new(),
            limits: Limits { http_body: HTTP_BODY, ..Limits::default() },
            instances: Instances::default(),
            key: None,
        }
    }
}

pub(super) fn plugin(
    declared: &PluginSettings,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<DeclaredPlugin, String> {
    let fine = !declared.id.is_empty()
        && declared.id.len() <= 64
        && declared.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !fine {
        return Err(format!(
            "plugin.id: \"{}\" is not 1 to 64 lower-case letters, digits or dashes",
            declared.id
        ));
    }
    let config = declared
        .config
        .iter()
        .map(|(name, value)| match resolve_secret(value, environment) {
            Ok(value) => Ok((name.clone(), value)),
            Err(message) => Err(format!("plugin.config.{name}: {message}")),
        })
        .collect::<Result<_, String>>()?;
    Ok(DeclaredPlugin {
        grants: grants(&declared.grants)?,
        config,
        limits: limits(&declared.limits)?,
        instances: match declared.instances {
            InstancesName::Fresh => Instances::Fresh,
            InstancesName::Reuse => Instances::Reuse { calls: Instances::CALLS, idle: Instances::IDLE },
        },
        key: declared.key.clone(),
    })
}

/// Reads grants. Who names one of the data words names all that shall be seen; else the plugin sees everything but
/// headers, since without a granted host there is no way out for it.
fn grants(words: &[String]) -> Result<Grants, String> {
    let mut grants = Grants::default();
    let mut data = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        let refuse = |what: &str| Err(format!("plugin.grants[{at}]: \"{word}\" {what}"));
        match word.split_once(':') {
            Some(("http", host)) if is_host(host) => grants.http.push(host.to_ascii_lowercase()),
            Some(("http", _)) => {
                return refuse("names no host; http:NAME, http:NAME:PORT and http:*.SUFFIX are accepted");
            }
            Some(("header", name)) if http::HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                grants.headers.insert(name.to_ascii_lowercase());
            }
            Some(("header", _)) => return refuse("names no header"),
            _ => match PLAIN_WORDS.iter().position(|known| known == word) {
                Some(known) if known < DATA_WORDS => {
                    data.insert(word.clone());
                }
                Some(_) if word == "kv" => grants.kv = true,
                Some(_) => grants.models = true,
                None => {
                    let nearest = PLAIN_WORDS.iter().chain(&["http:HOST", "header:NAME"]).max_by(|a, b| {
                        strsim::jaro_winkler(word, a).total_cmp(&strsim::jaro_winkler(word, b))
                    });
                    let nearest = nearest.copied().unwrap_or_default();
                    return refuse(&format!(
                        "is unknown; did you mean \"{nearest}\"? {}, http:HOST and header:NAME are accepted",
                        PLAIN_WORDS.join(", ")
                    ));
                }
            },
        }
    }
    if !data.is_empty() {
        grants.data = data;
    }
    Ok(grants)
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (name, port),
        Some(_) => return false,
        None => (text, "1"),
    };
    let name = name.strip_prefix("*.").unwrap_or(name);
    port.parse::<u16>().is_ok_and(|port| port > 0)
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !name.starts_with('.')
        && !name.ends_with('.')
}

fn limits(settings: &PluginLimits) -> Result<Limits, String> {
    let normal = DeclaredPlugin::default().limits;
    let within = |name: &str, value: Option<usize>, most: usize| match value {
        Some(value) if value == 0 || value > most => {
            Err(format!("plugin.limits.{name}: {value} is not 1 to {most}"))
        }
        other => Ok(other),
    };
    let time = |name: &str, value: Option<u64>| match value {
        Some(value) if value == 0 || value > 600_000 => {
            Err(format!("plugin.limits.{name}: {value} is not 1 to 600000"))
        }
        other => Ok(other),
    };
    let bytes = |mib: usize| mib << 20;
    Ok(Limits {
        deadline_ms: time("deadline_ms", settings.deadline_ms)?.unwrap_or(normal.deadline_ms),
        total_ms: time("total_ms", settings.total_ms)?.unwrap_or(normal.total_ms),
        memory: within("memory_mb", settings.memory_mb, MOST_MEMORY_MB)?.map_or(normal.memory, bytes),
        input: within("input_mb", settings.input_mb, 1_024)?.map_or(normal.input, bytes),
        output: within("output_mb", settings.output_mb, 1_024)?.map_or(normal.output, bytes),
        host_calls: settings.host_calls.unwrap_or(normal.host_calls),
        concurrency: within("concurrency", settings.concurrency, 100_000)?.unwrap_or(normal.concurrency),
        http_body: normal.http_body,
    })
}

/// Reads a guardrail; whether its plugins are there is for whoever attaches it.
pub(super) fn guardrail(declared: &GuardrailSettings) -> Result<Hooks, String> {
    if declared.id.trim().is_empty() {
        return Err("guardrail.id: is empty".to_owned());
    }
    match serde_json::from_str::<serde_json::Value>(&declared.json) {
        Ok(serde_json::Value::Object(_) | serde_json::Value::Array(_)) => {
            Hooks::parse(&declared.json).map_err(|error| format!("guardrail.json: {error}"))
        }
        Ok(_) => Err("guardrail.json: a guardrail object or a list of hooks is expected".to_owned()),
        Err(error) => Err(format!("guardrail.json: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, "t", &|name| (name == "HOOK").then(|| "s3cret".to_owned()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_declared_plugin_is_read_whole() {
        let settings = parse(
            "[[plugin]]\nid = \"pii\"\ngrants = [\"http:hooks.example.com:8443\", \"kv\", \"models\", \
             \"header:X-Tenant\"]\nconfig = { token = \"env:HOOK\", level = \"3\" }\ninstances = \"reuse\"\n\
             limits = { deadline_ms = 20, memory_mb = 128, host_calls = 0 }\nkey = \"guards\"\n\
             [[guardrail]]\nid = \"g\"\njson = '{\"checks\": []}'\n[guardrails]\nfail_on_error = true",
        )
        .unwrap();
        let plugin = &settings.declared_plugins["pii"];
        assert_eq!(plugin.grants.http, ["hooks.example.com:8443"]);
        assert!(plugin.grants.kv && plugin.grants.models && plugin.grants.headers.contains("x-tenant"));
        assert_eq!(plugin.grants.data, Grants::default().data);
        assert_eq!(plugin.config["token"].reveal(), "s3cret");
        assert_eq!((plugin.limits.deadline_ms, plugin.limits.memory), (20, 128 << 20));
        assert_eq!((plugin.limits.host_calls, plugin.limits.http_body), (0, HTTP_BODY));
        assert!(matches!(plugin.instances, Instances::Reuse { .. }));
        assert_eq!(plugin.key.as_deref(), Some("guards"));
        assert_eq!((settings.guardrails["g"].before.len(), settings.fail_on_error), (1, true));
    }

    #[test]
    fn who_names_data_words_names_all_that_is_seen() {
        let settings = parse("[[plugin]]\nid = \"a\"\ngrants = [\"messages\", \"kv\"]").unwrap();
        assert_eq!(settings.declared_plugins["a"].grants.data, BTreeSet::from(["messages".to_owned()]));
    }

    #[test]
    fn mistakes_are_named_with_line_and_suggestion() {
        for (text, part) in [
            (
                "[[plugin]]\nid = \"a\"\ngrants = [\"mesages\"]",
                "t:3: plugin.grants[0]: \"mesages\" is unknown; did you mean \"messages\"?",
            ),
            (
                "[[plugin]]\nid = \"a\"\ngrants = [\"kv\", \"http:\"]",
                "t:3: plugin.grants[1]: \"http:\" names no host",
            ),
            ("[[plugin]]\nid = \"a\"\ngrants = [\"http:https://a.com\"]", "names no host"),
            ("[[plugin]]\nid = \"a\"\nlimit = {}", "did you mean `limits`?"),
            (
                "[[plugin]]\nid = \"a\"\nlimits = { memory_mb = 0 }",
                "t:3: plugin.limits.memory_mb: 0 is not 1 to",
            ),
            (
                "[[plugin]]\nid = \"a\"\nconfig = { k = \"env:NOPE\" }",
                "plugin.config.k: environment variable NOPE",
            ),
            ("[[plugin]]\nid = \"A b\"", "lower-case letters"),
            ("[[plugin]]\nid = \"a\"\n[[plugin]]\nid = \"a\"", "t:4: plugin.id: \"a\" is declared twice"),
            ("[[guardrail]]\nid = \"g\"\njson = \"{\"", "t:3: guardrail.json: EOF"),
            ("[[guardrail]]\nid = \"g\"\njson = \"3\"", "a guardrail object or a list"),
            (
                "[[guardrail]]\nid = \"g\"\njson = '{\"default.contains\": {}, \"deny\": 3}'",
                "t:3: guardrail.json: [0].deny: true or false is expected",
            ),
            ("[guardrails]\nfail_on_eror = true", "did you mean `fail_on_error`?"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
