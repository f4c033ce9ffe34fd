//! What a model's name says: its generation, and whether it may stand in a URL.

use crate::error::InvalidCall;

/// Generations that want to be spoken to differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// No thinking: Gemini 1.x and 2.0, Gemma. These answer a `thinkingConfig` with an error.
    Plain,
    /// Gemini 2.5: thinking is asked for as a number of tokens.
    Budget,
    /// Gemini 3 and later, and aliases such as `gemini-flash-latest`: thinking is asked for as a level, function
    /// calls must come back with their signature.
    Level,
}

impl Generation {
    /// Returns the generation of a model name, with or without its `models/` prefix.
    pub(super) fn of(model: &str) -> Self {
        let name = short_name(model);
        if name.contains("gemini-2.5") {
            Generation::Budget
        } else if ["gemini-1", "gemini-2.0", "gemma", "learnlm"].iter().any(|old| name.contains(old)) {
            Generation::Plain
        } else {
            Generation::Level
        }
    }
}

/// Returns whether the model is of the `pro` line, whose thinking can't be switched off.
pub(super) fn is_pro(model: &str) -> bool {
    short_name(model).split('-').any(|word| word == "pro")
}

/// Returns the name without `models/`.
pub(super) fn short_name(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// Returns the model's resource path, like `models/gemini-2.5-pro`.
///
/// # Errors
/// [`InvalidCall`] when the name could change the URL's meaning. The colon separates model and method in
/// Google's URLs, therefore it is refused like `?` and `#`.
pub(super) fn resource(model: &str) -> Result<String, InvalidCall> {
    let (collection, name) = match model.strip_prefix("tunedModels/") {
        Some(name) => ("tunedModels", name),
        None => ("models", short_name(model)),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.contains("..") || !name.bytes().all(plain) {
        return Err(InvalidCall::at(
            "model",
            "the model name must consist of letters, digits, '.', '_' and '-', optionally after 'models/' or \
             'tunedModels/'",
        ));
    }
    Ok(format!("{collection}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_told_by_name() {
        assert_eq!(Generation::of("gemini-2.5-pro"), Generation::Budget);
        assert_eq!(Generation::of("models/gemini-2.0-flash"), Generation::Plain);
        assert_eq!(Generation::of("gemma-3-27b-it"), Generation::Plain);
        assert_eq!(Generation::of("gemini-3.1-pro-preview"), Generation::Level);
        assert_eq!(Generation::of("gemini-flash-latest"), Generation::Level);
        assert!(is_pro("gemini-3-pro-preview"));
        assert!(!is_pro("gemini-3-flash"));
    }

    #[test]
    fn a_model_name_cannot_change_the_url() {
        assert_eq!(resource("gemini-2.5-pro").unwrap(), "models/gemini-2.5-pro");
        assert_eq!(resource("models/gemini-2.5-pro").unwrap(), "models/gemini-2.5-pro");
        assert_eq!(resource("tunedModels/my-model").unwrap(), "tunedModels/my-model");
        for bad in ["", "models/", "a/b", "../x", "a..b", "a?b", "a#b", "a:generateContent", "a%2f", "a b"] {
            assert!(resource(bad).is_err(), "{bad}");
        }
    }
}
