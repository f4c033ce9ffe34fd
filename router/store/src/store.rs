//! The trait that every backend implements.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::audit::{AuditCheck, AuditFilter, AuditRecord, AuditRow};
use crate::config::{ConfigRecord, ConfigVersion};
use crate::object::{ObjectKind, ObjectRecord};
use crate::record::{
    BudgetRecord, Change, ChangeKind, KeyHash, KeyKind, KeyRecord, LedgerEntry, LogFilter, LogRow,
    ProviderRecord,
};

/// Why a store call failed. Nothing was changed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store was written by a newer Tidegate.
    #[error("the store has schema {found}, this version knows up to {known}: use a newer tidegate")]
    Future {
        /// Schema found.
        found: i64,
        /// Schema known.
        known: i64,
    },
    /// The database refused.
    #[error("database: {0}")]
    Database(String),
    /// Something of that name is there already.
    #[error("{0} exists already")]
    Exists(String),
    /// A record can't be read.
    #[error("record {id}: {reason}")]
    Record {
        /// Which one.
        id: String,
        /// Why.
        reason: String,
    },
}

/// One change of an administrator; several are written together or not at all.
#[derive(Clone, Debug)]
pub enum Write {
    /// Writes a key, in place of one of the same id.
    PutKey {
        /// Hash of its secret.
        hash: KeyHash,
        /// The key.
        key: Box<KeyRecord>,
        /// Hash of the secret that still works beside it; the one before it is forgotten. `None` keeps what is there
        /// for as long as the key's record tells of an old secret.
        old: Option<KeyHash>,
    },
    /// Deletes a key by id.
    DeleteKey(String),
    /// Writes a budget; its spend stays.
    PutBudget(BudgetRecord),
    /// Deletes a budget by id; what was spent stays known.
    DeleteBudget(String),
    /// Sets a budget's spend in its period to zero.
    ResetBudget {
        /// Which one.
        id: String,
        /// Start of the period, seconds since the epoch.
        period_start: i64,
    },
    /// Writes an object, in place of one of the same kind and id, and keeps this version of it.
    PutObject(Box<ObjectRecord>),
    /// Deletes an object with its versions.
    DeleteObject {
        /// Its kind.
        kind: ObjectKind,
        /// Its id.
        id: String,
    },
    /// Writes a provider.
    PutProvider(Box<ProviderRecord>),
    /// Deletes a provider by slug.
    DeleteProvider(String),
    /// Writes a saved config and, where there is one, its new version, as [`Store::put_config`] does.
    PutConfig {
        /// The config.
        config: Box<ConfigRecord>,
        /// Its new version.
        version: Option<Box<ConfigVersion>>,
    },
    /// Deletes a saved config with its versions, by slug.
    DeleteConfig(String),
    /// Writes a small named value.
    SetMeta {
        /// Its name.
        name: String,
        /// The value.
        value: String,
    },
}

/// Which keys to list, by name and id.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// Only of this workspace; `Some("")` is those of none.
    pub workspace: Option<String>,
    /// Also those of no workspace, without the organisation's: they are of the default one.
    pub or_of_none: bool,
    /// Only of this user.
    pub user: Option<String>,
    /// Only of these kinds; empty is all.
    pub kinds: Vec<KeyKind>,
    /// Only these ids.
    pub ids: Vec<String>,
    /// How many to leave out.
    pub offset: usize,
    /// How many at most; 0 is all.
    pub limit: usize,
}

/// What Tidegate remembers. Implementations are used by one thread at a time; open several for several threads.
pub trait Store: Send {
    /// Returns the key with this hash.
    ///
    /// # Errors
    /// [`StoreError`]
    fn key_by_hash(&self, hash: &KeyHash) -> Result<Option<KeyRecord>, StoreError>;

    /// Returns a key and its hash by id.
    ///
    /// # Errors
    /// [`StoreError`]
    fn key_by_id(&self, id: &str) -> Result<Option<(KeyHash, KeyRecord)>, StoreError>;

    /// Returns keys and hashes whose ids begin with `prefix`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn keys_starting_with(&self, prefix: &str) -> Result<Vec<(KeyHash, KeyRecord)>, StoreError>;

    /// Returns keys by name and id order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn keys(&self, limit: usize) -> Result<Vec<KeyRecord>, StoreError>;

    /// Writes keys in one transaction, replacing those of the same id.
    ///
    /// # Errors
    /// [`StoreError`]
    fn put_keys(&mut self, keys: &[(KeyHash, KeyRecord)]) -> Result<(), StoreError>;

    /// Returns budgets with the spend of the period that holds `now`, in their units.
    ///
    /// # Errors
    /// [`StoreError`]
    fn budgets(&self, now: i64) -> Result<Vec<(BudgetRecord, i64)>, StoreError>;

    /// Returns one budget with its spend of the period that holds `now`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn budget(&self, id: &str, now: i64) -> Result<Option<(BudgetRecord, i64)>, StoreError>;

    /// Writes a budget; its spend stays.
    ///
    /// # Errors
    /// [`StoreError`]
    fn put_budget(&mut self, budget: &BudgetRecord) -> Result<(), StoreError>;

    /// Deletes a budget; what was spent stays known, should it come back.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delete_budget(&mut self, id: &str) -> Result<(), StoreError>;

    /// Deletes request log rows that started before `before_ms` (milliseconds since the epoch), at most `limit`, so
    /// that no call holds the store for long. Returns how many. Budgets keep what the rows cost.
    ///
    /// # Errors
    /// [`StoreError`]
    fn prune_logs(&mut self, before_ms: i64, limit: usize) -> Result<usize, StoreError>;

    /// Sets a budget's spend of the current period to zero.
    ///
    /// # Errors
    /// [`StoreError`]
    fn reset_budget(&mut self, id: &str, now: i64) -> Result<(), StoreError>;

    /// Returns all providers; keys are as stored (encrypted by the caller).
    ///
    /// # Errors
    /// [`StoreError`]
    fn providers(&self) -> Result<Vec<ProviderRecord>, StoreError>;

    /// Writes a provider.
    ///
    /// # Errors
    /// [`StoreError`]
    fn put_provider(&mut self, provider: &ProviderRecord) -> Result<(), StoreError>;

    /// Deletes a provider; true when there was one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delete_provider(&mut self, slug: &str) -> Result<bool, StoreError>;

    /// Returns all saved configs with their version in force, by slug; texts are as stored (encrypted by the caller).
    ///
    /// # Errors
    /// [`StoreError`]
    fn configs(&self) -> Result<Vec<(ConfigRecord, ConfigVersion)>, StoreError>;

    /// Returns a saved config with its version in force.
    ///
    /// # Errors
    /// [`StoreError`]
    fn config(&self, slug: &str) -> Result<Option<(ConfigRecord, ConfigVersion)>, StoreError>;

    /// Returns all versions of a saved config, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn config_versions(&self, slug: &str) -> Result<Vec<ConfigVersion>, StoreError>;

    /// Writes a saved config and, where there is one, its new version, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`], also when the version is there already, or the one in force is not.
    fn put_config(
        &mut self,
        config: &ConfigRecord,
        version: Option<&ConfigVersion>,
    ) -> Result<(), StoreError>;

    /// Deletes a saved config with its versions; true when there was one.
    ///
    /// # Errors
    /// [`StoreError`]
    fn delete_config(&mut self, slug: &str) -> Result<bool, StoreError>;

    /// Returns the names of active keys whose default config this is, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn keys_with_config(&self, config: &str, limit: usize) -> Result<Vec<String>, StoreError>;

    /// Writes changes in one durable transaction, in order, beside the row of the audit log that tells of them.
    ///
    /// # Errors
    /// [`StoreError`], [`StoreError::Exists`] where a slug is taken; then nothing is written.
    fn write(&mut self, writes: &[Write], audit: Option<&AuditRecord>) -> Result<(), StoreError>;

    /// Returns a page of keys, and how many there are in all.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list_keys(&self, filter: &KeyFilter) -> Result<(Vec<KeyRecord>, usize), StoreError>;

    /// Returns active keys that expire, that get new secrets, or whose old secret still works.
    ///
    /// # Errors
    /// [`StoreError`]
    fn keys_with_dates(&self) -> Result<Vec<KeyRecord>, StoreError>;

    /// Returns all objects of a kind by slug.
    ///
    /// # Errors
    /// [`StoreError`]
    fn objects(&self, kind: ObjectKind) -> Result<Vec<ObjectRecord>, StoreError>;

    /// Returns an object.
    ///
    /// # Errors
    /// [`StoreError`]
    fn object(&self, kind: ObjectKind, id: &str) -> Result<Option<ObjectRecord>, StoreError>;

    /// Returns all versions of an object, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn object_versions(&self, kind: ObjectKind, id: &str) -> Result<Vec<ObjectRecord>, StoreError>;

    /// Returns what a budget has spent in a period, whether or not it is declared, by the node that spent it.
    ///
    /// # Errors
    /// [`StoreError`]
    fn spent_by(&self, budget: &str, period_start: i64) -> Result<Vec<(String, i64)>, StoreError>;

    /// Returns the number of the last reset of a budget in the feed of changes; 0 without one, and where one process has
    /// the store.
    ///
    /// # Errors
    /// [`StoreError`]
    fn last_reset(&self, _budget: &str) -> Result<i64, StoreError> {
        Ok(0)
    }

    /// Returns what open holds keep of a budget in a period, by the holder; nothing where one process has the store.
    ///
    /// # Errors
    /// [`StoreError`]
    fn held_by(&self, _budget: &str, _period_start: i64) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(Vec::new())
    }

    /// Returns what budgets whose ids begin with `prefix` have spent: id, period start, amount; by id.
    ///
    /// # Errors
    /// [`StoreError`]
    fn spends(&self, prefix: &str) -> Result<Vec<(String, i64, i64)>, StoreError>;

    /// Lists rows of the audit log, newest first, and how many there are in all.
    ///
    /// # Errors
    /// [`StoreError`]
    fn audit(&self, filter: &AuditFilter) -> Result<(Vec<AuditRow>, usize), StoreError>;

    /// Follows the chain of the audit log from its first row to its last.
    ///
    /// # Errors
    /// [`StoreError`]
    fn check_audit(&self) -> Result<AuditCheck, StoreError>;

    /// Rewrites every secret, which are texts that begin with `prefix`, wherever they stand in records, in one
    /// transaction with the row of the audit log that tells of it. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`], also when `reseal` fails; then nothing is changed.
    fn reseal(
        &mut self,
        prefix: &str,
        reseal: &mut dyn FnMut(&str) -> Result<String, String>,
        audit: Option<&AuditRecord>,
    ) -> Result<usize, StoreError>;

    /// Notes that something was told; false when it was before and its time is not over. Forgets what is past.
    ///
    /// # Errors
    /// [`StoreError`]
    fn tell_once(&mut self, dedup_key: &str, until_ms: i64, now_ms: i64) -> Result<bool, StoreError>;

    /// Writes a batch in one durable transaction, in order.
    ///
    /// # Errors
    /// [`StoreError`]; then the whole batch is unwritten.
    fn commit(&mut self, batch: &[LedgerEntry]) -> Result<(), StoreError>;

    /// Settles holds that dead processes left open at their held amount, as rows with outcome `recovered`. Those of
    /// `living` nodes stay. Returns how many were settled.
    ///
    /// # Errors
    /// [`StoreError`]
    fn recover(&mut self, living: &[String]) -> Result<usize, StoreError>;

    /// Returns how much of each budget open holds keep, in its unit.
    ///
    /// # Errors
    /// [`StoreError`]
    fn open_holds(&self) -> Result<BTreeMap<String, i64>, StoreError>;

    /// Lists request log rows, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn logs(&self, filter: &LogFilter) -> Result<Vec<LogRow>, StoreError>;

    /// Returns changes after a sequence number, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn changes_since(&self, seq: i64) -> Result<Vec<Change>, StoreError>;

    /// Returns the newest change's sequence number; 0 when there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    fn last_change(&self) -> Result<i64, StoreError>;

    /// Notes a change that other processes must see.
    ///
    /// # Errors
    /// [`StoreError`]
    fn note_change(&mut self, kind: ChangeKind, id: &str) -> Result<(), StoreError>;

    /// Returns a small named value.
    ///
    /// # Errors
    /// [`StoreError`]
    fn meta(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Sets a small named value.
    ///
    /// # Errors
    /// [`StoreError`]
    fn set_meta(&mut self, name: &str, value: &str) -> Result<(), StoreError>;
}
