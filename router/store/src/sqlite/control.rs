//! Keys, budgets, providers and the change feed.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::json::{read, write};
use crate::record::{BudgetRecord, Change, ChangeKind, KeyHash, KeyRecord, ProviderRecord};
use crate::store::StoreError;

pub(super) fn key_by_hash(connection: &Connection, hash: &KeyHash) -> Result<Option<KeyRecord>, StoreError> {
    let mut find = connection.prepare_cached("SELECT record FROM api_key WHERE hash = ?1")?;
    let mut text: Option<String> = find.query_row([&hash.0[..]], |row| row.get(0)).optional()?;
    if text.is_none() {
        let mut find = connection.prepare_cached(
            "SELECT k.record FROM api_key_old o JOIN api_key k ON k.id = o.id WHERE o.hash = ?1",
        )?;
        text = find.query_row([&hash.0[..]], |row| row.get(0)).optional()?;
    }
    text.map(|text| read("key", &text)).transpose()
}

pub(super) fn key_by_id(
    connection: &Connection,
    id: &str,
) -> Result<Option<(KeyHash, KeyRecord)>, StoreError> {
    let found: Option<([u8; 32], String)> = connection
        .prepare_cached("SELECT hash, record FROM api_key WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(hash, text)| Ok((KeyHash(hash), read(id, &text)?))).transpose()
}

pub(super) fn keys_starting_with(
    connection: &Connection,
    prefix: &str,
) -> Result<Vec<(KeyHash, KeyRecord)>, StoreError> {
    // A range of the primary key, so that 100,000 other keys cost nothing.
    let mut statement = connection.prepare_cached(
        "SELECT id, hash, record FROM api_key WHERE id >= ?1 AND id < ?1 || x'f48fbfbf' ORDER BY id",
    )?;
    let rows = statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (id, hash, text): (String, [u8; 32], String) = row?;
        found.push((KeyHash(hash), read(&id, &text)?));
    }
    Ok(found)
}

pub(super) fn keys(connection: &Connection, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT record FROM api_key ORDER BY name, id LIMIT ?1")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map([limit], |row| row.get::<_, String>(0))?;
    rows.map(|text| read("key", &text?)).collect()
}

pub(super) fn put_keys(connection: &mut Connection, keys: &[(KeyHash, KeyRecord)]) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    for (hash, key) in keys {
        put_key(&transaction, hash, key)?;
    }
    if keys.len() <= 1_000 {
        for (_, key) in keys {
            note_change(&transaction, ChangeKind::Key, &key.id)?;
        }
    } else {
        // A bulk import is one change: readers forget all keys that they know.
        note_change(&transaction, ChangeKind::Key, "*")?;
    }
    transaction.commit()?;
    Ok(())
}

/// Writes one key, without a note in the feed of changes.
pub(super) fn put_key(connection: &Connection, hash: &KeyHash, key: &KeyRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO api_key (id, hash, name, record, workspace) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, name = excluded.name,
               record = excluded.record, workspace = excluded.workspace",
        )?
        .execute(params![
            key.id,
            &hash.0[..],
            key.name,
            write(&key.id, key)?,
            key.workspace.as_deref().unwrap_or_default()
        ])?;
    Ok(())
}

const SPENT: &str =
    "SELECT COALESCE(SUM(amount), 0) FROM budget_spend WHERE budget = ?1 AND period_start = ?2";

fn spent(connection: &Connection, budget: &BudgetRecord, now: i64) -> Result<i64, StoreError> {
    Ok(connection
        .prepare_cached(SPENT)?
        .query_row(params![budget.id, budget.period_start(now)], |row| row.get(0))?)
}

pub(super) fn budgets(connection: &Connection, now: i64) -> Result<Vec<(BudgetRecord, i64)>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, record FROM budget ORDER BY name, id")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (id, text) = row?;
        let budget: BudgetRecord = read(&id, &text)?;
        let spent = spent(connection, &budget, now)?;
        found.push((budget, spent));
    }
    Ok(found)
}

pub(super) fn budget(
    connection: &Connection,
    id: &str,
    now: i64,
) -> Result<Option<(BudgetRecord, i64)>, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT record FROM budget WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(text) = text else { return Ok(None) };
    let budget: BudgetRecord = read(id, &text)?;
    let spent = spent(connection, &budget, now)?;
    Ok(Some((budget, spent)))
}

pub(super) fn put_budget(connection: &Connection, budget: &BudgetRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO budget (id, name, record) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record",
        )?
        .execute(params![budget.id, budget.name, write(&budget.id, budget)?])?;
    note_change(connection, ChangeKind::Budget, &budget.id)
}

pub(super) fn delete_budget(connection: &Connection, id: &str) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM budget WHERE id = ?1")?.execute([id])?;
    note_change(connection, ChangeKind::Budget, id)
}

pub(super) fn reset_budget(connection: &Connection, id: &str, period_start: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM budget_spend WHERE budget = ?1 AND period_start = ?2")?
        .execute(params![id, period_start])?;
    note_change(connection, ChangeKind::Reset, id)
}

pub(super) fn providers(connection: &Connection) -> Result<Vec<ProviderRecord>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT slug, record FROM provider ORDER BY slug")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (slug, text) = row?;
        read(&slug, &text)
    })
    .collect()
}

pub(super) fn put_provider(connection: &Connection, provider: &ProviderRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO provider (slug, record) VALUES (?1, ?2)
             ON CONFLICT (slug) DO UPDATE SET record = excluded.record",
        )?
        .execute(params![provider.slug, write(&provider.slug, provider)?])?;
    note_change(connection, ChangeKind::Provider, &provider.slug)
}

pub(super) fn delete_provider(transaction: &Transaction<'_>, slug: &str) -> Result<bool, StoreError> {
    let deleted = transaction.execute("DELETE FROM provider WHERE slug = ?1", [slug])? > 0;
    if deleted {
        note_change(transaction, ChangeKind::Provider, slug)?;
    }
    Ok(deleted)
}

pub(super) fn changes_since(connection: &Connection, seq: i64) -> Result<Vec<Change>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT seq, kind, id FROM change WHERE seq > ?1 ORDER BY seq")?;
    let rows = statement.query_map([seq], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut changes = Vec::new();
    for row in rows {
        let (seq, kind, id) = row?;
        if let Some(kind) = ChangeKind::from_name(&kind) {
            changes.push(Change { seq, kind, id });
        }
    }
    Ok(changes)
}

pub(super) fn last_change(connection: &Connection) -> Result<i64, StoreError> {
    let last: Option<i64> =
        connection.prepare_cached("SELECT max(seq) FROM change")?.query_row([], |row| row.get(0))?;
    Ok(last.unwrap_or(0))
}

pub(super) fn note_change(connection: &Connection, kind: ChangeKind, id: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO change (kind, id) VALUES (?1, ?2)")?
        .execute(params![kind.name(), id])?;
    Ok(())
}

pub(super) fn meta(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

pub(super) fn set_meta(connection: &Connection, name: &str, value: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
        .execute([name, value])?;
    Ok(())
}
