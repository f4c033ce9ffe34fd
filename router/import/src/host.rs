//! Addresses of vendors, looked at by their spelling alone.

use std::net::{IpAddr, Ipv6Addr};

/// Names that never leave a private network.
const PRIVATE_SUFFIXES: [&str; 8] =
    ["localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp"];

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
    if url.contains(|letter: char| {
        letter.is_whitespace() || letter.is_control() || !letter.is_ascii() || "\\\"<>^`{|}".contains(letter)
    }) {
        return Err("is not a URL");
    }
    Ok(url.to_owned())
}

/// Returns whether a URL has nothing behind its host and port.
pub(crate) fn is_bare(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'))
}

/// Returns whether a host is likely on a private network, so that `trusted = true` is needed. A name without a dot is
/// a container's or a machine's next door.
pub(crate) fn is_private(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared(v4.octets())
        }
        Ok(IpAddr::V6(v6)) => v6 == Ipv6Addr::LOCALHOST || v6.is_unique_local() || v6.is_unicast_link_local(),
        Err(_) => {
            let last = host.rsplit('.').next().unwrap_or_default();
            !host.contains('.') || PRIVATE_SUFFIXES.contains(&last)
        }
    }
}

/// 100.64.0.0/10: carriers' networks, and private ones laid over the public.
fn is_shared(octets: [u8; 4]) -> bool {
    octets[0] == 100 && octets[1] & 0xc0 == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_hosts_are_known_by_their_spelling() {
        for host in ["localhost", "vllm", "10.0.0.7", "127.0.0.1", "gpu.lan", "host.docker.internal", "::1"] {
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
        for wrong in ["a.example.com", "https://", "https://u:p@a.b", "https://a.b/?key=1", "https://a b"] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }
}
