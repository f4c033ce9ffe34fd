//! The Admin API: every route, place and name, and the table of what is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::super::bench::Bench;
use super::attackers::{self, Attacker};
use super::home::Home;
use super::names::{Kind, Name, twin};
use super::orders::{Route, routes, told};
use super::rules::{Form, Place};
use super::victim::{self, Victim};

/// Orders that are right and still come to nothing: they need what only time or a person gives.
const COME_TO_NOTHING: [(&str, u16); 4] = [
    ("GET /v1/api-keys/{id}/secret", 404),
    ("GET /v1/invites/{token}", 404),
    ("POST /v1/invites/{token}/accept", 404),
    ("PUT /v1/policies/usage-limits/{id}/entities/{entity}/reset", 404),
];

/// Statuses by route, then by place.
type Table = BTreeMap<String, BTreeMap<String, BTreeSet<u16>>>;

struct Siege {
    bench: Bench,
    victim: Victim,
    home: Home,
    attackers: Vec<Attacker>,
    routes: Vec<Route>,
    table: Table,
    leaks: Vec<String>,
    sent: usize,
}

impl Siege {
    async fn begin() -> Self {
        let bench = victim::bench().await;
        let document: Value = bench.gateway.client().get("/v1/openapi.json").send().await.expect(200).await;
        let (routes, unknown) = routes(&document);
        assert!(
            unknown.is_empty(),
            "`tenancy/rules.rs` does not say whether these may name what another workspace owns:\n{}",
            unknown.join("\n")
        );
        assert!(routes.len() > 70, "{} routes", routes.len());
        let victim = Victim::settle(&bench).await;
        let home = Home::settle(&bench).await;
        let scopes: BTreeSet<String> = routes.iter().flat_map(|route| route.scopes.clone()).collect();
        let scopes: Vec<String> = scopes.into_iter().collect();
        let attackers = attackers::all(&bench, &home, &scopes).await;
        let (table, leaks) = (Table::new(), Vec::new());
        Self { bench, victim, home, attackers, routes, table, leaks, sent: 0 }
    }

    /// Sends orders that are right: whoever may, can; and nobody sees anything of the other workspace.
    async fn ask_rightly(&mut self) {
        let mut wrong = Vec::new();
        for route in &self.routes {
            for attacker in &self.attackers {
                let order = route.order(&self.bench, &self.home).await;
                let (status, text) = order.send(&attacker.client).await;
                let name = route.name();
                let is_expected = matches!(status, 200 | 403) || COME_TO_NOTHING.contains(&(&name, status));
                // What one did may stand against the next.
                if attacker.name == "service key" && !is_expected {
                    wrong.push(format!("{name} {}: {status} {text}", order.body));
                }
                if let Some(found) = self.victim.names.found_in(&text) {
                    self.leaks.push(format!("{name} as {} shows {found:?}: {text}", attacker.name));
                }
                self.sent += 1;
                self.forget_nobody(&[&self.home.nobodys[0]]).await;
            }
        }
        assert!(
            wrong.is_empty(),
            "orders that should be right are not, so that nothing can be told:\n{}",
            wrong.join("\n")
        );
    }

    /// Takes people out of the attackers' workspace again.
    async fn forget_nobody(&self, people: &[&str]) {
        for person in people {
            let path = format!("/admin/workspaces/{}/users/{person}", self.home.workspace);
            self.bench.ask("DELETE", &path, &Value::Null).await;
        }
    }

    /// Puts every name into every place.
    async fn attack(&mut self) {
        let mut table = std::mem::take(&mut self.table);
        let mut leaks = std::mem::take(&mut self.leaks);
        for route in &self.routes {
            for (place, member, forms) in &route.places {
                for (number, form) in forms.iter().enumerate() {
                    // Every name once; in the other forms, which are read alike, an id and a slug.
                    let most = if number == 0 { usize::MAX } else { 2 };
                    for name in self.victim.names.of(form.kind).take(most) {
                        let at = (*place, member.as_str());
                        let statuses = self.attack_with(route, at, form, name, &mut leaks).await;
                        let row = table.entry(route.name()).or_default();
                        row.entry(shown(at, form.kind)).or_default().extend(statuses);
                        self.sent += 2 * self.attackers.len();
                    }
                }
            }
        }
        (self.table, self.leaks) = (table, leaks);
    }

    async fn attack_with(
        &self,
        route: &Route,
        at: (Place, &str),
        form: &Form,
        name: &Name,
        leaks: &mut Vec<String>,
    ) -> Vec<u16> {
        let other = self.other(at, name);
        let mut statuses = Vec::new();
        for attacker in &self.attackers {
            let order = route.order_with(&self.bench, &self.home, at, &form.with(&name.text)).await;
            let (status, text) = order.send(&attacker.client).await;
            let of_nobody = route.order_with(&self.bench, &self.home, at, &form.with(&other)).await;
            let expected = of_nobody.send(&attacker.client).await;
            let sent = format!("{} {} as {}", order.target, order.body, attacker.name);
            let told_of_nobody = told(&expected.1, &of_nobody.target, &other);
            if (status, told(&text, &order.target, &name.text)) != (expected.0, told_of_nobody) {
                leaks.push(format!(
                    "{} {sent}: {status} {text}\n  but for what nobody has: {} {}",
                    route.name(),
                    expected.0,
                    expected.1
                ));
            }
            if let Some(found) = self.victim.names.found_in(&text.replace(&name.text, "(named)")) {
                leaks.push(format!("{} {sent} shows {found:?}: {text}", route.name()));
            }
            if status >= 500 {
                leaks.push(format!("{} {sent}: {status} {text}", route.name()));
            }
            if at == (Place::Body, "users") && status == 200 {
                self.forget_nobody(&[&name.text, &other]).await;
            }
            statuses.push(status);
        }
        statuses
    }

    /// A name that is as good but nobody's. People are the organisation's: any may be asked into a workspace, and the
    /// answer is that for somebody who is in none.
    fn other(&self, at: (Place, &str), name: &Name) -> String {
        match (at, name.kind) {
            ((Place::Body, "users"), Kind::Person) => {
                self.home.nobodys[usize::from(name.text.contains('@'))].clone()
            }
            _ => twin(&name.text),
        }
    }

    fn written(&self) -> String {
        let mut text = "# Names of another workspace\n\nMade by `GOVERNANCE_MATRIX=write` and checked by the tests: \
            what keys of a workspace (a service key, and users who are admin, manager and member of it, each with all \
            scopes that they can have) are answered when a place of a route names what another workspace owns, by id, \
            slug or name. Each answer is word for word the one for a name that nobody has. 200 stands where any text \
            may (conditions of policies, patterns of models, hooks of configs, filters of lists, slugs of new objects), \
            where a place is not read (users of service keys), and for people, who are the organisation's: it holds in the asker's own workspace alone. 403 is the answer to whoever lacks the scope. \
            Routes that are not listed name nothing.\n\n| Route | Place: what it names → statuses |\n|---|---|\n"
            .to_owned();
        for (route, places) in &self.table {
            let places = places.iter().map(|(place, statuses)| {
                let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
                format!("{place} → {}", statuses.join(", "))
            });
            let _ = writeln!(text, "| `{route}` | {} |", places.collect::<Vec<_>>().join("; "));
        }
        text
    }
}

fn shown((place, member): (Place, &str), kind: Kind) -> String {
    let kind = kind.words();
    match place {
        Place::Path => format!("`{{{member}}}`: {kind}"),
        Place::Query => format!("`?{member}`: {kind}"),
        Place::Body => format!("`{member}`: {kind}"),
    }
}

#[tokio::test]
async fn no_place_of_any_route_lets_in_on_another_workspace() {
    let mut siege = Siege::begin().await;
    let before = siege.victim.snapshot(&siege.bench).await;
    siege.ask_rightly().await;
    siege.attack().await;
    assert!(siege.sent > 2_000, "{} orders", siege.sent);
    assert!(siege.leaks.is_empty(), "{} leaks:\n{}", siege.leaks.len(), siege.leaks.join("\n"));
    let after = siege.victim.snapshot(&siege.bench).await;
    for (path, was) in before.as_object().expect("paths") {
        assert_eq!(*was, after[path], "{path} was changed");
    }
    // Limits and policies that were made at home hold there alone.
    let client = siege.bench.gateway.with_key(&siege.victim.key);
    let order = crate::support::chat("@victim-own/mock", "still here");
    client.chat(&order).send().await.expect(200).await;

    let text = siege.written();
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tenancy_matrix.md");
    if std::env::var_os("GOVERNANCE_MATRIX").is_some() {
        std::fs::write(&place, &text).expect("the table");
    }
    let known = std::fs::read_to_string(&place).expect("tests/tenancy_matrix.md");
    assert_eq!(known, text, "GOVERNANCE_MATRIX=write writes the table anew");
}

#[tokio::test]
async fn buckets_of_the_organisations_policies_are_not_for_workspaces() {
    let siege = Siege::begin().await;
    let path = format!("/policies/usage-limits/{}", siege.victim.of_everyone);
    let shown = siege.bench.done("GET", &format!("{path}/entities"), &Value::Null).await;
    assert!(siege.victim.names.found_in(&shown.to_string()).is_some(), "it counts the victim: {shown}");
    for attacker in &siege.attackers {
        for part in ["", "?include_usage=true", "/entities"] {
            let (_, answer) =
                Bench::ask_as(&attacker.client, "GET", &format!("{path}{part}"), &Value::Null).await;
            let found = siege.victim.names.found_in(&answer.to_string());
            assert!(found.is_none(), "{part} as {} shows {found:?}: {answer}", attacker.name);
        }
    }
}
