//! The walk over a plan: conditions, chance and fallback choose targets; each target is tried as often as its retries
//! say. Nothing here happens after the commit point: an answer that began is returned, whatever becomes of it.
//!
//! The key lets the whole request in once; every attempt takes holds and a provider permit of its own and settles them
//! when it ends, so a dearer target is paid for like any other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tidegate_config::{Condition, Facts, Plan, PluginCondition, Target};
use tidegate_providers::Fields;
use tidegate_store::KeyStatus;

use super::admit::limit_refusal;
use super::cache::{Looked, Seen};
use super::docket::{Docket, Slot};
use super::encode::Payload;
use super::form::Form;
use super::guard::{Early, Guards, HookResults, Scene};
use super::outlook::View;
use super::request::{Answer, Body, Caller, Request};
use super::resolve::{Route, resolve};
use super::shape::{self, Shape};
use super::{conditions, params};
use crate::clock;
use crate::error::{ErrorKind, GatewayError, Walked};
use crate::gateway::Gateway;
use crate::limits::Refusal;
use crate::plugins::PLUGIN_CALL;
use crate::routing::conditional::{self, Choice};
use crate::routing::fallback::Reach;
use crate::routing::retry::{Next, Retries};
use crate::routing::{Step, Verdict, Walk, retry_after};
use crate::upstream::Client;

/// Cache status of a target without a cache.
const DISABLED: &str = "DISABLED";

/// What was asked, before any target changed it.
pub(super) enum Asked<'a> {
    /// JSON members.
    Json(Fields<'a>),
    /// A multipart form.
    Form(Form<'a>),
}

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

/// One request on its way.
pub(super) struct Trip<'a> {
    /// The gateway.
    pub gateway: &'a Arc<Gateway>,
    /// The worker's client.
    pub client: &'a Client,
    /// Who calls.
    pub caller: &'a Caller,
    /// What came in.
    pub request: &'a Request,
    /// What was asked.
    pub asked: &'a Asked<'a>,
    /// Path asked for, like `/v1/chat/completions`.
    pub pathname: String,
}

/// What a target came to.
struct Tried {
    result: Result<Answer, Failure>,
    verdict: Verdict,
    retries: i32,
    provider: Option<&'static str>,
    /// What was found in the cache; `None` where nobody looked, because guards denied the request.
    cache: Option<&'static str>,
}

impl Trip<'_> {
    /// Walks a plan. When this returns, the request is settled and logged, or its answer streams.
    ///
    /// # Errors
    /// The last target's error.
    pub(super) async fn walk(&self, plan: &Plan, docket: Docket) -> Result<Answer, GatewayError> {
        let slot = Slot::new(docket);
        let result = self.tour(plan, &slot).await;
        if let Some(mut docket) = slot.take() {
            if let Err(error) = &result {
                docket.conclude(error.status(), error.outcome(), Some(error.message.clone()));
            }
            docket.close();
        }
        result
    }

    async fn tour(&self, plan: &Plan, slot: &Slot) -> Result<Answer, GatewayError> {
        let mut walk = Walk::new(plan.root());
        let view = View::new(self, plan);
        loop {
            let target = match walk.step(&view, &mut draw) {
                Step::Target(target) => target,
                Step::Choose { conditions, default } => {
                    walk.take(self.decide(conditions, default).await?);
                    continue;
                }
            };
            let tried = self.target(target, slot, &view).await;
            if walk.fall(&tried.verdict, &view, &mut draw) {
                drop(tried);
                slot.carry_on();
                continue;
            }
            return tried.into_result(target);
        }
    }

    /// Decides a conditional, asking plugins only where the rest leaves it open.
    async fn decide(&self, conditions: &[Condition], default: Option<usize>) -> Result<usize, GatewayError> {
        let mut from = 0;
        loop {
            let at = match conditional::choose(conditions, default, from, self) {
                Choice::Child(child) => return Ok(child),
                Choice::Nothing => {
                    let message = "Query router did not resolve to any valid target";
                    return Err(GatewayError::new(ErrorKind::Invalid, message).at("x-portkey-config"));
                }
                Choice::Ask(at) => at,
            };
            let Some(condition) = conditions.get(at) else { continue };
            let mut answers = Vec::new();
            for plugin in condition.query.plugin_conditions() {
                answers.push(self.plugin_decides(plugin).await?);
            }
            if condition.query.evaluate(self, &answers) {
                return Ok(condition.then);
            }
            from = at + 1;
        }
    }

    async fn plugin_decides(&self, condition: &PluginCondition) -> Result<bool, GatewayError> {
        let (body, shape) = match self.asked {
            Asked::Json(fields) => {
                let shape = shape::of_json(self.request.endpoint, fields)?;
                (serde_json::from_slice::<Value>(&fields.to_vec()).ok(), shape)
            }
            Asked::Form(form) => (None, shape::of_form(self.request.endpoint, form)?),
        };
        let model = shape.model.clone().unwrap_or_default();
        let scene = self.scene(&shape, model, None);
        conditions::matches(self.gateway, condition, &scene, body.as_ref()).await
    }

    /// Returns what plugins may be shown.
    fn scene(&self, shape: &Shape, model: String, provider: Option<String>) -> Scene {
        Scene {
            endpoint: self.request.endpoint,
            model,
            provider,
            metadata: self.caller.metadata.clone(),
            user: shape.user.clone(),
            stream: shape.stream,
            headers: self.request.plain_headers.clone(),
        }
    }

    /// Tries a target until it answers or its retries are used up.
    async fn target(&self, target: &Target, slot: &Slot, view: &View<'_>) -> Tried {
        let (fields, form, again);
        let (payload, read) = match self.asked {
            Asked::Json(body) => {
                fields = params::applied(target, body);
                (Payload::Json(&fields), shape::of_json(self.request.endpoint, &fields))
            }
            Asked::Form(body) => {
                form = body;
                (Payload::Form(form), shape::of_form(self.request.endpoint, form))
            }
        };
        let record = self.caller.key.record();
        let resolved = read.and_then(|shape| {
            let model = match self.asked {
                // A form's other members are sent as they came; its model may be overridden.
                Asked::Form(_) => {
                    let overriding = target.override_params.get("model").and_then(Value::as_str);
                    overriding.or(shape.model.as_deref())
                }
                Asked::Json(_) => shape.model.as_deref(),
            };
            let route = resolve(self.gateway, &record, self.request, target, model)?;
            Ok((shape, route))
        });
        let (mut shape, route) = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return Tried::refused(error),
        };
        let provider = Some(route.provider.vendor().slug());
        if let Some(wait) = route.provider.health().shut_for(clock::uptime())
            && !self.is_refused()
            // What is kept can be had while the vendor is out.
            && target.cache.is_none()
        {
            // Before guards work for nothing. The breaker itself is asked again when an attempt begins.
            let whose = format!("provider {}", route.provider.record().slug);
            return Tried::denied(limit_refusal(&Refusal::Open { wait }, &whose), provider);
        }
        // Before anything is estimated: what guards make of the request is what is sent and paid.
        let (guards, results, changed) = match self.guarded(target, &route, &shape, &payload).await {
            Ok(guarded) => guarded,
            Err(error) => return Tried::denied(error, provider),
        };
        let reread = match &changed {
            Some(changed) => self.reread(changed),
            None => Ok(None),
        };
        let payload = match reread {
            Ok(Some((reread, anew))) => {
                again = reread;
                shape = anew;
                again.payload()
            }
            Ok(None) => payload,
            Err(error) => return Tried::refused(error),
        };
        let early = match (&guards, &payload) {
            (Some(guards), Payload::Json(fields)) if guards.speculates() => {
                let body = fields.to_vec();
                let judging = async move { Ok(guards.before(&body).await?.0) };
                Early::Running(judging.boxed_local().shared())
            }
            _ => Early::Ready(results),
        };
        let mut watch = None;
        if let Some(cache) = &target.cache {
            let guards = guards.as_ref();
            let seen = Seen { target, route: &route, shape: &shape, payload: &payload, guards };
            // Boxed: most requests have no cache and should not carry its state.
            match Box::pin(self.cached(cache, &seen, &early, slot)).await {
                Looked::Off => {}
                Looked::Hit(result, status) => return Tried::found(*result, provider, status),
                Looked::Watch(watching) => watch = Some(watching),
            }
        }
        let mut retries = Retries::new(target.retry.as_deref());
        let slug = &route.provider.record().slug;
        if target.retry.is_some() {
            self.gateway.retries.pay(slug, clock::uptime());
        }
        slot.enter(view.take_entry());
        let (result, verdict, retries) = loop {
            let judged = (guards.as_ref(), early.clone());
            let attempt = super::run(self, &route, &payload, &shape, (slot, retries.made()), judged);
            // Boxed: an attempt's future is large, and a walk may wait between two of them.
            let result = Box::pin(attempt).await;
            let verdict = match &result {
                Ok(answer) => Verdict { status: answer.status, reach: Reach::Answer },
                Err(failure) => Verdict { status: failure.error.status(), reach: failure.reach },
            };
            let wait = result.as_ref().err().and_then(|failure| vendor_wait(&failure.error));
            match retries.next(&verdict, wait, self.request.started.elapsed(), draw()) {
                Next::Stop { count } => break (result, verdict, count),
                Next::Again(_)
                    if !view.may_retry(&route) || !self.gateway.retries.take(slug, clock::uptime()) =>
                {
                    // The provider is down for many: another try would only add to its load.
                    break (result, verdict, -1);
                }
                Next::Again(wait) => {
                    drop(result);
                    slot.carry_on();
                    if !wait.is_zero() {
                        tokio::time::sleep(wait).await;
                    }
                    slot.enter(view.enter_again());
                }
            }
        };
        let (result, cache) = match watch {
            Some(watch) => {
                let status = watch.word();
                (watch.keep(result).await, status)
            }
            None => (result, DISABLED),
        };
        Tried { result, verdict, retries, provider, cache: Some(cache) }
    }
}

/// A body that guards changed.
type Changed = Vec<u8>;

impl Trip<'_> {
    /// Binds the hooks around a target and lets those before the request judge it. Returns the body if it became
    /// another.
    async fn guarded(
        &self,
        target: &Target,
        route: &Route,
        shape: &Shape,
        payload: &Payload<'_>,
    ) -> Result<(Option<Guards>, HookResults, Option<Changed>), GatewayError> {
        // A guard's own calls of models are not judged by guards: that would never end. A key that admission is sure to
        // refuse makes no guard work.
        if target.hooks.is_empty() || self.is_refused() || self.request.headers.contains_key(PLUGIN_CALL) {
            return Ok((None, HookResults::default(), None));
        }
        let scene = self.scene(shape, route.model.clone(), Some(route.provider.record().slug.clone()));
        let guards = Guards::bind(self.gateway, &target.hooks, scene).await?;
        let (results, changed) = match payload {
            // They judge while the vendor is asked.
            Payload::Json(_) if guards.speculates() => (HookResults::default(), None),
            Payload::Json(fields) => {
                let (results, changed) = guards.before(&fields.to_vec()).await?;
                (results, changed.map(String::into_bytes))
            }
            Payload::Form(form) => {
                let (results, changes) = guards.before_form(&form.texts()).await?;
                (results, (!changes.is_empty()).then(|| form.with_texts(&changes)))
            }
        };
        Ok((Some(guards), results, changed))
    }

    /// Returns whether admission is sure to refuse the key.
    fn is_refused(&self) -> bool {
        let key = self.caller.key.record();
        key.status != KeyStatus::Active
            || key.expires_at.is_some_and(|at| at <= clock::unix())
            || !key.scopes.iter().any(|scope| scope == super::SCOPE)
    }

    /// Reads a body that guards changed.
    fn reread<'b>(&'b self, changed: &'b [u8]) -> Result<Option<(Asked<'b>, Shape)>, GatewayError> {
        let endpoint = self.request.endpoint;
        Ok(Some(match &self.request.body {
            Body::Json(_) => {
                let fields = Fields::parse(changed).map_err(|error| {
                    GatewayError::new(
                        ErrorKind::Invalid,
                        format!("a guardrail wrote no JSON object: {error}"),
                    )
                })?;
                let shape = shape::of_json(endpoint, &fields)?;
                (Asked::Json(fields), shape)
            }
            Body::Form { content_type, .. } => {
                let form = Form::parse(content_type, changed)?;
                let shape = shape::of_form(endpoint, &form)?;
                (Asked::Form(form), shape)
            }
        }))
    }
}

impl Asked<'_> {
    fn payload(&self) -> Payload<'_> {
        match self {
            Asked::Json(fields) => Payload::Json(fields),
            Asked::Form(form) => Payload::Form(form),
        }
    }
}

impl Tried {
    /// A target whose guards refused the request: its answer, as far as strategies care.
    fn denied(error: GatewayError, provider: Option<&'static str>) -> Self {
        let failure = Failure::upstream(error);
        let verdict = Verdict { status: failure.error.status(), reach: failure.reach };
        Self { result: Err(failure), verdict, retries: 0, provider, cache: None }
    }

    /// A target that was answered for by the cache.
    fn found(result: Result<Answer, Failure>, provider: Option<&'static str>, cache: &'static str) -> Self {
        let verdict = match &result {
            Ok(answer) => Verdict { status: answer.status, reach: Reach::Answer },
            Err(failure) => Verdict { status: failure.error.status(), reach: failure.reach },
        };
        Self { result, verdict, retries: 0, provider, cache: Some(cache) }
    }

    /// A target that can't be tried because of what the config or the request say.
    fn refused(error: GatewayError) -> Self {
        let verdict = Verdict { status: error.status(), reach: Reach::Request };
        Self { result: Err(Failure::request(error)), verdict, retries: 0, provider: None, cache: None }
    }

    fn into_result(self, target: &Target) -> Result<Answer, GatewayError> {
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
                        option_index: target.path.clone(),
                        retries: self.retries,
                        cache: (!is_denial_before(&error)).then(|| self.cache.unwrap_or(DISABLED)),
                    }));
                }
                Err(error)
            }
        }
    }
}

impl Facts for Trip<'_> {
    fn metadata(&self, key: &str) -> Option<Value> {
        let value = self.caller.metadata.get(key)?;
        // Metadata is kept as text; a condition may ask for the number or the boolean that was sent.
        let sent = self.request.headers.get("x-portkey-metadata").and_then(|sent| sent.to_str().ok());
        let sent = sent.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let typed = sent.and_then(|sent| sent.get(key).cloned()).filter(|typed| match typed {
            Value::String(text) => text == value,
            other => &other.to_string() == value,
        });
        Some(typed.unwrap_or_else(|| Value::String(value.clone())))
    }

    fn param(&self, name: &str) -> Option<Value> {
        match self.asked {
            Asked::Json(fields) => serde_json::from_str(fields.raw(name)?).ok(),
            // Portkey sees no parameters in a form either.
            Asked::Form(_) => None,
        }
    }

    fn pathname(&self) -> &str {
        &self.pathname
    }
}

/// Returns whether guards denied the request before there was an answer, as they may while the vendor is asked.
fn is_denial_before(error: &GatewayError) -> bool {
    let after = error.hook_results.as_ref().and_then(|results| results.get("after_request_hooks"));
    error.kind == ErrorKind::Guardrail && after.and_then(Value::as_array).is_none_or(Vec::is_empty)
}

/// Returns how long the vendor asks to wait.
fn vendor_wait(error: &GatewayError) -> Option<Duration> {
    let headers = &error.upstream.as_ref()?.headers;
    let header = |wanted: &str| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    retry_after::wait(header, clock::unix())
}

/// Draws a number from 0 up to 1.
fn draw() -> f64 {
    // 48 bits of a random UUID that its version does not fix.
    let bits = uuid::Uuid::new_v4().as_u64_pair().0 >> 16;
    #[expect(clippy::cast_precision_loss, reason = "48 bits fit a double exactly")]
    let draw = bits as f64;
    draw / 281_474_976_710_656.0
}
