//! Commands beside a gateway, with other settings than it has: what must not happen to its store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tidegate_tests::{Gateway, Settings, gateway, wait};

use super::bench::Bench;
use crate::support::KEY;

/// Runs a command in a folder, as an operator without any variables.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(gateway::binary());
    command.current_dir(folder).env_clear().args(arguments);
    command.output().expect("tidegate runs")
}

fn said(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn folder_of(gateway: &Gateway) -> PathBuf {
    gateway.settings_path().parent().expect("a folder").to_owned()
}

/// Writes settings that know where the data is, and nothing else; returns their name.
fn bare_settings(gateway: &Gateway) -> &'static str {
    fs::write(folder_of(gateway).join("bare.toml"), "data = \"data\"\n").expect("settings");
    "bare.toml"
}

#[tokio::test]
async fn nothing_is_sealed_with_another_master_key() {
    let settings =
        Settings::new().top("master_key = \"the master key of these tests\"").key("tests", KEY, "");
    let mut gateway = Gateway::start(settings).await;
    let (folder, bare) = (folder_of(&gateway), bare_settings(&gateway));
    fs::write(folder.join("vendor"), "sk-vendor-of-the-tests").expect("a file");
    let add = ["provider", "add", "second", "--vendor", "openai", "--api-key", "file:vendor"];
    let refused = said(&run(&folder, &[&["-c", bare], &add[..]].concat()), 1);
    assert!(
        refused.contains("master.key is missing") && refused.contains("TIDEGATE_MASTER_KEY"),
        "{refused}"
    );
    assert!(!folder.join("data/master.key").exists(), "a stray key is made");
    gateway.cli(&add);
    gateway.kill();
    let refused = said(&run(&folder, &["-c", bare, "secrets", "rotate"]), 1);
    assert!(refused.contains("master key: "), "{refused}");
    // The gateway does not start with a new key beside secrets that it can't open.
    let refused = said(&run(&folder, &["-c", bare, "serve", "--listen", "127.0.0.1:0"]), 1);
    assert!(refused.contains("master.key is missing"), "{refused}");
    assert!(!folder.join("data/master.key").exists(), "a stray key is made");
    gateway.restart().await;
}

fn kept(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("data")).expect("the data folder").flatten().map(|file| file.path());
    files.filter(|path| path.to_string_lossy().contains("tidegate.before-")).collect()
}

#[tokio::test]
async fn a_damaged_store_is_kept_as_it_is_when_a_backup_takes_its_place() {
    let mut gateway = Gateway::start(Settings::new().key("tests", KEY, "")).await;
    let folder = folder_of(&gateway);
    gateway.cli(&["backup", "good.db"]);
    gateway.kill();
    gateway.cli(&["restore", "good.db"]);
    let whole = kept(&folder);
    assert_eq!(whole.len(), 1, "{whole:?}");
    fs::write(folder.join("data/tidegate.db"), "junk\n").expect("damage");
    let done = gateway.cli(&["restore", "good.db"]);
    let damaged = kept(&folder);
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    let junk = damaged.iter().find(|path| !whole.contains(path)).expect("another file");
    assert_eq!(fs::read_to_string(junk).expect("what was there"), "junk\n");
    assert!(
        done["message"].as_str().is_some_and(|said| said.contains(junk.to_str().expect("a path"))),
        "{done}"
    );
    for path in damaged {
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    gateway.restart().await;
}

#[tokio::test]
async fn a_kept_store_has_what_was_in_its_log_and_comes_back_itself() {
    let mut gateway = Gateway::start(Settings::new().key("tests", KEY, "")).await;
    gateway.cli(&["backup", "before.db"]);
    gateway.cli(&["key", "create", "later"]);
    gateway.kill();
    gateway.cli(&["restore", "before.db"]);
    let names = |gateway: &Gateway| gateway.cli(&["key", "list"]).to_string();
    assert!(!names(&gateway).contains("later"));
    let kept = kept(&folder_of(&gateway));
    let file = kept.iter().find(|path| !path.to_string_lossy().ends_with('l')).expect("the store of before");
    gateway.cli(&["restore", file.to_str().expect("a path")]);
    assert!(names(&gateway).contains("later"));
}

#[tokio::test]
async fn a_backup_that_another_master_key_sealed_replaces_nothing() {
    let mut gateway = Gateway::start(Settings::new().key("tests", KEY, "")).await;
    let folder = folder_of(&gateway);
    gateway.cli(&["backup", "first.db"]);
    gateway.kill();
    gateway.cli(&["secrets", "rotate"]);
    let before = fs::read(folder.join("data/tidegate.db")).expect("the store");
    let refused = said(&gateway.run(&["restore", "first.db"]), 1);
    let names = ["another master key", "master.key.old does: put it in place of", "nothing was changed"];
    assert!(names.iter().all(|part| refused.contains(part)), "{refused}");
    assert_eq!(fs::read(folder.join("data/tidegate.db")).expect("the store"), before);
    assert!(kept(&folder).is_empty());
    fs::rename(folder.join("data/master.key.old"), folder.join("data/master.key")).expect("the old key");
    gateway.cli(&["restore", "first.db"]);
    gateway.restart().await;
}

#[tokio::test]
async fn the_last_admin_key_is_not_revoked() {
    let mut gateway = Gateway::start(Settings::new().key("tests", KEY, "")).await;
    let (folder, bare) = (folder_of(&gateway), bare_settings(&gateway));
    let refused = said(&gateway.run(&["key", "revoke", "admin"]), 1);
    assert!(refused.contains("`admin_key`") && refused.contains("TIDEGATE_ADMIN_KEY"), "{refused}");
    let refused = said(&run(&folder, &["-c", bare, "key", "revoke", "admin"]), 1);
    assert!(refused.contains("is the last one that opens the Admin API"), "{refused}");
    let order = json!({"name": "ops", "scopes": ["admin"]}).to_string();
    let url = format!("http://{}", gateway.addr());
    let make = ["admin", "key", "create", "organisation-service", "--data", &order, "--url", &url];
    gateway.cli(&make);
    gateway.kill();
    assert!(run(&folder, &["-c", bare, "key", "revoke", "admin"]).status.success());
    // `admin_key` of the settings opens again what was closed.
    gateway.restart().await;
    assert_eq!(gateway.admin().get("/v1/admin/state").send().await.status, 200);
}

#[test]
fn commands_that_look_make_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in [
        &["key", "list"][..],
        &["key", "revoke", "x"],
        &["logs"],
        &["audit", "verify"],
        &["audit", "export"],
        &["budget", "list"],
        &["provider", "remove", "x"],
        &["backup", "b.db"],
        &["secrets", "rotate"],
    ] {
        let refused = said(&run(folder.path(), command), 1);
        assert!(refused.contains("there is no store at ./data/tidegate.db"), "{command:?}: {refused}");
    }
    assert!(run(folder.path(), &["provider", "list"]).status.success());
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in [
        &["admin", "key", "show"][..],
        &["admin", "member"],
        &["admin", "workspace", "create", "--set", "noequals"],
        &["admin", "workspace", "--query", "noequals"],
        &["check", "--key", "x"],
        &["check", "--explain", "--header", "x"],
        &["key", "create", "a", "--usd", "abc"],
        &["key", "create", "a", "--usd", "1", "--period", "yearly"],
        &["key", "create", "a", "--model", "gpt-*-mini"],
        &["key", "create", "a\u{7}b"],
        &["budget", "set", "a", "abc"],
        &["provider", "add", "openai", "--option", "x"],
    ] {
        said(&run(folder.path(), command), 2);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn json_is_printed_by_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let json = |arguments: &[&str]| -> Value {
        let output = run(folder.path(), &[arguments, &["--json"]].concat());
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    assert!(json(&["version"])["version"].is_string());
    let yaml = "model_list:\n  - model_name: gpt-4o\n    litellm_params:\n      model: openai/gpt-4o\n      \
                api_key: os.environ/OPENAI_API_KEY\n";
    fs::write(folder.path().join("config.yaml"), yaml).expect("a file");
    let printed = json(&["import", "litellm", "config.yaml"]);
    assert!(printed["toml"].as_str().is_some_and(|toml| toml.contains("gpt-4o")), "{printed}");
    assert_eq!(printed["variables"][0]["name"], "OPENAI_API_KEY", "{printed}");
    let prices = json!({"mock": {"input_cost_per_token": 0.000_001, "output_cost_per_token": 0.000_002,
        "litellm_provider": "openai", "mode": "chat"}});
    fs::write(folder.path().join("prices.json"), prices.to_string()).expect("a file");
    assert_eq!(json(&["prices", "refresh", "--from", "prices.json"])["models"], 1);
}

#[test]
fn an_unknown_vendor_has_a_suggestion() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = said(&run(folder.path(), &["provider", "add", "mine", "--vendor", "opena"]), 1);
    assert!(refused.contains("did you mean \"openai\""), "{refused}");
}

#[tokio::test]
async fn budgets_of_workspaces_integrations_and_policies_are_listed() {
    let bench = Bench::start("").await;
    let limits = json!([{"type": "cost", "credit_limit": 2}]);
    let made =
        bench.done("POST", "/admin/workspaces", &json!({"name": "Sales", "usage_limits": limits})).await;
    let made = made["id"].as_str().expect("an id").to_owned();
    bench.integration("metered").await;
    let order = json!({"workspaces": [{"id": "ws-default", "enabled": true,
        "usage_limits": [{"type": "tokens", "credit_limit": 1000}]}]});
    bench.done("PUT", "/integrations/metered/workspaces", &order).await;
    let policy = json!({"name": "each", "type": "requests", "credit_limit": 9,
        "conditions": [{"key": "api_key", "value": "*"}], "group_by": [{"key": "api_key"}]});
    bench.done("POST", "/policies/usage-limits", &policy).await;
    assert_eq!(bench.chat("@metered/mock").await.0, 200);
    let find = async |prefix: &str| {
        wait::until("the budget in the list", || {
            let listed = bench.gateway.cli(&["budget", "list"]);
            let all = listed["budgets"].as_array().expect("budgets").clone();
            all.into_iter().find(|it| it["id"].as_str().is_some_and(|id| id.starts_with(prefix)))
        })
        .await
    };
    let workspace = find(&format!("workspace:{made}")).await;
    assert_eq!((&workspace["limit"], &workspace["unit"]), (&json!(2_000_000_000_i64), &json!("nano_usd")));
    assert_eq!(workspace["name"], "workspace Sales");
    let integration = find("integration:").await;
    assert_eq!(
        (&integration["limit"], &integration["unit"]),
        (&json!(1000), &json!("tokens")),
        "{integration}"
    );
    let policy = find("policy:").await;
    assert_eq!((&policy["spent"], &policy["unit"]), (&json!(1), &json!("requests")), "{policy}");
    let table = bench.gateway.run(&["budget", "list"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("workspace Sales") && table.contains("1000 tokens"), "{table}");
}

#[tokio::test]
async fn settings_that_wait_for_a_restart_are_named() {
    let settings = Settings::new().key("tests", KEY, "");
    let gateway = Gateway::start(settings.clone()).await;
    gateway.write_settings(&settings.top("workers = 3").toml("[log]\nkeep_days = 3"));
    wait::until("the note in the log", || {
        let output = gateway.output();
        output
            .lines()
            .any(|line| line.contains("a restart puts in force") && line.contains("workers"))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn plugins_that_are_none_or_come_along_are_refused_in_a_line() {
    let gateway = Gateway::start(Settings::new().key("tests", KEY, "")).await;
    let url = format!("http://{}", gateway.addr());
    let file = folder_of(&gateway).join("text.wasm");
    fs::write(&file, "no component").expect("a file");
    let refused = said(&gateway.run(&["plugin", "push", file.to_str().expect("a path"), "--url", &url]), 1);
    assert_eq!(refused.trim().lines().count(), 1, "{refused}");
    assert!(refused.contains("not a WebAssembly component"), "{refused}");
    let refused = said(&gateway.run(&["plugin", "activate", "pii", "0123456789", "--url", &url]), 1);
    assert!(refused.contains("comes with the gateway"), "{refused}");
}
