//! Tools that npm carries, by lock files with checksums.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ToolchainError, Toolchains};
use crate::process::{self, ProcessError};

/// Packages of npm that belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeSet {
    /// Changes with the versions in the lock file.
    name: &'static str,
    package: &'static str,
    lock: &'static str,
}

impl NodeSet {
    /// QuickJS as a component, and the TypeScript compiler.
    pub(crate) const JAVASCRIPT: Self = Self {
        name: "componentize-qjs-0.4.5-typescript-7.0.2",
        package: include_str!("javascript/package.json"),
        lock: include_str!("javascript/package-lock.json"),
    };
    /// The AssemblyScript compiler.
    pub(crate) const ASSEMBLYSCRIPT: Self = Self {
        name: "assemblyscript-0.28.20",
        package: include_str!("assemblyscript/package.json"),
        lock: include_str!("assemblyscript/package-lock.json"),
    };
}

impl Toolchains {
    /// Returns the folder of a set's programs.
    pub(crate) fn node_set(&self, set: NodeSet) -> Result<PathBuf, ToolchainError> {
        let folder = self.folder(set.name, |folder| install(set, folder))?;
        Ok(folder.join("node_modules/.bin"))
    }
}

fn install(set: NodeSet, folder: &Path) -> Result<(), ToolchainError> {
    for program in ["node", "npm"] {
        if !process::has(program) {
            return Err(ToolchainError::Missing {
                what: program,
                how: "install Node 20 or newer with npm (https://nodejs.org)",
            });
        }
    }
    let failed = |source| ToolchainError::Install { what: set.name.to_owned(), source };
    for (name, text) in [("package.json", set.package), ("package-lock.json", set.lock)] {
        let start = |source| ProcessError::Start { program: format!("writing {name}"), source };
        fs::write(folder.join(name), text).map_err(start).map_err(failed)?;
    }
    let mut npm = Command::new("npm");
    // Not `npm ci`: it refuses locks of packages whose optional parts were not published for every platform.
    npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        .current_dir(folder);
    process::run(&mut npm).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_the_locked_versions() {
        for set in [NodeSet::JAVASCRIPT, NodeSet::ASSEMBLYSCRIPT] {
            let package: serde_json::Value = serde_json::from_str(set.package).unwrap();
            let wanted: Vec<String> = package["dependencies"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, version)| format!("{name}-{}", version.as_str().unwrap()))
                .collect();
            assert_eq!(set.name, wanted.join("-"));
            let lock: serde_json::Value = serde_json::from_str(set.lock).unwrap();
            assert_eq!(lock["packages"][""]["dependencies"], package["dependencies"]);
        }
    }
}
