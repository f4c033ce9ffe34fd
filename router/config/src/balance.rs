//! Reads how a strategy chooses among equals (`by`), keeps callers where they were (`sticky`) and ranks targets
//! (`priority`).

use std::time::Duration;

use serde_json::Value;

use crate::members::{Members, join};
use crate::plan::{By, ConfigError, Sticky};

/// What the hosted Portkey documents as the life of a sticky choice, in seconds.
const STICKY_TTL: u64 = 3_600;
/// Larger weights say nothing that smaller ones don't.
const LARGEST_WEIGHT: f64 = 1e9;

/// Reads `weight` of every target.
pub(crate) fn weights(targets: &[Value], path: &str) -> Result<Vec<f64>, ConfigError> {
    let mut weights = Vec::with_capacity(targets.len());
    for (at, target) in targets.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let target = Members::of(target, &path)?;
        let weight = match target.get("weight") {
            None => Some(1.0),
            Some(value) => value.as_f64().filter(|weight| (0.0..=LARGEST_WEIGHT).contains(weight)),
        };
        weights
            .push(weight.ok_or_else(|| target.wrong("weight", "a number from 0 to 1000000000 is expected"))?);
    }
    if weights.iter().sum::<f64>() <= 0.0 {
        return Err(crate::members::refused(path, "all weights are 0; at least one must be positive"));
    }
    Ok(weights)
}

/// Reads `by`.
pub(crate) fn by(strategy: &Members<'_>) -> Result<By, ConfigError> {
    let Some(written) = strategy.text("by")? else { return Ok(By::Weight) };
    let plain: String = written.chars().filter(|letter| !"-_".contains(*letter)).collect();
    match plain.to_ascii_lowercase().as_str() {
        "weight" => Ok(By::Weight),
        "latency" => Ok(By::Latency),
        "cost" => Ok(By::Cost),
        "leastbusy" => Ok(By::LeastBusy),
        _ => {
            let message =
                format!("\"{written}\" is unknown; one of weight, latency, cost, least_busy is expected");
            Err(strategy.wrong("by", &message))
        }
    }
}

/// Reads `sticky`, which keeps callers where weights put them.
pub(crate) fn sticky(strategy: &Members<'_>, by: By) -> Result<Option<Sticky>, ConfigError> {
    let Some(object) = strategy.object("sticky")? else { return Ok(None) };
    let at = strategy.at("sticky");
    let members = Members { object, path: &at };
    let hash_fields = members.texts("hash_fields")?.unwrap_or_default();
    for (at, field) in hash_fields.iter().enumerate() {
        let known = ["metadata.", "params.", "headers."];
        if !known.iter().any(|known| field.len() > known.len() && field.starts_with(known)) {
            let message = "a path beginning with metadata., params. or headers. is expected";
            return Err(members.wrong(&format!("hash_fields[{at}]"), message));
        }
    }
    let ttl = members.whole("ttl", 1, "a positive number of seconds")?.unwrap_or(STICKY_TTL);
    if !members.flag("enabled")?.unwrap_or(true) {
        return Ok(None);
    }
    if by != By::Weight {
        let message = "keeps callers at a target chosen by weight; `by` can't be anything else beside it";
        return Err(crate::members::refused(&at, message));
    }
    Ok(Some(Sticky { hash_fields, ttl: Duration::from_secs(ttl) }))
}

/// Reads `priority` of every target; without any, they are ranked as they are written.
pub(crate) fn levels(targets: &[Value], path: &str) -> Result<Vec<u64>, ConfigError> {
    let mut levels = Vec::with_capacity(targets.len());
    let mut without = None;
    for (at, target) in targets.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let target = Members::of(target, &path)?;
        match target.whole("priority", 0, "a whole number, 0 or more,")? {
            Some(level) => levels.push(level),
            None => without = without.or(Some(path)),
        }
    }
    match without {
        None => Ok(levels),
        Some(_) if levels.is_empty() => Ok((0..targets.len() as u64).collect()),
        Some(path) => {
            let message = "is missing; give every target a number, or none";
            Err(crate::members::refused(&join(&path, "priority"), message))
        }
    }
}
