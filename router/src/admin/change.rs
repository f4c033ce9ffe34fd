//! A change of an administrator: what is written, and what the audit log says of it, together or not at all.

use serde_json::Value;
use tidegate_store::{AuditRecord, Write};

use super::ctx::Ctx;
use crate::clock;
use crate::error::GatewayError;

/// What is done to what.
pub(super) struct Change<'a> {
    /// Kind of object, like `api_key`.
    pub resource: &'a str,
    /// Its id.
    pub id: &'a str,
    /// `create`, `update`, `delete`, `rotate`, …
    pub action: &'a str,
    /// Id of its workspace; `None` is the organisation's.
    pub workspace: Option<&'a str>,
    /// As shown before, secrets masked; null when it is new.
    pub before: Value,
    /// As shown after; null when it is gone.
    pub after: Value,
}

impl Ctx {
    /// Writes a change and puts it in force at once.
    ///
    /// # Errors
    /// 409 where a slug is taken, 503 when the store can't be written; then nothing is changed.
    pub(super) async fn commit(&self, change: Change<'_>, writes: Vec<Write>) -> Result<(), GatewayError> {
        self.gateway().change(writes, Some(self.audited(change))).await
    }

    /// Makes the audit row of a change.
    pub(super) fn audited(&self, change: Change<'_>) -> AuditRecord {
        let key = &self.who.key;
        AuditRecord {
            at_ms: clock::unix_ms(),
            method: self.about.method.clone(),
            uri: self.about.uri.clone(),
            request_id: self.about.request_id.clone(),
            actor: key.user.clone().unwrap_or_else(|| key.id.clone()),
            actor_name: key.name.clone(),
            actor_kind: if key.user.is_some() { "user" } else { "api_key" }.to_owned(),
            workspace: change.workspace.unwrap_or_default().to_owned(),
            resource: change.resource.to_owned(),
            resource_id: change.id.to_owned(),
            action: change.action.to_owned(),
            before: change.before,
            after: change.after,
            status: 200,
            client_ip: self.about.client_ip.clone(),
        }
    }
}
