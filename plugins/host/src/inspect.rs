//! What a component's bytes say before anything of it is compiled: is it one, for which version of the interface,
//! and what does it import.

use wasmparser::{Encoding, Parser, Payload};

use crate::LoadError;
use crate::bindings::{Exports, SUPPORTED, Version};

/// Bytes of a component. CPython in a plugin makes 18 MB.
pub(crate) const MAX_BYTES: usize = 64 << 20;

const PACKAGE: &str = "tidegate:plugin/";

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) version: Version,
    pub(crate) exports: Exports,
    /// Imports of powers, with their full names.
    pub(crate) powers: Vec<(&'static str, String)>,
}

/// Reads imports and exports, and refuses what no plugin may import.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Found, LoadError> {
    if bytes.len() > MAX_BYTES {
        return Err(LoadError::TooLarge { bytes: bytes.len(), limit: MAX_BYTES });
    }
    let (imports, exports) = names(bytes)?;
    let version = version(imports.iter().chain(&exports))?;
    let export =
        |interface: &str| exports.iter().any(|name| split(name).is_some_and(|(found, _)| found == interface));
    if !export("about") {
        return Err(LoadError::NotAPlugin);
    }
    let found_exports = Exports {
        guardrail: export("guardrail"),
        stream: export("guardrail-stream"),
        condition: export("condition"),
    };
    let mut powers = Vec::new();
    for name in imports {
        match split(&name).map(|(interface, _)| interface) {
            Some("host" | "types") => {}
            Some("http") => powers.push(("http", name)),
            Some("kv") => powers.push(("kv", name)),
            Some("models") => powers.push(("models", name)),
            _ => return Err(LoadError::UnknownImport { import: name }),
        }
    }
    Ok(Found { version, exports: found_exports, powers })
}

/// What every WebAssembly file begins with.
const MAGIC: &[u8] = b"\0asm";

/// Returns the names of the outermost component's imports and exports.
fn names(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), LoadError> {
    let broken = |error: wasmparser::BinaryReaderError| LoadError::NotAComponent(error.to_string());
    if !bytes.starts_with(MAGIC) {
        return Err(LoadError::NotAComponent("it does not begin as WebAssembly does".to_owned()));
    }
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(LoadError::NotAComponent("a core module: wrap it as a component".to_owned()));
            }
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

/// Returns the one version of our package that all names agree on.
fn version<'a>(names: impl Iterator<Item = &'a String>) -> Result<Version, LoadError> {
    let mut version = None;
    for (_, text) in names.filter_map(|name| split(name)) {
        let unknown =
            || LoadError::UnknownVersion { found: format!("tidegate:plugin@{text}"), supported: SUPPORTED };
        let found = Version::find(text).ok_or_else(unknown)?;
        if version.replace(found).is_some_and(|before| before != found) {
            return Err(unknown());
        }
    }
    version.ok_or(LoadError::NotAPlugin)
}

/// Splits `tidegate:plugin/host@0.1.0` into `host` and `0.1.0`.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_prefix(PACKAGE)?;
    Some(name.split_once('@').unwrap_or((name, "no version")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(text: &str) -> Result<Found, LoadError> {
        inspect(&wat::parse_str(text).unwrap())
    }

    #[test]
    fn bytes_that_are_no_component_are_refused_as_such() {
        for bytes in [&b""[..], b"hello", b"\0asm\x0d\0\x01\0garbage", &wat::parse_str("(module)").unwrap()] {
            let refused = inspect(bytes).map(|_| ()).unwrap_err();
            assert!(matches!(refused, LoadError::NotAComponent(_)), "{bytes:?}");
            assert!(!refused.to_string().contains('\n'), "{refused}");
        }
    }

    #[test]
    fn a_component_that_is_no_plugin_is_refused_as_such() {
        assert!(matches!(component("(component)"), Err(LoadError::NotAPlugin)));
        let other = r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#;
        assert!(matches!(component(other), Err(LoadError::NotAPlugin)));
        let partly = r#"(component (instance $i) (export "tidegate:plugin/guardrail@0.1.0" (instance $i)))"#;
        assert!(matches!(component(partly), Err(LoadError::NotAPlugin)));
    }

    #[test]
    fn patch_versions_are_served_and_others_named() {
        let about = |version: &str| {
            component(&format!(
                r#"(component (instance $i) (export "tidegate:plugin/about@{version}" (instance $i)))"#
            ))
        };
        assert_eq!(about("0.1.7").unwrap().version, Version::SinceV01);
        for version in ["0.9.0", "0.10.0", "1.0.0"] {
            let error = about(version).unwrap_err();
            assert!(error.to_string().contains(&format!("tidegate:plugin@{version}")), "{error}");
        }
    }

    #[test]
    fn names_of_inner_components_count_for_nothing() {
        let inner = r#"(component
            (component (import "wasi:cli/environment@0.2.0" (instance)))
            (instance $i) (export "tidegate:plugin/about@0.1.0" (instance $i)))"#;
        assert_eq!(component(inner).unwrap().powers, []);
    }
}
