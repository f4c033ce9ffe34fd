//! `/virtual-keys`: a provider and its credential in one, Portkey's older form of both.

use serde_json::{Map, Value, json};
use tidegate_store::{ObjectKind, ObjectRecord, Write};

use super::known::{new_provider, of_integration};
use super::routes::{changed, created, removed};
use super::{fields, show};
use crate::admin::ctx::{Ctx, conflict, invalid};
use crate::admin::integrations::{Draft, made, opened};
use crate::admin::route::{Route, route};
use crate::admin::slugs;
use crate::error::GatewayError;

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/virtual-keys" ["virtual_keys.list"] "List virtual keys", &[], fields::OF_WORKSPACE => list),
    route!(POST "/virtual-keys" ["virtual_keys.create"] "Make a virtual key", fields::NEW_KEY, fields::OF_WORKSPACE => create),
    route!(GET "/virtual-keys/{slug}" ["virtual_keys.read"] "Show a virtual key", &[], fields::OF_WORKSPACE => one),
    route!(PUT "/virtual-keys/{slug}" ["virtual_keys.update"] "Change a virtual key", fields::CHANGED_KEY, fields::OF_WORKSPACE => change),
    route!(DELETE "/virtual-keys/{slug}" ["virtual_keys.delete"] "Delete a virtual key", &[], fields::OF_WORKSPACE => remove),
];

async fn list(ctx: Ctx) -> Result<Value, GatewayError> {
    let workspace = ctx.workspace_asked()?;
    let spends = show::spends(&ctx).await?;
    let mut all = ctx.gateway().objects.all(ObjectKind::Provider);
    all.retain(|it| workspace.is_none() || it.workspace == workspace);
    ctx.list(all.iter().map(|it| show::virtual_key(&ctx, it, &spends)).collect())
}

/// Collects what a virtual key says of its vendor in the words of integrations; `None` where it says nothing.
fn configurations(ctx: &Ctx, known: &Value) -> Option<Value> {
    let mut all = match ctx.body.get("configurations") {
        Some(given) => given.as_object().cloned().unwrap_or_default(),
        None => known.as_object().cloned().unwrap_or_default(),
    };
    let mut said = ctx.body.contains_key("configurations");
    for (theirs, ours) in [
        ("resourceName", "azure_resource_name"),
        ("apiVersion", "azure_api_version"),
        ("deploymentName", "azure_deployment_id"),
        ("customHost", "custom_host"),
        ("custom_host", "custom_host"),
        ("customHeaders", "custom_headers"),
        ("custom_headers", "custom_headers"),
    ] {
        if let Some(value) = ctx.body.get(theirs) {
            all.insert(ours.to_owned(), value.clone());
            said = true;
        }
    }
    if let Some(list) = ctx.body.get("deploymentConfig") {
        all.insert(
            "azure_deployment_config".to_owned(),
            list.as_array().into_iter().flatten().map(deployment).collect(),
        );
        said = true;
    }
    said.then_some(Value::Object(all))
}

fn deployment(given: &Value) -> Value {
    let mut renamed = Map::new();
    for (name, value) in given.as_object().into_iter().flatten() {
        let name = match name.as_str() {
            "apiVersion" => "azure_api_version",
            "deploymentName" => "azure_deployment_name",
            "modelSlug" => "azure_model_slug",
            other => other,
        };
        renamed.insert(name.to_owned(), value.clone());
    }
    Value::Object(renamed)
}

/// Reads the vendor's key, if one is sent. Clients send back the empty one that they were shown.
fn key(ctx: &Ctx) -> Result<Option<&Value>, GatewayError> {
    match ctx.body.get("key") {
        Some(Value::String(key)) if key.trim().is_empty() => Ok(None),
        Some(Value::String(_) | Value::Null) | None => Ok(ctx.body.get("key")),
        Some(_) => Err(invalid("key", "a text is expected")),
    }
}

async fn create(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let workspace = ctx.workspace()?;
    let name = ctx.text("name").unwrap_or_default();
    let slug = slugs::chosen(&ctx, ObjectKind::Provider, &workspace, ctx.text("slug"), name)?;
    let body = json!({"name": name, "status": "active", "allow_all_models": true, "virtual_key": true});
    let configurations = configurations(&ctx, &Value::Null);
    let draft = Draft {
        vendor: ctx.text("provider").unwrap_or_default(),
        workspace: Some(&workspace),
        key: key(&ctx)?,
        configurations: configurations.as_ref(),
        mappings: ctx.body.get("secret_mappings"),
    };
    let body = made(&ctx, &draft, body).map_err(in_their_words)?;
    let own = slugs::free(&ctx, ObjectKind::Integration, &workspace, &slug);
    let integration = ctx.new_object(ObjectKind::Integration, Some(workspace.clone()), own, body);
    let object = new_provider(&ctx, &workspace, slug, name, &integration.id, false);
    created(&ctx, object, vec![Write::PutObject(Box::new(integration))], "virtual_key").await
}

/// What integrations call `ai_provider_id` is `provider` here.
fn in_their_words(mut error: GatewayError) -> GatewayError {
    if error.param.as_deref() == Some("ai_provider_id") {
        error.param = Some("provider".to_owned());
        error.message = error.message.replacen("ai_provider_id", "provider", 1);
    }
    error
}

async fn one(ctx: Ctx) -> Result<Value, GatewayError> {
    let object = ctx.object(ObjectKind::Provider, ctx.path("slug"))?;
    Ok(show::virtual_key(&ctx, &object, &show::spends(&ctx).await?))
}

/// Returns the integration that is a virtual key's own.
fn own_integration(ctx: &Ctx, object: &ObjectRecord) -> Option<std::sync::Arc<ObjectRecord>> {
    let id = object.body["integration_id"].as_str()?;
    let found = ctx.gateway().objects.by_id(ObjectKind::Integration, id)?;
    (found.body["virtual_key"] == true).then_some(found)
}

async fn change(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let before = ctx.object(ObjectKind::Provider, ctx.path("slug"))?;
    let integration = own_integration(&ctx, &before);
    let known = match &integration {
        Some(integration) => opened(&ctx, &integration.body)?["configurations"].clone(),
        None => Value::Null,
    };
    let (key, configurations) = (key(&ctx)?, configurations(&ctx, &known));
    let mappings = ctx.body.get("secret_mappings");
    let mut writes = Vec::new();
    if key.is_some() || configurations.is_some() || mappings.is_some() {
        let Some(integration) = integration else {
            let message =
                format!("{} is a provider of an integration; change the credential there", before.slug);
            return Err(conflict(message));
        };
        let draft = Draft {
            vendor: integration.body["ai_provider_id"].as_str().unwrap_or_default(),
            workspace: integration.workspace.as_deref(),
            key,
            configurations: configurations.as_ref(),
            mappings,
        };
        let body = made(&ctx, &draft, integration.body.clone()).map_err(in_their_words)?;
        writes.push(Write::PutObject(Box::new(ctx.next_version(&integration, body))));
    }
    changed(&ctx, &before, writes, "virtual_key").await
}

/// Deletes a virtual key, and its credential where that is its own and nobody else's.
async fn remove(ctx: Ctx) -> Result<Value, GatewayError> {
    let _changing = ctx.gateway().objects.changing().await;
    let object = ctx.object(ObjectKind::Provider, ctx.path("slug"))?;
    let own = own_integration(&ctx, &object).filter(|it| of_integration(&ctx, &it.id).len() == 1);
    let writes = own.map(|it| Write::DeleteObject { kind: ObjectKind::Integration, id: it.id.clone() });
    removed(&ctx, &object, writes.into_iter().collect(), "virtual_key").await
}
