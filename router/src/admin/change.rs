//! A change of an administrator: what is written, and what the audit log says of it, together or not at all.

use actix_web::HttpRequest;
use serde_json::Value;
use tidegate_store::{AuditRecord, KeyRecord, Write};

use super::ctx::{About, Ctx};
use crate::clock;
use crate::error::GatewayError;
use crate::gateway::Gateway;

/// What is done to what.
pub(crate) struct Change<'a> {
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
        row(&self.who.key, &self.about, change)
    }
}

fn row(key: &KeyRecord, about: &About, change: Change<'_>) -> AuditRecord {
    AuditRecord {
        at_ms: clock::unix_ms(),
        method: about.method.clone(),
        uri: about.uri.clone(),
        request_id: about.request_id.clone(),
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
        client_ip: about.client_ip.clone(),
    }
}

/// Tells the audit log of a change that lies elsewhere than in the store: it is done, and then told.
///
/// # Errors
/// 503 when the store can't be written.
pub(crate) async fn tell(
    gateway: &Gateway,
    request: &HttpRequest,
    key: &KeyRecord,
    change: Change<'_>,
) -> Result<(), GatewayError> {
    gateway.change(Vec::new(), Some(row(key, &About::of(request), change))).await
}
