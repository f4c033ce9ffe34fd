//! Security settings: every switch × every route × everyone whose key it may act on, and what beats what.
//!
//! What a switch takes is read out of its name here, not out of the gateway. `GOVERNANCE_MATRIX=write` writes the table.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate_tests::Client;

use super::bench::Bench;
use super::matrix::{key, lacks, member, probe, routes, user_may};
use super::orders::workspace;

/// Whose keys ask: the beginning of switches' names, and the word for them.
const PEOPLE: [(&str, &str); 3] =
    [("members", "member"), ("managers", "manager"), ("organisationAdmins", "admin of the organisation")];

type Routes = [(String, String, Vec<String>)];
/// Refused routes, each with whose key it was.
type Refused = BTreeSet<(usize, String)>;

fn is_view(scope: &str) -> bool {
    [".read", ".list", ".view", ".export"].iter().any(|end| scope.ends_with(end))
}

/// What a switch decides on: whose scopes, and which.
struct Takes {
    who: usize,
    view: bool,
    resources: &'static [&'static str],
}

impl Takes {
    fn of(switch: &str) -> Option<Self> {
        let who = PEOPLE.iter().position(|(start, _)| switch.starts_with(start))?;
        let rest = switch.strip_prefix(PEOPLE[who].0)?;
        let (view, thing) = match (rest.strip_prefix("View"), rest.strip_prefix("Write")) {
            (Some(thing), _) => (true, thing),
            (_, Some(thing)) => (false, thing),
            _ => (false, rest.strip_prefix("Update")?),
        };
        let resources: &[&str] = match thing {
            "Logs" => &["logs"],
            "Analytics" => &["analytics"],
            "ApiKeys" => &["workspace_user_api_keys", "workspace_service_api_keys"],
            "Configs" => &["configs"],
            "Prompts" => &["prompts"],
            "VirtualKeys" => &["providers", "virtual_keys"],
            "Guardrails" => &["guardrails"],
            "WsIntegrations" => &["workspace_integrations"],
            "WsMcpIntegrations" => &["workspace_mcp_integrations"],
            "McpServers" => &["mcp_servers"],
            "Ws" => &["workspaces"],
            "WsUsers" => &["workspace_users"],
            // These decide on rows of the log.
            "AllData" | "LogMetadata" => &[],
            other => panic!("{switch}: what is {other}?"),
        };
        Some(Self { who, view, resources })
    }

    fn takes(&self, scope: &str) -> bool {
        let resource = scope.split('.').next().unwrap_or_default();
        self.resources.contains(&resource) && is_view(scope) == self.view
    }
}

/// What people may have where every switch is on.
fn may(who: usize, scope: &str) -> bool {
    let written = ["configs.", "providers.", "virtual_keys.", "guardrails.", "prompts."];
    let is_written = written.iter().any(|start| scope.starts_with(start));
    let of_members = scope != "workspace_users.list" && (is_view(scope) || is_written);
    user_may(scope) && (who != 0 || of_members)
}

/// Asks every route with every key and returns what was refused for want of a scope.
async fn refused(clients: &[Client], routes: &Routes) -> Refused {
    let mut all = Refused::new();
    for (who, client) in clients.iter().enumerate() {
        for some in routes.chunks(16) {
            let asked = some.iter().map(|(method, path, _)| async move {
                let (status, body) = probe(client, method, path).await;
                assert!(status < 500, "{method} {path}: {body}");
                lacks(status, &body).then(|| (who, format!("{method} {path}")))
            });
            all.extend(join_all(asked).await.into_iter().flatten());
        }
    }
    all
}

async fn set(bench: &Bench, switches: Value) {
    bench.done("PUT", "/admin/organisation", &json!({"security_settings": switches})).await;
}

#[tokio::test]
async fn every_switch_closes_its_routes_for_its_people_and_nothing_else() {
    let bench = Bench::start("").await;
    let home = workspace(&bench.gateway, "Home").await;
    let shown = bench.done("GET", "/admin/organisation", &Value::Null).await;
    let defaults = shown["security_settings"].as_object().expect("switches").clone();
    assert!(defaults.len() > 30, "{shown}");
    let on: Value = defaults
        .keys()
        .filter(|name| name.as_str() != "block_inline_config")
        .map(|name| (name.clone(), Value::Bool(true)))
        .collect();
    set(&bench, on).await;
    let mut routes = routes(&bench).await;
    routes.retain(|(_, _, scopes)| !scopes.is_empty());

    let mut clients = Vec::new();
    for (who, house, role) in
        [("m", "member", "member"), ("g", "member", "manager"), ("o", "admin", "member")]
    {
        let at = clients.len();
        let user = member(&bench, &home, who, house, role).await;
        let mut scopes: Vec<String> = routes.iter().flat_map(|(_, _, scopes)| scopes.clone()).collect();
        scopes.retain(|scope| may(at, scope));
        scopes.sort();
        scopes.dedup();
        let of = json!({"workspace_id": home, "user_id": user});
        let text = key(&bench, "workspace/user", of, &scopes).await.expect("a key");
        clients.push(bench.gateway.with_key(&text));
    }
    // A route is closed where none of its scopes is left.
    let expected = |takes: Option<&Takes>| -> Refused {
        let mut all = Refused::new();
        for who in 0..clients.len() {
            for (method, path, scopes) in &routes {
                let left = |scope: &String| {
                    may(who, scope) && !takes.is_some_and(|takes| takes.who == who && takes.takes(scope))
                };
                if !scopes.iter().any(left) {
                    all.insert((who, format!("{method} {path}")));
                }
            }
        }
        all
    };
    let open = refused(&clients, &routes).await;
    assert_eq!(open, expected(None), "with every switch on");

    let mut text = "# What security settings close\n\nMade by `GOVERNANCE_MATRIX=write` and checked by the tests: each switch \
                    off and all others on, every route asked with keys of users that have every scope that they can \
                    have.\n\n| Switch | Default | Closes for | Routes |\n|---|---|---|---|\n"
        .to_owned();
    for (name, default) in &defaults {
        let Some(takes) = Takes::of(name) else {
            assert_eq!(name, "block_inline_config", "a switch of nobody");
            continue;
        };
        set(&bench, json!({name: false})).await;
        let closed = refused(&clients, &routes).await;
        set(&bench, json!({name: true})).await;
        assert_eq!(closed, expected(Some(&takes)), "{name}");
        let fresh: Vec<String> = closed.difference(&open).map(|(_, route)| format!("`{route}`")).collect();
        let fresh = match (fresh.is_empty(), takes.resources.is_empty()) {
            (false, _) => fresh.join("<br>"),
            (true, true) => "rows of `GET /v1/admin/logs/{id}`".to_owned(),
            (true, false) => {
                "none: users' keys can't have its scopes, or there is no such route yet".to_owned()
            }
        };
        let state = if default == true { "on" } else { "off" };
        let _ = writeln!(text, "| `{name}` | {state} | {} | {fresh} |", PEOPLE[takes.who].1);
    }
    assert_eq!(refused(&clients, &routes).await, open, "switched on again");

    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("governance_switches.md");
    if std::env::var_os("GOVERNANCE_MATRIX").is_some() {
        std::fs::write(&place, &text).expect("the table");
    }
    let known = std::fs::read_to_string(&place).expect("tests/governance_switches.md");
    assert_eq!(known, text, "GOVERNANCE_MATRIX=write writes the table anew");
}

/// A member's and a manager's key of a workspace, with these scopes.
async fn two(bench: &Bench, home: &str, scopes: &[&str]) -> (Client, Client) {
    let mut made = Vec::new();
    for role in ["member", "manager"] {
        let user = member(bench, home, role, "member", role).await;
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let scopes: Vec<String> =
            scopes.into_iter().filter(|scope| role == "manager" || is_view(scope)).collect();
        let of = json!({"workspace_id": home, "user_id": user});
        made.push(bench.gateway.with_key(&key(bench, "workspace/user", of, &scopes).await.expect("a key")));
    }
    let manager = made.pop().expect("two");
    (made.pop().expect("one"), manager)
}

#[tokio::test]
async fn a_workspace_says_otherwise_than_the_organisation_if_the_organisation_lets_it() {
    let bench = Bench::start("").await;
    let home = workspace(&bench.gateway, "Home").await;
    let (member, manager) =
        two(&bench, &home, &["configs.list", "configs.create", "workspaces.update"]).await;
    let lists = || async { Bench::ask_as(&member, "GET", "/configs", &Value::Null).await };
    let at = format!("/admin/workspaces/{home}");
    let own = |word: Value| json!({"security_settings": {"membersViewConfigs": word}});
    assert_eq!(lists().await.0, 200);
    set(&bench, json!({"membersViewConfigs": false})).await;
    let (status, told) = lists().await;
    let message = told["message"].as_str().unwrap_or_default();
    assert_eq!((status, &told["errorCode"]), (403, &json!("AB03")), "{told}");
    assert!(message.contains("configs.list") && message.contains("membersViewConfigs"), "{message}");
    assert_eq!(Bench::ask_as(&manager, "GET", "/configs", &Value::Null).await.0, 200);
    let shown = bench.done("GET", &at, &Value::Null).await;
    assert_eq!(shown["security_settings"]["membersViewConfigs"], false, "{shown}");

    // Nobody gives themselves what was taken from them.
    let (status, told) = Bench::ask_as(&manager, "PUT", &at, &own(json!(true))).await;
    assert_eq!((status, &told["error"]["param"]), (403, &json!("security_settings")), "{told}");
    assert_eq!(Bench::ask_as(&manager, "PUT", &at, &json!({"description": "ours"})).await.0, 200);
    bench.done("PUT", &at, &own(json!(true))).await;
    assert_eq!(lists().await.0, 200);
    bench.done("PUT", &at, &own(Value::Null)).await;
    assert_eq!(lists().await.0, 403);
    set(&bench, json!({"membersViewConfigs": null})).await;
    assert_eq!(lists().await.0, 200);
    bench.done("PUT", &at, &own(json!(0))).await;
    assert_eq!(lists().await.0, 403);

    for (order, param) in [
        (json!({"security_settings": {"everybody": true}}), "security_settings.everybody"),
        (json!({"security_settings": {"membersViewLogs": "no"}}), "security_settings.membersViewLogs"),
        (json!({"settings": {"everything": true}}), "settings.everything"),
        (json!({"settings": {"debug_log": 2}}), "settings.debug_log"),
        (json!({"settings": {"user_api_key_ttl": 2_592_000}}), "settings.user_api_key_ttl"),
        (
            json!({"settings": {"user_api_key_ttl": 9, "user_api_key_max_ttl": 8}}),
            "settings.user_api_key_ttl",
        ),
        (json!({"settings": {"user_api_key_rotation_period": 366}}), "settings.user_api_key_rotation_period"),
        (json!({"settings": {"user_api_key_count": -1}}), "settings.user_api_key_count"),
    ] {
        for target in ["/admin/organisation", at.as_str()] {
            let (status, told) = bench.ask("PUT", target, &order).await;
            assert_eq!((status, &told["errorCode"]), (400, &json!("AB01")), "{target} {order}: {told}");
            assert_eq!(told["error"]["param"], param, "{target} {order}: {told}");
        }
    }
    // What was read can be sent back.
    let read = bench.done("GET", "/admin/organisation", &Value::Null).await;
    let back = json!({"settings": read["settings"], "security_settings": read["security_settings"]});
    bench.done("PUT", "/admin/organisation", &back).await;
    let again = bench.done("GET", "/admin/organisation", &Value::Null).await;
    assert_eq!(again["security_settings"], read["security_settings"]);
    let house = bench.ask("PUT", &at, &json!({"settings": {"system_log_retention": 3}})).await;
    assert_eq!((house.0, &house.1["error"]["param"]), (400, &json!("settings.system_log_retention")));
}

#[tokio::test]
async fn a_switch_that_is_on_lets_members_write_and_keys_keep_their_scopes() {
    let bench = Bench::start("").await;
    let home = workspace(&bench.gateway, "Home").await;
    let user = member(&bench, &home, "ada", "member", "member").await;
    let order = json!({"name": "hers", "workspace_id": home, "user_id": user, "scopes": ["configs.create"]});
    let (status, told) = bench.ask("POST", "/api-keys/workspace/user", &order).await;
    assert_eq!((status, &told["error"]["param"]), (400, &json!("scopes[0]")), "{told}");
    set(&bench, json!({"membersWriteConfigs": true})).await;
    let made = bench.done("POST", "/api-keys/workspace/user", &order).await;
    let hers = bench.gateway.with_key(made["key"].as_str().expect("a key"));
    let config = json!({"name": "c", "config": {"retry": {"attempts": 1}}});
    assert_eq!(Bench::ask_as(&hers, "POST", "/configs", &config).await.0, 200);
    set(&bench, json!({"membersWriteConfigs": null})).await;
    assert_eq!(Bench::ask_as(&hers, "POST", "/configs", &config).await.0, 403);
    // Clients send the whole list with every change.
    let at = format!("/api-keys/{}", made["id"].as_str().expect("an id"));
    bench.done("PUT", &at, &json!({"name": "still hers", "scopes": ["configs.create"]})).await;
    let more = json!({"scopes": ["configs.create", "configs.delete"]});
    assert_eq!(bench.ask("PUT", &at, &more).await.1["error"]["param"], "scopes[1]");
}

#[tokio::test]
async fn people_see_the_rows_that_are_left_to_them() {
    let bench = Bench::start("").await;
    bench.integration("o").await;
    let home = bench.done("GET", "/admin/workspaces/ws-default", &Value::Null).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let other = workspace(&bench.gateway, "Other").await;
    let user = member(&bench, &home, "ada", "member", "member").await;
    let of = json!({"workspace_id": home, "user_id": user});
    let scopes = ["logs.view", "completions.write"].map(str::to_owned);
    let hers = key(&bench, "workspace/user", of, &scopes).await.expect("a key");
    let theirs =
        key(&bench, "workspace/service", json!({"workspace_id": home}), &scopes).await.expect("a key");
    let foreign =
        key(&bench, "workspace/service", json!({"workspace_id": other}), &scopes).await.expect("a key");
    let bare =
        key(&bench, "workspace/service", json!({"workspace_id": home}), &scopes[1..]).await.expect("a key");
    for (text, trace) in [(&hers, "hers"), (&theirs, "theirs")] {
        let body =
            json!({"model": "@o/mock", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9});
        let asked = bench.gateway.with_key(text).chat(&body).header("x-portkey-trace-id", trace);
        let asked = asked.header("x-portkey-metadata", r#"{"team": "a"}"#);
        asked.send().await.expect(200).await;
        bench.gateway.log_of(trace).await;
    }
    let rows = |text: String, trace: &'static str| {
        let client = bench.gateway.with_key(&text);
        async move {
            let (status, told) =
                Bench::ask_as(&client, "GET", &format!("/admin/logs/{trace}"), &Value::Null).await;
            assert_eq!(status, 200, "{told}");
            told["data"].as_array().expect("rows").clone()
        }
    };
    let count = |text: &String, trace| {
        let rows = rows(text.clone(), trace);
        async move { rows.await.len() }
    };
    assert_eq!((count(&hers, "hers").await, count(&hers, "theirs").await), (1, 1));
    assert_eq!(
        (count(&theirs, "hers").await, count(&foreign, "hers").await),
        (1, 0),
        "a row of another workspace"
    );
    let denied = Bench::ask_as(&bench.gateway.with_key(&bare), "GET", "/admin/logs/hers", &Value::Null).await;
    assert_eq!(denied.0, 403, "{denied:?}");
    assert_eq!(rows(hers.clone(), "theirs").await[0]["metadata"]["team"], "a");
    set(&bench, json!({"membersViewLogMetadata": false})).await;
    assert_eq!(rows(hers.clone(), "theirs").await[0]["metadata"], json!({}));
    assert_eq!(rows(theirs.clone(), "theirs").await[0]["metadata"]["team"], "a", "no user's key");
    set(&bench, json!({"membersViewAllData": false})).await;
    assert_eq!((count(&hers, "hers").await, count(&hers, "theirs").await), (1, 0));
    assert_eq!(count(&theirs, "hers").await, 1);
    set(&bench, json!({"membersViewLogs": false})).await;
    let closed = Bench::ask_as(&bench.gateway.with_key(&hers), "GET", "/admin/logs/hers", &Value::Null).await;
    assert_eq!(closed.0, 403, "{closed:?}");
}
