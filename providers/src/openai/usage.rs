//! Token usage on OpenAI's wire, with the spellings of vendors that speak it.

use serde::Serialize;
use serde_json::Value;

use super::json::count;
use crate::usage::Usage;

/// Reads a usage object; `None` when it holds no figure (`null`, `{}`).
pub(crate) fn usage_from(value: &Value) -> Option<Usage> {
    let figure = |names: &[&str]| names.iter().find_map(|name| value.get(*name).and_then(count));
    let detail = |holders: &[&str], names: &[&str]| {
        let found = holders.iter().filter_map(|holder| value.get(*holder));
        found.flat_map(|details| names.iter().filter_map(|name| details.get(*name))).find_map(count)
    };
    const INPUT: &[&str] = &["prompt_tokens_details", "input_tokens_details"];
    const OUTPUT: &[&str] = &["completion_tokens_details", "output_tokens_details"];

    let input = figure(&["prompt_tokens", "input_tokens"]);
    let output = figure(&["completion_tokens", "output_tokens"]);
    let total = figure(&["total_tokens"]);
    if input.is_none() && output.is_none() && total.is_none() {
        return None;
    }
    let (input, mut output) = match (input, output, total) {
        (Some(input), None, Some(total)) => (input, total.saturating_sub(input)),
        (None, Some(output), Some(total)) => (total.saturating_sub(output), output),
        (None, None, total) => (total.unwrap_or_default(), 0),
        (input, output, _) => (input.unwrap_or_default(), output.unwrap_or_default()),
    };
    let reasoning =
        detail(OUTPUT, &["reasoning_tokens"]).or_else(|| figure(&["reasoning_tokens"])).unwrap_or(0);
    // xAI counts reasoning beside completion_tokens; only the total tells.
    if reasoning > 0 && total == input.checked_add(output).and_then(|sum| sum.checked_add(reasoning)) {
        output += reasoning;
    }
    let cached = detail(INPUT, &["cached_tokens"])
        // DeepSeek, Moonshot, and gateways that translate Anthropic.
        .or_else(|| figure(&["prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"]));
    let cache_write = detail(INPUT, &["cache_write_tokens", "cache_creation_tokens"])
        .or_else(|| figure(&["cache_creation_input_tokens"]));
    Some(Usage {
        input,
        cached_input: cached.unwrap_or_default(),
        cache_write: cache_write.unwrap_or_default(),
        cache_write_1h: 0,
        audio_input: detail(INPUT, &["audio_tokens"]).unwrap_or_default(),
        image_input: detail(INPUT, &["image_tokens"]).unwrap_or_default(),
        output,
        reasoning,
        audio_output: detail(OUTPUT, &["audio_tokens"]).unwrap_or_default(),
        image_output: detail(OUTPUT, &["image_tokens"]).unwrap_or_default(),
    })
}

/// A usage object for clients.
#[derive(Serialize)]
pub(super) struct UsageOut {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: InputDetails,
    completion_tokens_details: OutputDetails,
    /// Anthropic's names, as Portkey shows them beside OpenAI's.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    audio_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    audio_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(figure: &u64) -> bool {
    *figure == 0
}

impl From<&Usage> for UsageOut {
    fn from(usage: &Usage) -> Self {
        let cache_used = usage.cached_input > 0 || usage.cache_write > 0;
        UsageOut {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: InputDetails {
                cached_tokens: usage.cached_input,
                audio_tokens: usage.audio_input,
                image_tokens: usage.image_input,
            },
            completion_tokens_details: OutputDetails {
                reasoning_tokens: usage.reasoning,
                audio_tokens: usage.audio_output,
                image_tokens: usage.image_output,
            },
            cache_read_input_tokens: cache_used.then_some(usage.cached_input),
            cache_creation_input_tokens: cache_used.then_some(usage.cache_write),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn openai_details_are_read() {
        let usage = usage_from(&json!({
            "prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 1}
        }));
        let wanted = Usage {
            input: 10,
            cached_input: 4,
            audio_input: 2,
            output: 7,
            reasoning: 5,
            audio_output: 1,
            ..Usage::default()
        };
        assert_eq!(usage, Some(wanted));
    }

    #[test]
    fn deepseek_cache_hits_are_read() {
        let usage = usage_from(&json!({
            "prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 1
        }));
        assert_eq!(usage.unwrap().cached_input, 8);
    }

    #[test]
    fn reasoning_outside_completion_tokens_is_added() {
        let usage = usage_from(&json!({
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,
            "completion_tokens_details": {"reasoning_tokens": 100}
        }));
        assert_eq!(usage.unwrap().output, 105);
    }

    #[test]
    fn no_figures_mean_no_usage() {
        assert_eq!(usage_from(&json!({})), None);
        assert_eq!(usage_from(&Value::Null), None);
        assert_eq!(usage_from(&json!({"prompt_tokens": "many"})), None);
    }

    #[test]
    fn embeddings_have_a_total_only() {
        assert_eq!(usage_from(&json!({"total_tokens": 6})).unwrap().input, 6);
    }
}
