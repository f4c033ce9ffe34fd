//! The templates, carried along like the WIT package.

use crate::language::Language;

/// Files by their path in a plugin's folder.
type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../templates/", $folder, "/", $file)))),+]
    };
}

/// What every plugin gets.
pub(crate) const SHARED: Files = &[
    ("cases/no-secrets.json", include_str!("../../templates/cases/no-secrets.json")),
    ("cases/hide.json", include_str!("../../templates/cases/hide.json")),
    // A dot file of the templates' folder would hide what is built there by accident.
    (".gitignore", "/build\n/target\n"),
];

/// The SDK that comes along with plugins in Rust.
pub(crate) const RUST_SDK: Files = include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// Returns a language's template.
pub(crate) fn of(language: Language) -> Files {
    match language {
        Language::Rust => files!("rust": "Cargo.toml", "README.md", "plugin.toml", "src/lib.rs"),
        Language::TypeScript => {
            files!("typescript": "README.md", "plugin.toml", "plugin.ts", "tidegate.d.ts", "tsconfig.json")
        }
        Language::JavaScript => files!("javascript": "README.md", "plugin.js", "plugin.toml"),
        Language::Python => files!("python": "README.md", "plugin.py", "plugin.toml"),
        Language::Go => files!(
            "go": "README.md",
            "bindings/tidegate_plugin_about/empty.s",
            "bindings/tidegate_plugin_about/wit_bindings.go",
            "bindings/tidegate_plugin_guardrail/empty.s",
            "bindings/tidegate_plugin_guardrail/wit_bindings.go",
            "bindings/tidegate_plugin_guardrail_stream/empty.s",
            "bindings/tidegate_plugin_guardrail_stream/wit_bindings.go",
            "bindings/tidegate_plugin_host/empty.s",
            "bindings/tidegate_plugin_host/wit_bindings.go",
            "bindings/tidegate_plugin_types/empty.s",
            "bindings/tidegate_plugin_types/wit_bindings.go",
            "bindings/wit/runtime/runtime.go",
            "bindings/wit/types/types.go",
            "go.mod",
            "guard/guard.go",
            "plugin.toml",
            "wit_exports.go",
        ),
        Language::C => {
            files!("c": "README.md", "plugin.c", "plugin.toml", "tidegate.c", "tidegate.h", "words.c", "words.h")
        }
        Language::Zig => files!("zig": "README.md", "abi.zig", "plugin.toml", "plugin.zig"),
        Language::AssemblyScript => {
            files!("assemblyscript": "README.md", "abi.ts", "plugin.toml", "plugin.ts", "words.ts")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use clap::ValueEnum;

    use super::*;

    fn found(folder: &Path, files: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found(&path, files);
            } else {
                files.insert(path);
            }
        }
    }

    #[test]
    fn every_file_of_a_template_is_carried() {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates");
        for language in Language::value_variants() {
            let folder = templates.join(language.to_string());
            let mut there = BTreeSet::new();
            found(&folder, &mut there);
            let carried = of(*language).iter().map(|(name, _)| folder.join(name)).collect();
            assert_eq!(there, carried, "{language}");
        }
        let mut cases = BTreeSet::new();
        found(&templates.join("cases"), &mut cases);
        let carried =
            SHARED.iter().map(|(name, _)| templates.join(name)).filter(|path| path.exists()).collect();
        assert_eq!(cases, carried);
    }
}
