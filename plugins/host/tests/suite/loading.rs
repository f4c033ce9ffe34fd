//! What becomes a plugin, and what is refused with which reason.

use std::sync::Arc;

use tidegate_plugin_host::{CallError, Grants, LoadError, Setup};

use crate::guest::{Guest, check_info};
use crate::{HOST, check, limits, load, load_with, refusal, run};

#[test]
fn a_plugin_tells_what_it_is() {
    let mut guest = Guest::passes().with_condition("(i32.const 0)");
    guest.manifest.wants = ["messages", "http", "header:x-team"].map(str::to_owned).into();
    let expected = guest.manifest.clone();
    let bytes = guest.build();
    let plugin = HOST.load(&bytes, Setup::default()).unwrap();
    assert_eq!(plugin.manifest(), &expected);
    assert_eq!(plugin.digest().len(), 64);
    assert!(plugin.wants("messages") && !plugin.wants("params") && !plugin.wants("http"));
    assert!(plugin.check_info("check").is_some() && plugin.condition_info("when").is_some());
}

#[test]
fn what_is_no_component_is_refused() {
    for bytes in [&b"not wasm"[..], &wat::parse_str("(module)").unwrap(), b"(component)"] {
        assert!(matches!(HOST.load(bytes, Setup::default()), Err(LoadError::NotAComponent(_))));
    }
}

#[test]
fn another_version_of_the_interface_is_refused_by_name() {
    let mut guest = Guest::passes();
    guest.change_wit = |_, text| text.replace("0.1.0", "0.9.0");
    let error = refusal(guest, Setup::default());
    let LoadError::UnknownVersion { found, .. } = &error else { panic!("{error:?}") };
    assert_eq!(found, "tidegate:plugin@0.9.0");
}

#[test]
fn a_later_patch_version_works() {
    let mut guest = Guest::passes();
    guest.change_wit = |_, text| text.replace("0.1.0", "0.1.9");
    let plugin = load(guest);
    assert!(run(check(&plugin, "text")).is_ok());
}

#[test]
fn functions_of_other_types_are_refused() {
    let mut guest = Guest::passes();
    // What a guest built against a changed interface exports under the same version.
    guest.change_wit = |name, text| match name {
        "types.wit" => text.replacen("        pass,", "        pass,\n        later,", 1),
        _ => text,
    };
    let error = refusal(guest, Setup::default());
    let LoadError::Compile(message) = &error else { panic!("{error:?}") };
    assert!(message.contains("cases"), "{message}");
}

#[test]
fn wasi_imports_are_refused_by_name() {
    let mut guest = Guest::passes();
    guest.world_imports.push("wasi:random/random@0.2.0".to_owned());
    guest.imports.push_str(r#"(import "wasi:random/random@0.2.0" "get" (func (result i32)))"#);
    let error = refusal(guest, Setup::default());
    let LoadError::UnknownImport { import } = &error else { panic!("{error:?}") };
    assert_eq!(import, "wasi:random/random@0.2.0");
}

#[test]
fn functions_that_the_host_does_not_have_are_refused_by_name() {
    let mut guest = Guest::passes().importing("host", "sleep", "");
    guest.change_wit = |name, text| match name {
        "host.wit" => text.replacen("interface host {", "interface host {\n sleep: func();", 1),
        _ => text,
    };
    let error = refusal(guest, Setup::default());
    let LoadError::UnknownImport { import } = &error else { panic!("{error:?}") };
    assert_eq!(import, "tidegate:plugin/host@0.1.0#sleep");
}

#[test]
fn powers_must_be_granted_and_wanted() {
    let guest = || {
        let mut guest = Guest::passes().importing("kv", "delete", "(param i32 i32 i32)");
        guest.manifest.wants = vec!["kv".to_owned()];
        guest
    };
    let granted = || Setup { grants: Grants { kv: true, ..Grants::default() }, ..Setup::default() };
    let error = refusal(guest(), Setup::default());
    assert!(matches!(error, LoadError::NotGranted { power: "kv", .. }), "{error:?}");
    let mut unwanted = guest();
    unwanted.manifest.wants.clear();
    let error = refusal(unwanted, granted());
    assert!(matches!(error, LoadError::NotWanted { power: "kv", .. }), "{error:?}");
    assert!(load_with(guest(), granted()).wants("kv"));
}

#[test]
fn a_power_that_a_plugin_may_do_without_is_refused_call_by_call() {
    let mut guest = Guest::passes().importing("kv", "delete", "(param i32 i32 i32)");
    guest.manifest.wants = vec!["kv?".to_owned(), "header:*".to_owned()];
    let headers = ["x-team".to_owned()].into();
    let plugin =
        load_with(guest, Setup { grants: Grants { headers, ..Grants::default() }, ..Setup::default() });
    assert!(!plugin.wants("kv"));
    assert!(plugin.wants("header:x-team") && !plugin.wants("header:cookie"));
}

#[test]
fn manifests_that_lie_are_refused() {
    let mut streams = Guest::passes();
    streams.manifest.checks[0].streams = true;
    let mut conditions = Guest::passes().with_condition("(i32.const 0)");
    conditions.matches = None;
    let mut checks = Guest::passes().with_condition("(i32.const 0)");
    checks.check = None;
    let mut twice = Guest::passes();
    twice.manifest.checks.push(check_info("check"));
    let mut id = Guest::passes();
    id.manifest.id = "../../etc".to_owned();
    for guest in [streams, conditions, checks, twice, id] {
        let manifest = guest.manifest.clone();
        let error = refusal(guest, Setup::default());
        assert!(matches!(error, LoadError::Manifest(_)), "{manifest:?}: {error:?}");
    }
}

#[test]
fn a_plugin_that_breaks_down_while_described_is_refused() {
    let mut traps = Guest::passes();
    traps.describe = Some("(unreachable)".to_owned());
    let error = refusal(traps, Setup::default());
    assert!(matches!(error, LoadError::Describe(CallError::Trap { .. })), "{error:?}");
    let mut loops = Guest::passes();
    loops.describe = Some("(loop $again (br $again)) (unreachable)".to_owned());
    let error = refusal(loops, limits(|limits| limits.total_ms = 100));
    assert!(matches!(error, LoadError::Describe(CallError::Deadline)), "{error:?}");
}

#[test]
fn a_plugin_that_needs_more_memory_than_allowed_is_refused_when_loaded() {
    let mut guest = Guest::passes();
    guest.pages = 200;
    let error = refusal(guest, limits(|limits| limits.memory = 8 << 20));
    assert!(matches!(error, LoadError::Resources { what: "bytes of memory", .. }), "{error:?}");
}

#[test]
fn loading_works_inside_of_a_runtime() {
    let bytes = Guest::passes().build();
    run(async {
        let plugin = HOST.load(&bytes, Setup::default()).unwrap();
        assert!(check(&plugin, "text").await.is_ok());
    });
}

#[test]
fn a_replaced_plugin_is_freed_when_its_last_call_ends() {
    let first = load(Guest::passes());
    let old = Arc::downgrade(&first);
    let set = tidegate_plugin_host::PluginSet::default().with(first);
    let held = set.clone();
    let second = load(Guest::passes());
    let set = {
        let before = set;
        before.with(Arc::clone(&second))
    };
    assert!(Arc::ptr_eq(set.get("guest").unwrap(), &second));
    assert_eq!((set.len(), set.without("guest").len()), (1, 0));
    assert!(old.upgrade().is_some(), "a request still holds the old set");
    let plugin = Arc::clone(held.get("guest").unwrap());
    drop(held);
    assert!(run(check(&plugin, "text")).is_ok());
    drop(plugin);
    assert!(old.upgrade().is_none(), "nobody holds the old plugin any more");
}
