//! Names of vendors and models: what has to be the same price although it is spelled differently.
//!
//! No rule here may lead from a dear model to a cheaper one. Fine-tuned models therefore never fall back to
//! their base, and of OpenRouter's variants only `:free` and `:floor` are understood: `:nitro` or `:online`
//! cost more than the plain name.

use std::borrow::Cow;

/// Returns the name of a vendor in the table for the spellings people use.
pub(crate) fn vendor(name: &str) -> &str {
    match name {
        "gemini" | "google-ai" => "google",
        "mistral" => "mistral-ai",
        "xai" | "grok" => "x-ai",
        "together" | "together_ai" => "together-ai",
        "fireworks" | "fireworks_ai" => "fireworks-ai",
        "perplexity" => "perplexity-ai",
        "moonshotai" => "moonshot",
        "azure" | "azure_openai" => "azure-openai",
        "llamacpp" | "llama.cpp" | "llama_cpp" => "llama-cpp",
        "lmstudio" | "lm_studio" => "lm-studio",
        other => other,
    }
}

/// Returns a model's name as tables are keyed: lower case, without the paths vendors allow in front of it.
pub(crate) fn key<'a>(vendor: &str, model: &'a str) -> Cow<'a, str> {
    let mut name = model;
    for prefix in ["models/", "accounts/fireworks/models/", "publishers/google/models/"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    if vendor == "openrouter" {
        name = name.strip_suffix(":floor").unwrap_or(name);
    }
    if name.starts_with("ft:") {
        // ft:<base>:<organisation>:<name>:<id>; the price is that of the base's fine-tunes.
        let end = name.match_indices(':').nth(1).map_or(name.len(), |(at, _)| at);
        name = &name[..end];
    }
    let azure = vendor == "azure-openai" && name.starts_with("gpt-35-");
    if azure {
        return Cow::Owned(format!("gpt-3.5-{}", &name["gpt-35-".len()..].to_ascii_lowercase()));
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

/// Returns the name without what only says which snapshot of a model is meant.
pub(crate) fn stem<'a>(vendor: &str, key: &'a str) -> &'a str {
    let mut name = key;
    loop {
        let shorter = without_snapshot(vendor, name);
        if shorter.len() == name.len() || shorter.is_empty() {
            return name;
        }
        name = shorter;
    }
}

fn without_snapshot<'a>(vendor: &str, name: &'a str) -> &'a str {
    if let Some(shorter) = name.strip_suffix("-latest") {
        return shorter;
    }
    if let Some(shorter) = cut(name, 11, is_dashed_date).or_else(|| cut(name, 9, is_plain_date)) {
        return shorter;
    }
    // Four digits are a month and day, or a year and month, only where a vendor has that habit; elsewhere they
    // tell models apart (`qwen3-235b-a22b-2507`).
    if matches!(vendor, "openai" | "azure-openai" | "mistral-ai" | "x-ai")
        && let Some(shorter) = cut(name, 5, is_short_date)
    {
        return shorter;
    }
    if vendor == "google"
        && let Some(shorter) = cut(name, 4, |digits| digits.starts_with("00"))
    {
        return shorter;
    }
    name
}

/// Cuts the last `length` bytes when they are `-` or `@` and a suffix that fits.
fn cut(name: &str, length: usize, fits: impl Fn(&str) -> bool) -> Option<&str> {
    let (stem, suffix) = name.split_at_checked(name.len().checked_sub(length)?)?;
    let digits = suffix.strip_prefix(['-', '@'])?;
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    (only_digits && fits(digits)).then_some(stem)
}

fn is_dashed_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.starts_with("20") && bytes[4] == b'-' && bytes[7] == b'-' && text.matches('-').count() == 2
}

fn is_plain_date(text: &str) -> bool {
    text.starts_with("20") && !text.contains('-')
}

fn is_short_date(text: &str) -> bool {
    let Ok(number) = text.parse::<u16>() else { return false };
    let (first, second) = (number / 100, number % 100);
    let month_day = (1..=12).contains(&first) && (1..=31).contains(&second);
    let year_month = (23..=39).contains(&first) && (1..=12).contains(&second);
    month_day || year_month
}

/// Returns the maker's own vendor and model for an OpenRouter name, where OpenRouter passes that price on.
pub(crate) fn behind_openrouter(key: &str) -> Option<(&'static str, String)> {
    let (maker, model) = key.split_once('/')?;
    if model.contains(':') {
        return None;
    }
    let vendor = match maker {
        "openai" => "openai",
        // OpenRouter writes versions with a dot, Anthropic with a dash.
        "anthropic" => return Some(("anthropic", model.replace('.', "-"))),
        "google" => "google",
        "mistralai" => "mistral-ai",
        "x-ai" => "x-ai",
        "cohere" => "cohere",
        "perplexity" => "perplexity-ai",
        _ => return None,
    };
    Some((vendor, model.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_snapshot_is_cut_and_a_version_is_not() {
        for (vendor, name, expected) in [
            ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
            ("openai", "gpt-4-0613", "gpt-4"),
            ("openai", "gpt-5-chat-latest", "gpt-5-chat"),
            ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("anthropic", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5"),
            ("google", "gemini-2.0-flash-001", "gemini-2.0-flash"),
            ("mistral-ai", "mistral-large-2411", "mistral-large"),
            ("mistral-ai", "open-mixtral-8x7b", "open-mixtral-8x7b"),
            ("x-ai", "grok-4-0709", "grok-4"),
            ("groq", "qwen-2507", "qwen-2507"),
            ("openai", "model-9999", "model-9999"),
            ("openai", "-latest", "-latest"),
            ("openai", "é-2024-08-06", "é"),
            ("openai", "20240806", "20240806"),
        ] {
            assert_eq!(stem(vendor, name), expected, "{name}");
        }
    }

    #[test]
    fn paths_and_case_do_not_matter() {
        for (vendor, name, expected) in [
            ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("fireworks-ai", "accounts/fireworks/models/kimi-k2p5", "kimi-k2p5"),
            ("together-ai", "Qwen/Qwen3.5-9B", "qwen/qwen3.5-9b"),
            ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", "ft:gpt-4o-mini-2024-07-18"),
            ("azure-openai", "gpt-35-turbo", "gpt-3.5-turbo"),
            ("openrouter", "openai/gpt-4o:floor", "openai/gpt-4o"),
            ("openrouter", "openai/gpt-4o:nitro", "openai/gpt-4o:nitro"),
        ] {
            assert_eq!(key(vendor, name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(vendor in "openai|google|openrouter|azure-openai", name in "\\PC{0,24}|[a-z0-9@:/-]{0,24}") {
            let key = key(&vendor, &name);
            prop_assert!(key.starts_with(stem(&vendor, &key)));
            let _ = behind_openrouter(&key);
        }
    }
}
