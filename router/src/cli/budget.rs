//! `tidegate budget`

use clap::Subcommand;
use serde_json::{Value, json};
use tidegate_prices::NanoUsd;
use tidegate_store::{BudgetRecord, Origin, Period, Store, Unit, Write};

use super::audited::{self, Change};
use super::key::read_period;
use super::{Context, Failure, show};
use crate::clock;
use crate::governance::budgets;

#[derive(Debug, Subcommand)]
pub(super) enum Budget {
    /// List budgets with their spend in this period.
    List,
    /// Change a budget's limit; acts on a running gateway within a second.
    Set {
        /// Id or name.
        budget: String,
        /// US dollars.
        usd: NanoUsd,
        /// When it starts again: daily, weekly, monthly, total.
        #[arg(long, value_parser = read_period)]
        period: Option<Period>,
    },
    /// Set a budget's spend to zero.
    Reset {
        /// Id or name.
        budget: String,
    },
}

pub(super) fn run(context: &Context, command: Budget) -> Result<(), Failure> {
    let (_, mut store) = context.open_known()?;
    let failed = |error: tidegate_store::StoreError| error.to_string();
    let all = store.budgets(clock::unix()).map_err(failed)?;
    match command {
        Budget::List => {
            let described = budgets::described(store.as_ref(), clock::unix()).map_err(failed)?;
            list(context, store.as_ref(), &[all, described].concat())
        }
        Budget::Set { budget, usd, period } => {
            let mut record = find(&all, &budget)?;
            if record.origin == Origin::Settings {
                return Err(format!(
                    "budget {} is declared in the settings file; change it there",
                    record.name
                ));
            }
            let before = audited::budget(&record);
            record.limit = usd.as_i64();
            record.period = period.unwrap_or(record.period);
            let change = Change {
                command: "budget set",
                resource: "budget",
                id: &record.id,
                action: "update",
                workspace: None,
                before,
                after: audited::budget(&record),
            };
            audited::write(store.as_mut(), change, &[Write::PutBudget(record.clone())])?;
            show::done(context, &format!("budget {} is {} USD", record.name, show::dollars(record.limit)))
        }
        Budget::Reset { budget } => {
            let record = find(&all, &budget)?;
            let spent = all.iter().find(|(budget, _)| budget.id == record.id).map_or(0, |(_, spent)| *spent);
            let change = Change {
                command: "budget reset",
                resource: "budget",
                id: &record.id,
                action: "reset",
                workspace: None,
                before: json!({"name": record.name, "spent": spent}),
                after: json!({"name": record.name, "spent": 0}),
            };
            let period_start = record.period_start(clock::unix());
            let write = Write::ResetBudget { id: record.id.clone(), period_start };
            audited::write(store.as_mut(), change, &[write])?;
            show::done(context, &format!("budget {} starts again at zero", record.name))
        }
    }
}

fn find(all: &[(BudgetRecord, i64)], wanted: &str) -> Result<BudgetRecord, Failure> {
    let by_id = all.iter().find(|(budget, _)| budget.id == wanted);
    let by_name: Vec<_> = all.iter().filter(|(budget, _)| budget.name == wanted).collect();
    match (by_id, by_name.as_slice()) {
        (Some((budget, _)), _) | (None, [(budget, _)]) => Ok(budget.clone()),
        (None, []) if ["workspace:", "integration:", "policy:"].iter().any(|of| wanted.starts_with(of)) => {
            Err(format!("budget {wanted} is part of another object: `tidegate admin` changes that"))
        }
        (None, []) => Err(format!("there is no budget with id or name \"{wanted}\"")),
        (None, _) => Err(format!("several budgets are named \"{wanted}\"; use the id")),
    }
}

/// What amounts are counted in.
fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Cost => "nano_usd",
        Unit::Tokens => "tokens",
        Unit::Requests => "requests",
    }
}

fn amount(of: Unit, amount: i64) -> String {
    if of == Unit::Cost { show::dollars(amount) } else { format!("{amount} {}", unit(of)) }
}

fn list(context: &Context, store: &dyn Store, all: &[(BudgetRecord, i64)]) -> Result<(), Failure> {
    if context.json {
        // Holds are in the store with `durability = "each"` only; the running gateway's state route shows them all.
        let held = store.open_holds().map_err(|error| error.to_string())?;
        let shown: Vec<Value> = all
            .iter()
            .map(|(budget, spent)| {
                json!({
                    "id": budget.id, "name": budget.name, "unit": unit(budget.unit),
                    "limit": budget.limit, "spent": spent, "held": held.get(&budget.id).unwrap_or(&0), "period": budget.period,
                })
            })
            .collect();
        return show::json(&json!({"budgets": shown}));
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(budget, spent)| {
            let resets = budget.period_end(clock::unix()).map_or_else(|| "never".to_owned(), show::moment);
            vec![
                budget.name.clone(),
                budget.id.clone(),
                amount(budget.unit, budget.limit),
                amount(budget.unit, *spent),
                resets,
            ]
        })
        .collect();
    show::table(&["NAME", "ID", "LIMIT USD", "SPENT USD", "RESETS (UTC)"], &rows);
    Ok(())
}
