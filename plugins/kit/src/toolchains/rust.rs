//! Rust for `wasm32-unknown-unknown`: rustup's target where it is installed, else Debian's rustc-web, which comes with
//! the sources of the standard library and builds it on the way.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ToolchainError;
use crate::process;

/// What guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const DEBIANS_RUSTC: &str = "/usr/bin/rustc";
const DEBIANS_CARGO: &str = "/usr/bin/cargo";
/// What the SDK asks for.
const OLDEST_DEBIAN: (u32, u32) = (1, 95);

/// A Rust that compiles guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rust {
    /// The one in the path has the target.
    InPath,
    /// Debian's, with a standard library built from source.
    Debian,
}

impl Rust {
    /// Returns the first of the two that is there.
    pub(crate) fn find() -> Result<Self, ToolchainError> {
        if libraries("rustc").is_some_and(|folder| folder.is_dir()) {
            return Ok(Self::InPath);
        }
        if debian_is_complete() {
            return Ok(Self::Debian);
        }
        Err(ToolchainError::Missing {
            what: "Rust's target wasm32-unknown-unknown",
            how: "run `rustup target add wasm32-unknown-unknown`, or on Debian `apt-get install rustc-web cargo-web \
                  rust-web-src rust-web-llvm` and the lld package that /usr/bin/rust-lld points to, like lld-22",
        })
    }

    /// Returns `cargo build` with this Rust for the target, without a profile.
    pub(crate) fn cargo_build(self) -> Command {
        let mut cargo = Command::new(if self == Self::Debian { DEBIANS_CARGO } else { "cargo" });
        cargo.args(["build", "--target", TARGET]);
        // What an outer cargo sets for the programs that it runs names its own toolchain.
        for name in ["RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
            cargo.env_remove(name);
        }
        if self == Self::Debian {
            // Debian's cargo would find rustup's compiler first. The standard library is built with unstable flags, which
            // a stable compiler takes only from those who build the standard library.
            cargo.env("RUSTC", DEBIANS_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            cargo.arg("-Zbuild-std=std,panic_abort");
        }
        cargo
    }
}

/// Returns where a compiler keeps the target's libraries, whether they are there or not.
fn libraries(rustc: &str) -> Option<PathBuf> {
    let mut ask = Command::new(rustc);
    ask.args(["--print", "target-libdir", "--target", TARGET]);
    let said = process::run(&mut ask).ok()?;
    Some(PathBuf::from(said.trim()))
}

fn debian_is_complete() -> bool {
    let Ok(said) = process::run(Command::new(DEBIANS_RUSTC).arg("--version")) else { return false };
    let sources = Path::new("/usr/lib/rustlib/src/rust/library/vendor");
    version(&said).is_some_and(|version| version >= OLDEST_DEBIAN)
        && sources.is_dir()
        && Path::new(DEBIANS_CARGO).exists()
        // rust-web-llvm's link, which points nowhere until lld is there.
        && Path::new("/usr/bin/rust-lld").exists()
}

/// Returns the first two numbers of what `rustc --version` says.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("rustc 1.96.0 (ac68faa20 2026-05-25)"), Some((1, 96)));
        assert!(version("rustc 1.100.0-nightly") > version("rustc 1.85.1"));
        assert_eq!(version("cannot find it"), None);
    }
}
