//! `router_settings`, and what of `litellm_settings` says the same.

use serde_json::{Value, json};

use super::advice;
use super::convert::Reader;
use super::deployments::retries;
use crate::draft::{Draft, Line};
use crate::error::ImportError;
use crate::place::Place;

/// Shortest time that a breaker stays open, in milliseconds.
const LEAST_COOLDOWN: u64 = 30_000;
/// LiteLLM's own default.
const RETRIES: u32 = 2;

/// How requests are spread and what happens when they fail.
#[derive(Default)]
pub(super) struct Routing {
    /// `by` of strategies; weights without one.
    pub(super) by: Option<&'static str>,
    retries: Option<u32>,
    pub(super) timeout: Option<u64>,
    pub(super) stream_timeout: Option<u64>,
    /// Names and what comes after them.
    pub(super) fallbacks: Vec<(String, Vec<String>)>,
    pub(super) context_fallbacks: Vec<(String, Vec<String>)>,
    /// What comes after every other name.
    pub(super) generic: Vec<String>,
    /// Alias and name.
    pub(super) aliases: Vec<(String, String)>,
    allowed_fails: Option<u32>,
    cooldown: Option<u64>,
    no_cooldowns: bool,
    /// `cache` of the config.
    pub(super) cache: Option<Value>,
    pub(super) input_guardrails: Vec<Value>,
}

impl Routing {
    /// Returns how often a name with one deployment is tried again.
    pub(super) fn retries(&self) -> u32 {
        self.retries.unwrap_or(RETRIES)
    }

    /// Returns whether the settings say how often to try again.
    pub(super) fn has_retries(&self) -> bool {
        self.retries.is_some()
    }

    /// Returns the breaker of strategies, where the settings speak of one.
    pub(super) fn breaker(&self) -> Option<Value> {
        if self.no_cooldowns || (self.allowed_fails.is_none() && self.cooldown.is_none()) {
            return None;
        }
        // LiteLLM cools down after more than so many, 3 by default.
        let threshold = u64::from(self.allowed_fails.unwrap_or(3)) + 1;
        let cooldown = self.cooldown.unwrap_or(LEAST_COOLDOWN).max(LEAST_COOLDOWN);
        Some(json!({"failure_threshold": threshold, "cooldown_interval": cooldown,
            "failure_status_codes": [401, 408, 429, 500, 502, 503, 504, 529]}))
    }
}

/// Reads `router_settings`, which beat `litellm_settings`.
pub(super) fn read_router(
    section: &Place<'_>,
    routing: &mut Routing,
    reader: &mut Reader<'_>,
) -> Result<(), ImportError> {
    for (name, place) in section.members()? {
        match name {
            "routing_strategy" => routing.by = strategy(&place, &mut reader.draft)?,
            "num_retries" => routing.retries = Some(retries(&place, reader)?),
            "timeout" => routing.timeout = Some(place.milliseconds()?),
            "stream_timeout" => routing.stream_timeout = Some(place.milliseconds()?),
            "fallbacks" => routing.fallbacks = fallbacks(&place, &mut reader.draft)?,
            "context_window_fallbacks" => routing.context_fallbacks = fallbacks(&place, &mut reader.draft)?,
            "default_fallbacks" => routing.generic = place.texts()?,
            "model_group_alias" => routing.aliases = aliases(&place)?,
            "allowed_fails" => routing.allowed_fails = Some(place.whole()?),
            "cooldown_time" => routing.cooldown = Some(cooldown(&place, &mut reader.draft)?),
            "disable_cooldowns" => routing.no_cooldowns = place.flag()?,
            _ => advice::note(&mut reader.draft, &place, name, &advice::ROUTER),
        }
    }
    take_generic(routing);
    Ok(())
}

/// Reads `litellm_settings`; cache and budget are read elsewhere.
pub(super) fn read_litellm(
    section: &Place<'_>,
    routing: &mut Routing,
    draft: &mut Draft,
) -> Result<(), ImportError> {
    for (name, place) in section.members()? {
        match name {
            "num_retries" => routing.retries = Some(place.whole()?.min(5)),
            "request_timeout" => routing.timeout = Some(place.milliseconds()?),
            "fallbacks" => routing.fallbacks = fallbacks(&place, draft)?,
            "context_window_fallbacks" => routing.context_fallbacks = fallbacks(&place, draft)?,
            "default_fallbacks" => routing.generic = place.texts()?,
            "model_alias_map" => routing.aliases = aliases(&place)?,
            "allowed_fails" => routing.allowed_fails = Some(place.whole()?),
            "cooldown_time" => routing.cooldown = Some(cooldown(&place, draft)?),
            "json_logs" => {
                if place.flag()? {
                    draft.log.push(Line { name: "format", value: "\"json\"".to_owned(), comment: "" });
                }
            }
            "cache" | "cache_params" | "max_budget" | "budget_duration" => {}
            _ => advice::note(draft, &place, name, &advice::LITELLM),
        }
    }
    take_generic(routing);
    Ok(())
}

/// `{"*": […]}` among the fallbacks stands for every name without its own.
fn take_generic(routing: &mut Routing) {
    if let Some(at) = routing.fallbacks.iter().position(|(name, _)| name == "*") {
        routing.generic = routing.fallbacks.remove(at).1;
    }
}

fn strategy(place: &Place<'_>, draft: &mut Draft) -> Result<Option<&'static str>, ImportError> {
    Ok(match place.text()?.as_str() {
        "simple-shuffle" => None,
        "least-busy" => Some("least_busy"),
        "latency-based-routing" => Some("latency"),
        "cost-based-routing" => Some("cost"),
        "usage-based-routing" | "usage-based-routing-v2" => {
            draft.note(
                place.path.clone(),
                "goes to the deployment with the fewest requests in flight; limits of each are kept as before",
            );
            Some("least_busy")
        }
        _ => {
            draft.note(place.path.clone(), "is not known; requests are spread by weight");
            None
        }
    })
}

fn cooldown(place: &Place<'_>, draft: &mut Draft) -> Result<u64, ImportError> {
    let ms = place.milliseconds()?;
    if ms < LEAST_COOLDOWN {
        draft.note(place.path.clone(), "is raised to 30 seconds, the shortest that a breaker stays open");
    }
    Ok(ms.max(LEAST_COOLDOWN))
}

/// Reads `[{name: [names]}, …]`, or one object of that form.
fn fallbacks(place: &Place<'_>, draft: &mut Draft) -> Result<Vec<(String, Vec<String>)>, ImportError> {
    let maps = place.items().or_else(|_| place.members().map(|_| vec![place.clone()]))?;
    let mut all = Vec::new();
    for map in maps {
        for (name, list) in map.members()? {
            let items = list.items().or_else(|_| list.text().map(|_| vec![list.clone()]))?;
            let mut names = Vec::new();
            for item in items {
                match item.text() {
                    Ok(name) => names.push(name),
                    Err(_) => draft.note(item.path, "a fallback with parameters of its own is left out"),
                }
            }
            all.push((name.to_owned(), names));
        }
    }
    Ok(all)
}

fn aliases(place: &Place<'_>) -> Result<Vec<(String, String)>, ImportError> {
    let mut aliases = Vec::new();
    for (alias, place) in place.members()? {
        let target = place.get("model").unwrap_or(place);
        aliases.push((alias.to_owned(), target.text()?));
    }
    Ok(aliases)
}
