//! Why a saved config can't be found or changed.

use thiserror::Error;
use tidegate_store::StoreError;

use crate::secret::SecretError;

/// Why a saved config can't be found or changed.
#[derive(Debug, Error)]
pub enum ConfigsError {
    /// There is none.
    #[error("there is no config \"{slug}\"")]
    Unknown {
        /// What was asked for.
        slug: String,
    },
    /// It has no such version.
    #[error(
        "config {slug} has no version \"{wanted}\"; a number from 1 to {newest} or a version_id is accepted"
    )]
    UnknownVersion {
        /// The config.
        slug: String,
        /// What was asked for.
        wanted: String,
        /// Its newest version's number.
        newest: u32,
    },
    /// Its first version is in force.
    #[error("config {slug} has no version before the one in force, which is its first")]
    NoEarlier {
        /// The config.
        slug: String,
    },
    /// Keys begin with it.
    #[error("config {slug} is the default of keys: {keys}; give them another first")]
    InUse {
        /// The config.
        slug: String,
        /// Some of their names.
        keys: String,
    },
    /// There are as many as there may be.
    #[error("{most} configs are saved, more are not accepted")]
    TooMany {
        /// How many may be.
        most: usize,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A text can't be sealed or opened.
    #[error("the text of the config: {0}")]
    Secret(#[from] SecretError),
}
