//! Base URLs: templates with placeholders, and what users type.
//!
//! Closed on doubt: what goes into a host or path is checked against a short list of characters.

use http::HeaderValue;

use crate::error::InvalidCall;
use crate::provider::Credential;

/// Fills `{option}` placeholders from the credential's options. `{a,b}` takes the first that is set; `{a|.suffix}`
/// appends the suffix to a value without a dot. A template that begins with a placeholder takes a whole URL.
pub(crate) fn fill(template: &str, slug: &str, credential: &Credential) -> Result<String, InvalidCall> {
    let mut url = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((placeholder, after)) = after.split_once('}') else { break };
        let (names, suffix) = placeholder.split_once('|').unwrap_or((placeholder, ""));
        let first = names.split(',').next().unwrap_or(names);
        let given = names.split(',').find_map(|name| credential.option(name)).map(str::trim);
        let Some(value) = given.filter(|value| !value.is_empty()) else {
            return Err(InvalidCall::at(first, format!("{slug} needs `{first}` to know its address")));
        };
        url.push_str(before);
        if url.is_empty() {
            url.push_str(http_url(value, first)?);
        } else {
            url.push_str(plain_word(value, first)?);
        }
        if !value.contains('.') {
            url.push_str(suffix);
        }
        rest = after;
    }
    url.push_str(rest);
    Ok(url)
}

/// Returns the options that a template's placeholders take.
pub(crate) fn placeholders(template: &'static str) -> impl Iterator<Item = &'static str> {
    let inner = template.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    inner.flat_map(|(inner, _)| inner.split('|').next().unwrap_or(inner).split(','))
}

/// Returns the URL without a trailing slash when it is one that can be called.
pub(crate) fn http_url<'a>(url: &'a str, name: &str) -> Result<&'a str, InvalidCall> {
    let url = url.trim().trim_end_matches('/');
    let Some(host) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return Err(InvalidCall::at(name, format!("`{name}` must begin with https:// or http://")));
    };
    // As nearly all are; it costs a tenth of looking for what is odd.
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/' | b'[' | b']')
    };
    if host.bytes().fold(!host.is_empty() && !host.starts_with('/'), |so_far, byte| so_far & is_plain(byte)) {
        return Ok(url);
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if host.is_empty() || host.starts_with('/') || host.contains(odd) {
        return Err(InvalidCall::at(name, format!("`{name}` is not a URL")));
    }
    // A path is put behind the address; behind these it would not be one.
    if host.contains(['?', '#']) {
        return Err(InvalidCall::at(name, format!("`{name}` may hold neither `?` nor `#`")));
    }
    Ok(url)
}

/// Returns a value that may stand in a host or as one path segment.
pub(crate) fn plain_word<'a>(value: &'a str, name: &str) -> Result<&'a str, InvalidCall> {
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if plain && !value.is_empty() && !value.starts_with('.') && !value.contains("..") {
        return Ok(value);
    }
    Err(InvalidCall::at(name, format!("`{name}` may hold letters, digits, dots and hyphens only")))
}

/// Appends `/v1` to an address without a path: self-hosted servers print theirs so.
pub(super) fn with_version(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    if host.contains('/') { url.to_owned() } else { format!("{url}/v1") }
}

/// Makes a header value that logs don't show.
pub(crate) fn header_value(text: &str, name: &str) -> Result<HeaderValue, InvalidCall> {
    match HeaderValue::from_str(text.trim()) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Ok(value)
        }
        // The text is a secret: the message must not repeat it.
        Err(_) => Err(InvalidCall::at(name, format!("`{name}` holds characters that no header can carry"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Credential {
        let mut credential = Credential::default();
        credential.options.insert(name.into(), value.into());
        credential
    }

    #[test]
    fn placeholders_take_options() {
        let template = "https://{workspace|.cloud.example}/serving";
        let filled = |value| fill(template, "x", &with("workspace", value));
        assert_eq!(filled("ws").unwrap(), "https://ws.cloud.example/serving");
        assert_eq!(filled("adb-1.2.azure.example").unwrap(), "https://adb-1.2.azure.example/serving");
        assert_eq!(fill("https://h/{a,b}/v1", "x", &with("b", "7")).unwrap(), "https://h/7/v1");
        assert_eq!(fill("{a_url}", "x", &with("a_url", "https://h/p/")).unwrap(), "https://h/p");
    }

    #[test]
    fn a_placeholder_never_leaves_its_place() {
        for evil in ["a/b", "a?b", "a#b", "a@b", "..", "a..b", ".", "a b", "a\nb", "a:1", "é"] {
            assert!(fill("https://{a}.example", "x", &with("a", evil)).is_err(), "{evil}");
        }
        let missing = fill("https://{a}.example", "x", &Credential::default()).unwrap_err();
        assert_eq!(missing.param.as_deref(), Some("a"));
    }

    #[test]
    fn an_address_without_a_path_gets_the_version() {
        assert_eq!(with_version("http://localhost:11434"), "http://localhost:11434/v1");
        assert_eq!(with_version("http://localhost:11434/v1"), "http://localhost:11434/v1");
        assert_eq!(with_version("http://h/api/openai"), "http://h/api/openai");
    }
}
