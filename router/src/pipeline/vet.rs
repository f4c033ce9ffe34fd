//! Looks at a config before it is saved: what it names must be there.
//!
//! Reading refuses what is wrong in itself (`tidegate_config`); this refuses what could only fail while a request
//! waits: providers, hosts, guardrails, checks and conditions that nobody knows. What changes later is told to
//! requests, as for configs that were never saved.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tidegate_config::{ConfigError, Hooks, Plan, Target};
use tidegate_plugin_host::CallError;

use super::aim::model_of;
use super::resolve::{slug_of, split_model};
use crate::gateway::Gateway;
use crate::settings::checks::{self, Called};
use crate::upstream::address::{check_custom_host, is_trusted};

/// Ids that a refusal names as accepted, at most.
const MOST_NAMED: usize = 20;

/// Reads a config and checks what it names, as the workspace of this id sees it (`""` is no one's).
///
/// # Errors
/// [`ConfigError`] with the JSON path and what is accepted.
pub async fn vet(gateway: &Gateway, json: &str, workspace: &str) -> Result<Arc<Plan>, ConfigError> {
    let plan = Plan::parse(json)?;
    let written: Value = serde_json::from_str(json).unwrap_or_default();
    references(gateway, &written, "", workspace)?;
    providers(gateway, &plan, workspace)?;
    plugins(gateway, &plan).await?;
    Ok(Arc::new(plan))
}

fn refused(path: &str, message: String) -> ConfigError {
    ConfigError { path: path.to_owned(), message }
}

/// Joins a target's place, as answers show it, and a member.
fn member(target: &Target, name: &str) -> String {
    let place = target.path.strip_prefix("config").unwrap_or(&target.path).trim_start_matches('.');
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.take(MOST_NAMED).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Checks the ids that nodes name: guardrails that are declared, and no other configs.
fn references(gateway: &Gateway, node: &Value, path: &str, workspace: &str) -> Result<(), ConfigError> {
    let Value::Object(members) = node else { return Ok(()) };
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let (settings, rules) = (gateway.settings(), gateway.objects.rules());
    let is_unknown =
        |id: &str| !settings.guardrails.contains_key(id) && rules.guardrail(id, workspace).is_none();
    for (name, value) in members {
        let flat: String = name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect();
        match flat.as_str() {
            // Portkey knows no such member and would go on as if it were not there: to nothing.
            "config" | "configid" => {
                let message = "a config can't refer to another; write its targets here".to_owned();
                return Err(refused(&at(name), message));
            }
            "inputguardrails" | "outputguardrails" => {
                for (index, id) in value.as_array().into_iter().flatten().enumerate() {
                    if let Some(id) = id.as_str().filter(|id| is_unknown(id)) {
                        let known = listed(settings.guardrails.keys().map(String::as_str));
                        let message =
                            format!("Following guardrails are not valid: {id} (guardrails: {known})");
                        return Err(refused(&format!("{}[{index}]", at(name)), message));
                    }
                }
            }
            "targets" => {
                for (index, target) in value.as_array().into_iter().flatten().enumerate() {
                    references(gateway, target, &format!("{}[{index}]", at(name)), workspace)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks where targets point. Unknown slugs are told all at once, as Portkey does.
fn providers(gateway: &Gateway, plan: &Plan, workspace: &str) -> Result<(), ConfigError> {
    let mut unknown: Vec<(String, String)> = Vec::new();
    for target in plan.targets() {
        if let Some(host) = &target.custom_host {
            let trusted = is_trusted(&gateway.settings().trusted_hosts, host);
            check_custom_host(host, trusted).map_err(|reason| {
                refused(&member(target, "custom_host"), format!("Invalid custom host: {reason}"))
            })?;
        }
        let (provider, virtual_key) = (target.provider.as_deref(), target.virtual_key.as_deref());
        let model = split_model(model_of(target, None)).0;
        match (slug_of(provider, virtual_key, model), provider) {
            (Some(slug), _) if gateway.book.provider_for(workspace, slug).is_none() => {
                let name = match (provider, virtual_key) {
                    (Some(provider), _) if provider.starts_with('@') => "provider",
                    (_, Some(_)) => "virtual_key",
                    _ if target.override_params.contains_key("model") => "override_params.model",
                    _ => "default_params.model",
                };
                if !unknown.iter().any(|(_, known)| known == slug) {
                    unknown.push((member(target, name), slug.to_owned()));
                }
            }
            (None, Some(vendor)) => {
                by_vendor(gateway, target, vendor, workspace)
                    .map_err(|message| refused(&member(target, "provider"), message))?;
            }
            _ => {}
        }
    }
    let Some((path, _)) = unknown.first() else { return Ok(()) };
    let all = gateway.book.providers_for(workspace);
    let slugs: Vec<String> = all.iter().map(|provider| format!("@{}", provider.record().slug)).collect();
    let unknown_slugs: Vec<&str> = unknown.iter().map(|(_, slug)| slug.as_str()).collect();
    let message = format!(
        "Following keys are not valid: {} (providers: {})",
        unknown_slugs.join(", "),
        listed(slugs.iter().map(String::as_str))
    );
    Err(refused(path, message))
}

/// A vendor's name in place of a slug: somebody must bring the credential.
fn by_vendor(gateway: &Gateway, target: &Target, vendor: &str, workspace: &str) -> Result<(), String> {
    if gateway.book.provider_for(workspace, vendor).is_some() {
        return Ok(());
    }
    if tidegate_providers::registry::find(vendor).is_none() {
        return Err(format!(
            "Invalid provider passed: \"{vendor}\"; a vendor's name or \"@slug\" is accepted"
        ));
    }
    // The client's own key is for a config's only target.
    let brings = target.api_key.is_some() || target.custom_host.is_some() || target.path == "config";
    if brings {
        return Ok(());
    }
    Err(format!("no provider is named {vendor}, and the target has no api_key; \"@slug\" names a provider"))
}

/// Checks what plugins must answer. Bundled plugins are loaded for it.
async fn plugins(gateway: &Gateway, plan: &Plan) -> Result<(), ConfigError> {
    look(gateway, checks::of_plan(plan)).await
}

/// Reads a guardrail and checks that plugins have its checks.
///
/// # Errors
/// [`ConfigError`] with the JSON path, which begins with `[0]`, and what is accepted.
pub async fn vet_hook(gateway: &Gateway, json: &str) -> Result<(), ConfigError> {
    let mut all = checks::of_hooks(&Hooks::parse(json)?);
    for called in &mut all {
        called.path = format!("{}.checks[{}].id", called.path, called.at);
    }
    look(gateway, all).await
}

/// Looks at the plugins in force: whether they have what is named, and can use what it is given.
async fn look(gateway: &Gateway, all: Vec<Called>) -> Result<(), ConfigError> {
    let ids: BTreeSet<&str> = all.iter().map(|called| called.plugin.as_str()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let set = gateway.plugins.ready(|| ids.iter().copied()).await;
    for called in &all {
        let Some(plugin) = set.get(&called.plugin) else {
            let what = if called.is_condition { "condition" } else { "check" };
            let message = format!(
                "no plugin has the {what} {}.{}; plugins in force: {}",
                called.plugin,
                called.name,
                listed(set.iter().map(|(id, _)| id))
            );
            return Err(refused(&called.path, message));
        };
        let manifest = plugin.manifest();
        if called.is_condition {
            if plugin.condition_info(&called.name).is_none() {
                let names = manifest.conditions.iter().map(|info| info.name.as_str());
                return Err(refused(&called.path, called.lacking(names)));
            }
            continue;
        }
        let Some(info) = plugin.check_info(&called.name) else {
            let names = manifest.checks.iter().map(|info| info.name.as_str());
            return Err(refused(&called.path, called.lacking(names)));
        };
        if !info.streams {
            continue;
        }
        // Checks of streams say what they need of their parameters, so those that they can't use are known now. Any
        // other trouble of the plugin is none of the guardrail's.
        let (name, parameters) = (called.name.as_str(), called.parameters.clone());
        if let Err(CallError::Check(error)) = plugin.needs("default", name, parameters, None).await {
            let path = called.path.strip_suffix(".id").map(|check| format!("{check}.parameters"));
            let message = format!("{}.{name} can't use its parameters: {}", called.plugin, error.message);
            return Err(refused(path.as_deref().unwrap_or(&called.path), message));
        }
    }
    Ok(())
}
