//! Integrations and their instances in workspaces → providers that requests can name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidegate_store::{ObjectKind, ObjectRecord, Origin, ProviderRecord};

use super::objects::Objects;
use super::terms;

/// Cents per token, as Portkey prices, in US dollars per million tokens.
const DOLLARS_PER_MILLION: f64 = 10_000.0;
/// Portkey's names of prices, and those of the settings file.
const PRICES: [(&str, &str); 5] = [
    ("request_token", "input"),
    ("response_token", "output"),
    ("cache_read_input_token", "cached_input"),
    ("cache_write_input_token", "cache_write"),
    ("reasoning_token", "reasoning"),
];

/// Returns the providers of all workspaces. One whose secrets can't be opened is left out and logged.
pub(super) fn of(objects: &Objects) -> Vec<ProviderRecord> {
    let providers = objects.all(ObjectKind::Provider);
    providers
        .iter()
        .filter(|provider| provider.body["status"] != "archived")
        .filter_map(|it| one(objects, it))
        .collect()
}

fn one(objects: &Objects, provider: &ObjectRecord) -> Option<ProviderRecord> {
    let id = provider.body["integration_id"].as_str()?;
    let integration = objects.by_id(ObjectKind::Integration, id)?;
    let (body, slug) = (&integration.body, provider.slug.as_str());
    if body["status"] == "archived" {
        return None;
    }
    let opened = match body["sealed"].as_str().map(|sealed| objects.master().open(sealed)).transpose() {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            tracing::error!(provider = slug, %error, "provider left out");
            return None;
        }
    };
    let secrets: Value = serde_json::from_str(&opened).unwrap_or_default();
    let mut options = BTreeMap::new();
    for (name, value) in secrets["configurations"].as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        options.insert(name.clone(), text);
    }
    let base_url = options.remove("custom_host").filter(|host| !host.is_empty());
    let expired = provider.body["expires_at"].as_str().and_then(terms::read_moment);
    let limits = terms::read_rate_limits(&provider.body["rate_limits"], "rate_limits").unwrap_or_default();
    let has_budget = !provider.body["usage_limits"].is_null();
    let models = body["models"].as_object().into_iter().flatten();
    let custom = models.filter(|(_, model)| model["is_custom"] == true && model["enabled"] != false);
    Some(ProviderRecord {
        workspace: provider.workspace.clone(),
        integration: Some(integration.id.clone()),
        origin: Origin::Store,
        base_url,
        api_key: secrets["key"].as_str().map(str::to_owned),
        options,
        prices: prices(body),
        price_per_mille: multiplier(body),
        limits,
        budget: has_budget.then(|| format!("provider:{}", provider.id)),
        expires_at: expired,
        extra_models: custom.map(|(slug, _)| slug.clone()).collect(),
        ..ProviderRecord::named(slug, body["ai_provider_id"].as_str()?)
    })
}

/// Reads the prices of an integration's models into the form of the settings file.
fn prices(body: &Value) -> Value {
    let mut all = Map::new();
    for (slug, model) in body["models"].as_object().into_iter().flatten() {
        let listed = &model["pricing_config"]["pay_as_you_go"];
        let mut price = Map::new();
        for (theirs, ours) in PRICES {
            if let Some(cents) = listed[theirs]["price"].as_f64().or_else(|| listed[theirs].as_f64()) {
                // Rounded to the billionth of a dollar per million: floats that came from cents are not exact.
                let dollars = (cents * DOLLARS_PER_MILLION * 1e9).round() / 1e9;
                price.insert(ours.to_owned(), dollars.into());
            }
        }
        if !price.is_empty() {
            for needed in ["input", "output"] {
                price.entry(needed).or_insert_with(|| 0.into());
            }
            all.insert(slug.clone(), Value::Object(price));
        }
    }
    if all.is_empty() { Value::Null } else { Value::Object(all) }
}

/// Reads the multiplier of all prices, in thousandths.
fn multiplier(body: &Value) -> Option<u64> {
    let multiplier = &body["pricing_adjustments"]["multiplier"];
    let by = multiplier["default"].as_f64().or_else(|| multiplier.as_f64())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "vetted to be from 0 to 1,000"
    )]
    let per_mille = (by.clamp(0.0, 1_000.0) * 1_000.0).round() as u64;
    (per_mille != 1_000).then_some(per_mille)
}
