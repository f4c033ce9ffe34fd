//! Values of the right type that could still never work: said when they are read, not when somebody misses them.

use super::file::{File, KeySettings, LimitsSettings, TimeoutSettings};
use super::load::DeclaredKey;
use super::values::Secret;
use crate::scopes;

/// Threads of either kind; more than a machine has cores only cost memory.
const MOST_THREADS: usize = 1_024;
/// Milliseconds of a day.
const LONGEST_MS: u64 = 86_400_000;
/// Bodies and answers are held in memory whole.
const MOST_BYTES: usize = 4 << 30;

/// Checks what stands outside of tables that are there several times.
pub(super) fn file(file: &File) -> Result<(), String> {
    if let Some(address) = &file.listen {
        listen(address)?;
    }
    for (name, threads) in [("workers", file.workers), ("control_threads", file.control_threads)] {
        if threads.is_some_and(|threads| !(1..=MOST_THREADS).contains(&threads)) {
            return Err(format!("{name}: 1 to {MOST_THREADS} are accepted"));
        }
    }
    timeouts(&file.timeouts)?;
    limits(&file.limits)?;
    file.cors.origins.iter().try_for_each(|text| origin(text))?;
    file.security.trusted_hosts.iter().try_for_each(|host| trusted_host(host))
}

/// Checks an address to listen on.
pub(crate) fn listen(address: &str) -> Result<(), String> {
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        return Ok(());
    }
    Err(format!("listen: \"{address}\" is no address and port (0 to 65535) like 127.0.0.1:8787"))
}

fn timeouts(of: &TimeoutSettings) -> Result<(), String> {
    for (name, value) in [
        ("connect_ms", of.connect_ms),
        ("head_ms", of.head_ms),
        ("first_event_ms", of.first_event_ms),
        ("idle_ms", of.idle_ms),
        ("body_ms", of.body_ms),
        ("write_ms", of.write_ms),
    ] {
        if !(1..=LONGEST_MS).contains(&value) {
            return Err(format!("timeouts.{name}: 1 to {LONGEST_MS} milliseconds are accepted"));
        }
    }
    if of.drain_ms > LONGEST_MS {
        return Err(format!("timeouts.drain_ms: 0 to {LONGEST_MS} milliseconds are accepted"));
    }
    Ok(())
}

fn limits(of: &LimitsSettings) -> Result<(), String> {
    for (name, value) in [("body_bytes", of.body_bytes), ("answer_bytes", of.answer_bytes)] {
        if !(1..=MOST_BYTES).contains(&value) {
            return Err(format!("limits.{name}: 1 to {MOST_BYTES} bytes are accepted"));
        }
    }
    Ok(())
}

/// Browsers write an origin in one way only, and it is compared as they write it.
fn origin(text: &str) -> Result<(), String> {
    if matches!(text, "*" | "null") {
        return Ok(());
    }
    let is_scheme = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let is_host = |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase() && !"/?#@*,".contains(c);
    let parts = text.split_once("://").filter(|(scheme, host)| !scheme.is_empty() && !host.is_empty());
    if parts.is_some_and(|(scheme, host)| scheme.chars().all(is_scheme) && host.chars().all(is_host)) {
        return Ok(());
    }
    Err(format!(
        "cors.origins: \"{text}\" is no origin: \"*\" or scheme://host[:port] is expected, in small letters and without \
         a path, like \"https://chat.example.com\""
    ))
}

/// Hosts of URLs are compared with these, without their ports and in small letters.
fn trusted_host(host: &str) -> Result<(), String> {
    let is_v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_v6 = is_v6.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if is_v6 || (!host.is_empty() && host.chars().all(is_plain)) {
        return Ok(());
    }
    Err(format!(
        "security.trusted_hosts: \"{host}\" is no host: a name or an address in small letters is expected, without \
         scheme, port and path, like \"vault.internal\", \"10.0.0.7\" or \"[fd00::7]\"; networks are not accepted"
    ))
}

/// Checks what a declared key is called, may use and may do.
pub(super) fn key(declared: &KeySettings) -> Result<(), String> {
    check_name(&declared.name).map_err(|message| format!("key.name: {message}"))?;
    for pattern in &declared.models {
        check_model(pattern).map_err(|message| format!("key.models: {message}"))?;
    }
    declared.scopes.iter().flatten().try_for_each(|scope| known_scope(scope))
}

fn known_scope(scope: &str) -> Result<(), String> {
    if scopes::exists(scope) {
        return Ok(());
    }
    let names = scopes::all().chain([scopes::ADMIN.to_owned()]);
    let nearest = names
        .map(|name| (strsim::jaro_winkler(scope, &name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("; did you mean \"{name}\"?"));
    Err(format!("key.scopes: there is no scope \"{scope}\"{}", nearest.unwrap_or_default()))
}

/// Checks the name of a key.
///
/// # Errors
/// A sentence with what is accepted.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if name.chars().any(char::is_control) {
        return Err("control characters are not accepted".to_owned());
    }
    Ok(())
}

/// Checks a pattern of models that a key may use: one that no model can match allows nothing.
///
/// # Errors
/// A sentence with what is accepted.
pub(crate) fn check_model(pattern: &str) -> Result<(), String> {
    let (slug, model) = match pattern.strip_prefix('@') {
        Some(rest) => rest.split_once('/').map_or((Some(rest), "*"), |(slug, model)| (Some(slug), model)),
        None => (None, pattern),
    };
    let stars_last = !model.strip_suffix('*').unwrap_or(model).contains('*');
    let is_text =
        |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_text(model) && stars_last && slug.is_none_or(|slug| super::check_slug(slug).is_ok()) {
        return Ok(());
    }
    Err(format!(
        "\"{pattern}\" matches no model: \"@provider/*\", \"@provider/model\", \"model\" and \"*\" are accepted, with `*` \
         at the end only"
    ))
}

/// Checks the text of a key: it comes in a header, which carries nothing else.
pub(super) fn key_text(secret: &Secret) -> Result<(), String> {
    if secret.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err("only visible ASCII characters are accepted, without spaces".to_owned())
}

/// Returns why the last key can't stand beside those before it, or beside the admin key.
pub(super) fn same_text(keys: &[DeclaredKey], admin: Option<&Secret>) -> Option<String> {
    let (last, before) = keys.split_last()?;
    let text = last.secret.as_ref()?;
    let name = &last.settings.name;
    if admin == Some(text) {
        return Some(format!("key.key: key \"{name}\" has the text of `admin_key`; each key needs its own"));
    }
    let twin = before.iter().find(|key| key.secret.as_ref() == Some(text))?;
    let twin = &twin.settings.name;
    Some(format!("key.key: keys \"{twin}\" and \"{name}\" have the same text; each key needs its own"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for good in ["127.0.0.1:8787", "0.0.0.0:0", "[::]:8787", "localhost:80"] {
            listen(good).unwrap();
        }
        for bad in ["127.0.0.1:99999", "127.0.0.1", ":8787", "", "localhost:http"] {
            assert!(listen(bad).unwrap_err().contains("listen:"), "{bad}");
        }
    }

    #[test]
    fn origins_are_as_browsers_write_them() {
        for good in ["*", "null", "https://chat.example.com", "http://localhost:3000", "https://[::1]:8443"] {
            origin(good).unwrap();
        }
        for bad in
            ["chat.example.com", "https://chat.example.com/", "https://", "HTTPS://a.b", "https://*.a.b", ""]
        {
            assert!(origin(bad).unwrap_err().contains("cors.origins"), "{bad}");
        }
    }

    #[test]
    fn trusted_hosts_are_hosts() {
        for good in ["127.0.0.1", "localhost", "vault.internal", "[fd00::7]"] {
            trusted_host(good).unwrap();
        }
        for bad in ["http://x", "10.0.0.0/8", "localhost:9000", "Vault", "", "*.internal"] {
            assert!(trusted_host(bad).unwrap_err().contains("trusted_hosts"), "{bad}");
        }
    }

    #[test]
    fn patterns_match_something() {
        for good in ["*", "@openai", "@openai/*", "@openai/gpt-4*", "gpt-4o", "@a/meta/llama-3:free"] {
            check_model(good).unwrap();
        }
        for bad in ["", "@", "@/x", "@openai/", "@open*/x", "gpt-*-mini", "gpt 4", "@openai*"] {
            assert!(check_model(bad).unwrap_err().contains("at the end only"), "{bad}");
        }
    }
}
