//! Prices at hand: the book in force, each provider's own prices, and what a request costs.

use std::cell::RefCell;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use foldhash::quality::RandomState;
use tidegate_prices::{CustomPrices, NanoUsd, Price, PriceBook};
use tidegate_providers::Usage;

use crate::actors::provider::ProviderHandle;

/// Looked-up prices kept at most; model names come from callers, so the cache is bounded.
const CACHE_AT_MOST: usize = 10_000;

/// By the provider's place and the model, one behind the other: to look one up takes one text, not two.
type Cache = DashMap<String, Option<Arc<Price>>, RandomState>;

thread_local! {
    /// Where texts to look up are written.
    static KEY: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Answers what a model costs at a provider.
pub struct PriceDesk {
    book: ArcSwap<PriceBook>,
    cache: Cache,
}

impl PriceDesk {
    /// Makes a desk over a book.
    #[must_use]
    pub fn new(book: PriceBook) -> Self {
        Self { book: ArcSwap::from_pointee(book), cache: Cache::default() }
    }

    /// Puts another book in force.
    pub fn replace(&self, book: PriceBook) {
        self.book.store(Arc::new(book));
        self.cache.clear();
    }

    /// Forgets looked-up prices, after providers changed.
    pub fn forget(&self) {
        self.cache.clear();
    }

    /// Returns the price that the book lists for a vendor's model, whoever sells it.
    #[must_use]
    pub fn listed(&self, vendor: &str, model: &str) -> Option<Arc<Price>> {
        self.book.load().lookup(vendor, model)
    }

    /// Returns the price of a model at a provider; `None` when nobody knows it.
    #[must_use]
    pub fn price(&self, provider: &ProviderHandle, model: &str) -> Option<Arc<Price>> {
        let found = KEY.with_borrow_mut(|key| {
            key.clear();
            // No place holds this character, so that no two pairs are one.
            for part in [provider.place(), "\0", model] {
                key.push_str(part);
            }
            self.cache.get(key).map_or_else(|| Err(key.clone()), |known| Ok(known.clone()))
        });
        let key = match found {
            Ok(known) => return known,
            Err(key) => key,
        };
        let record = provider.record();
        let custom = serde_json::from_value::<CustomPrices>(record.prices.clone()).unwrap_or_default();
        let book = self.book.load();
        let base = || record.by_model.get(model)?.base.as_deref();
        let listed = book
            .lookup_with(&custom, &record.vendor, model)
            .or_else(|| book.lookup_with(&custom, &record.vendor, base()?));
        let price = match record.price_per_mille {
            Some(per_mille) => listed.map(|price| Arc::new(price.scaled(per_mille))),
            None => listed,
        };
        if self.cache.len() >= CACHE_AT_MOST {
            self.cache.clear();
        }
        self.cache.insert(key, price.clone());
        price
    }
}

/// What a request used besides tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantities {
    /// Images made.
    pub images: u64,
    /// Quality asked for.
    pub image_quality: Option<String>,
    /// Size asked for.
    pub image_size: Option<String>,
    /// Characters to be spoken.
    pub characters: u64,
    /// Milliseconds of audio heard.
    pub audio_ms: u64,
}

/// Returns the cost of a request: by tokens where there are some, else by what it made.
#[must_use]
pub fn cost(price: &Price, usage: &Usage, quantities: &Quantities) -> NanoUsd {
    let by_tokens = price.cost(usage).total;
    if usage.total() > 0 && !by_tokens.is_zero() {
        return by_tokens;
    }
    let images = (quantities.images > 0)
        .then(|| {
            price.image_cost(
                quantities.image_quality.as_deref(),
                quantities.image_size.as_deref(),
                quantities.images,
            )
        })
        .flatten();
    let audio = (quantities.audio_ms > 0).then(|| price.audio_cost(quantities.audio_ms)).flatten();
    let speech = (quantities.characters > 0).then(|| price.speech_cost(quantities.characters)).flatten();
    [images, audio, speech].into_iter().flatten().fold(by_tokens, NanoUsd::saturating_add)
}
