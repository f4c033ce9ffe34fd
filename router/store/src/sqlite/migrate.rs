//! Schema versions, forward only; the number is SQLite's `user_version`.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;

pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_start.sql"),
    include_str!("../../migrations/0002_configs.sql"),
    include_str!("../../migrations/0003_governance.sql"),
    include_str!("../../migrations/0004_log.sql"),
];

/// Brings the schema up to date, whole or not at all. Several processes may open a new file at once: the first to lock it migrates.
pub(super) fn run(connection: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found = version(connection)?;
    if found == known {
        return Ok(());
    }
    if found > known {
        return Err(StoreError::Future { found, known });
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    for (at, sql) in migrations.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(sql).map_err(|error| {
            let number = at + 1;
            let reason = format!("migration {number} failed, the store stays at schema {found}: {error}");
            StoreError::Database(reason)
        })?;
        transaction.pragma_update(None, "user_version", i64::try_from(at + 1).unwrap_or(i64::MAX))?;
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}
