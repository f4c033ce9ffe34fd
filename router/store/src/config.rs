//! Saved configs and their versions.

use serde::{Deserialize, Serialize};

/// A saved config: what stays the same, or changes without a new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRecord {
    /// What requests and keys call it, like `pc-suppor-0f3a9c`.
    pub slug: String,
    /// UUID.
    pub id: String,
    /// Operator's name for it.
    pub name: String,
    /// Number of the version in force.
    pub active: u32,
    /// The flag of Portkey's API. It is kept and shown.
    #[serde(default)]
    pub is_default: bool,
    /// Workspace that it was made for, if one was named.
    #[serde(default)]
    pub workspace: Option<String>,
    /// Id of the key that made it.
    pub created_by: String,
    /// Milliseconds since the epoch.
    pub created_at_ms: i64,
    /// Id of the key that changed it last.
    pub updated_by: String,
    /// Milliseconds since the epoch.
    pub updated_at_ms: i64,
}

/// One text of a saved config. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigVersion {
    /// From 1, without gaps.
    pub number: u32,
    /// UUID.
    pub id: String,
    /// The config. Stores keep it encrypted by the caller: vendor keys may stand in it.
    pub json: String,
    /// Id of the key that wrote it.
    pub created_by: String,
    /// Milliseconds since the epoch.
    pub created_at_ms: i64,
}
