//! The settings file as written (TOML 1.0). Field docs are the user's reference.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use tidegate_notify::ChannelSettings;
use tidegate_store::{OnStoreLoss, Unmeasured, Window};
use toml::Spanned;

use super::cache::CacheSettings;
use super::plugins::{GuardrailSettings, GuardrailsSettings, PluginSettings};

/// `tidegate.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) listen: Option<String>,
    pub(super) data: Option<String>,
    pub(super) plugins: Option<String>,
    pub(super) admin_key: Option<Spanned<String>>,
    pub(super) shared: Option<Spanned<String>>,
    pub(super) store: Option<Spanned<String>>,
    pub(super) master_key: Option<Spanned<String>>,
    pub(super) notify: Vec<Spanned<ChannelSettings>>,
    pub(super) workers: Option<usize>,
    pub(super) control_threads: Option<usize>,
    pub(super) unpriced: Unpriced,
    pub(super) ledger: LedgerSettings,
    pub(super) timeouts: TimeoutSettings,
    pub(super) limits: LimitsSettings,
    pub(super) cors: CorsSettings,
    pub(super) log: LogSettings,
    pub(super) security: SecuritySettings,
    pub(super) cache: Option<Spanned<CacheSettings>>,
    pub(super) provider: Vec<Spanned<ProviderSettings>>,
    pub(super) key: Vec<Spanned<KeySettings>>,
    pub(super) config: Vec<Spanned<ConfigSettings>>,
    pub(super) plugin: Vec<Spanned<PluginSettings>>,
    pub(super) guardrail: Vec<Spanned<GuardrailSettings>>,
    pub(super) guardrails: GuardrailsSettings,
}

/// What happens to a model without a price on a key with a money budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unpriced {
    /// The request is refused: spend that can't be measured can't be limited.
    #[default]
    Deny,
    /// It costs nothing.
    Free,
}

/// `[ledger]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerSettings {
    /// `batch` (default) or `each`.
    pub durability: super::load::Durability,
}

/// `[timeouts]`, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutSettings {
    /// To connect to the vendor, TLS included.
    pub connect_ms: u64,
    /// From sending a request to the head of the answer.
    pub head_ms: u64,
    /// From sending a streamed request to the head of its answer, and from there to its first event.
    pub first_event_ms: u64,
    /// Between two reads of an answer.
    pub idle_ms: u64,
    /// For a client to send its whole body.
    pub body_ms: u64,
    /// For a client to take what was sent to it; then its connection is closed and its vendor stopped.
    pub write_ms: u64,
    /// For streams to finish at shutdown.
    pub drain_ms: u64,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        Self {
            connect_ms: 10_000,
            // Reasoning models answer whole calls after minutes; Portkey waits five.
            head_ms: 300_000,
            first_event_ms: 300_000,
            idle_ms: 120_000,
            body_ms: 60_000,
            write_ms: 120_000,
            drain_ms: 30_000,
        }
    }
}

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSettings {
    /// Largest request body in bytes.
    pub body_bytes: usize,
    /// Largest whole answer in bytes.
    pub answer_bytes: usize,
}

impl Default for LimitsSettings {
    fn default() -> Self {
        // 64 MiB holds a long recording or a dozen large pictures as base64.
        Self { body_bytes: 64 << 20, answer_bytes: 256 << 20 }
    }
}

/// `[cors]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsSettings {
    /// Origins of browser pages that may call inference routes; `*` allows all (keys, not cookies, protect them).
    pub origins: Vec<String>,
}

impl Default for CorsSettings {
    fn default() -> Self {
        Self { origins: vec!["*".to_owned()] }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `text` or `json`.
    pub format: LogFormat,
    /// Rows of the request log are kept this many days; 0 keeps them for ever.
    pub keep_days: u32,
    /// Filter as in `RUST_LOG`, like `info,tidegate=debug`.
    pub filter: Option<String>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, keep_days: 30, filter: None }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[security]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecuritySettings {
    /// Custom hosts that are allowed although their address is private.
    pub trusted_hosts: Vec<String>,
    /// What Open WebUI signs its users with (`FORWARD_USER_INFO_HEADER_JWT_SECRET`); with it, only signed users count.
    pub openwebui_jwt_secret: Option<String>,
    /// Secret references of the Admin API may read environment variables whose names begin so; none without it.
    pub secret_env_prefix: Option<String>,
    /// Secret references of the Admin API may read files below this folder; none without it.
    pub secret_dir: Option<PathBuf>,
    /// Refuses configs, vendors and hosts in headers, whatever the organisation says.
    pub block_inline_config: bool,
}

/// `[[provider]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Name after the `@`.
    pub slug: String,
    /// Portkey's vendor name.
    pub vendor: String,
    /// `env:NAME`, `file:PATH` or the key itself.
    #[serde(default)]
    pub api_key: Option<String>,
    /// In place of the vendor's own.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Whether `base_url` may be a private or loopback address.
    #[serde(default)]
    pub trusted: bool,
    /// Vendor-specific credential fields, like `azure_resource_name`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Models to list; without it the vendor is asked.
    #[serde(default)]
    pub models: Vec<String>,
    /// US dollars per million tokens by model.
    #[serde(default)]
    pub prices: tidegate_prices::CustomPrices,
    /// Rate and concurrency limits.
    #[serde(default)]
    pub limits: Vec<LimitSettings>,
    /// Money.
    #[serde(default)]
    pub budget: Option<BudgetSettings>,
    /// Circuit breaker; none without it.
    #[serde(default)]
    pub breaker: Option<BreakerSettings>,
}

/// `breaker = { percent = 50, minimum_requests = 10, cooldown_ms = 10000 }`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerSettings {
    /// So many failures open it.
    pub failures: Option<u64>,
    /// Such a share of failures opens it; 50 when neither is named.
    pub percent: Option<f64>,
    /// Requests before the share counts.
    pub minimum_requests: Option<u64>,
    /// The time in which failures are counted.
    pub window_ms: Option<u64>,
    /// How long it stays open before one request tries again.
    pub cooldown_ms: Option<u64>,
}

/// `[[key]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// Operator's name; the key's identity in the file.
    pub name: String,
    /// `env:NAME`, `file:PATH` or the key itself; else made and printed once.
    #[serde(default)]
    pub key: Option<String>,
    /// Allowed models, like `@openai-prod/*`.
    #[serde(default)]
    pub models: Vec<String>,
    /// Money.
    #[serde(default)]
    pub budget: Option<BudgetSettings>,
    /// Rate and concurrency limits.
    #[serde(default)]
    pub limits: Vec<LimitSettings>,
    /// A `[[config]]` id, a saved config's slug, or a Portkey config as JSON text.
    #[serde(default)]
    pub config: Option<String>,
    /// Whether requests may name another config.
    #[serde(default = "yes")]
    pub allow_config_override: bool,
    /// Metadata of every request.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Whether it may bring its own vendor credentials.
    #[serde(default)]
    pub header_credentials: bool,
    /// Whether it may use paths that the gateway doesn't model; absent leaves it to its limits.
    #[serde(default)]
    pub unmeasured: Option<Unmeasured>,
    /// RFC 3339 date and time, quoted or not.
    #[serde(default, alias = "expires")]
    pub expires_at: Option<toml::Value>,
    /// What it may do; `completions.write` by default.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

/// `budget = { usd = 1.00, period = "monthly" }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetSettings {
    /// US dollars, as number or text.
    pub usd: toml::Value,
    /// When it starts again; never without.
    #[serde(default)]
    pub period: Option<PeriodName>,
    /// Every so many days, in place of `period`.
    #[serde(default)]
    pub days: Option<u16>,
    /// What holds while the shared Redis does not answer.
    #[serde(default)]
    pub on_store_loss: OnStoreLoss,
}

/// Names of periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeriodName {
    /// At 00:00 UTC.
    Daily,
    /// Mondays, 00:00 UTC.
    Weekly,
    /// On the first, 00:00 UTC.
    Monthly,
}

/// One of `{ requests = 60, per = "minute" }`, `{ tokens = 100000, per = "minute" }`, `{ concurrent = 20 }`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// So many requests.
    #[serde(default)]
    pub requests: Option<u32>,
    /// So many tokens.
    #[serde(default)]
    pub tokens: Option<u32>,
    /// So many at the same time.
    #[serde(default)]
    pub concurrent: Option<u32>,
    /// The window of `requests` and `tokens`.
    #[serde(default)]
    pub per: Option<Window>,
    /// What holds while the shared Redis does not answer.
    #[serde(default)]
    pub on_store_loss: OnStoreLoss,
}

/// `[[config]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigSettings {
    /// Name that keys and headers use.
    pub id: String,
    /// Portkey config JSON.
    pub json: String,
}
