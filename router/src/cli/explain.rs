//! `tidegate check --explain`
//!
//! Works on a copy of the store, so that it runs beside a gateway and changes nothing. What only a running gateway
//! knows (limits in use, health of providers) it is asked for with `--running`.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::{Map, Value, json};
use tidegate_store::SqliteStore;
use uuid::Uuid;

use super::running::Running;
use super::{Context, Failure, show};
use crate::api::explain::{Question, answer, find};
use crate::gateway::{Gateway, prices_path, store_path};
use crate::pipeline::Explanation;
use crate::plugins;
use crate::server::Worker;
use crate::settings::Settings;
use crate::upstream::Client;

#[derive(Args, Debug)]
pub(super) struct Explain {
    /// Config of the request: a file, JSON text, or the id of a saved one. Without, the key's own.
    #[arg(long, value_name = "FILE|JSON|ID", requires = "explain")]
    with: Option<String>,
    /// Key whose request it is, by name or id. Without, the first of the settings.
    #[arg(long, value_name = "NAME", requires = "explain")]
    key: Option<String>,
    /// Model that the request names.
    #[arg(long, requires = "explain")]
    model: Option<String>,
    /// File with the request's JSON body.
    #[arg(long, value_name = "FILE", requires = "explain")]
    body: Option<PathBuf>,
    /// Metadata of the request.
    #[arg(long, value_name = "JSON", requires = "explain")]
    metadata: Option<Value>,
    /// A header of the request; may be given several times.
    #[arg(long, value_name = "NAME: VALUE", requires = "explain", value_parser = header)]
    header: Vec<(String, String)>,
    /// Path of the request.
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    /// Ask the running gateway: limits, budgets and health as they are now.
    #[arg(long, requires = "explain")]
    running: bool,
    #[command(flatten)]
    gateway: Running,
}

impl Explain {
    fn question(&self) -> Result<Value, Failure> {
        let mut body = match &self.body {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                serde_json::from_str::<Value>(&text)
                    .map_err(|error| format!("{}: {error}", path.display()))?
            }
            None if self.path.ends_with("/chat/completions") || self.path.ends_with("/messages") => {
                json!({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 256})
            }
            None => json!({"input": "Hello", "prompt": "Hello"}),
        };
        if let Some(model) = &self.model {
            body["model"] = model.as_str().into();
        }
        let headers: BTreeMap<&str, &str> =
            self.header.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut question = Map::new();
        question.insert("path".to_owned(), self.path.as_str().into());
        question.insert("headers".to_owned(), json!(headers));
        question.insert("body".to_owned(), body);
        if let Some(with) = &self.with {
            question.insert("config".to_owned(), config(with)?);
        }
        if let Some(metadata) = &self.metadata {
            question.insert("metadata".to_owned(), metadata.clone());
        }
        Ok(Value::Object(question))
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("NAME: VALUE is expected")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Reads a config: JSON text, a file, or else the id of a saved one.
fn config(text: &str) -> Result<Value, Failure> {
    if text.trim_start().starts_with(['{', '[']) {
        // As it was written: a mistake in it is what is to be explained.
        return Ok(Value::String(text.to_owned()));
    }
    match std::fs::read_to_string(text) {
        Ok(json) => Ok(Value::String(json)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Value::String(text.to_owned())),
        Err(error) => Err(format!("{text}: {error}")),
    }
}

pub(super) fn run(context: &Context, command: Explain) -> Result<(), Failure> {
    let mut question = command.question()?;
    let told = if command.running {
        if let Some(key) = &command.key {
            question["key"] = key.as_str().into();
        }
        let body = question.to_string().into();
        let told = command.gateway.ask(context, Method::POST, "/v1/admin/explain", body)?;
        serde_json::from_value(told)
            .map_err(|error| format!("the gateway answered something else: {error}"))?
    } else {
        let question = serde_json::from_value(question).map_err(|error| error.to_string())?;
        offline(context.settings()?, question, command.key.as_deref())?
    };
    if context.json {
        return show::json(&told);
    }
    show::line(told.text().trim_end());
    Ok(())
}

/// Explains with a gateway of its own, that listens nowhere.
fn offline(mut settings: Settings, question: Question, key: Option<&str>) -> Result<Explanation, Failure> {
    let copy = Copy::of(&settings.data)?;
    settings.data.clone_from(&copy.folder);
    let connect = Duration::from_millis(settings.timeouts.connect_ms);
    actix_web::rt::System::new().block_on(async {
        let first = settings.keys.first().map(|key| key.settings.name.clone());
        let (gateway, printed) = Gateway::start(settings).map_err(|error| error.to_string())?;
        let made = printed.keys.first().map(|(name, _)| name.clone());
        let name = key.map(str::to_owned).or(first).or(made);
        let name = name.ok_or("no key is declared; --key names one")?;
        let scanning = actix_web::rt::spawn(plugins::watch(gateway.clone()));
        let told = async {
            let worker = Worker { gateway, client: Client::new(connect) };
            let key = find(&worker, &name).await?;
            answer(&worker, key, question).await
        };
        let told = told.await.map_err(|error| error.message);
        scanning.abort();
        told
    })
}

/// A copy of what a gateway remembers, gone when dropped.
struct Copy {
    folder: PathBuf,
}

impl Copy {
    fn of(data: &Path) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("tidegate-explain-{}", Uuid::new_v4()));
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        let copy = Self { folder: folder.clone() };
        if store_path(data).exists() {
            let store = SqliteStore::open(&store_path(data)).map_err(|error| error.to_string())?;
            store.copy_to(&store_path(&folder)).map_err(|error| error.to_string())?;
        }
        for (from, to) in
            [(data.join("master.key"), folder.join("master.key")), (prices_path(data), prices_path(&folder))]
        {
            if from.exists() {
                std::fs::copy(&from, &to).map_err(failed)?;
            }
        }
        let uploads = data.join("plugins");
        if uploads.exists() {
            std::os::unix::fs::symlink(
                std::path::absolute(&uploads).map_err(failed)?,
                folder.join("plugins"),
            )
            .map_err(failed)?;
        }
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // A link is removed, not what it leads to. What can't be removed is left in the system's own temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
