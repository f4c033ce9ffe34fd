//! Which hosts may be called. Private, loopback and metadata addresses are refused unless the operator trusts them.
//!
//! A name is checked when it is configured and again for every address it resolves to, at connect time, so that a
//! public name that points at a private address gets nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Names that never leave a private network.
const PRIVATE_SUFFIXES: &[&str] = &[
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

/// Checks a base URL.
///
/// # Errors
/// A sentence with what is accepted.
pub fn check_base_url(url: &str, trusted: bool) -> Result<(), String> {
    check_url(url, trusted, "`trusted = true` (`--trusted`) allows it")
}

/// Checks an address that is asked for in place of a provider's own.
///
/// # Errors
/// A sentence with what is accepted.
pub fn check_custom_host(url: &str, trusted: bool) -> Result<(), String> {
    check_url(url, trusted, "security.trusted_hosts in the settings allows it")
}

fn check_url(url: &str, trusted: bool, allowed_by: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| format!("\"{url}\" is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(format!("\"{url}\" must begin with http:// or https://"));
    }
    let Some(authority) = uri.authority() else { return Err(format!("\"{url}\" names no host")) };
    if authority.as_str().contains('@') {
        return Err("a URL must not hold credentials".to_owned());
    }
    if uri.query().is_some() {
        return Err("a base URL must not hold a query".to_owned());
    }
    // What is read of it ends there, and so would a path that is put behind it.
    if url.contains('#') {
        return Err("a base URL must not hold a `#`".to_owned());
    }
    if !trusted && is_private_host(authority.host()) {
        return Err(format!("host {} is private; {allowed_by}", authority.host()));
    }
    Ok(())
}

/// Returns whether a host is private by its name or spelling alone.
#[must_use]
pub fn is_private_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_private(address);
    }
    // Decimal, octal and hex spellings of addresses: resolvers accept them, URLs of vendors never use them.
    if host
        .split('.')
        .all(|label| !label.is_empty() && (label.starts_with("0x") || label.parse::<u64>().is_ok()))
    {
        return true;
    }
    host.split('.').count() > 10
        || PRIVATE_SUFFIXES.iter().any(|suffix| host == *suffix || host.ends_with(&format!(".{suffix}")))
}

/// Returns whether an address is private, loopback, link-local, reserved or a cloud's metadata service.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped().or_else(|| embedded_v4(v6)) {
            Some(v4) => is_private_v4(v4),
            None => is_private_v6(v6),
        },
    }
}

fn is_private_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_unspecified()
        || v4.is_broadcast()
        || v4.is_multicast()
        || v4.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
}

fn is_private_v6(v6: Ipv6Addr) -> bool {
    let first = v6.segments()[0];
    v6.is_loopback()
        || v6.is_unspecified()
        || v6.is_multicast()
        || first & 0xfe00 == 0xfc00
        || first & 0xffc0 == 0xfe80
        || first & 0xffc0 == 0xfec0
        || (first == 0x2001 && v6.segments()[1] == 0x0db8)
        // NAT64 for local use (RFC 8215).
        || v6.segments()[..3] == [0x0064, 0xff9b, 1]
}

/// 6to4 and NAT64 addresses carry an IPv4 address that they lead to.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0x2002, high, low, ..] => Some(join(high, low)),
        // NAT64, IPv4-compatible and SIIT forms; `::` and `::1` are looked at as IPv6.
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(join(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => Some(join(high, low)),
        _ => None,
    }
}

/// Returns whether the operator trusts a URL's host by name. Any other host may be called by guests, but never at a
/// private address: what its name resolves to is checked at connect time.
#[must_use]
pub fn is_trusted(trusted_hosts: &[String], url: &str) -> bool {
    let host = url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase));
    host.is_some_and(|host| trusted_hosts.contains(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_hosts_are_compared_by_name() {
        let trusted = vec!["127.0.0.1".to_owned()];
        assert!(is_trusted(&trusted, "http://127.0.0.1:9000/v1"));
        assert!(!is_trusted(&trusted, "http://127.0.0.2:9000/v1"));
        assert!(!is_trusted(&trusted, "https://api.example.com/v1"));
        assert!(!is_trusted(&trusted, "https://127.0.0.1.example.com/v1"));
    }

    #[test]
    fn every_spelling_of_a_private_host_is_refused() {
        for host in [
            "127.0.0.1",
            "localhost",
            "LOCALHOST.",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "[::1]",
            "::ffff:127.0.0.1",
            "fd00::1",
            "fe80::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "metadata.google.internal",
            "a.local",
            "100.64.0.1",
            "::127.0.0.2",
            "::ffff:0:127.0.0.1",
            "64:ff9b:1::1",
        ] {
            assert!(is_private_host(host), "{host}");
        }
        for host in ["api.openai.com", "8.8.8.8", "2606:4700::1111", "local.example.com"] {
            assert!(!is_private_host(host), "{host}");
        }
    }

    #[test]
    fn urls_are_checked_whole() {
        assert!(check_base_url("https://api.openai.com/v1", false).is_ok());
        assert!(check_base_url("http://127.0.0.1:9000/v1", true).is_ok());
        for url in [
            "http://127.0.0.1:9000/v1",
            "ftp://a.com",
            "https://u:p@a.com",
            "api.openai.com/v1",
            "https://a.com?x=1",
            "https://a.com/v1#x",
        ] {
            assert!(check_base_url(url, false).is_err(), "{url}");
        }
        assert!(check_base_url("http://10.0.0.1", false).is_err_and(|it| it.contains("trusted = true")));
        assert!(check_custom_host("http://10.0.0.1", false).is_err_and(|it| it.contains("trusted_hosts")));
    }
}
