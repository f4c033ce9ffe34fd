//! What a caller is told when a request fails. One table maps each kind to status, type, code and envelope.

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use tidegate_providers::{ErrorBody, InvalidCall, UpstreamError};

use crate::actors::Unavailable;
use crate::limits::RateView;

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The body, a header or a parameter is wrong.
    Invalid,
    /// Configs in headers are switched off.
    InlineConfig,
    /// Vendors in headers, with the client's own credentials, are switched off.
    InlineProvider,
    /// Custom hosts in headers are switched off.
    InlineHost,
    /// The provider does not offer the endpoint.
    Unsupported,
    /// No such path or object.
    NotFound,
    /// The path exists, not with this method.
    Method,
    /// Something else stands against it.
    Conflict,
    /// No key was sent, or nobody knows it.
    Key,
    /// The key's time is over.
    KeyExpired,
    /// The key may not do this.
    Scope,
    /// The key may not use this model.
    Model,
    /// The model has no price and the key has a budget.
    Unpriced,
    /// The key's budget is used up.
    Budget,
    /// The workspace's is.
    WorkspaceBudget,
    /// The integration's in this workspace is.
    IntegrationBudget,
    /// The provider's is.
    ProviderBudget,
    /// That of a usage limits policy is.
    PolicyBudget,
    /// A rate or concurrency limit of the key or the provider is reached.
    RateLimit,
    /// One of the workspace is.
    WorkspaceRateLimit,
    /// One of the integration in this workspace is.
    IntegrationRateLimit,
    /// One of a rate limits policy is.
    PolicyRateLimit,
    /// One of the provider is.
    ProviderRateLimit,
    /// The provider's time is over.
    ProviderExpired,
    /// The body is too large.
    TooLarge,
    /// The client took too long to send its body.
    SlowBody,
    /// The vendor did not answer in time.
    UpstreamTimeout,
    /// The vendor can't be reached or broke off.
    UpstreamUnreachable,
    /// The vendor answered an error.
    Upstream,
    /// A guardrail forbids the request or its answer.
    Guardrail,
    /// The provider failed too often of late; it is left alone for a while.
    CircuitOpen,
    /// A limit or store can't be asked; fail closed.
    Unavailable,
    /// A mistake of ours.
    Bug,
}

/// Status, OpenAI type, Portkey code, and whether Portkey's `status: failure` members are added.
struct Face {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    failure: bool,
}

impl ErrorKind {
    fn face(self) -> Face {
        let face = |status, kind, code, failure| Face { status, kind, code, failure };
        match self {
            ErrorKind::Invalid => face(400, "invalid_request_error", None, true),
            // Portkey's codes, which its clients match on.
            ErrorKind::InlineConfig => {
                face(400, "invalid_request_error", Some("inline_config_blocked"), true)
            }
            ErrorKind::InlineProvider => {
                face(400, "invalid_request_error", Some("inline_provider_blocked"), true)
            }
            ErrorKind::InlineHost => {
                face(400, "invalid_request_error", Some("inline_custom_host_blocked"), true)
            }
            ErrorKind::Unsupported => face(400, "invalid_request_error", Some("unsupported_endpoint"), true),
            ErrorKind::NotFound => face(404, "invalid_request_error", Some("not_found"), true),
            ErrorKind::Method => face(405, "invalid_request_error", Some("method_not_allowed"), true),
            ErrorKind::Conflict => face(409, "invalid_request_error", Some("conflict"), true),
            ErrorKind::Key => face(401, "authentication_error", Some("03"), true),
            ErrorKind::KeyExpired => face(401, "authentication_error", Some("01"), true),
            ErrorKind::Scope => face(403, "permission_error", Some("033"), true),
            ErrorKind::Model => face(412, "model_not_allowed_error", None, false),
            ErrorKind::Unpriced => face(412, "model_unpriced_error", None, false),
            ErrorKind::Budget => face(412, "budget_exceeded", Some("04"), true),
            // Portkey's types, which its clients match on.
            ErrorKind::WorkspaceBudget => face(412, "workspace_exhaust_error", Some("04"), true),
            ErrorKind::IntegrationBudget => face(412, "integration_exhaust_error", Some("04"), true),
            ErrorKind::ProviderBudget => face(412, "virtual_key_exhaust_error", Some("04"), true),
            ErrorKind::PolicyBudget => face(412, "usage_limits_policy_exhaust_error", Some("06"), true),
            ErrorKind::RateLimit => face(429, "rate_limit_error", Some("05"), true),
            ErrorKind::WorkspaceRateLimit => face(429, "workspace_rate_limit_error", Some("05"), true),
            ErrorKind::IntegrationRateLimit => face(429, "integration_rate_limit_error", Some("05"), true),
            ErrorKind::PolicyRateLimit => face(429, "rate_limits_policy_exhaust_error", Some("05"), true),
            ErrorKind::ProviderRateLimit => face(429, "virtual_key_rate_limit_error", Some("05"), true),
            ErrorKind::ProviderExpired => face(401, "virtual_key_expired_error", Some("01"), true),
            ErrorKind::TooLarge => face(413, "invalid_request_error", Some("payload_too_large"), true),
            ErrorKind::SlowBody => face(408, "invalid_request_error", Some("request_timeout"), true),
            ErrorKind::UpstreamTimeout => face(408, "timeout_error", None, false),
            ErrorKind::UpstreamUnreachable => {
                face(502, "upstream_error", Some("upstream_unreachable"), false)
            }
            ErrorKind::Upstream => face(502, "upstream_error", None, false),
            // Portkey's own status, beside `hook_results`.
            ErrorKind::Guardrail => face(446, "hooks_failed", None, false),
            ErrorKind::CircuitOpen => face(503, "service_unavailable_error", Some("circuit_open"), true),
            ErrorKind::Unavailable => face(503, "service_unavailable_error", None, true),
            ErrorKind::Bug => face(500, "internal_error", None, true),
        }
    }
}

/// A request failed.
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct GatewayError {
    /// What kind.
    pub kind: ErrorKind,
    /// A sentence for the end user.
    pub message: String,
    /// Member or header at fault.
    pub param: Option<String>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// The key's limits, for headers.
    pub views: Vec<RateView>,
    /// The vendor's own error.
    pub upstream: Option<Box<UpstreamFailure>>,
    /// What guardrails said, shown beside the error.
    pub hook_results: Option<Box<Value>>,
    /// The target that was tried last, where one was.
    pub walked: Option<Box<Walked>>,
    /// Portkey's own words for it, beside ours.
    pub failure: Option<Box<FailureWords>>,
}

/// What Portkey says of a config that it refuses: its clients match on these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureWords {
    /// Its sentence.
    pub message: String,
    /// Its list of `path: a,b, message: …`.
    pub errors: Vec<String>,
}

/// Which target a failed request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Vendor's Portkey name.
    pub provider: Option<&'static str>,
    /// Place of the target in the config.
    pub option_index: String,
    /// Retries made; -1 when they were used up or the vendor's wait was too long.
    pub retries: i32,
    /// What was found in the cache; `None` where nobody looked.
    pub cache: Option<&'static str>,
}

/// A vendor's error answer.
#[derive(Clone, Debug)]
pub struct UpstreamFailure {
    /// What it says.
    pub error: UpstreamError,
    /// Vendor's Portkey name.
    pub provider: &'static str,
    /// The body, when the client speaks the vendor's own dialect and gets it untouched.
    pub verbatim: Option<bytes::Bytes>,
    /// What the body is, when it is passed on as it came whatever it is: the gateway does not model the path.
    pub content_type: Option<String>,
    /// Headers worth passing on: `retry-after`, rate limits, request ids.
    pub headers: Vec<(String, String)>,
}

impl GatewayError {
    /// Makes an error.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            retry_after: None,
            views: Vec::new(),
            upstream: None,
            hook_results: None,
            walked: None,
            failure: None,
        }
    }

    /// Names the member or header at fault.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says it in Portkey's words, too: its clients match on them.
    #[must_use]
    pub fn said_as(mut self, message: impl Into<String>) -> Self {
        self.failure = Some(Box::new(FailureWords { message: message.into(), errors: Vec::new() }));
        self
    }

    /// Makes the error of a vendor's error.
    #[must_use]
    pub fn upstream(failure: UpstreamFailure) -> Self {
        let mut error = Self::new(ErrorKind::Upstream, failure.error.message.clone());
        error.upstream = Some(Box::new(failure));
        error
    }

    /// Returns the HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match &self.upstream {
            // A vendor's odd status (2xx or 3xx with an error) must not look like success.
            Some(failure) if (400..600).contains(&failure.error.status) => failure.error.status,
            Some(_) => 502,
            None => self.kind.face().status,
        }
    }

    /// Returns whether Portkey's `status` and `message` members stand beside `error`.
    #[must_use]
    pub fn is_failure_shape(&self) -> bool {
        self.upstream.is_none() && self.kind.face().failure
    }

    /// Returns what a dialect's encoder shows.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        if let Some(failure) = &self.upstream {
            return ErrorBody {
                status: self.status(),
                message: failure.error.message.clone(),
                kind: failure.error.kind.clone().unwrap_or_else(|| "upstream_error".to_owned()),
                param: failure.error.param.clone(),
                // OpenAI's SDKs type it as text.
                code: failure.error.code.as_ref().map(|code| match code {
                    Value::Number(number) => number.to_string().into(),
                    other => other.clone(),
                }),
                provider: Some(failure.provider.to_owned()),
            };
        }
        let face = self.kind.face();
        ErrorBody {
            status: face.status,
            message: self.message.clone(),
            kind: face.kind.to_owned(),
            param: self.param.clone().map(Value::from),
            code: face.code.map(Value::from),
            provider: None,
        }
    }

    /// Returns the word for it in the request log.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self.kind {
            ErrorKind::Budget
            | ErrorKind::WorkspaceBudget
            | ErrorKind::IntegrationBudget
            | ErrorKind::ProviderBudget
            | ErrorKind::PolicyBudget => "budget_exceeded",
            ErrorKind::RateLimit
            | ErrorKind::WorkspaceRateLimit
            | ErrorKind::IntegrationRateLimit
            | ErrorKind::PolicyRateLimit
            | ErrorKind::ProviderRateLimit => "rate_limited",
            ErrorKind::UpstreamTimeout => "upstream_timeout",
            ErrorKind::UpstreamUnreachable => "upstream_unreachable",
            ErrorKind::Upstream => "upstream_error",
            ErrorKind::CircuitOpen => "circuit_open",
            ErrorKind::Bug => "bug",
            ErrorKind::Guardrail => "guardrail_denied",
            _ => "refused",
        }
    }
}

impl From<InvalidCall> for GatewayError {
    fn from(invalid: InvalidCall) -> Self {
        Self { param: invalid.param, ..Self::new(ErrorKind::Invalid, invalid.message) }
    }
}

impl From<Unavailable> for GatewayError {
    fn from(unavailable: Unavailable) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(ErrorKind::Unavailable, format!("{unavailable}; try again"))
        }
    }
}

impl From<tidegate_store::StoreError> for GatewayError {
    fn from(error: tidegate_store::StoreError) -> Self {
        if let tidegate_store::StoreError::Exists(_) = &error {
            return Self::new(ErrorKind::Conflict, error.to_string());
        }
        tracing::error!(%error, "the store could not be read for a request");
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(ErrorKind::Unavailable, "the gateway's store can't be read; try again")
        }
    }
}
