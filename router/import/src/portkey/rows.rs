//! Rows of an export that are no configs: limits, keys, guardrails.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::input::Row;
use crate::draft::{Budget, Document, Draft, Key, Limit, Period, dollars};
use crate::error::ImportError;
use crate::variables::upper;

/// Limits that a key or provider may have.
const MOST_LIMITS: usize = 16;

/// Reads `usage_limits` and `rate_limits`.
pub(super) fn limits_of(row: &Row, draft: &mut Draft, limits: &mut Vec<Limit>, budget: &mut Option<Budget>) {
    if let Some(usage) = row.members.get("usage_limits").filter(|usage| !usage.is_null()) {
        let many = usage.as_array().map_or_else(|| vec![usage], |many| many.iter().collect());
        for usage in many {
            match budget_of(usage) {
                Some(read) if budget.is_none() => *budget = Some(read),
                _ => draft.note(
                    row.at("usage_limits"),
                    "is not taken over: one budget in dollars is there, budgets in tokens are not",
                ),
            }
        }
    }
    let rates = row.members.get("rate_limits").and_then(Value::as_array);
    for (at, rate) in rates.into_iter().flatten().enumerate() {
        match limit_of(rate) {
            Some(limit) if limits.len() < MOST_LIMITS => limits.push(limit),
            _ => draft.note(format!("{}[{at}]", row.at("rate_limits")), "is not understood and left out"),
        }
    }
}

fn budget_of(usage: &Value) -> Option<Budget> {
    if usage.get("type").is_some_and(|kind| kind != "cost") {
        return None;
    }
    let usd = dollars(usage.get("credit_limit")?.as_f64()?)?;
    let days =
        usage.get("periodic_reset_days").and_then(Value::as_u64).and_then(|days| u16::try_from(days).ok());
    let period = match (usage.get("periodic_reset").and_then(Value::as_str), days) {
        (_, Some(days @ 1..=365)) => Period::Days(days),
        (Some("weekly"), _) => Period::Named("weekly"),
        (Some("monthly"), _) => Period::Named("monthly"),
        _ => Period::Never,
    };
    Some(Budget { usd, period })
}

fn limit_of(rate: &Value) -> Option<Limit> {
    let amount = u32::try_from(rate.get("value")?.as_u64()?).ok()?;
    let per = match rate.get("unit")?.as_str()? {
        "rps" => "second",
        "rpm" => "minute",
        "rph" => "hour",
        "rpd" => "day",
        "rpw" => "week",
        _ => return None,
    };
    match rate.get("type").and_then(Value::as_str) {
        None | Some("requests") => Some(Limit::Requests(amount, per)),
        Some("tokens") => Some(Limit::Tokens(amount, per)),
        Some(_) => None,
    }
}

/// Makes a key. Its text is rarely in an export: else a new one is made at the first start. `ids` are other names of
/// configs.
pub(super) fn key(row: &Row, number: usize, ids: &HashMap<String, String>, draft: &mut Draft) {
    let named = row.text(&["name", "slug", "id"]).filter(|name| !name.trim().is_empty());
    let wanted = named.map_or_else(|| format!("key-{number}"), str::to_owned);
    let mut name = wanted.clone();
    let mut again = 2;
    while draft.keys.iter().any(|known| known.name == name) {
        name = format!("{wanted} {again}");
        again += 1;
    }
    if row.text(&["status"]).is_some_and(|status| status != "active" && status != "exhausted") {
        draft.note(row.path.clone(), format!("{name} is not active and left out"));
        return;
    }
    let mut key =
        Key { name, comment: "Made at the first start and printed once.".to_owned(), ..Key::default() };
    limits_of(row, draft, &mut key.limits, &mut key.budget);
    let empty = Map::new();
    let defaults = row.members.get("defaults").and_then(Value::as_object).unwrap_or(&empty);
    if let Some(config) = defaults.get("config_id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        let config = ids.get(config).map_or(config, String::as_str);
        if draft.configs.iter().any(|known| known.id == config) {
            key.config = Some(config.to_owned());
        } else {
            draft.note(
                row.at("defaults.config_id"),
                format!("there is no config {config} in the input; left out"),
            );
        }
    }
    key.allow_config_override =
        defaults.get("allow_config_override").and_then(Value::as_bool).filter(|allow| !allow);
    if let Some(metadata) = defaults.get("metadata").and_then(Value::as_object) {
        for (name, value) in metadata {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            key.metadata.push((name.clone(), text));
        }
    }
    if let Some(moment) = row.text(&["expires_at"]) {
        if is_moment(moment) {
            key.expires_at = Some(moment.to_owned());
        } else {
            draft.note(row.at("expires_at"), "is no date and time like 2027-01-31T12:00:00Z; left out");
        }
    }
    if row.members.get("scopes").and_then(Value::as_array).is_some_and(|scopes| !scopes.is_empty()) {
        draft.note(row.at("scopes"), "is not taken over; the key has completions.write");
    }
    match row.text(&["key"]).filter(|key| !key.contains('*')) {
        Some(text) => {
            let wanted = format!("{}_KEY", upper(&key.name));
            key.key = Some(draft.variables.of_secret(text, &wanted, &row.at("key")));
            key.comment.clear();
        }
        None => draft
            .note(row.path.clone(), format!("{} gets a new key: give it to who used the old one", key.name)),
    }
    draft.keys.push(key);
}

/// Whether a text has the form `YYYY-MM-DDThh:mm:ss[.f](Z|+hh:mm)`; the calendar is the gateway's to check.
fn is_moment(text: &str) -> bool {
    let shape: String =
        text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00") else { return false };
    if rest.is_empty() {
        return true;
    }
    let Some(rest) = rest.strip_prefix("T00:00:00") else { return false };
    let rest = rest.strip_prefix('.').map_or(rest, |fraction| fraction.trim_start_matches('0'));
    matches!(rest, "" | "Z" | "+00:00" | "-00:00")
}

/// Makes a guardrail of a row, under its slug.
pub(super) fn guardrail(row: &Row, draft: &mut Draft) -> Result<(), ImportError> {
    match row.text(&["slug", "id"]).filter(|id| !id.trim().is_empty()) {
        Some(id) => guardrail_as(id, row, draft),
        None => Err(ImportError::at(row.path.clone(), "slug is missing")),
    }
}

fn guardrail_as(id: &str, row: &Row, draft: &mut Draft) -> Result<(), ImportError> {
    let mut hook = Map::new();
    hook.insert("checks".to_owned(), row.members.get("checks").cloned().unwrap_or_else(|| json!([])));
    if let Some(actions) = row.members.get("actions").and_then(Value::as_object) {
        for (name, value) in actions {
            if !value.is_null() {
                hook.insert(name.clone(), value.clone());
            }
        }
    }
    let mut json = Value::Object(hook);
    super::targets::redact(&mut json, &row.path, draft);
    tidegate_config::Hooks::parse(&json.to_string())
        .map_err(|error| ImportError::at(row.path.clone(), error.to_string()))?;
    if draft.guardrails.iter().any(|known| known.id == id) {
        draft.note(row.path.clone(), "is there twice; the first one counts");
        return Ok(());
    }
    let comment = row.text(&["name"]).unwrap_or_default().to_owned();
    draft.guardrails.push(Document { id: id.to_owned(), json, comment });
    Ok(())
}

/// Makes sure that a guardrail that a config names is there. What is not in the input is replaced by one that blocks:
/// what was guarded must not be open.
pub(super) fn named_guardrail(
    id: &str,
    path: &str,
    rows: &[Row],
    draft: &mut Draft,
) -> Result<(), ImportError> {
    if draft.guardrails.iter().any(|known| known.id == id) {
        return Ok(());
    }
    if let Some(row) = rows.iter().find(|row| row.text(&["id"]) == Some(id)) {
        return guardrail_as(id, row, draft);
    }
    if id.trim().is_empty() {
        return Err(ImportError::at(path, "a guardrail's id is expected"));
    }
    draft.note(
        path,
        format!("guardrail \"{id}\" is not in the input; one that refuses everything stands in its place"),
    );
    draft.guardrails.push(Document {
        id: id.to_owned(),
        json: json!({"deny": true, "checks": [{"id": "import.missing", "parameters": {"failOnError": true}}]}),
        comment: "Refuses everything until its checks are filled in.".to_owned(),
    });
    Ok(())
}
