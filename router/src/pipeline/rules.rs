//! What a request's workspace adds to its caller, before anything else looks at it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tidegate_providers::Fields;
use tidegate_store::{KeyRecord, ObjectKind};

use super::request::{Caller, Request};
use super::resolve::{header, invalid};
use crate::error::GatewayError;
use crate::gateway::Gateway;

/// Longest metadata value, as Portkey keeps it.
const LONGEST_VALUE: usize = 128;

/// Returns the caller with its workspace's metadata, which beats the key's, and with what policies ask for; `None`
/// where nothing is added. `fields` are those of a body that is JSON.
///
/// # Errors
/// 400 when metadata lacks a member that the workspace requires.
pub(super) fn of(
    gateway: &Gateway,
    caller: &Caller,
    request: &Request,
    fields: Option<&Fields<'_>>,
) -> Result<Option<Caller>, GatewayError> {
    let rules = gateway.objects.rules();
    let key = &caller.record;
    let workspace = rules.workspace(rules.workspace_id(key));
    let named = workspace.map(|own| own.user_keys).filter(|keys| keys.named && key.user.is_some());
    let adds = named.is_some() || workspace.is_some_and(|own| !own.metadata.is_empty());
    let requires = workspace.map(|own| own.required_metadata.as_slice()).unwrap_or_default();
    if !adds && requires.is_empty() && !rules.has_policies() {
        return Ok(None);
    }
    let mut ruled = caller.clone();
    if let Some(own) = workspace {
        ruled.metadata.extend(own.metadata.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    if !ruled.metadata.contains_key("_user")
        && let Some(user) = fields.and_then(user)
    {
        ruled.metadata.insert("_user".to_owned(), user);
    }
    if let Some(keys) = named
        && let Some(owner) = owner(gateway, key)
    {
        // Who may not say another name is who they are, whatever they say.
        match ruled.metadata.entry("_user".to_owned()) {
            Entry::Occupied(_) if keys.renamed => {}
            Entry::Occupied(mut said) => {
                said.insert(owner);
            }
            Entry::Vacant(free) => {
                free.insert(owner);
            }
        }
    }
    check(requires, &ruled.metadata)?;
    if rules.has_policies() {
        let of_workspace = gateway.default_config(key);
        let named = header(request, "x-portkey-config").or(key.config.as_deref()).or(of_workspace.as_deref());
        ruled.config = named.and_then(|name| {
            let saved = gateway.config_for(key, name).map(|saved| saved.record.slug.clone());
            saved.or_else(|| gateway.settings().configs.contains_key(name).then(|| name.to_owned()))
        });
    }
    Ok(Some(ruled))
}

/// Returns the address of the person whose key it is.
fn owner(gateway: &Gateway, key: &KeyRecord) -> Option<String> {
    let user = gateway.objects.by_id(ObjectKind::User, key.user.as_deref()?)?;
    Some(user.slug.chars().take(LONGEST_VALUE).collect())
}

fn user(fields: &Fields<'_>) -> Option<String> {
    let user: String = serde_json::from_str(fields.raw("user")?).ok()?;
    Some(user.chars().take(LONGEST_VALUE).collect())
}

fn check(required: &[String], metadata: &BTreeMap<String, String>) -> Result<(), GatewayError> {
    let missing: Vec<&str> =
        required.iter().map(String::as_str).filter(|name| !metadata.contains_key(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("metadata lacks {}, which this workspace requires", missing.join(", "));
    Err(invalid("x-portkey-metadata", &message))
}
