//! Every route of the Admin API × every kind of key, role and scope: who is let in is what the table of scopes says.
//!
//! The routes come from the gateway's own OpenAPI document, so that none is left out; what is expected comes from the
//! kinds of keys and the roles, written down here by hand. `GOVERNANCE_MATRIX=write` writes the table anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tidegate_tests::Client;

use super::bench::Bench;
use super::orders::workspace;

type May = fn(&str) -> bool;

/// A key that asks, and what it may have at all.
struct Asker {
    name: &'static str,
    client: Client,
    /// Whether it may have a scope, by the catalogue and its user's role.
    may: May,
}

/// What keys of the organisation can't have: requests, and what only workspaces do.
fn organisation_may(scope: &str) -> bool {
    !matches!(
        scope,
        "completions.write" | "completions.read" | "logs.write" | "guardrails.invoke" | "prompts.render"
    )
}

pub(super) fn service_may(scope: &str) -> bool {
    let of_organisation =
        ["organisation_", "audit_logs.", "plugins.", "secret_references.", "deployments.", "explain."];
    let lists = scope == "organisation_integrations.list";
    let decides = matches!(scope, "workspaces.create" | "workspaces.delete");
    lists || !(decides || of_organisation.iter().any(|start| scope.starts_with(start)))
}

pub(super) fn user_may(scope: &str) -> bool {
    service_may(scope) && !scope.contains("_api_keys.")
}

pub(super) fn member_may(scope: &str) -> bool {
    let reads = [".read", ".list", ".view"].iter().any(|end| scope.ends_with(end));
    user_may(scope) && reads && scope != "workspace_users.list"
}

/// Makes a key with these scopes and returns its text.
pub(super) async fn key(bench: &Bench, kind: &str, more: Value, scopes: &[String]) -> Option<String> {
    let mut order = json!({"name": "asker", "scopes": scopes});
    if let (Value::Object(order), Value::Object(more)) = (&mut order, more) {
        order.extend(more);
    }
    let (status, made) = bench.ask("POST", &format!("/api-keys/{kind}"), &order).await;
    (status == 200).then(|| made["key"].as_str().expect("a key").to_owned())
}

/// Makes a person with a role in a workspace and returns their id.
async fn person(bench: &Bench, workspace: &str, role: &str) -> String {
    member(bench, workspace, role, "member", role).await
}

/// Makes a person of this name with a role in a workspace and one in the organisation, and returns their id.
pub(super) async fn member(bench: &Bench, workspace: &str, name: &str, house: &str, role: &str) -> String {
    let email = format!("{name}@example.com");
    let invite = json!({"email": email, "role": house, "workspaces": [{"id": workspace, "role": role}]});
    let made = bench.done("POST", "/admin/users/invites", &invite).await;
    let link = made["invite_link"].as_str().expect("a link").to_owned();
    let path = link.split("/v1").nth(1).expect("a path").to_owned();
    let (status, accepted) = Bench::ask_as(
        &bench.gateway.client(),
        "POST",
        &format!("{path}/accept"),
        &json!({"first_name": "A", "last_name": "B"}),
    )
    .await;
    assert_eq!(status, 200, "{accepted}");
    let users = bench.done("GET", "/admin/users?page_size=100", &Value::Null).await;
    let users = users["data"].as_array().expect("users").clone();
    let user = users.iter().find(|user| user["email"] == email.as_str()).expect("the person");
    user["id"].as_str().expect("an id").to_owned()
}

/// Returns the routes with their scopes, parameters filled in with what is not there.
pub(super) async fn routes(bench: &Bench) -> Vec<(String, String, Vec<String>)> {
    let document: Value = bench.gateway.client().get("/v1/openapi.json").send().await.expect(200).await;
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let scopes: Vec<String> = operation["x-scopes"]
                .as_array()
                .expect("scopes")
                .iter()
                .map(|it| it.as_str().expect("a scope").to_owned())
                .collect();
            routes.push((method.to_uppercase(), path.clone(), scopes));
        }
    }
    routes
}

/// Asks a route about what is not there: whoever is let in finds nothing to break.
pub(super) async fn probe(client: &Client, method: &str, path: &str) -> (u16, Value) {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "nothing" } else { part });
    let mut request = client.request(method, &parts.collect::<Vec<_>>().join("/"));
    if method != "GET" {
        request = request.header("content-type", "application/json").body("{}");
    }
    let mut answer = request.send().await;
    let body = answer.json().await;
    (answer.status, body)
}

/// Returns whether an answer says that a scope is missing.
pub(super) fn lacks(status: u16, body: &Value) -> bool {
    status == 403 && body["message"].as_str().is_some_and(|message| message.contains("lacks the scope"))
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_says() {
    let bench = Bench::start("").await;
    let home = workspace(&bench.gateway, "Home").await;
    let routes = routes(&bench).await;
    let mut scopes: Vec<String> = routes.iter().flat_map(|(_, _, scopes)| scopes.clone()).collect();
    scopes.sort();
    scopes.dedup();
    assert!(routes.len() > 70, "{} routes", routes.len());

    let all = |may: fn(&str) -> bool| scopes.iter().filter(|scope| may(scope)).cloned().collect::<Vec<_>>();
    let manager = person(&bench, &home, "manager").await;
    let member = person(&bench, &home, "member").await;
    let of_home = json!({"workspace_id": home});
    let of = |user: &str| json!({"workspace_id": home, "user_id": user});
    let mut askers = Vec::new();
    let kinds: [(&'static str, &str, Value, May); 4] = [
        ("organisation key", "organisation/service", json!({}), organisation_may),
        ("service key", "workspace/service", of_home.clone(), service_may),
        ("manager's key", "workspace/user", of(&manager), user_may),
        ("member's key", "workspace/user", of(&member), member_may),
    ];
    for (name, kind, more, may) in kinds {
        let text = key(&bench, kind, more, &all(may)).await.unwrap_or_else(|| panic!("no {name}"));
        askers.push(Asker { name, client: bench.gateway.with_key(&text), may });
    }
    // Least: a key with the scope to send requests and none of these.
    let none: fn(&str) -> bool = |_| false;
    let text =
        key(&bench, "workspace/service", of_home, &["completions.write".to_owned()]).await.expect("a key");
    askers.push(Asker { name: "key without scopes", client: bench.gateway.with_key(&text), may: none });
    askers.push(Asker { name: "root", client: bench.gateway.admin(), may: |_| true });

    let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (method, path, scopes) in &routes {
        if scopes.is_empty() {
            continue;
        }
        for asker in &askers {
            let (status, body) = probe(&asker.client, method, path).await;
            let lacks = lacks(status, &body);
            let expected = scopes.iter().any(|scope| (asker.may)(scope));
            if lacks == expected {
                wrong.push(format!("{method} {path} as {}: {status} {}", asker.name, body["message"]));
            }
            assert!(status < 500, "{method} {path} as {}: {body}", asker.name);
            table
                .entry(format!("{method} {path}"))
                .or_default()
                .push(if lacks { "–" } else { "✓" }.to_owned());
        }
    }
    assert!(wrong.is_empty(), "{} of the table is wrong:\n{}", wrong.len(), wrong.join("\n"));

    let mut text = "# Who may call what\n\nMade by `GOVERNANCE_MATRIX=write` and checked by the tests: every route of the \
                    Admin API with a key of each kind that has every scope that its kind and role can have.\n\n"
        .to_owned();
    let heads: Vec<&str> = askers.iter().map(|asker| asker.name).collect();
    let _ =
        writeln!(text, "| Route | Scope | {} |\n|---|---|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for (method, path, scopes) in &routes {
        if let Some(row) = table.get(&format!("{method} {path}")) {
            let _ =
                writeln!(text, "| `{method} {path}` | `{}` | {} |", scopes.join("` or `"), row.join(" | "));
        }
    }
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("governance_matrix.md");
    if std::env::var_os("GOVERNANCE_MATRIX").is_some() {
        std::fs::write(&place, &text).expect("the table");
    }
    let known = std::fs::read_to_string(&place).expect("tests/governance_matrix.md");
    assert_eq!(known, text, "GOVERNANCE_MATRIX=write writes the table anew");
}

#[tokio::test]
async fn the_openapi_document_is_the_one_that_is_checked_in() {
    let bench = Bench::start("").await;
    let document: Value = bench.gateway.client().get("/v1/openapi.json").send().await.expect(200).await;
    let text = format!("{}\n", serde_json::to_string_pretty(&document).expect("JSON"));
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../router/openapi.json");
    if std::env::var_os("GOVERNANCE_MATRIX").is_some() {
        std::fs::write(&place, &text).expect("the document");
    }
    let known = std::fs::read_to_string(&place).expect("router/openapi.json");
    assert!(
        known == text,
        "router/openapi.json is of another version; GOVERNANCE_MATRIX=write writes it anew"
    );
}

#[tokio::test]
async fn many_changes_fail_no_request() {
    let bench = Bench::start("").await;
    bench.integration("busy").await;
    assert_eq!(bench.chat("@busy/mock").await.0, 200);
    let admin = bench.gateway.admin();
    let writing = tokio::spawn(async move {
        for number in 0..500 {
            let order = json!({"name": format!("w{number}"), "conditions": [{"key": "api_key", "value": format!("nobody-{number}")}],
                "group_by": [], "type": "cost", "credit_limit": 1});
            let (status, made) = Bench::ask_as(&admin, "POST", "/policies/usage-limits", &order).await;
            assert_eq!(status, 200, "{made}");
        }
    });
    let mut asked = 0;
    while !writing.is_finished() {
        let (status, answer) = bench.chat("@busy/mock").await;
        assert_eq!(status, 200, "{answer}");
        asked += 1;
    }
    writing.await.expect("all changes");
    assert!(asked > 10, "{asked} requests beside 500 changes");
}
