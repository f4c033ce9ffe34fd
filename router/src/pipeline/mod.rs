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
mod feed;
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
mod plain_headers;
mod prefix;
mod proxy;
mod race;
mod refusals;
mod request;
mod resolve;
mod resume;
mod route;
mod rules;
mod run;
mod settle;
mod shape;
mod stream;
mod text;
mod tried;
mod vet;
mod whole;

use std::sync::Arc;

use tidegate_providers::{Fields, texts};
use tidegate_store::LogRow;

pub use admit::SCOPE;
pub use authenticate::authenticate;
pub use cache::KeptStream;
pub use explain::{Explanation, explain};
pub use forward::may_go_on;
pub use plain_headers::PlainHeaders;
pub use proxy::{BadPath, Proxy};
pub use request::{About, Answer, AnswerBody, Body, BudgetShown, Caller, Dialect, Request};
pub use resolve::split_model;
pub use stream::{AnswerStream, Cut};
pub use vet::{vet, vet_hook};

use docket::Docket;
use form::Form;
use proxy::RawBody;
use refusals::may_ask;
use resume::Successor;
use route::{Asked, Trip};
use shape::Shape;

use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::upstream::Client;

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
    let record = &caller.record;
    may_ask(record).map_err(unread)?;
    let (mut asked, model) = read(&request).map_err(unread)?;
    let ruled = rules::of(gateway, caller, &request, asked.fields()).map_err(unread)?;
    let caller = ruled.as_ref().unwrap_or(caller);
    let plan = resolve::plan(gateway, record, &request, model.as_deref()).map_err(unread)?;
    if let Body::Upload(upload) = &request.body {
        asked = Asked::Raw(RawBody::upload(upload, &plan, &gateway.settings()).await.map_err(unread)?);
    }
    let shape = Shape { model, ..Shape::default() };
    let row = row(caller, &request, &shape);
    let docket = Docket::new(gateway.clone(), row, request.started);
    if !gateway.plans.is_bare(&plan)
        && let Some(whence) = origin::whence(gateway, record, &request)
    {
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
        model: shape.model,
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
                if let Some(odd) = texts::odd_name(&fields) {
                    return Err(GatewayError::new(ErrorKind::Invalid, odd));
                }
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
    let record = &caller.record;
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
        endpoint: request.pathname().into_owned(),
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
    outcome: &'static str,
    error: Option<String>,
) {
    row.status = status;
    row.outcome = outcome.into();
    let workspace = Some(row.workspace.as_str()).filter(|id| !id.is_empty());
    row.error = error.filter(|_| keeps_texts(gateway, workspace, request));
    row.total_us = u64::try_from(request.started.elapsed().as_micros()).unwrap_or(u64::MAX);
    row.gateway_us = row.total_us;
    row.cost_nano_usd = Some(0);
    let settle = tidegate_store::SettleRecord { budgets: Vec::new(), held: false, row: row.into() };
    gateway.ledger.append(tidegate_store::LedgerEntry::Settle(Box::new(settle)));
}

fn not_json(error: &serde_json::Error) -> GatewayError {
    GatewayError::new(ErrorKind::Invalid, format!("The body is not a JSON object: {error}"))
}
