//! The command line: `new`, `build`, `test` and `bench`, for the gateway's `plugin` command and for this package's own
//! binary. What is said goes to the writer given.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Subcommand;
use thiserror::Error;

use crate::bench::{BenchError, bench as measure};
use crate::build::{BuildError, build as build_project};
use crate::golden::{CaseError, read};
use crate::host::{RunError, Runner};
use crate::language::Language;
use crate::new::{NewError, new as make};
use crate::project::{Project, ProjectError};
use crate::toolchains::{ToolchainError, Toolchains};

/// What can be done with plugins.
#[derive(Clone, Debug, Subcommand)]
pub enum PluginCommand {
    /// Make the folder of a new plugin
    New {
        /// Its id: lower-case letters, digits and dashes
        name: String,
        /// What to write it in
        #[arg(long, short, value_enum, default_value_t = Language::Rust)]
        lang: Language,
        /// Where to put it [default: a folder of its name]
        #[arg(long)]
        folder: Option<PathBuf>,
    },
    /// Build a plugin's folder into a component
    Build {
        /// The plugin's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Build a plugin and run its golden cases in the gateway's plugin host
    Test {
        /// The plugin's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Test this component instead of building one
        #[arg(long)]
        component: Option<PathBuf>,
        /// Print a line of tab-separated values per case: ok or FAILED, name, verdict, windows, ms, problem
        #[arg(long)]
        tsv: bool,
    },
    /// Build a plugin and measure it, with fresh and with reused instances
    Bench {
        /// The plugin's folder
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Measure this component instead of building one
        #[arg(long)]
        component: Option<PathBuf>,
    },
}

/// Why a command did not do its work.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The folder is no plugin's.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// No new plugin.
    #[error(transparent)]
    New(#[from] NewError),
    /// No toolchain.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// Not built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// No cases.
    #[error(transparent)]
    Cases(#[from] CaseError),
    /// The host refused the plugin.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nothing to measure.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// Cases did not come out as expected.
    #[error("pass all cases: {failed} of {all} failed")]
    Failed {
        /// How many did not.
        failed: usize,
        /// How many there are.
        all: usize,
    },
    /// A component can't be read or written.
    #[error("use {file}: {source}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The writer does not take it.
    #[error("write the output: {0}")]
    Output(#[from] io::Error),
}

/// Runs a command.
///
/// # Errors
/// See [`CommandError`].
pub fn run(command: &PluginCommand, out: &mut dyn Write) -> Result<(), CommandError> {
    match command {
        PluginCommand::New { name, lang, folder } => {
            let own = PathBuf::from(name);
            new(*lang, name, folder.as_ref().unwrap_or(&own), out)
        }
        PluginCommand::Build { folder } => build(folder, out).map(|_| ()),
        PluginCommand::Test { folder, component, tsv } => test(folder, component.as_deref(), *tsv, out),
        PluginCommand::Bench { folder, component } => bench(folder, component.as_deref(), out),
    }
}

/// Makes the folder of a new plugin.
///
/// # Errors
/// See [`CommandError`].
pub fn new(language: Language, name: &str, folder: &Path, out: &mut dyn Write) -> Result<(), CommandError> {
    make(language, name, folder)?;
    writeln!(out, "made {} ({language}). Next: tidegate plugin test {}", folder.display(), folder.display())?;
    Ok(())
}

/// Builds a plugin's folder and returns the component, which it also puts into the folder's `build`.
///
/// # Errors
/// See [`CommandError`].
pub fn build(folder: &Path, out: &mut dyn Write) -> Result<Vec<u8>, CommandError> {
    let project = Project::open(folder)?;
    let started = Instant::now();
    let component = build_project(&project, &toolchains()?)?;
    let file = project.component();
    fs::write(&file, &component)
        .map_err(|source| CommandError::File { file: file.display().to_string(), source })?;
    let kilobytes = component.len().div_ceil(1024);
    let shown = folder.join("build").join(format!("{}.wasm", project.name));
    writeln!(out, "built {} ({kilobytes} KB) in {:.1} s", shown.display(), started.elapsed().as_secs_f32())?;
    Ok(component)
}

/// Runs the golden cases of a plugin's folder.
///
/// # Errors
/// See [`CommandError`]. Cases that differ are an error too.
pub fn test(
    folder: &Path,
    component: Option<&Path>,
    tsv: bool,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let project = Project::open(folder)?;
    let cases = read(&project.cases())?;
    let component = if tsv {
        component_of(folder, component, &mut io::sink())
    } else {
        component_of(folder, component, out)
    }?;
    let runner = Runner::start(&toolchains()?)?;
    let mut failed = 0;
    for report in runner.golden(&component, &cases)? {
        let verdict = if report.problem.is_some() { "FAILED" } else { "ok" };
        let milliseconds = report.took.as_secs_f64() * 1e3;
        if tsv {
            let problem = report.problem.clone().unwrap_or_default().replace(['\t', '\n'], " ");
            let said = report.said.replace(['\t', '\n'], " ");
            let fields = format!(
                "{verdict}\t{}\t{said}\t{}\t{milliseconds:.1}\t{problem}",
                report.name, report.streams
            );
            writeln!(out, "{fields}")?;
        } else {
            let streams =
                if report.streams > 0 { format!(", {} streams", report.streams) } else { String::new() };
            writeln!(out, "{verdict:6} {}: {}{streams}, {milliseconds:.1} ms", report.name, report.said)?;
            if let Some(problem) = &report.problem {
                writeln!(out, "       {problem}")?;
            }
        }
        failed += usize::from(report.problem.is_some());
    }
    let all = cases.len();
    if !tsv {
        writeln!(out, "{} passed, {failed} failed", all - failed)?;
    }
    if failed > 0 { Err(CommandError::Failed { failed, all }) } else { Ok(()) }
}

/// Measures a plugin, and says how its instances should live.
///
/// # Errors
/// See [`CommandError`].
pub fn bench(folder: &Path, component: Option<&Path>, out: &mut dyn Write) -> Result<(), CommandError> {
    let project = Project::open(folder)?;
    let cases = read(&project.cases())?;
    let component = component_of(folder, component, out)?;
    let runner = Runner::start(&toolchains()?)?;
    write!(out, "{}", measure(&runner, &component, &cases)?)?;
    Ok(())
}

fn component_of(folder: &Path, built: Option<&Path>, out: &mut dyn Write) -> Result<Vec<u8>, CommandError> {
    match built {
        None => build(folder, out),
        Some(file) => {
            fs::read(file).map_err(|source| CommandError::File { file: file.display().to_string(), source })
        }
    }
}

fn toolchains() -> Result<Toolchains, ToolchainError> {
    // Notices are for people who wait, not part of the output.
    Toolchains::of_user(|notice| eprintln!("{notice}"))
}
