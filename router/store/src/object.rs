//! What the Admin API keeps beside keys, budgets, providers and configs: one shape for every kind.

use serde::{Deserialize, Serialize};

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// The organisation: name, defaults, switches, metadata schemas. There is one.
    Organisation,
    /// A workspace.
    Workspace,
    /// A person.
    User,
    /// A person's place in a workspace; its slug is `workspace/user`.
    Member,
    /// An invitation.
    Invite,
    /// A vendor's credential.
    Integration,
    /// An integration's instance in a workspace, which requests name.
    Provider,
    /// Checks and what follows from them.
    Guardrail,
    /// A usage limit of whatever it matches.
    UsagePolicy,
    /// A rate limit of whatever it matches.
    RatePolicy,
    /// Where a secret lies.
    SecretReference,
}

impl ObjectKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Organisation,
        Self::Workspace,
        Self::User,
        Self::Member,
        Self::Invite,
        Self::Integration,
        Self::Provider,
        Self::Guardrail,
        Self::UsagePolicy,
        Self::RatePolicy,
        Self::SecretReference,
    ];

    /// Returns its stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Workspace => "workspace",
            Self::User => "user",
            Self::Member => "member",
            Self::Invite => "invite",
            Self::Integration => "integration",
            Self::Provider => "provider",
            Self::Guardrail => "guardrail",
            Self::UsagePolicy => "usage_policy",
            Self::RatePolicy => "rate_policy",
            Self::SecretReference => "secret_reference",
        }
    }

    /// Reads a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An object. Secrets in its body are sealed by the caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// What it is.
    pub kind: ObjectKind,
    /// UUID.
    pub id: String,
    /// Id of the workspace that it belongs to; `None` is the organisation.
    pub workspace: Option<String>,
    /// Unique name in its workspace, among its kind.
    pub slug: String,
    /// Counts changes, from 1.
    pub version: u32,
    /// The rest, as its kind has it.
    pub body: serde_json::Value,
    /// Milliseconds since the epoch.
    pub created_at_ms: i64,
    /// Id of the key or user that made it.
    pub created_by: String,
    /// Milliseconds since the epoch.
    pub updated_at_ms: i64,
    /// Id of the key or user that changed it last.
    pub updated_by: String,
}

impl ObjectRecord {
    /// Returns what names it in the feed of changes.
    #[must_use]
    pub fn change_id(&self) -> String {
        format!("{}/{}", self.kind.name(), self.id)
    }
}
