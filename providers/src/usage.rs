//! Token usage of one answer, in one meaning for every vendor.

use serde::{Deserialize, Serialize};

/// Tokens of one answer.
///
/// `input` is everything the vendor read, cached tokens included (OpenAI's meaning of `prompt_tokens`;
/// Anthropic's `input_tokens` excludes them and is converted). `output` is everything it wrote, reasoning
/// included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All input tokens: fresh, read from cache, written to cache.
    pub input: u64,
    /// Part of `input` that was read from the vendor's prompt cache.
    pub cached_input: u64,
    /// Part of `input` that was written to the vendor's prompt cache.
    pub cache_write: u64,
    /// Part of `cache_write` with a one-hour lifetime, which some vendors price higher.
    pub cache_write_1h: u64,
    /// Part of `input` that was audio.
    pub audio_input: u64,
    /// Part of `input` that was images.
    pub image_input: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    /// Part of `output` that was reasoning and may never have been shown.
    pub reasoning: u64,
    /// Part of `output` that was audio.
    pub audio_output: u64,
    /// Part of `output` that was images.
    pub image_output: u64,
}

impl Usage {
    /// Returns input plus output tokens.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Takes the larger of each figure: streams report usage more than once, each time cumulatively.
    pub fn merge(&mut self, later: &Usage) {
        self.input = self.input.max(later.input);
        self.cached_input = self.cached_input.max(later.cached_input);
        self.cache_write = self.cache_write.max(later.cache_write);
        self.cache_write_1h = self.cache_write_1h.max(later.cache_write_1h);
        self.audio_input = self.audio_input.max(later.audio_input);
        self.image_input = self.image_input.max(later.image_input);
        self.output = self.output.max(later.output);
        self.reasoning = self.reasoning.max(later.reasoning);
        self.audio_output = self.audio_output.max(later.audio_output);
        self.image_output = self.image_output.max(later.image_output);
    }
}
