//! Who may know whom: arrows point down only.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// The modules of the router that files of one module name, outside their tests.
fn names(module: &str) -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&root().join("router/src").join(module), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for part in code.split("crate::").skip(1) {
            names.insert(part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect());
        }
    }
    names.remove(module);
    names
}

#[test]
fn modules_of_the_router_point_down_only() {
    for (module, may_use) in [
        ("limits", &[][..]),
        ("routing", &["limits"]),
        ("upstream", &[]),
        ("versions", &[]),
        ("cluster", &["clock", "limits"]),
        // Of `upstream` only what the requests to a provider have in common.
        ("actors", &["cluster", "limits", "clock", "scopes", "upstream", "versions"]),
        ("governance", &["actors", "secret", "settings", "upstream"]),
        (
            "admin",
            &[
                "api",
                "clock",
                "configs",
                "error",
                "gateway",
                "governance",
                "models",
                "notices",
                "pipeline",
                "provision",
                "scopes",
                "secret",
                "server",
                "settings",
                "upstream",
            ],
        ),
        ("configs", &["actors", "clock", "secret"]),
        ("plugins", &["actors", "clock", "gateway", "settings", "versions"]),
        ("settings", &["actors", "scopes", "upstream"]),
        ("cache", &["clock", "settings"]),
        (
            "pipeline",
            &[
                "actors",
                "boxed",
                "cache",
                "clock",
                "error",
                "gateway",
                "governance",
                "limits",
                "money",
                "plugins",
                "routing",
                "scopes",
                "secret",
                "settings",
                "upstream",
            ],
        ),
        (
            "api",
            &[
                "actors",
                "admin",
                "clock",
                "configs",
                "error",
                "governance",
                "limits",
                "pipeline",
                "plugins",
                "provision",
                "server",
                "settings",
                "upstream",
            ],
        ),
    ] {
        let named = names(module);
        let more: Vec<&String> = named.iter().filter(|name| !may_use.contains(&name.as_str())).collect();
        assert!(more.is_empty(), "{module} may not use {more:?}");
    }
}

#[test]
fn packages_below_the_router_stay_free_of_it() {
    for (package, banned) in [
        ("providers", &["tokio", "actix", "hyper", "tidegate-store", "rusqlite"][..]),
        ("router/store", &["actix", "hyper", "tidegate-providers"]),
        ("router/prices", &["actix", "hyper", "tokio"]),
        ("router/leases", &["actix", "hyper", "tidegate-"]),
        ("router/memory", &["actix", "tokio", "tidegate-"]),
        ("router/notify", &["actix", "tidegate-"]),
        ("router/import", &["actix", "hyper", "tokio", "tidegate-store"]),
        ("router/config", &["actix", "hyper", "tokio", "tidegate-store"]),
        ("plugin-sdk", &["actix", "hyper", "tokio", "wasmtime"]),
    ] {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).expect("a manifest");
        let needed = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for name in banned {
            let named = needed.lines().any(|line| line.split(['.', ' ', '=']).next() == Some(*name));
            assert!(!named, "{package} may not depend on {name}");
        }
    }
}
