//! Another master key: every sealed text is written anew, in one transaction.

use rusqlite::{Connection, TransactionBehavior, params};

use super::governance::append;
use crate::audit::AuditRecord;
use crate::secrets::rewrite;
use crate::store::StoreError;

/// Tables and columns that may hold secrets.
const TABLES: [(&str, &str); 6] = [
    ("provider", "record"),
    ("config_version", "record"),
    ("object", "record"),
    ("object_version", "record"),
    ("api_key", "record"),
    ("meta", "value"),
];

pub(super) fn all(
    connection: &mut Connection,
    prefix: &str,
    reseal: &mut dyn FnMut(&str) -> Result<String, String>,
    audit: Option<&AuditRecord>,
) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut sealed = 0;
    for (table, column) in TABLES {
        let mut find = transaction.prepare(&format!(
            "SELECT {column} FROM {table} WHERE instr({column}, ?1) > 0 GROUP BY {column}"
        ))?;
        let texts: Vec<String> = find.query_map([prefix], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut put =
            transaction.prepare(&format!("UPDATE {table} SET {column} = ?2 WHERE {column} = ?1"))?;
        for text in texts {
            let (anew, count) = rewrite(table, &text, prefix, reseal)?;
            sealed += count * put.execute(params![text, anew])?;
        }
    }
    if let Some(audit) = audit {
        append(&transaction, audit)?;
    }
    transaction.commit()?;
    Ok(sealed)
}
