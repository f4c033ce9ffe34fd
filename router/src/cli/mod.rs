//! The command line. Commands work on the store that a running gateway follows, or on the settings file.

mod admin;
mod audited;
mod budget;
mod check;
mod config;
mod explain;
mod key;
mod logs;
mod plugin;
mod prices;
mod provider;
mod running;
mod serve;
mod show;
mod transfer;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::gateway::{open_data, store_path};
use crate::settings::Settings;
use tidegate_store::Store;

/// A self-hosted LLM gateway: one URL and one key in front of every provider.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about)]
pub struct Arguments {
    /// Settings file; `./tidegate.toml` when there is one.
    #[arg(long, short, global = true, env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default).
    Serve(serve::Serve),
    /// Validate the settings file, or explain what would become of a request.
    Check(check::Check),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Key(key::Key),
    /// Add, list and remove providers.
    #[command(subcommand)]
    Provider(provider::Provider),
    /// List, set and reset budgets.
    #[command(subcommand)]
    Budget(budget::Budget),
    /// Look prices up, refresh them from a file or address.
    #[command(subcommand)]
    Prices(prices::Prices),
    /// Upload, list, activate and remove plugins of a running gateway.
    Plugin(plugin::Plugin),
    /// Save, list, roll back and remove configs of a running gateway.
    Config(config::Config),
    /// Do anything that the Admin API of a running gateway offers, by the names of its objects.
    Admin(admin::Admin),
    /// Show the request log, newest first.
    Logs(logs::Logs),
    /// Check or print the audit log.
    #[command(subcommand)]
    Audit(transfer::Audit),
    /// Turn a configuration of Portkey or LiteLLM into a settings file.
    Import(transfer::Import),
    /// Print what a running gateway knows: workspaces, keys, integrations, configs, policies; no secrets.
    Export(transfer::Export),
    /// Copy the embedded store, also while the gateway runs.
    Backup(transfer::Backup),
    /// Put a backup in place of the embedded store. The gateway must be stopped.
    Restore(transfer::Restore),
    /// Change the key that seals secrets in the store.
    #[command(subcommand)]
    Secrets(transfer::Secrets),
    /// Print the version.
    Version,
}

/// What commands share.
struct Context {
    path: Option<PathBuf>,
    json: bool,
}

/// A command failed; the sentence is for the operator.
type Failure = String;

impl Context {
    fn settings(&self) -> Result<Settings, Failure> {
        Settings::load(self.path.as_deref(), &|name| std::env::var(name).ok())
            .map_err(|error| error.to_string())
    }

    /// Opens the store to put something into it; it is made where there is none.
    fn open(&self) -> Result<(Settings, Box<dyn Store>), Failure> {
        let settings = self.settings()?;
        let store = open_data(&settings, "cli").map_err(|error| error.to_string())?;
        Ok((settings, store))
    }

    /// Opens the store that is there. A command that looks for something must not make an empty one where it looks.
    fn open_known(&self) -> Result<(Settings, Box<dyn Store>), Failure> {
        let settings = self.settings()?;
        store_is_there(&settings)?;
        let store = open_data(&settings, "cli").map_err(|error| error.to_string())?;
        Ok((settings, store))
    }
}

/// Reads `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Refuses a data folder without a store.
fn store_is_there(settings: &Settings) -> Result<(), Failure> {
    let place = store_path(&settings.data);
    if settings.store.is_some() || place.exists() {
        return Ok(());
    }
    Err(format!(
        "there is no store at {}: `tidegate serve` makes it; `data` in the settings file (--config) says where it is",
        place.display()
    ))
}

/// Runs the command line and returns the exit code: 0 done, 1 failed, 2 wrong usage.
#[must_use]
#[expect(clippy::print_stderr, reason = "a command tells its operator why it failed")]
pub fn run() -> i32 {
    let arguments = Arguments::parse();
    let default = PathBuf::from("tidegate.toml");
    let path = arguments.config.or_else(|| default.exists().then_some(default));
    let context = Context { path, json: arguments.json };
    let done = match arguments.command.unwrap_or(Command::Serve(serve::Serve::default())) {
        Command::Serve(command) => serve::run(&context, &command),
        Command::Check(command) => check::run(&context, command),
        Command::Key(command) => key::run(&context, command),
        Command::Provider(command) => provider::run(&context, command),
        Command::Budget(command) => budget::run(&context, command),
        Command::Prices(command) => prices::run(&context, command),
        Command::Config(command) => config::run(&context, command),
        Command::Plugin(command) => plugin::run(&context, command),
        Command::Logs(command) => logs::run(&context, command),
        Command::Admin(command) => match command.order() {
            Ok(order) => admin::run(&context, &command, order),
            Err(wrong) => {
                eprintln!("tidegate: {wrong}");
                return 2;
            }
        },
        Command::Audit(command) => transfer::audit(&context, &command),
        Command::Import(command) => transfer::import(&context, &command),
        Command::Export(command) => transfer::export(&context, &command),
        Command::Backup(command) => transfer::backup(&context, &command),
        Command::Restore(command) => transfer::restore(&context, &command),
        Command::Secrets(command) => transfer::secrets(&context, &command),
        Command::Version => show::version(&context),
    };
    match done {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("tidegate: {failure}");
            1
        }
    }
}
