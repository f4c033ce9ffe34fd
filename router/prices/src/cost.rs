//! What an answer cost, what a request may cost, and what an amount affords.

use tidegate_providers::Usage;

use crate::{
    money::NanoUsd,
    part::{Part, Rates},
    pico::PicoUsd,
    price::{Price, TEXT_INPUT, TEXT_OUTPUT},
};

/// The cost of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Everything; rounded up once, and the sum of the two below.
    pub total: NanoUsd,
    /// What was read, with the price per request.
    pub input: NanoUsd,
    /// What was written.
    pub output: NanoUsd,
}

impl Price {
    /// Returns the cost of an answer from the tokens it reports, plus the price per request.
    ///
    /// Minutes, characters and images that a vendor does not report as tokens are separate: see
    /// [`Price::audio_cost`], [`Price::speech_cost`] and [`Price::image_cost`].
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Cost {
        let rates = self.at(all_input(usage));
        let input = input_picos(&rates, usage).saturating_add(self.request_picos());
        let output = output_picos(&rates, usage);
        let total = NanoUsd::from_picos_up(input.saturating_add(output));
        let input = NanoUsd::from_picos_up(input);
        Cost { total, input, output: total.saturating_sub(input) }
    }

    /// Returns the most that a text request of at most this many input tokens can cost on its way in,
    /// whatever of it the vendor caches, and for however long.
    #[must_use]
    pub fn input_bound(&self, tokens: u64) -> NanoUsd {
        self.bound(tokens, self.dearest_up_to(tokens).dearest(&TEXT_INPUT))
    }

    /// Returns [`Price::input_bound`] for a request known not to ask for one-hour cache entries, which cost
    /// twice the plain price at Anthropic.
    #[must_use]
    pub fn input_bound_without_hour_cache(&self, tokens: u64) -> NanoUsd {
        self.bound(tokens, self.dearest_up_to(tokens).dearest(&TEXT_INPUT[..3]))
    }

    /// Returns [`Price::input_bound`] for a request that also carries audio or images.
    #[must_use]
    pub fn media_input_bound(&self, tokens: u64) -> NanoUsd {
        self.bound(tokens, self.dearest_up_to(tokens).dearest(&Part::ALL[..6]))
    }

    /// Returns the most this many output tokens of text or reasoning can cost, whatever the input.
    /// [`Rates::output_cost`] of [`Price::at`] is exact once the input is known.
    #[must_use]
    pub fn output_cost(&self, tokens: u64) -> NanoUsd {
        self.dearest().output_cost(tokens)
    }

    /// Returns how many output tokens of text or reasoning this amount affords, whatever the input.
    #[must_use]
    pub fn tokens_for(&self, amount: NanoUsd) -> u64 {
        self.dearest().tokens_for(amount)
    }

    fn bound(&self, tokens: u64, price: PicoUsd) -> NanoUsd {
        NanoUsd::from_picos_up(price.times(tokens).saturating_add(self.request_picos()))
    }

    fn request_picos(&self) -> u128 {
        self.per_request.map_or(0, |price| price.times(1))
    }
}

impl Rates {
    /// Returns the most this many output tokens of text or reasoning cost.
    #[must_use]
    pub fn output_cost(&self, tokens: u64) -> NanoUsd {
        NanoUsd::from_picos_up(self.dearest(&TEXT_OUTPUT).times(tokens))
    }

    /// Returns the most this many output tokens cost if some may be audio or images.
    #[must_use]
    pub fn media_output_cost(&self, tokens: u64) -> NanoUsd {
        NanoUsd::from_picos_up(self.dearest(&Part::ALL[6..]).times(tokens))
    }

    /// Returns how many output tokens of text or reasoning this amount affords, rounded down; without a price,
    /// as many as there are.
    #[must_use]
    pub fn tokens_for(&self, amount: NanoUsd) -> u64 {
        affordable(self.dearest(&TEXT_OUTPUT), amount)
    }

    /// Returns how many output tokens this amount affords if some may be audio or images.
    #[must_use]
    pub fn media_tokens_for(&self, amount: NanoUsd) -> u64 {
        affordable(self.dearest(&Part::ALL[6..]), amount)
    }
}

fn affordable(price: PicoUsd, amount: NanoUsd) -> u64 {
    let picos = u128::from(amount.0) * 1_000;
    picos
        .checked_div(u128::from(price.0))
        .map_or(u64::MAX, |tokens| u64::try_from(tokens).unwrap_or(u64::MAX))
}

/// Cached tokens are part of the input; a vendor that reports more of them than input left them out of it.
fn all_input(usage: &Usage) -> u64 {
    usage.input.max(usage.cached_input.saturating_add(cache_writes(usage)))
}

fn cache_writes(usage: &Usage) -> u64 {
    usage.cache_write.max(usage.cache_write_1h)
}

fn input_picos(rates: &Rates, usage: &Usage) -> u128 {
    let hour = usage.cache_write_1h;
    let parts = [
        (Part::CacheWrite1h, hour),
        (Part::CacheWrite, cache_writes(usage).saturating_sub(hour)),
        (Part::CachedInput, usage.cached_input),
        (Part::AudioInput, usage.audio_input),
        (Part::ImageInput, usage.image_input),
    ];
    // Cached tokens come first: what is cached may be reported as audio too, and must not be paid twice.
    shared_out(rates, all_input(usage), &parts, Part::Input)
}

fn output_picos(rates: &Rates, usage: &Usage) -> u128 {
    let parts = [
        (Part::ImageOutput, usage.image_output),
        (Part::AudioOutput, usage.audio_output),
        (Part::Reasoning, usage.reasoning),
    ];
    let reported = parts.iter().fold(0_u64, |sum, (_, tokens)| sum.saturating_add(*tokens));
    shared_out(rates, usage.output.max(reported), &parts, Part::Output)
}

/// Prices `total` tokens: each part takes its own from what is left, the rest is text.
fn shared_out(rates: &Rates, total: u64, parts: &[(Part, u64)], text: Part) -> u128 {
    let mut left = total;
    let mut picos = 0_u128;
    for (part, tokens) in parts {
        let taken = left.min(*tokens);
        left -= taken;
        picos = picos.saturating_add(rates.of(*part).times(taken));
    }
    picos.saturating_add(rates.of(text).times(left))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(json: &str) -> Price {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn cached_tokens_are_part_of_the_input() {
        let price =
            price(r#"{"input":3,"cached_input":0.3,"cache_write":3.75,"cache_write_1h":6,"output":15}"#);
        let usage = Usage {
            input: 1_000,
            cached_input: 400,
            cache_write: 300,
            cache_write_1h: 100,
            output: 10,
            ..Usage::default()
        };
        let expected = (300 * 3_000) + (400 * 300) + (200 * 3_750) + (100 * 6_000);
        let cost = price.cost(&usage);
        assert_eq!((cost.input, cost.output), (NanoUsd(expected), NanoUsd(150_000)));
        assert_eq!(cost.total, NanoUsd(expected + 150_000));
    }

    #[test]
    fn a_part_without_a_price_costs_what_text_costs() {
        let price = price(r#"{"input":3,"output":15}"#);
        let plain = Usage { input: 1_000, output: 100, ..Usage::default() };
        let mixed = Usage {
            cached_input: 400,
            cache_write: 100,
            audio_input: 200,
            reasoning: 50,
            audio_output: 9,
            ..plain
        };
        assert_eq!(price.cost(&mixed), price.cost(&plain));
    }

    #[test]
    fn reasoning_and_media_have_their_own_prices() {
        let price = price(
            r#"{"input":1,"audio_input":32,"image_input":5,"output":4,"reasoning":6,"audio_output":64,"image_output":30}"#,
        );
        let usage = Usage {
            input: 100,
            audio_input: 10,
            image_input: 20,
            output: 100,
            reasoning: 40,
            audio_output: 10,
            image_output: 5,
            ..Usage::default()
        };
        let cost = price.cost(&usage);
        assert_eq!(cost.input, NanoUsd((70 + 10 * 32 + 20 * 5) * 1_000));
        assert_eq!(cost.output, NanoUsd((45 * 4 + 40 * 6 + 10 * 64 + 5 * 30) * 1_000));
    }

    #[test]
    fn a_long_request_pays_its_tier_for_every_token() {
        let price = price(r#"{"input":1.25,"output":10,"tiers":[{"above":200000,"input":2.5,"output":15}]}"#);
        let usage = Usage { input: 200_001, output: 1, ..Usage::default() };
        assert_eq!(price.cost(&usage).total, NanoUsd(200_001 * 2_500 + 15_000));
    }

    #[test]
    fn parts_that_exceed_the_total_are_still_paid() {
        let price = price(r#"{"input":1,"cached_input":0.1,"output":2}"#);
        let usage = Usage { input: 10, cached_input: 100, output: 1, reasoning: 50, ..Usage::default() };
        let cost = price.cost(&usage);
        assert_eq!((cost.input, cost.output), (NanoUsd(100 * 100), NanoUsd(50 * 2_000)));
    }

    #[test]
    fn a_fraction_of_a_nano_dollar_rounds_up_once() {
        let price = price(r#"{"input":0.0001,"output":0.0001}"#);
        let cost = price.cost(&Usage { input: 1, output: 1, ..Usage::default() });
        assert_eq!((cost.total, cost.input, cost.output), (NanoUsd(1), NanoUsd(1), NanoUsd(0)));
    }

    #[test]
    fn a_request_has_its_price_even_when_empty() {
        let price = price(r#"{"input":1,"output":1,"per_request":0.005}"#);
        assert_eq!(price.cost(&Usage::default()).total, NanoUsd(5_000_000));
        assert_eq!(price.input_bound(0), NanoUsd(5_000_000));
    }

    #[test]
    fn a_free_model_affords_everything() {
        assert_eq!(Price::free().tokens_for(NanoUsd::ZERO), u64::MAX);
        assert_eq!(Price::free().cost(&Usage { input: u64::MAX, ..Usage::default() }), Cost::default());
    }

    prop_compose! {
        /// A price as vendors make them: longer requests and special parts are not cheaper, caches are.
        fn any_price()(
            input in 0_u64..100_000_000,
            output in 0_u64..600_000_000,
            extra in prop::array::uniform4(0_u64..50_000_000),
            discount in 1_u64..20,
            above in 1_u64..1_000,
        ) -> Price {
            let text = |picos: u64| PicoUsd(picos).dollars_per_million();
            price(&format!(
                r#"{{"input":"{}","output":"{}","cached_input":"{}","cache_write":"{}","cache_write_1h":"{}","reasoning":"{}","audio_input":"{}",
                "tiers":[{{"above":{above},"input":"{}","output":"{}","cached_input":"{}","cache_write":"{}","cache_write_1h":"{}","reasoning":"{}","audio_input":"{}"}}]}}"#,
                text(input), text(output), text(input / discount), text(input + extra[0]), text(input + extra[0] + extra[1]),
                text(output + extra[2]), text(input + extra[3]),
                text(input * 2), text(output * 2), text(input), text((input + extra[0]) * 2), text((input + extra[0] + extra[1]) * 2),
                text((output + extra[2]) * 2), text((input + extra[3]) * 2),
            ))
        }
    }

    prop_compose! {
        fn any_usage()(input in 0_u64..3_000, shares in prop::array::uniform5(0_u64..1_000), output in 0_u64..3_000) -> Usage {
            let [cached_input, cache_write, hour, reasoning, audio_input] = shares;
            let (cached_input, cache_write) = (cached_input.min(input / 2), cache_write.min(input / 2));
            Usage {
                input, cached_input, cache_write, cache_write_1h: hour.min(cache_write), audio_input: audio_input.min(input),
                output, reasoning: reasoning.min(output), ..Usage::default()
            }
        }
    }

    proptest! {
        #[test]
        fn more_tokens_never_cost_less(price in any_price(), usage in any_usage(), more in 0_u64..2_000) {
            let cost = price.cost(&usage).total;
            let read = Usage { input: usage.input + more, ..usage };
            let written = Usage { output: usage.output + more, ..usage };
            let thought = Usage { reasoning: (usage.reasoning + more).min(usage.output), ..usage };
            for dearer in [read, written, thought] {
                prop_assert!(price.cost(&dearer).total >= cost, "{:?}", dearer);
            }
        }

        #[test]
        fn rounding_never_under_charges_and_parts_add_up(price in any_price(), usage in any_usage()) {
            let cost = price.cost(&usage);
            let rates = price.at(usage.input);
            let exact = input_picos(&rates, &usage) + output_picos(&rates, &usage);
            prop_assert!(u128::from(cost.total.0) * 1_000 >= exact);
            prop_assert!(u128::from(cost.total.0) * 1_000 < exact + 1_000);
            prop_assert_eq!(cost.input.saturating_add(cost.output), cost.total);
        }

        #[test]
        fn a_hold_covers_the_cost(price in any_price(), usage in any_usage(), slack in 0_u64..2_000) {
            let hold = price.media_input_bound(usage.input + slack).saturating_add(price.output_cost(usage.output));
            prop_assert!(hold >= price.cost(&usage).total);
            let text = Usage { audio_input: 0, ..usage };
            let hold = price.input_bound(usage.input + slack).saturating_add(price.output_cost(usage.output));
            prop_assert!(hold >= price.cost(&text).total);
        }

        #[test]
        fn what_an_amount_affords_costs_no_more(price in any_price(), nanos in 0_u64..1_000_000_000_000) {
            let rates = price.dearest();
            if rates.output_cost(1) > NanoUsd::ZERO {
                let tokens = price.tokens_for(NanoUsd(nanos));
                prop_assert!(price.output_cost(tokens) <= NanoUsd(nanos));
                prop_assert!(price.output_cost(tokens + 1) > NanoUsd(nanos));
            }
        }

        #[test]
        fn nothing_overflows(price in any_price(), tokens in prop::array::uniform10(any::<u64>()), nanos: u64) {
            let [input, cached_input, cache_write, cache_write_1h, audio_input, image_input, output, reasoning, audio_output, image_output] = tokens;
            let usage = Usage { input, cached_input, cache_write, cache_write_1h, audio_input, image_input, output, reasoning, audio_output, image_output };
            let _ = (price.cost(&usage), price.input_bound(input), price.output_cost(output), price.tokens_for(NanoUsd(nanos)));
        }
    }
}
