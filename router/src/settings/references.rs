//! What configs of the settings name: it must be there when they are read, not when a request needs it.

use std::collections::BTreeMap;

use tidegate_config::Plan;

/// Checks that every saved guardrail that a config names is declared.
pub(super) fn check<T>(json: &str, guardrails: &BTreeMap<String, T>) -> Result<(), String> {
    let plan = Plan::parse(json).map_err(|error| error.to_string())?;
    let Some(unknown) = plan.guardrails().iter().find(|named| !guardrails.contains_key(&named.id)) else {
        return Ok(());
    };
    let known: Vec<&str> = guardrails.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none is declared".to_owned() } else { known.join(", ") };
    Err(format!("{}: there is no [[guardrail]] with id \"{}\" ({known})", unknown.path, unknown.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_guardrails_are_named_with_their_place() {
        let guardrails = BTreeMap::from([("known".to_owned(), ())]);
        let config = |id: &str| format!(r#"{{"targets": [{{"output_guardrails": ["known", "{id}"]}}]}}"#);
        assert_eq!(check(&config("known"), &guardrails), Ok(()));
        let refused = check(&config("nope"), &guardrails).unwrap_err();
        assert_eq!(
            refused,
            "targets[0].output_guardrails[1]: there is no [[guardrail]] with id \"nope\" (known)"
        );
    }
}
