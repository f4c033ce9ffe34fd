//! Plugins as the rest of the gateway sees them: a published set, and orders that change it.
//!
//! Failure behaviour: a version that can't be loaded changes nothing but the list, where it stands with its reason.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tidegate_plugin_host::{PluginSet, Powers};
use tokio::sync::watch;

use super::bundled::Bundled;
use super::error::PluginError;
use super::loader::{Declared, Loader};
use super::shelf::Step;
use crate::actors::plugins::PluginsHandle;
use crate::actors::shards::Shards;

/// A request waits so long for the plugins of a gateway that just started.
const FIRST_SCAN_WITHIN: Duration = Duration::from_secs(10);

/// What the plugins are made with.
pub(crate) struct Options {
    /// Folder of uploads and compiled plugins.
    pub(crate) data: PathBuf,
    /// What is lent.
    pub(crate) powers: Arc<dyn Powers>,
    /// What is declared.
    pub(crate) declared: Declared,
    /// What comes with the gateway.
    pub(crate) bundled: &'static [Bundled],
}

/// All plugins of a gateway.
pub struct Plugins {
    handle: PluginsHandle,
    loader: Arc<Loader>,
    declared: ArcSwap<Declared>,
    bundled: &'static [Bundled],
    /// Bundled plugins that can't be loaded with what is declared about them.
    broken: Mutex<BTreeSet<&'static str>>,
    loading_bundled: tokio::sync::Mutex<()>,
    scanned: watch::Sender<bool>,
}

impl Plugins {
    /// Starts with no plugin. Must run inside an actix System.
    pub(crate) fn start(options: Options, shards: &Shards) -> Self {
        Self {
            handle: PluginsHandle::start(shards),
            loader: Arc::new(Loader::new(options.data.join("compiled"), options.powers)),
            declared: ArcSwap::from_pointee(options.declared),
            bundled: options.bundled,
            broken: Mutex::default(),
            loading_bundled: tokio::sync::Mutex::new(()),
            scanned: watch::Sender::new(false),
        }
    }

    /// Returns the plugins in force at this moment.
    #[must_use]
    pub fn set(&self) -> Arc<PluginSet> {
        self.handle.set()
    }

    /// Returns the plugins in force, bundled ones among `ids` included, which are loaded at their first use. In the
    /// first moments of the gateway's life it waits for the first look at the folder. Never blocks the thread. Ids
    /// that are not in the set then are not to be had.
    pub async fn ready(&self, ids: &[&str]) -> Arc<PluginSet> {
        if !*self.scanned.borrow() {
            let mut scanned = self.scanned.subscribe();
            if tokio::time::timeout(FIRST_SCAN_WITHIN, scanned.wait_for(|scanned| *scanned)).await.is_err() {
                tracing::warn!("the first look at the plugins takes long: a request goes on without");
            }
        }
        let set = self.set();
        let mut wanted = ids.iter().filter(|id| set.get(id).is_none()).filter_map(|id| self.bundled(id));
        let Some(first) = wanted.next() else { return set };
        for bundled in std::iter::once(first).chain(wanted) {
            self.load_bundled(bundled).await;
        }
        self.set()
    }

    /// Says that the folder was looked at once.
    pub(crate) fn note_scanned(&self) {
        self.scanned.send_replace(true);
    }

    fn bundled(&self, id: &str) -> Option<&'static Bundled> {
        self.bundled.iter().find(|bundled| bundled.id == id)
    }

    fn broken(&self) -> std::sync::MutexGuard<'_, BTreeSet<&'static str>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load_bundled(&self, bundled: &'static Bundled) {
        let _one_at_a_time = self.loading_bundled.lock().await;
        while self.set().get(bundled.id).is_none() && !self.broken().contains(bundled.id) {
            let declared = self.declared.load_full();
            let (loader, with) = (self.loader.clone(), declared.clone());
            let loaded = off_thread(move || loader.load_as(bundled.id, bundled.bytes, &with)).await;
            if !Arc::ptr_eq(&declared, &self.declared.load()) {
                // The settings changed meanwhile: with what is declared now.
                continue;
            }
            let id = bundled.id.to_owned();
            let step = match loaded {
                Ok(plugin) => Step::Bundled { id, plugin: Some(plugin) },
                Err(PluginError::Unavailable) => return,
                Err(error) => {
                    tracing::error!(plugin = id, %error, "bundled plugin refused");
                    self.broken().insert(bundled.id);
                    Step::Withdrawn {
                        id,
                        source: super::Source::Bundled,
                        digest: bundled.digest().to_owned(),
                        reason: error.to_string(),
                    }
                }
            };
            if self.handle.change(vec![step]).await.is_err() {
                return;
            }
        }
    }
}

/// Runs work that blocks on a thread that may.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PluginError> + Send + 'static,
) -> Result<T, PluginError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| PluginError::Unavailable)?
}
