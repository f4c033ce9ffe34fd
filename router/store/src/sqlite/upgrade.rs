//! Files of earlier versions.

use super::SqliteStore;
use crate::store::{Store, StoreError};
use crate::suite::key;

#[test]
fn a_store_of_the_first_schema_keeps_its_keys_and_learns_configs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(include_str!("../../migrations/0001_start.sql")).unwrap();
    raw.pragma_update(None, "user_version", 1).unwrap();
    // As the first version wrote keys: without a word of overrides.
    let mut old = serde_json::to_value(key("k1", 7).1).unwrap();
    old.as_object_mut().unwrap().remove("allow_config_override").unwrap();
    let put = "INSERT INTO api_key (id, hash, name, record) VALUES ('k1', ?1, 'n', ?2)";
    raw.execute(put, rusqlite::params![[7_u8; 32], old.to_string()]).unwrap();
    drop(raw);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.key_by_id("k1").unwrap().unwrap().1, key("k1", 7).1);
    assert!(store.configs().unwrap().is_empty());
}

#[test]
fn a_store_from_the_future_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    drop(SqliteStore::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Future { found: 99, .. })));
}
