//! Holds, settlements and the request log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::record::{FiledRow, HoldRecord, LedgerEntry, LogFilter, LogRow, Payment};
use crate::store::StoreError;

pub(super) fn commit(connection: &mut Connection, batch: &[LedgerEntry]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Requests of one batch often share a budget: it is written once.
    let mut paid = Paid::default();
    // And the log by one statement, which is looked up once.
    let mut rows = Vec::with_capacity(batch.len());
    for entry in batch {
        match entry {
            LedgerEntry::Hold(hold) => put_hold(&transaction, hold)?,
            LedgerEntry::Extend { request, amounts, nano_usd } => {
                extend_hold(&transaction, request, amounts, *nano_usd)?;
            }
            LedgerEntry::Spend(spend) => {
                if spend.held {
                    end_hold(&transaction, &spend.request)?;
                }
                paid.add(&spend.budgets);
            }
            LedgerEntry::Settle(settle) => {
                if settle.held {
                    end_hold(&transaction, settle.row.id())?;
                }
                paid.add(&settle.budgets);
                rows.push(&settle.row);
            }
        }
    }
    paid.write(&transaction)?;
    put_rows(&transaction, &rows)?;
    transaction.commit()?;
    Ok(())
}

fn json<T: serde::Serialize>(id: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Record { id: id.to_owned(), reason: error.to_string() })
}

fn read_held(text: &str) -> Result<Vec<Payment>, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Record { id: "hold".to_owned(), reason: error.to_string() })
}

fn put_hold(transaction: &Transaction<'_>, hold: &HoldRecord) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO hold (request, nano_usd, budgets, row) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            hold.row.id,
            hold.nano_usd,
            json(&hold.row.id, &hold.budgets)?,
            json(&hold.row.id, &hold.row)?
        ])?;
    Ok(())
}

fn extend_hold(
    transaction: &Transaction<'_>,
    request: &str,
    more: &[i64],
    nano_usd: i64,
) -> Result<(), StoreError> {
    let found: Option<String> = transaction
        .prepare_cached("SELECT budgets FROM hold WHERE request = ?1")?
        .query_row([request], |row| row.get(0))
        .optional()?;
    let Some(text) = found else { return Ok(()) };
    let mut budgets = read_held(&text)?;
    for (held, more) in budgets.iter_mut().zip(more) {
        held.amount += more;
    }
    transaction
        .prepare_cached("UPDATE hold SET nano_usd = nano_usd + ?2, budgets = ?3 WHERE request = ?1")?
        .execute(params![request, nano_usd, json(request, &budgets)?])?;
    Ok(())
}

/// What budgets pay in one transaction: budget, start of its period, amount. Found by where the budget's name lies in
/// memory: payments share names, and one that lies in two places is written twice.
#[derive(Default)]
struct Paid<'a>(HashMap<(usize, i64), (&'a Arc<str>, i64), RandomState>);

impl<'a> Paid<'a> {
    fn add(&mut self, payments: &'a [Payment]) {
        for payment in payments {
            let place = Arc::as_ptr(&payment.budget).addr();
            let paid = self.0.entry((place, payment.period_start)).or_insert((&payment.budget, 0));
            paid.1 += payment.amount;
        }
    }

    fn write(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let paid = self.0.iter().map(|((_, period_start), (budget, amount))| (period_start, budget, amount));
        for (period_start, budget, amount) in paid.filter(|(.., amount)| **amount != 0) {
            transaction
                .prepare_cached(
                    "INSERT INTO budget_spend (budget, period_start, node, amount) VALUES (?1, ?2, '', ?3)
                     ON CONFLICT (budget, period_start, node) DO UPDATE SET amount = amount + excluded.amount",
                )?
                .execute(params![&***budget, period_start, amount])?;
        }
        Ok(())
    }
}

fn end_hold(transaction: &Transaction<'_>, request: &str) -> Result<(), StoreError> {
    transaction.prepare_cached("DELETE FROM hold WHERE request = ?1")?.execute([request])?;
    Ok(())
}

fn put_rows(transaction: &Transaction<'_>, rows: &[&FiledRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO request_log
           (id, started_at_ms, trace_id, key, key_name, status, cost_nano_usd, row, workspace)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for row in rows {
        statement.execute(params![
            row.id(),
            row.started_at_ms,
            row.trace_id(),
            row.key(),
            row.key_name(),
            row.status,
            row.cost_nano_usd,
            row.rest(),
            row.workspace()
        ])?;
    }
    Ok(())
}

/// Reads a row: its columns hold what its text lacks. Texts of earlier versions lack nothing.
fn read_row(row: &rusqlite::Row<'_>) -> Result<LogRow, StoreError> {
    let (id, text): (String, String) = (row.get(0)?, row.get(7)?);
    let rest: LogRow = serde_json::from_str(&text)
        .map_err(|error| StoreError::Record { id: id.clone(), reason: error.to_string() })?;
    Ok(LogRow {
        id,
        started_at_ms: row.get(1)?,
        trace_id: row.get(2)?,
        key: row.get(3)?,
        key_name: row.get(4)?,
        status: row.get(5)?,
        cost_nano_usd: row.get(6)?,
        workspace: row.get(8)?,
        ..rest
    })
}

pub(super) fn recover(connection: &mut Connection) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let open: Vec<(i64, String, String)> = {
        let mut statement = transaction.prepare("SELECT nano_usd, budgets, row FROM hold")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    for (nano_usd, budgets, row) in &open {
        let mut row: LogRow = serde_json::from_str(row)
            .map_err(|error| StoreError::Record { id: "hold".to_owned(), reason: error.to_string() })?;
        // What earlier attempts cost is spent already.
        row.cost_nano_usd = Some(row.cost_nano_usd.unwrap_or(0) + nano_usd);
        row.estimated = true;
        row.outcome = "recovered".into();
        // Each budget pays what it held itself; they may have afforded different amounts.
        let budgets = read_held(budgets)?;
        let mut paid = Paid::default();
        paid.add(&budgets);
        paid.write(&transaction)?;
        end_hold(&transaction, &row.id)?;
        put_rows(&transaction, &[&row.into()])?;
    }
    transaction.commit()?;
    Ok(open.len())
}

pub(super) fn open_holds(connection: &Connection) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT budgets FROM hold")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut held = BTreeMap::new();
    for row in rows {
        for payment in read_held(&row?)? {
            *held.entry(payment.budget.to_string()).or_insert(0) += payment.amount;
        }
    }
    Ok(held)
}

pub(super) fn prune_logs(connection: &Connection, before_ms: i64, limit: usize) -> Result<usize, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            // Ids sort by time: who is old is among the first.
            "DELETE FROM request_log WHERE started_at_ms < ?1
               AND id IN (SELECT id FROM request_log ORDER BY id LIMIT ?2)",
        )?
        .execute([before_ms, limit])?)
}

pub(super) fn logs(connection: &Connection, filter: &LogFilter) -> Result<Vec<LogRow>, StoreError> {
    let limit = if filter.limit == 0 { -1 } else { i64::try_from(filter.limit).unwrap_or(-1) };
    // A trace is looked for where its index is: those that are a request's own id are not in it.
    let of_trace = "id IN (SELECT ?2 UNION ALL
           SELECT id FROM request_log WHERE trace_id = ?2 AND trace_id <> id)";
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, started_at_ms, trace_id, key, key_name, status, cost_nano_usd, row, workspace FROM request_log
         WHERE (?1 IS NULL OR key = ?1 OR key_name = ?1)
           AND {}
           AND (?3 IS NULL OR status >= ?3)
           AND (?5 IS NULL OR workspace = ?5)
         ORDER BY id DESC LIMIT ?4",
        if filter.trace_id.is_some() { of_trace } else { "?2 IS NULL" }
    ))?;
    let mut rows =
        statement.query(params![filter.key, filter.trace_id, filter.min_status, limit, filter.workspace])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_row(row)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::DecisionRow;
    use crate::record::AttemptRow;

    #[test]
    fn a_row_is_what_was_written() {
        let full = LogRow {
            id: "i".into(),
            trace_id: "t".into(),
            started_at_ms: 1,
            key: "k".into(),
            key_name: "kn".into(),
            workspace: "w".into(),
            provider: "p".into(),
            model: "m".into(),
            endpoint: "e".into(),
            stream: true,
            status: 2,
            outcome: "o".into(),
            error: Some(String::new()),
            input_tokens: 3,
            cached_input_tokens: 4,
            output_tokens: 5,
            reasoning_tokens: 6,
            estimated: true,
            cost_nano_usd: Some(0),
            attempts: 7,
            first_byte_us: Some(0),
            total_us: 8,
            gateway_us: 9,
            metadata: [(String::new(), "v".to_owned())].into(),
            budgets: vec!["b".into()],
            option_index: "x".into(),
            cache: "c".into(),
            saved_nano_usd: 10,
            tried: vec![AttemptRow::default()],
            decision: Some(Box::new(DecisionRow::default())),
        };
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::migrate::run(&mut connection, super::super::migrate::MIGRATIONS).unwrap();
        let rows = [LogRow::default(), full];
        let transaction = connection.transaction().unwrap();
        let filed = rows.each_ref().map(FiledRow::from);
        put_rows(&transaction, &filed.each_ref()).unwrap();
        transaction.commit().unwrap();
        let mut found = logs(&connection, &LogFilter::default()).unwrap();
        found.reverse();
        assert_eq!(found, rows);
    }

    #[test]
    fn a_trace_is_found_by_its_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::migrate::run(&mut connection, super::super::migrate::MIGRATIONS).unwrap();
        let plan: Vec<String> = connection
            .prepare("EXPLAIN QUERY PLAN SELECT id FROM request_log WHERE trace_id = ?1 AND trace_id <> id")
            .unwrap()
            .query_map(["t"], |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(plan.iter().any(|step| step.contains("INDEX request_log_trace")), "{plan:?}");
    }
}
