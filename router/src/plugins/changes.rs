//! Orders of operators: upload, activate, roll back, remove; and what a change of the settings does to plugins.
//!
//! Changes come one at a time. The disk is written before the swap, so that a crash in between leaves what a restart
//! would bring anyway.

use std::path::PathBuf;

use tidegate_plugin_host::Plugin;

use super::bundled::BUNDLED;
use super::digest_of;
use super::error::PluginError;
use super::loader::Declared;
use super::service::{Plugins, off_thread};
use super::vault::{Index, Uploads};
use crate::clock;
use crate::versions::{Entry, Source, Step, Upload};

/// The shortest beginning of a digest that names one.
const SHORTEST_DIGEST: usize = 6;

/// What an upload became.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Uploaded {
    /// The id of its manifest.
    pub id: String,
    /// The version of its manifest.
    pub version: String,
    /// SHA-256 of its bytes in hexadecimal.
    pub digest: String,
    /// Whether it is in force.
    pub active: bool,
}

impl Plugins {
    /// Takes an upload in, and puts it in force if asked to.
    ///
    /// # Errors
    /// [`PluginError`]; then nothing is kept.
    pub async fn upload(&self, bytes: Vec<u8>, activate: bool) -> Result<Uploaded, PluginError> {
        let _one_at_a_time = self.changing.lock().await;
        let (loader, declared) = (self.loader.clone(), self.declared());
        let (bytes, plugin) = off_thread(move || {
            let plugin = loader.load(&bytes, &declared)?;
            Ok((bytes, plugin))
        })
        .await?;
        let id = plugin.manifest().id.clone();
        if activate {
            self.check_free(&id)?;
        }
        let upload = Upload {
            digest: digest_of(&bytes),
            version: plugin.manifest().version.clone(),
            bytes: bytes.len() as u64,
            at_ms: clock::unix_ms(),
        };
        let uploaded = Uploaded {
            id: id.clone(),
            version: upload.version.clone(),
            digest: upload.digest.clone(),
            active: activate,
        };
        let vault = self.vault.clone();
        let uploads = off_thread(move || {
            vault.keep(&bytes)?;
            let mut index = vault.index();
            let uploads = index.plugins.entry(id).or_default();
            let digest = upload.digest.clone();
            uploads.add(upload);
            if activate {
                uploads.activate(&digest);
            }
            let uploads = uploads.clone();
            vault.save(index)?;
            Ok(uploads)
        })
        .await?;
        let id = uploaded.id.clone();
        let mut steps = vec![Step::Stored { id: id.clone(), uploads: uploads.kept }];
        if activate {
            steps.push(Step::Uploaded { id, plugin: Some(plugin) });
        }
        self.handle.change(steps).await?;
        Ok(uploaded)
    }

    /// Puts an upload in force, by its digest or the beginning of it.
    ///
    /// # Errors
    /// [`PluginError`]; then nothing changes.
    pub async fn activate(&self, id: &str, digest: &str) -> Result<Uploaded, PluginError> {
        let _one_at_a_time = self.changing.lock().await;
        let uploads = self.uploads(id)?;
        let digest = find(id, &uploads, digest)?;
        self.put_in_force(id, &digest, |uploads, digest| uploads.activate(digest)).await
    }

    /// Puts the upload in force that was before the one that is.
    ///
    /// # Errors
    /// [`PluginError`]; then nothing changes.
    pub async fn roll_back(&self, id: &str) -> Result<Uploaded, PluginError> {
        let _one_at_a_time = self.changing.lock().await;
        let uploads = self.uploads(id)?;
        let Some(digest) = uploads.activated.iter().nth_back(1).cloned() else {
            return Err(PluginError::Conflict(format!("plugin {id} has no earlier version to roll back to")));
        };
        self.put_in_force(id, &digest, |uploads, _| {
            uploads.activated.pop();
        })
        .await
    }

    async fn put_in_force(
        &self,
        id: &str,
        digest: &str,
        note: impl FnOnce(&mut Uploads, &str) + Send + 'static,
    ) -> Result<Uploaded, PluginError> {
        self.check_free(id)?;
        let (loader, vault, declared) = (self.loader.clone(), self.vault.clone(), self.declared());
        let (owned, wanted) = (id.to_owned(), digest.to_owned());
        let plugin = off_thread(move || {
            let plugin = loader.load_as(&owned, &vault.bytes(&wanted)?, &declared)?;
            let mut index = vault.index();
            note(index.plugins.entry(owned).or_default(), &wanted);
            vault.save(index)?;
            Ok(plugin)
        })
        .await?;
        let version = plugin.manifest().version.clone();
        self.handle.change(vec![Step::Uploaded { id: id.to_owned(), plugin: Some(plugin) }]).await?;
        Ok(Uploaded { id: id.to_owned(), version, digest: digest.to_owned(), active: true })
    }

    /// Removes all uploads of a plugin. What is bundled under its id comes back.
    ///
    /// # Errors
    /// [`PluginError`]; then nothing changes.
    pub async fn remove(&self, id: &str) -> Result<(), PluginError> {
        let _one_at_a_time = self.changing.lock().await;
        if let Err(unknown) = self.uploads(id) {
            self.check_free(id)?;
            if self.bundled(id).is_some() {
                return Err(PluginError::Conflict(format!(
                    "plugin {id} is part of the gateway and can't be removed; it costs nothing unless a config uses it"
                )));
            }
            return Err(unknown);
        }
        let (vault, owned) = (self.vault.clone(), id.to_owned());
        off_thread(move || {
            let mut index = vault.index();
            index.plugins.remove(&owned);
            vault.save(index)
        })
        .await?;
        let steps = vec![
            Step::Stored { id: id.to_owned(), uploads: Vec::new() },
            Step::Uploaded { id: id.to_owned(), plugin: None },
        ];
        self.handle.change(steps).await?;
        Ok(())
    }

    /// Refuses to put an upload in force while a file of the folder is.
    fn check_free(&self, id: &str) -> Result<(), PluginError> {
        let shelf = self.handle.shelf();
        match shelf.entry(id).and_then(Entry::file) {
            Some(file) => Err(PluginError::Conflict(format!(
                "plugin {id} is in force from the file {}, which comes before uploads; change or remove that file",
                file.display()
            ))),
            None => Ok(()),
        }
    }

    fn uploads(&self, id: &str) -> Result<Uploads, PluginError> {
        let index = self.vault.index();
        let found = index.plugins.get(id).filter(|uploads| !uploads.kept.is_empty());
        if found.is_none() && BUNDLED.iter().any(|bundled| bundled.id == id) {
            return Err(PluginError::NoVersions { id: id.to_owned() });
        }
        found.cloned().ok_or_else(|| PluginError::Unknown { id: id.to_owned() })
    }

    /// Loads what was uploaded before a restart.
    pub(crate) async fn load_uploads(&self) {
        let _one_at_a_time = self.changing.lock().await;
        for (id, uploads) in self.vault.index().plugins {
            let mut steps = vec![Step::Stored { id: id.clone(), uploads: uploads.kept.clone() }];
            if let Some(digest) = uploads.active() {
                steps.push(self.again(&id, Source::Uploaded, None, digest.to_owned()).await);
            }
            self.apply(steps).await;
        }
    }

    /// Puts a change of `[[plugin]]` in force: what it is about is loaded anew. A plugin that can't be loaded with
    /// what is declared now goes out of force: what was taken from it may not stay with it.
    pub(crate) async fn declare(&self, declared: &Declared) {
        let _one_at_a_time = self.changing.lock().await;
        let old = self.declared();
        if *old == *declared {
            return;
        }
        self.set_declared(declared.clone());
        let shelf = self.handle.shelf();
        let index = self.vault.index();
        let mut steps = Vec::new();
        for (id, entry) in shelf.entries() {
            if old.get(id) == declared.get(id) {
                continue;
            }
            if let Some((file, plugin)) = entry.folder_version() {
                let digest = plugin.digest().to_owned();
                steps.push(self.again(id, Source::Folder, Some(file.clone()), digest).await);
            } else if let Some(refusal) = entry.refused.iter().find(|it| it.source == Source::Folder) {
                let (file, digest) = (refusal.file.clone(), refusal.digest.clone());
                steps.push(self.again(id, Source::Folder, file, digest).await);
            }
            if let Some(digest) = index.plugins.get(id).and_then(Uploads::active) {
                steps.push(self.again(id, Source::Uploaded, None, digest.to_owned()).await);
            }
            if let Some(bundled) = self.bundled(id).filter(|_| entry.uses_bundled()) {
                steps.push(self.bundled_again(bundled).await);
            }
        }
        for refusal in shelf.refused() {
            let Some(file) = refusal.file.clone() else { continue };
            let (loader, declared) = (self.loader.clone(), self.declared());
            let digest = refusal.digest.clone();
            let path = file.clone();
            let loaded = off_thread(move || {
                let bytes = std::fs::read(&path)
                    .map_err(|error| PluginError::Disk { what: path.display().to_string(), error })?;
                // Other content than was refused is for the next look at the folder.
                if digest_of(&bytes) == digest { loader.load(&bytes, &declared).map(Some) } else { Ok(None) }
            });
            if let Ok(Some(plugin)) = loaded.await {
                steps.push(Step::FileLoaded { file, plugin });
            }
        }
        self.apply(steps).await;
        self.keep_files().await;
    }

    /// Loads a version again, with what is declared now.
    async fn again(&self, id: &str, source: Source, file: Option<PathBuf>, digest: String) -> Step<Plugin> {
        let (loader, vault, declared) = (self.loader.clone(), self.vault.clone(), self.declared());
        let (owned, wanted, path) = (id.to_owned(), digest.clone(), file.clone());
        let loaded = off_thread(move || {
            let bytes = match (vault.bytes(&wanted), path) {
                (Ok(bytes), _) => bytes,
                (Err(_), Some(path)) => std::fs::read(&path)
                    .map_err(|error| PluginError::Disk { what: path.display().to_string(), error })?,
                (Err(error), None) => return Err(error),
            };
            loader.load_as(&owned, &bytes, &declared)
        })
        .await;
        let id = id.to_owned();
        match (loaded, file) {
            (Ok(plugin), Some(file)) => Step::FileLoaded { file, plugin },
            (Ok(plugin), None) => Step::Uploaded { id, plugin: Some(plugin) },
            (Err(error), _) => {
                tracing::error!(plugin = id, digest, %error, "plugin goes out of force");
                Step::Withdrawn { id, source, digest, reason: error.to_string() }
            }
        }
    }

    pub(super) async fn apply(&self, steps: Vec<Step<Plugin>>) {
        if self.handle.change(steps).await.is_err() {
            tracing::error!("the plugins' actor does not answer; a change is lost");
        }
    }

    /// Keeps copies of the folder's good files, so that a bad one does not take its plugin away at a restart.
    pub(super) async fn keep_files(&self) {
        let (vault, shelf) = (self.vault.clone(), self.handle.shelf());
        let kept = off_thread(move || {
            let mut index: Index = vault.index();
            index.files.clear();
            for (_, entry) in shelf.entries() {
                if let Some((file, plugin)) = entry.folder_version() {
                    index.files.insert(file.clone(), plugin.digest().to_owned());
                }
            }
            vault.save(index)
        });
        if let Err(error) = kept.await {
            tracing::warn!(%error, "good files of the plugin folder could not be kept");
        }
    }
}

/// Finds an upload by the beginning of its digest.
fn find(id: &str, uploads: &Uploads, digest: &str) -> Result<String, PluginError> {
    let digest = digest.trim().trim_start_matches("sha256:").to_ascii_lowercase();
    let unknown = || PluginError::UnknownVersion { id: id.to_owned(), digest: digest.clone() };
    if digest.len() < SHORTEST_DIGEST {
        return Err(unknown());
    }
    let mut fitting = uploads.kept.iter().filter(|upload| upload.digest.starts_with(&digest));
    let found = fitting.next().ok_or_else(unknown)?;
    match fitting.next() {
        Some(_) => Err(PluginError::Ambiguous { id: id.to_owned(), digest }),
        None => Ok(found.digest.clone()),
    }
}
