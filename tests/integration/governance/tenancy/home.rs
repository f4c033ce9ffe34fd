//! The attackers' own workspace: one of everything, so that each order is right but for the name in it.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::super::bench::{Bench, VENDOR_KEY};
use super::super::orders::{person, text, workspace};
use super::names::{Kind, twin};
use super::rules::kind_of;
use super::victim::user_id;

pub(super) struct Home {
    /// Id of the workspace.
    pub(super) workspace: String,
    /// A person of the organisation who is in no workspace: id and address.
    pub(super) nobodys: [String; 2],
    made: AtomicU32,
}

impl Home {
    pub(super) async fn settle(bench: &Bench) -> Self {
        let id = workspace(&bench.gateway, "Home Base").await;
        person(&bench.gateway, "nobodys@example.com", "member", json!([])).await;
        let user = user_id(bench, "nobodys@example.com").await;
        let order = json!({"name": "Home Own", "slug": "home-own", "ai_provider_id": "openai", "key": VENDOR_KEY,
            "workspace_id": id, "default_provider_slug": "home-main",
            "configurations": {"custom_host": bench.mock.url("/v1")}});
        bench.done("POST", "/integrations", &order).await;
        Self { workspace: id, nobodys: [user, "nobodys@example.com".to_owned()], made: AtomicU32::new(0) }
    }

    /// Fills a path with objects of this workspace, made for this one order.
    pub(super) async fn path(&self, bench: &Bench, path: &str) -> String {
        let mut filled = path.to_owned();
        for part in path.split('/').filter(|part| part.starts_with('{')) {
            let own = match part {
                "{type}" => "workspace".to_owned(),
                "{sub_type}" => "service".to_owned(),
                "{entity}" => "default".to_owned(),
                "{user}" => self.member(bench).await,
                _ => self.own(bench, path).await,
            };
            filled = filled.replacen(part, &own, 1);
        }
        filled
    }

    async fn own(&self, bench: &Bench, path: &str) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let slug = format!("home-{number}");
        let of = |mut order: Value| {
            order["name"] = "home".into();
            order["workspace_id"] = self.workspace.as_str().into();
            order
        };
        let kind = kind_of(path).unwrap_or_else(|| panic!("nobody says what {path} is about"));
        let (to, order, member) = match kind {
            Kind::Workspace => return self.workspace.clone(),
            Kind::Person => return self.nobodys[0].clone(),
            // Nobody here may see any.
            Kind::Invite | Kind::Reference | Kind::Request => {
                return twin("018f3b1c-77aa-7c1e-9a55-0123456789ab");
            }
            Kind::Key => {
                let scopes = json!({"scopes": ["completions.write"]});
                ("/api-keys/workspace/service", of(scopes), "id")
            }
            Kind::Config => ("/configs", of(json!({"config": {"provider": "@home-main"}})), "slug"),
            Kind::Guardrail => {
                ("/guardrails", of(json!({"checks": [{"id": "default.notNull"}], "actions": {}})), "id")
            }
            Kind::Integration => {
                let order = json!({"slug": slug, "ai_provider_id": "openai", "key": VENDOR_KEY,
                    "create_default_provider": false});
                ("/integrations", of(order), "slug")
            }
            Kind::Provider if path.starts_with("/v1/virtual-keys") => {
                let order = json!({"slug": slug, "provider": "openai", "key": VENDOR_KEY});
                ("/virtual-keys", of(order), "slug")
            }
            Kind::Provider => ("/providers", of(json!({"slug": slug, "integration_id": "home-own"})), "slug"),
            Kind::Usage => {
                let order =
                    json!({"conditions": [], "group_by": [], "type": "requests", "credit_limit": 100_000});
                ("/policies/usage-limits", of(order), "id")
            }
            Kind::Rate => {
                let order = json!({"conditions": [], "group_by": [], "type": "requests", "unit": "rpm",
                    "value": 100_000});
                ("/policies/rate-limits", of(order), "id")
            }
            other => panic!("no way to make {other:?} for {path}"),
        };
        let made = bench.done("POST", to, &order).await;
        let own = text(&made, member);
        if kind == Kind::Integration {
            let models = json!({"models": [{"slug": "home-model", "enabled": true, "is_custom": true}]});
            bench.done("PUT", &format!("/integrations/{own}/models"), &models).await;
        }
        if kind == Kind::Config && path.ends_with("back") {
            // Two versions, so that one can be gone back to.
            let again = json!({"config": {"provider": "@home-main", "retry": {"attempts": 1}}});
            bench.done("PUT", &format!("/configs/{own}"), &again).await;
        }
        own
    }

    /// Makes a member of this workspace and returns their id.
    async fn member(&self, bench: &Bench) -> String {
        let email = format!("mate-{}@example.com", self.made.fetch_add(1, Ordering::Relaxed));
        let place = json!([{"id": self.workspace, "role": "member"}]);
        person(&bench.gateway, &email, "member", place).await;
        user_id(bench, &email).await
    }
}
