//! SQLite, the embedded default: one file in WAL mode.

mod backup;
mod configs;
mod control;
mod governance;
mod ledger;
mod migrate;
mod reseal;
#[cfg(test)]
mod robustness;
#[cfg(test)]
pub(crate) mod subject;
#[cfg(test)]
mod upgrade;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

pub use backup::{BackupCheck, backup_check};

use crate::audit::{AuditCheck, AuditFilter, AuditRecord, AuditRow};
use crate::config::{ConfigRecord, ConfigVersion};
use crate::object::{ObjectKind, ObjectRecord};
use crate::record::{
    BudgetRecord, Change, ChangeKind, KeyHash, KeyRecord, LedgerEntry, LogFilter, LogRow, ProviderRecord,
};
use crate::store::{KeyFilter, Store, StoreError, Write};

/// A store in one SQLite file.
pub struct SqliteStore {
    connection: Connection,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let meaning = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "the disk is full",
            Some(ErrorCode::ReadOnly) => "the file or its folder is read-only",
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process has it locked",
            Some(ErrorCode::CannotOpen) => "the file cannot be opened",
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the file is damaged or no store",
            Some(ErrorCode::SystemIoFailure) => "the disk fails",
            _ => return StoreError::Database(error.to_string()),
        };
        StoreError::Database(format!("{meaning} ({error})"))
    }
}

/// Other processes (the CLI) write too; a call waits for them so long.
const BUSY: Duration = Duration::from_secs(10);
/// Bytes of a page of a new file.
const PAGE: u32 = 8_192;

impl SqliteStore {
    /// Opens or makes the file and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] when the file can't be opened or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_within(path, BUSY)
    }

    /// As [`SqliteStore::open`], with the longest wait for other processes that write.
    ///
    /// # Errors
    /// [`StoreError`] when the file can't be opened or was written by a newer version.
    pub fn open_within(path: &Path, busy: Duration) -> Result<Self, StoreError> {
        let named = |error: StoreError| match error {
            StoreError::Database(reason) => {
                StoreError::Database(format!("cannot open {}: {reason}", path.display()))
            }
            error => error,
        };
        Self::connect(path, busy).map_err(named)
    }

    fn connect(path: &Path, busy: Duration) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(busy)?;
        // Of a new file: rows of the log that don't fit into a quarter of a page cost three times as much.
        connection.pragma_update(None, "page_size", PAGE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // FULL: a commit that returned survives power loss, which `durability = "each"` promises.
        connection.pragma_update(None, "synchronous", "full")?;
        let mut store = Self { connection };
        migrate::run(&mut store.connection, migrate::MIGRATIONS)?;
        Ok(store)
    }

    /// Writes a copy as it is now, also while others write.
    ///
    /// # Errors
    /// [`StoreError`] when the file exists or can't be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        self.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        Ok(())
    }
}

impl SqliteStore {
    /// Checks the file's integrity.
    ///
    /// # Errors
    /// [`StoreError::Database`] with what is wrong.
    pub fn check(&self) -> Result<(), StoreError> {
        let found: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if found == "ok" {
            Ok(())
        } else {
            Err(StoreError::Database(format!("the file is damaged: {found}")))
        }
    }
}

impl Store for SqliteStore {
    fn key_by_hash(&self, hash: &KeyHash) -> Result<Option<KeyRecord>, StoreError> {
        control::key_by_hash(&self.connection, hash)
    }

    fn key_by_id(&self, id: &str) -> Result<Option<(KeyHash, KeyRecord)>, StoreError> {
        control::key_by_id(&self.connection, id)
    }

    fn keys_starting_with(&self, prefix: &str) -> Result<Vec<(KeyHash, KeyRecord)>, StoreError> {
        control::keys_starting_with(&self.connection, prefix)
    }

    fn keys(&self, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        control::keys(&self.connection, limit)
    }

    fn put_keys(&mut self, keys: &[(KeyHash, KeyRecord)]) -> Result<(), StoreError> {
        control::put_keys(&mut self.connection, keys)
    }

    fn budgets(&self, now: i64) -> Result<Vec<(BudgetRecord, i64)>, StoreError> {
        control::budgets(&self.connection, now)
    }

    fn budget(&self, id: &str, now: i64) -> Result<Option<(BudgetRecord, i64)>, StoreError> {
        control::budget(&self.connection, id, now)
    }

    fn put_budget(&mut self, budget: &BudgetRecord) -> Result<(), StoreError> {
        self.write(&[Write::PutBudget(budget.clone())], None)
    }

    fn delete_budget(&mut self, id: &str) -> Result<(), StoreError> {
        self.write(&[Write::DeleteBudget(id.to_owned())], None)
    }

    fn prune_logs(&mut self, before_ms: i64, limit: usize) -> Result<usize, StoreError> {
        ledger::prune_logs(&self.connection, before_ms, limit)
    }

    fn reset_budget(&mut self, id: &str, now: i64) -> Result<(), StoreError> {
        let Some((budget, _)) = control::budget(&self.connection, id, now)? else {
            return Err(StoreError::Record { id: id.to_owned(), reason: "there is no such budget".into() });
        };
        self.write(&[Write::ResetBudget { id: id.to_owned(), period_start: budget.period_start(now) }], None)
    }

    fn providers(&self) -> Result<Vec<ProviderRecord>, StoreError> {
        control::providers(&self.connection)
    }

    fn put_provider(&mut self, provider: &ProviderRecord) -> Result<(), StoreError> {
        self.write(&[Write::PutProvider(Box::new(provider.clone()))], None)
    }

    fn delete_provider(&mut self, slug: &str) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction()?;
        let deleted = control::delete_provider(&transaction, slug)?;
        transaction.commit()?;
        Ok(deleted)
    }

    fn configs(&self) -> Result<Vec<(ConfigRecord, ConfigVersion)>, StoreError> {
        configs::configs(&self.connection)
    }

    fn config(&self, slug: &str) -> Result<Option<(ConfigRecord, ConfigVersion)>, StoreError> {
        configs::config(&self.connection, slug)
    }

    fn config_versions(&self, slug: &str) -> Result<Vec<ConfigVersion>, StoreError> {
        configs::versions(&self.connection, slug)
    }

    fn put_config(
        &mut self,
        config: &ConfigRecord,
        version: Option<&ConfigVersion>,
    ) -> Result<(), StoreError> {
        let (config, version) = (Box::new(config.clone()), version.cloned().map(Box::new));
        self.write(&[Write::PutConfig { config, version }], None)
    }

    fn delete_config(&mut self, slug: &str) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let deleted = configs::delete(&transaction, slug)?;
        transaction.commit()?;
        Ok(deleted)
    }

    fn keys_with_config(&self, config: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        configs::keys_with(&self.connection, config, limit)
    }

    fn write(&mut self, writes: &[Write], audit: Option<&AuditRecord>) -> Result<(), StoreError> {
        governance::write(&mut self.connection, writes, audit)
    }

    fn list_keys(&self, filter: &KeyFilter) -> Result<(Vec<KeyRecord>, usize), StoreError> {
        governance::list_keys(&self.connection, filter)
    }

    fn keys_with_dates(&self) -> Result<Vec<KeyRecord>, StoreError> {
        governance::keys_with_dates(&self.connection)
    }

    fn objects(&self, kind: ObjectKind) -> Result<Vec<ObjectRecord>, StoreError> {
        governance::objects(&self.connection, kind)
    }

    fn object(&self, kind: ObjectKind, id: &str) -> Result<Option<ObjectRecord>, StoreError> {
        governance::object(&self.connection, kind, id)
    }

    fn object_versions(&self, kind: ObjectKind, id: &str) -> Result<Vec<ObjectRecord>, StoreError> {
        governance::object_versions(&self.connection, kind, id)
    }

    fn spent_by(&self, budget: &str, period_start: i64) -> Result<Vec<(String, i64)>, StoreError> {
        governance::spent_by(&self.connection, budget, period_start)
    }

    fn spends(&self, prefix: &str) -> Result<Vec<(String, i64, i64)>, StoreError> {
        governance::spends(&self.connection, prefix)
    }

    fn audit(&self, filter: &AuditFilter) -> Result<(Vec<AuditRow>, usize), StoreError> {
        governance::audit(&self.connection, filter)
    }

    fn check_audit(&self) -> Result<AuditCheck, StoreError> {
        governance::check_audit(&self.connection)
    }

    fn reseal(
        &mut self,
        prefix: &str,
        reseal: &mut dyn FnMut(&str) -> Result<String, String>,
        audit: Option<&AuditRecord>,
    ) -> Result<usize, StoreError> {
        reseal::all(&mut self.connection, prefix, reseal, audit)
    }

    fn tell_once(&mut self, dedup_key: &str, until_ms: i64, now_ms: i64) -> Result<bool, StoreError> {
        governance::tell_once(&self.connection, dedup_key, until_ms, now_ms)
    }

    fn commit(&mut self, batch: &[LedgerEntry]) -> Result<(), StoreError> {
        ledger::commit(&mut self.connection, batch)
    }

    fn recover(&mut self, _living: &[String]) -> Result<usize, StoreError> {
        // One process has this file: whatever is open, is of a dead one.
        ledger::recover(&mut self.connection)
    }

    fn open_holds(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        ledger::open_holds(&self.connection)
    }

    fn logs(&self, filter: &LogFilter) -> Result<Vec<LogRow>, StoreError> {
        ledger::logs(&self.connection, filter)
    }

    fn changes_since(&self, seq: i64) -> Result<Vec<Change>, StoreError> {
        control::changes_since(&self.connection, seq)
    }

    fn last_change(&self) -> Result<i64, StoreError> {
        control::last_change(&self.connection)
    }

    fn note_change(&mut self, kind: ChangeKind, id: &str) -> Result<(), StoreError> {
        control::note_change(&self.connection, kind, id)
    }

    fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        control::meta(&self.connection, name)
    }

    fn set_meta(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        control::set_meta(&self.connection, name, value)
    }
}
