//! Lists the files of the SDK for Rust, which new plugins in Rust are given: it is on no registry yet. The manifest's
//! references to this workspace are resolved, since there it stands alone.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use toml::{Table, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let sdk = root.join("plugin-sdk");
    println!("cargo::rerun-if-changed={}", sdk.display());
    println!("cargo::rerun-if-changed={}", root.join("Cargo.toml").display());
    let mut files = vec![sdk.join("README.md")];
    for folder in ["src", "wit"] {
        list(&sdk.join(folder), &mut files)?;
    }
    files.sort();
    let manifest = standing_alone(&fs::read_to_string(sdk.join("Cargo.toml"))?, &root)?;
    let mut code = format!("&[(\"sdk/Cargo.toml\", {manifest:?}),\n");
    for file in files {
        let name = Path::new("sdk").join(file.strip_prefix(&sdk)?);
        writeln!(code, "({name:?}, include_str!({file:?})),")?;
    }
    code.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("sdk.rs"), code)?;
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns a manifest without references to its workspace, and without what only its own tests need.
fn standing_alone(manifest: &str, root: &Path) -> Result<String, Box<dyn Error>> {
    let workspace: Table = fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let workspace = workspace.get("workspace").and_then(Value::as_table).ok_or("no workspace")?;
    let mut manifest: Table = manifest.parse()?;
    for unneeded in ["lints", "dev-dependencies", "example", "bench", "test"] {
        manifest.remove(unneeded);
    }
    resolve(&mut manifest, "package", workspace)?;
    resolve(&mut manifest, "dependencies", workspace)?;
    for (_, target) in manifest.get_mut("target").and_then(Value::as_table_mut).into_iter().flatten() {
        if let Some(target) = target.as_table_mut() {
            resolve(target, "dependencies", workspace)?;
        }
    }
    Ok(toml::to_string(&manifest)?)
}

/// Replaces `name.workspace = true` in a section by what the workspace says.
fn resolve(manifest: &mut Table, section: &str, workspace: &Table) -> Result<(), Box<dyn Error>> {
    for (name, value) in manifest.get_mut(section).and_then(Value::as_table_mut).into_iter().flatten() {
        let Some(reference) = value.as_table() else { continue };
        if reference.get("workspace").and_then(Value::as_bool) != Some(true) {
            continue;
        }
        let mut found = workspace.get(section).and_then(|section| section.get(name)).cloned();
        let found = found.as_mut().ok_or_else(|| format!("the workspace has no {section}.{name}"))?;
        if let (Some(features), Some(found)) =
            (reference.get("features").and_then(Value::as_array), found.as_table_mut())
        {
            let all = found.entry("features").or_insert_with(|| Value::Array(Vec::new()));
            all.as_array_mut().ok_or("features are a list")?.extend(features.iter().cloned());
        }
        *value = found.clone();
    }
    Ok(())
}
