//! The workspace that is not to be touched: one of everything that a workspace can own, used once.

use serde_json::{Value, json};

use super::super::bench::{Bench, VENDOR_KEY};
use super::super::orders::{person, service_key, text, workspace};
use super::names::{Kind, Names};
use crate::guardrails::warm::warm_default;
use crate::support::chat;

/// Trace id of the request that it sent.
pub(super) const TRACE: &str = "trace-of-the-victim";

pub(super) struct Victim {
    /// Id of the workspace.
    pub(super) workspace: String,
    /// Its service key.
    pub(super) key: String,
    /// Everything that it owns, and what of the organisation's says something of it.
    pub(super) names: Names,
    /// A usage policy of everyone that counts by key: workspaces see it, not who else is counted.
    pub(super) of_everyone: String,
}

/// Starts a gateway that takes secrets from the environment and has the checks that guardrails name.
pub(super) async fn bench() -> Bench {
    let bench = Bench::start("secret_env_prefix = \"VICTIM_\"").await;
    warm_default(&bench.gateway).await;
    bench
}

impl Victim {
    pub(super) async fn settle(bench: &Bench) -> Self {
        let id = workspace(&bench.gateway, "Victim Quince").await;
        let mut names = Names::default();
        let made = bench.done("GET", &format!("/admin/workspaces/{id}"), &Value::Null).await;
        names.add_of(Kind::Workspace, &made, &["id", "slug"]);
        names.add(Kind::WorkspaceName, "Victim Quince");
        providers(bench, &id, &mut names).await;
        configs(bench, &id, &mut names).await;
        people(bench, &id, &mut names).await;
        let scopes = ["completions.write", "models.list", "logs.view", "configs.read"];
        let more =
            json!({"name": "victim-service", "usage_limits": {"type": "requests", "credit_limit": 50}});
        let (key_id, key) = service_key(&bench.gateway, &id, &scopes, more).await;
        names.add(Kind::Key, &key_id);
        let of_everyone = policies(bench, &id, &key_id, &mut names).await;
        let asked = bench.gateway.with_key(&key).chat(&chat("@victim-own/mock", "a secret of the victim"));
        asked.header("x-portkey-trace-id", TRACE).send().await.expect(200).await;
        let row = bench.gateway.log_of(TRACE).await;
        names.add(Kind::Request, text(&row, "id"));
        Self { workspace: id, key, names, of_everyone }
    }

    /// Everything that there is of it, as an owner of the organisation sees it.
    pub(super) async fn snapshot(&self, bench: &Bench) -> Value {
        let of = format!("workspace_id={}&page_size=500", self.workspace);
        let mut all = json!({});
        for path in ["providers", "virtual-keys", "integrations", "configs", "guardrails", "api-keys"] {
            all[path] = bench.done("GET", &format!("/{path}?{of}"), &Value::Null).await;
        }
        let place = format!("/admin/workspaces/{}", self.workspace);
        for path in [place.clone(), format!("{place}/users")] {
            all[&path] = bench.done("GET", &path, &Value::Null).await;
        }
        for (kind, path, parts) in [
            (Kind::Integration, "integrations", ["/models", "/workspaces"].as_slice()),
            (Kind::Config, "configs", &["", "/versions"]),
            (Kind::Guardrail, "guardrails", &["", "/versions"]),
            (Kind::Usage, "policies/usage-limits", &["", "?include_usage=true", "/entities"]),
            (Kind::Rate, "policies/rate-limits", &[""]),
            (Kind::Reference, "secret-references", &[""]),
            (Kind::Invite, "admin/users/invites", &[""]),
        ] {
            for name in self.names.of(kind) {
                for part in parts {
                    let path = format!("/{path}/{}{part}", name.text);
                    all[&path] = bench.done("GET", &path, &Value::Null).await;
                }
            }
        }
        let of = format!("/audit-logs?workspace_id={}&page_size=500", self.workspace);
        all["audit"] = bench.done("GET", &of, &Value::Null).await;
        all
    }
}

async fn providers(bench: &Bench, id: &str, names: &mut Names) {
    let host = json!({"custom_host": bench.mock.url("/v1")});
    let order = json!({"name": "Victim Own", "slug": "victim-own", "ai_provider_id": "openai", "key": VENDOR_KEY,
        "workspace_id": id, "configurations": host});
    let own = bench.done("POST", "/integrations", &order).await;
    names.add_of(Kind::Integration, &own, &["id", "slug"]);
    let models = json!({"models": [{"slug": "victim-model", "enabled": true, "is_custom": true}]});
    bench.done("PUT", "/integrations/victim-own/models", &models).await;
    // Of the organisation, and given to this workspace alone.
    let order = json!({"name": "Victim Given", "slug": "victim-given", "ai_provider_id": "openai", "key": VENDOR_KEY,
        "configurations": host, "create_default_provider": false});
    let given = bench.done("POST", "/integrations", &order).await;
    names.add_of(Kind::Integration, &given, &["id", "slug"]);
    let to = json!({"workspaces": [{"id": id, "enabled": true, "create_default_provider": true}]});
    bench.done("PUT", "/integrations/victim-given/workspaces", &to).await;
    let order = json!({"name": "Victim Second", "slug": "victim-second", "integration_id": "victim-own",
        "workspace_id": id, "usage_limits": {"type": "cost", "credit_limit": 9}});
    let second = bench.done("POST", "/providers", &order).await;
    let order = json!({"name": "Victim Virtual", "slug": "victim-virtual", "provider": "openai", "key": VENDOR_KEY,
        "workspace_id": id, "configurations": host});
    let virtual_key = bench.done("POST", "/virtual-keys", &order).await;
    let of = format!("?workspace_id={id}");
    let first = bench.done("GET", &format!("/providers/victim-own{of}"), &Value::Null).await;
    for provider in [&first, &second, &virtual_key] {
        names.add_of(Kind::Provider, provider, &["id", "slug"]);
    }
    for taken in ["victim-taken", "victim-taken-too"] {
        let order = json!({"name": taken, "slug": taken, "integration_id": "victim-own", "workspace_id": id});
        let provider = bench.done("POST", "/providers", &order).await;
        names.add_of(Kind::Taken, &provider, &["id", "slug"]);
    }
    let order = json!({"name": "Victim Secret", "slug": "victim-secret", "manager_type": "env",
        "secret_path": "VICTIM_OF_NOBODY", "allowed_workspaces": [id]});
    let reference = bench.done("POST", "/secret-references", &order).await;
    names.add_of(Kind::Reference, &reference, &["id", "slug"]);
}

async fn configs(bench: &Bench, id: &str, names: &mut Names) {
    let order = json!({"name": "victim-config", "workspace_id": id, "config": {"provider": "@victim-own"}});
    let config = bench.done("POST", "/configs", &order).await;
    names.add_of(Kind::Config, &config, &["id", "slug"]);
    names.add_of(Kind::Version, &config, &["version_id"]);
    let path = format!("/configs/{}", text(&config, "slug"));
    let changed = json!({"config": {"provider": "@victim-own", "retry": {"attempts": 1}}});
    let changed = bench.done("PUT", &path, &changed).await;
    names.add_of(Kind::Version, &changed, &["version_id"]);
    let order = json!({"name": "victim-guardrail", "workspace_id": id, "actions": {},
        "checks": [{"id": "default.contains", "parameters": {"words": ["victim"], "operator": "any"}}]});
    let guardrail = bench.done("POST", "/guardrails", &order).await;
    names.add_of(Kind::Guardrail, &guardrail, &["id", "slug"]);
    names.add_of(Kind::GuardrailVersion, &guardrail, &["version_id"]);
}

async fn people(bench: &Bench, id: &str, names: &mut Names) {
    let places = json!([{"id": id, "role": "admin"}]);
    person(&bench.gateway, "ada-victim@example.com", "member", places.clone()).await;
    let user = user_id(bench, "ada-victim@example.com").await;
    names.add(Kind::Person, &user);
    names.add(Kind::Person, "ada-victim@example.com");
    let order = json!({"name": "ada", "workspace_id": id, "user_id": user, "scopes": ["completions.write"]});
    let key = bench.done("POST", "/api-keys/workspace/user", &order).await;
    names.add_of(Kind::Key, &key, &["id"]);
    let order = json!({"name": "of all", "scopes": ["configs.read"]});
    let key = bench.done("POST", "/api-keys/organisation/service", &order).await;
    names.add_of(Kind::Key, &key, &["id"]);
    let order = json!({"email": "invited-victim@example.com", "role": "member", "workspaces": places});
    let invite = bench.done("POST", "/admin/users/invites", &order).await;
    names.add_of(Kind::Invite, &invite, &["id"]);
}

/// Returns the id of the person with this address.
pub(super) async fn user_id(bench: &Bench, email: &str) -> String {
    let users = bench.done("GET", "/admin/users?page_size=100", &Value::Null).await;
    let users = users["data"].as_array().expect("users");
    text(users.iter().find(|user| user["email"] == email).expect("the person"), "id")
}

async fn policies(bench: &Bench, id: &str, key: &str, names: &mut Names) -> String {
    let usage = |workspace: Value, conditions: Value| {
        json!({"name": "victim-usage", "workspace_id": workspace, "conditions": conditions,
            "group_by": [{"key": "api_key"}], "type": "requests", "credit_limit": 1000})
    };
    let of_key = json!([{"key": "api_key", "value": key}]);
    for (workspace, conditions) in [
        (json!(id), json!([])),
        // The organisation's, about this workspace alone.
        (Value::Null, of_key.clone()),
        (Value::Null, json!([{"key": "workspace_id", "value": [id]}])),
    ] {
        let made = bench.done("POST", "/policies/usage-limits", &usage(workspace, conditions)).await;
        names.add_of(Kind::Usage, &made, &["id"]);
    }
    names.add(Kind::Bucket, format!("api_key:{key}"));
    for (workspace, conditions) in [(json!(id), json!([])), (Value::Null, of_key)] {
        let order = json!({"name": "victim-rate", "workspace_id": workspace, "conditions": conditions,
            "group_by": [], "type": "requests", "unit": "rpm", "value": 1000});
        let made = bench.done("POST", "/policies/rate-limits", &order).await;
        names.add_of(Kind::Rate, &made, &["id"]);
    }
    let mut everyones = usage(Value::Null, json!([{"key": "api_key", "value": "*"}]));
    everyones["name"] = "of everyone".into();
    text(&bench.done("POST", "/policies/usage-limits", &everyones).await, "id")
}
