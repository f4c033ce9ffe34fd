//! Integrations and their instances in workspaces → providers that requests can name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidegate_store::{ModelRecord, ObjectKind, ObjectRecord, Origin, ProviderRecord};

use super::objects::Objects;
use super::{Bad, terms};
use crate::upstream::address::is_trusted;

/// Cents per token, as Portkey prices, in US dollars per million tokens.
const DOLLARS_PER_MILLION: f64 = 10_000.0;
/// The finest price of a token, a pico-dollar, is the millionth of a dollar per million.
const PLACES: f64 = 1e6;
/// Portkey's names of prices, and those of the settings file.
pub const PRICES: [(&str, &str); 9] = [
    ("request_token", "input"),
    ("response_token", "output"),
    ("cache_read_input_token", "cached_input"),
    ("cache_write_input_token", "cache_write"),
    ("reasoning_token", "reasoning"),
    ("request_audio_token", "audio_input"),
    ("response_audio_token", "audio_output"),
    ("request_image_token", "image_input"),
    ("response_image_token", "image_output"),
];
/// Dearest token that is accepted, in cents: a slip of six places is no price.
const DEAREST: f64 = 1_000.0;
/// Largest multiplier of prices.
const LARGEST_MULTIPLIER: f64 = 1_000.0;

/// Returns the providers of all workspaces. One whose secrets can't be had is left out and logged.
pub(super) fn of(objects: &Objects, trusted_hosts: &[String]) -> Vec<ProviderRecord> {
    let providers = objects.all(ObjectKind::Provider);
    providers
        .iter()
        .filter(|provider| provider.body["status"] != "archived")
        .filter_map(|it| one(objects, it, trusted_hosts))
        .collect()
}

fn one(objects: &Objects, provider: &ObjectRecord, trusted_hosts: &[String]) -> Option<ProviderRecord> {
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
    let mut secrets: Value = serde_json::from_str(&opened).unwrap_or_default();
    if let Err(reference) = objects.references().fill(
        objects,
        &mut secrets,
        &body["secret_mappings"],
        provider.workspace.as_deref(),
    ) {
        tracing::error!(
            provider = slug,
            reference,
            "provider left out: its secret was never read, or is not for its workspace"
        );
        return None;
    }
    let configurations = &secrets["configurations"];
    let mut options = texts(configurations);
    let base_url = options.remove("custom_host").filter(|host| !host.is_empty());
    let (own, by_alias) = deployments(configurations);
    options.extend(own);
    let has_budget = !provider.body["usage_limits"].is_null();
    let models = || body["models"].as_object().into_iter().flatten();
    let custom = models().filter(|(_, model)| model["is_custom"] == true && model["enabled"] != false);
    Some(ProviderRecord {
        workspace: provider.workspace.clone(),
        integration: Some(integration.id.clone()),
        origin: Origin::Store,
        trusted: base_url.as_deref().is_some_and(|host| is_trusted(trusted_hosts, host)),
        base_url,
        api_key: secrets["key"].as_str().map(str::to_owned),
        headers: texts(&configurations["custom_headers"]),
        options,
        by_model: by_model(objects, models(), by_alias, trusted_hosts),
        prices: prices(body),
        price_per_mille: multiplier(&body["pricing_adjustments"]).ok().flatten(),
        limits: terms::read_rate_limits(&provider.body["rate_limits"], "rate_limits").unwrap_or_default(),
        budget: has_budget.then(|| format!("provider:{}", provider.id)),
        expires_at: provider.body["expires_at"].as_str().and_then(terms::read_moment),
        extra_models: custom.map(|(slug, _)| slug.clone()).collect(),
        ..ProviderRecord::named(slug, body["ai_provider_id"].as_str()?)
    })
}

/// Returns the plain members of an object as texts.
fn texts(value: &Value) -> BTreeMap<String, String> {
    let members = value.as_object().into_iter().flatten();
    let plain = members.filter(|(_, value)| !value.is_object() && !value.is_array() && !value.is_null());
    plain
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}

/// Reads Azure's deployments: options for every model, and for the models that are named by an alias.
fn deployments(configurations: &Value) -> (BTreeMap<String, String>, BTreeMap<String, ModelRecord>) {
    let listed = configurations["azure_deployment_config"].as_array().into_iter().flatten();
    let (mut own, mut by_alias) = (BTreeMap::new(), BTreeMap::new());
    for deployment in listed {
        let mut options = BTreeMap::new();
        for (theirs, ours) in
            [("azure_deployment_name", "azure_deployment_id"), ("azure_api_version", "azure_api_version")]
        {
            if let Some(text) = deployment[theirs].as_str() {
                options.insert(ours.to_owned(), text.to_owned());
            }
        }
        if deployment["is_default"] == true || deployment["is_default"] == 1 {
            own.clone_from(&options);
        }
        let base = deployment["azure_model_slug"].as_str().map(str::to_owned);
        for name in [&deployment["alias"], &deployment["azure_model_slug"]] {
            if let Some(name) = name.as_str() {
                let of =
                    ModelRecord { base: base.clone(), options: options.clone(), ..ModelRecord::default() };
                by_alias.insert(name.to_owned(), of);
            }
        }
    }
    (own, by_alias)
}

/// Reads what holds for single models. Headers of a model may be secret and are sealed.
fn by_model<'a>(
    objects: &Objects,
    models: impl Iterator<Item = (&'a String, &'a Value)>,
    mut all: BTreeMap<String, ModelRecord>,
    trusted_hosts: &[String],
) -> BTreeMap<String, ModelRecord> {
    for (slug, model) in models {
        let opened = model["sealed"].as_str().and_then(|sealed| objects.master().open(sealed).ok());
        let own: Value = opened.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let base = model["base_model_slug"].as_str().filter(|base| !base.is_empty());
        if own.is_null() && base.is_none() {
            continue;
        }
        let of = all.entry(slug.clone()).or_default();
        of.base_url = own["custom_host"].as_str().map(str::to_owned);
        of.trusted = of.base_url.as_deref().is_some_and(|host| is_trusted(trusted_hosts, host));
        of.headers = texts(&own["custom_headers"]);
        of.base = base.map(str::to_owned).or_else(|| of.base.take());
    }
    all
}

/// Reads the prices of an integration's models into the form of the settings file.
fn prices(body: &Value) -> Value {
    let mut all = Map::new();
    for (slug, model) in body["models"].as_object().into_iter().flatten() {
        if let Ok(Some(price)) = price(&model["pricing_config"], "") {
            all.insert(slug.clone(), price);
        }
    }
    if all.is_empty() { Value::Null } else { Value::Object(all) }
}

/// Reads the price of a model: Portkey's cents per token into the form of the settings file; `None` where none is set.
///
/// # Errors
/// [`Bad`] with the member and what is accepted.
pub fn price(config: &Value, path: &str) -> Result<Option<Value>, Bad> {
    let Some(listed) = config["pay_as_you_go"].as_object().filter(|listed| !listed.is_empty()) else {
        return Ok(None);
    };
    let mut price = Map::new();
    for (name, value) in listed {
        let at = format!("{path}.pay_as_you_go.{name}");
        if value.is_null() || value["price"].is_null() && value.is_object() {
            continue;
        }
        let Some((_, ours)) = PRICES.iter().find(|(theirs, _)| theirs == name) else {
            let known: Vec<&str> = PRICES.iter().map(|(theirs, _)| *theirs).collect();
            return Err(Bad::new(at, format!("{} are accepted", known.join(", "))));
        };
        let cents = value["price"].as_f64().or_else(|| value.as_f64());
        let Some(cents) = cents.filter(|cents| (0.0..=DEAREST).contains(cents)) else {
            return Err(Bad::new(
                at,
                format!("{{\"price\": cents per token}} from 0 to {DEAREST} is expected"),
            ));
        };
        // Rounded to what a token can cost at all: floats that came from cents are not exact.
        let dollars = (cents * DOLLARS_PER_MILLION * PLACES).round() / PLACES;
        price.insert((*ours).to_owned(), dollars.into());
    }
    if price.is_empty() {
        return Ok(None);
    }
    for needed in ["input", "output"] {
        price.entry(needed).or_insert_with(|| 0.into());
    }
    Ok(Some(Value::Object(price)))
}

/// Reads the multiplier of all prices, in thousandths; `None` changes nothing.
///
/// # Errors
/// [`Bad`]
pub fn multiplier(adjustments: &Value) -> Result<Option<u64>, Bad> {
    let given = &adjustments["multiplier"];
    let path = "pricing_adjustments.multiplier";
    if let Some(other) =
        given.as_object().into_iter().flatten().map(|(name, _)| name).find(|it| *it != "default")
    {
        return Err(Bad::new(
            format!("{path}.{other}"),
            "only default is accepted, which is for every price",
        ));
    }
    let by = if given.is_object() { &given["default"] } else { given };
    if by.is_null() {
        return Ok(None);
    }
    let by = by.as_f64().filter(|by| (0.0..=LARGEST_MULTIPLIER).contains(by));
    let by =
        by.ok_or_else(|| Bad::new(path, format!("a number from 0 to {LARGEST_MULTIPLIER} is expected")))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1,000")]
    let per_mille = (by * 1_000.0).round() as u64;
    Ok((per_mille != 1_000).then_some(per_mille))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidegate_prices::{CustomPrices, Part, PicoUsd};

    #[test]
    fn cents_per_token_become_dollars_per_million() {
        let listed = json!({"pay_as_you_go": {
            "request_token": {"price": 0.00025}, "response_token": {"price": 0.001},
            "cache_read_input_token": {"price": 0.000_007_5}}});
        let price = price(&listed, "p").unwrap().unwrap();
        let read: CustomPrices = serde_json::from_value(json!({"m": price})).unwrap();
        let rates = &read.lookup("openai", "m").unwrap().rates;
        // 2.50, 10.00 and 0.075 dollars per million tokens.
        assert_eq!(rates.of(Part::Input), PicoUsd(2_500_000));
        assert_eq!(rates.of(Part::Output), PicoUsd(10_000_000));
        assert_eq!(rates.of(Part::CachedInput), PicoUsd(75_000));
    }

    #[test]
    fn a_price_that_would_be_lost_is_refused_by_name() {
        for (listed, at) in [
            (json!({"request_token": {"price": -1}}), "p.pay_as_you_go.request_token"),
            (json!({"request_token": {"price": "1"}}), "p.pay_as_you_go.request_token"),
            (
                json!({"additional_units": {"web_search": {"price": 1}, "price": 1}}),
                "p.pay_as_you_go.additional_units",
            ),
        ] {
            assert_eq!(price(&json!({"pay_as_you_go": listed}), "p").unwrap_err().param, at);
        }
        assert_eq!(price(&json!({"type": "static"}), "p").unwrap(), None);
    }

    #[test]
    fn multipliers_are_thousandths() {
        let of = |multiplier: Value| multiplier_of(&multiplier);
        assert_eq!(of(json!({"default": 1.25})).unwrap(), Some(1_250));
        assert_eq!(of(json!({"default": 0})).unwrap(), Some(0));
        assert_eq!(of(json!({"default": 1})).unwrap(), None);
        assert_eq!(of(Value::Null).unwrap(), None);
        assert!(of(json!({"default": -1})).is_err());
        assert!(of(json!({"request_token": 2})).is_err());
    }

    fn multiplier_of(given: &Value) -> Result<Option<u64>, Bad> {
        multiplier(&json!({"multiplier": given}))
    }

    #[test]
    fn an_alias_of_azure_names_its_deployment() {
        let (own, by_alias) = deployments(&json!({"azure_deployment_config": [
            {"alias": "big", "azure_deployment_name": "dep-big", "azure_api_version": "2024-10-21",
             "is_default": true, "azure_model_slug": "gpt-4o"},
            {"alias": "small", "azure_deployment_name": "dep-small"}]}));
        assert_eq!(own["azure_deployment_id"], "dep-big");
        assert_eq!(by_alias["small"].options["azure_deployment_id"], "dep-small");
        assert_eq!(by_alias["big"].base.as_deref(), Some("gpt-4o"));
    }
}
