//! Addresses of vendors, looked at by their spelling alone.

use std::net::{IpAddr, Ipv4Addr};

/// Names that never leave a private network.
const PRIVATE_SUFFIXES: [&str; 11] = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "test",
    "invalid",
    "onion",
];

/// Returns the host of a URL, without port.
pub(crate) fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some(inside) = authority.strip_prefix('[') {
        return inside.split(']').next();
    }
    authority.split(':').next().filter(|host| !host.is_empty())
}

/// Returns a URL as `base_url` takes it, or what keeps it from being one.
pub(crate) fn base_url(url: &str) -> Result<String, &'static str> {
    let url = url.trim().trim_end_matches('/');
    if host_of(url).is_none() {
        return Err("is not a URL that begins with http:// or https://");
    }
    if url.contains(['?', '#']) {
        return Err("holds a query, which a base_url may not");
    }
    if url.contains('@') {
        return Err("holds credentials, which a base_url may not");
    }
    if !has_port_or_none(url) {
        return Err("has no port behind the colon");
    }
    let odd = |letter: char| !letter.is_ascii_graphic() || "\\\"<>^`{|}".contains(letter);
    let in_host = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    if url.contains(odd) || !host_of(url).is_some_and(|host| host.chars().all(in_host)) {
        return Err("is not a URL");
    }
    Ok(url.to_owned())
}

/// Returns whether a URL has nothing behind its host and port.
pub(crate) fn is_bare(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'))
}

/// Returns whether the gateway takes a host for private, so that `trusted = true` is needed. A name without a dot is a
/// container's or a machine's next door; of IPv6, all but the public range counts as private.
pub(crate) fn is_private(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => is_private_v4(v4),
        Ok(IpAddr::V6(v6)) => !(0x2003..0x4000).contains(&v6.segments()[0]),
        Err(_) => {
            let last = host.rsplit('.').next().unwrap_or_default();
            let is_number = |label: &str| label.starts_with("0x") || label.parse::<u64>().is_ok();
            !host.contains('.') || PRIVATE_SUFFIXES.contains(&last) || host.split('.').all(is_number)
        }
    }
}

fn is_private_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18)
}

fn has_port_or_none(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
    behind.split_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_hosts_are_known_by_their_spelling() {
        for host in [
            "localhost",
            "vllm",
            "10.0.0.7",
            "127.0.0.1",
            "gpu.lan",
            "a.test",
            "0.0.0.0",
            "0x7f.1",
            "host.docker.internal",
            "::1",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in ["api.openai.com", "8.8.8.8", "contoso.openai.azure.com"] {
            assert!(!is_private(host), "{host}");
        }
    }

    #[test]
    fn base_urls_are_tidied_or_refused() {
        assert_eq!(base_url("https://a.example.com/v1/").as_deref(), Ok("https://a.example.com/v1"));
        assert_eq!(host_of("http://[::1]:8000/v1"), Some("::1"));
        assert_eq!(host_of("http://vllm:8000"), Some("vllm"));
        for wrong in [
            "a.example.com",
            "https://",
            "https://u:p@a.b",
            "https://a.b/?key=1",
            "https://a b",
            "http://a:b/v1",
        ] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }
}
