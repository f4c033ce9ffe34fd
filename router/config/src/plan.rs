//! A config resolved: which target, with what.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::hooks::Hooks;

/// Why a config was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ConfigError {
    /// JSON path of the member at fault; empty for the whole.
    pub path: String,
    /// What is wrong and what is accepted.
    pub message: String,
}

/// A config resolved and validated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The target, with everything inherited from its parents.
    pub target: Target,
}

/// Where a request goes and what is changed on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// Place in the config, as Portkey shows it: `config`, `config.targets[0]`, …
    pub path: String,
    /// Vendor name or `@slug`.
    pub provider: Option<String>,
    /// Saved credential's slug.
    pub virtual_key: Option<String>,
    /// Vendor's key, for keys that may bring their own.
    pub api_key: Option<String>,
    /// Base URL in place of the vendor's.
    pub custom_host: Option<String>,
    /// Set last, beats the body.
    pub override_params: Map<String, Value>,
    /// Milliseconds from sending to the head of the answer.
    pub request_timeout: Option<u64>,
    /// False turns Portkey's strict OpenAI compliance off.
    pub strict_open_ai_compliance: Option<bool>,
    /// Vendor-specific credential fields (`azure_resource_name`, …).
    pub options: BTreeMap<String, String>,
    /// Guardrails and mutators around it.
    pub hooks: Arc<Hooks>,
}

impl Plan {
    /// Reads and resolves config JSON.
    ///
    /// # Errors
    /// [`ConfigError`] with the JSON path and what is accepted.
    pub fn parse(json: &str) -> Result<Self, ConfigError> {
        let value: Value = serde_json::from_str(json)
            .map_err(|error| ConfigError { path: String::new(), message: format!("not JSON: {error}") })?;
        crate::read::plan(&value)
    }
}
