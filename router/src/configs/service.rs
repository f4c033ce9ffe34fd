//! The saved configs of a running gateway: the map that requests read, and its only writer.

use std::sync::Arc;

use dashmap::DashMap;
use tidegate_config::{ConfigError, Plan};
use tidegate_store::{AuditRecord, ConfigRecord, ConfigVersion, Store, StoreError, Write};
use uuid::Uuid;

use super::error::ConfigsError;
use super::saved::Saved;
use crate::actors::address_book::AddressBook;
use crate::clock;
use crate::secret::MasterKey;

/// More than anyone writes; each is in memory.
const MOST: usize = 10_000;
/// Keys named in a refusal.
const MOST_KEYS: usize = 3;
/// Characters of the name in a slug, and random ones, as Portkey makes them.
const SLUG_NAME: usize = 6;
const SLUG_RANDOM: usize = 6;

/// A text that was read and vetted.
#[derive(Debug)]
pub struct Draft {
    /// The config.
    pub json: String,
    /// What it says.
    pub plan: Arc<Plan>,
}

/// What a change says; what it leaves out stays.
#[derive(Debug, Default)]
pub struct Change {
    /// Another name.
    pub name: Option<String>,
    /// A new version.
    pub draft: Option<Draft>,
    /// Portkey's flag.
    pub is_default: Option<bool>,
    /// Workspace, when it is made.
    pub workspace: Option<String>,
}

/// Who changes a config, and what the audit log says of it: a change and its row are written together or not at all.
pub struct Author<'a> {
    /// Id of the key.
    pub id: &'a str,
    /// Makes the row of the config as it is after; without a version it is gone.
    pub audit: &'a dyn Fn(&ConfigRecord, Option<&ConfigVersion>) -> AuditRecord,
}

/// The saved configs.
pub struct Configs {
    /// By slug and by UUID.
    known: DashMap<String, Arc<Saved>>,
    /// Changes happen one after the other: what is published is what was written last.
    changing: tokio::sync::Mutex<()>,
    master: Arc<MasterKey>,
}

impl Configs {
    /// Reads the saved configs from the store.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn start(store: &dyn Store, master: Arc<MasterKey>) -> Result<Self, StoreError> {
        let configs = Self { known: DashMap::new(), changing: tokio::sync::Mutex::new(()), master };
        for (record, version) in store.configs()? {
            configs.read_and_publish(record, version);
        }
        Ok(configs)
    }

    /// Returns a saved config by slug or UUID.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Saved>> {
        self.known.get(name).map(|found| found.clone())
    }

    /// Returns all saved configs, newest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Saved>> {
        let by_slug = self.known.iter().filter(|entry| *entry.key() == entry.value().record.slug);
        let mut all: Vec<_> = by_slug.map(|entry| entry.value().clone()).collect();
        all.sort_by(|a, b| {
            let place = |saved: &Saved| (-saved.record.created_at_ms, saved.record.slug.clone());
            place(a).cmp(&place(b))
        });
        all
    }

    /// Saves a new config. `is_taken` says which slugs others use.
    ///
    /// # Errors
    /// [`ConfigsError`]; then nothing was saved.
    pub async fn create(
        &self,
        book: &AddressBook,
        change: Change,
        draft: Draft,
        author: &Author<'_>,
        is_taken: impl Fn(&str) -> bool,
    ) -> Result<Arc<Saved>, ConfigsError> {
        let _one_at_a_time = self.changing.lock().await;
        // Each is there twice: by slug and by UUID.
        if self.known.len() / 2 >= MOST {
            return Err(ConfigsError::TooMany { most: MOST });
        }
        let name = change.name.unwrap_or_else(|| "config".to_owned());
        let mut slug = new_slug(&name);
        while self.known.contains_key(&slug) || is_taken(&slug) {
            slug = new_slug(&name);
        }
        let now = clock::unix_ms();
        let record = ConfigRecord {
            slug,
            id: Uuid::now_v7().to_string(),
            name,
            active: 1,
            is_default: change.is_default.unwrap_or(false),
            workspace: change.workspace,
            created_by: author.id.to_owned(),
            created_at_ms: now,
            updated_by: author.id.to_owned(),
            updated_at_ms: now,
        };
        self.write(book, record, draft, 1, author).await
    }

    /// Changes a config; a text becomes a new version, which is in force at once.
    ///
    /// # Errors
    /// [`ConfigsError`]; then nothing was changed.
    pub async fn change(
        &self,
        book: &AddressBook,
        name: &str,
        change: Change,
        author: &Author<'_>,
    ) -> Result<Arc<Saved>, ConfigsError> {
        let _one_at_a_time = self.changing.lock().await;
        let saved = self.known(name)?;
        let mut record = changed(&saved, author.id);
        if let Some(name) = change.name {
            record.name = name;
        }
        if let Some(is_default) = change.is_default {
            record.is_default = is_default;
        }
        let Some(draft) = change.draft else {
            return self.point(book, record, saved.version.clone(), saved.plan.clone(), author).await;
        };
        let slug = record.slug.clone();
        let newest = book.read(move |store| store.config_versions(&slug)).await?;
        let number = newest.first().map_or(0, |version| version.number) + 1;
        record.active = number;
        self.write(book, record, draft, number, author).await
    }

    /// Puts a version in force that was written before.
    ///
    /// # Errors
    /// [`ConfigsError`]; then nothing was changed.
    pub async fn activate(
        &self,
        book: &AddressBook,
        name: &str,
        version: ConfigVersion,
        plan: Arc<Plan>,
        author: &Author<'_>,
    ) -> Result<Arc<Saved>, ConfigsError> {
        let _one_at_a_time = self.changing.lock().await;
        let mut record = changed(&*self.known(name)?, author.id);
        record.active = version.number;
        self.point(book, record, version, Ok(plan), author).await
    }

    /// Returns all versions of a config, newest first, their texts in clear.
    ///
    /// # Errors
    /// [`ConfigsError`]
    pub async fn versions(&self, book: &AddressBook, name: &str) -> Result<Vec<ConfigVersion>, ConfigsError> {
        let slug = self.known(name)?.record.slug.clone();
        let mut versions = book.read(move |store| store.config_versions(&slug)).await?;
        for version in &mut versions {
            version.json = self.master.open(&version.json)?;
        }
        Ok(versions)
    }

    /// Deletes a config with all its versions. One that keys begin with stays: all their requests would fail.
    ///
    /// # Errors
    /// [`ConfigsError`]
    pub async fn remove(
        &self,
        book: &AddressBook,
        name: &str,
        author: &Author<'_>,
    ) -> Result<(), ConfigsError> {
        let _one_at_a_time = self.changing.lock().await;
        let saved = self.known(name)?;
        let (slug, id) = (saved.record.slug.clone(), saved.record.id.clone());
        let audit = (author.audit)(&saved.record, None);
        let keys = book
            .read(move |store| {
                let mut keys = store.keys_with_config(&slug, MOST_KEYS)?;
                keys.extend(store.keys_with_config(&id, MOST_KEYS)?);
                if keys.is_empty() {
                    store.write(&[Write::DeleteConfig(slug)], Some(&audit))?;
                }
                Ok(keys)
            })
            .await?;
        let slug = saved.record.slug.clone();
        if !keys.is_empty() {
            return Err(ConfigsError::InUse { slug, keys: keys.join(", ") });
        }
        self.known.remove(&slug);
        self.known.remove(&saved.record.id);
        Ok(())
    }

    /// Reads a config again that another process may have changed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reload(&self, book: &AddressBook, slug: &str) -> Result<(), StoreError> {
        let _one_at_a_time = self.changing.lock().await;
        let wanted = slug.to_owned();
        let found = book.read(move |store| store.config(&wanted)).await?;
        let known = self.get(slug);
        match (found, known) {
            (Some((record, _)), Some(known)) if record == known.record => {}
            (Some((record, version)), _) => {
                self.read_and_publish(record, version);
            }
            (None, Some(known)) => {
                self.known.remove(slug);
                self.known.remove(&known.record.id);
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Result<Arc<Saved>, ConfigsError> {
        self.get(name).ok_or_else(|| ConfigsError::Unknown { slug: name.to_owned() })
    }

    /// Writes a new version and puts it in force.
    async fn write(
        &self,
        book: &AddressBook,
        record: ConfigRecord,
        draft: Draft,
        number: u32,
        author: &Author<'_>,
    ) -> Result<Arc<Saved>, ConfigsError> {
        let version = ConfigVersion {
            number,
            id: Uuid::now_v7().to_string(),
            json: draft.json,
            created_by: record.updated_by.clone(),
            created_at_ms: record.updated_at_ms,
        };
        let sealed = ConfigVersion { json: self.master.seal(&version.json)?, ..version.clone() };
        let audit = (author.audit)(&record, Some(&version));
        let write = Write::PutConfig { config: Box::new(record.clone()), version: Some(Box::new(sealed)) };
        book.read(move |store| store.write(&[write], Some(&audit))).await?;
        Ok(self.publish(Saved { record, version, plan: Ok(draft.plan) }))
    }

    /// Writes the record alone: its versions are there.
    async fn point(
        &self,
        book: &AddressBook,
        record: ConfigRecord,
        version: ConfigVersion,
        plan: Result<Arc<Plan>, ConfigError>,
        author: &Author<'_>,
    ) -> Result<Arc<Saved>, ConfigsError> {
        let audit = (author.audit)(&record, Some(&version));
        let write = Write::PutConfig { config: Box::new(record.clone()), version: None };
        book.read(move |store| store.write(&[write], Some(&audit))).await?;
        Ok(self.publish(Saved { record, version, plan }))
    }

    fn read_and_publish(&self, record: ConfigRecord, mut version: ConfigVersion) {
        let unread = |message: String| ConfigError { path: String::new(), message };
        let plan = match self.master.open(&version.json) {
            Ok(json) => {
                version.json = json;
                Plan::parse(&version.json).map(Arc::new)
            }
            Err(error) => {
                version.json.clear();
                Err(unread(error.to_string()))
            }
        };
        if let Err(error) = &plan {
            tracing::error!(config = record.slug, %error, "a saved config can't be read: requests with it are refused");
        }
        self.publish(Saved { record, version, plan });
    }

    fn publish(&self, saved: Saved) -> Arc<Saved> {
        let saved = Arc::new(saved);
        self.known.insert(saved.record.id.clone(), saved.clone());
        self.known.insert(saved.record.slug.clone(), saved.clone());
        saved
    }
}

fn changed(saved: &Saved, author: &str) -> ConfigRecord {
    ConfigRecord {
        updated_by: author.to_owned(),
        // Later than before also when two changes fall into one millisecond.
        updated_at_ms: clock::unix_ms().max(saved.record.updated_at_ms + 1),
        ..saved.record.clone()
    }
}

/// Makes a slug like `pc-suppor-0f3a9c`.
fn new_slug(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(SLUG_NAME);
    let short: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    let short = if short.is_empty() { "config".to_owned() } else { short };
    let random = Uuid::new_v4().simple().to_string();
    format!("pc-{short}-{}", &random[..SLUG_RANDOM])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_look_like_portkeys() {
        let slug = new_slug("Support Bot");
        assert!(slug.starts_with("pc-suppor-"), "{slug}");
        assert_eq!(slug.len(), "pc-suppor-".len() + 6);
        assert!(new_slug("日本").starts_with("pc-config-"));
        assert_ne!(new_slug("a"), new_slug("a"));
    }
}
