//! One target, looked at as an attempt would: parameters, route, guards, admission, upstream request. Everything that
//! was granted for that is given back when this returns.

use std::time::Duration;

use serde_json::Value;
use tidegate_config::{CacheMode, Retry, Target};
use tidegate_prices::NanoUsd;
use tidegate_providers::{Endpoint, Fields};

use super::dry::Refused;
use super::view::{HoldView, ParameterView, PriceView, Refusal, TargetView};
use crate::clock;
use crate::limits::{RateKind, RateView};
use crate::pipeline::admit::{Admission, admit};
use crate::pipeline::demand::Demand;
use crate::pipeline::docket::Docket;
use crate::pipeline::encode::{Payload, encode, unsupported};
use crate::pipeline::guard::{Guards, judged};
use crate::pipeline::params;
use crate::pipeline::refusals::provider_refusal;
use crate::pipeline::resolve::{Route, header};
use crate::pipeline::route::{Asked, Trip};
use crate::pipeline::shape::{self, Shape};
use crate::pipeline::tried::Failure;
use crate::routing::fallback::Reach;

/// Prices are told for a million tokens, in calls of so many.
const MILLION: u64 = 1_000_000;
const CALL: u64 = 1_000;

/// What was found out about a target.
pub(super) struct Looked {
    pub(super) view: TargetView,
    /// Why it can't be asked.
    pub(super) refusal: Option<Refused>,
}

/// Looks at a target.
pub(super) async fn look(trip: &Trip<'_>, target: &Target) -> Looked {
    let mut view = TargetView { target: target.path.clone(), ..TargetView::default() };
    configured(trip, target, &mut view);
    let refusal = attempt(trip, target, &mut view).await.err();
    settled(trip, &view).await;
    view.refused = refusal.as_ref().map(|refused| Refusal::of(&refused.error));
    Looked { view, refusal }
}

/// Waits until what was granted has come back, so that it does not stand in the way of the next target. Whoever can't be
/// asked has nothing to give back.
async fn settled(trip: &Trip<'_>, view: &TargetView) {
    let _ = trip.caller.key.observe().await;
    let provider =
        view.provider.as_deref().and_then(|slug| trip.gateway.provider_for(&trip.caller.record, slug));
    let own = provider.as_ref().and_then(|provider| provider.record().budget.clone());
    if let Some(provider) = provider {
        let _ = provider.observe().await;
    }
    for budget in trip.caller.record.budget.iter().chain(&own) {
        if let Ok(Some(budget)) = trip.gateway.book.budget(budget).await {
            let _ = budget.observe().await;
        }
    }
}

async fn attempt(trip: &Trip<'_>, target: &Target, view: &mut TargetView) -> Result<(), Refused> {
    let whole = |error| Refused::new(error, Reach::Request);
    let endpoint = trip.request.endpoint;
    let (fields, form);
    let (payload, shape) = match trip.asked {
        Asked::Json(body) => {
            fields = params::applied(target, body);
            view.parameters = changes(target, body, &fields);
            (Payload::Json(&fields), shape::of_json(endpoint, &fields))
        }
        Asked::Form(body) => {
            form = body;
            (Payload::Form(form), shape::of_form(endpoint, form))
        }
        Asked::Raw(body) => (Payload::Raw(body), Ok(shape::unmodelled(None))),
    };
    let shape = shape.map_err(whole)?;
    let route = trip.routed(target, &shape).map_err(whole)?;
    let vendor = route.provider.vendor();
    let record = route.provider.record();
    view.provider = Some(record.slug.clone());
    view.vendor = Some(vendor.slug().to_owned());
    view.model = Some(route.model.clone()).filter(|model| !model.is_empty());
    let key = &trip.caller.record;
    if judged(trip.gateway, key, &target.hooks) {
        let scene = trip.scene(&shape, route.model.clone(), Some(record.slug.clone()));
        let guards = Guards::bind(trip.gateway, key, &target.hooks, scene).await.map_err(whole)?;
        view.guards = guards.shown();
    }
    view.health = health(&route);
    admitted(trip, &route, &shape, &payload, view).await
}

/// Asks for admission, and gives back at once what was granted.
async fn admitted(
    trip: &Trip<'_>,
    route: &Route,
    shape: &Shape,
    payload: &Payload<'_>,
    view: &mut TargetView,
) -> Result<(), Refused> {
    let endpoint = trip.request.endpoint;
    let vendor = route.provider.vendor();
    let lane = vendor.lane(endpoint, &route.model);
    if lane.is_none() && endpoint != Endpoint::CountTokens {
        return Err(Refused::new(unsupported(endpoint, vendor.slug()), Reach::Request));
    }
    let demand = Demand::of(endpoint, shape, &route.model, payload);
    let price = trip.gateway.prices.price(&route.provider, &route.model);
    view.price = price.map(|price| {
        // A million in calls of a usual size: some vendors ask more for long ones.
        let input = tidegate_providers::Usage { input: CALL, ..Default::default() };
        let output = tidegate_providers::Usage { output: CALL, ..Default::default() };
        let million = |cost: NanoUsd| NanoUsd(cost.0.saturating_mul(MILLION / CALL)).to_string();
        PriceView { input: million(price.cost(&input).input), output: million(price.cost(&output).output) }
    });
    let docket = Docket::dry(trip.gateway.clone());
    let admission = admit(trip.gateway, trip.caller, &docket, &route.provider, &demand)
        .await
        .map_err(|refused| Refused::new(*refused.error, refused.reach))?;
    granted(&admission, view);
    let Some(lane) = lane else { return Ok(()) };
    let tokens = u32::try_from(admission.likely_input).unwrap_or(u32::MAX);
    let headers = &trip.request.headers;
    let failed = |error| {
        let Failure { error, reach } = Failure::upstream(error);
        Refused::new(*error, reach)
    };
    let outgoing =
        encode(route, endpoint, lane, shape.stream, admission.cap, payload, headers).map_err(failed)?;
    let envelope = &outgoing.call.envelope;
    let uri = envelope.url();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or_default();
    view.url = Some(format!("{}://{host}{}", uri.scheme_str().unwrap_or_default(), uri.path()));
    let names = envelope.headers().map(|(name, _)| name.to_owned());
    view.headers = names.filter(|name| name != "host").collect();
    match route.provider.acquire(tokens).await {
        Ok(Ok(_given_back)) => Ok(()),
        Ok(Err(refusal)) => Err(failed(provider_refusal(&refusal, &route.provider.record().slug))),
        Err(unavailable) => Err(failed(unavailable.into())),
    }
}

fn granted(admission: &Admission, view: &mut TargetView) {
    view.holds = admission
        .holds
        .iter()
        .map(|hold| HoldView { budget: hold.budget().record().name.clone(), usd: dollars(hold.amount()) })
        .collect();
    view.likely_input_tokens = Some(admission.likely_input);
    view.output_cap = admission.cap;
    view.limits = admission.views.iter().map(limit).collect();
}

fn dollars(nanos: i64) -> String {
    NanoUsd(u64::try_from(nanos).unwrap_or(0)).to_string()
}

fn limit(view: &RateView) -> String {
    let what = match view.kind {
        RateKind::Requests => "requests",
        RateKind::Tokens => "tokens",
    };
    format!("{} of {} {what} left", view.remaining, view.limit)
}

/// Compares a body with what the target makes of it.
fn changes(target: &Target, before: &Fields<'_>, after: &Fields<'_>) -> Vec<ParameterView> {
    let mut found = Vec::new();
    let mut note = |name: &str, by: &str| {
        if before.raw(name) != after.raw(name)
            && !found.iter().any(|known: &ParameterView| known.name == name)
        {
            let value = after.raw(name).and_then(|raw| serde_json::from_str::<Value>(raw).ok());
            found.push(ParameterView { name: name.to_owned(), by: by.to_owned(), value });
        }
    };
    for path in target.drop_params.iter() {
        note(path.member(), "drop");
    }
    for name in target.override_params.keys() {
        note(name, "override");
    }
    for name in target.default_params.keys() {
        note(name, "default");
    }
    found
}

/// Tells what the provider's last attempts were like.
fn health(route: &Route) -> Vec<String> {
    let health = route.provider.health();
    let mut told = vec![format!("{} requests inside", health.in_flight())];
    if health.first_byte_us() > 0 {
        told.push(format!("first byte after {} ms", health.first_byte_us() / 1_000));
    }
    if let Some(wait) = health.shut_for(clock::uptime) {
        told.push(format!("shut by its breaker for {:.1} s", wait.as_secs_f64()));
    }
    if health.faults_per_mille() > 0 {
        told.push(format!("{} of 1000 attempts failed", health.faults_per_mille()));
    }
    told
}

/// Tells what the config says, with everything inherited.
fn configured(trip: &Trip<'_>, target: &Target, view: &mut TargetView) {
    let settings = &trip.gateway.settings().timeouts;
    let (usual, own) = (Duration::from_millis, &target.timeouts);
    let header = header(trip.request, "x-portkey-request-timeout");
    let header = header.and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    let said = header.or(own.head).or(target.request_timeout.map(Duration::from_millis));
    let first_event = header.or(target.request_timeout.map(Duration::from_millis));
    let ms = |name: &str, wait: Duration| format!("{name} {} ms", wait.as_millis());
    view.timeouts = vec![
        ms("connect", own.connect.unwrap_or(usual(settings.connect_ms))),
        ms("head", said.unwrap_or(usual(settings.head_ms))),
        match own.first_token {
            Some(first_token) => ms("first token", first_token),
            None => ms("first event", first_event.unwrap_or(usual(settings.first_event_ms))),
        },
        ms("between events", own.idle.unwrap_or(usual(settings.idle_ms))),
    ];
    view.timeouts.extend(own.total.map(|total| ms("total", total)));
    view.retry = match target.retry.as_deref().filter(|retry| retry.attempts > 0) {
        None => "none".to_owned(),
        Some(Retry { attempts, on_status_codes, use_retry_after_header }) => {
            let statuses: Vec<String> = on_status_codes.iter().map(u16::to_string).collect();
            let heeds = if *use_retry_after_header { "; the vendor's retry-after is heeded" } else { "" };
            format!("up to {attempts} after {} or a broken connection{heeds}", statuses.join(", "))
        }
    };
    view.cache = match target.cache.as_deref() {
        None => "none".to_owned(),
        Some(cache) => {
            let mode = match cache.mode {
                CacheMode::Simple => "simple",
                CacheMode::Semantic => "semantic",
            };
            let age = cache.max_age.as_ref().map(Duration::as_secs);
            age.map_or_else(|| mode.to_owned(), |age| format!("{mode}, for {age} s"))
        }
    };
    if target.strict_open_ai_compliance == Some(false) {
        view.settings.push("strict_open_ai_compliance is off".to_owned());
    }
    if !target.forward_headers.is_empty() {
        view.settings.push(format!("forwards {}", target.forward_headers.join(", ")));
    }
    if let Some(host) = &target.custom_host {
        view.settings.push(format!("custom host {host}"));
    }
}
