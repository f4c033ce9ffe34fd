//! What changes under a running gateway: the settings file, and the store through other processes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidegate_store::{ChangeKind, ProviderRecord};
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::gateway::Gateway;
use crate::settings::Settings;

/// Changes of the file and the store act within about this time. Polling a hash sees every way of writing a file:
/// in place, by rename, through a symlink of a container's volume.
const FILE_EVERY: Duration = Duration::from_millis(400);
const STORE_EVERY: Duration = Duration::from_millis(200);
const REST_EVERY: Duration = Duration::from_secs(60);
const CROWDS_EVERY: Duration = Duration::from_secs(2);
/// More settlements than this on their way to the store: some may be older than a few seconds.
const USUALLY_WAITING: u64 = 10_000;
/// A secret that was replaced where it lies is in use here after this time.
const SECRETS_EVERY: Duration = Duration::from_secs(300);
/// Rows at once, few enough that writers wait for milliseconds only; and how often a minute: more than any node logs.
const PRUNE_AT_ONCE: usize = 2_000;
const PRUNE_TIMES: usize = 10;
/// Between two of them writers have their turn.
const PRUNE_PAUSE: Duration = Duration::from_millis(50);
const OLLAMA: &str = "127.0.0.1:11434";

/// Watches the settings file until the process ends. `first` is the text that is in force.
pub async fn settings_file(gateway: Arc<Gateway>, path: PathBuf, first: String) {
    let read = |text: &str, shown: &str| Settings::parse(text, shown, &|name| std::env::var(name).ok());
    let shown = path.display().to_string();
    let started = read(&first, &shown).ok();
    let mut known = first;
    let mut seen = known.clone();
    let mut ticks = interval(FILE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A settings file is a few kilobytes on a local disk: microseconds.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        // A file that is being written is empty or half for a moment: what stands still for two looks counts.
        if std::mem::replace(&mut seen, text.clone()) != text || text == known {
            continue;
        }
        known.clone_from(&text);
        match read(&text, &shown) {
            Ok(settings) => {
                let waits =
                    started.as_ref().map(|started| started.restart_for(&settings)).unwrap_or_default();
                match gateway.apply(settings).await {
                    Ok(()) if waits.is_empty() => {
                        tracing::info!(file = shown, "settings changed and are in force");
                    }
                    Ok(()) => {
                        let waits = waits.join(", ");
                        tracing::warn!(
                            file = shown,
                            waits,
                            "settings changed and are in force, but for those that a restart puts in force"
                        );
                    }
                    Err(error) => {
                        tracing::error!(file = shown, %error, "settings could not be applied, the last good ones stay");
                    }
                }
            }
            Err(error) => tracing::error!(%error, "settings refused, the last good ones stay"),
        }
    }
}

/// Follows the store's change feed until the process ends, and lets idle keys rest.
pub async fn store(gateway: Arc<Gateway>) {
    let mut seq = gateway.book.read(|store| store.last_change()).await.unwrap_or(0);
    let mut ticks = interval(STORE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rest = interval(REST_EVERY);
    let mut crowds = interval(CROWDS_EVERY);
    loop {
        tokio::select! {
            _ = crowds.tick() => {
                let ledger = gateway.ledger.view();
                gateway.book.thin_out(ledger.healthy && ledger.waiting < USUALLY_WAITING);
            }
            _ = rest.tick() => {
                gateway.book.rest();
            }
            _ = ticks.tick() => {
                let since = seq;
                let changes = match gateway.book.read(move |store| store.changes_since(since)).await {
                    Ok(changes) => changes,
                    Err(error) => {
                        tracing::warn!(%error, "the store's changes could not be read");
                        continue;
                    }
                };
                let Some(last) = changes.last() else { continue };
                seq = last.seq;
                if changes.iter().any(|change| change.kind == ChangeKind::Reset) {
                    // Settlements on their way to the store would otherwise be forgotten by the actor.
                    gateway.ledger.flush().await;
                }
                if let Err(error) = gateway.book.apply(&changes).await {
                    tracing::warn!(%error, "changes of the store could not be applied");
                    seq = since;
                }
                if changes.iter().any(|change| change.kind == ChangeKind::Provider)
                    && let Err(error) = gateway.reload_providers().await
                {
                    tracing::warn!(%error, "changed providers could not be read");
                }
                let objects: Vec<&str> = changes
                    .iter()
                    .filter(|change| change.kind == ChangeKind::Object)
                    .map(|change| change.id.as_str())
                    .collect();
                if !objects.is_empty() {
                    follow_objects(&gateway, &objects).await;
                }
                for change in changes.iter().filter(|change| change.kind == ChangeKind::Config) {
                    if let Err(error) = gateway.configs.reload(&gateway.book, &change.id).await {
                        tracing::warn!(config = change.id, %error, "a changed config could not be read");
                    }
                }
                if changes.iter().any(|change| change.kind == ChangeKind::Prices) {
                    gateway.reload_prices();
                }
            }
        }
    }
}

/// Deletes old rows of the request log, until the process ends.
pub async fn old_logs(gateway: Arc<Gateway>) {
    let mut ticks = interval(REST_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        prune(&gateway).await;
    }
}

/// Reads the secrets that integrations refer to again, now and then, until the process ends.
pub async fn secrets(gateway: Arc<Gateway>) {
    let mut ticks = interval(SECRETS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if gateway.read_references().await
            && let Err(error) = gateway.reload_providers().await
        {
            tracing::warn!(%error, "providers with other secrets could not be put in force");
        }
    }
}

/// Reads objects again that other processes changed.
async fn follow_objects(gateway: &Gateway, changed: &[&str]) {
    match gateway.objects.reload(&gateway.book, changed).await {
        Ok(false) => {}
        Ok(true) => {
            gateway.read_references().await;
            if let Err(error) = gateway.reload_providers().await {
                tracing::warn!(%error, "changed providers could not be read");
            }
        }
        Err(error) => tracing::warn!(%error, "changed objects could not be read"),
    }
}

/// Deletes request log rows that are old enough, some at a time.
async fn prune(gateway: &Gateway) {
    let Some(days) = keep_days(gateway) else { return };
    let before_ms = clock::unix_ms() - days * 86_400_000;
    for _ in 0..PRUNE_TIMES {
        match gateway.book.read(move |store| store.prune_logs(before_ms, PRUNE_AT_ONCE)).await {
            Ok(PRUNE_AT_ONCE) => tokio::time::sleep(PRUNE_PAUSE).await,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "old request log rows could not be deleted");
                return;
            }
        }
    }
}

/// Returns how many days rows are kept: the less of what the operator and the organisation say; `None` is for ever.
fn keep_days(gateway: &Gateway) -> Option<i64> {
    let house = gateway.objects.organisation();
    let house = house.and_then(|it| it.body["settings"]["system_log_retention"].as_i64());
    let days = house.into_iter().chain([i64::from(gateway.settings().log.keep_days)]);
    days.filter(|days| *days > 0).min()
}

/// Adds `@ollama` when one answers on loopback and nobody declared another.
pub async fn find_ollama(gateway: Arc<Gateway>) {
    if gateway.book.provider("ollama").is_some() {
        return;
    }
    let connecting = tokio::net::TcpStream::connect(OLLAMA);
    let answers = tokio::time::timeout(Duration::from_millis(300), connecting).await;
    if !matches!(answers, Ok(Ok(_))) {
        return;
    }
    tracing::info!("ollama answers on {OLLAMA}: @ollama is set up");
    let found = ProviderRecord {
        base_url: Some(format!("http://{OLLAMA}/v1")),
        trusted: true,
        ..ProviderRecord::named("ollama", "ollama")
    };
    if let Err(error) = gateway.add_found(found).await {
        tracing::warn!(%error, "@ollama could not be added");
    }
}
