//! The life of plugins in a running gateway: files in a folder, uploads, settings; never with a restart, and through one.

use std::fs;

use serde_json::{Value, json};
use tidegate_tests::{Gateway, Mock, Settings, wait};

use crate::support::{KEY, World, providers, world_with};

#[path = "../../plugins/host/tests/suite/guest.rs"]
#[expect(dead_code, reason = "the host's own tests use the rest")]
pub(crate) mod guest;

use guest::Guest;

fn guest(id: &str, version: &str) -> Guest {
    let mut guest = Guest::passes();
    guest.manifest.id = id.to_owned();
    guest.manifest.version = version.to_owned();
    guest
}

fn component(id: &str, version: &str) -> Vec<u8> {
    guest(id, version).build()
}

async fn world(more: &str) -> World {
    let mock = Mock::start();
    let settings = settings(&mock, more);
    world_with(mock, settings).await
}

fn settings(mock: &Mock, more: &str) -> Settings {
    providers(mock).key("tests", KEY, "").toml(more)
}

/// Puts a file into the plugin folder in one step.
fn drop_in(gateway: &Gateway, name: &str, bytes: &[u8]) {
    let folder = gateway.plugin_folder();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".new"), bytes).unwrap();
    fs::rename(folder.join(".new"), folder.join(name)).unwrap();
}

async fn list(gateway: &Gateway) -> Value {
    gateway.admin().get("/v1/plugins").send().await.expect(200).await
}

fn plugin<'a>(list: &'a Value, id: &str) -> &'a Value {
    let all = list["data"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    all.iter().find(|plugin| plugin["id"] == id).unwrap_or(&Value::Null)
}

/// Waits until a plugin looks like this, and returns it.
async fn until(gateway: &Gateway, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
    wait::until_async("the plugin to change", || async {
        let listed = list(gateway).await;
        let found = plugin(&listed, id);
        fits(found).then(|| found.clone())
    })
    .await
}

async fn until_version(gateway: &Gateway, id: &str, version: &str) -> Value {
    until(gateway, id, |plugin| plugin["version"] == version).await
}

async fn until_refused(gateway: &Gateway) -> Value {
    wait::until_async("a file to be refused", || async {
        let listed = list(gateway).await;
        listed["refused"].get(0).cloned()
    })
    .await
}

async fn upload(gateway: &Gateway, bytes: Vec<u8>, query: &str) -> (u16, Value) {
    let target = format!("/v1/plugins{query}");
    let request = gateway.admin().request("POST", &target).header("content-type", "application/wasm");
    let mut answer = request.body(bytes).send().await;
    let body = answer.json().await;
    (answer.status, body)
}

async fn post(gateway: &Gateway, target: &str, body: Value) -> (u16, Value) {
    let mut answer = gateway.admin().post(target, &body).send().await;
    let body = answer.json().await;
    (answer.status, body)
}

fn message(body: &Value) -> &str {
    body["error"]["message"].as_str().unwrap_or_else(|| panic!("no error in {body}"))
}

#[tokio::test]
async fn a_file_in_the_folder_is_a_plugin_until_it_goes() {
    let World { gateway, mock: _mock, .. } = world("").await;
    assert_eq!(*plugin(&list(&gateway).await, "guard"), Value::Null);
    drop_in(&gateway, "guard.wasm", &component("guard", "1.0.0"));
    let live = until_version(&gateway, "guard", "1.0.0").await;
    assert_eq!((&live["state"], &live["source"]), (&json!("live"), &json!("folder")), "{live}");
    assert_eq!(live["checks"][0]["id"], "guard.check", "{live}");
    assert_eq!(live["statistics"]["calls"], 0, "{live}");
    fs::rename(gateway.plugin_folder().join("guard.wasm"), gateway.plugin_folder().join("renamed.wasm"))
        .unwrap();
    let renamed = until(&gateway, "guard", |plugin| {
        assert_ne!(*plugin, Value::Null, "a renamed file was away");
        plugin["file"].as_str().is_some_and(|file| file.ends_with("renamed.wasm"))
    });
    renamed.await;
    fs::remove_file(gateway.plugin_folder().join("renamed.wasm")).unwrap();
    until(&gateway, "guard", Value::is_null).await;
}

#[tokio::test]
async fn a_replaced_file_replaces_its_plugin_and_the_old_version_is_freed() {
    let World { gateway, mock: _mock, .. } = world("").await;
    drop_in(&gateway, "guard.wasm", &component("guard", "1.0.0"));
    let old = until_version(&gateway, "guard", "1.0.0").await;
    // In place this time, as an editor or a copy writes.
    fs::write(gateway.plugin_folder().join("guard.wasm"), component("guard", "1.1.0")).unwrap();
    let new = until(&gateway, "guard", |plugin| {
        plugin["version"] == "1.1.0" && plugin["versions"][1]["in_use"] == false
    });
    let new = new.await;
    assert_ne!(old["digest"], new["digest"]);
    let versions = new["versions"].as_array().unwrap();
    assert_eq!((&versions[0]["state"], &versions[0]["in_use"]), (&json!("live"), &json!(true)), "{new}");
    assert_eq!((&versions[1]["state"], &versions[1]["in_use"]), (&json!("retired"), &json!(false)), "{new}");
    assert_eq!(versions[1]["digest"], old["digest"]);
}

#[tokio::test]
async fn a_bad_file_is_refused_with_its_reason_and_the_old_version_stays_even_through_a_restart() {
    let World { mut gateway, mock: _mock, .. } = world("").await;
    drop_in(&gateway, "guard.wasm", &component("guard", "1.0.0"));
    until_version(&gateway, "guard", "1.0.0").await;
    drop_in(&gateway, "guard.wasm", b"not at all");
    let refused = until_refused(&gateway).await;
    assert!(refused["file"].as_str().unwrap().ends_with("guard.wasm"), "{refused}");
    assert!(refused["reason"].as_str().unwrap().contains("not a WebAssembly component"), "{refused}");
    assert_eq!(plugin(&list(&gateway).await, "guard")["version"], "1.0.0");
    gateway.restart().await;
    until_version(&gateway, "guard", "1.0.0").await;
    until_refused(&gateway).await;
    drop_in(&gateway, "guard.wasm", &component("guard", "2.0.0"));
    until_version(&gateway, "guard", "2.0.0").await;
    assert_eq!(list(&gateway).await["refused"], json!([]));
    // Another file of the same plugin does not steal it.
    drop_in(&gateway, "other.wasm", &component("guard", "3.0.0"));
    let refused = until_refused(&gateway).await;
    assert!(refused["reason"].as_str().unwrap().contains("is in "), "{refused}");
    assert_eq!(plugin(&list(&gateway).await, "guard")["version"], "2.0.0");
    fs::remove_file(gateway.plugin_folder().join("guard.wasm")).unwrap();
    until_version(&gateway, "guard", "3.0.0").await;
}

#[tokio::test]
async fn an_upload_is_in_force_at_once_and_may_be_rolled_back_and_removed() {
    let World { gateway, mock: _mock, .. } = world("").await;
    let (status, first) = upload(&gateway, component("guard", "1.0.0"), "").await;
    assert_eq!((status, &first["id"], &first["active"]), (200, &json!("guard"), &json!(true)), "{first}");
    assert_eq!(plugin(&list(&gateway).await, "guard")["version"], "1.0.0");
    let (_, second) = upload(&gateway, component("guard", "2.0.0"), "?activate=false").await;
    assert_eq!(second["active"], false, "{second}");
    assert_eq!(plugin(&list(&gateway).await, "guard")["version"], "1.0.0");
    let (_, third) = upload(&gateway, component("guard", "3.0.0"), "").await;
    assert_eq!(plugin(&list(&gateway).await, "guard")["version"], "3.0.0");
    let beginning = &second["digest"].as_str().unwrap()[..12];
    let (status, _) = post(&gateway, "/v1/plugins/guard/activate", json!({ "digest": beginning })).await;
    assert_eq!((status, &plugin(&list(&gateway).await, "guard")["digest"]), (200, &second["digest"]));
    for (digest, version) in [(&third["digest"], "3.0.0"), (&first["digest"], "1.0.0")] {
        let (status, back) = post(&gateway, "/v1/plugins/guard/rollback", json!({})).await;
        assert_eq!((status, &back["digest"], &back["version"]), (200, digest, &json!(version)), "{back}");
    }
    let (status, error) = post(&gateway, "/v1/plugins/guard/rollback", json!({})).await;
    assert_eq!(status, 409, "{error}");
    assert!(message(&error).contains("no earlier version"), "{error}");
    let removed = gateway.admin().request("DELETE", "/v1/plugins/guard").send().await.expect(200).await;
    assert_eq!(removed["deleted"], true);
    let gone = gateway.admin().get("/v1/plugins/guard").send().await.expect(404).await;
    assert!(message(&gone).contains("no plugin \"guard\""), "{gone}");
}

#[tokio::test]
async fn changes_of_plugins_and_of_the_cache_are_in_the_audit_log() {
    let World { gateway, mock: _mock, .. } = world("").await;
    let (_, first) = upload(&gateway, component("guard", "1.0.0"), "").await;
    let (_, second) = upload(&gateway, component("guard", "2.0.0"), "").await;
    post(&gateway, "/v1/plugins/guard/rollback", json!({})).await;
    post(&gateway, "/v1/plugins/guard/activate", json!({"digest": second["digest"]})).await;
    assert_eq!(upload(&gateway, b"no plugin".to_vec(), "").await.0, 400);
    gateway.admin().request("DELETE", "/v1/plugins/guard").send().await.expect(200).await;
    gateway.admin().request("DELETE", "/v1/admin/cache").send().await.expect(200).await;
    let told = gateway.admin().get("/v1/audit-logs").send().await.expect(200).await;
    let mut told = told["records"].as_array().expect("rows").clone();
    told.reverse();
    let told: Vec<_> = told
        .iter()
        .map(|row| (&row["resource_type"], &row["action"], &row["before"]["digest"], &row["after"]["digest"]))
        .collect();
    let (old, new, none) = (&first["digest"], &second["digest"], &Value::Null);
    let expected = [
        ("plugin", "create", none, old),
        ("plugin", "create", none, new),
        ("plugin", "rollback", new, old),
        ("plugin", "publish", old, new),
        ("plugin", "delete", new, none),
        ("cache", "purge", none, none),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (row, (resource, action, before, after)) in told.iter().zip(expected) {
        assert_eq!(*row, (&json!(resource), &json!(action), before, after));
    }
}

#[tokio::test]
async fn uploads_survive_a_restart_with_the_version_that_counts() {
    let World { mut gateway, mock: _mock, .. } = world("").await;
    let (_, first) = upload(&gateway, component("guard", "1.0.0"), "").await;
    upload(&gateway, component("guard", "2.0.0"), "").await;
    post(&gateway, "/v1/plugins/guard/activate", json!({ "digest": first["digest"] })).await;
    gateway.restart().await;
    let live = until_version(&gateway, "guard", "1.0.0").await;
    assert_eq!((&live["source"], &live["digest"]), (&json!("uploaded"), &first["digest"]), "{live}");
    let (status, _) = post(&gateway, "/v1/plugins/guard/rollback", json!({})).await;
    assert_eq!((status, &plugin(&list(&gateway).await, "guard")["version"]), (200, &json!("2.0.0")));
}

#[tokio::test]
async fn a_file_comes_before_an_upload_as_long_as_it_is_there() {
    let World { gateway, mock: _mock, .. } = world("").await;
    upload(&gateway, component("guard", "1.0.0"), "").await;
    drop_in(&gateway, "guard.wasm", &component("guard", "2.0.0"));
    until_version(&gateway, "guard", "2.0.0").await;
    let (status, error) = upload(&gateway, component("guard", "3.0.0"), "").await;
    assert_eq!(status, 409, "{error}");
    assert!(message(&error).contains("guard.wasm"), "{error}");
    fs::remove_file(gateway.plugin_folder().join("guard.wasm")).unwrap();
    let back = until_version(&gateway, "guard", "1.0.0").await;
    assert_eq!(back["source"], "uploaded", "{back}");
}

#[tokio::test]
async fn wrong_uploads_and_orders_are_refused_clearly() {
    let World { gateway, mock: _mock, .. } = world("").await;
    let (status, error) = upload(&gateway, b"\0asm\x01\0\0\0".to_vec(), "").await;
    assert_eq!(status, 400, "{error}");
    assert!(message(&error).contains("not a WebAssembly component"), "{error}");
    let http = guest("guard", "1.0.0").importing("kv", "get", "(param i32 i32 i32)").build();
    let (status, error) = upload(&gateway, http, "").await;
    assert_eq!(status, 400, "{error}");
    upload(&gateway, component("guard", "1.0.0"), "").await;
    for (target, body, status, part) in [
        ("/v1/plugins/other/activate", json!({ "digest": "0123456789ab" }), 404, "no plugin \"other\""),
        ("/v1/plugins/guard/activate", json!({ "digest": "0123456789ab" }), 404, "no uploaded version"),
        ("/v1/plugins/guard/activate", json!({ "digst": "0123456789ab" }), 400, "unknown field"),
        ("/v1/plugins/other/rollback", json!({}), 404, "no plugin \"other\""),
    ] {
        let (found, error) = post(&gateway, target, body).await;
        assert_eq!(found, status, "{target}: {error}");
        assert!(message(&error).contains(part), "{target}: {error}");
    }
    let wrong = gateway.admin().request("PUT", "/v1/plugins/guard").send().await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, DELETE"));
}

#[tokio::test]
async fn only_admins_may_see_and_change_plugins() {
    let World { gateway, client, mock: _mock } = world("").await;
    for (method, target) in [
        ("GET", "/v1/plugins"),
        ("POST", "/v1/plugins"),
        ("GET", "/v1/plugins/guard"),
        ("DELETE", "/v1/plugins/guard"),
        ("POST", "/v1/plugins/guard/activate"),
        ("POST", "/v1/plugins/guard/rollback"),
    ] {
        let refused = client.request(method, target).body("{}").send().await.expect(403).await;
        assert!(message(&refused).contains("lacks the scope admin"), "{method} {target}: {refused}");
        gateway.client().request(method, target).body("{}").send().await.expect(401).await;
    }
}

#[tokio::test]
async fn what_is_declared_is_given_and_taken_without_a_restart() {
    let world = world("").await;
    let gateway = &world.gateway;
    let mut asks = guest("guard", "1.0.0").importing("kv", "get", "(param i32 i32 i32)");
    asks.manifest.wants = vec!["messages".to_owned(), "kv".to_owned()];
    drop_in(gateway, "guard.wasm", &asks.build());
    let refused = until_refused(gateway).await;
    assert!(refused["reason"].as_str().unwrap().contains("kv is not granted"), "{refused}");
    gateway.write_settings(&settings(&world.mock, "[[plugin]]\nid = \"guard\"\ngrants = [\"kv\"]"));
    let live = until_version(gateway, "guard", "1.0.0").await;
    assert_eq!(live["granted"], json!(["messages", "kv"]), "{live}");
    gateway.write_settings(&settings(&world.mock, "[[plugin]]\nid = \"guard\"\ngrants = [\"kv\", \"user\"]"));
    until(gateway, "guard", |plugin| plugin["granted"] == json!(["kv"])).await;
    gateway.write_settings(&settings(&world.mock, ""));
    let taken = until(gateway, "guard", |plugin| plugin["state"] == "refused").await;
    assert!(taken["refused"][0]["reason"].as_str().unwrap().contains("kv is not granted"), "{taken}");
    gateway.write_settings(&settings(&world.mock, "[[plugin]]\nid = \"guard\"\ngrants = [\"kv\"]"));
    until(gateway, "guard", |plugin| plugin["state"] == "live").await;
}

#[tokio::test]
async fn bundled_plugins_are_there_unused_until_needed_and_a_file_takes_their_place() {
    let World { gateway, mock: _mock, .. } = world("").await;
    let listed = list(&gateway).await;
    for id in ["default", "pii", "prompt", "secrets", "topics"] {
        let bundled = plugin(&listed, id);
        assert_eq!(
            (&bundled["state"], &bundled["source"]),
            (&json!("unused"), &json!("bundled")),
            "{listed}"
        );
    }
    let compiled = gateway.plugin_folder().with_file_name("data").join("plugins/compiled");
    assert!(!compiled.exists(), "something was compiled before it was needed");
    let pii = gateway.admin().get("/v1/plugins/pii").send().await.expect(200).await;
    assert_eq!((&pii["state"], &pii["source"]), (&json!("live"), &json!("bundled")), "{pii}");
    assert!(pii["checks"][0]["params_schema"].is_object(), "{pii}");
    let kept = gateway.admin().request("DELETE", "/v1/plugins/pii").send().await.expect(409).await;
    assert!(message(&kept).contains("part of the gateway"), "{kept}");
    drop_in(&gateway, "pii.wasm", &component("pii", "9.0.0"));
    until_version(&gateway, "pii", "9.0.0").await;
    fs::remove_file(gateway.plugin_folder().join("pii.wasm")).unwrap();
    until(&gateway, "pii", |plugin| plugin["source"] == "bundled" && plugin["version"] == pii["version"])
        .await;
}

#[tokio::test]
async fn the_command_line_pushes_lists_and_removes() {
    let World { gateway, mock: _mock, .. } = world("").await;
    let url = format!("http://{}", gateway.addr());
    let file = gateway.plugin_folder().with_file_name("guard.component");
    fs::write(&file, component("guard", "1.0.0")).unwrap();
    let run = |arguments: &[&str]| gateway.cli(&[&["plugin"], arguments, &["--url", &url]].concat());
    let first = run(&["push", file.to_str().unwrap()]);
    assert_eq!((&first["id"], &first["active"]), (&json!("guard"), &json!(true)), "{first}");
    fs::write(&file, component("guard", "2.0.0")).unwrap();
    let second = run(&["push", file.to_str().unwrap(), "--inactive"]);
    assert_eq!(second["active"], false, "{second}");
    run(&["activate", "guard", &second["digest"].as_str().unwrap()[..8]]);
    assert_eq!(run(&["show", "guard"])["version"], "2.0.0");
    let back = run(&["rollback", "guard"]);
    assert_eq!(back["digest"], first["digest"], "{back}");
    let shown = gateway.run(&["plugin", "list", "--url", &url]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let line = shown.lines().find(|line| line.starts_with("guard ")).unwrap_or_else(|| panic!("{shown}"));
    for part in ["1.0.0", "live", "uploaded", &first["digest"].as_str().unwrap()[..12]] {
        assert!(line.contains(part), "{part} in {line}");
    }
    run(&["remove", "guard"]);
    let failed = gateway.run(&["plugin", "rollback", "guard", "--url", &url]);
    let said = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(said.contains("the gateway answered 404: there is no plugin \"guard\""), "{said}");
    let refused = gateway.run(&["plugin", "list", "--url", &url, "--admin-key", KEY]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("lacks the scope admin"));
}
