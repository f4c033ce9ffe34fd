//! `generationConfig`: sampling, length, output format, thinking.

use serde_json::{Map, Value, json};

use super::model::{Generation, is_pro};
use crate::call::{ChatCall, ReasoningRequest, ResponseFormat};

/// Budgets that Gemini 2.5 Pro accepts; it can't stop thinking (Google's page on thinking).
const PRO_BUDGETS: (u64, u64) = (128, 32_768);
/// Budgets of the other 2.5 models; zero is no thinking.
const FLASH_BUDGETS: (u64, u64) = (0, 24_576);

/// Returns a member that has no place in the canonical call, under any of its spellings.
pub(super) fn extra<'a>(call: &'a ChatCall, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| call.extra.get(*name)).filter(|value| !value.is_null())
}

/// Writes `generationConfig`; empty when nothing is asked for.
pub(super) fn generation_config(call: &ChatCall) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    set("temperature", call.temperature.map(Value::from));
    set("topP", call.top_p.map(Value::from));
    set("topK", call.top_k.map(Value::from));
    set("maxOutputTokens", call.max_tokens.map(Value::from));
    set("stopSequences", (!call.stop.is_empty()).then(|| json!(call.stop)));
    set("candidateCount", call.n.filter(|n| *n > 1).map(Value::from));
    set("seed", call.seed.map(Value::from));
    // Some models refuse any penalty, and zero is the default: clients that always send it shall not fail.
    set("frequencyPenalty", call.frequency_penalty.filter(|penalty| *penalty != 0.0).map(Value::from));
    set("presencePenalty", call.presence_penalty.filter(|penalty| *penalty != 0.0).map(Value::from));
    if call.logprobs == Some(true) {
        set("responseLogprobs", Some(true.into()));
        set("logprobs", call.top_logprobs.map(Value::from));
    }
    match &call.response_format {
        Some(ResponseFormat::JsonObject) => set("responseMimeType", Some("application/json".into())),
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            set("responseMimeType", Some("application/json".into()));
            // Unlike `responseSchema` this member takes JSON Schema with `$ref` and `additionalProperties`.
            set("responseJsonSchema", Some(schema.clone()));
        }
        Some(ResponseFormat::Text) | None => {}
    }
    set("thinkingConfig", call.reasoning.as_ref().and_then(|asked| thinking(&call.model, asked)));
    set("responseModalities", extra(call, &["modalities", "responseModalities"]).and_then(modalities));
    set("imageConfig", extra(call, &["image_config", "imageConfig"]).cloned());
    set("mediaResolution", extra(call, &["media_resolution", "mediaResolution"]).cloned());
    config
}

fn thinking(model: &str, asked: &ReasoningRequest) -> Option<Value> {
    let generation = Generation::of(model);
    if generation == Generation::Plain {
        return None;
    }
    let raw_type = asked.raw.as_ref().and_then(|raw| raw.get("type")).and_then(Value::as_str);
    let disabled = (raw_type == Some("disabled")).then_some("none");
    let effort = asked.effort.as_deref().or(disabled);
    let (least, most) = if is_pro(model) { PRO_BUDGETS } else { FLASH_BUDGETS };
    let mut config = Map::new();
    let mut include = asked.include_thoughts;
    match (asked.budget_tokens, effort, generation) {
        (Some(budget), _, Generation::Budget) => {
            // Clients written for Claude ask for more than Google allows; how much is a preference.
            include = include.or((budget > 0).then_some(true));
            config.insert("thinkingBudget".into(), budget.clamp(least, most).into());
        }
        (Some(budget), _, _) => {
            include = include.or((budget > 0).then_some(true));
            config.insert("thinkingBudget".into(), budget.into());
        }
        (None, Some("none"), Generation::Budget) => {
            include = None;
            config.insert("thinkingBudget".into(), least.into());
        }
        (None, Some(effort), Generation::Budget) => {
            include = include.or(Some(true));
            config.insert("thinkingBudget".into(), budget_of(effort).into());
        }
        (None, Some(effort), _) => {
            config.insert("thinkingLevel".into(), level_of(effort, is_pro(model)).into());
        }
        (None, None, _) => {}
    }
    if let Some(include) = include {
        config.insert("includeThoughts".into(), include.into());
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

/// Token budgets of Google's own OpenAI-compatible endpoint.
fn budget_of(effort: &str) -> u64 {
    match effort {
        "minimal" | "low" => 1024,
        "high" | "xhigh" | "max" => 24_576,
        _ => 8192,
    }
}

/// Gemini 3 can't stop thinking, and its Pro line knows no `minimal`.
fn level_of(effort: &str, pro: bool) -> &'static str {
    match effort {
        "none" | "minimal" if pro => "low",
        "none" | "minimal" => "minimal",
        "low" => "low",
        "high" | "xhigh" | "max" => "high",
        _ => "medium",
    }
}

/// Translates OpenAI's `modalities`. Text alone is the default and left out.
fn modalities(value: &Value) -> Option<Value> {
    let words = value.as_array()?.iter().filter_map(Value::as_str);
    let words: Vec<_> = words.map(str::to_ascii_uppercase).collect();
    words.iter().any(|word| word != "TEXT").then(|| json!(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(effort: &str) -> ReasoningRequest {
        ReasoningRequest { effort: Some(effort.into()), ..ReasoningRequest::default() }
    }

    #[test]
    fn gemini_2_5_thinks_by_budget() {
        let config = |effort| thinking("gemini-2.5-flash", &asked(effort)).unwrap();
        assert_eq!(config("minimal"), json!({"thinkingBudget": 1024, "includeThoughts": true}));
        assert_eq!(config("low"), json!({"thinkingBudget": 1024, "includeThoughts": true}));
        assert_eq!(config("medium"), json!({"thinkingBudget": 8192, "includeThoughts": true}));
        assert_eq!(config("high"), json!({"thinkingBudget": 24576, "includeThoughts": true}));
        assert_eq!(config("none"), json!({"thinkingBudget": 0}));
        assert_eq!(thinking("gemini-2.5-pro", &asked("none")), Some(json!({"thinkingBudget": 128})));
    }

    #[test]
    fn gemini_3_thinks_by_level() {
        let config = |model, effort| thinking(model, &asked(effort)).unwrap();
        assert_eq!(config("gemini-3-flash-preview", "minimal"), json!({"thinkingLevel": "minimal"}));
        assert_eq!(config("gemini-3-flash-preview", "medium"), json!({"thinkingLevel": "medium"}));
        assert_eq!(config("gemini-3.1-pro-preview", "none"), json!({"thinkingLevel": "low"}));
        assert_eq!(config("gemini-3-pro-preview", "xhigh"), json!({"thinkingLevel": "high"}));
    }

    #[test]
    fn a_budget_wins_over_an_effort_and_old_models_get_neither() {
        let both = ReasoningRequest { budget_tokens: Some(2048), ..asked("low") };
        let config = thinking("gemini-2.5-pro", &both);
        assert_eq!(config, Some(json!({"thinkingBudget": 2048, "includeThoughts": true})));
        assert_eq!(thinking("gemini-2.0-flash", &both), None);
        let much = ReasoningRequest { budget_tokens: Some(40_000), ..ReasoningRequest::default() };
        assert_eq!(thinking("gemini-2.5-flash", &much).unwrap()["thinkingBudget"], 24_576);
        assert_eq!(thinking("gemini-2.5-pro", &much).unwrap()["thinkingBudget"], 32_768);
        let off = ReasoningRequest { raw: Some(json!({"type": "disabled"})), ..ReasoningRequest::default() };
        assert_eq!(thinking("gemini-2.5-flash", &off), Some(json!({"thinkingBudget": 0})));
    }

    #[test]
    fn penalties_of_zero_are_left_out() {
        let mut call =
            ChatCall { frequency_penalty: Some(0.0), presence_penalty: Some(0.5), ..ChatCall::default() };
        assert_eq!(Value::Object(generation_config(&call)), json!({"presencePenalty": 0.5}));
        call.extra.insert("modalities".into(), json!(["text", "image"]));
        call.presence_penalty = None;
        assert_eq!(Value::Object(generation_config(&call)), json!({"responseModalities": ["TEXT", "IMAGE"]}));
    }
}
