//! Providers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{LimitRecord, Origin};

/// A provider: a vendor, a credential, a slug.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderRecord {
    /// Name after the `@`.
    pub slug: String,
    /// Id of the workspace that alone may use it; `None` is every one.
    #[serde(default)]
    pub workspace: Option<String>,
    /// Id of the integration that it was made from.
    #[serde(default)]
    pub integration: Option<String>,
    /// Portkey's vendor name.
    pub vendor: String,
    /// Where it comes from.
    pub origin: Origin,
    /// In place of the vendor's own.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Whether `base_url` may be a private or loopback address.
    #[serde(default)]
    pub trusted: bool,
    /// The key. Stores encrypt it; records in memory hold it in clear.
    #[serde(default)]
    pub api_key: Option<String>,
    /// Vendor-specific credential fields.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Headers that the operator sends to the vendor with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What holds for single models in place of the rest.
    #[serde(default)]
    pub by_model: BTreeMap<String, ModelRecord>,
    /// Models to list; empty asks the vendor.
    #[serde(default)]
    pub models: Vec<String>,
    /// Prices by model in US dollars per million tokens, in the form of the settings file; null has none.
    #[serde(default)]
    pub prices: serde_json::Value,
    /// Prices are multiplied by so many thousandths.
    #[serde(default)]
    pub price_per_mille: Option<u64>,
    /// Models to list beside those.
    #[serde(default)]
    pub extra_models: Vec<String>,
    /// Seconds since the epoch; from then on it is refused.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// Rate and concurrency limits.
    #[serde(default)]
    pub limits: Vec<LimitRecord>,
    /// Its budget's id.
    #[serde(default)]
    pub budget: Option<String>,
    /// Its circuit breaker.
    #[serde(default)]
    pub breaker: Option<BreakerRecord>,
}

/// What holds for one model of a provider in place of the rest.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelRecord {
    /// Model of the vendor whose prices hold for it where it has none of its own.
    pub base: Option<String>,
    /// In place of the provider's address.
    pub base_url: Option<String>,
    /// Whether that may be a private address.
    pub trusted: bool,
    /// Headers beside and in place of the provider's.
    pub headers: BTreeMap<String, String>,
    /// Options beside and in place of the provider's.
    pub options: BTreeMap<String, String>,
}

/// When a provider is not asked for a while. Counts are of a rolling window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BreakerRecord {
    /// Failures that open it.
    pub failures: Option<u64>,
    /// Share of failures, in percent, that opens it.
    pub percent: Option<f64>,
    /// Requests before the share counts.
    pub minimum_requests: u64,
    /// What is counted.
    pub window_ms: u64,
    /// How long it stays open.
    pub cooldown_ms: u64,
}

impl ProviderRecord {
    /// Returns what names it among the providers of all workspaces: its slug, behind its workspace where it has one.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.workspace {
            Some(workspace) => format!("{workspace}/{}", self.slug),
            None => self.slug.clone(),
        }
    }

    /// Makes a provider of the settings with nothing but its vendor's own address.
    #[must_use]
    pub fn named(slug: impl Into<String>, vendor: impl Into<String>) -> Self {
        Self {
            slug: slug.into(),
            workspace: None,
            integration: None,
            vendor: vendor.into(),
            origin: Origin::Settings,
            base_url: None,
            trusted: false,
            api_key: None,
            options: BTreeMap::new(),
            headers: BTreeMap::new(),
            by_model: BTreeMap::new(),
            models: Vec::new(),
            prices: serde_json::Value::Null,
            price_per_mille: None,
            extra_models: Vec::new(),
            expires_at: None,
            limits: Vec::new(),
            budget: None,
            breaker: None,
        }
    }
}

impl fmt::Debug for ProviderRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderRecord")
            .field("slug", &self.slug)
            .field("vendor", &self.vendor)
            .field("base_url", &self.base_url)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ModelRecord {
    /// Headers and options may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelRecord").field("base", &self.base).finish_non_exhaustive()
    }
}
