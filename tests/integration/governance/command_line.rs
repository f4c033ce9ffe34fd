//! The command line: what it keeps, brings back, checks, and turns into settings.

use serde_json::{Value, json};
use tidegate_tests::{Gateway, gateway};

use super::bench::{Bench, VENDOR_KEY};
use crate::support::KEY;

/// Runs a command against the running gateway's Admin API and returns what it prints.
fn admin(gateway: &Gateway, arguments: &[&str]) -> Value {
    let url = format!("http://{}", gateway.addr());
    gateway.cli(
        &[&["admin"], arguments, &["--url", &url, "--admin-key", tidegate_tests::gateway::ADMIN_KEY]]
            .concat(),
    )
}

fn fails(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = gateway.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn the_command_line_does_what_the_api_does() {
    let bench = Bench::start("").await;
    let made = admin(&bench.gateway, &["workspace", "create", "--set", "name=Sales"]);
    let id = made["id"].as_str().expect("an id").to_owned();
    let scopes = "scopes=[\"completions.write\"]";
    let of = format!("workspace_id={id}");
    let key = admin(
        &bench.gateway,
        &["key", "create", "workspace-service", "--set", "name=k", "--set", &of, "--set", scopes],
    );
    assert!(key["key"].as_str().expect("a key").starts_with("tg-"));
    let keys = admin(&bench.gateway, &["key", "list", "--query", &of]);
    assert_eq!(keys["data"][0]["name"], "k", "{keys}");
    admin(&bench.gateway, &["workspace", "update", &id, "--set", "description=all of them"]);
    assert_eq!(admin(&bench.gateway, &["workspace", "show", &id])["description"], "all of them");
    let audit = bench.gateway.cli(&["audit", "verify"]);
    assert_eq!((&audit["rows"], &audit["broken"]), (&json!(3), &Value::Null));
    let exported = {
        let url = format!("http://{}", bench.gateway.addr());
        bench.gateway.cli(&["export", "--url", &url, "--admin-key", tidegate_tests::gateway::ADMIN_KEY])
    };
    let names: Vec<&str> = exported["workspaces"]
        .as_array()
        .expect("workspaces")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert!(names.contains(&"Sales"), "{names:?}");
}

#[tokio::test]
async fn a_backup_of_a_running_gateway_brings_everything_back() {
    let mut bench = Bench::start("").await;
    bench.integration("kept").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup.db");
    let name = file.to_str().expect("a path");
    bench.gateway.cli(&["backup", name]);
    // Nothing is written over, and a running gateway's store is not pulled from under it.
    fails(&bench.gateway, &["backup", name]);
    assert!(fails(&bench.gateway, &["restore", name]).contains("another tidegate runs"));
    bench.done("DELETE", "/providers/kept", &Value::Null).await;
    assert_ne!(bench.chat("@kept/mock").await.0, 200);
    bench.gateway.kill();
    std::fs::write(folder.path().join("broken.db"), "no store").expect("a file");
    let broken = folder.path().join("broken.db");
    assert!(
        fails(&bench.gateway, &["restore", broken.to_str().expect("a path")]).contains("nothing was changed")
    );
    bench.gateway.cli(&["restore", name]);
    bench.gateway.restart().await;
    assert_eq!(bench.chat("@kept/mock").await.0, 200);
}

#[tokio::test]
async fn secrets_are_sealed_anew_and_work_with_the_new_key_only() {
    let mut bench = Bench::start("").await;
    bench.integration("sealed").await;
    assert!(fails(&bench.gateway, &["secrets", "rotate"]).contains("another tidegate runs"));
    bench.gateway.kill();
    let data = bench.gateway.settings_path().with_file_name("data");
    let before = std::fs::read(data.join("master.key")).expect("the key");
    let rotated = bench.gateway.cli(&["secrets", "rotate"]);
    assert!(rotated["secrets"].as_i64().expect("a number") >= 2, "{rotated}");
    let after = std::fs::read(data.join("master.key")).expect("the key");
    assert_ne!(before, after);
    bench.gateway.restart().await;
    assert_eq!(bench.chat("@sealed/mock").await.0, 200);
    bench.nowhere(VENDOR_KEY);
    // The old key opens nothing any more, and that is said at once.
    bench.gateway.kill();
    std::fs::write(data.join("master.key"), before).expect("the key");
    let said = fails(&bench.gateway, &["serve"]);
    assert!(said.contains("not the one that sealed"), "{said}");
}

#[tokio::test]
async fn an_audit_log_that_somebody_changed_is_found_out() {
    let mut bench = Bench::start("").await;
    bench.done("POST", "/admin/workspaces", &json!({"name": "one"})).await;
    bench.done("POST", "/admin/workspaces", &json!({"name": "two"})).await;
    bench.gateway.kill();
    let rows = gateway::rows(bench.gateway.cli(&["audit", "export"]), &[]);
    assert_eq!(rows.len(), 2);
    let store = bench.gateway.settings_path().with_file_name("data").join("tidegate.db");
    let connection = rusqlite::Connection::open(store).expect("the store");
    let changed = connection
        .execute("UPDATE audit SET record = replace(record, 'one', 'won') WHERE seq = 1", [])
        .expect("a change");
    assert_eq!(changed, 1);
    drop(connection);
    assert!(fails(&bench.gateway, &["audit", "verify"]).contains("broken at row 1"));
}

#[tokio::test]
async fn settings_of_litellm_are_turned_into_settings_that_work() {
    let bench = Bench::start("").await;
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("config.yaml"), folder.path().join("tidegate.toml"));
    let yaml = format!(
        "model_list:\n  - model_name: gpt-4o\n    litellm_params:\n      model: openai/mock\n      \
         api_base: {}\n      api_key: os.environ/OPENAI_API_KEY\ngeneral_settings:\n  master_key: {KEY}\n",
        bench.mock.url("/v1")
    );
    std::fs::write(&from, yaml).expect("a file");
    let output = bench.gateway.run(&[
        "import",
        "litellm",
        from.to_str().expect("a path"),
        "--out",
        to.to_str().expect("a path"),
    ]);
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&to).expect("settings");
    assert!(!text.contains(KEY), "the key in clear is not in it");
    assert!(text.contains("[[config]]") && text.contains("gpt-4o"), "{text}");
}
