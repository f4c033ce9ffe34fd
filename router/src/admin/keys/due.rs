//! Keys get a new secret when their policy says so.
//!
//! Nobody watches then, so the new secret is sealed and kept until `GET /v1/api-keys/{id}/secret` fetches it; the old
//! one works on for the policy's transition period. A store that can't be written leaves the old secret as it is.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tidegate_store::{AuditRecord, KeyHash, KeyRecord, KeyStatus, Origin};
use tokio::time::{MissedTickBehavior, interval};

use super::rotate::{Rotated, in_transition};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;

/// A look reads the keys that have dates, by an index.
const EVERY: Duration = Duration::from_secs(5);

/// Rotates keys that are due, until the process ends.
pub(crate) async fn watch(gateway: Arc<Gateway>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = rotate_due(&gateway).await {
            tracing::warn!(error = error.message, "keys that are due could not be rotated");
        }
    }
}

async fn rotate_due(gateway: &Gateway) -> Result<(), GatewayError> {
    let now = clock::unix();
    let due = gateway.book.read(|store| store.keys_with_dates()).await?;
    for id in due.into_iter().filter(|key| is_due(key, now)).map(|key| key.id) {
        let _changing = gateway.objects.changing().await;
        // Once more: somebody may have changed it meanwhile.
        let found = gateway.book.read(move |store| store.key_by_id(&id)).await?;
        if let Some((hash, key)) = found.filter(|(_, key)| is_due(key, now)) {
            rotate(gateway, hash, &key, now).await?;
        }
    }
    Ok(())
}

/// Returns whether a key that works is to get a new secret. One that was replaced of late must end first.
fn is_due(key: &KeyRecord, now: i64) -> bool {
    let policy = key.extra.rotation.as_ref();
    policy.and_then(|policy| policy.next_at).is_some_and(|at| at <= now)
        && key.status == KeyStatus::Active
        && key.origin == Origin::Store
        && key.expires_at.is_none_or(|at| at > now)
        && !in_transition(key, now)
}

async fn rotate(gateway: &Gateway, old: KeyHash, before: &KeyRecord, now: i64) -> Result<(), GatewayError> {
    let Some(policy) = &before.extra.rotation else { return Ok(()) };
    let mut rotated = Rotated::of(before, policy.overlap_ms, now)?;
    let sealed = gateway.objects.master().seal(rotated.secret.reveal());
    let sealed = sealed.map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))?;
    rotated.key.extra.waiting_secret = Some(sealed);
    let audit = AuditRecord {
        at_ms: clock::unix_ms(),
        actor: "rotation-policy".to_owned(),
        actor_name: "rotation policy".to_owned(),
        actor_kind: "system".to_owned(),
        workspace: before.workspace.clone().unwrap_or_default(),
        resource: "api_key".to_owned(),
        resource_id: before.id.clone(),
        action: "rotate".to_owned(),
        before: Value::Null,
        after: rotated.told(before, "auto"),
        ..AuditRecord::default()
    };
    gateway.change(vec![rotated.write(old)], Some(audit)).await?;
    tracing::info!(
        key = before.name,
        id = before.id,
        "an API key was rotated; its new secret waits to be fetched"
    );
    Ok(())
}
