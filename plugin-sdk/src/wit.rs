//! The WIT package is valid, and its types are those of this crate: a name that is changed on one side only fails here.

use std::path::PathBuf;

use wit_parser::{InterfaceId, PackageId, Resolve, TypeDefKind, UnresolvedPackageGroup, WorldItem};

use crate::host::Level;
use crate::http::{HttpRequest, HttpResponse};
use crate::{
    CallView, CheckError, CheckInfo, ConditionInfo, Hook, Judgement, Manifest, Mask, Message, Piece, Reason,
    Span, StreamWindow, Subject, ToolCall, Verdict, WindowAnswer, WindowNeeds, WindowVerdict,
};

fn package() -> (Resolve, PackageId) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wit/since_v0_1");
    let group = UnresolvedPackageGroup::parse_dir(&folder).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).unwrap();
    (resolve, package)
}

/// Names of fields or cases of a type, as Rust writes fields.
fn members(resolve: &Resolve, interface: InterfaceId, name: &str) -> Vec<String> {
    let id = resolve.interfaces[interface].types.get(name).unwrap_or_else(|| panic!("no type {name}"));
    let names: Vec<&str> = match &resolve.types[*id].kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| field.name.as_str()).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().map(|case| case.name.as_str()).collect(),
        TypeDefKind::Enum(list) => list.cases.iter().map(|case| case.name.as_str()).collect(),
        other => panic!("{name} is {other:?}"),
    };
    names.into_iter().map(|name| name.replace('-', "_")).collect()
}

/// Returns the fields of a struct in order. A field that is missing here, or too many, does not compile.
macro_rules! fields {
    ($name:ident { $($field:ident),* }) => {{
        let _all = |value: $name| { let $name { $($field: _),* } = value; };
        vec![$(stringify!($field)),*]
    }};
}

/// Returns the cases of an enum in order; as strict as `fields!`.
macro_rules! cases {
    ($name:ident { $($case:ident $(($inner:tt))?),* }) => {{
        let _all = |value: $name| match value { $($name::$case $(($inner))? => {}),* };
        vec![$(stringify!($case)),*]
    }};
}

#[test]
fn types_are_the_same_in_wit_and_rust() {
    let (resolve, package) = package();
    let interfaces = &resolve.packages[package].interfaces;
    let same = |interface: &str, name: &str, rust: Vec<&str>| {
        let lower: Vec<String> = rust.iter().map(|name| name.to_lowercase()).collect();
        assert_eq!(members(&resolve, interfaces[interface], name), lower, "{name}");
    };
    same("types", "tool-call", fields!(ToolCall { id, name, arguments_json }));
    same("types", "message", fields!(Message { role, text, tool_calls, tool_call_id, parts_json, extra }));
    same(
        "types",
        "call-view",
        fields!(CallView { endpoint, model, provider, messages, params_json, metadata, user, stream, extra }),
    );
    same("types", "hook", cases!(Hook { Input, Output }));
    same("types", "piece", fields!(Piece { kind, role, index, text }));
    same("types", "subject", fields!(Subject { hook, call, pieces, body_json, extra }));
    same("types", "span", fields!(Span { start, end, replacement }));
    same("types", "mask", fields!(Mask { piece, spans }));
    same("types", "reason", fields!(Reason { code, message }));
    same("types", "verdict", cases!(Verdict { Pass, Mask(_), Rewrite(_), Fail(_), Block(_) }));
    same("types", "judgement", fields!(Judgement { verdict, data_json }));
    same("types", "window-verdict", cases!(WindowVerdict { Pass, Mask(_), Fail(_), Block(_) }));
    same("types", "check-error", fields!(CheckError { name, message, data_json }));
    same("types", "window-needs", fields!(WindowNeeds { lookahead, overlap }));
    same(
        "types",
        "check-info",
        fields!(CheckInfo { name, hooks, streams, mutates, params_schema_json, extra }),
    );
    same("types", "condition-info", fields!(ConditionInfo { name, params_schema_json, extra }));
    same("types", "manifest", fields!(Manifest { id, version, checks, conditions, wants, extra }));
    same(
        "guardrail-stream",
        "stream-window",
        fields!(StreamWindow { text, overlap, last, kind, index, state }),
    );
    same("guardrail-stream", "window-answer", fields!(WindowAnswer { verdict, state, data_json }));
    same("host", "level", cases!(Level { Debug, Info, Warn, Error }));
    same("http", "http-request", fields!(HttpRequest { method, url, headers, body, timeout_ms }));
    same("http", "http-response", fields!(HttpResponse { status, headers, body }));
}

#[test]
fn worlds_import_and_export_named_interfaces_only() {
    let (resolve, package) = package();
    let package = &resolve.packages[package];
    assert_eq!(package.name.to_string(), "tidegate:plugin@0.1.0");
    let worlds: Vec<&str> = package.worlds.keys().map(String::as_str).collect();
    assert_eq!(worlds, ["guardrail-plugin", "stream-guardrail-plugin", "condition-plugin", "full-plugin"]);
    for id in package.worlds.values() {
        let world = &resolve.worlds[*id];
        // Functions of a world itself carry no version, so that a host could not tell which one is meant.
        for item in world.imports.values().chain(world.exports.values()) {
            assert!(matches!(item, WorldItem::Interface { .. }), "{}: {item:?}", world.name);
        }
    }
}
