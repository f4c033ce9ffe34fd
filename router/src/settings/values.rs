//! Values of the settings file that need more than their type: secrets, limits, budgets, dates.

use std::fmt;

use tidegate_prices::NanoUsd;
use tidegate_store::{BreakerRecord, BudgetRecord, LimitRecord, OnStoreLoss, Origin, Period, Window};

use super::file::{BreakerSettings, BudgetSettings, LimitSettings, PeriodName};
use crate::actors::key::MAX_LIMITS;

/// A secret; `Debug` and `Display` never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Resolves `env:NAME`, `file:PATH` or a literal secret. `environment` looks a variable up.
///
/// # Errors
/// A sentence naming the variable or file.
pub fn resolve_secret(
    reference: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, String> {
    let text = if let Some(name) = reference.strip_prefix("env:") {
        environment(name).ok_or_else(|| format!("environment variable {name} is not set"))?
    } else if let Some(path) = reference.strip_prefix("file:") {
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?
    } else {
        reference.to_owned()
    };
    let text = text.trim();
    if text.is_empty() {
        let what = if reference.contains(':') { reference } else { "the secret" };
        return Err(format!("{what} is empty"));
    }
    Ok(Secret::new(text))
}

pub(super) fn limits(settings: &[LimitSettings]) -> Result<Vec<LimitRecord>, String> {
    if settings.len() > MAX_LIMITS {
        return Err(format!("limits: at most {MAX_LIMITS} are allowed"));
    }
    settings
        .iter()
        .enumerate()
        .map(|(at, limit)| one_limit(limit).map_err(|e| format!("limits[{at}]: {e}")))
        .collect()
}

fn one_limit(limit: &LimitSettings) -> Result<LimitRecord, String> {
    let window = |per: Option<Window>| per.ok_or("`per` is missing: second, minute, hour, day or week");
    if limit.concurrent.is_some() && limit.on_store_loss == OnStoreLoss::Open {
        return Err("`concurrent` takes no `on_store_loss`: each node counts its own".into());
    }
    let read = match (limit.requests, limit.tokens, limit.concurrent) {
        (Some(amount), None, None) => Ok(LimitRecord::requests(amount, window(limit.per)?)),
        (None, Some(amount), None) => Ok(LimitRecord::tokens(amount, window(limit.per)?)),
        (None, None, Some(_)) if limit.per.is_some() => Err("`concurrent` takes no `per`".into()),
        (None, None, Some(amount)) => Ok(LimitRecord::Concurrent { amount }),
        _ => Err("needs exactly one of `requests`, `tokens`, `concurrent`".into()),
    };
    read.map(|read| read.with_store_loss(limit.on_store_loss))
}

pub(super) fn budget(id: String, name: &str, settings: &BudgetSettings) -> Result<BudgetRecord, String> {
    let text = decimal_text(&settings.usd).ok_or("budget.usd: a number of US dollars is expected")?;
    let limit: NanoUsd = text.parse().map_err(|error| format!("budget.usd: {error}"))?;
    let period = match (settings.period, settings.days) {
        (None, None) => Period::Total,
        (Some(PeriodName::Daily), None) => Period::Daily,
        (Some(PeriodName::Weekly), None) => Period::Weekly,
        (Some(PeriodName::Monthly), None) => Period::Monthly,
        (None, Some(days)) if (1..=365).contains(&days) => Period::Days(days),
        (None, Some(_)) => return Err("budget.days: 1 to 365 are accepted".into()),
        (Some(_), Some(_)) => return Err("budget: `period` and `days` exclude each other".into()),
    };
    Ok(BudgetRecord {
        origin: Origin::Settings,
        period,
        on_store_loss: settings.on_store_loss,
        ..BudgetRecord::named(id, name, limit.as_i64())
    })
}

/// Reads a circuit breaker. Its defaults shut out a provider that fails half of the time, for half a minute.
pub(super) fn breaker(settings: &BreakerSettings) -> Result<BreakerRecord, String> {
    let within = |name: &str, value: Option<u64>, default: u64, least: u64, most: u64| {
        let value = value.unwrap_or(default);
        if (least..=most).contains(&value) {
            Ok(value)
        } else {
            Err(format!("breaker.{name}: {least} to {most} are accepted"))
        }
    };
    if settings.percent.is_some_and(|percent| !(percent > 0.0 && percent <= 100.0)) {
        return Err("breaker.percent: a number above 0, at most 100, is expected".into());
    }
    let percent = settings.percent.or(settings.failures.is_none().then_some(50.0));
    Ok(BreakerRecord {
        failures: settings
            .failures
            .map(|count| within("failures", Some(count), 1, 1, 1_000_000))
            .transpose()?,
        percent,
        minimum_requests: within("minimum_requests", settings.minimum_requests, 10, 1, 1_000_000)?,
        window_ms: within("window_ms", settings.window_ms, 60_000, 1_000, 3_600_000)?,
        cooldown_ms: within("cooldown_ms", settings.cooldown_ms, 30_000, 100, 3_600_000)?,
    })
}

/// Returns the decimal text of a number or string. A float's shortest text is what was written.
fn decimal_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// Reads an RFC 3339 date and time into seconds since the epoch; without an offset it is UTC.
pub(super) fn timestamp(value: &toml::Value) -> Result<i64, String> {
    use time::format_description::well_known::Rfc3339;
    let mut text = match value {
        toml::Value::Datetime(moment) => moment.to_string(),
        toml::Value::String(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let time_starts = text.find(['T', 't', ' ']);
    match time_starts {
        None => text.push_str("T00:00:00Z"),
        Some(at) if !text[at..].contains(['Z', 'z', '+', '-']) => text.push('Z'),
        Some(_) => {}
    }
    time::OffsetDateTime::parse(&text, &Rfc3339)
        .map(time::OffsetDateTime::unix_timestamp)
        .map_err(|_| format!("expires_at: {text} is not a date and time like 2026-12-31T00:00:00Z"))
}
