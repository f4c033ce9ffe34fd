//! Keys get a new secret when their policy says so, and keys of users the policy that holds for all of them.
//!
//! Nobody watches then, so the new secret is sealed and kept until `GET /v1/api-keys/{id}/secret` fetches it; the old
//! one works on for the policy's transition period. A store that can't be written leaves the old secret as it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_store::{
    AuditRecord, KeyFilter, KeyHash, KeyKind, KeyRecord, KeyStatus, Origin, RotationRecord, Write,
};
use tokio::time::{MissedTickBehavior, interval};

use super::rotate::{Rotated, every, in_transition};
use super::view;
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::governance::UserKeys;

/// A look reads the keys that have dates, by an index.
const EVERY: Duration = Duration::from_secs(5);
/// Keys of users that are looked at at once.
const AT_ONCE: usize = 500;

/// Rotates keys that are due, until the process ends.
pub(crate) async fn watch(gateway: Arc<Gateway>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut enforced = Enforced::new();
    loop {
        ticks.tick().await;
        if let Err(error) = enforce(&gateway, &mut enforced).await {
            tracing::warn!(error = error.message, "keys of users could not be given their rotation");
        }
        if let Err(error) = rotate_due(&gateway).await {
            tracing::warn!(error = error.message, "keys that are due could not be rotated");
        }
    }
}

/// Days of rotation by workspace, as keys of users there have them.
type Enforced = BTreeMap<String, u16>;

/// Gives keys of users the rotation that holds in their workspace, where that changed; new keys get theirs when they
/// are made. Of several nodes the later ones find nothing to do.
async fn enforce(gateway: &Gateway, done: &mut Enforced) -> Result<(), GatewayError> {
    let wanted: Enforced = {
        let rules = gateway.objects.rules();
        rules.workspaces().filter_map(|own| Some((own.id.clone(), own.user_keys.rotation_days?))).collect()
    };
    done.retain(|workspace, days| wanted.get(workspace) == Some(days));
    for (workspace, days) in wanted {
        if done.contains_key(&workspace) {
            continue;
        }
        let mut filter = KeyFilter {
            workspace: Some(workspace.clone()),
            kinds: vec![KeyKind::WorkspaceUser],
            limit: AT_ONCE,
            ..KeyFilter::default()
        };
        loop {
            let asked = filter.clone();
            let (keys, _) = gateway.book.read(move |store| store.list_keys(&asked)).await?;
            for key in &keys {
                enforce_on(gateway, key, days).await?;
            }
            if keys.len() < AT_ONCE {
                break;
            }
            filter.offset += AT_ONCE;
        }
        done.insert(workspace, days);
    }
    Ok(())
}

async fn enforce_on(gateway: &Gateway, key: &KeyRecord, days: u16) -> Result<(), GatewayError> {
    let must = UserKeys { rotation_days: Some(days), ..UserKeys::default() };
    if must.rotates(key.extra.rotation.as_ref()) {
        return Ok(());
    }
    let _changing = gateway.objects.changing().await;
    let id = key.id.clone();
    // Once more: somebody may have changed it meanwhile.
    let found = gateway.book.read(move |store| store.key_by_id(&id)).await?;
    let Some((hash, before)) = found.filter(|(_, key)| !must.rotates(key.extra.rotation.as_ref())) else {
        return Ok(());
    };
    let mut after = before.clone();
    let rotation = every(days, before.extra.rotation.as_ref(), clock::unix());
    after.extra.updated_at_ms = clock::unix_ms().max(before.extra.updated_at_ms + 1);
    let told = |rotation: Option<&RotationRecord>| json!({"rotation_policy": rotation.map(view::policy)});
    let audit = AuditRecord {
        action: "update".to_owned(),
        before: told(before.extra.rotation.as_ref()),
        after: told(Some(&rotation)),
        ..by_system(&before)
    };
    after.extra.rotation = Some(rotation);
    gateway.change(vec![Write::PutKey { hash, key: Box::new(after), old: None }], Some(audit)).await
}

/// Makes the audit row of what nobody ordered.
fn by_system(key: &KeyRecord) -> AuditRecord {
    AuditRecord {
        at_ms: clock::unix_ms(),
        actor: "rotation-policy".to_owned(),
        actor_name: "rotation policy".to_owned(),
        actor_kind: "system".to_owned(),
        workspace: key.workspace.clone().unwrap_or_default(),
        resource: "api_key".to_owned(),
        resource_id: key.id.clone(),
        ..AuditRecord::default()
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
        action: "rotate".to_owned(),
        before: Value::Null,
        after: rotated.told(before, "auto"),
        ..by_system(before)
    };
    gateway.change(vec![rotated.write(old)], Some(audit)).await?;
    tracing::info!(
        key = before.name,
        id = before.id,
        "an API key was rotated; its new secret waits to be fetched"
    );
    Ok(())
}
