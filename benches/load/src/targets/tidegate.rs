//! Tidegate, bare and with all that it does. `TIDEGATE_BIN` names the binary.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Begun, Launch, parse};
use crate::admin::Admin;
use crate::process::Process;
use crate::script::MODEL;
use crate::verify::Closeness;

/// A key of the settings file, without limits and budget.
const BARE_KEY: &str = "tg-declared-key-of-the-load-0123456789abcdefghi";
const ADMIN_KEY: &str = "tga-admin-key-of-the-load-0123456789abcdefghijk";
const NOOP: &[u8] = include_bytes!("../../noop.wasm");

const NOOP_CHECK: &str = r#"{"prompt-free.check": {}}"#;
const NOOP_REUSED: &str = r#"{"prompt-free.check": {"$instances": "reuse"}}"#;
const REGEX_CHECK: &str = r#"{"default.regexMatch": {"rule": "\\b[A-Z]{3}-\\d{4}\\b", "not": true}}"#;
const PII_CHECK: &str = r#"{"pii.redact": {}}"#;

/// What is set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Whether the key that asks is a stored one with limits and a budget. The request log is always on.
    pub(super) full: bool,
    /// The declared config that requests name.
    pub(super) config: &'static str,
    /// So many keys more in the store.
    pub(super) keys: usize,
    /// So many saved configs.
    pub(super) configs: usize,
    /// So many budgets more that count each request.
    pub(super) policies: usize,
}

impl Setup {
    pub(super) const BARE: Self = Self { full: false, config: "", keys: 0, configs: 0, policies: 0 };
    pub(super) const FULL: Self = Self { full: true, ..Self::BARE };
}

fn binary() -> io::Result<PathBuf> {
    let named = std::env::var_os("TIDEGATE_BIN").map(PathBuf::from);
    named.ok_or_else(|| io::Error::other("TIDEGATE_BIN names no binary of tidegate"))
}

fn command(mut command: Command, folder: &Path, words: &[&str]) -> Command {
    // A vendor's key in the environment would become a provider.
    command
        .env_clear()
        .env("RUST_LOG", "error")
        .args(words)
        .arg("--config")
        .arg(folder.join("tidegate.toml"));
    command
}

/// Fills a folder: settings, keys, and what only the running gateway's Admin API makes.
pub(super) fn prepare(setup: &Setup, folder: &Path, upstream: SocketAddr) -> io::Result<()> {
    std::fs::create_dir_all(folder.join("plugins"))?;
    // Without a guard no plugin is loaded: callgrind's memory has no room for the pool of instances.
    if !setup.config.is_empty() {
        std::fs::write(folder.join("plugins/prompt-free.wasm"), NOOP)?;
    }
    std::fs::write(folder.join("tidegate.toml"), settings(folder, upstream))?;
    let mut key = BARE_KEY.to_owned();
    if setup.full {
        let limits =
            ["--usd", "1000000", "--rpm", "100000000", "--tpm", "4000000000", "--concurrent", "100000"];
        let mut create = command(Command::new(binary()?), folder, &["key", "create", "load", "--json"]);
        let output = create.args(limits).output()?;
        let made: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))?;
        made["key"]
            .as_str()
            .ok_or_else(|| io::Error::other(format!("no key in {made}")))?
            .clone_into(&mut key);
    }
    std::fs::write(folder.join("key"), &key)?;
    if setup.keys + setup.configs + setup.policies == 0 {
        return Ok(());
    }
    let launch = Launch { prefix: Vec::new(), single: false };
    let begun = start(setup, folder, &launch)?;
    let admin = Admin { address: begun.whole, key: ADMIN_KEY };
    let config = json!({"name": "", "config": {"retry": {"attempts": 1}}});
    admin.post_many("/v1/configs", setup.configs, |number| {
        let mut config = config.clone();
        config["name"] = format!("config {number}").into();
        config
    })?;
    admin.post_many("/v1/policies/usage-limits", setup.policies, |number| {
        json!({
            "name": format!("budget {number}"), "type": "cost", "credit_limit": 1_000_000 + number,
            "conditions": [{"key": "model", "value": "@mock/*"}], "group_by": [{"key": "api_key"}],
        })
    })?;
    admin.post_many("/v1/api-keys/workspace/service", setup.keys, |number| {
        json!({
            "name": format!("application {number}"), "workspace_id": "ws-default", "scopes": ["completions.write"],
            "rate_limits": [{"type": "requests", "unit": "rpm", "value": 600}],
        })
    })?;
    begun.process.map_or(Ok(()), Process::stop)
}

/// Starts it over a filled folder.
pub(super) fn start(setup: &Setup, folder: &Path, launch: &Launch) -> io::Result<Begun> {
    let binary = binary()?;
    let mut serve = command(launch.command(&binary), folder, &["serve"]);
    let (process, address) = Process::until(&mut serve, "listening on http://")?;
    let address = parse(&address)?;
    let mut headers = format!("authorization: Bearer {}\r\n", std::fs::read_to_string(folder.join("key"))?);
    if !setup.config.is_empty() {
        let _infallible = write!(headers, "x-portkey-config: {}\r\n", setup.config);
    }
    // Guards say in the answer what they found.
    let rewrites = !setup.config.is_empty();
    Ok(Begun {
        process: Some(process),
        whole: address,
        stream: address,
        headers,
        model: format!("@mock/{MODEL}"),
        closeness: if rewrites { Closeness::Text } else { Closeness::Bytes },
        program: Some(binary),
    })
}

fn settings(folder: &Path, upstream: SocketAddr) -> String {
    let folder = folder.display();
    let mut text = format!(
        "listen = \"127.0.0.1:0\"\ndata = \"{folder}/data\"\nplugins = \"{folder}/plugins\"\n\
         admin_key = \"{ADMIN_KEY}\"\nworkers = 1\n\
         [[provider]]\nslug = \"mock\"\nvendor = \"openai\"\napi_key = \"sk-of-nobody\"\nmodels = [\"{MODEL}\"]\n\
         base_url = \"http://{upstream}/v1\"\ntrusted = true\n\
         [[key]]\nname = \"bare\"\nkey = \"{BARE_KEY}\"\n"
    );
    // A plan in a plan in a plan: eight strategies with one target each.
    let nested = (0..8).fold(r#"{"provider": "@mock"}"#.to_owned(), |inner, _| {
        format!(r#"{{"strategy": {{"mode": "fallback"}}, "targets": [{inner}]}}"#)
    });
    let _infallible = write!(text, "[[config]]\nid = \"nested\"\njson = '''{nested}'''\n");
    for (id, side, check, count) in [
        ("noop1", "input", NOOP_CHECK, 1),
        ("noop1-reused", "input", NOOP_REUSED, 1),
        ("noop3", "input", NOOP_CHECK, 3),
        ("noop5", "input", NOOP_CHECK, 5),
        ("regex", "input", REGEX_CHECK, 1),
        ("window", "output", NOOP_CHECK, 1),
        ("window-reused", "output", NOOP_REUSED, 1),
        ("pii", "output", PII_CHECK, 1),
    ] {
        let checks = vec![check; count].join(", ");
        let _infallible =
            write!(text, "[[config]]\nid = \"{id}\"\njson = '''{{\"{side}_guardrails\": [{checks}]}}'''\n");
    }
    text
}
