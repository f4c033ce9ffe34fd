//! CORS for browser pages that call inference themselves (Fetch standard).

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::Offer;
use crate::server::{Headers, Lines};

const A_DAY: HeaderValue = HeaderValue::from_static("86400");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// A page that may read an answer.
pub(crate) struct Page<'a> {
    /// Its origin, as it says itself; none when nobody's page asks, or pages may not.
    origin: Option<&'a [u8]>,
}

impl<'a> Page<'a> {
    /// Returns the page that asks for inference.
    pub(crate) fn of(sent: &'a impl Headers) -> Self {
        Self { origin: sent.first("origin") }
    }

    /// Returns the page that asks for any route.
    pub(crate) fn at(request: &'a HttpRequest) -> Self {
        let page = Self::of(request.headers());
        if page.origin.is_some() && !Offer::at(request).to_pages {
            return Self { origin: None };
        }
        page
    }

    /// Returns whether a page asks, whichever it is.
    pub(crate) fn asks(&self) -> bool {
        self.origin.is_some()
    }

    /// Returns the origin to allow, if it may call.
    fn allowed(&self, origins: &[String]) -> Option<&'a str> {
        let origin = self.origin?;
        if origins.iter().any(|allowed| allowed == "*") {
            return Some("*");
        }
        origins
            .iter()
            .any(|allowed| allowed.as_bytes() == origin)
            .then(|| std::str::from_utf8(origin).ok())?
    }

    /// Adds what a page needs to read an answer.
    pub(crate) fn allow(&self, origins: &[String], lines: &mut Lines) {
        let Some(origin) = self.allowed(origins) else { return };
        if origin != "*" {
            lines.put("vary", "Origin");
        }
        lines.put("access-control-allow-origin", origin);
        lines.put("access-control-expose-headers", "*");
    }
}

/// Adds what a page needs to read an answer.
pub(crate) fn add(request: &HttpRequest, origins: &[String], headers: &mut HeaderMap) {
    let page = Page::at(request);
    let Some(origin) = page.allowed(origins) else { return };
    if origin != "*" {
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    let Ok(origin) = HeaderValue::from_str(origin) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
}

/// Adds the answer to a preflight.
pub(super) fn add_preflight(request: &HttpRequest, origins: &[String], headers: &mut HeaderMap) {
    add(request, origins, headers);
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    let methods = format!("{}, OPTIONS", Offer::at(request).methods);
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, A_DAY);
    // `*` does not cover Authorization: what the page asked for is named.
    if let Some(wanted) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.insert(
        HeaderName::from_static("access-control-allow-private-network"),
        HeaderValue::from_static("true"),
    );
}
