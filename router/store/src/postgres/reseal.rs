//! Another master key: every sealed text is written anew, in one transaction.

use super::session::{Fault, Session};

/// Tables and columns that may hold secrets.
pub(super) const TABLES: [(&str, &str); 6] = [
    ("provider", "record"),
    ("config_version", "record"),
    ("object", "record"),
    ("object_version", "record"),
    ("api_key", "record"),
    ("meta", "value"),
];

/// A table's place in [`TABLES`], a record as it is, and as it is to be.
pub(super) type Change = (usize, String, String);

/// Returns the records that hold secrets, each once.
pub(super) async fn find(session: &Session, prefix: &str) -> Result<Vec<(usize, String)>, Fault> {
    let mut found = Vec::new();
    for (at, (table, column)) in TABLES.iter().enumerate() {
        let sql = format!("SELECT DISTINCT {column} FROM {table} WHERE strpos({column}, $1) > 0");
        for row in session.rows(&sql, &[&prefix]).await? {
            found.push((at, row.try_get(0)?));
        }
    }
    Ok(found)
}

/// Writes records anew. Returns how many rows each change met.
pub(super) async fn replace(session: &Session, changes: &[Change]) -> Result<Vec<u64>, Fault> {
    let mut met = Vec::with_capacity(changes.len());
    for (at, before, after) in changes {
        let (table, column) = TABLES[*at];
        let sql = format!("UPDATE {table} SET {column} = $2 WHERE {column} = $1");
        met.push(session.run(&sql, &[before, after]).await?);
    }
    Ok(met)
}
