//! What nobody does and time brings: keys that end or get a new secret, plugins that are left alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidegate_notify::schedule::{self, Every, KeyTimes, Rotation};
use tidegate_notify::{Kind, Level, SubjectKind};
use tidegate_store::KeyRecord;
use tokio::time::{MissedTickBehavior, interval};

use super::events::{event, of_key, people};
use crate::clock;
use crate::gateway::Gateway;
use crate::plugins::Standing;

/// How often keys' dates and plugins' states are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Looks at keys' dates and plugins' states until the process ends.
pub async fn watch(gateway: Arc<Gateway>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut resting = BTreeSet::new();
    loop {
        ticks.tick().await;
        if gateway.notices.notifier().is_none() {
            continue;
        }
        match gateway.book.read(|store| store.keys_with_dates()).await {
            Ok(keys) => {
                let organisation = gateway.objects.organisation().map(|it| it.id.clone()).unwrap_or_default();
                let times: Vec<KeyTimes> =
                    keys.iter().map(|key| times(&gateway, key, &organisation)).collect();
                for event in schedule::due(&times, clock::unix_ms()) {
                    gateway.notices.tell(event);
                }
            }
            Err(error) => tracing::warn!(%error, "keys' dates could not be read"),
        }
        quarantined(&gateway, &mut resting).await;
    }
}

fn times(gateway: &Gateway, key: &KeyRecord, organisation: &str) -> KeyTimes {
    let rotation = key.extra.rotation.as_ref().and_then(|rotation| {
        let every = match (rotation.period.as_deref(), rotation.days) {
            (Some("weekly"), _) => Every::Weekly,
            (Some("monthly"), _) => Every::Monthly,
            (_, Some(days)) => Every::Days(days),
            _ => return None,
        };
        let next_at_ms = rotation.next_at.map(|at| at.saturating_mul(1_000));
        Some(Rotation { every, next_at_ms, transition_ms: rotation.overlap_ms })
    });
    let mut recipients = of_key(gateway, key);
    recipients.extend(people(gateway, key.workspace.as_deref()));
    KeyTimes {
        id: key.id.clone(),
        name: key.name.clone(),
        organisation: organisation.to_owned(),
        workspace: key.workspace.clone(),
        created_at_ms: key.created_at.saturating_mul(1_000),
        expires_at_ms: key.expires_at.map(|at| at.saturating_mul(1_000)),
        rotation,
        rotated_at_ms: key.extra.rotated_at_ms,
        old_secret_expires_at_ms: key.extra.old_secret.as_ref().map(|old| old.until.saturating_mul(1_000)),
        recipients,
    }
}

async fn quarantined(gateway: &Gateway, resting: &mut BTreeSet<String>) {
    let Ok(view) = gateway.plugins.observe().await else { return };
    let now: BTreeSet<String> = view
        .plugins
        .into_iter()
        .filter(|plugin| plugin.state == Standing::Quarantined)
        .map(|plugin| plugin.id)
        .collect();
    for plugin in now.difference(resting) {
        let sentence = format!("Plugin {plugin} keeps failing and is not called for a while.");
        let subject = (SubjectKind::Plugin, plugin.as_str(), plugin.as_str());
        let mut event = event(gateway, Kind::PluginQuarantined, Level::Critical, subject, sentence);
        event.recipients = people(gateway, None);
        gateway.notices.tell(event);
    }
    *resting = now;
}
