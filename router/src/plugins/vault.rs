//! What outlives a restart: uploaded plugins, which of them count, and the last good content of the folder's files.
//!
//! A folder of `<digest>.wasm` and an index that is replaced in one step. Blocks: call it on a thread that may.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::digest_of;
use super::error::PluginError;
use crate::versions::Upload;

/// Uploads of a plugin that are kept besides those that may be rolled back to.
const UPLOADS_AT_MOST: usize = 10;

/// What the index says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Index {
    /// Uploads by plugin.
    pub(crate) plugins: BTreeMap<String, Uploads>,
    /// Digests by file of the folder: what it was when it was last good.
    pub(crate) files: BTreeMap<PathBuf, String>,
}

/// Uploads of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Uploads {
    /// Oldest first.
    pub(crate) kept: Vec<Upload>,
    /// Digests in the order they were activated; the last one counts.
    pub(crate) activated: Vec<String>,
}

impl Uploads {
    /// Returns the digest that counts.
    pub(crate) fn active(&self) -> Option<&str> {
        self.activated.last().map(String::as_str)
    }

    /// Adds an upload, or nothing if it is there.
    pub(crate) fn add(&mut self, upload: Upload) {
        if !self.kept.iter().any(|kept| kept.digest == upload.digest) {
            self.kept.push(upload);
        }
        while self.kept.len() > UPLOADS_AT_MOST {
            let active = self.active().map(str::to_owned);
            let last = self.kept.len() - 1;
            let oldest =
                self.kept[..last].iter().position(|kept| Some(&kept.digest) != active.as_ref()).unwrap_or(0);
            let gone = self.kept.remove(oldest);
            self.activated.retain(|digest| *digest != gone.digest);
        }
    }

    /// Makes an upload the one that counts.
    pub(crate) fn activate(&mut self, digest: &str) {
        if self.active() != Some(digest) {
            self.activated.push(digest.to_owned());
        }
        // Going to and fro would make it grow for ever.
        if self.activated.len() > 2 * UPLOADS_AT_MOST {
            self.activated.remove(0);
        }
    }
}

/// The folder.
pub(crate) struct Vault {
    folder: PathBuf,
    index: Mutex<Index>,
}

impl Vault {
    /// Reads the index. One that can't be read is set aside: plugins are lost from the list then, not from the disk.
    pub(crate) fn open(folder: PathBuf) -> Self {
        let path = folder.join("index.json");
        let index = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                let aside = path.with_extension("json.broken");
                let moved = fs::rename(&path, &aside);
                tracing::error!(path = %path.display(), %error, ?moved, "the list of uploaded plugins is broken and set aside");
                Index::default()
            }),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(path = %path.display(), %error, "the list of uploaded plugins can't be read");
                }
                Index::default()
            }
        };
        Self { folder, index: Mutex::new(index) }
    }

    /// Returns the index.
    pub(crate) fn index(&self) -> Index {
        self.index.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn path_of(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }

    /// Keeps bytes; returns their digest.
    pub(crate) fn keep(&self, bytes: &[u8]) -> Result<String, PluginError> {
        let digest = digest_of(bytes);
        let path = self.path_of(&digest);
        let same = fs::read(&path).is_ok_and(|kept| kept == bytes);
        if !same {
            replace(&path, bytes).map_err(|error| disk(&path, error))?;
        }
        Ok(digest)
    }

    /// Returns kept bytes, if they are still what they were.
    pub(crate) fn bytes(&self, digest: &str) -> Result<Vec<u8>, PluginError> {
        let path = self.path_of(digest);
        let bytes = fs::read(&path).map_err(|error| disk(&path, error))?;
        if digest_of(&bytes) == digest {
            Ok(bytes)
        } else {
            Err(disk(&path, io::Error::other("its content is not what was stored")))
        }
    }

    /// Replaces the index, then deletes the bytes that it does not name.
    pub(crate) fn save(&self, index: Index) -> Result<(), PluginError> {
        let mut current = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == index {
            return Ok(());
        }
        let path = self.folder.join("index.json");
        let text = serde_json::to_vec_pretty(&index).map_err(|error| disk(&path, io::Error::other(error)))?;
        replace(&path, &text).map_err(|error| disk(&path, error))?;
        *current = index;
        self.sweep(&current);
        Ok(())
    }

    fn sweep(&self, index: &Index) {
        let mut named: BTreeSet<&str> = index.files.values().map(String::as_str).collect();
        for uploads in index.plugins.values() {
            named.extend(uploads.kept.iter().map(|upload| upload.digest.as_str()));
        }
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_wasm = path.extension().is_some_and(|extension| extension == "wasm");
            let digest = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if is_wasm && !named.contains(digest) {
                // Left over, it costs room only; the next sweep tries again.
                let _ = fs::remove_file(&path);
            }
        }
    }
}

fn disk(path: &Path, error: io::Error) -> PluginError {
    PluginError::Disk { what: path.display().to_string(), error }
}

/// Writes a file aside, makes it durable and puts it in its place in one step.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let aside = path.with_extension("new");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(digest: &str) -> Upload {
        Upload { digest: digest.to_owned(), version: "1.0.0".to_owned(), bytes: 1, at_ms: 0 }
    }

    #[test]
    fn the_index_comes_back_and_unnamed_bytes_go() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path().join("plugins"));
        let (kept, gone) = (vault.keep(b"a").unwrap(), vault.keep(b"b").unwrap());
        let mut index = Index::default();
        let uploads = index.plugins.entry("x".to_owned()).or_default();
        uploads.add(upload(&kept));
        uploads.activate(&kept);
        vault.save(index.clone()).unwrap();
        let again = Vault::open(folder.path().join("plugins"));
        assert_eq!(again.index(), index);
        assert_eq!(again.bytes(&kept).unwrap(), b"a");
        assert!(again.bytes(&gone).is_err());
    }

    #[test]
    fn bytes_that_changed_on_disk_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path().to_owned());
        let digest = vault.keep(b"a").unwrap();
        fs::write(folder.path().join(format!("{digest}.wasm")), b"other").unwrap();
        assert!(vault.bytes(&digest).unwrap_err().to_string().contains("not what was stored"));
        assert_eq!(vault.keep(b"a").unwrap(), digest);
        assert_eq!(vault.bytes(&digest).unwrap(), b"a");
    }

    #[test]
    fn a_broken_index_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("index.json"), "{").unwrap();
        assert_eq!(Vault::open(folder.path().to_owned()).index(), Index::default());
        assert!(folder.path().join("index.json.broken").exists());
    }

    #[test]
    fn many_uploads_push_out_the_oldest_but_never_the_one_that_counts() {
        let mut uploads = Uploads::default();
        uploads.add(upload("first"));
        uploads.activate("first");
        for number in 0..30 {
            uploads.add(upload(&number.to_string()));
        }
        assert_eq!((uploads.kept.len(), uploads.active()), (UPLOADS_AT_MOST, Some("first")));
        assert_eq!((uploads.kept[0].digest.as_str(), uploads.kept[9].digest.as_str()), ("first", "29"));
    }
}
