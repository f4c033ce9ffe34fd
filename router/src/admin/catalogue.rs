//! The catalogue of scopes: which kinds of keys can have which, and which roles allow which.
//!
//! Portkey's names, with dots; its policy documents write some with colons, and tokens may put `portkey.` in front.

use tidegate_store::KeyKind;

use super::who::Role;
use crate::scopes::CATALOGUE;
pub(super) use crate::scopes::{all, canonical, exists, same};

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
