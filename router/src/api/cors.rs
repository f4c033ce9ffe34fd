//! CORS for browser pages that call inference themselves (Fetch standard).

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Methods of inference routes.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, OPTIONS");
const A_DAY: HeaderValue = HeaderValue::from_static("86400");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Returns the origin to allow, if the request comes from a page and its origin may call.
fn allowed(request: &HttpRequest, origins: &[String]) -> Option<HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    // The pattern that matched, not the path as written: `/v1/%61dmin` is an admin route too.
    let is_admin = |pattern: &str| pattern.starts_with("/v1/admin") || pattern.starts_with("/v1/plugins");
    if request.match_pattern().is_some_and(|pattern| is_admin(&pattern)) {
        return None;
    }
    if origins.iter().any(|allowed| allowed == "*") {
        return Some(ANY);
    }
    let text = origin.to_str().ok()?;
    origins.iter().any(|allowed| allowed == text).then(|| origin.clone())
}

/// Adds what a page needs to read an answer.
pub(crate) fn add(request: &HttpRequest, origins: &[String], headers: &mut HeaderMap) {
    let Some(origin) = allowed(request, origins) else { return };
    if origin != ANY {
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
}

/// Adds the answer to a preflight.
pub(super) fn add_preflight(request: &HttpRequest, origins: &[String], headers: &mut HeaderMap) {
    add(request, origins, headers);
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
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
