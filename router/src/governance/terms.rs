//! Portkey's words for limits: `usage_limits` and `rate_limits` as its Admin API writes them, read and written.
//!
//! Money is in US dollars there and in nano-dollars here; whole numbers stay whole, as Terraform's provider needs.

use serde_json::{Map, Value, json};
use tidegate_prices::NanoUsd;
use tidegate_store::{BudgetRecord, LimitRecord, OnStoreLoss, Period, Unit, Window};

use super::Bad;

const DAY: i64 = 86_400;
/// Most limits of one holder.
const MOST_LIMITS: usize = 16;

/// Reads a flag, written as a boolean or as 1 or 0.
#[must_use]
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_u64().map(|number| number == 1),
        _ => None,
    }
}

/// Reads one usage limit. `id` and `name` become the budget's; `path` names the member in errors.
///
/// # Errors
/// [`Bad`] with the member and what is accepted.
pub fn read_usage_limit(id: &str, name: &str, limit: &Value, path: &str) -> Result<BudgetRecord, Bad> {
    let members = limit.as_object().ok_or_else(|| Bad::new(path, "an object is expected"))?;
    let at = |member: &str| format!("{path}.{member}");
    let unit = match members.get("type").and_then(Value::as_str) {
        None if !members.contains_key("type") => Unit::Cost,
        Some("cost") => Unit::Cost,
        Some("tokens") => Unit::Tokens,
        Some("requests") => Unit::Requests,
        _ => return Err(Bad::new(at("type"), "cost, tokens or requests is expected")),
    };
    let amount = |member: &str| match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read_amount(unit, value).map(Some).map_err(|message| Bad::new(at(member), message)),
    };
    let limit = amount("credit_limit")?
        .ok_or_else(|| Bad::new(at("credit_limit"), "is missing; a number is expected"))?;
    let alert = amount("alert_threshold")?;
    if alert.is_some_and(|alert| alert >= limit) {
        return Err(Bad::new(at("alert_threshold"), "less than credit_limit is expected"));
    }
    let days = match members.get("periodic_reset_days") {
        None | Some(Value::Null) => None,
        Some(days) => {
            let days = days
                .as_u64()
                .and_then(|days| u16::try_from(days).ok())
                .filter(|days| (1..=365).contains(days));
            Some(days.ok_or_else(|| Bad::new(at("periodic_reset_days"), "1 to 365 are accepted"))?)
        }
    };
    let period = match (members.get("periodic_reset"), days) {
        (None | Some(Value::Null), None) => Period::Total,
        (None | Some(Value::Null), Some(days)) => Period::Days(days),
        (Some(_), Some(_)) => {
            return Err(Bad::new(at("periodic_reset"), "it and periodic_reset_days exclude each other"));
        }
        (Some(Value::String(name)), None) => match name.as_str() {
            "daily" => Period::Daily,
            "weekly" => Period::Weekly,
            "monthly" => Period::Monthly,
            _ => return Err(Bad::new(at("periodic_reset"), "weekly, monthly, daily or null is expected")),
        },
        (Some(_), None) => {
            return Err(Bad::new(at("periodic_reset"), "weekly, monthly, daily or null is expected"));
        }
    };
    let restarts_at = match members.get("next_usage_reset_at") {
        None | Some(Value::Null) => None,
        Some(moment) => {
            let read = moment.as_str().and_then(read_moment);
            let at =
                read.ok_or_else(|| Bad::new(at("next_usage_reset_at"), "an RFC 3339 moment is expected"))?;
            Some(at.div_euclid(DAY) * DAY)
        }
    };
    Ok(BudgetRecord {
        on_store_loss: read_store_loss(members, path)?,
        unit,
        period,
        restarts_at,
        alerts: alert.into_iter().collect(),
        ..BudgetRecord::named(id, name, limit)
    })
}

/// Reads `on_store_loss` of a limit: what holds while the nodes' shared store does not answer.
///
/// # Errors
/// [`Bad`]
pub fn read_store_loss(members: &Map<String, Value>, path: &str) -> Result<OnStoreLoss, Bad> {
    match members.get("on_store_loss") {
        None | Some(Value::Null) => Ok(OnStoreLoss::Closed),
        Some(value) if value == "closed" => Ok(OnStoreLoss::Closed),
        Some(value) if value == "open" => Ok(OnStoreLoss::Open),
        Some(_) => Err(Bad::new(format!("{path}.on_store_loss"), "closed or open is expected")),
    }
}

/// Writes it where it is not the default, which Portkey's clients do not know.
fn write_store_loss(mut shown: Value, on_store_loss: OnStoreLoss) -> Value {
    if on_store_loss == OnStoreLoss::Open {
        shown["on_store_loss"] = json!("open");
    }
    shown
}

/// Reads `usage_limits`: nothing, one limit, or a list with at most one of each type. Ids become `prefix:type`.
///
/// # Errors
/// [`Bad`]
pub fn read_usage_limits(
    prefix: &str,
    name: &str,
    limits: &Value,
    path: &str,
) -> Result<Vec<BudgetRecord>, Bad> {
    let list = match limits {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list.as_slice(),
        Value::Object(members) if members.is_empty() => return Ok(Vec::new()),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return Err(Bad::new(path, "an object, a list of objects or null is expected")),
    };
    let mut budgets: Vec<BudgetRecord> = Vec::new();
    for (at, limit) in list.iter().enumerate() {
        let path = if limits.is_array() { format!("{path}[{at}]") } else { path.to_owned() };
        let mut budget = read_usage_limit(prefix, name, limit, &path)?;
        if budgets.iter().any(|known| known.unit == budget.unit) {
            return Err(Bad::new(path, "only one limit of each type is accepted"));
        }
        budget.id = format!("{prefix}:{}", unit_name(budget.unit));
        budgets.push(budget);
    }
    Ok(budgets)
}

/// Returns a unit's name in Portkey's words.
#[must_use]
pub fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Cost => "cost",
        Unit::Tokens => "tokens",
        Unit::Requests => "requests",
    }
}

/// Reads an amount: US dollars for money, else a whole number.
///
/// # Errors
/// What is accepted.
pub fn read_amount(unit: Unit, value: &Value) -> Result<i64, String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return Err("a number is expected".to_owned()),
    };
    if unit == Unit::Cost {
        let amount: NanoUsd = text.parse().map_err(|error| format!("{error}"))?;
        return Ok(amount.as_i64());
    }
    let whole = text.strip_suffix(".0").unwrap_or(&text).parse::<i64>().ok().filter(|amount| *amount >= 0);
    whole.ok_or_else(|| "a whole number of 0 or more is expected".to_owned())
}

/// Writes an amount: a whole number where it is one, so that clients that read integers can.
#[must_use]
pub fn write_amount(unit: Unit, amount: i64) -> Value {
    const NANO: i64 = 1_000_000_000;
    match unit {
        Unit::Cost if amount % NANO == 0 => json!(amount / NANO),
        Unit::Cost => NanoUsd(u64::try_from(amount).unwrap_or(0))
            .to_string()
            .parse::<f64>()
            .map_or(Value::Null, Value::from),
        Unit::Tokens | Unit::Requests => json!(amount),
    }
}

/// Reads an RFC 3339 moment, or a date, into seconds since the epoch.
#[must_use]
pub fn read_moment(text: &str) -> Option<i64> {
    use time::format_description::well_known::Rfc3339;
    let text = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    time::OffsetDateTime::parse(&text, &Rfc3339).ok().map(time::OffsetDateTime::unix_timestamp)
}

/// Writes a usage limit as Portkey shows it. `next` is when it starts again, in text.
#[must_use]
pub fn write_usage_limit(budget: &BudgetRecord, next: Option<String>) -> Value {
    let (reset, days) = match budget.period {
        Period::Total => (Value::Null, Value::Null),
        Period::Daily => (json!("daily"), Value::Null),
        Period::Weekly => (json!("weekly"), Value::Null),
        Period::Monthly => (json!("monthly"), Value::Null),
        Period::Days(days) => (Value::Null, json!(days)),
    };
    let shown = json!({
        "type": unit_name(budget.unit),
        "credit_limit": write_amount(budget.unit, budget.limit),
        "alert_threshold": budget.alerts.first().map(|alert| write_amount(budget.unit, *alert)),
        "periodic_reset": reset,
        "periodic_reset_days": days,
        "next_usage_reset_at": next,
    });
    write_store_loss(shown, budget.on_store_loss)
}

/// Reads `rate_limits`: nothing, one limit, or a list.
///
/// # Errors
/// [`Bad`]
pub fn read_rate_limits(limits: &Value, path: &str) -> Result<Vec<LimitRecord>, Bad> {
    let list = match limits {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list.as_slice(),
        Value::Object(members) if members.is_empty() => return Ok(Vec::new()),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return Err(Bad::new(path, "an object, a list of objects or null is expected")),
    };
    if list.len() > MOST_LIMITS {
        return Err(Bad::new(path, format!("at most {MOST_LIMITS} limits are accepted")));
    }
    let at = |at: usize| if limits.is_array() { format!("{path}[{at}]") } else { path.to_owned() };
    list.iter().enumerate().map(|(index, limit)| read_rate_limit(limit, &at(index))).collect()
}

/// Reads one rate limit: `{type, unit, value}`.
///
/// # Errors
/// [`Bad`]
pub fn read_rate_limit(limit: &Value, path: &str) -> Result<LimitRecord, Bad> {
    let empty = Map::new();
    let members = limit.as_object().unwrap_or(&empty);
    let amount = members.get("value").and_then(read_count).ok_or_else(|| {
        Bad::new(format!("{path}.value"), "a whole number from 0 to 4294967295 is expected")
    })?;
    let kind = members.get("type").and_then(Value::as_str);
    let on_store_loss = read_store_loss(members, path)?;
    if kind == Some("concurrent") {
        if on_store_loss == OnStoreLoss::Open {
            let message = "each node counts its own concurrency; only closed is accepted";
            return Err(Bad::new(format!("{path}.on_store_loss"), message));
        }
        return Ok(LimitRecord::Concurrent { amount });
    }
    let per = match members.get("unit").and_then(Value::as_str) {
        Some("rps") => Window::Second,
        Some("rpm" | "tpm") => Window::Minute,
        Some("rph" | "tph") => Window::Hour,
        Some("rpd" | "tpd") => Window::Day,
        Some("rpw" | "tpw") => Window::Week,
        _ => return Err(Bad::new(format!("{path}.unit"), "rps, rpm, rph, rpd or rpw is expected")),
    };
    match kind {
        Some("requests") => Ok(LimitRecord::requests(amount, per).with_store_loss(on_store_loss)),
        Some("tokens") => Ok(LimitRecord::tokens(amount, per).with_store_loss(on_store_loss)),
        _ => Err(Bad::new(format!("{path}.type"), "requests, tokens or concurrent is expected")),
    }
}

fn read_count(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").unwrap_or(&text).parse().ok()
        }
        _ => None,
    }
}

/// Writes a rate limit as Portkey shows it.
#[must_use]
pub fn write_rate_limit(limit: &LimitRecord) -> Value {
    let unit = |per: Window| match per {
        Window::Second => "rps",
        Window::Minute => "rpm",
        Window::Hour => "rph",
        Window::Day => "rpd",
        Window::Week => "rpw",
    };
    match *limit {
        LimitRecord::Requests { amount, per, on_store_loss } => {
            let shown = json!({"type": "requests", "unit": unit(per), "value": amount});
            write_store_loss(shown, on_store_loss)
        }
        LimitRecord::Tokens { amount, per, on_store_loss } => {
            write_store_loss(json!({"type": "tokens", "unit": unit(per), "value": amount}), on_store_loss)
        }
        LimitRecord::Concurrent { amount } => json!({"type": "concurrent", "value": amount}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limit: Value) -> Result<BudgetRecord, Bad> {
        read_usage_limit("b", "b", &limit, "usage_limits")
    }

    #[test]
    fn dollars_are_read_exactly_and_written_whole_where_they_are() {
        let read = budget(json!({"type": "cost", "credit_limit": 1.25, "alert_threshold": 1})).unwrap();
        assert_eq!((read.limit, read.alerts.clone()), (1_250_000_000, vec![1_000_000_000]));
        let written = write_usage_limit(&read, None);
        assert_eq!((&written["credit_limit"], &written["alert_threshold"]), (&json!(1.25), &json!(1)));
        assert_eq!(budget(json!({"type": "tokens", "credit_limit": 500.0})).unwrap().limit, 500);
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_refused_by_name() {
        for (limit, path) in [
            (json!({"type": "cost"}), "usage_limits.credit_limit"),
            (json!({"type": "euros", "credit_limit": 1}), "usage_limits.type"),
            (json!({"credit_limit": 1, "alert_threshold": 1}), "usage_limits.alert_threshold"),
            (json!({"credit_limit": -1}), "usage_limits.credit_limit"),
            (json!({"credit_limit": 1, "on_store_loss": "allow"}), "usage_limits.on_store_loss"),
            (json!({"credit_limit": 1, "periodic_reset": "yearly"}), "usage_limits.periodic_reset"),
            (
                json!({"credit_limit": 1, "periodic_reset": "weekly", "periodic_reset_days": 3}),
                "usage_limits.periodic_reset",
            ),
            (json!({"credit_limit": 1, "periodic_reset_days": 366}), "usage_limits.periodic_reset_days"),
            (json!({"credit_limit": 1, "next_usage_reset_at": "soon"}), "usage_limits.next_usage_reset_at"),
            (json!(3), "usage_limits"),
        ] {
            assert_eq!(budget(limit.clone()).unwrap_err().param, path, "{limit}");
        }
    }

    #[test]
    fn limits_come_alone_or_in_lists() {
        let one = json!({"type": "requests", "unit": "rpm", "value": 3});
        let read = read_rate_limits(&one, "rate_limits").unwrap();
        assert_eq!(read, [LimitRecord::requests(3, Window::Minute)]);
        assert_eq!(write_rate_limit(&read[0]), one);
        assert_eq!(read_rate_limits(&Value::Null, "rate_limits").unwrap(), []);
        let twice = json!([{"type": "cost", "credit_limit": 1}, {"type": "cost", "credit_limit": 2}]);
        assert_eq!(read_usage_limits("w", "w", &twice, "usage_limits").unwrap_err().param, "usage_limits[1]");
        let both = json!([{"type": "cost", "credit_limit": 1}, {"type": "tokens", "credit_limit": 200}]);
        let ids: Vec<_> =
            read_usage_limits("w", "w", &both, "u").unwrap().into_iter().map(|b| b.id).collect();
        assert_eq!(ids, ["w:cost", "w:tokens"]);
        let open = json!({"type": "tokens", "unit": "rph", "value": 3, "on_store_loss": "open"});
        let read = read_rate_limits(&open, "rate_limits").unwrap();
        assert_eq!(read, [LimitRecord::tokens(3, Window::Hour).with_store_loss(OnStoreLoss::Open)]);
        assert_eq!(write_rate_limit(&read[0]), open);
        let own = json!({"type": "concurrent", "value": 3, "on_store_loss": "open"});
        assert_eq!(read_rate_limits(&own, "rate_limits").unwrap_err().param, "rate_limits.on_store_loss");
        let bad = json!([{"type": "requests", "unit": "rpx", "value": 3}]);
        assert_eq!(read_rate_limits(&bad, "rate_limits").unwrap_err().param, "rate_limits[0].unit");
    }
}
