//! The budgets of workspaces, integrations and policies, out of the store: for who looks without a running gateway.

use std::collections::HashMap;

use tidegate_store::{BudgetRecord, ObjectKind, Store, StoreError};

use super::rules::{integration, kept, usage_policy, workspace};

/// Lists the budgets that objects describe, with what was spent of each in its period that holds `now`. Each names in
/// its name what it is of. A policy has a budget for each value it was used with.
///
/// # Errors
/// [`StoreError`]
pub fn described(store: &dyn Store, now: i64) -> Result<Vec<(BudgetRecord, i64)>, StoreError> {
    let workspaces = store.objects(ObjectKind::Workspace)?;
    let mut found = Vec::new();
    for object in &workspaces {
        let Some(read) = kept(object, workspace(object)) else { continue };
        found.extend(read.budgets.iter().map(|it| named(it, format!("workspace {}", read.name))));
    }
    for object in store.objects(ObjectKind::Integration)? {
        let Some(read) = kept(&object, integration(&object)) else { continue };
        for of in &workspaces {
            let Some(terms) = read.of(&object.id, &of.id) else { continue };
            let name = format!("integration {} in {}", read.name, of.body["name"].as_str().unwrap_or(&of.id));
            found.extend(terms.budgets.iter().map(|it| named(it, name.clone())));
        }
    }
    let spent = spent(store, ["workspace:", "integration:", "policy:"])?;
    for object in store.objects(ObjectKind::UsagePolicy)? {
        let Some(policy) = kept(&object, usage_policy(&object)) else { continue };
        let (start, prefix) = (policy.budget.period_start(now), format!("{}:", policy.budget.id));
        let buckets = spent.keys().filter(|(id, since)| *since == start && id.starts_with(&prefix));
        for (id, _) in buckets {
            let name = format!("policy {} {}", policy.budget.name, &id[prefix.len()..]);
            found.push(BudgetRecord { id: id.clone(), ..named(&policy.budget, name) });
        }
    }
    let with_spend = |budget: BudgetRecord| {
        let start = budget.period_start(now);
        let amount = spent.get(&(budget.id.clone(), start)).copied().unwrap_or(0);
        (budget, amount)
    };
    let mut all: Vec<_> = found.into_iter().map(with_spend).collect();
    all.sort_by(|(a, _), (b, _)| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(all)
}

fn named(budget: &BudgetRecord, name: String) -> BudgetRecord {
    BudgetRecord { name, ..budget.clone() }
}

/// What budgets spent, by id and period start.
type Spent = HashMap<(String, i64), i64>;

fn spent(store: &dyn Store, prefixes: [&str; 3]) -> Result<Spent, StoreError> {
    let mut all = HashMap::new();
    for prefix in prefixes {
        all.extend(store.spends(prefix)?.into_iter().map(|(id, start, amount)| ((id, start), amount)));
    }
    Ok(all)
}
