//! The plugin authors' tools on their own; `tidegate plugin` has the same commands.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use tidegate_plugin_kit::command::{PluginCommand, run};

/// Makes, builds, tests and measures plugins of Tidegate
#[derive(Parser)]
#[command(name = "tidegate-plugin")]
struct Arguments {
    #[command(subcommand)]
    command: PluginCommand,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to {error}");
            ExitCode::FAILURE
        }
    }
}
