//! `tidegate config`: the saved configs of a running gateway, through its Admin API, which checks what they name.

use std::io::Read as _;

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::running::{Running, segment};
use super::{Context, Failure, show};

const PAGE: usize = 1_000;

#[derive(Args, Debug)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Order,
    #[command(flatten)]
    gateway: Running,
}

// `config` is the name of the global option for the settings file.
#[derive(Debug, Subcommand)]
enum Order {
    /// List configs.
    List,
    /// Show a config.
    Show {
        /// Its slug, id or name.
        #[arg(value_name = "CONFIG")]
        wanted: String,
    },
    /// Save a config: a new one, or a new version of the one with this slug, id or name.
    Set {
        /// Slug, id or name.
        #[arg(value_name = "CONFIG")]
        wanted: String,
        /// File with the config's JSON; `-` reads standard input.
        file: String,
    },
    /// Remove a config with all its versions.
    Remove {
        /// Its slug, id or name.
        #[arg(value_name = "CONFIG")]
        wanted: String,
    },
    /// List the versions of a config, newest first.
    Versions {
        /// Its slug, id or name.
        #[arg(value_name = "CONFIG")]
        wanted: String,
    },
    /// Put an earlier version in force; the one before without `--to`.
    Rollback {
        /// Its slug, id or name.
        #[arg(value_name = "CONFIG")]
        wanted: String,
        /// Version, by number or id; a later one is accepted too.
        #[arg(long)]
        to: Option<String>,
    },
}

pub(super) fn run(context: &Context, config: Config) -> Result<(), Failure> {
    let gateway = Asking { context, running: &config.gateway };
    match config.command {
        Order::List => list(&gateway),
        Order::Show { wanted } => {
            let shown = gateway.ask(Method::GET, &gateway.path(&wanted, "")?, None)?;
            if context.json {
                return show::json(&shown);
            }
            let text = shown["config"].as_str().unwrap_or_default();
            show::json(&serde_json::from_str::<Value>(text).map_err(|error| error.to_string())?)
        }
        Order::Set { wanted, file } => set(&gateway, &wanted, &file),
        Order::Remove { wanted } => {
            let done = gateway.ask(Method::DELETE, &gateway.path(&wanted, "")?, None)?;
            if context.json {
                return show::json(&done);
            }
            show::line(&format!("config {wanted} is removed"));
            Ok(())
        }
        Order::Versions { wanted } => versions(&gateway, &wanted),
        Order::Rollback { wanted, to } => {
            let done = match to {
                Some(version) => {
                    let order = json!({"version": version});
                    gateway.ask(Method::POST, &gateway.path(&wanted, "/activate")?, Some(&order))?
                }
                None => gateway.ask(Method::POST, &gateway.path(&wanted, "/rollback")?, None)?,
            };
            told(context, &done)
        }
    }
}

/// A gateway with what the command line says of it.
struct Asking<'a> {
    context: &'a Context,
    running: &'a Running,
}

impl Asking<'_> {
    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        self.running.ask(self.context, method, path, body)
    }

    /// Returns all rows of a list.
    fn rows(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut rows = Vec::new();
        for page in 0.. {
            let answer =
                self.ask(Method::GET, &format!("{path}?current_page={page}&page_size={PAGE}"), None)?;
            let some = answer["data"].as_array().cloned().unwrap_or_default();
            let is_last = some.len() < PAGE;
            rows.extend(some);
            if is_last {
                break;
            }
        }
        Ok(rows)
    }

    /// Returns the path of a config that is there.
    fn path(&self, wanted: &str, order: &str) -> Result<String, Failure> {
        match self.find(wanted)? {
            Some(slug) => Ok(format!("/v1/configs/{}{order}", segment(&slug))),
            None => Err(format!("there is no config \"{wanted}\"; `tidegate config list` shows them")),
        }
    }

    /// Finds a config by slug or id, else by its name.
    fn find(&self, wanted: &str) -> Result<Option<String>, Failure> {
        let rows = self.rows("/v1/configs")?;
        let slug = |row: &Value| row["slug"].as_str().unwrap_or_default().to_owned();
        let exact = rows.iter().find(|row| row["slug"] == wanted || row["id"] == wanted);
        if let Some(row) = exact {
            return Ok(Some(slug(row)));
        }
        let mut named = rows.iter().filter(|row| row["name"] == wanted);
        match (named.next(), named.next()) {
            (Some(row), None) => Ok(Some(slug(row))),
            (None, _) => Ok(None),
            _ => Err(format!("several configs are named \"{wanted}\"; use the slug")),
        }
    }
}

fn set(gateway: &Asking<'_>, config: &str, file: &str) -> Result<(), Failure> {
    let mut json = String::new();
    if file == "-" {
        std::io::stdin().read_to_string(&mut json).map_err(|error| format!("standard input: {error}"))?;
    } else {
        json = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    }
    let done = match gateway.find(config)? {
        Some(slug) => {
            let path = format!("/v1/configs/{}", segment(&slug));
            gateway.ask(Method::PUT, &path, Some(&json!({"config": json})))?
        }
        None if config.starts_with("pc-") => {
            return Err(format!(
                "there is no config \"{config}\"; a new one is saved under a name of its own"
            ));
        }
        None => gateway.ask(Method::POST, "/v1/configs", Some(&json!({"name": config, "config": json})))?,
    };
    told(gateway.context, &done)
}

fn told(context: &Context, done: &Value) -> Result<(), Failure> {
    if context.json {
        return show::json(done);
    }
    show::line(&format!("config {} version {} is in force", text(done, "slug"), done["version"]));
    for note in done["notes"].as_array().into_iter().flatten() {
        show::line(&format!("  note: {} {}", text(note, "path"), text(note, "message")));
    }
    Ok(())
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or("-")
}

fn list(gateway: &Asking<'_>) -> Result<(), Failure> {
    let rows = gateway.rows("/v1/configs")?;
    if gateway.context.json {
        return show::json(&rows);
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let version = row["version"].as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string());
            let names = ["slug", "name", "origin", "last_updated_at"];
            let mut cells: Vec<String> = names.iter().map(|name| text(row, name).to_owned()).collect();
            cells.insert(2, version);
            cells
        })
        .collect();
    show::table(&["SLUG", "NAME", "VERSION", "ORIGIN", "CHANGED"], &cells);
    Ok(())
}

fn versions(gateway: &Asking<'_>, config: &str) -> Result<(), Failure> {
    let rows = gateway.rows(&gateway.path(config, "/versions")?)?;
    if gateway.context.json {
        return show::json(&rows);
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let state = if row["is_active"] == true { "in force" } else { "" };
            let (number, id) = (row["version"].to_string(), text(row, "version_id").to_owned());
            vec![number, state.to_owned(), text(row, "last_updated_at").to_owned(), id]
        })
        .collect();
    show::table(&["VERSION", "STATE", "SAVED", "ID"], &cells);
    Ok(())
}
