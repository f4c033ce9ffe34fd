//! Call → upstream request: pure translation and splicing.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::Value;
use tidegate_providers::provider::Destination;
use tidegate_providers::{Credential, Endpoint, Fields, Lane, Wire, registry, surrogates};

use super::form::Form;
use super::proxy::RawBody;
use super::resolve::Route;
use crate::error::{ErrorKind, GatewayError};
use crate::upstream::body::OutBody;
use crate::upstream::{Call, Envelope};

/// A request as the vendor wants it.
pub(super) struct Outgoing {
    /// The call.
    pub call: Call,
    /// Whether private addresses may be called.
    pub trusted: bool,
}

/// What the caller's body says, besides its bytes.
pub(super) enum Payload<'a> {
    /// JSON members.
    Json(&'a Fields<'a>),
    /// A multipart form.
    Form(&'a Form<'a>),
    /// Anything else, passed on unread.
    Raw(&'a RawBody),
}

/// Builds the upstream request.
///
/// # Errors
/// 400 naming the member that can't be said to this vendor.
pub(super) fn encode(
    route: &Route,
    endpoint: Endpoint,
    lane: Lane,
    stream: bool,
    cap: Option<u64>,
    payload: &Payload<'_>,
    inbound: &HeaderMap,
) -> Result<Outgoing, GatewayError> {
    let provider = &route.provider;
    let vendor = provider.vendor();
    let to = Destination { endpoint, lane, model: &route.model, stream };
    let (content_type, body) = match (payload, lane) {
        (Payload::Form(form), Lane::Native) => {
            (Cow::Owned(form.content_type().to_owned()), form.with_model(&route.model))
        }
        (Payload::Form(_) | Payload::Raw(_), _) => return Err(unsupported(endpoint, vendor.slug())),
        (Payload::Json(fields), _) => (Cow::Borrowed("application/json"), json(route, &to, cap, fields)?),
    };
    let credential = route.credential();
    let url = vendor.url(&credential, &to)?;
    // Nothing but the body is this request's own: what the last one like it said is said again.
    let plain =
        !inbound.keys().any(is_for_vendors) && matches!(payload, Payload::Json(_)) && route.is_plain();
    let kept = if plain { provider.envelopes().find(&url, stream) } else { None };
    let envelope = match kept {
        Some(kept) => kept,
        None => {
            let none = HeaderMap::new();
            let inbound = if plain { &none } else { inbound };
            let headers = headers(route, &credential, &content_type, stream, inbound)?;
            let envelope = Arc::new(Envelope::new(place(&url)?, &headers));
            if plain {
                provider.envelopes().keep(url, stream, envelope.clone());
            }
            envelope
        }
    };
    let call = Call { method: Method::POST, envelope, body: OutBody::Whole(body.into()) };
    Ok(Outgoing { call, trusted: route.is_trusted() })
}

/// Returns whether a vendor may read a client's header: it is no name of the gateway, or one for a vendor.
fn is_for_vendors(name: &HeaderName) -> bool {
    let own = name.as_str().strip_prefix("x-portkey-");
    own.is_none_or(|own| ["anthropic-", "openai-"].iter().any(|vendor| own.starts_with(vendor)))
}

fn place(url: &str) -> Result<Uri, GatewayError> {
    url.parse().map_err(|error| {
        GatewayError::new(ErrorKind::Invalid, format!("the provider's URL {url} is no URL: {error}"))
    })
}

fn headers(
    route: &Route,
    credential: &Credential,
    content_type: &str,
    stream: bool,
    inbound: &HeaderMap,
) -> Result<HeaderMap, GatewayError> {
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::from_str(content_type)
        .map_err(|_| GatewayError::new(ErrorKind::Invalid, "the content type can't be passed on"))?;
    headers.insert(http::header::CONTENT_TYPE, content_type);
    // Identity only: a compressed stream could not be looked at, and arrives late.
    headers.insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(
        http::header::USER_AGENT,
        HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))),
    );
    let accept = if stream { "text/event-stream" } else { "*/*" };
    headers.insert(http::header::ACCEPT, HeaderValue::from_static(accept));
    route.put_headers(&mut headers, route.provider.vendor().headers(credential, inbound)?);
    Ok(headers)
}

fn json(
    route: &Route,
    to: &Destination<'_>,
    cap: Option<u64>,
    fields: &Fields<'_>,
) -> Result<Vec<u8>, GatewayError> {
    let vendor = route.provider.vendor();
    let mut fields = fields.editable();
    if let Some(cap) = cap {
        set_output_limit(to.endpoint, &mut fields, cap);
    }
    match to.lane {
        Lane::Native => {
            if fields.raw("model").is_some() || !to.model.is_empty() {
                fields.set_str("model", to.model);
            }
            vendor.adapt(to, &mut fields);
            Ok(fields.to_vec())
        }
        Lane::Translate(wire) => {
            let written = translate(route, to.endpoint, wire, &fields)?;
            let mut fields = Fields::parse(&written)
                .map_err(|error| GatewayError::new(ErrorKind::Bug, format!("translated body: {error}")))?;
            vendor.adapt(to, &mut fields);
            Ok(fields.to_vec())
        }
        Lane::Exchange(exchange) => Ok(exchange.request(to.model, &fields)?),
    }
}

fn translate(
    route: &Route,
    endpoint: Endpoint,
    wire: Wire,
    fields: &Fields<'_>,
) -> Result<Vec<u8>, GatewayError> {
    let Some(codec) = endpoint.wire().and_then(registry::inbound) else {
        return Err(unsupported(endpoint, route.provider.vendor().slug()));
    };
    let body: Value = surrogates::from_slice(&fields.to_vec())
        .map_err(|error| GatewayError::new(ErrorKind::Invalid, format!("the body is not JSON: {error}")))?;
    let mut call = codec.read_call(&body)?;
    call.model.clone_from(&route.model);
    let written = registry::outbound(wire).write_call(&call)?;
    serde_json::to_vec(&written).map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))
}

/// Limits the output in the endpoint's own words; vendors' quirks rename it.
fn set_output_limit(endpoint: Endpoint, fields: &mut Fields<'_>, cap: u64) {
    let name = match endpoint {
        Endpoint::Responses => "max_output_tokens",
        Endpoint::Chat if fields.has("max_completion_tokens") => "max_completion_tokens",
        _ => "max_tokens",
    };
    fields.set_raw(name, cap.to_string());
}

/// Makes the error of an endpoint that a vendor does not offer.
#[must_use]
pub(super) fn unsupported(endpoint: Endpoint, vendor: &str) -> GatewayError {
    GatewayError::new(ErrorKind::Unsupported, format!("{} is not supported by {vendor}", endpoint.function()))
}
