//! The kinds of tokens that can have a price of their own, and one price for each.

use crate::pico::PicoUsd;

/// One kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that was read.
    Input,
    /// Input read from the vendor's prompt cache.
    CachedInput,
    /// Input written to the vendor's prompt cache.
    CacheWrite,
    /// The same with a lifetime of one hour.
    CacheWrite1h,
    /// Audio that was read.
    AudioInput,
    /// Images that were read.
    ImageInput,
    /// Text that was written.
    Output,
    /// Reasoning, shown or not.
    Reasoning,
    /// Audio that was written.
    AudioOutput,
    /// Images that were written.
    ImageOutput,
}

impl Part {
    /// Every part; a part falls back only to one before it, so one pass in this order resolves them all.
    pub const ALL: [Part; 10] = [
        Part::Input,
        Part::CachedInput,
        Part::CacheWrite,
        Part::CacheWrite1h,
        Part::AudioInput,
        Part::ImageInput,
        Part::Output,
        Part::Reasoning,
        Part::AudioOutput,
        Part::ImageOutput,
    ];

    /// Returns the name in files and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Input => "input",
            Part::CachedInput => "cached_input",
            Part::CacheWrite => "cache_write",
            Part::CacheWrite1h => "cache_write_1h",
            Part::AudioInput => "audio_input",
            Part::ImageInput => "image_input",
            Part::Output => "output",
            Part::Reasoning => "reasoning",
            Part::AudioOutput => "audio_output",
            Part::ImageOutput => "image_output",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// Returns the part whose price counts when this one has none of its own.
    pub(crate) fn fallback(self) -> Option<Self> {
        match self {
            Part::Input | Part::Output => None,
            Part::CachedInput | Part::CacheWrite | Part::AudioInput | Part::ImageInput => Some(Part::Input),
            Part::CacheWrite1h => Some(Part::CacheWrite),
            Part::Reasoning | Part::AudioOutput | Part::ImageOutput => Some(Part::Output),
        }
    }
}

/// A price for some parts: what a file or a person states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stated([Option<PicoUsd>; 10]);

impl Stated {
    pub(crate) fn get(&self, part: Part) -> Option<PicoUsd> {
        self.0[part as usize]
    }

    pub(crate) fn set(&mut self, part: Part, price: PicoUsd) {
        self.0[part as usize] = Some(price);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Part, PicoUsd)> {
        Part::ALL.into_iter().filter_map(|part| Some((part, self.get(part)?)))
    }

    /// Returns this with the gaps filled from `other`.
    pub(crate) fn or(&self, other: &Stated) -> Stated {
        let mut merged = *other;
        self.iter().for_each(|(part, price)| merged.set(part, price));
        merged
    }
}

/// A price per token for every part, in pico-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates([PicoUsd; 10]);

impl Rates {
    /// Returns the price of one token of this part.
    #[must_use]
    pub fn of(&self, part: Part) -> PicoUsd {
        self.0[part as usize]
    }

    /// Fills the gaps by [`Part::fallback`]; a part without either is free.
    pub(crate) fn resolve(stated: &Stated) -> Self {
        let mut rates = Self::default();
        for part in Part::ALL {
            let fallback = part.fallback().map(|other| rates.of(other));
            rates.0[part as usize] = stated.get(part).or(fallback).unwrap_or_default();
        }
        rates
    }

    /// Returns the shortest statement that resolves to these rates on top of `base`.
    pub(crate) fn state(&self, base: &Stated) -> Stated {
        let mut stated = Stated::default();
        for part in Part::ALL {
            let implied = base.get(part).or_else(|| part.fallback().map(|other| self.of(other)));
            if implied.unwrap_or_default() != self.of(part) {
                stated.set(part, self.of(part));
            }
        }
        stated
    }

    /// Returns the dearer of both, part by part.
    #[must_use]
    pub fn max(&self, other: &Rates) -> Self {
        let mut rates = *self;
        for part in Part::ALL {
            rates.0[part as usize] = self.of(part).max(other.of(part));
        }
        rates
    }

    /// Returns the dearest of some parts.
    pub(crate) fn dearest(&self, parts: &[Part]) -> PicoUsd {
        parts.iter().map(|part| self.of(*part)).max().unwrap_or_default()
    }

    /// Returns every rate changed by `change`.
    pub(crate) fn map(&self, change: impl Fn(PicoUsd) -> PicoUsd) -> Self {
        Self(self.0.map(change))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stated() -> impl Strategy<Value = Stated> {
        prop::array::uniform10(prop::option::of((0_u64..4).prop_map(PicoUsd))).prop_map(Stated)
    }

    #[test]
    fn the_order_of_parts_resolves_fallbacks_in_one_pass() {
        for (index, part) in Part::ALL.into_iter().enumerate() {
            assert_eq!(part as usize, index);
            assert!(part.fallback().is_none_or(|other| (other as usize) < index), "{part:?}");
            assert_eq!(Part::from_name(part.name()), Some(part));
        }
    }

    proptest! {
        #[test]
        fn the_shortest_statement_means_the_same(base in stated(), tier in stated()) {
            let base = Rates::resolve(&base).state(&Stated::default());
            let rates = Rates::resolve(&tier.or(&base));
            prop_assert_eq!(Rates::resolve(&rates.state(&base).or(&base)), rates);
        }
    }
}
