//! Keys, budgets, providers, the change feed and small values.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::session::{Fault, Session};
use crate::json::{read, write};
use crate::record::{BudgetRecord, Change, ChangeKind, KeyHash, KeyRecord, KeyStatus, ProviderRecord};
use crate::store::{KeyFilter, StoreError};

/// Keys written by one statement.
const KEYS_AT_ONCE: usize = 1_000;
/// Longest text in a column beside a record; an index takes no more than 2,700 bytes.
const COLUMN: usize = 600;

/// Returns text for a column beside the record: the null character, which PostgreSQL has not, becomes another one.
pub(super) fn column(text: &str) -> String {
    let mut text = text.replace('\0', "\u{fffd}");
    let end = text.floor_char_boundary(COLUMN);
    text.truncate(end);
    text
}

/// Returns what is greater than every text that begins so.
pub(super) fn after(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// Returns a number of rows for LIMIT; `None` is all.
pub(super) fn limit(limit: usize) -> Option<i64> {
    if limit == 0 { None } else { i64::try_from(limit).ok() }
}

pub(super) fn records<T: serde::de::DeserializeOwned>(id: &str, rows: &[Row]) -> Result<Vec<T>, Fault> {
    rows.iter().map(|row| Ok(read(id, row.try_get(0)?)?)).collect()
}

fn hash(bytes: &[u8]) -> Result<KeyHash, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| StoreError::Record { id: "key".into(), reason: "its hash is not 32 bytes".into() })?;
    Ok(KeyHash(bytes))
}

fn key(row: &Row) -> Result<(KeyHash, KeyRecord), Fault> {
    let (id, hashed, text): (&str, &[u8], &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok((hash(hashed)?, read(id, text)?))
}

pub(super) async fn key_by_hash(session: &Session, hash: &KeyHash) -> Result<Option<KeyRecord>, Fault> {
    let sql = "SELECT record FROM api_key WHERE hash = $1
         UNION ALL SELECT k.record FROM api_key_old o JOIN api_key k ON k.id = o.id WHERE o.hash = $1 LIMIT 1";
    Ok(records("key", &session.rows(sql, &[&&hash.0[..]]).await?)?.pop())
}

pub(super) async fn key_by_id(session: &Session, id: &str) -> Result<Option<(KeyHash, KeyRecord)>, Fault> {
    let found = session.row("SELECT id, hash, record FROM api_key WHERE id = $1", &[&id]).await?;
    found.as_ref().map(key).transpose()
}

pub(super) async fn keys_starting_with(
    session: &Session,
    prefix: &str,
) -> Result<Vec<(KeyHash, KeyRecord)>, Fault> {
    let sql = "SELECT id, hash, record FROM api_key WHERE id >= $1 AND id < $2 ORDER BY id";
    session.rows(sql, &[&prefix, &after(prefix)]).await?.iter().map(key).collect()
}

pub(super) async fn keys(session: &Session, limit: usize) -> Result<Vec<KeyRecord>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT record FROM api_key ORDER BY name, id LIMIT $1";
    records("key", &session.rows(sql, &[&limit]).await?)
}

pub(super) async fn list_keys(
    session: &Session,
    filter: &KeyFilter,
) -> Result<(Vec<KeyRecord>, usize), Fault> {
    let ids = if filter.ids.is_empty() { None } else { Some(&filter.ids) };
    let offset = i64::try_from(filter.offset).unwrap_or(i64::MAX);
    let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.name()).collect();
    let kinds = (!kinds.is_empty()).then_some(kinds);
    let chosen = "FROM api_key WHERE ($1::text IS NULL OR workspace = $1 OR ($2 AND workspace = ''
           AND kind <> 'organisation-service' AND NOT root))
         AND ($3::text[] IS NULL OR id = ANY ($3))
         AND ($4::text IS NULL OR owner = $4)
         AND ($5::text[] IS NULL OR kind = ANY ($5))";
    let count = format!("SELECT count(*) {chosen}");
    let (workspace, or_of_none) = (&filter.workspace, filter.or_of_none);
    let given: [&(dyn ToSql + Sync); 5] = [workspace, &or_of_none, &ids, &filter.user, &kinds];
    let total: i64 = session.value(&count, &given).await?.unwrap_or(0);
    let page = format!("SELECT record {chosen} ORDER BY name, id LIMIT $6 OFFSET $7");
    let limit = limit(filter.limit);
    let given: [&(dyn ToSql + Sync); 7] =
        [workspace, &or_of_none, &ids, &filter.user, &kinds, &limit, &offset];
    let rows = session.rows(&page, &given).await?;
    Ok((records("key", &rows)?, usize::try_from(total).unwrap_or(0)))
}

/// Writes keys, without a note in the feed of changes.
pub(super) async fn put_keys(session: &Session, keys: &[(KeyHash, KeyRecord)]) -> Result<(), Fault> {
    // One statement can't write a row twice: the last of an id counts.
    let last: BTreeMap<&str, &(KeyHash, KeyRecord)> =
        keys.iter().map(|entry| (entry.1.id.as_str(), entry)).collect();
    let entries: Vec<_> = last.into_values().collect();
    for part in entries.chunks(KEYS_AT_ONCE) {
        let ids: Vec<&str> = part.iter().map(|(_, key)| key.id.as_str()).collect();
        let hashes: Vec<&[u8]> = part.iter().map(|(hash, _)| &hash.0[..]).collect();
        let names: Vec<String> = part.iter().map(|(_, key)| column(&key.name)).collect();
        let workspaces: Vec<&str> =
            part.iter().map(|(_, key)| key.workspace.as_deref().unwrap_or_default()).collect();
        let configs: Vec<Option<String>> =
            part.iter().map(|(_, key)| key.config.as_deref().map(column)).collect();
        let active: Vec<bool> = part.iter().map(|(_, key)| key.status == KeyStatus::Active).collect();
        let dated: Vec<bool> = part.iter().map(|(_, key)| has_dates(key)).collect();
        let kinds: Vec<&str> = part.iter().map(|(_, key)| key.kind.name()).collect();
        let owners: Vec<Option<&str>> = part.iter().map(|(_, key)| key.user.as_deref()).collect();
        let roots: Vec<bool> = part.iter().map(|(_, key)| key.is_root()).collect();
        let texts = part.iter().map(|(_, key)| write(&key.id, key)).collect::<Result<Vec<_>, _>>()?;
        let sql = "INSERT INTO api_key (id, hash, name, workspace, config, active, dated, kind, owner, root, record)
             SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bool[],
               $7::bool[], $8::text[], $9::text[], $10::bool[], $11::text[])
             ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, name = excluded.name,
               workspace = excluded.workspace, config = excluded.config, active = excluded.active,
               dated = excluded.dated, kind = excluded.kind, owner = excluded.owner, root = excluded.root,
               record = excluded.record";
        let given: [&(dyn ToSql + Sync); 11] =
            [&ids, &hashes, &names, &workspaces, &configs, &active, &dated, &kinds, &owners, &roots, &texts];
        session.run(sql, &given).await?;
    }
    Ok(())
}

fn has_dates(key: &KeyRecord) -> bool {
    key.expires_at.is_some() || key.extra.rotation.is_some() || key.extra.old_secret.is_some()
}

pub(super) async fn last_reset(session: &Session, budget: &str) -> Result<i64, Fault> {
    let sql = "SELECT COALESCE(max(seq), 0) FROM change WHERE kind = $1 AND id = $2";
    Ok(session.value(sql, &[&ChangeKind::Reset.name(), &budget]).await?.unwrap_or(0))
}

pub(super) async fn keys_with_dates(session: &Session) -> Result<Vec<KeyRecord>, Fault> {
    records("key", &session.rows("SELECT record FROM api_key WHERE dated AND active", &[]).await?)
}

pub(super) async fn note_keys(session: &Session, keys: &[(KeyHash, KeyRecord)]) -> Result<(), Fault> {
    if keys.len() > 1_000 {
        // A bulk import is one change: readers forget all keys that they know.
        return note_change(session, ChangeKind::Key, "*").await;
    }
    let ids: Vec<&str> = keys.iter().map(|(_, key)| key.id.as_str()).collect();
    let sql = "INSERT INTO change (kind, id)
         SELECT $1, id FROM unnest($2::text[]) WITH ORDINALITY AS given (id, place) ORDER BY place";
    session.run(sql, &[&ChangeKind::Key.name(), &ids]).await?;
    Ok(())
}

async fn with_spend(session: &Session, budget: BudgetRecord, now: i64) -> Result<(BudgetRecord, i64), Fault> {
    let sql =
        "SELECT COALESCE(sum(amount), 0)::bigint FROM budget_spend WHERE budget = $1 AND period_start = $2";
    let spent = session.value(sql, &[&budget.id, &budget.period_start(now)]).await?;
    Ok((budget, spent.unwrap_or(0)))
}

pub(super) async fn budgets(session: &Session, now: i64) -> Result<Vec<(BudgetRecord, i64)>, Fault> {
    let rows = session.rows("SELECT record FROM budget ORDER BY name, id", &[]).await?;
    let budgets: Vec<BudgetRecord> = records("budget", &rows)?;
    let ids: Vec<&str> = budgets.iter().map(|budget| budget.id.as_str()).collect();
    let starts: Vec<i64> = budgets.iter().map(|budget| budget.period_start(now)).collect();
    let sql = "SELECT s.budget, sum(s.amount)::bigint
         FROM unnest($1::text[], $2::bigint[]) AS given (budget, period_start)
         JOIN budget_spend s ON s.budget = given.budget COLLATE \"C\" AND s.period_start = given.period_start
         GROUP BY s.budget";
    let mut spent = BTreeMap::new();
    for row in session.rows(sql, &[&ids, &starts]).await? {
        spent.insert(row.try_get::<_, String>(0)?, row.try_get::<_, i64>(1)?);
    }
    let known = |budget: &BudgetRecord| spent.get(&budget.id).copied().unwrap_or(0);
    Ok(budgets
        .into_iter()
        .map(|budget| {
            let spent = known(&budget);
            (budget, spent)
        })
        .collect())
}

pub(super) async fn budget(
    session: &Session,
    id: &str,
    now: i64,
) -> Result<Option<(BudgetRecord, i64)>, Fault> {
    let rows = session.rows("SELECT record FROM budget WHERE id = $1", &[&id]).await?;
    match records(id, &rows)?.pop() {
        Some(budget) => Ok(Some(with_spend(session, budget, now).await?)),
        None => Ok(None),
    }
}

pub(super) async fn put_budget(session: &Session, budget: &BudgetRecord) -> Result<(), Fault> {
    let sql = "INSERT INTO budget (id, name, record) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record";
    let record = write(&budget.id, budget)?;
    session.run(sql, &[&budget.id, &column(&budget.name), &record]).await?;
    note_change(session, ChangeKind::Budget, &budget.id).await
}

pub(super) async fn delete_budget(session: &Session, id: &str) -> Result<(), Fault> {
    session.run("DELETE FROM budget WHERE id = $1", &[&id]).await?;
    note_change(session, ChangeKind::Budget, id).await
}

pub(super) async fn reset_budget(session: &Session, id: &str, period_start: i64) -> Result<(), Fault> {
    let sql = "DELETE FROM budget_spend WHERE budget = $1 AND period_start = $2";
    session.run(sql, &[&id, &period_start]).await?;
    note_change(session, ChangeKind::Reset, id).await
}

pub(super) async fn providers(session: &Session) -> Result<Vec<ProviderRecord>, Fault> {
    records("provider", &session.rows("SELECT record FROM provider ORDER BY slug", &[]).await?)
}

pub(super) async fn put_provider(session: &Session, provider: &ProviderRecord) -> Result<(), Fault> {
    let sql = "INSERT INTO provider (slug, record) VALUES ($1, $2)
         ON CONFLICT (slug) DO UPDATE SET record = excluded.record";
    session.run(sql, &[&provider.slug, &write(&provider.slug, provider)?]).await?;
    note_change(session, ChangeKind::Provider, &provider.slug).await
}

pub(super) async fn delete_provider(session: &Session, slug: &str) -> Result<bool, Fault> {
    let deleted = session.run("DELETE FROM provider WHERE slug = $1", &[&slug]).await? > 0;
    if deleted {
        note_change(session, ChangeKind::Provider, slug).await?;
    }
    Ok(deleted)
}

pub(super) async fn changes_since(session: &Session, seq: i64) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::new();
    for row in session.rows("SELECT seq, kind, id FROM change WHERE seq > $1 ORDER BY seq", &[&seq]).await? {
        if let Some(kind) = ChangeKind::from_name(row.try_get(1)?) {
            changes.push(Change { seq: row.try_get(0)?, kind, id: row.try_get(2)? });
        }
    }
    Ok(changes)
}

pub(super) async fn last_change(session: &Session) -> Result<i64, Fault> {
    Ok(session.value("SELECT COALESCE(max(seq), 0) FROM change", &[]).await?.unwrap_or(0))
}

/// Only under the lock of the feed.
pub(super) async fn note_change(session: &Session, kind: ChangeKind, id: &str) -> Result<(), Fault> {
    session.run("INSERT INTO change (kind, id) VALUES ($1, $2)", &[&kind.name(), &id]).await?;
    Ok(())
}

pub(super) async fn meta(session: &Session, name: &str) -> Result<Option<String>, Fault> {
    session.value("SELECT value FROM meta WHERE name = $1", &[&name]).await
}

pub(super) async fn set_meta(session: &Session, name: &str, value: &str) -> Result<(), Fault> {
    let sql = "INSERT INTO meta (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    session.run(sql, &[&name, &value]).await?;
    Ok(())
}
