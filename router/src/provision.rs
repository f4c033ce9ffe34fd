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
pub const ADMIN_SCOPE: &str = crate::scopes::ADMIN;
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
    let freed = make_place(store, &mut changed, &names)?;
    if !freed.is_empty() {
        let gone = freed.into_iter().map(Write::DeleteKey);
        let put =
            changed.into_iter().map(|(hash, key)| Write::PutKey { hash, key: Box::new(key), old: None });
        store.write(&gone.chain(put).collect::<Vec<_>>(), None)?;
    } else if !changed.is_empty() {
        store.put_keys(&changed)?;
    }
    Ok(printed)
}

/// Finds the keys whose texts are to be other keys' from now on: a declared key got another name, or two exchanged their
/// texts. They are written anew, or are gone.
fn make_place(
    store: &dyn Store,
    changed: &mut Vec<(KeyHash, KeyRecord)>,
    declared: &HashSet<String>,
) -> Result<HashSet<String>, StoreError> {
    let mut freed = HashSet::new();
    for (hash, record) in changed.iter() {
        let Some(holder) = store.key_by_hash(hash)?.filter(|holder| holder.id != record.id) else { continue };
        // A secret from before a rotation is not in the way.
        if store.key_by_id(&holder.id)?.is_none_or(|(now, _)| now != *hash) {
            continue;
        }
        let has_another = changed.iter().any(|(other, it)| it.id == holder.id && other != hash);
        let is_gone = holder.id.starts_with(DECLARED) && !declared.contains(&holder.id);
        if !has_another && !is_gone {
            let reason = format!(
                "its text is that of key \"{}\" ({}) already; each key needs its own",
                holder.name, holder.id
            );
            return Err(StoreError::Record { id: record.id.clone(), reason });
        }
        freed.insert(holder.id);
    }
    changed.retain(|(_, it)| {
        !freed.contains(&it.id) || !it.id.starts_with(DECLARED) || declared.contains(&it.id)
    });
    Ok(freed)
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
        (Some(chosen), Some((hash, record)))
            if hash_key(chosen.reveal()) == *hash && record.status == KeyStatus::Active =>
        {
            return Ok(());
        }
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

    #[test]
    fn texts_move_from_key_to_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("t.db")).unwrap();
        let two = |a: &str, b: &str| {
            format!("[[key]]\nname = \"a\"\nkey = \"{a}\"\n[[key]]\nname = \"b\"\nkey = \"{b}\"")
        };
        let name =
            |store: &SqliteStore, text: &str| store.key_by_hash(&hash_key(text)).unwrap().unwrap().name;
        declared(&mut store, &settings(&two("tg-one", "tg-two"))).unwrap();
        declared(&mut store, &settings(&two("tg-two", "tg-one"))).unwrap();
        assert_eq!((name(&store, "tg-one"), name(&store, "tg-two")), ("b".to_owned(), "a".to_owned()));
        declared(&mut store, &settings("[[key]]\nname = \"c\"\nkey = \"tg-one\"")).unwrap();
        let (c, a) = (store.key_by_hash(&hash_key("tg-one")), store.key_by_hash(&hash_key("tg-two")));
        let (c, a) = (c.unwrap().unwrap(), a.unwrap().unwrap());
        assert_eq!((c.name.as_str(), c.status), ("c", KeyStatus::Active));
        assert_eq!((a.name.as_str(), a.status), ("a", KeyStatus::Revoked));
    }

    #[test]
    fn a_text_that_a_key_of_the_store_has_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("t.db")).unwrap();
        let made = declared(&mut store, &settings("")).unwrap();
        let text = format!("[[key]]\nname = \"a\"\nkey = \"{}\"", made.keys[0].1.reveal());
        let error = declared(&mut store, &settings(&text)).unwrap_err().to_string();
        assert!(error.contains("key:a") && error.contains("key_default"), "{error}");
    }

    #[test]
    fn a_named_admin_key_opens_also_where_it_was_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("t.db")).unwrap();
        let named = settings("admin_key = \"tga-chosen-0123456789\"");
        declared(&mut store, &named).unwrap();
        let (hash, mut record) = store.key_by_id(ADMIN_ID).unwrap().unwrap();
        record.status = KeyStatus::Revoked;
        store.put_keys(&[(hash, record)]).unwrap();
        declared(&mut store, &named).unwrap();
        assert_eq!(store.key_by_id(ADMIN_ID).unwrap().unwrap().1.status, KeyStatus::Active);
    }
}
