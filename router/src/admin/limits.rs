//! What integrations in workspaces and providers may use: read into the form that is kept, shown, set to zero.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_store::{BudgetRecord, Write};

use super::ctx::Ctx;
use super::reply::moment;
use crate::clock;
use crate::error::GatewayError;
use crate::governance::terms;

/// Shows usage limits as a list, whole numbers whole; null without any.
pub(super) fn usage_shown(limits: &Value) -> Value {
    let Ok(budgets) = terms::read_usage_limits("", "", limits, "usage_limits") else { return Value::Null };
    if budgets.is_empty() {
        return Value::Null;
    }
    budgets.iter().map(one_shown).collect()
}

/// Shows one usage limit with the moment at which it starts again.
pub(super) fn one_shown(budget: &BudgetRecord) -> Value {
    let next = budget.period_end(clock::unix()).map(|at| moment(at * 1_000));
    terms::write_usage_limit(budget, next)
}

/// Shows rate limits as a list, whatever they were sent as; null without any.
pub(super) fn rates_shown(limits: &Value) -> Value {
    let Ok(limits) = terms::read_rate_limits(limits, "rate_limits") else { return Value::Null };
    if limits.is_empty() { Value::Null } else { limits.iter().map(terms::write_rate_limit).collect() }
}

/// Makes the resets of budgets in their present periods.
pub(super) fn resets<'a>(budgets: impl Iterator<Item = &'a BudgetRecord>) -> Vec<Write> {
    let now = clock::unix();
    budgets.map(|it| Write::ResetBudget { id: it.id.clone(), period_start: it.period_start(now) }).collect()
}

/// Spend by budget and start of its period.
pub(super) struct Spends(BTreeMap<(String, i64), i64>);

impl Spends {
    /// Reads what budgets whose ids begin so have used: at rest from the store, awake from their actors, which know
    /// more.
    pub(super) async fn of(ctx: &Ctx, prefix: &str) -> Result<Self, GatewayError> {
        let book = &ctx.gateway().book;
        let wanted = prefix.to_owned();
        let stored = book.read(move |store| store.spends(&wanted)).await?;
        let mut all: BTreeMap<_, _> =
            stored.into_iter().map(|(id, start, used)| ((id, start), used)).collect();
        for budget in book.awake().1.iter().filter(|budget| budget.id().starts_with(prefix)) {
            let view = budget.observe().await?;
            all.insert((view.id, view.period_start), view.spent);
        }
        Ok(Self(all))
    }

    /// Returns whether a budget has nothing left in its present period.
    pub(super) fn exhausted(&self, budget: &BudgetRecord) -> bool {
        let start = budget.period_start(clock::unix());
        self.used(&budget.id, start) >= budget.limit
    }

    fn used(&self, id: &str, start: i64) -> i64 {
        self.0.get(&(id.to_owned(), start)).copied().unwrap_or(0)
    }
}

/// Copies a usage limit or limits as they are kept: a list, or null for none.
pub(super) fn kept_usage(budgets: &[BudgetRecord], given: &Value) -> Value {
    if budgets.is_empty() {
        return Value::Null;
    }
    if given.is_array() { given.clone() } else { json!([given]) }
}
