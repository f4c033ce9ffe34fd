//! The request log.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decision::DecisionRow;

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
    pub outcome: Cow<'static, str>,
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
    pub budgets: Vec<Arc<str>>,
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
    pub outcome: Cow<'static, str>,
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
