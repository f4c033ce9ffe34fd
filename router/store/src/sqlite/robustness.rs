//! What happens when the file can't be written: a clear error, and nothing is lost.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{SqliteStore, migrate};
use crate::audit::AuditRecord;
use crate::record::{LedgerEntry, LogFilter, LogRow, SettleRecord};
use crate::store::{Store, StoreError, Write};
use crate::suite::{budget, key, pays, row};

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    (folder, path)
}

fn batch(id: &str, length: usize) -> [LedgerEntry; 1] {
    let row = LogRow { error: Some("x".repeat(length)), ..row(id, Some(5)) };
    [LedgerEntry::Settle(Box::new(SettleRecord {
        budgets: vec![pays("b", 0, 5)],
        held: false,
        row: row.into(),
    }))]
}

fn spent(store: &dyn Store) -> i64 {
    store.spends("b").unwrap().first().map_or(0, |(.., amount)| *amount)
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let (_folder, path) = file();
    let mut store = SqliteStore::open(&path).unwrap();
    store.commit(&batch("1", 10)).unwrap();
    let pages: i64 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |store: &SqliteStore, pages: i64| {
        let set = format!("PRAGMA max_page_count = {pages}");
        store.connection.query_row(&set, [], |row| row.get::<_, i64>(0)).unwrap();
    };
    limit(&store, pages + 3);
    let error = store.commit(&batch("2", 100_000)).unwrap_err().to_string();
    assert!(error.starts_with("database: the disk is full"), "{error}");
    let writes =
        [Write::PutBudget(budget("b")), Write::SetMeta { name: "m".into(), value: "x".repeat(100_000) }];
    let error = store.write(&writes, Some(&AuditRecord::default())).unwrap_err().to_string();
    assert!(error.starts_with("database: the disk is full"), "{error}");
    // Nothing of either is there, what was is, and small things still fit.
    assert_eq!((spent(&store), store.logs(&LogFilter::default()).unwrap().len()), (5, 1));
    assert_eq!((store.budget("b", 0).unwrap(), store.check_audit().unwrap().rows), (None, 0));
    store.set_meta("small", "fits").unwrap();
    limit(&store, 1_000_000);
    store.commit(&batch("2", 100_000)).unwrap();
    drop(store);
    assert_eq!(spent(&SqliteStore::open(&path).unwrap()), 10);
}

#[test]
fn a_locked_file_is_an_error_in_time() {
    let (_folder, path) = file();
    let mut store = SqliteStore::open_within(&path, Duration::from_millis(100)).unwrap();
    store.commit(&batch("1", 1)).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE; UPDATE budget_spend SET amount = 99").unwrap();
    let began = Instant::now();
    let error = store.commit(&batch("2", 1)).unwrap_err().to_string();
    assert!(error.starts_with("database: another process has it locked"), "{error}");
    let error = store.write(&[Write::PutBudget(budget("b"))], None).unwrap_err().to_string();
    assert!(error.starts_with("database: another process has it locked"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // Reading goes on beside, and sees what was committed.
    assert_eq!(spent(&store), 5);
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(&batch("2", 1)).unwrap();
    assert_eq!(spent(&store), 10);
}

#[test]
fn a_file_that_another_process_keeps_to_itself_is_an_error_in_time() {
    let (_folder, path) = file();
    drop(SqliteStore::open(&path).unwrap());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA locking_mode = exclusive; BEGIN EXCLUSIVE").unwrap();
    let opened = SqliteStore::open_within(&path, Duration::from_millis(100));
    let error = opened.err().expect("it is locked").to_string();
    assert!(error.contains("another process has it locked"), "{error}");
}

#[test]
fn a_broken_migration_leaves_the_file_as_it_was() {
    let (_folder, path) = file();
    let mut store = SqliteStore::open(&path).unwrap();
    store.put_keys(&[key("k1", 1)]).unwrap();
    let mut newer = migrate::MIGRATIONS.to_vec();
    newer.push("CREATE TABLE fine (a INTEGER); DROP TABLE told");
    newer.push("CREATE TABLE half (a INTEGER); DELETE FROM api_key; CREATE TABLE config (a INTEGER)");
    let error = migrate::run(&mut store.connection, &newer).unwrap_err().to_string();
    assert!(error.contains("migration 6 failed, the store stays at schema 4"), "{error}");
    drop(store);
    // The version before goes on as if nothing had been.
    let mut store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.key_by_id("k1").unwrap(), Some(key("k1", 1)));
    assert!(store.tell_once("a", 1, 0).unwrap());
    let made = "SELECT count(*) FROM sqlite_schema WHERE name IN ('fine', 'half')";
    assert_eq!(store.connection.query_row(made, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn a_file_that_is_no_database_is_an_error_and_stays() {
    let (_folder, path) = file();
    let text = "these are somebody's notes, no database, and nobody may write over them ".repeat(20);
    fs::write(&path, &text).unwrap();
    let error = SqliteStore::open(&path).err().expect("no database").to_string();
    assert!(error.contains("damaged or no store"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

/// Set in the process that may not write to read-only files.
const MORTAL: &str = "TIDEGATE_TEST_MORTAL";

#[test]
fn a_read_only_file_is_an_error_and_loses_nothing() {
    let (folder, path) = file();
    let mut store = SqliteStore::open(&path).unwrap();
    store.commit(&batch("1", 1)).unwrap();
    drop(store);
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&path, 0o444);
    if OpenOptions::new().write(true).open(&path).is_ok() {
        // Root writes everywhere: once more in a process that has to obey permissions.
        assert!(std::env::var_os(MORTAL).is_none(), "it must not be able to write");
        let output = Command::new("setpriv")
            .arg("--bounding-set=-dac_override")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite::robustness::a_read_only_file_is_an_error_and_loses_nothing"])
            .env(MORTAL, "1")
            .output()
            .expect("setpriv");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let folder_mode = fs::metadata(&folder).unwrap().permissions().mode();
    // The file alone, and then its folder too, as on a disk that was mounted read-only.
    for with_folder in [false, true] {
        mode(folder.path(), if with_folder { 0o555 } else { folder_mode });
        let error = match SqliteStore::open(&path) {
            Ok(mut store) => {
                assert_eq!(spent(&store), 5, "what is there can be read");
                store.commit(&batch("2", 1)).unwrap_err()
            }
            Err(error) => error,
        };
        assert!(matches!(error, StoreError::Database(_)), "{error:?}");
        let error = error.to_string();
        assert!(error.contains("read-only") || error.contains("cannot be opened"), "{error}");
    }
    mode(folder.path(), folder_mode);
    // SQLite gives the files beside it the modes that it had itself.
    for file in fs::read_dir(folder.path()).unwrap() {
        mode(&file.unwrap().path(), 0o644);
    }
    let mut store = SqliteStore::open(&path).unwrap();
    assert_eq!(spent(&store), 5);
    store.commit(&batch("2", 1)).unwrap();
    assert_eq!(spent(&store), 10);
}
