//! The host's own rules about a plugin's requests. What names resolve to is not known here.

use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Uri};

use crate::{HttpRequest, HttpResponse};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Bytes of a URL.
const URL: usize = 8 << 10;
/// Headers of a message, and their bytes.
const HEADERS: usize = 64;
const HEADER_BYTES: usize = 32 << 10;
/// Set by whoever sends: a guest that could set them could speak past the granted host.
const RESERVED: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What a request may take if the guest does not say.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the request as it may be sent, with its timeout set, or why it may not.
pub(crate) fn admit(
    mut request: HttpRequest,
    granted: &[String],
    body_limit: usize,
    left: Duration,
) -> Result<HttpRequest, String> {
    if !METHODS.contains(&request.method.as_str()) {
        return Err(format!("the method is one of {}", METHODS.join(", ")));
    }
    let (host, port) = target(&request.url)?;
    if !granted.iter().any(|grant| covers(grant, &host, port)) {
        return Err(format!("the host {host} is not granted"));
    }
    check_headers(&request.headers)?;
    if request.body.len() > body_limit {
        return Err(format!("the body is larger than {body_limit} bytes"));
    }
    let wanted = match request.timeout_ms {
        0 => TIMEOUT,
        timeout_ms => Duration::from_millis(timeout_ms.into()),
    };
    request.timeout_ms = u32::try_from(wanted.min(left).as_millis()).unwrap_or(u32::MAX).max(1);
    Ok(request)
}

/// Returns a response as the guest may see it.
pub(crate) fn accept(response: HttpResponse, body_limit: usize) -> Result<HttpResponse, String> {
    if response.body.len() > body_limit {
        return Err(format!("the answer is larger than {body_limit} bytes"));
    }
    if header_bytes(&response.headers) > HEADER_BYTES {
        return Err(format!("the answer's headers are larger than {HEADER_BYTES} bytes"));
    }
    Ok(response)
}

/// Returns host and port of a URL, if it is one of the plain kind that all parsers read alike.
fn target(url: &str) -> Result<(String, u16), String> {
    let odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`');
    if url.len() > URL || url.bytes().any(odd) {
        return Err(format!("the URL has up to {URL} plain ASCII characters"));
    }
    let uri: Uri = url.parse().map_err(|error| format!("the URL cannot be read: {error}"))?;
    let default_port = match uri.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return Err("the URL starts with http:// or https://".to_owned()),
    };
    let authority = uri.authority().ok_or("the URL names no host")?;
    if authority.as_str().contains('@') {
        return Err("the URL carries no credentials: use a header".to_owned());
    }
    let host = authority.host().to_ascii_lowercase();
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']');
    if host.is_empty() || host.ends_with('.') || !host.bytes().all(plain) {
        return Err("the URL names no plain host".to_owned());
    }
    let port = match authority.as_str().get(host.len()..).unwrap_or_default() {
        "" => default_port,
        rest => rest
            .strip_prefix(':')
            .and_then(|port| port.parse().ok())
            .filter(|port| *port != 0)
            .ok_or("the URL's port cannot be read")?,
    };
    Ok((host, port))
}

/// Whether a grant covers a host: `name`, `name:port` or `*.suffix`, which is for names below the suffix only.
/// Without a port a grant is for the two usual ones: a granted name opens no other service of that machine.
fn covers(grant: &str, host: &str, port: u16) -> bool {
    let grant = grant.to_ascii_lowercase();
    let (name, granted_port) = match grant.rsplit_once(':') {
        // The colons of an IPv6 address are inside of brackets.
        Some((name, digits)) if !digits.ends_with(']') => match digits.parse::<u16>() {
            Ok(granted_port) => (name, Some(granted_port)),
            Err(_) => return false,
        },
        _ => (grant.as_str(), None),
    };
    if granted_port.map_or(port != 80 && port != 443, |granted| granted != port) {
        return false;
    }
    match name.strip_prefix("*.") {
        Some(suffix) => {
            !suffix.is_empty()
                && host
                    .strip_suffix(suffix)
                    .and_then(|below| below.strip_suffix('.'))
                    .is_some_and(|below| !below.is_empty())
        }
        None => host == name,
    }
}

fn check_headers(headers: &[(String, String)]) -> Result<(), String> {
    if headers.len() > HEADERS || header_bytes(headers) > HEADER_BYTES {
        return Err(format!("a request has up to {HEADERS} headers of {HEADER_BYTES} bytes"));
    }
    for (name, value) in headers {
        let parsed =
            HeaderName::try_from(name.as_str()).map_err(|_| format!("{name:?} is no header name"))?;
        if RESERVED.contains(&parsed.as_str()) {
            return Err(format!("the header {parsed} is the host's"));
        }
        HeaderValue::try_from(value.as_str())
            .map_err(|_| format!("the value of {parsed} is no header value"))?;
    }
    Ok(())
}

fn header_bytes(headers: &[(String, String)]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(url: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: 0,
        }
    }

    fn admitted(url: &str, grants: &[&str]) -> bool {
        let grants: Vec<String> = grants.iter().map(|grant| (*grant).to_owned()).collect();
        admit(get(url), &grants, 100, Duration::from_secs(5)).is_ok()
    }

    #[test]
    fn only_granted_hosts_are_reached() {
        let name = &["api.example.com"][..];
        assert!(admitted("https://api.example.com/v1?q=1#x", name));
        assert!(admitted("http://API.example.COM", name));
        assert!(admitted("https://api.example.com:443/", name));
        assert!(!admitted("https://example.com/", name));
        assert!(!admitted("https://api.example.com.evil.test/", name));
        assert!(!admitted("https://evil.test/api.example.com", name));
        assert!(!admitted("https://api.example.com/", &[]));
    }

    #[test]
    fn a_grant_with_a_port_is_for_that_port_and_one_without_for_the_usual_two() {
        assert!(admitted("http://db.test:8080/", &["db.test:8080"]));
        assert!(!admitted("http://db.test/", &["db.test:8080"]));
        assert!(!admitted("http://db.test:6379/", &["db.test"]));
        assert!(!admitted("http://db.test/", &["db.test:http"]));
        assert!(admitted("http://[::1]:9000/", &["[::1]:9000"]));
        assert!(admitted("http://[::1]/", &["[::1]"]));
    }

    #[test]
    fn a_star_is_for_names_below_it() {
        let star = &["*.example.com"][..];
        assert!(admitted("https://a.b.example.com/", star));
        assert!(!admitted("https://example.com/", star));
        assert!(!admitted("https://.example.com/", star));
        assert!(!admitted("https://evilexample.com/", star));
        assert!(!admitted("https://a.test/", &["*."]));
    }

    #[test]
    fn urls_that_parsers_may_read_differently_are_refused() {
        for url in [
            "https://api.example.com@evil.test/",
            "https://evil.test\\@api.example.com/",
            "https://api.example.com\t.evil.test/",
            "https://api.example.com./",
            "https://аpi.example.com/",
            "//api.example.com/",
            "/api.example.com",
            "file://api.example.com/etc/passwd",
            "ftp://api.example.com/",
            "https://api.example.com:/",
            "https://api.example.com:0/",
            "https://api.example.com:99999/",
            "https:///",
            "",
        ] {
            assert!(!admitted(url, &["api.example.com", "*.example.com"]), "{url}");
        }
    }

    #[test]
    fn headers_that_frame_a_message_or_break_it_are_refused() {
        for (name, value) in [
            ("Host", "evil.test"),
            ("transfer-encoding", "chunked"),
            ("x y", "1"),
            ("x-a", "1\r\nx-b: 2"),
            ("", "1"),
        ] {
            let mut request = get("https://a.test/");
            request.headers.push((name.to_owned(), value.to_owned()));
            assert!(admit(request, &["a.test".to_owned()], 100, TIMEOUT).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn sizes_methods_and_timeouts_are_bounded() {
        let grants = ["a.test".to_owned()];
        let left = Duration::from_millis(700);
        let plain = admit(get("https://a.test/"), &grants, 100, left).unwrap();
        assert_eq!(plain.timeout_ms, 700);
        let short =
            admit(HttpRequest { timeout_ms: 20, ..get("https://a.test/") }, &grants, 100, left).unwrap();
        assert_eq!(short.timeout_ms, 20);
        let body = HttpRequest { body: vec![0; 101], ..get("https://a.test/") };
        assert!(admit(body, &grants, 100, left).is_err());
        let connect = HttpRequest { method: "CONNECT".to_owned(), ..get("https://a.test/") };
        assert!(admit(connect, &grants, 100, left).is_err());
        let headers = vec![("x-a".to_owned(), "1".repeat(HEADER_BYTES))];
        assert!(admit(HttpRequest { headers, ..get("https://a.test/") }, &grants, 100, left).is_err());
        let answer = HttpResponse { status: 200, headers: Vec::new(), body: vec![0; 101] };
        assert!(accept(answer, 100).is_err());
    }
}
