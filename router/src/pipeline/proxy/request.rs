//! The request to the vendor: the client's headers and body, the vendor's place and credential.

use bytes::Bytes;
use http::{HeaderValue, Request as HttpRequest, Uri, header};
use tidegate_providers::Fields;

use super::place::Proxy;
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::encode::{Outgoing, Payload};
use crate::pipeline::request::{Body, Request};
use crate::pipeline::resolve::Route;
use crate::upstream::body::OutBody;

/// Builds the request.
///
/// # Errors
/// 400 when the provider has no such place.
pub(in crate::pipeline) fn encode(
    route: &Route,
    proxy: &Proxy,
    payload: &Payload<'_>,
    asked: &Request,
) -> Result<Outgoing, GatewayError> {
    let vendor = route.provider.vendor();
    let credential = route.credential();
    let base = vendor.base(&credential)?;
    let url = vendor.other_url(&credential, &proxy.path, proxy.vendor_query().as_deref())?;
    let uri = within(&base, &url)?;
    let body = match payload {
        Payload::Json(fields) => OutBody::Whole(json(route, fields, &asked.body)),
        Payload::Form(form) => OutBody::Whole(form.with_texts(&[]).into()),
        Payload::Raw(raw) => raw.send()?,
    };
    let mut request = HttpRequest::new(body);
    *request.method_mut() = proxy.method.clone();
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.extend(proxy.headers.clone());
    // As clients without a wish mean it.
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    // A compressed answer could not be looked at, and streams would arrive late.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    route.put_headers(headers, vendor.headers(&credential, &asked.headers)?);
    Ok(Outgoing { call: request.into(), trusted: route.is_trusted() })
}

/// Returns the body as it came, but for the slug before the model and what the target changes.
fn json(route: &Route, fields: &Fields<'_>, came: &Body) -> Bytes {
    let named = fields.get::<String>("model").ok().flatten();
    match (named, came) {
        (Some(named), _) if named != route.model => {
            let mut fields = fields.clone();
            fields.set_str("model", &route.model);
            fields.to_vec().into()
        }
        (_, Body::Json(bytes)) if !route.changes_body => bytes.clone(),
        _ => fields.to_vec().into(),
    }
}

/// Checks, whatever was checked before, that a URL lies at the provider's own origin and below its path.
fn within(base: &str, url: &str) -> Result<Uri, GatewayError> {
    let wrong = || GatewayError::new(ErrorKind::Invalid, "the path can't be put behind the provider's URL");
    let (base, url): (Uri, Uri) = (base.parse().map_err(|_| wrong())?, url.parse().map_err(|_| wrong())?);
    let below = url.path().starts_with(base.path().trim_end_matches('/'));
    if url.scheme() == base.scheme() && url.authority() == base.authority() && below {
        Ok(url)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_stays_at_its_origin_and_below_its_base() {
        let base = "https://api.example.com/v1";
        assert!(within(base, "https://api.example.com/v1/files?x=1").is_ok());
        for url in [
            "https://api.example.com.evil/v1/files",
            "https://evil/v1/files",
            "http://api.example.com/v1/files",
            "https://api.example.com@evil/v1/files",
            "https://api.example.com/admin",
        ] {
            assert!(within(base, url).is_err(), "{url}");
        }
    }
}
