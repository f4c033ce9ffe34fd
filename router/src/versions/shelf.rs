//! Which versions of plugins there are, and which one of each is in force. Pure: loads nothing, asks no clock.
//!
//! A file of the watched folder comes before an upload, an upload before what is bundled. What was in force before is
//! remembered weakly: it lives exactly as long as the requests that started with it.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use serde::{Deserialize, Serialize};
use tidegate_plugin_host::Plugin;

use super::step::Step;

/// So many earlier versions of a plugin are remembered.
const PAST_AT_MOST: usize = 20;

/// What the shelf must know of a plugin.
pub(crate) trait Version {
    /// The id of its manifest.
    fn id(&self) -> &str;
    /// The version of its manifest.
    fn version(&self) -> &str;
    /// The digest of its bytes.
    fn digest(&self) -> &str;
}

impl Version for Plugin {
    fn id(&self) -> &str {
        &self.manifest().id
    }

    fn version(&self) -> &str {
        &self.manifest().version
    }

    fn digest(&self) -> &str {
        Plugin::digest(self)
    }
}

/// Where a version came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The watched folder.
    Folder,
    /// The Admin API.
    Uploaded,
    /// The gateway's own binary.
    Bundled,
}

/// An upload that is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// SHA-256 of its bytes in hexadecimal.
    pub digest: String,
    /// The version of its manifest.
    pub version: String,
    /// Its size.
    pub bytes: u64,
    /// When it came, milliseconds since 1970.
    pub at_ms: i64,
}

/// A version that is not in force, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Where it came from.
    pub source: Source,
    /// Its file, if it is one of the folder.
    pub file: Option<PathBuf>,
    /// SHA-256 of its bytes in hexadecimal.
    pub digest: String,
    /// A sentence for the operator.
    pub reason: String,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
}

/// A version that was in force.
pub(crate) struct Past<P> {
    pub(crate) digest: String,
    pub(crate) version: String,
    pub(crate) source: Source,
    pub(crate) until_ms: i64,
    plugin: Weak<P>,
}

impl<P> Past<P> {
    /// Whether a request that started with it still runs.
    pub(crate) fn in_use(&self) -> bool {
        self.plugin.strong_count() > 0
    }
}

impl<P> Clone for Past<P> {
    fn clone(&self) -> Self {
        Self {
            digest: self.digest.clone(),
            version: self.version.clone(),
            source: self.source,
            until_ms: self.until_ms,
            plugin: self.plugin.clone(),
        }
    }
}

/// All that is known under one id.
pub(crate) struct Entry<P> {
    folder: Option<(PathBuf, Arc<P>)>,
    uploaded: Option<Arc<P>>,
    bundled: Option<Arc<P>>,
    /// On disk, oldest first.
    pub(crate) uploads: Vec<Upload>,
    /// Newest last.
    pub(crate) past: VecDeque<Past<P>>,
    /// Why the newest version of a source is not in force.
    pub(crate) refused: Vec<Refusal>,
    /// Since when the version in force is, milliseconds since 1970.
    pub(crate) since_ms: i64,
}

impl<P> Default for Entry<P> {
    fn default() -> Self {
        Self {
            folder: None,
            uploaded: None,
            bundled: None,
            uploads: Vec::new(),
            past: VecDeque::new(),
            refused: Vec::new(),
            since_ms: 0,
        }
    }
}

impl<P> Clone for Entry<P> {
    fn clone(&self) -> Self {
        Self {
            folder: self.folder.clone(),
            uploaded: self.uploaded.clone(),
            bundled: self.bundled.clone(),
            uploads: self.uploads.clone(),
            past: self.past.clone(),
            refused: self.refused.clone(),
            since_ms: self.since_ms,
        }
    }
}

impl<P> Entry<P> {
    /// Returns the version in force.
    pub(crate) fn in_force(&self) -> Option<(Source, &Arc<P>)> {
        let folder = self.folder.as_ref().map(|(_, plugin)| (Source::Folder, plugin));
        let uploaded = || self.uploaded.as_ref().map(|plugin| (Source::Uploaded, plugin));
        let bundled = || self.bundled.as_ref().map(|plugin| (Source::Bundled, plugin));
        folder.or_else(uploaded).or_else(bundled)
    }

    /// Returns the file of the folder that is in force.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.folder.as_ref().map(|(file, _)| file.as_path())
    }

    /// Returns the file of the folder that is in force and what it became.
    pub(crate) fn folder_version(&self) -> Option<(&PathBuf, &Arc<P>)> {
        self.folder.as_ref().map(|(file, plugin)| (file, plugin))
    }

    /// Whether the newest version of a source is refused.
    pub(crate) fn refuses(&self, source: Source) -> bool {
        self.refused.iter().any(|refusal| refusal.source == source)
    }

    /// Whether the bundled plugin of this id was needed.
    pub(crate) fn uses_bundled(&self) -> bool {
        self.bundled.is_some() || self.refuses(Source::Bundled)
    }

    /// Whether there is anything to say of it.
    pub(crate) fn matters(&self) -> bool {
        let is_empty = self.in_force().is_none() && self.uploads.is_empty() && self.refused.is_empty();
        !is_empty || self.past.iter().any(Past::in_use)
    }

    fn forgive(&mut self, source: Source) {
        self.refused.retain(|refusal| refusal.source != source);
    }
}

/// All plugins.
pub(crate) struct Shelf<P> {
    entries: BTreeMap<String, Entry<P>>,
    refused: BTreeMap<PathBuf, Refusal>,
}

impl<P> Default for Shelf<P> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), refused: BTreeMap::new() }
    }
}

impl<P> Clone for Shelf<P> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), refused: self.refused.clone() }
    }
}

impl<P: Version> Shelf<P> {
    /// Returns what is known under an id.
    pub(crate) fn entry(&self, id: &str) -> Option<&Entry<P>> {
        self.entries.get(id)
    }

    /// Goes through all ids.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Entry<P>)> {
        self.entries.iter().map(|(id, entry)| (id.as_str(), entry))
    }

    /// Goes through the files of the folder that were refused.
    pub(crate) fn refused(&self) -> impl Iterator<Item = &Refusal> {
        self.refused.values()
    }

    /// Applies changes together and returns the ids whose version in force is another one now.
    pub(crate) fn apply(&mut self, steps: Vec<Step<P>>, now_ms: i64) -> Vec<String> {
        let before: BTreeMap<String, (Source, Arc<P>)> = self
            .entries
            .iter()
            .filter_map(|(id, entry)| {
                entry.in_force().map(|(source, plugin)| (id.clone(), (source, plugin.clone())))
            })
            .collect();
        for step in steps {
            self.one(step, now_ms);
        }
        let mut changed = Vec::new();
        for (id, entry) in &mut self.entries {
            let old = before.get(id);
            let new = entry.in_force().map(|(_, plugin)| plugin);
            let same = match (old, new) {
                (Some((_, old)), Some(new)) => Arc::ptr_eq(old, new),
                (None, None) => true,
                _ => false,
            };
            if same {
                continue;
            }
            changed.push(id.clone());
            entry.since_ms = now_ms;
            if let Some((source, old)) = old {
                entry.past.push_back(Past {
                    digest: old.digest().to_owned(),
                    version: old.version().to_owned(),
                    source: *source,
                    until_ms: now_ms,
                    plugin: Arc::downgrade(old),
                });
                if entry.past.len() > PAST_AT_MOST {
                    entry.past.pop_front();
                }
            }
        }
        drop(before);
        // An id that nothing speaks for stays as long as requests run on what it was.
        self.entries.retain(|_, entry| entry.matters());
        changed
    }

    fn one(&mut self, step: Step<P>, now_ms: i64) {
        match step {
            Step::FileLoaded { file, plugin } => self.file_loaded(file, plugin, now_ms),
            Step::FileRefused { file, digest, reason } => self.refuse(file, digest, reason, now_ms),
            Step::FileForgiven { file } => {
                self.refused.remove(&file);
            }
            Step::FileGone { file } => {
                self.refused.remove(&file);
                self.take_from(&file, None);
            }
            Step::Stored { id, uploads } => self.at(id).uploads = uploads,
            Step::Uploaded { id, plugin } => {
                let entry = self.at(id);
                entry.forgive(Source::Uploaded);
                entry.uploaded = plugin;
            }
            Step::Bundled { id, plugin } => {
                let entry = self.at(id);
                entry.forgive(Source::Bundled);
                entry.bundled = plugin;
            }
            Step::Withdrawn { id, source, digest, reason } => {
                let entry = self.at(id);
                let file = match source {
                    Source::Folder => entry.folder.take().map(|(file, _)| file),
                    Source::Uploaded => {
                        entry.uploaded = None;
                        None
                    }
                    Source::Bundled => {
                        entry.bundled = None;
                        None
                    }
                };
                entry.forgive(source);
                entry.refused.push(Refusal { source, file, digest, reason, at_ms: now_ms });
            }
        }
    }

    fn at(&mut self, id: String) -> &mut Entry<P> {
        self.entries.entry(id).or_default()
    }

    fn refuse(&mut self, file: PathBuf, digest: String, reason: String, at_ms: i64) {
        let refusal = Refusal { source: Source::Folder, file: Some(file.clone()), digest, reason, at_ms };
        self.refused.insert(file, refusal);
    }

    fn file_loaded(&mut self, file: PathBuf, plugin: Arc<P>, now_ms: i64) {
        let id = plugin.id().to_owned();
        let holder = self.entry(&id).and_then(Entry::file).filter(|holder| *holder != file);
        if let Some(holder) = holder {
            let reason = format!("plugin {id} is in {} already", holder.display());
            self.refuse(file, plugin.digest().to_owned(), reason, now_ms);
            return;
        }
        self.refused.remove(&file);
        self.take_from(&file, Some(&id));
        let entry = self.at(id);
        entry.forgive(Source::Folder);
        entry.folder = Some((file, plugin));
    }

    /// Takes from a file what it was, but for one id.
    fn take_from(&mut self, file: &Path, but: Option<&str>) {
        for (id, entry) in &mut self.entries {
            if Some(id.as_str()) == but {
                continue;
            }
            if entry.file() == Some(file) {
                entry.folder = None;
            }
            entry.refused.retain(|refusal| refusal.file.as_deref() != Some(file));
        }
    }
}
