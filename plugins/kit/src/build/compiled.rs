//! Languages that become a core module first.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{BuildError, about, made};
use crate::componentize::componentize;
use crate::process::run;
use crate::project::Project;
use crate::toolchains::{NodeSet, PythonTool, Rust, TARGET, Toolchains};

/// Gives exports the names of the component ABI, which are no identifiers in AssemblyScript.
const RENAME: &str = include_str!("rename.mjs");

/// Bytes of stack. Zig's linker would reserve 16 MiB, which every fresh instance pays for.
const STACK: &str = "262144";

/// A crate with a `cdylib`.
pub(super) fn rust(project: &Project, toolchains: &Toolchains) -> Result<Vec<u8>, BuildError> {
    let rust = Rust::find()?;
    // One folder for all plugins of a user: the standard library may have to be built, once.
    let shared = toolchains.scratch("rust");
    let _alone = take_over(&shared, project)?;
    let mut cargo = rust.cargo_build();
    cargo.current_dir(&project.folder).args(["--release", "--message-format=json-render-diagnostics"]);
    let said = run(cargo.arg("--target-dir").arg(&shared))?;
    let manifest = project.folder.join("Cargo.toml");
    let module = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| artifact.manifest_path == manifest)
        .flat_map(|artifact| artifact.filenames)
        .find(|file| file.extension().is_some_and(|ending| ending == "wasm"))
        .ok_or(BuildError::Nothing("the package has no library with crate-type = [\"cdylib\"]"))?;
    Ok(componentize(&made(&module)?, &project.world)?)
}

/// Makes the shared folder this plugin's until the file returned is closed.
///
/// Cargo names modules after their crate only, so that plugins of the same crate name overwrite each other's, and takes
/// what lies there for its own. So nothing of another plugin may lie there.
fn take_over(shared: &Path, project: &Project) -> Result<File, BuildError> {
    fs::create_dir_all(shared).map_err(about(shared))?;
    let lock_file = shared.join("lock");
    let lock = File::create(&lock_file).map_err(about(&lock_file))?;
    lock.lock().map_err(about(&lock_file))?;
    let owner_file = shared.join("owner");
    let owner = project.folder.display().to_string();
    if fs::read_to_string(&owner_file).is_ok_and(|last| last == owner) {
        return Ok(lock);
    }
    let modules = shared.join(TARGET).join("release/deps");
    for entry in fs::read_dir(&modules).into_iter().flatten().flatten() {
        let file = entry.path();
        if file.extension().is_some_and(|ending| ending == "wasm") {
            fs::remove_file(&file).map_err(about(&file))?;
        }
    }
    fs::write(&owner_file, owner).map_err(about(&owner_file))?;
    Ok(lock)
}

/// What cargo says of a thing that it made.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    filenames: Vec<PathBuf>,
}

/// A module with `package main` in its folder.
pub(super) fn go(project: &Project, toolchains: &Toolchains) -> Result<Vec<u8>, BuildError> {
    let mut go = Command::new(toolchains.python_tool(PythonTool::GO)?);
    go.current_dir(&project.folder)
        .args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", "build/core.wasm", "."])
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("GOTOOLCHAIN", "local")
        .env("GOCACHE", toolchains.scratch("go"))
        .env_remove("GOFLAGS");
    run(&mut go)?;
    core(project)
}

/// Every `.c` file of the folder.
pub(super) fn c(project: &Project, toolchains: &Toolchains) -> Result<Vec<u8>, BuildError> {
    let mut sources: Vec<OsString> = fs::read_dir(&project.folder)
        .map_err(about(&project.folder))?
        .filter_map(|file| file.ok().map(|file| file.file_name()))
        .filter(|name| name.to_string_lossy().ends_with(".c"))
        .collect();
    sources.sort();
    let mut cc = zig_command(project, toolchains)?;
    cc.args(["cc", "-target", "wasm32-wasi", "-Os", "-s", "-mexec-model=reactor", "-Wall", "-Wextra"]);
    cc.arg(format!("-Wl,-z,stack-size={STACK}"));
    run(cc.args(sources).args(["-o", "build/core.wasm"]))?;
    core(project)
}

/// `plugin.zig`, and what it imports.
pub(super) fn zig(project: &Project, toolchains: &Toolchains) -> Result<Vec<u8>, BuildError> {
    let mut zig = zig_command(project, toolchains)?;
    zig.args([
        "build-exe",
        "plugin.zig",
        "-target",
        "wasm32-freestanding",
        "-O",
        "ReleaseSmall",
        "-fno-entry",
    ]);
    run(zig.args(["--stack", STACK, "-rdynamic", "-fstrip", "-femit-bin=build/core.wasm"]))?;
    core(project)
}

fn zig_command(project: &Project, toolchains: &Toolchains) -> Result<Command, BuildError> {
    let mut zig = Command::new(toolchains.python_tool(PythonTool::ZIG)?);
    let cache = toolchains.scratch("zig");
    zig.current_dir(&project.folder);
    zig.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", cache.join("local"));
    Ok(zig)
}

/// `plugin.ts`, and what it imports.
pub(super) fn assemblyscript(project: &Project, toolchains: &Toolchains) -> Result<Vec<u8>, BuildError> {
    let asc = toolchains.node_set(NodeSet::ASSEMBLYSCRIPT)?.join("asc");
    let rename = project.build_folder().join("rename.mjs");
    fs::write(&rename, RENAME).map_err(about(&rename))?;
    let mut command = Command::new(asc);
    command.current_dir(&project.folder);
    // The stub run-time never frees by itself: the plugin resets its heap after each call.
    command.args([
        "plugin.ts",
        "-O3",
        "--runtime",
        "stub",
        "--use",
        "abort=",
        "--transform",
        "./build/rename.mjs",
    ]);
    run(command.args(["--outFile", "build/core.wasm"]))?;
    core(project)
}

/// Makes the component of `build/core.wasm`.
fn core(project: &Project) -> Result<Vec<u8>, BuildError> {
    Ok(componentize(&made(&project.build_folder().join("core.wasm"))?, &project.world)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    #[test]
    fn a_module_of_another_plugin_is_not_taken_for_ones_own() {
        let shared = tempfile::tempdir().unwrap();
        let deps = shared.path().join(TARGET).join("release/deps");
        fs::create_dir_all(&deps).unwrap();
        let module = deps.join("guard.wasm");
        let of = |folder: &str| Project {
            folder: PathBuf::from(folder),
            name: "guard".to_owned(),
            language: Language::Rust,
            world: "stream-guardrail-plugin".to_owned(),
        };
        drop(take_over(shared.path(), &of("/first")).unwrap());
        fs::write(&module, "first").unwrap();
        drop(take_over(shared.path(), &of("/first")).unwrap());
        assert!(module.exists(), "the same plugin's module was thrown away");
        drop(take_over(shared.path(), &of("/second")).unwrap());
        assert!(!module.exists(), "another plugin's module was kept");
    }
}
