//! Custom hosts: which address may be called in place of a vendor's, and with whose credential.
//!
//! A client's own credential may go to any public address that the client names. A credential of the operator goes to
//! the provider's own address, and to hosts that the operator trusts by name; nobody can have it sent anywhere else.
//! Closed on doubt. Private addresses are refused here by name and again, for what a name resolves to, at connect time.

use http::Uri;

use super::request::Request;
use super::resolve::{header, invalid};
use crate::actors::provider::ProviderHandle;
use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::upstream::address::{check_custom_host, is_trusted};
use tidegate_config::Target;

/// Portkey's words for every refusal.
const WORDS: &str = "Invalid custom host";

/// Returns the host that is asked for: the header's, else the target's.
pub(super) fn wanted<'a>(request: &'a Request, target: &'a Target) -> Option<&'a str> {
    header(request, "x-portkey-custom-host").or(target.custom_host.as_deref())
}

/// Checks the host of a guest, who brings its own credential. Returns whether it is trusted.
///
/// # Errors
/// 400 when it is private, no URL, or would get a key that the client did not bring.
pub(super) fn of_guest(
    gateway: &Gateway,
    request: &Request,
    target: &Target,
    host: &str,
) -> Result<bool, GatewayError> {
    let trusted = is_trusted(&gateway.settings().trusted_hosts, host);
    check_custom_host(host, trusted).map_err(|reason| refused(&reason))?;
    // A saved config's key is not the client's to send about.
    let own_config = header(request, "x-portkey-config").is_some_and(|text| text.starts_with('{'));
    let others_key = target.api_key.is_some() && !own_config;
    if others_key && !trusted && header(request, "x-portkey-custom-host").is_some() {
        return Err(refused("the config's key goes to the config's host and to security.trusted_hosts only"));
    }
    Ok(trusted)
}

/// Returns the host that a stored provider's credential may be sent to, where another one than its own is asked for.
///
/// # Errors
/// 400 unless the operator trusts it, or it is the provider's own.
pub(super) fn of_stored(
    gateway: &Gateway,
    provider: &ProviderHandle,
    request: &Request,
    target: &Target,
) -> Result<Option<String>, GatewayError> {
    let Some(host) = wanted(request, target) else { return Ok(None) };
    let trusted = is_trusted(&gateway.settings().trusted_hosts, host);
    check_custom_host(host, true).map_err(|reason| refused(&reason))?;
    if trusted {
        return Ok(Some(host.to_owned()));
    }
    let own = provider.vendor().base(provider.credential()).ok();
    if own.is_some_and(|own| place(&own).is_some() && place(&own) == place(host)) {
        // Its own address, written out: nothing is replaced.
        return Ok(None);
    }
    let slug = &provider.record().slug;
    Err(refused(&format!(
        "the credential of @{slug} goes to its own address and to security.trusted_hosts only"
    )))
}

fn refused(reason: &str) -> GatewayError {
    invalid("x-portkey-custom-host", &format!("{WORDS}: {reason}")).said_as(WORDS)
}

/// Returns what tells two addresses apart: scheme, host, port and path.
fn place(url: &str) -> Option<(String, String, u16, String)> {
    let uri = url.parse::<Uri>().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port, uri.path().trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_scheme_host_port_and_path() {
        assert_eq!(place("https://API.example.com/v1/"), place("https://api.example.com:443/v1"));
        for other in [
            "http://api.example.com/v1",
            "https://api.example.com:444/v1",
            "https://example.com/v1",
            "https://api.example.com/v1/other",
            "https://api.example.com",
        ] {
            assert_ne!(place("https://api.example.com/v1"), place(other), "{other}");
        }
    }
}
