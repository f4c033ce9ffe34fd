//! The records that stores keep and the router reads.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decision::DecisionRow;
use crate::period::Period;

/// SHA-256 of an API key's text. Keys are 256 random bits, so a plain hash is enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Where a record comes from. A settings file owns its records: they vanish when it no longer names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Made by a command or the Admin API.
    Store,
    /// Declared in the settings file.
    Settings,
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// It does.
    Active,
    /// It was switched off or deleted.
    Revoked,
}

/// Window of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// 1 s
    Second,
    /// 60 s
    Minute,
    /// 3,600 s
    Hour,
    /// 86,400 s
    Day,
    /// 604,800 s
    Week,
}

impl Window {
    /// Returns its length in seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        match self {
            Window::Second => 1,
            Window::Minute => 60,
            Window::Hour => 3_600,
            Window::Day => 86_400,
            Window::Week => 604_800,
        }
    }
}

/// One limit of a key or provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum LimitRecord {
    /// So many requests in a window.
    Requests {
        /// How many.
        amount: u32,
        /// The window.
        per: Window,
    },
    /// So many tokens (input and output) in a window.
    Tokens {
        /// How many.
        amount: u32,
        /// The window.
        per: Window,
    },
    /// So many requests at the same time.
    Concurrent {
        /// How many.
        amount: u32,
    },
}

/// An API key, without its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Stable id.
    pub id: String,
    /// Operator's name for it.
    pub name: String,
    /// First and last characters, for lists.
    pub mask: String,
    /// Whether it works.
    pub status: KeyStatus,
    /// Where it comes from.
    pub origin: Origin,
    /// Seconds since the epoch.
    pub created_at: i64,
    /// Seconds since the epoch; `None` never expires.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// What it may do, like `completions.write`.
    pub scopes: Vec<String>,
    /// Allowed models, like `@openai-prod/*`; empty allows all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Rate and concurrency limits.
    #[serde(default)]
    pub limits: Vec<LimitRecord>,
    /// Its budget's id.
    #[serde(default)]
    pub budget: Option<String>,
    /// Default config: an id or inline JSON.
    #[serde(default)]
    pub config: Option<String>,
    /// Whether a request may name another config than that.
    #[serde(default = "yes")]
    pub allow_config_override: bool,
    /// Default metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Whether it may bring its own vendor credentials in headers.
    #[serde(default)]
    pub header_credentials: bool,
    /// Whether it may use paths whose cost and model can't be measured; `None` leaves it to its other limits.
    #[serde(default)]
    pub unmeasured: Option<Unmeasured>,
    /// What kind it is.
    #[serde(default)]
    pub kind: KeyKind,
    /// Id of its workspace; `None` is the organisation's default one, or none for an organisation's key.
    #[serde(default)]
    pub workspace: Option<String>,
    /// Id of the user that it belongs to.
    #[serde(default)]
    pub user: Option<String>,
    /// What the Admin API keeps beside: description, alert addresses, rotation policy.
    #[serde(default)]
    pub extra: KeyExtra,
}

impl KeyRecord {
    /// Returns whether it may do everything everywhere.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "admin")
    }

    /// Makes an active key of the store that may do nothing yet.
    #[must_use]
    pub fn named(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            mask: String::new(),
            status: KeyStatus::Active,
            origin: Origin::Store,
            created_at: 0,
            expires_at: None,
            scopes: Vec::new(),
            models: Vec::new(),
            limits: Vec::new(),
            budget: None,
            config: None,
            allow_config_override: true,
            metadata: BTreeMap::new(),
            header_credentials: false,
            unmeasured: None,
            kind: KeyKind::default(),
            workspace: None,
            user: None,
            extra: KeyExtra::default(),
        }
    }
}

/// Portkey's types of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// Acts on the organisation and all its workspaces.
    OrganisationService,
    /// Acts on one workspace.
    #[default]
    WorkspaceService,
    /// Acts on one workspace for one user.
    WorkspaceUser,
}

impl KeyKind {
    /// Returns its stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OrganisationService => "organisation-service",
            Self::WorkspaceService => "workspace-service",
            Self::WorkspaceUser => "workspace-user",
        }
    }
}

/// What a key carries for the Admin API and notifications.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyExtra {
    /// Operator's words.
    pub description: Option<String>,
    /// Who is told about its budget and its end.
    pub alert_emails: Vec<String>,
    /// Id of the key or user that made it.
    pub created_by: String,
    /// Milliseconds since the epoch.
    pub updated_at_ms: i64,
    /// Milliseconds since the epoch of the last reset of its budget.
    pub last_reset_at_ms: Option<i64>,
    /// Milliseconds since the epoch of its last new secret.
    pub rotated_at_ms: Option<i64>,
    /// When it gets a new secret.
    pub rotation: Option<RotationRecord>,
    /// The secret before this one, while it still works.
    pub old_secret: Option<OldSecret>,
    /// A secret that was made when nobody watched, sealed by the caller, until somebody fetches it.
    pub waiting_secret: Option<String>,
}

/// When a key gets a new secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationRecord {
    /// `weekly` or `monthly`.
    pub period: Option<String>,
    /// Every so many days.
    pub days: Option<u16>,
    /// Seconds since the epoch.
    pub next_at: Option<i64>,
    /// How long the old secret works beside the new one.
    pub overlap_ms: i64,
}

/// A secret that was replaced and still works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldSecret {
    /// First and last characters.
    pub mask: String,
    /// Seconds since the epoch; from then on it is refused.
    pub until: i64,
}

/// Whether a key may use paths that the gateway doesn't model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmeasured {
    /// It may, whatever its limits are.
    Allow,
    /// It may not, even without limits.
    Deny,
}

fn yes() -> bool {
    true
}

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRecord {
    /// Stable id.
    pub id: String,
    /// Operator's name for it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What it counts.
    #[serde(default)]
    pub unit: Unit,
    /// Limit in that unit.
    #[serde(alias = "limit_nano_usd")]
    pub limit: i64,
    /// When it starts again.
    #[serde(default)]
    pub period: Period,
    /// A moment (seconds since the epoch, 00:00 UTC) at which it starts again once more, beside the period's own.
    #[serde(default)]
    pub restarts_at: Option<i64>,
    /// Amounts at which somebody is told.
    #[serde(default)]
    pub alerts: Vec<i64>,
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nano-dollars.
    #[default]
    Cost,
    /// Input and output tokens.
    Tokens,
    /// Requests.
    Requests,
}

impl BudgetRecord {
    /// Makes a money budget of the store that never starts again; `limit` is in nano-dollars.
    #[must_use]
    pub fn named(id: impl Into<String>, name: impl Into<String>, limit: i64) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            origin: Origin::Store,
            unit: Unit::Cost,
            limit,
            period: Period::Total,
            restarts_at: None,
            alerts: Vec::new(),
        }
    }

    /// Returns the start of its period that holds `now`, both in seconds since the epoch.
    #[must_use]
    pub fn period_start(&self, now: i64) -> i64 {
        let start = self.period.start(now);
        self.restarts_at.filter(|at| *at <= now).map_or(start, |at| start.max(at))
    }

    /// Returns when its period that holds `now` ends.
    #[must_use]
    pub fn period_end(&self, now: i64) -> Option<i64> {
        let end = self.period.end(now);
        match self.restarts_at.filter(|at| *at > now) {
            Some(at) => Some(end.map_or(at, |end| end.min(at))),
            None => end,
        }
    }
}

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

/// One thing that happened, in the order it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerEntry {
    /// Money was reserved; written only when holds must survive a crash.
    Hold(Box<HoldRecord>),
    /// A hold grew.
    Extend {
        /// Of which request.
        request: String,
        /// By how much in each of the hold's budgets, in their order and units.
        amounts: Vec<i64>,
        /// By how many nano-dollars.
        nano_usd: i64,
    },
    /// An attempt ended and its request goes on: its hold goes, its cost is spent. Several attempts may have paid
    /// from different budgets.
    Spend(Box<SpendRecord>),
    /// A request ended: its hold goes, its cost is spent, its row is kept.
    Settle(Box<SettleRecord>),
}

/// The end of one attempt of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRecord {
    /// The request.
    pub request: String,
    /// Budgets that pay.
    pub budgets: Vec<Payment>,
    /// Whether a [`LedgerEntry::Hold`] was written for it.
    pub held: bool,
}

/// What one budget holds or pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<serde_json::Value>", into = "Vec<serde_json::Value>")]
pub struct Payment {
    /// The budget's id.
    pub budget: String,
    /// Start of the period that pays, seconds since the epoch.
    pub period_start: i64,
    /// How much, in the budget's unit.
    pub amount: i64,
    /// Whose spend it is, where several nodes share the budget: the holder of the lease. Empty is the node that writes.
    pub by: String,
}

impl From<Vec<serde_json::Value>> for Payment {
    fn from(parts: Vec<serde_json::Value>) -> Self {
        let text = |at: usize| parts.get(at).and_then(|part| part.as_str()).unwrap_or_default().to_owned();
        let number = |at: usize| parts.get(at).and_then(serde_json::Value::as_i64).unwrap_or(0);
        Self { budget: text(0), period_start: number(1), amount: number(2), by: text(3) }
    }
}

impl From<Payment> for Vec<serde_json::Value> {
    fn from(payment: Payment) -> Self {
        let mut parts = vec![payment.budget.into(), payment.period_start.into(), payment.amount.into()];
        if !payment.by.is_empty() {
            parts.push(payment.by.into());
        }
        parts
    }
}

/// Money reserved for a request.
#[derive(Clone, Debug, PartialEq)]
pub struct HoldRecord {
    /// What each budget holds.
    pub budgets: Vec<Payment>,
    /// Nano-dollars that the request may come to.
    pub nano_usd: i64,
    /// The log row as known so far, with what earlier attempts cost; it is what is kept if the process dies.
    pub row: LogRow,
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct SettleRecord {
    /// Budgets that pay.
    pub budgets: Vec<Payment>,
    /// Whether a [`LedgerEntry::Hold`] was written for it.
    pub held: bool,
    /// The log row.
    pub row: LogRow,
}

/// One row of the request log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRow {
    /// Request id, unique and sortable by time.
    pub id: String,
    /// Trace id, the client's or ours.
    pub trace_id: String,
    /// Milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Id of the key; empty when the caller was not known.
    pub key: String,
    /// Name of the key.
    pub key_name: String,
    /// Id of the key's workspace; empty is the default one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub workspace: String,
    /// Provider's slug.
    pub provider: String,
    /// Vendor's model.
    pub model: String,
    /// Path, like `/v1/chat/completions`.
    pub endpoint: String,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// HTTP status sent.
    pub status: u16,
    /// How it ended: `ok`, `error`, `client_gone`, `upstream_cut`, `idle_timeout`, `budget_exceeded`, `recovered`, …
    pub outcome: String,
    /// Error sentence, if any.
    pub error: Option<String>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Of which from the vendor's cache.
    pub cached_input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Of which reasoning.
    pub reasoning_tokens: u64,
    /// True when tokens were counted here because the vendor reported none.
    pub estimated: bool,
    /// Cost in nano-dollars; `None` when the model has no price.
    pub cost_nano_usd: Option<i64>,
    /// Attempts made.
    pub attempts: u32,
    /// Microseconds from request to first byte of the answer.
    pub first_byte_us: Option<u64>,
    /// Microseconds from request to end.
    pub total_us: u64,
    /// Microseconds the gateway itself took before the upstream was asked.
    pub gateway_us: u64,
    /// Metadata of the request.
    pub metadata: BTreeMap<String, String>,
    /// Budgets that paid.
    pub budgets: Vec<String>,
    /// Which target of the config answered, as Portkey shows it: `config.targets[1]`.
    pub option_index: String,
    /// What was found in the cache, as Portkey says it; empty where the target has none.
    pub cache: String,
    /// What the answer from the cache cost when it was made, in nano-dollars.
    pub saved_nano_usd: i64,
    /// Every attempt, when there was more than one.
    pub tried: Vec<AttemptRow>,
    /// Why it went where it went, where there was something to decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Box<DecisionRow>>,
}

/// One attempt of a request, or a target that was passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptRow {
    /// Place of the target in the config.
    pub option_index: String,
    /// Provider's slug.
    pub provider: String,
    /// Vendor's model.
    pub model: String,
    /// Which retry of the target; 0 is the first attempt.
    pub retry: u32,
    /// Whether it began beside another one that was slow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hedged: bool,
    /// Whether it continued a stream that broke off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
    /// Whether the vendor was asked; else our own limits or budgets were in the way.
    pub asked: bool,
    /// HTTP status it came to.
    pub status: u16,
    /// How it ended, in the words of a row's outcome.
    pub outcome: String,
    /// Error sentence, if any.
    pub error: Option<String>,
    /// Cost in nano-dollars; `None` when the model has no price.
    pub cost_nano_usd: Option<i64>,
    /// Microseconds from the request's start to the attempt's.
    pub started_us: u64,
    /// Microseconds it took.
    pub took_us: u64,
}

/// Which rows to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// At most so many; 0 is all.
    pub limit: usize,
    /// Only of this key (id or name).
    pub key: Option<String>,
    /// Only of this trace or request.
    pub trace_id: Option<String>,
    /// Only with this status or above.
    pub min_status: Option<u16>,
    /// Only of this workspace.
    pub workspace: Option<String>,
}

/// What changed in the store since a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub seq: i64,
    /// What kind of record.
    pub kind: ChangeKind,
    /// Which one.
    pub id: String,
}

/// Kinds of records that change under a running gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// An API key.
    Key,
    /// A budget.
    Budget,
    /// A budget's spend was reset.
    Reset,
    /// A provider.
    Provider,
    /// The price overrides.
    Prices,
    /// A saved config.
    Config,
    /// An object of the Admin API; its id is `kind/id`.
    Object,
}

impl ChangeKind {
    /// Returns its stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Key => "key",
            ChangeKind::Budget => "budget",
            ChangeKind::Reset => "reset",
            ChangeKind::Provider => "provider",
            ChangeKind::Prices => "prices",
            ChangeKind::Config => "config",
            ChangeKind::Object => "object",
        }
    }

    /// Reads a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Key, Self::Budget, Self::Reset, Self::Provider, Self::Prices, Self::Config, Self::Object]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}
