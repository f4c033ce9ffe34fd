//! The `cache` member: what of a target's answers is kept, for how long, and for whom it is replayed.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::members::Members;
use crate::plan::{Cache, CacheMode, ConfigError, Note, Replay};

/// Portkey's range of `max_age` in seconds.
const AGES: std::ops::RangeInclusive<u64> = 60..=7_776_000;
/// Portkey's threshold of likeness.
const THRESHOLD: f32 = 0.95;

impl Cache {
    /// How long an entry may be used where nobody says: a week, as with Portkey.
    pub const DEFAULT_AGE: Duration = Duration::from_secs(604_800);

    /// Returns the age that a number of seconds stands for: Portkey takes its default for one out of its range.
    #[must_use]
    pub fn age(seconds: u64) -> Duration {
        if AGES.contains(&seconds) { Duration::from_secs(seconds) } else { Self::DEFAULT_AGE }
    }
}

/// Reads a `cache` object.
pub(crate) fn read(
    object: &Map<String, Value>,
    path: &str,
    notes: &mut Vec<Note>,
) -> Result<Cache, ConfigError> {
    let members = Members { object, path };
    let mode = match members.text("mode")?.as_deref() {
        None | Some("simple") => CacheMode::Simple,
        Some("semantic") => CacheMode::Semantic,
        Some(other) => {
            let message = format!("\"{other}\" is unknown; simple or semantic is expected");
            return Err(members.wrong("mode", &message));
        }
    };
    let max_age = members.whole("max_age", 0, "a number of seconds")?;
    if let Some(seconds) = max_age.filter(|seconds| !AGES.contains(seconds)) {
        let default = Cache::DEFAULT_AGE.as_secs();
        let message =
            format!("{seconds} is outside {} to {} and counts as {default}", AGES.start(), AGES.end());
        notes.push(Note::new(&members.at("max_age"), &message));
    }
    let replay = match members.text("replay")?.as_deref() {
        None | Some("at_once") => Replay::AtOnce,
        Some("natural") => Replay::Natural,
        Some(other) => {
            let message = format!("\"{other}\" is unknown; at_once or natural is expected");
            return Err(members.wrong("replay", &message));
        }
    };
    let embedding = embedding(&members)?;
    if mode == CacheMode::Semantic && embedding.is_none() {
        let message = "compares exactly unless the settings name [cache] embedding_model, or cache.embedding.model is set";
        notes.push(Note::new(&members.at("mode"), message));
    }
    let known = ["mode", "max_age", "single_flight", "replay", "threshold", "embedding"];
    for name in object.keys().filter(|name| !known.contains(&crate::members::snake(name).as_str())) {
        notes.push(Note::new(&members.at(name), "is not known and has no effect"));
    }
    Ok(Cache {
        mode,
        max_age: max_age.map(Cache::age),
        single_flight: members.flag("single_flight")?.unwrap_or(false),
        replay,
        threshold: threshold(&members)?,
        embedding,
    })
}

fn threshold(members: &Members<'_>) -> Result<f32, ConfigError> {
    let Some(value) = members.get("threshold") else { return Ok(THRESHOLD) };
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "a likeness needs no more digits")]
        Some(number) if number > 0.0 && number <= 1.0 => Ok(number as f32),
        _ => Err(members.wrong("threshold", "a number above 0 and up to 1 is expected")),
    }
}

fn embedding(members: &Members<'_>) -> Result<Option<String>, ConfigError> {
    let Some(object) = members.object("embedding")? else { return Ok(None) };
    let at = members.at("embedding");
    let embedding = Members { object, path: &at };
    match embedding.text("model")? {
        Some(model) if !model.is_empty() => Ok(Some(model)),
        _ => Err(embedding.wrong("model", "is missing; a string like \"@provider/model\" is expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    fn cache(json: &str) -> (Cache, Vec<Note>) {
        let plan = Plan::parse(&format!("{{\"cache\": {json}}}")).unwrap();
        (plan.targets()[0].cache.as_deref().unwrap().clone(), plan.notes().to_vec())
    }

    #[test]
    fn portkeys_object_is_read_with_its_defaults() {
        let (read, notes) = cache(r#"{"mode": "simple"}"#);
        assert_eq!((read.mode, read.max_age, read.replay), (CacheMode::Simple, None, Replay::AtOnce));
        assert!(!read.single_flight && notes.is_empty());
        let (read, _) =
            cache(r#"{"mode": "semantic", "maxAge": 3600.0, "singleFlight": true, "replay": "natural"}"#);
        assert_eq!((read.mode, read.max_age), (CacheMode::Semantic, Some(Duration::from_secs(3_600))));
        assert_eq!((read.single_flight, read.replay, read.threshold), (true, Replay::Natural, 0.95));
    }

    #[test]
    fn an_age_out_of_range_is_the_default_and_is_noted() {
        for (seconds, age) in
            [(59, 604_800), (60, 60), (7_776_000, 7_776_000), (7_776_001, 604_800), (0, 604_800)]
        {
            let (read, notes) = cache(&format!("{{\"max_age\": {seconds}}}"));
            assert_eq!(read.max_age, Some(Duration::from_secs(age)), "{seconds}");
            assert_eq!(notes.len(), usize::from(seconds != age), "{seconds}: {notes:?}");
        }
    }

    #[test]
    fn what_can_not_be_meant_is_refused_with_its_path() {
        for (json, path) in [
            (r#"{"mode": "fuzzy"}"#, "cache.mode"),
            (r#"{"max_age": "1h"}"#, "cache.max_age"),
            (r#"{"replay": "slow"}"#, "cache.replay"),
            (r#"{"threshold": 0}"#, "cache.threshold"),
            (r#"{"threshold": 1.5}"#, "cache.threshold"),
            (r#"{"single_flight": 1}"#, "cache.single_flight"),
            (r#"{"embedding": {}}"#, "cache.embedding.model"),
        ] {
            let error = Plan::parse(&format!("{{\"cache\": {json}}}")).unwrap_err();
            assert_eq!(error.path, path, "{error}");
        }
    }

    #[test]
    fn what_has_no_effect_is_noted() {
        let (_, notes) = cache(r#"{"mode": "semantic", "maxage_ms": 1}"#);
        let paths: Vec<&str> = notes.iter().map(|note| note.path.as_str()).collect();
        assert_eq!(paths, ["cache.mode", "cache.maxage_ms"]);
        let (read, notes) =
            cache(r#"{"mode": "semantic", "embedding": {"model": "@a/b"}, "threshold": 0.9}"#);
        assert_eq!((read.embedding.as_deref(), read.threshold), (Some("@a/b"), 0.9));
        assert!(notes.is_empty());
    }
}
