//! What the checked-in components ask of the host: the linker leaves out what a plugin does not use.

use std::path::PathBuf;

use wit_component::DecodedWasm;

/// Names of the interfaces that a component imports and exports, without package and version.
fn interfaces(name: &str) -> (Vec<String>, Vec<String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../plugins/{name}/{name}.wasm"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes).unwrap() else {
        panic!("{name} is no component")
    };
    let world = &resolve.worlds[world];
    let names = |items: &mut dyn Iterator<Item = String>| {
        let names = items.map(|item| {
            let inner = item.strip_prefix("tidegate:plugin/").and_then(|item| item.strip_suffix("@0.1.0"));
            inner.unwrap_or(&item).to_owned()
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    (
        names(&mut world.imports.keys().map(|key| resolve.name_world_key(key))),
        names(&mut world.exports.keys().map(|key| resolve.name_world_key(key))),
    )
}

#[test]
fn guards_that_ask_nobody_import_the_host_only() {
    for name in ["pii", "secrets", "topics", "prompt"] {
        assert_eq!(interfaces(name).0, ["host", "types"], "{name}");
    }
}

#[test]
fn powers_are_imported_where_they_are_used() {
    assert_eq!(interfaces("default").0, ["host", "http", "kv", "types"]);
}

#[test]
fn every_plugin_exports_the_whole_interface() {
    for name in ["default", "pii", "secrets", "topics", "prompt"] {
        assert_eq!(interfaces(name).1, ["about", "condition", "guardrail", "guardrail-stream"], "{name}");
    }
}
