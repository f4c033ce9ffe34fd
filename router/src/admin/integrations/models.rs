//! Which models of an integration may be used, custom ones, their prices.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tidegate_store::ObjectRecord;

use super::configurations::{headers, host};
use super::known::find;
use super::routes::{changeable, written};
use super::{configurations, fields};
use crate::admin::ctx::{Ctx, flag, invalid, missing};
use crate::admin::route::{Route, route};
use crate::error::GatewayError;
use crate::governance::providers::price;
use crate::models::known_models;

/// Most models that an integration lists.
const MOST: usize = 2_000;
const LONGEST: usize = 255;

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/integrations/{slug}/models" ["organisation_integrations.read", "workspace_integrations.read"] "List an integration's models", &[], &[] => list),
    route!(PUT "/integrations/{slug}/models" ["organisation_integrations.update", "workspace_integrations.update"] "Set models of an integration", fields::MODELS, &[] => change),
    route!(DELETE "/integrations/{slug}/models" ["organisation_integrations.update", "workspace_integrations.update"] "Forget models of an integration", fields::REMOVED_MODELS, fields::SLUGS => remove),
];

async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let object = find(&ctx, ctx.path("slug"))?;
    let mut models = match all(&ctx, &object)? {
        Value::Array(models) => models,
        _ => Vec::new(),
    };
    let all_allowed = object.body["allow_all_models"].as_bool().unwrap_or(true);
    let listed: BTreeSet<&str> =
        object.body["models"].as_object().into_iter().flatten().map(|it| it.0.as_str()).collect();
    let vendor = object.body["ai_provider_id"].as_str().unwrap_or_default();
    for slug in known_models(vendor).into_iter().filter(|slug| !listed.contains(slug.as_str())) {
        models.push(shown(&slug, &json!({"enabled": all_allowed}), &Value::Null));
    }
    Ok(json!({
        "object": "list", "success": true, "total": models.len(), "allow_all_models": all_allowed, "models": models,
    }))
}

/// Shows the models that somebody has set something for, secrets masked.
pub(super) fn all(ctx: &Ctx, object: &ObjectRecord) -> Result<Value, GatewayError> {
    let listed = object.body["models"].as_object().into_iter().flatten();
    listed.map(|(slug, model)| Ok(shown(slug, model, &configurations::opened(ctx, model)?))).collect()
}

fn shown(slug: &str, model: &Value, opened: &Value) -> Value {
    let own = if opened.as_object().is_some_and(|own| !own.is_empty()) {
        configurations::shown(opened)
    } else {
        Value::Null
    };
    json!({
        "slug": slug,
        "name": slug,
        "enabled": model["enabled"] != false,
        "is_custom": model["is_custom"] == true,
        "is_finetune": model["is_finetune"] == true,
        "base_model_slug": model["base_model_slug"],
        "configurations": own,
        "pricing_config": model["pricing_config"],
    })
}

/// Clients send true, 1, "1" and "true".
fn truth(value: &Value) -> Option<bool> {
    flag(value).or_else(|| match value.as_str()? {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    })
}

/// Reads one model over what is known of it.
fn read(ctx: &Ctx, given: &Value, known: &Value, path: &str) -> Result<Value, GatewayError> {
    let mut model = if known.is_object() { known.clone() } else { json!({"enabled": true}) };
    for name in ["enabled", "is_custom", "is_finetune"] {
        let value = &given[name];
        if !value.is_null() {
            let expected = || invalid(&format!("{path}.{name}"), "true or false is expected");
            model[name] = truth(value).ok_or_else(expected)?.into();
        }
    }
    if let Some(base) = given.get("base_model_slug") {
        if !base.is_null() && base.as_str().is_none_or(|text| text.len() > LONGEST) {
            return Err(invalid(&format!("{path}.base_model_slug"), "a text is expected"));
        }
        model["base_model_slug"] = base.clone();
    }
    if let Some(pricing) = given.get("pricing_config") {
        let at = format!("{path}.pricing_config");
        if !matches!(pricing["type"].as_str(), None | Some("static")) {
            return Err(invalid(&format!("{at}.type"), "static is expected"));
        }
        price(pricing, &at)?;
        model["pricing_config"] = pricing.clone();
    }
    if let Some(given) = given.get("configurations") {
        let before = configurations::opened(ctx, &model)?;
        let mut own = Map::new();
        for (name, value) in given.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            let at = format!("{path}.configurations.{name}");
            let value = match name.as_str() {
                "custom_host" => host(ctx, value, &at)?,
                "custom_headers" => headers(value, &before["custom_headers"], &at)?,
                _ => return Err(invalid(&at, "custom_host and custom_headers are accepted")),
            };
            own.insert(name.clone(), value);
        }
        model["sealed"] =
            if own.is_empty() { Value::Null } else { configurations::sealed(ctx, &Value::Object(own))? };
    }
    Ok(model)
}

async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = changeable(&ctx, "update")?;
    let mut body = before.body.clone();
    let mut models = body["models"].as_object().cloned().unwrap_or_default();
    for (at, given) in ctx.body.get("models").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let path = format!("models[{at}]");
        let slug =
            given["slug"].as_str().map(str::trim).filter(|slug| !slug.is_empty() && slug.len() <= LONGEST);
        let Some(slug) = slug else {
            return Err(invalid(&format!("{path}.slug"), "a model's name is expected"));
        };
        let known = models.get(slug).cloned().unwrap_or_default();
        models.insert(slug.to_owned(), read(&ctx, given, &known, &path)?);
    }
    if models.len() > MOST {
        return Err(invalid("models", &format!("at most {MOST} are accepted")));
    }
    body["models"] = Value::Object(models);
    if let Some(all) = ctx.flag("allow_all_models") {
        body["allow_all_models"] = all.into();
    }
    written(&ctx, &before, body, Vec::new(), "update").await?;
    Ok(json!({}))
}

/// Forgets what is set for models: custom ones are gone, others are as every other model of the vendor.
async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = changeable(&ctx, "update")?;
    let mut slugs: Vec<String> = Vec::new();
    slugs.extend(
        ctx.asked("slugs").into_iter().flat_map(|list| list.split(',')).map(|it| it.trim().to_owned()),
    );
    for named in ctx.body.get("models").and_then(Value::as_array).into_iter().flatten() {
        slugs.extend(named.as_str().or_else(|| named["slug"].as_str()).map(str::to_owned));
    }
    slugs.retain(|slug| !slug.is_empty());
    if slugs.is_empty() {
        return Err(invalid("slugs", "slugs of models are expected, in the query or as models in the body"));
    }
    let mut body = before.body.clone();
    for slug in &slugs {
        if body["models"].as_object_mut().and_then(|models| models.shift_remove(slug)).is_none() {
            return Err(missing("model", slug));
        }
    }
    written(&ctx, &before, body, Vec::new(), "update").await?;
    Ok(json!({}))
}
