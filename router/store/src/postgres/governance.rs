//! Objects of the Admin API, the transaction that changes them, and the audit log.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::configs;
use super::control::{self, after, column, limit, note_change, records};
use super::session::{Fault, Session};
use crate::audit::{AuditFilter, AuditRecord, AuditRow, Chain, chain};
use crate::json::{read, write as json};
use crate::object::{ObjectKind, ObjectRecord};
use crate::record::{ChangeKind, KeyRecord};
use crate::store::{StoreError, Write};

/// Only under the lock of the feed.
pub(super) async fn write(
    session: &Session,
    writes: &[Write],
    audit: Option<&AuditRecord>,
) -> Result<(), Fault> {
    for write in writes {
        apply(session, write).await?;
    }
    match audit {
        Some(audit) => append(session, audit).await,
        None => Ok(()),
    }
}

async fn apply(session: &Session, write: &Write) -> Result<(), Fault> {
    match write {
        Write::PutKey { hash, key, old } => {
            control::put_keys(session, &[(*hash, KeyRecord::clone(key))]).await?;
            if old.is_some() || key.extra.old_secret.is_none() {
                forget_old_secret(session, &key.id).await?;
            }
            if let Some(old) = old {
                let sql = "INSERT INTO api_key_old (hash, id) VALUES ($1, $2)
                     ON CONFLICT (hash) DO UPDATE SET id = excluded.id";
                session.run(sql, &[&&old.0[..], &key.id]).await?;
            }
            note_change(session, ChangeKind::Key, &key.id).await
        }
        Write::DeleteKey(id) => {
            session.run("DELETE FROM api_key WHERE id = $1", &[id]).await?;
            forget_old_secret(session, id).await?;
            note_change(session, ChangeKind::Key, id).await
        }
        Write::PutBudget(budget) => control::put_budget(session, budget).await,
        Write::DeleteBudget(id) => control::delete_budget(session, id).await,
        Write::ResetBudget { id, period_start } => control::reset_budget(session, id, *period_start).await,
        Write::PutObject(object) => put_object(session, object).await,
        Write::DeleteObject { kind, id } => {
            session.run("DELETE FROM object WHERE kind = $1 AND id = $2", &[&kind.name(), id]).await?;
            session
                .run("DELETE FROM object_version WHERE kind = $1 AND id = $2", &[&kind.name(), id])
                .await?;
            note_change(session, ChangeKind::Object, &format!("{}/{id}", kind.name())).await
        }
        Write::PutProvider(provider) => control::put_provider(session, provider).await,
        Write::DeleteProvider(slug) => control::delete_provider(session, slug).await.map(|_| ()),
        Write::PutConfig { config, version } => configs::put(session, config, version.as_deref()).await,
        Write::DeleteConfig(slug) => configs::delete(session, slug).await.map(|_| ()),
        Write::SetMeta { name, value } => control::set_meta(session, name, value).await,
    }
}

async fn forget_old_secret(session: &Session, id: &str) -> Result<(), Fault> {
    session.run("DELETE FROM api_key_old WHERE id = $1", &[&id]).await?;
    Ok(())
}

async fn put_object(session: &Session, object: &ObjectRecord) -> Result<(), Fault> {
    let text = json(&object.id, object)?;
    let workspace = object.workspace.as_deref().unwrap_or_default();
    let (kind, version) = (object.kind.name(), i64::from(object.version));
    let sql =
        "INSERT INTO object (kind, id, workspace, slug, version, record) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (kind, id) DO UPDATE SET workspace = excluded.workspace, slug = excluded.slug,
           version = excluded.version, record = excluded.record";
    let put = session.run(sql, &[&kind, &object.id, &workspace, &object.slug, &version, &text]).await;
    put.map_err(|fault| match fault {
        Fault::Taken { constraint, .. } if constraint == "object_slug" => {
            StoreError::Exists(object.slug.clone()).into()
        }
        fault => fault,
    })?;
    let sql = "INSERT INTO object_version (kind, id, version, record) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kind, id, version) DO UPDATE SET record = excluded.record";
    session.run(sql, &[&kind, &object.id, &version, &text]).await?;
    note_change(session, ChangeKind::Object, &object.change_id()).await
}

pub(super) async fn objects(session: &Session, kind: ObjectKind) -> Result<Vec<ObjectRecord>, Fault> {
    let sql = "SELECT record FROM object WHERE kind = $1 ORDER BY workspace, slug";
    records("object", &session.rows(sql, &[&kind.name()]).await?)
}

pub(super) async fn object(
    session: &Session,
    kind: ObjectKind,
    id: &str,
) -> Result<Option<ObjectRecord>, Fault> {
    let sql = "SELECT record FROM object WHERE kind = $1 AND id = $2";
    Ok(records(id, &session.rows(sql, &[&kind.name(), &id]).await?)?.pop())
}

pub(super) async fn object_versions(
    session: &Session,
    kind: ObjectKind,
    id: &str,
) -> Result<Vec<ObjectRecord>, Fault> {
    let sql = "SELECT record FROM object_version WHERE kind = $1 AND id = $2 ORDER BY version DESC";
    records(id, &session.rows(sql, &[&kind.name(), &id]).await?)
}

pub(super) async fn spent_by(
    session: &Session,
    budget: &str,
    period_start: i64,
) -> Result<Vec<(String, i64)>, Fault> {
    let sql = "SELECT node, amount FROM budget_spend WHERE budget = $1 AND period_start = $2 ORDER BY node";
    let rows = session.rows(sql, &[&budget, &period_start]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

pub(super) async fn spends(session: &Session, prefix: &str) -> Result<Vec<(String, i64, i64)>, Fault> {
    let sql = "SELECT budget, period_start, sum(amount)::bigint FROM budget_spend
         WHERE budget >= $1 AND budget < $2 GROUP BY budget, period_start ORDER BY budget, period_start";
    let rows = session.rows(sql, &[&prefix, &after(prefix)]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
}

/// The lock of the feed is held, so that no two rows follow the same one.
async fn append(session: &Session, record: &AuditRecord) -> Result<(), Fault> {
    let last = session.row("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", &[]).await?;
    let (seq, before) = match &last {
        Some(row) => (row.try_get::<_, i64>(0)?, hash(row.try_get(1)?)?),
        None => (0, [0; 32]),
    };
    let text = json("audit", record)?;
    let hash = chain(&before, &text);
    let sql =
        "INSERT INTO audit (seq, at_ms, workspace, actor, resource, resource_id, action, method, status,
           record, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let [workspace, actor, resource, resource_id, action, method] = columns(record);
    let (seq, status) = (seq + 1, i32::from(record.status));
    let given: [&(dyn ToSql + Sync); 11] = [
        &seq,
        &record.at_ms,
        &workspace,
        &actor,
        &resource,
        &resource_id,
        &action,
        &method,
        &status,
        &text,
        &&hash[..],
    ];
    session.run(sql, &given).await?;
    Ok(())
}

fn columns(record: &AuditRecord) -> [String; 6] {
    let AuditRecord { workspace, actor, resource, resource_id, action, method, .. } = record;
    [workspace, actor, resource, resource_id, action, method].map(|text| column(text))
}

fn hash(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    let reason = || StoreError::Record { id: "audit".into(), reason: "a hash is not 32 bytes".into() };
    bytes.try_into().map_err(|_| reason())
}

pub(super) async fn audit(session: &Session, filter: &AuditFilter) -> Result<(Vec<AuditRow>, usize), Fault> {
    let mut chosen = "FROM audit WHERE true".to_owned();
    let mut given: Vec<Box<dyn ToSql + Sync>> = Vec::new();
    let mut only = |condition: &str, value: Option<Box<dyn ToSql + Sync>>| {
        if let Some(value) = value {
            given.push(value);
            chosen.push_str(&format!(" AND {condition} ${}", given.len()));
        }
    };
    fn text(value: &Option<String>) -> Option<Box<dyn ToSql + Sync>> {
        value.as_deref().map(|value| Box::new(column(value)) as Box<dyn ToSql + Sync>)
    }
    fn number(value: Option<i64>) -> Option<Box<dyn ToSql + Sync>> {
        value.map(|value| Box::new(value) as Box<dyn ToSql + Sync>)
    }
    only("at_ms >=", number(filter.from_ms));
    only("at_ms <=", number(filter.to_ms));
    only("workspace =", text(&filter.workspace));
    only("actor =", text(&filter.actor));
    only("resource =", text(&filter.resource));
    only("resource_id =", text(&filter.resource_id));
    only("action =", text(&filter.action));
    only("method =", text(&filter.method));
    only("status::bigint =", number(filter.status.map(i64::from)));
    let mut values: Vec<&(dyn ToSql + Sync)> = given.iter().map(|value| &**value).collect();
    let total: i64 = session.value(&format!("SELECT count(*) {chosen}"), &values).await?.unwrap_or(0);
    let count = values.len();
    let (limit, offset) = (limit(filter.limit), i64::try_from(filter.offset).unwrap_or(i64::MAX));
    values.push(&limit);
    values.push(&offset);
    let page = format!(
        "SELECT seq, record, hash {chosen} ORDER BY seq DESC LIMIT ${} OFFSET ${}",
        count + 1,
        count + 2
    );
    let rows = session.rows(&page, &values).await?;
    let rows = rows.iter().map(audit_row).collect::<Result<_, _>>()?;
    Ok((rows, usize::try_from(total).unwrap_or(0)))
}

fn audit_row(row: &Row) -> Result<AuditRow, Fault> {
    Ok(AuditRow {
        seq: row.try_get(0)?,
        record: read("audit", row.try_get(1)?)?,
        hash: hash(row.try_get(2)?)?,
    })
}

/// Rows of the chain after one, at most so many.
pub(super) async fn audit_texts(
    session: &Session,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, String, Vec<u8>, bool)>, Fault> {
    let sql =
        "SELECT seq, record, hash, workspace, actor, resource, resource_id, action, method, at_ms, status
         FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
    let mut found = Vec::new();
    for row in session.rows(sql, &[&after, &limit]).await? {
        let text: String = row.try_get(1)?;
        let mut same = false;
        if let Ok(record) = read::<AuditRecord>("audit", &text) {
            same = row.try_get::<_, i64>(9)? == record.at_ms
                && row.try_get::<_, i32>(10)? == i32::from(record.status);
            for (at, expected) in columns(&record).iter().enumerate() {
                same &= row.try_get::<_, &str>(at + 3)? == expected;
            }
        }
        found.push((row.try_get(0)?, text, row.try_get(2)?, same));
    }
    Ok(found)
}

/// Looks at a part of the chain; returns the number of its last row, `None` at the end.
pub(super) fn follow(chain: &mut Chain, rows: &[(i64, String, Vec<u8>, bool)]) -> Option<i64> {
    for (seq, text, hash, same) in rows {
        chain.look(*seq, text, hash);
        if !same {
            chain.fault(*seq, "its columns differ from its text");
        }
    }
    rows.last().map(|(seq, ..)| *seq)
}

pub(super) async fn tell_once(
    session: &Session,
    dedup_key: &str,
    until_ms: i64,
    now_ms: i64,
) -> Result<bool, Fault> {
    session.run("DELETE FROM told WHERE until_ms <= $1", &[&now_ms]).await?;
    let sql = "INSERT INTO told (dedup_key, until_ms) VALUES ($1, $2) ON CONFLICT (dedup_key) DO NOTHING";
    Ok(session.run(sql, &[&dedup_key, &until_ms]).await? > 0)
}
