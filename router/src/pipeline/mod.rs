//! The way of a request, a file per step. Control never goes back up the line: a refusal leaves by `?`.
//!
//! authenticate → resolve → route (per target: admit → encode → attempt) → (peek: the commit point) → stream or whole → settle.

mod admit;
mod aim;
mod alarm;
mod alike;
mod attempt;
mod attempt_row;
mod authenticate;
mod bill;
mod cache;
mod conditions;
mod decoded;
mod demand;
mod docket;
mod encode;
mod estimate;
mod explain;
mod form;
mod forward;
mod frames;
mod guard;
mod hosts;
mod inline;
mod joint;
mod levels;
mod meter;
mod origin;
mod outlook;
mod params;
mod passthrough;
mod patience;
mod prefix;
mod proxy;
mod race;
mod refusals;
mod request;
mod resolve;
mod resume;
mod route;
mod rules;
mod settle;
mod shape;
mod stream;
mod text;
mod tried;
mod vet;
mod whole;

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::Response;
use tidegate_providers::{EncodeOptions, Endpoint, Fields, Lane, Wire, registry};
use tidegate_store::LogRow;
use tokio::time::Instant;

pub use admit::SCOPE;
pub use authenticate::authenticate;
pub use cache::KeptStream;
pub use explain::{Explanation, explain};
pub use forward::may_go_on;
pub use proxy::{BadPath, Proxy};
pub use request::{About, Answer, AnswerBody, Body, BudgetShown, Caller, Dialect, Request};
pub use resolve::split_model;
pub use stream::{AnswerStream, Cut};
pub use vet::{vet, vet_hook};

use admit::admit;
use attempt_row::Attempt;
use decoded::Decoded;
use demand::Demand;
use docket::Docket;
use encode::{Payload, encode, unsupported};
use form::Form;
use guard::{Early, Guards, HookResults, Judging, StreamGuard};
use joint::Said;
use meter::Meter;
use passthrough::Passthrough;
use patience::Patience;
use proxy::RawBody;
use refusals::{may_ask, provider_refusal};
use resolve::Route;
use resume::Successor;
use route::{Asked, Trip};
use settle::{Ending, Settlement};
use shape::Shape;
use stream::Lane as StreamLane;
use tried::Failure;
use whole::{Exchanged, whole};

use crate::error::{ErrorKind, GatewayError, UpstreamFailure};
use crate::gateway::Gateway;
use crate::routing::breakers::Entry;
use crate::routing::fallback::Reach;
use crate::upstream::{Client, Incoming};

/// Serves an authenticated request.
///
/// # Errors
/// What the caller is told; the request is settled and logged then.
pub async fn serve(
    gateway: &Arc<Gateway>,
    client: &Client,
    caller: &Caller,
    request: Request,
) -> Result<Answer, GatewayError> {
    let unread = |error: GatewayError| {
        log_refusal(gateway, &request, row(caller, &request, &Shape::default()), &error);
        error
    };
    let record = caller.key.record();
    may_ask(&record).map_err(unread)?;
    let ruled = rules::of(gateway, caller, &request).map_err(unread)?;
    let caller = ruled.as_ref().unwrap_or(caller);
    let (asked, model) = match &request.body {
        Body::Upload(upload) => {
            let model = query_model(&request);
            let plan = resolve::plan(gateway, &record, &request, model.as_deref()).map_err(unread)?;
            let body = RawBody::upload(upload, &plan, &gateway.settings()).await.map_err(unread)?;
            (Asked::Raw(body), model)
        }
        _ => read(&request).map_err(unread)?,
    };
    let plan = resolve::plan(gateway, &record, &request, model.as_deref()).map_err(unread)?;
    let row = row(caller, &request, &Shape { model, ..Shape::default() });
    let docket = Docket::new(gateway.clone(), row, request.started);
    if let Some(whence) = origin::whence(gateway, &record, &request) {
        docket.decision(|decision| decision.config = whence);
    }
    if is_quiet(&request) {
        docket.hush();
    }
    if !keeps_texts(gateway, record.workspace.as_deref(), &request) {
        docket.strip();
    }
    let pathname = request.pathname();
    let trip = Trip {
        gateway,
        client,
        caller,
        request: &request,
        asked: &asked,
        plan: &plan,
        pathname,
        prefix: None,
    };
    let (mut answer, rest) = trip.walk(&docket).await?;
    if let (Some(stream), Some((node, next))) = (answer.body.stream_mut(), rest) {
        let place = (answer.about.option_index.as_str(), node, next);
        stream.may_continue(Successor::new((gateway, client, caller), request, (plan, docket), place));
    }
    Ok(answer)
}

/// Reads a body as far as routing needs it: its members, and the model that it names.
fn read(request: &Request) -> Result<(Asked<'_>, Option<String>), GatewayError> {
    match &request.body {
        Body::Json(bytes) => match Fields::parse(bytes) {
            Ok(fields) if request.proxy.is_some() => {
                let model = shape::unmodelled(Some(&fields)).model.or_else(|| query_model(request));
                Ok((Asked::Json(fields), model))
            }
            Ok(fields) => {
                let model = shape::model(&fields)?;
                Ok((Asked::Json(fields), model))
            }
            // The vendor judges what it is sent.
            Err(_) if request.proxy.is_some() => {
                Ok((Asked::Raw(RawBody::bytes(bytes.clone())), query_model(request)))
            }
            Err(error) => Err(not_json(&error)),
        },
        Body::Form { content_type, bytes } => {
            let form = Form::parse(content_type, bytes)?;
            let model = shape::of_form(request.endpoint, &form)?.model;
            Ok((Asked::Form(form), model))
        }
        Body::Upload(_) => Ok((Asked::Raw(RawBody::bytes(bytes::Bytes::new())), query_model(request))),
    }
}

/// Returns the model that the query of a path that the gateway doesn't model names.
fn query_model(request: &Request) -> Option<String> {
    request.proxy.as_ref().and_then(|proxy| proxy.query_model())
}

/// Makes one attempt at one target.
async fn run(
    trip: &Trip<'_>,
    route: &Route,
    payload: &Payload<'_>,
    shape: &Shape,
    (docket, retry, entry): (&Docket, u32, Option<Entry>),
    (guards, early): (Option<&Guards>, Early<'_>),
) -> Result<Answer, Failure> {
    let Trip { gateway, client, caller, request, .. } = *trip;
    let mut attempt = docket.begin(route, retry, shape);
    attempt.entry = entry;
    attempt.timeouts_count = outlook::timeouts_count(request, route);
    let refused = |attempt: Attempt, error: Box<GatewayError>, reach: Reach| {
        attempt.refused(&error);
        Failure { error, reach }
    };
    let vendor = route.provider.vendor();
    let lane = match &request.proxy {
        Some(_) => Some(Lane::Native),
        None => vendor.lane(request.endpoint, &route.model),
    };
    if lane.is_none() && request.endpoint != Endpoint::CountTokens {
        // Portkey's exception: it stops a fallback.
        let error = Box::new(unsupported(request.endpoint, vendor.slug()));
        return Err(refused(attempt, error, Reach::Request));
    }
    if shape.stream
        && guards.is_some_and(Guards::judge_answers)
        && matches!(request.endpoint, Endpoint::Transcriptions | Endpoint::Translations)
    {
        let message = "the config's guardrails can't judge a streamed transcript; ask without stream";
        let error = Box::new(GatewayError::new(ErrorKind::Invalid, message).at("stream"));
        return Err(refused(attempt, error, Reach::Request));
    }
    let mut patience = patience(gateway, request, route, shape);
    patience.racing = docket.is_racing();
    if patience.is_over() {
        return Err(refused(attempt, Box::new(patience.stalled()), Reach::Answer));
    }
    let demand = Demand::of(request.endpoint, shape, &route.model, payload);
    let admission = match admit(gateway, caller, docket, &route.provider, &demand).await {
        Ok(admission) => admission,
        Err(no) => return Err(refused(attempt, no.error, no.reach)),
    };
    let Some(lane) = lane else {
        // Nobody is asked, so nothing is held or paid; the request counts all the same.
        let counted = count_here(payload, vendor.slug(), route, &early);
        match &counted {
            Ok(answer) => attempt.answered(answer.status),
            Err(error) => attempt.refused(error),
        }
        return counted.map_err(Failure::request);
    };
    let views = admission.views.clone();
    let budget = admission.tightest();
    let cap = admission.cap;
    let tokens = u32::try_from(admission.likely_input).unwrap_or(u32::MAX);
    // From here on the settlement owns everything that must be given back, also if this future is dropped.
    let mut settlement =
        Settlement::new(gateway.clone(), admission, shape.quantities.clone(), attempt, request.started);
    match (&request.body, payload) {
        (_, Payload::Json(fields)) if route.changes_body && settlement.is_metered() => {
            settlement.keep_input(&fields.to_vec().into(), vendor.slug());
        }
        (Body::Json(bytes), _) => settlement.keep_input(bytes, vendor.slug()),
        _ => {}
    }
    let started = async {
        let outgoing = match &request.proxy {
            Some(proxy) => proxy::encode(route, proxy, payload, request)?,
            None => encode(route, request.endpoint, lane, shape.stream, cap, payload, &request.headers)?,
        };
        let permit = route
            .provider
            .acquire(tokens)
            .await?
            .map_err(|refusal| provider_refusal(&refusal, &route.provider.record().slug))?;
        settlement.ask(permit).await?;
        let slug = &route.provider.record().slug;
        attempt::send(client, outgoing, slug, &patience).await
    };
    let about = About {
        provider: Some(vendor.slug()),
        option_index: route.option_index.clone(),
        views,
        budget,
        capped: cap.is_some(),
        ..About::default()
    };
    let begun = match early {
        Early::Ready(results) => started.await.map(|response| (response, results)),
        // Boxed, as what few requests need is in this file: an attempt should carry no state of guards it has not.
        Early::Running(verdict) => Box::pin(speculate(started, verdict)).await,
    };
    let (response, results) = match begun {
        Ok(answered) => answered,
        Err(mut error) => {
            settlement.judged(error.hook_results.as_deref().map(guard::summary::of_json).unwrap_or_default());
            if let Payload::Raw(body) = payload {
                // The client broke off, not the vendor.
                error = body.fault().unwrap_or(error);
            }
            settlement.finish(Ending {
                outcome: error.outcome(),
                status: error.status(),
                error: Some(error.message.clone()),
                // A vendor that was asked on speculation works and bills, whatever a guard says then.
                unpaid: !matches!(error.kind, ErrorKind::UpstreamTimeout | ErrorKind::Guardrail),
                unfinished: true,
                fault: matches!(error.kind, ErrorKind::UpstreamTimeout | ErrorKind::UpstreamUnreachable),
                ..Ending::default()
            });
            error.views = about.views;
            return Err(Failure::upstream(error));
        }
    };
    settlement.judged(guard::summary::of(&results, true));
    let to = (gateway, request, payload, route);
    let to_endpoint = (request.endpoint, vendor.slug());
    let said = prefix::said(trip.prefix, docket.is_continuable(), to_endpoint, route, (shape, payload));
    let said = (said, trip.prefix.is_some());
    answer(to, lane, shape, (response, patience), settlement, about, (guards, results), said)
        .await
        .map_err(Failure::upstream)
}

/// Returns how long an attempt that begins now waits for what.
fn patience(gateway: &Gateway, request: &Request, route: &Route, shape: &Shape) -> Patience {
    let said = (route.header_timeout, route.request_timeout);
    let times = (Instant::from_std(request.started), Instant::now());
    Patience::new(&gateway.settings().timeouts, &route.timeouts, said, shape.stream, times)
}

/// Waits for the head of the answer and for the guards before the request, where they judge meanwhile. A denial drops
/// the request to the vendor.
async fn speculate<T>(
    started: impl Future<Output = Result<T, GatewayError>>,
    verdict: Judging<'_>,
) -> Result<(T, HookResults), GatewayError> {
    match select(pin!(started), verdict).await {
        Either::Left((answered, verdict)) => Ok((answered?, verdict.await?)),
        Either::Right((verdict, started)) => {
            let results = verdict?;
            Ok((started.await?, results))
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the second half of run(): the same values, nothing to group")]
async fn answer(
    (gateway, request, payload, route): (&Arc<Gateway>, &Request, &Payload<'_>, &Route),
    lane: Lane,
    shape: &Shape,
    (mut response, patience): (Response<Incoming>, Patience),
    mut settlement: Settlement,
    about: About,
    (guards, results): (Option<&Guards>, HookResults),
    (said, resuming): (Option<Said>, bool),
) -> Result<Answer, GatewayError> {
    let settings = gateway.settings();
    let vendor = route.provider.vendor().slug();
    let status = response.status().as_u16();
    if request.proxy.is_some() {
        return Box::pin(proxy::answer(route, response, settlement, about, patience)).await;
    }
    if !response.status().is_success() {
        let error = Box::pin(upstream_error(&mut response, request, lane, vendor, &patience)).await;
        settlement.first_byte();
        settlement.finish(Ending {
            outcome: error.outcome(),
            status: error.status(),
            error: Some(error.message.clone()),
            unpaid: true,
            fault: status >= 500,
            vendor_status: Some(status),
            ..Ending::default()
        });
        let hook_results = (!results.is_empty()).then(|| Box::new(results.to_json()));
        return Err(GatewayError { views: about.views, hook_results, ..error });
    }
    let options = EncodeOptions {
        model: route.model.clone(),
        provider: vendor.to_owned(),
        id: request.id.clone(),
        created: u64::try_from(request.started_at_ms / 1_000).unwrap_or(0),
        include_usage: shape.include_usage,
        strict: route.strict,
    };
    let headers = attempt::passed_headers(response.headers());
    if resuming && !is_stream(&response, request.endpoint) {
        let error = attempt::unreachable("The provider answered a stream with no stream".to_owned());
        settlement.finish(Ending {
            outcome: error.outcome(),
            status: error.status(),
            error: Some(error.message.clone()),
            unfinished: true,
            fault: true,
            ..Ending::default()
        });
        return Err(error);
    }
    if !shape.stream || !is_stream(&response, request.endpoint) {
        let none = Fields::empty();
        let asked = if let Payload::Json(fields) = payload { *fields } else { &none };
        let to = Exchanged {
            endpoint: request.endpoint,
            lane,
            model: &route.model,
            vendor,
            options: &options,
            asked,
        };
        let limits = (settings.limits.answer_bytes, &patience);
        let whole = whole(response, &to, limits, &mut settlement, guards, results).await?;
        let about = About { cost: settlement.paid(), ..about };
        let mut headers = headers;
        headers.push(("content-type".to_owned(), whole.content_type));
        return Ok(Answer { status: whole.status, headers, about, body: AnswerBody::Whole(whole.bytes) });
    }
    let meter = Meter::new(vendor, settlement.is_metered());
    let mut headers = headers;
    let content_type =
        response.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = match request.endpoint {
        Endpoint::Speech => content_type.unwrap_or("application/octet-stream").to_owned(),
        _ => "text/event-stream; charset=utf-8".to_owned(),
    };
    headers.push(("content-type".to_owned(), content_type));
    // Portkey's status of a failed hook; of those after the request nothing is known yet.
    let status = if results.failed() { 246 } else { status };
    // Results are no chunk of OpenAI's: only clients that asked for more than that see them.
    let named = request.endpoint == Endpoint::Messages;
    let shows = (!route.strict && request.endpoint.wire().is_some()).then_some(named);
    let prelude = match shows {
        Some(named) if results.has_before() => guard::results_frame(&results, true, named),
        _ => bytes::Bytes::new(),
    };
    let guards = guards.filter(|_| !resuming);
    let guard = match guards.filter(|guards| guards.judge_answers() && status_is_judged(&response)) {
        Some(guards) => {
            let in_order = matches!(request.endpoint, Endpoint::Messages | Endpoint::Responses);
            let guard = Box::pin(guards.stream(in_order, results)).await;
            let mode = if guard.is_held() { "held" } else { "windows" };
            headers.push(("x-tidegate-guardrail-stream".to_owned(), mode.to_owned()));
            Some(Box::new(guard))
        }
        None => None,
    };
    let stream_lane = stream_lane(request.endpoint, lane, vendor, shape.n, options, (guard, shows, said));
    let stream = AnswerStream::new(response.into_body(), stream_lane, meter, patience, settlement);
    // A continuation is read by the stream that it continues.
    let stream = if resuming { stream } else { Box::pin(stream.open(prelude)).await? };
    Ok(Answer { status, headers, about, body: AnswerBody::Stream(Box::new(stream)) })
}

/// Guards judge a 200 only, as Portkey's do.
fn status_is_judged(response: &Response<Incoming>) -> bool {
    response.status() == http::StatusCode::OK
}

fn stream_lane(
    endpoint: Endpoint,
    lane: Lane,
    vendor: &'static str,
    choices: u64,
    options: EncodeOptions,
    (guard, shows, said): (Option<Box<StreamGuard>>, Option<bool>, Option<Said>),
) -> StreamLane {
    let Some((wire, codec)) = endpoint.wire().and_then(|wire| Some((wire, registry::inbound(wire)?))) else {
        return StreamLane::Raw;
    };
    let upstream = match lane {
        Lane::Translate(upstream) => Some(upstream),
        // What guards may change, or another vendor continue, is taken apart and written anew, also where nothing is
        // translated.
        _ => (guard.is_some() || said.is_some()).then_some(wire),
    };
    match upstream {
        Some(upstream) => {
            let decoder = registry::outbound(upstream).decoder();
            let lane = Decoded::new(vendor, decoder, codec.encoder(options), guard, shows).saying(said);
            StreamLane::Decoded(Box::new(lane))
        }
        None => {
            let include_usage = options.include_usage;
            let lane = Passthrough::new(wire, vendor, include_usage, choices, codec.encoder(options));
            StreamLane::Passthrough(Box::new(lane))
        }
    }
}

fn is_stream(response: &Response<Incoming>, endpoint: Endpoint) -> bool {
    let content_type =
        response.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    endpoint == Endpoint::Speech
        || content_type.is_none_or(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"))
}

async fn upstream_error(
    response: &mut Response<Incoming>,
    request: &Request,
    lane: Lane,
    vendor: &'static str,
    patience: &Patience,
) -> GatewayError {
    let status = response.status().as_u16();
    let headers = attempt::passed_headers(response.headers());
    let upstream_headers = response.headers().clone();
    let body = attempt::read_error_body(response.body_mut(), patience).await;
    let wire = match lane {
        Lane::Translate(wire) => wire,
        _ => request.endpoint.wire().unwrap_or(if request.endpoint == Endpoint::CountTokens {
            Wire::Messages
        } else {
            Wire::Chat
        }),
    };
    let error = registry::outbound(wire).read_error(status, &upstream_headers, &body);
    // OpenAI's and Anthropic's own errors reach their own clients untouched.
    let own = matches!(lane, Lane::Native) && matches!(vendor, "openai" | "azure-openai" | "anthropic");
    let is_object = body.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
    let verbatim = (own && (400..600).contains(&status) && is_object).then_some(body);
    GatewayError::upstream(UpstreamFailure { error, provider: vendor, verbatim, content_type: None, headers })
}

fn count_here(
    payload: &Payload<'_>,
    vendor: &str,
    route: &Route,
    early: &Early<'_>,
) -> Result<Answer, GatewayError> {
    let Payload::Json(fields) = payload else { return Err(unsupported(Endpoint::CountTokens, vendor)) };
    let mut body = serde_json::json!({ "input_tokens": estimate::counted(fields, vendor)? });
    let mut status = 200;
    if let Early::Ready(results) = early
        && !results.is_empty()
    {
        body["hook_results"] = results.to_json();
        status = if results.failed() { 246 } else { 200 };
    }
    let about = About {
        provider: Some(route.provider.vendor().slug()),
        option_index: route.option_index.clone(),
        ..About::default()
    };
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Ok(Answer { status, headers, about, body: AnswerBody::Whole(body.to_string().into()) })
}

/// Returns whether the client wants nothing logged that it said of itself. What it cost is the operator's to know.
fn is_quiet(request: &Request) -> bool {
    resolve::header(request, "x-portkey-ignore-service-log") == Some("true")
}

/// Returns whether the log keeps texts of a request of this workspace, or figures and names only.
fn keeps_texts(gateway: &Gateway, workspace: Option<&str>, request: &Request) -> bool {
    let rules = gateway.objects.rules();
    let own = rules.workspace(workspace.unwrap_or_else(|| rules.default_workspace()));
    let logging = own.map(|own| own.logging).unwrap_or_default();
    logging.keeps(resolve::header(request, "x-portkey-debug"))
}

fn row(caller: &Caller, request: &Request, shape: &Shape) -> LogRow {
    let record = caller.key.record();
    let quiet = is_quiet(request);
    let mut metadata = if quiet { record.metadata.clone() } else { caller.metadata.clone() };
    if let Some(user) = shape.user.as_ref().filter(|_| !quiet) {
        metadata.entry("_user".to_owned()).or_insert_with(|| user.clone());
    }
    LogRow {
        id: request.id.clone(),
        trace_id: request.trace_id.clone(),
        started_at_ms: request.started_at_ms,
        key: record.id.clone(),
        key_name: record.name.clone(),
        workspace: record.workspace.clone().unwrap_or_default(),
        model: shape.model.clone().unwrap_or_default(),
        endpoint: request.pathname(),
        stream: shape.stream,
        metadata,
        ..LogRow::default()
    }
}

/// Logs a request that was refused before anything was asked of a vendor.
fn log_refusal(gateway: &Gateway, request: &Request, row: LogRow, error: &GatewayError) {
    log(gateway, request, row, error.status(), error.outcome(), Some(error.message.clone()));
}

/// Logs a request for which no vendor was asked.
fn log(
    gateway: &Gateway,
    request: &Request,
    mut row: LogRow,
    status: u16,
    outcome: &str,
    error: Option<String>,
) {
    row.status = status;
    row.outcome = outcome.to_owned();
    let workspace = Some(row.workspace.as_str()).filter(|id| !id.is_empty());
    row.error = error.filter(|_| keeps_texts(gateway, workspace, request));
    row.total_us = u64::try_from(request.started.elapsed().as_micros()).unwrap_or(u64::MAX);
    row.gateway_us = row.total_us;
    row.cost_nano_usd = Some(0);
    let settle = tidegate_store::SettleRecord { budgets: Vec::new(), held: false, row };
    gateway.ledger.append(tidegate_store::LedgerEntry::Settle(Box::new(settle)));
}

fn not_json(error: &serde_json::Error) -> GatewayError {
    GatewayError::new(ErrorKind::Invalid, format!("The body is not a JSON object: {error}"))
}
