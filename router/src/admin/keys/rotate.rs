//! A key's new secret: by order, and what its policy says of later ones.

use serde_json::{Value, json};
use tidegate_store::{KeyHash, KeyRecord, OldSecret, Period, RotationRecord, Write};

use super::super::ctx::{Ctx, conflict, invalid, missing};
use super::super::reply::moment;
use super::draft::moment_of;
use super::grant::changeable;
use super::{serve, view};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::secret::{hash_key, mask, new_api_key};
use crate::settings::Secret;

const DAY: i64 = 86_400;
/// Shortest time that an old secret works beside the new one, as Portkey has it.
const LEAST_OVERLAP_MS: i64 = 1_800_000;
/// Longest: a secret that works for years beside another is a second key.
const MOST_OVERLAP_MS: i64 = 365 * DAY * 1_000;

/// Reads a rotation policy; null removes it.
///
/// # Errors
/// 400 naming the member.
pub(super) fn read_policy(given: &Value, now: i64) -> Result<Option<RotationRecord>, GatewayError> {
    let at = |member: &str| format!("rotation_policy.{member}");
    if given.is_null() {
        return Ok(None);
    }
    let period = match given.get("rotation_period") {
        None | Some(Value::Null) => None,
        Some(Value::String(word)) if word == "weekly" || word == "monthly" => Some(word.clone()),
        Some(_) => return Err(invalid(&at("rotation_period"), "weekly or monthly is expected")),
    };
    let days = match given.get("rotation_period_days") {
        None | Some(Value::Null) => None,
        Some(days) => {
            let days = days.as_u64().and_then(|days| u16::try_from(days).ok());
            let days = days.filter(|days| (1..=365).contains(days));
            Some(days.ok_or_else(|| invalid(&at("rotation_period_days"), "1 to 365 are accepted"))?)
        }
    };
    if period.is_some() && days.is_some() {
        let message = "it and rotation_period_days exclude each other";
        return Err(invalid(&at("rotation_period"), message));
    }
    let overlap_ms = overlap(given.get("key_transition_period_ms"), &at("key_transition_period_ms"))?
        .unwrap_or(LEAST_OVERLAP_MS);
    let mut policy = RotationRecord { period, days, next_at: None, overlap_ms };
    let shortest = match (policy.period.as_deref(), policy.days) {
        (Some("weekly"), _) => Some(7),
        (Some(_), _) => Some(28),
        (None, days) => days.map(i64::from),
    };
    if shortest.is_some_and(|days| overlap_ms >= days * DAY * 1_000) {
        return Err(invalid(&at("key_transition_period_ms"), "less than the rotation period is expected"));
    }
    policy.next_at = match given.get("next_rotation_at") {
        None | Some(Value::Null) => next(&policy, now),
        Some(moment) => moment_of(moment, &at("next_rotation_at"))?,
    };
    if policy.next_at.is_none() {
        let message = "weekly or monthly, rotation_period_days or next_rotation_at is expected";
        return Err(invalid(&at("rotation_period"), message));
    }
    Ok(Some(policy))
}

fn overlap(given: Option<&Value>, path: &str) -> Result<Option<i64>, GatewayError> {
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let whole = value.as_i64().filter(|ms| (LEAST_OVERLAP_MS..=MOST_OVERLAP_MS).contains(ms));
            let message = format!("{LEAST_OVERLAP_MS} to {MOST_OVERLAP_MS} milliseconds are accepted");
            whole.map(Some).ok_or_else(|| invalid(path, &message))
        }
    }
}

/// Returns when a policy wants the next secret: at 00:00 UTC of Mondays, of firsts of months, or so many days from now.
fn next(policy: &RotationRecord, now: i64) -> Option<i64> {
    match (policy.period.as_deref(), policy.days) {
        (Some("weekly"), _) => Period::Weekly.end(now),
        (Some(_), _) => Period::Monthly.end(now),
        (None, Some(days)) => Some((now.div_euclid(DAY) + i64::from(days)) * DAY),
        (None, None) => None,
    }
}

/// Returns the rotation of a key that must get a new secret every so many days, as near to the one that it has as may
/// be.
pub(super) fn every(days: u16, before: Option<&RotationRecord>, now: i64) -> RotationRecord {
    let overlap_ms = before.map(|own| own.overlap_ms).filter(|ms| *ms < i64::from(days) * DAY * 1_000);
    let overlap_ms = overlap_ms.unwrap_or(LEAST_OVERLAP_MS);
    let mut policy = RotationRecord { period: None, days: Some(days), next_at: None, overlap_ms };
    let sooner = before.and_then(|own| own.next_at);
    policy.next_at = next(&policy, now).into_iter().chain(sooner).min();
    policy
}

/// A key with a new secret.
pub(super) struct Rotated {
    /// The secret.
    pub secret: Secret,
    /// Its record.
    pub key: KeyRecord,
    /// Until when the secret before works, seconds since the epoch.
    pub until: i64,
}

impl Rotated {
    /// Gives a key a new secret; limits, budget and what was spent stay.
    ///
    /// # Errors
    /// 500 without random numbers.
    pub(super) fn of(before: &KeyRecord, overlap_ms: i64, now: i64) -> Result<Self, GatewayError> {
        let secret = new_api_key().map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))?;
        let until = now + overlap_ms / 1_000;
        let mut key = before.clone();
        key.extra.old_secret = Some(OldSecret { mask: key.mask.clone(), until });
        key.extra.waiting_secret = None;
        key.extra.rotated_at_ms = Some(now * 1_000);
        key.mask = mask(secret.reveal());
        key.extra.updated_at_ms = clock::unix_ms().max(before.extra.updated_at_ms + 1);
        if let Some(policy) = &mut key.extra.rotation {
            policy.next_at = next(policy, now);
        }
        Ok(Self { secret, key, until })
    }

    /// Returns what writes it.
    pub(super) fn write(&self, old: KeyHash) -> Write {
        Write::PutKey {
            hash: hash_key(self.secret.reveal()),
            key: Box::new(self.key.clone()),
            old: Some(old),
        }
    }

    /// Says in the audit log what happened.
    pub(super) fn told(&self, before: &KeyRecord, mode: &str) -> Value {
        json!({
            "api_key_id": before.id, "rotation_mode": mode, "old_key_masked": before.mask, "key": self.key.mask,
            "transition_expires_at": moment(self.until * 1_000),
        })
    }
}

/// Returns whether a secret was replaced of late and still works: a third one would end it.
pub(super) fn in_transition(key: &KeyRecord, now: i64) -> bool {
    key.extra.old_secret.as_ref().is_some_and(|old| old.until > now)
}

pub(super) async fn rotate(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let (old, before) = changeable(&ctx, "rotate").await?;
    let now = clock::unix();
    if in_transition(&before, now) {
        return Err(conflict(format!(
            "API key \"{}\" was rotated already; its old secret works until {}",
            before.name,
            before.extra.old_secret.as_ref().map(|old| moment(old.until * 1_000)).unwrap_or_default()
        )));
    }
    let asked = overlap(ctx.body.get("key_transition_period_ms"), "key_transition_period_ms")?;
    let of_policy = before.extra.rotation.as_ref().map(|policy| policy.overlap_ms);
    let rotated = Rotated::of(&before, asked.or(of_policy).unwrap_or(LEAST_OVERLAP_MS), now)?;
    let shown = view::shown(&ctx, &before).await?;
    let told = rotated.told(&before, "manual");
    serve::commit(&ctx, &before, "rotate", shown, told, vec![rotated.write(old)]).await?;
    Ok(json!({
        "id": before.id,
        "key": rotated.secret.reveal(),
        "object": "api-key",
        "key_transition_expires_at": moment(rotated.until * 1_000),
    }))
}

/// Gives out a secret that a policy made, once: nobody saw it yet.
pub(super) async fn new_secret(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let (hash, before) = changeable(&ctx, "rotate").await?;
    let Some(sealed) = &before.extra.waiting_secret else {
        return Err(missing("new secret of API key", &before.name));
    };
    let opened = ctx.gateway().objects.master().open(sealed);
    let secret = opened.map_err(|error| GatewayError::new(ErrorKind::Unavailable, error.to_string()))?;
    let mut after = before.clone();
    after.extra.waiting_secret = None;
    let until = before.extra.old_secret.as_ref().map(|old| moment(old.until * 1_000));
    let write = Write::PutKey { hash, key: Box::new(after), old: None };
    let told = json!({"api_key_id": before.id, "key": before.mask});
    serve::commit(&ctx, &before, "read_secret", Value::Null, told, vec![write]).await?;
    Ok(json!({"id": before.id, "key": secret, "object": "api-key", "key_transition_expires_at": until}))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THURSDAY: i64 = 1_795_046_400; // 2026-11-19 00:00 UTC

    #[test]
    fn policies_say_when_the_next_secret_comes() {
        let next = |policy: Value| read_policy(&policy, THURSDAY + 5).unwrap().unwrap().next_at.unwrap();
        assert_eq!(next(json!({"rotation_period": "weekly"})), THURSDAY + 4 * DAY);
        assert_eq!(next(json!({"rotation_period": "monthly"})), THURSDAY + 12 * DAY);
        assert_eq!(next(json!({"rotation_period_days": 3})), THURSDAY + 3 * DAY);
        assert_eq!(next(json!({"next_rotation_at": "2026-11-20T00:00:00Z"})), THURSDAY + DAY);
        assert!(read_policy(&Value::Null, 0).unwrap().is_none());
    }

    #[test]
    fn policies_that_make_no_sense_are_refused_by_name() {
        for (policy, param) in [
            (json!({}), "rotation_policy.rotation_period"),
            (json!({"rotation_period": "yearly"}), "rotation_policy.rotation_period"),
            (
                json!({"rotation_period": "weekly", "rotation_period_days": 3}),
                "rotation_policy.rotation_period",
            ),
            (json!({"rotation_period_days": 366}), "rotation_policy.rotation_period_days"),
            (
                json!({"rotation_period_days": 1, "key_transition_period_ms": 1_799_999}),
                "rotation_policy.key_transition_period_ms",
            ),
            (
                json!({"rotation_period_days": 1, "key_transition_period_ms": 86_400_000}),
                "rotation_policy.key_transition_period_ms",
            ),
        ] {
            assert_eq!(read_policy(&policy, 0).unwrap_err().param.as_deref(), Some(param), "{policy}");
        }
    }

    #[test]
    fn a_rotation_that_must_be_keeps_what_it_can() {
        let week = |next_at, overlap_ms| RotationRecord {
            period: Some("weekly".into()),
            days: None,
            next_at: Some(next_at),
            overlap_ms,
        };
        let soon = every(30, Some(&week(THURSDAY + DAY, 3_600_000)), THURSDAY);
        assert_eq!((soon.period, soon.days), (None, Some(30)));
        assert_eq!((soon.next_at, soon.overlap_ms), (Some(THURSDAY + DAY), 3_600_000));
        let daily = every(1, Some(&week(THURSDAY + 4 * DAY, DAY * 1_000)), THURSDAY);
        assert_eq!((daily.next_at, daily.overlap_ms), (Some(THURSDAY + DAY), LEAST_OVERLAP_MS));
        assert_eq!(every(7, None, THURSDAY).next_at, Some(THURSDAY + 7 * DAY));
    }

    #[test]
    fn a_rotated_key_keeps_everything_but_its_secret() {
        let before = KeyRecord {
            mask: "tg-ab*****xyz".into(),
            budget: Some("key:k".into()),
            ..KeyRecord::named("k", "k")
        };
        let rotated = Rotated::of(&before, LEAST_OVERLAP_MS, 1_000).unwrap();
        assert_eq!(rotated.until, 2_800);
        assert_eq!(rotated.key.budget, before.budget);
        assert_ne!(rotated.key.mask, before.mask);
        assert!(in_transition(&rotated.key, 2_799) && !in_transition(&rotated.key, 2_800));
    }
}
