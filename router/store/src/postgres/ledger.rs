//! Holds, settlements and the request log.
//!
//! A batch is followed in memory first and its net effect written by a handful of statements, however long it is:
//! the way to the server is paid once per table, not once per entry.

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;

use super::control::{column, limit, records};
use super::session::{Fault, Session};
use crate::json::{read, write as json};
use crate::record::{FiledRow, LedgerEntry, LogFilter, LogRow, Payment};
use crate::store::StoreError;

/// Money reserved for a request, as its row has it.
struct Held {
    nano_usd: i64,
    budgets: Vec<Payment>,
    row: String,
}

/// What a batch comes to. Maps are ordered, so that two transactions lock rows in the same order.
#[derive(Default)]
struct Net {
    /// `None` is a hold that ended.
    holds: BTreeMap<String, Option<Held>>,
    /// By budget, start of the period and node.
    spent: BTreeMap<(String, i64, String), i64>,
    rows: BTreeMap<String, FiledRow>,
}

impl Net {
    fn follow(&mut self, entry: &LedgerEntry, node: &str) -> Result<(), StoreError> {
        match entry {
            LedgerEntry::Hold(hold) => {
                let held = Held {
                    nano_usd: hold.nano_usd,
                    budgets: hold.budgets.clone(),
                    row: json(&hold.row.id, &hold.row)?,
                };
                self.holds.insert(hold.row.id.clone(), Some(held));
            }
            LedgerEntry::Extend { request, amounts, nano_usd } => {
                if let Some(Some(held)) = self.holds.get_mut(request) {
                    held.nano_usd += nano_usd;
                    for (held, more) in held.budgets.iter_mut().zip(amounts) {
                        held.amount += more;
                    }
                }
            }
            LedgerEntry::Spend(paid) => {
                if paid.held {
                    self.holds.insert(paid.request.clone(), None);
                }
                self.pay(&paid.budgets, node);
            }
            LedgerEntry::Settle(settle) => {
                if settle.held {
                    self.holds.insert(settle.row.id().to_owned(), None);
                }
                self.pay(&settle.budgets, node);
                self.rows.insert(settle.row.id().to_owned(), settle.row.clone());
            }
        }
        Ok(())
    }

    fn pay(&mut self, payments: &[Payment], node: &str) {
        for payment in payments {
            // Names of policies' budgets carry clients' words.
            let budget = payment.budget.replace('\0', "\u{fffd}");
            let by = if payment.by.is_empty() { node } else { &payment.by };
            *self.spent.entry((budget, payment.period_start, by.to_owned())).or_insert(0) += payment.amount;
        }
    }

    async fn write(&self, session: &Session, node: &str) -> Result<(), Fault> {
        self.write_holds(session, node).await?;
        self.write_spend(session).await?;
        self.write_rows(session).await
    }

    async fn write_holds(&self, session: &Session, node: &str) -> Result<(), Fault> {
        let ended: Vec<&str> =
            self.holds.iter().filter(|(_, held)| held.is_none()).map(|(id, _)| id.as_str()).collect();
        if !ended.is_empty() {
            session.run("DELETE FROM hold WHERE request = ANY ($1)", &[&ended]).await?;
        }
        let open: Vec<(&str, &Held)> =
            self.holds.iter().filter_map(|(id, held)| Some((id.as_str(), held.as_ref()?))).collect();
        if open.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = open.iter().map(|(id, _)| *id).collect();
        let amounts: Vec<i64> = open.iter().map(|(_, held)| held.nano_usd).collect();
        let budgets = open.iter().map(|(id, held)| json(id, &held.budgets)).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<&str> = open.iter().map(|(_, held)| held.row.as_str()).collect();
        let sql = "INSERT INTO hold (request, node, nano_usd, budgets, row)
             SELECT request, $5, nano_usd, budgets, row
             FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) AS given (request, nano_usd, budgets, row)
             ON CONFLICT (request) DO UPDATE SET node = excluded.node, nano_usd = excluded.nano_usd,
               budgets = excluded.budgets, row = excluded.row";
        session.run(sql, &[&ids, &amounts, &budgets, &rows, &node]).await?;
        Ok(())
    }

    async fn write_spend(&self, session: &Session) -> Result<(), Fault> {
        let spent: Vec<_> = self.spent.iter().filter(|(_, amount)| **amount != 0).collect();
        if spent.is_empty() {
            return Ok(());
        }
        let budgets: Vec<&str> = spent.iter().map(|((budget, ..), _)| budget.as_str()).collect();
        let starts: Vec<i64> = spent.iter().map(|((_, start, _), _)| *start).collect();
        let nodes: Vec<&str> = spent.iter().map(|((.., node), _)| node.as_str()).collect();
        let amounts: Vec<i64> = spent.iter().map(|(_, amount)| **amount).collect();
        let sql = "INSERT INTO budget_spend (budget, period_start, node, amount)
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[])
             ON CONFLICT (budget, period_start, node)
               DO UPDATE SET amount = budget_spend.amount + excluded.amount";
        session.run(sql, &[&budgets, &starts, &nodes, &amounts]).await?;
        Ok(())
    }

    async fn write_rows(&self, session: &Session) -> Result<(), Fault> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<&FiledRow> = self.rows.values().collect();
        let of = |part: fn(&FiledRow) -> &str| rows.iter().map(|row| column(part(row))).collect::<Vec<_>>();
        let texts = rows.iter().map(|row| whole(row)).collect::<Result<Vec<_>, _>>()?;
        let started: Vec<i64> = rows.iter().map(|row| row.started_at_ms).collect();
        let statuses: Vec<i32> = rows.iter().map(|row| i32::from(row.status)).collect();
        let costs: Vec<Option<i64>> = rows.iter().map(|row| row.cost_nano_usd).collect();
        let (ids, traces) = (of(FiledRow::id), of(FiledRow::trace_id));
        let (keys, names, workspaces) = (of(FiledRow::key), of(FiledRow::key_name), of(FiledRow::workspace));
        let sql = "INSERT INTO request_log
               (id, started_at_ms, trace_id, key, key_name, workspace, status, cost_nano_usd, row)
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
               $7::integer[], $8::bigint[], $9::text[])
             ON CONFLICT (id) DO UPDATE SET started_at_ms = excluded.started_at_ms, trace_id = excluded.trace_id,
               key = excluded.key, key_name = excluded.key_name, workspace = excluded.workspace,
               status = excluded.status, cost_nano_usd = excluded.cost_nano_usd, row = excluded.row";
        let given: [&(dyn ToSql + Sync); 9] =
            [&ids, &started, &traces, &keys, &names, &workspaces, &statuses, &costs, &texts];
        session.run(sql, &given).await?;
        Ok(())
    }
}

/// Returns a row's whole JSON text, its columns among the members.
fn whole(row: &FiledRow) -> Result<String, StoreError> {
    #[derive(serde::Serialize)]
    struct Columns<'a> {
        id: &'a str,
        trace_id: &'a str,
        started_at_ms: i64,
        key: &'a str,
        key_name: &'a str,
        workspace: &'a str,
        status: u16,
        cost_nano_usd: Option<i64>,
    }
    let columns = Columns {
        id: row.id(),
        trace_id: row.trace_id(),
        started_at_ms: row.started_at_ms,
        key: row.key(),
        key_name: row.key_name(),
        workspace: row.workspace(),
        status: row.status,
        cost_nano_usd: row.cost_nano_usd,
    };
    let mut text = json(row.id(), &columns)?;
    if let Some(rest) = row.rest().strip_prefix('{').filter(|rest| *rest != "}") {
        text.pop();
        text.push(',');
        text.push_str(rest);
    }
    Ok(text)
}

pub(super) async fn commit(session: &Session, batch: &[LedgerEntry], node: &str) -> Result<(), Fault> {
    let mut net = Net::default();
    let extended: Vec<&str> = batch
        .iter()
        .filter_map(|entry| match entry {
            LedgerEntry::Extend { request, .. } => Some(request.as_str()),
            _ => None,
        })
        .collect();
    if !extended.is_empty() {
        let sql = "SELECT request, nano_usd, budgets, row FROM hold WHERE request = ANY ($1)
             ORDER BY request FOR UPDATE";
        for row in session.rows(sql, &[&extended]).await? {
            let held = Held {
                nano_usd: row.try_get(1)?,
                budgets: read("hold", row.try_get(2)?)?,
                row: row.try_get(3)?,
            };
            net.holds.insert(row.try_get(0)?, Some(held));
        }
    }
    for entry in batch {
        net.follow(entry, node)?;
    }
    net.write(session, node).await
}

/// The dead node has spent it, so its share of what budgets spent grows.
pub(super) async fn recover(session: &Session, living: &[String], node: &str) -> Result<usize, Fault> {
    let mut net = Net::default();
    // Whoever recovers at the same time waits here and then finds nothing.
    let sql = "SELECT request, node, nano_usd, budgets, row FROM hold
         WHERE node <> ALL ($1) AND node <> $2 ORDER BY request FOR UPDATE";
    let open = session.rows(sql, &[&living, &node]).await?;
    for held in &open {
        let id: String = held.try_get(0)?;
        let mut row: LogRow = read(&id, held.try_get(4)?)?;
        // What earlier attempts cost is spent already.
        row.cost_nano_usd = Some(row.cost_nano_usd.unwrap_or(0) + held.try_get::<_, i64>(2)?);
        row.estimated = true;
        row.outcome = "recovered".into();
        // Each budget pays what it held itself; they may have afforded different amounts.
        let budgets: Vec<Payment> = read(&id, held.try_get(3)?)?;
        net.pay(&budgets, held.try_get(1)?);
        net.rows.insert(row.id.clone(), row.into());
        net.holds.insert(id, None);
    }
    net.write(session, node).await?;
    Ok(open.len())
}

pub(super) async fn held_by(
    session: &Session,
    budget: &str,
    period_start: i64,
) -> Result<Vec<(String, i64)>, Fault> {
    let sql = "SELECT budgets, node FROM hold WHERE strpos(budgets, $1) > 0";
    // As it is written there: clients' words in a policy's buckets may need escaping.
    let written = json("budget", &budget)?;
    let mut held = Vec::new();
    for row in session.rows(sql, &[&written]).await? {
        let (text, node): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let payments: Vec<Payment> = read("hold", &text)?;
        for payment in payments {
            if *payment.budget == *budget && payment.period_start == period_start {
                let by = if payment.by.is_empty() { node.clone() } else { payment.by };
                held.push((by, payment.amount));
            }
        }
    }
    Ok(held)
}

pub(super) async fn open_holds(session: &Session) -> Result<BTreeMap<String, i64>, Fault> {
    let mut held = BTreeMap::new();
    for budgets in records::<Vec<Payment>>("hold", &session.rows("SELECT budgets FROM hold", &[]).await?)? {
        for payment in budgets {
            *held.entry(payment.budget.to_string()).or_insert(0) += payment.amount;
        }
    }
    Ok(held)
}

pub(super) async fn prune_logs(session: &Session, before_ms: i64, limit: i64) -> Result<usize, Fault> {
    let sql = "DELETE FROM request_log WHERE id IN
         (SELECT id FROM request_log WHERE started_at_ms < $1 ORDER BY started_at_ms LIMIT $2)";
    Ok(usize::try_from(session.run(sql, &[&before_ms, &limit]).await?).unwrap_or(0))
}

pub(super) async fn logs(session: &Session, filter: &LogFilter) -> Result<Vec<LogRow>, Fault> {
    // Only the conditions that are asked for, so that each can have its index.
    let key = filter.key.as_deref().map(column);
    let trace = filter.trace_id.as_deref().map(column);
    let workspace = filter.workspace.as_deref().map(column);
    let status = filter.min_status.map(i32::from);
    let rows = limit(filter.limit);
    let mut given: Vec<&(dyn ToSql + Sync)> = vec![&rows];
    let mut chosen = String::new();
    if let Some(key) = &key {
        given.push(key);
        chosen.push_str(&format!(" AND (key = ${0} OR key_name = ${0})", given.len()));
    }
    if let Some(trace) = &trace {
        given.push(trace);
        chosen.push_str(&format!(" AND (trace_id = ${0} OR id = ${0})", given.len()));
    }
    if let Some(workspace) = &workspace {
        given.push(workspace);
        chosen.push_str(&format!(" AND workspace = ${}", given.len()));
    }
    if let Some(status) = &status {
        given.push(status);
        chosen.push_str(&format!(" AND status >= ${}", given.len()));
    }
    let sql = format!("SELECT row FROM request_log WHERE true{chosen} ORDER BY id DESC LIMIT $1");
    records("log", &session.rows(&sql, &given).await?)
}
