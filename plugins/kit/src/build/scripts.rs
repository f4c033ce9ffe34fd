//! Languages that travel with their interpreter: Python, JavaScript and TypeScript.

use std::path::Path;
use std::process::Command;

use super::{BuildError, made};
use crate::process::run;
use crate::project::Project;
use crate::toolchains::{NodeSet, PythonTool, Toolchains};

/// `plugin.py`, and what it imports from its folder.
pub(super) fn python(project: &Project, toolchains: &Toolchains) -> Result<Vec<u8>, BuildError> {
    let tool = toolchains.python_tool(PythonTool::COMPONENTIZE_PY)?;
    let out = project.build_folder();
    let start = || {
        let mut command = Command::new(&tool);
        command.current_dir(&project.folder).args(["-w", &project.world, "-d"]).arg(out.join("wit"));
        command
    };
    // For editors and type checkers; the component has its own.
    let types = out.join("types");
    if !types.exists() {
        run(start().arg("bindings").arg(&types))?;
    }
    let made_file = out.join("stubbed.wasm");
    // Without -s the component asks for 25 interfaces of WASI.
    run(start().args(["componentize", "-s", "plugin", "-p", ".", "-o"]).arg(&made_file))?;
    made(&made_file)
}

/// `plugin.js`, and what it imports from its folder.
pub(super) fn javascript(project: &Project, toolchains: &Toolchains) -> Result<Vec<u8>, BuildError> {
    quickjs(project, toolchains, &project.folder)
}

/// What `tsconfig.json` names, with `plugin.ts` first.
pub(super) fn typescript(project: &Project, toolchains: &Toolchains) -> Result<Vec<u8>, BuildError> {
    let tsc = toolchains.node_set(NodeSet::JAVASCRIPT)?.join("tsc");
    let scripts = project.build_folder().join("js");
    run(Command::new(tsc).arg("--project").arg(&project.folder).arg("--outDir").arg(&scripts))?;
    quickjs(project, toolchains, &scripts)
}

fn quickjs(project: &Project, toolchains: &Toolchains, scripts: &Path) -> Result<Vec<u8>, BuildError> {
    let tool = toolchains.node_set(NodeSet::JAVASCRIPT)?.join("componentize-qjs");
    let made_file = project.build_folder().join("stubbed.wasm");
    let mut command = Command::new(tool);
    // Without --sync only hosts with asynchronous components could call it.
    command
        .args(["--sync", "--stub-wasi", "--world", &project.world])
        .arg("--wit")
        .arg(project.build_folder().join("wit"));
    command
        .arg("--module-root")
        .arg(scripts)
        .arg("--js")
        .arg(scripts.join("plugin.js"))
        .arg("--output")
        .arg(&made_file);
    run(&mut command)?;
    made(&made_file)
}
