//! From JSON to plan: walks down the tree, inheriting on the way.

use std::sync::Arc;

use serde_json::Value;

use crate::inherit::{Inherited, Reading};
use crate::members::{Members, join, snake};
use crate::plan::{ConfigError, Node, Note, Plan, Secret, Strategy, Target};
use crate::strategy::{self, Mode};
use crate::vendor;

/// Deep enough for any config a person writes, shallow enough for any stack.
const DEPTH: usize = 50;
/// Portkey's own cap, of a conditional's targets; here it holds for a whole config.
const MOST_TARGETS: usize = 1_000;

/// Members of a node, without the vendors' own.
const KNOWN: [&str; 32] = [
    "strategy",
    "targets",
    "name",
    "id",
    "weight",
    "priority",
    "provider",
    "api_key",
    "virtual_key",
    "passthrough",
    "cache",
    "retry",
    "request_timeout",
    "timeouts",
    "custom_host",
    "forward_headers",
    "strict_open_ai_compliance",
    "override_params",
    "default_params",
    "drop_params",
    "before_request_hooks",
    "after_request_hooks",
    "input_guardrails",
    "output_guardrails",
    "input_mutators",
    "output_mutators",
    "options",
    "on_status_codes",
    "prompt_id",
    "sensitive_headers",
    "fetch_integrated_models",
    "unguarded_passthrough",
];
/// What a copied value takes, and what a compiled expression takes at most in practice.
const COPY_BYTES: usize = 128;
const PATTERN_BYTES: usize = 16 << 10;
/// Known, but nothing follows from them.
const IDLE: [&str; 4] = ["on_status_codes", "prompt_id", "sensitive_headers", "fetch_integrated_models"];
pub(crate) fn plan(value: &Value) -> Result<Plan, ConfigError> {
    let mut reading = Reading::default();
    let root = node(value, "", 0, &Inherited::default(), &mut reading)?;
    let weight = reading.copies * COPY_BYTES + reading.patterns * PATTERN_BYTES;
    Ok(Plan::new(root, reading.notes, weight).with_guardrails(reading.guardrails))
}

fn node(
    value: &Value,
    path: &str,
    depth: usize,
    parent: &Inherited,
    reading: &mut Reading,
) -> Result<Node, ConfigError> {
    let members = Members::of(value, path)?;
    if depth >= DEPTH {
        return Err(crate::members::refused(
            path,
            &format!("is nested too deeply; {DEPTH} levels are accepted"),
        ));
    }
    if members.get("options").is_some() {
        let message =
            "This version of config is not supported in this route. Please migrate to the latest version";
        return Err(members.wrong("options", message));
    }
    let mut inherited = parent.at(&members, reading)?;
    check_idle(&members)?;
    note_unknown(&members, reading);
    let place = if path.is_empty() { "config".to_owned() } else { join("config", path) };
    let name = members.text("name")?;
    let strategy_object = members.object("strategy")?;
    let strategy_path = members.at("strategy");
    let strategy = strategy_object.map(|object| Members { object, path: &strategy_path });
    let mode = strategy.as_ref().map(strategy::mode).transpose()?;
    let Some(targets) = members.list("targets", "targets")? else {
        if mode.is_some() {
            return Err(members.wrong("targets", "is missing; a strategy chooses from a list of targets"));
        }
        reading.targets += 1;
        if reading.targets > MOST_TARGETS {
            return Err(crate::members::refused(
                path,
                &format!("at most {MOST_TARGETS} targets are accepted"),
            ));
        }
        let breaker = inherited.breaker.clone();
        let target = leaf(&members, place.clone(), inherited)?;
        let strategy = Strategy::Leaf(Arc::new(target));
        return Ok(Node { path: place, name, strategy, children: Vec::new(), breaker });
    };
    let at = members.at("targets");
    if targets.is_empty() {
        return Err(crate::members::refused(&at, "is empty; at least one target is needed"));
    }
    if mode.is_none() && targets.len() > 1 {
        return Err(members.wrong("strategy", "is missing; it says how to choose from several targets"));
    }
    for lost in ["provider", "virtual_key", "api_key"] {
        if members.get(lost).is_some() {
            reading
                .notes
                .push(Note::new(&members.at(lost), "has no effect beside targets; it is not inherited"));
        }
    }
    match (mode, strategy.as_ref().map(strategy::breaker).transpose()?.flatten()) {
        (Some(Mode::Conditional), breaker) => {
            if breaker.is_some() {
                let message = "has no effect: the targets of a conditional have no breaker";
                reading.notes.push(Note::new(&join(&strategy_path, "cb_config"), message));
            }
            inherited.breaker = None;
        }
        (_, Some(breaker)) => inherited.breaker = Some(Arc::new(breaker)),
        _ => {}
    }
    let child = |(index, value)| node(value, &format!("{at}[{index}]"), depth + 1, &inherited, reading);
    let children = targets.iter().enumerate().map(child).collect::<Result<Vec<_>, _>>()?;
    let strategy = match (mode, &strategy) {
        (Some(mode), Some(members)) => strategy::read(members, mode, &children, targets, &at, reading)?,
        _ => Strategy::Single,
    };
    Ok(Node { path: place, name, strategy, children, breaker: inherited.breaker })
}

fn leaf(members: &Members<'_>, path: String, inherited: Inherited) -> Result<Target, ConfigError> {
    Ok(Target {
        path,
        provider: members.text("provider")?,
        virtual_key: members.text("virtual_key")?,
        api_key: members.text("api_key")?.map(Secret::new),
        options: vendor::read(members)?,
        custom_host: inherited.custom_host,
        default_params: inherited.default_params,
        override_params: inherited.override_params,
        drop_params: inherited.drop_params,
        retry: inherited.retry,
        cache: inherited.cache,
        request_timeout: inherited.request_timeout,
        timeouts: inherited.timeouts,
        forward_headers: inherited.forward_headers,
        strict_open_ai_compliance: inherited.strict,
        passthrough: members.flag("passthrough")?.unwrap_or(false),
        hooks: inherited.hooks,
        unguarded_passthrough: inherited.unguarded_passthrough,
    })
}

/// Checks the members that nothing follows from, or not here: a mistake in them is a mistake all the same.
fn check_idle(members: &Members<'_>) -> Result<(), ConfigError> {
    for name in ["id", "prompt_id"] {
        members.text(name)?;
    }
    members.statuses("on_status_codes")?;
    members.texts("sensitive_headers")?;
    members.flag("fetch_integrated_models")?;
    if members.get("weight").is_some_and(|weight| !weight.is_number()) {
        return Err(members.wrong("weight", "a number is expected"));
    }
    Ok(())
}

fn note_unknown(members: &Members<'_>, reading: &mut Reading) {
    for name in members.object.keys() {
        let snake = snake(name);
        let message = if IDLE.contains(&snake.as_str()) {
            "is accepted and has no effect"
        } else if KNOWN.contains(&snake.as_str()) || vendor::is_own(&snake) {
            continue;
        } else {
            "is not known and has no effect"
        };
        reading.notes.push(Note::new(&members.at(name), message));
    }
}
