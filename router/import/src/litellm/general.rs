//! `general_settings`, and the proxy's budget of `litellm_settings`.

use super::advice;
use super::convert::Reader;
use crate::draft::{Budget, Draft, Key, Limit, Line, Period, dollars};
use crate::error::ImportError;
use crate::place::Place;

/// Reads the section into the key that clients use and the settings.
pub(super) fn read(
    section: Option<Place<'_>>,
    key: &mut Key,
    reader: &mut Reader<'_>,
) -> Result<(), ImportError> {
    key.comment =
        "The master key as clients' key. Keys of LiteLLM's database are not in its config.".to_owned();
    let members = match &section {
        Some(section) => section.members()?,
        None => Vec::new(),
    };
    for (name, place) in members {
        match name {
            "master_key" => {
                key.key = Some(reader.secret(&place, "LITELLM_MASTER_KEY")?);
                reader.draft.note(
                    place.path,
                    "opens inference only; the admin key is made at the first start and printed once",
                );
            }
            "global_max_parallel_requests" => key.limits.push(Limit::Concurrent(place.whole()?)),
            "maximum_spend_logs_retention_period" => {
                let days = days(&place)?.max(1);
                reader.draft.log.push(Line { name: "keep_days", value: days.to_string(), comment: "" });
            }
            "max_request_size_mb" => {
                let bytes = u64::from(place.whole()?.clamp(1, 4_096)) << 20;
                reader.draft.limits.push(Line { name: "body_bytes", value: bytes.to_string(), comment: "" });
            }
            "completion_model" => reader.draft.note(
                place.path,
                "requests must name a model here; a [[config]] with default_params.model gives one to those that don't",
            ),
            _ => advice::note(&mut reader.draft, &place, name, &advice::GENERAL),
        }
    }
    if key.key.is_none() {
        key.comment = "Made at the first start and printed once.".to_owned();
        reader.draft.note(
            "general_settings.master_key",
            "there is none, so LiteLLM let everybody in; here clients need the key that is printed at the first start",
        );
    }
    Ok(())
}

/// Reads `max_budget` and `budget_duration`.
pub(super) fn read_budget(section: &Place<'_>, key: &mut Key, draft: &mut Draft) -> Result<(), ImportError> {
    let duration = section.get("budget_duration");
    let Some(amount) = section.get("max_budget") else {
        if let Some(duration) = duration {
            draft.note(duration.path, "has no effect without max_budget");
        }
        return Ok(());
    };
    let Some(usd) = dollars(amount.number()?) else {
        return Err(amount.wrong("at most 9000000000 dollars are accepted"));
    };
    let period = match &duration {
        None => Period::Never,
        Some(place) => match place.text()?.as_str() {
            "1mo" | "monthly" => Period::Named("monthly"),
            "1d" | "24h" | "daily" => Period::Named("daily"),
            "weekly" => Period::Named("weekly"),
            _ => Period::Days(u16::try_from(days(place)?.clamp(1, 365)).unwrap_or(365)),
        },
    };
    key.budget = Some(Budget { usd, period });
    draft.note(
        amount.path,
        "is the budget of the key; models without a known price are refused on it unless unpriced = \"free\"",
    );
    Ok(())
}

/// Reads a time like `30d` or `12h` as days.
fn days(place: &Place<'_>) -> Result<u32, ImportError> {
    let text = place.text()?;
    let wrong = || place.wrong("a time like 30d, 12h or 1mo is expected");
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?);
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let days = match unit {
        "mo" => number.saturating_mul(30),
        "w" => number.saturating_mul(7),
        "d" => number,
        "h" => number.div_ceil(24),
        "m" | "s" => 1,
        _ => return Err(wrong()),
    };
    Ok(days)
}
