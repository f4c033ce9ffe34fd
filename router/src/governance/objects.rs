//! What is known of the organisation: every object of the Admin API in memory, and the way to change them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use thiserror::Error;
use tidegate_store::{AuditRecord, ObjectKind, ObjectRecord, ProviderRecord, Store, StoreError, Write};

use super::references::References;
use super::rules::Rules;
use crate::actors::address_book::AddressBook;
use crate::secret::{MasterKey, SecretError};

/// Why an object can't be found or changed.
#[derive(Debug, Error)]
pub enum ObjectsError {
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret can't be sealed or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

type Slug = (ObjectKind, String, String);

/// The objects.
pub struct Objects {
    /// By id, a map for each kind: listing one kind doesn't walk the others.
    known: [DashMap<String, Arc<ObjectRecord>>; ObjectKind::ALL.len()],
    /// Ids by kind, workspace and slug.
    slugs: DashMap<Slug, String>,
    rules: ArcSwap<Rules>,
    /// Changes happen one after the other: what was looked at before a change is still so when it is written.
    changing: tokio::sync::Mutex<()>,
    master: Arc<MasterKey>,
    references: References,
}

impl Objects {
    /// Reads all objects from the store.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn start(store: &dyn Store, master: Arc<MasterKey>) -> Result<Self, StoreError> {
        let objects = Self {
            known: std::array::from_fn(|_| DashMap::new()),
            slugs: DashMap::new(),
            rules: ArcSwap::default(),
            changing: tokio::sync::Mutex::new(()),
            master,
            references: References::default(),
        };
        for kind in ObjectKind::ALL {
            for record in store.objects(kind)? {
                objects.publish(record);
            }
        }
        objects.rules.store(Arc::new(Rules::build(&objects)));
        Ok(objects)
    }

    /// Returns what requests need to know.
    #[must_use]
    pub fn rules(&self) -> arc_swap::Guard<Arc<Rules>> {
        self.rules.load()
    }

    /// Returns the key that seals secrets.
    #[must_use]
    pub fn master(&self) -> &Arc<MasterKey> {
        &self.master
    }

    /// Returns what secret references came to.
    #[must_use]
    pub fn references(&self) -> &References {
        &self.references
    }

    /// Returns an object by id.
    #[must_use]
    pub fn by_id(&self, kind: ObjectKind, id: &str) -> Option<Arc<ObjectRecord>> {
        self.of(kind).get(id).map(|found| found.clone())
    }

    /// Returns an object by id, or by its slug in a workspace (`""` is the organisation).
    #[must_use]
    pub fn find(&self, kind: ObjectKind, workspace: &str, name: &str) -> Option<Arc<ObjectRecord>> {
        self.by_id(kind, name).or_else(|| self.by_slug(kind, workspace, name))
    }

    /// Returns an object by its slug in a workspace (`""` is the organisation).
    #[must_use]
    pub fn by_slug(&self, kind: ObjectKind, workspace: &str, slug: &str) -> Option<Arc<ObjectRecord>> {
        let id = self.slugs.get(&(kind, workspace.to_owned(), slug.to_owned()))?.clone();
        self.by_id(kind, &id)
    }

    /// Returns all objects of a kind, newest first.
    #[must_use]
    pub fn all(&self, kind: ObjectKind) -> Vec<Arc<ObjectRecord>> {
        let mut all: Vec<_> = self.of(kind).iter().map(|entry| entry.value().clone()).collect();
        all.sort_by(|a, b| (b.created_at_ms, &a.slug, &a.id).cmp(&(a.created_at_ms, &b.slug, &b.id)));
        all
    }

    /// Returns the organisation.
    #[must_use]
    pub fn organisation(&self) -> Option<Arc<ObjectRecord>> {
        self.all(ObjectKind::Organisation).pop()
    }

    /// Waits until nobody else changes objects. Hold it from the look at what is there to the end of
    /// [`Self::write`].
    pub async fn changing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Writes changes beside their audit row and publishes the objects among them.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is changed.
    pub async fn write(
        &self,
        book: &AddressBook,
        writes: Vec<Write>,
        audit: Option<AuditRecord>,
    ) -> Result<(), StoreError> {
        let writes = Arc::new(writes);
        let written = writes.clone();
        book.write(move |store| store.write(&written, audit.as_ref())).await?;
        let mut touched = Vec::new();
        for write in writes.iter() {
            match write {
                Write::PutObject(object) => {
                    self.publish((**object).clone());
                    touched.push((object.kind, object.id.as_str()));
                }
                Write::DeleteObject { kind, id } => {
                    self.forget(*kind, id);
                    touched.push((*kind, id.as_str()));
                }
                _ => {}
            }
        }
        self.renew(&touched);
        Ok(())
    }

    /// Reads objects again that other processes changed; `changed` are `kind/id`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reload(&self, book: &AddressBook, changed: &[&str]) -> Result<bool, StoreError> {
        let _one_at_a_time = self.changing.lock().await;
        let wanted: Vec<(ObjectKind, String)> = changed
            .iter()
            .filter_map(|change| change.split_once('/'))
            .filter_map(|(kind, id)| Some((ObjectKind::from_name(kind)?, id.to_owned())))
            .collect();
        let asked = wanted.clone();
        let found = book
            .read(move |store| {
                asked.iter().map(|(kind, id)| store.object(*kind, id)).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let mut touched = Vec::new();
        for ((kind, id), found) in wanted.iter().zip(found) {
            let known = self.by_id(*kind, id);
            if known.as_deref() == found.as_ref() {
                continue;
            }
            touched.push((*kind, id.as_str()));
            match found {
                Some(record) => self.publish(record),
                None => self.forget(*kind, id),
            }
        }
        self.renew(&touched);
        Ok(!touched.is_empty())
    }

    /// Returns the providers that integrations come to. Hosts that the operator trusts may be private.
    #[must_use]
    pub fn providers(&self, trusted_hosts: &[String]) -> Vec<ProviderRecord> {
        super::providers::of(self, trusted_hosts)
    }

    fn of(&self, kind: ObjectKind) -> &DashMap<String, Arc<ObjectRecord>> {
        &self.known[kind as usize]
    }

    fn publish(&self, record: ObjectRecord) {
        let id = record.id.clone();
        let slug = slug_of(&record);
        let before = self.of(record.kind).insert(id.clone(), Arc::new(record));
        if let Some(before) = before {
            self.slugs.remove(&slug_of(&before));
        }
        self.slugs.insert(slug, id);
    }

    fn forget(&self, kind: ObjectKind, id: &str) {
        if let Some((_, record)) = self.of(kind).remove(id) {
            self.slugs.remove(&slug_of(&record));
        }
    }

    /// Puts changes of objects in force. The caller is the only one who changes.
    fn renew(&self, touched: &[(ObjectKind, &str)]) {
        if touched.iter().any(|(kind, _)| Rules::reads(*kind)) {
            let rules = self.rules.load().after(self, touched);
            self.rules.store(Arc::new(rules));
        }
    }
}

fn slug_of(record: &ObjectRecord) -> Slug {
    (record.kind, record.workspace.clone().unwrap_or_default(), record.slug.clone())
}
