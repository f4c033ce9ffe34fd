//! Why a change of plugins was not made.

use thiserror::Error;
use tidegate_plugin_host::{HostError, LoadError};

/// Nothing was changed.
#[derive(Debug, Error)]
pub enum PluginError {
    /// The host can't run.
    #[error("failed to {0}")]
    Host(#[from] HostError),
    /// The bytes are no plugin that may run here.
    #[error("failed to {0}")]
    Load(#[from] LoadError),
    /// A bundled component says that it is somebody else.
    #[error("the bundled plugin {id} calls itself {found}")]
    Misnamed {
        /// Its id in the table.
        id: String,
        /// The id of its manifest.
        found: String,
    },
    /// No such plugin.
    #[error("there is no plugin \"{id}\"")]
    Unknown {
        /// The id.
        id: String,
    },
    /// It came with the gateway.
    #[error(
        "plugin {id} comes with the gateway and has no uploaded versions; upload one of your own to change it"
    )]
    NoVersions {
        /// The plugin.
        id: String,
    },
    /// No such upload.
    #[error("plugin {id} has no uploaded version {digest}")]
    UnknownVersion {
        /// The plugin.
        id: String,
        /// The digest, or its beginning.
        digest: String,
    },
    /// A beginning of a digest that fits several.
    #[error("several uploaded versions of plugin {id} begin with {digest}")]
    Ambiguous {
        /// The plugin.
        id: String,
        /// The beginning.
        digest: String,
    },
    /// Something else decides about the plugin.
    #[error("{0}")]
    Conflict(String),
    /// The disk refused.
    #[error("{what}: {error}")]
    Disk {
        /// What should be read or written.
        what: String,
        /// Why not.
        error: std::io::Error,
    },
    /// The actor did not answer, or a thread was broken off.
    #[error("plugins can't be changed at the moment")]
    Unavailable,
}

impl From<crate::actors::Unavailable> for PluginError {
    fn from(_: crate::actors::Unavailable) -> Self {
        Self::Unavailable
    }
}
