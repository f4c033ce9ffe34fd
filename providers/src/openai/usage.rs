//! Token usage on OpenAI's wire, with the spellings of vendors that speak it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lenient::{Figure, Lenient};
use crate::scan::Scan;
use crate::usage::Usage;

/// Figures of one side of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Figure,
    cache_write_tokens: Figure,
    cache_creation_tokens: Figure,
    audio_tokens: Figure,
    image_tokens: Figure,
    reasoning_tokens: Figure,
}

/// A usage object, in all spellings that vendors use.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Figures {
    prompt_tokens: Figure,
    input_tokens: Figure,
    completion_tokens: Figure,
    output_tokens: Figure,
    total_tokens: Figure,
    reasoning_tokens: Figure,
    prompt_cache_hit_tokens: Figure,
    cached_tokens: Figure,
    cache_read_input_tokens: Figure,
    cache_creation_input_tokens: Figure,
    prompt_tokens_details: Lenient<Details>,
    input_tokens_details: Lenient<Details>,
    completion_tokens_details: Lenient<Details>,
    output_tokens_details: Lenient<Details>,
}

/// Reads a usage object; `None` when it holds no figure (`null`, `{}`).
pub(crate) fn usage_from(value: &Value) -> Option<Usage> {
    Lenient::<Figures>::deserialize(value).ok()?.0.usage()
}

/// Reads the JSON text of a usage object; `None` when it holds no figure.
pub(crate) fn usage_from_text(json: &str) -> Option<Usage> {
    if let Some(figures) = Figures::plain(json) {
        return figures.usage();
    }
    any_usage_from(json)
}

/// Reads a usage object in the midst of a walk, if it is plain; the usage is `None` when it holds no figure. Of one in
/// Anthropic's words nothing is said: its `input_tokens` exclude the cache, and only Anthropic names its own members.
pub(crate) fn scan_usage(scan: &mut Scan<'_>) -> Option<Option<Usage>> {
    let mut figures = Figures::default();
    let seen = figures.scan(scan)?;
    let is_anthropics = seen & CACHE_READ != 0 && seen & PROMPT == 0;
    (!is_anthropics).then(|| figures.usage())
}

fn any_usage_from(json: &str) -> Option<Usage> {
    match serde_json::from_str::<Lenient<Figures>>(json) {
        Ok(Lenient(figures)) => figures.usage(),
        // A repeated member, of which the last counts.
        Err(_) => usage_from(&serde_json::from_str(json).ok()?),
    }
}

fn first(figures: &[Figure]) -> Option<u64> {
    figures.iter().find_map(|figure| figure.0)
}

/// Takes a figure that is plain: digits, or null.
fn figure(scan: &mut Scan<'_>, place: &mut Figure, seen: &mut u32, bit: u32) -> Option<()> {
    // A member that is repeated is serde's business, and so is what is no plain count.
    if *seen & bit != 0 {
        return None;
    }
    *seen |= bit;
    if scan.peek()? == b'n' {
        return (scan.value()? == "null").then_some(());
    }
    *place = Figure(Some(scan.count()?));
    Some(())
}

impl Details {
    fn scan(scan: &mut Scan<'_>, place: &mut Self, seen: &mut u32, bit: u32) -> Option<()> {
        if *seen & bit != 0 {
            return None;
        }
        *seen |= bit;
        if scan.peek()? == b'n' {
            return scan.value().map(drop);
        }
        let mut seen = 0;
        scan.object(|name, scan| {
            let (bit, place) = match name {
                "cached_tokens" => (1, &mut place.cached_tokens),
                "cache_write_tokens" => (2, &mut place.cache_write_tokens),
                "cache_creation_tokens" => (4, &mut place.cache_creation_tokens),
                "audio_tokens" => (8, &mut place.audio_tokens),
                "image_tokens" => (16, &mut place.image_tokens),
                "reasoning_tokens" => (32, &mut place.reasoning_tokens),
                _ => return scan.value().map(drop),
            };
            figure(scan, place, &mut seen, bit)
        })
    }
}

/// Bits of members that say whose words they are.
const PROMPT: u32 = 1;
const CACHE_READ: u32 = 1 << 8;

impl Figures {
    /// Reads a usage object that is plain; of any other nothing is said.
    fn plain(json: &str) -> Option<Self> {
        let (mut scan, mut figures) = (Scan::new(json), Self::default());
        figures.scan(&mut scan)?;
        scan.end()?;
        Some(figures)
    }

    /// Reads into itself, which is too large to be handed about. Returns which members there are.
    fn scan(&mut self, scan: &mut Scan<'_>) -> Option<u32> {
        let (it, mut seen) = (self, 0);
        scan.object(|name, scan| {
            let (bit, place) = match name {
                "prompt_tokens" => (PROMPT, &mut it.prompt_tokens),
                "input_tokens" => (1 << 1, &mut it.input_tokens),
                "completion_tokens" => (1 << 2, &mut it.completion_tokens),
                "output_tokens" => (1 << 3, &mut it.output_tokens),
                "total_tokens" => (1 << 4, &mut it.total_tokens),
                "reasoning_tokens" => (1 << 5, &mut it.reasoning_tokens),
                "prompt_cache_hit_tokens" => (1 << 6, &mut it.prompt_cache_hit_tokens),
                "cached_tokens" => (1 << 7, &mut it.cached_tokens),
                "cache_read_input_tokens" => (CACHE_READ, &mut it.cache_read_input_tokens),
                "cache_creation_input_tokens" => (1 << 9, &mut it.cache_creation_input_tokens),
                "prompt_tokens_details" => {
                    return Details::scan(scan, &mut it.prompt_tokens_details.0, &mut seen, 1 << 10);
                }
                "input_tokens_details" => {
                    return Details::scan(scan, &mut it.input_tokens_details.0, &mut seen, 1 << 11);
                }
                "completion_tokens_details" => {
                    return Details::scan(scan, &mut it.completion_tokens_details.0, &mut seen, 1 << 12);
                }
                "output_tokens_details" => {
                    return Details::scan(scan, &mut it.output_tokens_details.0, &mut seen, 1 << 13);
                }
                _ => return scan.value().map(drop),
            };
            figure(scan, place, &mut seen, bit)
        })?;
        Some(seen)
    }

    fn usage(&self) -> Option<Usage> {
        let input_details = [&self.prompt_tokens_details.0, &self.input_tokens_details.0];
        let output_details = [&self.completion_tokens_details.0, &self.output_tokens_details.0];
        let of_input = |pick: fn(&Details) -> Figure| first(&input_details.map(pick));
        let of_output = |pick: fn(&Details) -> Figure| first(&output_details.map(pick));

        let input = first(&[self.prompt_tokens, self.input_tokens]);
        let output = first(&[self.completion_tokens, self.output_tokens]);
        let total = self.total_tokens.0;
        if input.is_none() && output.is_none() && total.is_none() {
            return None;
        }
        let (input, mut output) = match (input, output, total) {
            (Some(input), None, Some(total)) => (input, total.saturating_sub(input)),
            (None, Some(output), Some(total)) => (total.saturating_sub(output), output),
            (None, None, total) => (total.unwrap_or_default(), 0),
            (input, output, _) => (input.unwrap_or_default(), output.unwrap_or_default()),
        };
        let reasoning = of_output(|it| it.reasoning_tokens).or(self.reasoning_tokens.0).unwrap_or(0);
        // xAI counts reasoning beside completion_tokens; only the total tells.
        if reasoning > 0 && total == input.checked_add(output).and_then(|sum| sum.checked_add(reasoning)) {
            output += reasoning;
        }
        // DeepSeek, Moonshot, and gateways that translate Anthropic.
        let elsewhere = [self.prompt_cache_hit_tokens, self.cached_tokens, self.cache_read_input_tokens];
        let cached = of_input(|it| it.cached_tokens).or_else(|| first(&elsewhere));
        let written = |it: &Details| first(&[it.cache_write_tokens, it.cache_creation_tokens]);
        let written = input_details.into_iter().find_map(written).or(self.cache_creation_input_tokens.0);
        Some(Usage {
            input,
            cached_input: cached.unwrap_or_default(),
            cache_write: written.unwrap_or_default(),
            cache_write_1h: 0,
            audio_input: of_input(|it| it.audio_tokens).unwrap_or_default(),
            image_input: of_input(|it| it.image_tokens).unwrap_or_default(),
            output,
            reasoning,
            audio_output: of_output(|it| it.audio_tokens).unwrap_or_default(),
            image_output: of_output(|it| it.image_tokens).unwrap_or_default(),
        })
    }
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
    fn odd_members_are_none_and_text_reads_like_values() {
        for text in [
            r#"{"prompt_tokens": 3.0, "completion_tokens": -1, "total_tokens": 5}"#,
            r#"{"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens": 3, "x": [{}]}"#,
            r#"{"input_tokens": "many", "prompt_tokens": 3, "output_tokens": 2, "prompt_tokens_details": null}"#,
            r#"{"input_tokens": 3, "output_tokens": 2.5, "total_tokens": 5, "output_tokens_details": [1]}"#,
            r#"{"input_tokens": 3, "output_tokens": 2, "input_tokens_details": "none", "total_tokens": {"a": 1}}"#,
            r#"{"input_tokens": 3, "output_tokens": 2, "output_tokens_details": 7, "input_tokens_details": true}"#,
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let usage = usage_from(&value).unwrap();
            assert_eq!((usage.input, usage.output), (3, 2), "{text}");
            assert_eq!(usage_from_text(text), Some(usage), "{text}");
        }
        assert_eq!(usage_from_text("null"), None);
        assert_eq!(usage_from_text("[1]"), None);
    }

    #[test]
    fn a_usage_that_is_plain_reads_as_any_other() {
        let plain = r#"{"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17, "cost": [0.1],
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 2, "odd_tokens": null},
            "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": null}, "input_tokens_details": null}"#;
        assert!(Figures::plain(plain).is_some());
        let texts = [
            plain.to_owned(),
            plain.replace("10", "99999999999999999999"),
            plain.replace("10", "1e1"),
            plain.replace("10", "\"10\""),
            plain.replace("4", "4.5"),
            plain.replace("audio_tokens", "cached_tokens"),
            plain.replace("input_tokens_details", "prompt_tokens_details"),
            plain.replace("total_tokens", "prompt_tokens"),
            plain.replace("total_tokens", "total\\u005ftokens"),
            plain.replace("prompt", "input").replace("completion", "output"),
            plain.replace("{\"cached", "[{\"cached").replace("null},", "null}],"),
            plain.replace("17", "0017"),
            "{}".to_owned(),
            r#"{"prompt_tokens": null}"#.to_owned(),
        ];
        for text in texts {
            assert_eq!(usage_from_text(&text), any_usage_from(&text), "{text}");
        }
    }

    #[test]
    fn embeddings_have_a_total_only() {
        assert_eq!(usage_from(&json!({"total_tokens": 6})).unwrap().input, 6);
    }
}
