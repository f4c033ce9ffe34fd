//! Paths that the gateway doesn't model: to the pipeline, unread, and back.
//!
//! JSON is read whole, because configs may change it; any other body goes on to the vendor as it comes.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use actix_web::guard::{Guard, fn_guard};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use http::Method;
use tidegate_providers::Endpoint;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use uuid::Uuid;

use super::cors::Page;
use super::{body, head, render};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::{self, Answer, BadPath, Body, Caller, PlainHeaders, Proxy, Request};
use crate::server::Worker;
use crate::upstream::body::{Upload, UploadFailure, upload};

/// Headers that name a provider, or a config that does.
const NAMES: [&str; 3] = ["x-portkey-provider", "x-portkey-virtual-key", "x-portkey-config"];

/// What may be asked of a vendor. OPTIONS is the browser's question to the gateway.
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];

/// Returns what may be asked of a vendor, as `allow` lists it.
pub(super) fn methods() -> String {
    METHODS.map(|method| method.to_string()).join(", ")
}

/// Holds for requests whose headers name a provider, or a config that does.
pub(super) fn names_provider() -> impl Guard {
    fn_guard(|context| {
        let routing = head::routing(&context.head().headers);
        NAMES.iter().any(|name| routing.contains_key(*name))
    })
}

/// Serves every path that is no route of the gateway's own.
pub(super) async fn serve(
    request: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> HttpResponse {
    let started = Instant::now();
    let method = METHODS.into_iter().find(|method| method.as_str() == request.method().as_str());
    let (method, path) = match (method, Proxy::path_of(request.uri().path())) {
        (Some(method), Ok(path)) => (method, path),
        (Some(_), Err(odd @ BadPath::Odd)) => {
            let error = GatewayError::new(ErrorKind::Invalid, format!("The path leads nowhere: {odd}"));
            return render::refusal(&request, &worker, render::dialect_of(&request), &error);
        }
        _ => return render::not_found(request, worker).await,
    };
    let id = Uuid::now_v7().to_string();
    let trace_id = render::trace_id(&request, &id);
    let proxy = Proxy {
        method,
        path,
        query: request.uri().query().map(str::to_owned),
        headers: head::for_vendor(request.headers()),
    };
    match answered(proxy, &request, payload, &worker, (started, id, trace_id.clone())).await {
        Ok(answer) => {
            render::answer(&Page::at(&request), &worker.gateway.settings(), &trace_id, answer).into()
        }
        Err(error) => {
            let dialect = render::dialect_of(&request);
            render::error(&Page::at(&request), &worker, dialect, &trace_id, &error).into()
        }
    }
}

async fn answered(
    proxy: Proxy,
    request: &HttpRequest,
    payload: web::Payload,
    worker: &Worker,
    (started, id, trace_id): (Instant, String, String),
) -> Result<Answer, GatewayError> {
    let gateway = &worker.gateway;
    let settings = gateway.settings();
    let credentials = head::credentials(request.headers());
    let key = pipeline::authenticate(gateway, credentials.key).await?;
    let headers = head::routing(request.headers());
    let guarded = head::shows_headers(&key.record(), &headers);
    let metadata =
        head::metadata(request.headers(), &headers, &key.record(), settings.openwebui_jwt_secret.as_ref());
    let within = Duration::from_millis(settings.timeouts.body_ms);
    let limit = settings.limits.body_bytes;
    let body = if is_plain_json(request) {
        Body::Json(body::read(request.headers(), payload, limit, within).await?)
    } else {
        Body::Upload(Mutex::new(carried(request, payload, limit, within)?))
    };
    let request = Request {
        endpoint: Endpoint::Other,
        dialect: render::dialect_of(request),
        id,
        trace_id,
        started,
        started_at_ms: clock::unix_ms(),
        headers,
        plain_headers: if guarded { head::plain(request.headers()) } else { PlainHeaders::default() },
        vendor_key: credentials.vendor.map(str::to_owned),
        body,
        proxy: Some(Box::new(proxy)),
    };
    pipeline::serve(gateway, &worker.client, &Caller::new(key, metadata), request).await
}

/// Returns whether a body is JSON that can be read as it stands.
fn is_plain_json(request: &HttpRequest) -> bool {
    let kind = head::text(request.headers(), header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let coded = request.headers().contains_key(header::CONTENT_ENCODING);
    kind.to_ascii_lowercase().starts_with("application/json")
        && !coded
        && body::announced(request.headers()) != Some(0)
}

/// Carries a body from the client's socket to whoever wants it; `None` where there is none.
fn carried(
    request: &HttpRequest,
    mut payload: web::Payload,
    limit: usize,
    within: Duration,
) -> Result<Option<Upload>, GatewayError> {
    let length = body::announced(request.headers());
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    if length.unwrap_or(0) == 0 && !is_chunked {
        return Ok(None);
    }
    if length.is_some_and(|length| length > limit) {
        return Err(body::too_large(limit));
    }
    let (sender, upload) = upload(length.map(|length| length as u64));
    // It ends with the client's body, with the last who wants it, or at its deadline.
    actix_web::rt::spawn(async move {
        let mut left = limit;
        let failure = loop {
            let piece = tokio::select! {
                piece = timeout(within, payload.next()) => piece,
                () = sender.unwanted() => return,
            };
            match piece {
                Err(_) => {
                    break UploadFailure::Slow { ms: within.as_millis().try_into().unwrap_or(u64::MAX) };
                }
                Ok(None) => return sender.end(),
                Ok(Some(Err(error))) => break UploadFailure::Broken(error.to_string()),
                Ok(Some(Ok(piece))) => match left.checked_sub(piece.len()) {
                    None => break UploadFailure::TooLarge { limit: limit as u64 },
                    Some(rest) => {
                        left = rest;
                        if !sender.put(piece).await {
                            return;
                        }
                    }
                },
            }
        };
        sender.fail(failure);
    });
    Ok(Some(upload))
}
