//! What is known about single Claude models: output limits, ways of thinking, sampling.
//!
//! Names are read by version number, so that dated snapshots, `@` and `anthropic.` spellings of other clouds, and
//! models newer than this file are covered. The facts are those of Anthropic's model pages and migration guides
//! (November 2026).

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Not at all (before 3.7).
    Never,
    /// `thinking: {type: enabled, budget_tokens}` (3.7 to 4.5).
    Budget,
    /// `thinking: {type: adaptive}` and `output_config.effort` (4.6 and later; budgets fail from 4.7 on).
    Adaptive,
}

/// How a model that thinks unasked is told not to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThinkingOff {
    /// It doesn't think unless asked.
    Omit,
    /// `thinking: {type: disabled}`.
    Disabled,
    /// `thinking: {type: between_tools}`, the least that Sonnet 5.5 accepts.
    BetweenTools,
    /// It can't be told; the lowest effort is the nearest.
    LowEffort,
}

/// A model by family and version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    family: Family,
    /// `None` for names that aren't Claude's: other vendors that speak this wire, which follow its older shape.
    version: Option<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Opus,
    Sonnet,
    Haiku,
    Other,
}

/// A Claude without a number (`claude-mythos-preview`) is taken for newer than all that have one.
const NEWEST: (u32, u32) = (u32::MAX, 0);

impl Model {
    pub(super) fn parse(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let Some((_, rest)) = name.split_once("claude") else {
            return Self { family: Family::Other, version: None };
        };
        let mut family = Family::Other;
        let mut major = None;
        let mut minor = None;
        let mut previous_was_major = false;
        for word in rest.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            match word {
                "opus" => family = Family::Opus,
                "sonnet" => family = Family::Sonnet,
                "haiku" => family = Family::Haiku,
                _ => {}
            }
            // Dates have eight digits; versions one or two, side by side.
            let number = if word.len() <= 2 { word.parse::<u32>().ok() } else { None };
            match number {
                Some(number) if major.is_none() => {
                    major = Some(number);
                    previous_was_major = true;
                    continue;
                }
                Some(number) if previous_was_major => minor = Some(number),
                _ => {}
            }
            previous_was_major = false;
        }
        let version = major.map_or(NEWEST, |major| (major, minor.unwrap_or(0)));
        Self { family, version: Some(version) }
    }

    fn at_least(self, version: (u32, u32)) -> bool {
        self.version.is_some_and(|own| own >= version)
    }

    /// Returns the `max_tokens` to send when the caller named none; the vendor insists on one. It is the model's
    /// limit up to 4.5. Later ones allow 128,000, but 64,000 is what callers of this gateway's kind are used to.
    pub(super) fn default_max_tokens(self) -> u64 {
        match (self.version, self.family) {
            (Some(version), _) if version < (3, 5) => 4096,
            (Some(version), _) if version < (3, 7) => 8192,
            (Some((4, 0 | 1)), Family::Opus) => 32_000,
            _ => 64_000,
        }
    }

    pub(super) fn thinking(self) -> Thinking {
        match self.version {
            None => Thinking::Budget,
            Some(version) if version < (3, 7) => Thinking::Never,
            Some(version) if version < (4, 6) => Thinking::Budget,
            Some(_) => Thinking::Adaptive,
        }
    }

    /// Returns whether `output_config.effort` is accepted.
    pub(super) fn takes_effort(self) -> bool {
        self.at_least((4, 6)) || (self.family == Family::Opus && self.version == Some((4, 5)))
    }

    /// Returns the model's word for OpenAI's effort; `None` for unknown words.
    pub(super) fn effort(self, openai: &str) -> Option<&'static str> {
        Some(match openai {
            "minimal" | "low" => "low",
            "medium" => "medium",
            "high" => "high",
            "xhigh" if self.at_least((4, 7)) => "xhigh",
            // 4.6 has `max` above `high` but nothing between.
            "xhigh" | "max" if self.at_least((4, 6)) => "max",
            "xhigh" | "max" => "high",
            _ => return None,
        })
    }

    pub(super) fn thinking_off(self) -> ThinkingOff {
        match (self.version, self.family) {
            (None, _) => ThinkingOff::Omit,
            (Some(version), _) if version < (5, 0) => ThinkingOff::Omit,
            (Some((5, 0)), Family::Opus | Family::Sonnet) | (Some((5, 5)), Family::Haiku) => {
                ThinkingOff::Disabled
            }
            (Some((5, 5)), Family::Sonnet) => ThinkingOff::BetweenTools,
            _ => ThinkingOff::LowEffort,
        }
    }

    /// Returns whether the model samples its own way: from 4.7 on other temperatures than 1, `top_p` and `top_k`
    /// are errors.
    pub(super) fn samples_its_own_way(self) -> bool {
        self.at_least((4, 7))
    }

    /// Returns whether `temperature` and `top_p` exclude each other.
    pub(super) fn takes_one_sampler(self) -> bool {
        self.at_least((4, 1))
    }

    /// Returns whether structured outputs (`output_config.format`, strict tools) are accepted.
    pub(super) fn has_structured_outputs(self) -> bool {
        self.version.is_none()
            || self.at_least((4, 5))
            || (self.family == Family::Opus && self.version == Some((4, 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_spelling() {
        for (name, version) in [
            ("claude-3-opus-20240229", (3, 0)),
            ("claude-3-5-sonnet-20241022", (3, 5)),
            ("anthropic.claude-3-5-sonnet-20240620-v1:0", (3, 5)),
            ("claude-sonnet-4-5@20250929", (4, 5)),
            ("claude-opus-4-20250514", (4, 0)),
            ("us.anthropic.claude-opus-4-1-20250805-v1:0", (4, 1)),
            ("claude-opus-5", (5, 0)),
            ("claude-2.1", (2, 1)),
            ("claude-mythos-preview", NEWEST),
        ] {
            assert_eq!(Model::parse(name).version, Some(version), "{name}");
        }
        assert_eq!(Model::parse("MiniMax-M2").version, None);
    }

    #[test]
    fn the_default_output_limit_is_one_the_model_accepts() {
        for (name, limit) in [
            ("claude-3-haiku-20240307", 4096),
            ("claude-3-5-haiku-latest", 8192),
            ("claude-3-7-sonnet-latest", 64_000),
            ("claude-opus-4-0", 32_000),
            ("claude-opus-4-1", 32_000),
            ("claude-opus-4-5", 64_000),
            ("claude-sonnet-4-20250514", 64_000),
            ("claude-haiku-5-5", 64_000),
            ("something-else", 64_000),
        ] {
            assert_eq!(Model::parse(name).default_max_tokens(), limit, "{name}");
        }
    }

    #[test]
    fn thinking_follows_the_generation() {
        assert_eq!(Model::parse("claude-3-5-sonnet-latest").thinking(), Thinking::Never);
        assert_eq!(Model::parse("claude-sonnet-4-5").thinking(), Thinking::Budget);
        assert_eq!(Model::parse("claude-opus-4-6").thinking(), Thinking::Adaptive);
        assert_eq!(Model::parse("claude-fable-5-2").thinking(), Thinking::Adaptive);
        assert!(Model::parse("claude-opus-4-5").takes_effort());
        assert!(!Model::parse("claude-sonnet-4-5").takes_effort());
        assert_eq!(Model::parse("claude-opus-4-5").effort("xhigh"), Some("high"));
        assert_eq!(Model::parse("claude-opus-4-6").effort("xhigh"), Some("max"));
        assert_eq!(Model::parse("claude-opus-5-5").effort("xhigh"), Some("xhigh"));
        assert_eq!(Model::parse("claude-opus-5-5").thinking_off(), ThinkingOff::LowEffort);
        assert_eq!(Model::parse("claude-sonnet-5").thinking_off(), ThinkingOff::Disabled);
        assert_eq!(Model::parse("claude-sonnet-5-5").thinking_off(), ThinkingOff::BetweenTools);
    }
}
