//! Who calls the Admin API, and what they may do: by their key's scopes, by its kind, and by their role.
//!
//! The key that was made at first start has the scope `admin`, which is every scope everywhere. Others have what they
//! were given, within what their kind of key can have at all; a user's key has no more than the user's role allows.

use std::sync::Arc;

use tidegate_store::{KeyKind, KeyRecord, KeyStatus, ObjectKind};

use super::catalogue;
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::pipeline;
use crate::provision::ADMIN_SCOPE;

/// What a person may do in a workspace, or in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything in it.
    Admin,
    /// Members, keys and resources.
    Manager,
    /// Reads.
    Member,
}

impl Role {
    /// Reads a role's name; an organisation's owner is admin of every workspace.
    pub(super) fn read(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "owner" | "admin" => Some(Self::Admin),
            "manager" => Some(Self::Manager),
            "member" => Some(Self::Member),
            _ => None,
        }
    }
}

/// Who calls.
#[derive(Clone)]
pub(super) struct Who {
    /// The key.
    pub key: Arc<KeyRecord>,
    /// Id of its workspace; `None` for those of the organisation.
    pub workspace: Option<String>,
    /// Whether it may do everything.
    pub root: bool,
    /// What its user may do; `None` for keys of no user.
    pub role: Option<Role>,
}

impl Who {
    /// Finds out who calls.
    ///
    /// # Errors
    /// 401 for keys that are unknown, switched off or expired; 403 for those of an archived workspace.
    pub(super) async fn of(gateway: &Gateway, text: Option<&str>) -> Result<Self, GatewayError> {
        let key = pipeline::authenticate(gateway, text).await?.record();
        if key.status != KeyStatus::Active {
            return Err(GatewayError::new(ErrorKind::Key, "Invalid API Key"));
        }
        if key.expires_at.is_some_and(|at| at <= clock::unix()) {
            return Err(GatewayError::new(ErrorKind::KeyExpired, "API Key Expired"));
        }
        let root = key.scopes.iter().any(|scope| scope == ADMIN_SCOPE);
        let rules = gateway.objects.rules();
        let is_org = root || key.kind == KeyKind::OrganisationService;
        let workspace = (!is_org).then(|| rules.workspace_id(&key).to_owned());
        let own = workspace.as_deref().and_then(|id| rules.workspace(id));
        if own.is_some_and(|own| own.archived) {
            return Err(GatewayError::new(ErrorKind::Scope, "the workspace of this API key is archived"));
        }
        let role = match (&key.user, &workspace) {
            (Some(user), Some(workspace)) if key.kind == KeyKind::WorkspaceUser => {
                Some(role_in(gateway, user, workspace).ok_or_else(|| {
                    GatewayError::new(
                        ErrorKind::Scope,
                        "the user of this API key is no member of its workspace",
                    )
                })?)
            }
            _ => None,
        };
        Ok(Self { key, workspace, root, role })
    }

    /// Makes the caller of routes that need no key: it may do nothing.
    pub(super) fn nobody() -> Self {
        Self {
            key: Arc::new(KeyRecord::named("", "")),
            workspace: Some(String::new()),
            root: false,
            role: None,
        }
    }

    /// Returns whether it acts on the organisation and all its workspaces.
    pub(super) fn is_org(&self) -> bool {
        self.workspace.is_none()
    }

    /// Returns whether it has a scope, which its kind of key can have and its user's role allows.
    pub(super) fn has(&self, scope: &str) -> bool {
        if self.root {
            return true;
        }
        let granted = self.key.scopes.iter().any(|own| catalogue::same(own, scope));
        granted
            && catalogue::may_have(self.key.kind, scope)
            && self.role.is_none_or(|role| catalogue::role_allows(role, scope))
    }

    /// Refuses who has none of these scopes.
    ///
    /// # Errors
    /// 403 naming what is missing.
    pub(super) fn needs(&self, scopes: &[&str]) -> Result<(), GatewayError> {
        if scopes.is_empty() || scopes.iter().any(|scope| self.has(scope)) {
            return Ok(());
        }
        let message = format!("This API key lacks the scope {}", scopes.join(" or "));
        Err(GatewayError::new(ErrorKind::Scope, message))
    }
}

/// Refuses who has neither one of these scopes nor the one for everything, on routes beside the table. Returns the
/// key of who has it.
///
/// # Errors
/// 401 without a key that works, 403 naming what is missing.
pub(crate) async fn allow(
    gateway: &Gateway,
    key: Option<&str>,
    scope: &str,
) -> Result<Arc<KeyRecord>, GatewayError> {
    let who = Who::of(gateway, key).await?;
    if who.has(scope) {
        return Ok(who.key);
    }
    let message = format!("This API key lacks the scope {ADMIN_SCOPE} or {scope}");
    Err(GatewayError::new(ErrorKind::Scope, message))
}

/// Returns a user's role in a workspace: owners and admins of the organisation are admins everywhere.
pub(super) fn role_in(gateway: &Gateway, user: &str, workspace: &str) -> Option<Role> {
    let of_org = gateway.objects.by_id(ObjectKind::User, user)?;
    if of_org.body["role"] == "owner" || of_org.body["role"] == "admin" {
        return Some(Role::Admin);
    }
    let member = gateway.objects.by_slug(ObjectKind::Member, workspace, user)?;
    Role::read(member.body["role"].as_str().unwrap_or_default())
}
