//! One attempt at one target, from admission to its answer.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tidegate_providers::{EncodeOptions, Endpoint, Fields, Lane, Wire, registry};
use tokio::time::Instant;

use super::admit::admit;
use super::attempt_row::Attempt;
use super::decoded::Decoded;
use super::demand::Demand;
use super::docket::Docket;
use super::encode::{Payload, encode, unsupported};
use super::guard::{Early, Guards, HookResults, Judging, StreamGuard};
use super::joint::Said;
use super::meter::Meter;
use super::passthrough::Passthrough;
use super::patience::Patience;
use super::refusals::provider_refusal;
use super::request::{About, Answer, AnswerBody, Body, Request};
use super::resolve::Route;
use super::route::Trip;
use super::settle::{Ending, Settlement};
use super::shape::Shape;
use super::stream::{AnswerStream, Lane as StreamLane};
use super::tried::Failure;
use super::whole::{Exchanged, whole};
use super::{attempt, estimate, guard, outlook, prefix, proxy};
use crate::error::{ErrorKind, GatewayError, UpstreamFailure};
use crate::gateway::Gateway;
use crate::routing::breakers::Entry;
use crate::routing::fallback::Reach;
use crate::upstream::Reply;

/// Makes one attempt at one target.
pub(super) async fn run(
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
    let mut admission = match admit(gateway, caller, docket, &route.provider, &demand).await {
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
    let views = std::mem::take(&mut admission.views);
    let budget = admission.tightest();
    let cap = admission.cap;
    let tokens = u32::try_from(admission.likely_input).unwrap_or(u32::MAX);
    // From here on the settlement owns everything that must be given back, also if this future is dropped.
    let mut settlement = Box::new(Settlement::new(
        gateway.clone(),
        admission,
        shape.quantities.clone(),
        attempt,
        request.started,
    ));
    match (&request.body, payload) {
        (_, Payload::Json(fields)) if route.changes_body && settlement.is_metered() => {
            settlement.keep_input(&fields.to_vec().into(), vendor.slug());
        }
        (Body::Json(bytes), _) => settlement.keep_input(bytes, vendor.slug()),
        _ => {}
    }
    let (asking, waiting) = (&mut settlement, &patience);
    // Made where it is waited for: made before, it would be carried twice.
    let start = move || async move {
        let outgoing = match &request.proxy {
            Some(proxy) => proxy::encode(route, proxy, payload, request)?,
            None => encode(route, request.endpoint, lane, shape.stream, cap, payload, &request.headers)?,
        };
        let permit = route
            .provider
            .acquire(tokens)
            .await?
            .map_err(|refusal| provider_refusal(&refusal, &route.provider.record().slug))?;
        asking.ask(permit).await?;
        let slug = &route.provider.record().slug;
        attempt::send(client, outgoing, slug, waiting).await
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
        Early::Ready(results) => start().await.map(|reply| (reply, results)),
        // Boxed, as what few requests need is in this file: an attempt should carry no state of guards it has not.
        Early::Running(verdict) => Box::pin(speculate(start(), verdict)).await,
    };
    let (reply, results) = match begun {
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
    answer(to, lane, shape, (reply, patience), settlement, about, (guards, results), said)
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
    (mut reply, patience): (Reply, Patience),
    mut settlement: Box<Settlement>,
    about: About,
    (guards, results): (Option<&Guards>, HookResults),
    (said, resuming): (Option<Said>, bool),
) -> Result<Answer, GatewayError> {
    let settings = gateway.settings();
    let vendor = route.provider.vendor().slug();
    let status = reply.status.as_u16();
    if request.proxy.is_some() {
        return Box::pin(proxy::answer(route, reply, settlement, about, patience)).await;
    }
    let packed = unpack(&mut reply);
    if !reply.status.is_success() {
        let error = Box::pin(upstream_error(&mut reply, request, lane, vendor, &patience)).await;
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
    let options = || EncodeOptions {
        model: route.model.clone(),
        provider: vendor.to_owned(),
        id: request.id.clone(),
        created: u64::try_from(request.started_at_ms / 1_000).unwrap_or(0),
        include_usage: shape.include_usage,
        strict: route.strict,
    };
    let headers = attempt::passed_headers(&reply.headers);
    let no_stream = resuming && !is_stream(&reply, request.endpoint);
    let no_stream = no_stream.then(|| "The provider answered a stream with no stream".to_owned());
    if let Some(fault) = packed.or(no_stream) {
        let error = attempt::unreachable(fault);
        settlement.finish(Ending {
            outcome: error.outcome(),
            status: error.status(),
            error: Some(error.message.clone()),
            unfinished: true,
            unpaid: !resuming,
            fault: true,
            ..Ending::default()
        });
        return Err(error);
    }
    if !shape.stream || !is_stream(&reply, request.endpoint) {
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
        let whole = whole(reply, &to, limits, &mut settlement, guards, results).await?;
        let about = About { cost: settlement.paid(), ..about };
        let mut headers = headers;
        headers.push(("content-type".to_owned(), whole.content_type));
        return Ok(Answer { status: whole.status, headers, about, body: AnswerBody::Whole(whole.bytes) });
    }
    let meter = Meter::new(vendor, settlement.is_metered());
    let mut headers = headers;
    let content_type = match request.endpoint {
        Endpoint::Speech => {
            reply.headers.text("content-type").unwrap_or("application/octet-stream").to_owned()
        }
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
    let guard = match guards.filter(|guards| guards.judge_answers() && status_is_judged(&reply)) {
        Some(guards) => {
            let in_order = matches!(request.endpoint, Endpoint::Messages | Endpoint::Responses);
            let guard = Box::pin(guards.stream(in_order, results)).await;
            let mode = if guard.is_held() { "held" } else { "windows" };
            headers.push(("x-tidegate-guardrail-stream".to_owned(), mode.to_owned()));
            Some(Box::new(guard))
        }
        None => None,
    };
    let stream_lane = stream_lane(request.endpoint, lane, vendor, shape.n, options(), (guard, shows, said));
    let stream = AnswerStream::new(reply.body, stream_lane, meter, patience, settlement);
    // A continuation is read by the stream that it continues.
    let stream = if resuming { stream } else { Box::pin(stream.open(prelude)).await? };
    Ok(Answer { status, headers, about, body: AnswerBody::Stream(Box::new(stream)) })
}

/// Guards judge a 200 only, as Portkey's do.
fn status_is_judged(reply: &Reply) -> bool {
    reply.status == http::StatusCode::OK
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

/// Unpacks an answer that the vendor packed unasked. Returns what is wrong where that can't be done.
fn unpack(reply: &mut Reply) -> Option<String> {
    let coding =
        reply.headers.text("content-encoding").filter(|coding| !matches!(*coding, "" | "identity"))?;
    let is_known = reply.body.unpack(coding);
    (!is_known)
        .then(|| format!("The provider answered in Content-Encoding {coding}, which was not asked for"))
}

fn is_stream(reply: &Reply, endpoint: Endpoint) -> bool {
    const EVENTS: &str = "text/event-stream";
    let is_events =
        |kind: &str| kind.get(..EVENTS.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS));
    endpoint == Endpoint::Speech || reply.headers.text("content-type").is_none_or(is_events)
}

async fn upstream_error(
    reply: &mut Reply,
    request: &Request,
    lane: Lane,
    vendor: &'static str,
    patience: &Patience,
) -> GatewayError {
    let status = reply.status.as_u16();
    let headers = attempt::passed_headers(&reply.headers);
    let upstream_headers = reply.headers.to_map();
    let body = attempt::read_error_body(&mut reply.body, patience).await;
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
