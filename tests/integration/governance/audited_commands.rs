//! Commands that change the store leave a row in the audit log each, whichever store it is.

use serde_json::{Value, json};
use tidegate_tests::{Gateway, Settings, gateway};

use crate::cluster::servers::{Postgres, Redis};
use crate::support::KEY;

const SECRET: &str = "sk-of-the-command-line-0123456789";

fn rows(gateway: &Gateway) -> Vec<Value> {
    gateway::rows(gateway.cli(&["audit", "export"]), &[])
}

/// Runs every command that changes the store, and looks at what the audit log says of each.
fn commands_are_told(gateway: &Gateway) {
    let made = gateway.cli(&["key", "create", "told", "--usd", "1.50", "--rpm", "7", "--days", "3"]);
    let (key, id) = (made["key"].as_str().expect("a key"), made["id"].as_str().expect("an id"));
    gateway.cli(&["budget", "set", id, "2", "--period", "daily"]);
    gateway.cli(&["budget", "reset", id]);
    let file = gateway.settings_path().with_file_name("vendor.key");
    std::fs::write(&file, SECRET).expect("a file");
    let from = format!("file:{}", file.display());
    let add = |more: &[&str]| {
        gateway.cli(&[&["provider", "add", "told", "--vendor", "openai", "--api-key", &from], more].concat());
    };
    add(&[]);
    add(&["--option", &format!("openai_project={SECRET}")]);
    gateway.cli(&["provider", "remove", "told"]);
    gateway.cli(&["key", "revoke", id]);

    let rows = rows(gateway);
    let told: Vec<(&str, &str, &str)> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().expect("a text");
            (text("resource"), text("action"), text("resource_id"))
        })
        .collect();
    let expected = [
        ("api_key", "create", id),
        ("budget", "update", id),
        ("budget", "reset", id),
        ("provider", "create", "told"),
        ("provider", "update", "told"),
        ("provider", "delete", "told"),
        ("api_key", "revoke", id),
    ];
    assert_eq!(told, expected);
    let uris: Vec<&Value> = rows.iter().map(|row| &row["uri"]).collect();
    let expected = [
        "key create",
        "budget set",
        "budget reset",
        "provider add",
        "provider add",
        "provider remove",
        "key revoke",
    ];
    assert_eq!(uris, expected.map(|command| json!(format!("tidegate {command}"))).iter().collect::<Vec<_>>());
    let user = String::from_utf8(std::process::Command::new("id").arg("-un").output().expect("id").stdout);
    let user = user.expect("a name");
    for row in &rows {
        assert_eq!((&row["actor"], &row["actor_kind"]), (&json!(user.trim()), &json!("cli")), "{row}");
        assert_eq!(row["method"], "CLI", "{row}");
        let text = row.to_string();
        assert!(!text.contains(key) && !text.contains(SECRET), "a secret is in {text}");
    }
    let [create, set, reset, add, change, remove, revoke] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((&create["before"], &create["after"]["name"]), (&Value::Null, &json!("told")));
    assert_eq!(create["after"]["budget"]["limit"], 1_500_000_000_i64, "{create}");
    assert!(create["after"]["key"].as_str().expect("a mask").contains("*****"), "{create}");
    let limits = [&set["before"]["limit"], &set["after"]["limit"]];
    assert_eq!(limits, [&json!(1_500_000_000_i64), &json!(2_000_000_000_i64)]);
    assert_eq!(reset["after"]["spent"], 0);
    assert_eq!((&add["before"], &add["after"]["has_key"]), (&Value::Null, &json!(true)));
    assert_eq!(change["before"], add["after"]);
    assert_eq!(change["after"]["options"], json!(["openai_project"]));
    assert_eq!((&remove["before"], &remove["after"]), (&change["after"], &Value::Null));
    assert_eq!(
        (&revoke["before"]["status"], &revoke["after"]["status"]),
        (&json!("active"), &json!("revoked"))
    );
    let checked = gateway.cli(&["audit", "verify"]);
    assert_eq!((&checked["rows"], &checked["broken"]), (&json!(7), &Value::Null));
    // What is refused changes nothing and is not told.
    assert_eq!(gateway.run(&["key", "revoke", "nobody"]).status.code(), Some(1));
    assert_eq!(gateway.run(&["provider", "remove", "told"]).status.code(), Some(1));
    assert_eq!(gateway.cli(&["audit", "verify"])["rows"], 7);
}

#[tokio::test]
async fn commands_are_in_the_audit_log_of_the_embedded_store() {
    let mut gateway = Gateway::start(Settings::new().key("tests", KEY, "")).await;
    commands_are_told(&gateway);
    // The Admin API shows them among its own.
    let shown: Value = gateway.admin().get("/v1/audit-logs?method=CLI").send().await.expect(200).await;
    assert_eq!((&shown["total"], &shown["records"][0]["user_type"]), (&json!(7), &json!("cli")), "{shown}");
    let (file, name) = (gateway.settings_path().with_file_name("backup.db"), "backup.db");
    gateway.cli(&["backup", file.to_str().expect("a path")]);
    gateway.kill();
    // A backup brings back what was told then, and then tells that it was brought back.
    gateway.cli(&["restore", file.to_str().expect("a path")]);
    gateway.cli(&["secrets", "rotate"]);
    let prices = gateway.settings_path().with_file_name("prices-of-today.json");
    let more = json!({"mock": {"input_cost_per_token": 0.000_001, "output_cost_per_token": 0.000_002,
        "litellm_provider": "openai", "mode": "chat"}});
    std::fs::write(&prices, more.to_string()).expect("a file");
    let refreshed = gateway.run(&["prices", "refresh", "--from", prices.to_str().expect("a path")]);
    assert!(refreshed.status.success(), "{refreshed:?}");
    let all = rows(&gateway);
    let [restored, rotated, priced] = &all[7..] else { panic!("{all:?}") };
    assert_eq!((&restored["action"], &restored["after"]["from"]), (&json!("restore"), &json!(name)));
    assert_eq!((&rotated["resource"], &rotated["action"]), (&json!("secrets"), &json!("rotate")));
    assert_eq!((&priced["resource"], &priced["after"]["models"]), (&json!("prices"), &json!(1)), "{priced}");
    assert_eq!(gateway.cli(&["audit", "verify"])["broken"], Value::Null);
}

#[tokio::test]
async fn commands_are_in_the_audit_log_of_postgresql() {
    let (postgres, redis) = (Postgres::start(), Redis::start(false));
    let servers = format!("store = \"{}\"\nshared = \"{}\"", postgres.url(), redis.url());
    let settings = Settings::new().top(&servers).key("tests", KEY, "");
    let mut gateway = Gateway::start(settings).await;
    commands_are_told(&gateway);
    gateway.kill();
    gateway.cli(&["secrets", "rotate"]);
    let checked = gateway.cli(&["audit", "verify"]);
    assert_eq!((&checked["rows"], &checked["broken"]), (&json!(8), &Value::Null));
}
