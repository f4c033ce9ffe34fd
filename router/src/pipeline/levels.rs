//! Every level that has a say in an attempt: key, workspace, integration in the workspace, provider, policies.
//!
//! Their budgets and limits are asked together; all grant or all give back. A request without them pays nothing for
//! the levels that it does not have.

use std::sync::Arc;

use futures_util::future::{join, join_all};
use tidegate_store::{BudgetRecord, LimitRecord, ProviderRecord};

use super::admit::Refused;
use super::demand::Demand;
use super::refusals::limit_refusal;
use super::request::Caller;
use crate::actors::Unavailable;
use crate::actors::budget::BudgetHandle;
use crate::actors::permit::LimiterPermit;
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::governance::policy::Facts;

/// Limits that are neither the key's nor the provider's: id of their actor, whose they are, what they are.
struct Limits {
    id: String,
    whose: String,
    kind: ErrorKind,
    limits: Arc<Vec<LimitRecord>>,
}

/// A budget that rules declare.
enum Declared {
    /// It is awake, and under these terms.
    Awake(Arc<BudgetHandle>),
    /// Its id and its terms.
    Other(String, Arc<BudgetRecord>),
}

/// The levels of one attempt.
#[derive(Default)]
pub(super) struct Levels<'a> {
    /// Ids of budgets that the store knows: the key's and the provider's.
    stored: [Option<&'a str>; 2],
    declared: Vec<Declared>,
    of_request: Vec<Limits>,
    of_attempt: Vec<Limits>,
}

/// What limits let in.
#[derive(Default)]
pub(super) struct Permits {
    /// For the whole request.
    pub of_request: Vec<LimiterPermit>,
    /// For this attempt.
    pub of_attempt: Vec<LimiterPermit>,
}

/// Finds the levels of an attempt.
///
/// # Errors
/// 401 for a provider whose time is over, 403 for an archived workspace or an integration that was taken from it, 412
/// for a model that the integration does not offer.
pub(super) fn of<'a>(
    gateway: &Gateway,
    caller: &'a Caller,
    record: &'a ProviderRecord,
    demand: &Demand<'_>,
) -> Result<Levels<'a>, GatewayError> {
    let key = &caller.record;
    let stored = [key.budget.as_deref(), record.budget.as_deref()];
    let mut levels = Levels { stored, ..Levels::default() };
    if record.expires_at.is_some_and(|at| at <= clock::unix()) {
        let message = format!("provider {} expired", record.slug);
        return Err(GatewayError::new(ErrorKind::ProviderExpired, message));
    }
    let rules = gateway.objects.rules();
    let workspace = rules.workspace_id(key);
    if let Some(own) = rules.workspace(workspace) {
        if own.archived {
            let message = format!("workspace {} is archived", own.name);
            return Err(GatewayError::new(ErrorKind::Scope, message));
        }
        levels.declare_all(gateway, &own.budgets);
        levels.of_request.extend(own.limits.as_ref().map(|(id, limits)| Limits {
            id: id.clone(),
            whose: format!("workspace {}", own.name),
            kind: ErrorKind::WorkspaceRateLimit,
            limits: limits.clone(),
        }));
    }
    if let Some(integration) = record.integration.as_deref().and_then(|id| rules.integration(id, workspace)) {
        if !integration.enabled {
            let message = format!("provider {} is not available to this workspace", record.slug);
            return Err(GatewayError::new(ErrorKind::Scope, message));
        }
        if !demand.model.is_empty() && !integration.models.allows(demand.model) {
            let message = format!("Model {} is not allowed for this integration", demand.model);
            return Err(GatewayError::new(ErrorKind::Model, message).at("model"));
        }
        levels.declare_all(gateway, &integration.budgets);
        levels.of_attempt.extend(integration.limits.as_ref().map(|(id, limits)| Limits {
            id: id.clone(),
            whose: format!("the integration of provider {}", record.slug),
            kind: ErrorKind::IntegrationRateLimit,
            limits: limits.clone(),
        }));
    }
    if rules.has_policies() {
        let model = format!("@{}/{}", record.slug, demand.model);
        let facts = Facts {
            key: &key.id,
            metadata: &caller.metadata,
            slug: &record.slug,
            vendor: &record.vendor,
            config: caller.config.as_deref(),
            model: &model,
            endpoint: demand.endpoint.path(),
            workspace,
        };
        rules.each_usage(facts, |id, terms| levels.declare(gateway, id, terms));
        levels.of_attempt.extend(rules.rates(facts).map(|(id, policy)| Limits {
            whose: format!("rate limits policy {} and value key {}", policy.name, value_key(&id)),
            kind: ErrorKind::PolicyRateLimit,
            limits: policy.limits.clone(),
            id,
        }));
    }
    Ok(levels)
}

/// Returns the bucket's name in the id of a policy's bucket.
fn value_key(id: &str) -> &str {
    id.splitn(3, ':').nth(2).unwrap_or(id)
}

impl Levels<'_> {
    fn declare_all(&mut self, gateway: &Gateway, budgets: &[Arc<BudgetRecord>]) {
        for terms in budgets {
            self.declare(gateway, &terms.id, terms);
        }
    }

    fn declare(&mut self, gateway: &Gateway, id: &str, terms: &Arc<BudgetRecord>) {
        if self.declared.capacity() == 0 {
            // Few have more.
            self.declared.reserve_exact(16);
        }
        let awake = gateway.book.awake_budget(id).filter(|budget| budget.follows(terms));
        let other = || Declared::Other(id.to_owned(), terms.clone());
        self.declared.push(awake.map_or_else(other, Declared::Awake));
    }

    /// Finds the budgets' actors; asked once.
    ///
    /// # Errors
    /// 503 when one can't be had.
    pub(super) async fn budgets(
        &mut self,
        gateway: &Gateway,
    ) -> Result<Vec<Arc<BudgetHandle>>, GatewayError> {
        let mut found = Vec::with_capacity(self.stored.len() + self.declared.len());
        for id in self.stored.into_iter().flatten() {
            let budget = gateway.book.budget(id).await?.ok_or_else(|| {
                GatewayError::new(ErrorKind::Unavailable, format!("budget {id} is not to be found"))
            })?;
            found.push(budget);
        }
        for declared in self.declared.drain(..) {
            found.push(match declared {
                Declared::Awake(budget) => budget,
                Declared::Other(id, terms) => {
                    let budget = gateway.book.declared_budget(&id, &terms).await?;
                    budget.follow(&terms).await?;
                    budget
                }
            });
        }
        Ok(found)
    }

    /// Asks all limits at once; those of the whole request only where it was not let in `already`.
    ///
    /// # Errors
    /// The first refusal; then nothing stays taken.
    pub(super) async fn admit(
        &self,
        gateway: &Gateway,
        already: bool,
        tokens: u32,
    ) -> Result<Permits, Refused> {
        let of_request: &[Limits] = if already { &[] } else { &self.of_request };
        if of_request.is_empty() && self.of_attempt.is_empty() {
            return Ok(Permits::default());
        }
        let ask = |limits: &[Limits]| {
            let asked = limits.iter().map(|limits| {
                let limiter = gateway.book.limiter(&limits.id, &limits.limits);
                let terms = limits.limits.clone();
                async move { limiter.admit(&terms, tokens).await }
            });
            join_all(asked.collect::<Vec<_>>())
        };
        let (request, attempt) = join(ask(of_request), ask(&self.of_attempt)).await;
        let granted = |answers: Vec<Result<_, Unavailable>>, limits: &[Limits]| {
            let mut permits = Vec::with_capacity(answers.len());
            for (answer, limits) in answers.into_iter().zip(limits) {
                match answer.map_err(GatewayError::from)? {
                    Ok(permit) => permits.push(permit),
                    Err((refusal, views)) => {
                        let mut error = limit_refusal(&refusal, &limits.whose);
                        error.kind = limits.kind;
                        error.views = views;
                        return Err(error);
                    }
                }
            }
            Ok::<Vec<LimiterPermit>, GatewayError>(permits)
        };
        Ok(Permits {
            of_request: granted(request, of_request).map_err(Refused::request)?,
            of_attempt: granted(attempt, &self.of_attempt).map_err(Refused::target)?,
        })
    }
}
