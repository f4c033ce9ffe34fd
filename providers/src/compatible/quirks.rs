//! What a vendor does otherwise than OpenAI, as flags of a table row.

/// A set of quirks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks(u16);

impl Quirks {
    /// None.
    pub const NONE: Self = Self(0);
    /// Serves OpenAI's own models: the rules of reasoning models and of `gpt-image` apply.
    pub const OPENAI_MODELS: Self = Self(1);
    /// Knows the role `developer`; others get `system`.
    pub const DEVELOPER_ROLE: Self = Self(1 << 1);
    /// Knows `max_completion_tokens`; others get `max_tokens`.
    pub const MAX_COMPLETION_TOKENS: Self = Self(1 << 2);
    /// Refuses `stream_options`, and reports usage in streams unasked.
    pub const NO_STREAM_OPTIONS: Self = Self(1 << 3);
    /// Calls `seed` `random_seed`.
    pub const RANDOM_SEED: Self = Self(1 << 4);
    /// A self-hosted server whose address people give without `/v1`.
    pub const BARE_HOST: Self = Self(1 << 5);
    /// Can be called without a key.
    pub const NO_KEY: Self = Self(1 << 6);
    /// Has no list of models in OpenAI's form.
    pub const NO_MODEL_LIST: Self = Self(1 << 7);
    /// Refuses Gemini's `extra_content` in the tool calls of old messages.
    pub const NO_EXTRA_CONTENT: Self = Self(1 << 8);

    /// Returns both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether all of `other` are in the set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
