//! Makes a component of a core module: embeds the world, and answers what is left of WASI without any import.
//!
//! Languages that come with a libc or a run-time of their own ask for `wasi_snapshot_preview1`. The usual adapter turns
//! that into a dozen imports that the gateway refuses, and in Go it traps when a collection starts while the host
//! allocates. `wasi_stub.wat` answers instead: clocks that only count, random bytes that are the same in every instance,
//! output that goes nowhere, no files. Plugins have `now-ms`, `random` and `log` of the host.

use thiserror::Error;
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, embed_component_metadata};

use crate::wit;

const WASI_STUB: &str = include_str!("wasi_stub.wat");

/// What all imports of a plugin begin with.
const OURS: &str = "tidegate:plugin/";

/// Why no component came out.
#[derive(Debug, Error)]
pub enum ComponentizeError {
    /// The WIT package or the world.
    #[error("read the WIT package: {0}")]
    Wit(String),
    /// The core module does not fit the world.
    #[error("make a component: {0}")]
    Encode(String),
    /// The component asks for what no gateway lends.
    #[error("make a plugin: it imports {}, and only {OURS}* may be imported", .0.join(", "))]
    Imports(Vec<String>),
}

/// Returns the component of a core module that has the exports of a world, like `stream-guardrail-plugin`.
///
/// # Errors
/// See [`ComponentizeError`].
pub fn componentize(core: &[u8], world: &str) -> Result<Vec<u8>, ComponentizeError> {
    let mut core = core.to_vec();
    let (without_world, _) = wit_component::metadata::decode(&core).map_err(encode)?;
    // Rust's bindings have put their world in already.
    if without_world.is_none() {
        let (resolve, package) = wit::resolve()?;
        let world = resolve
            .select_world(&[package], Some(world))
            .map_err(|error| ComponentizeError::Wit(format!("{error:#}")))?;
        embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false).map_err(encode)?;
    }
    let stub = wat::parse_str(WASI_STUB).map_err(|error| ComponentizeError::Encode(error.to_string()))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .and_then(|encoder| encoder.adapter("wasi_snapshot_preview1", &stub))
        .and_then(ComponentEncoder::encode)
        .map_err(encode)
}

/// Checks that a component imports nothing but Tidegate's interfaces.
///
/// # Errors
/// [`ComponentizeError::Imports`] with what else it imports.
pub fn only_ours(component: &[u8]) -> Result<(), ComponentizeError> {
    let foreign: Vec<String> =
        imports(component)?.into_iter().filter(|name| !name.starts_with(OURS)).collect();
    if foreign.is_empty() { Ok(()) } else { Err(ComponentizeError::Imports(foreign)) }
}

/// Returns the names of what a component imports.
///
/// # Errors
/// When it is no component.
pub fn imports(component: &[u8]) -> Result<Vec<String>, ComponentizeError> {
    match wit_component::decode(component).map_err(encode)? {
        DecodedWasm::Component(resolve, world) => {
            let imports = resolve.worlds.get(world).into_iter().flat_map(|world| world.imports.keys());
            Ok(imports.map(|key| resolve.name_world_key(key)).collect())
        }
        DecodedWasm::WitPackage(..) => {
            Err(ComponentizeError::Encode("a WIT package is no component".to_owned()))
        }
    }
}

fn encode(error: impl std::fmt::Display) -> ComponentizeError {
    ComponentizeError::Encode(format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of the smallest world, asking for some of WASI.
    const CORE: &str = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "tidegate:plugin/about@0.1.0#describe") (result i32) i32.const 0)
        (func (export "tidegate:plugin/guardrail@0.1.0#check") (param i32) (result i32) i32.const 0))"#;

    #[test]
    fn a_module_that_asks_for_wasi_becomes_a_component_that_does_not() {
        let core = wat::parse_str(CORE).unwrap();
        let component = componentize(&core, "guardrail-plugin").unwrap();
        only_ours(&component).unwrap();
        let imports = imports(&component).unwrap();
        assert!(imports.iter().all(|name| name.starts_with("tidegate:plugin/")), "{imports:?}");
    }

    #[test]
    fn a_missing_export_is_named() {
        let core = wat::parse_str(CORE).unwrap();
        let error = componentize(&core, "stream-guardrail-plugin").unwrap_err().to_string();
        assert!(error.contains("guardrail-stream"), "{error}");
    }

    #[test]
    fn an_unknown_world_is_named() {
        let core = wat::parse_str(CORE).unwrap();
        let error = componentize(&core, "guard-plugin").unwrap_err().to_string();
        assert!(error.contains("guard-plugin"), "{error}");
    }

    #[test]
    fn foreign_imports_are_refused_by_name() {
        let component = wat::parse_str(
            r#"(component (import "wasi:http/types@0.2.0" (instance)) (import "tidegate:plugin/types@0.1.0" (instance)))"#,
        );
        let error = only_ours(&component.unwrap()).unwrap_err().to_string();
        assert!(error.contains("wasi:http/types@0.2.0") && !error.contains("plugin/types"), "{error}");
    }
}
