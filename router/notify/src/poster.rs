//! Posts JSON. Redirects are not followed: a signed body goes where the operator said and nowhere else.
//!
//! Private addresses are allowed, since the operator writes the URL. Bodies of answers are not read.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use crate::failure::{Failure, root_cause};

/// Notifications are rare: a connection is kept for a burst of them, no longer.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// HTTP's dates, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
const HTTP_DATE: &[FormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// One URL that JSON is posted to.
pub(crate) struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    timeout: Duration,
}

impl Poster {
    /// Makes a poster.
    ///
    /// # Errors
    /// A sentence that does not repeat the URL.
    pub(crate) fn new(url: &str, timeout_ms: u64) -> Result<Self, String> {
        let accepted = "`url`: http:// or https:// with a host, without user or password, is accepted";
        let uri: Uri = url.parse().map_err(|_| accepted)?;
        let scheme_fits = matches!(uri.scheme_str(), Some("http" | "https"));
        let host_fits =
            uri.authority().is_some_and(|one| !one.host().is_empty() && !one.as_str().contains('@'));
        if !scheme_fits || !host_fits {
            return Err(accepted.into());
        }
        let timeout = Duration::from_millis(timeout_ms);
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(timeout));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(https);
        Ok(Self { client, uri, timeout })
    }

    /// Posts once.
    ///
    /// # Errors
    /// [`Failure`], unless the answer's status is 2xx.
    pub(crate) async fn post(&self, headers: HeaderMap, body: Vec<u8>) -> Result<(), Failure> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, agent);
        match tokio::time::timeout(self.timeout, self.client.request(request)).await {
            Err(_) => Err(Failure::unreachable(format!("no answer within {} ms", self.timeout.as_millis()))),
            Ok(Err(error)) => Err(Failure::unreachable(format!("no answer: {}", root_cause(&error)))),
            Ok(Ok(answer)) => judge(answer.status().as_u16(), answer.headers(), now()),
        }
    }
}

/// Says what an answer means.
fn judge(status: u16, headers: &HeaderMap, now: OffsetDateTime) -> Result<(), Failure> {
    let reason = format!("the receiver answered {status}");
    let wait = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
    match (status, wait) {
        (200..=299, _) => Ok(()),
        (300..=399, _) => Err(Failure::never(format!("{reason}: redirects are not followed"))),
        (408 | 425 | 429 | 500..=599, Some(wait)) => Err(Failure::after(reason, wait)),
        (408 | 425 | 429 | 500..=599, None) => Err(Failure::later(reason)),
        _ => Err(Failure::never(reason)),
    }
}

/// Reads `Retry-After`: seconds or a date.
fn retry_after(value: &str, now: OffsetDateTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = time::PrimitiveDateTime::parse(value, HTTP_DATE).ok()?.assume_utc();
    Some(Duration::try_from(date - now).unwrap_or(Duration::ZERO))
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Returns the seconds since the epoch.
pub(crate) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// TLS settings, made once: Mozilla's roots and the machine's own.
fn tls() -> Result<ClientConfig, String> {
    static TLS: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let made = TLS.get_or_init(|| {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS is not available: {error}"))?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    });
    made.as_ref().map(|config| ClientConfig::clone(config)).map_err(Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Next;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 07:00:00 UTC);

    fn next(status: u16, retry_after: Option<&'static str>) -> Option<Next> {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
        }
        judge(status, &headers, NOW).err().map(|failure| failure.next)
    }

    #[test]
    fn what_a_status_means() {
        for status in [200, 202, 204] {
            assert_eq!(next(status, None), None, "{status}");
        }
        for status in [301, 307, 400, 401, 403, 404, 410, 422] {
            assert_eq!(next(status, Some("5")), Some(Next::Never), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503] {
            assert_eq!(next(status, None), Some(Next::Later), "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(next(429, Some("7")), Some(Next::After(Duration::from_secs(7))));
        let date = Some("Sun, 22 Nov 2026 07:00:30 GMT");
        assert_eq!(next(503, date), Some(Next::After(Duration::from_secs(30))));
        let past = Some("Sun, 22 Nov 2026 06:00:00 GMT");
        assert_eq!(next(503, past), Some(Next::After(Duration::ZERO)));
        assert_eq!(next(429, Some("soon")), Some(Next::Later));
    }

    #[test]
    fn urls_need_a_host_and_no_password() {
        for url in ["", "hooks.example", "ftp://a.example/", "https://user:hunter2@a.example/", "https:///x"]
        {
            let Err(reason) = Poster::new(url, 1_000) else { panic!("{url} is taken") };
            assert!(!reason.contains("hunter2"), "{reason}");
        }
        assert!(Poster::new("http://127.0.0.1:9/x?y", 1_000).is_ok());
    }
}
