//! Requests as clients write them: `/v1//models/` is `/v1/models`, and HEAD is GET whose answer's body is left out.

use std::future::{Ready, ready};

use actix_web::dev::{Service, ServiceRequest, Transform, forward_ready};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{Method, Uri};

/// What can be read once only is not to be lost to a HEAD.
const READ_ONCE: &str = "/secret";

/// Middleware that takes slashes away which mean nothing: those at the end, and all but one in a row. Clean paths, which
/// nearly all are, cost a look. HEAD is served as GET (RFC 9110, 9.3.2); the connection knows what was asked, and leaves
/// the body out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tidy;

impl<S: Service<ServiceRequest>> Transform<S, ServiceRequest> for Tidy {
    type Response = S::Response;
    type Error = S::Error;
    type Transform = TidyService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(TidyService { service }))
    }
}

/// The middleware at work.
#[derive(Debug)]
pub(crate) struct TidyService<S> {
    service: S,
}

impl<S: Service<ServiceRequest>> Service<ServiceRequest> for TidyService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        if let Some(uri) = tidied(request.uri()) {
            request.match_info_mut().get_mut().update(&uri);
            request.head_mut().uri = uri;
        }
        if request.method() == Method::HEAD && !request.path().ends_with(READ_ONCE) {
            request.head_mut().method = Method::GET;
        }
        self.service.call(request)
    }
}

/// Returns the address with a tidy path, where it is not tidy already.
fn tidied(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let is_tidy = (!path.ends_with('/') || path == "/") && !path.contains("//");
    if is_tidy {
        return None;
    }
    let mut tidy = String::with_capacity(uri.path_and_query().map_or(0, |whole| whole.as_str().len()) + 1);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        tidy.push('/');
        tidy.push_str(part);
    }
    if tidy.is_empty() {
        tidy.push('/');
    }
    if let Some(query) = uri.query() {
        tidy.push('?');
        tidy.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(tidy).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_that_mean_nothing_go() {
        for (path, tidy) in [
            ("/v1/models", None),
            ("/", None),
            ("/v1/models/", Some("/v1/models")),
            ("//v1///models//?a=b//c/", Some("/v1/models?a=b//c/")),
            ("//", Some("/")),
            ("/v1/x%2F/", Some("/v1/x%2F")),
        ] {
            let tidied = tidied(&Uri::try_from(path).unwrap());
            assert_eq!(tidied.map(|uri| uri.to_string()).as_deref(), tidy, "{path}");
        }
    }
}
