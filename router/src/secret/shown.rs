//! Shows configs, guardrails and what else is JSON without the secrets in it: for the audit log and for exports.
//!
//! What is secret is told by names, since whoever writes a check names its parameters: keys, tokens, passwords and the
//! like, values of headers, and the paths and queries of addresses, where webhooks have their secrets. It rather hides
//! too much than too little: what is hidden can be read where it is kept.

use serde_json::Value;

use super::mask;

/// Words of names whose texts are secret, and all texts below them.
const SECRET: [&str; 12] = [
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "jwks",
    "passphrase",
    "password",
    "passwords",
    "secret",
    "secrets",
    "apikey",
];
/// Words of names whose texts are secret; objects of these names have members like any other.
const KEY: [&str; 4] = ["key", "token", "private", "signature"];
/// What every mask has in it.
const MASKED: &str = "*****";

/// What is known of a value by the names that it stands under.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    /// Nothing.
    Plain,
    /// Its texts are secret.
    Key,
    /// All texts in it are secret.
    Secret,
    /// An address whose path matters and is no secret.
    Host,
}

/// Returns a value with its secrets masked. JSON in a text is read, too.
#[must_use]
pub fn shown(value: &Value) -> Value {
    of(value, Under::Plain)
}

fn of(value: &Value, under: Under) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), of(value, below(name, under)))).collect()
        }
        Value::Array(items) => items.iter().map(|item| of(item, under)).collect(),
        Value::String(text) => text_of(text, under).into(),
        other => other.clone(),
    }
}

/// Returns what is known of a member.
fn below(name: &str, under: Under) -> Under {
    if under == Under::Secret {
        return under;
    }
    // Checks have a dot in their names: `default.jsonKeys` is no key.
    if name.contains('.') {
        return Under::Plain;
    }
    let words = words(name);
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let last = words.last().map(String::as_str);
    // Lists of headers' names are shown like other lists: see `text_of`.
    if has(&SECRET)
        || matches!(last, Some("headers" | "json")) && words.first().is_some_and(|it| it != "forward")
    {
        return Under::Secret;
    }
    let api_keys = words.windows(2).any(|pair| pair[0] == "api" && pair[1] == "keys");
    if has(&KEY) || api_keys {
        return Under::Key;
    }
    if last == Some("host") { Under::Host } else { Under::Plain }
}

/// Returns the words of a name in snake, kebab or camel case, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in name.chars() {
        let is_new = !letter.is_alphanumeric() || (letter.is_uppercase() && was_small);
        was_small = letter.is_lowercase() || letter.is_ascii_digit();
        if is_new {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn text_of(text: &str, under: Under) -> String {
    match under {
        _ if text.is_empty() => String::new(),
        // What is shown masked stays as it is.
        Under::Key | Under::Secret if text.contains(MASKED) => text.to_owned(),
        Under::Key | Under::Secret => address(text, false).unwrap_or_else(|| mask(text)),
        Under::Host => address(text, true).unwrap_or_else(|| text.to_owned()),
        Under::Plain => {
            if text.trim_start().starts_with(['{', '['])
                && let Ok(inner) = serde_json::from_str::<Value>(text)
            {
                let shown = shown(&inner);
                return if shown == inner { text.to_owned() } else { shown.to_string() };
            }
            address(text, false).unwrap_or_else(|| text.to_owned())
        }
    }
}

/// Shows an address: scheme and host, and its path where that is no secret. `None` where a text is none.
fn address(text: &str, with_path: bool) -> Option<String> {
    let (scheme, rest) = text.trim().split_once("://")?;
    if rest.contains(char::is_whitespace)
        || !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https" | "ws" | "wss")
    {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASKED}@{host}"),
        None => authority.to_owned(),
    };
    let path = tail.split(['?', '#']).next().unwrap_or_default();
    let tail = match (with_path, tail) {
        (_, "" | "/") => tail.to_owned(),
        (true, _) if path.len() == tail.len() => tail.to_owned(),
        (true, _) => format!("{path}?{MASKED}"),
        (false, _) => format!("/{MASKED}"),
    };
    Some(format!("{scheme}://{host}{tail}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_secret_of_a_guardrail_is_shown() {
        let guardrail = json!({"name": "g", "checks": [
            {"id": "default.webhook", "parameters": {"webhookURL": "https://u:SEC@x.example/SEC?a=SEC",
                "headers": {"X-Any": "SEC"}, "forwardHeaders": ["x-tenant"], "timeout": 3}},
            {"id": "default.log", "parameters": {"logURL": "https://x.example/SEC", "headers": "{\"a\": \"SEC\"}"}},
            {"id": "acme.a", "parameters": {"apiKey": "SEC", "api_keys": ["SEC"], "accessToken": "SEC",
                "clientSecret": "SEC", "credentials": {"user": "SEC"}}},
            {"id": "default.jwt", "parameters": {"jwks": {"keys": [{"k": "SEC"}]}, "jwksUri": "https://x.example/SEC"}},
        ], "actions": {"deny": true}});
        let shown = shown(&guardrail);
        assert!(!shown.to_string().contains("SEC"), "{shown}");
        let parameters = &shown["checks"][0]["parameters"];
        assert_eq!(parameters["webhookURL"], "https://*****@x.example/*****");
        assert_eq!(
            (&parameters["forwardHeaders"], &parameters["timeout"]),
            (&json!(["x-tenant"]), &json!(3))
        );
        assert_eq!((&shown["name"], &shown["actions"]), (&guardrail["name"], &guardrail["actions"]));
    }

    #[test]
    fn nothing_secret_of_a_config_is_shown_also_as_text() {
        let config = json!({"strategy": {"mode": "fallback"}, "targets": [
            {"provider": "openai", "api_key": "sk-SECSECSECSECSEC-end", "custom_host": "https://h.example/v1?k=SEC"},
            {"provider": "bedrock", "aws_secret_access_key": "SEC", "aws_region": "eu-central-1"},
            {"vertex_service_account_json": {"client_email": "SEC"}, "custom_headers": {"x-a": "SEC"}},
            {"provider": "@a", "authorization": "SEC", "override_params": {"model": "m", "max_tokens": 3},
             "input_guardrails": [{"default.jsonKeys": {"keys": ["name"]}, "deny": true}]},
        ]});
        let text = json!({"slug": "pc-a", "config": config.to_string()});
        let shown = shown(&text);
        assert!(!shown.to_string().contains("SECSEC") && !shown.to_string().contains("\"SEC"), "{shown}");
        let config: Value = serde_json::from_str(shown["config"].as_str().unwrap()).unwrap();
        assert_eq!(config["targets"][0]["api_key"], "sk-SE*****end");
        assert_eq!(config["targets"][0]["custom_host"], "https://h.example/v1?*****");
        assert_eq!(config["targets"][1]["aws_region"], "eu-central-1");
        assert_eq!(config["targets"][3]["override_params"]["max_tokens"], 3);
        assert_eq!(config["targets"][3]["input_guardrails"][0]["default.jsonKeys"]["keys"][0], "name");
    }

    #[test]
    fn what_is_shown_can_be_shown_again() {
        let once = shown(&json!({"api_key": "sk-0123456789abcdef", "webhookURL": "https://x.example/a"}));
        assert_eq!(shown(&once), once);
    }
}
