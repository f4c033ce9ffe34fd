//! What a caller is told when a key, limit or budget says no.

use std::time::Duration;

use tidegate_prices::NanoUsd;
use tidegate_store::{KeyRecord, KeyStatus, Unit};

use super::admit::SCOPE;
use crate::actors::budget::BudgetHandle;
use crate::actors::key::{KeyHandle, KeyRefusal};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::limits::{Exhausted, RateKind, Refusal};
use crate::scopes;

pub(super) fn key_refusal(refusal: &KeyRefusal, key: &KeyHandle, model: &str) -> GatewayError {
    match refusal {
        KeyRefusal::Revoked => GatewayError::new(ErrorKind::Key, "Invalid API Key"),
        KeyRefusal::Expired => GatewayError::new(ErrorKind::KeyExpired, "API Key Expired"),
        KeyRefusal::Scope(scope) => {
            GatewayError::new(ErrorKind::Scope, format!("This API key lacks the scope {scope}"))
        }
        KeyRefusal::Model => {
            let message = format!("Model {model} is not allowed for API key {}", key.record().name);
            GatewayError::new(ErrorKind::Model, message).at("model")
        }
        KeyRefusal::Limit { refusal, views } => {
            let mut error = limit_refusal(refusal, &format!("API key {}", key.record().name));
            error.views.clone_from(views);
            error
        }
    }
}

/// Makes the 429 of a limit of `whose`, or the 503 of its breaker.
pub(super) fn limit_refusal(refusal: &Refusal, whose: &str) -> GatewayError {
    match *refusal {
        Refusal::Rate { kind, limit, per, wait } => {
            let what = match kind {
                RateKind::Requests => "requests",
                RateKind::Tokens => "tokens",
            };
            let per = format!("{per:?}").to_lowercase();
            let mut error = GatewayError::new(
                ErrorKind::RateLimit,
                format!(
                    "Rate limit reached for {whose}: {limit} {what} per {per}. Try again in {:.1} s",
                    tenths(wait)
                ),
            );
            error.retry_after = Some(wait);
            error
        }
        Refusal::Concurrency { limit } => {
            let mut error = GatewayError::new(
                ErrorKind::RateLimit,
                format!("Too many requests at the same time for {whose}: {limit} are allowed"),
            );
            error.retry_after = Some(Duration::from_secs(1));
            error
        }
        Refusal::Open { wait } => {
            let seconds = tenths(wait);
            let message = format!(
                "Too many of the last requests to {whose} failed; it is left alone for {seconds:.1} s (circuit breaker)"
            );
            let mut error = GatewayError::new(ErrorKind::CircuitOpen, message);
            error.retry_after = Some(wait);
            error
        }
    }
}

/// Returns seconds, rounded up to tenths and never none: who is refused and told to wait 0.0 s learns nothing.
fn tenths(wait: Duration) -> f64 {
    ((wait.as_secs_f64() * 10.0).ceil() / 10.0).max(0.1)
}

/// Makes the 429 of a provider's own limit, or the 503 of its breaker.
pub(super) fn provider_refusal(refusal: &Refusal, slug: &str) -> GatewayError {
    let mut error = limit_refusal(refusal, &format!("provider {slug}"));
    if error.kind == ErrorKind::RateLimit {
        error.kind = ErrorKind::ProviderRateLimit;
    }
    error
}

/// Refuses a key that may send no requests at all, before it is told anything of what there is.
///
/// # Errors
/// 401 or 403, as the key's actor would say it.
pub(super) fn may_ask(key: &KeyRecord) -> Result<(), GatewayError> {
    if key.status != KeyStatus::Active {
        return Err(GatewayError::new(ErrorKind::Key, "Invalid API Key"));
    }
    if key.expires_at.is_some_and(|at| at <= clock::unix()) {
        return Err(GatewayError::new(ErrorKind::KeyExpired, "API Key Expired"));
    }
    if !scopes::grants(key, SCOPE) {
        return Err(GatewayError::new(ErrorKind::Scope, format!("This API key lacks the scope {SCOPE}")));
    }
    Ok(())
}

/// Makes the 412 of a budget; `need` is what a request would have had to hold.
#[must_use]
pub(super) fn budget_refusal(
    budget: &BudgetHandle,
    exhausted: &Exhausted,
    need: Option<i64>,
) -> GatewayError {
    let record = budget.record();
    let amount = |amount: i64| match record.unit {
        Unit::Cost => format!("{} USD", NanoUsd(u64::try_from(amount).unwrap_or(0))),
        Unit::Tokens => format!("{amount} tokens"),
        Unit::Requests => format!("{amount} requests"),
    };
    let (kind, whose) = match record.id.split_once(':') {
        Some(("provider", _)) => (ErrorKind::ProviderBudget, format!("provider {}", record.name)),
        Some(("workspace", _)) => (ErrorKind::WorkspaceBudget, format!("workspace {}", record.name)),
        Some(("integration", _)) => (ErrorKind::IntegrationBudget, format!("integration {}", record.name)),
        Some(("policy", bucket)) => {
            let (policy, value) = bucket.split_once(':').unwrap_or((bucket, "default"));
            let whose = format!("usage limits policy {} ({policy}) and value key {value}", record.name);
            (ErrorKind::PolicyBudget, whose)
        }
        _ => (ErrorKind::Budget, format!("API key {}", record.name)),
    };
    let mut message = format!(
        "Budget exceeded for {whose}: limit {}, spent {}",
        amount(exhausted.limit),
        amount(exhausted.spent)
    );
    if exhausted.held > 0 {
        message.push_str(&format!(", held by other requests {}", amount(exhausted.held)));
    }
    match need {
        Some(need) => message.push_str(&format!("; this request needs {}", amount(need))),
        None => message.push_str("; this answer used the rest"),
    }
    GatewayError::new(kind, message)
}
