//! `settings` of the organisation and of workspaces: what they may say, each member checked.

use serde_json::Value;

use super::ctx::{Ctx, flag, invalid};
use super::security::organisation_only;
use crate::error::GatewayError;

/// What a setting may be.
#[derive(Clone, Copy)]
enum Shape {
    /// true, false, 1 or 0.
    Flag,
    /// A whole number up to this; 0 is as if it said nothing, as Portkey has it.
    Whole(u64),
    /// A list of texts.
    Texts,
    /// An object.
    Object,
}

/// Whose a setting can be.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    /// Of both.
    Both,
    /// Of both; in a workspace the organisation decides on it.
    Decided,
    /// Of the organisation.
    Organisation,
}

/// Ten years: who writes seconds in place of days is told so.
const MOST_DAYS: u64 = 3_650;
const MOST_KEYS: u64 = 100_000;

const SETTINGS: &[(&str, Shape, Of)] = &[
    ("debug_log", Shape::Flag, Of::Decided),
    ("enforce_debug_log_setting", Shape::Flag, Of::Decided),
    ("required_metadata", Shape::Texts, Of::Both),
    ("user_api_key_ttl", Shape::Whole(MOST_DAYS), Of::Both),
    ("user_api_key_max_ttl", Shape::Whole(MOST_DAYS), Of::Both),
    ("user_api_key_count", Shape::Whole(MOST_KEYS), Of::Both),
    ("user_api_key_rotation_period", Shape::Whole(365), Of::Both),
    ("user_key_metadata", Shape::Flag, Of::Both),
    ("user_key_metadata_override", Shape::Flag, Of::Both),
    ("system_log_retention", Shape::Whole(MOST_DAYS), Of::Organisation),
    // Kept without effect: no keys come by themselves, nothing is exported, nobody logs in.
    ("user_api_key_auto_create", Shape::Flag, Of::Both),
    ("default_workspace_user_api_key_auto_create", Shape::Flag, Of::Organisation),
    ("export_settings", Shape::Object, Of::Organisation),
    ("session_settings", Shape::Object, Of::Organisation),
];

impl Shape {
    fn expected(self, value: &Value) -> Option<String> {
        let fits = match self {
            Self::Flag => flag(value).is_some() && !matches!(value.as_u64(), Some(2..)),
            Self::Whole(most) => value.as_u64().is_some_and(|whole| whole <= most),
            Self::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            Self::Object => value.is_object(),
        };
        (!fits).then(|| match self {
            Self::Flag => "true, false, 1 or 0 is expected".to_owned(),
            Self::Whole(MOST_DAYS) => {
                format!("a whole number of days up to {MOST_DAYS} is expected; 0 is none")
            }
            Self::Whole(365) => "a whole number of days up to 365 is expected; 0 is none".to_owned(),
            Self::Whole(most) => format!("a whole number up to {most} is expected; 0 is none"),
            Self::Texts => "a list of texts is expected".to_owned(),
            Self::Object => "an object is expected".to_owned(),
        })
    }
}

/// Merges settings over those that are stored; null takes one back. `of_workspace` says whose they are.
///
/// # Errors
/// 400 naming the setting, 403 for what the organisation decides.
pub(super) fn merged(
    ctx: &Ctx,
    stored: &Value,
    given: &Value,
    of_workspace: bool,
) -> Result<Value, GatewayError> {
    let mut merged = stored.as_object().cloned().unwrap_or_default();
    if given.is_null() {
        merged.clear();
    }
    for (name, value) in given.as_object().into_iter().flatten() {
        let path = format!("settings.{name}");
        let known = SETTINGS
            .iter()
            .find(|(known, _, of)| known == name && !(of_workspace && *of == Of::Organisation));
        let Some((_, shape, of)) = known else {
            let all = SETTINGS.iter().filter(|(_, _, of)| !(of_workspace && *of == Of::Organisation));
            let all: Vec<&str> = all.map(|(name, _, _)| *name).collect();
            return Err(invalid(
                &path,
                &format!("there is no such setting; {} are accepted", all.join(", ")),
            ));
        };
        if of_workspace && *of == Of::Decided {
            organisation_only(ctx, &path)?;
        }
        if value.is_null() {
            merged.remove(name);
        } else if let Some(message) = shape.expected(value) {
            return Err(invalid(&path, &message));
        } else {
            merged.insert(name.clone(), value.clone());
        }
    }
    let days = |name: &str| merged.get(name).and_then(Value::as_u64).filter(|days| *days > 0);
    if let (Some(ttl), Some(most)) = (days("user_api_key_ttl"), days("user_api_key_max_ttl"))
        && ttl > most
    {
        let message = format!("no more than user_api_key_max_ttl is expected, which is {most}");
        return Err(invalid("settings.user_api_key_ttl", &message));
    }
    Ok(Value::Object(merged))
}
