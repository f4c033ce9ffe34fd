//! Whoever of the other workspace asks: keys with every scope that their kind and role can have.

use serde_json::{Value, json};
use tidegate_tests::Client;

use super::super::bench::Bench;
use super::super::matrix::{member_may, service_may, user_may};
use super::super::orders::{person, text};
use super::home::Home;
use super::victim::user_id;

pub(super) struct Attacker {
    pub(super) name: &'static str,
    pub(super) client: Client,
}

/// Scopes beside those of the Admin API's routes.
const BESIDE: [&str; 6] =
    ["completions.write", "completions.read", "models.list", "logs.view", "logs.list", "explain.read"];

pub(super) async fn all(bench: &Bench, home: &Home, scopes: &[String]) -> Vec<Attacker> {
    let may = |may: fn(&str) -> bool| {
        let of_routes = scopes.iter().filter(|scope| may(scope)).map(String::as_str);
        of_routes.chain(BESIDE).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    let order = json!({"name": "service", "workspace_id": home.workspace, "scopes": may(service_may)});
    all.push(("service key", bench.done("POST", "/api-keys/workspace/service", &order).await));
    for (name, role, scopes) in [
        ("admin", "admin", may(user_may)),
        ("manager", "manager", may(user_may)),
        ("member", "member", may(member_may)),
    ] {
        let email = format!("{role}-at-home@example.com");
        person(&bench.gateway, &email, "member", json!([{"id": home.workspace, "role": role}])).await;
        let user = user_id(bench, &email).await;
        let order = json!({"name": name, "workspace_id": home.workspace, "user_id": user, "scopes": scopes});
        all.push((name, bench.done("POST", "/api-keys/workspace/user", &order).await));
    }
    let client = |made: &Value| bench.gateway.with_key(&text(made, "key"));
    all.iter().map(|(name, made)| Attacker { name, client: client(made) }).collect()
}
