//! The languages that plugins are written in.

use std::fmt;

use clap::ValueEnum;
use serde::Deserialize;

/// A language with a template and a way to build it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum Language {
    /// Rust, with the crate tidegate-plugin-sdk.
    Rust,
    /// TypeScript, on QuickJS.
    #[value(alias = "ts")]
    TypeScript,
    /// JavaScript, on QuickJS.
    #[value(alias = "js")]
    JavaScript,
    /// Python: CPython itself.
    Python,
    /// Go: the real one.
    Go,
    /// C, compiled by Zig.
    C,
    /// Zig.
    Zig,
    /// AssemblyScript.
    AssemblyScript,
}

impl fmt::Display for Language {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Rust => "rust",
            Self::TypeScript => "typescript",
            Self::JavaScript => "javascript",
            Self::Python => "python",
            Self::Go => "go",
            Self::C => "c",
            Self::Zig => "zig",
            Self::AssemblyScript => "assemblyscript",
        })
    }
}
