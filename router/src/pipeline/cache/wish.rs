//! What config and headers want of the cache.

use std::time::Duration;

use tidegate_config::Cache;
use tidegate_providers::Endpoint;

use crate::pipeline::request::{Body, Request};
use crate::pipeline::resolve::header;

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// No older answer will do, and the new one is kept so long.
    pub(super) age: Duration,
    /// Only a new answer will do.
    pub(super) refresh: bool,
}

impl Wish {
    /// Returns what is wanted, or `None` when nothing is to be kept or found.
    pub(super) fn of(cache: &Cache, request: &Request, most: u64) -> Option<Self> {
        if !is_kept(request.endpoint) || !matches!(request.body, Body::Json(_)) {
            return None;
        }
        if header(request, "x-portkey-debug").is_some_and(|text| text.eq_ignore_ascii_case("false")) {
            return None;
        }
        let age = cache.max_age.or_else(|| asked_age(request)).unwrap_or(Cache::DEFAULT_AGE);
        let refresh = header(request, "x-portkey-cache-force-refresh")
            .is_some_and(|text| text.eq_ignore_ascii_case("true"));
        Some(Self { age: age.min(Duration::from_secs(most)), refresh })
    }
}

/// Returns the namespace that takes the place of metadata.
pub(super) fn namespace(request: &Request) -> Option<&str> {
    header(request, "x-portkey-cache-namespace")
}

/// Sound, files and counting are not kept, as with Portkey.
fn is_kept(endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Chat
        | Endpoint::Completions
        | Endpoint::Responses
        | Endpoint::Messages
        | Endpoint::Embeddings
        | Endpoint::ImageGenerations => true,
        Endpoint::CountTokens
        | Endpoint::ImageEdits
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations
        | Endpoint::Other => false,
    }
}

/// Returns the age that headers name.
fn asked_age(request: &Request) -> Option<Duration> {
    let own = header(request, "x-portkey-cache-ttl").and_then(|text| text.parse().ok());
    let standard = || {
        let control = request.plain_headers.iter().find(|(name, _)| *name == "cache-control")?;
        control.1.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok())
    };
    own.or_else(standard).map(Cache::age)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http::{HeaderMap, HeaderName, HeaderValue};
    use tidegate_config::Plan;

    use super::*;
    use crate::pipeline::request::Dialect;

    fn request(endpoint: Endpoint, headers: &[(&'static str, &'static str)]) -> Request {
        let mut own = HeaderMap::new();
        let mut plain = Vec::new();
        for (name, value) in headers {
            if name.starts_with("x-") {
                own.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            } else {
                plain.push((*name, *value));
            }
        }
        Request {
            endpoint,
            dialect: Dialect::OpenAi,
            id: String::new(),
            trace_id: String::new(),
            started: Instant::now(),
            started_at_ms: 0,
            headers: own,
            plain_headers: plain.into_iter().collect(),
            vendor_key: None,
            proxy: None,
            body: Body::Json(bytes::Bytes::from_static(b"{}")),
        }
    }

    fn wish(cache: &str, headers: &[(&'static str, &'static str)]) -> Option<Wish> {
        let plan = Plan::parse(&format!("{{\"cache\": {cache}}}")).unwrap();
        let cache = plan.targets()[0].cache.clone().unwrap();
        Wish::of(&cache, &request(Endpoint::Chat, headers), 7_776_000)
    }

    #[test]
    fn the_config_beats_headers_and_ages_out_of_range_are_the_default() {
        let age = |cache, headers: &[_]| wish(cache, headers).unwrap().age.as_secs();
        assert_eq!(age("{}", &[]), 604_800);
        assert_eq!(age("{}", &[("x-portkey-cache-ttl", "120")]), 120);
        assert_eq!(age("{}", &[("cache-control", "no-transform, max-age=90")]), 90);
        assert_eq!(age("{}", &[("x-portkey-cache-ttl", "120"), ("cache-control", "max-age=90")]), 120);
        assert_eq!(age("{\"max_age\": 3600}", &[("x-portkey-cache-ttl", "120")]), 3_600);
        assert_eq!(age("{}", &[("x-portkey-cache-ttl", "59")]), 604_800);
        assert_eq!(age("{}", &[("x-portkey-cache-ttl", "soon")]), 604_800);
    }

    #[test]
    fn the_operators_bound_is_the_least() {
        let plan = Plan::parse("{\"cache\": {\"max_age\": 3600}}").unwrap();
        let cache = plan.targets()[0].cache.clone().unwrap();
        let wish = Wish::of(&cache, &request(Endpoint::Chat, &[]), 600).unwrap();
        assert_eq!(wish.age.as_secs(), 600);
    }

    #[test]
    fn only_true_refreshes() {
        for (value, refresh) in [("true", true), ("True", true), ("false", false), ("1", false), ("", false)]
        {
            assert_eq!(
                wish("{}", &[("x-portkey-cache-force-refresh", value)]).unwrap().refresh,
                refresh,
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_not_kept_is_left_alone() {
        let plan = Plan::parse("{\"cache\": {}}").unwrap();
        let cache = plan.targets()[0].cache.clone().unwrap();
        for endpoint in
            [Endpoint::Speech, Endpoint::Transcriptions, Endpoint::ImageEdits, Endpoint::CountTokens]
        {
            assert_eq!(Wish::of(&cache, &request(endpoint, &[]), 600), None);
        }
        assert_eq!(wish("{}", &[("x-portkey-debug", "false")]), None);
        assert!(wish("{}", &[("x-portkey-debug", "true")]).is_some());
    }
}
