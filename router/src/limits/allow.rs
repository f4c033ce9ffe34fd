//! Which models a key may use.

/// Returns whether a key's patterns allow a model. `*` allows all, `@slug/*` a provider's, `@slug/model` one,
/// `model` that model of any provider; a trailing `*` matches any rest.
#[must_use]
pub fn model_allowed(patterns: &[String], provider: &str, model: &str) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|pattern| match pattern.strip_prefix('@') {
            Some(slugged) => {
                let (slug, rest) = slugged.split_once('/').unwrap_or((slugged, "*"));
                slug == provider && matches(rest, model)
            }
            None => matches(pattern, model),
        })
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_patterns() {
        let allowed = |patterns: &[&str], provider: &str, model: &str| {
            model_allowed(&patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>(), provider, model)
        };
        for (patterns, yes) in [
            (&["@openai/*"][..], true),
            (&["@openai"], true),
            (&["@openai/gpt-4o"], true),
            (&["@openai/gpt-4*"], true),
            (&["gpt-4o"], true),
            (&["*"], true),
            (&[], true),
            (&["@open/*"], false),
            (&["@openai/gpt-5"], false),
            (&["gpt-4"], false),
        ] {
            assert_eq!(allowed(patterns, "openai", "gpt-4o"), yes, "{patterns:?}");
        }
    }
}
