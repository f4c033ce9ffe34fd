//! From file and environment to [`Settings`]: parsed, checked and resolved, or refused whole with line and reason.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;
use tidegate_config::Hooks;
use tidegate_store::{BudgetRecord, LimitRecord, ProviderRecord};
use toml::Spanned;

use super::cache::{self, CacheSettings};
use super::checks::{self, Replacements};
use super::file::{
    ConfigSettings, CorsSettings, File, KeySettings, LimitsSettings, LogSettings, ProviderSettings,
    TimeoutSettings, Unpriced,
};
use super::place::{line_of, name_at, place_in, place_of, with_suggestion};
use super::plugins::{self, DeclaredPlugin};
use super::values::{self, Secret, resolve_secret};
use super::{references, sense, vendors};

/// Why settings were refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{path}{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct SettingsError {
    /// The file.
    pub path: String,
    /// Line, from 1.
    pub line: Option<usize>,
    /// What is wrong and what is accepted.
    pub message: String,
}

/// When a hold must be on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Settlements are written within 20 ms; a crash loses those and forgets what was in flight.
    #[default]
    Batch,
    /// A hold is durable before the vendor is asked; a crash loses nothing.
    Each,
}

/// Settings in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on, like `127.0.0.1:8787`.
    pub listen: String,
    /// Folder of the store, master key and price overrides.
    pub data: PathBuf,
    /// Watched folder of plugins.
    pub plugins: PathBuf,
    /// Admin key, where the operator chose one.
    pub admin_key: Option<Secret>,
    /// Worker threads; `None` is one a core.
    pub workers: Option<usize>,
    /// Control threads.
    pub control_threads: usize,
    /// Models without a price.
    pub unpriced: Unpriced,
    /// When holds are durable.
    pub durability: Durability,
    /// How long things may take.
    pub timeouts: TimeoutSettings,
    /// How large things may be.
    pub limits: LimitsSettings,
    /// Browser pages.
    pub cors: CorsSettings,
    /// Log lines.
    pub log: LogSettings,
    /// Kept answers.
    pub cache: CacheSettings,
    /// The Redis that several gateways share.
    pub shared: Option<Secret>,
    /// The PostgreSQL that several gateways share; `None` is SQLite in the data folder.
    pub store: Option<Secret>,
    /// What seals secrets in the store; `None` is a key file in the data folder.
    pub master_key: Option<Secret>,
    /// What Open WebUI signs its users with.
    pub openwebui_jwt_secret: Option<Secret>,
    /// Who is told what happens.
    pub notify: Vec<tidegate_notify::ChannelSettings>,
    /// Private hosts that are allowed.
    pub trusted_hosts: Vec<String>,
    /// What variables that secret references may read begin with.
    pub secret_env_prefix: Option<String>,
    /// Where files that secret references may read lie.
    pub secret_dir: Option<PathBuf>,
    /// Whether configs, vendors and hosts in headers are refused, whatever the organisation says.
    pub block_inline_config: bool,
    /// Declared providers, and those of the environment.
    pub providers: Vec<ProviderRecord>,
    /// Declared keys.
    pub keys: Vec<DeclaredKey>,
    /// Budgets of declared keys and providers.
    pub budgets: Vec<BudgetRecord>,
    /// Declared configs by id, as JSON text.
    pub configs: BTreeMap<String, String>,
    /// What is declared about plugins, by their id.
    pub declared_plugins: BTreeMap<String, DeclaredPlugin>,
    /// Declared guardrails by id.
    pub guardrails: BTreeMap<String, Hooks>,
    /// Whether a check that breaks down counts as failed, where its guardrail does not say.
    pub fail_on_error: bool,
}

/// A key of the settings file.
#[derive(Clone, Debug)]
pub struct DeclaredKey {
    /// As written.
    pub settings: KeySettings,
    /// The key's text; `None` is made at first start.
    pub secret: Option<Secret>,
    /// Its limits.
    pub limits: Vec<LimitRecord>,
    /// Its budget's id.
    pub budget: Option<String>,
    /// Seconds since the epoch.
    pub expires_at: Option<i64>,
}

impl Settings {
    /// Reads the file, or the defaults when `path` is `None`. `environment` looks a variable up.
    ///
    /// # Errors
    /// [`SettingsError`] with line and reason; nothing is half accepted.
    pub fn load(
        path: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let shown = path.map_or_else(|| "settings".to_owned(), |path| path.display().to_string());
        let text = match path {
            Some(path) => std::fs::read_to_string(path).map_err(|error| SettingsError {
                path: shown.clone(),
                line: None,
                message: format!("cannot be read: {error}"),
            })?,
            None => String::new(),
        };
        Self::parse(&text, &shown, environment)
    }

    /// Reads the text of a settings file; `path` is only for messages.
    ///
    /// # Errors
    /// [`SettingsError`]
    pub fn parse(
        text: &str,
        path: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let at = |offset: Option<usize>, message: String| SettingsError {
            path: path.to_owned(),
            line: offset.map(|offset| line_of(text, offset)),
            message,
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map(|span| span.start);
            let name = start.map(|start| name_at(text, start)).unwrap_or_default();
            at(start, format!("{name}{}", with_suggestion(error.message())))
        })?;
        sense::file(&file).map_err(|message| at(place_in(text, &message), message))?;
        let mut budgets = Vec::new();
        let mut providers = Vec::new();
        let mut slugs = HashSet::new();
        for entry in &file.provider {
            let refuse = |message: String| at(Some(place_of(text, entry.span().start, &message)), message);
            let declared = entry.get_ref();
            if !slugs.insert(declared.slug.clone()) {
                return Err(refuse(format!("provider.slug: \"{}\" is declared twice", declared.slug)));
            }
            providers.push(provider(declared, &mut budgets, environment).map_err(refuse)?);
        }
        if file.provider.is_empty() {
            // A file that declares providers says which there are: a second one with the same credential would go
            // around the declared one's limits and budget.
            from_environment(&mut providers, environment);
        }
        let configs = configs(&file.config, &at)?;
        let admin_key = match &file.admin_key {
            Some(reference) => {
                let secret = resolve_secret(reference.get_ref(), environment);
                let fine = secret.and_then(|secret| sense::key_text(&secret).map(|()| secret));
                let refuse = |message| at(Some(reference.span().start), format!("admin_key: {message}"));
                Some(fine.map_err(refuse)?)
            }
            None => environment("TIDEGATE_ADMIN_KEY").filter(|key| !key.is_empty()).map(Secret::new),
        };
        let mut keys = Vec::new();
        let mut names = HashSet::new();
        for entry in &file.key {
            let refuse = |message: String| at(Some(place_of(text, entry.span().start, &message)), message);
            let declared = entry.get_ref();
            if !names.insert(declared.name.clone()) {
                return Err(refuse(format!("key.name: \"{}\" is declared twice", declared.name)));
            }
            keys.push(key(declared, &configs, &mut budgets, environment).map_err(refuse)?);
            if let Some(message) = sense::same_text(&keys, admin_key.as_ref()) {
                return Err(refuse(message));
            }
        }
        let mut declared_plugins = BTreeMap::new();
        for entry in &file.plugin {
            let refuse = |message: String| at(Some(place_of(text, entry.span().start, &message)), message);
            let declared = entry.get_ref();
            let plugin = plugins::plugin(declared, environment).map_err(refuse)?;
            if declared_plugins.insert(declared.id.clone(), plugin).is_some() {
                return Err(refuse(format!("plugin.id: \"{}\" is declared twice", declared.id)));
            }
        }
        let data = PathBuf::from(file.data.clone().unwrap_or_else(|| "./data".to_owned()));
        let plugins = PathBuf::from(file.plugins.clone().unwrap_or_else(|| "./plugins.d".to_owned()));
        let replacements = Replacements::of(&plugins, &data);
        let mut guardrails = BTreeMap::new();
        for entry in &file.guardrail {
            let refuse = |message: String| at(Some(place_of(text, entry.span().start, &message)), message);
            let declared = entry.get_ref();
            let hooks = plugins::guardrail(declared).map_err(refuse)?;
            checks::check(&checks::of_hooks(&hooks), &replacements)
                .map_err(|error| refuse(format!("guardrail.json: {error}")))?;
            if guardrails.insert(declared.id.clone(), hooks).is_some() {
                return Err(refuse(format!("guardrail.id: \"{}\" is declared twice", declared.id)));
            }
        }
        for entry in &file.config {
            let config = entry.get_ref();
            references::check(&config.json, &guardrails, &replacements).map_err(|message| {
                at(Some(entry.span().start), format!("config \"{}\": {message}", config.id))
            })?;
        }
        for entry in &file.key {
            // Saved configs are in the store, which the file is read without.
            let is_inline = |config: &&String| !configs.contains_key(*config) && !config.starts_with(SAVED);
            let inline = entry.get_ref().config.as_ref().filter(is_inline);
            if let Some(config) = inline {
                references::check(config, &guardrails, &replacements)
                    .map_err(|message| at(Some(entry.span().start), format!("key.config: {message}")))?;
            }
        }
        let shared = file.shared.as_ref().map(|shared| {
            cache::shared(shared.get_ref(), environment)
                .map_err(|message| at(Some(shared.span().start), message))
        });
        let store = match &file.store {
            Some(reference) => {
                let url = resolve_secret(reference.get_ref(), environment)
                    .map_err(|message| at(Some(reference.span().start), format!("store: {message}")))?;
                if !url.reveal().starts_with("postgres://") && !url.reveal().starts_with("postgresql://") {
                    let message =
                        "store: postgres://USER:PASSWORD@HOST/DATABASE is expected, or nothing for SQLite";
                    return Err(at(Some(reference.span().start), message.to_owned()));
                }
                Some(url)
            }
            None => None,
        };
        if let (Some(reference), None) = (&file.store, &file.shared) {
            let message = "store: a PostgreSQL needs `shared`, the Redis by which nodes keep limits together; one node \
                           alone needs neither";
            return Err(at(Some(reference.span().start), message.to_owned()));
        }
        let master_key = match &file.master_key {
            Some(reference) => Some(
                resolve_secret(reference.get_ref(), environment)
                    .map_err(|message| at(Some(reference.span().start), format!("master_key: {message}")))?,
            ),
            None => environment("TIDEGATE_MASTER_KEY").filter(|key| !key.is_empty()).map(Secret::new),
        };
        let openwebui_jwt_secret = match &file.security.openwebui_jwt_secret {
            Some(reference) => Some(
                resolve_secret(reference, environment)
                    .map_err(|message| at(None, format!("security.openwebui_jwt_secret: {message}")))?,
            ),
            None => None,
        };
        let mut notify = Vec::new();
        for entry in &file.notify {
            let refuse = |message: String| at(Some(entry.span().start), format!("notify: {message}"));
            let channel = entry.get_ref();
            let resolve =
                |reference: &str| resolve_secret(reference, environment).map(|it| it.reveal().to_owned());
            channel.build(&resolve).map_err(refuse)?;
            notify.push(channel.clone());
        }
        if let Some(cache) = &file.cache {
            let refuse = |message: String| at(Some(place_of(text, cache.span().start, &message)), message);
            cache.get_ref().check().map_err(refuse)?;
        }
        Ok(Self {
            listen: file.listen.unwrap_or_else(|| "127.0.0.1:8787".to_owned()),
            data,
            plugins,
            admin_key,
            workers: file.workers,
            control_threads: file.control_threads.unwrap_or(1),
            unpriced: file.unpriced,
            durability: file.ledger.durability,
            timeouts: file.timeouts,
            limits: file.limits,
            cors: file.cors,
            log: file.log,
            cache: file.cache.map(Spanned::into_inner).unwrap_or_default(),
            shared: shared.transpose()?,
            store,
            master_key,
            notify,
            trusted_hosts: file.security.trusted_hosts,
            openwebui_jwt_secret,
            secret_env_prefix: file.security.secret_env_prefix,
            secret_dir: file.security.secret_dir,
            block_inline_config: file.security.block_inline_config || blocks_inline(environment),
            providers,
            keys,
            budgets,
            configs,
            declared_plugins,
            guardrails,
            fail_on_error: file.guardrails.fail_on_error,
        })
    }
}

fn provider(
    declared: &ProviderSettings,
    budgets: &mut Vec<BudgetRecord>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<ProviderRecord, String> {
    check_slug(&declared.slug)?;
    let Some(vendor) = tidegate_providers::registry::find(&declared.vendor) else {
        return Err(format!("provider.vendor: {}", vendors::unknown(&declared.vendor)));
    };
    vendors::check(vendor, declared.base_url.as_deref(), &declared.options)?;
    let api_key = declared
        .api_key
        .as_deref()
        .map(|reference| resolve_secret(reference, environment))
        .transpose()
        .map_err(|message| format!("provider.api_key: {message}"))?;
    if let Some(url) = &declared.base_url {
        crate::upstream::address::check_base_url(url, declared.trusted)
            .map_err(|message| format!("provider.base_url: {message}"))?;
    }
    let prices =
        serde_json::to_value(&declared.prices).map_err(|error| format!("provider.prices: {error}"))?;
    let budget = match &declared.budget {
        Some(settings) => {
            let record = values::budget(format!("provider:{}", declared.slug), &declared.slug, settings)
                .map_err(|message| format!("provider.{message}"))?;
            budgets.push(record);
            Some(format!("provider:{}", declared.slug))
        }
        None => None,
    };
    Ok(ProviderRecord {
        base_url: declared.base_url.clone(),
        trusted: declared.trusted,
        api_key: api_key.map(|key| key.reveal().to_owned()),
        options: declared.options.clone(),
        models: declared.models.clone(),
        prices,
        limits: values::limits(&declared.limits).map_err(|message| format!("provider.{message}"))?,
        budget,
        breaker: declared
            .breaker
            .as_ref()
            .map(values::breaker)
            .transpose()
            .map_err(|message| format!("provider.{message}"))?,
        ..ProviderRecord::named(&declared.slug, &declared.vendor)
    })
}

/// Checks a slug's form.
///
/// # Errors
/// A sentence with what is accepted.
pub(crate) fn check_slug(slug: &str) -> Result<(), String> {
    let fine = !slug.is_empty()
        && slug.len() <= 64
        && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fine {
        Ok(())
    } else {
        Err(format!("provider.slug: \"{slug}\" is not 1 to 64 letters, digits, `-`, `_` or `.`"))
    }
}

/// What slugs of saved configs begin with.
const SAVED: &str = "pc-";

/// Credentials for more than models, which are in many environments for other reasons.
const GENERAL_VARIABLES: [&str; 5] =
    ["GITHUB_TOKEN", "HF_TOKEN", "HUGGINGFACE_API_KEY", "CLOUDFLARE_API_TOKEN", "DATABRICKS_TOKEN"];

/// Adds a provider for every vendor key in the environment whose slug is free.
fn from_environment(providers: &mut Vec<ProviderRecord>, environment: &dyn Fn(&str) -> Option<String>) {
    for vendor in tidegate_providers::registry::all() {
        let slug = vendor.slug();
        if vendor.default_base().is_none() || providers.iter().any(|known| known.slug == slug) {
            continue;
        }
        let mut own = vendor.key_variables().iter().filter(|name| !GENERAL_VARIABLES.contains(*name));
        let found = own.find_map(|name| environment(name).filter(|key| !key.is_empty()));
        let Some(api_key) = found else { continue };
        providers.push(ProviderRecord {
            api_key: Some(api_key.trim().to_owned()),
            ..ProviderRecord::named(slug, slug)
        });
    }
}

fn configs(
    declared: &[Spanned<ConfigSettings>],
    at: &dyn Fn(Option<usize>, String) -> SettingsError,
) -> Result<BTreeMap<String, String>, SettingsError> {
    let mut configs = BTreeMap::new();
    for entry in declared {
        let config = entry.get_ref();
        if let Err(error) = tidegate_config::Plan::parse(&config.json) {
            return Err(at(Some(entry.span().start), format!("config \"{}\": {error}", config.id)));
        }
        if configs.insert(config.id.clone(), config.json.clone()).is_some() {
            return Err(at(
                Some(entry.span().start),
                format!("config.id: \"{}\" is declared twice", config.id),
            ));
        }
    }
    Ok(configs)
}

fn key(
    declared: &KeySettings,
    configs: &BTreeMap<String, String>,
    budgets: &mut Vec<BudgetRecord>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<DeclaredKey, String> {
    sense::key(declared)?;
    let secret = match &declared.key {
        Some(reference) => {
            let secret = resolve_secret(reference, environment);
            let fine = secret.and_then(|secret| sense::key_text(&secret).map(|()| secret));
            Some(fine.map_err(|message| format!("key.key: {message}"))?)
        }
        None => None,
    };
    if let Some(config) = &declared.config
        && !configs.contains_key(config)
    {
        // Saved configs are in the store, which the file is read without.
        let is_saved = config.starts_with(SAVED);
        if !config.trim_start().starts_with('{') && !is_saved {
            return Err(format!(
                "key.config: there is no [[config]] with id \"{config}\"; saved ones begin with \"{SAVED}\""
            ));
        }
        if !is_saved {
            tidegate_config::Plan::parse(config).map_err(|error| format!("key.config: {error}"))?;
        }
    }
    let budget = match &declared.budget {
        Some(settings) => {
            let id = format!("key:{}", declared.name);
            let record = values::budget(id.clone(), &declared.name, settings)
                .map_err(|message| format!("key.{message}"))?;
            budgets.push(record);
            Some(id)
        }
        None => None,
    };
    Ok(DeclaredKey {
        secret,
        limits: values::limits(&declared.limits).map_err(|message| format!("key.{message}"))?,
        budget,
        expires_at: declared
            .expires_at
            .as_ref()
            .map(values::timestamp)
            .transpose()
            .map_err(|message| format!("key.{message}"))?,
        settings: declared.clone(),
    })
}

/// Returns whether the environment refuses configs in headers, by Portkey's name for it.
fn blocks_inline(environment: &dyn Fn(&str) -> Option<String>) -> bool {
    let word = environment("BLOCK_INLINE_CONFIG");
    word.is_some_and(|word| ["true", "1", "on"].iter().any(|yes| word.trim().eq_ignore_ascii_case(yes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(text, "tidegate.toml", &|name| (name == "DEMO_KEY").then(|| "tg-demo".to_owned()))
    }

    #[test]
    fn an_unknown_name_is_refused_with_line_and_suggestion() {
        let error = parse("listen = \"127.0.0.1:1\"\n\nlissten = 3\n").unwrap_err();
        assert_eq!(error.line, Some(3));
        assert!(error.message.contains("did you mean `listen`?"), "{error}");
    }

    #[test]
    fn an_unset_variable_is_named_with_its_line() {
        let error = parse("[[key]]\nname = \"a\"\nkey = \"env:NOT_SET\"\n").unwrap_err();
        assert!(
            error.to_string().contains("tidegate.toml:3: key.key: environment variable NOT_SET"),
            "{error}"
        );
    }

    #[test]
    fn the_documented_example_is_read() {
        let settings = parse(include_str!("../../../tests/fixtures/settings/example.toml")).unwrap();
        assert_eq!(settings.keys[0].limits.len(), 3);
        assert_eq!(settings.budgets[0].limit, 1_000_000_000);
        assert!(settings.providers[0].prices["mock"].is_object());
    }

    #[test]
    fn a_key_may_name_a_saved_config_by_its_slug() {
        let settings = parse("[[key]]\nname = \"a\"\nconfig = \"pc-suppor-1b9e6a\"\n").unwrap();
        assert_eq!(settings.keys[0].settings.config.as_deref(), Some("pc-suppor-1b9e6a"));
    }

    #[test]
    fn limits_and_budgets_say_what_is_accepted() {
        for (text, part) in [
            ("[[key]]\nname = \"a\"\nlimits = [{ requests = 1 }]", "limits[0]: `per` is missing"),
            ("[[key]]\nname = \"a\"\nlimits = [{ requests = 1, tokens = 2 }]", "exactly one of"),
            ("[[key]]\nname = \"a\"\nbudget = { usd = true }", "a number of US dollars"),
            ("[[key]]\nname = \"a\"\nbudget = { usd = 1, days = 400 }", "1 to 365"),
            ("[[key]]\nname = \"a\"\n[[key]]\nname = \"a\"", "declared twice"),
            ("[[provider]]\nslug = \"a\"\nvendor = \"openai\"\nbreaker = { percent = 101 }", "at most 100"),
            (
                "[[provider]]\nslug = \"a\"\nvendor = \"openai\"\nbreaker = { cooldown_ms = 1 }",
                "100 to 3600000",
            ),
            (
                "[[provider]]\nslug = \"a\"\nvendor = \"openai\"\nbreaker = { failures = 0 }",
                "breaker.failures: 1 to",
            ),
            ("[[provider]]\nslug = \"a b\"\nvendor = \"openai\"", "letters, digits"),
            ("listen = \"127.0.0.1:99999\"", "toml:1: listen: \"127.0.0.1:99999\" is no address"),
            ("[[key]]\nname = \"a\"\nscopes = [\"admn\"]", "toml:3: key.scopes: there is no scope \"admn\""),
            ("[[key]]\nname = \"a\"\nkey = \"tg-é\"", "toml:3: key.key: only visible ASCII"),
            ("admin_key = \"tga é\"", "toml:1: admin_key: only visible ASCII"),
            ("[[key]]\nname = \"a\"\nmodels = [\"\"]", "toml:3: key.models: \"\" matches no model"),
            ("[[key]]\nname = \"a\\u0007\"", "toml:2: key.name: control characters"),
            (
                "\n[cors]\norigins = [\"chat.example.com\"]",
                "toml:3: cors.origins: \"chat.example.com\" is no",
            ),
            (
                "[security]\ntrusted_hosts = [\"http://x\"]",
                "toml:2: security.trusted_hosts: \"http://x\" is no",
            ),
            ("[timeouts]\nconnect_ms = 5\nhead_ms = 0", "toml:3: timeouts.head_ms: 1 to"),
            ("limits.body_bytes = 0", "toml:1: limits.body_bytes: 1 to"),
            ("workers = 100000", "toml:1: workers: 1 to 1024"),
            (
                "[[key]]\nname = \"a\"\nkey = \"tg-x\"\n[[key]]\nname = \"b\"\nkey = \"tg-x\"",
                "toml:6: key.key: keys \"a\" and \"b\" have the same text",
            ),
            (
                "admin_key = \"tg-x\"\n[[key]]\nname = \"a\"\nkey = \"tg-x\"",
                "toml:4: key.key: key \"a\" has the text of `admin_key`",
            ),
            ("[[provider]]\nslug = \"a\"\nvendor = \"opnai\"", "did you mean \"openai\""),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
