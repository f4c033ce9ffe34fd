//! The client's headers that go on to the vendor because the header `x-portkey-forward-headers` or the config names them.
//!
//! Never among them: the gateway's key, the gateway's own headers, and what belongs to one connection. What the vendor's
//! dialect sets itself, its credential above all, is not replaced.

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_config::Target;

use super::request::Request;
use super::resolve::{header, invalid};
use crate::error::GatewayError;

/// Headers of one connection, or about a body that is written anew.
const OWN: [&str; 16] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "expect",
    "cookie",
];

/// Returns whether a header may go on to a vendor at all.
#[must_use]
pub fn may_go_on(name: &str) -> bool {
    !OWN.contains(&name) && !name.starts_with("x-portkey-") && !name.starts_with("x-tidegate-")
}

/// Returns the headers that are to be forwarded: those that the header names, else those that the target names.
///
/// # Errors
/// 400 when the header names itself.
pub(super) fn chosen(request: &Request, target: &Target) -> Result<HeaderMap, GatewayError> {
    let mut chosen = HeaderMap::new();
    let listed = header(request, "x-portkey-forward-headers").map(|list| {
        let names = list.split(',').map(|name| name.trim().to_ascii_lowercase());
        names.filter(|name| !name.is_empty()).collect::<Vec<_>>()
    });
    let names = listed.as_ref().unwrap_or(&target.forward_headers);
    if listed.is_some() && names.iter().any(|name| name.ends_with("-forward-headers")) {
        let message = "forward_headers must not contain the 'x-portkey-forward-headers' header";
        return Err(invalid("x-portkey-forward-headers", message));
    }
    for name in names.iter().filter(|name| may_go_on(name)) {
        for (_, value) in request.plain_headers.iter().filter(|(known, _)| known == name) {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
            {
                chosen.append(name, value);
            }
        }
    }
    Ok(chosen)
}
