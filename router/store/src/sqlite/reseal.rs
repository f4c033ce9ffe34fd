//! Another master key: every sealed text is written anew, in one transaction.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::secrets::rewrite;
use crate::store::StoreError;

/// Tables with records that may hold secrets.
const TABLES: [&str; 5] = ["provider", "config_version", "object", "object_version", "api_key"];

pub(super) fn all(
    connection: &mut Connection,
    prefix: &str,
    reseal: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut sealed = 0;
    for table in TABLES {
        let mut find = transaction
            .prepare(&format!("SELECT record FROM {table} WHERE instr(record, ?1) > 0 GROUP BY record"))?;
        let texts: Vec<String> = find.query_map([prefix], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut put = transaction.prepare(&format!("UPDATE {table} SET record = ?2 WHERE record = ?1"))?;
        for text in texts {
            let (anew, count) = rewrite(&text, prefix, reseal)?;
            sealed += count * put.execute(params![text, anew])?;
        }
    }
    transaction.commit()?;
    Ok(sealed)
}
