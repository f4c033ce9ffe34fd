//! `tidegate import`, `export`, `audit`, `backup`, `restore`, `secrets`: what comes in, goes out, is kept and checked.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Map, Value, json};
use tidegate_store::{AuditFilter, AuditRecord, SqliteStore, Store as _};

use super::audited::{self, Change};
use super::running::Running;
use super::{Context, Failure, show, store_is_there};
use crate::clock;
use crate::gateway::{lock, store_path};
use crate::sealing;
use crate::secret::{MasterKey, shown};
use crate::settings::Settings;

#[derive(Args, Debug)]
pub(super) struct Import {
    /// Whose configuration it is.
    from: From,
    /// The file; `-` reads standard input.
    file: String,
    /// Write the settings file there, in place of standard output; one that exists is not overwritten.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// A Portkey config, a list of them, or an export.
    Portkey,
    /// LiteLLM's `config.yaml`.
    Litellm,
}

/// Prints a settings file that does what another gateway's configuration says.
#[expect(clippy::print_stderr, reason = "notes are for the operator, the file for the pipe")]
pub(super) fn import(context: &Context, import: &Import) -> Result<(), Failure> {
    let text = match import.file.as_str() {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
            text
        }
        file => fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?,
    };
    let converted = match import.from {
        From::Portkey => tidegate_import::portkey(&text),
        From::Litellm => tidegate_import::litellm(&text),
    };
    let converted = converted.map_err(|error| format!("{}: {error}", import.file))?;
    if !context.json {
        for note in &converted.notes {
            eprintln!("note: {}: {}", note.path, note.message);
        }
        for variable in &converted.variables {
            eprintln!("set: {} ({})", variable.name, variable.path);
        }
    }
    let mut told = json!({
        "ok": true,
        "notes": converted
            .notes
            .iter()
            .map(|note| json!({"path": note.path, "message": note.message}))
            .collect::<Vec<_>>(),
        "variables": converted
            .variables
            .iter()
            .map(|variable| json!({"name": variable.name, "path": variable.path}))
            .collect::<Vec<_>>(),
    });
    match &import.out {
        Some(path) => {
            let mut file = fs::OpenOptions::new();
            let opened = file.write(true).create_new(true).open(path);
            let written =
                opened.and_then(|mut file| std::io::Write::write_all(&mut file, converted.toml.as_bytes()));
            written.map_err(|error| format!("{}: {error}", path.display()))?;
            let sentence = format!("{} is written; `tidegate check -c {0}` checks it", path.display());
            told["message"] = sentence.as_str().into();
            if context.json { show::json(&told) } else { show::done(context, &sentence) }
        }
        None if context.json => {
            told["toml"] = converted.toml.into();
            show::json(&told)
        }
        None => {
            show::line(converted.toml.trim_end());
            Ok(())
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct Export {
    #[command(flatten)]
    gateway: Running,
}

/// Prints what a running gateway's Admin API knows, in the forms that `tidegate import portkey` reads. Secrets are not
/// in it.
pub(super) fn export(context: &Context, export: &Export) -> Result<(), Failure> {
    let parts = [
        ("workspaces", "/v1/admin/workspaces"),
        ("users", "/v1/admin/users"),
        ("integrations", "/v1/integrations"),
        ("virtual_keys", "/v1/virtual-keys"),
        ("guardrails", "/v1/guardrails"),
        ("usage_limits_policies", "/v1/policies/usage-limits"),
        ("rate_limits_policies", "/v1/policies/rate-limits"),
        ("secret_references", "/v1/secret-references"),
        ("api_keys", "/v1/api-keys"),
        ("configs", "/v1/configs"),
    ];
    let mut document = Map::new();
    for (name, path) in parts {
        document.insert(name.to_owned(), Value::Array(whole(context, &export.gateway, path)?));
    }
    for name in ["configs", "guardrails", "integrations"] {
        let path = parts.iter().find(|(known, _)| *known == name).map(|(_, path)| *path).unwrap_or_default();
        for row in document[name].as_array_mut().into_iter().flatten() {
            // Lists leave the content out.
            let slug = super::running::segment(row["slug"].as_str().unwrap_or_default());
            *row = export.gateway.ask(context, Method::GET, &format!("{path}/{slug}"), Bytes::new())?;
        }
    }
    document.insert(
        "organisation".to_owned(),
        export.gateway.ask(context, Method::GET, "/v1/admin/organisation", Bytes::new())?,
    );
    hide(&mut document);
    show::json(&Value::Object(document))
}

/// Masks the secrets that configs and guardrails hold; those of integrations came masked.
fn hide(document: &mut Map<String, Value>) {
    for name in ["configs", "guardrails"] {
        for row in document[name].as_array_mut().into_iter().flatten() {
            *row = shown(row);
        }
    }
    for row in document["api_keys"].as_array_mut().into_iter().flatten() {
        // A key may hold its config itself.
        row["defaults"]["config_id"] = shown(&row["defaults"]["config_id"]);
    }
}

fn whole(context: &Context, gateway: &Running, path: &str) -> Result<Vec<Value>, Failure> {
    let mut rows = Vec::new();
    for page in 0.. {
        let answer = gateway.ask(
            context,
            Method::GET,
            &format!("{path}?page_size=1000&current_page={page}"),
            Bytes::new(),
        )?;
        let more = answer["data"].as_array().cloned().unwrap_or_default();
        let is_last = more.len() < 1_000;
        rows.extend(more);
        if is_last {
            break;
        }
    }
    Ok(rows)
}

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Follow the chain of the audit log from its first row to its last; exit code 1 when it is broken.
    Verify,
    /// Print all rows, oldest first, one JSON object a line.
    Export,
}

pub(super) fn audit(context: &Context, audit: &Audit) -> Result<(), Failure> {
    let (_, store) = context.open_known()?;
    let failed = |error: tidegate_store::StoreError| error.to_string();
    match audit {
        Audit::Verify => {
            let check = store.check_audit().map_err(failed)?;
            if context.json {
                show::json(&check)?;
            }
            match &check.broken {
                Some((seq, why)) => Err(format!("the audit log is broken at row {seq}: {why}")),
                None if context.json => Ok(()),
                None => {
                    show::line(&format!("{} rows, unbroken; newest hash {}", check.rows, check.head));
                    Ok(())
                }
            }
        }
        Audit::Export => {
            let (rows, _) = store.audit(&AuditFilter::default()).map_err(failed)?;
            for row in rows.iter().rev() {
                let mut line = serde_json::to_value(&row.record).map_err(|error| error.to_string())?;
                line["seq"] = row.seq.into();
                line["hash"] = row.hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
                show::line(&line.to_string());
            }
            Ok(())
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct Backup {
    /// The file to write; it must not exist.
    file: PathBuf,
    /// Also write the master key, as FILE.key: who has both can read vendor credentials.
    #[arg(long)]
    with_master_key: bool,
}

/// Copies the embedded store as it is now, also while the gateway runs.
pub(super) fn backup(context: &Context, backup: &Backup) -> Result<(), Failure> {
    let settings = context.settings()?;
    if settings.store.is_some() {
        return Err("the store is a PostgreSQL: use pg_dump".to_owned());
    }
    store_is_there(&settings)?;
    let store = SqliteStore::open(&store_path(&settings.data)).map_err(|error| error.to_string())?;
    store.copy_to(&backup.file).map_err(|error| format!("{}: {error}", backup.file.display()))?;
    private(&backup.file)?;
    if backup.with_master_key {
        let key = backup.file.with_extension("key");
        fs::copy(settings.data.join("master.key"), &key)
            .map_err(|error| format!("{}: {error}", key.display()))?;
    }
    let rest = if backup.with_master_key { "" } else { "; the master key is not in it: keep it elsewhere" };
    show::done(context, &format!("{} is written{rest}", backup.file.display()))
}

/// Lets nobody else read a file with what the store knows.
fn private(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, mode).map_err(|error| format!("{}: {error}", path.display()))
}

#[derive(Args, Debug)]
pub(super) struct Restore {
    /// A file that `tidegate backup` wrote.
    file: PathBuf,
}

/// Puts a backup in place of the embedded store; the one before is kept beside it.
pub(super) fn restore(context: &Context, restore: &Restore) -> Result<(), Failure> {
    let settings = context.settings()?;
    if settings.store.is_some() {
        return Err("the store is a PostgreSQL: use pg_restore".to_owned());
    }
    let _stopped = lock(&settings.data).map_err(|error| error.to_string())?;
    let place = store_path(&settings.data);
    let fresh = place.with_extension("restored");
    fs::copy(&restore.file, &fresh).map_err(|error| io(&restore.file, &error))?;
    private(&fresh)?;
    // It is opened, checked and brought up to date aside: what is refused replaces nothing.
    let change = Change {
        command: "restore",
        resource: "store",
        id: "",
        action: "restore",
        workspace: None,
        before: Value::Null,
        after: json!({"from": restore.file.file_name().map(|name| name.to_string_lossy())}),
    };
    let checked = check_copy(&fresh, restore, &settings, &audited::row(change));
    if let Err(reason) = checked {
        for tail in TAILS {
            let _gone = fs::remove_file(with_tail(&fresh, tail));
        }
        return Err(format!("{}: {reason}; nothing was changed", restore.file.display()));
    }
    let kept = if place.exists() { Some(keep(&place)?) } else { None };
    fs::rename(&fresh, &place).map_err(|error| io(&place, &error))?;
    let and = kept.map(|kept| format!("; the one before is kept as {}", kept.display())).unwrap_or_default();
    show::done(context, &format!("{} is the store now{and}", restore.file.display()))
}

/// A store's file, and what SQLite keeps beside it.
const TAILS: [&str; 3] = ["", "-wal", "-shm"];

fn with_tail(path: &Path, tail: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(tail);
    path.into()
}

fn io(path: &Path, error: &std::io::Error) -> Failure {
    format!("{}: {error}", path.display())
}

/// Opens a copy of a backup, brings it up to date and notes that it comes back.
fn check_copy(fresh: &Path, of: &Restore, settings: &Settings, row: &AuditRecord) -> Result<(), Failure> {
    let failed = |error: tidegate_store::StoreError| error.to_string();
    let mut store = SqliteStore::open(fresh).map_err(failed)?;
    store.check().map_err(failed)?;
    sealing::check_copy(&store, settings, &of.file)?;
    store.write(&[], Some(row)).map_err(failed)
}

/// Moves a store aside, damaged or not, with what its write-ahead log holds. Returns where it is.
fn keep(place: &Path) -> Result<PathBuf, Failure> {
    let names = (clock::unix()..).map(|now| place.with_extension(format!("before-{now}")));
    let kept = names.into_iter().find(|name| !name.exists()).unwrap_or_default();
    for tail in TAILS {
        let (from, to) = (with_tail(place, tail), with_tail(&kept, tail));
        if from.exists() {
            fs::rename(&from, &to).map_err(|error| io(&from, &error))?;
            private(&to)?;
        }
    }
    if with_tail(&kept, "-wal").exists() {
        // Closing it writes the log into the file. Where SQLite can't, the files stay as they are.
        drop(SqliteStore::open(&kept));
    }
    Ok(kept)
}

#[derive(Debug, Subcommand)]
pub(super) enum Secrets {
    /// Seal all secrets of the store with a new master key. The gateway must be stopped.
    Rotate {
        /// Environment variable with the new master key, which is then to be set as `TIDEGATE_MASTER_KEY`; without it a new
        /// key file is made in the data folder.
        #[arg(long)]
        new_key_env: Option<String>,
    },
}

pub(super) fn secrets(context: &Context, secrets: &Secrets) -> Result<(), Failure> {
    let Secrets::Rotate { new_key_env } = secrets;
    let settings = context.settings()?;
    store_is_there(&settings)?;
    let _stopped = lock(&settings.data).map_err(|error| error.to_string())?;
    let (_, mut store) = context.open_known()?;
    let old = sealing::master_key(store.as_mut(), &settings).map_err(|error| error.to_string())?;
    let failed = |error: crate::secret::SecretError| error.to_string();
    let new = match new_key_env {
        Some(name) => {
            let text = std::env::var(name).ok().filter(|text| text.len() >= 16);
            let text = text.ok_or(format!("{name}: at least 16 characters are expected"))?;
            MasterKey::load(&settings.data, Some(&text)).map_err(failed)?
        }
        None if settings.master_key.is_some() => {
            return Err(
                "the settings name the master key: name the variable with the new one by --new-key-env"
                    .to_owned(),
            );
        }
        None => MasterKey::prepare(&settings.data).map_err(failed)?,
    };
    let mut reseal = |sealed: &str| {
        let text = old.open(sealed).map_err(|error| error.to_string())?;
        new.seal(&text).map_err(|error| error.to_string())
    };
    let key = |from: &str| json!({"master_key": from});
    let change = Change {
        command: "secrets rotate",
        resource: "secrets",
        id: "",
        action: "rotate",
        workspace: None,
        before: key(if settings.master_key.is_some() { "settings" } else { "file" }),
        after: key(new_key_env.as_deref().unwrap_or("file")),
    };
    let row = audited::row(change);
    let sealed = store.reseal(crate::secret::SEALED, &mut reseal, Some(&row)).map_err(|error| {
        format!("{error}; nothing was changed: set the secret that can't be opened anew, or remove it")
    })?;
    if new_key_env.is_none() {
        MasterKey::put_in_place(&settings.data).map_err(failed)?;
    }
    if context.json {
        return show::json(&json!({"ok": true, "secrets": sealed}));
    }
    show::line(&format!("{sealed} secrets are sealed with the new master key"));
    Ok(())
}
