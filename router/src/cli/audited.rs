//! Changes of the store by commands: each with its row of the audit log, together or not at all.
//!
//! Who changes is the user of this machine who runs the command. Arguments are not kept: they may hold secrets.

use serde_json::{Value, json};
use tidegate_store::{AuditRecord, BudgetRecord, KeyRecord, ProviderRecord, Store, Write};
use uuid::Uuid;

use super::{Failure, show};
use crate::clock;

/// Members of a `passwd` line before and at the id of the user.
const NAME: usize = 0;
const UID: usize = 2;

/// What a command does to what.
pub(super) struct Change<'a> {
    /// The command's own words, like `key create`.
    pub(super) command: &'a str,
    /// Kind of object, in the words of the Admin API: `api_key`, `provider`, `budget`, …
    pub(super) resource: &'a str,
    /// Its id.
    pub(super) id: &'a str,
    /// `create`, `update`, `delete`, `revoke`, `reset`, …
    pub(super) action: &'a str,
    /// Id of its workspace; `None` is the organisation's, or the default one.
    pub(super) workspace: Option<&'a str>,
    /// As shown before, secrets masked; null when it is new.
    pub(super) before: Value,
    /// As shown after; null when it is gone.
    pub(super) after: Value,
}

/// Writes a change with its row of the audit log.
///
/// # Errors
/// What the store says; then nothing is changed.
pub(super) fn write(store: &mut dyn Store, change: Change<'_>, writes: &[Write]) -> Result<(), Failure> {
    store.write(writes, Some(&row(change))).map_err(|error| error.to_string())
}

/// Makes the row of a change.
pub(super) fn row(change: Change<'_>) -> AuditRecord {
    let user = user();
    AuditRecord {
        at_ms: clock::unix_ms(),
        method: "CLI".to_owned(),
        uri: format!("tidegate {}", change.command),
        request_id: Uuid::now_v7().to_string(),
        actor: user.clone(),
        actor_name: user,
        actor_kind: "cli".to_owned(),
        workspace: change.workspace.unwrap_or_default().to_owned(),
        resource: change.resource.to_owned(),
        resource_id: change.id.to_owned(),
        action: change.action.to_owned(),
        before: change.before,
        after: change.after,
        status: 200,
        client_ip: String::new(),
    }
}

/// Returns the name of the user who runs this process: of its own id, which no variable of the environment changes.
fn user() -> String {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(own) = std::fs::metadata("/proc/self") else {
        return std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
    };
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(&known, own.uid()).unwrap_or_else(|| format!("uid {}", own.uid()))
}

fn named(passwd: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let own = users.find(|user| user.get(UID) == Some(&uid.as_str()))?;
    own.get(NAME).map(|name| (*name).to_owned())
}

/// Shows a key as the audit log keeps it.
pub(super) fn key(key: &KeyRecord) -> Value {
    // A config in the key itself may hold credentials; one that is named holds none.
    let config =
        key.config.as_deref().map(|it| if it.trim_start().starts_with('{') { "(inline)" } else { it });
    json!({
        "id": key.id,
        "key": key.mask,
        "name": key.name,
        "type": key.kind.name(),
        "status": key.status,
        "scopes": key.scopes,
        "models": key.models,
        "limits": key.limits,
        "budget": key.budget,
        "defaults": {"config_id": config, "allow_config_override": key.allow_config_override},
        "expires_at": key.expires_at.map(show::moment),
    })
}

/// Shows a provider as the audit log keeps it: options may be secrets, so their names alone.
pub(super) fn provider(provider: &ProviderRecord) -> Value {
    json!({
        "slug": provider.slug,
        "vendor": provider.vendor,
        "base_url": provider.base_url,
        "trusted": provider.trusted,
        "has_key": provider.api_key.is_some(),
        "options": provider.options.keys().collect::<Vec<_>>(),
    })
}

/// Shows a budget as the audit log keeps it.
pub(super) fn budget(budget: &BudgetRecord) -> Value {
    json!({
        "id": budget.id,
        "name": budget.name,
        "unit": budget.unit,
        "limit": budget.limit,
        "period": budget.period,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_number() {
        let known = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nbroken\n";
        assert_eq!(named(known, 1000).as_deref(), Some("ada"));
        assert_eq!(named(known, 0).as_deref(), Some("root"));
        assert_eq!(named(known, 7), None);
    }

    #[test]
    fn credentials_are_not_shown() {
        let mut of = ProviderRecord::named("azure", "azure-openai");
        of.api_key = Some("sk-secret".to_owned());
        of.options.insert("azure_ad_token".to_owned(), "sk-secret".to_owned());
        let with_config = KeyRecord {
            config: Some("{\"api_key\":\"sk-secret\"}".to_owned()),
            ..KeyRecord::named("k", "k")
        };
        for shown in [provider(&of), key(&with_config)] {
            assert!(!shown.to_string().contains("sk-secret"), "{shown}");
        }
    }
}
