//! Whole configurations, beside the files that come of them.
//!
//! `TIDEGATE_BLESS=1 cargo test -p tidegate-import` writes what comes out now; read the difference before committing it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test reports by panicking")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate_config::{Facts, Plan, Strategy, Target};
use tidegate_import::{Converted, litellm, portkey};
use toml::Table;

/// Secrets that stand in clear text in the fixtures.
const SECRETS: [&str; 11] = [
    "sk-proj-ThisIsAKeyInClearText000",
    "sk-ant-ThisIsAKeyInClearText111",
    "sk-inline-ThisIsAKeyInClearText222",
    "0123456789abcdef0123456789abcdef",
    "sk-mistral-secret",
    "sk-1234567890abcdefghijk",
    "hunter2",
    "dbpass9876",
    "lakera-secret",
    "local-secret",
    "hook-secret",
];

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "json"))
        .collect();
    inputs.sort();
    inputs
}

fn convert(path: &Path) -> Converted {
    let text = std::fs::read_to_string(path).unwrap();
    let is_yaml = path.extension().is_some_and(|end| end == "yaml");
    let converted = if is_yaml { litellm(&text) } else { portkey(&text) };
    converted.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn named(name: &str) -> Converted {
    convert(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name))
}

fn table(converted: &Converted) -> Table {
    converted.toml.parse().unwrap_or_else(|error| panic!("{}\n{error}", converted.toml))
}

fn rows<'a>(table: &'a Table, name: &str) -> Vec<&'a Table> {
    let list = table.get(name).and_then(toml::Value::as_array);
    list.into_iter().flatten().map(|row| row.as_table().unwrap()).collect()
}

#[test]
fn every_configuration_becomes_the_file_beside_it() {
    let inputs = fixtures();
    assert!(inputs.len() >= 6, "{inputs:?}");
    for input in inputs {
        let made = convert(&input).toml;
        let beside = input.with_extension("toml");
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            std::fs::write(&beside, &made).unwrap();
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        assert_eq!(made, expected, "{}", input.display());
    }
}

#[test]
fn no_secret_of_the_input_is_in_the_output() {
    let mut found = 0;
    for input in fixtures() {
        let text = std::fs::read_to_string(&input).unwrap();
        let converted = convert(&input);
        let shown = format!("{converted:?}");
        for secret in SECRETS.iter().filter(|secret| text.contains(**secret)) {
            found += 1;
            assert!(!converted.toml.contains(secret), "{secret} in {}", converted.toml);
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
    assert_eq!(found, SECRETS.len(), "a fixture lost its secret");
}

/// The names that the settings' reference documents.
fn known(place: &str) -> &'static [&'static str] {
    match place {
        "" => &[
            "listen",
            "data",
            "plugins",
            "admin_key",
            "shared",
            "workers",
            "control_threads",
            "unpriced",
            "ledger",
            "timeouts",
            "limits",
            "cors",
            "log",
            "security",
            "cache",
            "provider",
            "key",
            "config",
            "plugin",
            "guardrail",
            "guardrails",
        ],
        "provider" => &[
            "slug", "vendor", "api_key", "base_url", "trusted", "options", "models", "prices", "limits",
            "budget", "breaker",
        ],
        "key" => &[
            "name",
            "key",
            "models",
            "budget",
            "limits",
            "config",
            "allow_config_override",
            "metadata",
            "header_credentials",
            "unmeasured",
            "expires_at",
            "scopes",
        ],
        "config" | "guardrail" => &["id", "json"],
        "cache" => &["memory_mb", "entry_kb", "index_mb", "max_age", "scope", "embedding_model", "prefix"],
        "log" => &["format", "keep_days", "filter"],
        "limits" => &["body_bytes", "answer_bytes"],
        "budget" => &["usd", "period", "days"],
        "limit" => &["requests", "tokens", "concurrent", "per"],
        other => panic!("nothing is known of {other}"),
    }
}

fn check_names(place: &str, table: &Table) {
    let reference = include_str!("../../SETTINGS.md");
    for name in table.keys() {
        let is_documented =
            [format!("`{name}`"), format!(".{name}`"), format!("`[{name}]`"), format!("{name} = ")]
                .iter()
                .any(|spelling| reference.contains(spelling))
                || reference.contains(&format!("`[[{name}]]`"));
        assert!(is_documented, "{place}.{name} is not in the settings' reference");
        assert!(known(place).contains(&name.as_str()), "{place}.{name} is no setting");
    }
}

#[test]
fn every_name_is_one_of_the_settings_file() {
    for input in fixtures() {
        let table = table(&convert(&input));
        check_names("", &table);
        for place in ["cache", "log", "limits"] {
            if let Some(section) = table.get(place) {
                check_names(place, section.as_table().unwrap());
            }
        }
        for place in ["provider", "key", "config", "guardrail"] {
            for row in rows(&table, place) {
                check_names(place, row);
                if let Some(budget) = row.get("budget") {
                    check_names("budget", budget.as_table().unwrap());
                }
                for limit in row.get("limits").and_then(toml::Value::as_array).into_iter().flatten() {
                    check_names("limit", limit.as_table().unwrap());
                }
            }
        }
    }
}

#[test]
fn every_reference_of_a_file_leads_somewhere() {
    for input in fixtures() {
        let converted = convert(&input);
        let table = table(&converted);
        let texts = |place: &str, name: &str| -> Vec<String> {
            rows(&table, place).iter().filter_map(|row| Some(row.get(name)?.as_str()?.to_owned())).collect()
        };
        let (slugs, configs, guardrails) =
            (texts("provider", "slug"), texts("config", "id"), texts("guardrail", "id"));
        for vendor in texts("provider", "vendor") {
            assert!(tidegate_providers::registry::find(&vendor).is_some(), "{vendor}");
        }
        for config in texts("key", "config") {
            assert!(configs.contains(&config), "{config} of {configs:?}");
        }
        for reference in [texts("provider", "api_key"), texts("key", "key")].concat() {
            let name =
                reference.strip_prefix("env:").unwrap_or_else(|| panic!("{reference} is in clear text"));
            assert!(converted.variables.iter().any(|known| known.name == name), "{name} is not listed");
        }
        for json in texts("config", "json") {
            let plan = Plan::parse(&json).unwrap();
            for named in plan.guardrails() {
                assert!(guardrails.contains(&named.id), "{}", named.id);
            }
            for target in plan.targets() {
                let named = target.provider.iter().chain(&target.virtual_key);
                for slug in named.filter(|name| *name != "bedrock") {
                    let slug = slug.trim_start_matches('@').to_owned();
                    assert!(slugs.contains(&slug), "{slug} of {slugs:?} in {}", input.display());
                }
            }
        }
    }
}

struct Asked(&'static str);

impl Facts for Asked {
    fn metadata(&self, _: &str) -> Option<Value> {
        None
    }
    fn param(&self, name: &str) -> Option<Value> {
        (name == "model").then(|| Value::from(self.0))
    }
    fn pathname(&self) -> &str {
        "/v1/chat/completions"
    }
}

/// Returns provider and model of the targets that a name leads to, in the order they are written.
fn asked(plan: &Plan, model: &'static str) -> Vec<String> {
    let Strategy::Conditional { conditions, default } = &plan.root().strategy else {
        panic!("no conditional")
    };
    let found = conditions.iter().find(|condition| condition.query.evaluate(&Asked(model), &[]));
    let child = &plan.root().children[found.map(|found| found.then).or(*default).unwrap()];
    let below = |target: &&std::sync::Arc<Target>| {
        target.path.starts_with(&format!("{}.", child.path)) || target.path == child.path
    };
    let targets = plan.targets();
    let targets = targets.iter().filter(|target| below(target)).map(|target| {
        let model = target.override_params.get("model").and_then(Value::as_str).unwrap_or("as asked");
        format!("{} {model}", target.provider.as_deref().unwrap_or("-"))
    });
    targets.collect()
}

fn plan(converted: &Converted) -> Plan {
    let table = table(converted);
    Plan::parse(rows(&table, "config")[0]["json"].as_str().unwrap()).unwrap()
}

#[test]
fn clients_of_litellm_reach_the_deployments_of_their_names() {
    let plan = plan(&named("litellm-production.yaml"));
    let gpt = [
        "@azure-openai-gpt-4o-eu gpt-4o-eu",
        "@azure-openai-gpt-4o-us gpt-4o-us",
        "@openai-gpt-4o gpt-4o",
        "@anthropic claude-sonnet-4-5",
        "@google gemini-2.5-flash",
    ];
    assert_eq!(asked(&plan, "gpt-4o"), gpt);
    assert_eq!(asked(&plan, "gpt-4"), gpt, "an alias");
    assert_eq!(asked(&plan, "gpt-3.5-turbo"), ["@groq llama-3.3-70b-versatile", "@google gemini-2.5-flash"]);
    assert_eq!(asked(&plan, "@groq/llama-3.3-70b-versatile"), ["- as asked"]);
    assert_eq!(asked(&plan, "bedrock-claude"), ["- as asked"], "left out, so it goes nowhere");
}

#[test]
fn patterns_take_what_no_name_takes() {
    let plan = plan(&named("litellm-wildcards.yaml"));
    assert_eq!(asked(&plan, "llama-guard"), ["@vllm as asked", "@vllm llama-3.3-70b"]);
    assert_eq!(asked(&plan, "openai/gpt-5"), ["- as asked"], "not to the vendor of a shorter pattern");
    assert_eq!(asked(&plan, "anthropic/claude"), ["@openrouter as asked", "@vllm llama-3.3-70b"]);
    let fallback = [
        "@openai gpt-4o",
        "@deepseek deepseek-chat",
        "@x-ai grok-4",
        "@together-ai meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "@vllm llama-3.3-70b",
    ];
    assert_eq!(asked(&plan, "openai/gpt-4o"), fallback);
}

#[test]
fn variables_of_different_secrets_are_different() {
    let yaml = "model_list:\n- model_name: a\n  litellm_params: {model: openai/a, api_key: sk-in-clear-text-000}\n\
                - model_name: b\n  litellm_params: {model: openai/b}\n";
    let names: Vec<String> = litellm(yaml).unwrap().variables.into_iter().map(|known| known.name).collect();
    assert_eq!(names, ["OPENAI_API_KEY_2", "OPENAI_API_KEY"]);
    let json = r#"{"strategy": {"mode": "fallback"}, "targets": [{"provider": "openai", "api_key": "sk-in-clear-text-000"},
        {"provider": "openai"}, {"virtual_key": "open-a.b"}, {"virtual_key": "open-a_b"}]}"#;
    let names: Vec<String> = portkey(json).unwrap().variables.into_iter().map(|known| known.name).collect();
    assert_eq!(names, ["OPENAI_API_KEY", "OPENAI_API_KEY_2", "OPEN_A_B_API_KEY", "OPEN_A_B_API_KEY_2"]);
}
