//! Schema versions, forward only; the number is in the table `schema_version`.

use super::session::{Fault, Session};
use crate::store::StoreError;

pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_start.sql"),
    include_str!("../../migrations/postgres/0002_ledger.sql"),
    include_str!("../../migrations/postgres/0003_audit.sql"),
];

/// Name of the lock that one node at a time migrates under.
const LOCK: i64 = 7_445_900;

/// Brings the schema up to date, whole or not at all. Several nodes may start at once: the first to lock it migrates.
pub(super) async fn run(session: &Session, migrations: &[&str]) -> Result<(), Fault> {
    let encoding: Option<String> = session.value("SHOW server_encoding", &[]).await?;
    if encoding.as_deref() != Some("UTF8") {
        let reason = format!("PostgreSQL: the database must be of encoding UTF8, it is {encoding:?}");
        return Err(StoreError::Database(reason).into());
    }
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if found(session, known).await? == known {
        return Ok(());
    }
    let begin = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})"
    );
    session.batch(&begin).await?;
    match migrate(session, migrations, known).await {
        Ok(()) => session.batch("COMMIT").await.map(|_| ()),
        Err(fault) => {
            session.batch("ROLLBACK").await?;
            Err(fault)
        }
    }
}

async fn migrate(session: &Session, migrations: &[&str], known: i64) -> Result<(), Fault> {
    session.batch("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)").await?;
    let from = found(session, known).await?;
    for (number, sql) in (1_i64..).zip(migrations).filter(|(number, _)| *number > from) {
        session.batch(sql).await.map_err(|fault| match fault {
            Fault::Lost(_) => fault,
            fault => Fault::Refused(StoreError::Database(format!(
                "migration {number} failed, the store stays at schema {from}: {}",
                fault.into_error()
            ))),
        })?;
    }
    session.batch("DELETE FROM schema_version").await?;
    session.run("INSERT INTO schema_version (version) VALUES ($1)", &[&known]).await?;
    Ok(())
}

async fn found(session: &Session, known: i64) -> Result<i64, Fault> {
    let there = session.value("SELECT to_regclass('schema_version') IS NOT NULL", &[]).await?;
    if there != Some(true) {
        return Ok(0);
    }
    let found = session.value("SELECT max(version) FROM schema_version", &[]).await?.flatten().unwrap_or(0);
    if found > known {
        return Err(StoreError::Future { found, known }.into());
    }
    Ok(found)
}
