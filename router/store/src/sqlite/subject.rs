//! SQLite under test: a file in a folder of its own.

use std::path::PathBuf;

use super::SqliteStore;
use crate::store::Store;
use crate::suite::Subject;

pub(crate) struct SqliteSubject {
    // Closed before its folder goes.
    store: SqliteStore,
    folder: tempfile::TempDir,
}

impl SqliteSubject {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("t.db")).unwrap();
        Self { store, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("t.db")
    }
}

impl Subject for SqliteSubject {
    fn store(&mut self) -> &mut dyn Store {
        &mut self.store
    }

    fn successor(&self) -> Box<dyn Store> {
        Box::new(SqliteStore::open(&self.path()).unwrap())
    }

    fn tamper(&self, sql: &str) {
        rusqlite::Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }
}
