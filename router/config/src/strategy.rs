//! Reads strategies: how a node chooses among its children.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::balance;
use crate::condition::Condition;
use crate::hedge;
use crate::inherit::Reading;
use crate::members::Members;
use crate::plan::{Breaker, ConfigError, Node, Note, Strategy};
use crate::query;

/// Accepted modes.
const MODES: &str = "single, loadbalance, fallback, priority, conditional";
/// Shortest time a breaker stays open, in milliseconds.
const LEAST_COOLDOWN: u64 = 30_000;

/// A strategy's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Single,
    LoadBalance,
    Fallback,
    Priority,
    Conditional,
}

/// Reads `strategy.mode`.
pub(crate) fn mode(strategy: &Members<'_>) -> Result<Mode, ConfigError> {
    match strategy.text("mode")?.as_deref() {
        Some("single") => Ok(Mode::Single),
        Some("loadbalance" | "load-balance" | "load_balance" | "loadBalance") => Ok(Mode::LoadBalance),
        Some("fallback") => Ok(Mode::Fallback),
        Some("priority") => Ok(Mode::Priority),
        Some("conditional") => Ok(Mode::Conditional),
        // Portkey's own sentence.
        Some(_) => Err(strategy.wrong("mode", &format!("Invalid 'mode' value. Must be one of: {MODES}"))),
        None => Err(strategy.wrong("mode", &format!("is missing; one of {MODES} is expected"))),
    }
}

/// Reads a strategy over `children`, whose objects are `targets` in the list at `path`.
pub(crate) fn read(
    strategy: &Members<'_>,
    mode: Mode,
    children: &[Node],
    targets: &[Value],
    path: &str,
    reading: &mut Reading,
) -> Result<Strategy, ConfigError> {
    let known = [
        "mode",
        "on_status_codes",
        "conditions",
        "default",
        "sticky",
        "cb_config",
        "by",
        "hedge",
        "continue_stream",
    ];
    reading.unknown(strategy, &known);
    for (name, meant_for) in [
        ("by", &[Mode::LoadBalance, Mode::Priority][..]),
        ("sticky", &[Mode::LoadBalance]),
        ("on_status_codes", &[Mode::Fallback, Mode::Priority]),
    ] {
        if strategy.get(name).is_some() && !meant_for.contains(&mode) {
            reading.notes.push(Note::new(&strategy.at(name), "has no effect with this mode"));
        }
    }
    if mode != Mode::Fallback {
        hedge::refuse(strategy)?;
    }
    match mode {
        Mode::Single => {
            if children.len() > 1 {
                reading.notes.push(Note::new(path, "only the first target is used by the mode single"));
            }
            Ok(Strategy::Single)
        }
        Mode::Fallback => Ok(Strategy::Fallback {
            on_status_codes: strategy.statuses("on_status_codes")?,
            hedge: hedge::hedge(strategy, reading)?,
            continue_stream: strategy.flag("continue_stream")?.unwrap_or(false),
        }),
        Mode::LoadBalance => {
            let (weights, by) = (balance::weights(targets, path)?, balance::by(strategy)?);
            Ok(Strategy::LoadBalance { weights, by, sticky: balance::sticky(strategy, by)? })
        }
        Mode::Priority => Ok(Strategy::Priority {
            levels: balance::levels(targets, path)?,
            weights: balance::weights(targets, path)?,
            by: balance::by(strategy)?,
            on_status_codes: strategy.statuses("on_status_codes")?,
        }),
        Mode::Conditional => conditional(strategy, children, reading),
    }
}

fn conditional(
    strategy: &Members<'_>,
    children: &[Node],
    reading: &mut Reading,
) -> Result<Strategy, ConfigError> {
    let place = |name: &str, path: &str| {
        let found = children.iter().position(|child| child.name.as_deref() == Some(name));
        found.ok_or_else(|| {
            let names: Vec<&str> = children.iter().filter_map(|child| child.name.as_deref()).collect();
            let names = if names.is_empty() { "no target has a name".to_owned() } else { names.join(", ") };
            crate::members::refused(
                path,
                &format!("Invalid target name found in the query router: {name} (targets: {names})"),
            )
        })
    };
    let Some(list) = strategy.list("conditions", "objects with query and then")? else {
        return Err(strategy.wrong("conditions", "No conditions passed in the query router"));
    };
    let mut conditions = Vec::with_capacity(list.len());
    for (at, value) in list.iter().enumerate() {
        let path = strategy.at(&format!("conditions[{at}]"));
        let condition = Members::of(value, &path)?;
        let Some(then) = condition.text("then")? else {
            return Err(condition.wrong("then", "is missing; a target's name is expected"));
        };
        let Some(query) = condition.get("query") else {
            return Err(condition.wrong("query", "is missing; an object is expected"));
        };
        let query = query::read(query, &condition.at("query"), &mut reading.notes)?;
        reading.compile(crate::condition::patterns(&query.clauses), &condition.at("query"))?;
        conditions.push(Condition { query, then: place(&then, &condition.at("then"))? });
    }
    let default = match strategy.text("default")? {
        Some(name) => Some(place(&name, &strategy.at("default"))?),
        None => {
            let message = "is missing; requests that match no condition are refused with 400";
            reading.notes.push(Note::new(&strategy.at("default"), message));
            None
        }
    };
    if conditions.is_empty() && default.is_none() {
        let message = "is empty and there is no default, so no target could ever be chosen";
        return Err(strategy.wrong("conditions", message));
    }
    Ok(Strategy::Conditional { conditions, default })
}

/// Reads `cb_config`.
pub(crate) fn breaker(strategy: &Members<'_>) -> Result<Option<Breaker>, ConfigError> {
    let Some(object) = strategy.object("cb_config")? else { return Ok(None) };
    let at = strategy.at("cb_config");
    let members = Members { object, path: &at };
    let failure_threshold = members.whole("failure_threshold", 1, "a positive whole number")?;
    let failure_threshold_percentage = percentage(&members)?;
    if failure_threshold.is_none() && failure_threshold_percentage.is_none() {
        let message = "failure_threshold or failure_threshold_percentage is expected";
        return Err(crate::members::refused(&at, message));
    }
    let what = "a number of milliseconds, at least 30000,";
    let Some(cooldown) = members.whole("cooldown_interval", LEAST_COOLDOWN, what)? else {
        return Err(members.wrong("cooldown_interval", &format!("is missing; {what} is expected")));
    };
    Ok(Some(Breaker {
        failure_threshold,
        failure_threshold_percentage,
        cooldown: Duration::from_millis(cooldown),
        failure_status_codes: members.statuses("failure_status_codes")?,
        minimum_requests: members.whole("minimum_requests", 1, "a positive whole number")?.unwrap_or(5),
    }))
}

fn percentage(members: &Members<'_>) -> Result<Option<f64>, ConfigError> {
    let name = "failure_threshold_percentage";
    let Some(value) = members.get(name) else { return Ok(None) };
    match value.as_f64() {
        Some(share) if share > 0.0 && share <= 100.0 => Ok(Some(share)),
        _ => Err(members.wrong(name, "a number above 0, at most 100, is expected")),
    }
}

impl Reading {
    /// Notes the members that mean nothing here.
    pub(crate) fn unknown(&mut self, members: &Members<'_>, known: &[&str]) {
        for name in Map::keys(members.object) {
            if !known.contains(&crate::members::snake(name).as_str()) {
                self.notes.push(Note::new(&members.at(name), "is not known and has no effect"));
            }
        }
    }
}
