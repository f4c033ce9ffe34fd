//! What an attempt, a target, or a strategy over some, came to.

use serde_json::Value;
use tidegate_config::Node;

use super::request::Answer;
use crate::error::{ErrorKind, GatewayError, Walked};
use crate::routing::Verdict;
use crate::routing::fallback::Reach;

/// A failed attempt and how far its trouble reaches.
pub(super) struct Failure {
    /// What the caller is told.
    pub error: Box<GatewayError>,
    /// How far it reaches.
    pub reach: Reach,
}

impl Failure {
    /// The whole request is refused.
    pub(super) fn request(error: GatewayError) -> Self {
        Self { error: Box::new(error), reach: Reach::Request }
    }

    /// The vendor failed, or so it seemed.
    pub(super) fn upstream(error: GatewayError) -> Self {
        let reach = match error.kind {
            ErrorKind::Upstream | ErrorKind::UpstreamTimeout | ErrorKind::Guardrail => Reach::Answer,
            ErrorKind::UpstreamUnreachable => Reach::Network,
            ErrorKind::CircuitOpen => Reach::Shut,
            ErrorKind::Invalid
            | ErrorKind::RateLimit
            | ErrorKind::ProviderRateLimit
            | ErrorKind::Budget
            | ErrorKind::IntegrationBudget
            | ErrorKind::ProviderBudget
            | ErrorKind::PolicyBudget => Reach::Target,
            _ => Reach::Request,
        };
        Self { error: Box::new(error), reach }
    }
}

/// Cache status of a target without a cache.
pub(super) const DISABLED: &str = "DISABLED";

/// What a target, or a strategy over some, came to.
pub(super) struct Tried<'p> {
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// The same as strategies see it.
    pub verdict: Verdict,
    pub(super) retries: i32,
    pub(super) provider: Option<&'static str>,
    /// Place of the target in the config.
    pub(super) path: &'p str,
    /// What was found in the cache; `None` where nobody looked, because guards denied the request.
    pub(super) cache: Option<&'static str>,
    /// Who may continue its stream.
    pub rest: Option<Rest<'p>>,
}

/// Children of a fallback that were not tried.
#[derive(Clone, Copy)]
pub(super) struct Rest<'p> {
    /// The fallback.
    pub node: &'p Node,
    /// The first of them.
    pub next: usize,
}

impl<'p> Tried<'p> {
    fn failed(failure: Failure, provider: Option<&'static str>, path: &'p str) -> Self {
        let verdict = Verdict { status: failure.error.status(), reach: failure.reach };
        Self { result: Err(failure), verdict, retries: 0, provider, path, cache: None, rest: None }
    }

    /// A target that was answered for by the cache.
    pub(super) fn found(
        result: Result<Answer, Failure>,
        provider: Option<&'static str>,
        cache: &'static str,
        path: &'p str,
    ) -> Self {
        match result {
            Ok(answer) => {
                let verdict = Verdict { status: answer.status, reach: Reach::Answer };
                Self {
                    result: Ok(answer),
                    verdict,
                    retries: 0,
                    provider,
                    path,
                    cache: Some(cache),
                    rest: None,
                }
            }
            Err(failure) => Self { cache: Some(cache), ..Self::failed(failure, provider, path) },
        }
    }

    /// A target whose guards refused the request: its answer, as far as strategies care.
    pub(super) fn denied(error: GatewayError, provider: Option<&'static str>, path: &'p str) -> Self {
        Self::failed(Failure::upstream(error), provider, path)
    }

    /// A target that is not asked a second time for the same, to spare it.
    pub(super) fn spared(error: GatewayError, provider: Option<&'static str>, path: &'p str) -> Self {
        Self::failed(Failure { error: Box::new(error), reach: Reach::Target }, provider, path)
    }

    /// A target that can't be tried because of what the config or the request say.
    pub(super) fn refused(error: GatewayError, path: &'p str) -> Self {
        Self::failed(Failure::request(error), None, path)
    }

    pub(super) fn into_result(self) -> Result<Answer, GatewayError> {
        match self.result {
            Ok(mut answer) => {
                answer.about.retries = self.retries;
                Ok(answer)
            }
            Err(failure) => {
                let mut error = *failure.error;
                if failure.reach != Reach::Request {
                    error.walked = Some(Box::new(Walked {
                        provider: self.provider,
                        option_index: self.path.to_owned(),
                        retries: self.retries,
                        cache: (!is_denial_before(&error)).then(|| self.cache.unwrap_or(DISABLED)),
                    }));
                }
                Err(error)
            }
        }
    }
}

/// Returns whether guards denied the request before there was an answer, as they may while the vendor is asked.
fn is_denial_before(error: &GatewayError) -> bool {
    let after = error.hook_results.as_ref().and_then(|results| results.get("after_request_hooks"));
    error.kind == ErrorKind::Guardrail && after.and_then(Value::as_array).is_none_or(Vec::is_empty)
}
