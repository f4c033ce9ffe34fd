//! Requests: models, providers, virtual keys, configs, guardrails, logs and kept answers of another workspace.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tidegate_tests::Client;

use super::super::bench::Bench;
use super::super::orders::{service_key, text};
use super::attackers::{self, Attacker};
use super::forms;
use super::home::Home;
use super::names::{Kind, Names, twin};
use super::orders::told;
use super::rules::Form;
use super::victim::{self, TRACE, Victim};
use crate::support::chat;

/// Paths that take a model in their body.
const PATHS: [&str; 9] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/of/nobodys/making",
];

/// A request with a name in it: method, path, headers, body.
type Request = (&'static str, String, Vec<(&'static str, String)>, Value);

fn question(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}], "prompt": "hello", "input": "hello",
        "voice": "alloy", "max_tokens": 10})
}

/// Every way in which a request names something of this kind.
fn requests(kind: Kind, name: &str) -> Vec<Request> {
    let home = || question("@home-main/mock");
    let chat = |headers: Vec<(&'static str, String)>, body: Value| {
        ("POST", "/v1/chat/completions".to_owned(), headers, body)
    };
    let explained = |question: Value| ("POST", "/v1/admin/explain".to_owned(), Vec::new(), question);
    let mut all = Vec::new();
    match kind {
        Kind::Provider => {
            let model = format!("@{name}/mock");
            for path in PATHS {
                all.push(("POST", path.to_owned(), Vec::new(), question(&model)));
                let header = vec![("x-portkey-provider", format!("@{name}"))];
                all.push(("POST", path.to_owned(), header, question("mock")));
            }
            all.push(chat(vec![("x-portkey-provider", name.to_owned())], question("mock")));
            all.push(chat(vec![("x-portkey-virtual-key", name.to_owned())], question("mock")));
            all.push(chat(vec![("x-tidegate-virtual-key", format!("@{name}"))], question("mock")));
            let escaped = utf8_percent_encode(&model, NON_ALPHANUMERIC).to_string();
            all.push(("GET", format!("/v1/models/{escaped}"), Vec::new(), Value::Null));
            all.push(("GET", format!("/v1/models?provider={name}"), Vec::new(), Value::Null));
            all.push(explained(json!({"body": question(&model)})));
            all.push(explained(json!({"body": question("mock"), "headers": {"x-portkey-provider": model}})));
        }
        Kind::Config => {
            all.push(chat(vec![("x-portkey-config", name.to_owned())], home()));
            all.push(explained(json!({"config": name, "body": home()})));
        }
        Kind::Workspace => {
            let metadata = json!({"workspace_id": name, "_workspace": name, "x-portkey-workspace": name});
            all.push(chat(vec![("x-portkey-metadata", metadata.to_string())], home()));
            all.push(chat(vec![("x-portkey-workspace", name.to_owned())], home()));
        }
        Kind::Key => all.push(explained(json!({"key": name, "body": home()}))),
        _ => {}
    }
    for form in forms::of_config().iter().filter(|form| form.kind == kind) {
        all.push(chat(vec![("x-portkey-config", inline(form, name))], question("mock")));
        all.push(explained(json!({"config": form.with(name), "body": question("mock")})));
    }
    all
}

fn inline(form: &Form, name: &str) -> String {
    form.with(name).to_string()
}

async fn send(client: &Client, (method, path, headers, body): &Request) -> (u16, String) {
    let mut request = client.request(method, path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if !body.is_null() {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let mut answer = request.send().await;
    (answer.status, answer.text().await)
}

/// What of an answer must be the same: times, ids and prices of answers of models are not.
fn alike(status: u16, body: &str, name: &str) -> (u16, String) {
    if status == 200 { (status, String::new()) } else { (status, told(body, "", name)) }
}

async fn leaks(attackers: &[Attacker], names: &Names) -> Vec<String> {
    let mut leaks = Vec::new();
    for kind in [Kind::Provider, Kind::Config, Kind::Guardrail, Kind::Workspace, Kind::Key] {
        for name in names.of(kind) {
            let other = twin(&name.text);
            let pairs = requests(kind, &name.text).into_iter().zip(requests(kind, &other));
            for (request, of_nobody) in pairs {
                for attacker in attackers {
                    let (status, body) = send(&attacker.client, &request).await;
                    let expected = send(&attacker.client, &of_nobody).await;
                    let shown = names.found_in(&body.replace(&name.text, "(named)"));
                    let is_alike = alike(status, &body, &name.text) == alike(expected.0, &expected.1, &other);
                    if !is_alike || shown.is_some() || status >= 500 {
                        leaks.push(format!(
                            "{request:?} as {}: {status} {body}\n  but for what nobody has: {} {}; shown: {shown:?}",
                            attacker.name, expected.0, expected.1
                        ));
                    }
                }
            }
        }
    }
    leaks
}

/// Scopes of everything are asked for by `attackers`: these are what it needs beside them.
async fn besieged() -> (Bench, Victim, Home, Vec<Attacker>) {
    let bench = victim::bench().await;
    let victim = Victim::settle(&bench).await;
    let home = Home::settle(&bench).await;
    let scopes = ["guardrails.delete", "guardrails.create", "providers.create", "providers.read"];
    let attackers = attackers::all(&bench, &home, &scopes.map(str::to_owned)).await;
    (bench, victim, home, attackers)
}

#[tokio::test]
async fn requests_reach_nothing_of_another_workspace() {
    let (bench, victim, _, attackers) = besieged().await;
    let before = victim.snapshot(&bench).await;
    for attacker in &attackers {
        let own = attacker.client.chat(&question("@home-main/mock")).send().await;
        assert_eq!(own.status, 200, "{} may ask at home", attacker.name);
    }
    let leaks = leaks(&attackers, &victim.names).await;
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    for attacker in &attackers {
        for (method, path) in [
            ("GET", "/v1/models".to_owned()),
            ("GET", "/v1/admin/state".to_owned()),
            ("GET", format!("/v1/admin/logs/{TRACE}")),
            ("DELETE", "/v1/admin/cache".to_owned()),
            ("GET", "/v1/plugins".to_owned()),
            ("GET", "/v1/api-keys/self/details?include_organisation=true&include_workspace=true".to_owned()),
        ] {
            let (status, body) =
                send(&attacker.client, &(method, path.clone(), Vec::new(), Value::Null)).await;
            let found = victim.names.found_in(&body);
            assert!(found.is_none(), "{path} as {} shows {found:?}: {body}", attacker.name);
            if path.contains("/logs/") && status == 200 {
                let rows = serde_json::from_str::<Value>(&body).expect("JSON")["data"].clone();
                assert_eq!(rows, json!([]), "{path} as {}: rows of another workspace", attacker.name);
                continue;
            }
            let is_for_all = path == "/v1/models" || path.contains("self");
            assert_eq!(status, if is_for_all { 200 } else { 403 }, "{path} as {}: {body}", attacker.name);
        }
    }
    for attacker in &attackers {
        // A trace id that is another's already is one's own text, no way to their rows.
        let own = attacker.client.chat(&question("@home-main/mock")).header("x-portkey-trace-id", TRACE);
        assert_eq!(own.send().await.status, 200);
    }
    let after = victim.snapshot(&bench).await;
    for (path, was) in before.as_object().expect("paths") {
        assert_eq!(*was, after[path], "{path} was changed");
    }
}

#[tokio::test]
async fn kept_answers_are_for_the_workspace_that_asked() {
    let (bench, victim, home, attackers) = besieged().await;
    // The same slug, credential, model and words in both.
    let host = json!({"custom_host": bench.mock.url("/v1")});
    for workspace in [&victim.workspace, &home.workspace] {
        let order = json!({"name": "Same", "slug": "same", "provider": "openai", "key": "sk-same",
            "workspace_id": workspace, "configurations": host});
        bench.done("POST", "/virtual-keys", &order).await;
    }
    let config = json!({"provider": "@same", "cache": {"mode": "simple"}}).to_string();
    let ask = async |client: &Client| {
        let asked = client.chat(&chat("mock", "the same words")).header("x-portkey-config", &config);
        let answer = asked.send().await;
        assert_eq!(answer.status, 200);
        answer.header("x-portkey-cache-status").to_owned()
    };
    let victims = bench.gateway.with_key(&victim.key);
    assert_eq!(ask(&victims).await, "MISS");
    assert_eq!(ask(&victims).await, "HIT");
    assert_eq!(ask(&attackers[0].client).await, "MISS");
    assert_eq!(ask(&attackers[0].client).await, "HIT");
}

#[tokio::test]
async fn what_another_workspace_writes_stands_against_nothing_at_home() {
    let (bench, victim, home, attackers) = besieged().await;
    let service = &attackers[0].client;
    // Another's id is as good a slug as any.
    let id = victim.names.of(Kind::Provider).next().expect("a provider").text.clone();
    let order = json!({"name": "mine", "slug": id, "integration_id": "home-own"});
    let (status, made) = Bench::ask_as(service, "POST", "/providers", &order).await;
    assert_eq!(status, 200, "{made}");
    let (status, read) = Bench::ask_as(service, "GET", &format!("/providers/{id}"), &Value::Null).await;
    assert_eq!((status, &read["id"]), (200, &made["id"]), "{read}");
    // Another's config that has the words of a guardrail in it does not hold it.
    let order = json!({"name": "mine", "checks": [{"id": "default.notNull"}], "actions": {}});
    let (_, guardrail) = Bench::ask_as(service, "POST", "/guardrails", &order).await;
    let slug = text(&guardrail, "slug");
    let config = json!({"provider": "@victim-own", "override_params": {"user": slug}});
    let order = json!({"name": "theirs", "workspace_id": victim.workspace, "config": config});
    bench.done("POST", "/configs", &order).await;
    let (status, answer) =
        Bench::ask_as(service, "DELETE", &format!("/guardrails/{slug}"), &Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    // A policy at home that names another's key and workspace limits nobody there.
    let scopes = ["policies.create", "completions.write"];
    let (_, key) = service_key(&bench.gateway, &home.workspace, &scopes, Value::Null).await;
    let theirs = victim.names.of(Kind::Key).next().expect("a key").text.clone();
    for conditions in [
        json!([{"key": "api_key", "value": theirs}]),
        json!([{"key": "workspace_id", "value": victim.workspace}]),
        json!([{"key": "api_key", "value": "*"}]),
    ] {
        let order =
            json!({"conditions": conditions, "group_by": [], "type": "requests", "unit": "rpd", "value": 1});
        let client = bench.gateway.with_key(&key);
        let (status, made) = Bench::ask_as(&client, "POST", "/policies/rate-limits", &order).await;
        assert_eq!(status, 200, "{made}");
    }
    for _ in 0..3 {
        let victims = bench.gateway.with_key(&victim.key);
        victims.chat(&chat("@victim-own/mock", "still here")).send().await.expect(200).await;
    }
}
