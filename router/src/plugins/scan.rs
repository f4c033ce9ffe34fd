//! What changes of the watched folder do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_plugin_host::Plugin;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::digest_of;
use super::error::PluginError;
use super::folder::{self, Difference, FIRST_LOOKS_EVERY, LOOK_EVERY, Looks};
use super::service::{Plugins, off_thread};
use crate::gateway::Gateway;
use crate::versions::Step;

/// Bytes of a plugin: the host takes no larger one.
pub const LARGEST: usize = 64 << 20;

/// Loads what was uploaded, then watches the plugin folder until the process ends.
pub async fn watch(gateway: Arc<Gateway>) {
    let plugins = &gateway.plugins;
    plugins.load_uploads().await;
    let mut looks = Looks::default();
    let mut failing = false;
    for _ in 0..2 {
        plugins.look(&gateway.settings().plugins, &mut looks, &mut failing).await;
        sleep(FIRST_LOOKS_EVERY).await;
    }
    plugins.note_scanned();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        plugins.look(&gateway.settings().plugins, &mut looks, &mut failing).await;
    }
}

impl Plugins {
    async fn look(&self, folder: &Path, looks: &mut Looks, failing: &mut bool) {
        let path = folder.to_owned();
        let listed = off_thread(move || {
            folder::list(&path).map_err(|error| PluginError::Disk { what: path.display().to_string(), error })
        });
        match listed.await {
            Ok(now) => {
                *failing = false;
                let difference = looks.look(&now);
                if difference != Difference::default() {
                    self.folder_changed(difference).await;
                }
            }
            Err(error) => {
                if !std::mem::replace(failing, true) {
                    tracing::error!(%error, "the plugin folder can't be read, its plugins stay as they are");
                }
            }
        }
    }

    /// Loads what is new, then makes all changes of a look together: a renamed file is never away.
    pub(super) async fn folder_changed(&self, difference: Difference) {
        let _one_at_a_time = self.changing.lock().await;
        let shelf = self.handle.shelf();
        let mut steps: Vec<_> = difference.gone.into_iter().map(|file| Step::FileGone { file }).collect();
        let mut files = difference.changed;
        // Whatever stood in their way may be gone: another file of the same plugin, say.
        let refused = shelf.refused().filter_map(|refusal| refusal.file.clone());
        files.extend(refused.collect::<Vec<_>>());
        files.sort();
        files.dedup();
        for file in files {
            let gone =
                steps.iter().any(|step| matches!(step, Step::FileGone { file: gone } if *gone == file));
            if !gone {
                let in_force = shelf
                    .entries()
                    .find_map(|(_, entry)| entry.folder_version().filter(|(holder, _)| **holder == file));
                let digest = in_force.map(|(_, plugin)| plugin.digest().to_owned());
                steps.extend(self.file_changed(file, digest).await);
            }
        }
        self.apply(steps).await;
        for refusal in self.handle.shelf().refused() {
            let known = shelf.refused().any(|old| old.file == refusal.file && old.digest == refusal.digest);
            if let Some(file) = refusal.file.as_ref().filter(|_| !known) {
                let (digest, reason) = (&refusal.digest, &refusal.reason);
                tracing::error!(file = %file.display(), digest, reason, "plugin refused, what was there stays");
            }
        }
        self.keep_files().await;
    }

    /// `in_force` is the digest of what the file was loaded from.
    async fn file_changed(&self, file: PathBuf, in_force: Option<String>) -> Vec<Step<Plugin>> {
        let (loader, vault, declared) = (self.loader.clone(), self.vault.clone(), self.declared());
        let (path, old) = (file.clone(), in_force.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            let bytes = match read(&path) {
                Ok(bytes) => bytes,
                Err(error) => return (String::new(), Err(error)),
            };
            let digest = digest_of(&bytes);
            if old.as_ref() == Some(&digest) {
                return (digest, Ok(None));
            }
            let plugin = loader.load(&bytes, &declared).map(Some);
            if plugin.is_ok()
                && let Err(error) = vault.keep(&bytes)
            {
                tracing::warn!(file = %path.display(), %error, "a good file of the plugin folder could not be kept");
            }
            (digest, plugin)
        });
        let Ok((digest, loaded)) = loaded.await else { return Vec::new() };
        match loaded {
            Ok(Some(plugin)) => vec![Step::FileLoaded { file, plugin }],
            // It is what it was before it was bad: that is in force still.
            Ok(None) => vec![Step::FileForgiven { file }],
            Err(error) => {
                let reason = error.to_string();
                let mut steps = Vec::new();
                if in_force.is_none() {
                    steps.extend(self.last_good(&file).await);
                }
                steps.push(Step::FileRefused { file, digest, reason });
                steps
            }
        }
    }

    /// Loads what a file was when it was last good, before a restart.
    async fn last_good(&self, file: &Path) -> Option<Step<Plugin>> {
        let digest = self.vault.index().files.get(file)?.clone();
        let (loader, vault, declared) = (self.loader.clone(), self.vault.clone(), self.declared());
        let loaded = off_thread(move || loader.load(&vault.bytes(&digest)?, &declared)).await;
        match loaded {
            Ok(plugin) => Some(Step::FileLoaded { file: file.to_owned(), plugin }),
            Err(error) => {
                tracing::error!(file = %file.display(), %error, "its last good content can't be loaded either");
                None
            }
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, PluginError> {
    let failed = |error| PluginError::Disk { what: file.display().to_string(), error };
    if fs::metadata(file).map_err(failed)?.len() > LARGEST as u64 {
        return Err(failed(std::io::Error::other(format!("larger than {LARGEST} bytes"))));
    }
    fs::read(file).map_err(failed)
}
