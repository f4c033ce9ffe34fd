//! Which events of keys are due: expiry, rotation, the end of an old secret. Pure: keys and a moment in, events out.
//!
//! Call it every minute or so. Events stay due for a while and have the same key each time, so that a call that was
//! missed loses nothing and the notifier sends each once. A warning comes a day ahead; for what was made or rotated
//! less than a day before its end there is none, since it would come at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime};

use crate::event::{Event, Kind, Level, SubjectKind};

/// Warnings come this long ahead, and what is over stays due for so long.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What a schedule knows of a key. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTimes {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Organisation.
    pub organisation: String,
    /// Workspace, unless it is a key of the organisation.
    pub workspace: Option<String>,
    /// When the key was made.
    pub created_at_ms: i64,
    /// When it expires.
    pub expires_at_ms: Option<i64>,
    /// How it is rotated.
    pub rotation: Option<Rotation>,
    /// When it got its present secret by a rotation.
    pub rotated_at_ms: Option<i64>,
    /// When its old secret stops working, while it has two.
    pub old_secret_expires_at_ms: Option<i64>,
    /// Mail addresses of those it concerns.
    pub recipients: Vec<String>,
}

/// When a key gets a new secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// How often.
    pub every: Every,
    /// When next, if the operator has said so.
    pub next_at_ms: Option<i64>,
    /// How long the old secret goes on working.
    pub transition_ms: i64,
}

/// How often a key is rotated. All moments are at 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// On Mondays.
    Weekly,
    /// On the first of a month.
    Monthly,
    /// So many days after the last time.
    Days(u16),
}

impl Rotation {
    /// Returns the first moment of rotation after `since_ms`, when the key was made or rotated last.
    #[must_use]
    pub fn next_ms(&self, since_ms: i64) -> i64 {
        if let Some(next) = self.next_at_ms.filter(|next| *next > since_ms) {
            return next;
        }
        let day = since_ms.div_euclid(DAY_MS);
        let next_day = match self.every {
            // 1970-01-01 was a Thursday: Monday-based weeks begin three days before it.
            Every::Weekly => ((day + 3).div_euclid(7) + 1) * 7 - 3,
            Every::Monthly => first_of_next_month(day),
            Every::Days(days) => day + i64::from(days.max(1)),
        };
        next_day.saturating_mul(DAY_MS)
    }
}

/// Returns the day, counted from the epoch, on which the month after that of `day` begins.
fn first_of_next_month(day: i64) -> i64 {
    let epoch = OffsetDateTime::UNIX_EPOCH.date();
    let date = epoch.checked_add(time::Duration::days(day)).unwrap_or(epoch);
    let (year, month) = match date.month() {
        Month::December => (date.year() + 1, Month::January),
        month => (date.year(), month.next()),
    };
    Date::from_calendar_date(year, month, 1).map_or(day + 28, |first| (first - epoch).whole_days())
}

/// Returns the events that are due.
#[must_use]
pub fn due(keys: &[KeyTimes], now_ms: i64) -> Vec<Event> {
    keys.iter().flat_map(|key| of_key(key, now_ms)).collect()
}

fn of_key(key: &KeyTimes, now_ms: i64) -> Vec<Event> {
    let mut events = Vec::new();
    let expired = key.expires_at_ms.is_some_and(|end| end <= now_ms);
    if let Some(end) = key.expires_at_ms {
        if warned(key.created_at_ms, end, now_ms) {
            events.push(event(key, Kind::KeyExpiring, end, now_ms));
        } else if expired && now_ms < end.saturating_add(DAY_MS) {
            events.push(event(key, Kind::KeyExpired, end, now_ms));
        }
    }
    // An expired key works with neither secret and is not rotated.
    if expired {
        return events;
    }
    let since = key.rotated_at_ms.unwrap_or(key.created_at_ms);
    if let Some(end) = key.old_secret_expires_at_ms
        && warned(since, end, now_ms)
    {
        events.push(event(key, Kind::KeyOldSecretExpiring, end, now_ms));
    }
    if let Some(end) = key.rotation.map(|rotation| rotation.next_ms(since))
        && warned(since, end, now_ms)
        && key.expires_at_ms.is_none_or(|expiry| expiry > end)
    {
        events.push(event(key, Kind::KeyRotationDue, end, now_ms));
    }
    events
}

/// Returns whether it is the day before the end of something that began earlier than that.
fn warned(began_ms: i64, end_ms: i64, now_ms: i64) -> bool {
    let warning = end_ms.saturating_sub(DAY_MS);
    began_ms < warning && (warning..end_ms).contains(&now_ms)
}

fn event(key: &KeyTimes, kind: Kind, end_ms: i64, now_ms: i64) -> Event {
    let end = rfc3339(end_ms);
    let name = &key.name;
    let (level, sentence, fact) = match kind {
        Kind::KeyExpired => (Level::Critical, format!("The API key {name} expired at {end}."), "expired_at"),
        Kind::KeyRotationDue => {
            (Level::Info, format!("The API key {name} gets a new secret at {end}."), "rotates_at")
        }
        Kind::KeyOldSecretExpiring => {
            let sentence = format!("The old secret of the API key {name} stops working at {end}.");
            (Level::Warning, sentence, "old_secret_expires_at")
        }
        _ => (Level::Warning, format!("The API key {name} expires at {end}."), "expires_at"),
    };
    let mut facts: BTreeMap<String, Value> = BTreeMap::from([(fact.to_owned(), json!(end))]);
    if let (Kind::KeyRotationDue, Some(rotation)) = (kind, key.rotation) {
        facts.insert(
            "old_secret_expires_at".to_owned(),
            json!(rfc3339(end_ms.saturating_add(rotation.transition_ms))),
        );
    }
    let dedup_key = format!("{}:{}:{end_ms}", kind.as_str(), key.id);
    Event {
        // The same on every node and every call, as the key is.
        id: dedup_key.replace([':', '.'], "_"),
        at_ms: now_ms,
        kind,
        level,
        organisation: key.organisation.clone(),
        workspace: key.workspace.clone(),
        subject_kind: SubjectKind::ApiKey,
        subject_id: key.id.clone(),
        subject_name: key.name.clone(),
        sentence,
        facts,
        dedup_key,
        // Longer than anything is due.
        dedup_until_ms: end_ms.saturating_add(2 * DAY_MS),
        recipients: key.recipients.clone(),
    }
}

fn rfc3339(at_ms: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000));
    moment.ok().and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{at_ms} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{InMemory, Memory};
    use proptest::prelude::*;
    use time::macros::datetime;

    const HOUR_MS: i64 = DAY_MS / 24;

    fn at(moment: OffsetDateTime) -> i64 {
        moment.unix_timestamp() * 1_000
    }

    fn key() -> KeyTimes {
        KeyTimes {
            id: "key_1".into(),
            name: "support".into(),
            organisation: "acme".into(),
            created_at_ms: at(datetime!(2026-11-01 09:30 UTC)),
            recipients: vec!["ada@example.com".into()],
            ..KeyTimes::default()
        }
    }

    /// Asks every ten minutes from one moment to another; returns what the notifier would send, and when.
    fn told(key: &KeyTimes, from: i64, to: i64) -> Vec<(Kind, i64)> {
        let memory = InMemory::default();
        let mut told = Vec::new();
        for now in (from..to).step_by(600_000) {
            for event in due(std::slice::from_ref(key), now) {
                if memory.seen(&event.dedup_key, now, event.dedup_until_ms) == Ok(false) {
                    told.push((event.kind, now));
                }
            }
        }
        told
    }

    #[test]
    fn expiry_is_told_a_day_ahead_and_when_it_comes() {
        let end = at(datetime!(2026-12-01 00:00 UTC));
        let key = KeyTimes { expires_at_ms: Some(end), ..key() };
        let expected = [(Kind::KeyExpiring, end - DAY_MS), (Kind::KeyExpired, end)];
        assert_eq!(told(&key, key.created_at_ms - key.created_at_ms % 600_000, end + 30 * DAY_MS), expected);
    }

    #[test]
    fn the_sentence_and_the_facts_name_the_moment() {
        let end = at(datetime!(2026-12-01 00:00 UTC));
        let key = KeyTimes { expires_at_ms: Some(end), ..key() };
        let events = due(&[key], end - HOUR_MS);
        assert_eq!(events[0].sentence, "The API key support expires at 2026-12-01T00:00:00Z.");
        assert_eq!(events[0].facts["expires_at"], "2026-12-01T00:00:00Z");
        assert_eq!(events[0].recipients, ["ada@example.com"]);
    }

    #[test]
    fn a_short_lived_key_is_told_to_have_expired_and_no_more() {
        let key = key();
        let end = key.created_at_ms + 2 * HOUR_MS;
        let key = KeyTimes { expires_at_ms: Some(end), ..key };
        let kinds: Vec<Kind> = told(&key, key.created_at_ms, end + DAY_MS).iter().map(|one| one.0).collect();
        assert_eq!(kinds, [Kind::KeyExpired]);
    }

    #[test]
    fn what_expired_long_ago_is_no_news() {
        let end = at(datetime!(2026-12-01 00:00 UTC));
        let key = KeyTimes { expires_at_ms: Some(end), ..key() };
        assert_eq!(told(&key, end + DAY_MS, end + 9 * DAY_MS), []);
    }

    #[test]
    fn another_expiry_is_told_again() {
        let end = at(datetime!(2026-12-01 00:00 UTC));
        let first = due(&[KeyTimes { expires_at_ms: Some(end), ..key() }], end - HOUR_MS);
        let second = due(&[KeyTimes { expires_at_ms: Some(end + HOUR_MS), ..key() }], end - HOUR_MS);
        assert_ne!(first[0].dedup_key, second[0].dedup_key);
    }

    #[test]
    fn rotation_is_told_a_day_ahead() {
        let rotation = Rotation { every: Every::Weekly, next_at_ms: None, transition_ms: 1_800_000 };
        let rotated = at(datetime!(2026-11-16 00:00 UTC));
        let key = KeyTimes { rotation: Some(rotation), rotated_at_ms: Some(rotated), ..key() };
        let monday = at(datetime!(2026-11-23 00:00 UTC));
        assert_eq!(told(&key, rotated, monday), [(Kind::KeyRotationDue, monday - DAY_MS)]);
        let events = due(&[key], monday - HOUR_MS);
        assert_eq!(events[0].facts["old_secret_expires_at"], "2026-11-23T00:30:00Z");
    }

    #[test]
    fn rotations_come_on_mondays_on_the_first_and_after_days() {
        let since = at(datetime!(2026-12-30 15:00 UTC));
        let next = |every, next_at_ms| Rotation { every, next_at_ms, transition_ms: 0 }.next_ms(since);
        assert_eq!(next(Every::Weekly, None), at(datetime!(2027-01-04 00:00 UTC)));
        assert_eq!(next(Every::Monthly, None), at(datetime!(2027-01-01 00:00 UTC)));
        assert_eq!(next(Every::Days(90), None), at(datetime!(2027-03-30 00:00 UTC)));
        let chosen = at(datetime!(2027-02-03 00:00 UTC));
        assert_eq!(next(Every::Weekly, Some(chosen)), chosen);
        assert_eq!(next(Every::Weekly, Some(since)), at(datetime!(2027-01-04 00:00 UTC)));
        let february = Rotation { every: Every::Monthly, next_at_ms: None, transition_ms: 0 };
        assert_eq!(
            february.next_ms(at(datetime!(2027-01-31 23:59 UTC))),
            at(datetime!(2027-02-01 00:00 UTC))
        );
    }

    #[test]
    fn the_end_of_an_old_secret_is_told_a_day_ahead_unless_it_is_near_from_the_start() {
        let rotated = at(datetime!(2026-11-16 00:00 UTC));
        let with =
            |end| KeyTimes { rotated_at_ms: Some(rotated), old_secret_expires_at_ms: Some(end), ..key() };
        let end = rotated + 3 * DAY_MS;
        assert_eq!(told(&with(end), rotated, end + DAY_MS), [(Kind::KeyOldSecretExpiring, end - DAY_MS)]);
        let end = rotated + HOUR_MS / 2;
        assert_eq!(told(&with(end), rotated, end + DAY_MS), []);
    }

    #[test]
    fn an_expired_key_is_not_rotated() {
        let rotation = Rotation { every: Every::Weekly, next_at_ms: None, transition_ms: 1_800_000 };
        let monday = at(datetime!(2026-11-23 00:00 UTC));
        let key = KeyTimes {
            rotation: Some(rotation),
            rotated_at_ms: Some(monday - 7 * DAY_MS),
            expires_at_ms: Some(monday - HOUR_MS),
            ..key()
        };
        let kinds: Vec<Kind> = told(&key, monday - 3 * DAY_MS, monday).iter().map(|one| one.0).collect();
        assert_eq!(kinds, [Kind::KeyExpiring, Kind::KeyExpired]);
    }

    proptest! {
        #[test]
        fn no_moment_is_too_far_away(times: [i64; 7], days: u16, week: bool) {
            let [created, expires, next, transition, rotated, old, now] = times;
            let every = if week { Every::Weekly } else { Every::Days(days) };
            let with = |every| KeyTimes {
                created_at_ms: created,
                expires_at_ms: Some(expires),
                rotation: Some(Rotation { every, next_at_ms: Some(next), transition_ms: transition }),
                rotated_at_ms: Some(rotated),
                old_secret_expires_at_ms: Some(old),
                ..key()
            };
            for now in [now, expires, old.saturating_sub(1), next.saturating_sub(1)] {
                prop_assert!(due(&[with(every), with(Every::Monthly)], now).len() <= 6);
            }
        }
    }
}
