//! Scopes as keys have them: their spellings, and what a key of the organisation can't do whatever it was given.

use tidegate_store::{KeyKind, KeyRecord};

/// What the Admin API and the state route need.
pub const ADMIN: &str = "admin";

/// A resource, its actions for keys of the organisation, for service keys of a workspace, and for users' keys.
pub type Row = (&'static str, &'static str, &'static str, &'static str);

const CRUDL: &str = "create read update delete list";
const CRUDL_ROTATE: &str = "create read update delete list rotate";

/// Every scope there is.
pub const CATALOGUE: &[Row] = &[
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

/// Resources and scopes of the data plane, which keys of the organisation don't have.
const USES: [&str; 7] =
    ["completions.", "mcp.", "agents.", "prompts.render", "guardrails.invoke", "logs.write", "explain."];

/// Returns a scope's name in the catalogue's spelling: Portkey's tokens may put `portkey.` in front, its policy
/// documents write colons, its older documents `logs.read`.
#[must_use]
pub fn canonical(scope: &str) -> String {
    let scope = scope.strip_prefix("portkey.").unwrap_or(scope).replace(':', ".");
    if scope == "logs.read" { "logs.view".to_owned() } else { scope }
}

/// Returns whether a scope as a key has it is this one.
#[must_use]
pub fn same(own: &str, scope: &str) -> bool {
    own == scope || (own.contains([':', '.']) && canonical(own) == scope)
}

/// Returns whether a key was given a scope of the data plane, or `admin`, that its kind can have.
#[must_use]
pub fn grants(key: &KeyRecord, scope: &str) -> bool {
    let refused = key.kind == KeyKind::OrganisationService && is_use(scope);
    // Exact names first: most keys have them, and nothing is made for the comparison.
    !refused && (key.scopes.iter().any(|own| own == scope) || key.scopes.iter().any(|own| same(own, scope)))
}

/// Returns whether a scope is of the data plane.
#[must_use]
pub fn is_use(scope: &str) -> bool {
    USES.iter().any(|of| scope.starts_with(of))
}

/// Returns whether there is a scope of this name, whatever its spelling.
#[must_use]
pub fn exists(scope: &str) -> bool {
    all().any(|known| same(scope, &known)) || scope == ADMIN
}

/// Returns every scope's name.
pub fn all() -> impl Iterator<Item = String> {
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
    fn a_scope_counts_in_every_spelling() {
        for own in ["completions.write", "portkey.completions.write", "completions:write"] {
            let key = KeyRecord { scopes: vec![own.into()], ..KeyRecord::named("k", "k") };
            assert!(grants(&key, "completions.write"), "{own}");
            assert!(!grants(&key, "completions.read"), "{own}");
        }
        assert!(same("logs.read", "logs.view") && !same("admin", "logs.view"));
    }

    #[test]
    fn keys_of_the_organisation_never_infer() {
        let scopes = vec!["completions.write".into(), "admin".into()];
        let key = KeyRecord { scopes, kind: KeyKind::OrganisationService, ..KeyRecord::named("k", "k") };
        assert!(!grants(&key, "completions.write"));
        assert!(grants(&key, "admin"));
    }
}
