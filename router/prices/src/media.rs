//! Costs that are not counted in tokens: images, audio by time, speech by character.
//!
//! `None` means that the model has no such price, not that it is free.

use std::collections::BTreeMap;

use crate::{fields::DEFAULT, money::NanoUsd, pico::PicoUsd, price::Price};

impl Price {
    /// Returns the cost of `count` images. What the request leaves open is the vendor's default; what the table
    /// does not know costs as much as the dearest it knows.
    #[must_use]
    pub fn image_cost(&self, quality: Option<&str>, size: Option<&str>, count: u64) -> Option<NanoUsd> {
        let price = match self.image.get(quality.unwrap_or(DEFAULT)) {
            Some(sizes) => sizes.get(size.unwrap_or(DEFAULT)).copied().or_else(|| dearest_size(size, sizes)),
            None => self.image.values().filter_map(|sizes| dearest_size(size, sizes)).max(),
        };
        price.map(|price| NanoUsd::from_picos_up(price.times(count)))
    }

    /// Returns the cost of this much audio.
    #[must_use]
    pub fn audio_cost(&self, milliseconds: u64) -> Option<NanoUsd> {
        self.per_minute.map(|price| NanoUsd::from_picos_up(price.times(milliseconds).div_ceil(60_000)))
    }

    /// Returns the cost of speaking this many characters.
    #[must_use]
    pub fn speech_cost(&self, characters: u64) -> Option<NanoUsd> {
        self.per_character.map(|price| NanoUsd::from_picos_up(price.times(characters)))
    }
}

/// One size without a name for it is a flat price; among several, an unknown one is the dearest.
fn dearest_size(size: Option<&str>, sizes: &BTreeMap<String, PicoUsd>) -> Option<PicoUsd> {
    size.and_then(|size| sizes.get(size)).or_else(|| sizes.values().max()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(json: &str) -> Price {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_image_costs_by_quality_and_size_and_the_unknown_is_dearest() {
        let price = price(
            r#"{"kind":"image","image":{"default":{"default":"0.04","1792x1024":"0.08"},"hd":{"1024x1024":"0.08","1792x1024":"0.12"}}}"#,
        );
        let cents = |amount: u64| Some(NanoUsd(amount * 10_000_000));
        assert_eq!(price.image_cost(None, None, 1), cents(4));
        assert_eq!(price.image_cost(None, Some("1792x1024"), 2), cents(16));
        assert_eq!(price.image_cost(Some("hd"), Some("1024x1024"), 1), cents(8));
        assert_eq!(price.image_cost(Some("hd"), None, 1), cents(12));
        assert_eq!(price.image_cost(Some("ultra"), Some("1024x1024"), 1), cents(8));
        assert_eq!(price.image_cost(Some("ultra"), Some("9x9"), 1), cents(12));
    }

    #[test]
    fn audio_and_speech_round_up_and_may_have_no_price() {
        let whisper = price(r#"{"kind":"transcription","per_minute":"0.006"}"#);
        assert_eq!(whisper.audio_cost(60_000), Some(NanoUsd(6_000_000)));
        assert_eq!(whisper.audio_cost(1), Some(NanoUsd(100)));
        assert_eq!(whisper.speech_cost(1), None);
        let tts = price(r#"{"kind":"speech","per_character":"15"}"#);
        assert_eq!(tts.speech_cost(1_000), Some(NanoUsd(15_000_000)));
        assert_eq!(tts.image_cost(None, None, 1), None);
    }
}
