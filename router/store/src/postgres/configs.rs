//! Saved configs and their versions.

use tokio_postgres::Row;

use super::control::{column, note_change, records};
use super::session::{Fault, Session};
use crate::config::{ConfigRecord, ConfigVersion};
use crate::json::{read, write};
use crate::record::ChangeKind;
use crate::store::StoreError;

type Active = (ConfigRecord, ConfigVersion);

fn active(row: &Row) -> Result<Active, Fault> {
    let slug: &str = row.try_get(0)?;
    Ok((read(slug, row.try_get(1)?)?, read(slug, row.try_get(2)?)?))
}

pub(super) async fn configs(session: &Session) -> Result<Vec<Active>, Fault> {
    let sql = "SELECT c.slug, c.record, v.record FROM config c
         JOIN config_version v ON v.slug = c.slug AND v.number = c.active ORDER BY c.slug";
    session.rows(sql, &[]).await?.iter().map(active).collect()
}

pub(super) async fn config(session: &Session, slug: &str) -> Result<Option<Active>, Fault> {
    let sql = "SELECT c.slug, c.record, v.record FROM config c
         JOIN config_version v ON v.slug = c.slug AND v.number = c.active WHERE c.slug = $1";
    session.row(sql, &[&slug]).await?.as_ref().map(active).transpose()
}

pub(super) async fn versions(session: &Session, slug: &str) -> Result<Vec<ConfigVersion>, Fault> {
    let sql = "SELECT record FROM config_version WHERE slug = $1 ORDER BY number DESC";
    records(slug, &session.rows(sql, &[&slug]).await?)
}

pub(super) async fn put(
    session: &Session,
    config: &ConfigRecord,
    version: Option<&ConfigVersion>,
) -> Result<(), Fault> {
    let slug = &config.slug;
    if let Some(version) = version {
        // No conflict clause: a version that is there already must never be overwritten.
        let sql = "INSERT INTO config_version (slug, number, record) VALUES ($1, $2, $3)";
        session.run(sql, &[slug, &i64::from(version.number), &write(slug, version)?]).await?;
    }
    let active = i64::from(config.active);
    let sql = "SELECT number FROM config_version WHERE slug = $1 AND number = $2";
    if session.row(sql, &[slug, &active]).await?.is_none() {
        let reason = format!("there is no version {active}");
        return Err(StoreError::Record { id: slug.clone(), reason }.into());
    }
    let sql = "INSERT INTO config (slug, active, record) VALUES ($1, $2, $3)
         ON CONFLICT (slug) DO UPDATE SET active = excluded.active, record = excluded.record";
    session.run(sql, &[slug, &active, &write(slug, config)?]).await?;
    note_change(session, ChangeKind::Config, slug).await
}

pub(super) async fn delete(session: &Session, slug: &str) -> Result<bool, Fault> {
    let deleted = session.run("DELETE FROM config WHERE slug = $1", &[&slug]).await? > 0;
    session.run("DELETE FROM config_version WHERE slug = $1", &[&slug]).await?;
    if deleted {
        note_change(session, ChangeKind::Config, slug).await?;
    }
    Ok(deleted)
}

pub(super) async fn keys_with(session: &Session, config: &str, limit: usize) -> Result<Vec<String>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT name FROM api_key WHERE config = $1 AND active ORDER BY name LIMIT $2";
    let rows = session.rows(sql, &[&column(config), &limit]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
