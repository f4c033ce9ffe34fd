//! What configs of the settings name: it must be there when they are read, not when a request needs it.

use std::collections::BTreeMap;

use tidegate_config::Plan;

use super::Settings;
use super::checks::{self, Replacements};

/// Checks that every saved guardrail that a config names is declared, and that plugins have its checks.
pub(super) fn check<T>(
    json: &str,
    guardrails: &BTreeMap<String, T>,
    replacements: &Replacements,
) -> Result<(), String> {
    let plan = Plan::parse(json).map_err(|error| error.to_string())?;
    checks::check(&checks::of_plan(&plan), replacements).map_err(|error| error.to_string())?;
    let Some(unknown) = plan.guardrails().iter().find(|named| !guardrails.contains_key(&named.id)) else {
        return Ok(());
    };
    let known: Vec<&str> = guardrails.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none is declared".to_owned() } else { known.join(", ") };
    Err(format!("{}: there is no [[guardrail]] with id \"{}\" ({known})", unknown.path, unknown.id))
}

impl Settings {
    /// Lists what a config names that is neither in the settings nor in the environment: place and message. It is no
    /// mistake: the Admin API may have made it, or make it yet.
    #[must_use]
    pub fn doubts(&self, plan: &Plan) -> Vec<(String, String)> {
        let mut doubts = Vec::new();
        for target in plan.targets() {
            let of_target = [("provider", &target.provider), ("virtual_key", &target.virtual_key)];
            for (member, named) in of_target {
                let Some(named) = named else { continue };
                let slug = match (member, named.strip_prefix('@')) {
                    (_, Some(slug)) => slug.split('/').next().unwrap_or(slug),
                    ("virtual_key", None) => named,
                    // A vendor's name.
                    _ if tidegate_providers::registry::find(named).is_some() => continue,
                    _ => named,
                };
                if !self.providers.iter().any(|provider| provider.slug == slug) {
                    let place =
                        target.path.strip_prefix("config").unwrap_or(&target.path).trim_start_matches('.');
                    let dot = if place.is_empty() { "" } else { "." };
                    let known: Vec<&str> =
                        self.providers.iter().map(|provider| provider.slug.as_str()).collect();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    let message = format!(
                        "names \"{slug}\", which is no provider of the settings ({known}); requests are 400 unless the \
                         Admin API makes it"
                    );
                    doubts.push((format!("{place}{dot}{member}"), message));
                }
            }
        }
        let replacements = Replacements::of(&self.plugins, &self.data);
        for called in checks::of_plan(plan) {
            if !self.declared_plugins.contains_key(&called.plugin) && !replacements.may_hold(&called.plugin) {
                let what = if called.is_condition { "holds for nothing" } else { "judges nothing" };
                let message = format!("{}.{} {what} until there is a plugin {0}", called.plugin, called.name);
                doubts.push((called.path, message));
            }
        }
        doubts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_guardrails_are_named_with_their_place() {
        let guardrails = BTreeMap::from([("known".to_owned(), ())]);
        let config = |id: &str| format!(r#"{{"targets": [{{"output_guardrails": ["known", "{id}"]}}]}}"#);
        let replacements = Replacements::of("none".as_ref(), "none".as_ref());
        assert_eq!(check(&config("known"), &guardrails, &replacements), Ok(()));
        let refused = check(&config("nope"), &guardrails, &replacements).unwrap_err();
        assert_eq!(
            refused,
            "targets[0].output_guardrails[1]: there is no [[guardrail]] with id \"nope\" (known)"
        );
    }

    #[test]
    fn what_may_come_later_is_doubted_and_not_refused() {
        let text = r#"
            data = "none"
            plugins = "none"
            [[provider]]
            slug = "here"
            vendor = "openai"
            [[config]]
            id = "a"
            json = '''{"strategy": {"mode": "fallback"}, "targets": [
                {"provider": "@here"}, {"provider": "@nope"}, {"provider": "opnai"},
                {"provider": "openai", "api_key": "k", "input_guardrails": [{"acme.a": {}, "pii.detect": {}}]}]}'''
        "#;
        let settings = Settings::parse(text, "t", &|_| None).unwrap();
        let doubts = settings.doubts(&Plan::parse(&settings.configs["a"]).unwrap());
        let places: Vec<&str> = doubts.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["targets[1].provider", "targets[2].provider", "targets[3].input_guardrails[0]"]);
        assert!(doubts[0].1.starts_with("names \"nope\", which is no provider of the settings (here)"));
        assert!(doubts[2].1.starts_with("acme.a judges nothing until"), "{doubts:?}");
    }
}
