//! Vendors' own members of a target: credentials and addresses, as their headers call them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::members::{Members, snake};
use crate::plan::{ConfigError, Secret};

/// How their names begin.
const BEGINNINGS: [&str; 15] = [
    "anthropic_",
    "api_version",
    "aws_",
    "azure_",
    "cortex_",
    "deployment_id",
    "fireworks_",
    "huggingface_",
    "mistral_",
    "openai_",
    "oracle_",
    "resource_name",
    "snowflake_",
    "vertex_",
    "workers_ai_",
];
/// Members that take one of a few words.
const WORDS: [(&str, &[&str]); 2] = [
    ("aws_auth_type", &["assumedRole", "serviceRole", "apiKey"]),
    ("azure_auth_mode", &["entra", "managed", "workload"]),
];

/// Returns whether a member, in snake case, is a vendor's own.
pub(crate) fn is_own(name: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Reads them.
pub(crate) fn read(members: &Members<'_>) -> Result<BTreeMap<String, Secret>, ConfigError> {
    let mut options = BTreeMap::new();
    for (written, value) in members.object {
        let name = snake(written);
        if !is_own(&name) || value.is_null() {
            continue;
        }
        let text = match (name.as_str(), value) {
            (_, Value::String(text)) => text.clone(),
            // Vendors' code reads a service account from its JSON text.
            ("vertex_service_account_json", Value::Object(_))
            | ("mistral_fim_completion", Value::Bool(_)) => value.to_string(),
            ("vertex_service_account_json", _) => {
                return Err(members.wrong(written, "an object, or its JSON as a string, is expected"));
            }
            ("mistral_fim_completion", _) => {
                return Err(members.wrong(written, "a string, true or false is expected"));
            }
            _ => return Err(members.wrong(written, "a string is expected")),
        };
        let words = WORDS.iter().find(|(word, _)| *word == name).map(|(_, words)| *words);
        if let Some(words) = words.filter(|words| !words.contains(&text.as_str())) {
            let message = format!("\"{text}\" is unknown; one of {} is expected", words.join(", "));
            return Err(members.wrong(written, &message));
        }
        options.insert(name, Secret::new(text));
    }
    Ok(options)
}
