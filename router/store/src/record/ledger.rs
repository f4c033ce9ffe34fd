//! The ledger: what was reserved, spent and settled.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{FiledRow, LogRow};

/// One thing that happened, in the order it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerEntry {
    /// Money was reserved; written only when holds must survive a crash.
    Hold(Box<HoldRecord>),
    /// A hold grew.
    Extend {
        /// Of which request.
        request: String,
        /// By how much in each of the hold's budgets, in their order and units.
        amounts: Vec<i64>,
        /// By how many nano-dollars.
        nano_usd: i64,
    },
    /// An attempt ended and its request goes on: its hold goes, its cost is spent. Several attempts may have paid
    /// from different budgets.
    Spend(Box<SpendRecord>),
    /// A request ended: its hold goes, its cost is spent, its row is kept.
    Settle(Box<SettleRecord>),
}

/// The end of one attempt of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRecord {
    /// The request.
    pub request: String,
    /// Budgets that pay.
    pub budgets: Vec<Payment>,
    /// Whether a [`LedgerEntry::Hold`] was written for it.
    pub held: bool,
}

/// What one budget holds or pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<serde_json::Value>", into = "Vec<serde_json::Value>")]
pub struct Payment {
    /// The budget's id.
    pub budget: Arc<str>,
    /// Start of the period that pays, seconds since the epoch.
    pub period_start: i64,
    /// How much, in the budget's unit.
    pub amount: i64,
    /// Whose spend it is, where several nodes share the budget: the holder of the lease. Empty is the node that writes.
    pub by: String,
}

impl From<Vec<serde_json::Value>> for Payment {
    fn from(parts: Vec<serde_json::Value>) -> Self {
        let text = |at: usize| parts.get(at).and_then(|part| part.as_str()).unwrap_or_default().to_owned();
        let number = |at: usize| parts.get(at).and_then(serde_json::Value::as_i64).unwrap_or(0);
        Self { budget: text(0).into(), period_start: number(1), amount: number(2), by: text(3) }
    }
}

impl From<Payment> for Vec<serde_json::Value> {
    fn from(payment: Payment) -> Self {
        let mut parts = vec![(*payment.budget).into(), payment.period_start.into(), payment.amount.into()];
        if !payment.by.is_empty() {
            parts.push(payment.by.into());
        }
        parts
    }
}

/// Money reserved for a request.
#[derive(Clone, Debug, PartialEq)]
pub struct HoldRecord {
    /// What each budget holds.
    pub budgets: Vec<Payment>,
    /// Nano-dollars that the request may come to.
    pub nano_usd: i64,
    /// The log row as known so far, with what earlier attempts cost; it is what is kept if the process dies.
    pub row: LogRow,
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct SettleRecord {
    /// Budgets that pay.
    pub budgets: Vec<Payment>,
    /// Whether a [`LedgerEntry::Hold`] was written for it.
    pub held: bool,
    /// The log row.
    pub row: FiledRow,
}
