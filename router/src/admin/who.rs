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
use crate::governance::{People, Switches, switches};
use crate::pipeline;
use crate::provision::ADMIN_SCOPE;

/// What a person may do in a workspace, or in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything in all of them: an owner or admin of the organisation.
    OrganisationAdmin,
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

    /// Returns whether it may everything in the workspace.
    pub(super) fn is_admin(self) -> bool {
        matches!(self, Self::OrganisationAdmin | Self::Admin)
    }

    /// Returns whose switches are about it; admins of a workspace have none.
    fn people(self) -> Option<People> {
        match self {
            Self::OrganisationAdmin => Some(People::OrganisationAdmins),
            Self::Admin => None,
            Self::Manager => Some(People::Managers),
            Self::Member => Some(People::Members),
        }
    }

    /// Returns whether it has a scope where the switches stand so: what a switch decides on is as it says, the rest as
    /// the role has it.
    pub(super) fn allows(self, scope: &str, switches: Switches) -> bool {
        let decided = self.people().and_then(|people| switches.decide(people, scope));
        decided.map_or_else(|| catalogue::role_allows(self, scope), |(_, is_on)| is_on)
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
    /// How the switches of its workspace stand.
    pub switches: Switches,
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
        let switches = own.map_or_else(Switches::default, |own| own.switches);
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
        Ok(Self { key, workspace, root, role, switches })
    }

    /// Makes the caller of routes that need no key: it may do nothing.
    pub(super) fn nobody() -> Self {
        Self {
            key: Arc::new(KeyRecord::named("", "")),
            workspace: Some(String::new()),
            root: false,
            role: None,
            switches: Switches::default(),
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
            && self.role.is_none_or(|role| role.allows(scope, self.switches))
    }

    /// Refuses who has none of these scopes.
    ///
    /// # Errors
    /// 403 naming what is missing.
    pub(super) fn needs(&self, scopes: &[&str]) -> Result<(), GatewayError> {
        if scopes.is_empty() || scopes.iter().any(|scope| self.has(scope)) {
            return Ok(());
        }
        let mut message = format!("This API key lacks the scope {}", scopes.join(" or "));
        let people = self.role.and_then(Role::people);
        let off = people.and_then(|people| {
            let decided = scopes.iter().find_map(|scope| self.switches.decide(people, scope));
            Some((people, decided.filter(|(_, is_on)| !is_on)?.0))
        });
        if let Some((people, switch)) = off {
            message.push_str(&format!("; security_settings.{switch} takes it from {}", people.words()));
        }
        Err(GatewayError::new(ErrorKind::Scope, message))
    }

    /// Returns whether a switch about rows is on for the caller: `ViewAllData`, `ViewLogMetadata`. Keys of no user see
    /// all that their scopes show.
    pub(super) fn sees(&self, what: &str) -> bool {
        let name = match self.role {
            Some(Role::Member) => format!("members{what}"),
            Some(Role::Manager) => format!("managers{what}"),
            Some(Role::OrganisationAdmin) => format!("organisationAdmins{what}"),
            Some(Role::Admin) | None => return true,
        };
        // There is no such switch for some.
        !switches::ALL.iter().any(|known| known.name == name) || self.switches.is_on(&name)
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
        return Some(Role::OrganisationAdmin);
    }
    let member = gateway.objects.by_slug(ObjectKind::Member, workspace, user)?;
    Role::read(member.body["role"].as_str().unwrap_or_default())
}
