//! Providers as objects: how one is made, limited and removed.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_store::{BudgetRecord, ObjectKind, ObjectRecord, Write};

use crate::admin::ctx::{Ctx, conflict, invalid, missing};
use crate::admin::integrations::{find, provision, provisioned};
use crate::admin::limits::resets;
use crate::error::GatewayError;
use crate::governance::terms;

const LONGEST_NOTE: usize = 1_024;

/// Makes a provider without limits. `default`: it was made with its integration, and goes with it.
pub(in crate::admin) fn new_provider(
    ctx: &Ctx,
    workspace: &str,
    slug: String,
    name: &str,
    integration: &str,
    default: bool,
) -> ObjectRecord {
    let body = json!({"name": name, "integration_id": integration, "status": "active", "default": default});
    ctx.new_object(ObjectKind::Provider, Some(workspace.to_owned()), slug, body)
}

/// Returns the providers of an integration.
pub(in crate::admin) fn of_integration(ctx: &Ctx, integration: &str) -> Vec<Arc<ObjectRecord>> {
    let mut all = ctx.gateway().objects.all(ObjectKind::Provider);
    all.retain(|it| it.body["integration_id"] == integration);
    all
}

/// Makes the removal of a provider and of its budget.
pub(in crate::admin) fn removal(provider: &ObjectRecord) -> Vec<Write> {
    let mut writes = vec![Write::DeleteObject { kind: ObjectKind::Provider, id: provider.id.clone() }];
    if !provider.body["usage_limits"].is_null() {
        writes.push(Write::DeleteBudget(budget_id(&provider.id)));
    }
    writes
}

fn budget_id(provider: &str) -> String {
    format!("provider:{provider}")
}

/// Reads the budget of a provider.
pub(super) fn budget(id: &str, body: &Value) -> Result<Option<BudgetRecord>, GatewayError> {
    let limits = match &body["usage_limits"] {
        Value::Array(list) if list.len() > 1 => {
            return Err(invalid("usage_limits", "a provider has one usage limit"));
        }
        Value::Array(list) => list.first().unwrap_or(&Value::Null),
        one => one,
    };
    if limits.is_null() || limits.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(None);
    }
    let name = body["name"].as_str().unwrap_or_default();
    Ok(Some(terms::read_usage_limit(&budget_id(id), name, limits, "usage_limits")?))
}

/// Copies what a body says of a provider over what is known of it, checked: absent keeps, null clears. Returns the
/// writes that its budget needs.
pub(super) fn put(ctx: &Ctx, object: &mut ObjectRecord) -> Result<Vec<Write>, GatewayError> {
    let before = object.body.clone();
    let mut body = ctx.merged(&before, &["name", "note", "usage_limits", "rate_limits", "expires_at"]);
    if body["name"].is_null() {
        body["name"] = before["name"].clone();
    }
    let note = &body["note"];
    if !note.is_null() && note.as_str().is_none_or(|note| note.len() > LONGEST_NOTE) {
        return Err(invalid("note", &format!("a text of at most {LONGEST_NOTE} bytes is expected")));
    }
    if body["expires_at"].as_str().is_some_and(|at| terms::read_moment(at).is_none()) {
        return Err(invalid("expires_at", "an RFC 3339 moment is expected"));
    }
    let rates = terms::read_rate_limits(&body["rate_limits"], "rate_limits")?;
    body["rate_limits"] = rates.iter().map(terms::write_rate_limit).collect();
    let mut writes = Vec::new();
    match budget(&object.id, &body)? {
        Some(read) => {
            // What was counted so far is in this unit.
            let unit = terms::unit_name(read.unit);
            if before["usage_unit"].as_str().is_some_and(|known| known != unit) {
                return Err(invalid("usage_limits.type", "can't be changed; make another provider"));
            }
            body["usage_unit"] = unit.into();
            if body["usage_limits"].is_array() {
                body["usage_limits"] = body["usage_limits"][0].clone();
            }
            if ctx.flag("reset_usage") == Some(true) {
                writes.extend(resets(std::iter::once(&read)));
            }
            writes.push(Write::PutBudget(read));
        }
        None => {
            if !before["usage_limits"].is_null() {
                writes.push(Write::DeleteBudget(budget_id(&object.id)));
            }
            body["usage_limits"] = Value::Null;
        }
    }
    object.body = body;
    Ok(writes)
}

/// Finds the integration that a new provider in a workspace is to be of. A caller of the organisation gives it to the
/// workspace thereby; the second value is then its next version.
///
/// # Errors
/// 404 for one that is not there or not for the workspace, 409 for one that was taken from it or is archived.
pub(super) fn integration_for(
    ctx: &Ctx,
    name: &str,
    workspace: &str,
) -> Result<(Arc<ObjectRecord>, Option<ObjectRecord>), GatewayError> {
    let found = find(ctx, name).map_err(|error| error.at("integration_id"))?;
    if found.body["status"] == "archived" {
        return Err(conflict(format!("integration {} is archived", found.slug)));
    }
    if provisioned(&found, workspace) {
        // Its own word: what everyone may do later is no longer meant.
        if found.workspace.is_some() || !found.body["workspaces"][workspace].is_null() || !ctx.who.is_org() {
            return Ok((found, None));
        }
    } else if found.workspace.is_some() || !ctx.who.is_org() {
        return Err(missing("integration", name).at("integration_id"));
    } else if !found.body["workspaces"][workspace].is_null() {
        let message =
            format!("integration {} is disabled for the workspace; enable it there first", found.slug);
        return Err(conflict(message));
    }
    let mut given = ctx.next_version(&found, found.body.clone());
    provision(&mut given, workspace);
    Ok((found, Some(given)))
}
