//! Builds a plugin's folder into a component: one function per language, all with the same ending.
//!
//! What is built imports nothing but `tidegate:plugin/*`, or is no plugin. Intermediate files go into the plugin's
//! `build` folder and into the cache; sources are not touched.

mod compiled;
mod scripts;

use std::fs;
use std::io;
use std::path::Path;

use thiserror::Error;

use crate::componentize::{ComponentizeError, only_ours};
use crate::language::Language;
use crate::process::ProcessError;
use crate::project::Project;
use crate::toolchains::{ToolchainError, Toolchains};
use crate::wit;

/// Why a plugin was not built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// Its language can't be built here.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The compiler refused it.
    #[error(transparent)]
    Compiler(#[from] ProcessError),
    /// What was compiled is no plugin.
    #[error(transparent)]
    Component(#[from] ComponentizeError),
    /// A file can't be read or written.
    #[error("use {file}: {source}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The compiler was content, but what it made can't be found.
    #[error("find what the compiler made: {0}")]
    Nothing(&'static str),
}

/// Builds a plugin and returns its component.
///
/// # Errors
/// See [`BuildError`].
pub fn build(project: &Project, toolchains: &Toolchains) -> Result<Vec<u8>, BuildError> {
    let out = project.build_folder();
    // Some tools take every WIT file of the folder, so nothing old may lie there.
    let wit = out.join("wit");
    if wit.exists() {
        fs::remove_dir_all(&wit).map_err(about(&wit))?;
    }
    wit::write(&wit).map_err(about(&wit))?;
    let component = match project.language {
        Language::Rust => compiled::rust(project, toolchains),
        Language::Go => compiled::go(project, toolchains),
        Language::C => compiled::c(project, toolchains),
        Language::Zig => compiled::zig(project, toolchains),
        Language::AssemblyScript => compiled::assemblyscript(project, toolchains),
        Language::Python => scripts::python(project, toolchains),
        Language::JavaScript => scripts::javascript(project, toolchains),
        Language::TypeScript => scripts::typescript(project, toolchains),
    }?;
    only_ours(&component)?;
    Ok(component)
}

/// Returns what makes an error of a file's.
fn about(file: &Path) -> impl Fn(io::Error) -> BuildError {
    move |source| BuildError::File { file: file.display().to_string(), source }
}

/// Returns the bytes of what a tool made.
fn made(file: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(file).map_err(about(file))
}
