//! The catalogue of scopes: which kinds of keys can have which, and which roles allow which.
//!
//! Portkey's names, with dots; its policy documents write some with colons, and tokens may put `portkey.` in front.

use tidegate_store::KeyKind;

use super::who::Role;

/// A resource, its actions for keys of the organisation, for service keys of a workspace, and for users' keys.
type Row = (&'static str, &'static str, &'static str, &'static str);

const CRUDL: &str = "create read update delete list";
const CRUDL_ROTATE: &str = "create read update delete list rotate";

/// Every scope there is.
const CATALOGUE: &[Row] = &[
    ("organisation_users", CRUDL, "", ""),
    ("organisation_service_api_keys", CRUDL_ROTATE, "", ""),
    ("organisation_settings", "read update", "", ""),
    ("organisation_guardrails", CRUDL, "", ""),
    ("organisation_exclusions", "update list", "", ""),
    ("audit_logs", "list", "", ""),
    ("plugins", "create update list delete", "", ""),
    ("deployments", CRUDL, "", ""),
    ("secret_references", CRUDL, "", ""),
    ("workspaces", CRUDL, "read update list", "read update list"),
    ("workspace_service_api_keys", CRUDL_ROTATE, CRUDL_ROTATE, ""),
    ("workspace_user_api_keys", CRUDL_ROTATE, CRUDL_ROTATE, ""),
    ("workspace_users", CRUDL, CRUDL, CRUDL),
    (
        "prompts",
        "create read update delete list publish",
        "create read update delete list publish render",
        "create read update delete list publish render",
    ),
    ("configs", CRUDL, CRUDL, CRUDL),
    ("providers", CRUDL, CRUDL, CRUDL),
    ("policies", CRUDL, CRUDL, CRUDL),
    ("guardrails", CRUDL, "create read update delete list invoke", "create read update delete list invoke"),
    (
        "virtual_keys",
        "create read update delete list duplicate copy",
        "create read update delete list duplicate copy",
        "create read update delete list duplicate copy",
    ),
    ("organisation_integrations", CRUDL, "list", "list"),
    ("organisation_mcp_integrations", CRUDL, "list", "list"),
    ("organisation_agent_integrations", CRUDL, "list", "list"),
    ("workspace_integrations", CRUDL, CRUDL, CRUDL),
    ("workspace_mcp_integrations", CRUDL, CRUDL, CRUDL),
    ("workspace_agent_integrations", CRUDL, CRUDL, CRUDL),
    ("mcp_servers", CRUDL, CRUDL, CRUDL),
    ("agent_servers", CRUDL, CRUDL, CRUDL),
    ("analytics", "view", "view", "view"),
    ("logs", "export list view", "export list view write", "export list view write"),
    ("feedbacks", "read write", "read write", "read write"),
    ("completions", "", "write read", "write read"),
    ("models", "list", "list", "list"),
    ("mcp", "", "invoke", "invoke"),
    ("agents", "", "invoke", "invoke"),
    // Our own: what would happen to a request.
    ("explain", "", "read", "read"),
];

pub(super) use crate::scopes::{canonical, same};

/// Returns whether there is a scope of this name, whatever its spelling.
pub(super) fn exists(scope: &str) -> bool {
    all().any(|known| same(scope, &known)) || scope == crate::provision::ADMIN_SCOPE
}

/// Returns whether a kind of key can have a scope.
pub(super) fn may_have(kind: KeyKind, scope: &str) -> bool {
    let scope = canonical(scope);
    let Some((resource, action)) = scope.split_once('.') else { return false };
    CATALOGUE.iter().any(|(name, org, service, user)| {
        let actions = match kind {
            KeyKind::OrganisationService => org,
            KeyKind::WorkspaceService => service,
            KeyKind::WorkspaceUser => user,
        };
        *name == resource && actions.split(' ').any(|known| known == action)
    })
}

/// Returns whether a role in a workspace allows a scope, as far as no switch decides on it.
pub(super) fn role_allows(role: Role, scope: &str) -> bool {
    let (resource, action) = scope.split_once('.').unwrap_or((scope, ""));
    let reads = matches!(action, "read" | "list" | "view");
    // What every member is there for.
    let uses = matches!(resource, "completions" | "mcp" | "agents" | "feedbacks" | "models" | "explain")
        || matches!(scope, "prompts.render" | "guardrails.invoke" | "logs.write");
    match role {
        Role::OrganisationAdmin | Role::Admin => true,
        Role::Manager => uses || reads || !matches!(scope, "workspaces.delete" | "workspaces.create"),
        Role::Member => uses || (reads && resource != "workspace_users") || scope == "workspace_users.read",
    }
}

/// Returns every scope's name.
pub(super) fn all() -> impl Iterator<Item = String> {
    CATALOGUE.iter().flat_map(|(name, org, service, user)| {
        let mut actions: Vec<&str> = [*org, *service, *user]
            .into_iter()
            .flat_map(|list| list.split(' '))
            .filter(|it| !it.is_empty())
            .collect();
        actions.sort_unstable();
        actions.dedup();
        actions.into_iter().map(move |action| format!("{name}.{action}")).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_keys_have_their_own_scopes() {
        assert!(may_have(KeyKind::OrganisationService, "workspaces.create"));
        assert!(!may_have(KeyKind::OrganisationService, "completions.write"));
        assert!(may_have(KeyKind::WorkspaceService, "completions.write"));
        assert!(!may_have(KeyKind::WorkspaceService, "audit_logs.list"));
        assert!(!may_have(KeyKind::WorkspaceUser, "workspace_service_api_keys.create"));
        assert!(may_have(KeyKind::OrganisationService, "policies:create"));
        assert!(may_have(KeyKind::WorkspaceUser, "portkey.logs.read"));
        assert!(!exists("everything"));
    }

    #[test]
    fn members_read_managers_write_admins_decide() {
        assert!(role_allows(Role::Member, "configs.read") && !role_allows(Role::Member, "configs.update"));
        assert!(
            role_allows(Role::Manager, "configs.update") && !role_allows(Role::Manager, "workspaces.delete")
        );
        assert!(
            role_allows(Role::Member, "completions.write") && role_allows(Role::Admin, "workspaces.delete")
        );
    }
}
