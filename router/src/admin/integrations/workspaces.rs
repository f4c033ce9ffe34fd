//! Which workspaces may use an integration, and for how much.

use serde_json::{Value, json};
use tidegate_store::{BudgetRecord, ObjectKind, ObjectRecord, Write};

use super::known::find;
use super::routes::{changeable, written};
use super::{fields, show};
use crate::admin::ctx::{Ctx, flag, invalid, missing};
use crate::admin::limits::{kept_usage, resets};
use crate::admin::providers::new_provider;
use crate::admin::route::{Route, route};
use crate::admin::slugs;
use crate::error::GatewayError;
use crate::governance::terms;

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/integrations/{slug}/workspaces" ["organisation_integrations.read", "workspace_integrations.read"] "List the workspaces of an integration", &[], &[] => list),
    route!(PUT "/integrations/{slug}/workspaces" ["organisation_integrations.update", "workspace_integrations.update"] "Give an integration to workspaces", fields::WORKSPACES, &[] => change),
];

/// Gives an integration of the organisation to a workspace, where it has no word of its own yet.
pub(in crate::admin) fn provision(integration: &mut ObjectRecord, workspace: &str) {
    if integration.workspace.is_some() || !integration.body["workspaces"][workspace].is_null() {
        return;
    }
    if !integration.body["workspaces"].is_object() {
        integration.body["workspaces"] = json!({});
    }
    integration.body["workspaces"][workspace] = match &integration.body["global_workspace_access"] {
        global @ Value::Object(_) if global["enabled"] != false => global.clone(),
        _ => json!({"enabled": true}),
    };
}

async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let object = find(&ctx, ctx.path("slug"))?;
    let mut rows = Vec::new();
    for (id, entry) in object.body["workspaces"].as_object().into_iter().flatten() {
        if !ctx.sees(Some(id)) {
            continue;
        }
        let mut row = show::access(entry);
        row["id"] = show::workspace_slug(&ctx, id).into();
        row["workspace_id"] = id.as_str().into();
        rows.push(row);
    }
    let mut answer = json!({"object": "list", "success": true, "total": rows.len(), "workspaces": rows});
    if ctx.who.is_org() {
        answer["global_workspace_access"] = show::global(&object.body);
    }
    Ok(answer)
}

/// Reads what is said of a workspace, or of all of them, over what is known: absent keeps, null clears.
fn access(
    given: &Value,
    known: &Value,
    prefix: &str,
    path: &str,
) -> Result<(Value, Vec<BudgetRecord>), GatewayError> {
    let mut entry = if known.is_object() { known.clone() } else { json!({"enabled": true}) };
    if let Some(enabled) = given.get("enabled").filter(|value| !value.is_null()) {
        let expected = || invalid(&format!("{path}.enabled"), "true or false is expected");
        entry["enabled"] = flag(enabled).ok_or_else(expected)?.into();
    }
    if let Some(limits) = given.get("usage_limits") {
        let read = terms::read_usage_limits(prefix, "", limits, &format!("{path}.usage_limits"))?;
        entry["usage_limits"] = kept_usage(&read, limits);
    }
    if let Some(limits) = given.get("rate_limits") {
        let read = terms::read_rate_limits(limits, &format!("{path}.rate_limits"))?;
        entry["rate_limits"] = read.iter().map(terms::write_rate_limit).collect();
    }
    let budgets = terms::read_usage_limits(prefix, "", &entry["usage_limits"], "usage_limits")?;
    Ok((entry, budgets))
}

async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = changeable(&ctx, "update")?;
    let (mut body, mut writes) = (before.body.clone(), Vec::new());
    let mut entries = body["workspaces"].as_object().cloned().unwrap_or_default();
    if let Some(global) = ctx.body.get("global_workspace_access") {
        body["global_workspace_access"] = match global {
            Value::Null => Value::Null,
            global => access(global, &body["global_workspace_access"], "", "global_workspace_access")?.0,
        };
    }
    let overrides = ["override_existing_workspace_access", "override_existing_workspaces_access"];
    if overrides.iter().any(|name| ctx.flag(name) == Some(true)) {
        for entry in entries.values_mut() {
            *entry = match &body["global_workspace_access"] {
                global @ Value::Object(_) => global.clone(),
                _ => json!({"enabled": true}),
            };
        }
    }
    for (at, given) in ctx.body.get("workspaces").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let path = format!("workspaces[{at}]");
        let Some(name) = given["id"].as_str().or_else(|| given["workspace_id"].as_str()) else {
            return Err(invalid(&format!("{path}.id"), "id or slug of a workspace is expected"));
        };
        let workspace = ctx.known_workspace(name).map_err(|error| error.at(format!("{path}.id")))?;
        if before.workspace.as_ref().is_some_and(|own| *own != workspace.id) {
            return Err(missing("workspace", name).at(format!("{path}.id")));
        }
        let prefix = format!("integration:{}:{}", before.id, workspace.id);
        let known = entries.get(&workspace.id).cloned().unwrap_or_default();
        let (entry, budgets) = access(given, &known, &prefix, &path)?;
        if given.get("reset_usage").and_then(flag) == Some(true) {
            writes.extend(resets(budgets.iter()));
        }
        if given.get("create_default_provider").and_then(flag) == Some(true) && entry["enabled"] != false {
            writes.extend(default_provider(&ctx, &before, &workspace.id, given, &path)?);
        }
        entries.insert(workspace.id.clone(), entry);
    }
    body["workspaces"] = Value::Object(entries);
    written(&ctx, &before, body, writes, "update").await?;
    Ok(json!({}))
}

/// Makes the default provider of a workspace; nothing where the workspace has one of the integration already.
fn default_provider(
    ctx: &Ctx,
    integration: &ObjectRecord,
    workspace: &str,
    given: &Value,
    path: &str,
) -> Result<Option<Write>, GatewayError> {
    let all = ctx.gateway().objects.all(ObjectKind::Provider);
    let has_one = all.iter().any(|it| {
        it.workspace.as_deref() == Some(workspace) && it.body["integration_id"] == integration.id.as_str()
    });
    if has_one {
        return Ok(None);
    }
    let name = integration.body["name"].as_str().unwrap_or(&integration.slug);
    let slug = match given["default_provider_slug"].as_str() {
        Some(slug) => slugs::chosen(ctx, ObjectKind::Provider, workspace, Some(slug), name)
            .map_err(|error| error.at(format!("{path}.default_provider_slug")))?,
        None => slugs::free(ctx, ObjectKind::Provider, workspace, &integration.slug),
    };
    let provider = new_provider(ctx, workspace, slug, name, &integration.id, true);
    Ok(Some(Write::PutObject(Box::new(provider))))
}
