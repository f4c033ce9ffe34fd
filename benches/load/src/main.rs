//! Load on the gateway and its peers. `load help` lists the commands; benches/README.md says what was measured.
//! It needs Linux: processor times, memory and affinity are read from the kernel.

mod admin;
mod client;
mod http1;
mod instructions;
mod measure;
mod mock;
mod pace;
mod process;
mod proxy;
mod report;
mod run;
mod script;
mod targets;
mod verify;
mod work;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "load", about = "Measures gateways beside each other")]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serves scripted answers as OpenAI does
    Mock {
        /// Where to listen
        #[arg(default_value = "127.0.0.1:0")]
        address: String,
    },
    /// Passes requests on to an upstream, with hyper and nothing else
    Proxy {
        /// Address of the upstream
        upstream: String,
    },
    /// Measures targets in turns and prints a table
    Run(run::Options),
    /// Counts instructions in user space with callgrind
    Instructions(instructions::Options),
    /// Prints the table of raw results, of several runs together
    Report {
        /// Files that `load run` wrote
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(action: Action) -> io::Result<()> {
    process::open_files()?;
    match action {
        Action::Mock { address } => work::block_on(mock::serve(&address)),
        Action::Proxy { upstream } => work::block_on(proxy::serve(upstream)),
        Action::Run(options) => run::run(&options),
        Action::Instructions(options) => instructions::run(&options),
        Action::Report { files } => report::print(&report::read(&files)?),
    }
}
