//! API keys.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{LimitRecord, Origin};

/// SHA-256 of an API key's text. Keys are 256 random bits, so a plain hash is enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// It does.
    Active,
    /// It was switched off or deleted.
    Revoked,
}

/// An API key, without its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Stable id.
    pub id: String,
    /// Operator's name for it.
    pub name: String,
    /// First and last characters, for lists.
    pub mask: String,
    /// Whether it works.
    pub status: KeyStatus,
    /// Where it comes from.
    pub origin: Origin,
    /// Seconds since the epoch.
    pub created_at: i64,
    /// Seconds since the epoch; `None` never expires.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// What it may do, like `completions.write`.
    pub scopes: Vec<String>,
    /// Allowed models, like `@openai-prod/*`; empty allows all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Rate and concurrency limits.
    #[serde(default)]
    pub limits: Vec<LimitRecord>,
    /// Its budget's id.
    #[serde(default)]
    pub budget: Option<String>,
    /// Default config: an id or inline JSON.
    #[serde(default)]
    pub config: Option<String>,
    /// Whether a request may name another config than that.
    #[serde(default = "yes")]
    pub allow_config_override: bool,
    /// Default metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Whether it may bring its own vendor credentials in headers.
    #[serde(default)]
    pub header_credentials: bool,
    /// Whether it may use paths whose cost and model can't be measured; `None` leaves it to its other limits.
    #[serde(default)]
    pub unmeasured: Option<Unmeasured>,
    /// What kind it is.
    #[serde(default)]
    pub kind: KeyKind,
    /// Id of its workspace; `None` is the organisation's default one, or none for an organisation's key.
    #[serde(default)]
    pub workspace: Option<String>,
    /// Id of the user that it belongs to.
    #[serde(default)]
    pub user: Option<String>,
    /// What the Admin API keeps beside: description, alert addresses, rotation policy.
    #[serde(default)]
    pub extra: KeyExtra,
}

impl KeyRecord {
    /// Returns whether it may do everything everywhere.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "admin")
    }

    /// Makes an active key of the store that may do nothing yet.
    #[must_use]
    pub fn named(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            mask: String::new(),
            status: KeyStatus::Active,
            origin: Origin::Store,
            created_at: 0,
            expires_at: None,
            scopes: Vec::new(),
            models: Vec::new(),
            limits: Vec::new(),
            budget: None,
            config: None,
            allow_config_override: true,
            metadata: BTreeMap::new(),
            header_credentials: false,
            unmeasured: None,
            kind: KeyKind::default(),
            workspace: None,
            user: None,
            extra: KeyExtra::default(),
        }
    }
}

/// Portkey's types of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// Acts on the organisation and all its workspaces.
    OrganisationService,
    /// Acts on one workspace.
    #[default]
    WorkspaceService,
    /// Acts on one workspace for one user.
    WorkspaceUser,
}

impl KeyKind {
    /// Returns its stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OrganisationService => "organisation-service",
            Self::WorkspaceService => "workspace-service",
            Self::WorkspaceUser => "workspace-user",
        }
    }
}

/// What a key carries for the Admin API and notifications.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyExtra {
    /// Operator's words.
    pub description: Option<String>,
    /// Id of the workspace that a key of the organisation was made with: it is shown and limits nothing.
    pub made_with_workspace: Option<String>,
    /// Who is told about its budget and its end.
    pub alert_emails: Vec<String>,
    /// Id of the key or user that made it.
    pub created_by: String,
    /// Milliseconds since the epoch.
    pub updated_at_ms: i64,
    /// Milliseconds since the epoch of the last reset of its budget.
    pub last_reset_at_ms: Option<i64>,
    /// Milliseconds since the epoch of its last new secret.
    pub rotated_at_ms: Option<i64>,
    /// When it gets a new secret.
    pub rotation: Option<RotationRecord>,
    /// The secret before this one, while it still works.
    pub old_secret: Option<OldSecret>,
    /// A secret that was made when nobody watched, sealed by the caller, until somebody fetches it.
    pub waiting_secret: Option<String>,
}

/// When a key gets a new secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationRecord {
    /// `weekly` or `monthly`.
    pub period: Option<String>,
    /// Every so many days.
    pub days: Option<u16>,
    /// Seconds since the epoch.
    pub next_at: Option<i64>,
    /// How long the old secret works beside the new one.
    pub overlap_ms: i64,
}

/// A secret that was replaced and still works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldSecret {
    /// First and last characters.
    pub mask: String,
    /// Seconds since the epoch; from then on it is refused.
    pub until: i64,
}

/// Whether a key may use paths that the gateway doesn't model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmeasured {
    /// It may, whatever its limits are.
    Allow,
    /// It may not, even without limits.
    Deny,
}

fn yes() -> bool {
    true
}
