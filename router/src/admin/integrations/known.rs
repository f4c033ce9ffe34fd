//! Integrations as a caller may see them, and how one is put together.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_providers::registry;
use tidegate_store::{ObjectKind, ObjectRecord};

use super::{configurations, mappings};
use crate::admin::ctx::{Ctx, invalid, missing};
use crate::error::GatewayError;
use crate::governance::providers::multiplier;
use crate::secret::mask;

/// Vendors that a refusal names.
const MOST_NAMED: usize = 60;

/// Returns whether a workspace may use an integration: its own, or one that the organisation gives it.
pub(in crate::admin) fn provisioned(integration: &ObjectRecord, workspace: &str) -> bool {
    if integration.workspace.is_some() {
        return integration.workspace.as_deref() == Some(workspace);
    }
    match integration.body["workspaces"].get(workspace) {
        Some(entry) => entry["enabled"] != false,
        None => integration.body["global_workspace_access"]["enabled"] == true,
    }
}

/// Returns an integration by id or slug that the caller may see.
///
/// # Errors
/// 404 for one that is not there or that the caller may not know of.
pub(in crate::admin) fn find(ctx: &Ctx, name: &str) -> Result<Arc<ObjectRecord>, GatewayError> {
    let found = ctx.object(ObjectKind::Integration, name)?;
    match &ctx.who.workspace {
        Some(own) if !provisioned(&found, own) => Err(missing("integration", name)),
        _ => Ok(found),
    }
}

/// What a new integration, or a change of one, says.
pub(in crate::admin) struct Draft<'a> {
    /// The vendor.
    pub vendor: &'a str,
    /// Id of its workspace; `None` is the organisation.
    pub workspace: Option<&'a str>,
    /// The key: absent keeps, null clears.
    pub key: Option<&'a Value>,
    /// Configurations: absent keeps, null clears.
    pub configurations: Option<&'a Value>,
    /// Mappings of secrets: absent keeps, null clears.
    pub mappings: Option<&'a Value>,
}

/// Puts a draft into an integration's body: checked, secrets sealed.
///
/// # Errors
/// 400 with the member and what is accepted.
pub(in crate::admin) fn made(ctx: &Ctx, draft: &Draft<'_>, mut body: Value) -> Result<Value, GatewayError> {
    if registry::find(draft.vendor).is_none() {
        let known: Vec<&str> =
            registry::all().map(tidegate_providers::Provider::slug).take(MOST_NAMED).collect();
        return Err(invalid("ai_provider_id", &format!("one of these is expected: {}", known.join(", "))));
    }
    multiplier(&body["pricing_adjustments"])?;
    let before = configurations::opened(ctx, &body)?;
    if let Some(given) = draft.mappings {
        body["secret_mappings"] = mappings::checked(ctx, given, draft.workspace)?;
    }
    let key = match draft.key {
        None => before["key"].clone(),
        // A mask that was read and comes back is no key.
        Some(Value::String(key)) if !key.contains("*****") => key.trim().into(),
        Some(Value::String(_)) => before["key"].clone(),
        Some(_) => Value::Null,
    };
    let mapped = mappings::configurations(&body["secret_mappings"]);
    let given = draft.configurations.unwrap_or(&before["configurations"]);
    let checked = configurations::checked(ctx, draft.vendor, given, &before["configurations"], &mapped)?;
    body["masked_key"] = key.as_str().map_or(Value::Null, |key| mask(key).into());
    body["sealed"] = configurations::sealed(ctx, &json!({"key": key, "configurations": checked}))?;
    body["ai_provider_id"] = draft.vendor.into();
    Ok(body)
}
