//! What may happen to the shelf. Steps that are given together take effect together.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Source, Upload};

/// A change of the shelf.
pub(crate) enum Step<P> {
    /// A file of the folder became a plugin.
    FileLoaded {
        /// Which file.
        file: PathBuf,
        /// The plugin.
        plugin: Arc<P>,
    },
    /// A file of the folder is no plugin; what it was before stays.
    FileRefused {
        /// Which file.
        file: PathBuf,
        /// Its digest.
        digest: String,
        /// Why.
        reason: String,
    },
    /// A file of the folder is again what it was when it was last good.
    FileForgiven {
        /// Which file.
        file: PathBuf,
    },
    /// A file of the folder is gone.
    FileGone {
        /// Which file.
        file: PathBuf,
    },
    /// The uploads on disk changed.
    Stored {
        /// Whose.
        id: String,
        /// All of them, oldest first.
        uploads: Vec<Upload>,
    },
    /// The upload that counts, if one does.
    Uploaded {
        /// Whose.
        id: String,
        /// It.
        plugin: Option<Arc<P>>,
    },
    /// A bundled plugin was loaded for its first use, or is not used any more.
    Bundled {
        /// Whose.
        id: String,
        /// It.
        plugin: Option<Arc<P>>,
    },
    /// A version can't be in force any more, and its source has no other.
    Withdrawn {
        /// Whose.
        id: String,
        /// Of which source.
        source: Source,
        /// Its digest.
        digest: String,
        /// Why.
        reason: String,
    },
}

impl<P> Clone for Step<P> {
    fn clone(&self) -> Self {
        match self {
            Self::FileLoaded { file, plugin } => {
                Self::FileLoaded { file: file.clone(), plugin: plugin.clone() }
            }
            Self::FileRefused { file, digest, reason } => {
                Self::FileRefused { file: file.clone(), digest: digest.clone(), reason: reason.clone() }
            }
            Self::FileForgiven { file } => Self::FileForgiven { file: file.clone() },
            Self::FileGone { file } => Self::FileGone { file: file.clone() },
            Self::Stored { id, uploads } => Self::Stored { id: id.clone(), uploads: uploads.clone() },
            Self::Uploaded { id, plugin } => Self::Uploaded { id: id.clone(), plugin: plugin.clone() },
            Self::Bundled { id, plugin } => Self::Bundled { id: id.clone(), plugin: plugin.clone() },
            Self::Withdrawn { id, source, digest, reason } => Self::Withdrawn {
                id: id.clone(),
                source: *source,
                digest: digest.clone(),
                reason: reason.clone(),
            },
        }
    }
}
