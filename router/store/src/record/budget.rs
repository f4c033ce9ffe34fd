//! Budgets.

use serde::{Deserialize, Serialize};

use super::{OnStoreLoss, Origin};
use crate::period::Period;

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRecord {
    /// Stable id.
    pub id: String,
    /// Operator's name for it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What it counts.
    #[serde(default)]
    pub unit: Unit,
    /// Limit in that unit.
    #[serde(alias = "limit_nano_usd")]
    pub limit: i64,
    /// When it starts again.
    #[serde(default)]
    pub period: Period,
    /// A moment (seconds since the epoch, 00:00 UTC) at which it starts again once more, beside the period's own.
    #[serde(default)]
    pub restarts_at: Option<i64>,
    /// Amounts at which somebody is told.
    #[serde(default)]
    pub alerts: Vec<i64>,
    /// What holds while the nodes' shared store does not answer.
    #[serde(default, skip_serializing_if = "OnStoreLoss::is_closed")]
    pub on_store_loss: OnStoreLoss,
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nano-dollars.
    #[default]
    Cost,
    /// Input and output tokens.
    Tokens,
    /// Requests.
    Requests,
}

impl BudgetRecord {
    /// Makes a money budget of the store that never starts again; `limit` is in nano-dollars.
    #[must_use]
    pub fn named(id: impl Into<String>, name: impl Into<String>, limit: i64) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            origin: Origin::Store,
            unit: Unit::Cost,
            limit,
            period: Period::Total,
            restarts_at: None,
            alerts: Vec::new(),
            on_store_loss: OnStoreLoss::Closed,
        }
    }

    /// Returns the start of its period that holds `now`, both in seconds since the epoch.
    #[must_use]
    pub fn period_start(&self, now: i64) -> i64 {
        let start = self.period.start(now);
        self.restarts_at.filter(|at| *at <= now).map_or(start, |at| start.max(at))
    }

    /// Returns when its period that holds `now` ends.
    #[must_use]
    pub fn period_end(&self, now: i64) -> Option<i64> {
        let end = self.period.end(now);
        match self.restarts_at.filter(|at| *at > now) {
            Some(at) => Some(end.map_or(at, |end| end.min(at))),
            None => end,
        }
    }
}
