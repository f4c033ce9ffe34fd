//! `tidegate plugin`: the plugins of a running gateway, through its Admin API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json};
use tidegate_plugin_kit::command::{PluginCommand, run as run_for_author};

use super::{Context, Failure, show};
use crate::upstream::{Client, ConnectFailure};

/// Compiling a large plugin takes a while.
const WITHIN: Duration = Duration::from_secs(300);
const LARGEST_ANSWER: usize = 64 << 20;
/// So much of a digest is shown, and names it.
const SHORT_DIGEST: usize = 12;

#[derive(Args, Debug)]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: Order,
    #[command(flatten)]
    gateway: Gateway,
}

/// Where the running gateway is.
#[derive(Args, Debug)]
struct Gateway {
    /// Address of the running gateway, like http://127.0.0.1:8787; where the settings say that it listens without.
    #[arg(long, global = true, env = "TIDEGATE_URL")]
    url: Option<String>,
    /// Admin key; the settings' without.
    #[arg(long, global = true, env = "TIDEGATE_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
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
    let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
    format!("/v1/plugins/{id}{order}")
}

fn push(context: &Context, gateway: &Gateway, file: &Path, activate: bool) -> Result<(), Failure> {
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

fn list(context: &Context, gateway: &Gateway) -> Result<(), Failure> {
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

impl Gateway {
    /// Asks the running gateway and returns what it answers.
    fn ask(&self, context: &Context, method: Method, path: &str, body: Bytes) -> Result<Value, Failure> {
        let settings = context.settings();
        let key = match (&self.admin_key, &settings) {
            (Some(key), _) => key.clone(),
            (None, Ok(settings)) => settings.admin_key.as_ref().map(|key| key.reveal().to_owned()).ok_or(
                "no admin key: give --admin-key or TIDEGATE_ADMIN_KEY, or name admin_key in the settings",
            )?,
            (None, Err(error)) => return Err(error.clone()),
        };
        let base = match (&self.url, settings) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Ok(settings)) => base_of(&settings.listen)?,
            (None, Err(error)) => return Err(error),
        };
        let url = format!("{base}{path}");
        let kind = if path.starts_with("/v1/plugins?") { "application/wasm" } else { "application/json" };
        let request = Request::builder()
            .method(method)
            .uri(&url)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", kind)
            .body(Full::new(body))
            .map_err(|error| format!("{url}: {error}"))?;
        let (status, body) = actix_web::rt::System::new().block_on(exchange(&url, request))?;
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|_| format!("{url} answered {status}, and no JSON: is it a Tidegate?"))?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let message = answer["error"]["message"].as_str().unwrap_or("no reason given");
        Err(format!("the gateway answered {status}: {message}"))
    }
}

async fn exchange(url: &str, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), Failure> {
    let exchanging = async {
        // The operator names the gateway: private addresses are where it is.
        let response = Client::new(Duration::from_secs(10)).send(request, true).await.map_err(|failure| {
            let (ConnectFailure::Connect(reason) | ConnectFailure::Broken(reason)) = failure;
            format!("no gateway answers at {url}: {reason}; is it running, or does --url say where?")
        })?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        Ok((status, body.map_err(|error| format!("{url}: {error}"))?.to_bytes()))
    };
    let late = || Err(format!("{url} did not answer within {} s", WITHIN.as_secs()));
    tokio::time::timeout(WITHIN, exchanging).await.unwrap_or_else(|_| late())
}

/// Returns where a gateway that listens on an address is reached from the same machine.
fn base_of(listen: &str) -> Result<String, Failure> {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "80"));
    if port == "0" {
        return Err("the settings let the system choose a port: say --url".to_owned());
    }
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        other => other,
    };
    Ok(format!("http://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_found_where_it_listens() {
        assert_eq!(base_of("127.0.0.1:8787").unwrap(), "http://127.0.0.1:8787");
        assert_eq!(base_of("0.0.0.0:80").unwrap(), "http://127.0.0.1:80");
        assert_eq!(base_of("[::]:8787").unwrap(), "http://[::1]:8787");
        assert!(base_of("127.0.0.1:0").unwrap_err().contains("--url"));
    }
}
