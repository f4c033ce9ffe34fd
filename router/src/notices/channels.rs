//! The channels of the settings in force, and what was told already.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tidegate_notify::{Event, InMemory, Memory, Notifier, Options};
use tidegate_store::Store;

use crate::settings::{Settings, resolve_secret};

const STOP_WITHIN: Duration = Duration::from_secs(2);

/// What was told, as the store remembers it.
struct Told {
    store: Arc<Mutex<Box<dyn Store>>>,
    /// Of this node alone, while the store is away: else the same would be told again and again then.
    here: InMemory,
}

impl Memory for Told {
    fn seen(&self, key: &str, now_ms: i64, until_ms: i64) -> Result<bool, String> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        match store.tell_once(key, until_ms, now_ms) {
            Ok(is_new) => Ok(!is_new),
            Err(error) => {
                drop(store);
                tracing::warn!(%error, "the store is away: this node alone remembers what it told");
                self.here.seen(key, now_ms, until_ms)
            }
        }
    }
}

/// The notifier in force.
#[derive(Default)]
pub struct Notices {
    notifier: ArcSwapOption<Notifier>,
}

impl Notices {
    /// Puts the channels of the settings in force. What waits for the old ones is tried once more.
    pub fn apply(&self, settings: &Settings, store: Arc<Mutex<Box<dyn Store>>>) {
        let resolve = |reference: &str| {
            resolve_secret(reference, &|name| std::env::var(name).ok())
                .map(|secret| secret.reveal().to_owned())
        };
        let mut channels = Vec::new();
        for declared in &settings.notify {
            match declared.build(&resolve) {
                Ok(channel) => channels.push(channel),
                Err(error) => {
                    tracing::error!(channel = declared.name, error, "a channel of notifications is left out")
                }
            }
        }
        let next = (!channels.is_empty()).then(|| {
            let told = Told { store, here: InMemory::default() };
            let (notifier, work) = Notifier::new(channels, Arc::new(told), Options::default());
            actix_web::rt::spawn(work);
            Arc::new(notifier)
        });
        if let Some(old) = self.notifier.swap(next) {
            actix_web::rt::spawn(async move { old.stop(STOP_WITHIN).await });
        }
    }

    /// Tells an event; never waits.
    pub fn tell(&self, event: Event) {
        if let Some(notifier) = &*self.notifier.load() {
            notifier.notify(event);
        }
    }

    /// Returns the notifier in force, if anyone is told anything.
    #[must_use]
    pub fn notifier(&self) -> Option<Arc<Notifier>> {
        self.notifier.load_full()
    }

    /// Tries to send what waits, at most for so long.
    pub async fn stop(&self, within: Duration) {
        if let Some(notifier) = self.notifier.load_full() {
            let left = notifier.stop(within).await;
            if left > 0 {
                tracing::warn!(left, "notifications were not sent before the end");
            }
        }
    }

    /// Returns whether nobody is told anything.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.notifier.load().is_none()
    }
}
