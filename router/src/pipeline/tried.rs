//! What an attempt, a target, or a strategy over some, came to.

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
            ErrorKind::Invalid | ErrorKind::RateLimit | ErrorKind::Budget => Reach::Target,
            _ => Reach::Request,
        };
        Self { error: Box::new(error), reach }
    }
}

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
        Self { result: Err(failure), verdict, retries: 0, provider, path, rest: None }
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
                    }));
                }
                Err(error)
            }
        }
    }
}
