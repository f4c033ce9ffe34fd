//! Objects of the Admin API, the transaction that changes them, and the audit log.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::configs;
use super::control::{self, note_change};
use crate::audit::{AuditCheck, AuditFilter, AuditRecord, AuditRow, Chain, chain};
use crate::json::{read, write as json};
use crate::object::{ObjectKind, ObjectRecord};
use crate::record::{ChangeKind, KeyRecord};
use crate::store::{KeyFilter, StoreError, Write};

pub(super) fn write(
    connection: &mut Connection,
    writes: &[Write],
    audit: Option<&AuditRecord>,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for write in writes {
        apply(&transaction, write)?;
    }
    if let Some(audit) = audit {
        append(&transaction, audit)?;
    }
    transaction.commit()?;
    Ok(())
}

fn apply(transaction: &Transaction<'_>, write: &Write) -> Result<(), StoreError> {
    match write {
        Write::PutKey { hash, key, old } => {
            control::put_key(transaction, hash, key)?;
            if old.is_some() || key.extra.old_secret.is_none() {
                forget_old_secret(transaction, &key.id)?;
            }
            if let Some(old) = old {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO api_key_old (hash, id) VALUES (?1, ?2)")?
                    .execute(params![&old.0[..], key.id])?;
            }
            note_change(transaction, ChangeKind::Key, &key.id)
        }
        Write::DeleteKey(id) => {
            transaction.prepare_cached("DELETE FROM api_key WHERE id = ?1")?.execute([id])?;
            forget_old_secret(transaction, id)?;
            note_change(transaction, ChangeKind::Key, id)
        }
        Write::PutBudget(budget) => control::put_budget(transaction, budget),
        Write::DeleteBudget(id) => control::delete_budget(transaction, id),
        Write::ResetBudget { id, period_start } => control::reset_budget(transaction, id, *period_start),
        Write::PutObject(object) => put_object(transaction, object),
        Write::DeleteObject { kind, id } => {
            for table in ["object", "object_version"] {
                transaction
                    .prepare_cached(&format!("DELETE FROM {table} WHERE kind = ?1 AND id = ?2"))?
                    .execute(params![kind.name(), id])?;
            }
            note_change(transaction, ChangeKind::Object, &format!("{}/{id}", kind.name()))
        }
        Write::PutProvider(provider) => control::put_provider(transaction, provider),
        Write::DeleteProvider(slug) => control::delete_provider(transaction, slug).map(|_| ()),
        Write::PutConfig { config, version } => configs::put(transaction, config, version.as_deref()),
        Write::DeleteConfig(slug) => configs::delete(transaction, slug).map(|_| ()),
        Write::SetMeta { name, value } => control::set_meta(transaction, name, value),
    }
}

fn forget_old_secret(transaction: &Transaction<'_>, id: &str) -> Result<(), StoreError> {
    transaction.prepare_cached("DELETE FROM api_key_old WHERE id = ?1")?.execute([id])?;
    Ok(())
}

fn put_object(transaction: &Transaction<'_>, object: &ObjectRecord) -> Result<(), StoreError> {
    let text = json(&object.id, object)?;
    let workspace = object.workspace.as_deref().unwrap_or_default();
    let kind = object.kind.name();
    transaction
        .prepare_cached(
            "INSERT INTO object (kind, id, workspace, slug, version, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (kind, id) DO UPDATE SET workspace = excluded.workspace, slug = excluded.slug,
               version = excluded.version, record = excluded.record",
        )?
        .execute(params![kind, object.id, workspace, object.slug, object.version, text])
        .map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => StoreError::Exists(object.slug.clone()),
            _ => error.into(),
        })?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO object_version (kind, id, version, record) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![kind, object.id, object.version, text])?;
    note_change(transaction, ChangeKind::Object, &object.change_id())
}

pub(super) fn list_keys(
    connection: &Connection,
    filter: &KeyFilter,
) -> Result<(Vec<KeyRecord>, usize), StoreError> {
    let ids = if filter.ids.is_empty() { None } else { Some(json("ids", &filter.ids)?) };
    let kinds = if filter.kinds.is_empty() { None } else { Some(json("kinds", &filter.kinds)?) };
    let limit = if filter.limit == 0 { -1 } else { i64::try_from(filter.limit).unwrap_or(-1) };
    let offset = i64::try_from(filter.offset).unwrap_or(i64::MAX);
    let chosen = "FROM api_key WHERE (?1 IS NULL OR workspace = ?1 OR (?2 AND workspace = ''
           AND json_extract(record, '$.kind') IS NOT 'organisation-service'
           AND NOT EXISTS (SELECT 1 FROM json_each(record, '$.scopes') WHERE value = 'admin')))
         AND (?3 IS NULL OR id IN (SELECT value FROM json_each(?3)))
         AND (?4 IS NULL OR json_extract(record, '$.user') = ?4)
         AND (?5 IS NULL OR COALESCE(json_extract(record, '$.kind'), 'workspace-service')
           IN (SELECT value FROM json_each(?5)))";
    let total: i64 = connection
        .prepare_cached(&format!("SELECT count(*) {chosen}"))?
        .query_row(params![filter.workspace, filter.or_of_none, ids, filter.user, kinds], |row| row.get(0))?;
    let mut statement =
        connection.prepare_cached(&format!("SELECT record {chosen} ORDER BY name, id LIMIT ?6 OFFSET ?7"))?;
    let given = params![filter.workspace, filter.or_of_none, ids, filter.user, kinds, limit, offset];
    let rows = statement.query_map(given, |row| row.get::<_, String>(0))?;
    let keys = rows.map(|text| read("key", &text?)).collect::<Result<_, _>>()?;
    Ok((keys, usize::try_from(total).unwrap_or(0)))
}

/// What makes a key one with dates; the index has the same words, so that 100,000 others cost nothing.
const DATED: &str = "(json_extract(record, '$.expires_at') IS NOT NULL
     OR json_extract(record, '$.extra.rotation') IS NOT NULL
     OR json_extract(record, '$.extra.old_secret') IS NOT NULL)";

pub(super) fn keys_with_dates(connection: &Connection) -> Result<Vec<KeyRecord>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT record FROM api_key WHERE {DATED} AND json_extract(record, '$.status') = 'active'"
    ))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|text| read("key", &text?)).collect()
}

fn texts(
    connection: &Connection,
    sql: &str,
    given: &[&dyn rusqlite::ToSql],
) -> Result<Vec<ObjectRecord>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(given, |row| row.get::<_, String>(0))?;
    rows.map(|text| read("object", &text?)).collect()
}

pub(super) fn objects(connection: &Connection, kind: ObjectKind) -> Result<Vec<ObjectRecord>, StoreError> {
    let sql = "SELECT record FROM object WHERE kind = ?1 ORDER BY workspace, slug";
    texts(connection, sql, &[&kind.name()])
}

pub(super) fn object(
    connection: &Connection,
    kind: ObjectKind,
    id: &str,
) -> Result<Option<ObjectRecord>, StoreError> {
    let sql = "SELECT record FROM object WHERE kind = ?1 AND id = ?2";
    Ok(texts(connection, sql, &[&kind.name(), &id])?.pop())
}

pub(super) fn object_versions(
    connection: &Connection,
    kind: ObjectKind,
    id: &str,
) -> Result<Vec<ObjectRecord>, StoreError> {
    let sql = "SELECT record FROM object_version WHERE kind = ?1 AND id = ?2 ORDER BY version DESC";
    texts(connection, sql, &[&kind.name(), &id])
}

pub(super) fn spent_by(
    connection: &Connection,
    budget: &str,
    period_start: i64,
) -> Result<Vec<(String, i64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT node, amount FROM budget_spend WHERE budget = ?1 AND period_start = ?2 ORDER BY node",
    )?;
    let rows = statement.query_map(params![budget, period_start], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn spends(connection: &Connection, prefix: &str) -> Result<Vec<(String, i64, i64)>, StoreError> {
    // A range of the primary key, however many other budgets there are.
    let mut statement = connection.prepare_cached(
        "SELECT budget, period_start, sum(amount) FROM budget_spend
         WHERE budget >= ?1 AND budget < ?1 || x'f48fbfbf' GROUP BY budget, period_start
         ORDER BY budget, period_start",
    )?;
    let rows = statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn append(transaction: &Transaction<'_>, record: &AuditRecord) -> Result<(), StoreError> {
    let last: Option<(i64, [u8; 32])> = transaction
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (seq, before) = last.unwrap_or((0, [0; 32]));
    let text = json("audit", record)?;
    transaction
        .prepare_cached("INSERT INTO audit (seq, at_ms, record, hash) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![seq + 1, record.at_ms, text, &chain(&before, &text)[..]])?;
    Ok(())
}

pub(super) fn audit(
    connection: &Connection,
    filter: &AuditFilter,
) -> Result<(Vec<AuditRow>, usize), StoreError> {
    let mut chosen = "FROM audit WHERE 1".to_owned();
    let mut given: Vec<SqlValue> = Vec::new();
    let mut only = |condition: &str, value: Option<SqlValue>| {
        if let Some(value) = value {
            given.push(value);
            chosen.push_str(&format!(" AND {condition} ?{}", given.len()));
        }
    };
    let text = |value: &Option<String>| value.clone().map(SqlValue::from);
    only("at_ms >=", filter.from_ms.map(SqlValue::from));
    only("at_ms <=", filter.to_ms.map(SqlValue::from));
    only("json_extract(record, '$.workspace') =", text(&filter.workspace));
    only("json_extract(record, '$.actor') =", text(&filter.actor));
    only("json_extract(record, '$.resource') =", text(&filter.resource));
    only("json_extract(record, '$.resource_id') =", text(&filter.resource_id));
    only("json_extract(record, '$.action') =", text(&filter.action));
    only("json_extract(record, '$.method') =", text(&filter.method));
    only("json_extract(record, '$.status') =", filter.status.map(|status| SqlValue::from(i64::from(status))));
    let total: i64 = connection
        .prepare_cached(&format!("SELECT count(*) {chosen}"))?
        .query_row(rusqlite::params_from_iter(&given), |row| row.get(0))?;
    let limit = if filter.limit == 0 { -1 } else { i64::try_from(filter.limit).unwrap_or(-1) };
    let sql =
        format!("SELECT seq, record, hash {chosen} ORDER BY seq DESC LIMIT {limit} OFFSET {}", filter.offset);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(&given), audit_row)?;
    let mut found = Vec::new();
    for row in rows {
        let (seq, text, hash) = row?;
        found.push(AuditRow { seq, record: read("audit", &text)?, hash });
    }
    Ok((found, usize::try_from(total).unwrap_or(0)))
}

fn audit_row(row: &Row<'_>) -> rusqlite::Result<(i64, String, [u8; 32])> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

pub(super) fn check_audit(connection: &Connection) -> Result<AuditCheck, StoreError> {
    let mut statement = connection.prepare("SELECT seq, record, hash FROM audit ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut chain = Chain::default();
    while let Some(row) = rows.next()? {
        let (seq, text, hash): (i64, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        chain.look(seq, &text, &hash);
    }
    Ok(chain.end())
}

pub(super) fn tell_once(
    connection: &Connection,
    dedup_key: &str,
    until_ms: i64,
    now_ms: i64,
) -> Result<bool, StoreError> {
    connection.prepare_cached("DELETE FROM told WHERE until_ms <= ?1")?.execute([now_ms])?;
    let told = connection
        .prepare_cached("INSERT OR IGNORE INTO told (dedup_key, until_ms) VALUES (?1, ?2)")?
        .execute(params![dedup_key, until_ms])?;
    Ok(told > 0)
}
