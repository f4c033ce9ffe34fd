//! What holds for keys of users, whatever their makers say: their end, their rotation, how many there are.

use serde_json::{Map, Value};
use tidegate_store::{KeyFilter, KeyKind, KeyRecord, KeyStatus};

use super::super::ctx::{Ctx, invalid};
use super::super::reply::moment;
use super::rotate;
use crate::clock;
use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::governance::UserKeys;

/// What an order speaks of.
pub(super) struct Said {
    /// Of the key's end.
    end: bool,
    /// Of its rotation.
    rotation: bool,
}

impl Said {
    /// Of a new key: it says something also where it is silent.
    pub(super) const NEW: Self = Self { end: true, rotation: true };

    /// Of a change.
    pub(super) fn of(body: &Map<String, Value>) -> Self {
        Self { end: body.contains_key("expires_at"), rotation: body.contains_key("rotation_policy") }
    }
}

/// Returns what holds for a key, where it is a user's.
pub(super) fn rules(gateway: &Gateway, key: &KeyRecord) -> Option<UserKeys> {
    let rules = gateway.objects.rules();
    let workspace = rules.workspace(rules.workspace_id(key)).filter(|_| key.kind == KeyKind::WorkspaceUser);
    workspace.map(|own| own.user_keys)
}

/// Fills in what an order leaves open, and refuses what it may not say.
///
/// # Errors
/// 400 naming the member.
pub(super) fn bind(gateway: &Gateway, key: &mut KeyRecord, said: &Said) -> Result<(), GatewayError> {
    let Some(rules) = rules(gateway, key) else { return Ok(()) };
    if said.end {
        key.expires_at = key.expires_at.or(rules.default_end(key.created_at));
        if let Some(last) = rules.last_end(key.created_at).filter(|last| key.expires_at > Some(*last)) {
            let days = rules.max_ttl_days.unwrap_or_default();
            let message = format!(
                "{} at the latest is accepted: keys of users end {days} days after they are made (user_api_key_max_ttl)",
                moment(last * 1_000)
            );
            return Err(invalid("expires_at", &message));
        }
    }
    if let Some(days) = rules.rotation_days.filter(|_| said.rotation) {
        let now = clock::unix();
        let Some(given) = &mut key.extra.rotation else {
            key.extra.rotation = Some(rotate::every(days, None, now));
            return Ok(());
        };
        let path = |member: &str| format!("rotation_policy.{member}");
        let must = format!("keys of users get a new secret every {days} days (user_api_key_rotation_period)");
        if given.period.is_some() {
            return Err(invalid(&path("rotation_period"), &must));
        }
        if given.days.is_some_and(|own| own != days) {
            return Err(invalid(&path("rotation_period_days"), &format!("{days} is expected: {must}")));
        }
        let wanted = rotate::every(days, Some(given), now);
        if wanted.next_at != given.next_at {
            return Err(invalid(&path("next_rotation_at"), &must));
        }
        if wanted.overlap_ms != given.overlap_ms {
            return Err(invalid(
                &path("key_transition_period_ms"),
                "less than the rotation period is expected",
            ));
        }
        *given = wanted;
    }
    Ok(())
}

/// Refuses one more key of a user who has as many as they may.
///
/// # Errors
/// 400, 503
pub(super) async fn count(ctx: &Ctx, key: &KeyRecord) -> Result<(), GatewayError> {
    let Some(most) = rules(ctx.gateway(), key).and_then(|rules| rules.count) else { return Ok(()) };
    let filter = KeyFilter {
        workspace: key.workspace.clone(),
        user: key.user.clone(),
        kinds: vec![KeyKind::WorkspaceUser],
        ..KeyFilter::default()
    };
    let (keys, _) = ctx.gateway().book.read(move |store| store.list_keys(&filter)).await?;
    let now = clock::unix();
    let works =
        |key: &&KeyRecord| key.status == KeyStatus::Active && key.expires_at.is_none_or(|at| at > now);
    let there = keys.iter().filter(works).count();
    if there < most {
        return Ok(());
    }
    let message = format!("has {there} API keys here, and {most} are allowed (user_api_key_count)");
    Err(invalid("user_id", &message))
}
