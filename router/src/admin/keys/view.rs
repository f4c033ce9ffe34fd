//! How a key is shown: masked, with what its budget has spent.

use std::collections::HashMap;

use serde_json::{Value, json};
use tidegate_store::{BudgetRecord, KeyRecord, KeyStatus, Origin, RotationRecord};

use super::super::ctx::Ctx;
use super::super::reply::moment;
use super::grant::{is_org, kind_of};
use super::standing;
use crate::clock;
use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::governance::terms;

/// A key's budget and what it has spent in its present period.
pub(super) struct Spent {
    /// The budget.
    pub budget: BudgetRecord,
    /// In its unit.
    pub spent: i64,
}

/// Returns the budgets of keys by id: from their actors where they are awake, who know more, else from the store.
///
/// # Errors
/// 503
pub(super) async fn budgets(
    gateway: &Gateway,
    keys: &[KeyRecord],
) -> Result<HashMap<String, Spent>, GatewayError> {
    let mut found = HashMap::new();
    let mut resting = Vec::new();
    for id in keys.iter().filter_map(|key| key.budget.as_ref()) {
        match gateway.book.awake_budget(id) {
            Some(awake) => {
                let spent = awake.observe().await?.spent;
                found.insert(id.clone(), Spent { budget: (*awake.record()).clone(), spent });
            }
            None => resting.push(id.clone()),
        }
    }
    if !resting.is_empty() {
        let now = clock::unix();
        let read = gateway
            .book
            .read(move |store| resting.iter().map(|id| store.budget(id, now)).collect::<Result<Vec<_>, _>>())
            .await?;
        for (budget, spent) in read.into_iter().flatten() {
            found.insert(budget.id.clone(), Spent { budget, spent });
        }
    }
    Ok(found)
}

/// Shows one key.
///
/// # Errors
/// 503
pub(super) async fn shown(ctx: &Ctx, key: &KeyRecord) -> Result<Value, GatewayError> {
    let budgets = budgets(ctx.gateway(), std::slice::from_ref(key)).await?;
    Ok(row(ctx, key, key.budget.as_ref().and_then(|id| budgets.get(id))))
}

fn status(key: &KeyRecord, spent: Option<&Spent>) -> &'static str {
    if key.status == KeyStatus::Revoked {
        // Portkey has no word for keys that are switched off and stay known.
        return "revoked";
    }
    if key.expires_at.is_some_and(|at| at <= clock::unix()) {
        return "expired";
    }
    if spent.is_some_and(|it| it.spent >= it.budget.limit) { "exhausted" } else { "active" }
}

/// Makes a key's row.
pub(super) fn row(ctx: &Ctx, key: &KeyRecord, spent: Option<&Spent>) -> Value {
    let now = clock::unix();
    let next = spent.and_then(|it| it.budget.period_end(now)).map(|at| moment(at * 1_000));
    let workspace = match is_org(key) {
        true => key.extra.made_with_workspace.clone(),
        false => Some(ctx.gateway().objects.rules().workspace_id(key).to_owned()),
    };
    let limits: Vec<Value> = key.limits.iter().map(terms::write_rate_limit).collect();
    let created_at_ms = key.created_at * 1_000;
    let enforced = standing::rules(ctx.gateway(), key).is_some_and(|rules| rules.max_ttl_days.is_some());
    let old = key.extra.old_secret.as_ref().filter(|old| old.until > now);
    json!({
        "id": key.id,
        "object": "api-key",
        "key": key.mask,
        "name": key.name,
        "description": key.extra.description,
        "type": kind_of(key).name(),
        "organisation_id": ctx.gateway().objects.organisation().map(|it| it.id.clone()),
        "workspace_id": workspace,
        "user_id": key.user,
        "status": status(key, spent),
        "creation_mode": if key.origin == Origin::Settings { "auto" } else { "api" },
        "origin": key.origin,
        "scopes": key.scopes,
        "rate_limits": limits,
        "usage_limits": spent.map(|it| terms::write_usage_limit(&it.budget, next.clone())),
        "current_usage": spent.map(|it| terms::write_amount(it.budget.unit, it.spent)),
        // Clients send it; here it says nothing.
        "reset_usage": null,
        "next_usage_reset_at": next,
        "last_reset_at": key.extra.last_reset_at_ms.map(moment),
        "defaults": {
            "metadata": key.metadata,
            "config_id": key.config,
            "allow_config_override": key.allow_config_override,
        },
        "allow_config_override": u8::from(key.allow_config_override),
        // Portkey's own ids of such rows; clients want the member.
        "api_key_defaults_id": null,
        "alert_emails": key.extra.alert_emails,
        "expires_at": key.expires_at.map(|at| moment(at * 1_000)),
        "expiry_enforced": u8::from(enforced),
        "rotation_policy": key.extra.rotation.as_ref().map(policy),
        "key_transition_expires_at": old.map(|old| moment(old.until * 1_000)),
        "old_key": old.map(|old| old.mask.clone()),
        "has_new_secret": key.extra.waiting_secret.is_some(),
        "models": key.models,
        "unmeasured": key.unmeasured,
        "header_credentials": key.header_credentials,
        "created_by": key.extra.created_by,
        "created_at": moment(created_at_ms),
        "last_updated_at": moment(key.extra.updated_at_ms.max(created_at_ms)),
    })
}

/// Shows a rotation policy.
pub(super) fn policy(rotation: &RotationRecord) -> Value {
    json!({
        "rotation_period": rotation.period,
        "rotation_period_days": rotation.days,
        "next_rotation_at": rotation.next_at.map(|at| moment(at * 1_000)),
        "key_transition_period_ms": rotation.overlap_ms,
    })
}
