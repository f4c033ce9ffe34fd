//! Whether a copy of a store is good. Restoring is putting it in the store's place while nothing runs.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::governance;
use super::migrate::{self, MIGRATIONS};
use crate::audit::AuditCheck;
use crate::store::StoreError;

/// What a copy of a store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupCheck {
    /// Its schema; an older one is brought up to date when a gateway opens it.
    pub schema: i64,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// Its audit log; `None` where its schema has none.
    pub audit: Option<AuditCheck>,
}

/// Looks at a copy of a store, page by page, and changes nothing.
///
/// # Errors
/// [`StoreError`] when it can't be read, is damaged, is no store or was written by a newer version.
pub fn backup_check(path: &Path) -> Result<BackupCheck, StoreError> {
    let refuse = |reason: String| StoreError::Database(format!("{}: {reason}", path.display()));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| refuse(error.to_string()))?;
    let said: Vec<String> = connection
        .prepare("PRAGMA integrity_check(3)")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(|error| refuse(format!("it is damaged or no store: {error}")))?;
    if said != ["ok"] {
        return Err(refuse(format!("it is damaged: {}", said.join("; "))));
    }
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let schema = migrate::version(&connection)?;
    if schema > known {
        return Err(StoreError::Future { found: schema, known });
    }
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if schema == 0 || !tables.iter().any(|table| table == "api_key") {
        return Err(refuse("it is no store".to_owned()));
    }
    let mut rows = BTreeMap::new();
    for table in tables {
        let count: i64 =
            connection.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get(0))?;
        rows.insert(table, u64::try_from(count).unwrap_or(0));
    }
    let audit = rows.contains_key("audit").then(|| governance::check_audit(&connection)).transpose()?;
    Ok(BackupCheck { schema, rows, audit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditRecord;
    use crate::sqlite::SqliteStore;
    use crate::store::{Store, Write};
    use crate::suite::{budget, key};

    fn copied(folder: &Path) -> std::path::PathBuf {
        let mut store = SqliteStore::open(&folder.join("t.db")).unwrap();
        let keys: Vec<_> = (0..200).map(|n| key(&format!("k{n}"), n)).collect();
        store.put_keys(&keys).unwrap();
        store.write(&[Write::PutBudget(budget("b"))], Some(&AuditRecord::default())).unwrap();
        let copy = folder.join("copy.db");
        store.copy_to(&copy).unwrap();
        // What comes later is not in the copy.
        store.write(&[Write::PutBudget(budget("c"))], None).unwrap();
        copy
    }

    #[test]
    fn a_copy_says_what_it_holds_and_opens_as_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copied(folder.path());
        let before = std::fs::read(&copy).unwrap();
        let check = backup_check(&copy).unwrap();
        assert_eq!((check.schema, check.rows["api_key"], check.rows["budget"]), (4, 200, 1));
        let audit = check.audit.unwrap();
        assert_eq!((audit.rows, audit.broken), (1, None));
        assert_eq!(std::fs::read(&copy).unwrap(), before);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "nothing was left beside");
        // Restored.
        std::fs::rename(&copy, folder.path().join("t.db")).unwrap();
        let store = SqliteStore::open(&folder.path().join("t.db")).unwrap();
        assert_eq!(store.key_by_id("k7").unwrap(), Some(key("k7", 7)));
        assert_eq!(store.budgets(0).unwrap().len(), 1);
    }

    #[test]
    fn a_damaged_copy_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copied(folder.path());
        let whole = std::fs::read(&copy).unwrap();
        let mut damaged = whole.clone();
        damaged[12_288..].fill(0x5a);
        let said = |bytes: &[u8]| {
            std::fs::write(&copy, bytes).unwrap();
            backup_check(&copy).unwrap_err().to_string()
        };
        for bytes in [&damaged[..], &whole[..whole.len() / 2], &b"not a database at all, but long enough"[..]]
        {
            let said = said(bytes);
            assert!(said.contains("damaged"), "{said}");
        }
        assert!(said(b"").contains("no store"));
        let missing = folder.path().join("missing.db");
        assert!(backup_check(&missing).is_err());
        assert!(!missing.exists(), "looking makes nothing");
    }

    #[test]
    fn a_copy_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copied(folder.path());
        Connection::open(&copy).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(backup_check(&copy), Err(StoreError::Future { found: 99, .. })));
    }
}
