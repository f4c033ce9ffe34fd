//! Look-ups: the settings' own prices first, then an override file, then the embedded table.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use crate::{
    custom::CustomPrices,
    name,
    price::Price,
    table::{self, Index, Table},
};

/// `same_as` may lead on this many times; a circle ends as unknown.
const HOPS: usize = 4;

static FREE: LazyLock<Arc<Price>> = LazyLock::new(|| Arc::new(Price::free()));

/// All prices the gateway knows. Cheap to make, and look-ups need no lock.
#[derive(Debug, Default)]
pub struct PriceBook {
    overrides: HashMap<String, Index>,
}

impl PriceBook {
    /// Returns the book of embedded prices.
    #[must_use]
    pub fn embedded() -> Self {
        Self::default()
    }

    /// Returns the book in which `table` comes before the embedded prices, model by model.
    #[must_use]
    pub fn with_overrides(table: &Table) -> Self {
        let index = |(name, vendor): (&String, _)| {
            let name = name::vendor(name);
            (name.to_owned(), Index::new(name, vendor))
        };
        Self { overrides: table.vendors.iter().map(index).collect() }
    }

    /// Returns the price of a model at a vendor, or `None` when nothing is known about it.
    #[must_use]
    pub fn lookup(&self, vendor: &str, model: &str) -> Option<Arc<Price>> {
        let mut vendor = name::vendor(vendor);
        let mut model = name::key(vendor, model);
        for _ in 0..HOPS {
            if vendor == "openrouter" && model.ends_with(":free") {
                return Some(FREE.clone());
            }
            let layers = [self.overrides.get(vendor), table::embedded_vendor(vendor)];
            let known = || layers.iter().flatten();
            let stem = name::stem(vendor, &model);
            let price = known()
                .find_map(|index| index.exact(&model))
                .or_else(|| known().find_map(|index| index.same_stem(stem)));
            if let Some(price) = price {
                return Some(price.clone());
            }
            if known().any(|index| index.free) {
                return Some(FREE.clone());
            }
            if vendor == "openrouter" {
                let (maker, name) = name::behind_openrouter(&model)?;
                (vendor, model) = (maker, name.into());
                continue;
            }
            let next = known().find_map(|index| index.same_as.as_deref())?;
            vendor = name::vendor(next);
        }
        None
    }

    /// Returns the price of a model at a provider that has prices of its own. These say nothing about the model's
    /// limits, so those are taken from the book where it knows the model.
    #[must_use]
    pub fn lookup_with(&self, custom: &CustomPrices, vendor: &str, model: &str) -> Option<Arc<Price>> {
        let Some(price) = custom.lookup(vendor, model) else { return self.lookup(vendor, model) };
        let Some(known) = self.lookup(vendor, model) else { return Some(price.clone()) };
        let mut price = Price::clone(price);
        price.learn_from(&known);
        Some(Arc::new(price))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Part, PicoUsd};

    fn input(vendor: &str, model: &str) -> Option<String> {
        let price = PriceBook::embedded().lookup(vendor, model)?;
        Some(price.rates.of(Part::Input).dollars_per_million())
    }

    #[test]
    fn well_known_models_have_their_published_price() {
        for (vendor, model, dollars) in [
            ("openai", "gpt-4o", "2.5"),
            ("openai", "gpt-4o-mini", "0.15"),
            ("openai", "gpt-5", "1.25"),
            ("openai", "text-embedding-3-small", "0.02"),
            ("anthropic", "claude-sonnet-4-5", "3"),
            ("anthropic", "claude-haiku-4-5", "1"),
            ("google", "gemini-2.5-pro", "1.25"),
            ("google", "gemini-2.5-flash", "0.3"),
        ] {
            assert_eq!(input(vendor, model).as_deref(), Some(dollars), "{vendor} {model}");
        }
    }

    #[test]
    fn a_snapshot_has_its_own_price_or_that_of_its_model() {
        assert_eq!(input("openai", "gpt-4o-2024-05-13").as_deref(), Some("5"));
        assert_eq!(input("openai", "gpt-4o-2024-08-06").as_deref(), Some("2.5"));
        assert_eq!(input("openai", "gpt-4o-2030-01-01").as_deref(), Some("2.5"));
        assert_eq!(input("anthropic", "claude-sonnet-4-5-20250929").as_deref(), Some("3"));
        assert_eq!(input("anthropic", "claude-sonnet-4-5-latest").as_deref(), Some("3"));
        assert_eq!(input("anthropic", "claude-3-haiku"), input("anthropic", "claude-3-haiku-20240307"));
        assert_eq!(input("google", "models/gemini-2.5-flash-001").as_deref(), Some("0.3"));
    }

    #[test]
    fn the_unknown_is_unknown() {
        for (vendor, model) in [
            ("openai", "gpt-404"),
            ("openai", ""),
            ("nobody", "gpt-4o"),
            ("openai", "ft:gpt-404:acme::1"),
            ("openrouter", "openai/gpt-4o:nitro"),
            ("openrouter", "nobody/nothing"),
        ] {
            assert_eq!(input(vendor, model), None, "{vendor} {model}");
        }
    }

    #[test]
    fn a_fine_tune_does_not_fall_back_to_its_cheaper_base() {
        assert_eq!(input("openai", "ft:gpt-4o-2024-08-06:acme::abc").as_deref(), Some("3.75"));
    }

    #[test]
    fn azure_charges_as_openai_does() {
        assert_eq!(input("azure-openai", "gpt-4o").as_deref(), Some("2.5"));
        assert_eq!(input("azure-openai", "gpt-35-turbo"), input("openai", "gpt-3.5-turbo"));
    }

    #[test]
    fn openrouter_names_and_free_variants_are_understood() {
        assert_eq!(input("openrouter", "openai/gpt-4o").as_deref(), Some("2.5"));
        assert_eq!(input("openrouter", "anthropic/claude-opus-5.5"), input("anthropic", "claude-opus-5-5"));
        let free = PriceBook::embedded().lookup("openrouter", "somebody/some-model:free").unwrap();
        assert!(free.is_free());
    }

    #[test]
    fn local_models_are_free_whatever_their_name() {
        for vendor in ["ollama", "vllm", "llama-cpp", "lm-studio"] {
            assert!(PriceBook::embedded().lookup(vendor, "anything:7b").unwrap().is_free(), "{vendor}");
        }
    }

    #[test]
    fn facts_about_models_are_there_for_holds() {
        let book = PriceBook::embedded();
        let gpt = book.lookup("openai", "gpt-5").unwrap();
        assert!(gpt.may_reason && gpt.max_output == Some(128_000));
        let gemini = book.lookup("google", "gemini-2.5-pro").unwrap();
        assert_eq!(gemini.at(200_001).of(Part::Output), PicoUsd(15_000_000));
        let claude = book.lookup("anthropic", "claude-sonnet-4-5").unwrap();
        assert_eq!(claude.rates.of(Part::CacheWrite1h), PicoUsd(6_000_000));
        let whisper = book.lookup("openai", "whisper-1").unwrap();
        assert_eq!((whisper.kind, whisper.audio_cost(60_000)), (Kind::Transcription, "0.006".parse().ok()));
        assert_eq!(book.lookup("openai", "tts-1").unwrap().speech_cost(1_000_000), "15".parse().ok());
        assert!(book.lookup("openai", "gpt-image-1").unwrap().image_cost(Some("low"), None, 1).is_some());
    }

    #[test]
    fn an_override_comes_first_model_by_model_and_keeps_exact_names_exact() {
        let json = r#"{"format":"tidegate-prices/1","vendors":{"openai":{"models":{"gpt-4o":{"input":7,"output":7}}},
            "mine":{"same_as":"openai"},"round":{"same_as":"round"}}}"#;
        let book = PriceBook::with_overrides(&Table::parse(json.as_bytes()).unwrap());
        let input =
            |vendor: &str, model: &str| book.lookup(vendor, model).map(|price| price.rates.of(Part::Input).0);
        assert_eq!(input("openai", "gpt-4o"), Some(7_000_000));
        assert_eq!(input("openai", "gpt-4o-2024-05-13"), Some(5_000_000));
        assert_eq!(input("openai", "gpt-4o-mini"), Some(150_000));
        assert_eq!(input("azure-openai", "gpt-4o"), Some(7_000_000));
        assert_eq!(input("mine", "gpt-4o"), Some(7_000_000));
        assert_eq!(input("round", "gpt-4o"), None);
    }

    #[test]
    fn a_custom_price_takes_the_models_limits_from_the_book() {
        let price = serde_json::from_str(r#"{"input":1,"output":1}"#).unwrap();
        let custom: CustomPrices = [("gpt-5".to_owned(), price)].into_iter().collect();
        let book = PriceBook::embedded();
        let price = book.lookup_with(&custom, "openai", "gpt-5").unwrap();
        assert_eq!(price.rates.of(Part::CachedInput), PicoUsd(1_000_000));
        assert!(price.may_reason && price.max_output == Some(128_000));
        assert!(book.lookup_with(&custom, "openai", "gpt-4o").is_some());
    }
}
