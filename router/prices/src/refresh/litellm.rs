//! LiteLLM's `model_prices_and_context_window.json`: one object of all models, dollars per token.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

use super::{
    number::{count, picos},
    source::{Form, Refreshed, Skipped},
};
use crate::{
    fields::{self, DEFAULT},
    name,
    part::{Part, Stated},
    pico::PicoUsd,
    price::{Kind, Price},
    table::Table,
};

/// Dollars to pico-dollars.
const PLACES: u32 = 12;

const PARTS: [(&str, Part); 10] = [
    ("input_cost_per_token", Part::Input),
    ("cache_read_input_token_cost", Part::CachedInput),
    ("cache_creation_input_token_cost", Part::CacheWrite),
    ("cache_creation_input_token_cost_above_1hr", Part::CacheWrite1h),
    ("input_cost_per_audio_token", Part::AudioInput),
    ("input_cost_per_image_token", Part::ImageInput),
    ("output_cost_per_token", Part::Output),
    ("output_cost_per_reasoning_token", Part::Reasoning),
    ("output_cost_per_audio_token", Part::AudioOutput),
    ("output_cost_per_image_token", Part::ImageOutput),
];

type Entry<'a> = HashMap<&'a str, &'a RawValue>;

pub(super) fn read(entries: &BTreeMap<String, &RawValue>, wanted: Option<&str>) -> Refreshed {
    let mut table = Table::default();
    let mut skipped = Vec::new();
    for (model, raw) in entries {
        let Ok(entry) = serde_json::from_str::<Entry<'_>>(raw.get()) else { continue };
        let Some(provider) = text(&entry, "litellm_provider") else { continue };
        let vendor = vendor_of(provider);
        // The file explains itself in an entry whose provider is a sentence.
        if vendor.contains(' ') || wanted.is_some_and(|wanted| wanted != vendor) {
            continue;
        }
        match price(&entry) {
            Ok(price) => {
                let name = model.strip_prefix(&format!("{provider}/")).unwrap_or(model).to_owned();
                let models = &mut table.vendors.entry(vendor.to_owned()).or_default().models;
                models.insert(name, price.into());
            }
            Err(reason) => skipped.push(Skipped { model: model.clone(), reason }),
        }
    }
    Refreshed { form: Form::LiteLlm, table, skipped }
}

fn vendor_of(provider: &str) -> &str {
    match provider {
        "text-completion-openai" => "openai",
        "cohere_chat" => "cohere",
        "fireworks_ai-embedding-models" => "fireworks-ai",
        other => name::vendor(other),
    }
}

fn text<'a>(entry: &Entry<'a>, field: &str) -> Option<&'a str> {
    entry.get(field)?.get().strip_prefix('"')?.strip_suffix('"')
}

fn price(entry: &Entry<'_>) -> Result<Price, String> {
    let mode = text(entry, "mode").unwrap_or_default();
    let kind = kind_of(mode).ok_or_else(|| format!("models of mode {mode:?} are not priced"))?;
    let money = |field: &str| entry.get(field).and_then(|raw| picos(raw, PLACES));
    let tokens = |field: &str| entry.get(field).and_then(|raw| count(raw));
    let mut price = Price { kind, context: tokens("max_input_tokens"), ..Price::default() };
    if matches!(kind, Kind::Chat | Kind::Completion) {
        price.max_output = tokens("max_output_tokens");
    }
    price.may_reason = entry.get("supports_reasoning").is_some_and(|raw| raw.get() == "true");
    price.per_request = money("input_cost_per_request").or_else(|| money("input_cost_per_query"));
    price.per_character = money("input_cost_per_character");
    let per_second = match kind {
        Kind::Transcription => money("input_cost_per_second"),
        Kind::Speech => money("output_cost_per_second"),
        _ => None,
    };
    price.per_minute = per_second.map(|second| PicoUsd(second.0.saturating_mul(60)));
    if let (Kind::Image, Some(each)) = (kind, money("output_cost_per_image")) {
        price.image = BTreeMap::from([(DEFAULT.to_owned(), BTreeMap::from([(DEFAULT.to_owned(), each)]))]);
    }
    let mut stated = Stated::default();
    for (field, part) in PARTS {
        if let Some(each) = money(field) {
            stated.set(part, each);
        }
    }
    fields::assemble(price, &stated, &tiers(entry)).map_err(|error| error.to_string())
}

/// Tiers are fields such as `input_cost_per_token_above_200k_tokens`.
fn tiers(entry: &Entry<'_>) -> Vec<(u64, Stated)> {
    let mut tiers: BTreeMap<u64, Stated> = BTreeMap::new();
    for (field, raw) in entry {
        let Some((base, thousands)) =
            field.strip_suffix("k_tokens").and_then(|field| field.rsplit_once("_above_"))
        else {
            continue;
        };
        let part = PARTS.iter().find(|(name, _)| *name == base).map(|(_, part)| *part);
        if let (Some(part), Ok(thousands), Some(each)) = (part, thousands.parse::<u32>(), picos(raw, PLACES))
        {
            tiers.entry(u64::from(thousands) * 1_000).or_default().set(part, each);
        }
    }
    tiers.into_iter().collect()
}

fn kind_of(mode: &str) -> Option<Kind> {
    Some(match mode {
        "chat" | "responses" | "realtime" => Kind::Chat,
        "completion" => Kind::Completion,
        "embedding" => Kind::Embedding,
        "image_generation" | "image_edit" => Kind::Image,
        "audio_speech" => Kind::Speech,
        "audio_transcription" => Kind::Transcription,
        "moderation" => Kind::Moderation,
        "rerank" => Kind::Rerank,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    const FILE: &str = r#"{
        "sample_spec": {"litellm_provider": "one of the providers", "mode": "one of: chat"},
        "gemini/pro": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 1.25e-06,
            "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-07, "supports_reasoning": true,
            "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_200k_tokens": 1.5e-05,
            "input_cost_per_token_above_200k_tokens_batches": 9, "max_input_tokens": 1048576, "max_output_tokens": 65536},
        "whisper": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001},
        "film": {"litellm_provider": "openai", "mode": "video_generation"},
        "half": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6},
        "noise": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 3.0000000000000004e-07, "output_cost_per_token": 0}
    }"#;

    #[test]
    fn prices_tiers_and_limits_are_read() {
        let refreshed = parse(FILE.as_bytes(), None).unwrap();
        assert_eq!(refreshed.form, Form::LiteLlm);
        let pro = &refreshed.table.vendors["google"].models["pro"];
        let expected = r#"{"input":"1.25","cached_input":"0.125","output":"10","tiers":[{"above":200000,"input":"2.5","output":"15"}],"context":1048576,"max_output":65536,"may_reason":true}"#;
        assert_eq!(serde_json::to_string(pro).unwrap(), expected);
        let openai = &refreshed.table.vendors["openai"].models;
        assert_eq!(openai["whisper"].per_minute, PicoUsd::from_dollars("0.006").ok());
        assert_eq!(openai["noise"].rates.of(Part::Input), PicoUsd(300_000));
    }

    #[test]
    fn what_is_left_out_is_named_with_the_reason() {
        let refreshed = parse(FILE.as_bytes(), Some("openai")).unwrap();
        let names: Vec<_> = refreshed.skipped.iter().map(|skipped| skipped.model.as_str()).collect();
        assert_eq!(names, ["film", "half"]);
        assert!(refreshed.skipped[1].reason.contains("output"), "{:?}", refreshed.skipped);
        assert_eq!(refreshed.table.vendors.len(), 1);
    }
}
