//! What a request must and should hold of budgets, in each unit that budgets count.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use tidegate_prices::{NanoUsd, Price};
use tidegate_providers::Endpoint;
use tidegate_store::Unit;

use super::demand::Demand;
use crate::actors::permit::Hold;

/// Output tokens that a stream's first hold affords; more is asked for on the way. Small, so that many parallel
/// streams fit a small budget.
const FIRST_SLICE: u64 = 64;
/// No call is admitted that could not write even this much.
const LEAST_OUTPUT: u64 = 16;
/// Longest answer of a model whose table entry says none; sent upstream as the limit when it is held for.
const DEFAULT_MAX_OUTPUT: u64 = 16_384;
/// An image without a listed price is billed by tokens; this is the dearest single image vendors document.
const IMAGE_TOKENS: u64 = 6_500;

/// How a request asks for a cache that is kept for an hour.
static HOUR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"1h\""));

/// What the input comes to, and what output adds to it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owed {
    /// Cost of the input in nano-dollars.
    pub input_cost: i64,
    /// Tokens of the input.
    pub input_tokens: i64,
}

impl Owed {
    /// Returns what `tokens` of output come to, the input included, in a budget's unit.
    #[must_use]
    pub(super) fn of(&self, unit: Unit, price: Option<&Price>, tokens: u64) -> i64 {
        match (unit, price) {
            (Unit::Cost, Some(price)) => self.input_cost.saturating_add(price.output_cost(tokens).as_i64()),
            (Unit::Cost, None) => 0,
            (Unit::Tokens, _) => self.input_tokens.saturating_add(i64::try_from(tokens).unwrap_or(i64::MAX)),
            (Unit::Requests, _) => 1,
        }
    }

    /// Returns how many output tokens a hold affords.
    #[must_use]
    pub(super) fn affords(&self, hold: &Hold, price: Option<&Price>) -> u64 {
        match (hold.unit(), price.filter(|price| !price.is_free())) {
            (Unit::Cost, Some(price)) => {
                price.tokens_for(NanoUsd(u64::try_from(hold.amount() - self.input_cost).unwrap_or(0)))
            }
            (Unit::Tokens, _) => u64::try_from(hold.amount() - self.input_tokens).unwrap_or(0),
            (Unit::Cost, None) | (Unit::Requests, _) => u64::MAX,
        }
    }
}

/// What an attempt asks of every budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bill {
    /// What the input comes to.
    pub owed: Owed,
    /// Least and best in nano-dollars.
    cost: (i64, i64),
    /// Least and best in tokens.
    tokens: (i64, i64),
}

impl Bill {
    /// Returns the least and the best that a budget of this unit should hold.
    #[must_use]
    pub(super) fn of(&self, unit: Unit) -> (i64, i64) {
        match unit {
            Unit::Cost => self.cost,
            Unit::Tokens => self.tokens,
            Unit::Requests => (1, 1),
        }
    }

    fn whole(cost: NanoUsd, tokens: u64) -> Self {
        let (cost, tokens) = (cost.as_i64(), i64::try_from(tokens).unwrap_or(i64::MAX));
        Self {
            owed: Owed { input_cost: cost, input_tokens: tokens },
            cost: (cost, cost),
            tokens: (tokens, tokens),
        }
    }
}

/// Returns what must and what should be held for an attempt with so many input tokens. `price` is `None` where the
/// model costs nothing.
pub(super) fn bill(price: Option<&Price>, demand: &Demand<'_>, input_tokens: u64, metered: bool) -> Bill {
    let quantities = demand.quantities;
    let priced = |cost: &dyn Fn(&Price) -> NanoUsd| price.map_or(NanoUsd(0), cost);
    match demand.endpoint {
        Endpoint::ImageGenerations | Endpoint::ImageEdits => {
            let count = quantities.images.max(1);
            let (quality, size) = (quantities.image_quality.as_deref(), quantities.image_size.as_deref());
            let cost = priced(&|price| {
                price.image_cost(quality, size, count).unwrap_or_else(|| {
                    let output = price.rates.media_output_cost(IMAGE_TOKENS * count);
                    output.saturating_add(price.media_input_bound(input_tokens))
                })
            });
            Bill::whole(cost, input_tokens)
        }
        Endpoint::Speech => {
            let cost = priced(&|price| {
                // Speech billed by tokens: a character is spoken in well under two audio tokens.
                price.speech_cost(quantities.characters).unwrap_or_else(|| {
                    let output = price.rates.media_output_cost(quantities.characters * 2);
                    output.saturating_add(price.input_bound(quantities.characters))
                })
            });
            Bill::whole(cost, input_tokens)
        }
        Endpoint::Transcriptions | Endpoint::Translations => {
            let cost = priced(&|price| {
                // About ten audio tokens a second and as many words.
                price.audio_cost(quantities.audio_ms).unwrap_or_else(|| {
                    let heard = price.media_input_bound(quantities.audio_ms / 100);
                    heard.saturating_add(price.output_cost(quantities.audio_ms / 100))
                })
            });
            Bill::whole(cost, quantities.audio_ms / 50)
        }
        Endpoint::Embeddings => {
            Bill::whole(priced(&|price| price.input_bound_without_hour_cache(input_tokens)), input_tokens)
        }
        // Vendors count for nothing.
        Endpoint::CountTokens => Bill::whole(NanoUsd(0), 0),
        // Nobody knows; a budget with nothing left at all still refuses.
        Endpoint::Other => Bill::whole(NanoUsd(1), 1),
        Endpoint::Chat | Endpoint::Completions | Endpoint::Responses | Endpoint::Messages => {
            talk(price, demand, input_tokens, metered)
        }
    }
}

fn talk(price: Option<&Price>, demand: &Demand<'_>, input_tokens: u64, metered: bool) -> Bill {
    let hour_cache = demand.fields.is_some_and(|fields| {
        (!fields.is_plain_talk()
            && fields.raw("messages").is_some_and(|raw| HOUR.find(raw.as_bytes()).is_some()))
            || fields.raw("system").is_some_and(|raw| HOUR.find(raw.as_bytes()).is_some())
    });
    let input_cost = price.map_or(0, |price| {
        let bound = if hour_cache {
            price.input_bound(input_tokens)
        } else {
            price.input_bound_without_hour_cache(input_tokens)
        };
        bound.as_i64()
    });
    let longest = demand
        .max_tokens
        .unwrap_or_else(|| price.and_then(|price| price.max_output).unwrap_or(DEFAULT_MAX_OUTPUT));
    let longest = longest.saturating_mul(demand.n.max(1));
    let wanted = if metered { longest.min(FIRST_SLICE) } else { longest };
    // A limit that the client named is held whole; without one, what the budget affords becomes the limit.
    let least = if metered || demand.max_tokens.is_none() { longest.min(LEAST_OUTPUT) } else { longest };
    let owed = Owed { input_cost, input_tokens: i64::try_from(input_tokens).unwrap_or(i64::MAX) };
    let of = |unit| (owed.of(unit, price, least), owed.of(unit, price, wanted));
    Bill { owed, cost: of(Unit::Cost), tokens: of(Unit::Tokens) }
}
