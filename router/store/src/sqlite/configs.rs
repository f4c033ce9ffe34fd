//! Saved configs and their versions.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::control::note_change;
use crate::config::{ConfigRecord, ConfigVersion};
use crate::json::{read, write};
use crate::record::ChangeKind;
use crate::store::StoreError;

/// Configs beside the version in force.
const ACTIVE: &str = "SELECT c.slug, c.record, v.record FROM config c JOIN config_version v
     ON v.slug = c.slug AND v.number = json_extract(c.record, '$.active')";

type Active = (ConfigRecord, ConfigVersion);

fn texts(row: &Row<'_>) -> rusqlite::Result<(String, String, String)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn active((slug, config, version): (String, String, String)) -> Result<Active, StoreError> {
    Ok((read(&slug, &config)?, read(&slug, &version)?))
}

pub(super) fn configs(connection: &Connection) -> Result<Vec<Active>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{ACTIVE} ORDER BY c.slug"))?;
    let rows = statement.query_map([], texts)?;
    rows.map(|row| active(row?)).collect()
}

pub(super) fn config(connection: &Connection, slug: &str) -> Result<Option<Active>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{ACTIVE} WHERE c.slug = ?1"))?;
    statement.query_row([slug], texts).optional()?.map(active).transpose()
}

pub(super) fn versions(connection: &Connection, slug: &str) -> Result<Vec<ConfigVersion>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT record FROM config_version WHERE slug = ?1 ORDER BY number DESC")?;
    let rows = statement.query_map([slug], |row| row.get::<_, String>(0))?;
    rows.map(|text| read(slug, &text?)).collect()
}

pub(super) fn put(
    connection: &Connection,
    config: &ConfigRecord,
    version: Option<&ConfigVersion>,
) -> Result<(), StoreError> {
    let slug = &config.slug;
    if let Some(version) = version {
        // No conflict clause: a version that is there already must never be overwritten.
        connection.execute(
            "INSERT INTO config_version (slug, number, record) VALUES (?1, ?2, ?3)",
            params![slug, version.number, write(slug, version)?],
        )?;
    }
    let found: Option<i64> = connection
        .query_row(
            "SELECT 1 FROM config_version WHERE slug = ?1 AND number = ?2",
            params![slug, config.active],
            |row| row.get(0),
        )
        .optional()?;
    if found.is_none() {
        let reason = format!("there is no version {}", config.active);
        return Err(StoreError::Record { id: slug.clone(), reason });
    }
    connection.execute(
        "INSERT INTO config (slug, record) VALUES (?1, ?2)
         ON CONFLICT (slug) DO UPDATE SET record = excluded.record",
        params![slug, write(slug, config)?],
    )?;
    note_change(connection, ChangeKind::Config, slug)
}

pub(super) fn delete(connection: &Connection, slug: &str) -> Result<bool, StoreError> {
    let deleted = connection.execute("DELETE FROM config WHERE slug = ?1", [slug])? > 0;
    connection.execute("DELETE FROM config_version WHERE slug = ?1", [slug])?;
    if deleted {
        note_change(connection, ChangeKind::Config, slug)?;
    }
    Ok(deleted)
}

pub(super) fn keys_with(
    connection: &Connection,
    config: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name FROM api_key WHERE json_extract(record, '$.config') = ?1
         AND json_extract(record, '$.status') = 'active' ORDER BY name LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![config, limit], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
