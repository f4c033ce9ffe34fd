//! Portkey's `pricing/<vendor>.json`: one object of a vendor's models, US cents per token.
//!
//! Read are the pay-as-you-go prices. Batch, regional and service-tier prices are not: the gateway does not
//! know which of them a vendor applied.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    number::picos,
    source::{Form, Refreshed, Skipped},
};
use crate::{
    fields,
    part::{Part, Stated},
    pico::PicoUsd,
    price::{Kind, Price},
    table::Table,
};

/// Cents to pico-dollars.
const PLACES: u32 = 10;

/// Names of one part; the later ones are used by models that price text and images apart.
const PARTS: [(&str, Part); 14] = [
    ("request_token", Part::Input),
    ("request_text_token", Part::Input),
    ("cache_read_input_token", Part::CachedInput),
    ("cache_read_text_input_token", Part::CachedInput),
    ("cached_text_input_token", Part::CachedInput),
    ("cache_write_input_token", Part::CacheWrite),
    ("request_audio_token", Part::AudioInput),
    ("request_image_token", Part::ImageInput),
    ("response_token", Part::Output),
    ("response_text_token", Part::Output),
    ("reasoning_token", Part::Reasoning),
    ("thinking_token", Part::Reasoning),
    ("response_audio_token", Part::AudioOutput),
    ("response_image_token", Part::ImageOutput),
];

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    pricing_config: Config<'a>,
}

#[derive(Deserialize)]
struct Config<'a> {
    #[serde(borrow, default)]
    pay_as_you_go: HashMap<&'a str, &'a RawValue>,
}

#[derive(Deserialize)]
struct Unit<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
}

pub(super) fn read(entries: &BTreeMap<String, &RawValue>, vendor: &str) -> Refreshed {
    let mut drafts: BTreeMap<&str, Drafts> = BTreeMap::new();
    let mut skipped = Vec::new();
    for (model, raw) in entries.iter().filter(|(model, _)| *model != "default") {
        match draft(raw) {
            Ok(draft) => {
                let (name, above) = split_tier(model);
                let entry = drafts.entry(name).or_default();
                match above {
                    Some(above) => entry.tiers.push((above, draft.stated)),
                    None => entry.base = Some(draft),
                }
            }
            Err(reason) => skipped.push(Skipped { model: model.clone(), reason }),
        }
    }
    let mut table = Table::default();
    let models = &mut table.vendors.entry(vendor.to_owned()).or_default().models;
    for (name, Drafts { base, mut tiers }) in drafts {
        tiers.sort_unstable_by_key(|(above, _)| *above);
        let price = base.ok_or_else(|| "only its price for long requests is known".to_owned());
        let price = price.and_then(|draft| {
            fields::assemble(draft.price, &draft.stated, &tiers).map_err(|error| error.to_string())
        });
        match price {
            Ok(price) => {
                models.insert(name.to_owned(), price.into());
            }
            Err(reason) => skipped.push(Skipped { model: name.to_owned(), reason }),
        }
    }
    Refreshed { form: Form::Portkey, table, skipped }
}

/// What the entries of one model say, which may be several: one for each length of input.
#[derive(Default)]
struct Drafts {
    base: Option<Draft>,
    tiers: Vec<(u64, Stated)>,
}

struct Draft {
    price: Price,
    stated: Stated,
}

/// Splits `gemini-x-lte-128k` and `gemini-x-gt-128k` into the model and the threshold of its tier.
fn split_tier(model: &str) -> (&str, Option<u64>) {
    for (mark, is_tier) in [("-lte-", false), ("-gt-", true)] {
        let Some((name, limit)) = model.rsplit_once(mark) else { continue };
        let Some(thousands) = limit.strip_suffix('k').and_then(|text| text.parse::<u32>().ok()) else {
            continue;
        };
        return (name, is_tier.then_some(u64::from(thousands) * 1_000));
    }
    (model, None)
}

fn draft(raw: &RawValue) -> Result<Draft, String> {
    let entry: Entry<'_> =
        serde_json::from_str(raw.get()).map_err(|_| "it has no pricing_config".to_owned())?;
    let units = entry.pricing_config.pay_as_you_go;
    let mut stated = Stated::default();
    // In reverse, so that the first name of a part wins.
    for (field, part) in PARTS.iter().rev() {
        let Some(each) = units.get(field).and_then(|raw| unit(raw)) else { continue };
        // Zero stands for "no such price" wherever a part has another to fall back to.
        if each != PicoUsd::ZERO || part.fallback().is_none() {
            stated.set(*part, each);
        }
    }
    let additional =
        units.get("additional_units").map(|raw| serde_json::from_str::<HashMap<&str, &RawValue>>(raw.get()));
    if let Some(Ok(additional)) = additional
        && let Some(each) = additional.get("cache_write_1h").and_then(|raw| unit(raw))
    {
        stated.set(Part::CacheWrite1h, each);
    }
    let mut price = Price::default();
    if let Some(image) = units.get("image") {
        price.kind = Kind::Image;
        price.image = images(image).ok_or_else(|| "its image prices cannot be read".to_owned())?;
    }
    if stated.get(Part::Input).is_some() != stated.get(Part::Output).is_some() && price.kind == Kind::Chat {
        price.kind = Kind::Embedding;
    }
    Ok(Draft { price, stated })
}

fn unit(raw: &RawValue) -> Option<PicoUsd> {
    let unit: Unit<'_> = serde_json::from_str(raw.get()).ok()?;
    picos(unit.price, PLACES)
}

fn images(raw: &RawValue) -> Option<BTreeMap<String, BTreeMap<String, PicoUsd>>> {
    let qualities: BTreeMap<String, BTreeMap<String, &RawValue>> = serde_json::from_str(raw.get()).ok()?;
    let sizes = |sizes: BTreeMap<String, &RawValue>| -> Option<BTreeMap<String, PicoUsd>> {
        sizes.into_iter().map(|(size, raw)| Some((size, unit(raw)?))).collect()
    };
    qualities.into_iter().map(|(quality, by_size)| Some((quality, sizes(by_size)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const FILE: &str = r#"{
        "default": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 0}}, "calculate": {}}},
        "claude": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 0.0003}, "response_token": {"price": 0.0015},
            "cache_write_input_token": {"price": 0.000375}, "cache_read_input_token": {"price": 3e-05},
            "additional_units": {"cache_write_1h": {"price": 0.0006}, "web_search": {"price": 1}}},
            "batch_config": {"request_token": {"price": 0.00015}}}},
        "pro-lte-128k": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 0.000125}, "response_token": {"price": 0.001}}}},
        "pro-gt-128k": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 0.00025}, "response_token": {"price": 0.0015}}}},
        "painter": {"pricing_config": {"pay_as_you_go": {"image": {"hd": {"1024x1024": {"price": 8}}}}}},
        "vector": {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 2e-06}}}},
        "nothing": {"pricing_config": {"pay_as_you_go": {}}},
        "odd": 3
    }"#;

    #[test]
    fn cents_become_dollars_per_million() {
        let refreshed = parse(FILE.as_bytes(), Some("anthropic")).unwrap();
        assert_eq!(refreshed.form, Form::Portkey);
        let models = &refreshed.table.vendors["anthropic"].models;
        let json = |model: &str| serde_json::to_string(&models[model]).unwrap();
        assert_eq!(
            json("claude"),
            r#"{"input":"3","cached_input":"0.3","cache_write":"3.75","cache_write_1h":"6","output":"15"}"#
        );
        assert_eq!(
            json("pro"),
            r#"{"input":"1.25","output":"10","tiers":[{"above":128000,"input":"2.5","output":"15"}]}"#
        );
        assert_eq!(json("painter"), r#"{"kind":"image","image":{"hd":{"1024x1024":"0.08"}}}"#);
        assert_eq!(json("vector"), r#"{"kind":"embedding","input":"0.02"}"#);
    }

    #[test]
    fn what_has_no_price_is_named() {
        let refreshed = parse(FILE.as_bytes(), Some("anthropic")).unwrap();
        let names: Vec<_> = refreshed.skipped.iter().map(|skipped| skipped.model.as_str()).collect();
        assert_eq!(names, ["odd", "nothing"]);
    }
}
