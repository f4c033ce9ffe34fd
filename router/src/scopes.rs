//! Scopes as keys have them: their spellings, and what a key of the organisation can't do whatever it was given.

use tidegate_store::{KeyKind, KeyRecord};

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
