//! How a price is written: the same fields in the embedded table, an override file and the settings.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
    ser::SerializeMap,
};
use thiserror::Error;

use crate::{
    part::{Part, Rates, Stated},
    pico::{PerMillion, PerOne, PicoUsd},
    price::{Kind, Price, Tier},
};

/// The name under which an image price holds for what is not named.
pub(crate) const DEFAULT: &str = "default";

const PRICE_FIELDS: &[&str] = &[
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "output",
    "reasoning",
    "audio_output",
    "image_output",
    "per_request",
    "per_minute",
    "per_character",
    "image",
    "tiers",
    "kind",
    "context",
    "max_output",
    "may_reason",
];
const TIER_FIELDS: &[&str] = &[
    "above",
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "output",
    "reasoning",
    "audio_output",
    "image_output",
];

/// Why a stated price makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PriceError {
    /// Half a price would make the other half free by accident.
    #[error("`{given}` is given but not `{missing}`; write `{missing} = 0` if it is free")]
    Half {
        /// The field that is there.
        given: &'static str,
        /// The field that is not.
        missing: &'static str,
    },
    /// Nothing has a price.
    #[error("no price is given; write `input = 0` and `output = 0` if the model is free")]
    Empty,
    /// Tiers must rise.
    #[error("tiers must be sorted by rising `above`")]
    TierOrder,
}

/// A price for every image, or by quality, or by quality and size.
#[derive(Deserialize)]
#[serde(untagged)]
enum ImageFields {
    Flat(PerOne),
    ByQuality(BTreeMap<String, SizeFields>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SizeFields {
    Flat(PerOne),
    BySize(BTreeMap<String, PerOne>),
}

impl ImageFields {
    fn resolve(self) -> BTreeMap<String, BTreeMap<String, PicoUsd>> {
        let flat = |price: PerOne| BTreeMap::from([(DEFAULT.to_owned(), price.0)]);
        match self {
            Self::Flat(price) => BTreeMap::from([(DEFAULT.to_owned(), flat(price))]),
            Self::ByQuality(qualities) => qualities
                .into_iter()
                .map(|(quality, sizes)| match sizes {
                    SizeFields::Flat(price) => (quality, flat(price)),
                    SizeFields::BySize(sizes) => {
                        (quality, sizes.into_iter().map(|(size, price)| (size, price.0)).collect())
                    }
                })
                .collect(),
        }
    }
}

struct TierFields {
    above: u64,
    stated: Stated,
}

impl<'de> Deserialize<'de> for TierFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TierVisitor)
    }
}

struct TierVisitor;

impl<'de> Visitor<'de> for TierVisitor {
    type Value = TierFields;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a tier with `above` and prices")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TierFields, A::Error> {
        let mut above = None;
        let mut stated = Stated::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Part(part) => stated.set(part, map.next_value::<PerMillion>()?.0),
                Key::Other(name) if name == "above" => above = Some(map.next_value()?),
                Key::Other(name) => return Err(de::Error::unknown_field(&name, TIER_FIELDS)),
            }
        }
        let above = above.ok_or_else(|| de::Error::missing_field("above"))?;
        Ok(TierFields { above, stated })
    }
}

enum Key {
    Part(Part),
    Other(String),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a field of a price")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Key, E> {
                Ok(Part::from_name(name).map_or_else(|| Key::Other(name.to_owned()), Key::Part))
            }
        }
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct PriceVisitor;

impl<'de> Visitor<'de> for PriceVisitor {
    type Value = Price;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a price with fields such as `input` and `output`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Price, A::Error> {
        let mut stated = Stated::default();
        let mut tiers: Vec<TierFields> = Vec::new();
        let mut price = Price::default();
        while let Some(key) = map.next_key::<Key>()? {
            let name = match key {
                Key::Part(part) => {
                    stated.set(part, map.next_value::<PerMillion>()?.0);
                    continue;
                }
                Key::Other(name) => name,
            };
            match name.as_str() {
                "kind" => price.kind = map.next_value()?,
                "per_request" => price.per_request = Some(map.next_value::<PerOne>()?.0),
                "per_minute" => price.per_minute = Some(map.next_value::<PerOne>()?.0),
                "per_character" => price.per_character = Some(map.next_value::<PerMillion>()?.0),
                "image" => price.image = map.next_value::<ImageFields>()?.resolve(),
                "tiers" => tiers = map.next_value()?,
                "context" => price.context = Some(map.next_value()?),
                "max_output" => price.max_output = Some(map.next_value()?),
                "may_reason" => price.may_reason = map.next_value()?,
                _ => return Err(de::Error::unknown_field(&name, PRICE_FIELDS)),
            }
        }
        let tiers: Vec<_> = tiers.into_iter().map(|tier| (tier.above, tier.stated)).collect();
        assemble(price, &stated, &tiers).map_err(de::Error::custom)
    }
}

/// Puts a price together from what was stated; `tiers` rise by threshold.
pub(crate) fn assemble(
    mut price: Price,
    stated: &Stated,
    tiers: &[(u64, Stated)],
) -> Result<Price, PriceError> {
    check(&price, stated)?;
    if tiers.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(PriceError::TierOrder);
    }
    price.rates = Rates::resolve(stated);
    price.tiers = tiers
        .iter()
        .map(|(above, tier)| Tier { above: *above, rates: Rates::resolve(&tier.or(stated)) })
        .collect();
    Ok(price)
}

fn check(price: &Price, stated: &Stated) -> Result<(), PriceError> {
    let writes_text = matches!(price.kind, Kind::Chat | Kind::Completion);
    let has_unit_price =
        [price.per_request, price.per_minute, price.per_character].iter().any(Option::is_some)
            || !price.image.is_empty();
    let (input, output) = (stated.get(Part::Input).is_some(), stated.get(Part::Output).is_some());
    match (input, output) {
        (true, false) if writes_text => Err(PriceError::Half { given: "input", missing: "output" }),
        (false, true) if writes_text => Err(PriceError::Half { given: "output", missing: "input" }),
        (false, false) if !has_unit_price && stated.iter().next().is_none() => Err(PriceError::Empty),
        _ => Ok(()),
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PriceVisitor)
    }
}

struct TierOut<'a>(u64, &'a Stated);

impl Serialize for TierOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("above", &self.0)?;
        for (part, price) in self.1.iter() {
            map.serialize_entry(part.name(), &PerMillion(price))?;
        }
        map.end()
    }
}

/// Writes the shortest form that reads back to the same price.
impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut stated, tiers) = self.statements();
        // What is free says so: a price without `input` and `output` is refused.
        let writes_text = matches!(self.kind, Kind::Chat | Kind::Completion);
        let has_unit_price =
            [self.per_request, self.per_minute, self.per_character].iter().any(Option::is_some)
                || !self.image.is_empty();
        if self.has_token_price() && writes_text || !self.has_token_price() && !has_unit_price {
            for part in [Part::Input, Part::Output] {
                stated.set(part, self.rates.of(part));
            }
        }
        let mut map = serializer.serialize_map(None)?;
        if self.kind != Kind::Chat {
            map.serialize_entry("kind", &self.kind)?;
        }
        for (part, price) in stated.iter() {
            map.serialize_entry(part.name(), &PerMillion(price))?;
        }
        if let Some(price) = self.per_request {
            map.serialize_entry("per_request", &PerOne(price))?;
        }
        if let Some(price) = self.per_minute {
            map.serialize_entry("per_minute", &PerOne(price))?;
        }
        if let Some(price) = self.per_character {
            map.serialize_entry("per_character", &PerMillion(price))?;
        }
        if !self.image.is_empty() {
            let by_size = |sizes: &BTreeMap<String, PicoUsd>| -> BTreeMap<String, PerOne> {
                sizes.iter().map(|(size, price)| (size.clone(), PerOne(*price))).collect()
            };
            let image: BTreeMap<_, _> =
                self.image.iter().map(|(quality, sizes)| (quality, by_size(sizes))).collect();
            map.serialize_entry("image", &image)?;
        }
        if !tiers.is_empty() {
            let tiers: Vec<_> = tiers.iter().map(|(above, stated)| TierOut(*above, stated)).collect();
            map.serialize_entry("tiers", &tiers)?;
        }
        if let Some(tokens) = self.context {
            map.serialize_entry("context", &tokens)?;
        }
        if let Some(tokens) = self.max_output {
            map.serialize_entry("max_output", &tokens)?;
        }
        if self.may_reason {
            map.serialize_entry("may_reason", &true)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Price, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_shortest_form_reads_back_to_the_same_price() {
        for json in [
            r#"{"input":"2.5","cached_input":"1.25","output":"10","context":128000,"max_output":16384}"#,
            r#"{"input":"1","output":"2","tiers":[{"above":1000,"input":"2","cached_input":"1"}],"may_reason":true}"#,
            r#"{"kind":"image","image":{"hd":{"1024x1024":"0.08"}}}"#,
            r#"{"kind":"transcription","per_minute":"0.006"}"#,
            r#"{"kind":"embedding","input":"0.02"}"#,
            r#"{"input":"0","output":"0"}"#,
            r#"{"input":"0","output":"0","per_request":"0.01"}"#,
            r#"{"input":"0","output":"3"}"#,
        ] {
            let price = parse(json).unwrap();
            let written = serde_json::to_string(&price).unwrap();
            assert_eq!(parse(&written).unwrap(), price, "{json} became {written}");
        }
    }

    #[test]
    fn half_a_price_is_refused_and_says_what_to_write() {
        let error = parse(r#"{"input":3}"#).unwrap_err();
        assert!(error.contains("write `output = 0` if it is free"), "{error}");
        assert!(parse("{}").unwrap_err().contains("no price is given"));
    }

    #[test]
    fn an_unknown_field_is_named_with_what_is_known() {
        let error = parse(r#"{"input":3,"output":4,"cache_read":1}"#).unwrap_err();
        assert!(error.contains("cache_read") && error.contains("cached_input"), "{error}");
        let error = parse(r#"{"input":3,"output":4,"tiers":[{"input":1}]}"#).unwrap_err();
        assert!(error.contains("above"), "{error}");
    }

    #[test]
    fn numbers_and_text_mean_the_same() {
        let number = parse(r#"{"input":0.0375,"output":15,"image":0.04,"per_request":0.005}"#).unwrap();
        let text =
            parse(r#"{"input":"0.0375","output":"15.00","image":"0.04","per_request":"0.005"}"#).unwrap();
        assert_eq!(number, text);
        assert_eq!(number.rates.of(Part::Input), PicoUsd(37_500));
        assert!(parse(r#"{"input":0.0000001,"output":0}"#).unwrap_err().contains("decimal places"));
    }

    #[test]
    fn tiers_must_rise() {
        let json = r#"{"input":1,"output":1,"tiers":[{"above":5,"input":2},{"above":5,"input":3}]}"#;
        assert!(parse(json).unwrap_err().contains("rising"));
    }
}
