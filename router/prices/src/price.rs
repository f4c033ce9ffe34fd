//! The price of a model and the facts about it that bound a cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    part::{Part, Rates, Stated},
    pico::PicoUsd,
};

/// What a model is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Conversations, realtime ones included.
    #[default]
    Chat,
    /// Plain text continuation.
    Completion,
    /// Vectors.
    Embedding,
    /// Pictures out.
    Image,
    /// Speech out.
    Speech,
    /// Speech in.
    Transcription,
    /// Verdicts on content.
    Moderation,
    /// Ordering of documents.
    Rerank,
}

/// Other rates for requests whose input is longer than a threshold; they then hold for all its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Input tokens the request must exceed.
    pub above: u64,
    /// The rates from there on.
    pub rates: Rates,
}

/// The price of one model. The default is free of charge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// What the model is for.
    pub kind: Kind,
    /// Prices of tokens.
    pub rates: Rates,
    /// Prices of tokens of longer requests, by rising threshold.
    pub tiers: Vec<Tier>,
    /// Price of a request, whatever it holds.
    pub per_request: Option<PicoUsd>,
    /// Price of a minute of audio, for answers that report no tokens.
    pub per_minute: Option<PicoUsd>,
    /// Price of a character to be spoken.
    pub per_character: Option<PicoUsd>,
    /// Price of an image by quality, then size; `default` is what a request that names none gets.
    pub image: BTreeMap<String, BTreeMap<String, PicoUsd>>,
    /// Most tokens the model writes in one answer, reasoning included.
    pub max_output: Option<u64>,
    /// Most input tokens the model takes.
    pub context: Option<u64>,
    /// Whether the model may spend output tokens that are never shown.
    pub may_reason: bool,
}

impl Price {
    /// Returns a price of nothing, for local models.
    #[must_use]
    pub fn free() -> Self {
        Self::default()
    }

    /// Returns whether nothing about the model costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let no_rates = self.dearest() == Rates::default();
        let units = [self.per_request, self.per_minute, self.per_character];
        no_rates
            && units.iter().flatten().all(|price| *price == PicoUsd::ZERO)
            && self.image.values().flat_map(BTreeMap::values).all(|price| *price == PicoUsd::ZERO)
    }

    /// Returns the rates of a request with this many input tokens.
    #[must_use]
    pub fn at(&self, input_tokens: u64) -> Rates {
        let tier = self.tiers.iter().rev().find(|tier| input_tokens > tier.above);
        tier.map_or(self.rates, |tier| tier.rates)
    }

    /// Returns the dearest rates of any request with at most this many input tokens.
    #[must_use]
    pub fn dearest_up_to(&self, input_tokens: u64) -> Rates {
        let reached = self.tiers.iter().filter(|tier| input_tokens > tier.above);
        reached.fold(self.rates, |rates, tier| rates.max(&tier.rates))
    }

    /// Returns the dearest rates of any request.
    #[must_use]
    pub fn dearest(&self) -> Rates {
        self.dearest_up_to(u64::MAX)
    }

    /// Returns this price times `per_mille` / 1000, each rate rounded up: a discount or a surcharge.
    #[must_use]
    pub fn scaled(&self, per_mille: u64) -> Self {
        let change = |price: PicoUsd| {
            PicoUsd(u64::try_from(price.times(per_mille).div_ceil(1_000)).unwrap_or(u64::MAX))
        };
        let mut price = self.clone();
        price.rates = price.rates.map(change);
        price.tiers.iter_mut().for_each(|tier| tier.rates = tier.rates.map(change));
        for unit in [&mut price.per_request, &mut price.per_minute, &mut price.per_character] {
            *unit = unit.map(change);
        }
        price.image.values_mut().flat_map(BTreeMap::values_mut).for_each(|each| *each = change(*each));
        price
    }

    /// Takes over from `other` what is a fact about the model rather than a price, where unknown here.
    pub(crate) fn learn_from(&mut self, other: &Price) {
        self.max_output = self.max_output.or(other.max_output);
        self.context = self.context.or(other.context);
        self.may_reason |= other.may_reason;
    }

    /// Returns whether tokens have a price other than zero.
    pub(crate) fn has_token_price(&self) -> bool {
        self.dearest() != Rates::default()
    }

    /// Returns what has to be written down for `rates`, and for each tier on top of it.
    pub(crate) fn statements(&self) -> (Stated, Vec<(u64, Stated)>) {
        let base = self.rates.state(&Stated::default());
        let tiers = self.tiers.iter().map(|tier| (tier.above, tier.rates.state(&base))).collect();
        (base, tiers)
    }
}

/// Parts a text request can be charged for on its way in.
pub(crate) const TEXT_INPUT: [Part; 4] =
    [Part::Input, Part::CachedInput, Part::CacheWrite, Part::CacheWrite1h];
/// Parts a text answer can be charged for.
pub(crate) const TEXT_OUTPUT: [Part; 2] = [Part::Output, Part::Reasoning];

#[cfg(test)]
mod tests {
    use super::*;

    fn tiered() -> Price {
        serde_json::from_str(
            r#"{"input":"1.25","output":"10","tiers":[{"above":200000,"input":"2.5","output":"15"}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_tier_starts_above_its_threshold() {
        let price = tiered();
        assert_eq!(price.at(200_000).of(Part::Input), PicoUsd(1_250_000));
        assert_eq!(price.at(200_001).of(Part::Input), PicoUsd(2_500_000));
        assert_eq!(price.at(200_001).of(Part::CachedInput), PicoUsd(2_500_000));
        assert_eq!(price.dearest().of(Part::Output), PicoUsd(15_000_000));
    }

    #[test]
    fn a_multiplier_reaches_every_rate_and_rounds_up() {
        let price = tiered().scaled(1_100);
        assert_eq!(price.rates.of(Part::Input), PicoUsd(1_375_000));
        assert_eq!(price.tiers[0].rates.of(Part::Output), PicoUsd(16_500_000));
        let odd: Price = serde_json::from_str(r#"{"input":"0.000001","output":"0"}"#).unwrap();
        assert_eq!(odd.scaled(1).rates.of(Part::Input), PicoUsd(1));
        assert!(tiered().scaled(0).is_free());
    }

    #[test]
    fn an_image_price_is_a_price() {
        assert!(Price::free().is_free());
        let price: Price = serde_json::from_str(r#"{"kind":"image","image":"0.04"}"#).unwrap();
        assert!(!price.is_free());
    }
}
