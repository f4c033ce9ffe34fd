//! Declared resources → store: budgets, keys, the admin key. Idempotent; writes only what differs.

use std::collections::HashSet;

use serde_json::json;
use tidegate_store::{
    KeyHash, KeyRecord, KeyStatus, ObjectKind, ObjectRecord, Origin, Store, StoreError, Write,
};
use uuid::Uuid;

use crate::clock;
use crate::gateway::StartError;
use crate::pipeline::SCOPE;
use crate::secret::{hash_key, mask, new_api_key};
use crate::settings::{Secret, Settings};

/// What the Admin API and the state route need.
pub const ADMIN_SCOPE: &str = "admin";
/// Ids of declared keys begin so; those of others begin with `key_`.
const DECLARED: &str = "key:";
/// Id of the key that is made at first start.
pub(crate) const ADMIN_ID: &str = "admin";
const FIRST_ID: &str = "key_default";

/// Secrets that are shown once.
#[derive(Debug, Default)]
pub struct Printed {
    /// Made at first start.
    pub admin_key: Option<Secret>,
    /// Keys made for declared names, and the first key.
    pub keys: Vec<(String, Secret)>,
}

impl Printed {
    /// Writes them to standard output, which is where a person or a script looks for what was made.
    #[expect(clippy::print_stdout, reason = "secrets are shown once and never logged")]
    pub fn print(&self) {
        if let Some(admin) = &self.admin_key {
            println!("admin key (shown once): {}", admin.reveal());
        }
        for (name, key) in &self.keys {
            println!("API key {name} (shown once): {}", key.reveal());
        }
    }
}

/// Writes what the settings declare into the store.
///
/// # Errors
/// [`StartError`] when the store or random numbers fail.
pub fn declared(store: &mut dyn Store, settings: &Settings) -> Result<Printed, StartError> {
    let mut printed = Printed::default();
    organisation(store)?;
    for budget in &settings.budgets {
        let known = store.budget(&budget.id, clock::unix())?;
        if known.is_none_or(|(known, _)| known != *budget) {
            store.put_budget(budget)?;
        }
    }
    for (known, _) in store.budgets(clock::unix())? {
        if known.origin == Origin::Settings
            && !settings.budgets.iter().any(|declared| declared.id == known.id)
        {
            store.delete_budget(&known.id)?;
        }
    }
    let mut changed = Vec::new();
    let mut names = HashSet::new();
    for declared in &settings.keys {
        let id = format!("{DECLARED}{}", declared.settings.name);
        names.insert(id.clone());
        let known = store.key_by_id(&id)?;
        let hash_and_mask = match (&declared.secret, &known) {
            (Some(secret), _) => (hash_key(secret.reveal()), mask(secret.reveal())),
            (None, Some((hash, record))) => (*hash, record.mask.clone()),
            (None, None) => {
                let secret = new_api_key()?;
                let pair = (hash_key(secret.reveal()), mask(secret.reveal()));
                printed.keys.push((declared.settings.name.clone(), secret));
                pair
            }
        };
        let (hash, mask) = hash_and_mask;
        let record = KeyRecord {
            mask,
            origin: Origin::Settings,
            created_at: known.as_ref().map_or_else(clock::unix, |(_, record)| record.created_at),
            expires_at: declared.expires_at,
            scopes: declared.settings.scopes.clone().unwrap_or_else(|| vec![SCOPE.to_owned()]),
            models: declared.settings.models.clone(),
            limits: declared.limits.clone(),
            budget: declared.budget.clone(),
            config: declared.settings.config.clone(),
            allow_config_override: declared.settings.allow_config_override,
            metadata: declared.settings.metadata.clone(),
            header_credentials: declared.settings.header_credentials,
            unmeasured: declared.settings.unmeasured,
            ..KeyRecord::named(id, &declared.settings.name)
        };
        if known.as_ref() != Some(&(hash, record.clone())) {
            changed.push((hash, record));
        }
    }
    for (hash, mut record) in store.keys_starting_with(DECLARED)? {
        if !names.contains(&record.id) && record.status == KeyStatus::Active {
            record.status = KeyStatus::Revoked;
            changed.push((hash, record));
        }
    }
    admin_key(store, settings, &mut changed, &mut printed)?;
    if !changed.is_empty() {
        store.put_keys(&changed)?;
    }
    Ok(printed)
}

/// Makes the organisation and its default workspace at first start. Of several nodes that start at once one is first.
fn organisation(store: &mut dyn Store) -> Result<(), StartError> {
    if !store.objects(ObjectKind::Organisation)?.is_empty() {
        return Ok(());
    }
    let now = clock::unix_ms();
    let object = |kind, slug: &str, body| ObjectRecord {
        kind,
        id: Uuid::now_v7().to_string(),
        workspace: None,
        slug: slug.to_owned(),
        version: 1,
        body,
        created_at_ms: now,
        created_by: String::new(),
        updated_at_ms: now,
        updated_by: String::new(),
    };
    let organisation = object(ObjectKind::Organisation, "default", json!({"name": "default"}));
    let workspace = object(
        ObjectKind::Workspace,
        "ws-default",
        json!({"name": "Default workspace", "is_default": true, "status": "active"}),
    );
    let writes = [organisation, workspace].map(|object| Write::PutObject(Box::new(object)));
    match store.write(&writes, None) {
        Err(StoreError::Exists(_)) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the admin key at first start, and the first API key where the settings declare none.
fn admin_key(
    store: &dyn Store,
    settings: &Settings,
    changed: &mut Vec<(KeyHash, KeyRecord)>,
    printed: &mut Printed,
) -> Result<(), StartError> {
    let known = store.key_by_id(ADMIN_ID)?;
    let (secret, made) = match (&settings.admin_key, &known) {
        (Some(chosen), Some((hash, _))) if hash_key(chosen.reveal()) == *hash => return Ok(()),
        (Some(chosen), _) => (chosen.clone(), false),
        (None, Some(_)) => return Ok(()),
        (None, None) => (new_api_key()?, true),
    };
    changed.push(plain_key(ADMIN_ID, "admin", ADMIN_SCOPE, &secret));
    if made {
        printed.admin_key = Some(secret);
    }
    if known.is_none() && settings.keys.is_empty() {
        let first = new_api_key()?;
        changed.push(plain_key(FIRST_ID, "default", SCOPE, &first));
        printed.keys.push(("default".to_owned(), first));
    }
    Ok(())
}

fn plain_key(id: &str, name: &str, scope: &str, secret: &Secret) -> (KeyHash, KeyRecord) {
    let record = KeyRecord {
        mask: mask(secret.reveal()),
        created_at: clock::unix(),
        scopes: vec![scope.to_owned()],
        ..KeyRecord::named(id, name)
    };
    (hash_key(secret.reveal()), record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_store::SqliteStore;

    fn settings(text: &str) -> Settings {
        Settings::parse(text, "t", &|_| None).unwrap()
    }

    #[test]
    fn declared_keys_are_made_once_changed_and_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("t.db")).unwrap();
        let first = declared(&mut store, &settings("[[key]]\nname = \"a\"\nbudget = { usd = 1 }")).unwrap();
        assert_eq!((first.keys.len(), first.admin_key.is_some()), (1, true));
        let before = store.last_change().unwrap();
        let again = declared(&mut store, &settings("[[key]]\nname = \"a\"\nbudget = { usd = 1 }")).unwrap();
        assert_eq!((again.keys.len(), again.admin_key.is_some()), (0, false));
        assert_eq!(store.last_change().unwrap(), before);
        let hash = hash_key(first.keys[0].1.reveal());
        assert_eq!(store.key_by_hash(&hash).unwrap().unwrap().budget.as_deref(), Some("key:a"));
        declared(&mut store, &settings("")).unwrap();
        assert!(store.budgets(0).unwrap().is_empty());
        assert_eq!(store.key_by_hash(&hash).unwrap().unwrap().status, KeyStatus::Revoked);
    }
}
