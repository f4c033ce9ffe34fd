//! `tidegate plugin`: the plugins of a running gateway, through its Admin API.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use tidegate_plugin_kit::command::{PluginCommand, run as run_for_author};

use super::running::{Running, segment};
use super::{Context, Failure, show};

/// So much of a digest is shown, and names it.
const SHORT_DIGEST: usize = 12;

#[derive(Args, Debug)]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: Order,
    #[command(flatten)]
    gateway: Running,
}

#[derive(Debug, Subcommand)]
enum Order {
    #[command(flatten)]
    Author(PluginCommand),
    /// List plugins, their state and what they did.
    List,
    /// Show a plugin: checks, parameters, grants, statistics, versions.
    Show {
        /// Its id.
        id: String,
    },
    /// Upload a component and put it in force.
    Push {
        /// The .wasm file.
        file: PathBuf,
        /// Upload only; `activate` puts it in force.
        #[arg(long)]
        inactive: bool,
    },
    /// Put an uploaded version in force.
    Activate {
        /// Its id.
        id: String,
        /// Its digest, or the first characters of it.
        digest: String,
    },
    /// Put the version in force that was before.
    Rollback {
        /// Its id.
        id: String,
    },
    /// Remove all uploads of a plugin.
    Remove {
        /// Its id.
        id: String,
    },
}

pub(super) fn run(context: &Context, plugin: Plugin) -> Result<(), Failure> {
    let gateway = &plugin.gateway;
    match plugin.command {
        Order::Author(command) => {
            run_for_author(&command, &mut std::io::stdout()).map_err(|error| format!("failed to {error}"))
        }
        Order::List => list(context, gateway),
        Order::Show { id } => show::json(&gateway.ask(context, Method::GET, &path(&id, ""), Bytes::new())?),
        Order::Push { file, inactive } => push(context, gateway, &file, !inactive),
        Order::Activate { id, digest } => {
            let order = json!({"digest": digest}).to_string();
            let done = gateway.ask(context, Method::POST, &path(&id, "/activate"), order.into())?;
            told(context, &done, "in force")
        }
        Order::Rollback { id } => {
            let done = gateway.ask(context, Method::POST, &path(&id, "/rollback"), Bytes::new())?;
            told(context, &done, "in force again")
        }
        Order::Remove { id } => {
            let done = gateway.ask(context, Method::DELETE, &path(&id, ""), Bytes::new())?;
            if context.json {
                return show::json(&done);
            }
            show::line(&format!("the uploads of plugin {id} are removed"));
            Ok(())
        }
    }
}

fn path(id: &str, order: &str) -> String {
    format!("/v1/plugins/{}{order}", segment(id))
}

fn push(context: &Context, gateway: &Running, file: &Path, activate: bool) -> Result<(), Failure> {
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let path = format!("/v1/plugins?activate={activate}");
    let done = gateway.ask(context, Method::POST, &path, bytes.into())?;
    told(context, &done, if activate { "uploaded and in force" } else { "uploaded" })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("-")
}

fn short(digest: &str) -> &str {
    digest.get(..SHORT_DIGEST).unwrap_or(digest)
}

fn told(context: &Context, done: &Value, what: &str) -> Result<(), Failure> {
    if context.json {
        return show::json(done);
    }
    let (id, version, digest) = (text(done, "id"), text(done, "version"), short(text(done, "digest")));
    show::line(&format!("plugin {id} {version} ({digest}) is {what}"));
    Ok(())
}

fn list(context: &Context, gateway: &Running) -> Result<(), Failure> {
    let listed = gateway.ask(context, Method::GET, "/v1/plugins", Bytes::new())?;
    if context.json {
        return show::json(&listed);
    }
    let none = Vec::new();
    let rows = |name: &str| listed[name].as_array().unwrap_or(&none).clone();
    let plugins: Vec<Vec<String>> = rows("data").iter().map(row).collect();
    show::table(
        &["PLUGIN", "VERSION", "STATE", "FROM", "CALLS", "ERRORS", "P50 US", "P99 US", "DIGEST"],
        &plugins,
    );
    let refused: Vec<Value> = rows("data")
        .iter()
        .flat_map(|plugin| plugin["refused"].as_array().cloned().unwrap_or_default())
        .collect();
    for refusal in refused.iter().chain(&rows("refused")) {
        let what = refusal["file"].as_str().unwrap_or(short(text(refusal, "digest")));
        let reason: Vec<&str> = text(refusal, "reason").split_whitespace().collect();
        show::line(&format!("refused: {what}: {}", reason.join(" ")));
    }
    Ok(())
}

fn row(plugin: &Value) -> Vec<String> {
    let statistics = &plugin["statistics"];
    let number = |name: &str| statistics[name].as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string());
    let errors = statistics["errors"].as_object().map_or_else(
        || "-".to_owned(),
        |kinds| kinds.values().filter_map(Value::as_u64).sum::<u64>().to_string(),
    );
    vec![
        text(plugin, "id").to_owned(),
        text(plugin, "version").to_owned(),
        text(plugin, "state").to_owned(),
        text(plugin, "source").to_owned(),
        number("calls"),
        errors,
        number("p50_us"),
        number("p99_us"),
        short(text(plugin, "digest")).to_owned(),
    ]
}
