//! The walk over a plan: conditions, chance and fallback choose targets; each target is tried as often as its retries
//! say. Nothing here happens after the commit point: an answer that began is returned, whatever becomes of it.
//!
//! The key lets the whole request in once; every attempt takes holds and a provider permit of its own and settles them
//! when it ends, so a dearer target is paid for like any other.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tidegate_config::{Facts, Node, Plan, Target};
use tidegate_providers::Fields;
use tidegate_store::KeyStatus;

use super::cache::{Looked, Seen};
use super::docket::Docket;
use super::encode::Payload;
use super::form::Form;
use super::guard::{Early, Guards, HookResults, Scene, judged};
use super::outlook::View;
use super::prefix::Prefix;
use super::proxy::RawBody;
use super::refusals::limit_refusal;
use super::request::{Answer, Body, Caller, Request};
use super::resolve::{Route, header, resolve};
use super::run::run;
use super::shape::{self, Shape};
use super::tried::{DISABLED, Rest, Tried};
use super::{params, proxy};
use crate::boxed::boxed;
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::limits::Refusal;
use crate::plugins::PLUGIN_CALL;
use crate::routing::fallback::Reach;
use crate::routing::retry::{Next, Retries};
use crate::routing::{Step, Verdict, Walk, retry_after};
use crate::upstream::Client;

/// What was asked, before any target changed it.
pub(super) enum Asked<'a> {
    /// JSON members.
    Json(Fields<'a>),
    /// A multipart form.
    Form(Form<'a>),
    /// Anything else, passed on unread.
    Raw(RawBody),
}

impl<'a> Asked<'a> {
    /// Returns the members of JSON.
    pub(super) fn fields(&self) -> Option<&Fields<'a>> {
        match self {
            Self::Json(fields) => Some(fields),
            Self::Form(_) | Self::Raw(_) => None,
        }
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
    /// Its plan.
    pub plan: &'a Plan,
    /// The model that the body names, where it was read before.
    pub model: Option<String>,
    /// Path asked for, like `/v1/chat/completions`.
    pub pathname: Cow<'static, str>,
    /// The answer that is to be continued.
    pub prefix: Option<&'a Prefix>,
}

impl Trip<'_> {
    /// Walks a plan. When this returns, the request is over, or its answer streams; then the place of the fallback
    /// whose next child may continue it, and that child, come with it.
    ///
    /// # Errors
    /// The last target's error.
    pub(super) async fn walk(
        &self,
        docket: &Docket,
    ) -> Result<(Answer, Option<(String, usize)>), GatewayError> {
        let tried = self.tour(self.plan.root(), docket).await;
        let rest = tried.rest.as_ref().and_then(Rest::place);
        let result = tried.into_result().map(|answer| (answer, rest));
        if let Err(error) = &result {
            docket.conclude(error.status(), error.outcome(), Some(error.message.clone()));
        }
        docket.walked();
        result
    }

    /// Walks from a node down, until a target answers or nothing is left to try.
    pub(super) async fn tour<'p>(&self, root: &'p Node, docket: &Docket) -> Tried<'p> {
        let mut walk = Walk::new(root);
        let view = View::new(self, self.plan);
        loop {
            let step = walk.step(&view, &mut draw);
            docket.chose(walk.made());
            let mut tried = match step {
                Step::Target(target) => match walk.continues() {
                    Some(_) => self.target(target, &docket.continuable(), &view).await,
                    None => self.target(target, docket, &view).await,
                },
                Step::Race(contest) => Box::pin(self.race(contest, docket)).await,
                Step::Choose { conditions, default, .. } => match self.decide(conditions, default).await {
                    Ok(decided) => {
                        walk.take(decided.child, "conditional", decided.why(conditions, self));
                        continue;
                    }
                    Err(error) => return Tried::refused(error, ""),
                },
            };
            let rest = walk.continues().map(|(node, next)| Rest { node, next });
            let falls = walk.fall(&tried.verdict, &view, &mut draw);
            docket.chose(walk.made());
            if falls {
                drop(tried);
                docket.carry_on();
                continue;
            }
            tried.rest = tried.rest.or(rest);
            return tried;
        }
    }

    /// Returns the model of a path that the gateway doesn't model, where its body names none.
    fn model_beside(&self, target: &Target) -> Option<String> {
        let proxy = self.request.proxy.as_ref()?;
        let overriding = target.override_params.get("model").and_then(Value::as_str).map(str::to_owned);
        overriding.or_else(|| proxy.query_model())
    }

    /// Returns what plugins may be shown.
    pub(super) fn scene(&self, shape: &Shape, model: String, provider: Option<String>) -> Scene {
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
    async fn target<'p>(&self, target: &'p Target, docket: &Docket, view: &View<'_>) -> Tried<'p> {
        let (fields, form, changed_form, again, longer);
        let (mut payload, read) = match self.asked {
            Asked::Json(body) => {
                fields = params::applied(target, body);
                let endpoint = self.request.endpoint;
                let shape = match (&fields, &self.model) {
                    (Cow::Borrowed(_), Some(known)) => {
                        shape::of_named(endpoint, &fields, Some(known.clone()))
                    }
                    _ => shape::of_json(endpoint, &fields),
                };
                (Payload::Json(&fields), shape)
            }
            Asked::Form(body) => {
                let own = match params::applied_to_form(target, body) {
                    None => body,
                    Some(changed) => {
                        changed_form = changed;
                        match Form::parse(body.content_type(), &changed_form) {
                            Ok(parsed) => form = parsed,
                            Err(error) => return Tried::refused(error, &target.path),
                        }
                        &form
                    }
                };
                (Payload::Form(own), shape::of_form(self.request.endpoint, own))
            }
            Asked::Raw(body) => (Payload::Raw(body), Ok(shape::unmodelled(None))),
        };
        let resolved = read.and_then(|shape| Ok((self.routed(target, &shape)?, shape)));
        let (route, mut shape) = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return Tried::refused(error, &target.path),
        };
        let provider = Some(route.provider.vendor().slug());
        if let Some(wait) = route.provider.health().shut_for(clock::uptime)
            && !self.is_refused()
            // What is kept can be had while the vendor is out.
            && target.cache.is_none()
        {
            // Before guards work for nothing. The breaker itself is asked again when an attempt begins.
            let whose = format!("provider {}", route.provider.record().slug);
            return Tried::denied(limit_refusal(&Refusal::Open { wait }, &whose), provider, &target.path);
        }
        if let (Some(prefix), Payload::Json(fields)) = (self.prefix, &payload) {
            match self.lengthened(target, &route, prefix, fields) {
                Ok((with, anew)) => {
                    longer = with;
                    payload = Payload::Json(&longer);
                    shape = anew;
                }
                Err(error) => return Tried::spared(error, provider, &target.path),
            }
        }
        // Before anything is estimated: what guards make of the request is what is sent and paid.
        let (guards, results, changed) = match self.guarded(target, &route, &shape, &payload).await {
            Ok(guarded) => guarded,
            Err(error) => {
                docket.judged(&error);
                return Tried::denied(error, provider, &target.path);
            }
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
            Err(error) => return Tried::refused(error, &target.path),
        };
        let early = match (&guards, &payload) {
            (Some(guards), Payload::Json(fields)) if guards.speculates() => {
                let judging = async move { Ok(guards.before(fields).await?.0) };
                Early::Running(judging.boxed_local().shared())
            }
            _ => Early::Ready(results),
        };
        let mut watch = None;
        // What continues a stream is no answer by itself.
        if let Some(cache) = target.cache.as_ref().filter(|_| self.prefix.is_none()) {
            let guards = guards.as_ref();
            let seen = Seen { target, route: &route, shape: &shape, payload: &payload, guards };
            // Boxed: most requests have no cache and should not carry its state.
            match Box::pin(self.cached(cache, &seen, &early, docket)).await {
                Looked::Off => {}
                Looked::Hit(result, status) => return Tried::found(*result, provider, status, &target.path),
                Looked::Watch(watching) => watch = Some(watching),
            }
        }
        // A stream that waits to be continued waits for no second try.
        let rule = target.retry.as_deref().filter(|_| self.prefix.is_none());
        let mut retries = Retries::new(rule, target.timeouts.total);
        let slug = route.provider.place();
        let second = docket.is_hedged() || self.prefix.is_some();
        if second && !self.gateway.retries.take(slug, clock::uptime()) {
            let message = format!("provider {slug} is asked too often for the second time already");
            return Tried::spared(GatewayError::new(ErrorKind::RateLimit, message), provider, &target.path);
        }
        if target.retry.is_some() && !second {
            self.gateway.retries.pay(slug, clock::uptime());
        }
        let mut entry = view.take_entry();
        let (result, verdict, retries) = loop {
            let judged = (guards.as_ref(), early.clone());
            let note = (docket, retries.made(), entry.take());
            // Boxed: an attempt's future is large, and a walk may wait between two of them.
            let result = boxed(|| run(self, &route, &payload, &shape, note, judged)).await;
            let verdict = match &result {
                Ok(answer) => Verdict { status: answer.status, reach: Reach::Answer },
                Err(failure) => Verdict { status: failure.error.status(), reach: failure.reach },
            };
            let wait = result.as_ref().err().and_then(|failure| vendor_wait(&failure.error));
            match retries.next(&verdict, wait, || (self.request.started.elapsed(), draw())) {
                Next::Stop { count } => break (result, verdict, count),
                Next::Again(_)
                    if !view.may_retry(&route) || !self.gateway.retries.take(slug, clock::uptime()) =>
                {
                    // The provider is down for many: another try would only add to its load.
                    break (result, verdict, -1);
                }
                Next::Again(wait) => {
                    drop(result);
                    docket.carry_on();
                    if !wait.is_zero() {
                        tokio::time::sleep(wait).await;
                    }
                    entry = view.enter_again();
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
        Tried { result, verdict, retries, provider, path: &target.path, cache: Some(cache), rest: None }
    }
}

impl Trip<'_> {
    /// Resolves a target for a body as the target leaves it.
    pub(super) fn routed(&self, target: &Target, shape: &Shape) -> Result<Route, GatewayError> {
        let model = match self.asked {
            // A form's other members are sent as they came; its model may be overridden.
            Asked::Form(_) => {
                let overriding = target.override_params.get("model").and_then(Value::as_str);
                overriding.or(shape.model.as_deref())
            }
            Asked::Json(_) | Asked::Raw(_) => shape.model.as_deref(),
        };
        let key = &self.caller.record;
        proxy::may_pass_guards(self.gateway, key, self.request, target)?;
        let beside = if model.is_none() { self.model_beside(target) } else { None };
        let model = model.or(beside.as_deref());
        resolve(self.gateway, key, self.request, target, model)
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
        let key = &self.caller.record;
        let unguarded = self.request.proxy.is_some() || !judged(self.gateway, key, &target.hooks);
        if unguarded || self.is_refused() || self.request.headers.contains_key(PLUGIN_CALL) {
            return Ok((None, HookResults::default(), None));
        }
        let scene = self.scene(shape, route.model.clone(), Some(route.provider.record().slug.clone()));
        let guards = Guards::bind(self.gateway, key, &target.hooks, scene).await?;
        let (results, changed) = match payload {
            // They judge while the vendor is asked.
            Payload::Json(_) if guards.speculates() => (HookResults::default(), None),
            Payload::Json(fields) => {
                let (results, changed) = guards.before(fields).await?;
                (results, changed.map(String::into_bytes))
            }
            Payload::Raw(_) => (HookResults::default(), None),
            Payload::Form(form) => {
                let (results, changes) = guards.before_form(&form.texts()).await?;
                (results, (!changes.is_empty()).then(|| form.with_texts(&changes)))
            }
        };
        Ok((Some(guards), results, changed))
    }

    /// Returns whether admission is sure to refuse the key.
    fn is_refused(&self) -> bool {
        let key = &self.caller.record;
        key.status != KeyStatus::Active
            || key.expires_at.is_some_and(|at| at <= clock::unix())
            || !crate::scopes::grants(key, super::SCOPE)
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
            Body::Upload(_) => return Ok(None),
        }))
    }
}

impl Asked<'_> {
    fn payload(&self) -> Payload<'_> {
        match self {
            Asked::Json(fields) => Payload::Json(fields),
            Asked::Form(form) => Payload::Form(form),
            Asked::Raw(body) => Payload::Raw(body),
        }
    }
}

impl Facts for Trip<'_> {
    fn metadata(&self, key: &str) -> Option<Value> {
        let value = self.caller.metadata.get(key)?;
        // Metadata is kept as text; a condition may ask for the number or the boolean that was sent.
        let sent = header(self.request, "x-portkey-metadata");
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
            Asked::Form(_) | Asked::Raw(_) => None,
        }
    }

    fn pathname(&self) -> &str {
        &self.pathname
    }
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
pub(super) fn draw() -> f64 {
    // 48 bits of a random UUID that its version does not fix.
    let bits = uuid::Uuid::new_v4().as_u64_pair().0 >> 16;
    #[expect(clippy::cast_precision_loss, reason = "48 bits fit a double exactly")]
    let draw = bits as f64;
    draw / 281_474_976_710_656.0
}
