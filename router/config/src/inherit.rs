//! What goes down from parent to child, and how a child changes it.
//!
//! Parameters merge member by member, the child winning; retry, cache and each side's hooks are replaced whole; names,
//! weights, providers and credentials stay where they are written.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::cache;
use crate::hooks::{self, Hooks};
use crate::members::Members;
use crate::params::{DropPath, merged};
use crate::plan::{Breaker, Cache, ConfigError, Note, Reference, Retry};
use crate::timeouts::Timeouts;

/// Values that merging may copy for one config, so that a small config can't become a large plan.
const MOST_COPIES: usize = 20_000;
/// Regular expressions of one config: each takes time and memory to compile.
const MOST_PATTERNS: usize = 32;

#[derive(Clone, Default)]
pub(crate) struct Inherited {
    pub(crate) custom_host: Option<String>,
    pub(crate) default_params: Arc<Map<String, Value>>,
    pub(crate) override_params: Arc<Map<String, Value>>,
    pub(crate) drop_params: Arc<Vec<DropPath>>,
    pub(crate) retry: Option<Arc<Retry>>,
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) request_timeout: Option<u64>,
    pub(crate) timeouts: Timeouts,
    pub(crate) forward_headers: Arc<Vec<String>>,
    pub(crate) strict: Option<bool>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) unguarded_passthrough: bool,
    pub(crate) breaker: Option<Arc<Breaker>>,
}

/// What a whole reading shares.
#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) notes: Vec<Note>,
    pub(crate) targets: usize,
    /// Values that were copied from parent to child.
    pub(crate) copies: usize,
    /// Regular expressions that were compiled.
    pub(crate) patterns: usize,
    /// Saved guardrails that are named.
    pub(crate) guardrails: Vec<Reference>,
}

impl Inherited {
    /// Returns what a node passes on: its parent's, changed by its own members.
    pub(crate) fn at(&self, node: &Members<'_>, reading: &mut Reading) -> Result<Self, ConfigError> {
        let mut own = self.clone();
        if let Some(host) = node.text("custom_host")? {
            own.custom_host = Some(host);
        }
        lay_over(&mut own.default_params, node, "default_params", reading)?;
        lay_over(&mut own.override_params, node, "override_params", reading)?;
        if let Some(paths) = node.texts("drop_params")? {
            reading.copy(own.drop_params.len(), node, "drop_params")?;
            let mut all = (*own.drop_params).clone();
            for (at, path) in paths.iter().enumerate() {
                all.push(DropPath::read(path, &node.at(&format!("drop_params[{at}]")))?);
            }
            own.drop_params = Arc::new(all);
        }
        if let Some(retry) = node.object("retry")? {
            own.retry = Some(Arc::new(self::retry(retry, &node.at("retry"), reading)?));
        }
        if let Some(cache) = node.object("cache")? {
            own.cache = Some(Arc::new(cache::read(cache, &node.at("cache"), &mut reading.notes)?));
        }
        if let Some(ms) = node.whole("request_timeout", 1, "a positive number of milliseconds")? {
            own.request_timeout = Some(ms);
        }
        own.timeouts = own.timeouts.at(node, reading)?;
        if let Some(names) = node.texts("forward_headers")? {
            own.forward_headers = Arc::new(forwarded(names, node)?);
        }
        if let Some(strict) = node.flag("strict_open_ai_compliance")? {
            own.strict = Some(strict);
        }
        if let Some(unguarded) = node.flag("unguarded_passthrough")? {
            own.unguarded_passthrough = unguarded;
        }
        let written = hooks::read(node)?;
        if written.before.is_some() || written.after.is_some() {
            let mut hooks = (*own.hooks).clone();
            if let Some((before, saved)) = written.before {
                (hooks.before, hooks.saved.0) = (before, reading.refer(saved));
            }
            if let Some((after, saved)) = written.after {
                (hooks.after, hooks.saved.1) = (after, reading.refer(saved));
            }
            own.hooks = Arc::new(hooks);
        }
        Ok(own)
    }
}

impl Reading {
    /// Counts regular expressions.
    pub(crate) fn compile(&mut self, patterns: usize, path: &str) -> Result<(), ConfigError> {
        self.patterns += patterns;
        if self.patterns > MOST_PATTERNS {
            let message = format!("at most {MOST_PATTERNS} regular expressions are accepted in one config");
            return Err(crate::members::refused(path, &message));
        }
        Ok(())
    }

    /// Keeps where saved guardrails are named, and returns their ids.
    fn refer(&mut self, named: Vec<Reference>) -> Vec<String> {
        let ids = named.iter().map(|named| named.id.clone()).collect();
        self.guardrails.extend(named);
        ids
    }

    /// Counts values copied from parent to child.
    fn copy(&mut self, values: usize, node: &Members<'_>, name: &str) -> Result<(), ConfigError> {
        self.copies += values;
        if self.copies > MOST_COPIES {
            return Err(node.wrong(name, "inherits more than one config may hold; write it in fewer places"));
        }
        Ok(())
    }
}

fn lay_over(
    params: &mut Arc<Map<String, Value>>,
    node: &Members<'_>,
    name: &str,
    reading: &mut Reading,
) -> Result<(), ConfigError> {
    let Some(own) = node.object(name)? else { return Ok(()) };
    reading.copy(params.values().map(values_in).sum(), node, name)?;
    *params = Arc::new(merged(params, own));
    Ok(())
}

/// Counts the values inside a value; a long text counts for many.
fn values_in(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(values_in).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(values_in).sum::<usize>(),
        Value::String(text) => 1 + text.len() / 64,
        _ => 1,
    }
}

fn retry(object: &Map<String, Value>, path: &str, reading: &mut Reading) -> Result<Retry, ConfigError> {
    let members = Members { object, path };
    let what = "a whole number from 0 to 5";
    let Some(attempts) = members.whole("attempts", 0, what)? else {
        return Err(members.wrong("attempts", &format!("is missing; {what} is expected")));
    };
    let most = u64::from(Retry::MOST);
    if attempts > most {
        reading.notes.push(Note::new(&members.at("attempts"), &format!("is cut to {most}")));
    }
    let plural = members.flag("use_retry_after_headers")?;
    let known = ["attempts", "on_status_codes", "use_retry_after_header", "use_retry_after_headers"];
    reading.unknown(&members, &known);
    Ok(Retry {
        attempts: u32::try_from(attempts.min(most)).unwrap_or(Retry::MOST),
        on_status_codes: members.statuses("on_status_codes")?.unwrap_or_else(|| Retry::STATUS_CODES.to_vec()),
        use_retry_after_header: members.flag("use_retry_after_header")?.or(plural).unwrap_or(false),
    })
}

fn forwarded(names: Vec<String>, node: &Members<'_>) -> Result<Vec<String>, ConfigError> {
    let name = |(at, name): (usize, String)| {
        let name = name.to_ascii_lowercase();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte);
        let message = if name.ends_with("-forward-headers") {
            "forward_headers must not contain the 'x-portkey-forward-headers' header"
        } else if name.is_empty() || !name.bytes().all(token) {
            "a header's name is expected"
        } else {
            return Ok(name);
        };
        Err(node.wrong(&format!("forward_headers[{at}]"), message))
    };
    names.into_iter().enumerate().map(name).collect()
}
