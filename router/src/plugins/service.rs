//! Plugins as the rest of the gateway sees them: a published set, and orders that change it.
//!
//! Failure behaviour: a version that can't be loaded changes nothing but the list, where it stands with its reason.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tidegate_plugin_host::{Instances, Plugin, PluginSet, Powers};
use tokio::sync::watch;

use super::bundled::Bundled;
use super::error::PluginError;
use super::loader::{Declared, Loader};
use super::vault::Vault;
use crate::actors::plugins::PluginsHandle;
use crate::actors::shards::Shards;
use crate::settings::DeclaredPlugin;
use crate::versions::{Source, Step};

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
    pub(super) handle: PluginsHandle,
    pub(super) loader: Arc<Loader>,
    pub(super) vault: Arc<Vault>,
    /// Held by whoever makes a change.
    pub(super) changing: tokio::sync::Mutex<()>,
    declared: ArcSwap<Declared>,
    bundled: &'static [Bundled],
    loading_bundled: tokio::sync::Mutex<()>,
    scanned: watch::Sender<bool>,
}

impl Plugins {
    /// Starts with no plugin. Must run inside an actix System.
    pub(crate) fn start(options: Options, shards: &Shards) -> Self {
        Self {
            handle: PluginsHandle::start(shards),
            loader: Arc::new(Loader::new(options.data.join("compiled"), options.powers)),
            vault: Arc::new(Vault::open(options.data)),
            changing: tokio::sync::Mutex::new(()),
            declared: ArcSwap::from_pointee(options.declared),
            bundled: options.bundled,
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
    pub async fn ready<'a, I: Iterator<Item = &'a str>>(&self, ids: impl Fn() -> I) -> Arc<PluginSet> {
        if !*self.scanned.borrow() {
            let mut scanned = self.scanned.subscribe();
            if tokio::time::timeout(FIRST_SCAN_WITHIN, scanned.wait_for(|scanned| *scanned)).await.is_err() {
                tracing::warn!("the first look at the plugins takes long: a request goes on without");
            }
        }
        let set = self.set();
        let mut wanted =
            ids().filter_map(|id| self.bundled(id)).filter(|it| self.is_missing(&set, it.id)).peekable();
        if wanted.peek().is_none() {
            return set;
        }
        for bundled in wanted {
            self.load_bundled(bundled).await;
        }
        self.set()
    }

    /// Says that the folder was looked at once.
    pub(crate) fn note_scanned(&self) {
        self.scanned.send_replace(true);
    }

    /// Returns what is declared about plugins.
    pub(super) fn declared(&self) -> Arc<Declared> {
        self.declared.load_full()
    }

    pub(super) fn set_declared(&self, declared: Declared) {
        self.declared.store(Arc::new(declared));
    }

    pub(super) fn all_bundled(&self) -> &'static [Bundled] {
        self.bundled
    }

    pub(super) fn bundled(&self, id: &str) -> Option<&'static Bundled> {
        self.bundled.iter().find(|bundled| bundled.id == id)
    }

    /// Whether a bundled plugin is worth loading: not there, and not refused with what is declared.
    fn is_missing(&self, set: &PluginSet, id: &str) -> bool {
        let refused = || self.handle.shelf().entry(id).is_some_and(|entry| entry.refuses(Source::Bundled));
        set.get(id).is_none() && !refused()
    }

    async fn load_bundled(&self, bundled: &'static Bundled) {
        let _one_at_a_time = self.loading_bundled.lock().await;
        while self.is_missing(&self.set(), bundled.id) {
            let declared = self.declared();
            let step = self.bundled_again(bundled).await;
            // When the settings changed meanwhile: with what is declared now.
            if Arc::ptr_eq(&declared, &self.declared()) && self.handle.change(vec![step]).await.is_err() {
                return;
            }
        }
    }

    /// Loads a bundled plugin with what is declared now.
    pub(super) async fn bundled_again(&self, bundled: &'static Bundled) -> Step<Plugin> {
        let loader = self.loader.clone();
        let mut declared = Declared::clone(&self.declared());
        // They keep nothing of a call but what they compiled for it.
        let reuses = || DeclaredPlugin {
            instances: Instances::Reuse { calls: Instances::CALLS, idle: Instances::IDLE },
            ..DeclaredPlugin::default()
        };
        declared.entry(bundled.id.to_owned()).or_insert_with(reuses);
        let loaded = off_thread(move || loader.load_as(bundled.id, bundled.bytes, &declared)).await;
        let id = bundled.id.to_owned();
        match loaded {
            Ok(plugin) => Step::Bundled { id, plugin: Some(plugin) },
            Err(error) => {
                tracing::error!(plugin = id, %error, "bundled plugin refused");
                let (digest, reason) = (bundled.digest().to_owned(), error.to_string());
                Step::Withdrawn { id, source: Source::Bundled, digest, reason }
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
