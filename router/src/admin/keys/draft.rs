//! An order's members → a key's record and its budget: what is absent stays, null clears, a value sets.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tidegate_store::{BudgetRecord, KeyKind, KeyRecord, Unit, Unmeasured, Write};

use super::super::ctx::{Ctx, flag, invalid};
use super::super::schemas::check_metadata;
use super::super::who::Role;
use super::check_scopes;
use super::rotate::read_policy;
use crate::clock;
use crate::error::GatewayError;
use crate::governance::terms;

/// Returns the id of a key's own budget, if that is what it has. A change of unit makes another one: what was spent in
/// dollars says nothing of tokens.
pub(in crate::admin) fn own_budget(key: &KeyRecord) -> Option<&String> {
    let own = format!("key:{}", key.id);
    // Keys of the command line have budgets of their own id.
    key.budget.as_ref().filter(|id| **id == key.id || **id == own || id.starts_with(&format!("{own}:")))
}

fn budget_id(key: &str, unit: Unit) -> String {
    match unit {
        Unit::Cost => format!("key:{key}"),
        unit => format!("key:{key}:{}", terms::unit_name(unit)),
    }
}

/// Reads what a body says of a key into its record. Returns the writes of its budget.
///
/// # Errors
/// 400 naming the member, 403 for scopes that the caller may not give, 404 for a config that is not there.
pub(super) fn read(
    ctx: &Ctx,
    key: &mut KeyRecord,
    role: Option<Role>,
    known: Option<&BudgetRecord>,
) -> Result<Vec<Write>, GatewayError> {
    if let Some(name) = ctx.text("name") {
        name.clone_into(&mut key.name);
    }
    if ctx.body.contains_key("description") {
        key.extra.description = ctx.text("description").map(str::to_owned);
    }
    if let Some(scopes) = ctx.body.get("scopes") {
        let scopes = texts(scopes);
        let role = role.map(|role| (role, key.workspace.as_deref().unwrap_or_default()));
        check_scopes(ctx, key.kind, role, &key.scopes, &scopes)?;
        key.scopes = scopes;
    }
    if let Some(limits) = ctx.body.get("rate_limits") {
        key.limits = terms::read_rate_limits(limits, "rate_limits")?;
    }
    if let Some(emails) = ctx.body.get("alert_emails") {
        key.extra.alert_emails = texts(emails);
        if let Some(at) = key.extra.alert_emails.iter().position(|email| !is_address(email)) {
            return Err(invalid(&format!("alert_emails[{at}]"), "an e-mail address is expected"));
        }
    }
    if let Some(expires) = ctx.body.get("expires_at") {
        key.expires_at = moment_of(expires, "expires_at")?;
    }
    if let Some(policy) = ctx.body.get("rotation_policy") {
        key.extra.rotation = read_policy(policy, clock::unix())?;
    }
    if let Some(models) = ctx.body.get("models") {
        key.models = texts(models);
    }
    if let Some(word) = ctx.body.get("unmeasured") {
        key.unmeasured = match word.as_str() {
            Some("allow") => Some(Unmeasured::Allow),
            Some("deny") => Some(Unmeasured::Deny),
            _ => None,
        };
    }
    if let Some(given) = ctx.body.get("header_credentials") {
        key.header_credentials = flag(given).unwrap_or(false);
    }
    defaults(ctx, key)?;
    budget(ctx, key, known)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Returns whether a text looks like an address; whether somebody reads there is not for us to know.
pub(in crate::admin) fn is_address(text: &str) -> bool {
    let (name, host) = text.split_once('@').unwrap_or_default();
    !name.is_empty() && !host.is_empty() && !host.contains('@') && !text.contains(char::is_whitespace)
}

/// Reads a moment or null.
///
/// # Errors
/// 400
pub(super) fn moment_of(value: &Value, path: &str) -> Result<Option<i64>, GatewayError> {
    match value {
        Value::Null => Ok(None),
        value => value
            .as_str()
            .and_then(terms::read_moment)
            .map(Some)
            .ok_or_else(|| invalid(path, "an RFC 3339 moment is expected")),
    }
}

fn defaults(ctx: &Ctx, key: &mut KeyRecord) -> Result<(), GatewayError> {
    let given = ctx.body.get("defaults");
    let empty = Map::new();
    let members = match given {
        Some(Value::Null) => {
            (key.config, key.allow_config_override) = (None, true);
            key.metadata.clear();
            &empty
        }
        given => given.and_then(Value::as_object).unwrap_or(&empty),
    };
    if let Some(metadata) = members.get("metadata") {
        key.metadata = read_metadata(metadata, "defaults.metadata")?;
    }
    let mut metadata = json!(key.metadata);
    let organisation = ctx.gateway().objects.organisation();
    if let Some(organisation) = &organisation {
        check_metadata(&organisation.body["metadata_schemas"]["api_key"], &mut metadata)?;
    }
    key.metadata = read_metadata(&metadata, "defaults.metadata")?;
    if let Some(config) = members.get("config_id") {
        key.config = match config.as_str() {
            Some(config) => {
                known_config(ctx, key, config)?;
                Some(config.to_owned())
            }
            None if config.is_null() => None,
            None => return Err(invalid("defaults.config_id", "a text is expected")),
        };
    }
    let switched = members.get("allow_config_override").or_else(|| ctx.body.get("allow_config_override"));
    if let Some(switched) = switched {
        key.allow_config_override = match switched {
            Value::Null => true,
            switched => flag(switched).ok_or_else(|| {
                invalid("defaults.allow_config_override", "true, false, 1 or 0 is expected")
            })?,
        };
    }
    Ok(())
}

/// Reads metadata: an object of texts, or null.
///
/// # Errors
/// 400 naming the member.
pub(in crate::admin) fn read_metadata(
    given: &Value,
    path: &str,
) -> Result<BTreeMap<String, String>, GatewayError> {
    match given {
        Value::Null => Ok(BTreeMap::new()),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match value.as_str() {
                Some(value) => Ok((name.clone(), value.to_owned())),
                None => Err(invalid(&format!("{path}.{name}"), "a text is expected")),
            })
            .collect(),
        _ => Err(invalid(path, "an object of texts is expected")),
    }
}

fn known_config(ctx: &Ctx, key: &KeyRecord, name: &str) -> Result<(), GatewayError> {
    let gateway = ctx.gateway();
    let is_declared = gateway.settings().configs.contains_key(name);
    // A key of the organisation asks for nothing itself, so any config will do.
    let is_known = match key.kind {
        KeyKind::OrganisationService => gateway.configs.get(name).is_some(),
        _ => gateway.config_for(key, name).is_some(),
    };
    if is_declared || is_known {
        return Ok(());
    }
    Err(invalid("defaults.config_id", &format!("there is no config \"{name}\"")))
}

fn budget(ctx: &Ctx, key: &mut KeyRecord, known: Option<&BudgetRecord>) -> Result<Vec<Write>, GatewayError> {
    let mut writes = Vec::new();
    let mut present = known.cloned();
    match ctx.body.get("usage_limits") {
        None => {}
        Some(given) if given.is_null() || given.as_object().is_some_and(Map::is_empty) => {
            writes.extend(own_budget(key).map(|id| Write::DeleteBudget(id.clone())));
            (key.budget, present) = (None, None);
        }
        Some(given) => {
            let mut given = given.clone();
            if let (Some(known), None) = (known, given.get("type")) {
                given["type"] = terms::unit_name(known.unit).into();
            }
            let mut budget = terms::read_usage_limit("", &key.name, &given, "usage_limits")?;
            let same = known.filter(|known| known.unit == budget.unit && own_budget(key) == Some(&known.id));
            budget.id = same.map_or_else(|| budget_id(&key.id, budget.unit), |known| known.id.clone());
            if let Some(before) = own_budget(key).filter(|id| **id != budget.id) {
                writes.push(Write::DeleteBudget(before.clone()));
            }
            key.budget = Some(budget.id.clone());
            writes.push(Write::PutBudget(budget.clone()));
            present = Some(budget);
        }
    }
    if ctx.flag("reset_usage") == Some(true)
        && let Some(budget) = present
    {
        let period_start = budget.period_start(clock::unix());
        writes.push(Write::ResetBudget { id: budget.id, period_start });
        key.extra.last_reset_at_ms = Some(clock::unix_ms());
    }
    Ok(writes)
}
